"""Node correlations: which decisions of hierarchical parity a model's prediction has made (paper, appendix)."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pdtutor.evaluate import logits_of
from pdtutor.probes.monomials import correlate, random_sets
from pdtutor.seeds import generator
from pdtutor.tasks import HierarchicalParity
from pdtutor.tasks.hierarchical import node_depth
from pdtutor.validate import whole


def node_correlations(
    task: HierarchicalParity, *, degree: int = 1, examples: int = 16_384, off_support: int = 32, seed: int = 0
) -> Callable[[nn.Module], pd.DataFrame]:
    """Return a probe that measures |E_x[χ_A(x)·p(left at v | x)]| at every node v, for monomials with |A| = degree.

    p(left at v | x) is the mass on leaves below v's left side over the mass on all leaves below v, and x runs over the
    examples whose true path passes v. So a node is judged by its own decision, whether or not the model finds the way
    to it. All A inside v's support are measured, against random A that miss every node's support (up to `off_support`
    of them). At degree k the only A inside is the support itself: the node's parity, which a perfect model knows with
    value ½, the largest there is. Values are on the probability scale, as in `monomial_correlations`, which this is
    at depth 1; the scale p(left) − p(right) doubles each of them.

    The probe maps a model with inputs (copies, n, d) to a table with columns copy, node, depth, degree, monomial
    ("3·17"), inside (bool), value and noise_floor: the standard deviation that a correlation of truly 0 would be
    measured with from the n examples that pass v, which is that of p over √n.

    Raises ValueError for degree < 1 or > k, fewer than `degree` coordinates outside all supports, and a node that no
    example passes.
    """
    whole("degree", degree)
    whole("examples", examples)
    whole("off_support", off_support)
    if degree > task.k:
        raise ValueError(f"degree must be at most k = {task.k}, got {degree}")
    outside = sorted(set(range(task.d)).difference(*task.supports))
    if len(outside) < degree:
        raise ValueError(f"no set of {degree} coordinates misses all supports: only {len(outside)} lie outside them")
    rng = generator(seed, "probe")
    inputs, labels = task.sample(rng, examples)
    outside_sets = random_sets(outside, degree, off_support, rng)
    nodes = []
    for node, support in enumerate(task.supports):
        left, right = task.leaves_below(node)
        passing = np.isin(labels, (*left, *right))
        if not passing.any():
            raise ValueError(f"no example passes node {node}: {examples} examples are too few")
        sets = [*combinations(support, degree), *outside_sets]
        monomials = np.stack([inputs[passing][:, list(a)].prod(axis=1) for a in sets])  # (sets, passing)
        nodes.append((torch.from_numpy(passing), torch.from_numpy(monomials), sets))
    examples_seen = torch.from_numpy(inputs)

    def probe(model: nn.Module) -> pd.DataFrame:
        device = next(model.parameters()).device
        logits = logits_of(model, examples_seen.to(device)).cpu()  # (copies, examples, classes)
        tables = []
        for node, (passing, monomials, sets) in enumerate(nodes):
            p = left_probability(logits[:, passing], *task.leaves_below(node))  # (copies, passing)
            values, floors = correlate(p, monomials)
            tables += [
                {
                    "copy": copy,
                    "node": node,
                    "depth": node_depth(node),
                    "degree": degree,
                    "monomial": "·".join(map(str, a)),
                    "inside": i < len(sets) - len(outside_sets),
                    "value": float(values[copy, i]),
                    "noise_floor": float(floors[copy]),
                }
                for copy in range(len(p))
                for i, a in enumerate(sets)
            ]
        return pd.DataFrame(tables)

    return probe


def left_probability(logits: Tensor, left: range, right: range) -> Tensor:
    """Return p(left | left or right): logits (…, classes) → (…).

    In terms of log masses, so that a model that is sure of other leaves doesn't divide nothing by nothing.
    """
    return (logits[..., left].logsumexp(-1) - logits[..., right].logsumexp(-1)).sigmoid()
