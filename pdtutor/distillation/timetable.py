"""Which teacher is in force at which student step, for every copy of a student."""

from collections.abc import Sequence

from pdtutor.distillation.schedule import Stages
from pdtutor.distillation.supervision import Supervision


class Timetable:
    """The stages of every copy's supervision.

    Raises ValueError at once if a schedule asks for a checkpoint that its trajectory doesn't have.

    Attributes:
        stages: per copy, [(first student step, teacher step), …]; of adaptive schedules those entered so far.
    """

    def __init__(self, supervision: Sequence[Supervision], steps: int) -> None:
        self._supervision = supervision
        self.stages: list[Stages] = [s.stages(steps) for s in supervision]

    def in_force(self, step: int) -> list[int | None]:
        """Return, per copy, the teacher step that supervises this student step; None for labels."""
        return [next((teacher for start, teacher in reversed(stages) if start <= step), None) for stages in self.stages]

    def next_switch(self, step: int, stop: int) -> int:
        """Return the first student step in (step, stop) at which any copy changes its teacher, else stop."""
        return min([start for stages in self.stages for start, _ in stages if step < start < stop], default=stop)

    def coming(self, step: int) -> list[tuple[int, int, int]]:
        """Return the switches after this student step, the next one first: (student step, teacher step, copy)."""
        stages = [(*stage, copy) for copy, of_copy in enumerate(self.stages) for stage in of_copy]
        return sorted(stage for stage in stages if stage[0] > step)

    def observe(self, step: int, history: Sequence[dict]) -> None:
        """Let adaptive schedules look at the rows of history up to this step, and switch from this step on."""
        for copy, (supervision, stages) in enumerate(zip(self._supervision, self.stages, strict=True)):
            if not supervision.adaptive:
                continue
            seen = [row["accuracy"] for row in history if row["copy"] == copy and row["step"] > stages[-1][0]]
            teacher = supervision.following(len(stages), seen)
            if teacher is not None:
                stages.append((step, teacher))
