"""A subclass is never mistaken for its parent: what it overrides decides, in training, evaluation, probes and files."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from pdtutor import (
    MLP,
    SGD,
    BayesOptimal,
    Distill,
    HierarchicalParity,
    Labels,
    MaskedGrammar,
    SparseParity,
    Trajectory,
    Transformer,
    evaluate,
    held_out,
    nonterminal_probe,
    one_shot,
    register,
    select_copies,
    store_targets,
    train,
)
from pdtutor.checkpoints.hub import save_family
from pdtutor.distillation.teachers import Teachers
from pdtutor.models.layers import Linear
from pdtutor.models.logits import logits_of
from pdtutor.models.mlp import is_two_layer_mlp
from pdtutor.models.model import reads_positions
from pdtutor.probes.nonterminals import _states
from pdtutor.tasks.stream import Stream
from pdtutor.training.engines import choose_engine

TASK = SparseParity(8, 2)
QUIET = {"progress": False, "eval_examples": 64}


@pytest.fixture(scope="module")
def teacher():
    return train(MLP(8, width=16, seed=[1, 2]), TASK, steps=40, save_every=20, **QUIET).trajectory


class TanhMLP(MLP):
    def forward(self, inputs):
        first, second = self.layers
        return second(first(inputs.expand(len(self.seeds), -1, -1)).tanh())


# Models ----------------------------------------------------------------------------------------------------------


def test_a_subclass_of_mlp_trains_by_its_own_forward_and_is_not_reopened_as_its_parent(teacher):
    run = train(TanhMLP(8, width=8), TASK, steps=10, optimizer=SGD(lr=0.5), **QUIET)
    assert run.settings["engine"] == "autograd"
    by_hand = TanhMLP(8, width=8)
    batch = Stream(TASK, batch_size=32, seeds=[0], purpose="teacher data").stretch(0, 10)
    for update in range(10):
        loss = nn.functional.cross_entropy(by_hand(batch.inputs[:, update])[0], batch.labels[0, update])
        for parameter, gradient in zip(
            by_hand.parameters(), torch.autograd.grad(loss, list(by_hand.parameters())), strict=True
        ):
            parameter.data -= 0.5 * gradient
    inputs, _ = held_out(TASK, 64)
    torch.testing.assert_close(logits_of(run.model, inputs), by_hand(inputs[None]).detach())
    with pytest.raises(ValueError, match=r"unknown model 'TanhMLP'.*pdtutor.register\(TanhMLP\)"):
        run.trajectory.at(10)
    with pytest.raises(ValueError, match=r"unknown model 'TanhMLP'.*pdtutor.register\(TanhMLP\)"):
        select_copies(run.model, [0])
    with pytest.raises(ValueError, match="holds checkpoints of another model: class was 'MLP', now 'TanhMLP'"):
        teacher.save(30, TanhMLP(8, width=16, seed=[1, 2]))


def test_a_subclass_that_calls_itself_by_its_parents_name_is_not_taken_apart_as_that():
    class Named(TanhMLP):
        def config(self):
            return super().config() | {"class": "MLP"}

    with pytest.raises(ValueError, match=r"config\(\) of a Named names the class 'MLP'"):
        select_copies(Named(8, width=8, seed=[0, 1]), [1])


class Doubled(Linear):
    def forward(self, inputs):
        return 2 * super().forward(inputs)


def _with_layer(model):
    model.layers[0] = Doubled(8, 8, [np.random.default_rng(0)])


CHANGES = {
    "a hook on the model": lambda m: m.register_forward_hook(lambda module, given, made: made + 1),
    "a hook on a layer": lambda m: m.layers[0].register_forward_hook(lambda module, given, made: made + 1),
    "a hook before a layer": lambda m: m.layers[1].register_forward_pre_hook(lambda module, given: None),
    "a hook on gradients": lambda m: m.layers[0].register_full_backward_hook(lambda module, into, out: None),
    "a hook on a parameter": lambda m: m.layers[0].weight.register_hook(lambda gradient: 0 * gradient),
    "another forward": lambda m: setattr(m, "forward", lambda x: torch.zeros(1, x.shape[1], 2)),
    "another forward of a layer": lambda m: setattr(m.layers[0], "forward", lambda x: torch.zeros(1, x.shape[1], 8)),
    "another layer": _with_layer,
    "one more layer": lambda m: m.layers.insert(1, Linear(8, 8, [np.random.default_rng(0)])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_mlp_that_was_changed_is_asked_as_it_is_now(change):
    model, inputs = MLP(8, width=8), held_out(TASK, 32)[0]
    assert is_two_layer_mlp(model)
    CHANGES[change](model)
    assert not is_two_layer_mlp(model)
    assert torch.equal(logits_of(model, inputs), model(inputs[None]))
    assert choose_engine("auto", model, SGD(), 32, linear=True) == "autograd"


def test_what_is_recorded_for_a_gpu_is_pdtutor_s_own_only(monkeypatch):
    class Own(SGD):
        pass

    class OnGpu:  # what choose_engine reads of a parameter
        requires_grad, device, dtype = True, torch.device("cuda"), torch.float32

    def engine(model, optimizer):
        monkeypatch.setattr(model, "parameters", lambda: iter([OnGpu()]))
        return choose_engine("auto", model, optimizer, 32, linear=True)

    def model():
        return Transformer(2, max_length=8, layers=1)

    hooked = model()
    hooked.blocks[0].register_forward_hook(lambda module, given, made: None)
    assert [engine(model(), SGD()), engine(model(), Own()), engine(hooked, SGD())] == ["graph", "autograd", "autograd"]


GRAMMAR = MaskedGrammar("cfg3b", root="13")
SIZES = {"max_length": GRAMMAR.longest, "classes": 3, "heads": 2, "layers": 1, "padding": GRAMMAR.padding}


class Rolled(Transformer):
    def logits(self, ids, at=None):
        return super().logits(ids, at).roll(1, dims=-1)


class RolledToo(Transformer):
    def forward(self, ids):
        return super().forward(ids).roll(1, dims=-1)


class OfItsOwn(RolledToo):
    def states(self, ids, at=None):
        return 2 * super().states(ids, at)


def test_a_probe_reads_the_states_that_the_logits_are_read_out_from():
    ids = held_out(GRAMMAR, 4)[0]
    for kind, width in {Transformer: 16, Rolled: 3, RolledToo: 3, OfItsOwn: 16}.items():
        model = kind(GRAMMAR.vocabulary, read_out="every", **SIZES)
        expected = model.states(ids[None]) if width == 16 else model(ids[None])
        assert torch.equal(_states(model, ids), expected), kind.__name__
        probe = nonterminal_probe(GRAMMAR, 1, sentences=16, held_out=8, epochs=1)
        assert len(probe(model)) == 1


def test_a_transformer_with_hooks_or_another_forward_is_read_whole():
    inputs = held_out(GRAMMAR, 6)[0]
    at = torch.arange(3).expand(6, 3)
    hooked, replaced = (Transformer(GRAMMAR.vocabulary, read_out="every", **SIZES) for _ in range(2))
    before = hooked(inputs[None]).detach()
    hooked.register_forward_hook(lambda module, given, made: made.flip(2))  # along the row
    replaced.forward = lambda ids: Transformer.forward(replaced, ids).flip(2)
    for model in (hooked, replaced):
        assert not reads_positions(model)
        torch.testing.assert_close(logits_of(model, inputs, at), before.flip(2)[:, :, :3])


def test_padding_that_is_no_id_does_not_order_the_inputs():
    class Images(nn.Module):
        """A convolution's padding has the name of another thing."""

        def __init__(self):
            super().__init__()
            self.padding, self.seeds, self.classes = 1, [0], 2
            self.conv = nn.Conv2d(1, 2, 3, padding=self.padding)

        def forward(self, inputs):
            return self.conv(inputs[0]).mean((-1, -2)).unsqueeze(0)

        def config(self):
            return {"class": "Images"}

    model, images = Images(), torch.randn(5, 1, 4, 4)
    torch.testing.assert_close(logits_of(model, images), model(images[None]))


