"""What the recipes of teachers share: a teacher is a run whose trajectory is kept."""

from typing import ClassVar

from pdtutor.training.loop import train
from pdtutor.training.run import Run


class Teacher:
    """Trains one teacher per seed, side by side.

    A recipe that inherits from it has `width`, `lr`, `batch_size`, `steps`, `save_every` and `eval_examples`, and
    offers `task()`, `model(width=, seeds=)` and `optimizer(**settings)`.
    """

    schedule: ClassVar[dict] = {}  # of the learning rate, as the optimizer takes it; constant

    def train(self, *, seeds: list[int], **options) -> Run:
        """Return the run of one teacher per seed, side by side; options go to `train`."""
        return train(
            self.model(width=self.width, seeds=seeds),
            self.task(),
            steps=self.steps,
            batch_size=self.batch_size,
            optimizer=self.optimizer(lr=self.lr, **self.schedule),
            eval_every=self.save_every,
            eval_examples=self.eval_examples,
            save_every=self.save_every,
            **({"description": "teacher"} | options),
        )
