"""What can teach: the contract between checkpoints, whoever made them, and supervision, schedules and probes."""

from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from pdtutor.models.model import Model


@runtime_checkable
class Teachable(Protocol):
    """The checkpoints of one model, by step: a run's own (`Trajectory`), or others' (`ForeignTrajectory`).

    Attributes:
        path: where they are, or a name to print.
        steps: their steps, ascending.
        final: the last of them.
        seeds: one per copy of the model.
        digest: a short fingerprint of what teaches, which a resumed run must agree with.
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
        """Return the same checkpoints seen through one copy of the model. Raises ValueError for a copy there isn't."""
        ...

    def of(self, seed: int) -> Self:
        """Return the same checkpoints seen through the one copy of this seed. Raises ValueError without one."""
        ...

    def prefetch(self, step: int) -> None:
        """Be told that `at(step)` will be asked for soon; returns at once."""
        ...


def nearest(steps: tuple[int, ...], step: int) -> int:
    """Return which of the steps is closest to `step`, the earlier one on a tie."""
    return min(steps, key=lambda saved: (abs(saved - step), saved))
