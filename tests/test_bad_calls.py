"""Bad calls of the public face: each ends in one line of our own, which names the argument and shows what was given.

`CALLS` has, for each function, arguments that are right, and for each argument values that are not. An error from deep
inside torch, numpy or pandas tells a reader nothing about the call, so the error must be raised by pdtutor's own code.
"""

import inspect
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import pdtutor
from pdtutor import (
    FINAL,
    MLP,
    SGD,
    AdamW,
    Anneal,
    BayesOptimal,
    CausalGrammar,
    CausalText,
    Checkpoint,
    Claims,
    Distill,
    FunctionTeacher,
    HierarchicalParity,
    Labels,
    MaskedGrammar,
    MaskedText,
    Network,
    PretrainedTrajectory,
    Run,
    SparseParity,
    Stored,
    StoredTargets,
    Stream,
    Trajectory,
    Transformer,
    checkpoint_table,
    choose_checkpoint,
    choose_step,
    compare,
    data_path,
    evaluate,
    explicit,
    first_gradient,
    held_out,
    local_family,
    logits_of,
    monomial_correlations,
    multiberts,
    n_shot,
    ngram_closeness,
    ngram_robustness,
    node_correlations,
    nonterminal_probe,
    on_plateau,
    one_shot,
    over,
    paired,
    paper,
    peak_step,
    progressive,
    pythia,
    recipes,
    register,
    results,
    save_family,
    select_copies,
    spread,
    storage_table,
    store_targets,
    teacher_log_probabilities,
    theory,
    train,
)
from pdtutor.validate import shown

TASK, TREE, GRAMMAR = SparseParity(8, 2), HierarchicalParity(8, 1, depth=2), MaskedGrammar("cfg3b", root="13")
INPUTS, LABELS = held_out(TASK, 16)
SMALL = recipes.recipe("parity-teacher", "smoke")


class _Trained:
    """A teacher of one copy, one of two, and stored targets, made at first use."""

    def __init__(self):
        self._made = {}

    def __getitem__(self, name):
        if not self._made:
            quiet = {"progress": False, "eval_examples": 16, "batch_size": 4, "steps": 4, "save_every": 2}
            one = train(MLP(8, width=4), TASK, **quiet).trajectory
            self._made = {"one": one, "two": train(MLP(8, width=4, seed=[0, 1]), TASK, **quiet).trajectory}
        return self._made[name]


TRAINED = _Trained()
ONE, TWO = (lambda: TRAINED["one"]), (lambda: TRAINED["two"])
FUNCTION = FunctionTeacher(lambda x: x[:, :2], classes=2, name="signs")
DISTILL = lambda: Distill(ONE(), one_shot())  # noqa: E731
PROBE = monomial_correlations(TASK, examples=16)
NO_SEED, NO_WHOLE, NO_NUMBER = (
    ["a", -1, 0.5, None, {1}, True],
    ["3", 0, 1.5, None, [3]],
    ["a", None, float("nan"), [0.1, "b"]],
)
NO_PATH, NO_FLAG = ["", 3, None], ["yes", None, 2]
NO_MODEL, NO_TASK = [None, nn.Linear(8, 2), MLP, "mlp", INPUTS], [None, SparseParity, "parity", 3]
NO_TRAJECTORY, NO_SCHEDULE = ["runs/teacher", None, Path("runs"), 3, MLP(8, width=4)], [None, "final", one_shot, 3]

made = lambda value: value() if callable(value) and getattr(value, "__name__", "") == "<lambda>" else value  # noqa: E731

