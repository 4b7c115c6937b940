"""How to run a stretch of updates: autograd, which is general, or a compiled kernel for small MLPs under SGD.

Autograd's updates recorded for a GPU are in `pdtutor.training.captured`.
"""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from pdtutor.distillation.targets import Targets
from pdtutor.models.kernels import sgd
from pdtutor.models.mlp import MLP
from pdtutor.models.pretrained import Pretrained
from pdtutor.processes import ALONE, Processes, shares
from pdtutor.training.optim import SGD, AdamWState, SGDState
from pdtutor.validate import one_of

PRECISIONS = ("float32", "bfloat16")
KERNEL_BATCH = 512  # measured on a 2-core CPU: up to this batch size, at least, the kernel beats autograd


def choose_engine(
    engine: str,
    model: nn.Module,
    optimizer,
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
    Raises ValueError if an engine is asked for where it doesn't apply, with the reason.
    """
    one_of("engine", engine, ("auto", "kernel", "graph", "autograd"))
    first = next(model.parameters())
    in_one_piece = {
        "a divergence other than forward_kl is in use": linear,
        "several processes share every update": processes == 1,
        "an update accumulates the gradients of several micro-batches": accumulate == 1,
    }
    conditions = {
        "kernel": {
            "the model is not an MLP with one hidden layer": isinstance(model, MLP) and len(model.widths) == 1,
            "the optimizer is not SGD without momentum and weight decay": isinstance(optimizer, SGD)
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
    return "graph" if not missing["graph"] and first.device.type == "cuda" else "autograd"


def autograd_updates(
    model: nn.Module,
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
    model: nn.Module,
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


def kernel_updates(model: MLP, inputs: Tensor, index: Tensor, targets: Targets, rates: Tensor) -> Tensor:
    """Do what `autograd_updates` does with the compiled kernel, copies in parallel threads.

    Args:
        inputs: (distinct, updates, batch, d).
        index: (copies,), which of the distinct streams each copy reads.
        rates: (updates, copies).
    """
    first, second = model.layers
    losses = torch.empty(len(model.seeds), len(rates))

    def run(copy: int) -> None:
        weights = [t.detach()[copy].numpy() for t in (first.weight, first.bias, second.weight, second.bias)]
        examples, q = (t.contiguous().numpy() for t in (inputs[index[copy]], targets.soft[copy]))
        sgd(*weights, examples, q, rates[:, copy].contiguous().numpy(), losses[copy].numpy())

    copies = range(len(model.seeds))
    if len(copies) == 1:
        run(0)  # starting a thread would cost as much as hundreds of the smallest updates
    else:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(run, copies))
    return losses.T
