"""Random sign vectors, drawn as bits: the inputs of both kinds of parity."""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdtutor.tasks.task import Packed


class SignVectors(Packed):
    """Inputs uniform on {±1}^d, each coordinate drawn as one bit: 0 ↔ +1 and 1 ↔ −1."""

    d: int

    def packed(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n fresh examples as the bits that their signs stand for: (n, ⌈d/8⌉) uint8, from which `unpack`."""
        return rng.integers(0, 256, size=(n, -(-self.d // 8)), dtype=np.uint8)

    def unpack(self, packed: Any) -> Any:
        """Return the examples packed in (…, ⌈d/8⌉) bytes, inputs (…, d) and labels (…), as `sample` gives them.

        Tensors give tensors on their device: a GPU is sent bits and makes the examples itself.
        """
        if isinstance(packed, Tensor):
            bits = unpack_bits(packed, self.d)  # (…, d) int64
            return self._inputs_of_tensor(bits), self._labels_of_tensor(bits)
        bits = np.unpackbits(packed, axis=-1, count=self.d)  # (…, d) uint8
        return self._inputs(bits), self._labels(bits)

    def _inputs(self, bits: np.ndarray) -> np.ndarray:
        """Return the signs (…, d) float32 that bits (…, d) uint8 stand for."""
        return (1 - 2 * bits.view(np.int8)).astype(np.float32)  # small types until the last moment, for speed

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
    """Return the first d bits of rows of bytes, the highest bit of a byte first: (…, bytes) uint8 → (…, d) int64."""
    places = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(-1) & places).ne(0).flatten(-2)[..., :d].long()