# function: (right arguments, wrong ones by name). A lambda is called when the test runs.
CALLS = {
    "SparseParity": (
        SparseParity,
        {"d": 8, "k": 2},
        {
            "d": NO_WHOLE,
            "k": ["2", 0, 9, None],
            "support": [3, "01", (0, 0), (0, 9), (0, "a"), (0,)],
            "seed": NO_SEED[:5],
            "encoding": ["bits", None, 3, ["signs"]],
        },
    ),
    "HierarchicalParity": (
        HierarchicalParity,
        {"d": 8, "k": 1, "depth": 2},
        {
            "d": [2, "8", None],
            "k": [0, None],
            "depth": [0, 2.0, "2"],
            "supports": [3, [1, 2, 3], "abc", [(0,), (1,)]],
            "seed": [-1, "a"],
        },
    ),
    "MaskedGrammar": (
        MaskedGrammar,
        {"grammar": "cfg3b"},
        {
            "grammar": ["no-such-grammar", 3, None, ""],
            "root": ["no-such-symbol", 99],
            "max_length": [0, "9", 1.5],
            "rate": [0, 1, "a", None, float("nan")],
        },
    ),
    "CausalGrammar": (CausalGrammar, {"grammar": "cfg3b"}, {"level": [99, -1, "a"], "grammar": [[1]]}),
    "MaskedText": (
        MaskedText,
        {},
        {"corpus": [(), 3, ""], "length": [2, "64", None], "limit": [0, "a"], "rate": [2, "a"], "tokenizer": ["", 3]},
    ),
    "CausalText": (CausalText, {}, {"corpus": [None], "length": [0], "tokenizer": [None]}),
    "MLP": (
        MLP,
        {"d": 8, "width": 4},
        {
            "d": NO_WHOLE,
            "width": [0, "4", [], [4, 0], None],
            "classes": [0, None, "2"],
            "seed": ["a", -1, [], {1}, None, [0, "a"]],
        },
    ),
    "Transformer": (
        Transformer,
        {"vocabulary": 5, "max_length": 4},
        {
            "vocabulary": [0, "5"],
            "max_length": [0, None],
            "layers": [0, 1.5],
            "heads": [0, "4"],
            "head_dim": [0],
            "mlp_ratio": [0.5],
            "causal": ["no", None],
            "read_out": ["first", None],
            "padding": [-1, 9, "a"],
            "init_std": [-1, "a", None],
            "seed": [-1, []],
        },
    ),
    "Network": (
        Network,
        {"build": "no-such-builder", "classes": 2},
        {"build": ["no-such-builder", 3, None, nn.Linear]},
    ),
    "SGD": (
        SGD,
        {},
        {
            "lr": [*NO_NUMBER, -0.1, "0.1"],
            "decay": ["linear", None],
            "warmup": [2, -1, "a"],
            "weight_decay": [-1, None],
            "momentum": [2, "a"],
        },
    ),
    "AdamW": (AdamW, {}, {"lr": [None, -1], "betas": [0.9, (0.9,), (0.9, 1), ("a", "b"), None], "eps": [-1, "a"]}),
    "Anneal": (Anneal, {"start": 1, "stop": 0, "steps": 5}, {"start": ["a", None], "stop": ["a"], "steps": [0, None]}),
    "progressive": (progressive, {"every": 5}, {"every": NO_WHOLE, "speed": [0, -1, "a", None], "first": [-1, "a"]}),
    "n_shot": (
        n_shot,
        {"checkpoints": 2, "each": 5},
        {
            "checkpoints": [0, None, "last", [], [1.5], ["last"], {1, 2}],
            "each": [0, None, "a"],
        },
    ),
    "explicit": (
        explicit,
        {"pairs": [(0, 5)]},
        {"pairs": [None, 3, [], [1, 2], [(5, 1)], [(0, "a")], [(0, 1, 2)], "ab", {0: 5}]},
    ),
    "on_plateau": (
        on_plateau,
        {"checkpoints": [5]},
        {"checkpoints": [3, None, [], ["a"]], "patience": [0, "a"], "min_delta": [-1, "a", None]},
    ),
    "Distill": (
        Distill,
        {"trajectory": ONE, "schedule": one_shot()},
        {
            "trajectory": [*NO_TRAJECTORY, TWO],
            "schedule": NO_SCHEDULE,
            "temperature": [-1, "a", None, [1, 2]],
            "alpha": [-0.1, 1.1, "a", None],
            "divergence": ["kl", None, 3],
            "top_k": [0, "a", 1.5],
            "other_task": ["yes", None],
        },
    ),
    "Stored": (Stored, {"targets": None}, {"targets": [None, "folder", Path("x"), DISTILL]}),
    "StoredTargets": (StoredTargets, {"path": "x"}, {"path": [*NO_PATH, "no-such-folder"]}),
    "Trajectory": (Trajectory, {"path": "x"}, {"path": [*NO_PATH, "no-such-folder"]}),
    "Run.open": (Run.open, {"path": "x"}, {"path": [*NO_PATH, "no-such-folder"]}),
    "Trajectory.at": (lambda step: ONE().at(step), {"step": 0}, {"step": [3, "final", None, 1.5, -1]}),
    "Trajectory.nearest": (lambda step: ONE().nearest(step), {"step": 0}, {"step": ["final", None]}),
    "Trajectory.copy": (lambda copy: TWO().copy(copy), {"copy": 0}, {"copy": [2, -1, "a", None]}),
    "Trajectory.of": (lambda seed: TWO().of(seed), {"seed": 0}, {"seed": [9, "a", None]}),
    "Trajectory.extract": (
        lambda path, steps: ONE().extract(path, steps),
        {"path": "x", "steps": [0]},
        {"path": NO_PATH, "steps": [3, None, [], [7]]},
    ),
    "train": (
        train,
        {"model": lambda: MLP(8, width=4), "task": TASK, "steps": 2, "progress": False},
        {
            "model": [*NO_MODEL, FUNCTION, BayesOptimal(GRAMMAR)],
            "task": NO_TASK,
            "steps": NO_WHOLE,
            "batch_size": [0, "a", None],
            "optimizer": ["sgd", SGD, torch.optim.SGD, 0.1],
            "supervision": ["labels", Labels, {"a": Labels()}, 3, [Labels(), Labels()], ONE, one_shot(), []],
            "seed": ["a", -1, [0, 1], 0.5],
            "role": ["pupil", 3],
            "eval_every": [0, "a"],
            "eval_examples": [0, None, "a"],
            "save_every": [0, "a"],
            "save_at": [3, None, [9], ["a"], [-1]],
            "until": [2, "a"],
            "out": ["", 3],
            "resume": ["yes", True],
            "device": ["gpu", None, 3, "cuda:99"],
            "engine": ["fast", None, "graph "],
            "precision": ["float64", 16],
            "accumulate": [0, "a"],
            "progress": ["yes"],
            "description": [3, None],
        },
    ),
    "compare": (
        compare,
        {
            "student": lambda: lambda seeds: MLP(8, width=4, seed=seeds),
            "task": TASK,
            "methods": {"a": Labels()},
            "seeds": [0],
            "steps": 2,
            "progress": False,
        },
        {
            "student": [MLP(8, width=4), None, lambda: lambda seeds: None, lambda: lambda seeds: nn.Linear(8, 2)],
            "methods": [
                {},
                Labels(),
                [Labels()],
                {"a": "labels"},
                {"a": Labels},
                {3: Labels()},
                lambda: {"a": lambda seed: 3},
            ],
            "seeds": [3, [], [0, 0], ["a"], None],
            "out": ["", 3],
            "side_by_side": ["yes"],
            "step": [3],
            "supervision": [Labels()],
            "task": [None],
        },
    ),
    "over": (
        over,
        {"trajectory": ONE, "probe": PROBE, "progress": False},
        {
            "trajectory": NO_TRAJECTORY,
            "probe": [
                None,
                "monomials",
                TASK,
                lambda: lambda model: None,
                lambda: lambda model: pd.DataFrame({"a": [1]}),
            ],
            "steps": [3, [], [3], ["final"]],
            "device": ["gpu"],
            "other_task": ["yes"],
            "progress": [None],
        },
    ),
    "a probe": (PROBE, {"model": None}, {"model": [None, ONE, FUNCTION, "model", 3]}),
    "monomial_correlations": (
        monomial_correlations,
        {"task": TASK},
        {
            "task": [None, TREE, GRAMMAR, SparseParity],
            "degree": [0, 3, "a", [1]],
            "examples": [0, "a"],
            "off_support": [0, None],
            "seed": [-1, "a"],
        },
    ),
    "first_gradient": (
        first_gradient,
        {"task": TASK, "student": MLP(TASK.d, width=4)},
        {
            "task": [None, TREE, GRAMMAR, SparseParity],
            "student": [None, MLP, "a"],
            "temperature": [-1.0, None, "a"],
            "groups": [0, "a"],
            "seed": [-1, "a"],
        },
    ),
    "node_correlations": (
        node_correlations,
        {"task": TREE},
        {"task": [None, TASK], "degree": [0, 2, "a", []], "examples": [0], "off_support": ["a"], "seed": [-1]},
    ),
    "ngram_robustness": (
        ngram_robustness,
        {"task": GRAMMAR, "n": 3},
        {
            "task": [None, TASK, CausalGrammar("cfg3b", root="13")],
            "n": [2, 0, "a", 99],
            "sentences": [0, "a"],
            "positions": [0],
            "seed": [-1],
        },
    ),
    "ngram_closeness": (ngram_closeness, {"task": GRAMMAR, "n": 3}, {"task": [TASK], "n": [None]}),
    "nonterminal_probe": (
        nonterminal_probe,
        {"task": GRAMMAR, "level": 1},
        {
            "task": [None, TASK],
            "level": [9, -1, "a"],
            "kind": ["deep", None],
            "heads": [0],
            "epochs": ["a"],
            "batch_size": [0],
            "lr": [-1, "a"],
            "sentences": [0],
            "held_out": [None],
            "seed": ["a"],
            "progress": ["a"],
        },
    ),
    "choose_checkpoint": (
        choose_checkpoint,
        {"trajectory": ONE, "inputs": INPUTS, "progress": False},
        {
            "trajectory": ["x", None, TWO],
            "inputs": [None, INPUTS[:0], INPUTS.numpy(), TASK, "x", INPUTS[:, :3]],
            "labels": [3, LABELS[:3], "x"],
            "agreement": [2, "a"],
        },
    ),
    "checkpoint_table": (
        checkpoint_table,
        {"trajectory": ONE, "inputs": INPUTS, "progress": False},
        {"inputs": [None], "trajectory": [FUNCTION.at(0)]},
    ),
    "choose_step": (
        choose_step,
        {"table": None},
        {"table": [None, pd.DataFrame(), {"step": [1]}, pd.DataFrame({"seed": [0, 1]})]},
    ),
    "peak_step": (
        peak_step,
        {"curriculum": None},
        {"curriculum": [None, pd.DataFrame(), pd.DataFrame({"step": [1], "value": [1]})]},
    ),
    "results": (results, {"history": None}, {"history": [None, pd.DataFrame(), pd.DataFrame({"step": [1]})]}),
    "spread": (spread, {"table": None}, {"table": [None, pd.DataFrame()]}),
    "paired": (
        paired,
        {
            "found": pd.DataFrame({"method": ["a", "b"], "seed": [0, 0], "final_accuracy": [0.5, 0.6]}),
            "method": "a",
            "other": "b",
        },
        {
            "found": [None, pd.DataFrame(), pd.DataFrame({"method": ["a"]}), 3],
            "method": [None, 3, "c", ["a"]],
            "other": [None, 3, "c", ["b"]],
            "value": [None, "steps", 3],
        },
    ),
    "evaluate": (
        evaluate,
        {"model": lambda: MLP(8, width=4), "inputs": INPUTS, "labels": LABELS},
        {
            "model": [None, FUNCTION],
            "inputs": [None, INPUTS.numpy(), INPUTS[:3], TASK],
            "labels": [None, LABELS.numpy(), LABELS.float()],
        },
    ),
    "held_out": (
        held_out,
        {"task": TASK, "examples": 16},
        {"task": NO_TASK, "examples": [0, "a", None, 1.5], "seed": [-1, "a"]},
    ),
    "logits_of": (
        logits_of,
        {"model": lambda: MLP(8, width=4), "inputs": INPUTS},
        {
            "model": [None, FUNCTION, "m"],
            "inputs": [None, INPUTS.numpy(), [1, 2], INPUTS[:, :3]],
        },
    ),
    "select_copies": (
        select_copies,
        {"model": lambda: MLP(8, width=4, seed=[0, 1]), "copies": [0]},
        {"model": [None, ONE], "copies": [3, [2], ["a"], [], None, [-1]]},
    ),
    "store_targets": (
        store_targets,
        {
            "path": "x",
            "distill": DISTILL,
            "task": TASK,
            "steps": 2,
            "batch_size": 4,
            "seed": 0,
            "k": 2,
            "progress": False,
        },
        {
            "path": NO_PATH,
            "distill": [None, Labels(), ONE],
            "task": [None, "t"],
            "steps": [0, "a"],
            "batch_size": [0, None],
            "seed": ["a", [0]],
            "k": [0, 3, "a"],
            "shard_tokens": [0],
            "resume": ["yes"],
            "device": ["gpu"],
            "progress": ["a"],
        },
    ),
    "storage_table": (
        storage_table,
        {"distill": DISTILL, "task": TASK, "student": lambda: MLP(8, width=4), "steps": 2, "batch_size": 4, "seed": 0},
        {
            "distill": [None],
            "task": [None],
            "student": [None, "s"],
            "ks": [3, [0], ["a"], [], [3]],
            "steps": [0],
            "batch_size": ["a"],
            "seed": [-1],
            "updates": [0],
        },
    ),
    "teacher_log_probabilities": (
        teacher_log_probabilities,
        {"logits": torch.zeros(2, 3), "temperature": 1.0},
        {
            "logits": [None, np.zeros(3), [1.0]],
            "temperature": [-1, "a", None],
            "top_k": [0, 4, "a"],
        },
    ),
    "FunctionTeacher": (
        FunctionTeacher,
        {"function": lambda: lambda x: x, "classes": 2, "name": "f"},
        {
            "function": [None, "f", 3, {"a": max}, {0: 3}],
            "classes": [0, "a", None],
            "name": ["", None, 3],
        },
    ),
    "Checkpoint": (
        lambda **given: PretrainedTrajectory([Checkpoint(**given)], objective="masked"),
        {"step": 0, "repo": "a/b"},
        {
            "step": [-1, "a", None],
            "repo": [None, 3, ""],
        },
    ),
    "PretrainedTrajectory": (
        PretrainedTrajectory,
        {"checkpoints": [Checkpoint(0, "a/b")], "objective": "masked"},
        {
            "checkpoints": [None, [], [3], "a/b", Checkpoint(0, "a/b")],
            "objective": ["both", None],
            "padding": [-1, "a"],
            "classes": [0, "a"],
            "name": [3],
            "cache_dir": [3],
            "local_files_only": ["yes"],
        },
    ),
    "local_family": (local_family, {"folder": "x", "objective": "masked"}, {"folder": [*NO_PATH, "no-such-folder"]}),
    "multiberts": (multiberts, {}, {"seed": [9, "a", None], "folder": ["no-such-folder", 3]}),
    "pythia": (pythia, {}, {"size": [3, None, ""], "folder": ["no-such-folder"]}),
    "save_family": (save_family, {"trajectory": ONE, "folder": "x"}, {"trajectory": [None, "x"], "folder": NO_PATH}),
    "Stream": (
        Stream,
        {"task": TASK, "batch_size": 4, "seeds": [0], "purpose": "p"},
        {
            "task": [None, SparseParity],
            "batch_size": [0, "a"],
            "seeds": [[], ["a"], None],
            "purpose": ["", None],
            "device": [3],
        },
    ),
    "BayesOptimal": (BayesOptimal, {"task": GRAMMAR}, {"task": [None, TASK, "cfg3b"]}),
    "data_path": (data_path, {"name": "x"}, {"name": ["no-such-data", 3, None]}),
    "paper": (paper, {"experiment": "x"}, {"experiment": ["no-such-experiment", 3, None]}),
    "register": (register, {"kind": None}, {"kind": [None, "MLP", 3, lambda: lambda: 3]}),
    "Claims.add": (
        Claims().add,
        {"claim": "c", "paper": 1, "measured": 1, "seeds": 1, "holds": True},
        {"claim": ["", 3], "seeds": [-1, "a"], "holds": [1, "yes"]},
    ),
    "recipe": (
        recipes.recipe,
        {"name": "parity-teacher"},
        {"name": ["no-such-recipe", None, 3, ["a"]], "scale": ["huge", None, 3]},
    ),
    "Recipe.run": (
        SMALL.run,
        {"seeds": 1, "out": "x"},
        {"seeds": [0, "a", None, [0]], "out": NO_PATH, "resume": ["yes"], "progress": ["a"], "device": ["gpu"]},
    ),
    "theory.hypercube": (theory.hypercube, {"d": 3}, {"d": [0, 99, "a", None]}),
    "theory.degree_weights": (theory.degree_weights, {"table": np.ones(4)}, {"table": [np.ones(3), None, "x"]}),
    "theory.fourier_coefficient": (
        theory.fourier_coefficient,
        {"table": np.ones(4), "subset": [0]},
        {"subset": [3, [9], ["a"], None, [0, 0]]},
    ),
    "theory.parity": (theory.parity, {"x": np.ones((2, 3)), "support": [0]}, {"support": [[9], 3, ["a"]]}),
    "theory.threshold_coefficient": (
        theory.threshold_coefficient,
        {"d": 5, "degree": 1},
        {"d": [0, "a"], "degree": [9, "a"], "bias": ["a", float("nan")]},
    ),
    "theory.two_stage": (
        theory.two_stage,
        {"d": 9, "k": 2, "stage1_samples": 100},
        {
            "d": [0, "a"],
            "k": [0, 99, "a"],
            "stage1_samples": [0, "a"],
            "stage2_samples": [0, None],
            "width": [3, "a"],
            "steps": [0, "a"],
            "support": [3, [0], ["a"]],
            "seed": [-1, "a"],
            "test_samples": [0, "a"],
            "teacher": [3, "t"],
            "final": [3, "t"],
        },
    ),
    "theory.student_width": (theory.student_width, {"k": 2}, {"k": [0, "a"]}),
    "theory.hidden_support": (
        theory.hidden_support,
        {"d": 5, "k": 2, "seed": 0},
        {"d": [0, "a"], "k": [0, 9, "a"], "seed": [-1, "a"]},
    ),
    "theory.degree_one_energy": (
        theory.degree_one_energy,
        {"function": lambda: lambda x: x[:, 0], "support": [0], "d": 3},
        {"support": [[], [0, 1, 2], [9], 3], "d": [0, "a"], "seed": [-1, "a"]},
    ),
    "theory.samples_to_appear": (
        theory.samples_to_appear,
        {"d": 9, "k": 2, "width": 4},
        {"d": [0, "a"], "k": [0, 3, 99, "a"], "width": [3, 0, "a"]},
    ),
    "theory.flawed_label": (
        theory.flawed_label,
        {"support": [0, 1, 2], "degree": 1, "size": 0.1},
        {"support": [3, ["a"]], "degree": [0, 3, "a"], "size": ["a", float("nan")]},
    ),
    "theory.learning_curve": (
        theory.learning_curve,
        {"d": 5, "k": 2, "seed": 0, "error": 0.5, "largest": 2**8},
        {
            "d": [0, "a"],
            "k": [0, 99, "a"],
            "seed": [-1, "a"],
            "error": ["a", float("nan")],
            "smallest": [0, 2**20, "a"],
            "largest": [1, "a"],
            "steps": [0, "a"],
            "teacher": [3],
            "final": [3],
        },
    ),
    "theory.samples_to_reach": (
        theory.samples_to_reach,
        {"curve": pd.DataFrame({"samples": [1, 2], "error": [0.5, 0.1]}), "error": 0.2},
        {"error": [0, "a"]},
    ),
    "theory.bootstrap_slope": (
        theory.bootstrap_slope,
        {"table": pd.DataFrame({"seed": [0, 0, 1, 1], "d": [1, 2, 1, 2], "n": [1, 2, 1, 3]}), "x": "d", "y": "n"},
        {"seed": [-1, "a"], "draws": [0, "a"]},
    ),
    "theory.stage_one_teacher": (
        theory.stage_one_teacher,
        {"d": 9, "support": [0, 1]},
        {"support": [[], 3, [99]], "width": [3, "a"], "seed": ["a", -1], "samples": [0, "a"]},
    ),
    "theory.sample_complexity": (
        theory.sample_complexity,
        {"dims": [5], "progress": False},
        {
            "dims": [3, [4], ["a"], None],
            "k": [3, "a", 0],
            "supervision": ["labels", ["x"], 3],
            "seeds": [3, ["a"]],
            "teacher_width": [0, "a"],
            "max_samples": [0, "a"],
        },
    ),
    "theory.fit_slope": (
        theory.fit_slope,
        {"x": [1, 2, 3], "y": [1, 2, 3]},
        {"x": [[1], ["a", "b", "c"], None, 3], "y": [[1, -1, 2], None]},
    ),
    "theory.population_gradient": (
        theory.population_gradient,
        {"weights": np.ones(3), "targets": np.ones(8)},
        {"weights": ["a", None, np.ones((2, 2))], "targets": [np.ones(3), "a"], "bias": ["a"]},
    ),
    "theory.parity_gradient": (
        theory.parity_gradient,
        {"signs": np.ones(3), "support": [0]},
        {"signs": ["a", None, np.zeros(3)], "support": [[], 3, [9]]},
    ),
}

