"""Checkers for the exercises of lesson 2, training the teacher (notebooks/02_teacher_training.py).

Expected answers are computed here in plain numpy, without `pdtutor.probes`, so that each can catch a mistake in the
other.
"""

from collections.abc import Callable

import numpy as np

from pdtutor.checks.core import Case, Either, check

INPUTS = np.array([[1, 1, -1], [-1, 1, 1], [1, -1, 1], [-1, -1, -1], [1, 1, 1]])
PROBABILITIES = np.array([0.9, 0.7, 0.15, 0.6, 0.2])


def monomial_correlation(function: Callable) -> None:
    """Check `function(p, x, subset)`: predictions p (n,), signs x (n, d), a list of coordinates → |E[χ_A(x)·(p − p̄)]|.

    p̄ is the mean of p.
    """
    subset, p = [0, 2], PROBABILITIES
    centred, n = p - p.mean(), len(p)
    chi = INPUTS[:, subset].prod(axis=1)
    mean = np.mean(chi * centred)
    added, first, all_of_them = INPUTS[:, subset].sum(axis=1), INPUTS[:, 0], INPUTS.prod(axis=1)
    raw = np.mean(chi * p)
    mistakes = {
        "the absolute value is missing; without it, the signs of several networks would cancel.": mean,
        "this is the sum over the examples; an expectation divides it by their number.": n * abs(mean),
        "take p's mean off first: χ_A has mean 0, so this changes no expectation, and noise goes with it.": abs(raw),
        "take p's mean off first, and the absolute value last.": Either([raw, n * raw, n * abs(raw)]),
        "the coordinates of a monomial are multiplied, not added.": Either(
            [abs(np.mean(added * centred)), abs(np.mean(added * p))]
        ),
        "stay on the probability scale: p₀ − p₁ doubles every value.": Either(
            [2 * abs(mean), abs(np.mean(chi * (1 - 2 * p)))]
        ),
        "this is Pearson's correlation; the probe doesn't divide by standard deviations.": abs(
            np.corrcoef(chi, p)[0, 1]
        ),
        "the absolute value is that of the mean, not of each example's term.": np.mean(np.abs(centred)),
        "only the coordinates in subset are multiplied, not all of them.": Either(
            [abs(np.mean(all_of_them * centred)), abs(np.mean(all_of_them * p))]
        ),
        "all the coordinates in subset are multiplied, not only the first.": Either(
            [abs(np.mean(first * centred)), abs(np.mean(first * p))]
        ),
        "χ_A has a value for each example: multiply along the columns, prod(axis=1).": 0.0,
        "this is the mean of p, as if χ_A were 1: multiply along the columns, prod(axis=1), and take the absolute "
        "value last.": abs(p.mean()),
        "this is a value for each example; average over them.": Either(
            [chi * centred, np.abs(chi * centred), chi * p, np.abs(chi * p)]
        ),
        "use the probabilities as they are, without rounding them to 0 and 1.": Either(
            [abs(np.mean(chi * (rounded - shift))) for rounded in [p > 0.5] for shift in (0, np.mean(rounded))]
        ),
    }
    second = INPUTS[:, 1]
    check(
        "monomial_correlation",
        function,
        [
            Case({"p": p, "x": INPUTS, "subset": subset}, abs(mean), mistakes),
            Case({"p": p, "x": INPUTS, "subset": [1]}, abs(np.mean(second * centred))),
        ],
        hint="χ_A(x) is the product of the chosen columns, (n,); multiply by p − mean of p, average, take the absolute "
        "value.",
        success="this is what pdtutor.monomial_correlations measures.",
    )


