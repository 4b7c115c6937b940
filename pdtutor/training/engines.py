"""How to run a stretch of updates: autograd, which is general, or a compiled kernel for small MLPs under SGD.

Autograd's updates recorded for a GPU are in `pdtutor.training.captured`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.distillation.targets import Targets
from pdtutor.models.kernels import sgd
from pdtutor.models.mlp import MLP
from pdtutor.models.model import Model
from pdtutor.models.pretrained import Pretrained
from pdtutor.models.transformer import Transformer
from pdtutor.processes import ALONE, Processes, shares
from pdtutor.tasks.stream import Stretch
from pdtutor.training.optim import SGD, AdamW, AdamWState, SGDState
from pdtutor.training.settings import ENGINES
from pdtutor.validate import one_of

KERNEL_BATCH = 512  # measured on a 2-core CPU: up to this batch size, at least, the kernel beats autograd


class Engine(Protocol):
    """What runs the updates of a stretch on a model, in place."""

    def __call__(
        self,
        stretch: Stretch,
        targets: Targets,
        rates: Float[Tensor, "updates copies"],
        corrections: Float[Tensor, "updates any"],
    ) -> Float[Tensor, "updates copies"]:
        """Run one update per row of rates and return the losses before each, less the targets' constant.

        Args:
            stretch: the examples, of which this process works on its own rows.
            targets: what to match there.
            rates: the learning rates.
            corrections: what else of the optimizer depends on the step.
        """
        ...


@dataclass(frozen=True)
class AutogradEngine:
    """Any model, optimizer and loss, one update after the other; see `autograd_updates`."""

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
    """What autograd does, by the compiled kernel, copies in parallel threads."""

    model: MLP

    def __call__(self, stretch: Stretch, targets: Targets, rates: Tensor, corrections: Tensor) -> Tensor:
        """Run the updates of a stretch; see `Engine`. SGD has no corrections."""
        first, second = self.model.layers
        parameters = [layer.get_parameter(name) for layer in (first, second) for name in ("weight", "bias")]
        losses = torch.empty(len(self.model.seeds), len(rates))

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
    """Return "kernel", "graph" or "autograd"; "auto" takes the first where it applies and is faster, then the second.

    `linear` says whether every copy's loss is linear in its target (labels or forward KL); `processes` how many share
    an update, and `accumulate` in how many micro-batches: "autograd" alone lets several sum up their gradients.

    The kernel computes what MLP computes, so a subclass of MLP, which may compute something else, never runs on it.
    Neither does "auto" record models that are not pdtutor's own: they may ask the accelerator in between.

    Raises ValueError if an engine is asked for where it doesn't apply, with the reason.
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
            "the model is not an MLP with one hidden layer": type(model) is MLP and len(model.widths) == 1,
            "the optimizer is not SGD without momentum and weight decay": type(optimizer) is SGD
            and not optimizer.momentum
            and not optimizer.weight_decay,
            "the model is not float32 on the CPU": first.device.type == "cpu" and first.dtype == torch.float32,
            "it computes in float32 only": precision == "float32",
        }
        | in_one_piece,
        "graph": {"models of transformers may ask the accelerator in between": not isinstance(model, Pretrained)}
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
    recordable = not missing["graph"] and type(model) in (MLP, Transformer) and first.device.type == "cuda"
    return "graph" if recordable else "autograd"


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
    """Run one update per row of rates and return the losses before each, (updates, copies).

    Args:
        inputs: (copies, updates, batch, …).
        rates: (updates, copies).
        corrections: (updates, …), the optimizer's.
        precision: what matrices are multiplied in; weights, losses and the optimizer stay as they are.
        accumulate: in how many micro-batches the gradient is summed up: less memory, the same update.
        processes: those that share every update; inputs and targets are this one's rows, losses are of all.
    """
    micro_batches = [rows for rows in shares(inputs.shape[2], accumulate) if rows.stop > rows.start]
    losses = []
    for update in range(len(rates)):
        total = None
        for rows in micro_batches:
            part = _loss_and_gradients(model, state.parameters, inputs, targets, update, rows, precision)
            total = part if total is None else [so_far + more for so_far, more in zip(total, part, strict=True)]
        if total is None:  # more processes than rows: this one has none, but the others wait for its zeros
            total = [torch.zeros_like(tensor) for tensor in (rates[update], *state.parameters)]
        loss, *gradients = processes.all_reduce_sum(total)
        state.update(gradients, rates[update], corrections[update])
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
) -> list[Tensor]:
    """Return what these rows of an update add to the loss of each copy, (copies,), and to each parameter's gradient."""
    # no cache of converted weights: a recorded graph would go on reading those of the update that was recorded
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False):
        logits = targets.logits(model, inputs[:, update, rows], update, rows)
    loss = targets.loss_of(logits.to(targets.soft.dtype), update, rows)  # (copies,)
    # no copy's parameters enter another's loss, so each gets its own gradient
    return [loss.detach(), *torch.autograd.grad(loss.sum(), parameters)]
