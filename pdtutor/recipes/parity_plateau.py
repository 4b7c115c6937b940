"""Is a plateau idle? Networks taken from it and trained on other examples, beside fresh ones on the same examples."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pdtutor import plots
from pdtutor.devices import AUTO
from pdtutor.models.build import select_copies
from pdtutor.models.mlp import MLP
from pdtutor.models.model import Model
from pdtutor.recipes.outcome import Outcome, checked
from pdtutor.tasks.parity import SparseParity
from pdtutor.training.loop import train
from pdtutor.training.optim import SGD

ONSET = 0.55  # accuracy where the plateau ends
OTHER_EXAMPLES, OTHER_WEIGHTS = 1000, 5000  # added to seeds
OTHER = ", other support"


@dataclass(frozen=True)
class ParityPlateau:
    """E1, is the plateau idle? How long networks taken from it still need, on other examples, and how long fresh ones.

    If the jump were luck that may strike at any update, all would need the same time, in the mean. Networks that go on
    to the parity of another support say whether what was built up belongs to the support.
    """

    d: int = 30  # number of coordinates
    k: int = 6  # size of the support
    width: int = 1000  # hidden units
    lr: float = 1e-2  # learning rate of SGD, constant
    batch_size: int = 1  # examples per update
    steps: int = 2_000_000  # updates, at most
    eval_every: int = 5000  # updates between evaluations and between the teacher's checkpoints
    eval_examples: int = 4096  # held-out examples
    quarters: tuple[int, ...] = (0, 1, 2, 3)  # where on the plateau a network is taken, in quarters of its length
    other: tuple[int, ...] = (2, 3)  # quarters from where the parity of another support is learned, too
    copies: int = 2  # networks from each place, each with examples of its own; as many fresh ones

    def other_task(self) -> SparseParity:
        """Return the parity of a support that shares no coordinate with the first one."""
        taken = SparseParity(self.d, self.k).support
        return SparseParity(self.d, self.k, support=tuple(i for i in range(self.d) if i not in taken)[: self.k])

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train one teacher per seed to the end of its plateau; then go on from its checkpoints and fresh networks."""
        options = {
            "steps": self.steps, "batch_size": self.batch_size, "optimizer": SGD(lr=self.lr), "until": ONSET,
            "eval_every": self.eval_every, "eval_examples": self.eval_examples, "resume": resume, "device": device,
            "progress": progress,
        }  # fmt: skip
        task, other_task, histories = SparseParity(self.d, self.k), self.other_task(), []
        for seed in range(seeds):
            of_seed = out / f"seed{seed}"
            teacher = train(
                MLP(self.d, width=self.width, seed=[seed]), task, save_every=self.eval_every, out=of_seed / "teacher",
                description="teacher", **options,
            )  # fmt: skip
            histories.append(teacher.history.assign(start="teacher", taken_at=0, teacher=seed))
            others = [OTHER_EXAMPLES * (copy + 1) + seed for copy in range(self.copies)]
            fresh = MLP(self.d, width=self.width, seed=[OTHER_WEIGHTS + other for other in others])
            starts: list[tuple[str, int, Model, SparseParity]] = [("fresh", 0, fresh, task)]
            for quarter in sorted({*self.quarters, *self.other}):
                step = teacher.trajectory.nearest(quarter * teacher.trajectory.final // 4)
                for asked, quarters, suffix in ((task, self.quarters, ""), (other_task, self.other, OTHER)):
                    if quarter in quarters:
                        taken = select_copies(teacher.trajectory.at(step), [0] * self.copies).requires_grad_(True)
                        starts.append((f"{quarter}/4{suffix}", step, taken, asked))
            for start, step, network, asked in starts:
                folder = of_seed / "from-{}".format(start.replace("/", "-of-").replace(", ", "-").replace(" ", "-"))
                again = train(network, asked, seed=others, out=folder, description=f"from {start}", **options)
                histories.append(again.history.assign(start=start, taken_at=step, teacher=seed))
        history = pd.concat(histories, ignore_index=True)
        history = history[["teacher", "start", "taken_at", "copy", "step", "accuracy", "loss"]]
        results = plateau_results(history)
        return Outcome({"results": results, "history": history}, plots.plateau_figure(results))


def plateau_results(history: pd.DataFrame) -> pd.DataFrame:
    """Return the updates that each network still needed to the end of the plateau: teacher, start, …, onset.

    onset is counted from where the network was taken, and missing for one that never got there; plateau is the onset of
    its teacher.
    """
    same = ["teacher", "start", "taken_at", "copy"]
    found = history[same].drop_duplicates().set_index(same)
    found["onset"] = history[history["accuracy"] >= ONSET].groupby(same)["step"].min()
    found = found.reset_index()
    plateau = found[found["start"] == "teacher"].set_index("teacher")["onset"]
    found["plateau"] = found["teacher"].map(plateau)
    return found[found["start"] != "teacher"].astype({"onset": "Int64", "plateau": "Int64"})


RECIPES = {
    "parity-plateau": {
        "smoke": ParityPlateau(
            d=10,
            k=3,
            width=64,
            lr=0.02,
            steps=6000,
            eval_every=200,
            eval_examples=512,
            quarters=(0, 2),
            other=(2,),
            copies=2,
        ),
        "laptop": ParityPlateau(),
        "paper": ParityPlateau(d=100, steps=60_000_000, eval_every=100_000),
    }
}
