"""An endless stream of training examples, addressed by update.

Examples are drawn in blocks of about 4096, fewer if they are large, each block from its own generator. So the examples
of update s are the same whether training got there in one go, in pieces, or after a resume, and a stream has no state
to save.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from pdtutor.seeds import generator
from pdtutor.tasks.task import IGNORED, Examples, Packed, Padded, SequenceTask, Task, a_task, few_sizes, is_packed
from pdtutor.validate import seed_list, text, whole

BLOCK_EXAMPLES = 4096
BLOCK_BYTES = 2**28  # of inputs in a block: fewer examples, if they are larger than 64 kB each
ALL = slice(None)  # all rows of a batch


@dataclass(frozen=True)
class Stretch:
    """The examples of consecutive updates, as teachers, targets and engines receive them.

    Attributes:
        inputs: whole batches, (distinct, updates, batch, …); the first axis has one entry per distinct seed.
        labels: (distinct, updates, batch), or (distinct, updates, batch, length) with a label per position.
        index: (copies,) int64; copy c of the model reads entry index[c] of the first axis.
        start: number of the first update.
        rows: the rows of every batch that this process works on; all of them if it trains alone.
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor
    start: int
    rows: slice = field(default_factory=lambda: ALL)

    def __len__(self) -> int:
        """Return the number of updates."""
        return self.labels.shape[1]

    @property
    def stop(self) -> int:
        """Number of the update after the last one."""
        return self.start + len(self)

    @property
    def per_position(self) -> bool:
        """Whether there is a label per position of a sequence, rather than one per example."""
        return self.labels.dim() == 4

    @property
    def own_inputs(self) -> Tensor:
        """The inputs that this process works on: (distinct, updates, rows, …)."""
        return self.inputs[:, :, self.rows]

    @property
    def own_labels(self) -> Tensor:
        """The labels that this process works on: (distinct, updates, rows, …)."""
        return self.labels[:, :, self.rows]

    def first(self, updates: int) -> "Stretch":
        """Return the stretch of the first `updates` updates."""
        return replace(self, inputs=self.inputs[:, :updates], labels=self.labels[:, :updates])


class Stream:
    """The examples of `task` in batches, one independent stream per distinct seed.

    Args:
        task: the task to draw from. If it is `Padded`, the rows of a batch are similar in length, so that they need
            little padding; batches of different lengths come in random order, the same for every seed.
        batch_size: examples per update.
        seeds: one seed per copy of the model; copies with equal seeds see equal examples.
        purpose: the stream's name ("teacher data", "student data"); another purpose gives other examples.
        device: the device to return examples on; they are the same on every device, but for padding.
        rows: the rows of every batch that this process works on; see `Stretch`.

    Attributes:
        distinct: the distinct seeds, in order of first appearance.
        index: (copies,) int64; see `Stretch`.
        block: updates per block.
    """

    def __init__(
        self,
        task: Task,
        *,
        batch_size: int,
        seeds: Sequence[int],
        purpose: str,
        device: str | torch.device = "cpu",
        rows: slice = ALL,
    ) -> None:
        self.task, self.batch_size = a_task("task", task), whole("batch_size", batch_size)
        self.purpose, self.rows, seeds = text("purpose", purpose), rows, seed_list(seeds, name="seeds")
        self.device = torch.device(device if isinstance(device, torch.device) else text("device", device))
        self.distinct = list(dict.fromkeys(seeds))
        self.index = torch.tensor([self.distinct.index(seed) for seed in seeds])
        self.block = max(1, min(BLOCK_EXAMPLES, BLOCK_BYTES // self._size()) // self.batch_size)
        self._held: tuple[int, Tensor, Tensor] | None = None

    def stretch(self, start: int, stop: int) -> Stretch:
        """Return the examples of updates start…stop − 1, or of the first of them if their block ends before `stop`."""
        number, offset = divmod(start, self.block)
        if self._held is None or self._held[0] != number:
            inputs, labels = (part.unflatten(1, (self.block, self.batch_size)) for part in self._draw(number))
            self._held = number, inputs, labels
        _, inputs, labels = self._held
        here = slice(offset, offset + stop - start)
        return Stretch(inputs[:, here], labels[:, here], self.index, start, self.rows)

    def padding_share(self) -> float:
        """Return the share of padding in the first block's batches, each cut to its longest row: 0 to 1."""
        if not isinstance(self.task, Padded):
            return 0.0
        inputs = self.stretch(0, self.block).inputs  # (distinct, updates, batch, length)
        lengths = self.task.lengths(inputs.cpu().numpy())  # (distinct, updates, batch)
        return 1 - float(lengths.sum() / (lengths.max(axis=(0, 2)).sum() * lengths.shape[0] * lengths.shape[2]))

    def _size(self) -> int:
        """Return the bytes of one example's inputs, at least 1."""
        inputs, _ = self.task.sample(generator(0, f"{self.purpose}: size"), 1)
        return max(1, inputs.nbytes)

    def _draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Return one block on the stream's device: inputs and labels, both (distinct, examples, …)."""
        generators = [generator(seed, self.purpose, number) for seed in self.distinct]
        examples = self.block * self.batch_size
        if is_packed(self.task):
            return self._unpacked(self.task, _stacked([self.task.packed(rng, examples) for rng in generators]))
        drawn = [self.task.sample(rng, examples) for rng in generators]
        if isinstance(self.task, Padded):
            drawn = self._by_length(self.task, drawn, number)
        inputs, labels = (torch.from_numpy(_stacked(part)).to(self.device) for part in zip(*drawn, strict=True))
        return inputs, labels

    def _unpacked(self, task: Packed, packed: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the examples of a packed array, unpacked on the stream's device."""
        if self.device.type != "cpu":
            return task.unpack(torch.from_numpy(packed).to(self.device))
        inputs, labels = task.unpack(packed)  # numpy is faster here
        return torch.from_numpy(inputs), torch.from_numpy(labels)

    def _by_length(self, task: Padded, drawn: list[Examples], number: int) -> list[Examples]:
        """Return the examples of every seed, in batches of similar length, padded to the longest row of all.

        On an accelerator, where every new shape costs time, rows have one of few lengths.
        """
        longest = max(inputs.shape[1] for inputs, _ in drawn)
        if self.device.type != "cpu" and isinstance(task, SequenceTask):
            longest = few_sizes(longest, task.longest)
        turns = generator(0, f"{self.purpose}: order of batches", number).permutation(self.block)
        ordered = []
        for inputs, labels in drawn:
            order = task.lengths(inputs).argsort(kind="stable").reshape(self.block, -1)[turns].ravel()
            missing = ((0, 0), (0, longest - inputs.shape[1]))
            inputs = np.pad(inputs[order], missing, constant_values=task.padding)
            ordered.append((inputs, np.pad(labels[order], missing, constant_values=IGNORED)))
        return ordered


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the arrays stacked along a new first axis; a single one is not copied."""
    return np.stack(arrays) if len(arrays) > 1 else arrays[0][None]
