"""Storing a teacher's targets for a student's training, and what that costs in bytes and in the loss."""

import bisect
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save
from torch import Tensor

from pdtutor.devices import AUTO, find
from pdtutor.distillation.losses import divergence, labelled_positions, teacher_log_probabilities
from pdtutor.distillation.schedule import Stages, value_at
from pdtutor.distillation.stored.format import FORMATS, log_probabilities_of, pack, spread
from pdtutor.distillation.stored.targets import StoredTargets
from pdtutor.distillation.supervision import Distill
from pdtutor.files import clear_temporary, entry_of, locked, write_bytes, write_sealed
from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, a_model, device_of
from pdtutor.models.placement import placed
from pdtutor.processes import on_main
from pdtutor.progress import progress_bar
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import IGNORED, Task, a_task, fingerprint_of
from pdtutor.validate import a_path, differences, flag, sequence, whole

SHARD_TOKENS = 2**20  # labelled positions per shard: one is held in memory, 48 MB for 16 of 256 classes
LOGITS = 2**26  # the most logits of the teacher in memory while storing: 256 MB


@on_main
def store_targets(
    path: str | Path,
    distill: Distill,
    task: Task,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    k: int,
    shard_tokens: int = SHARD_TOKENS,
    resume: bool = False,
    device: str | torch.device = AUTO,
    progress: bool = True,
) -> StoredTargets:
    """Store the teacher's k most probable classes for all examples of a student's training, and return them.

    Under `torchrun` or `accelerate launch`, the main process does this for all.

    Args:
        path: folder for the targets.
        distill: the teacher, its schedule and its temperature. α and the divergence are chosen later, in `Stored`.
        task, steps, batch_size, seed: the student's, as `train` will get them; it may train for fewer steps.
        k: classes that are kept per labelled position.
        shard_tokens: labelled positions per shard; a shard may exceed this by one update.
        resume: keep the shards in `path` up to the first that is missing or damaged, and go on from there; start if
            there are none. A killed run leaves complete shards only.
        device: where the teacher is asked, as for `train`: with "auto", on a GPU if there is one, unless it is a small
            MLP.
        progress: show a progress bar.

    Raises ValueError for arguments out of range, k > classes, a `distill.top_k` other than k, a schedule that needs a
    checkpoint which the trajectory lacks or that depends on the student's progress, a teacher of another task or with
    another number of classes, a folder that already holds targets (unless resumed) or that another process writes in, a
    resume with other settings, and a device that can't be used. Raises FloatingPointError for a teacher whose logits
    are NaN or infinite.
    """
    _require_plain(distill)
    a_task("task", task)
    path, resume, progress = a_path("path", path), flag("resume", resume), flag("progress", progress)
    classes, steps, shard_tokens = task.classes, whole("steps", steps), whole("shard_tokens", shard_tokens)
    batch_size, seed, k = whole("batch_size", batch_size), whole("seed", seed, minimum=0), whole("k", k)
    if k > classes:
        raise ValueError(f"k must be at most the number of classes, {classes}; got {k}")
    if distill.top_k not in (None, k):
        raise ValueError(f"k is {k}, but the supervision to store has top_k={distill.top_k}: make them equal")
    stages = distill.stages(steps)
    settings = {
        "task": task.config(),
        "content": fingerprint_of(task),
        "batch_size": batch_size,
        "seed": seed,
        "role": "student",
        "steps": steps,
        "teacher": distill.trajectory.digest,
        "schedule": repr(distill.schedule),
        "temperature": repr(distill.temperature),
        "k": k,
        "classes": classes,
    }
    distill.require(task=task, batch_size=batch_size, seed=seed, role="student", steps=steps)
    with locked(path):
        index = _begin(path, settings, stages, resume=resume)
        first = placed(distill.trajectory.at(stages[0][1]), device, examples=settings["batch_size"])
        place = device_of(first) if device == AUTO else find(device)
        stream = Stream(task, batch_size=batch_size, seeds=[seed], purpose="student data", device=place)
        start = index["shards"][-1]["stop"] if index["shards"] else 0
        teacher = _Teacher(distill, stages, classes, place, held=(stages[0][1], first))
        with progress_bar(total=steps, initial=start, desc="storing targets", unit="update", show=progress) as bar:
            while start < steps:
                first, pieces, tokens = start, [], 0
                while start < steps and tokens < shard_tokens:
                    stretch = stream.stretch(start, teacher.next_switch(start, steps))
                    inputs, labels = stretch.inputs[0], stretch.labels[0]  # both (updates, batch, …)
                    sums = (labels != IGNORED).flatten(1).sum(1).cumsum(0)
                    room = min(shard_tokens - tokens, max(1, LOGITS // classes))
                    updates = min(len(labels), 1 + int((sums < room).sum()))  # as many as it takes to fill the room
                    log_p = teacher.log_p(inputs[:updates], labels[:updates], start, top_k=k)
                    pieces.append(pack(log_p, labels[:updates], k))
                    start, tokens = start + updates, tokens + len(log_p)
                    bar.update(updates)
                _write_shard(path, index, first, start, pieces)
    return StoredTargets(path)


def storage_table(
    distill: Distill,
    task: Task,
    student: Model,
    *,
    ks: Sequence[int] | None = None,
    steps: int,
    batch_size: int,
    seed: int,
    updates: int = 8,
) -> pd.DataFrame:
    """Return what storing k classes costs in bytes and in the loss, one row per k, measured without training.

    Columns:
        k: classes that are kept.
        bytes_per_token: bytes on disk per labelled position.
        share: how much of the teacher's probability the k classes hold, on average.
        loss: the student's mean distillation loss D against what is read back.
        loss_error: its absolute difference from the loss against all of the teacher's probabilities.

    Args:
        distill: teacher, schedule, temperature and divergence.
        task: the student's.
        student: a model of any number of copies; losses are means over all of them.
        ks: the values of k; if not given, the powers of two below the number of classes, and that number.
        steps, batch_size, seed: those of the coming training, from which examples are taken.
        updates: how many updates to measure, spread evenly over these steps.

    Updates without labels are left out.

    Raises ValueError as `store_targets` does, for reverse_kl with a k smaller than the number of classes, and if no
    update has labels.
    """
    _require_plain(distill)
    a_task("task", task)
    a_model("student", student)
    distill.require(task=task, batch_size=batch_size, seed=seed, role="student", steps=steps)
    classes, steps, updates = task.classes, whole("steps", steps), min(whole("updates", updates), steps)
    batch_size, seed = whole("batch_size", batch_size), whole("seed", seed, minimum=0)
    powers = [*[2**i for i in range(classes.bit_length()) if 2**i < classes], classes]
    ks = powers if ks is None else [whole("ks", k) for k in sequence("ks", ks)]
    if not ks or max(ks) > classes:
        raise ValueError(f"ks must hold numbers of classes to keep, 1…{classes}, got {ks}")
    device = device_of(student)
    stream = Stream(task, batch_size=batch_size, seeds=[seed], purpose="student data", device=device)
    teacher = _Teacher(distill, distill.stages(steps), classes, device)
    rows = []
    for step in sorted({int(step) for step in np.linspace(0, steps - 1, updates)}):
        one = stream.stretch(step, step + 1)
        inputs, labels = one.inputs[0], one.labels[0]
        log_p = teacher.log_p(inputs, labels, step)  # (positions, classes)
        if not len(log_p):  # an update without labels costs nothing
            continue
        logits = _labelled_logits(student, inputs, labels)  # (copies, positions, classes)
        exact = float(divergence(logits, log_p, kind=distill.divergence).mean())
        for k in ks:
            kept = teacher_log_probabilities(log_p, 1.0, top_k=k)
            packed = pack(kept, labels, k)
            ids, gaps = (torch.from_numpy(packed[name]) for name in ("ids", "gaps"))
            read = spread(ids.long(), log_probabilities_of(gaps), classes).to(log_p)
            loss = float(divergence(logits, read, kind=distill.divergence).mean())
            size = sum(array.nbytes for array in packed.values()) / len(log_p)
            share = float(log_p.where(~kept.isneginf(), -torch.inf).exp().sum(-1).mean())
            rows.append({"k": k, "bytes_per_token": size, "share": share, "loss": loss, "exact": exact})
    if not rows:
        raise ValueError(f"nothing can be measured: the {updates} updates have no labels, all are IGNORED ({IGNORED})")
    table = pd.DataFrame(rows).groupby("k", sort=False, as_index=False).mean()
    table["loss_error"] = (table["loss"] - table.pop("exact")).abs()
    return table


class _Teacher:
    """The checkpoint that teaches, one in memory at a time, asked at labelled positions only."""

    def __init__(
        self,
        distill: Distill,
        stages: Stages,
        classes: int,
        device: torch.device,
        held: tuple[int, Model] | None = None,
    ) -> None:
        self.distill, self.classes, self.device = distill, classes, device
        self.starts, self.steps = zip(*stages, strict=True)
        self._held = held

    def next_switch(self, step: int, stop: int) -> int:
        """Return the first student step in (step, stop) at which another checkpoint takes over; stop if none does."""
        return min([start for start in self.starts if step < start < stop], default=stop)

    @torch.no_grad()
    def log_p(self, inputs: Tensor, labels: Tensor, start: int, *, top_k: int | None = None) -> Tensor:
        """Return the teacher's log p at the labelled positions of updates that share a checkpoint.

        (updates, batch, …) twice → (positions, classes). The first of these updates is `start`.
        """
        step = self.steps[bisect.bisect_right(self.starts, start) - 1]
        if self._held is None or self._held[0] != step:
            self._held = step, self.distill.trajectory.at(step).to(self.device)
        logits = _labelled_logits(self._held[1], inputs, labels)[0]
        if logits.shape[-1] != self.classes:
            raise ValueError(f"the teacher predicts {logits.shape[-1]} classes, the task has {self.classes}")
        temperatures = [value_at(self.distill.temperature, start + update) for update in range(len(labels))]
        counts = (labels != IGNORED).flatten(1).sum(1)
        temperature = torch.tensor(temperatures, device=self.device, dtype=torch.float32)
        temperature = temperature.repeat_interleave(counts).unsqueeze(-1)
        log_p = teacher_log_probabilities(logits, temperature, top_k=top_k)
        if log_p[:, 0].isnan().any():  # then so is the rest of such a row
            raise FloatingPointError(
                f"the checkpoint of step {step} of {self.distill.trajectory.path} gives logits that are NaN or infinite"
            )
        return log_p


def _labelled_logits(model: Model, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the model's logits at labelled positions: (updates, batch, …) twice → (copies, positions, classes)."""
    at = None
    if labels.dim() > 2:  # sequences with a label per position
        at, labels = labelled_positions(labels)
    logits = logits_of(model, inputs.flatten(0, 1), None if at is None else at.flatten(0, 1))
    return logits[:, labels.flatten(0, 1) != IGNORED]


def _begin(path: Path, settings: dict, stages: Stages, *, resume: bool) -> dict:
    """Return the content of targets.json from which to go on; make the folder and the file if there are none."""
    settings = json.loads(json.dumps(settings))  # tuples become lists, as they will be when read
    index = {"format": FORMATS[-1], "settings": settings, "stages": stages, "shards": []}
    if not (path / "targets.json").exists():
        path.mkdir(parents=True, exist_ok=True)
        write_sealed(path / "targets.json", index)
        return index
    if not resume:
        raise ValueError(f"{path} already holds targets: choose another folder, or continue with resume=True")
    clear_temporary(path)
    saved = StoredTargets(path)
    theirs = {"content": settings["content"], **saved.settings}  # which version 0.1 didn't write
    if different := differences(theirs, settings):
        raise ValueError(f"{path} holds targets with other settings, so it can't be resumed: {different}")
    return index | {"shards": list(itertools.takewhile(saved.holds, saved.shards))}


def _write_shard(path: Path, index: dict, start: int, stop: int, pieces: list[dict[str, np.ndarray]]) -> None:
    """Write a shard, then list it in targets.json: after a kill between the two, the shards before it still count."""
    arrays = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    content = save(arrays)
    name = f"targets_{start:09d}.safetensors"
    write_bytes(path / name, content)
    index["shards"].append(entry_of(name, content) | {"start": start, "stop": stop, "tokens": len(arrays["ids"])})
    write_sealed(path / "targets.json", index)


def _require_plain(distill: Distill) -> None:
    """Raise ValueError unless it is known before training which checkpoint teaches at which update."""
    if type(distill) is not Distill:  # a subclass may answer otherwise
        raise ValueError(f"only the targets of a Distill itself can be stored, got {distill!r}")
    if distill.schedule.adaptive:
        raise ValueError(
            f"{distill.schedule!r} depends on the student's progress, so it isn't known in advance who teaches when: "
            "use another schedule"
        )
