"""Two ways to run a stretch of updates: autograd, which is general, and compiled kernels for small MLPs under SGD."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from pdtutor.kernels import sgd_by_batch, sgd_by_example
from pdtutor.models import MLP
from pdtutor.optim import SGD, AdamWState, SGDState
from pdtutor.teaching import Targets
from pdtutor.validate import one_of

# Measured on a 2-core CPU: up to the first batch size a kernel beats autograd, up to the second it is the one that
# works example by example.
KERNEL_BATCH = 64
EXAMPLE_BATCH = 4


def choose_engine(engine: str, model: nn.Module, optimizer, batch_size: int, *, linear: bool) -> str:
    """Return "kernel" or "autograd"; "auto" takes the kernel where it applies and is faster.

    `linear` says whether every copy's loss is linear in its target (labels or forward KL).
    Raises ValueError if the kernel is asked for where it doesn't apply, with the reason.
    """
    one_of("engine", engine, ("auto", "kernel", "autograd"))
    first = next(model.parameters())
    reasons = {
        "the model is not an MLP with one hidden layer": isinstance(model, MLP) and len(model.widths) == 1,
        "the optimizer is not SGD without momentum and weight decay": isinstance(optimizer, SGD)
        and not optimizer.momentum
        and not optimizer.weight_decay,
        "a divergence other than forward_kl is in use": linear,
        "the model is not float32 on the CPU": first.device.type == "cpu" and first.dtype == torch.float32,
    }
    missing = [reason for reason, holds in reasons.items() if not holds]
    if engine == "kernel" and missing:
        raise ValueError(f"engine='kernel' doesn't apply here: {missing[0]}")
    if engine != "auto":
        return engine
    return "kernel" if not missing and batch_size <= KERNEL_BATCH else "autograd"


def autograd_updates(
    model: nn.Module, state: SGDState | AdamWState, inputs: Tensor, targets: Targets, rates: Tensor, start: int
) -> Tensor:
    """Run one update per row of rates and return the losses before each, (updates, copies).

    Args:
        inputs: (copies, updates, batch, …).
        rates: (updates, copies).
        start: the step of the first update, counted from 0.
    """
    losses = []
    for update in range(len(rates)):
        model.zero_grad(set_to_none=True)
        loss = targets.loss_of(model(inputs[:, update]), update)  # (copies,)
        loss.sum().backward()  # no copy's parameters enter another's loss, so each gets its own gradient
        state.update(rates[update], start + update)
        losses.append(loss.detach())
    return torch.stack(losses)


def kernel_updates(model: MLP, inputs: Tensor, index: Tensor, targets: Targets, rates: Tensor) -> Tensor:
    """Do what `autograd_updates` does with the compiled kernel, copies in parallel threads.

    Args:
        inputs: (distinct, updates, batch, d).
        index: (copies,), which of the distinct streams each copy reads.
        rates: (updates, copies).
    """
    first, second = model.layers
    losses = torch.empty(len(model.seeds), len(rates))

    by_example = inputs.shape[2] <= EXAMPLE_BATCH
    sgd = sgd_by_example if by_example else sgd_by_batch
    rows = (inputs if by_example else inputs.transpose(2, 3)).contiguous()

    def run(copy: int) -> None:
        weights = [t.detach()[copy].numpy() for t in (first.weight, first.bias, second.weight, second.bias)]
        examples, q = rows[index[copy]].numpy(), targets.soft[copy].contiguous().numpy()
        sgd(*weights, examples, q, rates[:, copy].contiguous().numpy(), losses[copy].numpy())

    copies = range(len(model.seeds))
    if len(copies) == 1:
        run(0)  # starting a thread would cost as much as hundreds of the smallest updates
    else:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(run, copies))
    return losses.T
