"""Each checker of lesson 3 passes the solution and answers typical mistakes with the hint that fits."""

from math import comb

import numpy as np
import pytest


def softmax(z, axis=-1):
    z = np.exp(z - z.max(axis=axis, keepdims=True))
    return z / z.sum(axis=axis, keepdims=True)


def naive_softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def teacher_probabilities(logits, temperature):
    return softmax((logits - logits.max(axis=-1, keepdims=True)) / temperature)


def distillation_loss(student_logits, teacher_probabilities):
    return -(teacher_probabilities * log_softmax(student_logits)).sum(-1).mean()


def teacher_step(step, every, final):
    return min(every * (1 + step // every), final)


def mixed_target(label, teacher_probabilities, alpha):
    return alpha * np.eye(len(teacher_probabilities))[label] + (1 - alpha) * teacher_probabilities


def mixed_in_place(label, teacher_probabilities, alpha):
    teacher_probabilities *= 1 - alpha
    teacher_probabilities[label] += alpha
    return teacher_probabilities


def cold_loss(student_logits, teacher_logits, temperature):
    return distillation_loss(student_logits, teacher_probabilities(teacher_logits, temperature))


def sign_test(a, b):
    wins, losses = int((a < b).sum()), int((b < a).sum())
    tail = sum(comb(wins + losses, i) for i in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / 2 ** (wins + losses))


def one_sided(a, b):
    n, m = int((a != b).sum()), int((b < a).sum())
    return sum(comb(n, i) for i in range(m + 1)) / 2**n


def exactly(a, b):
    n, m = int((a != b).sum()), int(min((a < b).sum(), (b < a).sum()))
    return 2 * comb(n, m) / 2**n


def ties_are_losses(a, b):
    m = int(min((a < b).sum(), (b <= a).sum()))
    return min(1.0, 2 * sum(comb(len(a), i) for i in range(m + 1)) / 2 ** len(a))


def kl(p, q):
    return (p * np.log(p / q)).sum(-1)


def rows_mixed(z, largest, t):
    powers = np.exp((z - largest) / t)
    return powers / powers.sum(-1, keepdims=True)


def square_only(function):
    """The mistake where it doesn't stop with an error, which is where there are as many examples as classes."""
    return lambda z, t: function(z, t) if len(z) == z.shape[1] else teacher_probabilities(z, t)


SOLUTIONS = [teacher_probabilities, distillation_loss, teacher_step, mixed_target, cold_loss, sign_test]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # mistakes overflow
@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("teacher_probabilities", lambda z, t: softmax(z * t), "divide the logits by τ"),
        ("teacher_probabilities", lambda z, t: softmax(z), "the temperature is missing"),
        ("teacher_probabilities", lambda z, t: softmax(z / t, axis=0), "each row must sum to 1"),
        ("teacher_probabilities", lambda z, t: log_softmax(z / t), "exponentiate"),
        ("teacher_probabilities", lambda z, t: naive_softmax(z / t), "Subtract each row's largest logit"),
        ("teacher_probabilities", lambda z, t: softmax(z / t) / t, "need no other factor"),
        ("teacher_probabilities", lambda z, t: softmax(z) / t, "need no other factor"),
        ("teacher_probabilities", lambda z, t: softmax(z) ** (1 / t), "need no other factor"),
        ("teacher_probabilities", lambda z, t: softmax(z / t**2), "not by its square"),
        ("teacher_probabilities", lambda z, t: np.exp(z / t) / np.exp(z / t).sum(), "here all rows together"),
        ("teacher_probabilities", lambda z, t: np.exp((z - z.max()) / t), "divide by the sum of each row"),
        ("teacher_probabilities", lambda z, t: softmax(-z / t), "a sign is turned"),
        ("teacher_probabilities", lambda z, t: z / t / (z / t).sum(-1, keepdims=True), "not the logits by theirs"),
        ("teacher_probabilities", lambda z, t: 1 / (1 + np.exp(-z / t)), "this is a sigmoid"),
        ("teacher_probabilities", lambda z, t: softmax(z / t).max(-1), "not only the largest"),
        ("teacher_probabilities", lambda z, t: np.eye(z.shape[1])[z.argmax(-1)], "this is the teacher's argmax"),
        ("teacher_probabilities", lambda z, t: z / t, "probabilities are their softmax"),
        ("teacher_probabilities", lambda z, t: softmax(z / max(t, 1e-6)), "without a smallest value"),
        ("teacher_probabilities", lambda z, t: softmax(z / (t + 1e-12)), "with nothing added to it"),
        (
            "teacher_probabilities",
            lambda z, t: np.exp(z / t) / np.exp(z / t).sum(1),
            "shapes are lined up from the last",
        ),
        ("teacher_probabilities", lambda z, t: np.exp((z - z.max(1)) / t), "keepdims=True keeps an axis"),
        ("teacher_probabilities", lambda z, t: rows_mixed(z, z.max(0), t), "not each column's: keepdims=True"),
        ("teacher_probabilities", square_only(lambda z, t: rows_mixed(z, z.max(1), t)), "or the rows mix"),
        ("teacher_probabilities", square_only(lambda z, t: np.exp(z / t) / np.exp(z / t).sum(1)), "or the rows mix"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(z)).sum(), "average it"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(z)).mean(), "not over the classes too"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(z)).sum(-1), "return one number"),
        ("distillation_loss", lambda z, p: -(softmax(z) * np.log(p)).sum(-1).mean(), "swapped"),
        ("distillation_loss", lambda z, p: (p * log_softmax(z)).sum(-1).mean(), "minus sign is missing"),
        ("distillation_loss", lambda z, p: -log_softmax(z)[np.arange(2), p.argmax(-1)].mean(), "argmax"),
        ("distillation_loss", lambda z, p: -(p * np.log(naive_softmax(z))).sum(-1).mean(), "log Σ"),
        ("distillation_loss", lambda z, p: kl(p, softmax(z)).mean(), "this is KL(p_T ‖ p_S), from which"),
        ("distillation_loss", lambda z, p: kl(p, softmax(z)).sum(), "this is KL(p_T ‖ p_S), from which"),
        ("distillation_loss", lambda z, p: kl(p, softmax(z)), "this is KL(p_T ‖ p_S), from which"),
        ("distillation_loss", lambda z, p: (p * np.log(p / softmax(z))).mean(), "averaged over the classes too"),
        ("distillation_loss", lambda z, p: -kl(p, softmax(z)).mean(), "minus a KL divergence"),
        ("distillation_loss", lambda z, p: kl(softmax(z), p).mean(), "reverse KL(p_S ‖ p_T)"),
        ("distillation_loss", lambda z, p: -(p * np.log(p)).sum(-1).mean(), "the teacher's entropy: the logs"),
        ("distillation_loss", lambda z, p: -(p * z).sum(-1).mean(), "have not been normalised"),
        ("distillation_loss", lambda z, p: -(p * softmax(z)).sum(-1).mean(), "the logs are missing"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(softmax(z))).sum(-1).mean(), "softmax is taken twice"),
        ("distillation_loss", lambda z, p: -(softmax(p) * log_softmax(z)).sum(-1).mean(), "no softmax of them"),
        ("distillation_loss", lambda z, p: -(p * np.log(softmax(z, 0))).sum(-1).mean(), "not over the batch"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(z)).sum(0).mean(), "yours are exchanged"),
        ("distillation_loss", lambda z, p: ((p - softmax(z)) ** 2).mean(), "a squared error"),
        ("distillation_loss", lambda z, p: abs(p - softmax(z)).sum(-1).mean() / 2, "a total variation"),
        ("distillation_loss", lambda z, p: -(p * np.log(softmax(z) + 1e-9)).sum(-1).mean(), "log p_S from the logits"),
        ("distillation_loss", lambda z, p: -(p * np.log2(softmax(z))).sum(-1).mean(), "the natural logarithm"),
        (
            "distillation_loss",
            lambda z, p: -(p * (z - np.log(np.exp(z).sum()))).sum(-1).mean(),
            "over the classes alone",
        ),
        ("distillation_loss", lambda z, p: z - np.log(np.exp(z).sum(-1)), "shapes are lined up from the last axis"),
        ("teacher_step", lambda s, e, f: f, "this is the final checkpoint"),
        ("teacher_step", lambda s, e, f: max(e * (1 + s // e), f), "the smaller of it and"),
        ("teacher_step", lambda s, e, f: min(e * (1 + s % e), f), "not s % R"),
        ("teacher_step", lambda s, e, f: min(e * (2 + s // e), f), "not two"),
        ("teacher_step", lambda s, e, f: min(1 + s // e, f), "this counts intervals"),
        ("teacher_step", lambda s, e, f: min(e * (s // e) + 1, f), "before you multiply by R"),
        ("teacher_step", lambda s, e, f: min(s, f), "once per interval"),
        ("teacher_step", lambda s, e, f: e, "its third"),
        ("teacher_step", lambda s, e, f: e * (1 + s // e) % f, "that one stays"),
        ("teacher_step", lambda s, e, f: min(e * (s // e), f), "one interval ahead"),
        ("teacher_step", lambda s, e, f: min(s + e, f), "once per interval"),
        ("teacher_step", lambda s, e, f: min(e * (1 + s / e), f), "once per interval"),
        ("teacher_step", lambda s, e, f: min(e * -(-s // e), f) if s else 0, "never teaches"),
        ("teacher_step", lambda s, e, f: min(max(e, e * -(-s // e)), f), "a new interval starts"),
        ("teacher_step", lambda s, e, f: e * (1 + s // e), "that one stays"),
        ("mixed_target", lambda y, p, a: (1 - a) * np.eye(3)[y] + a * p, "yours are swapped"),
        ("mixed_target", lambda y, p, a: p + a * np.eye(3)[y], "must sum to 1"),
        ("mixed_target", lambda y, p, a: a * y + (1 - a) * p, "one-hot"),
        ("mixed_target", lambda y, p, a: np.eye(3)[y] + (1 - a) * p, "the label's part needs the factor α, since"),
        ("mixed_target", lambda y, p, a: (np.eye(3)[y] + p) / 2, "the teacher's 1 − α"),
        ("mixed_target", lambda y, p, a: a * np.eye(3) + (1 - a) * p, "np.eye(classes)[label]"),
        ("mixed_target", lambda y, p, a: a * np.eye(3)[y - 1] + (1 - a) * p, "numbered from 0"),
        ("mixed_target", lambda y, p, a: a * np.eye(3)[y] + (1 - a) * np.eye(3)[p.argmax()], "not its argmax"),
        ("mixed_target", lambda y, p, a: a * np.eye(3)[y], "the label's part alone"),
        ("mixed_target", lambda y, p, a: (1 - a) * p, "the teacher's part alone"),
        ("mixed_target", lambda y, p, a: a * p[y] + (1 - a) * p, "not the teacher's probability of it"),
        ("mixed_target", lambda y, p, a: np.where(np.arange(3) == y, a, (1 - a) * p), "don't put it in its place"),
        ("mixed_target", lambda y, p, a: softmax(mixed_target(y, p, a)), "needs no softmax"),
        ("mixed_target", lambda y, p, a: -a * np.log(p[y]), "not a loss"),
        ("mixed_target", lambda y, p, a: mixed_target([y], p, a), "a row of a matrix"),
        ("mixed_target", mixed_in_place, "changed teacher_probabilities"),
        ("cold_loss", lambda s, z, t: cold_loss(s / t, z, t), "whose logits does τ divide"),
        ("cold_loss", lambda s, z, t: cold_loss(s / t, z, 1), "whose logits does τ divide"),
        ("cold_loss", lambda s, z, t: cold_loss(s, z, 1), "nobody's logits"),
        ("cold_loss", lambda s, z, t: t**2 * cold_loss(s, z, t), "no factor τ²"),
        ("cold_loss", lambda s, z, t: cold_loss(s, z, t) / 3, "not over the classes too"),
        ("cold_loss", lambda s, z, t: -(teacher_probabilities(z, t) * log_softmax(s)).sum(-1), "one number"),
        ("cold_loss", lambda s, z, t: cold_loss(z / t, s, 1), "swapped"),
        ("cold_loss", lambda s, z, t: 0.0, "term by term"),
        ("sign_test", one_sided, "one-sided"),
        ("sign_test", exactly, "at least as extreme, not only"),
        ("sign_test", lambda a, b: (a < b).mean(), "not a p-value"),
        ("sign_test", lambda a, b: (a < b).sum(), "the number of pairs"),
        ("sign_test", ties_are_losses, "a tie says nothing"),
        ("sign_test", lambda a, b: 14 / 64 if len(a) == 6 else one_sided(a, b) * 2, "at most 1"),
    ],
)
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)
