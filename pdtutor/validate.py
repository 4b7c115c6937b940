"""The argument checks that many rooms share; each names the value it was given and what is allowed."""

import math
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
