"""Node correlations: which nodes of a hierarchical parity has a model learned? (paper, appendix)"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, device_of
from pdtutor.probes.monomials import correlate, random_sets
from pdtutor.probes.probe import Probe
from pdtutor.seeds import generator
from pdtutor.tasks.hierarchical import HierarchicalParity, node_depth
from pdtutor.validate import a_table, instance, several, whole


def node_correlations(
    task: HierarchicalParity,
    *,
    degree: int | Sequence[int] = 1,
    examples: int = 16_384,
    off_support: int = 64,
    seed: int = 0,
) -> Probe:
    """Return a probe that measures |E_x[χ_A(x)·p(left at v | x)]| at every node v, for monomials with |A| = degree.

    p(left at v | x) is the probability of the leaves on v's left over that of all leaves below v, and x runs over the
    examples whose true path passes through v. So a node is judged by its own decision, whether or not the model gets
    the decisions before it right. All sets A inside v's support are measured and, for comparison, up to `off_support`
    random sets outside every node's support. At degree k the only set inside is the support itself, which gives the
    node's parity: for a perfect model its value is ½, the largest possible. Values are on the probability scale, as in
    `monomial_correlations`, which measures the same at depth 1; on the scale p(left) − p(right) each is twice as large.

    The probe maps a model to a table with columns copy, node, depth, degree, monomial ("3·17"), inside (bool), value
    and noise_floor: the standard deviation with which a correlation of 0 is estimated from the n examples that pass
    through v, which is that of p over √n.

    Args:
        task: the hierarchical parity whose nodes are asked about.
        degree: number of coordinates in each set, 1…k, or several such numbers, which share one forward pass.
        examples: number of fresh examples.
        off_support: largest number of sets outside all supports, per degree.
        seed: seed of the examples and of the random sets.

    Raises ValueError for no degree; for a degree, examples or off_support < 1; for a degree > k; for fewer than
    `degree` coordinates outside all supports; and if fewer than two examples pass through a node.
    """
    instance("task", task, HierarchicalParity, "a HierarchicalParity")
    listed = several(degree)
    degrees = list(dict.fromkeys(whole("degree", size) for size in ([degree] if listed is None else listed)))
    whole("the number of degrees", len(degrees))
    examples, off_support = whole("examples", examples), whole("off_support", off_support)
    outside = sorted(set(range(task.d)).difference(*task.supports))
    for size in degrees:
        if size > task.k:
            raise ValueError(f"degree must be at most k = {task.k}, got {size}")
        if len(outside) < size:
            raise ValueError(
                f"degree {size} needs as many coordinates outside all supports, but only {len(outside)} lie outside"
            )
    rng = generator(seed, "probe")
    inputs, labels = task.sample(rng, examples)
    off = [a for size in degrees for a in random_sets(outside, size, off_support, rng)]
    questions = []
    for node, support in enumerate(task.supports):
        left, right = task.leaves_below(node)
        passing = np.isin(labels, (*left, *right))
        if passing.sum() < 2:
            raise ValueError(f"fewer than two of {examples} examples pass through node {node}: ask for more examples")
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

    return Probe(task, probe)


def left_probability(
    logits: Float[Tensor, "*examples classes"], left: range, right: range
) -> Float[Tensor, "*examples"]:
    """Return p(left | left or right): logits (…, classes) → (…).

    It is computed from log probabilities, so that a model that is sure of other leaves doesn't lead to 0 / 0.
    """
    return (logits[..., left].logsumexp(-1) - logits[..., right].logsumexp(-1)).sigmoid()


def node_steps(curriculum: pd.DataFrame, *, threshold: float = 0.25) -> pd.DataFrame:
    """Return the step at which each node was learned: columns seed, node, depth and step, <NA> if it never was.

    A node is learned at the first step at which the correlation with its parity reaches the threshold; ¼ is half of a
    perfect model's. Its parity is the monomial of the curriculum's highest degree inside its support, so the curriculum
    must hold degree k.
    """
    a_table("curriculum", curriculum, "seed", "node", "depth", "degree", "inside", "step", "value")
    own = curriculum[curriculum["inside"] & (curriculum["degree"] == curriculum["degree"].max())]
    reached = own["step"].where(own["value"] >= threshold)
    return reached.groupby([own["seed"], own["node"], own["depth"]]).min().astype("Int64").reset_index(name="step")
