"""How many fresh samples the gradient of one neuron needs before it tells in-support from off-support coordinates.

The signal is exact (see `gradients`); the estimate from n samples carries noise of about √(½/n) per coordinate. We
count samples until the signal wins. Inputs are packed into one 64-bit word each: tens of millions take a second.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numba
import numpy as np
import pandas as pd

from pdtutor.progress import progress_bar

from .algorithm import stage_one_teacher
from .fourier import as_subset, check_degree, check_dimension

CHUNK = 2**18  # words at a time: 2 MB, and targets of the same size
SUPERVISIONS = ("labels", "teacher")


@numba.njit(inline="always")
def _popcount(word):  # pragma: no cover - compiled
    """Set bits of a 64-bit word, by adding neighbours in pairs, fours, bytes (no loop, so it vectorises)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@numba.njit(cache=True)
def _add_gated(words, sign_word, bias, targets, sums):  # pragma: no cover - compiled
    d = sums.size
    for i in range(words.size):
        if d - 2 * _popcount(words[i] ^ sign_word) + bias >= 0:
            target = targets[i]
            for j in range(d):
                sums[j] += -target if (words[i] >> np.uint64(j)) & np.uint64(1) else target


def gated_sums(words: np.ndarray, sign_word: int, targets: np.ndarray, d: int, *, bias: float = 0.0) -> np.ndarray:
    """Σ_i t_i·x_i·1[w·x_i + bias ≥ 0] over packed inputs x_i (n,), shape (d,); `sign_word` packs the weights w = ±1."""
    sums = np.zeros(d)
    _add_gated(words, np.uint64(sign_word), float(bias), np.asarray(targets, dtype=np.float64), sums)
    return sums


def gated_sums_plain(x: np.ndarray, signs: np.ndarray, targets: np.ndarray, *, bias: float = 0.0) -> np.ndarray:
    """The plain twin of `gated_sums`, on unpacked inputs x (n, d): shape (d,)."""
    return (targets * (x @ signs + bias >= 0)) @ x


def pack_signs(x: np.ndarray) -> np.ndarray:
    """Inputs (n, d) with entries ±1, d ≤ 64, as n words of 64 bits; bit j is set where x_j = −1."""
    bits = np.asarray(x < 0, dtype=np.uint64)
    return (bits << np.arange(x.shape[1], dtype=np.uint64)).sum(axis=1, dtype=np.uint64)


def unpack_signs(words: np.ndarray, d: int) -> np.ndarray:
    """The inverse of `pack_signs`: shape (n, d), float32."""
    bits = (words[:, None] >> np.arange(d, dtype=np.uint64)) & np.uint64(1)
    return 1 - 2 * bits.astype(np.float32)


def separates(estimate: np.ndarray, support: Iterable[int]) -> bool:
    """Whether the smallest in-support |estimate_j| is larger than the largest off-support one; estimate (d,)."""
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
    """The number of fresh samples after which a neuron's gradient estimate separates the support, and stays so.

    `targets_of` maps packed inputs (n,) to what supervises them (n,). We look at the estimate after n = 4, 4·growth,
    4·growth²… samples and return the first n of an unbroken run of separated looks, once that run has lasted until
    hold·n; nan if that takes more than `max_samples` samples.
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
    """Samples until one neuron at initialisation separates the support: a row per (d, supervision, seed).

    Columns d, k, supervision ("labels" or "teacher"), seed, samples (nan past `max_samples`: `samples_to_separate`).
    The neuron has random weights ±1 and no bias; its gradient follows the hinge loss of the lesson. The teacher is
    `stage_one_teacher`, by default one mirrored pair: with more pairs its coefficients are sums of random signs, some
    of them near 0 by chance, and the count measures that chance. A seed's teacher has one support part at every d.

    Raises ValueError for an even d (ties), d > 63, an odd k (the even-degree coefficients of an odd threshold are 0, so
    there is no signal from k = 3 on), k ≥ d, or an unknown supervision.
    """
    dims, supervision, seeds = list(dims), list(supervision), list(seeds)
    for d in dims:
        check_dimension(d)
        if d % 2 == 0 or d > 64:
            raise ValueError(f"d = {d}: this experiment takes odd d up to 63 (no ties, and one 64-bit word an input).")
        check_degree(k, d - 1)
    if k % 2:
        raise ValueError(f"k = {k}: this experiment takes even k. For odd k ≥ 3 ξ_{{k−1}} = 0: there is no signal.")
    if unknown := set(supervision) - set(SUPERVISIONS):
        raise ValueError(f"supervision {sorted(unknown)}: allowed are {list(SUPERVISIONS)}.")

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
    mask = np.uint64(sum(1 << int(j) for j in support))
    return lambda words: 1.0 - 2.0 * (np.bitwise_count(words & mask) & 1)


def _teacher_targets(teacher: Callable[[np.ndarray], np.ndarray], d: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda words: teacher(unpack_signs(words, d))


class PowerLaw(NamedTuple):
    """y ≈ prefactor · x^exponent, with the standard error of the exponent."""

    exponent: float
    stderr: float
    prefactor: float


def fit_slope(x: Iterable[float], y: Iterable[float]) -> PowerLaw:
    """The least-squares line through (log x, log y), as a power law; x and y (n,) positive, n ≥ 3, two distinct x.

    The standard error is the textbook one of a regression slope: it knows the scatter of the points, not the curvature
    of a law that is not a power. Raises ValueError otherwise.
    """
    x, y = np.asarray(list(x), dtype=np.float64), np.asarray(list(y), dtype=np.float64)
    if x.shape != y.shape or x.size < 3 or np.unique(x).size < 2:
        raise ValueError(f"fit_slope: got {x.size} x and {y.size} y; it needs at least 3 pairs with two distinct x.")
    if not (np.all(x > 0) and np.all(y > 0) and np.all(np.isfinite(y))):
        raise ValueError("fit_slope: every x and y must be positive and finite; drop the runs that did not finish.")
    log_x, log_y = np.log(x), np.log(y)
    centred = log_x - log_x.mean()
    exponent = centred @ log_y / (centred @ centred)
    residuals = log_y - log_y.mean() - exponent * centred
    stderr = np.sqrt(residuals @ residuals / (x.size - 2) / (centred @ centred))
    return PowerLaw(float(exponent), float(stderr), float(np.exp(log_y.mean() - exponent * log_x.mean())))
