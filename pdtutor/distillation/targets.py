"""What a student is asked to match: the targets of a stretch of updates, computed at once.

Examples don't depend on the student, so the teacher runs once over the whole stretch instead of once per update, and
copies that share examples and teacher share that one forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pdtutor.distillation.losses import divergence, labelled_positions, soft_targets, teacher_log_probabilities
from pdtutor.distillation.schedule import Anneal, OnPlateau, value_at
from pdtutor.distillation.supervision import Distill, Labels, Stored
from pdtutor.models.logits import logits_of
from pdtutor.tasks.stream import IGNORED

ALL = slice(None)  # rows of a batch
STRETCH_BYTES = 2**28  # of targets at once, at most


@dataclass
class Targets:
    """The targets of a stretch of updates, ready to be summed: `loss_of` is all that training needs.

    `batch` is the rows that they were made for, all or a share. Weights are those of the whole batch's mean, so that
    losses and gradients of all shares sum to the whole batch's.

    Attributes:
        soft: (copies, updates, batch, …, classes), q of `soft_targets` times each position's weight in the mean.
        constant: (copies, updates), what −Σ q log p_S lacks of the loss itself (minus the teacher's entropy).
        at: (copies, updates, batch, positions), where in its sequence each target lies, −1 where there is none; None if
            there is a target for every logit.
        others: for each copy whose divergence is not linear in the target, (copy, kind, log p_T (updates, batch, …,
            classes), weight (updates, batch, …)).
    """

    soft: Tensor
    constant: Tensor
    others: list[tuple[int, str, Tensor, Tensor]]
    at: Tensor | None = None

    def logits(self, model: nn.Module, inputs: Tensor, update: int, rows: slice = ALL) -> Tensor:
        """Return the model's logits where these rows of an update have targets: (copies, rows, …) → (copies, rows, …).
        """
        return model(inputs) if self.at is None else model(inputs, at=self.at[:, update, rows])

    def loss_of(self, logits: Tensor, update: int, rows: slice = ALL) -> Tensor:
        """Return what these rows of an update add to each copy's loss: (copies, rows, …, classes) → (copies,).

        Summed over an update's rows, and with its constant, that is the loss.
        """
        losses = -(self.soft[:, update, rows] * logits.log_softmax(-1)).flatten(1).sum(1)
        for copy, kind, log_p, weight in self.others:
            extra = (divergence(logits[copy], log_p[update, rows], kind=kind) * weight[update, rows]).sum()
            losses = losses + extra * torch.nn.functional.one_hot(torch.tensor(copy), len(losses)).to(losses)
        return losses


class Teachers:
    """The supervision of every copy, and which checkpoint is in force for each.

    Raises ValueError at once if a schedule asks for a checkpoint that its trajectory doesn't have.
    """

    def __init__(self, supervision: Sequence[Labels | Distill | Stored], steps: int) -> None:
        self.supervision = supervision
        # stages[copy] = [(first student step, teacher step), …], for adaptive schedules those entered so far
        self.stages = [s.stages(steps) for s in supervision]
        self._digests = [_digest(s) for s in supervision]
        self._models: dict = {}  # (digest, step) → the checkpoints in force

    def in_force(self, step: int) -> list[int | None]:
        """Return, per copy, the teacher step that supervises this student step; None for labels."""
        return [
            next((teacher for start, teacher in reversed(stages) if start <= step), None) for stages in self.stages
        ]

    def next_switch(self, step: int, stop: int) -> int:
        """Return the first student step in (step, stop) at which any copy changes its teacher, else stop."""
        return min([start for stages in self.stages for start, _ in stages if step < start < stop], default=stop)

    def observe(self, step: int, history: Sequence[dict]) -> None:
        """Let adaptive schedules look at the rows of history up to this step, and switch from this step on."""
        for copy, supervision in enumerate(self.supervision):
            if not isinstance(supervision, Distill) or not isinstance(supervision.schedule, OnPlateau):
                continue
            schedule, stages = supervision.schedule, self.stages[copy]
            ladder = schedule.ladder(supervision.trajectory.steps)
            seen = [r["accuracy"] for r in history if r["copy"] == copy and r["step"] > stages[-1][0]]
            if len(stages) < len(ladder) and schedule.plateaued(seen):
                stages.append((step, ladder[len(stages)]))

    @torch.no_grad()
    def targets(
        self,
        inputs: Tensor,
        labels: Tensor,
        index: Tensor,
        start: int,
        classes: int,
        *,
        some_positions: bool = False,
        rows: slice = ALL,
    ) -> Targets:
        """Return the targets of the updates from `start` on, for one set of teachers in force.

        Args:
            inputs: (distinct, updates, batch, …).
            labels: (distinct, updates, batch, …).
            index: (copies,), which of the distinct streams each copy reads.
            start: the student step of the first update.
            classes: number of classes.
            some_positions: make targets for labelled positions only, which a model that reads out at some positions
                needs no others than (see `evaluate.reads_positions`).
            rows: of every batch, make the targets of these only: this process's share. May be none.

        Raises ValueError if a teacher predicts another number of classes.
        """
        in_batch = (labels != IGNORED).flatten(2).sum(2)[index]  # (copies, updates), labels in the whole batch
        whole, inputs, labels = labels, inputs[:, :, rows], labels[:, :, rows]
        at = None
        if some_positions and labels.numel():
            at, labels = labelled_positions(labels)  # both (distinct, updates, batch, positions)
        logits = self._logits(inputs, at, index, start, classes, whole, rows) if labels.numel() else {}
        labels = labels[index]  # (copies, updates, batch, …)
        scored = labels != IGNORED
        per_update = labels.dim() - 2  # axes over which an update's mean runs
        weights = scored / in_batch.view(*labels.shape[:2], *[1] * per_update)
        soft = torch.empty(*labels.shape, classes, device=labels.device)
        constant = torch.zeros(labels.shape[:2], device=labels.device)
        others = []
        if untaught := [copy for copy in range(len(labels)) if copy not in logits]:
            soft[untaught] = soft_targets(labels[untaught], None, 1.0, classes=classes)
        # all copies with the same top_k and divergence at once: a few large operations instead of many small ones
        groups: dict[tuple, list[int]] = {}
        for copy in logits:
            groups.setdefault((self.supervision[copy].top_k, self.supervision[copy].divergence), []).append(copy)
        for (top_k, kind), group in groups.items():
            temperature, alpha = (
                self._over(setting, group, start, labels) for setting in ("temperature", "alpha")
            )  # (group, updates, 1, …)
            log_p = teacher_log_probabilities(torch.stack([logits[c] for c in group]), temperature, top_k=top_k)
            share = (1 - alpha.squeeze(-1)) * weights[group]  # of D(teacher, student) in the loss
            if kind == "forward_kl":
                p = log_p.exp()
                soft[group] = soft_targets(labels[group], p, alpha, classes=classes)
                constant[group] = (torch.xlogy(p, p).sum(-1) * share).flatten(2).sum(2)
            else:
                soft[group] = soft_targets(labels[group], None, alpha, classes=classes)
                others += [(copy, kind, log_p[i], share[i]) for i, copy in enumerate(group)]
        return Targets(soft * weights.unsqueeze(-1), constant, others, None if at is None else at[index])

    def _logits(
        self, inputs: Tensor, at: Tensor | None, index: Tensor, start: int, classes: int, labels: Tensor, rows: slice
    ) -> dict[int, Tensor]:
        """Return the teacher's logits (updates, batch, …, classes) of every copy that has a teacher.

        The inputs are these rows of the batches that the labels are of.
        """
        in_force = self.in_force(start)
        self._load(in_force, inputs.device)
        self._read_ahead(start)
        found: dict[tuple, Tensor] = {}  # by teacher and stream: copies that share both share one forward pass
        logits = {}
        for copy, step in enumerate(in_force):
            if step is None:
                continue
            key, row = (self._digests[copy], step), int(index[copy])
            if (key, row) not in found:
                wanted = None if at is None else at[row]
                if isinstance(stored := self.supervision[copy], Stored):
                    said = stored.targets.log_probabilities(labels[row], start, rows=rows, at=wanted)
                else:
                    wanted = None if at is None else wanted.flatten(0, 1)
                    said = logits_of(self._models[key], inputs[row].flatten(0, 1), wanted)[0]
                    said = said.unflatten(0, inputs.shape[1:3])
                if said.shape[-1] != classes:
                    raise ValueError(f"the teacher predicts {said.shape[-1]} classes, the student {classes}")
                found[key, row] = said
            logits[copy] = found[key, row]
        return logits

    def _load(self, in_force: Sequence[int | None], device: torch.device) -> None:
        """Hold exactly the checkpoints now in force in memory."""
        wanted = {
            (self._digests[copy], step): self.supervision[copy].trajectory
            for copy, step in enumerate(in_force)
            if isinstance(self.supervision[copy], Distill)
        }
        self._models = {
            key: self._models[key] if key in self._models else trajectory.at(key[1]).to(device)
            for key, trajectory in wanted.items()
        }

    def _read_ahead(self, step: int) -> None:
        """Have trajectories that can do so read the checkpoint that they teach with next, beside the training."""
        stages = [(*stage, copy) for copy, of_copy in enumerate(self.stages) for stage in of_copy]
        coming = sorted(stage for stage in stages if stage[0] > step)
        first = {}  # of each trajectory: it holds one checkpoint ready
        for _, teacher, copy in coming:
            trajectory = getattr(self.supervision[copy], "trajectory", None)
            if hasattr(trajectory, "prefetch") and (self._digests[copy], teacher) not in self._models:
                first.setdefault(id(trajectory), (trajectory, teacher))
        for trajectory, teacher in first.values():
            trajectory.prefetch(teacher)

    def _over(self, setting: str, group: Sequence[int], start: int, labels: Tensor) -> Tensor:
        """Return a setting of some copies at each update, shaped to multiply (group, updates, batch, …, classes).

        Where none of them changes from update to update, one value stands for all updates.
        """
        settings = [getattr(self.supervision[copy], setting) for copy in group]
        changing = any(isinstance(value, Anneal) for value in settings)
        steps = range(start, start + (labels.shape[1] if changing else 1))
        values = [[value_at(value, step) for step in steps] for value in settings]
        return torch.tensor(values, device=labels.device).view(len(group), len(steps), *[1] * (labels.dim() - 1))


def _digest(supervision: Labels | Distill | Stored) -> str | None:
    """Return what tells this teacher, in memory or on disk, from others; None for labels."""
    if isinstance(supervision, Stored):
        return supervision.targets.digest
    return supervision.trajectory.digest if isinstance(supervision, Distill) else None


def longest_stretch(labels: Tensor, *, copies: int, rows: int, classes: int, some_positions: bool) -> int:
    """Return for how many of these updates targets take STRETCH_BYTES at most, 1 at least.

    Every process must find the same, so this asks about the whole batch and the largest share.

    Args:
        labels: (distinct, updates, batch, …), of the whole batch.
        rows: of each batch, the most that a process makes targets for.
        some_positions: see `Teachers.targets`.
    """
    def fit(positions: int) -> int:
        return max(1, STRETCH_BYTES // (4 * copies * rows * positions * classes))

    updates = labels.shape[1]
    fitting = fit(labels[0, 0, 0].numel())
    if some_positions and fitting < updates:  # counting labels costs more than counting positions
        fitting = fit(max(1, int((labels != IGNORED).sum(-1).max())))
    return min(updates, fitting)
