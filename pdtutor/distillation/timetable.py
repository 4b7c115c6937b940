"""Which teacher step is in force at which student step, for every copy of a student."""

from collections.abc import Sequence

from pdtutor.distillation.schedule import Stages
from pdtutor.distillation.supervision import Supervision


class Timetable:
    """The stages of every copy's supervision.

    Args:
        supervision: one per copy of the student.
        steps: the student's updates.

    Attributes:
        stages: per copy, [(first student step, teacher step), …]; of an adaptive schedule, the stages entered so far.

    Raises ValueError at once if a schedule needs a checkpoint that its trajectory lacks.
    """

    def __init__(self, supervision: Sequence[Supervision], steps: int) -> None:
        self._supervision = supervision
        self.stages: list[Stages] = [s.stages(steps) for s in supervision]

    def in_force(self, step: int) -> list[int | None]:
        """Return, per copy, the teacher step in force at this student step; None for a copy without a teacher."""
        return [next((teacher for start, teacher in reversed(stages) if start <= step), None) for stages in self.stages]

    def next_switch(self, step: int, stop: int) -> int:
        """Return the first student step in (step, stop) at which any copy changes its teacher; stop if none does."""
        return min([start for stages in self.stages for start, _ in stages if step < start < stop], default=stop)

    def coming(self, step: int) -> list[tuple[int, int, int]]:
        """Return the switches after this student step, the next one first: (student step, teacher step, copy)."""
        stages = [(*stage, copy) for copy, of_copy in enumerate(self.stages) for stage in of_copy]
        return sorted(stage for stage in stages if stage[0] > step)

    def observe(self, step: int, history: Sequence[dict]) -> None:
        """Let adaptive schedules see the history up to this step; if one moves on, it does so from this step on."""
        for copy, (supervision, stages) in enumerate(zip(self._supervision, self.stages, strict=True)):
            if not supervision.adaptive:
                continue
            seen = [row["accuracy"] for row in history if row["copy"] == copy and row["step"] > stages[-1][0]]
            teacher = supervision.following(len(stages), seen)
            if teacher is not None:
                stages.append((step, teacher))
