"""What a task offers: the contract between what is learned and everything that asks for examples.

A task draws examples and can write itself into a trajectory's JSON. The others below are for tasks that offer more.
"""

from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np

IGNORED = -100  # the label of a position that is not predicted, as in torch's own cross-entropy

Examples = tuple[np.ndarray, np.ndarray]  # inputs and labels


@runtime_checkable
class Task(Protocol):
    """What is learned. Any class with these members is a task; `pdtutor.register` lets its trajectories be reopened."""

    @property
    def classes(self) -> int:
        """Number of labels."""
        ...

    def sample(self, rng: np.random.Generator, n: int, /) -> Examples:
        """Return n fresh examples: inputs (n, …), float32 or int64, and labels, int64 of 0…classes − 1.

        Labels are (n,), one per example, or (n, length), one per position of inputs (n, length). Those equal to
        IGNORED are not predicted, and count in no loss and no accuracy.
        """
        ...

    def config(self) -> dict:
        """Return the JSON-ready description from which the task is rebuilt: its class's name and its arguments."""
        ...


@runtime_checkable
class HeldOut(Task, Protocol):
    """A task whose examples could be met again, as a text's could: evaluations have examples of their own."""

    def sample_held_out(self, rng: np.random.Generator, n: int, /) -> Examples:
        """Return n examples, as `sample` does, made of what `sample` never draws from."""
        ...


@runtime_checkable
class Padded(Task, Protocol):
    """A task on rows of ids that are filled up after their end. Its batches are made of rows of like length."""

    @property
    def padding(self) -> int:
        """The id that fills rows up."""
        ...

    def lengths(self, inputs: np.ndarray, /) -> np.ndarray:
        """Return how many ids of each row are not padding: (…, length) → (…,)."""
        ...


@runtime_checkable
class SequenceTask(Task, Protocol):
    """A task on rows of ids with a label per position: what a Transformer of the right size is made from."""

    @property
    def vocabulary(self) -> int:
        """Number of ids."""
        ...

    @property
    def longest(self) -> int:
        """Ids in the longest row."""
        ...

    @property
    def padding(self) -> int | None:
        """The id that fills rows up, None if they are all of one length."""
        ...

    @property
    def causal(self) -> bool:
        """Whether a position is predicted from what is before it alone."""
        ...


@runtime_checkable
class MaskedTask(SequenceTask, Protocol):
    """Masked prediction: a task whose rows can be had whole, to be masked as a probe likes."""

    @property
    def mask(self) -> int:
        """The id that hides a token."""
        ...

    def whole(self, rng: np.random.Generator, n: int, /) -> tuple[np.ndarray, np.ndarray]:
        """Return n rows for probes, nothing masked, and the number of tokens in each: (n, length) int64 and (n,).

        A row's tokens stand at positions 1 … number.
        """
        ...

    def is_token(self, rows: np.ndarray, /) -> np.ndarray:
        """Return which ids may be masked: (…) int64 → (…) bool."""
        ...


class Packed(ABC):
    """A task that draws examples as small arrays and makes inputs and labels of them afterwards.

    So several streams are unpacked at once, and a GPU, which is sent the small array, makes its examples itself. A
    subclass that overrides `sample` gives this up: its own `sample` is then asked for every example.
    """

    def sample(self, rng: np.random.Generator, n: int) -> Examples:
        """Return n fresh examples: inputs (n, …) and labels (n,)."""
        return self.unpack(self.packed(rng, n))

    @abstractmethod
    def packed(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n fresh examples as a small array (n, …), from which `unpack` makes them."""

    @abstractmethod
    def unpack(self, packed: Any) -> Any:
        """Return the examples packed in (…, size): numpy arrays of an array, tensors of a tensor, on its device."""


def is_packed(task: Task | Packed) -> TypeGuard[Packed]:
    """Return whether the task's examples may be drawn packed: it is `Packed` and `sample` is not its own."""
    return isinstance(task, Packed) and type(task).sample is Packed.sample
