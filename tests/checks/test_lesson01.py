"""Each checker passes the solution, greets the stub, and answers typical mistakes with the hint that fits."""

from math import ceil

import numpy as np
import pytest

from pdtutor import checks
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


SOLUTIONS = {
    checks.parity_label: parity_label,
    checks.coefficient: coefficient,
    checks.descent_direction: descent_direction,
    checks.samples_to_resolve: samples_to_resolve,
    checks.degree_one_share: degree_one_share,
}
EXERCISES = pytest.mark.parametrize("checker", SOLUTIONS, ids=lambda checker: checker.__name__)


def said(capsys, checker, function):
    assert checker(function) is None
    return capsys.readouterr().out


@EXERCISES
def test_the_solution_passes(capsys, checker):
    assert said(capsys, checker, SOLUTIONS[checker]).startswith(f"✓ {checker.__name__}")


def raises_not_implemented(*_):
    raise NotImplementedError


@EXERCISES
@pytest.mark.parametrize("stub", [lambda *_: None, lambda *_: ..., raises_not_implemented, None, ...])
def test_a_stub_is_not_solved_yet(capsys, checker, stub):
    assert "not solved yet" in said(capsys, checker, stub)


@EXERCISES
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda *_: 1 / 0, "ZeroDivisionError"),
        (lambda *_: [][1], "IndexError"),
        (lambda *_: exit("bye"), "SystemExit: bye"),
        (lambda: 1, "TypeError"),
        (lambda *_: "four", "not a number"),
        (lambda *_: object(), "got an object, which is not a number"),
        (lambda *_: np.ones((7, 7)), "got shape (7, 7)"),
        (lambda *args: np.nan * SOLUTIONS[checks.samples_to_resolve](1, 1) + np.zeros(np.shape(args[0])), "got"),
        (3.5, "expected a function, got 3.5"),
    ],
)
def test_whatever_happens_is_reported_not_raised(capsys, checker, broken, message):
    output = said(capsys, checker, broken)
    assert output.startswith("✗")
    assert message in output


@pytest.mark.parametrize(
    ("checker", "mistake", "hint"),
    [
        (checks.parity_label, lambda x, support: x[:, support].sum(axis=1), "multiplies"),
        (checks.parity_label, lambda x, support: x.prod(axis=1), "all d of them"),
        (checks.parity_label, lambda x, support: x[:, support].prod(axis=0), "along axis 1"),
        (checks.parity_label, lambda x, support: (x[:, support] < 0).sum(axis=1) % 2, "labels must be ±1"),
        (checks.parity_label, lambda x, support: -x[:, support].prod(axis=1), "sign is flipped"),
        (checks.coefficient, lambda f, x, s: np.sum(f * x[:, s].prod(axis=1)), "divides it by their number"),
        (checks.coefficient, lambda f, x, s: f * x[:, s].prod(axis=1), "average them"),
        (checks.coefficient, lambda f, x, s: np.mean(f), "the parity of the subset is missing"),
        (checks.coefficient, lambda f, x, s: np.mean(x[:, s].prod(axis=1)), "f itself is missing"),
        (checks.coefficient, lambda f, x, s: abs(coefficient(f, x, s)), "no absolute value"),
        (checks.coefficient, lambda f, x, s: coefficient(f, x, s) if s else 0.0, "the mean of f"),
        (checks.descent_direction, lambda *args: -descent_direction(*args), "descent moves against it"),
        (checks.descent_direction, lambda w, s, a, b: descent_direction(w, s, b, a), "swapped"),
        (
            checks.descent_direction,
            lambda w, s, a, b: w[s].prod() * np.where(np.isin(np.arange(len(w)), s), a, b * w),
            "You kept all of S",
        ),
        (
            checks.descent_direction,
            lambda w, s, a, b: w[s].prod() * np.where(np.isin(np.arange(len(w)), s), a * w, b),
            "one more factor",
        ),
        (checks.descent_direction, lambda w, s, a, b: descent_direction(w, s, a, 0), "they are not 0"),
        (
            checks.descent_direction,
            lambda w, s, a, b: np.where(np.isin(np.arange(len(w)), s), a, b),
            "product of the signs",
        ),
        (checks.samples_to_resolve, lambda signal, sigmas: ceil(0.5 * sigmas**2 / signal), "1/signal²"),
        (checks.samples_to_resolve, lambda signal, sigmas: ceil((sigmas / signal) ** 2), "the variance is ½"),
        (checks.samples_to_resolve, lambda signal, sigmas: ceil(0.5 * sigmas / signal**2), "square the number"),
        (checks.samples_to_resolve, lambda signal, sigmas: 0.5 * (sigmas / signal) ** 2, "is whole"),
        (checks.samples_to_resolve, lambda signal, sigmas: int(0.5 * (sigmas / signal) ** 2), "not down"),
        (
            checks.degree_one_share,
            lambda f, x: np.sum((f @ x / len(x)) ** 2) / np.mean(f**2),
            "also counts the constant",
        ),
        (checks.degree_one_share, lambda f, x: np.sum(f @ x / len(x)) / np.var(f), "before you add"),
        (checks.degree_one_share, lambda f, x: np.abs(f @ x / len(x)).sum() / np.var(f), "absolute values"),
        (checks.degree_one_share, lambda f, x: np.sum((f @ x / len(x)) ** 2), "divide it by the variance"),
        (checks.degree_one_share, lambda f, x: np.sum((f @ x / len(x)) ** 2) / np.std(f), "standard deviation"),
        (checks.degree_one_share, lambda f, x: (f @ x / len(x)) ** 2 / np.var(f), "add them up"),
    ],
)
def test_a_typical_mistake_gets_the_hint_that_fits(capsys, checker, mistake, hint):
    output = said(capsys, checker, mistake)
    assert output.startswith(f"✗ {checker.__name__}")
    assert "given:" in output
    assert "expected:" in output
    assert hint in output.split("hint:")[1]


def test_an_unforeseen_answer_gets_the_general_hint(capsys):
    assert "hint:     solve sigmas" in said(capsys, checks.samples_to_resolve, lambda signal, sigmas: 7)


def test_a_failure_reads_the_same_everywhere(capsys):
    output = said(capsys, checks.samples_to_resolve, lambda signal, sigmas: 18)
    assert output == (
        "✗ samples_to_resolve: got 18\n"
        "  given:    signal = 0.25, sigmas = 3\n"
        "  expected: 72\n"
        "  hint:     the error falls as 1/√n, so n grows as 1/signal²: square it.\n"
    )


def test_the_function_cannot_spoil_the_cases(capsys):
    def spoils(x, support):
        labels = parity_label(x, support)
        x[:] = 0
        support.clear()
        return labels

    assert said(capsys, checks.parity_label, spoils).startswith("✓")


def test_answers_agree_within_the_tolerance_only(capsys):
    case = Case({"n": 1}, 100.0)
    check("near", lambda n: 100.00001, [case], hint="-", success="-")
    check("far", lambda n: 100.01, [case], hint="-", success="-")
    near, far = capsys.readouterr().out.splitlines()[:2]
    assert near.startswith("✓")
    assert far.startswith("✗")