CASES = [
    pytest.param(call, right, name, value, id=f"{label}-{name}-{number}")
    for label, (call, right, wrong) in CALLS.items()
    for name, values in wrong.items()
    for number, value in enumerate(values)
]


def _parts(given):
    """The value, and whatever is in it."""
    yield given
    for part in given if isinstance(given, list | tuple | set | dict) else ():
        yield from _parts(part)


def test_there_are_enough_of_them():
    assert len(CASES) >= 150


@pytest.mark.parametrize(("call", "right", "name", "value"), CASES)
def test_a_bad_call_is_told_what_is_wrong(call, right, name, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where nothing is
    arguments = {key: made(given) for key, given in right.items() if key != name}
    given = made(value)
    if call in (logits_of, teacher_log_probabilities):
        call = inspect.unwrap(call)  # without the shape checks of the tests, which come first
    with pytest.raises((ValueError, TypeError, FileNotFoundError)) as caught:
        call(given) if call is PROBE else call(**arguments, **{name: given})
    raised = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert Path(raised.filename).is_relative_to(Path(pdtutor.__file__).parent), f"{raised.filename}: {caught.value}"
    message = str(caught.value)
    assert "\n" not in message.strip()
    words = {name, name.rstrip("s"), shown(given), type(given).__name__}
    words |= {written for part in _parts(given) for written in (str(part), repr(part))}
    assert any(word and word in message for word in words), message


def test_the_word_final_is_no_step_and_says_so():
    assert FINAL == "final"
    with pytest.raises(ValueError, match="step must be a whole number of at least 0, got 'final'"):
        ONE().at(FINAL)
