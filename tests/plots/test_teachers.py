"""What the figures of lesson 2 draw, read back from their axes."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pdtutor import paper, plots


@pytest.fixture(autouse=True)
def close_figures():
    plt.close("all")
    yield
    plt.close("all")


def curriculum(seeds=(0, 1)):
    """Two steps, two coordinates inside and two outside; means 0.2 and 0.01 at step 0, 0.5 and 0.02 at step 100."""
    one = pd.DataFrame(
        {
            "step": np.repeat([0, 100], 4),
            "monomial": ["0", "1", "2", "3"] * 2,
            "inside": [True, True, False, False] * 2,
            "value": [0.1, 0.3, 0.0, 0.02, 0.4, 0.6, 0.0, 0.04],
            "noise_floor": 0.01,
        }
    )
    return pd.concat([one.assign(seed=seed) for seed in seeds], ignore_index=True)


def history(seeds=(0, 1)):
    return pd.DataFrame(
        [{"seed": s, "step": 100 * i, "accuracy": a, "loss": 1 - a} for s in seeds for i, a in enumerate([0.5, 0.9])]
    )


def drawn(ax):
    return [np.round(line.get_ydata(), 6).tolist() for line in ax.get_lines()]


def test_each_teacher_has_its_accuracy_above_its_correlations_and_its_transition_shaded():
    figure = plots.teachers_figure(history(), curriculum(), spans={0: (0, 50), 1: (50, 100)})
    assert len(figure.axes) == 4
    upper, lower = figure.axes[:2]
    assert drawn(upper) == [[0.5, 0.9]]
    assert drawn(lower)[:2] == [[0.2, 0.5], [0.01, 0.02]]
    assert drawn(lower)[2] == pytest.approx([0.01 * np.sqrt(2 / np.pi)] * 2, abs=1e-6)
    assert upper.get_title() == "seed 0"
    assert upper.patches[0].get_x() == 0
    assert upper.patches[0].get_width() == 50


def test_a_transition_is_cut_out_of_the_run():
    figure = plots.transition_figure(history((0,)), curriculum((0,)), span=(50, 100))
    assert [drawn(ax)[0] for ax in figure.axes] == [[0.9], [0.1], [0.5]]


def test_degrees_are_drawn_apart_inside_and_outside():
    rows = pd.concat([curriculum().assign(degree=1, moment=moment) for moment in ("peak", "end")])
    figure = plots.degrees_figure(rows)
    assert [ax.get_title() for ax in figure.axes] == ["peak", "end"]
    inside = figure.axes[0].collections[0]
    assert len(inside.get_offsets()) == 8
    assert np.all(inside.get_offsets()[:, 0] < 1)


def test_progress_is_counted_in_plateaus():
    progress = pd.DataFrame({"seed": 0, "step": [0, 100], "size": [1.0, 1.1], "product": [1.0, 30.0]})
    figure = plots.weights_figure(progress, history((0,)), onsets={0: 50})
    assert figure.axes[2].get_lines()[0].get_xdata().tolist() == [0, 2]
    assert drawn(figure.axes[2])[0] == [1, 30]


def test_heights_after_the_peak_have_a_panel_for_each_rate_the_larger_first():
    table = pd.DataFrame({"lr": [0.1, 0.1, 0.2, 0.2], "seed": 0, "step": [0, 25] * 2, "height": [0.5, 0.4, 0.5, 0.1]})
    figure = plots.after_peak_figure(table)
    assert [ax.get_title() for ax in figure.axes] == ["learning rate 0.2", "learning rate 0.1"]
    assert drawn(figure.axes[0])[0] == [0.5, 0.1]


def test_the_papers_numbers_are_crosses_beside_our_spikes():
    figure = plots.paper_teacher_figure(
        *[{"ours": table} for table in (history(), curriculum(), curriculum())], paper("E1")
    )
    left, middle, right = figure.axes
    assert middle.get_title() == "correlations of the probability"
    assert right.get_title() == "correlations of the answer (argmax)"
    assert drawn(left)[0] == [0.5, 0.9]
    assert right.get_lines()[0].get_xdata().tolist() == [-100, 0]  # counted from the peak
    inside = right.collections[0].get_offsets()
    assert inside[0].tolist() == [0, 0.095]


RESULTS = pd.DataFrame(
    {
        "d": 30,
        "width": [100, 100, 1000, 1000],
        "lr": [0.1, 0.01, 0.01, 0.1],
        "seed": 0,
        "onset": pd.array([1000, 4000, 3000, pd.NA], dtype="Int64"),
        "inside": [0.05, 0.06, 0.07, np.nan],
        "outside": 0.01,
        "by_chance": 0.005,
    }
)


def test_a_plateau_that_was_not_left_is_hollow_at_the_budget():
    ax = plots.heights_figure(RESULTS, budget=9000).axes[1]
    heights = [c.get_offsets()[:, 1].tolist() for c in ax.collections]
    assert [9000] in heights
    hollow = ax.collections[heights.index([9000])]
    assert np.all(hollow.get_facecolors()[:, :3] == 1)


def test_only_effective_rates_of_two_widths_are_drawn():
    figure = plots.waits_figure(RESULTS, RESULTS.query("lr == 0.01"), budget=9000)
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert names == ["rate × width ≈ 10"]


def test_heights_by_spacing_are_inside_minus_outside():
    table = RESULTS.dropna().assign(spacing=500)
    figure = plots.spacing_figure(table)
    assert [ax.get_title() for ax in figure.axes] == ["learning rate 0.01", "learning rate 0.1"]
    assert drawn(figure.axes[1]) == [[0.04]]


def test_waits_are_in_plateaus_of_the_teacher():
    results = pd.DataFrame({"start": ["fresh", "1/4"], "teacher": 0, "onset": [300, 150], "plateau": 200})
    [ax] = plots.plateau_figure(results).axes
    shares = [c.get_offsets()[0, 1] for c in ax.collections if len(c.get_offsets()) == 1]
    assert 1.5 in shares
    assert 0.75 in shares
    assert [t.get_text() for t in ax.get_xticklabels()] == ["fresh\nnetworks", "taken at\n1/4"]
