"""SGD and AdamW with a learning rate per copy, and schedules counted in updates.

torch.optim allows one learning rate per tensor. Here a tensor holds all copies of a weight, and each copy may have its
own rate. If the rates are equal, the updates are those of torch.optim, which a test checks. Whatever changes from one
update to the next is passed as a tensor, so that updates can be recorded once and replayed (see
`pdtutor.training.captured`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pdtutor.validate import number, one_of, sequence, several


@dataclass(frozen=True, kw_only=True)
class _Optimizer:
    """What SGD and AdamW share: a learning rate, its schedule over updates, and weight decay."""

    lr: float | Sequence[float]
    decay: str = "constant"
    warmup: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        rates = several(self.lr)
        checked = [number("lr", rate, minimum=0) for rate in ([self.lr] if rates is None else rates)]
        self._keep(
            lr=checked[0] if rates is None else tuple(checked),
            decay=one_of("decay", self.decay, ("constant", "cosine")),
            warmup=number("warmup", self.warmup, minimum=0, maximum=1),
            weight_decay=number("weight_decay", self.weight_decay, minimum=0),
        )

    def _keep(self, **checked) -> None:
        """Keep checked values, Python's own numbers, in place of those that were given."""
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def rates(self, start: int, stop: int, *, steps: int, copies: int) -> Tensor:
        """Return the learning rates of updates start … stop − 1 out of `steps`: (updates, copies) float32.

        Raises ValueError if there is more than one rate and their number is not the number of copies.
        """
        base = torch.tensor(self.lr if isinstance(self.lr, tuple) else [self.lr] * copies, dtype=torch.float32)
        if len(base) != copies:
            raise ValueError(f"lr must be one number or one per copy: got {len(base)} for {copies} copies")
        rising = round(self.warmup * steps)
        step = torch.arange(start, stop, dtype=torch.float64)
        factors = torch.ones(stop - start, dtype=torch.float64)
        if self.decay == "cosine":
            factors = (1 + torch.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2
        if start < rising:
            factors = torch.where(step < rising, (step + 1) / rising, factors)  # the first update has a rate above 0
        return factors.float().unsqueeze(1) * base

    def corrections(self, start: int, stop: int) -> Tensor:
        """Return what else depends on the step in updates start … stop − 1, here nothing: (updates, 0) float32."""
        return torch.empty(stop - start, 0, dtype=torch.float32)


@dataclass(frozen=True, kw_only=True)
class SGD(_Optimizer):
    """Stochastic gradient descent: `torch.optim.SGD`, with a learning rate per copy.

    Args:
        lr: learning rate, or a list of one per copy.
        decay: "constant", or "cosine", which falls to 0 at the end of training.
        warmup: fraction of all updates over which the rate first rises linearly.
        weight_decay: L2 coefficient: this much of each parameter is added to its gradient.
        momentum: in [0, 1].

    Raises ValueError for values out of range.
    """

    lr: float | Sequence[float] = 0.1
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep(momentum=number("momentum", self.momentum, minimum=0, maximum=1))

    def start(self, parameters: Iterable[Tensor]) -> "SGDState":
        """Return the optimizer's state for these parameters, before the first update."""
        return SGDState(self, list(parameters))


@dataclass(frozen=True, kw_only=True)
class AdamW(_Optimizer):
    """Adam with decoupled weight decay: `torch.optim.AdamW`, with a learning rate per copy.

    With the default weight_decay = 0 it is plain Adam.

    Args:
        lr: learning rate, or a list of one per copy.
        decay: "constant", or "cosine", which falls to 0 at the end of training.
        warmup: fraction of all updates over which the rate first rises linearly.
        weight_decay: decoupled decay: each update first shrinks parameters by this fraction times the rate.
        betas: β₁ and β₂, by which the moment estimates decay.
        eps: is added to the denominator.

    Raises ValueError for values out of range.
    """

    lr: float | Sequence[float] = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        betas = tuple(number("betas", beta, minimum=0, maximum=1) for beta in sequence("betas", self.betas))
        if len(betas) != 2:
            raise ValueError(f"betas must be two numbers, β₁ and β₂, got {len(betas)}")
        if 1 in betas:
            raise ValueError("betas must be less than 1: with 1 the moments would never leave 0, got 1")
        self._keep(betas=betas, eps=number("eps", self.eps, minimum=0))

    def corrections(self, start: int, stop: int) -> Tensor:
        """Return Adam's bias corrections 1/(1 − β₁^t) and √(1 − β₂^t), t = step + 1: (updates, 2) float32."""
        t = torch.arange(start + 1, stop + 1, dtype=torch.float64)
        beta1, beta2 = self.betas
        return torch.stack([1 / (1 - beta1**t), (1 - beta2**t).sqrt()], dim=1).float()

    def start(self, parameters: Iterable[Tensor]) -> "AdamWState":
        """Return the optimizer's state for these parameters, before the first update."""
        return AdamWState(self, list(parameters))


class SGDState:
    """SGD's update rule and its momentum buffers, in `tensors`, which a resume must restore."""

    def __init__(self, optimizer: SGD, parameters: list[Tensor]) -> None:
        self.optimizer, self.parameters = optimizer, parameters
        self.tensors = {}
        if optimizer.momentum:
            self.tensors = {f"momentum.{i}": torch.zeros_like(p) for i, p in enumerate(parameters)}

    @torch.no_grad()
    def update(
        self, gradients: Sequence[Tensor], rates: Tensor, corrections: Tensor, *, finite: Tensor | None = None
    ) -> None:
        """Update each parameter in place from its gradient, at rates (copies,). There are no corrections: (0,).

        With `finite`, (copies,) bool, nothing changes for copies where it is False, whose gradients must be 0.
        """
        if finite is not None:
            rates = rates * finite
        for i, (p, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            if self.optimizer.weight_decay:
                gradient = gradient.add(p, alpha=self.optimizer.weight_decay)
            if finite is not None:
                gradient = gradient * _per_copy(finite, p)
            if self.optimizer.momentum:
                keep = self.optimizer.momentum
                if finite is not None:
                    keep = _per_copy(torch.where(finite, keep, 1.0).to(p.dtype), p)
                gradient = self.tensors[f"momentum.{i}"].mul_(keep).add_(gradient)
            p.addcmul_(gradient, _per_copy(rates, p), value=-1)


class AdamWState:
    """AdamW's update rule and its moment estimates, in `tensors`, which a resume must restore."""

    def __init__(self, optimizer: AdamW, parameters: list[Tensor]) -> None:
        self.optimizer, self.parameters = optimizer, parameters
        self.tensors = {
            f"{moment}.{i}": torch.zeros_like(p) for moment in ("first", "second") for i, p in enumerate(parameters)
        }

    @torch.no_grad()
    def update(
        self, gradients: Sequence[Tensor], rates: Tensor, corrections: Tensor, *, finite: Tensor | None = None
    ) -> None:
        """Update each parameter in place from its gradient, at rates (copies,) and with the step's corrections (2,).

        With `finite`, (copies,) bool, nothing changes for copies where it is False, whose gradients must be 0.
        """
        beta1, beta2 = self.optimizer.betas
        if finite is not None:
            rates = rates * finite
        unbias1, unbias2 = corrections
        for i, (p, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            rate = _per_copy(rates, p)
            first, second = self.tensors[f"first.{i}"], self.tensors[f"second.{i}"]
            if finite is None:
                first.lerp_(gradient, 1 - beta1)
                second.mul_(beta2)
            else:
                changed = _per_copy(finite.to(p.dtype), p)
                first.lerp_(gradient, changed * (1 - beta1))
                second.mul_(1 - changed * (1 - beta2))
            second.addcmul_(gradient, gradient, value=1 - beta2)
            if self.optimizer.weight_decay:
                p.mul_(1 - rate * self.optimizer.weight_decay)
            size = second.sqrt().div_(unbias2).add_(self.optimizer.eps)
            p.addcmul_((first / size).mul_(unbias1), rate, value=-1)


def _per_copy(rates: Tensor, parameter: Tensor) -> Tensor:
    """Return rates (copies,) in a shape that multiplies a parameter (copies, …)."""
    return rates.view(-1, *[1] * (parameter.dim() - 1))
