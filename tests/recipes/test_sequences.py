"""What recipes on sequences share: probed teachers, and which of their checkpoints is C₁."""

import pandas as pd
import pytest

from pdtutor import Trajectory, ngram_closeness, ngram_robustness
from pdtutor.recipes.pcfg import SMOKE_TEACHER
from pdtutor.recipes.sequences import closest_checkpoints, rising_checkpoints


def rows(seed, probe, n, medians):
    return [{"step": 50 * i, "seed": seed, "probe": probe, "n": n, "median": one} for i, one in enumerate(medians)]


def test_c1_of_text_is_where_3_grams_explain_most_once_predictions_depend_on_something():
    table = pd.DataFrame(
        [
            *rows(0, "M_robust", 3, [0.0, 0.1, 0.2, 0.4, 0.1, 0.1]),
            *rows(0, "M_close", 3, [0.0, 0.01, 0.3, 0.2, 0.1, 0.2]),  # 50 is on the plateau; at 200, M_robust is low
            *rows(1, "M_robust", 3, [0.0, 0.0, 0.1, 0.25, 0.5, 0.4]),
            *rows(1, "M_close", 3, [0.0, 0.0, 0.05, 0.1, 0.2, 0.3]),  # where it has come half way
            *rows(0, "M_robust", 5, [0.9] * 6),
            *rows(0, "M_close", 5, [0.9, 0.9, 0.9, 0.9, 0.9, 0.0]),
        ]
    )
    assert rising_checkpoints(table) == {0: 100, 1: 150}
    assert closest_checkpoints(table) == {0: 200, 1: 150}
    assert closest_checkpoints(table.sample(frac=1, random_state=0)) == {0: 200, 1: 150}
    assert {type(part) for pair in closest_checkpoints(table).items() for part in pair} == {int}


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    """The folder, the run and the curriculum of two teachers."""
    out = tmp_path_factory.mktemp("probed") / "here"
    return out, *SMOKE_TEACHER.probed([3, 100], out=out, progress=False)


def test_probed_teachers_are_kept_and_asked_about_3_grams_alone(probed):
    out, run, curriculum = probed
    assert Trajectory(out).seeds == run.trajectory.seeds == [3, 100]
    assert Trajectory(out).final == SMOKE_TEACHER.steps
    assert set(curriculum["n"]) == {3}
    assert set(zip(curriculum["step"], curriculum["seed"], curriculum["probe"], strict=True)) == {
        (step, seed, probe) for step in run.trajectory.steps for seed in (3, 100) for probe in ("M_robust", "M_close")
    }
    for name, probe in (("M_robust", ngram_robustness), ("M_close", ngram_closeness)):
        table = probe(SMOKE_TEACHER.task(), 3, sentences=SMOKE_TEACHER.probe_sentences)(run.trajectory.at(20))
        found = curriculum[(curriculum["step"] == 20) & (curriculum["probe"] == name)].sort_values("seed")
        assert found["median"].tolist() == pytest.approx(table["median"].tolist())


def test_probed_teachers_are_resumed(probed):
    out, run, curriculum = probed
    again, same = SMOKE_TEACHER.probed([3, 100], out=out, resume=True, progress=False)
    pd.testing.assert_frame_equal(again.history, run.history)
    pd.testing.assert_frame_equal(same, curriculum)
    with pytest.raises(ValueError, match="already holds a trajectory: choose another folder, or resume"):
        SMOKE_TEACHER.probed([3, 100], out=out, progress=False)
