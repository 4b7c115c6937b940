"""Which checkpoint teaches at which student step (paper section 2).

A schedule knows nothing of a particular run. Given the steps a teacher saved and the number of student updates,
`stages` turns it into a list of (first student step, teacher step), and complains if the trajectory can't serve it.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.validate import number, whole

FINAL = "final"  # stands for the teacher's last checkpoint, whatever its step

Stages = list[tuple[int, int]]


class Schedule:
    """What all schedules share: the check against saved steps, and the table."""

    adaptive = False  # True if the student's progress, not its step, moves the schedule on

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates. Raises ValueError."""
        raise NotImplementedError

    def following(self, saved: Sequence[int], entered: int, accuracies: Sequence[float]) -> int | None:
        """Return the teacher step that takes over now because of how the student does, None if nothing changes.

        Args:
            saved: the steps that the teacher saved.
            entered: how many stages the student has entered.
            accuracies: its held-out accuracies in the stage under way, in order.
        """
        return None

    def table(self, trajectory: Teachable, *, steps: int) -> pd.DataFrame:
        """Return the stages as a table: student_step (first update of the stage), teacher_step."""
        return pd.DataFrame(self.stages(trajectory.steps, steps), columns=["student_step", "teacher_step"])


@dataclass(frozen=True)
class OneShot(Schedule):
    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        return [(0, _find(saved, FINAL))]


@dataclass(frozen=True)
class Progressive(Schedule):
    every: int
    speed: float = 1.0
    first: int = 0

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ValueError(f"speed must be greater than 0, got {self.speed}")

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        stages: Stages = []
        for interval, start in enumerate(range(0, steps, self.every)):
            if self.speed >= 1:
                target = self.speed * self.every * (1 + interval)
            else:
                target = (1 + int(self.speed * interval)) * self.every
            teacher = _latest(saved, max(target, self.first))
            if not stages or stages[-1][1] != teacher:
                stages.append((start, teacher))
        return stages


@dataclass(frozen=True)
class NShot(Schedule):
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
                raise ValueError(f"{count} different checkpoints were asked for; saved are {_name(saved)}")
        return [(start, _find(saved, step)) for start, step in zip(range(0, steps, self.each), chosen, strict=False)]


@dataclass(frozen=True)
class Explicit(Schedule):
    pairs: tuple[tuple[int, int | str], ...]

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.pairs]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError(f"student steps must start at 0 and increase, got {starts}")

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        return [(start, _find(saved, step)) for start, step in self.pairs if start < steps]


@dataclass(frozen=True)
class OnPlateau(Schedule):
    checkpoints: tuple[int | str, ...]
    patience: int = 3
    min_delta: float = 0.005

    adaptive = True

    def __post_init__(self) -> None:
        number("min_delta", self.min_delta, minimum=0)
        if not self.checkpoints:
            raise ValueError("checkpoints must name at least one step, got none")

    def ladder(self, saved: Sequence[int]) -> list[int]:
        """Return the teacher steps in the order in which they will teach. Raises ValueError."""
        return [_find(saved, step) for step in self.checkpoints]

    def stages(self, saved: Sequence[int], steps: int) -> Stages:
        """Return the first stage only: the later ones depend on the student."""
        return [(0, self.ladder(saved)[0])]

    def following(self, saved: Sequence[int], entered: int, accuracies: Sequence[float]) -> int | None:
        ladder = self.ladder(saved)
        return ladder[entered] if entered < len(ladder) and self.plateaued(accuracies) else None

    def plateaued(self, accuracies: Sequence[float]) -> bool:
        """Return whether the last `patience` accuracies, all under one teacher, brought no gain over those before."""
        if len(accuracies) <= self.patience:
            return False
        recent, earlier = accuracies[-self.patience :], accuracies[: -self.patience]
        return max(recent) < max(earlier) + self.min_delta


def one_shot() -> Schedule:
    """Return the schedule in which the teacher is its final checkpoint, always."""
    return OneShot()


