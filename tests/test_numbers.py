"""Numbers of numpy, pandas and torch are taken wherever a number or a list is, and kept as Python's own."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pdtutor import (
    MLP,
    SGD,
    AdamW,
    Anneal,
    CausalGrammar,
    Distill,
    HierarchicalParity,
    Labels,
    MaskedGrammar,
    Network,
    SparseParity,
    Transformer,
    choose_step,
    compare,
    explicit,
    monomial_correlations,
    n_shot,
    node_correlations,
    on_plateau,
    one_shot,
    over,
    progressive,
    register,
    store_targets,
    train,
)
from pdtutor.validate import a_path, differences, flag, number, one_of, seed_list, several, shown, text, whole

QUIET = {"progress": False, "eval_examples": 32, "batch_size": 4}
TASK = SparseParity(8, 2)


@register
def tiny(width=4, scale=1.0):
    return nn.Sequential(nn.Linear(8, width), nn.Tanh(), nn.Linear(width, 2))


@pytest.fixture(scope="module")
def teacher():
    return train(MLP(8, width=8), TASK, steps=20, save_every=5, **QUIET).trajectory


WHOLE = {
    "int64": np.int64,
    "uint8": np.uint8,
    "array": np.array,
    "tensor": torch.tensor,
    "series": lambda v: pd.Series([v])[0],
}
REAL = {"float32": np.float32, "float64": np.float64, "tensor": lambda v: torch.tensor(v, dtype=torch.float64)}
LISTS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "series": pd.Series,
    "index": pd.Index,
    "tensor": torch.tensor,
    "scalars": lambda v: [np.asarray(one)[()] for one in v],
    "tensors": lambda v: [torch.tensor(one) for one in v],
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_number_of_any_kind_gives_the_same_description(kind):
    of = WHOLE[kind]
    pairs = [
        (SparseParity(d=of(8), k=of(2), seed=of(3)), SparseParity(8, 2, seed=3)),
        (HierarchicalParity(of(8), of(1), depth=of(2), seed=of(3)), HierarchicalParity(8, 1, depth=2, seed=3)),
        (MLP(of(8), width=of(5), classes=of(2), seed=of(1)), MLP(8, width=5, seed=1)),
        (
            Transformer(of(5), max_length=of(4), layers=of(1), heads=of(1), seed=of(2)),
            Transformer(5, max_length=4, layers=1, heads=1, seed=2),
        ),
        (Network(tiny, classes=of(2), width=of(3), seed=of(1)), Network(tiny, classes=2, width=3, seed=1)),
        (MaskedGrammar("cfg3b", root="13", max_length=of(9)), MaskedGrammar("cfg3b", root="13", max_length=9)),
        (CausalGrammar("cfg3b", root="13", level=of(1)), CausalGrammar("cfg3b", root="13", level=1)),
    ]
    for given, expected in pairs:
        assert json.dumps(given.config()) == json.dumps(expected.config())
    weights = zip(pairs[2][0].parameters(), pairs[2][1].parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in weights)
    assert [*map(repr, (progressive(of(5)), n_shot(of(2), each=of(5)), on_plateau([of(5)], patience=of(2))))] == [
        *map(repr, (progressive(5), n_shot(2, each=5), on_plateau([5], patience=2)))
    ]


@pytest.mark.parametrize("kind", REAL)
def test_a_number_of_any_kind_is_kept_as_a_float(kind, teacher):
    of = REAL[kind]
    half = SGD(lr=of(0.5), warmup=of(0.25), weight_decay=of(0.125), momentum=of(0.5))
    assert repr(half) == repr(SGD(lr=0.5, warmup=0.25, weight_decay=0.125, momentum=0.5))
    assert repr(AdamW(lr=of(0.5), betas=(of(0.5), of(0.75)), eps=of(0.5))) == repr(
        AdamW(lr=0.5, betas=(0.5, 0.75), eps=0.5)
    )
    assert repr(SGD(lr=1)) == repr(SGD(lr=np.int64(1))) == repr(SGD(lr=1.0))
    given = Distill(
        teacher, progressive(5, speed=of(0.5)), temperature=of(1), alpha=Anneal(of(1), of(0.5), np.int64(5))
    )
    assert given.config() == Distill(teacher, progressive(5, speed=0.5), 1.0, Anneal(1.0, 0.5, 5)).config()
    assert json.dumps(MaskedGrammar(rate=of(0.5)).config()) == json.dumps(MaskedGrammar(rate=0.5).config())
    assert Transformer(5, max_length=4, init_std=of(0.5)).config()["init_std"] == 0.5
    assert Network(tiny, classes=2, scale=of(0.5)).config()["scale"] == 0.5
    run = train(MLP(8, width=4), TASK, steps=2, until=of(1), optimizer=half, **QUIET)
    assert run.settings["until"] == 1.0


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_any_kind_gives_the_same_run(kind, teacher):
    of = LISTS[kind]
    distill = Distill(teacher, n_shot(of([5, 20]), each=3), temperature=1.0)
    run = train(
        MLP(8, width=of([4]), seed=of([0, 1])),
        SparseParity(8, 2, support=of([1, 3])),
        steps=4,
        optimizer=SGD(lr=of([0.25, 0.5])),
        seed=of([5, 6]),
        save_at=of([1, 3]),
        **QUIET,
    )
    expected = train(
        MLP(8, width=[4], seed=[0, 1]),
        SparseParity(8, 2, support=[1, 3]),
        steps=4,
        optimizer=SGD(lr=[0.25, 0.5]),
        seed=[5, 6],
        save_at=[1, 3],
        **QUIET,
    )
    assert run.settings == expected.settings
    pd.testing.assert_frame_equal(run.history, expected.history)
    assert distill.stages(10) == [(0, 5), (3, 20)]
    assert explicit([of([0, 5]), of([3, 20])]).stages((5, 20), 10) == [(0, 5), (3, 20)]
    compared = compare(
        lambda s: MLP(8, width=4, seed=s), TASK, {"a": Labels(), "b": distill}, seeds=of([0, 2]), steps=2, **QUIET
    )
    assert compared.history["seed"].unique().tolist() == [0, 2]
    assert [*compared.places] == [("a", 0), ("a", 2), ("b", 0), ("b", 2)]
    assert all(type(seed) is int for _, seed in compared.places)


def test_probes_and_stored_targets_take_them_too(teacher, tmp_path):
    one = np.int64(1)
    assert len(over(teacher, monomial_correlations(TASK, degree=one, examples=np.int64(64)), steps=np.array([5, 20])))
    tree = HierarchicalParity(8, 1, depth=2)
    assert len(node_correlations(tree, degree=np.array([1]), examples=np.int64(64))(MLP(8, width=4, classes=4)))
    stored = store_targets(
        tmp_path / "targets",
        Distill(teacher, one_shot()),
        TASK,
        steps=np.int64(3),
        batch_size=np.int64(4),
        seed=np.int64(0),
        k=np.int64(2),
        progress=False,
    )
    assert stored.settings["k"] == 2
    table = pd.DataFrame({"step": [1, 2, 3, 4], "seed": 0, "agreement": [0, 0.25, 0.5, 1.0]})
    assert choose_step(table, agreement=np.float32(0.25)) == 2


D = {"lr": 0.1}
SAME = {
    "lr": (lambda t: {"optimizer": SGD(lr=np.float64(0.1))}, lambda t: {"optimizer": SGD(lr=0.1)}),
    "rates": (lambda t: {"optimizer": SGD(lr=np.array([0.5]))}, lambda t: {"optimizer": SGD(lr=[0.5])}),
    "temperature": (lambda t: _taught(t, temperature=1), lambda t: _taught(t, temperature=1.0)),
    "alpha": (lambda t: _taught(t, alpha=0), lambda t: _taught(t, alpha=np.float32(0))),
    "anneal": (
        lambda t: _taught(t, alpha=Anneal(1, 0.5, 9)),
        lambda t: _taught(t, alpha=Anneal(1.0, 0.5, np.int64(9))),
    ),
    "top_k": (lambda t: _taught(t, top_k=np.int64(1)), lambda t: _taught(t, top_k=1)),
    "until": (lambda t: {"until": 1}, lambda t: {"until": np.float64(1)}),
}


def _taught(teacher, **settings):
    return {"supervision": Distill(teacher, one_shot(), **settings)}


@pytest.mark.parametrize("case", SAME)
def test_a_run_goes_on_with_the_same_values_written_otherwise(case, teacher, tmp_path):
    first, second = SAME[case]
    for resume, settings in ((False, first), (True, second)):
        run = train(MLP(8, width=4), TASK, steps=3, out=tmp_path / "run", resume=resume, **settings(teacher), **QUIET)
    json.dumps(run.settings)


def test_settings_that_older_versions_wrote_down_are_compared_by_value():
    def settings(temperature, schedule="OneShot()"):
        return {"supervision": [{"class": "Distill", "temperature": temperature, "schedule": schedule}]}

    same = [
        ("1", "1.0"),
        ("np.float64(0.5)", "0.5"),
        ("1e-4", "0.0001"),
        ("Anneal(start=1, stop=np.float32(0.5), steps=np.int64(10))", "Anneal(start=1.0, stop=0.5, steps=10)"),
    ]
    for theirs, mine in same:
        assert differences(settings(theirs), settings(mine)) == ""
    assert (
        differences(settings("1", "Progressive(every=5, speed=1)"), settings("1", "Progressive(every=5, speed=1.0)"))
        == ""
    )
    assert "supervision was" in differences(settings("1"), settings("1.5"))
    assert "supervision was" in differences(settings("1", "A(every=5)"), settings("1", "A(every=50)"))
    assert differences({"root": "1"}, {"root": "1.0"}) == "root was '1', now '1.0'"  # a name


BODY = """
import sys, torch
torch.set_default_dtype({dtype})
from torch import nn
from pdtutor import *
quiet = dict(progress=False, eval_examples=32, batch_size=4)
task, ids = SparseParity(8, 2), MaskedGrammar("cfg3b", root="13")
@register
def tiny():
    return nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2))
