"""Layers with copies: each parameter has a leading copies dimension.

Each layer takes one numpy generator per copy for its initial weights, so a copy's weights depend on its own seed alone.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Linear(nn.Module):
    """`torch.nn.Linear`, once per copy: weight (copies, out, in), bias (copies, out).

    Args:
        in_features, out_features: number of inputs and of outputs.
        generators: one numpy generator per copy; each draws its copy's weights, then its biases.
        std: standard deviation of normal initial weights, with biases of 0; torch's default initialisation of both if
            not given.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        generators: Sequence[np.random.Generator],
        *,
        std: float | None = None,
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)  # the bound of nn.Linear's kaiming_uniform_(a=√5)
        if std is None:
            self.weight = parameter(generators, lambda rng: rng.uniform(-bound, bound, (out_features, in_features)))
            self.bias = parameter(generators, lambda rng: rng.uniform(-bound, bound, out_features))
        else:
            self.weight = parameter(generators, lambda rng: rng.normal(0, std, (out_features, in_features)))
            self.bias = parameter(generators, lambda rng: np.zeros(out_features))

    def forward(self, inputs: Float[Tensor, "copies *n fan_in"]) -> Float[Tensor, "copies *n fan_out"]:
        """Map (copies, …, in) to (copies, …, out)."""
        flat = inputs.flatten(1, -2)  # (copies, n, in)
        mapped = torch.baddbmm(self.bias.unsqueeze(1), flat, self.weight.transpose(1, 2))
        return mapped if inputs.dim() == 3 else mapped.unflatten(1, inputs.shape[1:-1])


class Embedding(nn.Module):
    """`torch.nn.Embedding`, once per copy: weight (copies, entries, width), normal with standard deviation `std`."""

    def __init__(self, entries: int, width: int, generators: Sequence[np.random.Generator], *, std: float) -> None:
        super().__init__()
        self.weight = parameter(generators, lambda rng: rng.normal(0, std, (entries, width)))

    def forward(self, ids: Int[Tensor, "copies *n"]) -> Float[Tensor, "copies *n width"]:
        """Map ids (copies, …) of 0…entries−1 to (copies, …, width)."""
        copies, entries, _ = self.weight.shape
        # One table with the rows of all copies, copy c's from c·entries on: much faster than advanced indexing.
        first_rows = torch.arange(copies, device=ids.device).mul_(entries).view(-1, *[1] * (ids.dim() - 1))
        return nn.functional.embedding(ids + first_rows, self.weight.flatten(0, 1))


class LayerNorm(nn.Module):
    """`torch.nn.LayerNorm` over the last axis, once per copy: weight and bias (copies, width), at first 1 and 0."""

    def __init__(self, width: int, generators: Sequence[np.random.Generator]) -> None:
        super().__init__()
        self.weight = parameter(generators, lambda rng: np.ones(width))
        self.bias = parameter(generators, lambda rng: np.zeros(width))

    def forward(self, inputs: Float[Tensor, "copies *n width"]) -> Float[Tensor, "copies *n width"]:
        """Map (copies, …, width) to the same shape."""
        copies, width = self.weight.shape
        weight, bias = (p.view(copies, *[1] * (inputs.dim() - 2), width) for p in (self.weight, self.bias))
        return torch.addcmul(bias, nn.functional.layer_norm(inputs, (width,)), weight)


@contextmanager
def in_float32() -> Iterator[None]:
    """Have torch make tensors in float32 while the block runs, whatever `torch.set_default_dtype` was told before."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def parameter(
    generators: Sequence[np.random.Generator], draw: Callable[[np.random.Generator], np.ndarray]
) -> nn.Parameter:
    """Return a float32 parameter (copies, …), each copy drawn from its own generator."""
    return nn.Parameter(torch.from_numpy(np.stack([draw(rng).astype(np.float32) for rng in generators])))
