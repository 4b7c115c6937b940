"""The contract of a task: what a class must offer so that models can be trained and evaluated on its examples.

`Task` is all that a task of your own needs: `sample`, `classes` and `config`. The protocols after it name what some
tasks offer beyond that, and `Packed` is a base class for tasks whose examples can be drawn as small arrays.
"""

from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np

from pdtutor.validate import instance

IGNORED = -100  # the label of a position that is not predicted; torch's cross-entropy ignores the same number

Examples = tuple[np.ndarray, np.ndarray]  # (inputs, labels)


@runtime_checkable
class Task(Protocol):
    """What a model learns: a source of labelled examples.

    Any class with these three members is a task; it needs no base class. Register a class of your own with
    `pdtutor.register`, so that the trajectories of models trained on it can be reopened.
    """

    @property
    def classes(self) -> int:
        """Number of classes: labels are 0…classes − 1."""
        ...

    def sample(self, rng: np.random.Generator, n: int, /) -> Examples:
        """Return n fresh examples, inputs and labels, with all randomness drawn from `rng`.

        Inputs are (n, …), float32 or int64. Labels are int64 in 0…classes − 1: one per example, (n,), or one per
        position of inputs (n, length), (n, length). A position whose label is IGNORED (−100) is not predicted, and
        counts neither in a loss nor in an accuracy.
        """
        ...

    def config(self) -> dict:
        """Return the JSON-ready dict from which `build_task` rebuilds the task.

        It holds the name of the task's class under "class", and the arguments to call the class with, by name.
        """
        ...


@runtime_checkable
class HeldOut(Task, Protocol):
    """A task with a limited source of examples, such as a text, part of which is kept for evaluation.

    A subclass that overrides `sample` overrides `sample_held_out`, too; with its parent's examples it can't be
    evaluated.
    """

    def sample_held_out(self, rng: np.random.Generator, n: int, /) -> Examples:
        """Return n examples, as `sample` does, from the part of the source that `sample` never draws from."""
        ...


@runtime_checkable
class Fingerprinted(Task, Protocol):
    """A task whose examples depend on files, so that its `config()` alone doesn't say which examples it draws."""

    def fingerprint(self) -> str:
        """Return a short digest of all content that its examples are drawn from."""
        ...


def fingerprint_of(task: Task) -> str | None:
    """Return the task's fingerprint, None if its `config()` says it all."""
    return task.fingerprint() if isinstance(task, Fingerprinted) else None


@runtime_checkable
class Padded(Task, Protocol):
    """A task on rows of ids of different lengths, filled up with padding; its batches hold rows of similar length."""

    @property
    def padding(self) -> int:
        """The id that fills rows up after their end."""
        ...

    def lengths(self, inputs: np.ndarray, /) -> np.ndarray:
        """Return how many ids of each row are not padding: (…, length) → (…,)."""
        ...


@runtime_checkable
class SequenceTask(Task, Protocol):
    """A task on rows of ids with a label per position, and the sizes of a Transformer for it."""

    @property
    def vocabulary(self) -> int:
        """Number of ids: inputs are 0…vocabulary − 1."""
        ...

    @property
    def longest(self) -> int:
        """Number of ids in the longest row."""
        ...

    @property
    def padding(self) -> int | None:
        """The id that fills rows up after their end; None if all rows have the same length."""
        ...

    @property
    def causal(self) -> bool:
        """Whether the prediction at a position may depend only on the ids up to and including it."""
        ...


@runtime_checkable
class MaskedTask(SequenceTask, Protocol):
    """A task of masked prediction that also offers its rows unmasked, so that a probe can mask them itself."""

    @property
    def mask(self) -> int:
        """The id that hides a token."""
        ...

    def whole(self, rng: np.random.Generator, n: int, /) -> tuple[np.ndarray, np.ndarray]:
        """Return n unmasked rows for probes, (n, length) int64, and the number of tokens in each, (n,).

        A row with m tokens has them at positions 1…m.
        """
        ...

    def is_token(self, rows: np.ndarray, /) -> np.ndarray:
        """Return True for ids that may be masked: (…) int64 → (…) bool."""
        ...


def a_task(name: str, given: object) -> Task:
    """Return the object. Raises ValueError unless it is a task."""
    return instance(name, given, Task, "a task: an object with classes, sample(rng, n) and config()")


def few_sizes(size: int, most: int) -> int:
    """Return the size rounded up to a multiple of 16, so that few different ones occur; at most `most`.

    On an accelerator a new shape means memory to find, kernels to choose and updates to record.
    """
    return min(-(-size // 16) * 16, most)


def require_examples(task: Task, examples: Any, n: int) -> Examples:
    """Return n examples as they came, if they are what a task must draw (see `Task.sample`).

    Raises ValueError that names the task for anything else than a pair of arrays, other types and shapes, and labels
    that are neither IGNORED nor in 0…classes − 1.
    """
    name = type(task).__name__
    if not isinstance(examples, tuple) or len(examples) != 2 or not all(isinstance(e, np.ndarray) for e in examples):
        raise ValueError(f"{name} must draw a pair of numpy arrays, inputs and labels")
    inputs, labels = examples
    if inputs.dtype not in (np.float32, np.int64) or labels.dtype != np.int64:
        raise ValueError(
            f"{name} must draw inputs of float32 or int64 and labels of int64, got {inputs.dtype} and {labels.dtype}"
        )
    if len(inputs) != n or labels.shape not in ((n,), inputs.shape):
        raise ValueError(
            f"{name} was asked for {n} examples: inputs must be ({n}, …) and labels ({n},), or like the inputs, got "
            f"{inputs.shape} and {labels.shape}"
        )
    scored = labels[labels != IGNORED]
    if scored.size and (scored.min() < 0 or scored.max() >= task.classes):
        raise ValueError(
            f"labels of {name} must lie in 0…{task.classes - 1} or be IGNORED, got {scored.min()}…{scored.max()}"
        )
    return inputs, labels


class Packed(ABC):
    """A base class for tasks that draw examples as small arrays first, and turn these into inputs and labels later.

    Write `packed` and `unpack`; `sample` comes with them. Several streams are then unpacked at once, and a GPU receives
    the small array and makes the examples itself. A subclass that overrides `sample` does without this: all its
    examples come from its own `sample`.
    """

    def sample(self, rng: np.random.Generator, n: int) -> Examples:
        """Return n fresh examples: inputs (n, …) and labels (n,)."""
        return self.unpack(self.packed(rng, n))

    @abstractmethod
    def packed(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n fresh examples as a small array (n, …), for `unpack`."""

    @abstractmethod
    def unpack(self, packed: Any) -> Any:
        """Return the inputs and labels of packed examples (…, size): arrays, or for a tensor, tensors on its device."""


def is_packed(task: Task | Packed) -> TypeGuard[Packed]:
    """Return whether the task's examples can be drawn packed: it is `Packed` and doesn't override `sample`."""
    return isinstance(task, Packed) and type(task).sample is Packed.sample
