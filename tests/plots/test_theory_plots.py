"""The figures of lesson 1 draw the numbers of their tables."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pdtutor import plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_bars_of_the_support_are_filled_and_the_others_hatched():
    ax = plots.coordinates(np.array([0.1, -0.5, 0.2]), [1], ax=plt.subplot())
    bars = {round(bar.get_x() + bar.get_width() / 2): bar for bar in ax.patches}
    assert [bars[j].get_height() for j in range(3)] == [0.1, 0.5, 0.2]
    assert [bars[j].get_hatch() for j in range(3)] == ["////", None, "////"]


def test_clusters_have_positive_labels_above_and_negative_ones_below():
    z, y = np.array([-1.0, -1.0, 0.0, 2.0]), np.array([1, 1, -1, 1])
    up, down = plots.clusters(z, y, ax=plt.subplot()).patches
    assert up.get_data().values.sum() == pytest.approx(3 / 4)
    assert down.get_data().values.sum() == pytest.approx(-1 / 4)


def test_samples_of_students_are_a_line_per_seed_and_medians_where_all_arrived():
    rows = [("labels", 0, 10, 100.0), ("labels", 0, 20, 400.0), ("labels", 1, 10, 300.0), ("labels", 1, 20, np.nan)]
    table = pd.DataFrame(rows, columns=["supervision", "seed", "d", "samples"]).assign(k=2, error=0.1)
    [ax] = plots.two_stage_figure(table, error=0.1).axes
    medians = next(line for line in ax.lines if line.get_label() == "labels")
    assert medians.get_ydata()[0] == 200
    assert np.isnan(medians.get_ydata()[1])
    crosses = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in crosses] == [[20]]


def test_an_early_checkpoint_has_a_column_per_width_and_the_line_of_labels():
    rows = [(0, 0, np.nan, np.nan, 500.0), (2, 64, 0.1, 0.05, 300.0), (4, 64, 0.2, 0.02, np.nan)]
    columns = ["width", "teacher_samples", "inside", "outside", "student_samples"]
    figure = plots.early_checkpoint_figure(pd.DataFrame(rows, columns=columns).assign(seed=0), appears={2: 10, 4: 20})
    assert [ax.get_title() for ax in figure.axes[:2]] == ["teacher of width 2", "teacher of width 4"]
    assert any(list(line.get_ydata()) == [500, 500] for line in figure.axes[2].lines)


def test_imperfect_teachers_are_drawn_by_degree_beside_labels_and_two_checkpoints():
    rows = [(0, np.inf, 900.0), (0, 0.0, 100.0), (1, 0.5, 120.0), (1, 1.0, 300.0)]
    table = pd.DataFrame(rows, columns=["degree", "power", "samples"]).assign(d=9, seed=0)
    networks = pd.DataFrame({"error": [0.0, 0.1], "samples": [800.0, np.nan], "seed": [0, 1]})
    left, right = plots.imperfect_teacher_figure(table, networks).axes
    shown = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert shown["error of degree 1"] == [120, 300]
    assert shown["labels"] == [900, 900]
    assert shown["two checkpoints"] == [100, 100]
    assert right.lines[0].get_ydata()[0] == 800


def test_counts_of_neurons_have_medians_and_the_prediction():
    rows = [("labels", 10, 100.0), ("labels", 10, 300.0), ("teacher", 10, 20.0)]
    counts = pd.DataFrame(rows, columns=["supervision", "d", "samples"]).assign(k=2)
    [ax] = plots.neuron_samples_figure(counts, {2: [150.0]}).axes
    shown = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert (shown["labels"], shown["teacher of one pair"], shown["prediction, labels"]) == ([200], [20], [150])
