"""Schedules: which of a teacher's checkpoints teaches at which student step (paper section 2).

A schedule is not tied to one teacher. Given the steps that a teacher saved and the number of student updates, `stages`
returns a list of (first student step, teacher step), or raises ValueError if a checkpoint that it needs was not saved.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.validate import number, sequence, several, shown, whole

FINAL = "final"  # stands for the step of the teacher's last checkpoint

Stages = list[tuple[int, int]]  # (first student step, teacher step), in order


class Schedule:
    """The base class of all schedules."""

    adaptive = False  # True if the student's progress, rather than its step, decides when the next stage begins

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates.

        Args:
            saved: the steps that the teacher saved, ascending.
            steps: number of student updates.

        Raises ValueError if a checkpoint that the schedule needs was not saved.
        """
        raise NotImplementedError

    def following(self, saved: Sequence[int], entered: int, accuracies: Sequence[float]) -> int | None:
        """Return the teacher step that takes over now because of the student's progress, or None if nothing changes.

        Args:
            saved: the steps that the teacher saved, ascending.
            entered: how many stages the student has entered.
            accuracies: its held-out accuracies since the current stage began, in order.
        """
        return None

    def table(self, trajectory: Teachable, *, steps: int) -> pd.DataFrame:
        """Return the stages as a table, a row per stage: student_step (its first update), teacher_step."""
        return pd.DataFrame(self.stages(trajectory.steps, steps), columns=["student_step", "teacher_step"])


@dataclass(frozen=True)
class OneShot(Schedule):
    """The schedule that `one_shot` returns."""

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        return [(0, _find(saved, FINAL))]


@dataclass(frozen=True)
class Progressive(Schedule):
    """The schedule that `progressive` returns."""

    every: int
    speed: float = 1.0
    first: int = 0

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ValueError(f"speed must be greater than 0, got {self.speed}")

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        stages: Stages = []
        for interval, start in enumerate(range(0, steps, self.every)):
            if self.speed >= 1:  # rounded, because 4/3 · 400 · 3 would come out a little less than 1600
                target = round(self.speed * self.every * (1 + interval), 6)
            else:
                target = (1 + int(round(self.speed * interval, 6))) * self.every
            teacher = _latest(saved, max(target, self.first))
            if not stages or stages[-1][1] != teacher:
                stages.append((start, teacher))
        return stages


@dataclass(frozen=True)
class NShot(Schedule):
    """The schedule that `n_shot` returns."""

    checkpoints: int | tuple[int | str, ...]
    each: int

    def __post_init__(self) -> None:
        if self.checkpoints == ():
            raise ValueError("checkpoints must be a number or name at least one step, got none")

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        chosen = self.checkpoints
        if isinstance(chosen, int):
            final, count = _find(saved, FINAL), chosen
            chosen = [_latest(saved, final * (i + 1) / count) for i in range(count)]
            if len(set(chosen)) < len(chosen):
                raise ValueError(
                    f"{count} different checkpoints were asked for, evenly spaced; too few are saved: {_name(saved)}"
                )
        return [(start, _find(saved, step)) for start, step in zip(range(0, steps, self.each), chosen, strict=False)]


@dataclass(frozen=True)
class Explicit(Schedule):
    """The schedule that `explicit` returns."""

    pairs: tuple[tuple[int, int | str], ...]

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.pairs]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError(f"student steps must start at 0 and increase, got {starts}")

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        return [(start, _find(saved, step)) for start, step in self.pairs if start < steps]


@dataclass(frozen=True)
class OnPlateau(Schedule):
    """The schedule that `on_plateau` returns."""

    checkpoints: tuple[int | str, ...]
    patience: int = 3
    min_delta: float = 0.005

    adaptive = True

    def __post_init__(self) -> None:
        if not self.checkpoints:
            raise ValueError("checkpoints must name at least one step, got none")

    def ladder(self, saved: Sequence[int]) -> list[int]:
        """Return the teacher steps in the order in which they teach. Raises ValueError for one that was not saved."""
        return [_find(saved, step) for step in self.checkpoints]

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        """Return the first stage only: when the others begin depends on the student."""
        return [(0, self.ladder(saved)[0])]

    def following(self, saved: Sequence[int], entered: int, accuracies: Sequence[float]) -> int | None:
        ladder = self.ladder(saved)
        return ladder[entered] if entered < len(ladder) and self.plateaued(accuracies) else None

    def plateaued(self, accuracies: Sequence[float]) -> bool:
        """Return whether the last `patience` accuracies, all under one teacher, are no better than the earlier ones.

        Better means that the best is at least `min_delta` higher.
        """
        if len(accuracies) <= self.patience:
            return False
        recent, earlier = accuracies[-self.patience :], accuracies[: -self.patience]
        return max(recent) < max(earlier) + self.min_delta


def one_shot() -> Schedule:
    """Return the schedule in which the final checkpoint teaches at every step."""
    return OneShot()


