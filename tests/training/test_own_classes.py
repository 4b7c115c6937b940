"""A reader's own task, model and network are first-class: trained, saved, reopened elsewhere, taught by and probed.

This file is the module that the fresh process imports, as a reader's own would be.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pdtutor import (
    MLP,
    SGD,
    AdamW,
    Distill,
    FunctionTeacher,
    Labels,
    MaskedGrammar,
    Network,
    SparseParity,
    Trajectory,
    Transformer,
    choose_checkpoint,
    compare,
    evaluate,
    held_out,
    monomial_correlations,
    n_shot,
    ngram_closeness,
    ngram_robustness,
    node_correlations,
    nonterminal_probe,
    one_shot,
    over,
    progressive,
    register,
    select_copies,
    train,
)
from pdtutor.checkpoints.teachable import Teachable
from pdtutor.distillation.supervision import Supervision
from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model
from pdtutor.tasks.hierarchical import HierarchicalParity
from pdtutor.tasks.optimal import BayesOptimal
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import Task

QUIET = {"progress": False, "eval_examples": 200}


@register
@dataclass(frozen=True)
class Majority:
    """Whether most of the first `voters` signs are +1."""

    d: int
    voters: int

    classes = 2

    def sample(self, rng, n):
        signs = rng.choice([-1.0, 1.0], (n, self.d)).astype(np.float32)
        return signs, (signs[:, : self.voters].sum(1) > 0).astype(np.int64)

    def config(self):
        return {"class": "Majority", "d": self.d, "voters": self.voters}


@register
class Cosine(nn.Module):
    """One hidden layer of cosines, copies side by side."""

    def __init__(self, d, width, seed=(0,)):
        super().__init__()
        self.d, self.width, self.classes, self.seeds = d, width, 2, list(seed)
        rngs = [np.random.default_rng(s) for s in self.seeds]
        self.first, self.second = (
            nn.Parameter(torch.tensor(np.stack([rng.normal(0, 0.5, shape) for rng in rngs]), dtype=torch.float32))
            for shape in ((d, width), (width, 2))
        )

    def forward(self, inputs):
        hidden = torch.cos(inputs.expand(len(self.seeds), -1, -1) @ self.first + 0.5)
        return hidden @ self.second

    def config(self):
        return {"class": "Cosine", "d": self.d, "width": self.width, "seed": self.seeds}


@register
def small(width=12):
    return nn.Sequential(nn.Linear(7, width), nn.BatchNorm1d(width), nn.Tanh(), nn.Linear(width, 2))


TASK = Majority(7, 3)


def trained(model, out, optimizer=None):
    return train(model, TASK, steps=120, optimizer=optimizer or AdamW(lr=0.02), save_every=40, out=out, **QUIET)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return {
        "model": trained(Cosine(7, 24, seed=[1, 2]), folder / "model"),
        "network": trained(Network(small, classes=2, seed=[1, 2], width=20), folder / "network"),
    }


@pytest.mark.parametrize("kind", ["model", "network"])
def test_it_learns_is_reopened_and_its_copies_can_be_taken_apart(teachers, kind):
    run = teachers[kind]
    assert run.history["accuracy"].iloc[-2:].min() > 0.9
    opened = Trajectory(run.trajectory.path)
    assert opened.task == TASK
    inputs, labels = held_out(TASK, 200)
    whole = logits_of(opened.at(120), inputs)
    assert torch.equal(whole, logits_of(run.model, inputs))
    torch.testing.assert_close(logits_of(opened.of(2).at(120), inputs)[0], whole[1])
    torch.testing.assert_close(logits_of(select_copies(run.model, [1, 0]), inputs), whole.flip(0))
    assert evaluate(opened.at(120), inputs, labels)[1].tolist() == run.history["accuracy"].iloc[-2:].tolist()


@pytest.mark.parametrize("kind", ["model", "network"])
def test_a_fresh_process_reopens_it_once_the_class_is_registered(teachers, kind):
    script = """
