"""How well a model does on held-out examples."""

import inspect

import numpy as np
import torch
from torch import Tensor, nn

from pdtutor.kernels import logits_of_signs
from pdtutor.losses import cross_entropy, labelled_positions
from pdtutor.models import MLP
from pdtutor.processes import ALONE, Processes
from pdtutor.seeds import generator
from pdtutor.tasks import IGNORED

PIECE = 512  # examples per forward pass, so that wide models fit in memory and narrow ones in cache
IDS = 4096  # the same for rows with padding, in ids


def held_out(task, examples: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return examples that no training stream ever draws: inputs (examples, …), labels (examples, …)."""
    draw = getattr(task, "sample_held_out", task.sample)
    inputs, labels = draw(generator(seed, "evaluation"), examples)
    return torch.from_numpy(inputs), torch.from_numpy(labels)


@torch.no_grad()
def logits_of(model: nn.Module, inputs: Tensor, at: Tensor | None = None) -> Tensor:
    """Return the model's logits in eval mode: inputs (examples, …), the same for all copies → (copies, examples, …).

    Of sequences (examples, length), `at` (examples, n) asks for some positions only: → (copies, examples, n, classes).
    Those at −1 mean nothing.
    """
    if (logits := _compiled(model, inputs)) is not None:
        return logits
    was_training = model.training
    model.eval()
    padding = getattr(model, "padding", None)
    if padding is None:
        logits = torch.cat([_forward(model, inputs, at, rows) for rows in _rows(inputs).split(PIECE)], dim=1)
    else:  # rows of like length together, so that there is little padding to work through
        order = (inputs != padding).sum(1).argsort()
        pieces = order.split(max(1, IDS // inputs.shape[1]) if inputs.device.type == "cpu" else PIECE)
        logits = torch.cat([_forward(model, inputs, at, rows) for rows in pieces], dim=1)[:, order.argsort()]
    model.train(was_training)
    return logits


def reads_positions(model: nn.Module) -> bool:
    """Return whether the model can be asked for logits at some positions only, as `model(ids, at=positions)`."""
    return "at" in inspect.signature(model.forward).parameters


def _rows(inputs: Tensor) -> Tensor:
    return torch.arange(len(inputs), device=inputs.device)


def _forward(model: nn.Module, inputs: Tensor, at: Tensor | None, rows: Tensor) -> Tensor:
    """Return the logits at these rows of the inputs, at some of their positions if asked: (copies, rows, …)."""
    piece = inputs[rows].unsqueeze(0)
    if at is None:
        return model(piece)
    wanted = at[rows].unsqueeze(0)  # (1, rows, n)
    if reads_positions(model):
        return model(piece, at=wanted)
    logits = model(piece)  # (copies, rows, length, classes)
    return logits.take_along_dim(wanted.clamp(min=0).unsqueeze(-1), dim=2)


def _compiled(model: nn.Module, inputs: Tensor) -> Tensor | None:
    """Return what `logits_of` returns, for an MLP with one hidden layer on sign inputs; None for anything else."""
    if not isinstance(model, MLP) or len(model.widths) != 1 or inputs.shape[1:] != (model.d,):
        return None
    if any(t.dtype != torch.float32 or t.device.type != "cpu" for t in (inputs, next(model.parameters()))):
        return None
    layers = [parameter.detach() for layer in model.layers for parameter in (layer.weight, layer.bias)]
    examples = inputs.contiguous().numpy()
    logits = [logits_of_signs(*(t[copy].numpy() for t in layers), examples) for copy in range(len(model.seeds))]
    return None if logits[0] is None else torch.from_numpy(np.stack(logits))


def evaluate(
    model: nn.Module, inputs: Tensor, labels: Tensor, processes: Processes = ALONE
) -> tuple[Tensor, Tensor]:
    """Return cross-entropy and accuracy over labelled positions, one of each per copy: (copies,), (copies,).

    Several processes each take a share of the examples; all must call this, and all get the same.
    """
    labelled = (labels != IGNORED).sum()
    share = processes.share(len(inputs))
    sums = processes.all_reduce_sum([_sums(model, inputs[share], labels[share])])[0]  # (2, copies)
    loss, accuracy = sums / labelled
    return loss, accuracy


def _sums(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return cross-entropies and hits, summed over labelled positions: (2, copies)."""
    if not len(inputs):
        return torch.zeros(2, len(model.seeds), device=inputs.device)
    at = None
    if labels.shape == inputs.shape:  # of sequences, a label per position
        at, labels = labelled_positions(labels)
    logits = logits_of(model, inputs, at)
    labels = labels.expand(logits.shape[:-1])
    hits = (logits.argmax(-1) == labels).to(logits.dtype)  # no class is IGNORED
    return torch.stack([values.flatten(1).sum(1) for values in (cross_entropy(logits, labels), hits)])