def progressive(every: int, *, speed: float = 1.0, first: int = 0) -> Schedule:
    """Return the paper's schedule: at student step s the teacher is the checkpoint at v·R·(1 + ⌊s/R⌋).

    R is `every` and v is `speed`; for v < 1 it is (1 + ⌊v·⌊s/R⌋⌋)·R. So the teacher is one interval ahead of the
    student. Where that step was not saved the latest saved one before it teaches, and past the end the final one.
    The untrained step 0 never teaches, and with `first` nothing before that step does: until the rule has come there,
    it is the checkpoint at `first` that teaches.

    Raises ValueError for every < 1, speed ≤ 0 or first < 0, and, once it meets a trajectory, if nothing was saved early
    enough.
    """
    return Progressive(whole("every", every), number("speed", speed), whole("first", first, minimum=0))


def n_shot(checkpoints: int | Sequence[int | str], *, each: int) -> Schedule:
    """Return (N,T)-progressive distillation: N checkpoints, T = `each` student updates each, the last to the end.

    `checkpoints` is N, for evenly spaced ones that end with the final, or their steps, where FINAL names the last:
    `n_shot([10_000, FINAL], each=5_000)` is the paper's (2,T) with C₁ at step 10 000. Raises ValueError for N or T < 1
    and, once it meets a trajectory, for a step that was not saved.
    """
    if isinstance(checkpoints, int):
        return NShot(whole("checkpoints", checkpoints), whole("each", each))
    return NShot(tuple(_step(step) for step in checkpoints), whole("each", each))


def explicit(pairs: Sequence[tuple[int, int | str]]) -> Schedule:
    """Return the schedule given by [(first student step, teacher step), …]; FINAL names the last checkpoint.

    Raises ValueError if student steps don't start at 0 and increase and, once it meets a trajectory, for a teacher
    step that was not saved.
    """
    return Explicit(tuple((whole("student step", start, minimum=0), _step(step)) for start, step in pairs))


def on_plateau(checkpoints: Sequence[int | str], *, patience: int = 3, min_delta: float = 0.005) -> Schedule:
    """Return the schedule that moves to the next checkpoint when the student stops improving.

    At each evaluation: if the best held-out accuracy of the last `patience` evaluations under the current teacher is
    less than `min_delta` above the best before them, the next checkpoint of the list takes over. The last stays.
    """
    return OnPlateau(tuple(_step(step) for step in checkpoints), whole("patience", patience), min_delta)


@dataclass(frozen=True)
class Anneal:
    """A number that moves linearly from `start` to `stop` over the first `steps` student updates and then stays.

    For α or the temperature of `Distill`.
    """

    start: float
    stop: float
    steps: int

    def __post_init__(self) -> None:
        whole("steps", self.steps)

    def at(self, step: int) -> float:
        """Return the value at this student step."""
        return self.start + (self.stop - self.start) * min(step / self.steps, 1.0)


def value_at(setting: float | Anneal, step: int) -> float:
    """Return a setting's value at a student step."""
    return setting.at(step) if isinstance(setting, Anneal) else setting


def ends(setting: float | Anneal) -> tuple[float, ...]:
    """Return the values between which a setting lies: the first and the last, or its only one."""
    return (setting.start, setting.stop) if isinstance(setting, Anneal) else (setting,)


def _step(step: int | str) -> int | str:
    """Return a plain int for any whole number (steps often come out of a data frame), FINAL as it is."""
    return step if step == FINAL else whole("a teacher's step", step, minimum=0)


def _find(saved: Sequence[int], step: int | str) -> int:
    """Return the saved step that is asked for by number or as FINAL, or raise ValueError."""
    if not saved:
        raise ValueError("the teacher's trajectory is empty: no checkpoint was saved")
    if step == FINAL:
        return saved[-1]
    if step not in saved:
        raise ValueError(f"the schedule needs the teacher's checkpoint at step {step!r}; saved are {_name(saved)}")
    return int(step)


def _latest(saved: Sequence[int], target: float) -> int:
    """Return the latest saved step not after target, never the untrained step 0, or raise ValueError."""
    _find(saved, FINAL)
    place = bisect.bisect_right(saved, target)
    if place == 0 or saved[place - 1] == 0:
        raise ValueError(f"the schedule needs a teacher's checkpoint in steps 1…{target:g}; saved are {_name(saved)}")
    return saved[place - 1]


def _name(saved: Sequence[int]) -> str:
    steps = [str(step) for step in saved]
    return ", ".join(steps if len(steps) <= 8 else [*steps[:4], "…", *steps[-3:]])
