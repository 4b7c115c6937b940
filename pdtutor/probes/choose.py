"""Which checkpoint? A C₁ for (2,T)-progressive distillation, picked from the teacher's predictions alone.

A checkpoint helps while the teacher is on its way: before the transition it says nothing about the function that it
will learn, after it nothing but that function. So ask each checkpoint how much it already agrees with the final one,
and take one that has come a part of the way. That needs inputs; it needs neither labels nor the task's support.

The recipe `parity-choose-checkpoint` tries it where it was not made: on sparse parity it holds for other sizes,
batches and optimizers. It can't help a student that is given too few updates T to learn from C₁, nor a teacher that
saved no checkpoint on its way (it says so) or is still on its way at the end (a low agreement of the last checkpoints
in `checkpoint_table`).
"""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.checkpoints.teachable import Teachable
from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, device_of
from pdtutor.progress import progress_bar
from pdtutor.tasks.task import IGNORED
from pdtutor.validate import number

QUARTER = 0.25  # of the way. On (30,6)-sparse parity students learned from every C₁ between 0.03 and 0.5
TOO_FAR = 0.2  # from the agreement that was asked for, before a checkpoint is no answer


def choose_checkpoint(
    trajectory: Teachable,
    inputs: Tensor,
    *,
    labels: Tensor | None = None,
    agreement: float = QUARTER,
    progress: bool = True,
) -> int:
    """Return the step of the checkpoint that has come a quarter of the way to the final one's predictions.

    Args:
        trajectory: the teacher's checkpoints; a model of one copy (use `trajectory.copy(i)` to pick one of several).
        inputs: held-out inputs (examples, …); a few thousand, so that chance agreement is known to a percent or two.
        labels: only to leave out positions: those where they equal IGNORED don't count. All count if not given.
        agreement: how far on the way, between 0 (chance) and 1 (the final checkpoint).
        progress: show a progress bar.

    Raises ValueError for a trajectory with several copies, and whatever `checkpoint_table` and `choose_step` raise.
    """
    if len(trajectory.seeds) != 1:
        raise ValueError(f"{trajectory.path} holds {len(trajectory.seeds)} copies: pick one with trajectory.copy(i)")
    number("agreement", agreement, minimum=0, maximum=1)
    return choose_step(checkpoint_table(trajectory, inputs, labels=labels, progress=progress), agreement=agreement)


def checkpoint_table(
    trajectory: Teachable, inputs: Tensor, *, labels: Tensor | None = None, progress: bool = True
) -> pd.DataFrame:
    """Return where each checkpoint stands between chance and the final one, a row per step and copy.

    Columns: step, seed and

        agreement: 1 − E TV(p_t, p_T) / E TV(p̄_T, p_T), where p_t is the prediction at step t, p_T the final one and
            p̄_T its mean over inputs. 1 for the final checkpoint, 0 for one that knows only how often each class comes
            up, about 0 for one that guesses confidently: chance-corrected, as in Cohen's κ.
        movement: E TV(p_t, p_s), where s is the checkpoint before t; NaN for the first. A look at it shows why the
            fastest checkpoint is a bad choice: on a plateau, predictions move fast and go nowhere.

    TV = ½‖p−q‖₁. For sequences the mean runs over positions, too. Arguments are those of `choose_checkpoint`; all
    copies are measured.

    Raises ValueError for an empty trajectory, for no inputs, for labels of another shape than the predictions', and for
    a final checkpoint that predicts the same for every input: no agreement with it can be told from chance.
    """
    final = predictions(trajectory.at(trajectory.final), inputs, labels)  # (copies, positions, classes)
    chance = distance(final.mean(1, keepdim=True), final)  # (copies,)
    if (chance < 1e-3).any():
        raise ValueError(
            f"the final checkpoint of {trajectory.path} predicts the same for every input: to agree with it is no feat"
        )
    tables, before = [], None
    for step in progress_bar(trajectory.steps, desc="comparing", unit="checkpoint", show=progress):
        now = predictions(trajectory.at(step), inputs, labels)
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
    """Return the step at which the agreement first passes the given one: of the two around it, the nearer.

    The table is `checkpoint_table`'s, for one seed. First, because a late dip of a finished teacher is no transition;
    and never step 0, whose weights are random.

    Raises ValueError for a table with several seeds, for fewer than two trained checkpoints before the final one, and
    if neither of the two lies within 0.2 of the agreement that was asked for: then the transition fell between them,
    and the message names both.
    """
    if table["seed"].nunique() != 1:
        raise ValueError(f"the table must be about one seed, got {sorted(set(table['seed']))}")
    number("agreement", agreement, minimum=0, maximum=1)
    levels = table[table["step"] > 0].set_index("step")["agreement"].sort_index()
    if len(levels) < 3:
        raise ValueError(
            "to choose takes at least two trained checkpoints and the final one, got steps "
            + _listed(levels.index.tolist())
        )
    after = int((levels >= agreement).to_numpy().argmax())  # the final one agrees with itself, so there is one
    around = levels.iloc[max(after - 1, 0) : after + 1]
    gaps = (around - agreement).abs()
    if gaps.min() > TOO_FAR:
        found = " and ".join(f"{level:.2f} at step {step}" for step, level in around.items())
        raise ValueError(
            f"no checkpoint agrees with the final one by about {agreement:g}, but by {found}: save more of them there"
        )
    return int(gaps.idxmin())


@torch.no_grad()
def predictions(
    model: Model, inputs: Tensor, labels: Tensor | None = None
) -> Float[Tensor, "copies positions classes"]:
    """Return p(class) at every position that counts: inputs (examples, …) → (copies, positions, classes).

    Raises ValueError for no inputs, and for labels whose shape is not that of the predictions.
    """
    if len(inputs) == 0:
        raise ValueError("inputs must hold at least one example, got none")
    device = device_of(model)
    logits = logits_of(model, inputs.to(device))  # (copies, examples, …, classes)
    if labels is not None and labels.shape != logits.shape[1:-1]:
        raise ValueError(f"labels must have shape {tuple(logits.shape[1:-1])}, got {tuple(labels.shape)}")
    flat = logits.flatten(1, -2).softmax(-1)
    return flat if labels is None else flat[:, (labels != IGNORED).flatten().to(device)]


def distance(
    p: Float[Tensor, "copies positions classes"], q: Float[Tensor, "copies or_one classes"]
) -> Float[Tensor, " copies"]:
    """Return the mean total variation between predictions, (copies, positions, classes) twice → (copies,)."""
    return (p - q).abs().sum(-1).mean(1) / 2


def _listed(steps: Sequence[int]) -> str:
    return ", ".join(map(str, steps)) or "none"
