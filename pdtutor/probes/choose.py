"""Which checkpoint should teach first? The C₁ of (2,T)-progressive distillation, from the teacher's predictions alone.

A checkpoint helps if the teacher is in the middle of learning. Before the transition, its predictions show nothing of
the function that it will learn; after it, they show that function and no more. So measure how far each checkpoint
agrees with the final one, and take one that has come part of the way. That takes inputs, but neither labels nor the
task's support.

The recipe `parity-choose-checkpoint` tests this rule in settings it was not made for: on sparse parity it holds for
other sizes, batches and optimizers. It can't help a student with too few updates T to learn from C₁. Nor can it help
with a teacher that saved no checkpoint in the middle of the transition (`choose_step` then raises an error), or that is
still learning at the end (the last checkpoints in `checkpoint_table` then have a low agreement).
"""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.checkpoints.teachable import Teachable, a_trajectory
from pdtutor.devices import AUTO
from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, device_of
from pdtutor.models.placement import placed
from pdtutor.progress import progress_bar
from pdtutor.tasks.task import IGNORED
from pdtutor.validate import a_table, instance, number

QUARTER = 0.25  # agreement. On (30,6)-sparse parity, students learned from every C₁ between 0.03 and 0.5
TOO_FAR = 0.2  # largest distance of a chosen checkpoint's agreement from the one that was asked for


def choose_checkpoint(
    trajectory: Teachable,
    inputs: Tensor,
    *,
    labels: Tensor | None = None,
    agreement: float = QUARTER,
    device: str | torch.device = AUTO,
    progress: bool = True,
) -> int:
    """Return the step of the checkpoint that has come about a quarter of the way to the final one's predictions.

    Args:
        trajectory: the teacher's checkpoints, of one copy; `trajectory.copy(i)` picks one of several.
        inputs: held-out inputs (examples, …); a few thousand, so that chance agreement is known to a percent or two.
        labels: labels of the inputs, used only to leave out positions whose label is IGNORED; all positions count if
            not given.
        agreement: how far along the way, between 0 (chance) and 1 (the final checkpoint).
        device: where the checkpoints are asked; see `over`.
        progress: show a progress bar.

    Raises ValueError for a trajectory with several copies, for an agreement outside [0, 1], and whatever
    `checkpoint_table` and `choose_step` raise.
    """
    a_trajectory("trajectory", trajectory)
    if len(trajectory.seeds) != 1:
        raise ValueError(f"{trajectory.path} holds {len(trajectory.seeds)} copies: pick one with trajectory.copy(i)")
    number("agreement", agreement, minimum=0, maximum=1)
    table = checkpoint_table(trajectory, inputs, labels=labels, device=device, progress=progress)
    return choose_step(table, agreement=agreement)


def checkpoint_table(
    trajectory: Teachable,
    inputs: Tensor,
    *,
    labels: Tensor | None = None,
    device: str | torch.device = AUTO,
    progress: bool = True,
) -> pd.DataFrame:
    """Return where each checkpoint stands between chance and the final one, a row per step and copy.

    Columns: step, seed and

        agreement: 1 − E TV(p_t, p_T) / E TV(p̄_T, p_T), where p_t is the prediction at step t, p_T the final one and
            p̄_T its mean over inputs. It is 1 for the final checkpoint, 0 for one that knows only how often each class
            occurs, and about 0 for one that guesses confidently: it is corrected for chance, as Cohen's κ is.
        movement: E TV(p_t, p_s), where s is the checkpoint before t; NaN for the first. It shows why the checkpoint
            that moves fastest is a bad choice: on a plateau, predictions move fast and get nowhere.

    TV(p, q) = ½‖p−q‖₁, and E is the mean over inputs, for sequences also over positions. Arguments are those of
    `choose_checkpoint`, but the trajectory may have several copies.

    Raises ValueError for an empty trajectory, for no inputs, for labels whose shape is not that of the predictions or
    that are all IGNORED, and for a final checkpoint that predicts the same for every input: agreement with it can't be
    told from chance.
    """
    a_trajectory("trajectory", trajectory)
    final = predictions(placed(trajectory.at(trajectory.final), device), inputs, labels)  # (copies, positions, classes)
    chance = distance(final.mean(1, keepdim=True), final)  # (copies,)
    if (chance < 1e-3).any():
        raise ValueError(
            f"the final checkpoint of {trajectory.path} predicts the same for every input, so agreement with it can't "
            "be told from chance"
        )
    tables, before = [], None
    for step in progress_bar(trajectory.steps, desc="comparing", unit="checkpoint", show=progress):
        now = predictions(placed(trajectory.at(step), device), inputs, labels)
        moved = torch.full_like(chance, torch.nan) if before is None else distance(now, before)
        agreement = 1 - distance(now, final) / chance
        tables.append(
            pd.DataFrame(
                {
                    "step": step,
                    "seed": trajectory.seeds,
                    "agreement": agreement.tolist(),
                    "movement": moved.tolist(),
                }
            )
        )
        before = now
    return pd.concat(tables, ignore_index=True)


