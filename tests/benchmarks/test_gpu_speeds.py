import pytest
import torch

from benchmarks import gpu_speeds
from benchmarks.gpu_speeds import Work
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


def test_a_row_holds_what_it_says(monkeypatch):
    """On the CPU, where nothing is recorded but all of the code runs; torch.compile is played by the plain loop."""
    monkeypatch.setattr(gpu_speeds, "updates_per_s", lambda run, seconds: (run(3), 160.0)[1])
    monkeypatch.setattr(torch, "compile", lambda model, mode: model)
    weights, products = 8 * 4 + 4 + 4 * 2 + 2, 2 * (4 * 8 * 4 + 6 * 4 * 2)
    for bound in ({"bytes_per_s": 1e6, "flops_per_s": 1e12}, {"bytes_per_s": 1e12, "flops_per_s": 1e5}):
        row = gpu_speeds.measure(small(), CPU, 0.5, **bound)
        assert "compiled_per_s" not in row
        gpu_speeds.add_compiled(row, small(), CPU, 0.5)
        least = max(2 * 4 * weights / bound["bytes_per_s"], products / bound["flops_per_s"])
        assert row == {
            "work": "small",
            **{f"{way}_per_s": 160.0 for way in ("plain", "autograd", "graph", "compiled", "cpu")},
            "fastest": "plain",
            "float32": True,
            "bound_seconds": pytest.approx(least),
            "share_of_bound": pytest.approx(160 * least),
            "auto": "cpu",
            "difference": 0.0,
            "failed": "",
        }


def test_a_way_that_fails_leaves_its_reason(monkeypatch):
    def broken(model, mode):
        raise RuntimeError("no compiler\nmore")

    monkeypatch.setattr(torch, "compile", broken)
    row = {
        "work": "small",
        "failed": "graph: x",
        "graph_per_s": float("nan"),
        "plain_per_s": 2.0,
        "bound_seconds": 0.25,
    }
    gpu_speeds.add_compiled(row, small(), CPU, 0.5)
    assert row["failed"] == "graph: x; compiled: RuntimeError: no compiler"
    assert row["compiled_per_s"] != row["compiled_per_s"]
    assert (row["fastest"], row["share_of_bound"]) == ("plain", 0.5)


@pytest.mark.parametrize(("start", "asked"), [(0.3, [4, 32, 128, 512, 512, 128, 512, 128]), (10.0, [4, 32, 128, 512])])
def test_a_rate_leaves_out_what_starting_takes(monkeypatch, start, asked):
    """An update takes 1/400 s here; a way that is slow to start is measured once only."""
    run, made = (lambda steps: made.append(steps)), []
    monkeypatch.setattr(gpu_speeds, "elapsed", lambda run, steps: (run(steps), start + steps / 400)[1])
    assert gpu_speeds.updates_per_s(run, 0.5) == pytest.approx(400)
    assert made == asked


def test_the_bound_counts_the_optimizer_s_state():
    sizes = [gpu_speeds.least_bytes(small(o)) for o in (SGD(), SGD(momentum=0.9), AdamW())]
    assert sizes == [sizes[0], 2 * sizes[0], 3 * sizes[0]]


def test_bandwidth_counts_what_is_read_and_what_is_written(monkeypatch):
    monkeypatch.setattr(gpu_speeds, "elapsed", lambda run, steps: (run(steps), 0.5)[1])
    assert gpu_speeds.bandwidth(CPU, numbers=1000) == 2 * 4000 / 0.5


def test_the_plain_loop_trains():
    plain = gpu_speeds.Plain(small(), CPU)
    plain.run(20)
    assert not torch.equal(next(small().model().parameters()), next(plain.model.parameters()))


@pytest.mark.parametrize("work", [*gpu_speeds.works()[:5], *gpu_speeds.works(smoke=True)], ids=lambda work: work.name)
def test_models_take_their_task_s_examples(work):
    inputs, labels = work.task.sample(generator(0, "x"), 2)
    logits = work.model()(torch.from_numpy(inputs).unsqueeze(0))
    assert logits.shape == (1, *labels.shape, work.task.classes)


def test_the_arithmetic_counts_both_operations_of_a_multiplication(monkeypatch):
    monkeypatch.setattr(gpu_speeds, "elapsed", lambda run, steps: (run(steps), 0.5)[1])
    assert gpu_speeds.arithmetic(CPU, side=10) == 2 * 10**3 / 0.5
