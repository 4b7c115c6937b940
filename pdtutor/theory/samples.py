"""How many fresh samples the gradient of one neuron needs before it tells in-support from off-support coordinates.

The signal is exact (see `pdtutor.theory.gradients`); an estimate from n samples has noise of about √(½/n) in each
coordinate. We count samples until the signal stands out from the noise. Each input is packed into one 64-bit word, so
that tens of millions take a second.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit

from pdtutor.compiled import compiled
from pdtutor.progress import progress_bar
from pdtutor.theory.algorithm import stage_one_teacher
from pdtutor.theory.fourier import as_subset, check_degree, check_dimension
from pdtutor.validate import plain, sequence, shown, whole

CHUNK = 2**18  # words at a time: 2 MB, and as much for their targets
SUPERVISIONS = ("labels", "teacher")


@njit(inline="always")
def _popcount(word):  # pragma: no cover - compiled
    """Return the number of set bits of a 64-bit word: neighbours are added in pairs, fours, bytes.

    There is no loop, so that the compiler can vectorise it.
    """
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled()
def _add_gated(words, sign_word, bias, targets, sums):  # pragma: no cover - compiled
    """Add to sums (d,) what `gated_sums` returns."""
    d = sums.size
    for i in range(words.size):
        if d - 2 * _popcount(words[i] ^ sign_word) + bias >= 0:
            target = targets[i]
            for j in range(d):
                sums[j] += -target if (words[i] >> np.uint64(j)) & np.uint64(1) else target


def gated_sums(words: np.ndarray, sign_word: int, targets: np.ndarray, d: int, *, bias: float = 0.0) -> np.ndarray:
    """Return Σ_i t_i·x_i·1[w·x_i + bias ≥ 0], shape (d,).

    Args:
        words: the packed inputs x_i, (n,).
        sign_word: the packed weights w = ±1.
        targets: t_i, (n,).
        d: the number of coordinates, at most 64.
        bias: the neuron's bias.
    """
    sums = np.zeros(d)
    _add_gated(words, np.uint64(sign_word), float(bias), np.asarray(targets, dtype=np.float64), sums)
    return sums


def gated_sums_plain(x: np.ndarray, signs: np.ndarray, targets: np.ndarray, *, bias: float = 0.0) -> np.ndarray:
    """Return the same sums (d,) for unpacked inputs x (n, d): the plain twin of `gated_sums`."""
    return (targets * (x @ signs + bias >= 0)) @ x


def pack_signs(x: np.ndarray) -> np.ndarray:
    """Return inputs (n, d) with entries ±1, d ≤ 64, as n words of 64 bits; bit j is set where x_j = −1."""
    bits = np.asarray(x < 0, dtype=np.uint64)
    return (bits << np.arange(x.shape[1], dtype=np.uint64)).sum(axis=1, dtype=np.uint64)


def unpack_signs(words: np.ndarray, d: int) -> np.ndarray:
    """Return the inputs, (n, d) float32, that `pack_signs` packed into these words (n,)."""
    bits = (words[:, None] >> np.arange(d, dtype=np.uint64)) & np.uint64(1)
    return 1 - 2 * bits.astype(np.float32)


def separates(estimate: np.ndarray, support: Iterable[int]) -> bool:
    """Return whether every in-support |estimate_j| is larger than every off-support one; estimate (d,)."""
    inside = np.zeros(len(estimate), dtype=bool)
    inside[as_subset(support, len(estimate))] = True
    magnitude = np.abs(estimate)
    return bool(magnitude[inside].min() > magnitude[~inside].max())


def samples_to_separate(
    targets_of: Callable[[np.ndarray], np.ndarray],
    signs: np.ndarray,
    support: Iterable[int],
    *,
    rng: np.random.Generator,
    growth: float = 1.1,
    hold: float = 4.0,
    max_samples: int = 2**28,
) -> float:
    """Return after how many fresh samples a neuron's gradient estimate separates the support and goes on doing so.

    The estimate is looked at after n = 4, 4·growth, 4·growth², … samples. The result is the first n of an unbroken
    series of looks that all find the support separated, once the series has lasted until hold·n samples; nan if that
    takes more than `max_samples`.

    Args:
        targets_of: maps packed inputs (n,) to what supervises them, (n,).
        signs: the neuron's weights ±1, (d,) with d ≤ 64.
        support: the coordinates of the parity.
        rng: source of the inputs.
        growth: ratio of the sample counts at two successive looks.
        hold: how long the separation must last, relative to the count at which it began.
        max_samples: where the search is given up.
    """
    d = len(signs)
    sign_word = int(pack_signs(np.asarray(signs)[None])[0])
    keep = np.uint64((1 << d) - 1)
    sums, seen, look, since = np.zeros(d), 0, 4.0, None
    while look <= max_samples:
        while seen < int(look):
            n = min(CHUNK, int(look) - seen)
            words = rng.integers(0, 2**64, size=n, dtype=np.uint64) & keep
            sums += gated_sums(words, sign_word, targets_of(words), d)
            seen += n
        if not separates(sums, support):
            since = None
        elif since is None:
            since = seen
        elif seen >= hold * since:
            return float(since)
        look *= growth
    return float("nan")


def sample_complexity(
    dims: Iterable[int],
    *,
    k: int = 2,
    supervision: Iterable[str] = SUPERVISIONS,
    seeds: Iterable[int] = range(5),
    teacher_width: int = 2,
    max_samples: int = 2**28,
    progress: bool = True,
) -> pd.DataFrame:
    """Return how many samples a neuron at initialisation needs to separate the support, by d, supervision and seed.

    The table has one row each, with columns d, k, supervision ("labels" or "teacher"), seed and samples, which is nan
    past `max_samples` (see `samples_to_separate`). The neuron has random weights ±1 and no bias, and its gradient is
    that of the hinge loss. The teacher is `stage_one_teacher`; teachers of one seed have the same weights on the
    support at every d, up to scale.

    Args:
        dims: numbers of coordinates, odd (an even one has ties) and at most 63 (one 64-bit word per input).
        k: the size of the support, even: an odd k ≥ 3 leaves no signal, because the coefficients of even degree of an
            odd threshold are 0.
        supervision: which of "labels" and "teacher" to measure.
        seeds: each draws a support, a neuron and, if one teaches, a teacher.
        teacher_width: neurons of the teacher, by default one mirrored pair. With more pairs its coefficients are sums
            of random signs, of which some are near 0 by chance, and the count measures that chance.
        max_samples: where the search is given up.
        progress: whether to show a progress bar.

    Raises ValueError for an even d, d > 63, an odd k, k < 1, k ≥ d and another supervision.
    """
    dims, supervision = sequence("dims", dims), sequence("supervision", supervision)
    seeds = [whole("seeds", seed, minimum=0) for seed in sequence("seeds", seeds)]
    teacher_width, max_samples = whole("teacher_width", teacher_width), whole("max_samples", max_samples)
    for d in dims:
        check_dimension(d)
        if d % 2 == 0 or d > 64:
            raise ValueError(f"d must be odd (no ties) and at most 63 (one 64-bit word per input), got {d}")
        check_degree(k, d, strict=True)
    if whole("k", k) % 2:
        raise ValueError(f"k must be even, since ξ_{{k−1}} = 0 leaves odd k ≥ 3 without a signal; got {k}")
    if unknown := set(supervision) - set(SUPERVISIONS):
        raise ValueError(f"supervision must be chosen from {list(SUPERVISIONS)}, got {sorted(unknown)}")

    cells = [(d, kind, seed) for d in dims for kind in supervision for seed in seeds]
    rows = []
    for d, kind, seed in progress_bar(cells, desc=f"k = {k}", show=progress):
        rng = np.random.default_rng([seed, d, SUPERVISIONS.index(kind)])
        support = rng.choice(d, size=k, replace=False)
        signs = rng.choice([-1, 1], size=d)
        if kind == "labels":
            targets_of = _label_targets(support)
        else:
            targets_of = _teacher_targets(stage_one_teacher(d, support, width=teacher_width, seed=seed), d)
        samples = samples_to_separate(targets_of, signs, support, rng=rng, max_samples=max_samples)
        rows.append({"d": d, "k": k, "supervision": kind, "seed": seed, "samples": samples})
    return pd.DataFrame(rows)


def _label_targets(support: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from packed inputs (n,) to their labels ±1, (n,)."""
    mask = np.uint64(sum(1 << int(j) for j in support))
    return lambda words: 1.0 - 2.0 * (np.bitwise_count(words & mask) & 1)


