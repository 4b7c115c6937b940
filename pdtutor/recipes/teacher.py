"""What the recipes of teachers share: a teacher is a run whose trajectory is kept."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.models.model import Model
from pdtutor.tasks.task import Task
from pdtutor.training.loop import train
from pdtutor.training.optim import SGD, AdamW
from pdtutor.training.run import Run
from pdtutor.validate import a_path, whole


class Teacher(ABC):
    """Trains one teacher per seed, side by side.

    A recipe inherits from it as a frozen dataclass: it gives the numbers below as fields and writes the three abstract
    methods.
    """

    width: int  # width of the teacher
    lr: float  # learning rate
    batch_size: int  # examples per update
    steps: int  # updates
    save_every: int  # updates between checkpoints
    eval_examples: int  # held-out examples
    precision: str | None = None  # how matrices are multiplied, also the students': float32 or bfloat16

    schedule: ClassVar[dict[str, Any]] = {}  # the optimizer's arguments for its learning rate; none: constant

    @property
    def saved_steps(self) -> list[int]:
        """The steps at which checkpoints are saved."""
        return [*range(0, self.steps, self.save_every), self.steps]

    @abstractmethod
    def task(self) -> Task:
        """Return the task."""

    @abstractmethod
    def model(self, *, width: int, seeds: list[int]) -> Model:
        """Return freshly initialised models of this width, one copy per seed; students are made in this way, too."""

    @abstractmethod
    def optimizer(self, **settings) -> SGD | AdamW:
        """Return the optimizer of teacher and students; they differ only in the settings given here."""

    def train(self, *, seeds: list[int], **options: Any) -> Run:
        """Return the run of one teacher per seed, side by side. Options go to `train`."""
        return train(
            self.model(width=self.width, seeds=seeds),
            self.task(),
            steps=self.steps,
            batch_size=self.batch_size,
            optimizer=self.optimizer(lr=self.lr, **self.schedule),
            eval_every=self.save_every,
            eval_examples=self.eval_examples,
            save_every=self.save_every,
            precision=self.precision,
            **{"description": "teacher", **options},
        )

    def train_seeds(self, count: int, *, out: str | Path, **options) -> Run:
        """Return the run of the teachers with seeds 0 … count − 1, kept in the subfolder `teachers` of `out`."""
        return self.train(seeds=list(range(whole("count", count))), out=a_path("out", out) / "teachers", **options)


class ProbedTeacher(Teacher):
    """A teacher with a curriculum: what a probe finds at every checkpoint."""

    @abstractmethod
    def curriculum(self, trajectory: Trajectory, *, device: str = AUTO, progress: bool = True) -> pd.DataFrame:
        """Return the table of what the teacher's probe finds at every checkpoint."""
