"""Replayed updates are autograd's, bit for bit; recording itself is played on the CPU by what stands in for CUDA."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pdtutor import (
    MLP,
    SGD,
    AdamW,
    Distill,
    Labels,
    MaskedGrammar,
    SparseParity,
    Transformer,
    n_shot,
    progressive,
    train,
)
from pdtutor.tasks.stream import Stream, Stretch
from pdtutor.training import captured
from pdtutor.training.captured import GraphEngine, pieces
from pdtutor.training.engines import choose_engine

SIGNS, TOKENS = SparseParity(8, 2), SparseParity(8, 2, encoding="tokens")
SENTENCES = MaskedGrammar("cfg3b", root="10")
OPTIMIZERS = [
    SGD(lr=[0.1, 0.05], decay="cosine", warmup=0.1),
    SGD(lr=0.1, momentum=0.9, weight_decay=0.01),
    AdamW(lr=1e-2, weight_decay=0.1),
]
MODELS = {
    "MLP": (lambda: MLP(8, width=12, seed=[3, 4]), SIGNS),
    "deep MLP": (lambda: MLP(8, width=[12, 6], seed=[3, 3]), SIGNS),
    "Transformer": (lambda: Transformer(2, max_length=8, layers=1, heads=2, head_dim=4, seed=[3, 4]), TOKENS),
}
# Logits at some positions only: how many, a CPU looks up in the values, so that these updates can't be recorded there.
MASKED = {"masked Transformer": (lambda: reader(heads=1, seed=[3, 4]), SENTENCES)}


def reader(**settings):
    sizes = {"max_length": SENTENCES.longest, "classes": SENTENCES.classes, "layers": 2, "init_std": 0.2}
    return Transformer(SENTENCES.vocabulary, read_out="every", padding=SENTENCES.padding, **sizes, **settings)


@pytest.fixture(scope="module")
def teachers():
    """By task, a trajectory whose checkpoints differ."""
    settings = {"steps": 60, "save_every": 20, "eval_examples": 50, "progress": False}
    return {
        SIGNS: train(MLP(8, width=16, seed=1), SIGNS, optimizer=SGD(lr=0.5), **settings).trajectory,
        TOKENS: train(
            Transformer(2, max_length=8, heads=2, layers=1, seed=1), TOKENS, optimizer=AdamW(lr=0.02), **settings
        ).trajectory,
        SENTENCES: train(reader(heads=2, seed=1), SENTENCES, optimizer=AdamW(lr=0.02), **settings).trajectory,
    }


def trained(teachers, model, optimizer, engine, *, steps=110, batch_size=4, device="cpu"):
    """Labels beside distillation whose teacher changes at 27 and 54, so in the middle of a piece; two evaluations."""
    make, task = (MODELS | MASKED)[model]
    return train(
        make(),
        task,
        steps=steps,
        batch_size=batch_size,
        optimizer=optimizer,
        supervision=[Labels(), Distill(teachers[task], n_shot([20, 40, 60], each=27), temperature=1.0)],
        eval_every=90,
        eval_examples=50,
        engine=engine,
        device=device,
        progress=False,
    )


def assert_same(mine, theirs):
    for p, q in zip(mine.model.parameters(), theirs.model.parameters(), strict=True):
        assert torch.equal(p, q)
    assert mine.history.equals(theirs.history)


# Buffers and pieces, on the CPU -----------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS | MASKED)
def test_updates_from_buffers_are_autograd_s_bit_for_bit(teachers, model, optimizer):
    assert_same(*(trained(teachers, model, optimizer, engine) for engine in ("graph", "autograd")))


@pytest.mark.parametrize("updates", [1, 2, 31, 32, 33, 100, 4096])
def test_pieces_sum_to_the_stretch_in_few_sizes(updates):
    sizes = list(pieces(updates))
    assert sum(sizes) == updates
    assert sizes == sorted(sizes, reverse=True)
    assert set(sizes) <= {1, 2, 4, 8, 16, 32}
    assert len(sizes) <= updates // 32 + 5


def test_no_pieces_for_no_updates():
    assert list(pieces(0)) == []


@pytest.mark.parametrize("engine", ["graph", "autograd"])
def test_the_step_of_a_diverging_loss_is_the_first_that_is_not_finite(engine, monkeypatch):
    good = torch.zeros(2), torch.zeros(2)
    monkeypatch.setattr("pdtutor.training.session.evaluate", lambda *held_out: good)  # it would see it before

    def diverging(steps):
        settings = {"optimizer": SGD(lr=[0.1, 3e3]), "batch_size": 1, "eval_every": 70, "progress": False}
        train(MLP(8, width=16, seed=[0, 1]), SIGNS, steps=steps, engine=engine, **settings)

    with pytest.raises(FloatingPointError, match="copy 1 stopped being finite at step") as stopped:
        diverging(300)
    step = int(str(stopped.value).split("at step ")[1].split(":")[0])
    assert step > 2
    diverging(step)
    with pytest.raises(FloatingPointError, match=f"at step {step}:"):
        diverging(step + 1)


def test_it_is_refused_where_a_loss_is_not_linear_in_its_target(teachers):
    reverse = Distill(teachers[SIGNS], progressive(20), temperature=1.0, divergence="reverse_kl")
    with pytest.raises(ValueError, match="engine='graph' doesn't apply here: a divergence other than forward_kl"):
        train(MLP(8, width=4), SIGNS, steps=10, supervision=reverse, engine="graph", progress=False)


def test_auto_takes_it_on_cuda_alone():
    def chosen(device, *, linear=True, optimizer=None):
        parameters = iter([SimpleNamespace(device=torch.device(device), dtype=torch.float32)])
        model = MLP(8, width=4)
        model.parameters = lambda: parameters
        return choose_engine("auto", model, optimizer or SGD(), 1, linear=linear)

    assert chosen("cuda") == chosen("cuda", optimizer=AdamW()) == "graph"
    assert chosen("cuda", linear=False) == "autograd"
    assert chosen("cpu") == "kernel"
    assert chosen("cpu", optimizer=AdamW()) == chosen("mps") == "autograd"


# Recording --------------------------------------------------------------------------------------------------------


class Recorder(TorchDispatchMode):
    """Keeps operations with the memory that they touched, as a CUDA graph does: what is not in memory is baked in."""

    def __init__(self):
        super().__init__()
        self.calls, self.before = [], {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            raise RuntimeError("operation not permitted when stream is capturing")
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                storage = value.untyped_storage()
                self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    def undo(self):
        """Leave memory as it was: recording runs nothing."""
        for storage, content in self.before.values():
            storage.copy_(content)

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, result in self.calls:
            for old, new in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def fake_cuda(monkeypatch):
    """Stands in for torch.cuda's graphs; its value counts what was recorded and replayed."""
    seen = SimpleNamespace(recorded=0, replayed=0, recording=False)
    monkeypatch.setattr("pdtutor.models.attention._compiled", lambda *tensors: False)  # a GPU has torch's attention

    class Graph:
        def replay(self):
            seen.replayed += 1
            self.recorder.replay()

    @contextmanager
    def graph(made, *, pool, stream):
        assert pool == "pool"
        assert stream is side
        seen.recorded += 1
        made.recorder = Recorder()
        with made.recorder:
            yield
        made.recorder.undo()

    side, current = (SimpleNamespace(wait_stream=lambda other: None) for _ in range(2))
    fakes = {"Stream": lambda device: side, "stream": lambda s: nullcontext(), "current_stream": lambda device: current}
    for name, fake in (fakes | {"CUDAGraph": Graph, "graph": graph, "graph_pool_handle": lambda: "pool"}).items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(captured, "recordable", lambda tensor: True)
    monkeypatch.setattr(captured, "MOST", 8)  # for speed
    monkeypatch.setattr("pdtutor.models.transformer.require_ids", lambda *_, **__: None)  # which reads values on a CPU
    return seen


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_replays_are_autograd_s_updates_bit_for_bit(teachers, fake_cuda, model, optimizer):
    """A rate, a correction, a target or an input that a recording had baked in would show, and so would an update lost
    or done twice while recording."""
    steps = [*pieces(27), *pieces(27), *pieces(6)]
    assert_same(*(trained(teachers, model, optimizer, engine, steps=60) for engine in ("graph", "autograd")))
    assert fake_cuda.recorded == len(set(steps))
    assert fake_cuda.replayed == len(steps) - len(set(steps))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS | MASKED)
