"""A run on disk: its history and checkpoints, and the state from which it can be resumed.

The folder of a run is that of its trajectory, with two more files. `run.json` holds the settings, the history and the
last saved step, and ends with its own SHA-256. It names the other, a safetensors file with the weights and the
optimizer's tensors at that step, with its size and SHA-256.

If several processes train together, the main one writes for all, and every process must make the same calls.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from safetensors.torch import save
from torch import Tensor

from pdtutor.checkpoints.trajectory import Trajectory, load_weights, read_tensors
from pdtutor.distillation.schedule import Stages
from pdtutor.files import (
    clear_temporary,
    entry_of,
    is_whole,
    read_entry,
    read_sealed,
    require_entry,
    write_bytes,
    write_sealed,
)
from pdtutor.models.model import Model
from pdtutor.processes import on_main
from pdtutor.tasks.task import Task
from pdtutor.training.optim import AdamWState, SGDState
from pdtutor.validate import differences

FILE = "run.json"
FORMATS = (None, "pdtutor run 2")  # version 0.1 wrote none
HISTORY = {
    "copy", "seed", "step", "examples", "loss", "accuracy", "train_loss", "teacher_step", "device",
}  # fmt: skip


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
    def open(cls, path: str | Path, *, unfinished: bool = False) -> "Run":
        """Open a run that was trained with out=path.

        Raises ValueError if it isn't one, has no checkpoint yet, or was changed after it was written; and for a run
        that hasn't ended, unless `unfinished` says that its last checkpoint will do.
        """
        trajectory = Trajectory(path, unfinished=unfinished)
        state = read_state(trajectory.path)
        _require_one_run(state, trajectory)
        return cls(
            trajectory.at(trajectory.final),
            history_frame(state["history"]),
            trajectory,
            teachers_frame(state["stages"]),
            state["settings"],
            state.get("hardware", []),  # version 0.1 wrote none
        )


def new_trajectory(out: str | Path | None, model: Model, task: Task, *, updates: int, resume: bool) -> Trajectory:
    """Return a new trajectory, of a run of so many updates, in `out`, a temporary folder if it is None.

    On a resume, the leftovers of a run that died before its first save are removed. Raises ValueError if the folder
    holds any other trajectory.
    """
    if resume and out is not None:
        _clear_unstarted(Path(out), model.config(), task.config())
    return Trajectory.create(out, model, task, updates=updates)


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
    name = _state_name(step)
    weights = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
    content = save({key: tensor.detach().cpu().contiguous() for key, tensor in (weights | state.tensors).items()})
    write_bytes(path / name, content)
    about = {"format": FORMATS[-1], "settings": settings, "step": step, "finished": over}
    about |= {"tensors": entry_of(name, content), "hardware": hardware, "history": history, "stages": stages}
    write_sealed(path / FILE, about)
    for earlier in path.glob("resume_*.safetensors"):
        if earlier.name != name:
            earlier.unlink()


@on_main
def saved_state(path: Path, settings: dict) -> dict | None:
    """Return the saved state in the folder, None if there is none.

    The engine may differ: it computes the same updates, and other devices or more processes may need another one. On
    another device the updates are the same up to the rounding of sums.

    Raises ValueError if its settings differ, if the files that it needs were changed after they were written, and if
    the folder's trajectory is another run's.
    """
    clear_temporary(path)
    if not (path / FILE).exists():
        return None
    saved = read_state(path)
    theirs = saved["settings"] | {"engine": settings["engine"]}
    if "content" not in theirs:  # version 0.1 wrote none
        theirs["content"] = settings["content"]
    if theirs["content"] != settings["content"] and theirs["task"] == settings["task"]:
        raise ValueError(
            f"{path} can't be resumed: a file that {settings['task']} draws from has changed since it began"
        )
    if different := differences(theirs, settings):
        raise ValueError(f"{path} holds a run with other settings, so it can't be resumed: {different}")
    trajectory = Trajectory(path)
    _require_one_run(saved, trajectory)
    trajectory.require_files()
    return saved


def read_state(path: Path) -> dict:
    """Return what run.json holds in this folder.

    Raises ValueError, naming the file, if it is missing, damaged, changed after it was written, or not a run's.
    """
    file = path / FILE
    state = read_sealed(file, FORMATS)
    known = {"format", "settings", "step", "finished", "tensors", "hardware", "history", "stages"}
    if unknown := state.keys() - known:
        raise ValueError(f"{file} holds something that no version writes: {', '.join(sorted(unknown))}")
    settings, rows, stages = state.get("settings"), state.get("history"), state.get("stages")
    settings = settings if isinstance(settings, dict) else {}
    most = settings["steps"] if is_whole(settings.get("steps")) else -1
    good = {
        "settings": most >= 0,
        "step": is_whole(state.get("step"), most=most),
        "finished": isinstance(state.get("finished"), bool),
        "hardware": isinstance(state.get("hardware", []), list),
        "history": isinstance(rows, list) and len(rows) > 0 and all(map(_is_row, rows)),
        "stages": isinstance(stages, list) and all(isinstance(s, list) and all(map(_is_stage, s)) for s in stages),
    }
    for part, fine in good.items():
        if not fine:
            raise ValueError(f"{file} is not what was written: {part} is {str(state.get(part, 'missing'))[:200]}")
    tensors, step, until = state.get("tensors"), state["step"], settings.get("until")
    if state.get("format") is not None:
        require_entry(tensors, file)
    name = tensors["file"] if isinstance(tensors, dict) and state.get("format") is not None else tensors
    if name != _state_name(step):
        raise ValueError(f"{file} is not what was written: tensors is {str(tensors)[:200]} at step {step}")
    if step != most and state["finished"] and until is None:
        raise ValueError(f"{file} is not what was written: the run is said to have ended at step {step} of {most}")
    return state


def _state_name(step: int) -> str:
    """Return the name of the file with the state after this step."""
    return f"resume_{step:09d}.safetensors"


def _is_row(row: object) -> bool:
    """Return whether this is a row of history as it was written."""
    whole, numbers = ("copy", "seed", "step", "examples"), ("loss", "accuracy")
    if not isinstance(row, dict) or not {*whole, *numbers, "train_loss", "teacher_step"} <= row.keys() <= HISTORY:
        return False
    teacher, train_loss = row["teacher_step"], row["train_loss"]
    return (
        all(is_whole(row[key]) for key in whole)
        and all(isinstance(row[key], int | float) for key in numbers)
        and (teacher is None or is_whole(teacher))
        and (train_loss is None or isinstance(train_loss, int | float))
    )


def _is_stage(stage: object) -> bool:
    """Return whether this is a stage as it was written: the student's step, the teacher's."""
    return isinstance(stage, list) and len(stage) == 2 and all(map(is_whole, stage))


def _require_one_run(state: dict, trajectory: Trajectory) -> None:
    """Raise ValueError unless run.json and trajectory.json in one folder are of the same run, up to its last save."""
    path, settings, step = trajectory.path, state["settings"], state["step"]
    if not trajectory.is_of(settings.get("model"), settings.get("task")):
        raise ValueError(f"{path / FILE} and {path / 'trajectory.json'} are of different runs: other models or tasks")
    due = {at for at in settings["saved_steps"] if at <= step} | ({step} if state["finished"] else set())
    there = {at for at in trajectory.steps if at <= step}  # later ones are those of a run killed before its next save
    if due != there:
        wrong = "lacks" if due - there else "has"
        at = min(due - there or there - due)
        raise ValueError(
            f"{path / FILE} and {path / 'trajectory.json'} are of different runs: by the first, a run at step {step}, "
            f"the second {wrong} step {at}"
        )


def load_state(path: Path, saved: dict, model: Model) -> dict[str, Tensor]:
    """Load the saved weights into the model, and return the optimizer's tensors.

    Raises ValueError, naming the file, if it is missing, not what was written or doesn't fit the model.
    """
    entry, what = saved["tensors"], "resume state"
    if isinstance(entry, str):  # version 0.1 wrote neither size nor digest
        file = path / entry
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ValueError(f"{what} {file} is not readable ({error})") from error
    else:
        file, content = path / entry["file"], read_entry(path, entry, what)
    tensors = read_tensors(content, file)
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
