"""Measure training on a GPU by recorded updates, against a plain loop there: `python -m benchmarks.gpu`.

The bound is what memory traffic sets: an update must read and write every weight, and every number of the optimizer's
state, at least once. How fast this GPU can do that is measured by a copy in the same run. A model that fits in the
GPU's cache can pass the bound.
"""

import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import tyro
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.__main__ import REPEATS, elapsed, updates_in
from benchmarks.plain import ParityBatches
from pdtutor import MLP, SGD, AdamW, Model, SparseParity, Transformer, train

COPIED = 2**28  # float32 numbers in the copy that measures bandwidth: 1 GiB, larger than any cache
COMPARED = 100  # updates after which the weights are compared: few, so that the last digits of sums don't grow
TOLERANCE = 1e-4  # largest difference that passes for the last digits of sums


@dataclass(frozen=True)
class Work:
    """A training on labels, and torch's own optimizer for the plain loop."""

    name: str
    model: Callable[[], Model]
    task: SparseParity
    batch_size: int
    optimizer: SGD | AdamW
    plain_optimizer: Callable[[Iterable], torch.optim.Optimizer]


def works() -> list[Work]:
    """Return the trainings of the paper's sizes: E1's teacher, a narrower one, and E2's teacher."""
    return [mlp(50_000), mlp(1000), transformer()]


def mlp(width: int) -> Work:
    """E1: an MLP at batch 1 under SGD."""
    return Work(
        f"E1, MLP, d = 100, width {width}, batch 1",
        lambda: MLP(100, width=width),
        SparseParity(100, 6),
        1,
        SGD(lr=5e-3),
        lambda parameters: torch.optim.SGD(parameters, lr=5e-3),
    )


def transformer() -> Work:
    """E2: a Transformer of 32 heads under Adam."""
    return Work(
        "E2, Transformer, d = 100, 2 layers, 32 heads, batch 32",
        lambda: Transformer(2, max_length=100, heads=32),
        SparseParity(100, 6, encoding="tokens"),
        32,
        AdamW(lr=3e-4),
        lambda parameters: torch.optim.Adam(parameters, lr=3e-4),
    )


def main(out: Path = Path("build/gpu.csv"), seconds: float = 3.0) -> None:
    """Measure recorded updates on this machine's GPU; exit with status 1 if they end at other weights than autograd's.

    Args:
        out: the table, as CSV.
        seconds: how long one training takes in a measurement; each way of each work gets 5 measurements.
    """
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing measured")
        return
    device = torch.device("cuda")
    rate = bandwidth(device)
    table = pd.DataFrame([measure(work, device, rate, seconds) for work in works()])
    out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(out, index=False, float_format="%.6g")
    print(table.to_string(index=False, float_format="{:,.4g}".format))
    print(f"{torch.cuda.get_device_name()}, {rate / 1e9:,.0f} GB/s by a copy, torch {torch.__version__}; {out}")
    if (table["difference"] > TOLERANCE).any():
        sys.exit(f"error: recorded updates end at other weights than autograd's, by more than {TOLERANCE}")


def measure(work: Work, device: torch.device, bytes_per_s: float, seconds: float) -> dict:
    """Return a row: updates/s by a plain loop, by autograd and recorded, and the recorded ones' share of the bound.

    `difference` is the largest between a weight trained by autograd and the same one trained by recorded updates.
    """
    ways = {
        "plain_per_s": lambda steps: plain(work, steps, device),
        "autograd_per_s": lambda steps: ours(work, steps, device, "autograd"),
        "graph_per_s": lambda steps: ours(work, steps, device, "graph"),
    }
    steps = {name: updates_in(seconds, run) for name, run in ways.items()}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, run in ways.items():
            rates[name].append(steps[name] / elapsed(run, steps[name]))
    row = {name: statistics.median(found) for name, found in rates.items()}
    moved = least_bytes(work)
    return {
        "work": work.name,
        **row,
        "ratio": row["graph_per_s"] / row["plain_per_s"],
        "MB_per_update": moved / 1e6,
        "share_of_bound": row["graph_per_s"] * moved / bytes_per_s,
        "difference": difference(work, device),
    }


def plain(work: Work, steps: int, device: torch.device) -> Model:
    """Train as one would first write it and return the model."""
    model = work.model().to(device)
    optimizer = work.plain_optimizer(model.parameters())
    batches = ParityBatches(work.task, batch_size=work.batch_size, seed=0)
    for _, (inputs, labels) in zip(range(steps), DataLoader(batches, batch_size=None), strict=False):
        logits = model(inputs.to(device).unsqueeze(0))[0]  # (batch, classes), of the only copy
        loss = nn.functional.cross_entropy(logits, labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wait_for(device)
    return model


def ours(work: Work, steps: int, device: torch.device, engine: str) -> Model:
    """Train by `train`, which ends with a checkpoint on disk and so waits for the device, and return the model."""
    return train(
        work.model(),
        work.task,
        steps=steps,
        batch_size=work.batch_size,
        optimizer=work.optimizer,
        eval_every=steps,
        eval_examples=64,
        device=device,
        engine=engine,
        progress=False,
    ).model


def difference(work: Work, device: torch.device) -> float:
    """Return the largest difference between weights after some updates by autograd and as many recorded ones."""
    models = [ours(work, COMPARED, device, engine) for engine in ("autograd", "graph")]
    pairs = zip(*(model.parameters() for model in models), strict=True)
    return max((p - q).abs().max().item() for p, q in pairs)


def least_bytes(work: Work) -> int:
    """Return the bytes that an update must read and write: weights and the optimizer's state, each once."""
    parameters = list(work.model().parameters())
    tensors = [*parameters, *work.optimizer.start(parameters).tensors.values()]
    return 2 * sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def bandwidth(device: torch.device, numbers: int = COPIED) -> float:
    """Return the bytes per second, read and written, of a large copy: the median of ten."""
    source, target = torch.zeros(numbers, device=device), torch.empty(numbers, device=device)

    def copy(times: int) -> None:
        for _ in range(times):
            target.copy_(source)
        wait_for(device)

    copy(3)
    return 2 * source.numel() * source.element_size() / statistics.median(elapsed(copy, 1) for _ in range(10))


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    tyro.cli(main)
