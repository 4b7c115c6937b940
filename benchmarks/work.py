"""A row of the table of speeds."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """A row of the table: ratio = rate of ours / rate of the baseline.

    Attributes:
        name: what is done, and in brackets what is counted per second.
        baseline, ours: do so many updates.
        baseline_units, ours_units: what one update counts for.
        target: the ratio that the project claims to reach; None if it claims none.
        baseline_trainings: how many runs the baseline makes one after the other. It is timed for that many times as
            long, so that what a run costs once weighs the same on both sides.
        counted: does the baseline's updates in operations that torch can count, if the baseline itself does not.
    """

    name: str
    baseline: Callable[[int], object]
    ours: Callable[[int], object]
    baseline_units: int
    ours_units: int
    target: float | None
    baseline_trainings: int = 1
    counted: Callable[[int], object] | None = None
