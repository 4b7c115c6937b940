import re
import shutil

import numpy as np
import pandas as pd
import pytest

from pdtutor import MLP, SGD, Distill, Labels, SparseParity, compare, one_shot, paired, train
from pdtutor.training.compare import bootstrap_mean, folder_names, merged, results, spread

TASK = SparseParity(8, 2)
QUIET = {"progress": False, "eval_examples": 100}


def student(seeds):
    return MLP(8, width=12, seed=seeds)


@pytest.fixture(scope="module")
def methods():
    teacher = train(MLP(8, width=16, seed=1), TASK, steps=60, save_every=20, **QUIET)
    return {"labels": Labels(), "one-shot": Distill(teacher.trajectory, one_shot(), temperature=1.0)}


def test_side_by_side_by_method_and_alone_give_the_same_students(methods, tmp_path):
    settings = {"seeds": [0, 4], "steps": 40, "optimizer": SGD(lr=0.1), **QUIET}
    together = compare(student, TASK, methods, out=tmp_path / "together", **settings)
    by_method = compare(student, TASK, methods, until=1.0, **settings)
    alone = compare(student, TASK, methods, side_by_side=False, out=tmp_path / "alone", **settings)
    assert [len(c.runs) for c in (together, by_method, alone)] == [1, 2, 4]
    columns = ["method", "seed", "step", "examples", "loss", "accuracy"]
    for other in (by_method, alone):
        both = together.history[columns].merge(other.history[columns], how="outer", indicator=True)
        assert both._merge.eq("both").all()
    assert sorted(p.name for p in (tmp_path / "alone").iterdir()) == [
        "labels-seed0",
        "labels-seed4",
        "one-shot-seed0",
        "one-shot-seed4",
    ]
    # students of one seed start alike, and part ways by their supervision alone
    start = together.history.query("step == 0")
    assert start.groupby("seed").loss.nunique().eq(1).all()
    end = together.history.query("step == 40")
    assert end.groupby("seed").loss.nunique().eq(2).all()


def test_all_see_a_student_s_examples_even_those_taught_by_labels_alone():
    compared = compare(student, TASK, {"labels": Labels()}, seeds=[3], steps=20, **QUIET)
    same, other = (train(student([3]), TASK, steps=20, role=role, **QUIET) for role in ("student", "teacher"))
    assert compared.history.loss.tolist() == same.history.loss.tolist()
    assert compared.history.loss.iloc[-1] != other.history.loss.iloc[-1]


def test_each_student_s_own_trajectory_can_be_had(methods):
    compared = compare(student, TASK, methods, seeds=[0, 4], steps=20, save_every=10, **QUIET)
    trajectory = compared.trajectory("one-shot", 4)
    assert trajectory.seeds == [4]
    assert trajectory.steps == (0, 10, 20)
    with pytest.raises(ValueError, match="no student"):
        compared.trajectory("one-shot", 1)


@pytest.fixture
def history():
    def rows(method, seed, accuracies):
        return [
            {"method": method, "seed": seed, "step": 10 * i, "examples": 40 * i, "accuracy": a}
            for i, a in enumerate(accuracies)
        ]

    return pd.DataFrame(
        rows("fast", 0, [0.5, 0.96, 0.9])
        + rows("fast", 1, [0.5, 0.6, 0.95])
        + rows("fast", 2, [0.5, 0.6, 0.97])
        + rows("slow", 0, [0.5, 0.5, 0.99])
        + rows("slow", 1, [0.5, 0.5, 0.5])
        + rows("slow", 2, [0.5, 0.5, 0.6])
    )


def test_results_give_the_first_evaluation_at_the_threshold(history):
    table = results(history, threshold=0.95)
    assert table.steps.fillna(-1).tolist() == [10, 20, 20, 20, -1, -1]
    assert table.examples.fillna(-1).tolist() == [40, 80, 80, 80, -1, -1]
    assert table.reached.tolist() == [True, True, True, True, False, False]
    assert table.final_accuracy.tolist() == [0.9, 0.95, 0.97, 0.99, 0.5, 0.6]


def test_a_student_that_never_reached_is_later_than_all_that_did(history):
    table = spread(results(history, threshold=0.95)).set_index("method")
    assert table.loc["fast", ["median", "fastest", "slowest", "reached", "seeds"]].tolist() == [20, 10, 20, 3, 3]
    assert table.loc["slow", ["fastest", "reached"]].tolist() == [20, 1]
    assert table.loc["slow", ["median", "slowest"]].isna().all()
    never = spread(results(history, threshold=1.1))
    assert never["median"].isna().all()
    half = results(history[history["seed"] < 2], threshold=0.95)
    assert spread(half).set_index("method").loc["slow", "median"] is pd.NA  # not a number between 20 and never


