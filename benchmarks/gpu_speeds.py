"""Updates per second on a GPU: a plain loop, the same compiled by torch.compile, our autograd and our recorded updates.

No way can be faster than two bounds. An update must read and write every weight, and every number of the optimizer's
state, at least once: bytes / bandwidth, measured by a copy. And it must do its multiplications: FLOPs, counted by
torch, / the rate of a large matrix product. A model that fits in the GPU's cache can pass the first.

For MLPs the compiled kernel on the CPU is timed, too: that is where `auto` leaves small ones (see
`pdtutor.models.placement`).
"""

import contextlib
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.__main__ import elapsed
from benchmarks.plain import Batches
from pdtutor import MLP, SGD, AdamW, MaskedGrammar, Model, Pretrained, SparseParity, Task, Transformer, train
from pdtutor.models.mlp import is_two_layer_mlp
from pdtutor.models.placement import faster_on_gpu
from pdtutor.tasks.task import IGNORED

COPIED = 2**28  # float32 numbers in the copy that measures bandwidth: 1 GiB, larger than any cache
SIDE = 8192  # of the square matrices that are multiplied to measure the arithmetic
COMPARED = 100  # updates after which the weights are compared: few, so that the last digits of sums don't grow
WARM = 4  # updates before any is timed: `torch.compile` records a graph in its third
LEAST = 32  # updates in the shortest run that is timed: recording is done by then
REPEATS = 3  # measurements of a rate, whose median counts
TOLERANCE = 1e-4  # largest difference that passes for the last digits of sums, in float32

Way = Callable[[], Callable[[int], object]]  # prepares a training, and returns what makes so many updates


@dataclass(frozen=True)
class Work:
    """A training on labels, and torch's own optimizer for the plain loop."""

    name: str
    model: Callable[[], Model]
    task: Task
    batch_size: int
    optimizer: SGD | AdamW
    plain_optimizer: Callable[[Iterable], torch.optim.Optimizer]
    precision: str = "float32"

    @property
    def half(self) -> torch.dtype | None:
        """The type in which matrices are multiplied, if it isn't float32."""
        return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.precision)


def works(*, smoke: bool = False) -> list[Work]:
    """Return the trainings: E1 at three widths, E2 and E3 at the paper's sizes, and BERT-base; or tiny ones of each."""
    if smoke:
        return [mlp(100, d=10), e2(d=8, heads=2), e3(root="10", heads=1, layers=1, batch_size=4), bert(smoke=True)]
    return [mlp(1000), mlp(1000, batch_size=32), mlp(10_000), mlp(50_000), e2(), e3(), bert()]


def mlp(width: int, *, d: int = 100, batch_size: int = 1) -> Work:
    """E1: an MLP under SGD; the paper's has width 50 000 and batch 1."""
    return Work(
        f"E1, MLP, d = {d}, width {width}, batch {batch_size}",
        lambda: MLP(d, width=width),
        SparseParity(d, 6),
        batch_size,
        SGD(lr=5e-3),
        lambda parameters: torch.optim.SGD(parameters, lr=5e-3),
    )


def e2(*, d: int = 100, heads: int = 32) -> Work:
    """E2: a Transformer on sparse parity under Adam."""
    return Work(
        f"E2, Transformer, d = {d}, 2 layers, {heads} heads, batch 32",
        lambda: Transformer(2, max_length=d, heads=heads),
        SparseParity(d, 6, encoding="tokens"),
        32,
        AdamW(lr=3e-4),
        lambda parameters: torch.optim.Adam(parameters, lr=3e-4),
    )


