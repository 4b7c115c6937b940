"""The tables of the recipes on a teacher's spike and on its plateau, from rows whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from pdtutor.recipes.parity_plateau import plateau_results
from pdtutor.recipes.parity_spike import heights_by_spacing, levels, summary


def followed(differences, *, fresh=None, steps_to_99=900.0):
    """A table of `follow`: coordinates 0 and 1 inside by these differences above 2 … 9, which show 0.01 each."""
    rows = []
    for i, difference in enumerate(differences):
        for coordinate in range(10):
            inside = coordinate < 2
            measured = differences[i] if fresh is None else fresh[i]
            rows.append(
                {
                    "step": 500 + 100 * i,
                    "monomial": str(coordinate),
                    "inside": inside,
                    "value": 0.01 + (difference if inside else 0.001 * (coordinate % 2)),
                    "value_fresh": 0.01 + (measured if inside else 0.0),
                    "accuracy": 0.6,
                    "loss": 0.5,
                    "steps_to_99": steps_to_99,
                }
            )
    return pd.DataFrame(rows)


def test_a_peak_is_chosen_on_one_set_of_examples_and_measured_on_the_other():
    found = summary(followed([0.0, 0.05, 0.02, 0.0], fresh=[0.0, 0.03, 0.09, 0.0]))
    assert found["peak_step"] == 600
    assert found["inside"] - found["outside"] == pytest.approx(0.03)
    assert (found["onset"], found["steps_to_99"], found["checkpoints"]) == (500, 900, 4)
    assert abs(found["by_chance"]) < 1e-9  # coordinates outside are alike on the fresh examples


def test_with_fewer_checkpoints_the_height_is_the_mean_over_where_one_begins():
    heights = pd.DataFrame(heights_by_spacing(followed([0.0, 0.08, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0])))
    assert heights["spacing"].tolist() == [100, 200]
    assert (heights["inside"] - heights["outside"]).tolist() == pytest.approx([0.08, 0.05])  # of 0.02 and 0.08


@pytest.mark.parametrize(("accuracy", "diverged"), [(0.5, False), (None, True)])
def test_a_teacher_without_a_transition_has_a_row_without_numbers(accuracy, diverged):
    table = pd.DataFrame([{"step": 100, "accuracy": accuracy}])
    assert levels(table).empty
    assert list(heights_by_spacing(table)) == []
    assert summary(table) == {"diverged": diverged, "onset": None, "steps_to_99": None}


def test_waits_are_counted_from_where_a_network_was_taken():
    rows = [
        {"teacher": 0, "start": start, "taken_at": taken, "copy": 0, "step": step, "accuracy": accuracy, "loss": 0.7}
        for start, taken, accuracies in (
            ("teacher", 0, [0.5, 0.5, 0.6]),
            ("1/4", 50, [0.5, 0.6, 0.9]),
            ("fresh", 0, [0.5]),
        )
        for step, accuracy in zip((0, 100, 200), accuracies, strict=False)
    ]
    found = plateau_results(pd.DataFrame(rows)).set_index("start")
    assert found.loc["1/4", "onset"] == 100
    assert np.all(found["plateau"] == 200)
    assert found["onset"].isna().to_dict() == {"1/4": False, "fresh": True}