def progressive(every: int, *, speed: float = 1.0, first: int = 0) -> Schedule:
    """Return the paper's schedule: at student step s the teacher is the checkpoint at v·R·(1 + ⌊s/R⌋).

    R is `every` and v is `speed`; for v < 1 that step is (1 + ⌊v·⌊s/R⌋⌋)·R. So the teacher is one interval ahead of the
    student. If the step was not saved, the latest saved one before it teaches; past the teacher's end, that is the
    final one. The untrained checkpoint of step 0 never teaches. Until the rule reaches the step `first`, the checkpoint
    of `first` teaches, or the latest saved one before it.

    Raises ValueError for every < 1, speed ≤ 0 or first < 0 and, once it is applied to a trajectory, if no checkpoint
    was saved early enough.
    """
    return Progressive(whole("every", every), number("speed", speed), whole("first", first, minimum=0))


def n_shot(checkpoints: int | Sequence[int | str], *, each: int) -> Schedule:
    """Return the schedule of (N,T)-progressive distillation: N checkpoints, T updates each, the last one to the end.

    `n_shot([10_000, FINAL], each=5_000)` is the paper's (2,T), with C₁ at step 10 000.

    Args:
        checkpoints: N, for evenly spaced checkpoints of which the last is the final one; or the checkpoints' steps,
            where FINAL stands for the last.
        each: T, in student updates.

    Raises ValueError for N or T < 1 and, once it is applied to a trajectory, for a step that was not saved, or for
    fewer than N different checkpoints.
    """
    steps = several(checkpoints)
    chosen = whole("checkpoints", checkpoints) if steps is None else tuple(_step(step) for step in steps)
    return NShot(chosen, whole("each", each))


def explicit(pairs: Sequence[tuple[int, int | str]]) -> Schedule:
    """Return the schedule with these stages, [(first student step, teacher step), …]; FINAL is the last checkpoint.

    Raises ValueError if the student steps don't start at 0 and increase and, once it is applied to a trajectory, for a
    teacher step that was not saved.
    """
    stages = [sequence("each of pairs", pair) for pair in sequence("pairs", pairs)]
    for stage in stages:
        if len(stage) != 2:
            raise ValueError(f"pairs must hold pairs (first student step, teacher step), got {shown(stage)}")
    return Explicit(tuple((whole("student step", start, minimum=0), _step(step)) for start, step in stages))


def on_plateau(checkpoints: Sequence[int | str], *, patience: int = 3, min_delta: float = 0.005) -> Schedule:
    """Return the schedule that moves on to the next checkpoint when the student stops improving.

    At each evaluation, it compares the last `patience` held-out accuracies under the current teacher with the earlier
    ones under that teacher. If their best is less than `min_delta` above the earlier best, the next checkpoint of the
    list takes over. The last one teaches to the end.

    Raises ValueError for no checkpoints, patience < 1 or min_delta < 0 and, once it is applied to a trajectory, for a
    step that was not saved.
    """
    ladder = tuple(_step(step) for step in sequence("checkpoints", checkpoints))
    return OnPlateau(ladder, whole("patience", patience), number("min_delta", min_delta, minimum=0))


@dataclass(frozen=True)
class Anneal:
    """A setting that moves linearly from `start` to `stop` over the first `steps` student updates, then stays there.

    For α, or for the temperature of `Distill`. Raises ValueError for steps < 1, and for numbers that are not finite.
    """

    start: float
    stop: float
    steps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", number("start", self.start))
        object.__setattr__(self, "stop", number("stop", self.stop))
        object.__setattr__(self, "steps", whole("steps", self.steps))

    def at(self, step: int) -> float:
        """Return the value at this student step."""
        return self.start + (self.stop - self.start) * min(step / self.steps, 1.0)


def value_at(setting: float | Anneal, step: int) -> float:
    """Return the value at a student step of a setting, a number or an `Anneal`."""
    return setting.at(step) if isinstance(setting, Anneal) else setting


def ends(setting: float | Anneal) -> tuple[float, ...]:
    """Return the values between which a setting lies: start and stop of an `Anneal`, or the number itself."""
    return (setting.start, setting.stop) if isinstance(setting, Anneal) else (setting,)


def _step(step: int | str) -> int | str:
    """Return FINAL as it is, and any whole number as an int: steps from a data frame are numpy's."""
    return FINAL if isinstance(step, str) and step == FINAL else whole("a teacher's step", step, minimum=0)


def _find(saved: Sequence[int], step: int | str) -> int:
    """Return the step that is asked for by number or as FINAL. Raises ValueError if it was not saved."""
    if not saved:
        raise ValueError("the teacher's trajectory is empty: no checkpoint was saved")
    if step == FINAL:
        return saved[-1]
    if step not in saved:
        raise ValueError(f"the schedule needs the teacher's checkpoint at step {step!r}; saved are {_name(saved)}")
    return int(step)


def _latest(saved: Sequence[int], target: float) -> int:
    """Return the latest saved step ≤ target, but never the untrained step 0. Raises ValueError if there is none."""
    _find(saved, FINAL)
    place = bisect.bisect_right(saved, target)
    if place == 0 or saved[place - 1] == 0:
        raise ValueError(f"the schedule needs a teacher's checkpoint in steps 1…{target:g}; saved are {_name(saved)}")
    return saved[place - 1]


def _name(saved: Sequence[int]) -> str:
    """Return the saved steps as text, shortened if there are many."""
    steps = [str(step) for step in saved]
    return ", ".join(steps if len(steps) <= 8 else [*steps[:4], "…", *steps[-3:]])
