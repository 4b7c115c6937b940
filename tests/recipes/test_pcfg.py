"""Recipes of grammar students: what their tables hold, on runs of seconds."""

import dataclasses
import json

import matplotlib
import pandas as pd
import pytest

from pdtutor import CausalGrammar, Trajectory, nonterminal_probe, progressive
from pdtutor.recipes import catalogue
from pdtutor.recipes.sequence_students import by_budget

matplotlib.use("agg")
STUDENTS = ["cross-entropy", "one-shot", "progressive", "(2,T)"]


@pytest.fixture(scope="module")
def budgets(tmp_path_factory):
    """Two budgets with one teacher, and a third with another; the folder and the tables."""
    recipe = catalogue.recipe("pcfg-budgets", "smoke")
    longer = recipe.runs[0]
    other = dataclasses.replace(longer, teacher=dataclasses.replace(longer.teacher, steps=20), steps=30)
    out = tmp_path_factory.mktemp("budgets")
    recipe = dataclasses.replace(recipe, runs=(*recipe.runs, other))
    return out, recipe.run(seeds=2, out=out, progress=False).tables


def test_every_budget_is_a_run_of_its_own(budgets):
    out, tables = budgets
    last = tables["history"].query("method != 'teacher'").groupby("budget")["step"].max()
    assert last.to_dict() == {20: 20, 30: 30, 40: 40}
    assert sorted(p.name for p in out.iterdir()) == [
        "students-20", "students-30", "students-40", "teachers-0", "teachers-1"
    ]  # fmt: skip


def test_budgets_with_the_same_teacher_share_it_and_others_have_their_own(budgets):
    out, tables = budgets
    assert [Trajectory(out / f"teachers-{i}").final for i in (0, 1)] == [40, 20]
    teachers = tables["by_seed"].query("method == 'teacher'")
    accuracy = teachers.pivot(index="seed", columns="budget", values="final_accuracy")
    assert (accuracy[20] == accuracy[40]).all()
    rows = tables["history"].query("method == 'teacher'").groupby("budget")["step"].max()
    assert rows.to_dict() == {20: 40, 30: 20, 40: 40}


def test_results_are_medians_over_seeds_beside_the_optimum(budgets):
    _, tables = budgets
    results = tables["results"].set_index(["budget", "method"])
    assert results.index.tolist() == [(budget, method) for budget in (40, 20, 30) for method in [*STUDENTS, "teacher"]]
    of = tables["by_seed"].query("budget == 20 and method == '(2,T)'")["final_accuracy"]
    assert results.loc[(20, "(2,T)"), ["accuracy", "lowest", "highest", "seeds"]].tolist() == [
        of.median(), of.min(), of.max(), 2
    ]  # fmt: skip
    _, optimum = catalogue.recipe("pcfg-teacher", "smoke").optimum()
    assert results["optimum"].tolist() == [optimum] * len(results)
    found = pd.DataFrame({"budget": 1, "method": "m", "seed": range(3), "final_accuracy": [0.1, 0.9, 0.2]})
    found["optimum"] = 1
    assert by_budget(found).iloc[0].tolist() == [1, "m", 0.2, 0.1, 0.9, 3, 1]


def test_spans_are_probed_by_method_and_seed(budgets):
    out, tables = budgets
    spans = tables["spans"].query("budget == 40")
    expected = [(method, seed) for method in [*STUDENTS, "teacher"] for seed in (0, 1)]
    for kind in ("attention", "linear"):
        of_kind = spans[spans["kind"] == kind]
        assert list(zip(of_kind["method"], of_kind["seed"], strict=True)) == expected
        assert set(of_kind["level"]) == {1}  # between the root, 13, and the symbols above the tokens
    task = catalogue.recipe("pcfg-teacher", "smoke").task()
    probe = nonterminal_probe(task, 1, sentences=64)
    table = probe(Trajectory(out / "students-40" / "students").at(40))  # copies: method by method, seed by seed
    students = spans[(spans["kind"] == "attention") & (spans["method"] != "teacher")]
    assert students["all"].tolist() == pytest.approx(table["all"].tolist())


