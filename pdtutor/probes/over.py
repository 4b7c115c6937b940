"""A probe over a trajectory: the table of a curriculum."""

from collections.abc import Callable, Sequence

import pandas as pd
import torch

from pdtutor.checkpoints.teachable import RecordsTask, Teachable, a_trajectory
from pdtutor.devices import AUTO
from pdtutor.models.model import Model
from pdtutor.models.placement import placed
from pdtutor.probes.probe import Probe
from pdtutor.progress import progress_bar
from pdtutor.validate import a_table, flag, sequence, shown


def over(
    trajectory: Teachable,
    probe: Callable[[Model], pd.DataFrame],
    *,
    steps: Sequence[int] | None = None,
    other_task: bool = False,
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
        other_task: allow a probe of another task than the one that the trajectory records. Otherwise it is refused:
            about another support, a model has nothing to say.
        device: where the checkpoints are asked, as for `train`: with "auto", on a GPU if there is one, unless they are
            small MLPs.
        progress: show a progress bar.

    Raises ValueError for a step that was not saved, for an empty trajectory, for empty `steps`, for a probe of another
    task, and for a device that can't be used.
    """
    a_trajectory("trajectory", trajectory)
    if not callable(probe) or isinstance(probe, type):
        raise ValueError(f"probe must be a probe, such as monomial_correlations(task), got {shown(probe)}")
    other_task, progress = flag("other_task", other_task), flag("progress", progress)
    if isinstance(probe, Probe) and isinstance(trajectory, RecordsTask) and not other_task:
        try:
            trajectory.require_task(probe.task)
        except ValueError as error:
            raise ValueError(f"{error}; if the probe is meant for it, say over(…, other_task=True)") from None
    chosen = trajectory.steps if steps is None else tuple(sequence("steps", steps))
    if not chosen:
        raise ValueError(
            f"there is nothing to probe: the trajectory in {trajectory.path} is empty, or no steps were given"
        )
    tables = []
    for step in progress_bar(chosen, desc="probing", unit="checkpoint", show=progress):
        table = probe(placed(trajectory.at(step), device))
        a_table("what a probe returns", table, "copy")
        table.insert(0, "step", step)
        table.insert(1, "seed", [trajectory.seeds[copy] for copy in table["copy"]])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