def test_only_a_pretrained_itself_is_saved_for_transformers(tmp_path):
    pytest.importorskip("transformers")
    from pdtutor import Pretrained

    @register
    class Scaled(Pretrained):
        def logits(self, ids, at=None):
            return 2 * super().logits(ids, at)

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    sizes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "vocab_size": GRAMMAR.vocabulary}
    model = Scaled({"model_type": "bert", **sizes}, padding=GRAMMAR.padding, classes=3)
    run = train(model, GRAMMAR, steps=1, out=tmp_path / "run", **QUIET)
    with pytest.raises(ValueError, match="holds models of class Scaled; only a Pretrained itself"):
        save_family(run.trajectory, tmp_path / "saved")


# Tasks -----------------------------------------------------------------------------------------------------------


class Negated(SparseParity):
    """Says in numpy alone what its labels are."""

    def _labels(self, bits):
        return 1 - super()._labels(bits)


class Tree(HierarchicalParity):
    def _inputs(self, bits):
        return -super()._inputs(bits)


@pytest.mark.parametrize(
    "task", [Negated(8, 2), Negated(8, 2, encoding="tokens"), Tree(8, 1, depth=2)], ids=["labels", "tokens", "inputs"]
)
def test_a_subclass_of_a_parity_gives_the_same_examples_as_tensors(task):
    """What a GPU would unpack is what numpy unpacks, not what the parent's tensor code makes of it."""
    packed = task.packed(np.random.default_rng(0), 20)
    for array, tensor in zip(task.unpack(packed), task.unpack(torch.from_numpy(packed)), strict=True):
        assert torch.equal(torch.from_numpy(array), tensor)
    assert not np.array_equal(task.unpack(packed)[0], SparseParity(8, 2).unpack(packed)[0]) or isinstance(task, Negated)


