"""The one layer that gives every model its copies."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """`torch.nn.Linear`, once per copy: weight (copies, out, in), bias (copies, out), torch's default initialisation.

    Args:
        generators: one numpy generator per copy; each draws its own weights, then its own biases.
    """

    def __init__(self, in_features: int, out_features: int, generators: Sequence[np.random.Generator]) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)  # what nn.Linear's kaiming_uniform_(a=√5) comes to

        def draw(*shape: int) -> nn.Parameter:
            drawn = [rng.uniform(-bound, bound, size=shape).astype(np.float32) for rng in generators]
            return nn.Parameter(torch.from_numpy(np.stack(drawn)))

        self.weight = draw(out_features, in_features)
        self.bias = draw(out_features)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (copies, n, in) to (copies, n, out)."""
        return torch.baddbmm(self.bias.unsqueeze(1), inputs, self.weight.transpose(1, 2))
