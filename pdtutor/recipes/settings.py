"""A recipe's settings by the names they have on the command line, and what is wrong with them before training."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from pdtutor.validate import number, whole

WHOLE = (int, int | None, tuple[int, ...])
REAL = (float, float | None, tuple[float, ...])
SHARES = ("warmup", "threshold", "rate")  # of updates, of examples, of tokens: between 0 and 1
FROM_ZERO = ("early", "late", "around", "level", "first_checkpoint", "quarters")  # whole numbers that may be 0


class Checked:
    """What has more to check than that its numbers are in range: whether they fit together."""

    def check(self) -> None:
        """Raise ValueError for settings that can't be trained with, without training anything."""
        raise NotImplementedError


def settings(recipe: Any) -> dict[str, Any]:
    """Return the settings of a recipe and of its parts, by name: `lr`, `teacher.lr`, `runs.0.teacher.lr`, …"""
    return {name: value for name, value, _ in _settings(recipe)}


def check(recipe: Any) -> None:
    """Raise ValueError, naming the setting, for a recipe that can't be run; nothing is trained.

    Whole numbers must be at least 1, a few at least 0; others must be finite and at least 0. Then every part that is
    `Checked` says whether its settings fit together.
    """
    for name, value, hint in _settings(recipe):
        last = name.rpartition(".")[2]
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None and hint in WHOLE:
                whole(name, one, minimum=0 if last in FROM_ZERO else 1)
            elif one is not None and hint in REAL:
                number(name, one, minimum=0, **({"maximum": 1} if last in SHARES else {}))
    for name, part in _parts(recipe):
        if isinstance(part, Checked):
            try:
                part.check()
            except ValueError as error:
                raise ValueError(f"{name}: {error}" if name else str(error)) from error


def _parts(recipe: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the recipe and all parts of it that are dataclasses, each after its name; the recipe's own is empty."""
    yield name, recipe
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        inner = f"{name}.{field.name}" if name else field.name
        if is_dataclass(value):
            yield from _parts(value, inner)
        elif isinstance(value, tuple):
            for i, part in enumerate(value):
                if is_dataclass(part):
                    yield from _parts(part, f"{inner}.{i}")


def _settings(recipe: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, the value and the type of every setting that has no parts of its own."""
    for name, part in _parts(recipe):
        hints = get_type_hints(type(part))
        for field in fields(part):
            value = getattr(part, field.name)
            if not any(map(is_dataclass, value if isinstance(value, tuple) else (value,))):
                yield (f"{name}.{field.name}" if name else field.name), value, hints[field.name]
