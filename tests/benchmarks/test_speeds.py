import itertools

import pandas as pd
import pytest
import torch
from torch.utils.data import IterableDataset

from benchmarks import __main__ as bench
from benchmarks import parity, transformers
from benchmarks.plain import Batches, distil, fit, sequential
from benchmarks.work import Work
from pdtutor import MLP, SGD, Distill, MaskedGrammar, SparseParity, one_shot, train
from pdtutor.tasks.stream import Stream

TASK = SparseParity(8, 2, support=(1, 5))
STEPS = 300


@pytest.fixture(autouse=True)
def _one_thread():
    """As in the command: at these sizes more threads only wait for each other. Later tests get theirs back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class SameExamples(IterableDataset):
    """The batches that `train` draws for a student of seed 3."""

    def __init__(self, batch_size):
        self.stream = Stream(TASK, batch_size=batch_size, seeds=[3], purpose="student data")

    def __iter__(self):
        for step in itertools.count():
            stretch = self.stream.stretch(step, step + 1)
            yield stretch.inputs[0, 0], stretch.labels[0, 0]


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("temperature", [None, 1e-4, 1.0], ids=["labels", "cold", "warm"])
def test_the_plain_loop_does_the_same_work(batch_size, temperature):
    """Fed the same examples from the same initial weights, it ends at the same weights."""
    trajectory = train(MLP(8, width=16, seed=1), TASK, steps=50, optimizer=SGD(lr=0.5), progress=False).trajectory
    start, student = (sequential(MLP(8, width=12, seed=3)) for _ in range(2))
    ours = train(
        MLP(8, width=12, seed=3),
        TASK,
        steps=STEPS,
        batch_size=batch_size,
        optimizer=SGD(lr=0.05),
        supervision=None if temperature is None else Distill(trajectory, one_shot(), temperature=temperature),
        role="student",
        progress=False,
    )
    settings = {"steps": STEPS, "lr": 0.05}
    if temperature is None:
        plain = fit(student, SameExamples(batch_size), **settings)
    else:
        teacher = sequential(trajectory.at(trajectory.final))
        plain = distil(student, teacher, SameExamples(batch_size), temperature=temperature, **settings)
    weights, expected, before = (
        torch.cat([p.detach().flatten() for p in model.parameters()])
        for model in (sequential(ours.model), plain, start)
    )
    torch.testing.assert_close(weights, expected, atol=1e-5, rtol=1e-4)
    assert (expected - before).abs().max() > 0.05  # they did learn something


def test_the_plain_examples_are_fresh_parities():
    first, second = itertools.islice(Batches(TASK, batch_size=64, seed=0), 2)
    assert not torch.equal(first[0], second[0])
    inputs, labels = first
    assert inputs.shape == (64, 8)
    assert torch.equal(1 - 2 * labels, inputs[:, [1, 5]].prod(1).long())


def test_bert_learns_the_sentences_that_ours_does():
    """Same sentences, same masks; it is as large, and what is padding changes nothing."""
    task = MaskedGrammar("cfg3b")
    plain = list(itertools.islice(transformers.plain_batches(task), transformers.SENTENCES // transformers.BATCH))
    stream = Stream(task, batch_size=transformers.BATCH, seeds=[0], purpose=transformers.PURPOSE)
    block = stream.stretch(0, stream.block)
    ours = [part.flatten(0, 2) for part in (block.inputs, block.labels)]

    def rows(batches):
        pairs = [pair for inputs, labels in batches for pair in zip(inputs, labels, strict=True)]
        seen = [(x, y, x != task.padding) for x, y in pairs]
        return sorted((x[there].tolist(), y[there].tolist()) for x, y, there in seen)

    assert rows(plain) == rows([ours])
    for inputs, labels in plain:
        assert (inputs != task.padding).any(0).all()  # no longer than its longest
        assert (labels[inputs == task.padding] == -100).all()
    model = transformers.bert(task, heads=2)
    inputs, labels = plain[0]
    longer = torch.nn.functional.pad(inputs, (0, 5), value=task.padding)
    logits, padded = (model(ids, attention_mask=(ids != task.padding).long()).logits for ids in (inputs, longer))
    seen = inputs != task.padding
    torch.testing.assert_close(padded[:, :-5][seen], logits[seen], atol=1e-5, rtol=1e-4)
    sizes = [sum(p.numel() for p in m.parameters()) for m in (model, transformers.transformer(task, heads=2))]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
    before = model(inputs, labels=labels).loss.item()
    transformers.fit(model, iter([(inputs, labels)] * 20), task.padding, steps=20)
    assert model(inputs, labels=labels).loss.item() < before


def test_the_command_writes_every_row(tmp_path, monkeypatch, capsys):
    """At this length the rates mean nothing, so either exit status will do."""
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(transformers, "LAYERS", 1)
    monkeypatch.setattr(transformers, "BATCH", 1)
    path = tmp_path / "deep" / "bench.csv"
    with pytest.raises(SystemExit) as stopped:
        bench.main(out=path, seconds=1e-3)
    table = pd.read_csv(path)
    assert table.columns.tolist() == ["work", "baseline_per_s", "ours_per_s", "ratio", "target", "gflop_per_s", "share"]
    assert table["target"].fillna(0).tolist() == [250, 30, 4, 100, 3, 3, 0, 500, 300, 2, 2, 10, 0]
    assert (table[["baseline_per_s", "ours_per_s", "ratio"]] > 0).all(axis=None)
    counted = table["gflop_per_s"] > 0
    assert table.loc[~counted, "work"].str.startswith("sentences").all()  # sampling multiplies no matrices
    assert table.loc[counted, "share"].gt(0).all()
    assert bool(stopped.value.code) == ("MISSED" in capsys.readouterr().out)


def test_the_operations_of_a_unit_are_those_of_its_products():
    """A layer forward and its weights' gradient take 2 per weight and example each; the second also its inputs'."""
    d, width, batch = 30, 100, 32
    expected = 4 * d * width + 6 * width * 2 + 2 * d * 1000 + 2 * 1000 * 2  # the student, then the teacher's forward
    work = parity.distillation(d=d, batch_size=batch, target=None)
    assert bench.flops_of_a_unit(work) == expected


def test_the_core_is_measured_by_a_product(monkeypatch):
    monkeypatch.setattr(bench, "elapsed", lambda run, steps: (run(steps), 0.5)[1])
    assert bench.matrix_product(side=10) == pytest.approx(2 * 10**3 / 0.5 / 1e9)


@pytest.mark.parametrize(("target", "status", "word"), [(2.0, 0, "met"), (8.0, 1, "MISSED"), (None, 0, "")])
def test_a_missed_target_is_the_exit_status(tmp_path, monkeypatch, capsys, target, status, word):
    """Four times the work in the same time is a ratio of 4. A row without a target is never missed."""
    work = Work("sleep (naps/s)", lambda n: n, lambda n: n, 1, 4, target)
    monkeypatch.setattr(bench, "works", lambda: [work])
    monkeypatch.setattr(bench, "elapsed", lambda run, steps: steps / 1000)
    with pytest.raises(SystemExit) as stopped:
        bench.main(out=tmp_path / "bench.csv", seconds=0.01)
    assert stopped.value.code == status
    assert pd.read_csv(tmp_path / "bench.csv").ratio.tolist() == [4]
    printed = capsys.readouterr().out
    assert [w for w in ("met", "MISSED") if w in printed] == [word] * bool(word)
