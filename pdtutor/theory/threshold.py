"""Fourier coefficients ξ of a threshold function, in closed form for any dimension, and the Fourier gap.

A ReLU neuron with weights ±1 is on where Σ_j x_j + b ≥ 0, once the inputs with weight −1 are flipped. The Fourier
coefficients of this on/off indicator decide what the neuron's gradient can see of a parity: paper section 3, Barak et
al. 2022 ("Hidden progress"), and for the majority function O'Donnell 2014 ("Analysis of Boolean Functions"), §5.3.
"""

from math import ceil, comb, inf, log, sqrt

from pdtutor.theory.fourier import check_degree, check_dimension
from pdtutor.validate import whole


def tie_free_bias(d: int) -> int:
    """Return a bias b for which Σ_j x_j + b is never 0: the sum is odd for odd d, where b is 0; b is 1 for even d."""
    return 1 - d % 2


def threshold_coefficient(d: int, degree: int, *, bias: float | None = None) -> float:
    """Return ξ_degree, the Fourier coefficient of 1[Σ_j x_j + bias ≥ 0] on any `degree` of the d coordinates.

    The indicator is symmetric, so only the size of the subset matters. Flipping one coordinate of the subset changes
    the indicator only where the other d − 1 coordinates have one particular sum, which leaves an alternating sum of
    binomial coefficients. It is computed in exact integers and divided by 2^d once, at the end: nothing overflows or
    cancels even at d = 1000. Source: O'Donnell 2014, §5.3 (majority).

    Args:
        d: the number of coordinates.
        degree: the size of the subset, 0…d.
        bias: `tie_free_bias(d)` if not given.

    Raises ValueError for d < 1, a degree outside 0…d and a bias that is not finite.
    """
    check_dimension(d)
    if whole("degree", degree, minimum=0) > d:
        raise ValueError(f"degree must be at most d = {d}, got {degree}")
    threshold = -float(tie_free_bias(d) if bias is None else bias)
    if not -inf < threshold < inf:
        raise ValueError(f"bias must be a finite number, got {bias!r}")
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
    """Return |ξ_{k−1}| − |ξ_{k+1}|: how far in-support gradients of a k-parity stand out at initialisation (readout 1).

    The gap is Θ(d^{−(k−1)/2}) for even k (Barak et al. 2022, the Fourier gap of majority). For odd k ≥ 3 it is 0 at odd
    d without a bias, because the coefficients of even degree vanish. For k = d no coordinate lies outside the support,
    and ξ_{d+1} counts as 0. `bias` is `tie_free_bias(d)` if not given.

    Raises ValueError for k < 1 or k > d.
    """
    check_dimension(d)
    check_degree(k, d)
    inside = abs(threshold_coefficient(d, k - 1, bias=bias))
    outside = abs(threshold_coefficient(d, k + 1, bias=bias)) if k < d else 0.0
    return inside - outside


def predicted_samples(d: int, k: int) -> float:
    """Return about how many labelled samples a neuron's gradient needs to tell in-support from off-support coordinates.

    A heuristic of ours. Each of the d estimates has variance ½/n, because the neuron is on for half of the inputs. The
    largest of N Gaussian errors is about √(2 ln N), so the gap is resolved once √(½/n)·(√(2 ln k) + √(2 ln(d−k))) is
    below it. The result is inf where the gap is 0 or negative.

    Raises ValueError for k < 1 or k ≥ d.
    """
    check_dimension(d)
    check_degree(k, d, strict=True)
    gap = fourier_gap(d, k)
    if gap <= 0:
        return inf
    return 0.5 * ((sqrt(2 * log(k)) + sqrt(2 * log(d - k))) / gap) ** 2
