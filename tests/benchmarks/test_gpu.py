import pytest
import torch
from benchmarks.gpu import Work

from benchmarks import gpu
from pdtutor import MLP, SGD, AdamW, SparseParity
from pdtutor.seeds import generator

CPU = torch.device("cpu")


def small(optimizer=None):
    return Work(
        "small",
        lambda: MLP(8, width=4),
        SparseParity(8, 2),
        2,
        optimizer or SGD(lr=0.1),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    )


def test_without_a_gpu_it_says_so_and_is_content(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    assert capsys.readouterr().out == "no CUDA device here: nothing measured\n"


def test_a_row_holds_what_it_says(monkeypatch):
    """On the CPU, where nothing is recorded but all of the code runs."""
    monkeypatch.setattr(gpu, "REPEATS", 1)
    monkeypatch.setattr(gpu, "updates_in", lambda seconds, run: {0.5: 40}[seconds])
    monkeypatch.setattr(gpu, "elapsed", lambda run, steps: (run(steps), 0.25)[1])
    row = gpu.measure(small(), CPU, 1e6, 0.5)
    weights = 8 * 4 + 4 + 4 * 2 + 2
    assert row == {
        "work": "small",
        "plain_per_s": 160.0,
        "autograd_per_s": 160.0,
        "graph_per_s": 160.0,
        "ratio": 1.0,
        "MB_per_update": 2 * 4 * weights / 1e6,
        "share_of_bound": pytest.approx(160 * 2 * 4 * weights / 1e6),
        "difference": 0.0,
    }


def test_the_bound_counts_the_optimizer_s_state():
    sizes = [gpu.least_bytes(small(o)) for o in (SGD(), SGD(momentum=0.9), AdamW())]
    assert sizes == [sizes[0], 2 * sizes[0], 3 * sizes[0]]


def test_bandwidth_counts_what_is_read_and_what_is_written(monkeypatch):
    monkeypatch.setattr(gpu, "elapsed", lambda run, steps: (run(steps), 0.5)[1])
    assert gpu.bandwidth(CPU, numbers=1000) == 2 * 4000 / 0.5


def test_the_plain_loop_trains():
    before, after = small().model(), gpu.plain(small(), 20, CPU)
    assert not torch.equal(next(before.parameters()), next(after.parameters()))


@pytest.mark.parametrize("work", [gpu.mlp(1000), gpu.transformer()], ids=lambda work: work.name)
def test_models_take_their_task_s_examples(work):
    inputs, _ = work.task.sample(generator(0, "x"), work.batch_size)
    logits = work.model()(torch.from_numpy(inputs).unsqueeze(0))
    assert logits.shape == (1, work.batch_size, 2)
