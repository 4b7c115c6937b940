"""The contract `Teachable`: what a teacher's checkpoints offer to supervision, schedules and probes."""

from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from pdtutor.models.model import Model
from pdtutor.tasks.task import Task
from pdtutor.validate import instance


@runtime_checkable
class Teachable(Protocol):
    """The checkpoints of one model, each found by its step.

    Any class with these members is one; pdtutor's own are `Trajectory`, for its runs, and `ForeignTrajectory`, for
    teachers from elsewhere. A model may have several copies: networks of one shape that trained side by side, each with
    its own seed.

    Attributes:
        path: the folder of the checkpoints, or a name for messages.
        steps: the steps that have a checkpoint, ascending.
        final: the last of these steps.
        seeds: one seed per copy of the model.
        digest: a short fingerprint of the checkpoints. A resumed run refuses a teacher with another one.
    """

    @property
    def path(self) -> Path | str: ...

    @property
    def steps(self) -> tuple[int, ...]: ...

    @property
    def final(self) -> int: ...

    @property
    def seeds(self) -> list[int]: ...

    @property
    def digest(self) -> str: ...

    def at(self, step: int) -> Model:
        """Return the model of exactly this step, in eval mode on the CPU. Raises ValueError for any other step."""
        ...

    def nearest(self, step: int) -> int:
        """Return the step closest to `step` that has a checkpoint, the earlier one on a tie."""
        ...

    def copy(self, number: int) -> Self:
        """Return the same checkpoints with only this copy of the model, counted from 0.

        Raises ValueError if there is no such copy.
        """
        ...

    def of(self, seed: int) -> Self:
        """Return the same checkpoints with only the copy of this seed.

        Raises ValueError unless exactly one copy has it.
        """
        ...

    def prefetch(self, step: int) -> None:
        """Prepare for a coming `at(step)`, for example by reading its checkpoint in the background; return at once.

        To do nothing is allowed.
        """
        ...


@runtime_checkable
class RecordsTask(Protocol):
    """Checkpoints that record which task their model was trained on, as a `Trajectory` does."""

    def require_task(self, task: Task) -> None:
        """Raise ValueError, naming what differs, for another task than the one recorded."""
        ...


def a_trajectory(name: str, given: object) -> Teachable:
    """Return the object. Raises ValueError unless it offers a teacher's checkpoints."""
    return instance(name, given, Teachable, "a teacher's checkpoints, such as Trajectory(path) or a run's trajectory")


def nearest(steps: tuple[int, ...], step: float) -> int:
    """Return which of the steps is closest to `step`, the earlier one on a tie."""
    return min(steps, key=lambda saved: (abs(saved - step), saved))