teacher = train(MLP(8, width=8), task, steps=10, save_every=5, **quiet).trajectory
distill = Distill(teacher, progressive(5), temperature=1.0, alpha=Anneal(1, 0, 5))
runs = [
    train(MLP(8, width=8, seed=[1, 2]), task, steps=6, supervision=[distill, Labels()], **quiet),
    train(MLP(8, width=8), task, steps=6, supervision=distill, optimizer=AdamW(lr=[0.1]), **quiet),
    train(Network(tiny, classes=2, seed=[0, 1]), task, steps=6, **quiet),
    train(Transformer(ids.vocabulary, max_length=ids.longest, classes=ids.classes, read_out="every",
          padding=ids.padding, layers=1), ids, steps=2, optimizer=AdamW(), **quiet),
]
store_targets(sys.argv[1], distill, task, steps=3, batch_size=4, seed=0, k=2, progress=False)
runs.append(train(MLP(8, width=8), task, steps=3, supervision=Stored(StoredTargets(sys.argv[1])), seed=0, **quiet))
print([run.history["train_loss"].tolist()[1:] for run in runs])
print({{p.dtype for run in runs for p in run.model.parameters()}})
print(over(teacher, monomial_correlations(task, examples=100), progress=False)["value"].tolist())
print(nonterminal_probe(ids, 1, sentences=32, held_out=16, epochs=1)(runs[3].model)["all"].tolist())
"""


def test_torch_s_default_dtype_changes_nothing(tmp_path):
    outputs = [
        subprocess.run(
            [sys.executable, "-c", BODY.format(dtype=dtype), tmp_path / dtype],
            capture_output=True,
            text=True,
            check=False,
        )
        for dtype in ("torch.float32", "torch.float64")
    ]
    assert outputs[0].stdout.count("\n") == 4, outputs[0].stderr
    assert outputs[1].stdout == outputs[0].stdout, outputs[1].stderr


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: whole("n", np.float64(2)), r"n must be a whole number of at least 1, got np\.float64\(2\.0\)"),
        (lambda: whole("n", np.array([2])), r"n must be a whole number .* got array\(\[2\]\)"),
        (lambda: whole("n", torch.tensor(True)), r"n must be a whole number .* got tensor\(True\)"),
        (lambda: whole("n", pd.NA), r"n must be a whole number .* got <NA>"),
        (lambda: whole("n", int), r"n must be a whole number .* got the class int"),
        (lambda: number("x", 10**400), "x must be a finite number, got a int"),
        (lambda: number("x", np.float32("nan")), "x must be a finite number, got"),
        (lambda: number("x", "0.5"), "x must be a finite number, got '0.5'"),
        (lambda: one_of("kind", np.array(["a", "b"]), ("a",)), "kind must be one of 'a'; got array"),
        (lambda: one_of("kind", ["a"], ("a",)), r"kind must be one of 'a'; got \['a'\]"),
        (lambda: flag("resume", "yes"), "resume must be True or False, got 'yes'"),
        (lambda: text("name", ""), "name must be a string that is not empty, got ''"),
        (lambda: a_path("out", ""), "out must be a path, got ''"),
        (lambda: seed_list({1, 2}), r"seed must be a whole number of at least 0, got \{1, 2\}"),
        (lambda: seed_list("12"), "seed must be a whole number of at least 0, got '12'"),
        (lambda: seed_list(np.array([])), "at least one seed, got an empty list"),
    ],
)
def test_what_is_no_such_number_is_shown(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_what_holds_several_values():
    assert several(range(3)) == several(np.arange(3)) == several(i for i in range(3)) == [0, 1, 2]
    assert [several(one) for one in (3, "ab", {1}, {1: 2}, None, np.int64(3), torch.tensor(3))] == [None] * 7
    assert several({2}, ordered=False) == [2]
    assert SparseParity(8, 2, support={1, 3}) == SparseParity(8, 2, support=[3, 1])
    assert flag("x", np.bool_(True)) is True

    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert shown(Broken()) == "a Broken"
    assert shown(list(range(1000))) == "a list"
