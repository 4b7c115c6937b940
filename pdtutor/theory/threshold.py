"""Fourier coefficients ξ of a threshold function, in closed form for any dimension, and the Fourier gap.

A ReLU neuron with weights ±1 switches on where Σ_j x_j + b ≥ 0 (after flipping the inputs whose weight is −1). What its
gradient can see of a parity is decided by the coefficients of this on/off indicator: paper §3,
Barak et al. 2022 ("Hidden progress"), O'Donnell 2014 §5.3 for the majority function.
"""

from math import ceil, comb, inf, log, sqrt

import numpy as np

from .fourier import check_degree, check_dimension


def tie_free_bias(d: int) -> int:
    """A bias for which Σ_j x_j + b is never 0: the sum has the parity of d, so 0 for odd d and 1 for even d."""
    return 1 - d % 2


def threshold_coefficient(d: int, degree: int, *, bias: float | None = None) -> float:
    """ξ_degree: the Fourier coefficient on any `degree` of the d coordinates of the indicator 1[Σ_j x_j + bias ≥ 0].

    The indicator is symmetric, so the coefficient depends on the size of the subset only. Flipping one coordinate of
    the subset changes the indicator only where the other d−1 coordinates have one particular sum, which leaves an
    alternating sum of binomials. It is taken in whole numbers of any size and divided by 2^d once, at the end: nothing
    overflows or cancels at d = 1000. `bias=None` means `tie_free_bias(d)`.

    Source: O'Donnell 2014, §5.3 (majority). Raises ValueError when d < 1, the degree is not in 0…d, or the bias is not
    finite.
    """
    check_dimension(d)
    if isinstance(degree, bool) or not isinstance(degree, int | np.integer) or not 0 <= degree <= d:
        raise ValueError(f"degree = {degree!r}: must be a whole number from 0 to d = {d}.")
    threshold = -float(tie_free_bias(d) if bias is None else bias)
    if not -inf < threshold < inf:
        raise ValueError(f"bias = {bias!r}: must be a finite number.")
    # The smallest number of +1s among the d inputs that switches the indicator on: 2p − d ≥ threshold.
    on_from = ceil((threshold + d) / 2)
    if degree == 0:
        return sum(comb(d, p) for p in range(max(on_from, 0), d + 1)) / 2**d
    # The pivotal inputs have on_from − 1 of the other d − 1 coordinates at +1, hence d − on_from of them at −1.
    minuses = d - on_from
    if not 0 <= minuses <= d - 1:
        return 0.0
    signed = sum(
        (-1) ** i * comb(degree - 1, i) * comb(d - degree, minuses - i) for i in range(min(degree - 1, minuses) + 1)
    )
    return signed / 2**d


def fourier_gap(d: int, k: int, *, bias: float | None = None) -> float:
    """|ξ_{k−1}| − |ξ_{k+1}|: by how much a k-parity's in-support gradients stand out at initialisation (unit readout).

    Θ(d^{−(k−1)/2}) for even k (Barak et al. 2022, the Fourier gap of majority). For odd k ≥ 3, odd d and no bias it is
    0: the coefficients of even degree vanish. For k = d the degree d + 1 counts as 0: there is nobody outside.
    Raises ValueError unless 1 ≤ k ≤ d.
    """
    check_dimension(d)
    check_degree(k, d)
    inside = abs(threshold_coefficient(d, k - 1, bias=bias))
    outside = abs(threshold_coefficient(d, k + 1, bias=bias)) if k < d else 0.0
    return inside - outside


def predicted_samples(d: int, k: int) -> float:
    """About how many labelled samples until the gradient of a neuron tells in-support from off-support coordinates.

    A heuristic of ours. Each of the d estimates has variance ½/n (the neuron is on for half of the inputs). The largest
    of N Gaussian errors is about √(2 ln N), so the gap is resolved once √(½/n)·(√(2 ln k) + √(2 ln(d−k))) is below it.
    Returns inf where the gap is 0 or negative. Raises ValueError unless 1 ≤ k < d.
    """
    check_dimension(d)
    check_degree(k, d - 1)
    gap = fourier_gap(d, k)
    if gap <= 0:
        return inf
    return 0.5 * ((sqrt(2 * log(k)) + sqrt(2 * log(d - k))) / gap) ** 2
