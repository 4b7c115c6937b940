"""An endless stream of training examples, addressed by update.

Examples come in blocks of about 4096, each from its own generator, so that the examples of update s are the same
whether training ran there in one go, in other chunks, or after a resume. Nothing about a stream needs saving.
"""

from collections.abc import Sequence

import numpy as np
import torch

from pdtutor.seeds import generator

IGNORED = -100  # the label of a position that is not predicted, as in torch's own cross-entropy
BLOCK_EXAMPLES = 4096


class Stream:
    """The examples of `task` in batches, one independent stream per distinct seed.

    Args:
        task: anything with `sample(generator, n)`, or with `packed` and `unpack` (see `pdtutor.tasks`). If it has
            `lengths`, the rows of a batch are alike in length, so that they need little padding, and batches of all
            lengths follow each other in random order, the same for every seed.
        batch_size: examples per update.
        seeds: one seed per copy of the model; copies with equal seeds see equal examples.
        purpose: names the stream ("teacher data", "student data"); other purposes give other examples.
        device: where the examples are wanted; they are the same on every device.

    Attributes:
        distinct: the distinct seeds, in order of first appearance.
        index: (copies,) int64; copy c reads row index[c] of what `chunk` returns.
        block: updates per block.
    """

    def __init__(
        self, task, *, batch_size: int, seeds: Sequence[int], purpose: str, device: str | torch.device = "cpu"
    ) -> None:
        self.task, self.batch_size, self.purpose = task, batch_size, purpose
        self.device = torch.device(device)
        self.distinct = list(dict.fromkeys(seeds))
        self.index = torch.tensor([self.distinct.index(seed) for seed in seeds])
        self.block = max(1, BLOCK_EXAMPLES // batch_size)
        self._held: tuple[int, torch.Tensor, torch.Tensor] | None = None

    def chunk(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return updates start … stop−1, which must lie in one block.

        Inputs are (distinct, updates, batch, …) and labels (distinct, updates, batch, …).
        """
        number, offset = divmod(start, self.block)
        if stop - start > self.block - offset:
            raise ValueError(f"updates {start}…{stop} cross a block of {self.block} updates")
        if self._held is None or self._held[0] != number:
            inputs, labels = (part.unflatten(1, (self.block, self.batch_size)) for part in self._draw(number))
            self._held = number, inputs, labels
        _, inputs, labels = self._held
        return inputs[:, offset : offset + stop - start], labels[:, offset : offset + stop - start]

    def padding_share(self) -> float:
        """Return how much of the first block's batches is padding, each cut to its longest row. 0 without `lengths`."""
        if not hasattr(self.task, "lengths"):
            return 0.0
        inputs, _ = self.chunk(0, self.block)  # (distinct, updates, batch, length)
        lengths = self.task.lengths(inputs.cpu().numpy())  # (distinct, updates, batch)
        return 1 - float(lengths.sum() / (lengths.max(axis=(0, 2)).sum() * lengths.shape[0] * lengths.shape[2]))

    def _draw(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a block on the device: inputs and labels, both (distinct, examples, …)."""
        generators = [generator(seed, self.purpose, number) for seed in self.distinct]
        examples = self.block * self.batch_size
        if not hasattr(self.task, "packed"):
            drawn = [self.task.sample(rng, examples) for rng in generators]
            if hasattr(self.task, "lengths"):
                drawn = self._by_length(drawn, number)
            inputs, labels = (torch.from_numpy(_stacked(part)).to(self.device) for part in zip(*drawn, strict=True))
            return inputs, labels
        packed = _stacked([self.task.packed(rng, examples) for rng in generators])
        if self.device.type != "cpu":
            return self.task.unpack(torch.from_numpy(packed).to(self.device))
        inputs, labels = self.task.unpack(packed)  # numpy is faster here
        return torch.from_numpy(inputs), torch.from_numpy(labels)


    def _by_length(
        self, drawn: list[tuple[np.ndarray, np.ndarray]], number: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the examples of every seed in batches of like length, all padded to the longest."""
        longest = max(inputs.shape[1] for inputs, _ in drawn)
        turns = generator(0, f"{self.purpose}: order of batches", number).permutation(self.block)
        ordered = []
        for inputs, labels in drawn:
            order = self.task.lengths(inputs).argsort(kind="stable").reshape(self.block, -1)[turns].ravel()
            missing = ((0, 0), (0, longest - inputs.shape[1]))
            inputs = np.pad(inputs[order], missing, constant_values=self.task.padding)
            ordered.append((inputs, np.pad(labels[order], missing, constant_values=IGNORED)))
        return ordered


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the arrays along a new first axis; a single one is not copied."""
    return np.stack(arrays) if len(arrays) > 1 else arrays[0][None]
