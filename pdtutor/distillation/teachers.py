"""The checkpoints that teach now, in memory: each is loaded once for all copies, and the next is read in advance."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pdtutor.distillation.supervision import Answers, Supervision
from pdtutor.distillation.timetable import Timetable
from pdtutor.tasks.stream import Stretch


class Teachers:
    """The teachers of all copies of a student: holds the checkpoints that are in force, and asks them.

    A teacher is asked once for all copies that share it and the examples.

    Args:
        supervision: one per copy of the student.
        steps: the student's updates.

    Attributes:
        timetable: which checkpoint is in force when.

    Raises ValueError at once if a schedule needs a checkpoint that its trajectory lacks.
    """

    def __init__(self, supervision: Sequence[Supervision], steps: int) -> None:
        self.supervision, self.timetable = supervision, Timetable(supervision, steps)
        self._sources = [s.source for s in supervision]
        self._held: dict[tuple[str | None, int], Answers] = {}  # by source and teacher step
        self._unsound: dict[tuple[int, int], Tensor] = {}  # by copy and teacher step: has it given such logits?

    def logits(self, stretch: Stretch, at: Tensor | None, classes: int) -> dict[int, Tensor]:
        """Return the logits of the teachers in force, by copy; a copy without a teacher has no entry.

        Args:
            stretch: updates during which no teacher changes.
            at: (distinct, updates, rows, n), the positions that are wanted; all if None.
            classes: the student's number of classes.

        Each entry is (updates, rows, …, classes), or (updates, rows, n, classes) for `at`. Raises ValueError if a
        teacher predicts another number of classes and, on the CPU, what `require_sound` raises; on an accelerator,
        looking at the logits would mean waiting for them.
        """
        in_force = self.timetable.in_force(stretch.start)
        self._hold(in_force, stretch.inputs.device)
        self._read_ahead(stretch.start)
        found: dict[tuple, Tensor] = {}  # by teacher and stream: copies that share both share one forward pass
        logits = {}
        for copy, step in enumerate(in_force):
            if step is None:
                continue
            key, row = (self._sources[copy], step), int(stretch.index[copy])
            if (key, row) not in found:
                said = self._held[key](stretch, row, None if at is None else at[row])
                if said.shape[-1] != classes:
                    raise ValueError(f"the teacher predicts {said.shape[-1]} classes, the student {classes}")
                found[key, row] = said
                unsound = ~said.amax(-1).isfinite().all()
                self._unsound[copy, step] = self._unsound.get((copy, step), unsound) | unsound
            logits[copy] = found[key, row]
        if stretch.inputs.device.type == "cpu":
            self.require_sound()
        return logits

    def require_sound(self) -> None:
        """Raise FloatingPointError, naming the teacher and its step, if logits so far give no probabilities.

        Such logits are NaN or +∞ for some class, or −∞ for all.
        """
        for (copy, step), unsound in self._unsound.items():
            if unsound:
                raise FloatingPointError(
                    f"the teacher of copy {copy} is at fault, not the student's learning rate: its checkpoint of step "
                    f"{step} gives logits that are NaN or infinite; see {self.supervision[copy]!r}"
                )

    def _hold(self, in_force: Sequence[int | None], device: torch.device) -> None:
        """Load the checkpoints that are in force now, and release all others."""
        wanted = {
            (source, step): supervision
            for source, step, supervision in zip(self._sources, in_force, self.supervision, strict=True)
            if step is not None
        }
        self._held = {
            key: self._held[key] if key in self._held else supervision.answers(key[1], device)
            for key, supervision in wanted.items()
        }

    def _read_ahead(self, step: int) -> None:
        """Ask every source to read, in the background, the checkpoint that it teaches with next."""
        told = set()
        for _, teacher, copy in self.timetable.coming(step):
            source = self._sources[copy]
            if source not in told and (source, teacher) not in self._held:
                self.supervision[copy].prefetch(teacher)
                told.add(source)
