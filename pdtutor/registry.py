"""Your own classes by name, so that the models and tasks that a trajectory's JSON names can be built again.

A checkpoint holds weights; the JSON beside it holds what `config()` returned: the name of a class and its arguments.
pdtutor knows its own classes. `register` adds yours, in every process that calls it.
"""

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar

Kind = TypeVar("Kind", bound=Callable)

_REGISTERED: dict[str, Callable] = {}


def register(kind: Kind) -> Kind:
    """Register a class of models or tasks, or a function that builds a network, under its name, and return it.

        @register
        class Majority: ...

    Do this, as a decorator or a call, in every process that opens checkpoints that name it. If a notebook's cell runs
    again, what it registered before is replaced.

    Raises ValueError for an object without a name of its own (a lambda, a partial), and for a name that is taken.
    """
    name = name_of(kind)
    known = _REGISTERED.get(name)
    if known is not None and _place(known) != _place(kind):
        raise ValueError(f"{name!r} is already registered, as {_place(known)}: choose another name for {_place(kind)}")
    _REGISTERED[name] = kind
    return kind


def registered(name: str) -> Callable | None:
    """Return what was registered under this name; None if nothing was."""
    return _REGISTERED.get(name)


def name_of(kind: Callable) -> str:
    """Return the name of a class or a function. Raises ValueError for a lambda and anything else without a name."""
    if not isinstance(kind, type | FunctionType) or not kind.__name__.isidentifier():
        raise ValueError(f"what is registered must be a class or a function with a name of its own, got {kind!r}")
    return kind.__name__


def _place(kind: Callable) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
