"""Students on sequences: learning rates by method and budget, and the noise of their gradients, on runs of seconds."""

import shutil
from dataclasses import replace

import matplotlib
import pandas as pd
import pytest

from pdtutor import FINAL, Distill, Labels, Trajectory, n_shot, results
from pdtutor.recipes.pcfg import SMOKE_TEACHER
from pdtutor.recipes.sequence_students import (
    TUNING_SEED,
    Budgets,
    MaskedProgressive,
    WhichCheckpoint,
    by_budget,
    most_accurate_rates,
)
from pdtutor.training.gradient_noise import gradient_noise

matplotlib.use("agg")
METHODS = ["cross-entropy", "one-shot", "progressive", "(2,T)"]
SMALL = {"width": 8, "steps": 20, "eval_every": 10, "interval": 10, "speed": 1.0, "first": 10}
STUDENTS = MaskedProgressive(SMOKE_TEACHER, **SMALL)
RATES = (1e-3, 1e-2)
CHOSEN = {"cross-entropy": 1e-3, "one-shot": 1e-2, "progressive": 1e-2, "(2,T)": 1e-3}
TUNED = Budgets((STUDENTS, replace(STUDENTS, steps=30)), rates=RATES, tuning=2, tuned=20)


def finished(recipe, out, **options):
    """The tables of a recipe; rates are chosen as in CHOSEN."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pdtutor.recipes.sequence_students.most_accurate_rates", lambda tuning: CHOSEN)
        return recipe.run(seeds=2, out=out, progress=False, **options).tables


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The folder and the tables of two budgets, at the smaller of which learning rates were chosen."""
    out = tmp_path_factory.mktemp("budgets")
    return out, finished(TUNED, out)


def test_every_method_trains_with_its_own_rate(tuned, tmp_path):
    out, tables = tuned
    teachers = Trajectory(out / "teachers-0")
    curriculum = tables["curriculum"].query("budget == 20")
    methods = STUDENTS.methods(teachers, STUDENTS.first_checkpoints(curriculum))

    def losses(history):
        return history[history["step"] == 20].set_index(["method", "seed"])["loss"]

    mine = losses(tables["history"].query("budget == 20"))
    for rate in RATES:
        alone = replace(STUDENTS, lr=rate).compare(methods, seeds=[0, 1], out=tmp_path / str(rate), progress=False)
        theirs = losses(alone.history)
        for method in METHODS:
            equal = mine[method].tolist() == pytest.approx(theirs[method].tolist(), rel=1e-5)
            assert equal == (CHOSEN[method] == rate), (method, rate)


def test_rates_are_chosen_on_seeds_that_are_not_counted_however_many_are(tmp_path, monkeypatch):
    monkeypatch.setattr("pdtutor.recipes.sequence_students.TUNING_SEED", 1)
    tables = finished(Budgets((STUDENTS,), rates=RATES, tuning=1), tmp_path)
    assert set(tables["by_seed"]["seed"]) == {0, 1}
    assert set(tables["tuning"]["seed"]) == {2}


def test_a_larger_budget_takes_the_rates_over_and_is_not_tuned(tuned):
    out, tables = tuned
    assert set(tables["tuning"]["budget"]) == {20}
    assert sorted(path.name for path in out.iterdir()) == [
        "students-20", "students-30", "teachers-0", "tuning-20", "tuning-teachers-0"
    ]  # fmt: skip
    for budget in (20, 30):
        rates = tables["by_seed"].query("budget == @budget").groupby("method", sort=False)["rate"].unique()
        assert rates.map(list).to_dict() == {method: [rate] for method, rate in CHOSEN.items()} | {
            "teacher": [SMOKE_TEACHER.lr]
        }
        assert sorted(path.name for path in (out / f"students-{budget}").iterdir()) == ["rate-0.001", "rate-0.01"]


def test_rates_are_chosen_on_seeds_and_teachers_that_are_not_counted(tuned):
    out, tables = tuned
    tuning = tables["tuning"]
    assert set(tables["by_seed"]["seed"]) == {0, 1}
    assert set(tuning["seed"]) == {TUNING_SEED, TUNING_SEED + 1}
    assert (Trajectory(out / "teachers-0").seeds, Trajectory(out / "tuning-teachers-0").seeds) == ([0, 1], [100, 101])
    found = set(zip(tuning["method"], tuning["rate"], tuning["seed"], strict=True))
    assert found == {(method, rate, seed) for method in METHODS for rate in RATES for seed in (100, 101)}
    assert len(tuning) == len(found)
    for rate in RATES:
        students = Trajectory(out / "tuning-20" / f"rate-{rate:g}" / "students")
        assert students.seeds == [100, 101] * 4


def test_methods_are_in_the_same_order_everywhere_whatever_their_rates(tuned):
    _, tables = tuned
    assert tables["results"]["method"].tolist() == [*METHODS, "teacher"] * 2
    for _, of_budget in tables["history"].groupby("budget"):
        assert of_budget["method"].unique().tolist() == [*METHODS, "teacher"]
        for _, of_student in of_budget.groupby(["method", "seed"]):
            assert of_student["step"].is_monotonic_increasing
    history = tables["history"].query("budget == 20")
    pd.testing.assert_frame_equal(
        tables["by_seed"].query("budget == 20")[["method", "seed", "final_accuracy"]],
        results(history, threshold=STUDENTS.threshold)[["method", "seed", "final_accuracy"]],
    )