def noise_floor(function: Callable) -> None:
    """Check `function(p)`: predictions (n,) → the standard deviation with which a correlation of 0 is estimated."""
    skewed = np.array([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    p, n = skewed, len(skewed)
    root = np.sqrt(n)
    deviations = np.std(p), np.std(p, ddof=1)  # both are right
    mistakes = {
        "this is the spread of the predictions; the mean of n of them varies √n times less.": Either(deviations),
        "variances shrink by a factor of n, standard deviations by √n.": Either([one / n for one in deviations]),
        "this is the variance of the mean; take its square root.": Either([one**2 / n for one in deviations]),
        "this is a variance over √n; take the standard deviation of p.": Either([one**2 / root for one in deviations]),
        "a mean of n terms varies less than one: divide by √n.": Either([one * root for one in deviations]),
        "this is the floor if p is taken as it is, √(E[p²]/n). Exercise 1 takes p's mean off, and what is left varies "
        "less: use the standard deviation of p.": Either(
            [np.sqrt(np.mean(p**2) / n), np.sqrt(np.mean(p**2) / (n - 1))]
        ),
        "0.5/√n holds only for predictions of 0 and 1; use the spread of p.": 0.5 / root,
        "√(p̄(1 − p̄)/n) holds only for predictions of 0 and 1; use the spread of p.": np.sqrt(
            p.mean() * (1 - p.mean()) / n
        ),
        "this takes the mean of p for its spread; use the standard deviation.": p.mean() / root,
        "1/√n is the floor of the mean of χ_A alone; multiply by the spread of p.": 1 / root,
        "this is a mean absolute deviation; use the standard deviation.": Either(
            [np.mean(np.abs(p - p.mean())) / root, np.mean(np.abs(p - p.mean()))]
        ),
        "this is two standard deviations; return one.": Either([2 * one / root for one in deviations]),
    }
    check(
        "noise_floor",
        function,
        [
            Case({"p": p}, Either([one / root for one in deviations]), mistakes),
            _floor(PROBABILITIES),
            _floor(np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0])),
        ],
        hint="χ_A(x) is a fair ±1; if it is independent of p, what is the spread of the mean of n terms "
        "χ_A(x)·(p − p̄)?",
        success="measurements below about twice this size are indistinguishable from 0.",
    )


def _floor(p: np.ndarray) -> Case:
    """Return a case of `noise_floor`."""
    return Case({"p": p}, Either([np.std(p, ddof=ddof) / np.sqrt(len(p)) for ddof in (0, 1)]))


def transition_step(function: Callable) -> None:
    """Check `function(steps, accuracy, threshold)` → the first step from which accuracy stays ≥ threshold."""
    steps = np.arange(0, 800, 100)
    accuracy = np.array([0.5, 0.49, 0.62, 0.51, 0.7, 0.8, 0.97, 1.0])
    lucky = np.array([0.5, 0.64, 0.65, 0.66, 0.51, 0.7, 0.62, 1.0])
    luck = "accuracy fell below the threshold again after this step: it was luck, not learning."
    mistakes = {
        luck: 200,
        "this is the position in the array; return the step at that position.": 4,
        "this is the last step below the threshold; return the one after it.": 300,
        "every accuracy ≥ the threshold counts, not only the largest.": 700,
        "this is an accuracy; return its step.": Either([0.7, 0.62]),
        "return one step: the first from which accuracy stays there.": Either(
            [steps[accuracy >= 0.6], steps[accuracy > 0.6], steps[4:]]
        ),
    }
    check(
        "transition_step",
        function,
        [
            Case({"steps": steps, "accuracy": accuracy, "threshold": 0.6}, 400, mistakes),
            Case(
                {"steps": steps, "accuracy": lucky, "threshold": 0.6},
                500,
                {"several in a row may be luck, too: accuracy fell again later.": Either([100, 200, 300])},
            ),
            Case({"steps": steps, "accuracy": accuracy, "threshold": 0.4}, 0),
            Case(
                {"steps": steps, "accuracy": accuracy, "threshold": 0.97},
                600,
                {"an accuracy that equals the threshold counts: ≥, not >.": 700},
            ),
        ],
        hint="find the last evaluation below the threshold and return the step after it; if none is below, the first.",
        success="a plateau's end, robust to lucky evaluations.",
    )


