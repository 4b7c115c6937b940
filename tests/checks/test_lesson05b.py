"""Each checker of lesson 5b passes the solution and answers typical mistakes with the hint that fits."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pdtutor.distillation.losses import distillation_loss
from pdtutor.distillation.schedule import progressive


def latest_checkpoint(step, every, speed, saved):
    intervals = step // every
    target = speed * every * (1 + intervals) if speed >= 1 else (1 + int(speed * intervals)) * every
    return max(s for s in saved if s <= target)


def teacher_answers(network, ids, temperature):
    with torch.no_grad():
        return (network.eval()(ids) / temperature).log_softmax(-1)


def top_k_targets(probabilities, k):
    ids = np.argsort(-probabilities, axis=1)[:, :k]
    kept = np.take_along_axis(probabilities, ids, axis=1)
    return ids, kept / kept.sum(axis=1, keepdims=True)


def log_softmax(z, axis=1):
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def take(values, ids):
    return np.take_along_axis(values, ids, axis=1)


def top_k_loss(student_logits, ids, probabilities):
    return -(probabilities * take(log_softmax(student_logits), ids)).sum(axis=1).mean()


def whole_batch_gradient(gradients, labelled):
    return labelled @ gradients / labelled.sum()


SOLUTIONS = [latest_checkpoint, teacher_answers, top_k_targets, top_k_loss, whole_batch_gradient]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


# Other ways to the right answer


def by_the_package(step, every, speed, saved):
    stages = progressive(every, speed=speed).stages(saved, step + 1)
    return stages[-1][1]


@torch.inference_mode()
def in_inference_mode(network, ids, temperature):
    network.eval()
    return functional.log_softmax(network(ids) / temperature, dim=-1)


def detached(network, ids, temperature):
    return teacher_answers(network, ids, temperature).detach()


def top_k_by_torch(probabilities, k):
    kept, ids = torch.tensor(probabilities.copy()).topk(k)
    return ids, kept / kept.sum(-1, keepdim=True)


def loss_by_torch(student_logits, ids, probabilities):
    log_p = torch.tensor(student_logits).log_softmax(-1).gather(-1, torch.tensor(ids))
    return -(torch.tensor(probabilities) * log_p).sum(-1).mean()


def loss_by_scatter(student_logits, ids, probabilities):
    target = torch.zeros(student_logits.shape, dtype=torch.float64).scatter(
        1, torch.tensor(ids), torch.tensor(probabilities)
    )
    return functional.cross_entropy(torch.tensor(student_logits), target)


def gradient_by_loop(gradients, labelled):
    total = 0
    for gradient, n in zip(gradients, labelled, strict=True):
        total = total + n * gradient
    return total / sum(labelled)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("latest_checkpoint", by_the_package),
        ("latest_checkpoint", lambda *given: np.int64(latest_checkpoint(*given))),
        ("teacher_answers", in_inference_mode),
        ("teacher_answers", detached),
        ("top_k_targets", top_k_by_torch),
        ("top_k_loss", loss_by_torch),
        ("top_k_loss", loss_by_scatter),
        ("whole_batch_gradient", gradient_by_loop),
        ("whole_batch_gradient", lambda g, n: np.average(g, axis=0, weights=n)),
        ("whole_batch_gradient", lambda g, n: torch.tensor(n / n.sum()) @ torch.tensor(g)),
    ],
)
def test_other_ways_to_the_right_answer_pass(passes, name, other):
    passes(other, name=name)


# Mistakes


def as_given(step, every, speed, saved):
    """The lesson's function, before anybody has mended it."""
    target = speed * every * (1 + step // every)
    return min(saved, key=lambda one: abs(one - target))


def rule(target):
    """A solution with another target: step, every, speed → a step of the teacher."""

    def function(step, every, speed, saved):
        return max(s for s in saved if s <= target(step, every, speed))

    return function


def asked(answer, *, mode=False, grad=False):
    """A solution with another answer: logits, temperature → (batch, length, classes)."""

    def function(network, ids, temperature):
        network.train(mode)
        with torch.set_grad_enabled(grad):
            return answer(network(ids), temperature)

    return function


def cold(logits, temperature):
    return (logits / temperature).log_softmax(-1)


def kept_only(order, *, normalise=True):
    """A solution that keeps the ids `order` gives: probabilities, k → (n, k)."""

    def function(probabilities, k):
        ids = order(probabilities, k)
        kept = take(probabilities, ids)
        return ids, kept / kept.sum(axis=1, keepdims=True) if normalise else kept

    return function


def top(probabilities, k):
    return np.argsort(-probabilities)[:, :k]


def normalised_in_place(probabilities, k):
    ids = top(probabilities, k)
    probabilities /= take(probabilities, ids).sum(axis=1, keepdims=True)
    return ids, take(probabilities, ids)


def with_zeros(probabilities, k):
    out = np.zeros_like(probabilities)
    np.put_along_axis(out, *top_k_targets(probabilities, k), axis=1)
    return out


def softmax(z, axis=-1):
    return np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)


