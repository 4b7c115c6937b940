"""A run's checkpoints on disk: one safetensors file per checkpoint, and one JSON file that describes them.

`trajectory.json` holds the configurations of the model and the task, from which both are rebuilt, and the step, file
name, size and SHA-256 of every checkpoint. Nothing is ever unpickled.
"""

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from pdtutor.checkpoints.teachable import nearest
from pdtutor.files import read_json, write_bytes, write_json
from pdtutor.models.build import MODELS, build_model, select_copies
from pdtutor.models.model import Model
from pdtutor.processes import TemporaryFolder, on_main
from pdtutor.registry import require_rebuildable
from pdtutor.tasks.build import TASKS, build_task
from pdtutor.tasks.task import Task
from pdtutor.validate import a_path, differences, number, plain, sequence, whole

FORMAT = "pdtutor trajectory 1"


class Trajectory:
    """The checkpoints of one run. Weights are read one checkpoint at a time, when `at` asks for them.

    Attributes:
        path: the folder.
        steps: the saved steps (optimizer updates), ascending.
        final: the last of these steps.
        task: the task that the run was trained on.
        seeds: one seed per copy of the model.

    Raises ValueError, naming the folder, if it holds no trajectory or one in a format that this version can't read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = a_path("path", path)
        self._temporary: TemporaryFolder | None = None  # held so that a temporary folder lives as long as this
        if not (self.path / "trajectory.json").exists():
            raise ValueError(f"{self.path} holds no trajectory: it has no trajectory.json")
        self._index = read_json(self.path / "trajectory.json")
        if not isinstance(self._index, dict) or self._index.get("format") != FORMAT:
            raise ValueError(f"{self.path / 'trajectory.json'} is not in the format {FORMAT!r}")
        self._copies: list[int] | None = None

    @classmethod
    def create(cls, path: str | Path | None, model: Model, task: Task) -> "Trajectory":
        """Create the folder (a temporary one if path is None) and an empty trajectory in it.

        A temporary folder lives as long as the trajectory or any view of one of its copies. If several processes train
        together (see `pdtutor.processes`), all must call this, and all get the same trajectory. Raises ValueError if
        the folder already holds a trajectory, and for a model or task that would be reopened as another class: its
        `config()` names another one, or another one has its name.
        """
        require_rebuildable(model, MODELS)
        require_rebuildable(task, TASKS)
        temporary = None
        if path is None:
            temporary = TemporaryFolder()
            path = temporary.path
        _start(a_path("path", path), model, task)
        trajectory = cls(path)
        trajectory._temporary = temporary
        return trajectory

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(entry["step"] for entry in self._index["checkpoints"])

    @property
    def final(self) -> int:
        self._require_checkpoints()
        return self.steps[-1]

    @property
    def task(self) -> Task:
        return build_task(self._index["task"])

    @property
    def seeds(self) -> list[int]:
        seeds = self._index["model"]["seed"]
        return seeds if self._copies is None else [seeds[copy] for copy in self._copies]

    @property
    def digest(self) -> str:
        """A short fingerprint of the model, the task and every checkpoint's content; a subclass has others."""
        kind = () if type(self) is Trajectory else (type(self).__qualname__,)
        return hashlib.sha256(repr((self._index, self._copies, *kind)).encode()).hexdigest()[:16]

    def is_of(self, model: dict, task: dict) -> bool:
        """Return whether it holds checkpoints of the model and the task that these configurations describe."""
        described = json.loads(json.dumps({"model": model, "task": task}))  # as they are once they were written
        return all(self._index[part] == config for part, config in described.items())

    def require_task(self, task: Task) -> None:
        """Raise ValueError, naming what differs, for another task than the one that the run was trained on."""
        ours = json.loads(json.dumps(task.config()))
        if ours == self._index["task"]:
            return
        try:
            recorded = self.task.config()  # as this version writes it
        except (ValueError, TypeError):  # of a class that isn't known here
            recorded = self._index["task"]
        if different := differences(json.loads(json.dumps(recorded)), ours):
            raise ValueError(f"{self.path} was trained on another task: {different}")

    def copy(self, number: int) -> "Trajectory":
        """Return the same trajectory with only this copy of its model. Raises ValueError if there is no such copy."""
        number = plain(number)
        if isinstance(number, bool) or number not in range(len(self.seeds)):
            raise ValueError(f"copy must be in 0…{len(self.seeds) - 1}, got {number!r}")
        view = copy(self)
        view._index = read_json(self.path / "trajectory.json")
        view._copies = [number if self._copies is None else self._copies[number]]
        return view

    def of(self, seed: int) -> "Trajectory":
        """Return the same trajectory with only the copy that was trained with this seed.

        Raises ValueError unless exactly one copy has it.
        """
        seed = plain(seed)
        if self.seeds.count(seed) != 1:
            raise ValueError(f"no single copy has seed {seed!r}; the copies' seeds are {self.seeds}")
        return self.copy(self.seeds.index(seed))

    def save(self, step: int, model: Model) -> None:
        """Save the model as the checkpoint of this step, replacing any earlier one of the same step.

        All other checkpoints stay readable even if the process is killed here. If several processes train together, all
        must call this; the main one writes. Raises ValueError for a model with another `config()` than that of the
        trajectory: it would be reopened as something else.
        """
        if different := differences(self._index["model"], json.loads(json.dumps(model.config()))):
            raise ValueError(f"{self.path} holds checkpoints of another model: {different}")
        self._index = _add(self.path, self._index, step, model)

    def at(self, step: int) -> Model:
        """Return the model as it was after exactly `step` updates, in eval mode on the CPU, without gradients.

        Raises ValueError if that step was not saved (naming the nearest), or if its file is missing, truncated, altered
        or doesn't fit the model.
        """
        step = whole("step", step, minimum=0)
        if step not in self.steps:
            self._require_checkpoints()
            raise ValueError(f"{self.path} has no checkpoint at step {step}; the nearest is {self.nearest(step)}")
        entry = self._index["checkpoints"][self.steps.index(step)]
        path = self.path / entry["file"]
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise ValueError(f"checkpoint {path} is missing") from None
        if len(content) != entry["bytes"] or hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ValueError(
                f"checkpoint {path} is damaged: {len(content)} bytes that don't match the {entry['bytes']} recorded "
                "for it"
            )
        model = build_model(self._index["model"])
        load_weights(model, read_tensors(content, path), path)
        if self._copies is not None:
            model = select_copies(model, self._copies)
        return model.eval().requires_grad_(False)

    def extract(self, path: str | Path, steps: Sequence[int]) -> "Trajectory":
        """Return a new trajectory, in the folder `path`, with these checkpoints only and the copies that this one has.

        With it, a few megabytes of a run of hundreds can be kept or passed on. Raises ValueError for no steps, for a
        step that was not saved, and for a folder that already holds a trajectory.
        """
        path, models = a_path("path", path), [self.at(step) for step in sequence("steps", steps)]
        if not models:
            raise ValueError(f"no steps were named to extract from {self.path}")
        extracted = Trajectory.create(path, models[0], self.task)
        for step, model in zip(steps, models, strict=True):
            extracted.save(step, model)
        return extracted

    def nearest(self, step: int) -> int:
        """Return the saved step closest to `step`, the earlier one on a tie. Raises ValueError if there is none."""
        self._require_checkpoints()
        return nearest(self.steps, number("step", step))

    def prefetch(self, step: int) -> None:
        """Do nothing: a file on this machine is read fast enough when `at` asks for it."""

    def _require_checkpoints(self) -> None:
        if not self.steps:
            raise ValueError(f"the trajectory in {self.path} is empty: no checkpoint was saved")

    def __repr__(self) -> str:
        span = f"steps {self.steps[0]}…{self.steps[-1]}" if self.steps else "empty"
        return f"Trajectory({str(self.path)!r}: {len(self.steps)} checkpoints, {span})"


