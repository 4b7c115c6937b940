"""Engines, which run a stretch of updates: autograd for every model, and a compiled kernel for small MLPs under SGD.

The third engine, which records autograd's updates for a GPU, is in `pdtutor.training.captured`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.distillation.targets import Targets
from pdtutor.models.kernels import sgd
from pdtutor.models.mlp import MLP, is_two_layer_mlp
from pdtutor.models.model import Model, is_changed
from pdtutor.models.pretrained import Pretrained
from pdtutor.models.transformer import Transformer
from pdtutor.processes import ALONE, Processes, shares
from pdtutor.tasks.stream import Stretch
from pdtutor.training.optim import SGD, AdamW, AdamWState, SGDState
from pdtutor.training.scaling import adjust, unscale
from pdtutor.training.settings import ENGINES
from pdtutor.validate import one_of

KERNEL_BATCH = 512  # up to this batch size, at least, the kernel beats autograd, measured on a 2-core CPU


class Engine(Protocol):
    """What runs a stretch of updates: it changes the parameters of its model and its optimizer's state in place."""

    def __call__(
        self,
        stretch: Stretch,
        targets: Targets,
        rates: Float[Tensor, "updates copies"],
        corrections: Float[Tensor, "updates any"],
    ) -> Float[Tensor, "updates copies"]:
        """Run one update per row of rates, and return the loss of every copy before each update.

        The targets' `constant` is not part of the losses. If several processes train together, each works on its own
        rows of every batch, and the losses and gradients are summed over all.

        Args:
            stretch: the examples of consecutive updates.
            targets: what to match on this process's rows.
            rates: the learning rates.
            corrections: whatever else in the optimizer depends on the step (Adam's bias corrections; nothing for SGD).
        """
        ...


@dataclass(frozen=True)
class AutogradEngine:
    """Runs one update after the other, for any model, optimizer and loss; see `autograd_updates`."""

    model: Model
    state: SGDState | AdamWState
    precision: str = "float32"
    accumulate: int = 1
    processes: Processes = ALONE

    def __call__(self, stretch: Stretch, targets: Targets, rates: Tensor, corrections: Tensor) -> Tensor:
        """Run the updates of a stretch; see `Engine`."""
        self.model.train()
        return autograd_updates(
            self.model,
            self.state,
            stretch.own_inputs[stretch.index],
            targets,
            rates,
            corrections,
            precision=self.precision,
            accumulate=self.accumulate,
            processes=self.processes,
        )


@dataclass(frozen=True)
class KernelEngine:
    """Runs the same updates for an MLP with one hidden layer under SGD, compiled, with copies in parallel threads."""

    model: MLP

    def __call__(self, stretch: Stretch, targets: Targets, rates: Tensor, corrections: Tensor) -> Tensor:
        """Run the updates of a stretch; see `Engine`. SGD has no corrections."""
        first, second = self.model.layers
        parameters = [layer.get_parameter(name) for layer in (first, second) for name in ("weight", "bias")]
        losses = torch.empty(len(self.model.seeds), len(rates), dtype=torch.float32)

        def run(copy: int) -> None:
            w1, b1, w2, b2 = (parameter.detach()[copy].numpy() for parameter in parameters)
            examples, q = (t.contiguous().numpy() for t in (stretch.inputs[stretch.index[copy]], targets.soft[copy]))
            sgd(w1, b1, w2, b2, examples, q, rates[:, copy].contiguous().numpy(), losses[copy].numpy())

        copies = range(len(self.model.seeds))
        if len(copies) == 1:
            run(0)  # starting a thread would cost as much as hundreds of the smallest updates
        else:
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(run, copies))
        return losses.T