def e3(
    *, root: str | None = None, heads: int = 32, layers: int = 4, batch_size: int = 512, precision: str = "bfloat16"
) -> Work:
    """E3: the teacher of masked prediction on cfg3b under AdamW."""
    task = MaskedGrammar("cfg3b", root=root)

    def model() -> Model:
        return Transformer(
            task.vocabulary,
            max_length=task.longest,
            classes=task.classes,
            layers=layers,
            heads=heads,
            head_dim=8,
            read_out="every",
            padding=task.padding,
        )

    return Work(
        f"E3, masked Transformer, cfg3b, {layers} layers, {heads} heads, batch {batch_size}, {precision}",
        model,
        task,
        batch_size,
        AdamW(lr=1e-3),
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0),
        precision,
    )


def bert(*, smoke: bool = False) -> Work:
    """BERT-base of the transformers library, on sentences of cfg3b from symbol 16, under AdamW."""
    task = MaskedGrammar("cfg3b", root="10" if smoke else "16")

    def model() -> Model:
        from transformers import BertConfig

        sizes: dict[str, Any] = {"vocab_size": task.vocabulary, "max_position_embeddings": task.longest}
        if smoke:
            sizes |= {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
        return Pretrained(BertConfig(**sizes), objective="masked", padding=task.padding, classes=task.classes)

    return Work(
        f"BERT{' of width 8' if smoke else '-base'}, batch 32",
        model,
        task,
        32,
        AdamW(lr=1e-4),
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.0),
    )


def measure(work: Work, device: torch.device, seconds: float, *, bytes_per_s: float, flops_per_s: float) -> dict:
    """Return a row: updates/s by each way but "compiled", and the least seconds that an update can take.

    A way that fails is NaN, and `failed` says why. `difference` is the largest between a weight trained by autograd and
    the same one trained by recorded updates; it is measured in float32 only, as it is large otherwise.
    """
    ways: dict[str, Way] = {
        "plain": lambda: Plain(work, device).run,
        "autograd": lambda: partial(ours, work, device, "autograd"),
        "graph": lambda: partial(ours, work, device, "graph"),
    }
    if is_two_layer_mlp(work.model()):
        ways["cpu"] = lambda: partial(ours, work, torch.device("cpu"), "kernel")
    row: dict[str, Any] = {"work": work.name, "float32": work.half is None, "failed": ""}
    row["auto"] = "gpu" if faster_on_gpu(work.model(), work.batch_size) else "cpu"
    row["bound_seconds"] = max(least_bytes(work) / bytes_per_s, flops(work, device) / flops_per_s)
    for name, way in ways.items():
        add_rate(row, name, way, seconds)
    comparable = row["float32"] and row["graph_per_s"] == row["graph_per_s"]
    row["difference"] = difference(work, device) if comparable else float("nan")
    return row


def add_compiled(row: dict, work: Work, device: torch.device, seconds: float) -> None:
    """Add to a row the updates/s of the plain loop compiled; compiling takes up to a minute, which is not counted."""
    add_rate(row, "compiled", lambda: Plain(work, device, compiled=True).run, seconds)


def add_rate(row: dict, name: str, way: Way, seconds: float) -> None:
    """Add to a row the updates/s of this way, or why it failed, and say which way is the fastest so far."""
    try:
        row[f"{name}_per_s"] = updates_per_s(way(), seconds)
    except Exception as error:  # the table is to show every failure
        row[f"{name}_per_s"] = float("nan")
        reason = f"{name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        row["failed"] = "; ".join(filter(None, [row["failed"], reason]))
    rates = {way.removesuffix("_per_s"): rate for way, rate in row.items() if way.endswith("_per_s") and rate == rate}
    row["fastest"] = max(rates, key=rates.__getitem__) if rates else ""
    row["share_of_bound"] = max(rates.values(), default=float("nan")) * row["bound_seconds"]


def updates_per_s(run: Callable[[int], object], seconds: float) -> float:
    """Return how many updates a second this way adds: what starting, compiling, recording and saving take drops out.

    It is the median of three differences between many updates and a quarter of them, each of at least so many seconds;
    of one, if that alone took eight times as long.
    """
    run(WARM)
    steps, took = LEAST, elapsed(run, LEAST)
    while (more := elapsed(run, 4 * steps)) - took < seconds:
        steps, took = 4 * steps, more
    differences = [more - took]
    while len(differences) < REPEATS and more + took < 8 * seconds:
        differences.append(elapsed(run, 4 * steps) - elapsed(run, steps))
    return 3 * steps / statistics.median(differences)


