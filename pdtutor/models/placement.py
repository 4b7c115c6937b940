"""Where a model computes: on the device that was asked for or, if none was, where it is expected to be faster.

A small MLP is faster on the CPU: its update takes less time in compiled code there than a GPU needs to start the dozens
of small operations that make it up. Everything else is faster on a GPU, if there is one.
"""

from typing import TypeVar

import torch

from pdtutor.devices import AUTO, find, preferred
from pdtutor.models.mlp import is_two_layer_mlp
from pdtutor.models.model import Model, device_of

# Up to so many multiplications in a forward pass, over all copies and examples of a batch, an MLP is small. One core
# does about 1e10 of them a second, with the backward pass and the update that go with them. An H100 takes 40 to 100
# microseconds for a recorded update of an MLP, however little there is to compute (data/gpu/speeds.csv). The two meet
# at about 5e5; a smaller GPU takes longer, and so does a slower core.
SMALL = 2**19

M = TypeVar("M", bound=Model)


def faster_on_gpu(model: Model, examples: int = 1) -> bool:
    """Return whether the model, on so many examples at a time, is expected to be faster on a GPU than on the CPU."""
    weights = sum(parameter.numel() for parameter in model.parameters())
    return not is_two_layer_mlp(model) or weights * examples > SMALL


def placed(model: M, device: str | torch.device = AUTO, *, examples: int = 1) -> M:
    """Return the model, moved to this device.

    Args:
        model: it is moved in place; one without parameters stays on the CPU.
        device: "cpu", "cuda", "cuda:1", "mps" or a torch.device. "auto" leaves a model that is on a GPU where it is,
            and moves one on the CPU to a CUDA GPU if there is one and it is expected to be faster; PDTUTOR_DEVICE in
            the environment names another device for such models.
        examples: how many examples the model reads at a time.

    Raises ValueError, with the reason, for a device that can't be used.
    """
    if device != AUTO:
        return model.to(find(device))
    if device_of(model).type != "cpu":
        return model
    return model.to(preferred(gpu_is_faster=faster_on_gpu(model, examples)))
