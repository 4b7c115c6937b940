"""Stored targets, read back while a student trains."""

import bisect
import hashlib
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load
from torch import Tensor

from pdtutor.distillation.schedule import Stages
from pdtutor.distillation.stored.format import (
    FORMATS,
    cut,
    fingerprints,
    log_probabilities_of,
    of_examples,
    spread,
)
from pdtutor.files import read_entry, read_sealed, require_entry, require_size
from pdtutor.tasks.task import IGNORED, Task
from pdtutor.validate import a_path, differences

_AGAIN = "store_targets(…, resume=True) writes it again"


class StoredTargets:
    """The targets of a student's first updates, in the folder where `store_targets` put them.

    One shard at a time is in memory, checked against its digest when it is read.

    Attributes:
        path: the folder.
        settings: the teacher, and the student that the targets are for: task, batch_size, seed, role, steps, teacher
            (its digest), schedule, temperature, k, classes.
        shards: a dictionary per shard: file, start and stop of its updates, tokens (labelled positions), bytes, sha256.
        k: classes that are kept per labelled position.
        classes: number of classes.

    Raises ValueError, naming the folder, if it holds no targets, or targets in a format that this version can't read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = a_path("path", path)
        if not (self.path / "targets.json").exists():
            raise ValueError(f"{self.path} holds no stored targets: it has no targets.json")
        index = read_sealed(self.path / "targets.json", FORMATS)
        for shard in index["shards"]:
            require_entry(shard, self.path / "targets.json")
        self.settings, self.shards = index["settings"], index["shards"]
        self.k, self.classes = self.settings["k"], self.settings["classes"]
        self._stages: Stages = [(start, teacher) for start, teacher in index["stages"]]
        self._held: tuple[int, dict[str, np.ndarray]] | None = None  # the shard read last

    @property
    def steps(self) -> int:
        """Number of updates that targets are stored for, from the first one on."""
        return self.shards[-1]["stop"] if self.shards else 0

    @property
    def digest(self) -> str:
        """A short fingerprint of the settings and every shard's content."""
        return hashlib.sha256(repr((self.settings, self.shards)).encode()).hexdigest()[:16]

    @property
    def size_per_token(self) -> float:
        """Bytes on disk per labelled position. Raises ValueError if nothing is stored yet."""
        tokens = sum(shard["tokens"] for shard in self.shards)
        if not tokens:
            raise ValueError(f"{self.path} holds no targets yet; store_targets(…, resume=True) continues")
        return sum(shard["bytes"] for shard in self.shards) / tokens

    def stages(self, steps: int) -> Stages:
        """Return [(first student step, teacher step), …] for the first `steps` updates, as a schedule does."""
        return [stage for stage in self._stages if stage[0] < steps]

    def read(self, start: int, stop: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the targets of updates start … stop − 1; of one update if stop is not given.

        They are ids (positions, k) int64; log-probabilities (positions, k) float32, whose exponentials sum to 1; and
        counts (updates,) int64, how many of the positions belong to each update. Positions are in the order of labels
        (updates, batch, …), without those that are IGNORED.

        Raises ValueError for updates that were not stored, and for a shard that is missing, truncated or altered.
        """
        arrays = self._arrays(start, start + 1 if stop is None else stop)
        ids, counts = (torch.from_numpy(arrays[name].astype(np.int64)) for name in ("ids", "counts"))
        return ids, log_probabilities_of(torch.from_numpy(arrays["gaps"])), counts

    def log_probabilities(
        self, labels: Tensor, start: int, *, rows: slice = slice(None), at: Tensor | None = None
    ) -> Tensor:
        """Return the teacher's log p at the positions of these labels, on the labels' device.

        Args:
            labels: (updates, batch, …), of whole batches and one seed: all of them as the stream draws them, or those
                at labelled positions only (see `losses.labelled_positions`).
            start: the student step of the first update.
            rows: the rows of each batch that are wanted.
            at: (updates, rows, n), the labelled positions of these rows, −1 where there is none; give it if only they
                are wanted.

        The result is (updates, rows, …, classes) float32, or (updates, rows, n, classes) for `at`: −∞ for all but k
        classes, and uniform where there is no label.

        Raises ValueError for other labels than those that the targets were stored for, and as `read` does.
        """
        arrays = self._arrays(start, start + len(labels))
        counts, checks = fingerprints(labels)
        other = (counts != arrays["counts"]) | (checks != arrays["checks"])
        if other.any():
            raise ValueError(
                f"{self.path} holds targets for other examples: the labels of update {start + int(other.argmax())} are "
                "not those that the teacher saw"
            )
        scored = labels != IGNORED
        wanted = torch.zeros_like(scored)
        wanted[:, rows] = True
        mine = wanted[scored].cpu()  # (positions,)
        ids = torch.from_numpy(arrays["ids"].astype(np.int64))[mine]
        log_p = log_probabilities_of(torch.from_numpy(arrays["gaps"])[mine])
        scored = scored[:, rows] if at is None else at >= 0
        dense = torch.full(
            (*scored.shape, self.classes), -math.log(self.classes), device=labels.device, dtype=torch.float32
        )
        dense[scored] = spread(ids, log_p, self.classes).to(labels.device)
        return dense

    def require(self, *, task: Task, batch_size: int, seed: int, role: str, steps: int) -> None:
        """Raise ValueError unless a student with these settings of `train` sees the examples that the targets are for.

        The message says what differs. It also names a shard that is missing or has the wrong size: better before
        training than hours into it.
        """
        theirs = of_examples(self.settings)
        ours = of_examples({"task": task.config(), "batch_size": batch_size, "seed": seed, "role": role})
        if different := differences(theirs, ours):
            raise ValueError(f"{self.path} holds targets for a student with other examples: {different}")
        if steps > self.steps:
            unfinished = self.steps < self.settings["steps"]
            hint = f"; store_targets(…, resume=True) continues to {self.settings['steps']}" if unfinished else ""
            raise ValueError(f"{self.path} holds targets of {self.steps} updates, {steps} are needed{hint}")
        for shard in self.shards:
            self._require_size(shard)

    def holds(self, shard: dict) -> bool:
        """Return whether this shard's file is there, complete and unaltered."""
        try:
            self._content(shard)
        except ValueError:
            return False
        return True

    def _arrays(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Return what the shards hold of updates start … stop − 1."""
        if not 0 <= start < stop <= self.steps:
            raise ValueError(f"{self.path} holds targets of the first {self.steps} updates, not {start}…{stop - 1}")
        first = bisect.bisect_right([shard["start"] for shard in self.shards], start) - 1
        pieces = []
        for place in range(first, len(self.shards)):
            shard = self.shards[place]
            if shard["start"] >= stop:
                break
            if self._held is None or self._held[0] != place:
                self._held = None  # frees the memory of the shard before
                self._held = place, load(self._content(shard))
            pieces.append(cut(self._held[1], start - shard["start"], stop - shard["start"]))
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def _content(self, shard: dict) -> bytes:
        """Return the bytes of a shard's file. Raises ValueError, naming the file, if they are not what was written."""
        try:
            return read_entry(self.path, shard, "shard")
        except ValueError as error:
            raise ValueError(f"{error}; {_AGAIN}") from None

    def _require_size(self, shard: dict) -> None:
        """Raise ValueError, naming the file, unless it is there and as long as it was."""
        try:
            require_size(self.path, shard, "shard")
        except ValueError as error:
            raise ValueError(f"{error}; {_AGAIN}") from None

    def __repr__(self) -> str:
        return f"StoredTargets({str(self.path)!r}: {self.steps} updates, {self.k} of {self.classes} classes)"
