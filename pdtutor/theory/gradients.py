"""The exact population gradient of one ReLU neuron at initialisation: by enumeration, and in closed form.

Setting (paper §3, Barak et al. 2022): f(x) = a·relu(w·x + b), hinge loss max(0, 1 − y·f(x)), and a network that
outputs 0 (mirrored pairs cancel), so that every margin is active and ∂L/∂w_j = −a·E[y x_j 1[w·x + b ≥ 0]]. Descent
moves the weight along minus this. At a tie w·x + b = 0 the slope of the ReLU is taken as 1.
"""

from collections.abc import Iterable

import numpy as np

from .fourier import as_subset, check_dimension, hypercube
from .threshold import threshold_coefficient, tie_free_bias


def population_gradient(
    weights: np.ndarray, targets: np.ndarray, *, bias: float | None = None, readout: float = 1.0
) -> np.ndarray:
    """∂L/∂w for every weight, by summing over all 2^d inputs: shape (d,).

    `weights` (d,) are the neuron's; `targets` (2^d,) is what supervises it, a row per row of `hypercube(d)`: the label
    ±1, or a teacher's real-valued output. `bias=None` means `tie_free_bias(d)`.
    Raises ValueError when d > MAX_TABLE_DIM or the table does not have 2^d values.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1:
        raise ValueError(f"weights of shape {weights.shape}: expected one neuron's weights, shape (d,).")
    x = hypercube(len(weights))
    targets = np.asarray(targets, dtype=np.float64)
    if targets.shape != (len(x),):
        raise ValueError(f"targets of shape {targets.shape}: expected ({len(x)},), a value for each of the 2^d inputs.")
    gate = x @ weights + (tie_free_bias(len(weights)) if bias is None else bias) >= 0
    return -readout * (targets * gate) @ x / len(x)


def parity_gradient(
    signs: np.ndarray, support: Iterable[int], *, bias: float | None = None, readout: float = 1.0
) -> np.ndarray:
    """The same gradient for the label y = ∏_{i∈S} x_i and weights ±1, in closed form at any d: shape (d,).

    With χ the parity of the signs: −a·ξ_{k−1}·χ_{S∖j}(w) for j ∈ S, and −a·ξ_{k+1}·χ_{S∪j}(w) for j ∉ S
    (Barak et al. 2022; the sign is that of the gradient, descent moves against it). `bias` is in units of |w_j| = 1.
    Raises ValueError when a weight is not ±1 or the support is empty or foreign.
    """
    signs = np.asarray(signs, dtype=np.float64)
    if signs.ndim != 1 or not np.all(np.abs(signs) == 1):
        raise ValueError(f"signs {signs!r}: the closed form holds for one neuron with weights ±1, shape (d,).")
    d = len(signs)
    check_dimension(d)
    support = as_subset(support, d)
    k = len(support)
    if k == 0:
        raise ValueError("support []: a parity needs at least one coordinate.")
    inside = np.zeros(d, dtype=bool)
    inside[support] = True
    xi_inside = threshold_coefficient(d, k - 1, bias=bias)
    xi_outside = threshold_coefficient(d, k + 1, bias=bias) if k < d else 0.0
    # For signs ±1, removing j from the product and adding j to it are both one more factor w_j.
    return -readout * signs[support].prod() * signs * np.where(inside, xi_inside, xi_outside)
