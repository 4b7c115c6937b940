"""Checkers for the exercises of lesson 5b, teachers from elsewhere (notebooks/05b_teachers_that_others_trained.py).

Expected answers are computed here without `pdtutor.distillation`, so that each can catch a mistake in the other.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from pdtutor.checks.core import Case, Either, Fault, check, check_faults

TEACHER = np.array([[0.05, 0.4, 0.1, 0.25, 0.2], [0.3, 0.02, 0.5, 0.1, 0.08]])  # probabilities (positions, classes)
STUDENT = np.array([[0.4, 1.1, -0.6, 0.3, 0.9], [1.2, -0.3, 0.7, -0.8, 0.5]])  # logits (positions, classes)


SAVED = list(range(0, 1100, 100))  # the steps of a teacher's checkpoints, the untrained one first
SPARSE = [0, 100, 200, 500, 1000]


def latest_checkpoint(function: Callable) -> None:
    """Check `function(step, every, speed, saved)` → the step of the checkpoint that teaches, by the paper's rule.

    `saved` (ascending) begins with 0, the untrained checkpoint, which never teaches.
    """
    slow = "for v < 1 it is (1 + ⌊v·⌊s/R⌋⌋)·R: at first the checkpoint of step R, whatever v is."
    late = "a checkpoint after the target was taken: the latest saved one *not after* it teaches."
    ahead = "the teacher is one interval ahead of the student: 1 + ⌊s/R⌋, not ⌊s/R⌋."
    whole = "the teacher changes once in an interval: ⌊s/R⌋ is a whole number, s // R."

    def case(step: int, speed: float, right: int, mistakes: dict[str, Any], saved: list[int] = SAVED) -> Case:
        return Case({"step": step, "every": 100, "speed": speed, "saved": saved}, right, mistakes)

    check(
        "latest_checkpoint",
        function,
        [
            case(250, 1, 300, {ahead: 200, whole: 350}),
            case(250, 2, 600, {ahead: 400, "the speed v is missing.": 300}),
            case(350, 1, 200, {late: Either([500, 400])}, SPARSE),
            case(0, 0.5, 100, {f"the untrained checkpoint never teaches; {slow}": Either([0, 50])}),
            case(250, 0.5, 200, {slow: Either([100, 150])}),
            case(350, 0.5, 200, {"⌊v·⌊s/R⌋⌋ is rounded down.": 300}),
            case(5000, 1, 1000, {"past the end of the teacher its final checkpoint teaches.": Either([5000, 5100])}),
        ],
        hint="first the target, v·R·(1 + ⌊s/R⌋), or for v < 1 (1 + ⌊v·⌊s/R⌋⌋)·R; then the largest saved step ≤ it.",
        success="what pdtutor.progressive does.",
    )


def teacher_answers(function: Callable) -> None:
    """Check `function(network, ids, temperature)`: ids (batch, length) → log softmax(logits / τ), (…, classes).

    The network is a torch module with dropout, in train mode; it maps ids to logits.
    """
    network = _with_dropout()
    ids = torch.arange(12).view(3, 4)
    logits = network.eval()(ids).detach()  # (3, 4, 5)
    right = (logits / 0.5).log_softmax(-1)
    mistakes = {
        "the temperature is missing: divide the logits by τ.": logits.log_softmax(-1),
        "divide the logits by τ, don't multiply.": (logits * 0.5).log_softmax(-1),
        "these are probabilities; return their logarithms.": right.exp(),
        "these are the logits; normalise them over the classes.": logits / 0.5,
        "normalise over the classes, the last axis.": (logits / 0.5).log_softmax(1),
    }
    off = "dropout is on: a network that was in train mode stays in it until somebody says network.eval()."
    free = (
        "the answer carries the graph of the teacher's forward pass, memory for gradients that nobody needs; and an "
        "optimizer that is given the teacher's weights would move them. Ask inside `with torch.no_grad():`."
    )

    def faults(answers: Callable) -> Iterator[Fault]:
        found = answers(network.train(), ids.clone(), 0.5)
        if not isinstance(found, torch.Tensor) or found.shape != right.shape:
            yield f"got {_kind(found)}", {}, f"return a tensor of log-probabilities, {tuple(right.shape)}."
        if not torch.equal(found, answers(network.train(), ids.clone(), 0.5)):
            yield "asked twice, the teacher gives two answers", {}, off
        if found.requires_grad:
            yield "the numbers may be right, but the answer requires gradients", {}, free
        if not torch.allclose(found, right, atol=1e-5):
            near = (hint for hint, wrong in mistakes.items() if torch.allclose(found, wrong, atol=1e-5))
            values = {"given": ids[0], "got": found[0, 0], "expected": right[0, 0]}
            yield "other numbers, at the first position for one", values, next(near, "return log softmax(logits / τ).")

    check_faults(
        "teacher_answers",
        function,
        faults,
        hint="network(ids) gives the logits, (batch, length, classes).",
        success="the same answer every time. pdtutor's trajectories return every checkpoint in eval mode.",
    )


def _with_dropout() -> nn.Module:
    """Return a small network that maps ids (batch, length) to logits (batch, length, 5), the same every time."""
    weights = np.random.default_rng(11)
    table = torch.from_numpy(weights.normal(size=(12, 8))).float()
    network = nn.Sequential(nn.Embedding.from_pretrained(table), nn.Dropout(0.5), nn.Linear(8, 5))
    with torch.no_grad():
        for parameter in network[2].parameters():
            parameter.copy_(torch.from_numpy(weights.normal(size=parameter.shape)))
    return network


def _kind(found: Any) -> str:
    """Return what was found, by its shape or its type."""
    return f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"


def top_k_targets(function: Callable) -> None:
    """Check `function(probabilities, k)`: (positions, classes) → ids and probabilities, both (positions, k)."""

    def targets(ids: np.ndarray, p: np.ndarray = TEACHER) -> np.ndarray:
        kept = np.take_along_axis(p, ids, axis=1)
        return np.stack([ids, kept / kept.sum(axis=1, keepdims=True)])

    upwards = np.argsort(TEACHER, axis=1)
    ids = upwards[:, :-4:-1]  # (2, 3)
    kept = np.take_along_axis(TEACHER, ids, axis=1)
    dense = np.zeros_like(TEACHER)
    np.put_along_axis(dense, ids, targets(ids)[1], axis=1)
    mistakes = {
        "a row must sum to 1 again: divide it by the sum of what is kept.": np.stack([ids, kept]),
        "these are probabilities already: divide by their sum, without a softmax.": np.stack([ids, _softmax(kept)]),
        "these are the least probable classes: argsort sorts in ascending order.": targets(upwards[:, :3]),
        "the right classes in ascending order; the most probable comes first.": targets(ids[:, ::-1]),
        "the right classes in the order of their ids; the most probable comes first.": targets(np.sort(ids)),
        "return the ids first, then the probabilities.": targets(ids)[::-1],
        "return only the k classes: it is the zeros that take up space.": dense,
        "return the ids, too: without them nobody knows which classes have these probabilities.": targets(ids)[1],
    }
    other = TEACHER[::-1, ::-1]
    check(
        "top_k_targets",
        function,
        [
            Case({"probabilities": TEACHER, "k": 3}, targets(ids), mistakes),
            Case({"probabilities": other, "k": 2}, targets(np.argsort(-other)[:, :2], other)),
            Case({"probabilities": TEACHER, "k": 5}, targets(upwards[:, ::-1])),
            Case({"probabilities": TEACHER, "k": 1}, targets(ids[:, :1])),
        ],
        hint="sort each row, keep the ids of the k largest probabilities, largest first; divide those by their sum.",
        success="what pdtutor.store_targets keeps of a teacher, in half precision.",
        untouched="the array belongs to the caller: p = p / sum makes a new one, p /= sum changes it.",
    )


def top_k_loss(function: Callable) -> None:
    """Check `function(student_logits, ids, probabilities)`: (positions, classes) and two (positions, k) → the loss.

    It is the mean over positions of −Σ p log p_S over the k classes, where p_S is normalised over all classes.
    """
    ids, p = np.array([[1, 3, 4], [2, 0, 3]]), np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]])
    places = np.arange(2)[:, None]

    def loss(log_p: np.ndarray) -> float:
        return -(p * log_p).sum(axis=1).mean()

    log_p = np.log(_softmax(STUDENT))
    right, cold, far = loss(log_p[places, ids]), -log_p[places, ids][:, 0].mean(), 1000 * STUDENT
    mistakes = {
        "normalise the student over all classes, then pick k. Over the k alone it learns nothing about the others, and "
        "may give them nearly all its probability; at k = 1 this loss is always 0.": loss(
            np.log(_softmax(STUDENT[places, ids]))
        ),
        "logits are not log-probabilities: the log-softmax is missing.": loss(STUDENT[places, ids]),
        "take the logs of the student's probabilities.": loss(_softmax(STUDENT)[places, ids]),
        "a loss is minimised: the minus sign is missing.": -right,
        "this is the sum over the positions; average it.": 2 * right,
        "average over the positions, not over the k classes too.": right / 3,
        "return one number: the mean over the positions.": -(p * log_p[places, ids]).sum(axis=1),
        "this is KL(p ‖ p_S), smaller by p's entropy. It has the same gradient, but return −Σ p log p_S.": (
            right - loss(np.log(p))
        ),
        "pick the student's classes by ids; these are its first k.": loss(log_p[:, :3]),
        "pick the student's classes by ids; these are its own k most probable.": loss(np.sort(log_p)[:, :-4:-1]),
        "use all k of the teacher's probabilities, not only that of the most probable class.": cold,
    }
    check(
        "top_k_loss",
        function,
        [
            Case({"student_logits": STUDENT, "ids": ids, "probabilities": p}, right, mistakes),
            Case({"student_logits": STUDENT, "ids": ids[:, :1], "probabilities": np.ones((2, 1))}, cold),
            Case(
                {"student_logits": far, "ids": ids, "probabilities": p},
                loss((far - far.max(axis=1, keepdims=True))[places, ids]),  # log Σ exp is 0 then
            ),
        ],
        hint="log p_S = logits − log Σ exp(logits) over all classes, each row's largest logit subtracted first; pick "
        "the k ids of each row (np.take_along_axis, or torch's gather); average −Σ p log p_S over the rows.",
        success="the student also learns that all other classes have nothing left.",
    )


def whole_batch_gradient(function: Callable) -> None:
    """Check `function(gradients, labelled)`: (processes, parameters) and (processes,) → (parameters,).

    A row is the gradient of the mean loss over one process's labelled positions, of which there are `labelled`.
    """
    gradients, labelled = np.array([[0.6, -0.2, 1.0], [0.1, 0.4, -0.5]]), np.array([12, 4])
    sums = labelled[:, None] * gradients
    mistakes = {
        "this is the plain average, where a position counts for more if there are few. Weight each gradient by its "
        "number of labelled positions.": gradients.mean(axis=0),
        "this is the plain sum: weight each gradient by its share of all labelled positions.": gradients.sum(axis=0),
        "this is the gradient of the summed loss: divide by the number of all labelled positions.": sums.sum(axis=0),
        "divide by the number of all labelled positions, not of processes.": sums.mean(axis=0),
        "the weights are the wrong way round: more labelled positions, more weight.": labelled[::-1] @ gradients / 16,
        "each gradient is a mean already: multiply by its number of positions, don't divide.": (1 / labelled)
        @ gradients,
        "sum over the processes: return one gradient, (parameters,).": sums / 16,
    }
    three = np.array([[0.3, -0.7], [0.0, 0.0], [-0.9, 0.2]])
    check(
        "whole_batch_gradient",
        function,
        [
            Case({"gradients": gradients, "labelled": labelled}, sums.sum(axis=0) / 16, mistakes),
            Case({"gradients": three, "labelled": np.array([5, 0, 3])}, (5 * three[0] + 3 * three[2]) / 8),
        ],
        hint="the gradient of a mean times its number of positions is that of the sum: add these up, and divide by the "
        "number of all labelled positions.",
        success="what one process alone would have found; the processes of pdtutor.processes agree on it.",
        untouched="the arrays belong to the caller: g = g * weight makes a new one, g *= weight changes it.",
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits (n, classes)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
