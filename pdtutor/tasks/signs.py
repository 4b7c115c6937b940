"""Random sign vectors, drawn as bits: the inputs of both parity tasks."""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdtutor.registry import overrides
from pdtutor.tasks.task import Packed


class SignVectors(Packed):
    """A task whose inputs are uniform on {±1}^d; each coordinate is drawn as one bit, 0 for +1 and 1 for −1."""

    d: int

    def packed(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n fresh examples as bits, eight in a byte: (n, ⌈d/8⌉) uint8, for `unpack`."""
        return rng.integers(0, 256, size=(n, -(-self.d // 8)), dtype=np.uint8)

    def unpack(self, packed: Any) -> Any:
        """Return the examples packed in bytes (…, ⌈d/8⌉): inputs (…, d) and labels (…), of the types of `sample`.

        A tensor gives tensors on its device, so that a GPU receives bits and makes the examples itself.
        """
        if isinstance(packed, Tensor):
            if overrides(type(self), "_inputs", "_inputs_of_tensor") or overrides(
                type(self), "_labels", "_labels_of_tensor"
            ):  # a subclass that says in numpy what it computes
                inputs, labels = self.unpack(packed.cpu().numpy())
                return torch.from_numpy(inputs).to(packed.device), torch.from_numpy(labels).to(packed.device)
            bits = unpack_bits(packed, self.d)  # (…, d) int64
            return self._inputs_of_tensor(bits), self._labels_of_tensor(bits)
        bits = np.unpackbits(packed, axis=-1, count=self.d)  # (…, d) uint8
        return self._inputs(bits), self._labels(bits)

    def _inputs(self, bits: np.ndarray) -> np.ndarray:
        """Return the inputs (…, d) float32 of bits (…, d) uint8."""
        return (1 - 2 * bits.view(np.int8)).astype(np.float32)  # converted last: small types are faster

    def _inputs_of_tensor(self, bits: Tensor) -> Tensor:
        """Return what `_inputs` returns, for bits (…, d) int64."""
        return 1 - 2 * bits.float()

    @abstractmethod
    def _labels(self, bits: np.ndarray) -> np.ndarray:
        """Return the labels (…) int64 of bits (…, d) uint8."""

    @abstractmethod
    def _labels_of_tensor(self, bits: Tensor) -> Tensor:
        """Return what `_labels` returns, for bits (…, d) int64."""


def unpack_bits(packed: Tensor, d: int) -> Tensor:
    """Return the first d bits of rows of bytes, each byte's highest bit first: (…, bytes) uint8 → (…, d) int64."""
    places = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(-1) & places).ne(0).flatten(-2)[..., :d].long()
