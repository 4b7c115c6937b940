"""A run's checkpoints, in order, on disk: one safetensors file per checkpoint and one JSON that explains them.

`trajectory.json` holds the model's and the task's configuration, from which both are rebuilt without being told, and
for every checkpoint its step, file name, size and SHA-256. Nothing is ever unpickled.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from pdtutor.checkpoints.teachable import nearest
from pdtutor.files import read_json, write_bytes, write_json
from pdtutor.models.build import build_model, model_class, select_copies
from pdtutor.models.model import Model
from pdtutor.processes import TemporaryFolder, on_main
from pdtutor.tasks.build import build_task, task_class
from pdtutor.tasks.task import Task

FORMAT = "pdtutor trajectory 1"


class Trajectory:
    """Checkpoints of one run, opened lazily: a checkpoint's weights are read when `at` asks for them.

    Attributes:
        path: the folder.
        steps: the saved steps (optimizer updates), ascending.
        final: the last of them.
        task: the task that the run was trained on.
        seeds: one per copy of the model.

    Raises ValueError, naming the folder, if it holds no trajectory or one in a format that this version can't read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._temporary: TemporaryFolder | None = None  # the folder, if it is to go when this does
        if not (self.path / "trajectory.json").exists():
            raise ValueError(f"{self.path} holds no trajectory: it has no trajectory.json")
        self._index = read_json(self.path / "trajectory.json")
        if not isinstance(self._index, dict) or self._index.get("format") != FORMAT:
            raise ValueError(f"{self.path / 'trajectory.json'} is not in the format {FORMAT!r}")
        self._copies: list[int] | None = None

    @classmethod
    def create(cls, path: str | Path | None, model: Model, task: Task) -> "Trajectory":
        """Make the folder, a temporary one for None, and an empty trajectory in it.

        A temporary folder lives as long as the trajectory or any of its copies. Several processes (see
        `pdtutor.processes`) must all call this, and all get the same trajectory. Raises ValueError if the folder
        already holds one, and for a model or task whose `config()` names another class than its own.
        """
        _require_own_name(model, model_class)
        _require_own_name(task, task_class)
        temporary = None
        if path is None:
            temporary = TemporaryFolder()
            path = temporary.path
        _start(Path(path), model, task)
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
        """A short fingerprint of the model, the task and every checkpoint's content."""
        return hashlib.sha256(repr((self._index, self._copies)).encode()).hexdigest()[:16]

    def copy(self, number: int) -> "Trajectory":
        """Return the same trajectory seen through one copy of its model."""
        if number not in range(len(self.seeds)):
            raise ValueError(f"copy must be in 0…{len(self.seeds) - 1}, got {number!r}")
        view = Trajectory(self.path)
        view._temporary = self._temporary
        view._copies = [number if self._copies is None else self._copies[number]]
        return view

    def of(self, seed: int) -> "Trajectory":
        """Return the same trajectory seen through the copy that was trained with this seed."""
        if self.seeds.count(seed) != 1:
            raise ValueError(f"no single copy has seed {seed!r}; the copies' seeds are {self.seeds}")
        return self.copy(self.seeds.index(seed))

    def save(self, step: int, model: Model) -> None:
        """Add the model as the checkpoint of this step, replacing one of the same step. Atomic at every point.

        Several processes must all call this; the main one writes.
        """
        self._index = _add(self.path, self._index, step, model)

    def at(self, step: int) -> Model:
        """Return the model as it was after exactly `step` updates, in eval mode on the CPU.

        Raises ValueError if that step was not saved (naming the nearest), or if its file is missing, truncated,
        altered or doesn't fit the model.
        """
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
        """Return a new trajectory in the folder `path` with these checkpoints only, seen as this one sees them.

        So a few megabytes can be kept, or passed on, of a run of hundreds. Raises ValueError for a step that was not
        saved and for a folder that already holds a trajectory.
        """
        models = [self.at(step) for step in steps]
        if not models:
            raise ValueError(f"no steps were named to be extracted from {self.path}")
        extracted = Trajectory.create(path, models[0], self.task)
        for step, model in zip(steps, models, strict=True):
            extracted.save(step, model)
        return extracted

    def nearest(self, step: int) -> int:
        """Return the saved step closest to `step`, the earlier one on a tie."""
        self._require_checkpoints()
        return nearest(self.steps, step)

    def prefetch(self, step: int) -> None:
        """Be told that `at(step)` will be asked for soon: files on this machine are read in no time."""

    def _require_checkpoints(self) -> None:
        if not self.steps:
            raise ValueError(f"the trajectory in {self.path} is empty: no checkpoint was saved")

    def __repr__(self) -> str:
        span = f"steps {self.steps[0]}…{self.steps[-1]}" if self.steps else "empty"
        return f"Trajectory({str(self.path)!r}: {len(self.steps)} checkpoints, {span})"


def _require_own_name(made: Model | Task, class_of: Callable[[str], Callable | None]) -> None:
    """Raise ValueError if what is saved would come back as something else: its `config()` names another class."""
    kind, name = type(made), made.config().get("class")
    if name != kind.__name__:
        raise ValueError(
            f"config() of a {kind.__name__} names the class {name!r}: checkpoints would be reopened as that. Give "
            f"{kind.__name__} a config() of its own, with 'class': {kind.__name__!r}"
        )
    if (known := class_of(kind.__name__)) not in (None, kind):
        raise ValueError(
            f"{name!r} is the name of another class, of {known.__module__}: checkpoints would be reopened as that. "
            "Call yours otherwise; or, if you have defined and registered it anew, make a new object of it"
        )


@on_main
def _start(path: Path, model: Model, task: Task) -> None:
    """Make the folder and an empty trajectory in it. Raises ValueError if there is one already."""
    if (path / "trajectory.json").exists():
        raise ValueError(f"{path} already holds a trajectory: choose another folder, or resume that run")
    path.mkdir(parents=True, exist_ok=True)
    index = {"format": FORMAT, "model": model.config(), "task": task.config(), "checkpoints": []}
    write_json(path / "trajectory.json", index)


@on_main
def _add(path: Path, index: dict, step: int, model: Model) -> dict:
    """Write the checkpoint, then the index that has it; return the latter."""
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
    """Return the tensors of safetensors bytes, which were read from this path. Raises ValueError naming the file."""
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file ({error})") from error


def load_weights(model: Model, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load tensors that were read from this path into the model. Raises ValueError naming the file and the misfits."""
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
