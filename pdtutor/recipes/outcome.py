"""What every recipe offers, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Protocol

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from pdtutor.devices import AUTO, find
from pdtutor.validate import a_path, flag, whole


@dataclass
class Outcome:
    """What a recipe finds.

    Attributes:
        tables: the tables by name ("history", "results", …); `results` is the one to read first.
        figure: the figure.
    """

    tables: Mapping[str, pd.DataFrame]
    figure: Figure

    def save(self, folder: str | Path) -> None:
        """Write every table as CSV and the figure as PNG into the folder, and close the figure."""
        folder = a_path("folder", folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")  # more digits would be noise
        self.figure.savefig(folder / "figure.png", dpi=150, bbox_inches="tight")
        plt.close(self.figure)


Run = Callable[..., Outcome]


def checked(run: Run) -> Run:
    """Return a recipe's `run` with its arguments checked first; `out` may be a string."""

    @wraps(run)
    def checked_run(self, *, seeds: int, out: str | Path, **options) -> Outcome:
        for name in options.keys() & {"resume", "progress"}:
            options[name] = flag(name, options[name])
        if options.get("device", AUTO) != AUTO:
            find(options["device"])
        return run(self, seeds=whole("seeds", seeds), out=a_path("out", out), **options)

    return checked_run


class Recipe(Protocol):
    """What the command line needs of a recipe."""

    def run(
        self, *, seeds: int, out: str | Path, resume: bool = False, device: str = AUTO, progress: bool = True
    ) -> Outcome:
        """Run the experiment with seeds 0 … seeds − 1 in the folder `out`, and return what it finds.

        With `resume`, go on where an earlier run in that folder stopped. `device` is as for `train`: where models train
        and are probed.
        """
        ...
