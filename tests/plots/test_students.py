"""Figures of lesson 3: what is hollow, what is dashed, and where the paper's crosses stand."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pdtutor import paper, plots


@pytest.fixture(autouse=True)
def close_figures():
    plt.close("all")
    yield
    plt.close("all")


CANDIDATES = pd.DataFrame(
    {
        "seed": [0, 0, 0, 1],
        "checkpoint": [100, 200, 300, 100],
        "teacher": [0.5, 0.8, 1.0, 0.7],
        "correlation": [0.0, 0.02, 0.0, 0.01],
        "hard": [0.001, 0.1, 0.0, 0.05],
        "signal": [-1e-7, 1e-3, 1e-8, 1e-4],
        "signal_inside": [1e-7, 2e-3, 1e-8, 1e-4],
        "signal_outside": [2e-7, 1e-3, 0.0, 1e-5],
        "steps": pd.array([pd.NA, 3000, pd.NA, 4000], dtype="Int64"),
        "reached": [False, True, False, True],
    }
)
E1 = paper("E1")


def history(method, seed, accuracies, every=100_000):
    return pd.DataFrame(
        {"method": method, "seed": seed, "step": [every * i for i in range(len(accuracies))], "accuracy": accuracies}
    )


def test_students_that_did_not_learn_are_hollow_at_the_budget():
    ax = plots.steps_by_predictor(CANDIDATES, predictor="hard", budget=12_000)
    hollow = [c for c in ax.collections if len(c.get_facecolors()) == 0 and len(c.get_offsets())]
    assert sorted(tuple(c.get_offsets()[0]) for c in hollow) == [(0.0, 12_000), (0.001, 12_000)]
    assert ax.get_ylim()[1] > 12_000


@pytest.mark.parametrize("figure", [plots.by_checkpoint_figure, plots.predictors_figure])
def test_a_figure_of_candidates_names_the_three_phases(figure):
    [legend] = figure(CANDIDATES, budget=12_000).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "plateau (below 0.53)", "transition", "after (0.99 or more)"
    ]  # fmt: skip


def test_a_ratio_below_a_millionth_is_drawn_there():
    figure = plots.signal_figure(CANDIDATES, batch_size=32)
    inside, outside = figure.axes[0].get_lines()
    assert inside.get_ydata().tolist() == pytest.approx([3.2e-6, 6.4e-2, 1e-6])
    assert outside.get_linestyle() == "--"


def test_controls_have_a_panel_each_and_a_line_per_seed():
    table = pd.concat([history(m, s, [0.5, 1.0]) for m in ("the spike", "untrained") for s in (0, 1)])
    figure = plots.controls_figure(table, first=1000)
    assert [ax.get_title() for ax in figure.axes] == ["the spike", "untrained"]
    assert [len(ax.get_lines()) for ax in figure.axes] == [3, 3]  # two seeds and the switch


def test_the_paper_s_size_has_our_lines_and_the_paper_s_crosses():
    ours = pd.concat([history(m, s, [0.5, 0.5, 1.0]) for m in ("teacher", "one-shot", "progressive", "cross-entropy")
                      for s in (0, 2)])  # fmt: skip
    exact = history("teacher", 0, [0.5, 0.6, 1.0])
    figure = plots.whole_run_figure(ours, E1, exact=exact)
    teacher = figure.axes[0]
    labels = [text.get_text() for text in teacher.get_legend().get_texts()]
    assert labels == ["ours, teacher's width 1000", "ours, width 50 000", "paper"]
    crosses = teacher.collections[0].get_offsets()
    assert [10_200_000, 0.75] in crosses.tolist()
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == ["ours, teacher's width 1000", "paper"]


def test_two_shot_panels_differ_in_colour_and_dashes():
    names = ["(2,T), C₁ early", "(2,T)", "(2,T), C₁ late"]
    table = pd.concat([history(name, 0, [0.5, 0.7, 1.0], every=1_000_000) for name in names])
    figure = plots.two_shot_figure(table, E1, first=1_000_000)
    lines = [ax.get_lines()[0] for ax in figure.axes]
    assert len({line.get_color() for line in lines}) == 3
    assert len({str(line._dash_pattern) for line in lines}) == 3
    assert figure.axes[0].collections[0].get_offsets().tolist() == [[2_000_000, 0.5]]  # "throughout"


def test_temperatures_have_a_panel_per_schedule_and_the_rate_beside_the_name():
    names = ["one-shot, τ = 4", "(2,T), τ = 4", "label only"]
    table = pd.DataFrame({"method": names * 2, "seed": [0] * 3 + [1] * 3, "rate": 0.2, "reached": True,
                          "steps": pd.array([10, 20, 30] * 2, dtype="Int64")})  # fmt: skip
    figure = plots.temperature_figure(table, budget=100)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["one-shot", "(2,T)", "changed teachers"]
    assert figure.axes[2].get_yticklabels()[0].get_text() == "label only  (rate 0.2)"


def test_bars_of_coordinates_tell_the_support_by_hatches():
    table = pd.DataFrame({"coordinate": [0, 1, 2], "inside": [True, False, False], "signal": [0.3, 0.1, 0.0]})
    [ax] = plots.coordinates_figure({"a teacher": table}, column="signal", ylabel="signal").axes
    assert [bar.get_hatch() or "" for bar in ax.patches] == ["///", "", ""]


def test_students_curricula_have_a_panel_per_method():
    rows = [
        {"method": m, "seed": 0, "step": step, "inside": inside, "value": 0.1, "noise_floor": 0.01}
        for m in ("a", "b") for step in (0, 10) for inside in (True, False)
    ]  # fmt: skip
    figure = plots.students_curriculum_figure(pd.DataFrame(rows))
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert [len(ax.get_lines()) for ax in figure.axes] == [3, 3]
