"""Where a student's targets come from: labels, the checkpoints of a teacher, or a teacher's predictions on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.distillation.losses import DIVERGENCES, TEMPERATURE
from pdtutor.distillation.schedule import Anneal, Schedule, Stages, ends
from pdtutor.distillation.stored.targets import StoredTargets
from pdtutor.models.logits import logits_of
from pdtutor.tasks.stream import Stretch
from pdtutor.tasks.task import Task
from pdtutor.validate import number, one_of, whole

# What a teacher says of a stretch: given one of its distinct rows and the positions asked for (updates, rows, n), None
# for all, the logits (updates, rows, …, classes) or (updates, rows, n, classes).
Answers = Callable[[Stretch, int, Tensor | None], Tensor]


@runtime_checkable
class Supervision(Protocol):
    """What one copy of a model is asked to match: α·CE(labels) + (1−α)·D(teacher, student).

    Attributes:
        alpha: weight of the labels, in [0, 1].
        temperature: τ ≥ 0 by which the teacher's logits are divided.
        top_k: how many of the teacher's classes count, all if None.
        divergence: D, one of `losses.DIVERGENCES`.
    """

    @property
    def alpha(self) -> float | Anneal: ...

    @property
    def temperature(self) -> float | Anneal: ...

    @property
    def top_k(self) -> int | None: ...

    @property
    def divergence(self) -> str: ...

    @property
    def adaptive(self) -> bool:
        """Whether the student's progress, not its step, decides which teacher is in force."""
        ...

    @property
    def source(self) -> str | None:
        """What tells this teacher from others, in memory or on disk; None if there is none."""
        ...

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates; [] without a teacher."""
        ...

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return the teacher step that takes over now, None if nothing changes; see `Schedule.following`."""
        ...

    def answers(self, step: int, device: torch.device) -> Answers:
        """Return the teacher of this teacher step, ready on the device."""
        ...

    def prefetch(self, step: int) -> None:
        """Be told that `answers(step, …)` will be asked for soon; returns at once."""
        ...

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Raise ValueError if a student with these settings of `train` can't be supervised by this."""
        ...

    def config(self) -> dict:
        """Return a JSON-ready description, which a resumed run must agree with."""
        ...


@dataclass(frozen=True)
class Labels:
    """Cross-entropy on the task's labels."""

    alpha = 1.0
    temperature = TEMPERATURE
    top_k = None
    divergence = "forward_kl"
    adaptive = False
    source = None

    def stages(self, steps: int) -> Stages:
        """Return no stages: nobody teaches."""
        return []

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return None: nobody takes over."""
        return None

    def answers(self, step: int, device: torch.device) -> Answers:
        """Raise ValueError: there is nobody to ask."""
        raise ValueError("labels have no teacher")

    def prefetch(self, step: int) -> None:
        """Do nothing."""

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Do nothing: every task has labels."""

    def config(self) -> dict:
        """Return a JSON-ready description."""
        return {"class": "Labels"}


