"""A model's logits: computed in pieces that fit in memory, at chosen positions, and compiled where that is faster."""

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from pdtutor.models.mlp import is_two_layer_mlp
from pdtutor.models.model import Model, Padded, a_model, evaluating, reads_positions
from pdtutor.models.sign_logits import logits_of_signs
from pdtutor.validate import instance

PIECE = 512  # examples per forward pass, so that wide models fit in memory and narrow ones in cache
IDS = 4096  # ids per forward pass on the CPU, for rows with padding


@torch.no_grad()
def logits_of(
    model: Model, inputs: Shaped[Tensor, "examples *shape"], at: Int[Tensor, "examples n"] | None = None
) -> Float[Tensor, "copies examples *positions classes"]:
    """Return the model's logits in eval mode, without gradients: the same inputs for all copies.

    Args:
        model: any model; it is left in the mode it was in.
        inputs: (examples, …), on the model's device.
        at: (examples, n) int64, the positions of sequences (examples, length) whose logits are asked for; −1 fills up
            the end of a row that asks for fewer, and the logits there mean nothing. All positions if not given.

    Returns logits (copies, examples, classes), or for sequences (copies, examples, length or n, classes).
    """
    a_model("model", model)
    instance("inputs", inputs, Tensor, "a tensor (examples, …)")
    if (logits := _compiled(model, inputs)) is not None:
        return logits
    rows_of_ids = inputs.dtype == torch.int64 and inputs.dim() == 2
    padding = model.padding if rows_of_ids and isinstance(model, Padded) else None
    with evaluating(model):
        if padding is None:
            return torch.cat([_forward(model, inputs, at, rows) for rows in _rows(inputs).split(PIECE)], dim=1)
        # rows of similar length together, so that little work is done on padding
        order = (inputs != padding).sum(1).argsort()
        pieces = order.split(max(1, IDS // inputs.shape[1]) if inputs.device.type == "cpu" else PIECE)
        return torch.cat([_forward(model, inputs, at, rows) for rows in pieces], dim=1)[:, order.argsort()]


def _rows(inputs: Tensor) -> Tensor:
    return torch.arange(len(inputs), device=inputs.device)


def _forward(model: Model, inputs: Tensor, at: Tensor | None, rows: Tensor) -> Tensor:
    """Return the logits of these rows of the inputs, (copies, rows, …), at some of their positions if `at` is given."""
    piece = inputs[rows].unsqueeze(0)
    if at is None:
        return model(piece)
    wanted = at[rows].unsqueeze(0)  # (1, rows, n)
    if reads_positions(model):
        return model(piece, wanted)
    logits = model(piece)  # (copies, rows, length, classes)
    return logits.take_along_dim(wanted.clamp(min=0).unsqueeze(-1), dim=2)


def _compiled(model: Model, inputs: Tensor) -> Tensor | None:
    """Return what `logits_of` returns for an MLP with one hidden layer on inputs of ±1; None for anything else.

    That includes subclasses of MLP, which may compute something else.
    """
    if not is_two_layer_mlp(model) or inputs.shape[1:] != (model.d,):
        return None
    if any(t.dtype != torch.float32 or t.device.type != "cpu" for t in (inputs, next(model.parameters()))):
        return None
    parameters = [layer.get_parameter(name).detach() for layer in model.layers for name in ("weight", "bias")]
    examples, found = inputs.contiguous().numpy(), []
    for copy in range(len(model.seeds)):
        w1, b1, w2, b2 = (parameter[copy].numpy() for parameter in parameters)
        if (logits := logits_of_signs(w1, b1, w2, b2, examples)) is None:
            return None  # not all of these inputs are ±1
        found.append(logits)
    return torch.from_numpy(np.stack(found))
