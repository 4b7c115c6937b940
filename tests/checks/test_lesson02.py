"""Each checker of lesson 2 passes the solution and answers typical mistakes with the hint that fits."""

import numpy as np
import pytest


def monomial_correlation(p, x, subset):
    return abs(np.mean(p * np.prod(x[:, subset], axis=1)))


def noise_floor(p):
    return np.std(p) / np.sqrt(len(p))


def transition_step(steps, accuracy, threshold):
    below = np.flatnonzero(accuracy < threshold)
    return steps[0] if len(below) == 0 else steps[below[-1] + 1]


def peak_step(steps, inside, outside):
    return steps[np.argmax(inside - outside)]


SOLUTIONS = [monomial_correlation, noise_floor, transition_step, peak_step]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


def test_an_unbiased_standard_deviation_is_as_good(passes):
    passes(lambda p: np.std(p, ddof=1) / len(p) ** 0.5, name="noise_floor")


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("monomial_correlation", lambda p, x, a: np.mean(p * x[:, a].prod(1)), "the absolute value is missing"),
        ("monomial_correlation", lambda p, x, a: abs(np.sum(p * x[:, a].prod(1))), "divides it by their number"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean(p * x[:, a].sum(1))), "multiplied, not added"),
        ("monomial_correlation", lambda p, x, a: abs(np.mean((2 * p - 1) * x[:, a].prod(1))), "hint:"),
        ("monomial_correlation", lambda p, x, a: 2 * abs(np.mean(p * x[:, a].prod(1))), "probability scale"),
        ("monomial_correlation", lambda p, x, a: abs(np.corrcoef(x[:, a].prod(1), p)[0, 1]), "standard deviations"),
        ("noise_floor", lambda p: np.std(p), "√n times less"),
        ("noise_floor", lambda p: np.std(p) / len(p), "standard deviations by √n"),
        ("noise_floor", lambda p: np.var(p) / len(p), "take its square root"),
        ("noise_floor", lambda p: 0.5 / len(p) ** 0.5, "only for predictions of 0 and 1"),
        ("transition_step", lambda s, a, t: s[np.argmax(a >= t)], "it was luck, not learning"),
        ("transition_step", lambda s, a, t: np.flatnonzero(a < t)[-1] + 1, "position in the array"),
        ("transition_step", lambda s, a, t: s[np.flatnonzero(a < t)[-1]], "return the one after it"),
        ("transition_step", lambda s, a, t: s[np.argmax(a)], "not only the largest"),
        ("peak_step", lambda s, i, o: s[np.argmax(i)], "that is noise"),
        ("peak_step", lambda s, i, o: s[np.argmax(i / o)], "use the difference"),
        ("peak_step", lambda s, i, o: np.argmax(i - o), "position in the array"),
    ],
)
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)