def peak_step(function: Callable) -> None:
    """Check `function(steps, inside, outside)` → the step at which in-support correlations stand out most."""
    steps = np.array([100, 200, 300, 400, 500])
    inside = np.array([0.040, 0.009, 0.038, 0.001, 0.020])
    outside = np.array([0.038, 0.010, 0.004, 0.00001, 0.0005])
    noisy = np.array([0.2, 0.009, 0.004, 0.00005, 0.0005])
    mistakes = {
        "here correlations are large inside and outside the support: that is noise. Compare the two.": 100,
        "here they are larger outside: look for the largest of inside − outside.": 200,
        "a ratio becomes huge where the denominator is noise near 0: use the difference.": Either([400, 500]),
        "this is a position in the array; return the step at that position.": Either([2, 0, 3, 4]),
        "this is the difference; return the step where it is largest.": float((inside - outside).max()),
    }
    check(
        "peak_step",
        function,
        [
            Case({"steps": steps, "inside": inside, "outside": outside}, 300, mistakes),
            Case({"steps": steps, "inside": inside[::-1], "outside": outside[::-1]}, 300),
            Case(
                {"steps": steps, "inside": np.array([0.01, 0.009, 0.004, 0.1, 0.0005]), "outside": noisy},
                400,
                {"here they are much larger outside: take the difference as it is, without its absolute value.": 100},
            ),
        ],
        hint="np.argmax of inside − outside gives a position; return the step at that position.",
        success="this is C₁, the checkpoint that lesson 3 teaches with.",
    )


def spike_height(function: Callable) -> None:
    """Check `function(chosen, fresh, inside)`: the height of a spike, on other examples than those that chose it.

    chosen and fresh are signed correlations (steps, d), inside is bool (d,).
    """
    inside = np.array([True, False, True, False, False])
    chosen = np.array(
        [
            [0.01, 0.02, -0.02, 0.01, -0.01],
            [0.08, -0.01, -0.06, 0.02, 0.01],
            [0.05, 0.03, 0.05, -0.02, 0.01],
            [0.00, 0.01, 0.01, 0.00, -0.01],
        ]
    )
    fresh = np.array(
        [
            [0.08, -0.01, -0.07, 0.01, 0.02],
            [0.06, 0.00, -0.05, 0.03, 0.01],
            [0.07, 0.01, 0.06, -0.01, 0.00],
            [0.01, 0.00, -0.01, 0.01, 0.01],
        ]
    )

    def levels(table: np.ndarray) -> np.ndarray:
        return np.abs(table[:, inside]).mean(1) - np.abs(table[:, ~inside]).mean(1)

    def signed(table: np.ndarray) -> np.ndarray:
        return np.abs(table[:, inside].mean(1)) - np.abs(table[:, ~inside].mean(1))

    cancel = "take absolute values before the mean: the signs of coordinates differ, and signed values cancel."
    same = "the checkpoint is right, but its height is measured on the examples that chose it: measure it on fresh."
    mistakes = {
        "two mistakes are left: absolute values come before the mean, and the height is measured on fresh.": (
            signed(chosen).max()
        ),
        cancel: Either(
            [
                signed(fresh)[signed(chosen).argmax()],
                signed(fresh)[levels(chosen).argmax()],
                levels(fresh)[signed(chosen).argmax()],
            ]
        ),
        same: levels(chosen).max(),
        "the peak is chosen on chosen: the largest value of fresh has again chosen itself.": Either(
            [levels(fresh).max(), signed(fresh).max()]
        ),
        "return the height, not the checkpoint's position.": int(levels(chosen).argmax()),
        "subtract what coordinates outside show.": np.abs(fresh[levels(chosen).argmax(), inside]).mean(),
    }
    check(
        "spike_height",
        function,
        [
            Case(
                {"chosen": chosen, "fresh": fresh, "inside": inside}, levels(fresh)[levels(chosen).argmax()], mistakes
            ),
            Case({"chosen": fresh, "fresh": chosen, "inside": inside}, levels(chosen)[levels(fresh).argmax()]),
        ],
        hint="mean |chosen| inside minus outside, for every step; its argmax names the checkpoint; the same difference "
        "of fresh, at that checkpoint, is the height.",
        success="the examples that chose the peak have no say in its height.",
    )
