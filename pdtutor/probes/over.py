"""A probe over a trajectory: the table of a curriculum."""

from collections.abc import Callable, Sequence

import pandas as pd
import torch

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.devices import AUTO
from pdtutor.models.model import Model
from pdtutor.models.placement import placed
from pdtutor.progress import progress_bar


def over(
    trajectory: Teachable,
    probe: Callable[[Model], pd.DataFrame],
    *,
    steps: Sequence[int] | None = None,
    device: str | torch.device = AUTO,
    progress: bool = True,
) -> pd.DataFrame:
    """Return a probe's tables for all checkpoints, or those at `steps`, as one table: the curriculum.

    A probe maps a model to a table with a column `copy`. Two columns are added in front of it: `step`, and `seed`, the
    seed of the row's copy.

    Args:
        trajectory: the checkpoints to probe.
        probe: the question, such as `monomial_correlations(task)`.
        steps: the steps to probe; all that were saved if not given.
        device: where the checkpoints are asked, as for `train`: with "auto", on a GPU if there is one, unless they are
            small MLPs.
        progress: show a progress bar.

    Raises ValueError for a step that was not saved, for an empty trajectory, for empty `steps`, and for a device that
    can't be used.
    """
    chosen = trajectory.steps if steps is None else tuple(steps)
    if not chosen:
        raise ValueError(
            f"there is nothing to probe: the trajectory in {trajectory.path} is empty, or no steps were given"
        )
    tables = []
    for step in progress_bar(chosen, desc="probing", unit="checkpoint", show=progress):
        table = probe(placed(trajectory.at(step), device))
        table.insert(0, "step", step)
        table.insert(1, "seed", [trajectory.seeds[copy] for copy in table["copy"]])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
