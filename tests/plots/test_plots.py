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
    assert [0.5, 0.9, 0.9, 0.9] in drawn  # medians of progressive, which stopped at step 10
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


def test_nodes_are_drawn_one_line_each_in_the_colour_of_their_depth():
    rows = [
        {"step": step, "node": node, "depth": depth, "degree": degree, "inside": inside, "value": value + step / 100}
        for step in (0, 10)
        for node, depth in ((0, 0), (1, 1), (2, 1))
        for degree, inside, value in ((1, True, 0.1), (1, True, 0.3), (1, False, 0.0), (2, True, 0.7))
    ]
    ax = plots.node_curves(pd.DataFrame(rows), degree=1)
    *nodes, outside = ax.get_lines()
    assert [np.round(line.get_ydata(), 6).tolist() for line in nodes] == [[0.2, 0.3]] * 3
    assert np.round(outside.get_ydata(), 6).tolist() == [0.0, 0.1]
    assert nodes[0].get_color() != nodes[1].get_color() == nodes[2].get_color()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["root", "depth 1", "outside"]


def test_a_node_that_was_never_learned_is_hollow_at_the_budget():
    steps = pd.array([40, 60, pd.NA], dtype="Int64")
    nodes = pd.DataFrame({"method": "(2,T)", "seed": 0, "node": [0, 1, 2], "depth": [0, 1, 1], "step": steps})
    ax = plots.node_steps(nodes, budget=100)
    drawn = [dots for dots in ax.collections if len(dots.get_offsets())]
    filled = sorted(x for dots in drawn if len(dots.get_facecolors()) for x in dots.get_offsets()[:, 0])
    [hollow] = [dots for dots in drawn if not len(dots.get_facecolors())]
    assert filled == [40, 60]
    assert hollow.get_offsets()[:, 0].tolist() == [100]


def test_accuracies_below_one_half_are_seen():
    history = pd.DataFrame(rows("teacher", 0, [0.12, 0.5]))
    assert plots.accuracy(history).get_ylim()[0] <= 0.12
    plt.close("all")
    assert plots.accuracy(HISTORY).get_ylim()[0] == 0.45


def test_budgets_are_medians_under_the_optimum():
    rows = [("one-shot", 10, s, a) for s, a in enumerate((0.1, 0.2, 0.9))] + [("one-shot", 20, 0, 0.4)]
    found = pd.DataFrame(rows, columns=["method", "budget", "seed", "final_accuracy"]).assign(optimum=0.95)
    _, ax = plt.subplots()
    plots.budgets(found, ax=ax)
    assert ax.lines[0].get_xydata().tolist() == [[10, 0.2], [20, 0.4]]
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(0.95)
    plt.close()


def test_the_first_checkpoint_figure_has_the_final_one_as_one_shot():
    both = [
        pd.DataFrame({"checkpoint": [30, 10, 20], "seed": s, "final_accuracy": [0.5, 0.3, 0.8 + s]}) for s in (0, 1)
    ]
    curriculum = pd.DataFrame({"step": [0, 10, 30], "seed": 0, "probe": "M_robust", "n": 3, "median": [0.0, 0.1, 0.4]})
    longer = curriculum.assign(n=5, median=0.9)
    figure = plots.first_checkpoint_figure(pd.concat(both), pd.concat([curriculum, longer]), chosen=[10, 20, 15])
    left, right = figure.axes
    assert left.lines[0].get_xydata().tolist() == [[10, 0.3], [20, 0.8], [30, 0.5]]
    assert left.lines[2].get_ydata().tolist() == pytest.approx([0.3, 1.3, 0.5])  # the mean
    assert left.lines[3].get_ydata()[0] == 0.5
    assert {text.get_text() for text in left.get_legend().get_texts()} == {
        "mean of 2", "one-shot", "what the rules choose"
    }  # fmt: skip
    assert right.lines[0].get_xydata().tolist() == [[10, 0.1], [30, 0.4]]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["M_robust(3)"]
    plt.close(figure)


def test_the_borders_of_phases_are_vertical_lines():
    history = pd.DataFrame({"step": [0, 30], "seed": 0, "loss": [1.0, 0.1]})
    shares = {"p25": 0.0, "median": [0.0, 0.4], "p75": 0.5}
    both = [pd.DataFrame({"step": [0, 30], "seed": 0, "probe": p, "n": 3, **shares}) for p in ("M_robust", "M_close")]
    curriculum = pd.concat(both)
    found = pd.DataFrame({"checkpoint": [10, 30], "seed": 0, "final_accuracy": [0.3, 0.5]})
    figures = [
        plots.sequence_teacher_figure(history, curriculum, borders=[10, 20]),
        plots.first_checkpoint_figure(found, curriculum, borders=[10, 20]),
    ]
    for ax in (ax for figure in figures for ax in figure.axes):
        vertical = [
            line.get_xdata()[0]
            for line in ax.lines
            if line.get_linestyle() == "--" and list(line.get_ydata()) == [0, 1]
        ]
        assert vertical == [10, 20]


def test_spans_are_dots_and_their_controls_lines():
    rows = [("one-shot", 0, 0.6), ("one-shot", 1, 0.7), ("teacher", 0, 0.9)]
    spans = pd.DataFrame(rows, columns=["method", "seed", "all"]).assign(level=1, kind="linear")
    rows = [("untrained", 32, 0.4), ("untrained", 32, 0.6), ("untrained", 128, 0.7), ("shuffled", 32, 0.3)]
    controls = pd.DataFrame(rows, columns=["method", "width", "all"]).assign(level=1, kind="linear", seed=0)
    figure = plots.spans_figure(
        pd.concat([spans, spans.assign(level=2)]), pd.concat([controls, controls.assign(level=2)])
    )
    left, right = figure.axes
    assert [ax.get_title() for ax in (left, right)] == ["linear probe, level 1", "linear probe, level 2"]
    assert [dots.get_offsets()[:, 1].tolist() for dots in left.collections] == [[0.6, 0.7], [0.9]]
    assert [line.get_ydata()[0] for line in left.lines] == pytest.approx([0.5, 0.7, 0.3])
