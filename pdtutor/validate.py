"""Checks of arguments that many modules share. Each error names the value that was given and what is allowed.

Numbers may come out of numpy, pandas or torch; what the checks return is Python's own, which JSON can hold.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")

AS_TEXT = ("alpha", "schedule", "temperature")  # settings that are written down as their repr


@runtime_checkable
class _Array(Protocol):
    """Numbers of numpy, pandas or torch: a scalar, an array, a column or a tensor."""

    @property
    def ndim(self) -> int: ...

    def tolist(self) -> Any: ...


def plain(value: Any) -> Any:
    """Return numbers of numpy, pandas or torch as Python's own, an array as a list, and anything else as it is."""
    return value.tolist() if isinstance(value, _Array) and not isinstance(value, type) else value


def whole(name: str, value: object, *, minimum: int = 1) -> int:
    """Return the value as an int. Raises ValueError unless it is a whole number of at least `minimum`."""
    given = plain(value)
    if isinstance(given, bool) or not isinstance(given, Integral) or int(given) < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {shown(value)}")
    return int(given)


def number(name: str, value: object, *, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Return the value as a float. Raises ValueError unless it is finite and lies in [minimum, maximum]."""
    given = plain(value)
    try:
        finite = isinstance(given, Real) and not isinstance(given, bool) and math.isfinite(given)
    except OverflowError:  # a whole number too large for a float
        finite = False
    if not finite:
        raise ValueError(f"{name} must be a finite number, got {shown(value)}")
    found = float(given)
    if not minimum <= found <= maximum:
        allowed = f"at least {minimum:g}" if maximum == math.inf else f"between {minimum:g} and {maximum:g}"
        raise ValueError(f"{name} must be {allowed}, got {shown(value)}")
    return found


def flag(name: str, value: object) -> bool:
    """Return the value as a bool. Raises ValueError unless it is True or False."""
    given = plain(value)
    if not isinstance(given, bool):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")
    return given


def one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    """Return the value. Raises ValueError unless it is one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {shown(value)}")
    return str(value)


def text(name: str, value: object) -> str:
    """Return the value. Raises ValueError unless it is a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a string that is not empty, got {shown(value)}")
    return str(value)


def user_path(path: str | PathLike) -> Path:
    """Return the path with the user's home for a leading `~`, which a shell leaves as it is in `--out=~/run`.

    `~name` is that user's home; as in a shell, it stays as it is if there is no such user. Raises ValueError for `~` if
    no home is known.
    """
    path = Path(path)
    try:
        return path.expanduser()
    except RuntimeError:
        if path.parts[0] != "~":
            return path
        raise ValueError(f"{path}: no home folder is known for ~; set HOME, or write the path without ~") from None


def a_path(name: str, value: object) -> Path:
    """Return the value as a path, see `user_path`. Raises ValueError for anything else, and for an empty one."""
    if not isinstance(value, str | PathLike) or not str(value):
        raise ValueError(f"{name} must be a path, got {shown(value)}")
    return user_path(value)


def instance(name: str, value: object, kind: type[T], what: str) -> T:
    """Return the value. Raises ValueError, saying `what` is needed, unless it is an object of this class."""
    if not isinstance(value, kind) or isinstance(value, type):
        raise ValueError(f"{name} must be {what}, got {shown(value)}")
    return value


@runtime_checkable
class _Table(Protocol):
    """A data frame."""

    @property
    def columns(self) -> Any: ...

    def groupby(self, by: Any) -> Any: ...


def a_table(name: str, value: object, *columns: str) -> None:
    """Raise ValueError unless the value is a data frame with these columns."""
    table = instance(name, value, _Table, f"a table with the columns {', '.join(columns)}")
    if missing := [column for column in columns if column not in table.columns]:
        raise ValueError(f"{name} must have the columns {', '.join(columns)}, and lacks {', '.join(missing)}")


def several(value: Any, *, ordered: bool = True) -> list | None:
    """Return what a list, tuple, range, array, column or tensor holds as a list; None for anything else.

    Strings and dictionaries are something else, too, and so are sets, unless the order doesn't count.
    """
    given = plain(value)
    listed = isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping)
    if isinstance(given, set | frozenset) and ordered:
        listed = False
    return [plain(one) for one in given] if listed else None


def sequence(name: str, value: object, *, ordered: bool = True) -> list:
    """Return a sequence as a list; see `several`. Raises ValueError for anything else."""
    if (found := several(value, ordered=ordered)) is None:
        raise ValueError(f"{name} must be a list, got {shown(value)}")
    return found


def seed_list(seed: object, *, name: str = "seed") -> list[int]:
    """Return one seed, or a sequence of one per copy of a model, as a list. Raises ValueError if there is none."""
    found = several(seed)
    seeds = [whole(name, one, minimum=0) for one in ([seed] if found is None else found)]
    if not seeds:
        raise ValueError(f"a model needs at least one {name}, got an empty list")
    return seeds


def shown(value: object) -> str:
    """Return a value for a message: its repr, or what it is if that is long; a class as "the class …"."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    try:
        written = " ".join(repr(value).split())
    except Exception:  # a repr of the reader's own, say
        written = ""
    return written if 0 < len(written) <= 100 else f"a {type(value).__name__}"


def differences(theirs: dict, mine: dict, *, was: str = "was", now: str = "now") -> str:
    """Return, as text, which entries of two dictionaries differ, with both values; an empty text if none does.

    Values count, not how they are written: a temperature of 1 is one of 1.0.
    """
    return "; ".join(
        f"{key} {was} {theirs.get(key)!r}, {now} {mine.get(key)!r}"
        for key in sorted(theirs.keys() | mine.keys())
        if _by_value(theirs.get(key), key) != _by_value(mine.get(key), key)
    )


def _by_value(value: Any, key: str) -> Any:
    """Return a setting in a form that is equal if its value is: numbers within a repr are written in one way."""
    if isinstance(value, dict):
        return {inner: _by_value(one, inner) for inner, one in value.items()}
    if isinstance(value, list | tuple):
        return [_by_value(one, key) for one in value]
    if key in AS_TEXT and isinstance(value, str):
        bare = re.sub(r"np\.float\d+\(([^()]*)\)|np\.int\d+\(([^()]*)\)", lambda m: m[1] or m[2], value)
        return re.sub(r"(?<![\w.])\d+\.?\d*(e[-+]?\d+)?(?![\w.])", lambda m: repr(float(m[0])), bare)
    return value
