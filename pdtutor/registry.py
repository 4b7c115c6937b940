"""Readers' own classes by name, so that what a trajectory's JSON names can be built again.

A checkpoint holds weights; the JSON beside it holds what `config()` returned: the name of a class and its arguments.
pdtutor knows its own classes. `register` makes it know others, in every process that runs the line.
"""

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar

Kind = TypeVar("Kind", bound=Callable)

_REGISTERED: dict[str, Callable] = {}


def register(kind: Kind) -> Kind:
    """Make a class of models or tasks, or a function that builds a network, known by its name, and return it.

        @register
        class Majority: ...

    To be run, as a decorator or a call, wherever checkpoints that name it are opened. Running a notebook's cell again
    replaces what it registered before.

    Raises ValueError for what has no name of its own (a lambda, a partial), and for a name that something else has.
    """
    name = name_of(kind)
    known = _REGISTERED.get(name)
    if known is not None and _place(known) != _place(kind):
        raise ValueError(f"{name!r} is registered already, as {_place(known)}: choose another name for {_place(kind)}")
    _REGISTERED[name] = kind
    return kind


def registered(name: str) -> Callable | None:
    """Return what was registered under this name, None if nothing was."""
    return _REGISTERED.get(name)


def name_of(kind: Callable) -> str:
    """Return the name of a class or a function. Raises ValueError for a lambda and whatever else has none."""
    if not isinstance(kind, type | FunctionType) or not kind.__name__.isidentifier():
        raise ValueError(f"what is registered must be a class or a function with a name of its own, got {kind!r}")
    return kind.__name__


def _place(kind: Callable) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