def choose_step(table: pd.DataFrame, *, agreement: float = QUARTER) -> int:
    """Return the step at which the agreement first reaches the given one, or the step before if that is nearer to it.

    The first time counts, because a late dip of a finished teacher is no transition. Step 0 is never chosen: its
    weights are random.

    Args:
        table: the table of `checkpoint_table`, for one seed.
        agreement: as in `choose_checkpoint`.

    Raises ValueError for a table with several seeds, for an agreement outside [0, 1], for fewer than two trained
    checkpoints before the final one, and if the agreement of neither step is within 0.2 of the given one: the
    transition then fell between these two, and the message names both.
    """
    a_table("table", table, "step", "seed", "agreement")
    if table["seed"].nunique() != 1:
        raise ValueError(f"the table must be of one seed, got {sorted(set(table['seed']))}")
    agreement = number("agreement", agreement, minimum=0, maximum=1)
    levels = table[table["step"] > 0].set_index("step")["agreement"].sort_index()
    if len(levels) < 3:
        raise ValueError(
            "a choice needs at least two trained checkpoints and the final one, got steps "
            + _listed(levels.index.tolist())
        )
    after = int((levels >= agreement).to_numpy().argmax())  # the final one has agreement 1, so there is one
    around = levels.iloc[max(after - 1, 0) : after + 1]
    gaps = (around - agreement).abs()
    if gaps.min() > TOO_FAR:
        found = " and ".join(f"{level:.2f} at step {step}" for step, level in around.items())
        raise ValueError(
            f"no checkpoint has an agreement of about {agreement:g} with the final one; it is {found}: save more "
            "checkpoints around there"
        )
    return int(gaps.idxmin())


@torch.no_grad()
def predictions(
    model: Model, inputs: Tensor, labels: Tensor | None = None
) -> Float[Tensor, "copies positions classes"]:
    """Return class probabilities at every position that counts: inputs (examples, …) → (copies, positions, classes).

    Raises ValueError for no inputs, for labels whose shape is not that of the predictions, and if all are IGNORED.
    """
    instance("inputs", inputs, Tensor, "a tensor (examples, …)")
    if labels is not None:
        instance("labels", labels, Tensor, "a tensor")
    if len(inputs) == 0:
        raise ValueError("inputs must hold at least one example, got none")
    device = device_of(model)
    logits = logits_of(model, inputs.to(device))  # (copies, examples, …, classes)
    if labels is not None and labels.shape != logits.shape[1:-1]:
        raise ValueError(f"labels must have shape {tuple(logits.shape[1:-1])}, got {tuple(labels.shape)}")
    flat = logits.flatten(1, -2).softmax(-1)
    if labels is None:
        return flat
    scored = (labels != IGNORED).flatten().to(device)
    if not scored.any():
        raise ValueError(f"nothing can be compared: all labels of the {len(inputs)} inputs are IGNORED ({IGNORED})")
    return flat[:, scored]


def distance(
    p: Float[Tensor, "copies positions classes"], q: Float[Tensor, "copies or_one classes"]
) -> Float[Tensor, " copies"]:
    """Return the mean of ½‖p−q‖₁ over positions, (copies,); p and q are (copies, positions or 1, classes)."""
    return (p - q).abs().sum(-1).mean(1) / 2


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps)) or "none"