def _teacher_targets(teacher: Callable[[np.ndarray], np.ndarray], d: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from packed inputs (n,) to the teacher's outputs, (n,)."""
    return lambda words: teacher(unpack_signs(words, d))


class PowerLaw(NamedTuple):
    """The law y ≈ prefactor · x^exponent, with the standard error of the exponent."""

    exponent: float
    stderr: float
    prefactor: float


def _real(name: str, value: object) -> float:
    """Return a number as a float, nan and infinity included. Raises ValueError for anything else."""
    given = plain(value)
    if not isinstance(given, int | float):
        raise ValueError(f"{name} must hold numbers, got {shown(value)}")
    return float(given)


def fit_slope(x: Iterable[float], y: Iterable[float]) -> PowerLaw:
    """Return the least-squares line through (log x, log y) as a power law.

    x and y are (n,) and positive, with n ≥ 3 and at least two distinct x. The standard error is the textbook one of a
    regression slope: it knows the scatter of the points, but not whether the law is a power at all.

    Raises ValueError for fewer points, unequal lengths, only one distinct x, and values not positive or not finite.
    """
    x, y = (
        np.asarray([_real(name, one) for one in sequence(name, given)], dtype=np.float64)
        for name, given in {"x": x, "y": y}.items()
    )
    if x.shape != y.shape or x.size < 3 or np.unique(x).size < 2:
        raise ValueError(f"fit_slope needs at least 3 pairs with two distinct x, got {x.size} x and {y.size} y")
    if not (np.all(x > 0) and np.all(y > 0) and np.all(np.isfinite(y))):
        raise ValueError("every x and y must be positive and finite: leave out the runs that did not finish")
    log_x, log_y = np.log(x), np.log(y)
    centred = log_x - log_x.mean()
    exponent = centred @ log_y / (centred @ centred)
    residuals = log_y - log_y.mean() - exponent * centred
    stderr = np.sqrt(residuals @ residuals / (x.size - 2) / (centred @ centred))
    return PowerLaw(float(exponent), float(stderr), float(np.exp(log_y.mean() - exponent * log_x.mean())))
