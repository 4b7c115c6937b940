"""Each checker of lesson 2 passes the solution and answers typical mistakes with the hint that fits."""

import numpy as np
import pytest


def correlation(p, chi):
    return np.mean((p - p.mean()) * chi)


def monomial_correlation(p, x, subset):
    return abs(correlation(p, np.prod(x[:, subset], axis=1)))


def noise_floor(p):
    return np.std(p) / np.sqrt(len(p))


def transition_step(steps, accuracy, threshold):
    below = np.flatnonzero(accuracy < threshold)
    return steps[0] if len(below) == 0 else steps[below[-1] + 1]


def peak_step(steps, inside, outside):
    return steps[np.argmax(inside - outside)]


def levels(table, inside):
    return abs(table[:, inside]).mean(axis=1) - abs(table[:, ~inside]).mean(axis=1)


def signed(table, inside):
    return abs(table[:, inside].mean(axis=1)) - abs(table[:, ~inside].mean(axis=1))


def spike_height(chosen, fresh, inside):
    return levels(fresh, inside)[levels(chosen, inside).argmax()]


SOLUTIONS = [monomial_correlation, noise_floor, transition_step, peak_step, spike_height]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


def test_an_unbiased_standard_deviation_is_as_good(passes):
    passes(lambda p: np.std(p, ddof=1) / len(p) ** 0.5, name="noise_floor")


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("monomial_correlation", lambda p, x, a: correlation(p, x[:, a].prod(1)), "the absolute value is missing"),
        ("monomial_correlation", lambda p, x, a: len(p) * monomial_correlation(p, x, a), "divides it by their number"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean(p * x[:, a].prod(1))), "take p's mean off first: χ_A"),
        ("monomial_correlation", lambda p, x, a: np.mean(p * x[:, a].prod(1)), "first, and the absolute value last"),
        ("monomial_correlation", lambda p, x, a: abs(np.sum(p * x[:, a].prod(1))), "mean off first, and"),
        ("monomial_correlation", lambda p, x, a: abs(correlation(p, x[:, a].sum(1))), "multiplied, not added"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean(p * x[:, a].sum(1))), "multiplied, not added"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean((2 * p - 1) * x[:, a].prod(1))), "probability scale"),
        ("monomial_correlation", lambda p, x, a: 2 * monomial_correlation(p, x, a), "probability scale"),
        ("monomial_correlation", lambda p, x, a: abs(np.corrcoef(x[:, a].prod(1), p)[0, 1]), "standard deviations"),
        ("monomial_correlation", lambda p, x, a: np.mean(abs((p - p.mean()) * x[:, a].prod(1))), "that of the mean"),
        ("monomial_correlation", lambda p, x, a: abs(correlation(p, x.prod(1))), "only the coordinates in subset"),
        ("monomial_correlation", lambda p, x, a: abs(correlation(p, x[:, a[0]])), "not only the first"),
        ("monomial_correlation", lambda p, x, a: abs(correlation(p, x[:, a].prod())), "prod(axis=1)"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean(p * x[:, a].prod())), "prod(axis=1)"),
        ("monomial_correlation", lambda p, x, a: abs((p - p.mean()) * x[:, a].prod(1)), "average over them"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean((p > 0.5) * x[:, a].prod(1))), "without rounding"),
        ("monomial_correlation", lambda p, x, a: abs(correlation(p > 0.5, x[:, a].prod(1))), "without rounding"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean(p * x[:, a])), "product of the chosen columns"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean(p * x[a].prod(1))), "shapes are lined up from the last"),
        ("noise_floor", lambda p: np.std(p), "√n times less"),
        ("noise_floor", lambda p: np.std(p, ddof=1), "√n times less"),
        ("noise_floor", lambda p: np.std(p) / len(p), "standard deviations by √n"),
        ("noise_floor", lambda p: np.var(p) / len(p), "take its square root"),
        ("noise_floor", lambda p: np.var(p) / len(p) ** 0.5, "take the standard deviation of p"),
        ("noise_floor", lambda p: np.std(p) * len(p) ** 0.5, "divide by √n."),
        ("noise_floor", lambda p: np.sqrt(np.mean(p**2) / len(p)), "Exercise 1 takes p's mean off"),
        ("noise_floor", lambda p: 0.5 / len(p) ** 0.5, "0.5/√n holds only"),
        ("noise_floor", lambda p: np.sqrt(p.mean() * (1 - p.mean()) / len(p)), "(1 − p̄)/n) holds only"),
        ("noise_floor", lambda p: np.mean(p) / len(p) ** 0.5, "the mean of p for its spread"),
        ("noise_floor", lambda p: 1 / len(p) ** 0.5, "of χ_A alone"),
        ("noise_floor", lambda p: np.mean(abs(p - p.mean())) / len(p) ** 0.5, "mean absolute deviation"),
        ("noise_floor", lambda p: 2 * np.std(p) / len(p) ** 0.5, "two standard deviations"),
        ("transition_step", lambda s, a, t: s[np.argmax(a >= t)], "it was luck, not learning"),
        ("transition_step", lambda s, a, t: np.flatnonzero(a < t)[-1] + 1, "position in the array"),
        ("transition_step", lambda s, a, t: s[np.flatnonzero(a < t)[-1]], "return the one after it"),
        ("transition_step", lambda s, a, t: s[np.argmax(a)], "not only the largest"),
        ("transition_step", lambda s, a, t: s[np.argmax((a[1:] >= t) & (a[:-1] >= t))], "several in a row may be luck"),
        ("transition_step", lambda s, a, t: transition_step(s, a, t + 1e-9), "counts: ≥, not >"),
        ("transition_step", lambda s, a, t: a[a >= t][0], "this is an accuracy"),
        ("transition_step", lambda s, a, t: s[a >= t], "return one step"),
        ("peak_step", lambda s, i, o: s[np.argmax(i)], "that is noise"),
        ("peak_step", lambda s, i, o: s[np.argmax(abs(i - o))], "without its absolute value"),
        ("peak_step", lambda s, i, o: s[np.argmax(o - i)], "they are larger outside"),
        ("peak_step", lambda s, i, o: s[np.argmax(i / (o + 1e-3))], "use the difference"),
        ("peak_step", lambda s, i, o: s[np.argmax((i - o) / (i + o))], "use the difference"),
        ("peak_step", lambda s, i, o: (i - o).max(), "return the step where"),
        ("peak_step", lambda s, i, o: np.argmax(i / o), "position in the array"),
        ("peak_step", lambda s, i, o: s[np.argmax(i / o)], "use the difference"),
        ("peak_step", lambda s, i, o: np.argmax(i - o), "position in the array"),
        ("spike_height", lambda c, f, i: signed(c, i).max(), "two mistakes are left"),
        ("spike_height", lambda c, f, i: signed(f, i)[signed(c, i).argmax()], "absolute values before the mean"),
        ("spike_height", lambda c, f, i: levels(f, i)[signed(c, i).argmax()], "absolute values before the mean"),
        ("spike_height", lambda c, f, i: levels(c, i).max(), "the checkpoint is right"),
        ("spike_height", lambda c, f, i: levels(f, i).max(), "has again chosen itself"),
        ("spike_height", lambda c, f, i: levels(c, i).argmax(), "not the checkpoint's position"),
        ("spike_height", lambda c, f, i: abs(f[levels(c, i).argmax(), i]).mean(), "subtract what coordinates outside"),
    ],
)
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)
