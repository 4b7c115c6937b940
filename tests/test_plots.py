import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pdtutor import plots, progressive


@pytest.fixture(autouse=True)
def close_figures():
    plt.close("all")
    yield
    plt.close("all")


def rows(method, seed, accuracies):
    return [{"method": method, "seed": seed, "step": 10 * i, "accuracy": a} for i, a in enumerate(accuracies)]


HISTORY = pd.DataFrame(
    rows("one-shot", 0, [0.5, 0.6, 0.7, 1.0])
    + rows("one-shot", 1, [0.5, 0.5, 0.5, 0.5])
    + rows("one-shot", 2, [0.5, 0.7, 0.9, 1.0])
    + rows("progressive", 0, [0.5, 1.0])
    + rows("progressive", 1, [0.5, 0.9])
    + rows("progressive", 2, [0.5, 0.8])
)


def test_accuracy_is_the_median_and_runs_that_stopped_keep_their_last_value():
    ax = plots.accuracy(HISTORY)
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines() if len(line.get_ydata()) == 4}
    drawn = [list(y) for y in lines.values()]
    assert [0.5, 0.6, 0.7, 1.0] in drawn  # medians of one-shot
    assert [0.5, 0.9, 0.9, 0.9] in drawn  # progressive stopped at step 10
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one-shot", "progressive"]
    assert "updates" in ax.get_xlabel()


def test_the_same_method_has_the_same_colour_everywhere():
    assert plots.colours(["(2,T)", "one-shot"])["one-shot"] == plots.METHOD_COLOURS["one-shot"]
    others = plots.colours([f"method {i}" for i in range(5)])
    assert len(set(others.values())) == 5
    assert not set(others.values()) & set(plots.METHOD_COLOURS.values())


def test_a_staircase_runs_to_the_students_last_step():
    schedule = progressive(300)
    table = pd.DataFrame(schedule.stages(range(0, 1001, 100), 1500), columns=["student_step", "teacher_step"])
    [line] = plots.staircase({"progressive": table}, steps=1500).get_lines()
    assert line.get_xdata().tolist() == [0, 300, 600, 900, 1500]
    assert line.get_ydata().tolist() == [300, 600, 900, 1000, 1000]


def test_steps_to_the_threshold_are_hollow_at_the_budget_where_never_reached():
    found = pd.DataFrame(
        {"method": "one-shot", "seed": [0, 1], "steps": pd.array([40, pd.NA], dtype="Int64"), "reached": [True, False]}
    )
    ax = plots.steps_to_threshold(found, budget=100)
    solid, hollow = ax.collections
    assert solid.get_offsets()[:, 0].tolist() == [40]
    assert hollow.get_offsets()[:, 0].tolist() == [100]
    assert len(hollow.get_facecolors()) == 0


def test_correlations_are_the_means_inside_and_outside():
    curriculum = pd.DataFrame(
        {
            "step": np.repeat([0, 10], 4),
            "inside": [True, True, False, False] * 2,
            "value": [0.1, 0.3, 0.0, 0.02, 0.4, 0.6, 0.0, 0.04],
            "noise_floor": 0.01,
        }
    )
    ax = plots.correlations(curriculum)
    drawn = [np.round(line.get_ydata(), 6).tolist() for line in ax.get_lines() if len(line.get_ydata()) == 2]
    assert drawn == [[0.2, 0.5], [0.01, 0.02], [0.01, 0.01]]
