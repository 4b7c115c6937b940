"""The contract of a model: what a class must offer so that it can be trained, evaluated, probed, saved and reopened.

A model is a torch module with a leading *copies* dimension in its inputs, its logits and all parameters and buffers
that it saves. (A constant that all copies share is a buffer with persistent=False.) Several seeds or methods then train
side by side in one pass, each as it would alone: no parameter of one copy enters the output of another. You need not
write such a module yourself: `pdtutor.Network` makes a model of any torch module.

`Model` is all that a model of your own needs. The classes after it name what some models offer beyond that.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from pdtutor.registry import overrides
from pdtutor.validate import instance


@runtime_checkable
class Model(Protocol):
    """A network that learns, once per seed: a torch module with `seeds`, `classes` and `config`.

    Any torch module with these members is a model; it needs no other base class. Register a class of your own with
    `pdtutor.register`, so that its checkpoints can be reopened.

    Attributes:
        seeds: one seed per copy, from which its initial weights are drawn.
        classes: number of classes, the size of the logits' last axis.
        training: torch's own flag, set by `train` and `eval`.
    """

    seeds: list[int]
    classes: int
    training: bool

    def config(self) -> dict:
        """Return the JSON-ready dict from which `build_model` rebuilds the model, freshly initialised.

        It holds the name of the model's class under "class", and every argument of the class by name. One of them must
        be `seed`, the list of one seed per copy: with a shorter list, fewer copies are built.
        """
        ...

    def __call__(self, inputs: Tensor, /) -> Tensor:
        """Map inputs (copies, batch, …), or (1, batch, …) if all copies get the same, to logits.

        Logits are (copies, batch, classes), or (copies, batch, length, classes) for a task with a label per position.
        """
        ...

    # These come with torch.nn.Module.

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def modules(self) -> Iterator[nn.Module]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> Any: ...
    def requires_grad_(self, requires_grad: bool = True) -> Self: ...
    def train(self, mode: bool = True) -> Self: ...
    def eval(self) -> Self: ...
    def to(self, *args: Any, **kwargs: Any) -> Self: ...


@runtime_checkable
class Padded(Protocol):
    """A model on rows of ids that may be filled up after their end: `padding` is the id for that, or None."""

    padding: int | None


@runtime_checkable
class HiddenStates(Model, Protocol):
    """A model that shows its last hidden states, from which the logits are read out; `width` is their size.

    A subclass that overrides `forward` or `logits` overrides `states`, too, or it is taken to show none.
    """

    width: int

    def states(self, ids: Tensor, /) -> Tensor:
        """Map ids (copies or 1, batch, length) to hidden states (copies, batch, length, width)."""
        ...


class ReadsPositions(nn.Module):
    """A base class for models of sequences that can compute their logits at chosen positions only, which saves work.

    Inherit from it and write `logits`; `forward` comes with it. A subclass that overrides `forward` does without this:
    its own `forward` then computes the logits at all positions.
    """

    def forward(self, ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Map token ids, and positions if given, to logits; see `logits`."""
        return self.logits(ids, at)

    def logits(self, ids: Tensor, at: Tensor | None = None) -> Tensor:
        """Map token ids (copies or 1, batch, length) to logits (copies, batch, length, classes).

        With `at`, positions (copies or 1, batch, n) int64, return the logits there only: (copies, batch, n, classes).
        A row that asks for fewer than n positions is filled up with −1 at its end, and its logits there mean nothing.
        """
        raise NotImplementedError


class _AtPositions(Model, Protocol):
    def __call__(self, inputs: Tensor, /, at: Tensor | None = None) -> Tensor: ...


def reads_positions(model: Model) -> TypeGuard[_AtPositions]:
    """Return whether the model can be called as `model(ids, at=positions)`.

    An object with hooks of its own, or whose `forward` was replaced, is called with all positions: they expect those.
    """
    if not isinstance(model, ReadsPositions) or type(model).forward is not ReadsPositions.forward:
        return False
    return not is_changed(model)


def shows_states(model: Model) -> TypeGuard[HiddenStates]:
    """Return whether the model's `states` are those that its logits are read out from; see `HiddenStates`.

    If a subclass overrides `forward` or `logits` and not `states`, its parent's states may be something else.
    """
    if not isinstance(model, HiddenStates) or "forward" in vars(model):
        return False
    computing = ("forward", "logits") if isinstance(model, ReadsPositions) else ("forward",)
    return not any(overrides(type(model), name, "states") for name in computing)


def is_changed(module: nn.Module) -> bool:
    """Return whether an object does more, or something else, than its class: it has hooks, or another `forward`.

    Hooks of its own parameters count, too; those of the modules in it don't.
    """
    hooks = [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks]
    hooks += [parameter._backward_hooks for parameter in module._parameters.values() if parameter is not None]
    return any(hooks) or "forward" in vars(module)


def a_model(name: str, given: object) -> Model:
    """Return the object, which will be asked for logits and no more. Raises ValueError unless it is a torch module."""
    instance(name, given, nn.Module, "a model, such as an MLP or trajectory.at(step)")
    return given  # pyright: ignore[reportReturnType]  # a module that maps inputs to logits is enough here


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Have the model in eval mode, without dropout, while the block runs; afterwards it is in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def device_of(model: Model) -> torch.device:
    """Return the device of the model's parameters; the CPU if it has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
