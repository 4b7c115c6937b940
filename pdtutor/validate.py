"""Checks of arguments that many modules share. Each error names the value that was given and what is allowed."""

import math
from collections.abc import Sequence
from numbers import Integral, Real


def whole(name: str, value: object, *, minimum: int = 1) -> int:
    """Return the value as an int. Raises ValueError unless it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return int(value)


def number(name: str, value: object, *, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Return the value as a float. Raises ValueError unless it is finite and lies in [minimum, maximum]."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if not minimum <= float(value) <= maximum:
        allowed = f"at least {minimum:g}" if maximum == math.inf else f"between {minimum:g} and {maximum:g}"
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return float(value)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return the value. Raises ValueError unless it is one of the allowed words."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def seed_list(seed: int | Sequence[int]) -> list[int]:
    """Return one seed, or a sequence of one per copy of a model, as a list. Raises ValueError if there is none."""
    seeds = [whole("seed", one, minimum=0) for one in (seed if isinstance(seed, Sequence) else [seed])]
    if not seeds:
        raise ValueError("a model needs at least one seed, got an empty list")
    return seeds


def differences(theirs: dict, mine: dict, *, was: str = "was", now: str = "now") -> str:
    """Return, as text, which entries of two dictionaries differ, with both values; an empty text if none does."""
    return "; ".join(
        f"{key} {was} {theirs.get(key)!r}, {now} {mine.get(key)!r}"
        for key in sorted(theirs.keys() | mine.keys())
        if theirs.get(key) != mine.get(key)
    )