@on_main
def _start(path: Path, model: Model, task: Task) -> None:
    """Create the folder and an empty trajectory in it. Raises ValueError if there is one already."""
    if (path / "trajectory.json").exists():
        raise ValueError(f"{path} already holds a trajectory: choose another folder, or resume that run")
    path.mkdir(parents=True, exist_ok=True)
    index = {"format": FORMAT, "model": model.config(), "task": task.config(), "checkpoints": []}
    write_json(path / "trajectory.json", index)


@on_main
def _add(path: Path, index: dict, step: int, model: Model) -> dict:
    """Write the checkpoint, then the index that lists it, and return that index."""
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()})
    entry = {
        "step": step,
        "file": f"step_{step:09d}.safetensors",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_bytes(path / entry["file"], content)
    kept = [other for other in index["checkpoints"] if other["step"] != step]
    index = index | {"checkpoints": sorted([*kept, entry], key=lambda e: e["step"])}
    write_json(path / "trajectory.json", index)
    return index


def read_tensors(content: bytes, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in the content of a safetensors file at this path. Raises ValueError naming the file."""
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file ({error})") from error


def load_weights(model: Model, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load tensors, read from this path, into the model. Raises ValueError naming the file and what doesn't fit."""
    expected = model.state_dict()
    misfits = [
        f"{name} is {shape_of(tensors.get(name))}, the model's is {shape_of(expected.get(name))}"
        for name in sorted(expected.keys() | tensors.keys())
        if shape_of(tensors.get(name)) != shape_of(expected.get(name))
    ]
    if misfits:
        raise ValueError(f"{path} doesn't fit the model: {'; '.join(misfits)}")
    model.load_state_dict(tensors)


def shape_of(tensor: torch.Tensor | None) -> tuple[int, ...] | str:
    """Return the tensor's shape, or the word "absent"."""
    return "absent" if tensor is None else tuple(tensor.shape)