def test_replays_are_autograd_s_updates_on_a_gpu(teachers, model, optimizer):
    runs = [trained(teachers, model, optimizer, engine, device="cuda") for engine in ("graph", "autograd")]
    for p, q in zip(*(run.model.parameters() for run in runs), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)
    on_cpu = trained(teachers, model, optimizer, "autograd")  # on the same examples, so with about the same loss
    np.testing.assert_allclose(runs[0].history.train_loss, on_cpu.history.train_loss, atol=1e-2)


def updates_of(engine, optimizer, batch_size):
    """Run four updates at this batch size."""
    soft = torch.full((1, 4, batch_size, 2), 0.5)
    stretch = Stretch(torch.randn(1, 4, batch_size, 8), torch.zeros(1, 4, batch_size), torch.tensor([0]), 0)
    losses = engine(stretch, SimpleNamespace(soft=soft, at=None), torch.ones(4, 1), optimizer.corrections(0, 4))
    assert losses.shape == (4, 1)
    assert np.isfinite(losses.numpy()).all()


def test_every_shape_is_recorded_once(fake_cuda, monkeypatch):
    model, optimizer = MLP(8, width=6, seed=[0]), AdamW()
    engine = GraphEngine(model, optimizer.start(model.parameters()))
    for batch_size in (2, 3, 2, 3, 2):
        updates_of(engine, optimizer, batch_size)
    assert (fake_cuda.recorded, fake_cuda.replayed) == (2, 3)
    monkeypatch.setattr(captured, "SHAPES", 2)
    updates_of(engine, optimizer, 4)  # one too many: all others are forgotten
    updates_of(engine, optimizer, 2)
    updates_of(engine, optimizer, 4)
    assert (fake_cuda.recorded, fake_cuda.replayed) == (4, 4)


