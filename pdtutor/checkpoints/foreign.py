"""Teachers that are not runs of pdtutor: the base class of their trajectories, and functions as teachers.

`pdtutor.checkpoints.hub` has the teachers whose checkpoints are saved models of the transformers library.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Self

import torch
from torch import Tensor, nn

from pdtutor.checkpoints.teachable import nearest
from pdtutor.models.model import Model
from pdtutor.validate import number, shown, text, whole

Function = Callable[[Tensor], Tensor]


class ForeignTrajectory:
    """The checkpoints of one teacher from elsewhere, each found by its step; see `Teachable`.

    Args:
        path: a name for messages.
        steps: the steps that have a checkpoint, in any order.
        described: what the digest is computed from.

    Attributes:
        path: a name for messages.
        steps: the steps that have a checkpoint, ascending.
        final: the last of these steps.
        seeds: [0], because the teacher is a single model.
        digest: a short fingerprint of the teacher. A resumed run refuses a teacher with another one.

    Raises ValueError for no checkpoints, and for several of one step.
    """

    def __init__(self, path: str, steps: tuple[int, ...], described: tuple) -> None:
        self.path, self.seeds = path, [0]
        self.steps = tuple(sorted(whole("a checkpoint's step", step, minimum=0) for step in steps))
        if not self.steps:
            raise ValueError(f"{path} has no checkpoints")
        repeated = sorted({step for step in self.steps if self.steps.count(step) > 1})
        if repeated:
            raise ValueError(f"{path} has several checkpoints of step {', '.join(map(str, repeated))}")
        self.digest = sha256(repr((type(self).__name__, *described)).encode()).hexdigest()[:16]

    @property
    def final(self) -> int:
        return self.steps[-1]

    def at(self, step: int) -> Model:
        """Return the teacher of this step as a model of one copy. Raises ValueError for any other step."""
        raise NotImplementedError

    def nearest(self, step: int) -> int:
        """Return the step closest to `step` that has a checkpoint, the earlier one on a tie."""
        return nearest(self.steps, number("step", step))

    def prefetch(self, step: int) -> None:
        """Do nothing. A subclass may prepare for a coming `at(step)`."""

    def copy(self, number: int) -> Self:
        """Return this trajectory, for copy 0, the only one. Raises ValueError for any other copy."""
        if number != 0:
            raise ValueError(f"copy must be 0, the only one of {self.path}, got {number!r}")
        return self

    def of(self, seed: int) -> Self:
        """Return this trajectory, for seed 0, that of its only copy. Raises ValueError for any other seed."""
        if seed != 0:
            raise ValueError(f"no single copy has seed {seed!r}; the copies' seeds are {self.seeds}")
        return self

    def _require(self, step: int) -> None:
        number("step", step)
        if step not in self.steps:
            raise ValueError(f"{self.path} has no checkpoint at step {step}; the nearest is {self.nearest(step)}")

    def __repr__(self) -> str:
        span = f"steps {self.steps[0]}…{self.final}" if len(self.steps) > 1 else f"step {self.final}"
        count = f"{len(self.steps)} checkpoint{'s' * (len(self.steps) > 1)}"
        return f"{type(self).__name__}({self.path!r}: {count}, {span})"


class FunctionTeacher(ForeignTrajectory):
    """Any function that returns logits, as a teacher with one checkpoint; or several functions, one per step.

        Distill(FunctionTeacher(lambda ids: ..., classes=26, name="n-gram counts"), one_shot())

    Args:
        function: maps a batch of inputs, such as token ids (batch, length) int64, to logits (batch, length, classes),
            or (batch, classes) for one prediction per input: a tensor, or whatever `torch.as_tensor` takes. Equal
            inputs must give equal logits, whatever batch they are in. It is called without gradients, on the student's
            device. A torch module is moved there and put in eval mode in place, without a copy. For several
            checkpoints, give a dict {step: function}.
        classes: number of logits.
        name: what messages call it. A resumed run recognises the teacher by its name, steps and classes, so give a
            changed function another name.

    Raises ValueError for an empty dict, an empty name and classes < 1.
    """

    def __init__(self, function: Function | Mapping[int, Function], *, classes: int, name: str) -> None:
        given = dict(function) if isinstance(function, Mapping) else {0: function}
        for of_step in given.values():
            if not callable(of_step):
                raise ValueError(f"function must be a function, or a dict {{step: function}}, got {shown(of_step)}")
        self.functions = {whole("a checkpoint's step", step, minimum=0): of_step for step, of_step in given.items()}
        self.classes = whole("classes", classes)
        super().__init__(text("name", name), tuple(self.functions), (name, sorted(self.functions), self.classes))

    def at(self, step: int) -> "FunctionModel":
        self._require(step)
        return FunctionModel(self.functions[step], classes=self.classes, name=self.path).eval()


class FunctionModel(nn.Module):
    """A function of a batch as a model of one copy; see `FunctionTeacher`."""

    def __init__(self, function: Function, *, classes: int, name: str) -> None:
        super().__init__()
        self.function, self.classes, self.name, self.seeds = function, classes, name, [0]

    def config(self) -> dict:
        """Raise ValueError: a function can't be written to disk, so no run can train it."""
        raise ValueError(f"{self.name} is a function: it can teach and be probed, but not be trained or saved")

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs (1, batch, …) to logits (1, batch, …, classes) or (1, batch, classes), float32.

        Raises ValueError if the function returns logits of another shape.
        """
        inputs = inputs[0]
        logits = torch.as_tensor(self.function(inputs), dtype=torch.float32, device=inputs.device)
        allowed = [(*inputs.shape, self.classes), (len(inputs), self.classes)]
        if tuple(logits.shape) not in allowed:
            raise ValueError(
                f"{self.name} must map inputs of shape {tuple(inputs.shape)} to logits of shape {allowed[0]} or "
                f"{allowed[1]}, got {tuple(logits.shape)}"
            )
        return logits.unsqueeze(0)
