"""What a student is asked to match: the targets of a stretch of updates, computed at once.

Examples don't depend on the student, so the teacher runs once over the whole stretch instead of once per update, and
copies that share examples and teacher share that one forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pdtutor.losses import divergence, soft_targets, teacher_log_probabilities
from pdtutor.schedule import Anneal, OnPlateau
from pdtutor.supervision import Distill, Labels, value_at
from pdtutor.tasks import IGNORED


@dataclass
class Targets:
    """The targets of a stretch of updates, ready to be summed: `loss_of` is all that training needs.

    Attributes:
        soft: (copies, updates, batch, …, classes), q of `soft_targets` times each position's weight in the mean.
        constant: (copies, updates), what −Σ q log p_S lacks of the loss itself (minus the teacher's entropy).
        others: for each copy whose divergence is not linear in the target, (copy, kind, log p_T (updates, batch, …,
            classes), weight (updates, batch, …)).
    """

    soft: Tensor
    constant: Tensor
    others: list[tuple[int, str, Tensor, Tensor]]

    def loss_of(self, logits: Tensor, update: int) -> Tensor:
        """Return the loss of each copy at one update, less its constant: (copies, batch, …, classes) → (copies,)."""
        losses = -(self.soft[:, update] * logits.log_softmax(-1)).flatten(1).sum(1)
        for copy, kind, log_p, weight in self.others:
            extra = (divergence(logits[copy], log_p[update], kind=kind) * weight[update]).sum()
            losses = losses + extra * torch.nn.functional.one_hot(torch.tensor(copy), len(losses)).to(losses)
        return losses


class Teachers:
    """The supervision of every copy, and which checkpoint is in force for each.

    Raises ValueError at once if a schedule asks for a checkpoint that its trajectory doesn't have.
    """

    def __init__(self, supervision: Sequence[Labels | Distill], steps: int) -> None:
        self.supervision = supervision
        # stages[copy] = [(first student step, teacher step), …], for adaptive schedules those entered so far
        self.stages = [
            [] if isinstance(s, Labels) else s.schedule.stages(s.trajectory.steps, steps) for s in supervision
        ]
        self._models: dict = {}

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
            if isinstance(supervision, Labels) or not isinstance(supervision.schedule, OnPlateau):
                continue
            schedule, stages = supervision.schedule, self.stages[copy]
            ladder = schedule.ladder(supervision.trajectory.steps)
            seen = [r["accuracy"] for r in history if r["copy"] == copy and r["step"] > stages[-1][0]]
            if len(stages) < len(ladder) and schedule.plateaued(seen):
                stages.append((step, ladder[len(stages)]))

    @torch.no_grad()
    def targets(self, inputs: Tensor, labels: Tensor, index: Tensor, start: int, classes: int) -> Targets:
        """Return the targets of the updates from `start` on, for one set of teachers in force.

        Args:
            inputs: (distinct, updates, batch, …).
            labels: (distinct, updates, batch, …).
            index: (copies,), which of the distinct streams each copy reads.
            start: the student step of the first update.
            classes: number of classes.
        """
        updates = labels.shape[1]
        counts = (labels != IGNORED).flatten(2).sum(2)  # (distinct, updates)
        weights = (labels != IGNORED) / counts.view(*counts.shape, *[1] * (labels.dim() - 2))
        in_force = self.in_force(start)
        self._load(in_force, inputs.device)
        logits: dict = {}
        soft, constant, others = [], [], []
        for copy, supervision in enumerate(self.supervision):
            row = int(index[copy])
            weight = weights[row]
            if isinstance(supervision, Labels):
                log_p, alpha = None, 1.0
                constant.append(torch.zeros(updates, device=inputs.device))
            else:
                key = (supervision.trajectory.digest, in_force[copy])
                if (key, row) not in logits:
                    flat = self._models[key](inputs[row].flatten(0, 1).unsqueeze(0))[0]
                    logits[key, row] = flat.unflatten(0, inputs.shape[1:3])  # (updates, batch, …, classes)
                teacher_logits = logits[key, row]
                if teacher_logits.shape[-1] != classes:
                    raise ValueError(
                        f"the teacher predicts {teacher_logits.shape[-1]} classes, the student {classes}"
                    )
                temperature, alpha = (
                    self._over(s, start, updates, teacher_logits) for s in (supervision.temperature, supervision.alpha)
                )
                log_p = teacher_log_probabilities(teacher_logits, temperature, top_k=supervision.top_k)
                if supervision.divergence == "forward_kl":
                    entropy = -torch.xlogy(log_p.exp(), log_p.exp()).sum(-1)
                    constant.append(-((1 - alpha).squeeze(-1) * entropy * weight).flatten(1).sum(1))
                else:
                    others.append((copy, supervision.divergence, log_p, (1 - alpha).squeeze(-1) * weight))
                    constant.append(torch.zeros(updates, device=inputs.device))
                    log_p = None
            soft.append(soft_targets(labels[row], log_p, alpha, classes=classes) * weight.unsqueeze(-1))
        return Targets(torch.stack(soft), torch.stack(constant), others)

    def _load(self, in_force: Sequence[int | None], device: torch.device) -> None:
        """Hold exactly the checkpoints now in force in memory."""
        wanted = {
            (s.trajectory.digest, step): (s.trajectory, step)
            for s, step in zip(self.supervision, in_force, strict=True)
            if isinstance(s, Distill)
        }
        self._models = {
            key: self._models[key] if key in self._models else trajectory.at(step).to(device)
            for key, (trajectory, step) in wanted.items()
        }

    @staticmethod
    def _over(setting: float | Anneal, start: int, updates: int, like: Tensor) -> Tensor:
        """Return a setting's value at each update, shaped to multiply (updates, batch, …, classes)."""
        values = [value_at(setting, step) for step in range(start, start + updates)]
        return torch.tensor(values, device=like.device).view(-1, *[1] * (like.dim() - 1))
