"""The contract `Supervision`, and its three kinds: labels, a teacher's checkpoints, a teacher's stored predictions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pdtutor.checkpoints.teachable import RecordsTask, Teachable, a_trajectory
from pdtutor.distillation.losses import DIVERGENCES, TEMPERATURE
from pdtutor.distillation.schedule import Anneal, Schedule, Stages, ends
from pdtutor.distillation.stored.targets import StoredTargets
from pdtutor.models.logits import logits_of
from pdtutor.tasks.stream import Stretch
from pdtutor.tasks.task import Task
from pdtutor.validate import flag, instance, number, one_of, whole

# A teacher's answers to a stretch of updates, on those rows of its batches that this process works on. Called with the
# stretch, an index into its first axis (which has one entry per distinct seed of the examples), and positions (updates,
# rows, n) or None for all; returns logits, (updates, rows, n, classes) or (updates, rows, …, classes).
Answers = Callable[[Stretch, int, Tensor | None], Tensor]


@runtime_checkable
class Supervision(Protocol):
    """What one copy of a model is asked to match; its loss is α·CE(labels) + (1−α)·D(teacher, student).

    Any class with these members is a supervision; pdtutor's own are `Labels`, `Distill` and `Stored`. A student step
    counts the updates of the model that trains. A teacher step names the teacher's checkpoint.

    Attributes:
        alpha: α, the weight of the labels, in [0, 1]; an `Anneal` if it changes from step to step.
        temperature: τ ≥ 0, by which the teacher's logits are divided; likewise.
        top_k: keep only this many of the teacher's most probable classes; all if None.
        divergence: D, which is "forward_kl", "reverse_kl" or "jensen_shannon"; see `losses.divergence`.
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
        """Whether the student's progress, rather than its step, decides when another checkpoint takes over."""
        ...

    @property
    def source(self) -> str | None:
        """What identifies the teacher, None if there is none.

        Copies whose sources are equal share one teacher in memory, and its answers.
        """
        ...

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates; [] without a teacher.

        If `adaptive`, only the first stage. Raises ValueError if a checkpoint that is needed is missing.
        """
        ...

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return the teacher step that takes over now, None if nothing changes.

        It is called at each evaluation if `adaptive`.

        Args:
            entered: how many stages the student has entered.
            accuracies: its held-out accuracies since the current stage began, in order.
        """
        ...

    def answers(self, step: int, device: torch.device) -> Answers:
        """Return the function that asks the teacher's checkpoint of this step, loaded on the device; see `Answers`."""
        ...

    def prefetch(self, step: int) -> None:
        """Prepare for a coming `answers(step, …)`, for example by reading its checkpoint; return at once.

        To do nothing is allowed.
        """
        ...

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Raise ValueError if it can't supervise a student that is trained with these arguments of `train`."""
        ...

    def config(self) -> dict:
        """Return a JSON-ready description. A run is resumed only with an equal one."""
        ...


@dataclass(frozen=True)
class Labels:
    """Supervision by labels: cross-entropy on the task's labels."""

    alpha = 1.0
    temperature = TEMPERATURE
    top_k = None
    divergence = "forward_kl"
    adaptive = False
    source = None

    def stages(self, steps: int) -> Stages:
        """Return no stages: there is no teacher."""
        return []

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return None: there is no teacher to take over."""
        return None

    def answers(self, step: int, device: torch.device) -> Answers:
        """Raise ValueError: there is no teacher to ask."""
        raise ValueError("labels have no teacher")

    def prefetch(self, step: int) -> None:
        """Do nothing."""

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Do nothing: every task has labels."""

    def config(self) -> dict:
        """Return a JSON-ready description."""
        return {"class": type(self).__name__}


