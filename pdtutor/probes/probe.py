"""What every probe here is: a question about one task, asked of one model at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.models.model import Model, a_model
from pdtutor.tasks.task import Task


@dataclass(frozen=True)
class Probe:
    """A question about a task: called with a model, it returns a table with a column `copy`.

    A function from a model to such a table is a probe, too. This one also says which task it is about, so that `over`
    notices a trajectory that was trained on another.

    Attributes:
        task: the task that is asked about.
        ask: maps a model to the table.
    """

    task: Task
    ask: Callable[[Model], pd.DataFrame] = field(repr=False)

    def __call__(self, model: Model) -> pd.DataFrame:
        """Return the table of one model. Raises ValueError for what is no model, such as a whole trajectory."""
        if isinstance(model, Teachable):
            raise ValueError(
                f"a probe asks one model, got {model!r}: over(trajectory, probe) asks all of its checkpoints, and "
                "probe(trajectory.at(step)) one"
            )
        return self.ask(a_model("model", model))