def test_budgets_are_resumed_where_they_stopped(tuned, tmp_path):
    out, tables = tuned
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    shutil.rmtree(copy / "students-30")  # stopped while the last students trained
    shutil.rmtree(copy / "students-20" / "rate-0.01")
    kept = {path: path.stat().st_mtime_ns for path in copy.rglob("*.safetensors")}
    again = finished(TUNED, copy, resume=True)
    assert list(again) == list(tables)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(again[name], table)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # nothing else was trained once more


def test_without_rates_or_below_every_budget_the_recipe_s_own_is_taken(tmp_path):
    for number, settings in enumerate(({}, {"rates": RATES, "tuned": 19})):
        out = tmp_path / str(number)
        tables = Budgets((STUDENTS,), **settings).run(seeds=1, out=out, progress=False).tables
        assert "tuning" not in tables
        assert sorted(path.name for path in out.iterdir()) == ["students-20", "teachers-0"]
        assert tables["results"]["rate"].tolist() == [STUDENTS.lr] * 4 + [SMOKE_TEACHER.lr]


def test_the_best_rate_has_the_highest_accuracy_on_average_over_seeds():
    rows = [
        ("b", 0.1, [0.5, 0.5]),
        ("b", 0.2, [0.3, 0.8]),  # the higher mean, though not on every seed
        ("a", 0.1, [0.9, 0.2]),  # the best seed, not the best mean
        ("a", 0.2, [0.6, 0.5]),
        ("a", 0.4, [0.6, 0.6]),
    ]
    table = pd.DataFrame(
        {"method": method, "seed": seed, "rate": rate, "final_accuracy": accuracy}
        for method, rate, of in rows
        for seed, accuracy in enumerate(of)
    )
    assert most_accurate_rates(table) == {"a": 0.4, "b": 0.2}
    assert all(type(rate) is float for rate in most_accurate_rates(table).values())


def test_rows_by_budget_show_the_rate_if_it_is_known():
    found = pd.DataFrame({"budget": 1, "method": "m", "seed": range(3), "final_accuracy": [0.1, 0.9, 0.2]})
    assert list(by_budget(found)) == ["budget", "method", "accuracy", "lowest", "highest", "seeds"]
    assert by_budget(found.assign(rate=0.01)).iloc[0].tolist() == [1, "m", 0.2, 0.1, 0.9, 3, 0.01]


# (2,T) by its first checkpoint

WHICH = WhichCheckpoint(SMOKE_TEACHER, **SMALL, checkpoints=(10, 40), measured=(3, 6), batches=4)


@pytest.mark.parametrize("decay", ["cosine", "constant"])  # with a constant rate, each method trains by itself
def test_the_noise_is_that_of_every_student_under_its_own_first_checkpoint(decay, tmp_path):
    recipe = replace(WHICH, decay=decay)
    tables = recipe.run(seeds=2, out=tmp_path, progress=False).tables
    noise = tables["noise"].set_index(["step", "method", "seed"])
    assert list(noise) == ["signal", "noise", "ratio"]
    expected = {(step, m, seed) for step in (3, 6) for m in ("10", "40", "cross-entropy") for seed in (0, 1)}
    assert set(noise.index) == expected
    assert len(noise) == len(expected)
    teachers = Trajectory(tmp_path / "teachers")
    for step, method, seed in [(3, "10", 1), (6, "40", 0), (6, "cross-entropy", 1)]:
        parts = [tmp_path / "students" / method / part for part in ("students", method)]
        students = Trajectory(next(part for part in parts if part.is_dir()))
        student = students.copy(seed).at(step).requires_grad_(True)
        supervision = Labels() if method == "cross-entropy" else Distill(
            teachers.of(seed), n_shot([int(method), FINAL], each=10), temperature=recipe.temperature
        )  # fmt: skip
        alone = gradient_noise(
            student, SMOKE_TEACHER.task(), supervision, parameters=["positions.weight"], batches=recipe.batches,
            batch_size=SMOKE_TEACHER.batch_size, progress=False,
        )  # fmt: skip
        assert alone["seed"].tolist() == [seed]
        columns = ["signal", "noise"]
        assert noise.loc[(step, method, seed), columns].tolist() == pytest.approx(
            alone.loc[0, columns].tolist(), rel=1e-3
        )
    assert set(tables["results"]["checkpoint"]) == set(tables["history"]["checkpoint"]) == {10, 40}  # labels are apart


def test_gradients_are_measured_while_c1_teaches_or_not_at_all(tmp_path):
    with pytest.raises(ValueError, match="gradients can be measured while C₁ teaches, for 10 updates, not at 10"):
        replace(WHICH, measured=(3, 10)).check()
    WHICH.check()
    tables = replace(WHICH, measured=(), checkpoints=(10,)).run(seeds=1, out=tmp_path, progress=False).tables
    assert "noise" not in tables
