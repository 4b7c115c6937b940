"""Checkers for the exercises of lesson 3, progressive versus one-shot (notebooks/03_progressive_vs_one_shot.py).

Expected answers are computed here in plain numpy, without `pdtutor.distillation`, so that each can catch a mistake in
the other.
"""

from collections.abc import Callable

import numpy as np

from pdtutor.checks.core import Case, Either, check

# Logits of a teacher and of a student, (n, classes).
LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 1.5, 1.0]])
STUDENT = np.array([[0.3, -0.2, 0.1], [1.0, 0.0, 2.0]])
ARGMAX = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # the teacher's


def _powers(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return exp of logits of any shape, divided by the largest along `axis`."""
    return np.exp(logits - logits.max(axis=axis, keepdims=True))


def _softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the probabilities of logits of any shape, normalised along `axis`."""
    powers = _powers(logits, axis)
    return powers / powers.sum(axis=axis, keepdims=True)


def teacher_probabilities(function: Callable) -> None:
    """Check `function(logits, temperature)`: logits (n, classes), τ > 0 → softmax(logits / τ), finite for every τ."""
    scaled = LOGITS / 0.5
    columns = np.exp(scaled - scaled.max(axis=0))
    rows = "each row has a largest logit and a sum of its own: keep the axis, with keepdims=True, or the rows mix."
    mistakes = {
        "divide the logits by τ, don't multiply: a cold teacher is a confident one.": _softmax(LOGITS * 0.5),
        "the temperature is missing.": _softmax(LOGITS),
        "the temperature divides the logits, before exp; the probabilities then need no other factor.": Either(
            [_softmax(LOGITS) / 0.5, _softmax(scaled) / 0.5, _softmax(LOGITS) ** 2, _softmax(_softmax(LOGITS) / 0.5)]
        ),
        "divide the logits by τ itself, not by its square or its root.": Either(
            [_softmax(LOGITS / 0.25), _softmax(LOGITS / np.sqrt(0.5))]
        ),
        "normalise over the classes, the last axis; each row must sum to 1.": _softmax(scaled, axis=0),
        "normalise each row by itself; here all rows together sum to 1.": np.exp(scaled) / np.exp(scaled).sum(),
        "divide by the sum of each row, so that it sums to 1.": Either(
            [np.exp(scaled), _powers(scaled), np.exp(scaled - scaled.max()), columns]
        ),
        "subtract each row's largest logit, not each column's: keepdims=True keeps the axis of the rows.": (
            columns / columns.sum(axis=1, keepdims=True)
        ),
        "these are log-probabilities; exponentiate them.": np.log(_softmax(scaled)),
        "here the largest logit has the smallest probability: a sign is turned.": _softmax(-scaled),
        "softmax is made of exp, not of powers of 2 or 10.": Either([_softmax(scaled * np.log(b)) for b in (2, 10)]),
        "softmax is made of exp: divide exp(logits / τ) by its sum, not the logits by theirs.": Either(
            [scaled / scaled.sum(axis=1, keepdims=True), LOGITS / LOGITS.sum(axis=1, keepdims=True)]
        ),
        "this is a sigmoid of each logit; softmax compares the classes: divide exp by the sum over each row.": (
            1 / (1 + np.exp(-scaled))
        ),
        "return a probability for each class, not only the largest.": _softmax(scaled).max(axis=1),
        "this is the teacher's argmax; only a tiny τ makes it that.": Either([ARGMAX, ARGMAX.argmax(axis=1)]),
        "these are the logits over τ; probabilities are their softmax.": scaled,
    }
    square = np.array([[2.0, 0.0, -1.0], [0.5, 1.5, 1.0], [-0.3, 0.4, 0.9]])  # rows may be taken for columns
    powers, shifted = np.exp(square / 0.5), np.exp((square - square.max(axis=1)) / 0.5)
    mixed = {
        rows: Either(
            [
                powers / powers.sum(axis=1),
                shifted / shifted.sum(axis=1, keepdims=True),
                shifted / shifted.sum(axis=1),
                _powers(square / 0.5) / _powers(square / 0.5).sum(axis=1),
            ]
        )
    }
    close = np.array([[0.0, -1e-20, -2e-20], [-3e-20, 0.0, 1e-20]])
    check(
        "teacher_probabilities",
        function,
        [
            Case({"logits": LOGITS, "temperature": 0.5}, _softmax(scaled), mistakes),
            Case({"logits": square, "temperature": 0.5}, _softmax(square / 0.5), mixed),
            Case({"logits": LOGITS, "temperature": 1e-4}, ARGMAX),
            Case({"logits": LOGITS, "temperature": 1e-20}, ARGMAX),
            Case(
                {"logits": close, "temperature": 1e-20},
                _softmax(close / 1e-20),
                {
                    "use τ as it is, without a smallest value and with nothing added to it.": np.full((2, 3), 1 / 3),
                    "this is the argmax; these logits are so close that even this τ leaves some doubt.": (
                        np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
                    ),
                },
            ),
        ],
        hint="softmax(logits / τ) is exp, divided by each row's sum. Subtract each row's largest logit before you "
        "divide by τ: exp of a large number is infinite.",
        success="finite down to τ = 1e-20, where the teacher is its argmax.",
    )


def distillation_loss(function: Callable) -> None:
    """Check `function(student_logits, teacher_probabilities)`: both (n, classes) → the mean of −Σ_c p_T log p_S."""
    p_t = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    p_s = _softmax(STUDENT)
    per_example = -(p_t * np.log(p_s)).sum(axis=1)
    entropy = -(p_t * np.log(p_t)).sum(axis=1)
    swapped = -(p_s * np.log(p_t)).sum(axis=1)
    reverse = (p_s * np.log(p_s / p_t)).sum(axis=1)
    twice = -(p_t * np.log(_softmax(p_s))).sum(axis=1)
    soft_teacher = -(_softmax(p_t) * np.log(p_s)).sum(axis=1)
    over_batch = -(p_t * np.log(_softmax(STUDENT, axis=0))).sum(axis=1)
    all_rows = -(p_t * (STUDENT - np.log(np.exp(STUDENT).sum()))).sum(axis=1)
    mistakes = {
        "this is the sum over the batch; average it.": per_example.sum(),
        "average over the examples, not over the classes too.": -(p_t * np.log(p_s)).mean(),
        "return one number: the mean over the batch.": Either([per_example, -(p_t * np.log(p_s)), -p_t * np.log(p_s)]),
        "student and teacher are swapped: the teacher's probabilities weight the student's logs.": Either(
            [swapped.mean(), swapped.sum(), swapped]
        ),
        "this is KL(p_T ‖ p_S), from which the teacher's entropy is taken off. Its gradient is the same, but here the "
        "loss is −Σ p_T log p_S alone.": Either(
            [(per_example - entropy).mean(), (per_example - entropy).sum(), per_example - entropy]
        ),
        "this is KL(p_T ‖ p_S), averaged over the classes too. The loss is −Σ p_T log p_S, a sum over them, without "
        "the teacher's entropy.": (p_t * np.log(p_t / p_s)).mean(),
        "this is minus a KL divergence; the loss is −Σ p_T log p_S, without the teacher's entropy.": Either(
            [(entropy - per_example).mean(), (entropy - per_example).sum()]
        ),
        "this is the reverse KL(p_S ‖ p_T). The loss is −Σ p_T log p_S: weights of the teacher, logs of the "
        "student.": Either([reverse.mean(), reverse.sum(), reverse, (p_s * np.log(p_s / p_t)).mean()]),
        "this is the teacher's entropy: the logs are those of the student.": entropy.mean(),
        "a loss is minimised: the minus sign is missing.": Either([-per_example.mean(), -per_example.sum()]),
        "this is cross-entropy on the teacher's argmax; use all of its probabilities.": -np.log(
            p_s[np.arange(2), p_t.argmax(axis=1)]
        ).mean(),
        "log p_S is the log of the student's softmax; these logits have not been normalised.": Either(
            [-(p_t * STUDENT).sum(axis=1).mean(), (p_t * STUDENT).sum(axis=1).mean()]
        ),
        "the logs are missing: −Σ p_T log p_S.": Either(
            [-(p_t * p_s).sum(axis=1).mean(), (p_t * p_s).sum(axis=1).mean()]
        ),
        "the student's softmax is taken twice.": Either([twice.mean(), twice.sum()]),
        "the teacher's are probabilities already: no softmax of them.": Either(
            [soft_teacher.mean(), soft_teacher.sum()]
        ),
        "normalise the student over the classes, the last axis, not over the batch.": Either(
            [over_batch.mean(), over_batch.sum()]
        ),
        "normalise each row of the student by itself: its sum is over the classes alone.": all_rows.mean(),
        "sum over the classes, axis 1, and average over the examples: yours are exchanged.": (
            -(p_t * np.log(p_s)).sum(axis=0).mean()
        ),
        "this is a squared error; the loss is −Σ p_T log p_S.": Either(
            [((p_t - p_s) ** 2).mean(), ((p_t - p_s) ** 2).sum(axis=1).mean(), ((p_t - p_s) ** 2).sum()]
        ),
        "this is a total variation; the loss is −Σ p_T log p_S.": np.abs(p_t - p_s).sum(axis=1).mean() / 2,
        "use the natural logarithm, np.log.": Either([per_example.mean() / np.log(base) for base in (2, 10)]),
    }
    check(
        "distillation_loss",
        function,
        [
            Case({"student_logits": STUDENT, "teacher_probabilities": p_t}, per_example.mean(), mistakes),
            Case(
                {"student_logits": STUDENT * 400, "teacher_probabilities": np.eye(3)[[2, 0]]},
                np.mean([(0.3 - 0.1) * 400, (2.0 - 1.0) * 400]),
                {
                    "a small number in the log, or a clip, bounds the loss: compute log p_S from the logits.": Either(
                        [-np.log(10.0**-digits) for digits in range(5, 21)]
                    )
                },
            ),
        ],
        hint="sum −p_T log p_S over the classes and average over the examples. log p_S = logits − log Σ exp(logits); "
        "first subtract each row's largest logit, so that exp stays finite.",
        success="the paper's distillation loss; its gradient is that of KL(p_T ‖ p_S).",
    )


def teacher_step(function: Callable) -> None:
    """Check `function(step, every, final)` → the checkpoint that teaches under progressive distillation at speed 1."""
    mistakes = {
        "the teacher is one interval ahead of the student: R·(1 + ⌊s/R⌋).": 1000,
        "the teacher is one interval ahead of the student, not two.": 2000,
        "the teacher changes once per interval, not at every step.": Either([1730, 1230, 1231]),
        "use whole intervals: ⌊s/R⌋.": 500 * (1 + 1230 / 500),
        "add 1 to the number of intervals, before you multiply by R.": 1001,
        "this counts intervals; a checkpoint is named by its step: multiply by R.": Either([2, 3]),
        "this is the final checkpoint. It teaches only at the end: the smaller of it and R·(1 + ⌊s/R⌋), where ⌊s/R⌋ is "
        "s // R, not s % R.": 8000,
        "this is the teacher of the first interval; the student is in its third.": 500,
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
                {"after the teacher's last checkpoint, that one stays the teacher.": Either([20_500, 4500, 7500])},
            ),
        ],
        hint="count the finished intervals with //, add one, multiply by R, and stop at the final checkpoint.",
        success="this is pdtutor.progressive(every).",
    )


