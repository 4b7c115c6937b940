"""Scaling of the loss for training in float16, whose smallest positive number is 6e-8: smaller gradients would vanish.

The loss is multiplied by a scale before the backward pass, and gradients divided by it after it (Micikevicius et al.
2018). If a gradient is then too large for float16, the update is left out and the scale halved; after enough updates
without that, it is doubled. Each copy has a scale of its own, so that copies train as they would alone. Everything
stays on the device, so that updates can be recorded (see `pdtutor.training.captured`).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FIRST = 2.0**16  # the scale at the start, as in torch.amp.GradScaler
PATIENCE = 2000  # finite updates before the scale is doubled


def scaling_tensors(copies: int, device: torch.device) -> dict[str, Tensor]:
    """Return the state at the start, both (copies,): the scale, and the finite updates since it last changed."""
    return {
        "loss_scale": torch.full((copies,), FIRST, device=device, dtype=torch.float32),
        "finite_updates": torch.zeros(copies, device=device, dtype=torch.float32),
    }


def unscale(gradients: list[Tensor], scale: Float[Tensor, " copies"]) -> tuple[list[Tensor], Bool[Tensor, " copies"]]:
    """Return the gradients divided by the scale, and for which copies all are finite; the others' become 0."""
    finite = torch.stack([gradient.isfinite().flatten(1).all(1) for gradient in gradients]).all(0)

    def per_copy(values: Tensor, gradient: Tensor) -> Tensor:
        return values.view(-1, *[1] * (gradient.dim() - 1))

    unscaled = [
        torch.where(per_copy(finite, gradient), gradient / per_copy(scale, gradient), 0.0) for gradient in gradients
    ]
    return unscaled, finite


def adjust(state: dict[str, Tensor], finite: Bool[Tensor, " copies"]) -> None:
    """Change the scale, in place, after an update whose gradients were finite or not."""
    scale, count = state["loss_scale"], state["finite_updates"]
    count.add_(1).mul_(finite)
    grown = count >= PATIENCE
    scale.mul_(torch.where(finite, torch.where(grown, 2.0, 1.0), 0.5)).clamp_(min=1.0)
    count.mul_(~grown)
