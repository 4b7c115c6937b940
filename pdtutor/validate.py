"""The argument checks that many rooms share; each names the value it was given and what is allowed."""

import math
from collections.abc import Sequence
from numbers import Integral, Real


def whole(name: str, value: object, *, minimum: int = 1) -> int:
    """Return value as an int if it is a whole number of at least `minimum`, else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return int(value)


def number(name: str, value: object, *, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Return value as a float if it is finite and lies in [minimum, maximum], else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if not minimum <= value <= maximum:
        allowed = f"at least {minimum:g}" if maximum == math.inf else f"between {minimum:g} and {maximum:g}"
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return float(value)


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return value if it is one of the allowed words, else raise ValueError."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def seed_list(seed: int | Sequence[int]) -> list[int]:
    """Return the seeds of a model's copies as a list: of one seed, or of one per copy. Raises ValueError for none."""
    seeds = [whole("seed", one, minimum=0) for one in (seed if isinstance(seed, Sequence) else [seed])]
    if not seeds:
        raise ValueError("a model needs at least one seed, got an empty list")
    return seeds


def differences(theirs: dict, mine: dict, *, was: str = "was", now: str = "now") -> str:
    """Return which entries of two dictionaries differ, with both values; nothing if none does."""
    return "; ".join(
        f"{key} {was} {theirs.get(key)!r}, {now} {mine.get(key)!r}"
        for key in sorted(theirs.keys() | mine.keys())
        if theirs.get(key) != mine.get(key)
    )