def mixed_target(function: Callable) -> None:
    """Check `function(label, teacher_probabilities, alpha)`: a label, (classes,), α → the target q, (classes,).

    The cross-entropy against q must be α·CE + (1−α)·KD.
    """
    p_t, onehot = np.array([0.6, 0.3, 0.1]), np.array([0.0, 0.0, 1.0])
    q = 0.75 * onehot + 0.25 * p_t
    mistakes = {
        "α is the label's weight, 1 − α the teacher's: yours are swapped.": 0.75 * p_t + 0.25 * onehot,
        "the teacher's part needs the factor 1 − α, since q must sum to 1.": Either(
            [p_t + 0.75 * onehot, (p_t + 0.75 * onehot) / 1.75]
        ),
        "the label's part needs the factor α, since q must sum to 1.": onehot + 0.25 * p_t,
        "the label's part needs the factor α, the teacher's 1 − α.": Either([onehot + p_t, (onehot + p_t) / 2]),
        "turn the label into a one-hot vector first.": Either([0.75 * 2 + 0.25 * p_t, 0.75 * 2 * p_t + 0.25 * p_t]),
        "a one-hot vector is 1 at the label and 0 elsewhere: np.eye(classes)[label].": Either(
            [0.75 * np.eye(3) + 0.25 * p_t, 0.75 + 0.25 * p_t]
        ),
        "classes are numbered from 0: the label's place is q[label].": 0.75 * np.roll(onehot, -1) + 0.25 * p_t,
        "use all of the teacher's probabilities, not its argmax.": np.array([0.25, 0, 0.75]),
        "this is the label's part alone; add the teacher's, (1 − α)·p_T.": Either([0.75 * onehot, onehot]),
        "this is the teacher's part alone; add the label's, α·onehot(label).": Either([0.25 * p_t, p_t]),
        "the label's part is α at the label, not the teacher's probability of it.": Either(
            [0.75 * p_t[2] + 0.25 * p_t, 0.75 * p_t[2] * onehot + 0.25 * p_t]
        ),
        "add α to what the teacher has at the label, don't put it in its place.": Either(
            [np.array([0.15, 0.075, 0.75]), np.array([0.6, 0.3, 0.75])]
        ),
        "q sums to 1 already: it needs no softmax.": _softmax(q),
        "mix the two as a sum, not as a product of powers.": np.array([0, 0, 0.1**0.25]),
        "return the target q, a vector of the classes, not a loss.": Either(
            [-0.75 * np.log(p_t[2]), -np.log(p_t[2]), q.sum()]
        ),
        "return a vector (classes,): here it is a row of a matrix.": q[None],
    }
    check(
        "mixed_target",
        function,
        [
            Case({"label": 2, "teacher_probabilities": p_t, "alpha": 0.75}, q, mistakes),
            Case({"label": 0, "teacher_probabilities": p_t, "alpha": 0.0}, p_t),
            Case({"label": 1, "teacher_probabilities": p_t, "alpha": 1.0}, np.array([0, 1, 0])),
        ],
        hint="both losses are linear in their target, so mix the targets: α·onehot(label) + (1 − α)·p_T.",
        success="one cross-entropy against q does for both losses; pdtutor trains this way.",
        untouched="the teacher's probabilities belong to the caller: make a new array, or change a copy.",
    )