class Plain:
    """The training as one would first write it; with `compiled`, its forward pass by torch.compile.

    Attributes:
        model: the model, on the device; every call of `run` trains it further.
    """

    def __init__(self, work: Work, device: torch.device, *, compiled: bool = False) -> None:
        self.work, self.device = work, device
        self.model = work.model().to(device)
        self.model.train()
        self.forward: Callable = torch.compile(self.model, mode="reduce-overhead") if compiled else self.model
        self.optimizer = work.plain_optimizer(self.model.parameters())

    def run(self, steps: int) -> None:
        """Make so many updates, and wait for the device."""
        batches = Batches(self.work.task, batch_size=self.work.batch_size, seed=0)
        for _, (inputs, labels) in zip(range(steps), DataLoader(batches, batch_size=None), strict=False):
            with multiplied_in(self.work.half, self.device):
                logits = self.forward(inputs.to(self.device).unsqueeze(0))[0]  # (batch, …, classes), of the only copy
            wanted = labels.to(self.device).flatten()
            loss = nn.functional.cross_entropy(logits.float().flatten(0, -2), wanted, ignore_index=IGNORED)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        wait_for(self.device)


@contextlib.contextmanager
def multiplied_in(half: torch.dtype | None, device: torch.device) -> Iterator[None]:
    """Multiply matrices in this type while the block runs; in float32 if it is None."""
    with torch.autocast(device.type, half, enabled=half is not None):
        yield


def ours(work: Work, device: torch.device, engine: str, steps: int) -> Model:
    """Train by `train`, which ends with a checkpoint on disk and so waits for the device, and return the model."""
    return train(
        work.model(),
        work.task,
        steps=steps,
        batch_size=work.batch_size,
        optimizer=work.optimizer,
        eval_every=steps,
        eval_examples=16,
        device=device,
        engine=engine,
        precision=work.precision,
        progress=False,
    ).model


def difference(work: Work, device: torch.device) -> float:
    """Return the largest difference between weights after some updates by autograd and as many recorded ones."""
    models = [ours(work, device, engine, COMPARED) for engine in ("autograd", "graph")]
    pairs = zip(*(model.parameters() for model in models), strict=True)
    return max((p - q).abs().max().item() for p, q in pairs)


def least_bytes(work: Work) -> int:
    """Return the bytes that an update must read and write: weights and the optimizer's state, each once."""
    parameters = list(work.model().parameters())
    tensors = [*parameters, *work.optimizer.start(parameters).tensors.values()]
    return 2 * sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def flops(work: Work, device: torch.device) -> int:
    """Return the floating-point operations of an update's products, two per multiplication, as torch counts them."""
    plain = Plain(work, device)
    with FlopCounterMode(display=False) as counter:
        plain.run(1)
    return counter.get_total_flops()


def bandwidth(device: torch.device, numbers: int = COPIED) -> float:
    """Return the bytes per second, read and written, of a large copy: the median of ten."""
    source, target = torch.zeros(numbers, device=device), torch.empty(numbers, device=device)

    def copy(times: int) -> None:
        for _ in range(times):
            target.copy_(source)
        wait_for(device)

    copy(3)
    return 2 * source.numel() * source.element_size() / statistics.median(elapsed(copy, 1) for _ in range(10))


def arithmetic(device: torch.device, half: torch.dtype | None = None, side: int = SIDE) -> float:
    """Return the floating-point operations per second of a large matrix product in this type: the median of ten."""
    matrix = torch.randn(side, side, device=device, dtype=half or torch.float32)

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(matrix, matrix)
        wait_for(device)

    multiply(3)
    return 2 * side**3 / statistics.median(elapsed(multiply, 1) for _ in range(10))


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
