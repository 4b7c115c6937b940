"""The shapes that signatures name are compared with what comes in and out while the tests run (see conftest.py)."""

import pytest
import torch
from jaxtyping import TypeCheckError

from pdtutor.distillation.losses import soft_targets
from pdtutor.models.layers import Linear
from pdtutor.probes.monomials import correlate
from pdtutor.seeds import generator


def test_arrays_of_other_shapes_are_noticed():
    with pytest.raises(TypeCheckError):
        correlate(torch.zeros(2, 10), torch.zeros(3, 11))  # of other examples
    with pytest.raises(TypeCheckError):
        soft_targets(torch.zeros(4, dtype=torch.int64), torch.zeros(5, 3), 0.5, classes=3)
    with pytest.raises(TypeCheckError):
        Linear(3, 2, [generator(0, "init")])(torch.zeros(1, 4, 3, dtype=torch.int64))  # and of other types