def loss_of(log_p, mean=lambda x: x.sum(axis=1).mean()):
    """A solution that takes log_p: student_logits, ids → (n, k) for the student's log-probabilities."""
    return lambda z, ids, p: -mean(p * log_p(z, ids))


def right(z, ids):
    return take(log_softmax(z), ids)


def gradient_in_place(gradients, labelled):
    gradients *= labelled[:, None] / labelled.sum()
    return gradients.sum(axis=0)


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("latest_checkpoint", as_given, "the latest saved one *not after* it"),
        ("latest_checkpoint", rule(lambda s, r, v: v * r * (s // r)), "one interval ahead"),
        ("latest_checkpoint", rule(lambda s, r, v: r * (1 + s // r)), "the speed v is missing"),
        ("latest_checkpoint", lambda s, r, v, saved: v * r * (1 + s / r), "a whole number, s // R"),
        ("latest_checkpoint", lambda s, r, v, saved: v * r * (1 + s // r), "*not after* it"),
        ("latest_checkpoint", rule(lambda s, r, v: v * r * (1 + s // r)), "the untrained checkpoint never teaches"),
        (
            "latest_checkpoint",
            lambda s, r, v, saved: max(100, rule(lambda s, r, v: v * r * (1 + s // r))(s, r, v, saved)),
            "whatever v is",
        ),
        (
            "latest_checkpoint",
            rule(lambda s, r, v: v * r * (1 + s // r) if v >= 1 else (1 + round(v * (s // r) + 0.1)) * r),
            "rounded down",
        ),
        (
            "latest_checkpoint",
            lambda s, r, v, saved: 5100 if s == 5000 else latest_checkpoint(s, r, v, saved),
            "past the end",
        ),
        ("teacher_answers", asked(cold, mode=True, grad=True), "dropout is on"),
        ("teacher_answers", asked(cold, mode=True), "dropout is on"),
        ("teacher_answers", asked(cold, grad=True), "with torch.no_grad()"),
        ("teacher_answers", asked(lambda z, t: z.log_softmax(-1)), "the temperature is missing"),
        ("teacher_answers", asked(lambda z, t: (z * t).log_softmax(-1)), "don't multiply"),
        ("teacher_answers", asked(lambda z, t: (z / t).softmax(-1)), "return their logarithms"),
        ("teacher_answers", asked(lambda z, t: z / t), "normalise them over the classes"),
        ("teacher_answers", asked(lambda z, t: (z / t).log_softmax(1)), "the last axis"),
        ("teacher_answers", asked(lambda z, t: cold(z, t)[0]), "return a tensor of log-probabilities"),
        ("teacher_answers", asked(lambda z, t: cold(z, t).numpy()), "return a tensor of log-probabilities"),
        ("teacher_answers", asked(lambda z, t: -cold(z, t)), "return log softmax(logits / τ)"),
        ("top_k_targets", kept_only(top, normalise=False), "a row must sum to 1 again"),
        ("top_k_targets", lambda p, k: (top(p, k), softmax(take(p, top(p, k)))), "without a softmax"),
        ("top_k_targets", kept_only(lambda p, k: np.argsort(p)[:, :k]), "argsort sorts in ascending order"),
        ("top_k_targets", kept_only(lambda p, k: np.argsort(p)[:, -k:]), "the right classes in ascending order"),
        ("top_k_targets", kept_only(lambda p, k: np.sort(top(p, k))), "in the order of their ids"),
        ("top_k_targets", lambda p, k: top_k_targets(p, k)[::-1], "the ids first"),
        ("top_k_targets", with_zeros, "the zeros that take up space"),
        ("top_k_targets", lambda p, k: top_k_targets(p, k)[1], "which classes have these probabilities"),
        ("top_k_targets", lambda p, k: top_k_targets(p, 3), "keep the ids of the k largest"),
        ("top_k_targets", normalised_in_place, "p /= sum changes it"),
        ("top_k_loss", loss_of(lambda z, ids: log_softmax(take(z, ids))), "normalise the student over all classes"),
        ("top_k_loss", loss_of(take), "the log-softmax is missing"),
        ("top_k_loss", loss_of(lambda z, ids: take(softmax(z), ids)), "take the logs"),
        ("top_k_loss", lambda *of: -top_k_loss(*of), "the minus sign is missing"),
        ("top_k_loss", loss_of(right, np.sum), "average it"),
        ("top_k_loss", loss_of(right, np.mean), "not over the k classes too"),
        ("top_k_loss", loss_of(right, lambda x: x.sum(axis=1)), "return one number"),
        (
            "top_k_loss",
            lambda z, ids, p: top_k_loss(z, ids, p) + (p * np.log(p)).sum(1).mean(),
            "smaller by p's entropy",
        ),
        ("top_k_loss", lambda z, ids, p: top_k_loss(z, np.arange(p.shape[1])[None], p), "these are its first k"),
        ("top_k_loss", lambda z, ids, p: top_k_loss(z, top(z, p.shape[1]), p), "its own k most probable"),
        ("top_k_loss", lambda z, ids, p: -right(z, ids)[:, 0].mean(), "not only that of the most probable class"),
        ("top_k_loss", loss_of(lambda z, ids: take(np.log(softmax(z)), ids)), "largest logit subtracted first"),
        ("whole_batch_gradient", lambda g, n: g.mean(axis=0), "this is the plain average"),
        ("whole_batch_gradient", lambda g, n: g.sum(axis=0), "this is the plain sum"),
        ("whole_batch_gradient", lambda g, n: n @ g, "the gradient of the summed loss"),
        ("whole_batch_gradient", lambda g, n: n @ g / len(n), "not of processes"),
        ("whole_batch_gradient", lambda g, n: (1 / n) @ g / (1 / n).sum(), "the wrong way round"),
        ("whole_batch_gradient", lambda g, n: (1 / n) @ g, "don't divide"),
        ("whole_batch_gradient", lambda g, n: n[:, None] * g / n.sum(), "return one gradient"),
        ("whole_batch_gradient", gradient_in_place, "g *= weight changes it"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # mistakes overflow
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)


# Against the package


def test_the_top_k_loss_is_that_of_distillation_up_to_the_teacher_s_entropy():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(7, 20)), rng.normal(size=(7, 20))
    ids, p = top_k_targets(softmax(teacher), 5)
    theirs = distillation_loss(
        torch.tensor(student)[None], torch.tensor(teacher)[None], torch.zeros(1, 7, dtype=torch.long),
        temperature=1.0, top_k=5,
    )  # fmt: skip
    entropy = -(p * np.log(p)).sum(axis=1).mean()
    assert top_k_loss(student, ids, p) - entropy == pytest.approx(theirs.item())


def test_the_whole_batch_s_gradient_is_what_one_process_finds():
    rng = np.random.default_rng(0)
    x, y, cuts = torch.tensor(rng.normal(size=(10, 3))), torch.tensor(rng.normal(size=10)), [(0, 6), (6, 7), (7, 10)]

    def gradient(low, high):
        w = torch.ones(3, dtype=torch.float64, requires_grad=True)
        ((x[low:high] @ w - y[low:high]) ** 2).mean().backward()
        return w.grad.numpy()

    found = whole_batch_gradient(np.stack([gradient(*cut) for cut in cuts]), np.array([6, 1, 3]))
    np.testing.assert_allclose(found, gradient(0, 10))
