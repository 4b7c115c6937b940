"""Where a student's targets come from: labels, or the checkpoints of a teacher.

A third source, a teacher's predictions on disk, is `stored.Stored`.
"""

from dataclasses import dataclass

from pdtutor.checkpoints.foreign import ForeignTrajectory
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.distillation.losses import DIVERGENCES
from pdtutor.distillation.schedule import Anneal, Schedule, Stages, ends
from pdtutor.distillation.stored.targets import StoredTargets
from pdtutor.validate import number, one_of, whole


@dataclass(frozen=True)
class Labels:
    """Cross-entropy on the task's labels."""

    def stages(self, steps: int) -> Stages:
        """Return no stages: nobody teaches."""
        return []

    def config(self) -> dict:
        """Return a JSON-ready description."""
        return {"class": "Labels"}


@dataclass(frozen=True)
class Distill:
    """α·CE + (1−α)·D(teacher, student), where the schedule picks the teacher among a trajectory's checkpoints.

    Args:
        trajectory: the teacher's checkpoints; a model of one copy (use `trajectory.copy(i)` to pick one of several).
        schedule: which checkpoint teaches at which student step.
        temperature: τ ≥ 0 on the teacher's logits, or an `Anneal`. The paper's 1e-4 is practically the argmax, so that
            soft labels can't explain the gain.
        alpha: weight of the labels, in [0, 1], or an `Anneal`; 0 in every run of the paper.
        divergence: "forward_kl" (the paper's), "reverse_kl" or "jensen_shannon".
        top_k: keep only the teacher's k most probable classes.

    Raises ValueError for any value outside these, and for a trajectory with several copies.
    """

    trajectory: Trajectory | ForeignTrajectory
    schedule: Schedule
    temperature: float | Anneal = 1e-4
    alpha: float | Anneal = 0.0
    divergence: str = "forward_kl"
    top_k: int | None = None

    def __post_init__(self) -> None:
        for value in ends(self.temperature):
            number("temperature", value, minimum=0)
        for value in ends(self.alpha):
            number("alpha", value, minimum=0, maximum=1)
        one_of("divergence", self.divergence, DIVERGENCES)
        if self.top_k is not None:
            whole("top_k", self.top_k)
        if len(self.trajectory.seeds) != 1:
            raise ValueError(
                f"a teacher is one model, but {self.trajectory.path} holds {len(self.trajectory.seeds)} copies: "
                "pick one with trajectory.copy(i)"
            )

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates. Raises ValueError."""
        return self.schedule.stages(self.trajectory.steps, steps)

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

    def __post_init__(self) -> None:
        if not isinstance(self.targets, StoredTargets):
            raise ValueError(f"targets must be StoredTargets(path), got {self.targets!r}")
        for value in ends(self.alpha):
            number("alpha", value, minimum=0, maximum=1)
        one_of("divergence", self.divergence, DIVERGENCES)
        if self.divergence == "reverse_kl" and self.targets.k < self.targets.classes:
            raise ValueError(
                f"reverse_kl is infinite for a teacher of {self.targets.k} of {self.targets.classes} classes: store "
                "all, or use another divergence"
            )

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for `steps` student updates."""
        return self.targets.stages(steps)

    def config(self) -> dict:
        """Return a JSON-ready description; the targets are named by their digest."""
        return {
            "class": "Stored",
            "targets": self.targets.digest,
            "alpha": repr(self.alpha),
            "divergence": self.divergence,
        }
