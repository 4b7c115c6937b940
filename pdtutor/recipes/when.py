"""When do checkpoints help? By how much they beat one-shot, against how long a one-shot student waits on its plateau.

The tables of experiments on any task go in, in the form that recipes write them; one table of all comes out.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pdtutor.training.compare import paired, results
from pdtutor.validate import a_table, number

ONE_SHOT = "one-shot"


def plateau(history: pd.DataFrame, *, threshold: float, method: str = ONE_SHOT) -> float:
    """Return how many updates a model needs to leave its plateau: the median over seeds, inf if half never do.

    Args:
        history: columns method, seed, step, examples and accuracy, of runs of one length.
        threshold: the accuracy that counts as having left it.
        method: whose plateau; "teacher" for the teachers'.

    Raises ValueError for a method that the history lacks.
    """
    return float(waits(history, threshold=threshold, method=method).median())


def waits(history: pd.DataFrame, *, threshold: float, method: str = ONE_SHOT) -> pd.Series:
    """Return how many updates each seed's model needs to leave its plateau, inf if it never does, by seed.

    Arguments and errors are those of `plateau`.
    """
    a_table("history", history, "method", "seed", "step", "examples", "accuracy")
    of_method = history[history["method"] == method]
    if of_method.empty:
        raise ValueError(
            f"no method is called {method!r}; there are {', '.join(map(repr, history['method'].unique()))}"
        )
    found = results(of_method, threshold=number("threshold", threshold, minimum=0, maximum=1))
    return found.set_index("seed")["steps"].astype(float).fillna(np.inf)


def at_budgets(history: pd.DataFrame, budgets: Sequence[int]) -> pd.DataFrame:
    """Return what students with a constant learning rate had reached after these numbers of updates.

    A run that stopped because it had learned keeps its last accuracy. Columns: budget, method, seed, final_accuracy.
    """
    a_table("history", history, "method", "seed", "step", "accuracy")
    rows = [
        history[history["step"] <= budget].groupby(["method", "seed"], sort=False)["accuracy"].last().reset_index()
        for budget in budgets
    ]
    found = pd.concat([row.assign(budget=budget) for budget, row in zip(budgets, rows, strict=True)])
    return found.rename(columns={"accuracy": "final_accuracy"})[["budget", "method", "seed", "final_accuracy"]]


def advantages(
    task: str,
    found: pd.DataFrame,
    history: pd.DataFrame,
    *,
    threshold: float,
    methods: Sequence[str] = ("progressive", "(2,T)"),
) -> pd.DataFrame:
    """Return by how much each method beats one-shot at every budget, beside how long one-shot students wait.

    The columns are those of `paired`, and: task; plateau, that of the one-shot students of this budget; waiting, the
    share of the budget that they spend on it, 1 if half never leave it; saved, the share of the budget by which the
    method's students wait less than the one-shot students of the same seeds, on average (who never leaves a plateau
    waits for the whole budget); lag, the plateau divided by the teachers'; and teacher, their accuracy at the end.

    Args:
        task: its name in the table.
        found: columns budget, method, seed and final_accuracy.
        history: as for `plateau`, with the teachers' rows. With a column `budget`, each budget is a run of its own;
            without, all budgets are stages of one long run.
        threshold: as for `plateau`.
        methods: which to compare with one-shot.

    Raises ValueError as `plateau` and `paired` do.
    """
    table = pd.concat([paired(found, method, ONE_SHOT) for method in methods], ignore_index=True)
    table.insert(0, "task", task)
    budgets = sorted(table["budget"].unique())
    runs = {budget: history[history["budget"] == budget] if "budget" in history else history for budget in budgets}
    plateaus = {budget: plateau(run, threshold=threshold) for budget, run in runs.items()}
    table["plateau"] = table["budget"].map(plateaus)
    table["waiting"] = (table["plateau"] / table["budget"]).clip(upper=1)

    def share_waited(budget: int, method: str) -> pd.Series:
        return (waits(runs[budget], threshold=threshold, method=method) / budget).clip(upper=1)

    pairs = zip(table["budget"], table["method"], strict=True)
    table["saved"] = [
        (share_waited(budget, ONE_SHOT) - share_waited(budget, method)).mean() for budget, method in pairs
    ]
    teachers = runs[budgets[-1]]
    table["lag"] = table["plateau"] / plateau(teachers, threshold=threshold, method="teacher")
    table["teacher"] = teachers[teachers["method"] == "teacher"].groupby("seed")["accuracy"].last().mean()
    return table