def test_a_subclass_s_own_sample_decides_in_training_and_evaluation():
    class Noisy(SparseParity):
        def sample(self, rng, n):
            inputs, labels = super().sample(rng, n)
            return inputs, np.zeros_like(labels)

    run = train(MLP(8, width=8), Noisy(8, 2), steps=150, optimizer=SGD(lr=0.5), **QUIET)
    assert run.history["accuracy"].iloc[-1] == 1.0
    assert evaluate(run.model, *held_out(TASK, 1000))[1].item() < 0.6
    with pytest.raises(ValueError, match=r"unknown task 'Noisy'.*pdtutor.register\(Noisy\)"):
        _ = run.trajectory.task


class Split:
    """A task with examples kept for evaluation."""

    classes = 2

    def sample(self, rng, n):
        return TASK.sample(rng, n)

    def sample_held_out(self, rng, n):
        return TASK.sample(rng, n)

    def config(self):
        return {"class": type(self).__name__}


def test_a_subclass_with_its_own_sample_is_not_evaluated_on_its_parent_s_examples():
    class Half(Split):
        def sample(self, rng, n):
            inputs, labels = super().sample(rng, n)
            return inputs, 1 - labels

    class Both(Half):
        sample_held_out = Half.sample

    class Plain(Half):
        sample_held_out = Split.sample_held_out  # on purpose

    with pytest.raises(
        ValueError, match=r"Half has a sample of its own but inherits sample_held_out.*write one in Half"
    ):
        train(MLP(8, width=8), Half(), steps=2, **QUIET)
    parent, both, plain = (held_out(kind(), 50)[1] for kind in (Split, Both, Plain))
    assert torch.equal(both, 1 - parent)
    assert torch.equal(plain, parent)


def test_the_optimum_of_a_grammar_is_not_that_of_a_subclass():
    class Biased(MaskedGrammar):
        def sample(self, rng, n):
            return self.corrupt(rng, self.rows(self.sentences(rng, n))[:, ::-1])

    with pytest.raises(ValueError, match="optimum is known for MaskedGrammar and CausalGrammar, got a Biased"):
        BayesOptimal(Biased("cfg3b", root="13"))


def test_a_subclass_of_the_optimum_is_probed_by_its_own_forward():
    class Wrong(BayesOptimal):
        def forward(self, ids):
            return torch.zeros(1, *ids.shape[1:], self.classes)

    probe = nonterminal_probe(GRAMMAR, 1, sentences=16, held_out=8, epochs=1)
    assert probe(BayesOptimal(GRAMMAR))["kind"].tolist() == ["exact"]
    assert probe(Wrong(GRAMMAR))["kind"].tolist() == ["attention"]


# Supervision and trajectories ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flipped(Distill):
    factor: float = -1.0

    def answers(self, step, device):
        ask = super().answers(step, device)
        return lambda *given: self.factor * ask(*given)


def test_students_of_a_distill_and_of_a_subclass_have_their_own_teachers(teacher, tmp_path):
    plain, *others = (
        Distill(teacher.copy(0), one_shot()),
        *(Flipped(teacher.copy(0), one_shot(), factor=f) for f in (-1, 3)),
    )
    stretch = Stream(TASK, batch_size=4, seeds=[0, 0, 0], purpose="student data").stretch(0, 2)
    logits = Teachers([plain, *others], 10).logits(stretch, None, 2)
    assert torch.equal(logits[1], -logits[0])
    assert torch.equal(logits[2], 3 * logits[0])
    assert others[0].config()["class"] == "Flipped"
    with pytest.raises(ValueError, match="only the targets of a Distill itself can be stored, got Flipped"):
        store_targets(tmp_path, others[0], TASK, steps=5, batch_size=4, seed=0, k=2, progress=False)


def test_a_subclass_of_labels_says_its_own_name():
    class Mine(Labels):
        pass

    run = train(MLP(8, width=8), TASK, supervision=Mine(), steps=1, **QUIET)
    assert run.settings["supervision"] == [{"class": "Mine"}]


def test_one_copy_of_a_subclass_of_trajectory_is_still_one(teacher):
    class Noting(Trajectory):
        def at(self, step):
            self.asked = step
            return super().at(step)

    opened = Noting(teacher.path)
    view = opened.copy(1)
    assert view.seeds == [2]
    assert view.of(2).copy(0).at(20).seeds == [2]
    assert type(view) is type(view.of(2)) is Noting
    assert opened.seeds == [1, 2]
    assert opened.digest != Trajectory(teacher.path).digest == teacher.digest
