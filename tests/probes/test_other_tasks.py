"""A teacher, a probe and stored targets of another task than the trajectory's are told apart."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from pdtutor import (
    MLP,
    Distill,
    FunctionTeacher,
    HierarchicalParity,
    Labels,
    MaskedGrammar,
    SparseParity,
    Trajectory,
    compare,
    monomial_correlations,
    ngram_closeness,
    ngram_robustness,
    node_correlations,
    nonterminal_probe,
    one_shot,
    over,
    register,
    storage_table,
    store_targets,
    train,
)

TASK, OTHER = SparseParity(8, 2, support=(0, 1)), SparseParity(8, 2, support=(0, 2))
QUIET = {"progress": False, "eval_examples": 64}


@pytest.fixture(scope="module")
def teacher():
    return train(MLP(8, width=8), TASK, steps=4, save_every=2, **QUIET).trajectory


def student():
    return MLP(8, width=4, seed=1)


def test_a_teacher_of_another_support_is_refused_unless_that_is_meant(teacher):
    distill = Distill(teacher, one_shot())
    message = r"the teacher .* was trained on another task: support was \[0, 1\], now \[0, 2\]; .*other_task=True"
    with pytest.raises(ValueError, match=message):
        train(student(), OTHER, supervision=distill, steps=2, **QUIET)
    with pytest.raises(ValueError, match=message):
        compare(lambda s: MLP(8, width=4, seed=s), OTHER, {"a": distill}, seeds=[0], steps=2, **QUIET)
    meant = Distill(teacher, one_shot(), other_task=True)
    train(student(), OTHER, supervision=meant, steps=2, **QUIET)
    assert meant.config() == distill.config()  # a run goes on, whichever was said
    train(student(), TASK, supervision=distill, steps=2, **QUIET)


def test_targets_of_another_task_are_not_stored(teacher, tmp_path):
    distill, settings = Distill(teacher, one_shot()), {"steps": 2, "batch_size": 4, "seed": 0}
    with pytest.raises(ValueError, match="trained on another task: support was"):
        store_targets(tmp_path / "targets", distill, OTHER, k=2, progress=False, **settings)
    assert not (tmp_path / "targets").exists()
    with pytest.raises(ValueError, match="trained on another task: support was"):
        storage_table(distill, OTHER, student(), **settings)


def test_a_probe_of_another_support_is_refused_unless_that_is_meant(teacher):
    probe = monomial_correlations(OTHER, examples=100)
    with pytest.raises(ValueError, match=r"another task: support was \[0, 1\], now \[0, 2\]; .*over\(…, other_task=T"):
        over(teacher, probe, progress=False)
    assert len(over(teacher, probe, other_task=True, progress=False))
    assert len(over(teacher, monomial_correlations(TASK, examples=100), progress=False))
    assert len(over(teacher, lambda model: probe(model), progress=False))  # a function says nothing of a task


def test_every_probe_says_its_task_and_asks_one_model(teacher):
    tree, grammar = HierarchicalParity(8, 1, depth=2), MaskedGrammar("cfg3b", root="13")
    small = {"sentences": 16}
    probes = {
        monomial_correlations(TASK, examples=100): TASK,
        node_correlations(tree, examples=100): tree,
        ngram_robustness(grammar, 3, **small): grammar,
        ngram_closeness(grammar, 3, **small): grammar,
        nonterminal_probe(grammar, 1, held_out=8, **small): grammar,
    }
    function = FunctionTeacher(lambda x: x[:, :2], classes=2, name="signs")
    for probe, task in probes.items():
        assert probe.task == task
        for given in (function, teacher):
            with pytest.raises(ValueError, match=r"a probe asks one model, got .*over\(trajectory, probe\) asks all"):
                probe(given)
        with pytest.raises(ValueError, match=r"model must be a model, such as .* got 3"):
            probe(3)


def test_a_trajectory_of_a_class_that_is_not_registered_is_compared_by_what_it_recorded(tmp_path):
    @dataclass(frozen=True)
    class Mine(SparseParity):
        pass

    run = train(MLP(8, width=4), Mine(8, 2, support=(0, 1)), steps=1, out=tmp_path / "run", **QUIET)
    opened = Trajectory(run.trajectory.path)
    opened.require_task(Mine(8, 2, support=(1, 0)))
    with pytest.raises(ValueError, match="class was 'Mine', now 'SparseParity'"):
        opened.require_task(TASK)


def test_students_are_made_anew_from_their_seeds(teacher):
    methods = {"labels": Labels(), "one-shot": Distill(teacher, one_shot())}
    once = MLP(8, width=4, seed=0)
    with pytest.raises(ValueError, match="has already been trained: it must make a new one each time"):
        compare(lambda seeds: once, TASK, methods, seeds=[0], steps=2, side_by_side=False, **QUIET)
    with pytest.raises(
        ValueError, match=r"student\(\[0, 1\]\) must make a model of these seeds, got one of seeds \[0\]"
    ):
        compare(lambda seeds: MLP(8, width=4), TASK, {"labels": Labels()}, seeds=[0, 1], steps=2, **QUIET)


def test_copies_that_share_their_weights_are_refused():
    @register
    class One(nn.Module):
        """Says that it has as many copies as seeds, but has the weights of one."""

        def __init__(self, seed):
            super().__init__()
            self.seeds, self.classes = list(seed), 2
            self.weight = nn.Parameter(torch.from_numpy(np.random.default_rng(0).normal(size=(8, 2))).float())

        def forward(self, inputs):
            return inputs.expand(len(self.seeds), -1, -1) @ self.weight

        def config(self):
            return {"class": "One", "seed": self.seeds}

    message = r"the model has 2 seeds, so weight must have a first axis of 2, .* got shape \(8, 2\)"
    with pytest.raises(ValueError, match=message):
        compare(One, TASK, {"labels": Labels()}, seeds=[0, 1], steps=2, **QUIET)
