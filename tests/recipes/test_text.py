"""Recipes on text and on pretrained families: what their tables hold, on runs of seconds."""

import dataclasses

import matplotlib
import pandas as pd
import pytest

from pdtutor import CausalText, MaskedText, Trajectory, local_family, progressive
from pdtutor.recipes import catalogue
from pdtutor.recipes.text import paper_teacher

matplotlib.use("agg")
STUDENTS = ["cross-entropy", "one-shot", "progressive", "(2,T)"]
WORDS = ("red", "green", "blue", "white", "black")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder of texts, so that no test waits for a download."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = [f'{{"text": "{" ".join(WORDS[(i * j) % 5] for j in range(1, 30))} {i}"}}' for i in range(200)]
    (folder / "words.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return (str(folder),)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PDTUTOR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def smoke(name, corpus):
    """Return a recipe at its smallest, on this corpus."""
    recipe = catalogue.recipe(name, "smoke")
    if hasattr(recipe, "runs"):
        teacher = dataclasses.replace(recipe.runs[0].teacher, corpus=corpus)
        return dataclasses.replace(recipe, runs=tuple(dataclasses.replace(r, teacher=teacher) for r in recipe.runs))
    if hasattr(recipe, "corpus"):
        return dataclasses.replace(recipe, corpus=corpus)
    return dataclasses.replace(recipe, teacher=dataclasses.replace(recipe.teacher, corpus=corpus))


def test_the_teacher_is_probed_and_has_no_optimum(corpus, tmp_path):
    recipe = smoke("text-teacher", corpus)
    tables = recipe.run(seeds=2, out=tmp_path, progress=False).tables
    assert tables["results"]["seed"].tolist() == [0, 1]
    assert not [column for column in tables["results"] if "optimal" in column]
    assert set(tables["curriculum"]["n"]) == {3, 5, 7}
    assert Trajectory(tmp_path / "teachers").task == recipe.task()


@pytest.mark.parametrize("name", ["text-budgets", "text-deeper", "text-word-pieces"])
def test_budgets_hold_every_supervision(name, corpus, tmp_path):
    recipe = smoke(name, corpus)
    tables = recipe.run(seeds=1, out=tmp_path, progress=False).tables
    expected = [(run.steps, method) for run in recipe.runs for method in [*STUDENTS, "teacher"]]
    assert list(zip(tables["results"]["budget"], tables["results"]["method"], strict=True)) == expected
    assert not {"optimum", "spans"} & {*tables["results"], *tables}
    assert ("tuning" in tables) == (recipe.rates != ())
    assert set(tables["by_seed"].query("method != 'teacher'")["rate"]) <= {*recipe.rates, recipe.runs[0].lr}


def test_progressive_students_and_their_first_checkpoint(corpus, tmp_path):
    recipe = smoke("text-progressive", corpus)
    tables = recipe.run(seeds=1, out=tmp_path, progress=False).tables
    assert tables["results"]["method"].tolist() == STUDENTS
    of_3 = tables["curriculum"].query("n == 3").pivot(index="step", columns="probe", values="median")
    half_way = of_3.index[of_3["M_robust"] >= of_3["M_robust"].max() / 2][0]
    two_shot = tables["history"].query("method == '(2,T)'").set_index("step")["teacher_step"]
    assert two_shot[recipe.first] == of_3.loc[half_way:, "M_close"].idxmin()
    assert two_shot[recipe.steps] == recipe.teacher.steps


def test_progressive_students_have_three_checkpoints_and_the_final_one_for_a_third():
    laptop = [catalogue.recipe("text-progressive"), *catalogue.recipe("text-budgets").runs]
    others = [run for name in ("text-deeper", "text-word-pieces") for run in catalogue.recipe(name).runs]
    for students in (*laptop, *others):
        schedule = progressive(students.interval, speed=students.speed)
        stages = schedule.stages(students.teacher.saved_steps, students.steps)
        assert len(stages) == 3
        start, last = stages[-1]
        assert last == students.teacher.steps
        assert start == pytest.approx(students.steps * 2 / 3, abs=3)
        assert students.first == pytest.approx(students.steps / 3, abs=1)


def test_the_sweep_takes_its_c1_by_the_rule_of_the_students():
    curriculum = pd.DataFrame(
        [
            {"probe": probe, "n": 3, "seed": 0, "step": step, "median": value}
            for probe, values in {"M_robust": (0.0, 0.4, 0.5, 0.5), "M_close": (0.0, 0.3, 0.1, 0.2)}.items()
            for step, value in zip((0, 50, 100, 150), values, strict=True)
        ]
    )
    for name in ("text-progressive", "text-which-checkpoint"):
        assert catalogue.recipe(name).first_checkpoints(curriculum) == {0: 100}


def test_the_first_checkpoint_teaches_first(corpus, tmp_path):
    recipe = smoke("text-which-checkpoint", corpus)
    tables = recipe.run(seeds=1, out=tmp_path, progress=False).tables
    history = tables["history"]
    first = history[history["step"] == recipe.first]
    assert (first["teacher_step"] == first["checkpoint"]).all()
    assert sorted(first["checkpoint"]) == list(recipe.checkpoints)
    noise = tables["noise"]
    assert noise["method"].tolist() == [*map(str, recipe.checkpoints), "cross-entropy"]
    assert set(noise["step"]) == set(recipe.measured)


def test_token_by_token_there_is_no_c1(corpus, tmp_path):
    recipe = smoke("text-autoregressive", corpus)
    tables = recipe.run(seeds=1, out=tmp_path, progress=False).tables
    assert tables["by_seed"]["method"].tolist() == STUDENTS[:3]
    assert isinstance(recipe.teacher.task(), CausalText)
    assert recipe.teacher.model(width=8, seeds=[0]).causal


def test_a_family_is_trained_where_none_is_named_and_then_teaches(corpus, tmp_path):
    recipe = smoke("pretrained-progressive", corpus)
    tables = recipe.run(seeds=1, out=tmp_path / "own", progress=False).tables
    assert tables["results"]["method"].tolist() == STUDENTS
    family = local_family(tmp_path / "own" / "family-seed0", "masked")
    assert family.steps == (0, 5, 10, 15, 20)
    seen = tables["history"].dropna(subset=["teacher_step"]).groupby("method")["teacher_step"].unique()
    assert [sorted(seen[method]) for method in STUDENTS[1:]] == [[20], [5, 10, 20], [5, 20]]
    # the same family, now named, teaches the same
    named = dataclasses.replace(recipe, family=str(tmp_path / "own" / "family-seed0"))
    again = named.run(seeds=1, out=tmp_path / "named", progress=False).tables
    assert again["by_seed"].equals(tables["by_seed"])
    assert not (tmp_path / "named" / "family-seed0").exists()


def test_published_families_are_known_by_name(corpus, tmp_path):
    recipe = smoke("pretrained-progressive", corpus)
    multi = dataclasses.replace(recipe, family="multiberts").teachers(3, out=tmp_path)
    assert (multi.path, len(multi.steps), multi.final) == ("MultiBERTs seed 3", 28, 2_000_000)
    causal = dataclasses.replace(recipe, family="pythia-14m", objective="causal")
    assert isinstance(causal.task(), CausalText)
    assert (causal.teachers(0, out=tmp_path).path, causal.teachers(1, out=tmp_path).final) == ("Pythia 14m", 143_000)
    with pytest.raises(ValueError, match="objective must be 'masked' or 'causal', got 'prefix'"):
        dataclasses.replace(recipe, objective="prefix").task()


def test_the_students_of_a_causal_family(corpus, tmp_path):
    recipe = dataclasses.replace(smoke("pretrained-progressive", corpus), objective="causal")
    tables = recipe.run(seeds=1, out=tmp_path, progress=False).tables
    assert tables["results"]["method"].tolist() == STUDENTS
    assert recipe.model(recipe.student, 0).causal


def test_the_paper_scale():
    recipe = catalogue.recipe("pretrained-progressive", "paper")
    assert (recipe.family, recipe.student.layers, recipe.precision) == ("multiberts", 4, "bfloat16")
    assert [run.steps for run in catalogue.recipe("text-budgets", "paper").runs] == [24_000, 60_000, 120_000]
    teacher = paper_teacher(24_000)
    assert (teacher.layers, teacher.width, teacher.length, teacher.rate) == (12, 768, 512, 0.15)
    assert isinstance(teacher.task(), MaskedText)


def test_progressive_students_reach_the_last_checkpoint_of_a_family_at_their_end(corpus, tmp_path):
    recipe = dataclasses.replace(smoke("pretrained-progressive", corpus), steps=10, intervals=5)
    methods = recipe.methods(recipe.teachers(0, out=tmp_path, progress=False))
    schedule = methods["progressive"].schedule
    assert (schedule.every, schedule.speed) == (2, 2.0)  # 20 updates of the teacher in 10 of the student
    assert [method.temperature for name, method in methods.items() if name != "cross-entropy"] == [1.0] * 3
