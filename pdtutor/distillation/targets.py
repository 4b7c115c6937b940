"""The targets of a stretch of updates: what every copy of a student is asked to match, computed all at once.

Examples don't depend on the student. So the teacher runs once over the whole stretch instead of once per update, and
copies with the same examples and the same teacher share one forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.distillation.losses import divergence, labelled_positions, soft_targets, teacher_log_probabilities
from pdtutor.distillation.schedule import Anneal, value_at
from pdtutor.distillation.teachers import Teachers
from pdtutor.models.model import Model, reads_positions
from pdtutor.tasks.stream import ALL, Stretch
from pdtutor.tasks.task import IGNORED

STRETCH_BYTES = 2**28  # the most memory for targets at a time


@dataclass
class Targets:
    """The targets of a stretch of updates; `loss_of` turns them into a loss.

    `batch` below stands for those rows of a batch that this process works on. Every position is weighted as in the mean
    over the whole batch, so the losses and gradients of all processes sum to those of the whole batch.

    Attributes:
        soft: (copies, updates, batch, …, classes), q of `soft_targets` times the position's weight.
        constant: (copies, updates), the part of the loss that −Σ q log p_S lacks: minus the teacher's entropy,
            weighted.
        others: for each copy whose divergence is not linear in the target, (copy, kind, log p_T (updates, batch, …,
            classes), weight of the divergence (updates, batch, …)).
        at: (copies, updates, batch, positions), where in its sequence each target is, −1 where there is none; None if
            every logit has a target.
    """

    soft: Float[Tensor, "copies updates batch *positions classes"]
    constant: Float[Tensor, "copies updates"]
    others: list[tuple[int, str, Tensor, Tensor]]
    at: Tensor | None = None

    def logits(self, model: Model, inputs: Tensor, update: int, rows: slice = ALL) -> Tensor:
        """Return the model's logits where these rows of an update have targets: (copies, rows, …, classes)."""
        if self.at is None:
            return model(inputs)
        if not reads_positions(model):
            raise ValueError(f"a {type(model).__name__} can't be read at chosen positions: make targets for all")
        return model(inputs, self.at[:, update, rows])

    def loss_of(
        self, logits: Float[Tensor, "copies rows *positions classes"], update: int, rows: slice = ALL
    ) -> Float[Tensor, " copies"]:
        """Return what these rows of an update add to the loss of each copy.

        The sum over all rows, plus `constant`, is the loss.
        """
        losses = -(self.soft[:, update, rows] * logits.log_softmax(-1)).flatten(1).sum(1)
        for copy, kind, log_p, weight in self.others:
            extra = (divergence(logits[copy], log_p[update, rows], kind=kind) * weight[update, rows]).sum()
            losses = losses + extra * torch.nn.functional.one_hot(torch.tensor(copy), len(losses)).to(losses)
        return losses


@torch.no_grad()
def make_targets(stretch: Stretch, teachers: Teachers, *, classes: int, some_positions: bool = False) -> Targets:
    """Return the targets of those rows of a stretch that this process works on.

    Args:
        stretch: updates during which no teacher changes.
        teachers: the student's teachers.
        classes: number of classes.
        some_positions: make targets at labelled positions only: enough for a model that can be read at chosen positions
            (see `models.model.ReadsPositions`).

    An update in whose whole batch nothing is labelled has weights of 0, so its loss is 0 and so are its gradients.

    Raises ValueError if a teacher predicts another number of classes.
    """
    supervision = teachers.supervision  # per copy
    in_batch = (stretch.labels != IGNORED).flatten(2).sum(2)[stretch.index]  # (copies, updates), of the whole batch
    labels, at = stretch.own_labels, None
    if some_positions and labels.numel():
        at, labels = labelled_positions(labels)  # both (distinct, updates, rows, positions)
    logits = teachers.logits(stretch, at, classes) if labels.numel() else {}
    labels = labels[stretch.index]  # (copies, updates, rows, …)
    scored = labels != IGNORED
    per_update = labels.dim() - 2  # axes over which an update's mean runs
    weights = scored.float() / in_batch.clamp(min=1).view(*labels.shape[:2], *[1] * per_update)
    soft = torch.empty(*labels.shape, classes, device=labels.device, dtype=torch.float32)
    constant = torch.zeros(labels.shape[:2], device=labels.device, dtype=torch.float32)
    others = []
    if untaught := [copy for copy in range(len(labels)) if copy not in logits]:
        soft[untaught] = soft_targets(labels[untaught], None, 1.0, classes=classes)
    # all copies with the same top_k and divergence at once: a few large operations instead of many small ones
    groups: dict[tuple, list[int]] = {}
    for copy in logits:
        groups.setdefault((supervision[copy].top_k, supervision[copy].divergence), []).append(copy)
    for (top_k, kind), group in groups.items():
        temperature = _over([supervision[copy].temperature for copy in group], stretch, labels)
        alpha = _over([supervision[copy].alpha for copy in group], stretch, labels)  # (group, updates, 1, …)
        log_p = teacher_log_probabilities(torch.stack([logits[c] for c in group]), temperature, top_k=top_k)
        share = (1 - alpha.squeeze(-1)) * weights[group]  # of D(teacher, student) in the loss
        if kind == "forward_kl":
            p = log_p.exp()
            soft[group] = soft_targets(labels[group], p, alpha, classes=classes)
            constant[group] = (torch.xlogy(p, p).sum(-1) * share).flatten(2).sum(2)
        else:
            soft[group] = soft_targets(labels[group], None, alpha, classes=classes)
            others += [(copy, kind, log_p[i], share[i]) for i, copy in enumerate(group)]
    return Targets(soft * weights.unsqueeze(-1), constant, others, None if at is None else at[stretch.index])


def _over(settings: Sequence[float | Anneal], stretch: Stretch, labels: Tensor) -> Tensor:
    """Return the settings of some copies at each update, shaped to multiply (group, updates, batch, …, classes).

    If none of them is an `Anneal`, one value stands for all updates.
    """
    changing = any(isinstance(value, Anneal) for value in settings)
    steps = range(stretch.start, stretch.stop if changing else stretch.start + 1)
    values = [[value_at(value, step) for step in steps] for value in settings]
    found = torch.tensor(values, device=labels.device, dtype=torch.float32)
    return found.view(len(settings), len(steps), *[1] * (labels.dim() - 1))


def updates_that_fit(stretch: Stretch, *, rows: int, classes: int, some_positions: bool) -> int:
    """Return for how many updates of the stretch the targets take at most STRETCH_BYTES; at least 1.

    All processes must get the same number, so it follows from the whole batch and the largest share of it.

    Args:
        rows: the most rows of a batch that any process makes targets for.
        classes, some_positions: see `make_targets`.
    """
    labels, copies = stretch.labels, len(stretch.index)

    def fit(positions: int) -> int:
        return max(1, STRETCH_BYTES // (4 * copies * rows * positions * classes))

    fitting = fit(labels[0, 0, 0].numel())
    if some_positions and fitting < len(stretch):  # counting labels costs more than counting positions
        fitting = fit(max(1, int((labels != IGNORED).sum(-1).max())))
    return min(len(stretch), fitting)