def choose_engine(
    engine: str,
    model: Model,
    optimizer: SGD | AdamW,
    batch_size: int,
    *,
    linear: bool,
    precision: str = "float32",
    processes: int = 1,
    accumulate: int = 1,
) -> str:
    """Return the engine to use, "kernel", "graph" or "autograd".

    "auto" is the kernel where it applies and is faster; else, on a GPU and for pdtutor's own models, the graph where it
    applies; else autograd.

    Args:
        engine: the engine that was asked for, or "auto".
        model, optimizer, batch_size, precision: as for `train`; the model is on the device where it trains.
        linear: whether every copy's loss is linear in its target (labels or forward KL).
        processes: how many share an update.
        accumulate: in how many micro-batches a process does its share. Only autograd can sum the gradients of several
            processes or micro-batches.

    The kernel computes what MLP computes. A subclass of MLP may compute something else, so it never runs on the kernel.
    Nor does "auto" record other people's models and optimizers: during an update they may wait for a value from the
    GPU, which can't be recorded; or models with hooks, which a replay doesn't call.

    Raises ValueError, with the reason, if an engine is asked for where it doesn't apply.
    """
    one_of("engine", engine, ENGINES)
    first = next(model.parameters())
    in_one_piece = {
        "a divergence other than forward_kl is in use": linear,
        "several processes share every update": processes == 1,
        "an update accumulates the gradients of several micro-batches": accumulate == 1,
    }
    conditions = {
        "kernel": {
            "the model is not an MLP with one hidden layer": is_two_layer_mlp(model),
            "some of the model's parameters are frozen": all(p.requires_grad for p in model.parameters()),
            "the optimizer is not SGD without momentum and weight decay": type(optimizer) is SGD
            and not optimizer.momentum
            and not optimizer.weight_decay,
            "the model is not in float32 on the CPU": first.device.type == "cpu" and first.dtype == torch.float32,
            "it computes in float32 only": precision == "float32",
        }
        | in_one_piece,
        "graph": {"models of transformers may ask the GPU for a value in an update": not isinstance(model, Pretrained)}
        | in_one_piece,
        "autograd": {},
    }
    missing = {name: [reason for reason, holds in of.items() if not holds] for name, of in conditions.items()}
    if engine != "auto":
        if missing[engine]:
            raise ValueError(f"engine={engine!r} doesn't apply here: {missing[engine][0]}")
        return engine
    if not missing["kernel"] and batch_size <= KERNEL_BATCH:
        return "kernel"
    ours = type(model) in (MLP, Transformer) and not any(map(is_changed, model.modules()))
    recordable = not missing["graph"] and ours and type(optimizer) in (SGD, AdamW) and first.device.type == "cuda"
    return "graph" if recordable else "autograd"


@torch.enable_grad()
def autograd_updates(
    model: Model,
    state: SGDState | AdamWState,
    inputs: Tensor,
    targets: Targets,
    rates: Tensor,
    corrections: Tensor,
    *,
    precision: str = "float32",
    accumulate: int = 1,
    processes: Processes = ALONE,
) -> Tensor:
    """Run one update per row of rates, and return the losses before each, (updates, copies).

    Args:
        model: its parameters are changed in place.
        state: the optimizer's state, likewise.
        inputs: (copies, updates, batch, …).
        targets: what to match, for the same rows.
        rates: (updates, copies).
        corrections: (updates, …), the optimizer's.
        precision: in which matrices are multiplied; weights, losses and the optimizer stay as they are. For "float16"
            the state must hold `scaling_tensors`.
        accumulate: in how many micro-batches the gradient is summed: less memory, the same update.
        processes: those that share every update. Inputs and targets are this process's rows; losses are those of all
            rows.
    """
    micro_batches = [rows for rows in shares(inputs.shape[2], accumulate) if rows.stop > rows.start]
    scale = state.tensors.get("loss_scale")  # in float16 only
    losses = []
    for update in range(len(rates)):
        total = None
        for rows in micro_batches:
            part = _loss_and_gradients(model, state.parameters, inputs, targets, update, rows, precision, scale)
            total = part if total is None else [so_far + more for so_far, more in zip(total, part, strict=True)]
        if total is None:  # more processes than rows: this one has none, but the others wait for its zeros
            total = [torch.zeros_like(tensor) for tensor in (rates[update], *state.parameters)]
        loss, *gradients = processes.all_reduce_sum(total)
        if scale is None:
            state.update(gradients, rates[update], corrections[update])
        else:
            gradients, finite = unscale(gradients, scale)
            state.update(gradients, rates[update], corrections[update], finite=finite)
            adjust(state.tensors, finite)
        losses.append(loss)
    return torch.stack(losses)


def _loss_and_gradients(
    model: Model,
    parameters: list[Tensor],
    inputs: Tensor,
    targets: Targets,
    update: int,
    rows: slice,
    precision: str,
    scale: Tensor | None,
) -> list[Tensor]:
    """Return what these rows of an update add to the loss of each copy, (copies,), and to each parameter's gradient.

    Gradients are those of the loss times the scale, (copies,), if there is one.
    """
    # no cache of converted weights: a recorded graph would keep reading the weights of the update that was recorded
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    with torch.autocast(inputs.device.type, half, enabled=half is not None, cache_enabled=False):
        logits = targets.logits(model, inputs[:, update, rows], update, rows)
    loss = targets.loss_of(logits.to(targets.soft.dtype), update, rows)  # (copies,)
    # no copy's parameters enter another copy's loss, so the sum gives each its own gradient
    total = (loss if scale is None else loss * scale).sum()
    gradients = torch.autograd.grad(total, parameters, materialize_grads=True)  # 0 for parameters without a use
    return [loss.detach(), *gradients]
