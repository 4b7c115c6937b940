"""What recipes of students share, whatever their teacher: supervisions by the paper's names, and one comparison."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.distillation.losses import TEMPERATURE
from pdtutor.distillation.schedule import FINAL, Schedule, n_shot, one_shot, progressive
from pdtutor.distillation.supervision import Distill, Labels, Supervision
from pdtutor.recipes.settings import Checked
from pdtutor.recipes.teacher import Teacher
from pdtutor.training.compare import Comparison, compare, results, spread
from pdtutor.training.optim import SGD, AdamW

Methods = Mapping[str, Supervision | Callable[[int], Supervision]]  # by name; may be functions of the student's seed


@dataclass(frozen=True)
class Students(Checked):
    """Students of one kind of teacher, their optimizer and their supervision.

    The student with seed s learns from the teacher with seed s, so the spread over seeds is that of the whole
    experiment.
    """

    teacher: Teacher
    width: int = 100  # the student's hidden units
    lr: float = 0.1  # learning rate
    decay: str = "constant"  # learning rate after the warm-up: "constant", or "cosine" (falls to 0)
    warmup: float = 0.0  # fraction of all updates over which the learning rate rises
    steps: int = 60_000  # the student's updates, at most
    eval_every: int = 250  # updates between evaluations
    interval: int = 500  # R of progressive distillation, in updates
    first: int = 1000  # T of (2,T): updates with C₁, the first checkpoint
    temperature: float = TEMPERATURE  # τ, by which the teacher's logits are divided
    threshold: float = 0.95  # accuracy that counts as having learned

    def check(self) -> None:
        """Raise ValueError for an optimizer, a model or a (2,T) schedule that can't be made of these settings."""
        self.optimizer()
        self.teacher.model(width=self.width, seeds=[0])
        n_shot([0, FINAL], each=self.first)

    def optimizer(self) -> SGD | AdamW:
        """Return the students' optimizer."""
        return self.teacher.optimizer(lr=self.lr, decay=self.decay, warmup=self.warmup)

    def distill(self, trajectory: Teachable, schedule: Schedule, **options: Any) -> Distill:
        """Return supervision by this teacher under a schedule, at the recipe's temperature unless another is given."""
        return Distill(trajectory, schedule, **{"temperature": self.temperature, **options})

    def two_shot(self, trajectory: Teachable, first_checkpoint: int) -> Distill:
        """Return (2,T)-progressive supervision: C₁ for `first` updates, then the final checkpoint."""
        return self.distill(trajectory, n_shot([first_checkpoint, FINAL], each=self.first))

    def compare(self, methods: Methods, *, seeds: list[int], **options) -> Comparison:
        """Return the comparison of students under these supervisions. Options go to `train`."""
        return compare(
            lambda seeds: self.teacher.model(width=self.width, seeds=seeds),
            self.teacher.task(),
            methods,
            seeds=seeds,
            batch_size=self.teacher.batch_size,
            optimizer=self.optimizer(),
            eval_every=self.eval_every,
            eval_examples=self.teacher.eval_examples,
            precision=self.teacher.precision,
            # a cosine schedule is made for all `steps` updates, so only a constant rate lets students stop early
            **({"steps": self.steps, "until": 0.99 if self.decay == "constant" else None} | options),
        )

    def summary(self, history: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return the tables to read first: `results`, a row per method, and `by_seed`, a row per method and seed."""
        found = results(history, threshold=self.threshold)
        return {"results": spread(found), "by_seed": found}


@dataclass(frozen=True)
class Progressive(Students):
    """Students by cross-entropy, one-shot, progressive and (2,T) distillation, side by side."""

    speed: float = 1.0  # v of progressive distillation: teacher updates per student update

    def check(self) -> None:
        """Raise ValueError also for a progressive schedule that needs a checkpoint which the teacher won't save."""
        super().check()
        progressive(self.interval, speed=self.speed).stages(self.teacher.saved_steps, self.steps)

    def methods(self, teachers: Trajectory, first_checkpoints: dict[int, int] | None = None) -> dict:
        """Return the supervisions by the paper's names; with (2,T) if C₁ is given, by seed."""
        methods: dict = {
            "cross-entropy": Labels(),
            "one-shot": lambda seed: self.distill(teachers.of(seed), one_shot()),
            "progressive": lambda seed: self.distill(teachers.of(seed), progressive(self.interval, speed=self.speed)),
        }
        if first_checkpoints is not None:
            methods["(2,T)"] = lambda seed: self.two_shot(teachers.of(seed), first_checkpoints[seed])
        return methods


def with_teachers(history: pd.DataFrame, teachers: pd.DataFrame) -> pd.DataFrame:
    """Return the students' history and the teachers' in one table, where the teachers' method is "teacher"."""
    return pd.concat([history, teachers.assign(method="teacher")], ignore_index=True)


def evenly_spaced(teacher: Trajectory, count: int) -> list[int]:
    """Return the steps of evenly spaced checkpoints, without the untrained and the final one.

    There are at least `count` (all, if fewer were saved), but fewer than twice as many.
    """
    saved = [step for step in teacher.steps if 0 < step < teacher.final]
    stride = max(1, len(saved) // count)
    return saved[stride - 1 :: stride]