def cold_loss(function: Callable) -> None:
    """Check `function(student_logits, teacher_logits, temperature)`, the mended loss: τ divides the teacher's only."""

    def loss(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
        return -(_softmax(teacher) * np.log(_softmax(student))).sum(axis=1)

    right, both = loss(STUDENT, LOGITS / 0.5), loss(STUDENT / 0.5, LOGITS / 0.5)
    only_student = loss(STUDENT / 0.5, LOGITS)
    mistakes = {
        "read the formula term by term: whose logits does τ divide? What do others' do to the gradient?": Either(
            [both.mean(), only_student.mean(), both, only_student]
        ),
        "this divides nobody's logits by τ.": loss(STUDENT, LOGITS).mean(),
        "the paper has no factor τ² or 1/τ: only the teacher's logits are divided.": Either(
            [right.mean() * 0.25, right.mean() / 0.25, right.mean() * 0.5, right.mean() / 0.5, both.mean() * 0.25]
        ),
        "average over the examples: one number.": Either([right, right.sum()]),
        "average over the examples, not over the classes too.": right.mean() / 3,
        "student and teacher are swapped: the teacher's probabilities weight the student's logs.": Either(
            [loss(LOGITS / 0.5, STUDENT).mean(), loss(LOGITS, STUDENT / 0.5).mean()]
        ),
    }
    check(
        "cold_loss",
        function,
        [
            Case({"student_logits": STUDENT, "teacher_logits": LOGITS, "temperature": 0.5}, right.mean(), mistakes),
            Case(
                {"student_logits": STUDENT, "teacher_logits": LOGITS, "temperature": 1e-4},
                -np.log(_softmax(STUDENT))[np.arange(2), LOGITS.argmax(axis=1)].mean(),
            ),
        ],
        hint="compare it with the formula term by term: p_T = softmax(f_T / τ), and p_S = softmax(f_S), without τ.",
        success="the temperature is the teacher's alone.",
    )


def sign_test(function: Callable) -> None:
    """Check `function(a, b)`: steps of paired runs (n,), np.inf for never → the two-sided p-value of the sign test."""
    never = np.inf
    a = np.array([3.0, 5.0, 2.0, 8.0, 4.0, 6.0])
    b = np.array([9.0, 7.0, 9.0, 7.0, 9.0, 8.0])  # a is smaller in five of six
    one_sided = 7 / 64
    mistakes = {
        "this is one-sided: a hypothesis that could have failed either way counts both ends.": one_sided,
        "count results at least as extreme, not only the one that was found.": Either([6 / 64, 12 / 64]),
        "at least as extreme includes the result itself.": Either([1 / 64, 2 / 64]),
        "this is the share of pairs in which a is smaller, not a p-value.": 5 / 6,
        "this is the number of pairs.": Either([5, 1]),
    }
    tied = {
        "a tie says nothing about who is faster: leave such pairs out.": Either(
            [2 * 6 / 32, 2 * 1 / 32, 2 * 16 / 32, 22 / 64, 14 / 64, 2 / 64]
        )
    }
    check(
        "sign_test",
        function,
        [
            Case({"a": a, "b": b}, 14 / 64, mistakes),
            Case({"a": b, "b": a}, 14 / 64, {"it must not matter who is named first.": Either([126 / 64, 63 / 64])}),
            Case({"a": np.array([1.0, 2, 3, 4, never]), "b": np.array([2.0, 3, 4, 5, never])}, 2 / 16, tied),
            Case({"a": np.array([1.0, 2, 3]), "b": np.array([never, never, never])}, 2 / 8),
            Case(
                {"a": np.array([1.0, 4.0]), "b": np.array([2.0, 3.0])},
                1.0,
                {"a probability is at most 1.": Either([1.5, 3 / 2])},
            ),
        ],
        hint="leave out ties; n pairs are left, and m is the smaller of the two counts. Under chance each pair is a "
        "fair coin: p = 2·Σ_{i ≤ m} C(n, i) / 2ⁿ, and at most 1.",
        success="and it uses of the runs only who was faster, so a run that never ended can be counted.",
    )
