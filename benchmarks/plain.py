"""Training and distillation as one would first write them: the baselines of the benchmarks, in textbook PyTorch.

They do the work that `pdtutor.train` does, and a test holds both to the same weights. Nothing here is slow on purpose:
the dataset hands the DataLoader whole batches, drawn at once by the task's own sampler. Drawing one example at a
time and collating them, as many first versions do, is about three times slower at batch 32.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from pdtutor import MLP, Model, Task


class Batches(IterableDataset):
    """Endless batches of fresh examples, inputs and labels, both (batch, …)."""

    def __init__(self, task: Task, *, batch_size: int, seed: int) -> None:
        self.task, self.batch_size, self.seed = task, batch_size, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng(self.seed)
        while True:
            inputs, labels = self.task.sample(rng, self.batch_size)
            yield torch.from_numpy(inputs), torch.from_numpy(labels)


def sequential(mlp: Model) -> nn.Sequential:
    """Return an nn.Sequential with the weights of the MLP's first copy."""
    assert isinstance(mlp, MLP)
    modules: list[nn.Module] = []
    for layer in mlp.layers:
        outputs, inputs = layer.get_parameter("weight").shape[1:]
        linear = nn.Linear(inputs, outputs)
        linear.load_state_dict({name: tensor[0] for name, tensor in layer.state_dict().items()})
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def fit(student: nn.Module, batches: IterableDataset, *, steps: int, lr: float) -> nn.Module:
    """Train the student in place on labels and return it."""
    optimizer = torch.optim.SGD(student.parameters(), lr=lr)
    # no worker processes: they would be a second core, and slower than drawing here at these sizes
    for _, (inputs, labels) in zip(range(steps), DataLoader(batches, batch_size=None), strict=False):
        loss = nn.functional.cross_entropy(student(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student


def distil(
    student: nn.Module, teacher: nn.Module, batches: IterableDataset, *, steps: int, lr: float, temperature: float
) -> nn.Module:
    """Train the student in place on the teacher's soft targets, one teacher forward per step, and return it."""
    optimizer = torch.optim.SGD(student.parameters(), lr=lr)
    for _, (inputs, _) in zip(range(steps), DataLoader(batches, batch_size=None), strict=False):
        with torch.no_grad():
            targets = (teacher(inputs) / temperature).softmax(-1)  # (batch, classes)
        loss = -(targets * student(inputs).log_softmax(-1)).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student