@pytest.mark.parametrize(("names", "seeds"), [([], [0]), (["labels"], []), (["labels"], [1, 1])])
def test_nothing_to_compare_is_refused(names, seeds):
    with pytest.raises(ValueError, match="needs methods and distinct seeds"):
        compare(student, TASK, {n: Labels() for n in names}, seeds=seeds, steps=5)


def test_folders_have_the_methods_names_as_far_as_a_shell_takes_them():
    names = ["cross-entropy", "(2,T)", "one-shot, τ = 0.1", "v1.5", "progressive from C₁"]
    expected = ["cross-entropy", "2-T", "one-shot-0.1", "v1.5", "progressive-from-C"]
    assert list(folder_names(names).values()) == expected


def test_folders_stay_apart_and_inside_whatever_the_methods_are_called():
    names = ["a b", "a-b", "A-B", "", "..", ".", "/", "../../etc", "/tmp/x", "τ", "α", "-rf", "~", "x" * 999, "x" * 998]
    folders = folder_names([*names, "a\nb", "c*", "d\x00"])
    assert len({folder.lower() for folder in folders.values()}) == len(folders)
    for folder in folders.values():
        assert re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,150}[A-Za-z0-9_])?", folder), folder
    assert folders["a b"].startswith("a-b-")
    assert folders["-rf"] == "rf"
    assert folder_names(["a b"]) == {"a b": "a-b"}


def test_methods_of_like_names_train_in_folders_of_their_own(tmp_path):
    compared = compare(
        student, TASK, dict.fromkeys(["a b", "a-b", "..", "τ/α"], Labels()), seeds=[0, 1], steps=5, until=1.0,
        out=tmp_path / "runs" / "here", **QUIET,
    )  # fmt: skip
    assert len(compared.runs) == 4
    folders = [path.name for path in (tmp_path / "runs" / "here").iterdir()]
    assert len(folders) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["here"]


@pytest.mark.parametrize(("seeds", "ending"), [([0], "-seed0"), ([0, 1], "")])
def test_a_run_under_an_older_name_is_resumed_where_it_is(seeds, ending, tmp_path):
    methods = dict.fromkeys(["(2,T)", "one-shot, τ = 1"], Labels())
    settings = {"seeds": seeds, "steps": 5, "out": tmp_path, "side_by_side": len(seeds) > 1, **QUIET}
    until = {"until": 1.0} if len(seeds) > 1 else {}
    compare(student, TASK, methods, **settings, **until)
    (tmp_path / f"2-T{ending}").rename(tmp_path / f"-2-T-{ending}")
    (tmp_path / f"one-shot-1{ending}").rename(tmp_path / f"one-shot-τ-1{ending}")
    before = {path.name for path in tmp_path.iterdir()}
    again = compare(student, TASK, methods, resume=True, **settings, **until)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert again.trajectory("(2,T)", 0).path.name == f"-2-T-{ending}"
    shutil.copytree(tmp_path / f"-2-T-{ending}", tmp_path / f"2-T{ending}")  # begun again since
    newer = compare(student, TASK, methods, resume=True, **settings, **until)
    assert newer.trajectory("(2,T)", 0).path.name == f"2-T{ending}"


def test_on_a_resume_too_every_folder_is_within_out(tmp_path):
    for folder in (tmp_path, tmp_path / "runs", tmp_path / "runs" / "a-b"):
        folder.mkdir(exist_ok=True)
        (folder / "run.json").write_text("{}")  # of other runs; resuming one of them would be an error
    methods = dict.fromkeys(["..", ".", " ", "long" * 99, "a b", "a-b"], Labels())
    settings = {"seeds": [0, 1], "steps": 5, "until": 1.0, "out": tmp_path / "runs", "resume": True, **QUIET}
    found = [run.trajectory.path for run in compare(student, TASK, methods, **settings).runs]
    assert {path.parent for path in found} == {tmp_path / "runs"}
    assert len(set(found)) == len(methods)


def test_comparisons_of_different_methods_are_merged_into_one(methods):
    settings = {"seeds": [0, 4], "steps": 20, "save_every": 10, **QUIET}
    together = compare(student, TASK, methods, **settings)
    parts = [compare(student, TASK, {name: method}, **settings) for name, method in methods.items()]
    both = merged(parts)
    assert both.runs == [parts[0].runs[0], parts[1].runs[0]]
    assert both.places == {
        ("labels", 0): (0, 0),
        ("labels", 4): (0, 1),
        ("one-shot", 0): (1, 0),
        ("one-shot", 4): (1, 1),
    }
    assert both.history.index.tolist() == list(range(len(together.history)))
    pd.testing.assert_frame_equal(both.results(), together.results())
    for pair in both.places:
        mine, theirs = (compared.trajectory(*pair).at(20).state_dict() for compared in (both, together))
        assert all(mine[name].equal(theirs[name]) for name in theirs)
    assert merged(parts[:1]).places == parts[0].places
    with pytest.raises(ValueError, match=r"student \('labels', 0\) is in several of the comparisons"):
        merged([together, *parts])
    with pytest.raises(ValueError, match="merged needs at least one comparison, got none"):
        merged([])


