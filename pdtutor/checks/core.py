"""How an exercise checker answers: ✓, or one small case with what was given and what came back, and a hint.

A checker runs the reader's function on a few cases and prints. It never raises and returns None, so that it can stand
as the last line of a notebook cell, and it prints the same text on every machine: rounded numbers, no addresses.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LONGEST = 300  # characters of a dict or a list that are shown


@dataclass(frozen=True)
class Case:
    """One call of the reader's function: keyword name → value (passed in this order), and the right answer.

    `mistakes` maps a hint to the wrong answer that calls for it; the general hint is used when none matches.
    """

    given: Mapping[str, Any]
    expected: Any
    mistakes: Mapping[str, Any] = field(default_factory=dict)


def check(
    name: str,
    function: Any,
    cases: Sequence[Case],
    *,
    hint: str,
    success: str,
    tolerance: float = 1e-6,
    dtype: type | None = None,
    untouched: str = "",
) -> None:
    """Print the verdict on `function` for the exercise `name`.

    Numbers agree within `tolerance` relative to the largest expected one. The first case that fails decides. With a
    NumPy `dtype`, the right numbers of another type fail, too; with `untouched`, the hint for it, so does a function
    that changes an array that it was given. Where a dict is expected, what else the answer holds doesn't matter.
    """
    print(_verdict(name, function, cases, hint, success, tolerance, dtype, untouched))


def _verdict(
    name: str,
    function: Any,
    cases: Sequence[Case],
    hint: str,
    success: str,
    tolerance: float,
    dtype: type | None,
    untouched: str,
) -> str:
    if function is None or function is Ellipsis:
        return unsolved(name)
    if not callable(function):
        return f"✗ {name}: expected a function, got {show(function)}. Pass the function itself, without calling it."
    for case in cases:
        given = deepcopy(list(case.given.values()))
        try:
            found = function(*given)
        except NotImplementedError:
            return unsolved(name)
        except (Exception, SystemExit) as error:  # whatever the reader's code does, the lesson goes on
            return _failure(name, case, f"your function stopped with {show_error(error)}", hint)
        if found is None or found is Ellipsis:
            return unsolved(name)
        problem = _difference(found, case.expected, tolerance)
        if problem:
            matching = (text for text, wrong in case.mistakes.items() if not _difference(found, wrong, tolerance))
            return _failure(name, case, problem, next(matching, hint))
        if dtype is not None and np.asarray(found).dtype != dtype:
            problem = f"the numbers are right, their type {np.asarray(found).dtype} is not {np.dtype(dtype)}"
            return _failure(name, case, problem, hint)
        if untouched and (changed := _changed(case.given, given)):
            return _failure(name, case, f"the answer is right, but your function changed {changed}", untouched)
    return f"✓ {name}: {success}"


def unsolved(name: str) -> str:
    return f"… {name}: not solved yet. Fill in the function, then run this cell again."


def _failure(name: str, case: Case, problem: str, hint: str) -> str:
    given = ", ".join(f"{key} = {show(value)}" for key, value in case.given.items())
    return "\n".join(
        [f"✗ {name}: {problem}", f"  given:    {given}", f"  expected: {show(case.expected)}", f"  hint:     {hint}"]
    )


def _changed(before: Mapping[str, Any], after: Sequence[Any]) -> str:
    """The name of the first array that is not what it was; empty when there is none."""
    pairs = zip(before.items(), after, strict=True)
    return next((key for (key, old), new in pairs if isinstance(old, np.ndarray) and not np.array_equal(old, new)), "")


def _difference(found: Any, expected: Any, tolerance: float) -> str:
    """What is wrong with the answer, in one line; empty when it is right."""
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return f"got {show(found)}, which is not a dict"
        for key, value in expected.items():
            if key not in found:
                return f"got {show(found)}, without {key!r}"
            if problem := _difference(found[key], value, tolerance):
                return f"at {key!r} {problem}"
        return ""
    try:
        values = np.asarray(found, dtype=np.float64)
    except Exception:  # an object may refuse in any way it likes
        return f"got {show(found)}, which is not a number or an array of numbers"
    target = np.asarray(expected, dtype=np.float64)
    if values.shape != target.shape:
        return f"got shape {values.shape}, expected shape {target.shape}"
    if np.isnan(values).any():
        return f"got {show(found)}: something divided 0 by 0 or overflowed"
    scale = float(np.abs(target).max(initial=0.0)) or 1.0
    if np.all(np.abs(values - target) <= tolerance * scale):
        return ""
    return f"got {show(found)}"


def _show_parts(value: Any) -> str:
    """A dict, list or tuple part by part, or its size; empty for anything else."""
    try:
        if isinstance(value, Mapping):
            text = "{" + ", ".join(f"{show(key)}: {show(part)}" for key, part in value.items()) + "}"
        elif isinstance(value, list | tuple):
            text = ", ".join(map(show, value))
            text = f"[{text}]" if isinstance(value, list) else f"({text})" if len(value) > 1 else f"({text},)"
        else:
            return ""
        return text if len(text) <= LONGEST else f"a {type(value).__name__} of {len(value)}"
    except Exception:  # one that holds itself, say
        return ""


def show_error(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def show(value: Any) -> str:
    """A short text for a value, the same on every machine: six significant digits, one line, no memory addresses."""
    if isinstance(value, bool | np.bool_ | str):
        return repr(value)
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except Exception:
        return _show_parts(value) or f"a {type(value).__name__}"
    if numbers.ndim == 0:
        return f"{float(numbers):.6g}"
    if numbers.size > 64:
        return f"an array of shape {numbers.shape}"
    text = np.array2string(numbers, separator=", ", formatter={"float_kind": lambda number: f"{number:.6g}"})
    return " ".join(text.split())
