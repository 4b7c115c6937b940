"""A teacher's logits as a sum of monomials, and teachers without some of them: what in its answers teaches?

The difference z = f₀ − f₁ of a model's two logits is positive where it says that the parity is +1. As the inputs are
uniform, z = Σ_A ĉ_A χ_A with ĉ_A = E[z·χ_A]. The label as a sign is χ_S.
"""

from collections.abc import Callable, Mapping
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.models.logits import logits_of
from pdtutor.seeds import generator
from pdtutor.tasks.parity import SparseParity

Coefficients = Mapping[tuple[int, ...], float]  # the coordinates of A → ĉ_A


def difference(logits: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    """Return z = f₀ − f₁."""
    return logits[:, 0] - logits[:, 1]


def monomial(x: Float[Tensor, "n d"], coordinates: tuple[int, ...]) -> Float[Tensor, " n"]:
    """Return χ_A(x), the product of these coordinates; 1 for none."""
    return x[:, list(coordinates)].prod(1)


def logit_coefficients(
    teacher: Trajectory, step: int, task: SparseParity, *, examples: int = 262_144
) -> dict[tuple[int, ...], float]:
    """Return ĉ_A of a checkpoint of one copy, for all A inside the support and for every single coordinate.

    () is the mean. Each is measured on fresh examples, with a noise of z's standard deviation over √examples.
    """
    inputs, _ = task.sample(generator(0, "probe"), examples)
    x = torch.from_numpy(inputs)
    z = difference(logits_of(teacher.at(step), x)[0])
    sets = [a for size in range(task.k + 1) for a in combinations(task.support, size)]
    sets += [(j,) for j in range(task.d) if j not in task.support]
    return {a: float((z * monomial(x, a)).mean()) for a in sets}


def answers(teacher: Trajectory, step: int) -> Callable[[Tensor], Tensor]:
    """Return the function from inputs (n, d) to the logits (n, 2) of this checkpoint, of one copy."""
    model = teacher.at(step)

    def logits(inputs: Tensor) -> Tensor:
        return logits_of(model.to(inputs.device), inputs)[0]

    return logits


def without(function: Callable[[Tensor], Tensor], coefficients: Coefficients) -> Callable[[Tensor], Tensor]:
    """Return the logits (n, 2) of this function with these monomials taken out of z."""
    only = sum_of(coefficients)

    def logits(x: Tensor) -> Tensor:
        return as_logits(difference(function(x)) - difference(only(x)))

    return logits


def sum_of(coefficients: Coefficients) -> Callable[[Tensor], Tensor]:
    """Return the function from inputs (n, d) to logits (n, 2) whose z is the sum of these monomials alone."""
    values = torch.tensor(list(coefficients.values()))  # (sets,)

    def logits(x: Tensor) -> Tensor:
        members = torch.zeros(len(values), x.shape[1])
        for row, a in enumerate(coefficients):
            members[row, list(a)] = 1
        odd = (x < 0).float() @ members.T.to(x.device) % 2  # (n, sets): 1 where the monomial is −1
        return as_logits((1 - 2 * odd) @ values.to(x.device))

    return logits


def as_logits(z: Float[Tensor, " n"]) -> Float[Tensor, "n 2"]:
    """Return two logits with this difference, ±z/2."""
    return torch.stack([z / 2, -z / 2], dim=1)


def of_degree(coefficients: Coefficients, *degrees: int, support: tuple[int, ...] | None = None) -> Coefficients:
    """Return the coefficients of these degrees; those inside the support alone, if it is given."""
    return {
        a: value
        for a, value in coefficients.items()
        if len(a) in degrees and (support is None or set(a) <= set(support))
    }
