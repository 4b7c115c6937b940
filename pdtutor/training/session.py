"""A run in progress: its step, when it pauses to evaluate, and what it writes down and saves."""

import time
import warnings
from pathlib import Path

import torch
from torch import Tensor

from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import hardware
from pdtutor.distillation.teachers import Teachers
from pdtutor.models.model import Model, device_of
from pdtutor.processes import Processes
from pdtutor.tasks.task import Task
from pdtutor.training.evaluate import evaluate, held_out
from pdtutor.training.optim import AdamWState, SGDState
from pdtutor.training.run import (
    Run,
    history_frame,
    load_state,
    new_trajectory,
    save_state,
    saved_state,
    teachers_frame,
)
from pdtutor.training.settings import Settings

SAVE_SECONDS = 30  # after this long without a save, the next evaluation saves the state for a resume


class Session:
    """A run in progress: evaluates the model as it trains, writes its history and saves what is due.

    Args:
        model: the model that trains, on its device.
        task: what it learns.
        settings: the settings of the run.
        record: the same settings, as they are written to run.json.
        state: the optimizer's state.
        processes: the processes that train together.
        out: the run's folder; a temporary one if None.
        resume: continue from the last saved state in `out`, if there is one.

    Attributes:
        step: number of updates done.
        finished: whether training is over.
        history: the rows so far, one per evaluation and copy; see `Run`.
        teachers: the teachers of all copies; their `timetable` says which are in force when.
        trajectory: the checkpoints so far.
        resumed: whether there was a saved state to continue from.
        hardware: what computed so far; see `Run`.

    Raises ValueError for a folder that holds another run, and for a schedule that needs a checkpoint which the
    teacher's trajectory lacks.
    """

    def __init__(
        self,
        model: Model,
        task: Task,
        settings: Settings,
        record: dict,
        state: SGDState | AdamWState,
        processes: Processes,
        *,
        out: str | Path | None,
        resume: bool,
    ) -> None:
        self.model, self.settings, self.record, self.state, self.processes = model, settings, record, state, processes
        self.out = out
        self.device = device_of(model)
        self.step, self.finished, self.history, self.hardware = 0, False, [], []
        self.teachers = Teachers(settings.supervision, settings.steps)
        self.timetable = self.teachers.timetable
        saved = saved_state(Path(out), record) if resume and out is not None else None
        if out is None or saved is None:
            self.trajectory = new_trajectory(out, model, task, updates=settings.steps, resume=resume)
        else:
            self.trajectory = Trajectory(out)
            self._restore(saved)
        self._note_hardware()
        processes.share_weights((*model.parameters(), *model.buffers()))
        self._inputs, self._labels = (part.to(self.device) for part in held_out(task, settings.eval_examples))
        self._pending: list[Tensor] = []  # losses (updates, copies) since the last row of history
        self._unchecked: list[Tensor] = []  # those not yet checked to be finite
        self._last_saved = time.monotonic()
        self.resumed = saved is not None

    def _restore(self, saved: dict) -> None:
        """Continue from this saved state."""
        self.step, self.finished, self.history = saved["step"], saved["finished"], saved["history"]
        self.timetable.stages = [[tuple(stage) for stage in stages] for stages in saved["stages"]]
        self.hardware = saved.get("hardware", [])
        tensors = load_state(self.trajectory.path, saved, self.model)
        self.state.tensors = {name: tensors[name].to(self.device) for name in self.state.tensors}

    def _note_hardware(self) -> None:
        """Note what computes from this step on, and warn if something else did before. A finished run notes nothing."""
        if self.finished:
            return
        now = {**hardware(self.device), "processes": self.processes.size}
        before = self.hardware[-1] if self.hardware else None
        if before is not None:
            changed = [f"{key} was {before[key]}" for key in ("name", "torch") if before.get(key, now[key]) != now[key]]
            if changed:
                warnings.warn(
                    f"the run goes on from step {self.step} on {now['name']} with torch {now['torch']}; "
                    f"{', '.join(changed)}: the same updates up to rounding, but not bit for bit",
                    stacklevel=2,
                )
        self.hardware = [*self.hardware, {"from_step": self.step, **now}]

    def next_stop(self) -> int:
        """Return the step up to which updates may run at once: the next evaluation, checkpoint or change of teacher."""
        settings, step = self.settings, self.step
        stop = min(
            settings.steps,
            (step // settings.eval_every + 1) * settings.eval_every,
            min(saved for saved in settings.saved_steps if saved > step),
        )
        return self.timetable.next_switch(step, stop)

    def record_losses(self, losses: Tensor) -> bool:
        """Record the losses (updates, copies) of the updates just run, evaluate if due, and return whether it was due.

        Raises FloatingPointError for a loss that is not finite.
        """
        self._pending.append(losses)
        self._unchecked.append(losses)
        self.step += len(losses)
        due = self.step % self.settings.eval_every == 0 or self.step in self.settings.saved_steps
        if due or self.device.type == "cpu":  # reading a loss waits for an accelerator
            self._require_finite(torch.cat(self._unchecked), self.step)
            self._unchecked.clear()
        if due:
            self.look()
        return due

    def look(self) -> None:
        """Evaluate, write the history, save what is due, and find out whether training is over."""
        settings, step = self.settings, self.step
        loss, accuracy = evaluate(self.model, self._inputs, self._labels, self.processes)
        self._require_finite(loss.unsqueeze(0), step + 1)
        self._write_down(loss, accuracy)
        self.timetable.observe(step, self.history)
        self.finished = step == settings.steps or (
            settings.until is not None and bool((accuracy >= settings.until).all())
        )
        due = step in settings.saved_steps or self.finished
        if due:
            self.trajectory.save(step, self.model, last=self.finished)
        if due or self.processes.broadcast(time.monotonic() - self._last_saved > SAVE_SECONDS):
            save_state(
                self.trajectory.path,
                self.record,
                self.model,
                self.state,
                step=step,
                over=self.finished,
                history=self.history,
                stages=self.timetable.stages,
                hardware=self.hardware,
            )
            self._last_saved = time.monotonic()

    def _write_down(self, loss: Tensor, accuracy: Tensor) -> None:
        """Add a row per copy to the history."""
        train_loss = torch.cat(self._pending).mean(0).tolist() if self._pending else [None] * len(loss)
        self._pending.clear()
        in_force = self.timetable.in_force(max(self.step - 1, 0))
        for copy, seed in enumerate(self.settings.seeds):
            self.history.append(
                {
                    "copy": copy,
                    "seed": seed,
                    "step": self.step,
                    "examples": self.step * self.settings.batch_size,
                    "loss": loss[copy].item(),
                    "accuracy": accuracy[copy].item(),
                    "train_loss": train_loss[copy],
                    "teacher_step": in_force[copy],
                    "device": self.device.type,
                }
            )

    def accuracy(self) -> float:
        """Return the accuracy of the best copy at the last evaluation."""
        return max(row["accuracy"] for row in self.history[-len(self.settings.seeds) :])

    def run(self) -> Run:
        """Return the run, now that it is over, with its model in eval mode."""
        self.model.eval()
        stages = teachers_frame(self.timetable.stages)
        return Run(self.model, history_frame(self.history), self.trajectory, stages, self.record, self.hardware)

    def _require_finite(self, losses: Tensor, stop: int) -> None:
        """Raise FloatingPointError, naming step and copy, for the first of losses (updates, copies) that is not finite.

        The last of these updates is step `stop` − 1.
        """
        bad = (~torch.isfinite(losses)).nonzero()
        if len(bad):
            kept = "" if self.out is None else f"; the checkpoints up to here are in {self.out}"
            raise FloatingPointError(
                f"the loss of copy {int(bad[0, 1])} stopped being finite at step "
                f"{stop - len(losses) + int(bad[0, 0])}: a smaller learning rate may help{kept}"
            )
