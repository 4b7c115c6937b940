"""Each checker of lesson 1 passes the solution and answers typical mistakes with the hint that fits."""

from math import ceil

import numpy as np
import pytest

from pdtutor.checks.core import Case, check


def parity_label(x, support):
    return x[:, support].prod(axis=1)


def coefficient(f, x, subset):
    return np.mean(f * parity_label(x, subset))


def descent_direction(signs, support, xi_inside, xi_outside):
    inside = np.isin(np.arange(len(signs)), support)
    return signs[support].prod() * signs * np.where(inside, xi_inside, xi_outside)


def samples_to_resolve(signal, sigmas):
    return ceil(0.5 * (sigmas / signal) ** 2)


def degree_one_share(f, x):
    return np.sum((f @ x / len(x)) ** 2) / np.var(f)


def first_layer_step(x, target, weights, biases, readout):
    on = x @ weights.T + biases >= 0
    return np.sign(readout)[:, None] * (on.T @ (x * target[:, None])) / len(x)


def will_separate(coefficients, support):
    sizes = np.abs(coefficients)
    return sizes[support].min() > np.delete(sizes, support).max()


SOLUTIONS = [
    parity_label,
    coefficient,
    descent_direction,
    samples_to_resolve,
    degree_one_share,
    first_layer_step,
    will_separate,
]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


@pytest.mark.parametrize("solution", SOLUTIONS)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda *_: "four", "not a number"),
        (lambda *_: object(), "got an object, which is not a number"),
        (lambda *_: np.ones((7, 7)), "got shape (7, 7)"),
        (lambda *given: np.full(np.shape(given[0]), np.nan), "got"),
    ],
)
def test_an_answer_of_another_kind_is_reported(refused, solution, wrong, message):
    assert message in refused(wrong, name=solution.__name__)


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("parity_label", lambda x, support: x[:, support].sum(axis=1), "multiplies"),
        ("parity_label", lambda x, support: x.prod(axis=1), "all d of them"),
        ("parity_label", lambda x, support: x[:, support].prod(axis=0), "along axis 1"),
        ("parity_label", lambda x, support: (x[:, support] < 0).sum(axis=1) % 2, "labels must be ±1"),
        ("parity_label", lambda x, support: -x[:, support].prod(axis=1), "sign is flipped"),
        ("coefficient", lambda f, x, s: np.sum(f * x[:, s].prod(axis=1)), "divides it by their number"),
        ("coefficient", lambda f, x, s: f * x[:, s].prod(axis=1), "average them"),
        ("coefficient", lambda f, x, s: np.mean(f), "the parity of the subset is missing"),
        ("coefficient", lambda f, x, s: np.mean(x[:, s].prod(axis=1)), "f itself is missing"),
        ("coefficient", lambda f, x, s: abs(coefficient(f, x, s)), "no absolute value"),
        ("coefficient", lambda f, x, s: coefficient(f, x, s) if s else 0.0, "the mean of f"),
        ("descent_direction", lambda *args: -descent_direction(*args), "descent moves against it"),
        ("descent_direction", lambda w, s, a, b: descent_direction(w, s, b, a), "swapped"),
        (
            "descent_direction",
            lambda w, s, a, b: w[s].prod() * np.where(np.isin(np.arange(len(w)), s), a, b * w),
            "You kept all of S",
        ),
        (
            "descent_direction",
            lambda w, s, a, b: w[s].prod() * np.where(np.isin(np.arange(len(w)), s), a * w, b),
            "one more factor",
        ),
        ("descent_direction", lambda w, s, a, b: descent_direction(w, s, a, 0), "they are not 0"),
        (
            "descent_direction",
            lambda w, s, a, b: np.where(np.isin(np.arange(len(w)), s), a, b),
            "product of the signs",
        ),
        ("samples_to_resolve", lambda signal, sigmas: ceil(0.5 * sigmas**2 / signal), "1/signal²"),
        ("samples_to_resolve", lambda signal, sigmas: ceil((sigmas / signal) ** 2), "the variance is ½"),
        ("samples_to_resolve", lambda signal, sigmas: ceil(0.5 * sigmas / signal**2), "square the number"),
        ("samples_to_resolve", lambda signal, sigmas: 0.5 * (sigmas / signal) ** 2, "is whole"),
        ("samples_to_resolve", lambda signal, sigmas: int(0.5 * (sigmas / signal) ** 2), "not down"),
        (
            "degree_one_share",
            lambda f, x: np.sum((f @ x / len(x)) ** 2) / np.mean(f**2),
            "also counts the constant",
        ),
        ("degree_one_share", lambda f, x: np.sum(f @ x / len(x)) / np.var(f), "before you add"),
        ("degree_one_share", lambda f, x: np.abs(f @ x / len(x)).sum() / np.var(f), "absolute values"),
        ("degree_one_share", lambda f, x: np.sum((f @ x / len(x)) ** 2), "divide it by the variance"),
        ("degree_one_share", lambda f, x: np.sum((f @ x / len(x)) ** 2) / np.std(f), "standard deviation"),
        ("degree_one_share", lambda f, x: (f @ x / len(x)) ** 2 / np.var(f), "add them up"),
        ("first_layer_step", lambda x, t, w, b, a: first_layer_step(x, t, w, b, np.abs(a)), "the readout is missing"),
        ("first_layer_step", lambda *given: -first_layer_step(*given), "descent moves against it"),
        ("first_layer_step", lambda *given: first_layer_step(*given) * len(given[0]), "by their number"),
        (
            "first_layer_step",
            lambda x, t, w, b, a: np.sign(a)[:, None] * (np.maximum(x @ w.T + b, 0).T @ (x * t[:, None])) / len(x),
            "not by its value",
        ),
        (
            "first_layer_step",
            lambda x, t, w, b, a: (np.maximum(x @ w.T + b, 0).T @ (x * t[:, None])) / len(x),
            "and by the sign of the readout",
        ),
        (
            "first_layer_step",
            lambda x, t, w, b, a: np.abs(a)[:, None] * first_layer_step(x, t, w, b, a),
            "into the learning rate",
        ),
        ("first_layer_step", lambda x, t, w, b, a: first_layer_step(x, t**0, w, b, a), "the target is missing"),
        ("will_separate", lambda c, s: c[s].min() > np.delete(c, s).max(), "have signs"),
        ("will_separate", lambda c, s: np.abs(c[s]).mean() > np.abs(np.delete(c, s)).max(), "hides the weakest"),
        ("will_separate", lambda c, s: bool(np.argmax(np.abs(c)) in s and abs(c[s[-1]]) != 0.15), "one coordinate"),
    ],
)
def test_a_typical_mistake_gets_the_hint_that_fits(refused, name, mistake, hint):
    output = refused(mistake, name=name)
    assert "given:" in output
    assert "expected:" in output
    assert hint in output.split("hint:")[1]