def test_sentences_come_in_few_shapes_on_a_gpu(monkeypatch):
    """Otherwise almost every block of sentences would be recorded anew, and next to nothing replayed."""
    task = MaskedGrammar("cfg3b", root="16")
    shapes = {"cpu": set(), "meta": set()}
    for device, seen in shapes.items():
        stream = Stream(task, batch_size=512, seeds=[0], purpose="data")
        stream.device = torch.device(device)
        monkeypatch.setattr(torch.Tensor, "to", lambda self, *_: self)  # looks at the shapes alone
        for start in range(0, 160, 8):
            inputs = stream.stretch(start, start + 8).inputs
            seen.add(inputs.shape[-1])
    assert len(shapes["meta"]) < len(shapes["cpu"])
    assert all(length % 16 == 0 or length == task.longest for length in shapes["meta"])
    assert max(shapes["meta"]) <= task.longest


def test_what_cannot_be_recorded_says_what_to_do(fake_cuda, monkeypatch):
    forward = MLP.forward

    def reads_a_value(self, inputs):
        assert inputs.sum().item() < 1e9
        return forward(self, inputs)

    monkeypatch.setattr(MLP, "forward", reads_a_value)
    with pytest.raises(RuntimeError, match="could not be recorded as a CUDA graph; engine='autograd' runs them"):
        train(MLP(8, width=4), SIGNS, steps=10, engine="graph", progress=False, eval_examples=50)