import sys
from pathlib import Path
from pdtutor import Trajectory, held_out, evaluate
if sys.argv[2] == "registered":
    sys.path.insert(0, str(Path(sys.argv[3]).parent))
    __import__(Path(sys.argv[3]).stem)
trajectory = Trajectory(sys.argv[1])
print(evaluate(trajectory.at(trajectory.final), *held_out(trajectory.task, 200))[1].tolist())
"""
    path = teachers[kind].trajectory.path
    known, unknown = (
        subprocess.run([sys.executable, "-c", script, path, how, __file__], capture_output=True, text=True, check=False)
        for how in ("registered", "not")
    )
    assert known.returncode == 0, known.stderr
    assert eval(known.stdout) == teachers[kind].history["accuracy"].iloc[-2:].tolist()
    missing = {"model": "Cosine", "network": "small"}[kind]
    assert f"pdtutor.register({missing})" in unknown.stderr


@pytest.mark.parametrize("kind", ["model", "network"])
def test_its_checkpoints_teach_and_are_probed_and_chosen(teachers, kind):
    trajectory = teachers[kind].trajectory.of(1)
    methods = {
        "labels": Labels(),
        "one-shot": Distill(trajectory, one_shot()),
        "progressive": Distill(trajectory, progressive(40), temperature=1.0),
    }
    compared = compare(
        lambda seeds: MLP(7, width=16, seed=seeds), TASK, methods, seeds=[0], steps=200, optimizer=SGD(lr=0.3), **QUIET
    )
    assert compared.history.groupby("method")["accuracy"].last().min() > 0.85
    curriculum = over(
        trajectory,
        monomial_correlations(SparseParity(7, 3, support=(0, 1, 2)), examples=2000),
        other_task=True,
        progress=False,
    )
    final = curriculum[curriculum["step"] == 120]
    assert final[final["inside"]]["value"].min() > 5 * final[~final["inside"]]["value"].max()  # the voters
    assert choose_checkpoint(trajectory, held_out(TASK, 500)[0], agreement=0.95, progress=False) in (40, 80, 120)


def test_a_network_is_the_network_it_wraps():
    """Side by side or alone; batch norm counts its own batches, and equal seeds start equal."""
    run = trained(Network(small, classes=2, seed=[5, 6]), None, SGD(lr=0.1))
    alone = trained(Network(small, classes=2, seed=6), None, SGD(lr=0.1))
    inputs = held_out(TASK, 100)[0]
    torch.testing.assert_close(logits_of(run.model, inputs)[1], logits_of(alone.model, inputs)[0], atol=1e-4, rtol=1e-3)
    torch.manual_seed(0)
    plain = small()
    wrapped = Network(small, classes=2, seed=0)
    plain.load_state_dict({name.removeprefix("network."): t[0] for name, t in wrapped.state_dict().items()})
    assert torch.equal(wrapped.eval()(inputs[None])[0], plain.eval()(inputs))
    assert int(run.model.state_dict()["network.1.num_batches_tracked"][1]) == 120


@pytest.mark.parametrize("engine", ["autograd", "graph"])
def test_updates_run_in_training_mode_and_evaluations_in_eval_mode(engine):
    modes = []

    class Noting(MLP):
        def forward(self, inputs):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(inputs)

    model = Noting(7, width=4).eval()  # as a reopened one is
    train(model, TASK, steps=4, engine=engine, eval_every=2, **QUIET)
    assert set(modes) == {(True, True), (False, False)}
    assert [training for training, _ in modes] == [False, True, True, False, True, True, False]


def test_tied_weights_of_a_network_stay_tied():
    @register
    def tied():
        network = nn.Sequential(nn.Linear(7, 7), nn.Tanh(), nn.Linear(7, 7), nn.Linear(7, 2))
        network[2].weight = network[0].weight
        return network

    run = train(Network(tied, classes=2, seed=[0, 1]), TASK, steps=5, **QUIET)
    opened = run.trajectory.at(5)
    first, third = opened.network[0].weight, opened.network[2].weight
    assert first.shape == (2, 7, 7)
    assert torch.equal(first, third)
    assert first is third


# What is refused, and how ----------------------------------------------------------------------------------------


def test_a_name_stands_for_one_class():
    register(Majority)  # again: nothing changes

    class Cosine:
        pass

    with pytest.raises(
        ValueError, match=r"'Cosine' is already registered, as .*own_classes\.Cosine: choose another name"
    ):
        register(Cosine)
    with pytest.raises(ValueError, match="a class or a function with a name of its own"):
        register(lambda: None)


def test_a_class_that_would_come_back_as_another_is_refused_before_it_trains():
    class TanhMLP(MLP):
        def config(self):
            return super().config() | {"class": "MLP"}

    with pytest.raises(ValueError, match="config\\(\\) of a TanhMLP names the class 'MLP'"):
        train(TanhMLP(7, width=4), TASK, steps=5, **QUIET)
    other = type("SparseParity", (Majority,), {"config": lambda self: {"class": "SparseParity"}})
    with pytest.raises(ValueError, match=r"'SparseParity' is the name of another class, of pdtutor\.tasks\.parity"):
        train(MLP(7, width=4), other(7, 3), steps=5, **QUIET)


def test_a_config_that_leaves_an_argument_out_is_refused_before_training():
    class Act(MLP):
        def __init__(self, *args, act="relu", **settings):
            super().__init__(*args, **settings)
            self.act = act

    with pytest.raises(ValueError, match=r"config\(\) of a Act must hold every argument .* and lacks act: reopened"):
        train(Act(7, width=4, act="tanh"), TASK, steps=5, **QUIET)

    @dataclass(frozen=True)
    class Noisy(SparseParity):
        noise: float = 0.0

    train(MLP(7, width=4), Noisy(7, 2), steps=5, **QUIET)  # at its default nothing is lost
    with pytest.raises(
        ValueError, match=r"Noisy, built from its config\(\), would be .*noise=0.0\) and not .*noise=0.3"
    ):
        train(MLP(7, width=4), Noisy(7, 2, noise=0.3), steps=5, **QUIET)


def test_frozen_and_unused_parameters_stay_as_they_are():
    for optimizer in (SGD(lr=0.5), AdamW(lr=0.1)):
        model = MLP(7, width=8)
        model.layers[0].requires_grad_(False)
        before = [p.detach().clone() for p in model.parameters()]
        run = train(model, TASK, steps=20, optimizer=optimizer, **QUIET)
        same = [torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True)]
        assert same == [True, True, False, False]
        assert run.settings["engine"] == "autograd"

    @register
    def with_spare():
        network = nn.Sequential(nn.Linear(7, 2))
        network.spare = nn.Parameter(torch.ones(3))
        network.forward = lambda x: network[0](x)
        return network

    model = train(Network(with_spare, classes=2), TASK, steps=5, **QUIET).model
    assert torch.equal(model.network.spare, torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"none of the model's parameters requires gradients.*requires_grad_\(True\)"):
        train(run.trajectory.at(20), TASK, steps=5, **QUIET)


def test_an_object_with_hooks_or_another_forward_never_runs_on_the_kernels():
    inputs, _ = held_out(TASK, 50)
    hooked, replaced = MLP(7, width=8), MLP(7, width=8)
    hooked.register_forward_hook(lambda module, given, logits: -logits)
    replaced.forward = lambda x: torch.zeros(1, x.shape[1], 2)
    for model in (hooked, replaced):
        assert torch.equal(logits_of(model, inputs), model(inputs[None]))


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (
            lambda x, y: (x.astype(np.float64), y),
            "inputs of float32 or int64 and labels of int64, got float64 and int64",
        ),
        (lambda x, y: (x, y.astype(np.int32)), "got float32 and int32"),
        (lambda x, y: (x, y + 1), r"labels of Drawing must lie in 0…1 or be IGNORED, got 1…2"),
        (lambda x, y: (x, y[:, None]), r"asked for 200 examples: .* got \(200, 7\) and \(200, 1\)"),
        (lambda x, y: (x[1:], y[1:]), r"asked for 200 examples: .* got \(199, 7\)"),
        (lambda x, y: x, "must draw a pair of numpy arrays"),
        (lambda x, y: (torch.from_numpy(x), y), "must draw a pair of numpy arrays"),
    ],
)
def test_a_task_that_draws_something_else_is_told_so(examples, message):
    class Drawing(Majority):
        def sample(self, rng, n):
            return examples(*super().sample(rng, n))

        def config(self):
            return super().config() | {"class": "Drawing"}

    with pytest.raises(ValueError, match=message):
        train(MLP(7, width=4), Drawing(7, 3), steps=5, **QUIET)


def test_what_is_no_model_and_no_task_is_told_what_it_needs():
    with pytest.raises(
        ValueError, match="must have seeds, classes and config\\(\\), got a Linear; Network makes a model"
    ):
        train(nn.Linear(7, 2), TASK, steps=5, **QUIET)
    for task in (Majority, object()):
        with pytest.raises(ValueError, match="a task must be an object with classes, sample"):
            train(MLP(7, width=4), task, steps=5, **QUIET)
    with pytest.raises(
        ValueError, match=r"student\(\[0, 1\]\) must make a model of these seeds, got one of seeds \[0, 0\]"
    ):
        compare(lambda seeds: MLP(7, width=4, seed=[0, 0]), TASK, {"labels": Labels()}, seeds=[0, 1], steps=5, **QUIET)


def test_a_network_that_cannot_run_side_by_side_says_what_to_do():
    @register
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.reader, self.out = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.reader(x.unsqueeze(-1))[0][:, -1])

    train(Network(Reader, classes=2), TASK, steps=3, **QUIET)
    with pytest.raises(RuntimeError, match=r"Reader could not be run as 2 copies .* Give one seed at a time"):
        train(Network(Reader, classes=2, seed=[0, 1]), TASK, steps=3, **QUIET)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network(lambda: nn.Linear(7, 2), classes=2), "with a name of its own"),
        (lambda: Network("nobody", classes=2), r"register\(nobody\)"),
        (lambda: Network(small, classes=2, seed=[]), "at least one seed"),
        (lambda: Network(small, classes=2, width=nn.Linear), "kept as JSON"),
        (lambda: Network(small, classes=3)(torch.zeros(1, 4, 7)), "classes is 3, but small returns 2 logits"),
    ],
)
def test_networks_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Subclasses ------------------------------------------------------------------------------------------------------


class Squared(MLP):
    """Squares instead of ReLU units: what the compiled kernels compute is something else."""

    def forward(self, inputs):
        first, second = self.layers
        return second(first(inputs.expand(len(self.seeds), -1, -1)).square())


def test_a_subclass_of_a_model_never_runs_on_its_parents_kernels():
    run = train(Squared(7, width=8), TASK, steps=40, **QUIET)
    assert run.settings["engine"] == "autograd"
    inputs, _ = held_out(TASK, 50)
    assert torch.equal(logits_of(run.model, inputs), run.model(inputs[None]))
    with pytest.raises(ValueError, match="engine='kernel' doesn't apply here: the model is not an MLP"):
        train(Squared(7, width=8), TASK, steps=5, engine="kernel", **QUIET)
    with pytest.raises(ValueError, match=r"unknown model 'Squared'.*pdtutor.register\(Squared\)"):
        run.trajectory.at(40)


def test_a_subclass_of_a_task_is_asked_by_its_own_sample():
    class Noisy(SparseParity):
        def sample(self, rng, n):
            inputs, labels = super().sample(rng, n)
            return inputs, 1 - labels

    right, wrong = (
        Stream(kind(7, 2), batch_size=8, seeds=[0], purpose="x").stretch(0, 3) for kind in (SparseParity, Noisy)
    )
    assert torch.equal(right.inputs, wrong.inputs)
    assert torch.equal(right.labels, 1 - wrong.labels)
    assert Noisy(7, 2).config()["class"] == "Noisy"


def test_a_subclass_of_a_transformer_is_read_by_its_own_forward():
    class Shifted(Transformer):
        def forward(self, ids):
            return super().forward(ids).roll(1, dims=-1)

    task = MaskedGrammar("cfg3b", root="10")
    sizes = {"max_length": task.longest, "classes": 3, "heads": 2, "layers": 1, "padding": task.padding}
    plain, shifted = (kind(task.vocabulary, read_out="every", **sizes) for kind in (Transformer, Shifted))
    inputs, labels = held_out(task, 20)
    at = torch.arange(3).expand(20, 3)
    torch.testing.assert_close(logits_of(shifted, inputs, at), logits_of(plain, inputs, at).roll(1, dims=-1))
    run = train(shifted, task, steps=3, **QUIET)
    assert evaluate(run.model, inputs, labels)[0].isfinite().all()


# Functions as teachers, in every probe ---------------------------------------------------------------------------


def test_a_function_teaches_and_answers_every_probe():
    parity, tree, grammar = (
        SparseParity(8, 2, support=(0, 5)),
        HierarchicalParity(8, 1, depth=2),
        MaskedGrammar("cfg3b", root="13"),
    )
    single = FunctionTeacher(lambda x: torch.stack([x[:, 0], -x[:, 0]], -1), classes=2, name="first coordinate")
    tables = [over(single, monomial_correlations(parity, examples=500), progress=False)]
    of_four = FunctionTeacher(lambda x: torch.zeros(len(x), 4), classes=4, name="even")
    tables.append(over(of_four, node_correlations(tree, examples=500), progress=False))
    echo = FunctionTeacher(lambda ids: torch.eye(6)[ids][..., :3], classes=3, name="echo")
    tables += [
        over(echo, probe(grammar, 3, sentences=20), progress=False) for probe in (ngram_robustness, ngram_closeness)
    ]
    tables.append(over(echo, nonterminal_probe(grammar, 1, sentences=64, held_out=32, epochs=1), progress=False))
    assert all(len(table) for table in tables)
    by_monomial = tables[0].set_index("monomial")["value"]
    assert by_monomial.pop("0") == pytest.approx(np.tanh(1) / 2, abs=0.02)  # E[x₀ · p(1|x)], p = 1/(1 + exp(2 x₀))
    assert by_monomial.max() < 0.1
    student = train(
        MLP(8, width=8), parity, steps=30, supervision=Distill(single, n_shot([0], each=10), temperature=1.0), **QUIET
    )
    assert student.teachers["teacher_step"].tolist() == [0]
    with pytest.raises(ValueError, match="first coordinate is a function: it can teach and be probed"):
        single.at(0).config()


# Contracts -------------------------------------------------------------------------------------------------------


def test_what_pdtutor_offers_keeps_the_contracts(teachers):
    grammar = MaskedGrammar("cfg3b", root="10")
    for task in (TASK, SparseParity(8, 2), HierarchicalParity(8, 1, depth=2), grammar):
        assert isinstance(task, Task)
    for model in (Cosine(7, 2), MLP(7, width=2), Network(small, classes=2), BayesOptimal(grammar)):
        assert isinstance(model, Model)
    trajectory = teachers["model"].trajectory.of(1)
    for teacher in (trajectory, FunctionTeacher(lambda x: x, classes=2, name="f")):
        assert isinstance(teacher, Teachable)
    for supervision in (Labels(), Distill(trajectory, one_shot())):
        assert isinstance(supervision, Supervision)
    assert not isinstance(object(), Task | Model | Teachable | Supervision)


def test_the_face_says_where_everything_is():
    """Whatever can be imported from pdtutor is listed in the stub, and is there."""
    import pdtutor

    stub = (Path(pdtutor.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")
    assert sorted(pdtutor.__all__) == sorted(line.split(" as ")[1] for line in stub.splitlines() if " as " in line)
    for name in pdtutor.__all__:
        assert getattr(pdtutor, name) is not None
