"""Sparse parity: the product of k hidden coordinates of a random sign vector (paper section 3)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdtutor.seeds import generator
from pdtutor.validate import one_of, whole


@dataclass(frozen=True)
class SparseParity:
    """(d, k)-sparse parity: x is uniform on {±1}^d and y = ∏_{i∈S} x_i for a hidden support S with |S| = k.

    Labels are the exclusive-or of the bits that the signs stand for: class 0 where y = +1 and class 1 where y = −1.

    Args:
        d: number of coordinates.
        k: size of the support, 1 ≤ k ≤ d.
        support: the k distinct coordinates in S, each in [0, d); drawn without replacement from `seed` if not given.
        seed: seed of that draw; it plays no part in the examples.
        encoding: "signs", x itself, or "tokens", the bits as ids for a Transformer: 0 where x = +1, 1 where x = −1.

    Raises ValueError for k < 1, k > d, a support that repeats, leaves the range or has the wrong size, and another
    encoding.
    """

    d: int
    k: int
    support: tuple[int, ...] | None = None
    seed: int = 0
    encoding: str = "signs"

    classes = 2

    def __post_init__(self) -> None:
        d, k = whole("d", self.d), whole("k", self.k)
        one_of("encoding", self.encoding, ("signs", "tokens"))
        if k > d:
            raise ValueError(f"k must be at most d: a parity of {k} coordinates does not fit in d = {d}")
        support = self.support
        if support is None:
            support = generator(self.seed, "support").choice(d, size=k, replace=False)
        support = tuple(sorted(whole("support", i, minimum=0) for i in support))
        if len(support) != k:
            raise ValueError(f"support must hold k = {k} coordinates, got {len(support)}: {support}")
        if len(set(support)) != k:
            raise ValueError(f"support must hold distinct coordinates, got {support}")
        if support[-1] >= d:
            raise ValueError(f"support must lie in 0…{d - 1}, got {support}")
        object.__setattr__(self, "support", support)

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n fresh examples: inputs (n, d), float32 of ±1 or int64 of 0 and 1; labels (n,) int64 of 0 and 1."""
        return self.unpack(self.packed(rng, n))

    def packed(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n fresh examples as the bits that their signs stand for: (n, ⌈d/8⌉) uint8, from which `unpack`."""
        return rng.integers(0, 256, size=(n, -(-self.d // 8)), dtype=np.uint8)

    def unpack(self, packed: np.ndarray | Tensor) -> tuple[np.ndarray, np.ndarray] | tuple[Tensor, Tensor]:
        """Return the examples packed in (…, ⌈d/8⌉) bytes, inputs (…, d) and labels (…), as `sample` gives them.

        Tensors give tensors on their device: a GPU is sent bits and makes the examples itself.
        """
        if isinstance(packed, Tensor):
            bits = unpack_bits(packed, self.d)  # (…, d) int64
            inputs = bits if self.encoding == "tokens" else 1 - 2 * bits.float()
            return inputs, bits[..., list(self.support)].sum(-1) % 2
        bits = np.unpackbits(packed, axis=-1, count=self.d)
        labels = np.bitwise_xor.reduce(bits[..., self.support], axis=-1)
        if self.encoding == "tokens":
            return bits.astype(np.int64), labels.astype(np.int64)
        signs = 1 - 2 * bits.view(np.int8)  # bit 0 ↔ +1, bit 1 ↔ −1; small types until the last moment, for speed
        return signs.astype(np.float32), labels.astype(np.int64)

    def signs(self, inputs: np.ndarray) -> np.ndarray:
        """Return the ±1 (…, d) float32 that these inputs (…, d) stand for."""
        return 1 - 2 * inputs.astype(np.float32) if self.encoding == "tokens" else inputs

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_task` rebuilds this task."""
        support = list(self.support)
        return {"class": "SparseParity", "d": self.d, "k": self.k, "support": support, "encoding": self.encoding}


def unpack_bits(packed: Tensor, d: int) -> Tensor:
    """Return the first d bits of rows of bytes, the highest bit of a byte first: (…, bytes) uint8 → (…, d) int64."""
    places = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(-1) & places).ne(0).flatten(-2)[..., :d].long()
