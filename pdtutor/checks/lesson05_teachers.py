"""Checkers for the exercises of lesson 5 about teachers: which of their checkpoints is C₁, and which teaches when.

Expected answers are computed here in plain numpy, without `pdtutor.probes` and `pdtutor.distillation`, so that each can
catch a mistake in the other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pdtutor.checks.core import Case, Either, check
from pdtutor.checks.ngrams import MASK, masked, predict, tv, wrong_distances


def m_close(function: Callable) -> None:
    """Check `function(predict, ids, i, n, mask)` → ½‖p − q‖₁ of two predictions at position i.

    p is made with only i masked; q with everything outside the n-gram centred on i masked, and i as well. The n-gram
    fits into the sentence. `predict` maps ids (length,) to probabilities (length, classes).
    """
    ids, i, n = np.array([3, 2, 2, 1, 1, 0, 0, 0, 0]), 4, 3
    places = np.arange(len(ids))
    window = places[i - 1 : i + 2]
    outside = np.setdiff1d(places, window)
    first, second = predict(masked(ids, [i])), predict(masked(ids, [*outside, i]))  # (length, classes)

    def seeing(visible: Iterable[int]) -> float:
        """Return the answer of a function whose q sees only these positions."""
        return tv(first[i], predict(masked(ids, np.setdiff1d(places, list(visible))))[i])

    centred = "the window is centred on i: it goes from i − n//2 to i + n//2."
    mistakes = {
        "p is the prediction with i masked; here it still sees token i.": tv(predict(ids)[i], second[i]),
        "i is masked in q, too; here q still sees token i, which is what is to be predicted.": seeing(window),
        "neither p nor q may see token i: mask it in both.": tv(predict(ids)[i], predict(masked(ids, outside))[i]),
        "this is M_robust, which masks the window. M_close masks everything outside of it, and i.": Either(
            [seeing(outside), seeing([*outside, i])]
        ),
        "everything is masked in q; the window's tokens other than i stay visible.": seeing([]),
        "mask the tokens on both sides of the window, not only those before it.": seeing({*places[i - 1 :]} - {i}),
        "mask the tokens on both sides of the window, not only those after it.": seeing({*places[: i + 2]} - {i}),
        "n is the size of the window, not how far it reaches: it goes from i − n//2 to i + n//2.": seeing(
            {*places[i - n : i + n + 1]} - {i}
        ),
        f"{centred} Yours begins at i.": seeing(places[i + 1 : i + n]),
        f"{centred} Yours ends at i.": seeing(places[i - n + 1 : i]),
        "the window's last token is masked: a slice ends before its end, so it is i − n//2 : i + n//2 + 1.": seeing(
            [i - 1]
        ),
        "the window's first token is masked: it begins at i − n//2.": seeing([i + 1]),
        **wrong_distances(first, second, i),
    }
    edge = np.array([1, 2, 0, 3, 1, 2])
    three = "the window has n ids, here 5; yours has 3, whatever n is."
    fixed = "this task's mask is another id: use the argument `mask`."
    alone = "with n = 1 the window is i alone, which is masked, so q sees nothing at all; it is not p."
    check(
        "m_close",
        function,
        [
            _window(ids, i, n, MASK, mistakes),
            _window(edge, 3, 5, MASK, {three: _closeness(edge, 3, 3, MASK)}),
            _window(edge, 1, 3, 4, {fixed: _closeness(edge, 1, 3, MASK)}),
            _window(edge, 2, 1, MASK, {alone: 0.0}),
        ],
        hint="mask i in one copy of ids; in another, mask everything, then put back the ids i − n//2 … i + n//2, but "
        "not that of i; predict from both, and return half the sum of the absolute differences between their rows i.",
        success="pdtutor.ngram_closeness measures it over sentences and positions; there, special ids stay visible.",
        untouched="ids belongs to the caller: mask a copy, ids.copy().",
    )


def closest_checkpoint(function: Callable) -> None:
    """Check `function(steps, robust, close)`: a teacher's steps, median M_robust(3) and M_close(3), all (n,) → C₁.

    C₁ is the step with the smallest `close`, among the steps from the first one on at which `robust` is at least half
    of its largest value.
    """
    steps = np.array([0, 50, 100, 150, 200, 250, 300, 400, 600, 800])
    robust = np.array([0.0, 0.01, 0.05, 0.18, 0.26, 0.3, 0.2, 0.12, 0.04, 0.06])
    close = np.array([0.002, 0.004, 0.06, 0.2, 0.16, 0.13, 0.11, 0.08, 0.24, 0.18])
    mistakes = {
        "this is the smallest M_close of all. On the teacher's plateau masking moves no prediction, and M_close is "
        "small for that reason: look only from where M_robust has come half way.": 0,
        "this is where M_robust has come half way; from there on, find the smallest M_close.": 150,
        "this is where M_robust is largest; it only says from where on to look at M_close.": 250,
        "look at all steps from the half-way point on, also where M_robust has fallen again.": 300,
        "this is the index of C₁; return its step.": 7,
        "this is the index of C₁ among the steps that are left; return its step.": 4,
        "this index counts from the half-way point, not from the first step: steps[first + index].": 200,
        "this is where M_close is largest; the n-gram explains the prediction where it is smallest.": 600,
        "this is the last step: M_close is small where 3-grams explain the predictions, which is earlier.": 800,
        "this is a value of M_close; return the step at which it is found.": 0.08,
        "this is where predictions begin to lean on 3-grams, below half of the largest M_robust.": Either([50, 100]),
    }
    early = [0.0, 0.02, 0.2, 0.3, 0.4, 0.3], [0.01, 0.03, 0.12, 0.05, 0.09, 0.2]
    equal = [0.0, 0.1, 0.2, 0.4, 0.1, 0.1], [0.0, 0.01, 0.05, 0.3, 0.2, 0.1]
    short = np.array([0, 20, 40, 60, 80, 100])
    check(
        "closest_checkpoint",
        function,
        [
            _curriculum(steps, robust, close, 400, mistakes),
            _curriculum(
                short,
                *early,
                60,
                {"look from where M_robust has come half way, not only from where it is largest.": 80},
            ),
            _curriculum(
                short,
                *equal,
                40,
                {"at least half: the step with just half of the largest M_robust counts, too.": Either([100, 60])},
            ),
            _curriculum(
                2 * short + 10,
                [0.0, 0.47, 0.9, 0.5, 0.4, 0.4],
                [0.01, 0.3, 0.7, 0.5, 0.65, 0.55],
                50,
                {"half of the largest M_robust, not of 1: here the largest is 0.9.": 130},
            ),
        ],
        hint="find the first index with robust >= robust.max() / 2, then the smallest close from there on; return the "
        "step at that index.",
        success="the recipes on text take this checkpoint for (2,T).",
        untouched="the arrays belong to the caller: work on a copy, as in close[first:].min().",
    )


def progressive_stages(function: Callable) -> None:
    """Check `function(every, speed, saved, steps)` → the stages of progressive distillation with speed v.

    R is `every`, and `saved` lists the teacher's steps, ascending, 0 first. At the student's step s, 0 … steps − 1, the
    latest saved checkpoint teaches that is not after v·R·(1 + ⌊s/R⌋) for v ≥ 1, or (1 + ⌊v·⌊s/R⌋⌋)·R for v < 1; one is
    saved between 1 and there. A stage is a pair (first student step, teacher step); there is one for every change.
    """
    ahead = "the teacher is one interval ahead: 1 + ⌊s/R⌋. At s = 0 that is 1, and the untrained step 0 never teaches."
    merge = "begin a stage only where the teacher changes: this has one for every interval."
    last = "the last interval is missing: the student's steps end at steps − 1, wherever its intervals end."
    faster = "for v ≥ 1 the rule is v·R·(1 + ⌊s/R⌋)."
    slower = "for v < 1 the rule is (1 + ⌊v·⌊s/R⌋⌋)·R."
    cases = [
        (100, 1.0, [0, 50, 100, 260, 350, 400, 500], 400),
        (100, 1.5, list(range(0, 1050, 50)), 450),
        (100, 0.4, list(range(0, 450, 50)), 650),
        (50, 3.0, [0, 100, 200], 200),
        (100, 2.0, [0, 100, 200, 300], 60),
    ]
    given: list[dict[str, Any]] = [dict(zip(("every", "speed", "saved", "steps"), case, strict=True)) for case in cases]

    def stages(number: int, target: Callable[[int], float], **changes: Any) -> list[tuple[int, int]]:
        """Return the answer to a case if `target` maps ⌊s/R⌋ to the step that is looked for."""
        return _stages(*cases[number], target, **changes)

    right = [
        stages(0, lambda k: 100 * (1 + k)),
        stages(1, lambda k: 150 * (1 + k)),
        stages(2, lambda k: 100 * (1 + k * 2 // 5)),
        stages(3, lambda k: 150 * (1 + k)),
        stages(4, lambda k: 200 * (1 + k)),
    ]
    saved, by_step = np.array(cases[0][2]), [100] * 200 + [260] * 100 + [400] * 100
    first: Mapping[str, Any] = {
        merge: stages(0, lambda k: 100 * (1 + k), merge=False),
        ahead: Either([stages(0, lambda k: 100 * k), stages(0, lambda k: 100 * k, untrained=False)]),
        "the teacher is one interval ahead of the student, not two.": stages(0, lambda k: 100 * (2 + k)),
        last: stages(0, lambda k: 100 * (1 + k), intervals=3),
        "there is an interval too many: the student's last step is steps − 1.": stages(
            0, lambda k: 100 * (1 + k), intervals=5
        ),
        "the latest saved checkpoint at or before the target teaches: one that is saved just there counts.": stages(
            0, lambda k: 100 * (1 + k) - 1
        ),
        "not after the target: take the latest saved checkpoint at or before it, not the nearest.": stages(
            0, lambda k: saved[np.abs(saved - 100 * (1 + k)).argmin()]
        ),
        "not after the target: take the latest saved checkpoint at or before it, not the next one.": stages(
            0, lambda k: saved[saved >= 100 * (1 + k)][0]
        ),
        "not all of these steps were saved: take the latest saved checkpoint at or before the target.": [
            (100 * k, 100 * (1 + k)) for k in range(4)
        ],
        "a pair is (first student step, teacher step): yours are swapped.": [(t, s) for s, t in right[0]],
        "a stage begins at a step of the student, R·⌊s/R⌋; here it is the number of the interval.": [
            (s // 100, t) for s, t in right[0]
        ],
        "this is the teacher of every step or interval; return pairs, (first student step, teacher step).": Either(
            [[100, 100, 260, 400], [100, 260, 400], by_step]
        ),
        "begin a stage only where the teacher changes: this has one for every step.": [
            (s, t) for s, t in enumerate(by_step)
        ],
        "this is one-shot distillation, where the final checkpoint teaches from the start.": [(0, 500)],
    }
    fast: Mapping[str, Any] = {
        f"the speed is missing: {faster}": stages(1, lambda k: 100 * (1 + k)),
        f"this is the rule for v < 1; {faster}": stages(1, lambda k: 100 * (1 + int(1.5 * k))),
        f"the speed is a factor of the whole, also of the 1: {faster}": stages(1, lambda k: 100 * (1 + 1.5 * k)),
        f"nothing is rounded but s/R: {faster}": stages(1, lambda k: 100 * int(1.5 * (1 + k))),
        ahead: Either([stages(1, lambda k: 150 * k), stages(1, lambda k: 150 * k, untrained=False)]),
        last: stages(1, lambda k: 150 * (1 + k), intervals=4),
        "round s/R down first: the teacher changes only at multiples of R.": _by_step(
            *cases[1], lambda s: 1.5 * (100 + s)
        ),
        merge: stages(1, lambda k: 150 * (1 + k), merge=False),
    }
    slow: Mapping[str, Any] = {
        f"this is the rule for v ≥ 1; {slower}": Either(
            [stages(2, lambda k: 40 * (1 + k)), stages(2, lambda k: 40 * (1 + k), untrained=False)]
        ),
        f"round v·⌊s/R⌋ down before you add 1: {slower}": stages(2, lambda k: 100 * (1 + 0.4 * k)),
        f"round down, not to the nearest whole number: {slower}": stages(2, lambda k: 100 * (1 + round(0.4 * k))),
        f"round down, not up: {slower}": stages(2, lambda k: 100 * (1 + -(-k * 2 // 5))),
        f"add 1 after you have multiplied by v and rounded down: {slower}": Either(
            [
                stages(2, lambda k: 100 * ((1 + k) * 2 // 5)),
                stages(2, lambda k: 100 * ((1 + k) * 2 // 5), untrained=False),
                stages(2, lambda k: 100 * max(1, (1 + k) * 2 // 5)),
            ]
        ),
        ahead: Either(
            [stages(2, lambda k: 100 * (k * 2 // 5)), stages(2, lambda k: 100 * (k * 2 // 5), untrained=False)]
        ),
        "round s/R down first: the teacher changes only at multiples of R.": _by_step(
            *cases[2], lambda s: 100 * (1 + s * 2 // 500)
        ),
        f"the speed is missing: {slower}": stages(2, lambda k: 100 * (1 + k)),
        last: stages(2, lambda k: 100 * (1 + k * 2 // 5), intervals=5),
        merge: stages(2, lambda k: 100 * (1 + k * 2 // 5), merge=False),
    }
    late: Mapping[str, Any] = {
        "past the teacher's last checkpoint, that one stays: it is the latest saved one, and nothing changes.": Either(
            [stages(3, lambda k: 150 * (1 + k), merge=False), [(0, 100)], [(0, 150), (50, 200)]]
        ),
    }
    none: Mapping[str, Any] = {last: np.zeros((0,))}
    check(
        "progressive_stages",
        function,
        [
            Case(of, answer, mistakes)
            for of, answer, mistakes in zip(given, right, (first, fast, slow, late, none), strict=True)
        ],
        hint="go through the intervals, range(0, steps, every); the k-th looks for v·R·(1 + k), or (1 + ⌊v·k⌋)·R if "
        "v < 1. Take the latest saved step that is not after it, and append a pair if the teacher is a new one.",
        success="this is pdtutor.progressive(every, speed=v).stages(saved, steps).",
    )


def _closeness(ids: np.ndarray, i: int, n: int, mask: int) -> float:
    """Return the right answer of `m_close` for the predictions of `predict`."""
    away = np.abs(np.arange(len(ids)) - i)
    hidden = np.flatnonzero((away > n // 2) | (away == 0))
    return tv(predict(masked(ids, [i], mask))[i], predict(masked(ids, hidden, mask))[i])


def _window(ids: np.ndarray, i: int, n: int, mask: int, mistakes: Mapping) -> Case:
    """Return a case of `m_close`."""
    given = {"predict": predict, "ids": ids, "i": i, "n": n, "mask": mask}
    return Case(given, _closeness(ids, i, n, mask), mistakes)


def _curriculum(steps: np.ndarray, robust: Any, close: Any, expected: int, mistakes: Mapping) -> Case:
    """Return a case of `closest_checkpoint`."""
    return Case({"steps": steps, "robust": np.array(robust), "close": np.array(close)}, expected, mistakes)


def _stages(
    every: int,
    speed: float,
    saved: Sequence[int],
    steps: int,
    target: Callable[[int], float],
    *,
    merge: bool = True,
    intervals: int | None = None,
    untrained: bool = True,
) -> list[tuple[int, int]]:
    """Return [(first student step, teacher step), …], where `target` maps ⌊s/R⌋ to the step that is looked for.

    Args:
        every, speed, saved, steps: the arguments of a case.
        target: the rule, or a wrong one.
        merge: have one stage for every change of teacher; if False, for every interval.
        intervals: how many there are; as many as begin within the student's steps if not given.
        untrained: let step 0 teach where the rule says so; if False, the first trained checkpoint does.
    """
    found: list[tuple[int, int]] = []
    for k in range(-(-steps // every) if intervals is None else intervals):
        teacher = max(step for step in saved if step <= max(target(k), 0 if untrained else saved[1]))
        if not merge or not found or found[-1][1] != teacher:
            found.append((k * every, teacher))
    return found


def _by_step(
    every: int, speed: float, saved: Sequence[int], steps: int, target: Callable[[int], float]
) -> list[tuple[int, int]]:
    """Return the stages of a rule that maps the student's step s, rather than ⌊s/R⌋, to the step looked for."""
    return _stages(1, speed, saved, steps, target)
