"""What a model offers: the contract between who learns and everything that trains, asks or keeps it.

A model is a torch module with a leading *copies* dimension in its inputs, its logits and all its parameters. So many
seeds or methods train side by side in one pass, each exactly as it would alone: no parameter of one copy enters the
output of another. `Network` makes a model of any torch module that knows nothing of copies.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Model(Protocol):
    """Who learns. Any torch module with these members is a model; `pdtutor.register` lets its checkpoints be reopened.

    Attributes:
        seeds: the seed of every copy.
        classes: number of logits.
    """

    seeds: list[int]
    classes: int
    training: bool

    def config(self) -> dict:
        """Return the JSON-ready description from which the model is rebuilt: its class's name and its arguments.

        Among them is `seed`, a list of one per copy.
        """
        ...

    def __call__(self, inputs: Tensor, /) -> Tensor:
        """Map inputs (copies, batch, …), or (1, batch, …) for all copies alike, to logits.

        They are (copies, batch, classes), or (copies, batch, length, classes) where every position has one.
        """
        ...

    # what torch.nn.Module brings

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> Any: ...
    def requires_grad_(self, requires_grad: bool = True) -> Self: ...
    def train(self, mode: bool = True) -> Self: ...
    def eval(self) -> Self: ...
    def to(self, *args: Any, **kwargs: Any) -> Self: ...


@runtime_checkable
class Padded(Protocol):
    """A model of rows of ids that are filled up after their end with this id, if there is one."""

    padding: int | None


@runtime_checkable
class HiddenStates(Protocol):
    """A model that shows what its logits are read from: `states`, `width` wide."""

    width: int

    def states(self, ids: Tensor, /) -> Tensor:
        """Map ids (copies or 1, batch, length) to hidden states (copies, batch, length, width)."""
        ...


class ReadsPositions(nn.Module):
    """A model of sequences that can be asked for its logits at some positions only, which saves the work of all others.

    To offer that, inherit from this class and write `logits`. A subclass that overrides `forward` gives it up: its own
    `forward` is then asked for every position.
    """

    def forward(self, ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Map token ids to logits; see `logits`."""
        return self.logits(ids, at)

    def logits(self, ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Map token ids (copies or 1, batch, length) to logits (copies, batch, length, classes).

        With positions `at` (copies or 1, batch, n) int64, to those there only: (copies, batch, n, classes). Where `at`
        is −1 they mean nothing.
        """
        raise NotImplementedError


class _AtPositions(Model, Protocol):
    def __call__(self, inputs: Tensor, /, at: Tensor | None = None) -> Tensor: ...


def reads_positions(model: Model) -> TypeGuard[_AtPositions]:
    """Return whether the model may be asked as `model(ids, at=positions)`."""
    return isinstance(model, ReadsPositions) and type(model).forward is ReadsPositions.forward


def device_of(model: Model) -> torch.device:
    """Return where the model's parameters are; the CPU if it has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
