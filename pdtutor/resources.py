"""Where the data that ship with pdtutor are, and the paper's numbers as tables."""

from pathlib import Path

import pandas as pd

PACKAGE = Path(__file__).resolve().parent


def data_path(name: str = "") -> Path:
    """Return the path of `name` inside data/, which is in the installed package or at the top of a clone.

    Raises FileNotFoundError, naming what is there, if `name` doesn't exist.
    """
    # A wheel carries data/ as pdtutor/data; an editable clone has it beside the package.
    data = next((folder for folder in (PACKAGE / "data", PACKAGE.parent / "data") if folder.is_dir()), None)
    if data is None:
        raise FileNotFoundError(f"no data folder in {PACKAGE} or beside it: reinstall pdtutor")
    path = data / name
    if not path.exists():
        nearest = next(folder for folder in path.parents if folder.is_dir())
        there = ", ".join(sorted(entry.name for entry in nearest.iterdir()))
        raise FileNotFoundError(f"{path} does not exist; {nearest} holds: {there}")
    return path


def paper(experiment: str) -> pd.DataFrame:
    """Return the paper's numbers for one experiment ("E1" … "E5"), one per row.

    Columns: quantity, method, at, at_unit, relation, value, tolerance, unit, source and note, which
    data/reference/README.md explains. `at` and `tolerance` are NaN where the paper gives none.

    Raises ValueError for an unknown experiment.
    """
    folder = data_path("reference")
    known = sorted(path.stem for path in folder.glob("*.csv"))
    if experiment not in known:
        raise ValueError(f"no numbers for experiment {experiment!r}; there are numbers for {', '.join(known)}")
    return pd.read_csv(folder / f"{experiment}.csv")
