"""Each checker of lesson 3 passes the solution and answers typical mistakes with the hint that fits."""

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


SOLUTIONS = [teacher_probabilities, distillation_loss, teacher_step, mixed_target]


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
        ("teacher_probabilities", lambda z, t: naive_softmax(z / t), "subtract the largest logit"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(z)).sum(), "average it"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(z)).mean(), "not over the classes too"),
        ("distillation_loss", lambda z, p: -(p * log_softmax(z)).sum(-1), "return one number"),
        ("distillation_loss", lambda z, p: -(softmax(z) * np.log(p)).sum(-1).mean(), "swapped"),
        ("distillation_loss", lambda z, p: (p * log_softmax(z)).sum(-1).mean(), "minus sign is missing"),
        ("distillation_loss", lambda z, p: -log_softmax(z)[np.arange(2), p.argmax(-1)].mean(), "argmax"),
        ("distillation_loss", lambda z, p: -(p * np.log(naive_softmax(z))).sum(-1).mean(), "log Σ"),
        ("teacher_step", lambda s, e, f: min(e * (s // e), f), "one interval ahead"),
        ("teacher_step", lambda s, e, f: min(s + e, f), "once per interval"),
        ("teacher_step", lambda s, e, f: min(e * (1 + s / e), f), "once per interval"),
        ("teacher_step", lambda s, e, f: min(e * -(-s // e), f) if s else 0, "never teaches"),
        ("teacher_step", lambda s, e, f: min(max(e, e * -(-s // e)), f), "a new interval starts"),
        ("teacher_step", lambda s, e, f: e * (1 + s // e), "that one stays"),
        ("mixed_target", lambda y, p, a: (1 - a) * np.eye(3)[y] + a * p, "yours are swapped"),
        ("mixed_target", lambda y, p, a: p + a * np.eye(3)[y], "must sum to 1"),
        ("mixed_target", lambda y, p, a: a * y + (1 - a) * p, "one-hot"),
    ],
)
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)
