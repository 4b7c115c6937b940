"""Node correlations: which decisions of hierarchical parity a model's prediction has made (paper, appendix)."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, device_of
from pdtutor.probes.monomials import correlate, random_sets
from pdtutor.seeds import generator
from pdtutor.tasks.hierarchical import HierarchicalParity, node_depth
from pdtutor.validate import whole


def node_correlations(
    task: HierarchicalParity,
    *,
    degree: int | Sequence[int] = 1,
    examples: int = 16_384,
    off_support: int = 64,
    seed: int = 0,
) -> Callable[[Model], pd.DataFrame]:
    """Return a probe that measures |E_x[χ_A(x)·p(left at v | x)]| at every node v, for monomials with |A| = degree.

    p(left at v | x) is the mass on leaves below v's left side over the mass on all leaves below v, and x runs over the
    examples whose true path passes v. So a node is judged by its own decision, whether or not the model finds the way
    to it. All A inside v's support are measured, against random A that miss every node's support (up to `off_support`
    of them). At degree k the only A inside is the support itself: the node's parity, which a perfect model knows with
    value ½, the largest there is. Values are on the probability scale, as in `monomial_correlations`, which this is
    at depth 1; the scale p(left) − p(right) doubles each of them.

    Several degrees share one forward pass. The probe maps a model with inputs (copies, n, d) to a table with columns
    copy, node, depth, degree, monomial ("3·17"), inside (bool), value and noise_floor: the standard deviation that a
    correlation of truly 0 would be measured with from the n examples that pass v, which is that of p over √n.

    Raises ValueError for no degree, a degree < 1 or > k, fewer coordinates than that outside all supports, and a node
    that fewer than two examples pass.
    """
    degrees = list(dict.fromkeys(degree)) if isinstance(degree, Sequence) else [degree]
    whole("the number of degrees", len(degrees))
    whole("examples", examples)
    whole("off_support", off_support)
    outside = sorted(set(range(task.d)).difference(*task.supports))
    for size in degrees:
        if whole("degree", size) > task.k:
            raise ValueError(f"degree must be at most k = {task.k}, got {size}")
        if len(outside) < size:
            raise ValueError(f"no set of {size} coordinates misses all supports: only {len(outside)} lie outside them")
    rng = generator(seed, "probe")
    inputs, labels = task.sample(rng, examples)
    off = [a for size in degrees for a in random_sets(outside, size, off_support, rng)]
    questions = []
    for node, support in enumerate(task.supports):
        left, right = task.leaves_below(node)
        passing = np.isin(labels, (*left, *right))
        if passing.sum() < 2:
            raise ValueError(f"hardly an example passes node {node}: {examples} examples are too few")
        own = [a for size in degrees for a in combinations(support, size)]
        monomials = np.stack([inputs[passing][:, list(a)].prod(axis=1) for a in own + off])  # (sets, passing)
        asked = [(len(a), "·".join(map(str, a)), i < len(own)) for i, a in enumerate(own + off)]
        questions.append((torch.from_numpy(passing), torch.from_numpy(monomials), asked))
    examples_seen = torch.from_numpy(inputs)

    def probe(model: Model) -> pd.DataFrame:
        device = device_of(model)
        logits = logits_of(model, examples_seen.to(device)).cpu()  # (copies, examples, classes)
        rows = []
        for node, (passing, monomials, asked) in enumerate(questions):
            p = left_probability(logits[:, passing], *task.leaves_below(node))  # (copies, passing)
            values, floors = correlate(p, monomials)  # (copies, sets), (copies,)
            rows += [
                {
                    "copy": copy,
                    "node": node,
                    "depth": node_depth(node),
                    "degree": size,
                    "monomial": name,
                    "inside": inside,
                    "value": float(values[copy, i]),
                    "noise_floor": float(floors[copy]),
                }
                for copy in range(len(p))
                for i, (size, name, inside) in enumerate(asked)
            ]
        return pd.DataFrame(rows).sort_values("copy", kind="stable", ignore_index=True)

    return probe


def left_probability(
    logits: Float[Tensor, "*examples classes"], left: range, right: range
) -> Float[Tensor, "*examples"]:
    """Return p(left | left or right): logits (…, classes) → (…).

    In log masses, so that a model that is sure of leaves elsewhere doesn't divide nothing by nothing.
    """
    return (logits[..., left].logsumexp(-1) - logits[..., right].logsumexp(-1)).sigmoid()


def node_steps(curriculum: pd.DataFrame, *, threshold: float = 0.25) -> pd.DataFrame:
    """Return when every node was learned: columns seed, node, depth, step, the last <NA> for nodes that never were.

    Learned is the first step at which the correlation with the node's parity, the monomial of the curriculum's
    highest degree inside the node's support, reaches the threshold; ¼ is half of what a perfect model has.
    """
    own = curriculum[curriculum["inside"] & (curriculum["degree"] == curriculum["degree"].max())]
    reached = own["step"].where(own["value"] >= threshold)
    return reached.groupby([own["seed"], own["node"], own["depth"]]).min().astype("Int64").reset_index(name="step")
