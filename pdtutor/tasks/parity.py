"""Sparse parity: the product of k hidden coordinates of a random sign vector (paper section 3)."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pdtutor.seeds import generator
from pdtutor.tasks.signs import SignVectors
from pdtutor.validate import one_of, sequence, whole


@dataclass(frozen=True)
class SparseParity(SignVectors):
    """(d, k)-sparse parity: x is uniform on {±1}^d and y = ∏_{i∈S} x_i for a hidden support S with |S| = k.

    The label is class 0 where y = +1 and class 1 where y = −1: the exclusive-or of the k bits, 0 for +1 and 1 for −1.

    Args:
        d: number of coordinates.
        k: size of the support, 1 ≤ k ≤ d.
        support: the k distinct coordinates in S, each in [0, d); drawn without replacement from `seed` if not given.
        seed: seed of that draw; the examples don't depend on it otherwise.
        encoding: "signs" for x itself, or "tokens" for its bits as a Transformer's ids: 0 where x = +1, 1 where x = −1.

    Raises ValueError for d or k < 1; for k > d; for a support that repeats a coordinate, leaves the range or has the
    wrong size; and for any other encoding.
    """

    d: int
    k: int
    support: tuple[int, ...] = None  # pyright: ignore[reportAssignmentType]  # a tuple once it is drawn
    seed: int = 0
    encoding: str = "signs"

    classes = 2

    def __post_init__(self) -> None:
        d, k = whole("d", self.d), whole("k", self.k)
        one_of("encoding", self.encoding, ("signs", "tokens"))
        if k > d:
            raise ValueError(f"k must be at most d = {d}, got {k}")
        support = self.support
        if support is None:
            support = generator(self.seed, "support").choice(d, size=k, replace=False)
        support = tuple(sorted(whole("support", i, minimum=0) for i in sequence("support", support, ordered=False)))
        if len(support) != k:
            raise ValueError(f"support must hold k = {k} coordinates, got {len(support)}: {support}")
        if len(set(support)) != k:
            raise ValueError(f"support must hold distinct coordinates, got {support}")
        if support[-1] >= d:
            raise ValueError(f"support must lie in 0…{d - 1}, got {support}")
        seed = whole("seed", self.seed, minimum=0)
        for name, value in {"d": d, "k": k, "support": support, "seed": seed}.items():
            object.__setattr__(self, name, value)

    def _inputs(self, bits: np.ndarray) -> np.ndarray:
        return bits.astype(np.int64) if self.encoding == "tokens" else super()._inputs(bits)

    def _inputs_of_tensor(self, bits: Tensor) -> Tensor:
        return bits if self.encoding == "tokens" else super()._inputs_of_tensor(bits)

    def _labels(self, bits: np.ndarray) -> np.ndarray:
        return np.bitwise_xor.reduce(bits[..., self.support], axis=-1).astype(np.int64)

    def _labels_of_tensor(self, bits: Tensor) -> Tensor:
        return bits[..., list(self.support)].sum(-1) % 2

    def signs(self, inputs: np.ndarray) -> np.ndarray:
        """Return the signs ±1, (…, d) float32, that inputs (…, d) encode."""
        return 1 - 2 * inputs.astype(np.float32) if self.encoding == "tokens" else inputs

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_task` rebuilds this task."""
        support = list(self.support)
        return {"class": type(self).__name__, "d": self.d, "k": self.k, "support": support, "encoding": self.encoding}
