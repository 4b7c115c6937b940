"""The exact population gradient of one ReLU neuron at initialisation: by enumeration, and in closed form.

The setting (paper section 3, Barak et al. 2022): f(x) = a·relu(w·x + b) with readout a, the hinge loss
max(0, 1 − y·f(x)), and a network that outputs 0, because mirrored pairs of neurons cancel. So every margin is active
and ∂L/∂w_j = −a·E[y·x_j·1[w·x + b ≥ 0]]. Gradient descent moves the weight against this. At a tie, w·x + b = 0, the
slope of the ReLU is taken to be 1.
"""

from collections.abc import Iterable

import numpy as np

from pdtutor.theory.fourier import as_subset, check_dimension, hypercube
from pdtutor.theory.threshold import threshold_coefficient, tie_free_bias
from pdtutor.validate import number


def population_gradient(
    weights: np.ndarray, targets: np.ndarray, *, bias: float | None = None, readout: float = 1.0
) -> np.ndarray:
    """Return ∂L/∂w for every weight of one neuron, (d,), by a sum over all 2^d inputs.

    Args:
        weights: the neuron's weights, (d,).
        targets: what supervises it, (2^d,), one value per row of `hypercube(d)`: the label ±1, or a teacher's output.
        bias: the neuron's bias b; `tie_free_bias(d)` if not given.
        readout: the neuron's readout a.

    Raises ValueError for d > MAX_TABLE_DIM, and weights or targets of another shape.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1:
        raise ValueError(f"weights must be those of one neuron, shape (d,); got shape {weights.shape}")
    x = hypercube(len(weights))
    targets = np.asarray(targets, dtype=np.float64)
    if targets.shape != (len(x),):
        raise ValueError(f"targets must have shape ({len(x)},), one value per input; got shape {targets.shape}")
    gate = x @ weights + (tie_free_bias(len(weights)) if bias is None else number("bias", bias)) >= 0
    return -readout * (targets * gate) @ x / len(x)


def parity_gradient(
    signs: np.ndarray, support: Iterable[int], *, bias: float | None = None, readout: float = 1.0
) -> np.ndarray:
    """Return the same gradient, (d,), for the label y = ∏_{i∈S} x_i and weights ±1, in closed form at any d.

    With χ the parity of the signs it is −a·ξ_{k−1}·χ_{S∖j}(w) for j ∈ S and −a·ξ_{k+1}·χ_{S∪j}(w) for j ∉ S, where ξ
    are the coefficients of `threshold_coefficient` (Barak et al. 2022). Gradient descent moves against it.

    Args:
        signs: the neuron's weights ±1, (d,).
        support: the coordinates in S.
        bias: the neuron's bias b, in units of |w_j| = 1; `tie_free_bias(d)` if not given.
        readout: the neuron's readout a.

    Raises ValueError for a weight other than ±1, an empty support, a coordinate outside 0…d−1 and a repeated one.
    """
    signs = np.asarray(signs, dtype=np.float64)
    if signs.ndim != 1 or not np.all(np.abs(signs) == 1):
        raise ValueError(
            f"signs must be the weights ±1 of one neuron, shape (d,): the closed form needs that; got {signs!r}"
        )
    d = len(signs)
    check_dimension(d)
    support = as_subset(support, d)
    k = len(support)
    if k == 0:
        raise ValueError("support must hold at least one coordinate, got none")
    inside = np.zeros(d, dtype=bool)
    inside[support] = True
    xi_inside = threshold_coefficient(d, k - 1, bias=bias)
    xi_outside = threshold_coefficient(d, k + 1, bias=bias) if k < d else 0.0
    # With signs ±1, to remove j from the product and to add j to it both mean one more factor w_j.
    return -readout * signs[support].prod() * signs * np.where(inside, xi_inside, xi_outside)
