"""What the height of a teacher's spike and the length of its plateau depend on: width, learning rate, batch, size."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pdtutor import plots
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.models.mlp import MLP
from pdtutor.probes.monomials import largest_difference, monomial_correlations, stand_out
from pdtutor.probes.over import over
from pdtutor.recipes.outcome import Outcome, checked
from pdtutor.seeds import generator
from pdtutor.tasks.parity import SparseParity
from pdtutor.training.loop import train
from pdtutor.training.optim import SGD

ONSET, LEARNED = 0.55, 0.99  # accuracies where the plateau ends and where the task counts as solved
CONTINUED = 1000  # added to a seed: the second part of a teacher's run sees other examples than the first
GROUPS = 200  # of random coordinates outside the support, for the height that chance gives


@dataclass(frozen=True)
class SpikeTeacher:
    """A teacher of sparse parity: its problem and how it is trained."""

    d: int = 30  # number of coordinates
    width: int = 1000  # hidden units
    lr: float = 1e-2  # learning rate of SGD, constant
    batch_size: int = 1  # examples per update
    save_every: int = 500  # updates between checkpoints, from the end of the plateau
    eval_every: int = 5000  # updates between evaluations before


@dataclass(frozen=True)
class ParitySpike:
    """E1, the teacher's spike: its height and the plateau's length by width, learning rate, batch size and d.

    Every teacher is trained until its accuracy reaches 0.55, the end of its plateau, and from there, on other examples,
    with checkpoints at a fine spacing, until it reaches 0.99.
    """

    teachers: tuple[SpikeTeacher, ...]  # the settings to compare
    k: int = 6  # size of the support
    steps: int = 2_000_000  # updates until the end of the plateau, at most
    checkpoints: int = 120  # checkpoints from the end of the plateau, at most
    jump: int = 300_000  # updates from the end of the plateau, at most; the last of them without checkpoints
    eval_examples: int = 2048  # held-out examples
    probe_examples: int = 4096  # examples that choose the peak; as many others measure its height

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train and probe one teacher per setting and seed; a teacher's table is kept, its checkpoints are not."""
        folder = out / "teachers"
        if folder.exists() and not resume:
            raise ValueError(f"{folder} already holds a run: resume it, or choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        rows, heights, followed = [], [], []
        for seed in range(seeds):  # all settings of a seed first: what is there is then comparable
            for teacher in self.teachers:
                about = {"d": teacher.d, "width": teacher.width, "lr": teacher.lr, "batch_size": teacher.batch_size}
                kept = folder / f"{'-'.join(f'{name}{value:g}' for name, value in about.items())}-seed{seed}.csv"
                if not kept.exists():
                    table = self.follow(teacher, seed=seed, device=device, progress=progress)
                    unfinished = kept.with_suffix(".part")
                    table.to_csv(unfinished, index=False)
                    unfinished.replace(kept)
                table, about = pd.read_csv(kept), about | {"seed": seed}
                rows.append(about | summary(table))
                heights.extend(about | height for height in heights_by_spacing(table))
                if seed == 0:
                    followed.append(levels(table).assign(**about))
        results = pd.DataFrame(rows)
        tables = {
            "results": results,
            "heights": pd.DataFrame(heights),
            "history": pd.concat(followed, ignore_index=True),
        }
        return Outcome(tables, plots.heights_figure(results, budget=self.steps))

    def follow(self, teacher: SpikeTeacher, *, seed: int, device: str = AUTO, progress: bool = True) -> pd.DataFrame:
        """Train one teacher, and return the degree-1 correlations of its checkpoints from the end of its plateau.

        The columns are those of `over`, with value_fresh, the same from other examples; and step (updates since the
        start), accuracy, loss and steps_to_99 (nothing if never reached). For a teacher that never leaves the plateau
        or whose training diverges the table has a single row and no correlations; a diverged one has no accuracy.
        """
        task = SparseParity(teacher.d, self.k)
        model = MLP(teacher.d, width=teacher.width, seed=[seed])
        options = {
            "batch_size": teacher.batch_size, "optimizer": SGD(lr=teacher.lr), "eval_examples": self.eval_examples,
            "device": device, "progress": progress, "description": f"width {teacher.width}, lr {teacher.lr:g}",
        }  # fmt: skip
        fine, coarse = teacher.save_every, teacher.eval_every
        try:
            plateau = train(model, task, steps=self.steps, eval_every=coarse, until=ONSET, **options)
            onset, accuracy = int(plateau.history["step"].iloc[-1]), float(plateau.history["accuracy"].iloc[-1])
            if accuracy < ONSET:
                return pd.DataFrame([{"step": onset, "accuracy": accuracy}])
            jump = train(
                model, task, steps=self.checkpoints * fine, seed=[CONTINUED + seed], until=LEARNED,
                eval_every=fine, save_every=fine, **options,
            )  # fmt: skip
            steps, accuracy = onset + jump.history["step"].iloc[-1], jump.history["accuracy"].iloc[-1]
            remaining = self.jump - self.checkpoints * fine
            if accuracy < LEARNED and remaining > 0:
                rest = train(
                    model, task, steps=remaining, seed=[2 * CONTINUED + seed], until=LEARNED,
                    eval_every=coarse, **options,
                )  # fmt: skip
                steps, accuracy = steps + rest.history["step"].iloc[-1], rest.history["accuracy"].iloc[-1]
        except FloatingPointError:
            return pd.DataFrame([{"step": 0, "accuracy": None}])
        table = self.probe(jump.trajectory, task, device=device, progress=progress)
        table = table.merge(jump.history[["step", "accuracy", "loss"]], on="step")
        return table.assign(step=table["step"] + onset, steps_to_99=steps if accuracy >= LEARNED else None)

    def probe(self, trajectory: Trajectory, task: SparseParity, **options) -> pd.DataFrame:
        """Return the degree-1 correlations at every checkpoint, with the column value_fresh from other examples."""
        chosen, fresh = (
            over(
                trajectory,
                monomial_correlations(task, examples=self.probe_examples, off_support=task.d, seed=seed),
                **options,
            )
            for seed in (0, 1)
        )
        same = ["step", "monomial", "inside"]
        renamed = fresh[[*same, "value"]].rename(columns={"value": "value_fresh"})
        return chosen[[*same, "value", "noise_floor"]].merge(renamed, on=same, validate="one_to_one")


def levels(table: pd.DataFrame) -> pd.DataFrame:
    """Return a teacher's mean correlations by step: columns step, accuracy, loss, inside, outside and inside_fresh, ….

    It is empty for a teacher that never left its plateau.
    """
    columns = ["step", "accuracy", "loss", "inside", "outside", "inside_fresh", "outside_fresh"]
    if "monomial" not in table:
        return pd.DataFrame(columns=columns)
    means = table.pivot_table(index="step", columns="inside", values=["value", "value_fresh"])
    named = {
        f"{name}{suffix}": means[column, side]
        for column, suffix in (("value", ""), ("value_fresh", "_fresh"))
        for name, side in (("inside", True), ("outside", False))
    }
    first = table.groupby("step")[["accuracy", "loss"]].first()
    return first.assign(**named).reset_index()[columns]


def summary(table: pd.DataFrame) -> dict:
    """Return one teacher's row of the results.

    diverged says whether a loss became infinite; onset and steps_to_99 are updates (nothing if never reached), chance
    the share of random groups of coordinates that stand out as far as the support (see `largest_difference`). At the
    peak, chosen on one set of examples and measured on another: peak_step, accuracy_at_peak, loss_at_peak, inside,
    outside; and by_chance, the difference between inside and outside that groups of coordinates outside the support
    reach in the same way, in the mean.
    """
    by_step = levels(table)
    if by_step.empty:
        return {"diverged": bool(table["accuracy"].isna().any()), "onset": None, "steps_to_99": None}
    peak = by_step.iloc[int((by_step["inside"] - by_step["outside"]).argmax())]
    _, chance = largest_difference(table)
    return {
        "diverged": False,
        "onset": int(by_step["step"].iloc[0]),
        "steps_to_99": table["steps_to_99"].iloc[0],
        "checkpoints": len(by_step),
        "chance": chance,
        "peak_step": int(peak["step"]),
        "accuracy_at_peak": peak["accuracy"],
        "loss_at_peak": peak["loss"],
        "inside": peak["inside_fresh"],
        "outside": peak["outside_fresh"],
        "by_chance": height_by_chance(table),
    }


def height_by_chance(table: pd.DataFrame) -> float:
    """Return the height that random groups of coordinates outside the support reach at their own peaks, in the mean."""
    outside = table[~table["inside"]]
    chosen, fresh = (
        outside.pivot(index="step", columns="monomial", values=value).to_numpy() for value in ("value", "value_fresh")
    )
    members = np.arange(chosen.shape[1]) < int(table.loc[table["inside"], "monomial"].nunique())
    groups = generator(0, "groups").permuted(np.tile(members, (GROUPS, 1)), axis=1)  # (groups, monomials)
    peaks, _ = stand_out(chosen, groups)  # (groups,)
    means = [fresh[peak, group].mean() - fresh[peak, ~group].mean() for peak, group in zip(peaks, groups, strict=True)]
    return float(np.mean(means))


def heights_by_spacing(table: pd.DataFrame) -> Iterator[dict]:
    """Yield the spike's height if only every 1st, 2nd, 4th, … checkpoint had been saved: spacing, inside, outside.

    With every m-th there are m ways to begin: height is the mean over them. Spacings leave at least four checkpoints.
    """
    by_step = levels(table)
    every = 1
    while len(by_step) >= 4 * every:
        picked = [by_step.iloc[first::every] for first in range(every)]
        peaks = [part.iloc[int((part["inside"] - part["outside"]).argmax())] for part in picked]
        means = pd.DataFrame(peaks)[["inside_fresh", "outside_fresh"]].mean()
        spacing = every * int(by_step["step"].diff().iloc[1])
        yield {"spacing": spacing, "inside": means["inside_fresh"], "outside": means["outside_fresh"]}
        every *= 2


WIDTHS, RATES = (100, 1000, 3000), (0.01, 0.03, 0.1)
GRID = tuple(SpikeTeacher(width=width, lr=lr) for width in WIDTHS for lr in RATES)
SIZES = tuple(SpikeTeacher(d=d) for d in (20, 40))
BATCHES = (SpikeTeacher(lr=0.1, batch_size=32, save_every=50, eval_every=500),)

RECIPES = {
    "parity-spike": {
        "smoke": ParitySpike(
            (SpikeTeacher(d=10, width=64, lr=0.02, save_every=100, eval_every=200),), k=2, steps=4000, checkpoints=20,
            eval_examples=512, probe_examples=512,
        ),
        "laptop": ParitySpike((*GRID, *SIZES, *BATCHES)),
        "paper": ParitySpike(
            tuple(SpikeTeacher(d=100, width=width, lr=lr, save_every=10_000, eval_every=50_000)
                  for width in (1000, 50_000) for lr in (5e-3, 1e-2)),
            steps=40_000_000, jump=10_000_000, eval_examples=4096, probe_examples=16_384,
        ),
    }
}  # fmt: skip
