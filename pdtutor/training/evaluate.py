"""Evaluation: cross-entropy and accuracy of a model on held-out examples."""

import numpy as np
import torch
from torch import Tensor

from pdtutor.distillation.losses import cross_entropy, labelled_positions
from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, a_model
from pdtutor.processes import ALONE, Processes
from pdtutor.registry import overrides
from pdtutor.seeds import generator
from pdtutor.tasks.task import IGNORED, HeldOut, Task, a_task, require_examples
from pdtutor.validate import instance, whole

PIECE_LOGITS = 2**26  # the most logits in memory at a time: 256 MB, and several times that in passing


def held_out(task: Task, examples: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return examples for evaluation, inputs (examples, …) and labels (examples, …).

    Their generator is one that training never uses. A task with `sample_held_out`, such as a text, draws them from data
    that training never sees. Other seeds give other examples.

    Raises ValueError for a task that draws something else than examples, and for a subclass with a `sample` of its own
    that took over `sample_held_out`: it would be evaluated on its parent's examples.
    """
    a_task("task", task)
    examples = whole("examples", examples)
    if isinstance(task, HeldOut) and overrides(type(task), "sample", "sample_held_out"):
        raise ValueError(
            f"{type(task).__name__} has a sample of its own but inherits sample_held_out, which draws its parent's "
            f"examples: write one in {type(task).__name__}, too"
        )
    draw = task.sample_held_out if isinstance(task, HeldOut) else task.sample
    inputs, labels = require_examples(task, draw(generator(seed, "evaluation"), examples), examples)
    return torch.from_numpy(np.ascontiguousarray(inputs)), torch.from_numpy(np.ascontiguousarray(labels))


def evaluate(model: Model, inputs: Tensor, labels: Tensor, processes: Processes = ALONE) -> tuple[Tensor, Tensor]:
    """Return cross-entropy and accuracy, means over labelled positions, per copy: (copies,) and (copies,).

    Inputs are (examples, …) and labels (examples, …). If several processes train together, each evaluates a share of
    the examples; all must call this, and all get the same result.

    Raises ValueError if nothing is labelled: neither mean exists then.
    """
    a_model("model", model)
    instance("inputs", inputs, Tensor, "a tensor (examples, …)")
    instance("labels", labels, Tensor, "a tensor of int64")
    if labels.dtype != torch.int64 or labels.shape not in (inputs.shape[:1], inputs.shape):
        raise ValueError(
            f"labels must be int64, one per example or per position of inputs {tuple(inputs.shape)}, got "
            f"{labels.dtype} {tuple(labels.shape)}"
        )
    labelled = int((labels != IGNORED).sum())
    if not labelled:
        raise ValueError(
            f"nothing can be scored: none of the {len(inputs)} held-out examples has a label, all are IGNORED "
            f"({IGNORED}); evaluate on more examples, or look at how the task draws its labels"
        )
    share = processes.share(len(inputs))
    sums = processes.all_reduce_sum([_sums(model, inputs[share], labels[share])])[0]  # (2, copies)
    loss, accuracy = sums / labelled
    return loss, accuracy


def _sums(model: Model, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy and the number of correct predictions, summed over labelled positions: (2, copies)."""
    if not len(inputs):
        return torch.zeros(2, len(model.seeds), device=inputs.device, dtype=torch.float32)
    at = None
    if labels.dim() > 1:  # sequences with a label per position
        at, labels = labelled_positions(labels)
    rows = max(1, PIECE_LOGITS // (len(model.seeds) * labels[0].numel() * model.classes))
    places = [None] * len(inputs.split(rows)) if at is None else at.split(rows)
    pieces = zip(inputs.split(rows), labels.split(rows), places, strict=True)
    return torch.stack([_sums_of_piece(model, *piece) for piece in pieces]).sum(0)


def _sums_of_piece(model: Model, inputs: Tensor, labels: Tensor, at: Tensor | None) -> Tensor:
    """Return what `_sums` does, for so few examples that all their logits fit in memory, several times."""
    logits = logits_of(model, inputs, at)
    labels = labels.expand(logits.shape[:-1])
    hits = (logits.argmax(-1) == labels).to(logits.dtype)  # IGNORED is no class, so never a hit
    return torch.stack([values.flatten(1).sum(1) for values in (cross_entropy(logits, labels), hits)])
