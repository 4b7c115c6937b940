"""How many samples a whole two-stage student needs, with what teachers, and how that number grows.

`pdtutor.theory.samples` counts samples for one neuron's first gradient. Here the count is for the trained network.
"""

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from pdtutor.theory.algorithm import Function, degree_one_coefficients, two_stage
from pdtutor.theory.fourier import as_subset, check_degree, check_dimension, parity
from pdtutor.theory.samples import fit_slope
from pdtutor.theory.threshold import threshold_coefficient
from pdtutor.validate import number, sequence, whole

STAGE2_PER_NEURON = 25  # samples of stage 2 for each hidden neuron, so that its least squares isn't the bottleneck


def student_width(k: int) -> int:
    """Return the width 8·2^k of a student of a k-parity: the theorem asks for order 2^k, up to logarithms."""
    return 8 * 2 ** whole("k", k)


def hidden_support(d: int, k: int, *, seed: int) -> np.ndarray:
    """Return a random support of k of the d coordinates, (k,), the same for one seed, d and k.

    Raises ValueError for d < 1 and k outside 1…d.
    """
    check_dimension(d)
    check_degree(k, d)
    return np.random.default_rng([whole("seed", seed, minimum=0), d, k]).choice(d, size=k, replace=False)


def degree_one_energy(function: Function, support: Iterable[int], d: int, *, seed: int = 0) -> dict[str, float]:
    """Return the degree-1 energy of a function per coordinate, inside and outside the support, as shares of E[f²].

    The keys are inside, outside and share: the part of all degree-1 energy that lies on the support. A function that
    knows nothing of the support has share k/d. The noise of 20 000 fresh samples, 1/20 000 a coordinate, is taken off.

    Raises ValueError for a coordinate outside 0…d−1 or repeated, and a support that is empty or holds all coordinates.
    """
    support = as_subset(support, d)
    if not 0 < len(support) < d:
        raise ValueError(f"support must hold at least one and not all of the d = {d} coordinates, got {len(support)}")
    energy = degree_one_coefficients(function, d, samples=20_000, seed=seed) ** 2 - 1 / 20_000
    inside, outside = energy[support], np.delete(energy, support)
    share = inside.sum() / energy.sum()
    return {"inside": float(inside.mean()), "outside": float(outside.mean()), "share": float(share)}


def samples_to_appear(d: int, k: int, *, width: int) -> float:
    """Return after how many samples a stage-1 teacher has twice the degree-1 energy on a coordinate of the support.

    A derivation of ours. A mirrored pair is nearly linear, so the teacher's coefficient on x_j is the mean over its
    P = width/2 pairs of ±g_j, the gradients. On the support they are ±ξ_{k−1} with random signs: the mean has a square
    of ξ²/P. The noise of g_j has two halves of variance 1/4n each: one from E_n[y·x_j]/2, which all pairs share, and
    one from their switches, which averages out. So the mean has a noise of (1 + 1/P)/4n, and signal and noise are equal
    at n = (P + 1)/4ξ². The signal of the other coordinates, ξ_{k+1}²/P, is left out.

    Raises ValueError for k outside 1…d, an odd or too small width, and a ξ_{k−1} of 0.
    """
    check_dimension(d)
    check_degree(k, d)
    if whole("width", width) % 2:
        raise ValueError(f"width must be even, since neurons come in mirrored pairs; got {width}")
    xi = threshold_coefficient(d, k - 1)
    if not xi:
        raise ValueError(f"k = {k} at d = {d} gives the first step no signal: use an even k or another d")
    return (width / 2 + 1) / (4 * xi**2)


