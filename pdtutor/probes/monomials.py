"""Monomial correlations: which products of coordinates does a model's prediction rely on? (paper section 3)"""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, device_of
from pdtutor.probes.probe import Probe
from pdtutor.seeds import generator
from pdtutor.tasks.parity import SparseParity
from pdtutor.validate import a_table, instance, number, whole

CHANCE = 0.05  # a peak of correlations that random coordinates reach more often is noise
GROUPS = 1000  # of random coordinates, which the support is compared with


def monomial_correlations(
    task: SparseParity,
    *,
    degree: int = 1,
    examples: int = 16_384,
    off_support: int = 64,
    seed: int = 0,
    temperature: float = 1.0,
) -> Probe:
    """Return a probe that measures |E_x[χ_A(x)·p(y=1|x)]| for monomials χ_A(x) = ∏_{i∈A} x_i with |A| = degree.

    All C(k, degree) sets A inside the support are measured and, for comparison, up to `off_support` random sets of the
    same size outside it. Values are on the scale of p, from 0 to ½; on the scale p₀−p₁ each is twice as large. With
    temperature 0, p is the answer: 1 where class 1 is the more probable, else 0. That is what a student of a cold
    teacher gets to see.

    The probe maps a model to a table with columns copy, degree, monomial ("3·17"), inside (bool), value and
    noise_floor: the standard deviation with which a correlation of 0 is estimated from n examples. As p's mean is
    taken off first, that is the standard deviation of p over √n (at most about 0.5/√n, for a p that is 0 and 1 equally
    often).

    Args:
        task: the parity whose support is asked about.
        degree: number of coordinates in each set, 1…k.
        examples: number n of fresh examples.
        off_support: largest number of sets outside the support.
        seed: seed of the examples and of the random sets.
        temperature: τ, by which the logits are divided before p is taken, at least 0.

    Raises ValueError for degree, examples or off_support < 1; for degree > k; for fewer than `degree` coordinates
    outside the support; and for a negative temperature.
    """
    instance("task", task, SparseParity, "a SparseParity")
    degree, examples, off_support = (
        whole(name, given)
        for name, given in {"degree": degree, "examples": examples, "off_support": off_support}.items()
    )
    temperature = number("temperature", temperature, minimum=0)
    if degree > task.k:
        raise ValueError(f"degree must be at most k = {task.k}, got {degree}")
    outside = [i for i in range(task.d) if i not in task.support]
    if len(outside) < degree:
        raise ValueError(
            f"degree {degree} needs as many coordinates outside the support, but only {len(outside)} lie outside"
        )
    rng = generator(seed, "probe")
    inputs, _ = task.sample(rng, examples)
    inside_sets = list(combinations(task.support, degree))
    outside_sets = random_sets(outside, degree, off_support, rng)
    sets = inside_sets + outside_sets
    signs = task.signs(inputs)  # (examples, d)
    monomials = torch.from_numpy(np.stack([signs[:, list(a)].prod(axis=1) for a in sets]))  # (sets, examples)
    examples_seen = torch.from_numpy(inputs)

    def probe(model: Model) -> pd.DataFrame:
        device = device_of(model)
        logits = logits_of(model, examples_seen.to(device)).cpu()  # (copies, examples, 2)
        p = logits.argmax(-1).float() if temperature == 0 else (logits / temperature).softmax(-1)[..., 1]
        values, floors = correlate(p, monomials)
        return pd.DataFrame(
            {
                "copy": copy,
                "degree": degree,
                "monomial": "·".join(map(str, a)),
                "inside": i < len(inside_sets),
                "value": float(values[copy, i]),
                "noise_floor": float(floors[copy]),
            }
            for copy in range(len(p))
            for i, a in enumerate(sets)
        )

    return Probe(task, probe)