@dataclass(frozen=True)
class Distill:
    """Supervision by a teacher's checkpoints, α·CE + (1−α)·D(teacher, student); the schedule says which teaches when.

    Args:
        trajectory: the teacher's checkpoints; a model of one copy (use `trajectory.copy(i)` to pick one of several).
        schedule: which checkpoint teaches at which student step.
        temperature: τ ≥ 0, which divides the teacher's logits, or an `Anneal`; by default the paper's, practically the
            argmax.
        alpha: α, the weight of the labels, in [0, 1], or an `Anneal`; 0 in every run of the paper.
        divergence: "forward_kl" (the paper's), "reverse_kl" or "jensen_shannon".
        top_k: keep only the teacher's k most probable classes; all if None.
        other_task: allow students of another task than the one that the trajectory records, such as one with label
            noise. Otherwise they are refused: a teacher knows nothing of another support.

    Raises ValueError for any other value, and for a trajectory with several copies, without checkpoints, or of a run
    that hasn't ended (`Trajectory(path, unfinished=True)` says that its checkpoints will do).
    """

    trajectory: Teachable
    schedule: Schedule
    temperature: float | Anneal = TEMPERATURE
    alpha: float | Anneal = 0.0
    divergence: str = "forward_kl"
    top_k: int | None = None
    other_task: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        a_trajectory("trajectory", self.trajectory)
        instance("schedule", self.schedule, Schedule, "a schedule, such as one_shot() or progressive(every=500)")
        checked = {
            "temperature": _setting("temperature", self.temperature),
            "alpha": _setting("alpha", self.alpha, maximum=1),
            "divergence": one_of("divergence", self.divergence, DIVERGENCES),
            "top_k": None if self.top_k is None else whole("top_k", self.top_k),
            "other_task": flag("other_task", self.other_task),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if len(self.trajectory.seeds) != 1:
            raise ValueError(
                f"a teacher is one model, but {self.trajectory.path} holds {len(self.trajectory.seeds)} copies: "
                "pick one with trajectory.copy(i)"
            )
        _ = self.trajectory.final  # raises for a run that hasn't ended

    @property
    def adaptive(self) -> bool:
        """Whether the schedule depends on the student's progress."""
        return self.schedule.adaptive

    @property
    def source(self) -> str:
        """The digest of the trajectory. A subclass may answer otherwise: each object of one is a source of its own."""
        return self.trajectory.digest if type(self) is Distill else f"{self.trajectory.digest}, object {id(self)}"

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates.

        Raises ValueError if the trajectory lacks a checkpoint that the schedule needs.
        """
        return self.schedule.stages(self.trajectory.steps, steps)

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return the teacher step that takes over now in an adaptive schedule, None if nothing changes."""
        return self.schedule.following(self.trajectory.steps, entered, accuracies)

    def answers(self, step: int, device: torch.device) -> Answers:
        """Return a function that asks the checkpoint of this step, loaded on the device, for its logits."""
        model = self.trajectory.at(step).to(device)

        def answer(stretch: Stretch, row: int, at: Tensor | None) -> Tensor:
            inputs = stretch.own_inputs[row]  # (updates, rows, …)
            said = logits_of(model, inputs.flatten(0, 1), None if at is None else at.flatten(0, 1))[0]
            return said.unflatten(0, inputs.shape[:2])

        return answer

    def prefetch(self, step: int) -> None:
        """Ask the trajectory to read this checkpoint in the background."""
        self.trajectory.prefetch(step)

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Raise ValueError for another task than the one that the trajectory records, unless that is allowed."""
        if self.other_task or not isinstance(self.trajectory, RecordsTask):
            return
        try:
            self.trajectory.require_task(task)
        except ValueError as error:
            raise ValueError(f"the teacher {error}; if that is meant, say Distill(…, other_task=True)") from None

    def config(self) -> dict:
        """Return a JSON-ready description, with the digest of the trajectory for the teacher."""
        return {
            "class": type(self).__name__,
            "teacher": self.trajectory.digest,
            "schedule": repr(self.schedule),
            "temperature": repr(self.temperature),
            "alpha": repr(self.alpha),
            "divergence": self.divergence,
            "top_k": self.top_k,
        }


@dataclass(frozen=True)
class Stored:
    """Supervision by a teacher's stored predictions, α·CE + (1−α)·D(teacher, student); training needs no teacher.

    Schedule, temperature and top_k were fixed when the predictions were stored. So were the examples: the student must
    have the same task, seed and batch size. The loss is that of `Distill(…, top_k=k)`, up to the rounding of what is
    stored.

    Args:
        targets: what `store_targets` returned, or `StoredTargets(path)`.
        alpha: α, the weight of the labels, in [0, 1], or an `Anneal`.
        divergence: as for `Distill`.

    Raises ValueError for any other value, and for reverse_kl if some classes were not stored: then it is infinite for
    every student.
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
        object.__setattr__(self, "alpha", _setting("alpha", self.alpha, maximum=1))
        one_of("divergence", self.divergence, DIVERGENCES)
        if self.divergence == "reverse_kl" and self.targets.k < self.targets.classes:
            raise ValueError(
                f"reverse_kl is infinite unless all classes are stored, and {self.targets.k} of {self.targets.classes} "
                "are: store all, or use another divergence"
            )

    @property
    def source(self) -> str:
        """The digest of the stored targets. Each object of a subclass is a source of its own, as for `Distill`."""
        return self.targets.digest if type(self) is Stored else f"{self.targets.digest}, object {id(self)}"

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates."""
        return self.targets.stages(steps)

    def following(self, entered: int, accuracies: Sequence[float]) -> int | None:
        """Return None: a schedule that depends on the student's progress can't be stored."""
        return None

    def answers(self, step: int, device: torch.device) -> Answers:
        """Return a function that reads the stored log-probabilities; it serves every teacher step."""
        return self._answer

    def _answer(self, stretch: Stretch, row: int, at: Tensor | None) -> Tensor:
        return self.targets.log_probabilities(stretch.labels[row], stretch.start, rows=stretch.rows, at=at)

    def prefetch(self, step: int) -> None:
        """Do nothing: a file on this machine is read fast enough."""

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Raise ValueError unless the targets were stored for a student with these settings; see `StoredTargets`."""
        self.targets.require(task=task, batch_size=batch_size, seed=seed, role=role, steps=steps)

    def config(self) -> dict:
        """Return a JSON-ready description, with the digest of the stored targets."""
        return {
            "class": type(self).__name__,
            "targets": self.targets.digest,
            "alpha": repr(self.alpha),
            "divergence": self.divergence,
        }


def _setting(name: str, value: float | Anneal, *, maximum: float = math.inf) -> float | Anneal:
    """Return an `Anneal` as it is, and a number as a float. Raises ValueError unless it stays in [0, maximum]."""
    found = [number(name, end, minimum=0, maximum=maximum) for end in ends(value)]
    return value if isinstance(value, Anneal) else found[0]
