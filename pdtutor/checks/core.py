"""How an exercise's checker answers: ✓, or one small case, with what was given and what came back, and a hint.

A checker runs the reader's function on a few cases and prints its verdict. It never raises an error and returns None,
so that it can be the last line of a notebook's cell. It prints the same text on every machine: rounded numbers, no
memory addresses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LONGEST = 300  # characters; a dict or a list whose text is longer is shown by its size
SHAPES = (
    "shapes are lined up from the last axis: keepdims=True keeps an axis that a sum or a maximum drops, and x[:, None] "
    "adds one at the end."
)

Fault = tuple[str, Mapping[str, Any], str]  # what is wrong, the values that show it by name, a hint


class Either(tuple):
    """Several answers, any of which will do, or any of which is the same mistake; the first is the one to show."""


@dataclass(frozen=True)
class Case:
    """One call of the reader's function.

    Attributes:
        given: the arguments by name; they are passed by position, in this order.
        expected: the right answer, or `Either` of several.
        mistakes: hint → the wrong answer that deserves it, or `Either` of several; the first that matches counts, and
            an answer that matches none gets the general hint.
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

    def faults(answer: Callable) -> Iterator[Fault]:
        for case in cases:
            yield from _case_faults(answer, case, hint, tolerance, dtype, untouched)

    print(_verdict(name, function, faults, hint, success))


def check_faults(
    name: str, function: Any, faults: Callable[[Callable], Iterator[Fault]], *, hint: str, success: str
) -> None:
    """Print the verdict on `function` for an exercise with many right answers; the first fault decides.

    Args:
        name: the exercise, as it is printed.
        function: the reader's function.
        faults: calls the function that it is given, and yields what is wrong with its answers.
        hint: the hint for a function that stops with an error.
        success: what is printed after ✓.
    """

    def shown(answer: Callable) -> Iterator[Fault]:
        for problem, values, its_hint in faults(answer):
            yield problem, {key: show(value) for key, value in values.items()}, its_hint

    print(_verdict(name, function, shown, hint, success))


def _verdict(name: str, function: Any, faults: Callable[[Callable], Iterator[Fault]], hint: str, success: str) -> str:
    """Return the text to print; the values of these faults are texts already."""
    unsolved = f"… {name}: not solved yet. Fill in the function, then run this cell again."
    if function is None or function is Ellipsis:
        return unsolved
    if not callable(function):
        return f"✗ {name}: expected a function, got {show(function)}. Pass the function itself, without calling it."

    def answer(*given: Any) -> Any:
        found = function(*given)
        if found is None or found is Ellipsis:
            raise NotImplementedError
        return found

    try:
        fault = next(faults(answer), None)
    except NotImplementedError:
        return unsolved
    except (Exception, SystemExit) as error:  # whatever the reader's code does, the lesson goes on
        fault = _stopped(error), {}, _hint_at(error, hint)
    if fault is None:
        return f"✓ {name}: {success}"
    problem, texts, hint = fault
    lines = {**texts, "hint": hint}
    width = max(map(len, lines)) + 1
    return "\n".join([f"✗ {name}: {problem}", *(f"  {key + ':':{width}} {text}" for key, text in lines.items())])


def _case_faults(
    answer: Callable, case: Case, hint: str, tolerance: float, dtype: type | None, untouched: str
) -> Iterator[Fault]:
    """Yield what is wrong with the answer to one case."""
    given = deepcopy(list(case.given.values()))
    texts = {
        "given": ", ".join(f"{key} = {show(value)}" for key, value in case.given.items()),
        "expected": show(case.expected[0] if isinstance(case.expected, Either) else case.expected),
    }
    try:
        found = answer(*given)
    except NotImplementedError:
        raise
    except (Exception, SystemExit) as error:
        yield _stopped(error), texts, _hint_at(error, hint)
        return
    if problem := _difference(found, case.expected, tolerance):
        matching = (text for text, wrong in case.mistakes.items() if not _difference(found, wrong, tolerance))
        yield problem, texts, next(matching, hint)
    elif dtype is not None and np.asarray(found).dtype != dtype:
        wrong_type = f"the numbers are right, but their type {np.asarray(found).dtype} is not {np.dtype(dtype)}"
        yield wrong_type, texts, hint
    elif untouched and (changed := _changed(case.given, given)):
        yield f"the answer is right, but your function changed {changed}", texts, untouched


def _stopped(error: BaseException) -> str:
    """Return what is wrong with a function that raised this error: its type and the first line of its message."""
    lines = str(error).splitlines()
    return f"your function stopped with {type(error).__name__}" + (f": {lines[0]}" if lines else "")


def _hint_at(error: BaseException, hint: str) -> str:
    """Return the general hint, after one on shapes if arrays that can't be combined raised the error."""
    text = str(error)
    numpy, torch = "could not be broadcast" in text, "must match the size of tensor" in text
    return f"{SHAPES} {hint}" if numpy or torch else hint


def _changed(before: Mapping[str, Any], after: Sequence[Any]) -> str:
    """Return the name of the first argument that is an array and was changed; "" if there is none."""
    pairs = zip(before.items(), after, strict=True)
    return next((key for (key, old), new in pairs if isinstance(old, np.ndarray) and not np.array_equal(old, new)), "")


def _difference(found: Any, expected: Any, tolerance: float) -> str:
    """Return what is wrong with the answer, in one line; "" if it is right."""
    if isinstance(expected, Either):
        problems = [_difference(found, one, tolerance) for one in expected]
        return "" if "" in problems else problems[0]
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