def flawed_label(support: Iterable[int], *, degree: int, size: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a final teacher that is the label plus an error on the support: χ_S + size·r, with E[r²] = 1.

    The error r is the sum of the parities of all subsets of S with `degree` elements, scaled. The function maps inputs
    (n, d) to outputs (n,).

    Raises ValueError for a degree outside 1…k−1 and a size that is not a finite number.
    """
    support, degree = sequence("support", support), whole("degree", degree)
    if degree >= len(support):
        raise ValueError(f"degree must be less than k = {len(support)}, the label's own; got {degree}")
    subsets, size = list(combinations(support, degree)), number("size", size)

    def teacher(x: np.ndarray) -> np.ndarray:
        error = sum(parity(x, subset) for subset in subsets) / np.sqrt(len(subsets))
        return parity(x, support) + size * error

    return teacher


def learning_curve(
    d: int,
    k: int,
    *,
    seed: int,
    error: float,
    smallest: int = 2**7,
    largest: int = 2**23,
    steps: int = 3,
    teacher: Function | None = None,
    final: Function | None = None,
) -> pd.DataFrame:
    """Return the test error of two-stage students by their stage-1 samples: columns samples, error.

    The number of samples doubles from `smallest` until the error is at most `error` twice running, or past `largest`.
    The students have width 8·2^k, 25 samples of stage 2 per neuron and the support of `hidden_support`; the other
    arguments are those of `two_stage`.

    Raises ValueError as `two_stage` does, and for largest < smallest.
    """
    smallest, largest, width = whole("smallest", smallest), whole("largest", largest), student_width(k)
    if largest < smallest:
        raise ValueError(f"largest must be at least smallest = {smallest}, got {largest}")
    error = number("error", error)
    rows, samples, reached = [], smallest, 0
    while samples <= largest and reached < 2:
        result = two_stage(
            d,
            k,
            stage1_samples=samples,
            stage2_samples=STAGE2_PER_NEURON * width,
            width=width,
            steps=steps,
            teacher=teacher,
            final=final,
            support=hidden_support(d, k, seed=seed),
            seed=seed,
        )
        rows.append({"samples": samples, "error": 1 - result.accuracy})
        reached = reached + 1 if rows[-1]["error"] <= error else 0
        samples *= 2
    return pd.DataFrame(rows)


def samples_to_reach(curve: pd.DataFrame, error: float) -> float:
    """Return from how many samples on the error stays at or below `error`; nan if it is above it at the last look.

    Between the last number above and the next one, log samples is interpolated linearly in the log of the error, which
    counts as at least 0.001. `curve` has columns samples, rising, and error.

    Raises ValueError for an error that is not above 0.
    """
    if not number("error", error) > 0:
        raise ValueError(f"error must be above 0, got {error}")
    samples, found = np.log(curve["samples"].to_numpy(float)), np.maximum(curve["error"].to_numpy(float), 1e-3)
    above = np.flatnonzero(found > error)
    if not above.size:
        return float(np.exp(samples[0]))
    last = above[-1]
    if last == len(found) - 1:
        return float("nan")
    part = np.log(found[last] / error) / np.log(found[last] / found[last + 1])
    return float(np.exp(samples[last] + part * (samples[last + 1] - samples[last])))


class Slope(NamedTuple):
    """The exponent of a power law, with a 95 % interval."""

    exponent: float
    low: float
    high: float


def bootstrap_slope(
    table: pd.DataFrame, x: str, y: str, *, minus: pd.DataFrame | None = None, draws: int = 2000, seed: int = 0
) -> Slope:
    """Return the exponent of y against x, and its 95 % interval from resampling seeds, each with all of its rows.

    Args:
        table: columns seed, x and y, all positive.
        x: the column to fit against, such as "d".
        y: the column that grows.
        minus: another such table with the same seeds; then the result is the exponent of `table` minus its own, paired:
            both are resampled together.
        draws: number of resamples.
        seed: seed of the resampling.

    Raises ValueError as `fit_slope` does, and for fewer than two seeds or seeds that differ between the tables.
    """
    tables = [table] if minus is None else [table, minus]
    seeds = sorted(table["seed"].unique())
    if len(seeds) < 2 or any(sorted(one["seed"].unique()) != seeds for one in tables):
        raise ValueError(f"bootstrap_slope needs the same seeds in each table, at least two; got {seeds}")
    drawn = np.random.default_rng(whole("seed", seed, minimum=0))
    drawn = drawn.integers(len(seeds), size=(whole("draws", draws), len(seeds)))
    times = np.stack([(drawn == i).sum(axis=1) for i in range(len(seeds))], axis=1)  # (draws, seeds)
    exponent, resampled = 0.0, np.zeros(draws)
    for sign, one in zip((1, -1), tables, strict=False):
        exponent += sign * fit_slope(one[x], one[y]).exponent
        weights = times[:, [seeds.index(its) for its in one["seed"]]]  # (draws, rows)
        log_x, log_y = np.log(one[x].to_numpy(float)), np.log(one[y].to_numpy(float))
        total = weights.sum(axis=1, keepdims=True)
        centred = log_x - (weights * log_x).sum(axis=1, keepdims=True) / total
        resampled += sign * (weights * centred * log_y).sum(axis=1) / (weights * centred**2).sum(axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Slope(float(exponent), float(low), float(high))
