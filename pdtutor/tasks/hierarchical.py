"""Hierarchical parity: a binary tree in which every internal node has a sparse parity (paper, appendix)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pdtutor.seeds import generator
from pdtutor.tasks.signs import SignVectors
from pdtutor.validate import sequence, whole


@dataclass(frozen=True)
class HierarchicalParity(SignVectors):
    """2^depth labels, the leaves of a binary tree: node v sends x left if χ_v(x) = ∏_{i∈S_v} x_i is +1, else right.

    The paper's label is the leaf whose path from the root has the largest sum of signed parities: χ_v where the path
    goes left at node v, −χ_v where it goes right. This is the leaf that x is sent to. On the path to it every term is
    +1, so the sum is `depth`; any other path leaves this one at some node, and its term there is −1.

    Nodes are numbered level by level from the root, which is 0; the children of v are 2v + 1 (left) and 2v + 2 (right).
    The label is the path from the root read as a binary number, left = 0 and right = 1. With depth 1 this is sparse
    parity.

    Args:
        d: number of coordinates.
        k: number of coordinates in each node's support.
        depth: number of levels of internal nodes.
        supports: for each of the 2^depth − 1 nodes, in order, its k distinct coordinates, each in [0, d); no two nodes
            share one. Drawn without replacement from `seed` if not given.
        seed: seed of that draw; the examples don't depend on it otherwise.

    Raises ValueError for d, k or depth < 1; for d < (2^depth − 1)·k; and for supports that overlap, repeat a
    coordinate, leave the range, or have the wrong number or size.
    """

    d: int
    k: int
    depth: int = 3
    supports: tuple[tuple[int, ...], ...] = None  # pyright: ignore[reportAssignmentType]  # tuples once drawn
    seed: int = 0

    def __post_init__(self) -> None:
        d, k, depth = whole("d", self.d), whole("k", self.k), whole("depth", self.depth)
        nodes = 2**depth - 1
        if nodes * k > d:
            raise ValueError(f"{nodes} nodes of k = {k} coordinates each need d of at least {nodes * k}, got d = {d}")
        supports = self.supports
        if supports is None:
            supports = generator(self.seed, "support").choice(d, size=(nodes, k), replace=False)
        supports = tuple(
            tuple(sorted(whole("supports", i, minimum=0) for i in sequence("each of supports", support, ordered=False)))
            for support in sequence("supports", supports)
        )
        if len(supports) != nodes:
            raise ValueError(
                f"at depth = {self.depth}, supports must hold one for each of the {nodes} nodes, got {len(supports)}"
            )
        if any(len(support) != k for support in supports):
            raise ValueError(f"every node's support must hold k = {k} coordinates, got {supports}")
        everything = sorted(i for support in supports for i in support)
        if len(set(everything)) < len(everything):
            raise ValueError(f"supports must be disjoint and hold distinct coordinates, got {supports}")
        if everything[-1] >= d:
            raise ValueError(f"supports must lie in 0…{d - 1}, got {supports}")
        seed = whole("seed", self.seed, minimum=0)
        for name, value in {"d": d, "k": k, "depth": depth, "supports": supports, "seed": seed}.items():
            object.__setattr__(self, name, value)

    @property
    def classes(self) -> int:
        """Number of labels."""
        return 2**self.depth

    def leaves_below(self, node: int) -> tuple[range, range]:
        """Return the labels below a node, left and right. Raises ValueError for a node that isn't in the tree."""
        node = whole("node", node, minimum=0)
        if node >= self.classes - 1:
            raise ValueError(f"node must lie in 0…{self.classes - 2}, got {node}")
        level = node_depth(node)
        each = self.classes >> level + 1  # number of leaves on each side
        first = (node + 1 - 2**level) * 2 * each
        return range(first, first + each), range(first + each, first + 2 * each)

    def _labels(self, bits: np.ndarray) -> np.ndarray:
        turns = np.bitwise_xor.reduce(bits[..., np.array(self.supports)], axis=-1)  # (…, nodes), 1 = right
        node = np.zeros(turns.shape[:-1], dtype=np.int64)
        for _ in range(self.depth):
            node = 2 * node + 1 + np.take_along_axis(turns, node[..., None], axis=-1)[..., 0]
        return node - (self.classes - 1)

    def _labels_of_tensor(self, bits: Tensor) -> Tensor:
        turns = bits[..., torch.tensor(self.supports)].sum(-1) % 2  # (…, nodes), 1 = right
        node = torch.zeros_like(turns[..., :1])
        for _ in range(self.depth):
            node = 2 * node + 1 + turns.gather(-1, node)
        return node.squeeze(-1) - (self.classes - 1)

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_task` rebuilds this task."""
        supports = [list(support) for support in self.supports]
        return {"class": type(self).__name__, "d": self.d, "k": self.k, "depth": self.depth, "supports": supports}


def node_depth(node: int) -> int:
    """Return a node's level in the tree; the root's is 0."""
    return (node + 1).bit_length() - 1