def table_of(values, **more):
    """A table of final accuracies, method → by seed."""
    return pd.DataFrame(
        [
            {"method": method, "seed": seed, "final_accuracy": accuracy, **more}
            for method, of in values.items()
            for seed, accuracy in enumerate(of)
        ]
    )


TWO = table_of({"a": [0.5, 0.6, 0.9], "b": [0.4, 0.7, 0.6], "c": [0.0, 0.0, 0.0]})


def test_methods_are_paired_by_seed_in_whatever_order_their_rows_are():
    found = paired(TWO.sample(frac=1, random_state=0), "a", "b")
    assert list(found) == ["method", "other", "mean", "low", "high", "ahead", "seeds"]
    row = found.iloc[0]
    assert row[["method", "other", "ahead", "seeds"]].tolist() == ["a", "b", 2, 3]
    low, high = bootstrap_mean([0.5 - 0.4, 0.6 - 0.7, 0.9 - 0.6])
    assert row[["mean", "low", "high"]].tolist() == pytest.approx([0.1, low, high])
    back = paired(TWO, "b", "a").iloc[0]
    assert back[["mean", "low", "high", "ahead"]].tolist() == pytest.approx([-0.1, -high, -low, 1], abs=0.01)


def test_methods_are_paired_at_every_budget_and_by_any_column():
    later = table_of({"a": [1.0, 1.0], "b": [0.5, 0.75]}, budget=20)
    found = paired(pd.concat([later, TWO.assign(budget=10)]), "a", "b")
    assert found["budget"].tolist() == [10, 20]
    assert found["mean"].tolist() == pytest.approx([0.1, 0.375])
    assert found[["ahead", "seeds"]].to_numpy().tolist() == [[2, 3], [2, 2]]
    steps = TWO.assign(steps=pd.array([10, 20, 30, 20, 20, 20, 0, 0, 0], dtype="Int64"))
    row = paired(steps, "a", "b", value="steps").iloc[0]
    assert row[["mean", "ahead"]].tolist() == [0, 1]  # as far ahead as behind; equal is not ahead


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        ([0.5], {}, r"found must be a table with the columns method, seed, final_accuracy, got \[0.5\]"),
        (TWO[["method", "seed"]], {}, "and lacks final_accuracy"),
        (TWO, {"value": "steps"}, "must have the columns method, seed, steps, and lacks steps"),
        (TWO, {"value": None}, "value must be a string that is not empty, got None"),
        (TWO, {"other": "d"}, "no method is called 'd'; there are 'a', 'b', 'c'"),
        (TWO, {"method": 3}, "method must be a string that is not empty, got 3"),
        (TWO.drop(index=4), {}, "'a' and 'b' must both have a final_accuracy of every seed, also of seed 1"),
        (TWO.assign(budget=[5, 5, 5, 5, 5, 6, 5, 5, 5]), {}, "of every seed, also of seed 2"),
        (TWO.replace(0.6, np.nan), {}, "of every seed, also of seed 1"),
        (TWO.assign(steps=pd.array([1] * 8 + [None], dtype="Int64")), {"other": "c", "value": "steps"}, "of seed 2"),
        (pd.concat([TWO, TWO[:1]]), {}, "must have one row per method and seed, and has several of 'a' and seed 0"),
        (pd.concat([TWO, TWO]).assign(budget=3), {}, "one row per budget, method and seed, and has several of 'a'"),
    ],
)
def test_tables_that_cannot_be_paired_are_refused(found, options, message):
    with pytest.raises(ValueError, match=message):
        paired(found, **{"method": "a", "other": "b"} | options)


def test_rows_of_other_methods_do_not_matter():
    lame = pd.concat([TWO.drop(index=8), TWO[6:7]])  # c lacks a seed, and has another one twice
    pd.testing.assert_frame_equal(paired(lame, "a", "b"), paired(TWO, "a", "b"))


def test_the_bootstrap_interval_of_a_mean_holds_it():
    low, high = bootstrap_mean([0.0, 1.0, 2.0, 3.0])
    assert 0 <= low < 1.5 < high <= 3
    assert bootstrap_mean([2.0, 2.0]) == (2.0, 2.0)
    assert all(map(np.isnan, bootstrap_mean([])))


def test_the_bootstrap_interval_of_many_values_is_that_of_their_standard_error():
    values = np.random.default_rng(0).normal(loc=5, size=400)
    low, high = bootstrap_mean(values.tolist())
    error = values.std() / 20
    assert [low, high] == pytest.approx([values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.3 * error)
    assert bootstrap_mean(values.tolist()) == (low, high)  # the seed is the same
    assert bootstrap_mean(values.tolist(), seed=1) != (low, high)