def test_the_controls_are_fresh_models_of_both_widths_with_true_and_with_wrong_symbols():
    recipe = catalogue.recipe("pcfg-progressive", "smoke")
    controls = recipe.controls([0, 1], progress=False)
    assert set(controls["width"]) == {recipe.width, recipe.teacher.width}
    counts = controls.groupby(["method", "width", "kind"], sort=False).size()
    assert set(counts) == {2}  # one level, two seeds
    assert set(controls["method"]) == {"untrained", "shuffled"}
    probe = nonterminal_probe(recipe.teacher.task(), 1, kind="linear", sentences=recipe.probed, shuffled=True)
    [row] = controls.query("method == 'shuffled' and width == 8 and kind == 'linear' and seed == 1").to_dict("records")
    assert row["all"] == probe(recipe.teacher.model(width=8, seeds=[0, 1]))["all"][1]


def test_the_first_checkpoint_teaches_first_and_the_final_one_is_one_shot(tmp_path):
    recipe = catalogue.recipe("pcfg-which-checkpoint", "smoke")
    tables = recipe.run(seeds=2, out=tmp_path, progress=False).tables
    history = tables["history"]
    first = history[history["step"] == recipe.first]
    assert (first["teacher_step"] == first["checkpoint"]).all()
    assert (history[history["step"] == recipe.steps]["teacher_step"] == 40).all()
    teachers = Trajectory(tmp_path / "teachers")
    own = [teachers.of(seed).digest for seed in (0, 1)]
    for name, expected in {"10": own, "20": own, "40": own, "cross-entropy": [None, None]}.items():  # labels: by none
        run = json.loads((tmp_path / "students" / name / "students" / "run.json").read_text())
        assert [of.get("teacher") for of in run["settings"]["supervision"]] == expected
    pairs = tables["results"][["checkpoint", "seed"]].to_numpy().tolist()
    assert pairs == [[checkpoint, seed] for checkpoint in (10, 20, 40) for seed in (0, 1)]


def test_autoregressive_students_have_no_c1_and_look_back_only(tmp_path):
    recipe = catalogue.recipe("pcfg-autoregressive", "smoke")
    tables = recipe.run(seeds=2, out=tmp_path, progress=False).tables
    assert tables["by_seed"]["method"].unique().tolist() == STUDENTS[:3]
    assert tables["by_seed"]["optimum"].between(0.5, 1).all()
    assert recipe.teacher.model(width=8, seeds=[0]).causal
    assert isinstance(recipe.teacher.task(), CausalGrammar)


def test_progressive_students_meet_eight_checkpoints_and_the_final_one_for_more_than_half():
    recipes = [catalogue.recipe("pcfg-progressive"), *catalogue.recipe("pcfg-budgets").runs]
    assert [run.steps for run in recipes] == [800, 400, 800, 1600]
    for run in recipes:
        stages = progressive(run.interval, speed=run.speed).stages(run.teacher.saved_steps, run.steps)
        assert [step for _, step in stages] == [750 * i for i in range(1, 9)]
        assert stages[-1] == (run.steps * 7 // 16, run.teacher.steps)
        assert run.first == run.steps // 4


def test_the_paper_scale_is_the_papers():
    runs = catalogue.recipe("pcfg-budgets", "paper").runs
    assert [run.steps for run in runs] == [run.teacher.steps for run in runs] == [2000, 4000, 8000, 16_000]
    for run in (*runs, catalogue.recipe("pcfg-progressive", "paper")):
        teacher = run.teacher
        assert (teacher.grammar, teacher.root, teacher.layers, teacher.batch_size, teacher.lr) == (
            "cfg3b", None, 4, 512, 5e-3
        )  # fmt: skip
        assert (teacher.width // teacher.head_dim, run.width // teacher.head_dim, teacher.head_dim) == (32, 8, 8)
        assert (teacher.save_every, run.interval, run.speed, run.temperature) == (200, 1000, 1.0, 1e-4)
        assert (run.probed, teacher.precision) == (10_240, "bfloat16")
    sweep = catalogue.recipe("pcfg-which-checkpoint", "paper")
    assert sweep.checkpoints == (400, 800, 1000, 1200, 1600, 2000, 4000, 7000, 8000)
    causal = catalogue.recipe("pcfg-autoregressive", "paper")
    assert (causal.teacher.grammar, causal.teacher.root, causal.speed) == ("cfg3f", None, 2.0)
    assert causal.teacher.level in (1, 2, 3)
