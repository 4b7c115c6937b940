"""How an exercise's checker answers: ✓, or one small case, with what was given and what came back, and a hint.

A checker runs the reader's function on a few cases and prints its verdict. It never raises an error and returns None,
so that it can be the last line of a notebook's cell. It prints the same text on every machine: rounded numbers, no
memory addresses.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LONGEST = 300  # characters; a dict or a list whose text is longer is shown by its size


@dataclass(frozen=True)
class Case:
    """One call of the reader's function.

    Attributes:
        given: the arguments by name; they are passed by position, in this order.
        expected: the right answer.
        mistakes: hint → the wrong answer that deserves it; an answer that matches none gets the general hint.
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
    """Print the verdict on `function` for the exercise `name`; the first case that fails decides.

    Where a dict is expected, the answer may hold other keys, too.

    Args:
        name: the exercise, as it is printed.
        function: the reader's function.
        cases: the calls to make, in order.
        hint: the general hint, for an answer that matches none of a case's mistakes.
        success: what is printed after ✓.
        tolerance: by how much a number may differ from the expected one, relative to the largest expected number.
        dtype: the NumPy type that the answer must have; any if not given.
        untouched: the hint for a function that changes an array which it was given; it may do so if not given.
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
    """Return the text that `check` prints."""
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
            problem = f"the numbers are right, but their type {np.asarray(found).dtype} is not {np.dtype(dtype)}"
            return _failure(name, case, problem, hint)
        if untouched and (changed := _changed(case.given, given)):
            return _failure(name, case, f"the answer is right, but your function changed {changed}", untouched)
    return f"✓ {name}: {success}"


def unsolved(name: str) -> str:
    """Return the answer to a stub: to None or `...` in place of a function or of its answer, or NotImplementedError."""
    return f"… {name}: not solved yet. Fill in the function, then run this cell again."


def _failure(name: str, case: Case, problem: str, hint: str) -> str:
    """Return the text for a case that failed."""
    given = ", ".join(f"{key} = {show(value)}" for key, value in case.given.items())
    return "\n".join(
        [f"✗ {name}: {problem}", f"  given:    {given}", f"  expected: {show(case.expected)}", f"  hint:     {hint}"]
    )


def _changed(before: Mapping[str, Any], after: Sequence[Any]) -> str:
    """Return the name of the first argument that is an array and was changed; "" if there is none."""
    pairs = zip(before.items(), after, strict=True)
    return next((key for (key, old), new in pairs if isinstance(old, np.ndarray) and not np.array_equal(old, new)), "")


def _difference(found: Any, expected: Any, tolerance: float) -> str:
    """Return what is wrong with the answer, in one line; "" if it is right."""
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
    except Exception:  # an object may refuse to become an array with any error
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
    """Return the parts of a dict, list or tuple as text, or its size if that is too long; "" for anything else."""
    try:
        if isinstance(value, Mapping):
            text = "{" + ", ".join(f"{show(key)}: {show(part)}" for key, part in value.items()) + "}"
        elif isinstance(value, list | tuple):
            text = ", ".join(map(show, value))
            text = f"[{text}]" if isinstance(value, list) else f"({text})" if len(value) > 1 else f"({text},)"
        else:
            return ""
        return text if len(text) <= LONGEST else f"{_show_type(value)} of {len(value)}"
    except Exception:  # such as one that holds itself
        return ""


def _show_type(value: Any) -> str:
    """Return the value's type with its article: "a dict", "an object"."""
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeioAEIO" else f"a {name}"


def show_error(error: BaseException) -> str:
    """Return an error's type and the first line of its message."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def show(value: Any) -> str:
    """Return one short line for a value, the same on every machine: six significant digits, no memory addresses."""
    if isinstance(value, bool | np.bool_ | str):
        return repr(value)
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except Exception:
        return _show_parts(value) or _show_type(value)
    if numbers.ndim == 0:
        return f"{float(numbers):.6g}"
    if numbers.size > 64:
        return f"an array of shape {numbers.shape}"
    text = np.array2string(numbers, separator=", ", formatter={"float_kind": lambda number: f"{number:.6g}"})
    return " ".join(text.split())
