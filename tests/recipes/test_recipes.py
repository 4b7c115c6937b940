import dataclasses
import gc
import json
import tempfile

import matplotlib
import numpy as np
import pandas as pd
import pytest

from pdtutor import (
    FINAL,
    MLP,
    SparseParity,
    Trajectory,
    choose_checkpoint,
    held_out,
    n_shot,
    peak_steps,
    progressive,
    train,
)
from pdtutor.cli import main
from pdtutor.recipes import catalogue, hierarchical
from pdtutor.recipes.parity_100_6 import ParityHundred
from pdtutor.recipes.sequences import peak_checkpoints, rising_checkpoints
from pdtutor.text.wheels import cache_folder

matplotlib.use("agg")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory, a home and a place for temporary files, all empty; the text cache stays where it is."""
    monkeypatch.setenv("PDTUTOR_CACHE", str(cache_folder()))
    places = [tmp_path / name for name in ("work", "home", "temporary")]
    for place in places:
        place.mkdir()
    monkeypatch.chdir(places[0])
    monkeypatch.setenv("HOME", str(places[1]))
    monkeypatch.setattr(tempfile, "tempdir", str(places[2]))
    return places


@pytest.mark.parametrize("name", catalogue.RECIPES)
def test_every_recipe_runs_headless_at_smoke_scale_and_resumes_to_the_same_tables(name, tmp_path, elsewhere, capsys):
    out = tmp_path / "out"
    arguments = ["run", name, "--scale", "smoke", "--seeds", "2", "--out", str(out)]
    main(arguments)
    assert str(out) in capsys.readouterr().out
    assert (out / "figure.png").stat().st_size > 5000
    tables = {path.name: path.read_bytes() for path in out.glob("*.csv")}
    assert {"results.csv", "history.csv"} <= set(tables)
    assert len(pd.read_csv(out / "results.csv")) >= 2
    main([*arguments, "--resume"])
    assert {path.name: path.read_bytes() for path in out.glob("*.csv")} == tables
    gc.collect()  # a temporary folder lives as long as its trajectory
    assert [path for place in elsewhere for path in place.rglob("*")] == []  # nothing is left outside of --out
    assert {path.name for path in tmp_path.iterdir()} == {"out", *(place.name for place in elsewhere)}


def test_scales_change_numbers_never_kinds():
    for name, scales in catalogue.RECIPES.items():
        assert tuple(scales) == catalogue.SCALES
        assert len({type(recipe) for recipe in scales.values()}) == 1, name
        assert len({repr(recipe) for recipe in scales.values()}) == 3, name
        for recipe in scales.values():
            assert dataclasses.is_dataclass(recipe)


def test_the_paper_scale_is_the_papers():
    recipe = catalogue.recipe("parity-progressive", "paper")
    teacher = recipe.teacher
    assert (teacher.d, teacher.k, teacher.width, teacher.batch_size, teacher.lr) == (100, 6, 50_000, 1, 5e-3)
    assert (teacher.steps, teacher.save_every, recipe.width) == (20_000_000, 100_000, 100)
    assert (recipe.decay, recipe.warmup, recipe.first) == ("cosine", 0.06, 1_000_000)


def test_hierarchical_parity_has_the_papers_labels_and_subsets():
    teacher = catalogue.recipe("hierarchical-progressive", "paper").teacher
    assert (teacher.task().classes, teacher.k) == (8, 5)
    assert catalogue.recipe("hierarchical-teacher", "paper") == teacher
    assert catalogue.recipe("hierarchical-progressive").teacher.task().classes == 8


def test_a_students_nodes_are_read_beside_its_teachers(tmp_path):
    recipe = catalogue.recipe("hierarchical-progressive", "smoke")
    tables = recipe.run(seeds=2, out=tmp_path, progress=False).tables
    methods = ["teacher", "cross-entropy", "one-shot", "progressive", "(2,T)"]
    nodes = tables["nodes"]
    expected = [[method, seed, node] for method in methods for seed in (0, 1) for node in range(3)]
    assert nodes[["method", "seed", "node"]].to_numpy().tolist() == expected
    history = tables["history"]
    for (method, seed), of_run in nodes.groupby(["method", "seed"]):
        accuracy = history[(history["method"] == method) & (history["seed"] == seed)].set_index("step")["accuracy"]
        assert accuracy.iloc[-1] > 0.95  # so every node was learned, none before the accuracy rose
        assert of_run["step"].notna().all()
        assert accuracy[of_run["step"].max()] > 0.4 > accuracy[0]
    own = tables["curriculum"].query("degree == 2 and inside")
    first = history[(history["method"] == "(2,T)") & (history["step"] == 50)].set_index("seed")["teacher_step"]
    single = tables["curriculum"].query("degree == 1")
    assert first.to_dict() == peak_steps(single)  # C₁ is read from single coordinates alone
    assert own["monomial"].nunique() == 3


def test_a_nodes_spike_is_its_own():
    curriculum = pd.DataFrame(
        [
            {"step": step, "seed": 0, "node": node, "inside": inside, "value": value if inside else 0.01}
            for node, values in enumerate([(0.9, 0.2, 0.1), (0.9, 0.1, 0.4)])
            for step, value in zip((0, 10, 20), values, strict=True)
            for inside in (True, False)
        ]
    )
    found = hierarchical.spikes(curriculum).set_index("node")
    assert found["peak_step"].to_dict() == {0: 10, 1: 20}
    assert found["inside_at_peak"].to_dict() == {0: 0.2, 1: 0.4}
    assert found["outside_at_peak"].to_dict() == {0: 0.01, 1: 0.01}


def test_the_transformers_of_the_paper_scale_are_the_papers():
    recipe = catalogue.recipe("transformer-progressive", "paper")
    teacher = recipe.teacher
    assert (teacher.d, teacher.k, teacher.batch_size, teacher.lr, teacher.causal) == (100, 6, 32, 3e-4, True)
    assert teacher.steps * teacher.batch_size == recipe.steps * teacher.batch_size == 8_000_000
    assert (recipe.lr, recipe.speed) == (1e-4, 1.0)
    for width, heads in ((teacher.width, 32), (recipe.width, 4)):
        model = teacher.model(width=width, seeds=[0])
        assert (model.heads, model.head_dim, len(model.blocks), model.max_length) == (heads, 8, 2, 100)
    assert type(teacher.optimizer(lr=1e-4)).__name__ == "AdamW"
    assert teacher.task().encoding == "tokens"
    with pytest.raises(ValueError, match="width must be a multiple of head_dim = 8, got 20"):
        teacher.model(width=20, seeds=[0])


def test_options_override_the_recipe(tmp_path):
    main(["run", "parity-teacher", "--scale", "smoke", "--seeds", "1", "--steps", "100", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "teachers" / "run.json").read_text())["settings"]["steps"] == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "seeds must be a whole number of at least 1, got 0"),
        (["--seeds", "1", "--steps", "0"], "steps must be a whole number of at least 1, got 0"),
        (["--seeds", "1", "--k", "11"], "k must be at most d"),
    ],
)
def test_bad_options_end_with_one_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(["run", "parity-teacher", "--scale", "smoke", "--out", str(tmp_path), *arguments])


def test_a_second_run_into_the_same_folder_needs_resume(tmp_path):
    arguments = ["run", "parity-teacher", "--scale", "smoke", "--seeds", "1", "--steps", "50", "--out", str(tmp_path)]
    main(arguments)
    with pytest.raises(SystemExit, match="already holds a run of parity-teacher: choose another folder, or resume"):
        main(arguments)
    with pytest.raises(SystemExit, match="lr"):
        main([*arguments, "--lr", "0.3", "--resume"])


def test_list_names_every_recipe(capsys):
    main(["list"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in catalogue.RECIPES)
    with pytest.raises(ValueError, match="no recipe called 'nope'; there are parity-sample-complexity"):
        catalogue.recipe("nope")
    with pytest.raises(ValueError, match="scale must be one of smoke, laptop, paper; got 'huge'"):
        catalogue.recipe("parity-teacher", "huge")


def curriculum_of_seeds(values, steps):
    """A curriculum from values (seeds, checkpoints, coordinates), of which the first three coordinates are inside."""
    return pd.DataFrame(
        [
            {"step": step, "seed": seed, "inside": i < 3, "value": value}
            for seed, of_seed in enumerate(values)
            for step, of_step in zip(steps, of_seed, strict=True)
            for i, value in enumerate(of_step)
        ]
    )


def test_c1_is_the_spike_and_without_one_the_checkpoint_that_agreement_names():
    teacher = catalogue.recipe("parity-progressive", "smoke").teacher
    trajectory = teacher.train(seeds=[0, 1], progress=False).trajectory
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(scale=0.01, size=(2, 13, 10)))  # (seed, checkpoint, coordinate): noise
    values[1, 5, :3] = 0.2  # the support of seed 1 spikes at step 250
    curriculum = curriculum_of_seeds(values, trajectory.steps)
    found = teacher.first_checkpoints(trajectory, curriculum, progress=False).set_index("seed")
    assert found["rule"].to_dict() == {0: "agreement", 1: "spike"}
    inputs, _ = held_out(teacher.task(), teacher.eval_examples, seed=1)
    assert found["step"].to_dict() == {0: choose_checkpoint(trajectory.of(0), inputs, progress=False), 1: 250}
    assert found["chance"][0] > 0.05 > found["chance"][1]
    values[0, trajectory.steps.index(found["step"][0]), :3] += 0.01  # still faint, but where the teacher is under way
    values[0, 1, :3] = 0
    again = curriculum_of_seeds(values, trajectory.steps)
    kept = teacher.first_checkpoints(trajectory, again, progress=False).set_index("seed")
    assert kept["chance"][0] > 0.05
    assert (kept["step"][0], kept["rule"][0]) == (found["step"][0], "spike")
    late = [0, *trajectory.steps[-3:]]
    trajectory.of(0).extract(trajectory.path / "late", late)
    of_late, kept_late = curriculum.query("seed == 0 and step in @late"), Trajectory(trajectory.path / "late")
    with pytest.raises(
        ValueError, match=r"of teacher 0, but its .* never stand out, and no checkpoint has an agreemen"
    ):
        teacher.first_checkpoints(kept_late, of_late, progress=False)


def test_seeds_whose_teacher_has_not_learned_have_no_students(tmp_path, monkeypatch):
    recipe = catalogue.recipe("parity-100-6", "smoke")
    history = pd.DataFrame({"seed": [0, 1, 2, 3] * 2, "accuracy": [0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 0.99, 0.5]})
    assert recipe.learned(history) == [1, 2]
    with pytest.raises(ValueError, match="no teacher has learned within 6000 updates"):
        recipe.learned(history[history.accuracy == 0.5])
    monkeypatch.setattr(ParityHundred, "learned", lambda *_: [1])
    tables = recipe.run(seeds=2, out=tmp_path, progress=False).tables
    seeds = tables["history"].groupby("method")["seed"].unique().map(list)
    assert seeds.pop("teacher") == [0, 1]
    assert seeds.tolist() == [[1]] * 6
    assert set(tables["spike"]["seed"]) == set(tables["first_checkpoints"]["seed"]) == {1}
    assert [path.name for path in tmp_path.glob("checkpoints-*")] == ["checkpoints-seed1"]


def test_two_shot_teaches_with_checkpoints_before_at_and_after_the_spike():
    recipe = catalogue.recipe("parity-100-6", "smoke")
    teacher = train(MLP(10, width=4), recipe.teacher.task(), steps=3000, save_every=200, progress=False).trajectory
    methods = recipe.two_shot_methods({0: teacher}, {0: 1000})
    first = {name: method(0).schedule.stages(teacher.steps, 2000)[0] for name, method in methods.items()}
    assert first == {"(2,T), C₁ early": (0, 600), "(2,T)": (0, 1000), "(2,T), C₁ late": (0, 1600)}


def test_checkpoints_that_a_lesson_needs_are_kept(tmp_path):
    main(["run", "parity-100-6", "--scale", "smoke", "--seeds", "1", "--out", str(tmp_path)])
    kept, teachers = Trajectory(tmp_path / "checkpoints-seed0"), Trajectory(tmp_path / "teachers")
    spike = pd.read_csv(tmp_path / "spike.csv")
    peak = int((spike["step"] - spike["from_spike"]).iloc[0])
    recipe = catalogue.recipe("parity-100-6", "smoke")
    shifts = (-recipe.around, -recipe.early, 0, recipe.late)
    assert set(kept.steps) == {teachers.final, *(teachers.nearest(peak + shift) for shift in shifts)}
    assert kept.at(kept.final).layers[0].weight.equal(teachers.at(teachers.final).layers[0].weight)
    assert spike["from_spike"].abs().max() <= recipe.around


def test_c1_of_a_grammars_students_is_where_3_grams_have_come_half_way():
    def rows(seed, probe, n, medians):
        return [
            {"seed": seed, "step": 50 * i, "probe": probe, "n": n, "median": median} for i, median in enumerate(medians)
        ]

    curriculum = pd.DataFrame(
        [
            *rows(0, "M_robust", 3, [0.0, 0.1, 0.2, 0.4, 0.1]),
            *rows(1, "M_robust", 3, [0.0, 0.0, 0.1, 0.3, 0.5]),
            *rows(0, "M_robust", 5, [0.9] * 5),
            *rows(0, "M_close", 3, [0.9] * 5),
        ]
    )
    assert rising_checkpoints(curriculum) == {0: 100, 1: 150}
    assert peak_checkpoints(curriculum) == {0: 150, 1: 200}


def test_students_get_the_numbers_of_their_recipe(monkeypatch):
    """Speed, interval, temperature, T and the teacher's precision: at smoke scale they are often the defaults."""
    teacher = dataclasses.replace(catalogue.recipe("pcfg-teacher", "smoke"), precision="bfloat16")
    recipe = dataclasses.replace(
        catalogue.recipe("pcfg-progressive", "smoke"), teacher=teacher, speed=2.5, interval=7, first=3, temperature=0.3
    )
    trained = MLP(4, width=2, seed=[5])
    trajectory = train(trained, SparseParity(4, 1), steps=30, save_every=10, progress=False, eval_examples=9).trajectory
    methods = recipe.methods(trajectory, {5: 10})
    taught = methods["progressive"](5)
    assert (taught.schedule, taught.temperature) == (progressive(7, speed=2.5), 0.3)
    assert methods["(2,T)"](5).schedule == n_shot([10, FINAL], each=3)
    asked = {}
    monkeypatch.setattr("pdtutor.recipes.teacher.train", lambda *_, **settings: asked.update(teacher=settings))
    monkeypatch.setattr("pdtutor.recipes.students.compare", lambda *_, **settings: asked.update(students=settings))
    teacher.train(seeds=[0])
    recipe.compare(methods, seeds=[0])
    assert {settings["precision"] for settings in asked.values()} == {"bfloat16"}
    assert [settings["steps"] for settings in asked.values()] == [teacher.steps, recipe.steps]
