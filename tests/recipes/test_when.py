"""When checkpoints help: plateaus, stages of a long run, and advantages over one-shot."""

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pdtutor import plots
from pdtutor.recipes import when


def rows(method, seed, accuracies, **columns):
    """The history of one student, evaluated every 10 updates."""
    steps = range(0, 10 * len(accuracies), 10)
    history = {"method": method, "seed": seed, "step": steps, "examples": steps, "accuracy": accuracies}
    return pd.DataFrame(history | columns)


@pytest.fixture
def history():
    return pd.concat(
        [
            rows("one-shot", 0, [0.1, 0.1, 0.1, 0.5]),  # leaves the plateau at 30
            rows("one-shot", 1, [0.1, 0.4, 0.4, 0.6]),  # at 10
            rows("progressive", 0, [0.1, 0.5, 0.6, 0.7]),
            rows("progressive", 1, [0.1, 0.5, 0.7]),  # stopped because it had learned
            rows("teacher", 0, [0.1, 0.9]),
            rows("teacher", 1, [0.1, 0.7]),
        ]
    )


def test_a_plateau_is_the_median_over_seeds_and_endless_if_half_never_leave_it(history):
    assert when.plateau(history, threshold=0.3) == 20
    assert when.plateau(history, threshold=0.3, method="progressive") == 10
    assert when.plateau(history, threshold=0.55) == math.inf
    with pytest.raises(ValueError, match="no method is called '\\(2,T\\)'; there are 'one-shot'"):
        when.plateau(history, threshold=0.3, method="(2,T)")


def test_a_run_that_stopped_keeps_its_last_accuracy(history):
    found = when.at_budgets(history, [10, 25, 1000]).set_index(["budget", "method", "seed"])["final_accuracy"]
    assert found[10, "progressive", 0] == 0.5
    assert found[25, "one-shot", 0] == 0.1  # the evaluation at 20
    assert found[1000, "progressive", 1] == 0.7


def test_advantages_stand_beside_the_share_of_the_budget_that_one_shot_students_wait(history):
    found = when.at_budgets(history, [10, 40])
    table = when.advantages("a task", found, history, threshold=0.3, methods=["progressive"]).set_index("budget")
    assert table["mean"].tolist() == pytest.approx([0.25, 0.15])
    assert table["ahead"].tolist() == [2, 2]
    assert table["waiting"].tolist() == [1, 0.5]  # 20 updates of 10, at most all, and of 40
    # one-shot students wait for 30 and 10 updates, progressive ones for 10 each: 20 and 0 less, within 10 updates 0
    assert table["saved"].tolist() == pytest.approx([0, 0.25])
    assert (table["lag"] == 2).all()
    assert table["teacher"].tolist() == pytest.approx([0.8, 0.8])


def test_every_budget_that_is_a_run_of_its_own_has_its_own_plateau(history):
    slower = history.assign(step=3 * history["step"], budget=90)
    runs = pd.concat([history.assign(budget=30), slower])
    found = pd.concat([when.at_budgets(run, [budget]) for budget, run in runs.groupby("budget")])
    table = when.advantages("a task", found, runs, threshold=0.3, methods=["progressive"])
    assert table.set_index("budget")["plateau"].to_dict() == {30: 20, 90: 60}


def test_the_map_has_a_panel_per_method_and_a_line_per_task(history):
    tables = [
        when.advantages(task, when.at_budgets(history, [10, 40]), history, threshold=0.3, methods=["progressive"])
        for task in ("one", "another")
    ]
    figure = plots.when_figure(pd.concat(tables))
    ax, below = figure.axes
    assert ax.get_title() == below.get_title() == "progressive − one-shot"
    assert below.get_xlabel() == "share of the budget that these students wait less"
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"one", "another"}
    plt.close(figure)