@dataclass(frozen=True)
class Distill:
    """α·CE + (1−α)·D(teacher, student), where the schedule picks the teacher among a trajectory's checkpoints.

    Args:
        trajectory: the teacher's checkpoints; a model of one copy (use `trajectory.copy(i)` to pick one of several).
        schedule: which checkpoint teaches at which student step.
        temperature: τ ≥ 0 on the teacher's logits, or an `Anneal`; the paper's if not given, practically the argmax.
        alpha: weight of the labels, in [0, 1], or an `Anneal`; 0 in every run of the paper.
        divergence: "forward_kl" (the paper's), "reverse_kl" or "jensen_shannon".
        top_k: keep only the teacher's k most probable classes.

    Raises ValueError for any value outside these, and for a trajectory with several copies.
    """

    trajectory: Teachable
    schedule: Schedule
    temperature: float | Anneal = TEMPERATURE
    alpha: float | Anneal = 0.0
    divergence: str = "forward_kl"
    top_k: int | None = None

    def __post_init__(self) -> None:
        for value in ends(self.temperature):
            number("temperature", value, minimum=0)
        _require_mixture(self.alpha, self.divergence)
        if self.top_k is not None:
            whole("top_k", self.top_k)
        if len(self.trajectory.seeds) != 1:
            raise ValueError(
                f"a teacher is one model, but {self.trajectory.path} holds {len(self.trajectory.seeds)} copies: "
                "pick one with trajectory.copy(i)"
            )

    @property
    def adaptive(self) -> bool:
        """Whether the schedule goes by the student's progress."""
        return self.schedule.adaptive

    @property
    def source(self) -> str:
        """The digest of the trajectory."""
        return self.trajectory.digest

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates. Raises ValueError."""
        return self.schedule.stages(self.trajectory.steps, steps)

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return the teacher step that an adaptive schedule enters now, None if nothing changes."""
        return self.schedule.following(self.trajectory.steps, entered, accuracies)

    def answers(self, step: int, device: torch.device) -> Answers:
        """Return the checkpoint of this step, loaded on the device, which answers with its logits."""
        model = self.trajectory.at(step).to(device)

        def answer(stretch: Stretch, row: int, at: Tensor | None) -> Tensor:
            inputs = stretch.own_inputs[row]  # (updates, rows, …)
            said = logits_of(model, inputs.flatten(0, 1), None if at is None else at.flatten(0, 1))[0]
            return said.unflatten(0, inputs.shape[:2])

        return answer

    def prefetch(self, step: int) -> None:
        """Let the trajectory read this checkpoint beside the training, if it can."""
        self.trajectory.prefetch(step)

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Do nothing: a teacher in memory can be asked about any example."""

    def config(self) -> dict:
        """Return a JSON-ready description; the teacher is named by the digest of its trajectory."""
        return {
            "class": "Distill",
            "teacher": self.trajectory.digest,
            "schedule": repr(self.schedule),
            "temperature": repr(self.temperature),
            "alpha": repr(self.alpha),
            "divergence": self.divergence,
            "top_k": self.top_k,
        }


@dataclass(frozen=True)
class Stored:
    """α·CE + (1−α)·D(teacher, student), where the teacher's predictions come from disk.

    Schedule, temperature and top_k were settled when they were stored; so was the stream of examples, which must be
    the student's: same task, seed and batch size. It is `Distill(…, top_k=k)`, up to the rounding of what is stored.

    Args:
        targets: what `store_targets` returned, or `StoredTargets(path)`.
        alpha: weight of the labels, in [0, 1], or an `Anneal`.
        divergence: as for `Distill`.

    Raises ValueError for any value outside these, and for reverse_kl where some of the classes are not kept: there it
    is infinite for every student.
    """

    targets: StoredTargets
    alpha: float | Anneal = 0.0
    divergence: str = "forward_kl"

    temperature = 1.0  # stored log-probabilities serve as logits
    top_k = None
    adaptive = False

    def __post_init__(self) -> None:
        if not isinstance(self.targets, StoredTargets):
            raise ValueError(f"targets must be StoredTargets(path), got {self.targets!r}")
        _require_mixture(self.alpha, self.divergence)
        if self.divergence == "reverse_kl" and self.targets.k < self.targets.classes:
            raise ValueError(
                f"reverse_kl is infinite for a teacher of {self.targets.k} of {self.targets.classes} classes: store "
                "all, or use another divergence"
            )

    @property
    def source(self) -> str:
        """The digest of the stored targets."""
        return self.targets.digest

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates."""
        return self.targets.stages(steps)

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return None: schedules that go by the student's progress can't be stored."""
        return None

    def answers(self, step: int, device: torch.device) -> Answers:
        """Return the reader of the stored log-probabilities, whichever checkpoint they are of."""
        return self._answer

    def _answer(self, stretch: Stretch, row: int, at: Tensor | None) -> Tensor:
        return self.targets.log_probabilities(stretch.labels[row], stretch.start, rows=stretch.rows, at=at)

    def prefetch(self, step: int) -> None:
        """Do nothing: files on this machine are read in no time."""

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Raise ValueError unless the targets were stored for a student with these settings; see `StoredTargets`."""
        self.targets.require(task=task, batch_size=batch_size, seed=seed, role=role, steps=steps)

    def config(self) -> dict:
        """Return a JSON-ready description; the targets are named by their digest."""
        return {
            "class": "Stored",
            "targets": self.targets.digest,
            "alpha": repr(self.alpha),
            "divergence": self.divergence,
        }


def _require_mixture(alpha: float | Anneal, divergence: str) -> None:
    """Raise ValueError for an α outside [0, 1] and an unknown divergence."""
    for value in ends(alpha):
        number("alpha", value, minimum=0, maximum=1)
    one_of("divergence", divergence, DIVERGENCES)
