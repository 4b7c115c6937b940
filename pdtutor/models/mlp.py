"""Multi-layer perceptrons with ReLU: the models of the paper's parity experiments (E1)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pdtutor.models.layers import Linear
from pdtutor.models.model import is_changed
from pdtutor.seeds import generator
from pdtutor.validate import seed_list, several, whole


class MLP(nn.Module):
    """Hidden layers of ReLU units and a linear read-out, one copy per seed, in torch's default initialisation.

    Args:
        d: number of inputs.
        width: number of units of the hidden layer, or a list with one number per hidden layer.
        classes: number of logits.
        seed: seed of the initial weights, or a list with one per copy. Copies with equal seeds start equal.

    Raises ValueError for d, width or classes < 1, and for an empty list of seeds or widths.
    """

    def __init__(self, d: int, *, width: int | Sequence[int], classes: int = 2, seed: int | Sequence[int] = 0) -> None:
        super().__init__()
        self.d, self.classes = whole("d", d), whole("classes", classes)
        widths = several(width)
        self.widths = [whole("width", units) for units in ([width] if widths is None else widths)]
        self.seeds = seed_list(seed)
        if not self.widths:
            raise ValueError("an MLP needs at least one hidden layer, got an empty list")
        generators = [generator(s, "init") for s in self.seeds]
        sizes = [self.d, *self.widths, self.classes]
        self.layers = nn.ModuleList(Linear(fan_in, fan_out, generators) for fan_in, fan_out in pairwise(sizes))

    def forward(self, inputs: Float[Tensor, "copies_or_one batch d"]) -> Float[Tensor, "copies batch classes"]:
        """Map inputs (copies, batch, d), or (1, batch, d) for all copies alike, to logits (copies, batch, classes).

        Raises ValueError if the inputs' last axis doesn't have size d.
        """
        if inputs.shape[-1] != self.d:
            raise ValueError(f"this MLP takes inputs of d = {self.d}, got shape {tuple(inputs.shape)}")
        hidden = inputs.expand(len(self.seeds), -1, -1)  # (copies, batch, d)
        for layer in self.layers[:-1]:
            hidden = layer(hidden)  # (copies, batch, width)
            hooked = layer._forward_hooks or layer._backward_hooks  # they may keep what they are shown
            hidden = torch.relu(hidden) if hooked else torch.relu_(hidden)
        return self.layers[-1](hidden)  # (copies, batch, classes)

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_model` rebuilds this model."""
        sizes = {"d": self.d, "width": self.widths, "classes": self.classes}
        return {"class": type(self).__name__, **sizes, "seed": self.seeds}


def is_two_layer_mlp(model: object) -> TypeGuard[MLP]:
    """Return whether the model computes what an MLP with one hidden layer computes, so that compiled code may do it.

    A subclass, an object with hooks and one whose `forward` was replaced may compute something else, and so may one
    whose layers are no longer those that it was made with.
    """
    if type(model) is not MLP or len(model.widths) != 1:
        return False
    own = len(model.layers) == 2 and all(type(layer) is Linear for layer in model.layers)
    return own and not any(map(is_changed, model.modules()))