def random_sets(pool: Sequence[int], size: int, most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Return all sets of this size from the pool; if there are more than `most`, that many different random ones."""
    if comb(len(pool), size) <= most:
        return list(combinations(pool, size))
    drawn: dict[tuple[int, ...], None] = {}  # a dict keeps the order of the draws, a set would not
    while len(drawn) < most:
        drawn[tuple(sorted(int(i) for i in rng.choice(pool, size=size, replace=False)))] = None
    return list(drawn)


def correlate(
    p: Float[Tensor, "copies n"], monomials: Float[Tensor, "sets n"]
) -> tuple[Float[Tensor, "copies sets"], Float[Tensor, " copies"]]:
    """Return |E[χ_A·p]|, (copies, sets), and its noise floor, (copies,), from p (copies, n) and monomials (sets, n)."""
    n = p.shape[1]
    centred = p - p.mean(1, keepdim=True)  # E[χ_A] = 0, so this removes noise but no signal
    return (centred @ monomials.T / n).abs(), p.std(1) / n**0.5


def correlation_levels(curriculum: pd.DataFrame) -> pd.DataFrame:
    """Return the mean correlations at each step: a table indexed by step with columns inside, outside and ratio."""
    a_table("curriculum", curriculum, "step", "inside", "value")
    means = curriculum.groupby(["step", "inside"])["value"].mean().unstack()
    levels = pd.DataFrame({"inside": means[True], "outside": means[False]})
    return levels.assign(ratio=levels["inside"] / levels["outside"])


def peak_steps(curriculum: pd.DataFrame) -> dict[int, int]:
    """Return `peak_step` for every seed of a curriculum: {seed: step}.

    Raises ValueError, naming the seed, where `peak_step` does.
    """
    a_table("curriculum", curriculum, "seed", "step", "inside", "value")
    peaks = {}
    for seed in curriculum["seed"].unique().tolist():
        try:
            peaks[seed] = peak_step(curriculum[curriculum["seed"] == seed])
        except ValueError as error:
            raise ValueError(f"seed {seed}: {error}") from None
    return peaks


def peak_step(curriculum: pd.DataFrame) -> int:
    """Return the step with the largest difference of mean correlations inside and outside the support; never step 0.

    The peak must stand out: see `largest_difference`, whose arguments and errors these are.

    Raises ValueError also if a group of random coordinates stands out as far with a probability above 5 %. What is
    largest is then an accident of the weights, often of early ones, before the transition. A true spike may be refused
    as well, if it is faint and coordinates are few.
    """
    step, chance = largest_difference(curriculum)
    if chance > CHANCE:
        raise ValueError(
            f"in-support correlations never stand out: they differ most from the others at step {step}, and "
            f"{chance:.1%} of random groups of coordinates do so as much. Save more checkpoints around the transition, "
            "or let choose_checkpoint name one: it needs no correlations"
        )
    return step


def largest_difference(curriculum: pd.DataFrame) -> tuple[int, float]:
    """Return where correlations inside the support exceed those outside most, and how likely that is by chance.

    Long before a network has learned anything, its prediction leans on some coordinates, by accident of its weights
    and not of the examples: others show the same. So the support is compared with random groups of as many
    coordinates. Each group has a step of its own where its mean exceeds that of all others most, and stands out there
    by that difference over the standard deviation of the others' values. Chance is the share of groups that stand out
    at least as far as the support; as every group may choose its step, it is right for any number of checkpoints.

    Args:
        curriculum: for one seed, with columns step, inside and value, and the same monomials at every step.

    Returns the step, never 0, and chance, between 0 and 1. With few coordinates it can't be small: one group in
    C(d, k) is the support itself.

    Raises ValueError if there are no steps after 0, if steps hold different monomials, and without monomials both
    inside and outside.
    """
    a_table("curriculum", curriculum, "step", "inside", "value")
    trained = curriculum[curriculum["step"] > 0].sort_values("step", kind="stable")
    steps = trained["step"].unique()
    if not len(steps):
        raise ValueError("the curriculum has no step after 0: probe trained checkpoints")
    rows = trained["inside"].to_numpy(bool)
    inside = rows[: max(1, len(rows) // len(steps))]
    if not np.array_equal(rows, np.tile(inside, len(steps))):
        raise ValueError("the curriculum must hold the same monomials at every step, in the same order")
    if inside.all() or not inside.any():
        raise ValueError("the curriculum must hold monomials inside and outside the support")
    values = trained["value"].to_numpy(float).reshape(len(steps), -1)  # (steps, monomials)
    groups = generator(0, "groups").permuted(np.tile(inside, (GROUPS, 1)), axis=1)  # (groups, monomials)
    peak, found = stand_out(values, inside[None])
    _, random = stand_out(values, groups)
    as_far = random >= found - 1e-9 * np.abs(found)  # the support itself, drawn as a group, too
    return int(steps[peak[0]]), float((1 + as_far.sum()) / (1 + GROUPS))


def stand_out(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each group of monomials where it exceeds the others most, and by how many of their deviations.

    Both are (groups,): an index of a step, and (mean in the group − mean of the others) / standard deviation of the
    others, at that step. Values are (steps, monomials) and groups (groups, monomials), bool.
    """
    others = ~groups / (~groups).sum(1, keepdims=True)  # (groups, monomials), weights of a mean
    mean = others @ values.T  # (groups, steps)
    variance = np.maximum(others @ (values**2).T - mean**2, 0)
    difference = (groups / groups.sum(1, keepdims=True)) @ values.T - mean
    peak = difference.argmax(1)
    at = np.arange(len(groups)), peak
    with np.errstate(divide="ignore", invalid="ignore"):  # others that are all alike
        return peak, np.nan_to_num(difference[at] / np.sqrt(variance[at]), nan=0.0)
