"""Your own classes by name, so that the models and tasks that a trajectory's JSON names can be built again.

A checkpoint holds weights; the JSON beside it holds what `config()` returned: the name of a class and its arguments.
pdtutor knows its own classes. `register` adds yours, in every process that calls it.
"""

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from inspect import signature
from types import FunctionType
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=Callable)

_REGISTERED: dict[str, Callable] = {}


def register(kind: Kind) -> Kind:
    """Register a class of models or tasks, or a function that builds a network, under its name, and return it.

        @register
        class Majority: ...

    Do this, as a decorator or a call, in every process that opens checkpoints that name it. If a notebook's cell runs
    again, what it registered before is replaced.

    Raises ValueError for an object without a name of its own (a lambda, a partial), and for a name under which
    something else is registered. A name of pdtutor's own, such as "MLP", is refused when a run of the class begins.
    """
    name = name_of(kind)
    known = _REGISTERED.get(name)
    if known is not None and _place(known) != _place(kind):
        raise ValueError(f"{name!r} is already registered, as {_place(known)}: choose another name for {_place(kind)}")
    _REGISTERED[name] = kind
    return kind


def build(config: dict, own: Mapping[str, Callable], *, what: str) -> Any:
    """Return the task or the model that a `config()` describes by the name of its class and its arguments.

    Args:
        config: "class", the name, and the arguments.
        own: pdtutor's own classes by name.
        what: "task" or "model", for messages.

    Raises ValueError for a class that is neither pdtutor's own nor registered, and whatever its constructor raises.
    """
    arguments = dict(config)
    name = arguments.pop("class", None)
    kind = own.get(name) or registered(name)
    if kind is None:
        raise ValueError(
            f"unknown {what} {name!r}: pdtutor has {', '.join(sorted(own))}; a class of your own is known once "
            f"`pdtutor.register({name})` has run in this process"
        )
    return kind(**arguments)


def require_rebuildable(made: Any, own: Mapping[str, Callable]) -> None:
    """Raise ValueError if a task or a model, once saved, would be built again as something else.

    That is so if its `config()` names another class, if another class has the name of its own, and, for classes that
    are not pdtutor's, if the constructor takes an argument that `config()` leaves out: it would get its default.
    """
    kind, config = type(made), made.config()
    if not isinstance(config, dict):
        raise ValueError(f"config() of a {kind.__name__} must return a dict with the class's name, got {config!r}")
    name = str(config.get("class"))
    if name != kind.__name__:
        raise ValueError(
            f"config() of a {kind.__name__} names the class {name!r}, so its checkpoints would be reopened as that: "
            f"give {kind.__name__} a config() of its own, with 'class': {kind.__name__!r}"
        )
    known = own.get(name) or registered(name)
    if known not in (None, kind):
        raise ValueError(
            f"{name!r} is the name of another class, of {known.__module__}, so checkpoints would be reopened as that: "
            "give your class another name; or, if you have defined and registered it again, make a new object of it"
        )
    if kind in own.values():
        return
    arguments = {key: value for key, value in config.items() if key != "class"}
    try:
        built = kind(**arguments) if is_dataclass(made) else made
    except TypeError as error:
        raise ValueError(f"a {kind.__name__} can't be built again from its config(): {error}") from error
    if built != made:
        raise ValueError(
            f"{kind.__name__}, built from its config(), would be {built!r} and not {made!r}: config() must hold every "
            "argument"
        )
    parameters = () if is_dataclass(made) else signature(kind).parameters.values()
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if missing := [argument for argument in named if argument not in config]:
        raise ValueError(
            f"config() of a {kind.__name__} must hold every argument of its constructor, and lacks "
            f"{', '.join(missing)}: reopened, it would have the default"
        )


def registered(name: str) -> Callable | None:
    """Return what was registered under this name; None if nothing was."""
    return _REGISTERED.get(name)


def name_of(kind: Callable) -> str:
    """Return the name of a class or a function. Raises ValueError for a lambda and anything else without a name."""
    if not isinstance(kind, type | FunctionType) or not kind.__name__.isidentifier():
        raise ValueError(f"what is registered must be a class or a function with a name of its own, got {kind!r}")
    return kind.__name__


def overrides(kind: type, name: str, beside: str) -> bool:
    """Return whether a class has its own `name` but took over `beside`, which was written for an earlier `name`.

    Both are names of members that only make sense together, such as `sample` and `sample_held_out`. The answer is True
    if the class in which `name` is defined inherits from the one in which `beside` is.
    """
    own, earlier = (next(base for base in kind.__mro__ if member in vars(base)) for member in (name, beside))
    return own is not earlier and issubclass(own, earlier)


def _place(kind: Callable) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
