"""Checkers for the exercises of lesson 2, training the teacher (notebooks/02_teacher_training.py).

Expected answers are computed here in plain numpy, without `pdtutor.probes`, so that each can catch a mistake in the
other.
"""

from collections.abc import Callable

import numpy as np

from pdtutor.checks.core import Case, check

INPUTS = np.array([[1, 1, -1], [-1, 1, 1], [1, -1, 1], [-1, -1, -1], [1, 1, 1]])
PROBABILITIES = np.array([0.9, 0.2, 0.1, 0.1, 0.8])


def monomial_correlation(function: Callable) -> None:
    """Check `function(p, x, subset)`: predictions p (n,), signs x (n, d), a list of coordinates → |E[χ_A(x)·p]|."""
    subset = [0, 2]
    chi = INPUTS[:, 0] * INPUTS[:, 2]
    mean = np.mean(chi * PROBABILITIES)
    mistakes = {
        "the absolute value is missing; without it, the signs of several networks would cancel.": mean,
        "this is the sum over the examples; an expectation divides it by their number.": len(chi) * abs(mean),
        "the coordinates of a monomial are multiplied, not added.": abs(
            np.mean(INPUTS[:, subset].sum(axis=1) * PROBABILITIES)
        ),
        "stay on the probability scale: p₀ − p₁ doubles every value.": 2 * abs(mean),
        "this is Pearson's correlation; the probe doesn't divide by standard deviations.": abs(
            np.corrcoef(chi, PROBABILITIES)[0, 1]
        ),
    }
    check(
        "monomial_correlation",
        function,
        [
            Case({"p": PROBABILITIES, "x": INPUTS, "subset": subset}, abs(mean), mistakes),
            Case({"p": PROBABILITIES, "x": INPUTS, "subset": [1]}, abs(np.mean(INPUTS[:, 1] * PROBABILITIES))),
        ],
        hint="χ_A(x) is the product of the chosen columns, (n,); multiply by p, average, take the absolute value.",
        success="this is what pdtutor.monomial_correlations measures.",
    )


def noise_floor(function: Callable) -> None:
    """Check `function(p)`: predictions (n,) → the standard deviation with which a correlation of 0 is estimated."""
    confident = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    spread = np.std(PROBABILITIES)
    mistakes = {
        "this is the spread of the predictions; the mean of n of them varies √n times less.": spread,
        "variances shrink by a factor of n, standard deviations by √n.": spread / len(PROBABILITIES),
        "this is the variance of the mean; take its square root.": spread**2 / len(PROBABILITIES),
        "0.5/√n holds only for predictions of 0 and 1; use the spread of p.": 0.5 / np.sqrt(len(PROBABILITIES)),
    }
    check(
        "noise_floor",
        function,
        [
            Case({"p": PROBABILITIES}, spread / np.sqrt(len(PROBABILITIES)), mistakes),
            Case({"p": confident}, 0.5 / np.sqrt(8)),
        ],
        hint="χ_A(x) is a fair ±1; if it is independent of p, what is the spread of the mean of n terms χ_A(x)·p?",
        success="measurements below about twice this size are indistinguishable from 0.",
        tolerance=0.13,  # np.std with ddof=1 is as good an answer
    )


def transition_step(function: Callable) -> None:
    """Check `function(steps, accuracy, threshold)` → the first step from which accuracy stays ≥ threshold."""
    steps = np.arange(0, 800, 100)
    accuracy = np.array([0.5, 0.49, 0.62, 0.51, 0.7, 0.8, 0.97, 1.0])
    mistakes = {
        "accuracy fell below the threshold again after this step: it was luck, not learning.": 200,
        "this is the position in the array; return the step at that position.": 4,
        "this is the last step below the threshold; return the one after it.": 300,
        "every accuracy ≥ the threshold counts, not only the largest.": 700,
    }
    check(
        "transition_step",
        function,
        [
            Case({"steps": steps, "accuracy": accuracy, "threshold": 0.6}, 400, mistakes),
            Case({"steps": steps, "accuracy": accuracy, "threshold": 0.4}, 0),
            Case({"steps": steps, "accuracy": accuracy, "threshold": 0.97}, 600),
        ],
        hint="find the last evaluation below the threshold and return the step after it; if none is below, the first.",
        success="a plateau's end, robust to lucky evaluations.",
    )


def peak_step(function: Callable) -> None:
    """Check `function(steps, inside, outside)` → the step at which in-support correlations stand out most."""
    steps = np.array([100, 200, 300, 400, 500])
    inside = np.array([0.040, 0.010, 0.038, 0.012, 0.001])
    outside = np.array([0.038, 0.009, 0.004, 0.001, 0.00005])
    mistakes = {
        "here correlations are large inside and outside the support: that is noise. Compare the two.": 100,
        "a ratio becomes huge where the denominator is noise near 0: use the difference.": 500,
        "this is the position in the array; return the step at that position.": 2,
    }
    check(
        "peak_step",
        function,
        [
            Case({"steps": steps, "inside": inside, "outside": outside}, 300, mistakes),
            Case({"steps": steps, "inside": inside[::-1], "outside": outside[::-1]}, 300),
            Case({"steps": steps, "inside": outside + np.array([0, 0, 0, 0.1, 0]), "outside": outside}, 400),
        ],
        hint="np.argmax of inside − outside gives a position; return the step at that position.",
        success="this is C₁, the checkpoint that lesson 3 teaches with.",
    )