def test_an_unforeseen_answer_gets_the_general_hint(said):
    assert "hint:     solve sigmas" in said(lambda signal, sigmas: 7, name="samples_to_resolve")


def test_a_failure_reads_the_same_everywhere(said):
    assert said(lambda signal, sigmas: 18, name="samples_to_resolve") == (
        "✗ samples_to_resolve: got 18\n"
        "  given:    signal = 0.25, sigmas = 3\n"
        "  expected: 72\n"
        "  hint:     the error falls as 1/√n, so n grows as 1/signal²: square it.\n"
    )


def test_a_function_that_stops_is_answered_with_what_it_was_given(refused):
    assert refused(lambda signal, sigmas: exit("bye"), name="samples_to_resolve").splitlines()[:3] == [
        "✗ samples_to_resolve: your function stopped with SystemExit: bye",
        "  given:    signal = 0.25, sigmas = 3",
        "  expected: 72",
    ]


def test_the_function_cannot_spoil_the_cases(passes):
    def spoils(x, support):
        labels = parity_label(x, support)
        x[:] = 0
        support.clear()
        return labels

    passes(spoils, name="parity_label")


def test_answers_agree_within_the_tolerance_only(capsys):
    case = Case({"n": 1}, 100.0)
    check("near", lambda n: 100.00001, [case], hint="-", success="-")
    check("far", lambda n: 100.01, [case], hint="-", success="-")
    near, far = capsys.readouterr().out.splitlines()[:2]
    assert near.startswith("✓")
    assert far.startswith("✗")
