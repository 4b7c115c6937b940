"""Checkers for the exercises of lesson 3, progressive versus one-shot (notebooks/03_progressive_vs_one_shot.py).

Expected answers are computed here in plain numpy, without `pdtutor.distillation`, so that each can catch a mistake in
the other.
"""

from collections.abc import Callable

import numpy as np

from pdtutor.checks.core import Case, check

# Logits of a teacher and of a student, (n, classes).
LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 1.5, 1.0]])
STUDENT = np.array([[0.3, -0.2, 0.1], [1.0, 0.0, 2.0]])


def _softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the probabilities of logits of any shape, normalised along `axis`."""
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def teacher_probabilities(function: Callable) -> None:
    """Check `function(logits, temperature)`: logits (n, classes), τ > 0 → softmax(logits / τ), finite for every τ."""
    mistakes = {
        "divide the logits by τ, don't multiply: a cold teacher is a confident one.": _softmax(LOGITS * 0.5),
        "the temperature is missing.": _softmax(LOGITS),
        "normalise over the classes, the last axis; each row must sum to 1.": _softmax(LOGITS / 0.5, axis=0),
        "these are log-probabilities; exponentiate them.": np.log(_softmax(LOGITS / 0.5)),
    }
    argmax = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    check(
        "teacher_probabilities",
        function,
        [
            Case({"logits": LOGITS, "temperature": 0.5}, _softmax(LOGITS / 0.5), mistakes),
            Case({"logits": LOGITS, "temperature": 1e-4}, argmax),
            Case({"logits": LOGITS, "temperature": 1e-20}, argmax),
        ],
        hint="subtract the largest logit of each row before you divide by τ: exp of a large number is infinite.",
        success="finite down to τ = 1e-20, where the teacher is its argmax.",
    )


def distillation_loss(function: Callable) -> None:
    """Check `function(student_logits, teacher_probabilities)`: both (n, classes) → the mean of −Σ_c p_T log p_S."""
    p_t = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    p_s = _softmax(STUDENT)
    per_example = -(p_t * np.log(p_s)).sum(axis=1)
    mistakes = {
        "this is the sum over the batch; average it.": per_example.sum(),
        "average over the examples, not over the classes too.": -(p_t * np.log(p_s)).mean(),
        "return one number: the mean over the batch.": per_example,
        "student and teacher are swapped: the teacher's probabilities weight the student's logs.": -(p_s * np.log(p_t))
        .sum(axis=1)
        .mean(),
        "a loss is minimised: the minus sign is missing.": -per_example.mean(),
        "this is cross-entropy on the teacher's argmax; use all of its probabilities.": -np.log(
            p_s[np.arange(2), p_t.argmax(axis=1)]
        ).mean(),
    }
    check(
        "distillation_loss",
        function,
        [
            Case({"student_logits": STUDENT, "teacher_probabilities": p_t}, per_example.mean(), mistakes),
            Case(
                {"student_logits": STUDENT * 400, "teacher_probabilities": np.eye(3)[[2, 0]]},
                np.mean([(0.3 - 0.1) * 400, (2.0 - 1.0) * 400]),
            ),
        ],
        hint="log p_S = logits − log Σ exp(logits); first subtract each row's largest logit, so that exp stays finite.",
        success="the paper's distillation loss; its gradient is that of KL(p_T ‖ p_S).",
    )


def teacher_step(function: Callable) -> None:
    """Check `function(step, every, final)` → the checkpoint that teaches under progressive distillation at speed 1."""
    mistakes = {
        "the teacher is one interval ahead of the student: R·(1 + ⌊s/R⌋).": 1000,
        "the teacher changes once per interval, not at every step.": 1730,
        "use whole intervals: ⌊s/R⌋.": 500 * (1 + 1230 / 500),
    }
    check(
        "teacher_step",
        function,
        [
            Case({"step": 1230, "every": 500, "final": 8000}, 1500, mistakes),
            Case({"step": 0, "every": 500, "final": 8000}, 500, {"step 0 is untrained; it never teaches.": 0}),
            Case({"step": 1500, "every": 500, "final": 8000}, 2000, {"a new interval starts at s = R, 2R, …": 1500}),
            Case(
                {"step": 20_000, "every": 500, "final": 8000},
                8000,
                {"after the teacher's last checkpoint, that one stays the teacher.": 20_500},
            ),
        ],
        hint="count the finished intervals with //, add one, multiply by R, and stop at the final checkpoint.",
        success="this is pdtutor.progressive(every).",
    )


def mixed_target(function: Callable) -> None:
    """Check `function(label, teacher_probabilities, alpha)`: a label, (classes,), α → the target q, (classes,).

    The cross-entropy against q must be α·CE + (1−α)·KD.
    """
    p_t = np.array([0.6, 0.3, 0.1])
    mistakes = {
        "α is the label's weight, 1 − α the teacher's: yours are swapped.": 0.75 * p_t + 0.25 * np.array([0, 0, 1]),
        "the teacher's part needs the factor 1 − α, since q must sum to 1.": p_t + 0.75 * np.array([0, 0, 1]),
        "turn the label into a one-hot vector first.": 0.75 * 2 + 0.25 * p_t,
    }
    check(
        "mixed_target",
        function,
        [
            Case(
                {"label": 2, "teacher_probabilities": p_t, "alpha": 0.75},
                0.75 * np.array([0, 0, 1]) + 0.25 * p_t,
                mistakes,
            ),
            Case({"label": 0, "teacher_probabilities": p_t, "alpha": 0.0}, p_t),
            Case({"label": 1, "teacher_probabilities": p_t, "alpha": 1.0}, np.array([0, 1, 0])),
        ],
        hint="both losses are linear in their target, so mix the targets: α·onehot(label) + (1 − α)·p_T.",
        success="one cross-entropy against q does for both losses; pdtutor trains this way.",
    )
