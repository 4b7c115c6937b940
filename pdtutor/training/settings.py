"""The settings of a run: the checked arguments of `train`, which a resume must repeat."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from torch import Tensor

from pdtutor.distillation.supervision import Labels, Supervision
from pdtutor.models.model import Model
from pdtutor.processes import Processes, launched_accumulation, launched_precision
from pdtutor.tasks.stream import Stretch
from pdtutor.tasks.task import Task, fingerprint_of
from pdtutor.training.optim import SGD, AdamW
from pdtutor.validate import differences, instance, number, one_of, seed_list, sequence, several, shown, whole

PRECISIONS = ("float32", "bfloat16", "float16")
ENGINES = ("auto", "kernel", "graph", "autograd")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The checked arguments of `train`, with defaults filled in and, where copies may differ, one value per copy.

    Attributes:
        model: the model's configuration.
        task: the task's configuration.
        content: the fingerprint of what the task draws from; None if its configuration says it all.
        seeds: the seeds of the training examples, one per copy.
        saved_steps: the steps of all checkpoints, ascending.

    The others are as in `train`.
    """

    model: dict
    task: dict
    content: str | None
    steps: int
    batch_size: int
    optimizer: SGD | AdamW
    supervision: list[Supervision]
    seeds: list[int]
    role: str
    eval_every: int
    eval_examples: int
    saved_steps: list[int]
    until: float | None
    precision: str
    accumulate: int

    @property
    def linear(self) -> bool:
        """Whether every copy's loss is linear in its target: labels or forward KL."""
        return all(supervision.divergence == "forward_kl" for supervision in self.supervision)

    def rates(self, stretch: Stretch) -> tuple[Tensor, Tensor]:
        """Return a stretch's learning rates (updates, copies) and the optimizer's corrections (updates, …)."""
        device = stretch.inputs.device
        rates = self.optimizer.rates(stretch.start, stretch.stop, steps=self.steps, copies=len(self.seeds))
        return rates.to(device), self.optimizer.corrections(stretch.start, stretch.stop).to(device)

    def record(self, engine: str) -> dict:
        """Return the settings as they are written to run.json."""
        return json.loads(
            json.dumps(
                {
                    "model": self.model,
                    "task": self.task,
                    "content": self.content,
                    "steps": self.steps,
                    "batch_size": self.batch_size,
                    "optimizer": {"class": type(self.optimizer).__name__, **asdict(self.optimizer)},
                    "supervision": [supervision.config() for supervision in self.supervision],
                    "seed": self.seeds,
                    "role": self.role,
                    "eval_every": self.eval_every,
                    "eval_examples": self.eval_examples,
                    "saved_steps": self.saved_steps,
                    "until": self.until,
                    "engine": engine,
                    "precision": self.precision,
                }
            )
        )


def check(
    model: Model,
    task: Task,
    *,
    steps: int,
    batch_size: int,
    optimizer: SGD | AdamW | None,
    supervision: Supervision | Sequence[Supervision] | None,
    seed: int | Sequence[int] | None,
    role: str | None,
    eval_every: int | None,
    eval_examples: int,
    save_every: int | None,
    save_at: Sequence[int],
    until: float | None,
    precision: str | None,
    accumulate: int | None,
) -> Settings:
    """Return the settings that these arguments of `train` give. Raises ValueError for any that is out of range."""
    if not isinstance(model, Model):
        raise ValueError(
            f"a model must have seeds, classes and config(), got {_named(model)}; Network makes a model of any torch "
            "module, and pdtutor.models.model says what a model of your own needs"
        )
    if not isinstance(task, Task) or isinstance(task, type):
        raise ValueError(
            f"a task must be an object with classes, sample(rng, n) and config(), got {_named(task)}; "
            "pdtutor.tasks.task says what a task of your own needs"
        )
    copies = len(model.seeds)
    _require_copies(model, copies)
    if model.classes != task.classes:
        raise ValueError(f"the model predicts {model.classes} classes, the task has {task.classes}")
    steps, batch_size = whole("steps", steps), whole("batch_size", batch_size)
    kinds = "Labels(), Distill(…) or Stored(…), one or a list of one per copy"
    per_copy = [
        instance("supervision", of_copy, Supervision, kinds)
        for of_copy in _per_copy("supervision", Labels() if supervision is None else supervision, copies)
    ]
    seeds = seed_list(model.seeds if seed is None else _per_copy("seed", seed, copies))
    taught = any(of_copy.source is not None for of_copy in per_copy)
    default = "student" if taught else "teacher"
    role = one_of("role", default if role is None else role, ("teacher", "student"))
    for of_copy, its_seed in zip(per_copy, seeds, strict=True):
        of_copy.require(task=task, batch_size=batch_size, seed=its_seed, role=role, steps=steps)
    optimizer = SGD() if optimizer is None else optimizer
    if not isinstance(optimizer, SGD | AdamW):
        raise ValueError(f"optimizer must be SGD(…) or AdamW(…), got {shown(optimizer)}")
    optimizer.rates(0, 1, steps=steps, copies=copies)  # finds a wrong number of rates before training
    return Settings(
        model=model.config(),
        task=task.config(),
        content=fingerprint_of(task),
        steps=steps,
        batch_size=batch_size,
        optimizer=optimizer,
        supervision=per_copy,
        seeds=seeds,
        role=role,
        eval_every=whole("eval_every", max(1, steps // 50) if eval_every is None else eval_every),
        eval_examples=whole("eval_examples", eval_examples),
        saved_steps=_saved_steps(steps, save_every, save_at),
        until=until if until is None else number("until", until, minimum=0, maximum=1),
        precision=one_of("precision", launched_precision() if precision is None else precision, PRECISIONS),
        accumulate=whole("accumulate", launched_accumulation() if accumulate is None else accumulate),
    )


def require_same(settings: dict, processes: Processes) -> None:
    """Raise ValueError if this process was asked for another run than the main process: together they would hang."""
    theirs = processes.broadcast(settings)
    if different := differences(theirs, settings, was="in process 0 is", now=f"in process {processes.rank}"):
        raise ValueError(f"all processes must be asked for the same run: {different}")


def _named(given: object) -> str:
    """Return what to call something of the wrong kind in a message."""
    return f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"


def _require_copies(model: Model, copies: int) -> None:
    """Raise ValueError for a model of several copies that share a parameter or a buffer: they would be one student."""
    if copies < 2:
        return
    for name, tensor in model.state_dict().items():
        if tensor.shape[:1] != (copies,):
            raise ValueError(
                f"the model has {copies} seeds, so {name} must have a first axis of {copies}, one entry per copy, got "
                f"shape {tuple(tensor.shape)}: copies must not share weights"
            )


def _saved_steps(steps: int, save_every: int | None, save_at: Sequence[int]) -> list[int]:
    """Return the steps of all checkpoints, ascending and with the last step. Raises ValueError for one out of range."""
    saved = {steps} | {whole("save_at", step, minimum=0) for step in sequence("save_at", save_at, ordered=False)}
    if save_every is not None:
        saved |= set(range(0, steps, whole("save_every", save_every)))
    if max(saved) > steps:
        raise ValueError(f"save_at must lie in 0…{steps}, got {max(saved)}")
    return sorted(saved)


def _per_copy(name: str, value, copies: int) -> list:
    """Return a list of one value per copy. Raises ValueError if a list of another length was given."""
    found = several(value)
    values = [value] * copies if found is None else found
    if len(values) != copies:
        raise ValueError(f"{name} must be one value or one per copy: got {len(values)} for {copies} copies")
    return values
