"""A probe over a trajectory is a curriculum."""

from collections.abc import Callable, Sequence

import pandas as pd

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.models.model import Model
from pdtutor.progress import progress_bar


def over(
    trajectory: Teachable,
    probe: Callable[[Model], pd.DataFrame],
    *,
    steps: Sequence[int] | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Return the probe's table for every checkpoint (or those at `steps`), with leading columns `step` and `seed`.

    `seed` is that of the copy that a row is about.

    Raises ValueError for a step that was not saved and for an empty trajectory.
    """
    chosen = trajectory.steps if steps is None else tuple(steps)
    if not chosen:
        raise ValueError(f"there is nothing to probe: the trajectory in {trajectory.path} is empty")
    tables = []
    for step in progress_bar(chosen, desc="probing", unit="checkpoint", show=progress):
        table = probe(trajectory.at(step))
        table.insert(0, "step", step)
        table.insert(1, "seed", [trajectory.seeds[copy] for copy in table["copy"]])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
