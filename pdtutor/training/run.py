"""A run on disk: its history and checkpoints, and the state from which it can be resumed.

The folder of a run is that of its trajectory, with two more files. `run.json` holds the settings, the history and the
last saved step. It names the other, a safetensors file with the weights and the optimizer's tensors at that step.

If several processes train together, the main one writes for all, and every process must make the same calls.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from safetensors.torch import save
from torch import Tensor

from pdtutor.checkpoints.trajectory import Trajectory, load_weights, read_tensors
from pdtutor.distillation.schedule import Stages
from pdtutor.files import clear_temporary, read_json, write_bytes, write_json
from pdtutor.models.model import Model
from pdtutor.processes import on_main
from pdtutor.tasks.task import Task
from pdtutor.training.optim import AdamWState, SGDState
from pdtutor.validate import differences


@dataclass
class Run:
    """A run that has ended, or one opened from disk.

    Attributes:
        model: the trained model.
        history: one row per evaluation and copy: copy, seed, step (optimizer updates), examples (updates × batch size),
            loss (held-out cross-entropy), accuracy (held-out), train_loss (mean of the training loss over the updates
            since the previous row), teacher_step (the checkpoint that taught at the last of them; <NA> for labels),
            device (where it was trained and evaluated: "cpu", "cuda" or "mps"; <NA> in runs of version 0.1).
        trajectory: the checkpoints.
        teachers: which checkpoint took over when: copy, student_step (its first update), teacher_step.
        settings: the settings, which a resume must repeat.
        hardware: what computed: names of device, CPU, torch and driver (see `devices.hardware`), with `from_step` and
            the number of processes. There is an entry for the start and one for every resume.
    """

    model: Model
    history: pd.DataFrame
    trajectory: Trajectory
    teachers: pd.DataFrame
    settings: dict
    hardware: list[dict] = field(default_factory=list)

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Open a run that was trained with out=path. Raises ValueError if it isn't one, or has no checkpoint yet."""
        trajectory = Trajectory(path)
        state = read_json(trajectory.path / "run.json")
        return cls(
            trajectory.at(trajectory.final),
            history_frame(state["history"]),
            trajectory,
            teachers_frame(state["stages"]),
            state["settings"],
            state.get("hardware", []),  # version 0.1 wrote none
        )


def new_trajectory(out: str | Path | None, model: Model, task: Task, *, resume: bool) -> Trajectory:
    """Return a new trajectory in `out`, a temporary folder if it is None.

    On a resume, the leftovers of a run that died before its first save are removed. Raises ValueError if the folder
    holds any other trajectory.
    """
    if resume and out is not None:
        _clear_unstarted(Path(out), model.config(), task.config())
    return Trajectory.create(out, model, task)


@on_main
def _clear_unstarted(path: Path, model: dict, task: dict) -> None:
    """Remove the trajectory of a run of this model on this task that died before its first save, if there is one."""
    if (path / "trajectory.json").exists():
        trajectory = Trajectory(path)
        if trajectory.steps in ((), (0,)) and trajectory.is_of(model, task):
            (path / "trajectory.json").unlink()


@on_main
def save_state(
    path: Path,
    settings: dict,
    model: Model,
    state: SGDState | AdamWState,
    *,
    step: int,
    over: bool,
    history: list[dict],
    stages: list[Stages],
    hardware: list[dict],
) -> None:
    """Write what a resume needs.

    The tensors are written first, to a file named after the step, then run.json, which names that file. A kill between
    the two leaves the earlier pair valid.
    """
    name = f"resume_{step:09d}.safetensors"
    weights = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in (weights | state.tensors).items()}
    write_bytes(path / name, save(tensors))
    content = {"settings": settings, "step": step, "finished": over, "tensors": name}
    write_json(path / "run.json", content | {"hardware": hardware, "history": history, "stages": stages})
    for earlier in path.glob("resume_*.safetensors"):
        if earlier.name != name:
            earlier.unlink()


@on_main
def saved_state(path: Path, settings: dict) -> dict | None:
    """Return the saved state in the folder, None if there is none. Raises ValueError if its settings differ.

    The engine may differ: it computes the same updates, and other devices or more processes may need another one. On
    another device the updates are the same up to the rounding of sums.
    """
    clear_temporary(path)
    if not (path / "run.json").exists():
        return None
    saved = read_json(path / "run.json")
    if different := differences(saved["settings"] | {"engine": settings["engine"]}, settings):
        raise ValueError(f"{path} holds a run with other settings, so it can't be resumed: {different}")
    return saved


def load_state(path: Path, saved: dict, model: Model) -> dict[str, Tensor]:
    """Load the saved weights into the model, and return the optimizer's tensors.

    Raises ValueError, naming the file, if it is missing, truncated or doesn't fit the model.
    """
    file = path / saved["tensors"]
    try:
        tensors = read_tensors(file.read_bytes(), file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}, the state to resume from, is not readable ({error})") from error
    weights = {key.removeprefix("model."): t for key, t in tensors.items() if key.startswith("model.")}
    load_weights(model, weights, file)
    return {key: t for key, t in tensors.items() if not key.startswith("model.")}


def history_frame(rows: list[dict]) -> pd.DataFrame:
    """Return a run's history as the table that `Run` describes."""
    frame = pd.DataFrame([{**row, "device": row.get("device", pd.NA)} for row in rows])
    return frame.astype({"teacher_step": "Int64", "train_loss": float})


def teachers_frame(stages: list) -> pd.DataFrame:
    """Return the stages of all copies as one table: copy, student_step, teacher_step."""
    rows = [(copy, *stage) for copy, of_copy in enumerate(stages) for stage in of_copy]
    return pd.DataFrame(rows, columns=["copy", "student_step", "teacher_step"])
