"""Choosing C₁ of (2,T)-progressive distillation without knowing the support: rules against the best checkpoint."""

from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pdtutor import plots
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.probes.choose import checkpoint_table, choose_step
from pdtutor.probes.monomials import largest_difference
from pdtutor.recipes.outcome import Outcome, Recipe, checked
from pdtutor.recipes.parity import (
    INPUT_SEED,
    PAPER_STUDENTS,
    PAPER_TEACHER,
    AdamTeacher,
    ParityStudents,
    ParityTeacher,
)
from pdtutor.recipes.students import evenly_spaced
from pdtutor.training.evaluate import held_out

RULES = ("agreement", "loss", "steepest", "movement", "correlation")


@dataclass(frozen=True)
class Setting(ParityStudents):
    """A teacher, and students for every C₁ that is tried."""

    steps: int = 12_000  # the student's updates
    checkpoints: int = 24  # how many first checkpoints to try, at least; evenly spaced over the teacher's run
    students: int = 2  # students per checkpoint: several, because luck plays a part

    @property
    def name(self) -> str:
        """The name of this setting in tables."""
        kind = type(self.teacher.optimizer(lr=self.lr)).__name__.removesuffix("W")
        return f"({self.teacher.d},{self.teacher.k}), batch {self.teacher.batch_size}, {kind}, T = {self.first}"

    def run(self, *, seeds: int, out: Path, **options) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Train the teachers and the students, and return a table of each, and the table `peaks` of the teachers.

        The teachers' table has a row per seed and checkpoint: accuracy, loss, agreement, movement, and correlation. The
        last is by how much correlations with single coordinates are larger inside the support than outside; no other
        column uses the support. The students' table has a row per teacher seed, C₁ and student; where C₁ is the final
        checkpoint, it is one-shot distillation.
        """
        run = self.teacher.train_seeds(seeds, out=out, **options)
        inputs, _ = held_out(self.teacher.task(), self.teacher.eval_examples, seed=INPUT_SEED)
        scores = checkpoint_table(run.trajectory, inputs, device=options["device"], progress=options["progress"])
        curriculum = self.teacher.curriculum(run.trajectory, device=options["device"], progress=options["progress"])
        means = curriculum.groupby(["seed", "step", "inside"])["value"].mean().unstack()
        stands_out = (means[True] - means[False]).rename("correlation").reset_index()
        history = run.history[["seed", "step", "accuracy", "loss"]].merge(scores).merge(stands_out)
        students = []
        for seed in run.trajectory.seeds:
            of_seed = history[history["seed"] == seed]
            steps = self.candidates(run.trajectory, set(choices(of_seed).values()))
            found = self.sweep(run.trajectory.of(seed), steps, out=out / f"students-seed{seed}", **options)
            found.insert(0, "seed", seed)
            students.append(found.merge(of_seed[["step", "agreement"]].rename(columns={"step": "checkpoint"})))
        students = pd.concat(students, ignore_index=True)
        named = {"setting": self.name}
        return history.assign(**named), students.assign(**named, budget=self.steps), peaks(curriculum).assign(**named)

    def candidates(self, teacher: Trajectory, chosen: set[int]) -> list[int]:
        """Return the first checkpoints to try: evenly spaced ones, those that the rules choose, and the final one."""
        return sorted({*evenly_spaced(teacher, self.checkpoints), *chosen, teacher.final})

    def sweep(self, teacher: Trajectory, steps: list[int], **options) -> pd.DataFrame:
        """Return one row per first checkpoint and student; all have one teacher and train side by side."""
        compared = self.compare(
            {str(step): self.two_shot(teacher, step) for step in steps},
            seeds=list(range(self.students)),
            until=None,
            **options,
        )
        found = compared.results(threshold=self.threshold).rename(columns={"method": "checkpoint", "seed": "student"})
        return found.astype({"checkpoint": int}).drop(columns="examples")


@dataclass(frozen=True)
class AdamSetting(Setting):
    """A teacher and students that are trained with Adam."""

    teacher: AdamTeacher = field(default_factory=AdamTeacher)


@dataclass(frozen=True)
class ParityChooseCheckpoint:
    """E1, C₁ chosen without the support: how good are the rules, where they were made and elsewhere?"""

    settings: tuple[Setting, ...] = (Setting(),)  # the rule's constant was chosen on the first

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train teachers and students of every setting, and compare the rules with the best checkpoint."""
        options = {"resume": resume, "device": device, "progress": progress}
        parts = [
            setting.run(seeds=seeds, out=out / f"setting{i}", **options) for i, setting in enumerate(self.settings)
        ]
        history, students, of_support = (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))
        by_seed = regrets(history, students)
        tables = {"results": summary(by_seed), "by_seed": by_seed, "students": students, "history": history}
        return Outcome(tables | {"peaks": of_support}, plots.choose_figure(students, by_seed))


def peaks(curriculum: pd.DataFrame) -> pd.DataFrame:
    """Return what the rule "correlation" chooses and whether it is more than chance: columns seed, step and chance.

    `chance` is that of `largest_difference`. The rule takes every peak; `peak_step` refuses those above 0.05.
    """
    found = [(seed, *largest_difference(of_seed)) for seed, of_seed in curriculum.groupby("seed")]
    return pd.DataFrame(found, columns=["seed", "step", "chance"])


def choices(history: pd.DataFrame) -> dict[str, int]:
    """Return the step that each rule chooses for one teacher, from a table of `Setting.run`; no entry if it finds none.

    Only "correlation" uses the support, and only "loss" uses labels.
    """
    trained = history[history["step"] > 0].set_index("step")
    # how far the held-out loss has come from chance (0) to its final value (1): the counterpart of the agreement
    fallen = (log(2) - trained["loss"]) / (log(2) - trained["loss"].iloc[-1])
    chosen: dict[str, Any] = {
        "agreement": _choice(history),
        "loss": _choice(fallen.rename("agreement").reset_index().assign(seed=0)),
        "steepest": trained["agreement"].diff().idxmax(),
        "movement": trained["movement"].idxmax(),
        "correlation": trained["correlation"].idxmax(),
    }
    return {rule: int(step) for rule, step in chosen.items() if step is not None}


def _choice(table: pd.DataFrame) -> int | None:
    """Return what `choose_step` chooses, or None if it finds no checkpoint."""
    try:
        return choose_step(table)
    except ValueError:
        return None


def regrets(history: pd.DataFrame, students: pd.DataFrame) -> pd.DataFrame:
    """Return one row per setting, teacher seed and rule: what it chose, and how its students did.

    Columns: setting, seed, rule, checkpoint, agreement and accuracy of that checkpoint, learned (share of its students
    that learned), steps, regret, budget. `steps` is the mean over students, where one that never learned counts as the
    budget. `regret` is its ratio to the steps of the best checkpoint. That is an overestimate, because the best of many
    noisy means is partly best by luck.

    The rules are listed beside the best checkpoint, the one of median steps, and the final one, which is one-shot
    distillation. If a rule finds no checkpoint, its students are those of one-shot.
    """
    capped = students.assign(
        steps=students["steps"].astype(float).fillna(students["budget"]).clip(upper=students["budget"])
    )
    rows = []
    for (setting, seed), of_teacher in capped.groupby(["setting", "seed"], sort=False):
        teacher = history[(history["setting"] == setting) & (history["seed"] == seed)]
        tried = of_teacher.groupby("checkpoint").agg(steps=("steps", "mean"), learned=("reached", "mean"))
        chosen_by = choices(teacher)
        ranked, final = tried["steps"].sort_values(kind="stable"), int(tried.index.max())
        chosen = {
            "best": int(ranked.index[0]),
            **{rule: chosen_by.get(rule) for rule in RULES},
            "median": int(ranked.index[len(ranked) // 2]),
            "one-shot": final,
        }
        at = teacher.set_index("step")
        for rule, step in chosen.items():
            taught_by = final if step is None else step
            rows.append(
                {
                    "setting": setting,
                    "seed": seed,
                    "rule": rule,
                    "checkpoint": pd.NA if step is None else step,
                    "agreement": at["agreement"].get(step, np.nan),
                    "accuracy": at["accuracy"].get(step, np.nan),
                    "learned": tried["learned"][taught_by],
                    "steps": tried["steps"][taught_by],
                    "regret": tried["steps"][taught_by] / ranked.iloc[0],
                    "budget": of_teacher["budget"].iloc[0],
                }
            )
    return pd.DataFrame(rows).astype({"checkpoint": "Int64"})


def summary(by_seed: pd.DataFrame) -> pd.DataFrame:
    """Return one row per setting and rule: share that learned, steps, regret (median and worst), number of seeds."""
    grouped = by_seed.groupby(["setting", "rule"], sort=False)
    return grouped.agg(
        learned=("learned", "mean"),
        steps=("steps", "median"),
        regret=("regret", "median"),
        worst_regret=("regret", "max"),
        seeds=("seed", "size"),
    ).reset_index()


_SMOKE = ParityTeacher(d=10, k=3, width=64, steps=600, save_every=20, eval_examples=512, probe_examples=1024)
_ADAM = {"d": 30, "k": 5, "width": 500, "lr": 1e-3, "batch_size": 128, "steps": 3000, "save_every": 25}

RECIPES: dict[str, dict[str, Recipe]] = {
    "parity-choose-checkpoint": {
        "smoke": ParityChooseCheckpoint(
            (Setting(_SMOKE, steps=600, width=32, eval_every=50, first=100, checkpoints=3, students=1),)
        ),
        "laptop": ParityChooseCheckpoint(
            (
                Setting(),
                Setting(ParityTeacher(d=40, k=5, steps=9000), steps=9000, first=750, eval_every=150),
                Setting(
                    ParityTeacher(d=20, k=4, width=300, lr=0.05, batch_size=8, steps=4000, save_every=50),
                    width=50,
                    lr=0.05,
                    steps=4000,
                    first=500,
                    eval_every=100,
                ),
                Setting(
                    ParityTeacher(d=40, k=4, width=500, lr=0.03, batch_size=1, steps=60_000, save_every=500),
                    lr=0.02,
                    steps=60_000,
                    first=5000,
                    eval_every=1000,
                ),
                AdamSetting(AdamTeacher(**_ADAM), width=50, lr=1e-3, steps=3000, first=300, eval_every=50),
                AdamSetting(AdamTeacher(**_ADAM), width=50, lr=1e-3, steps=3000, first=900, eval_every=50),
            )
        ),
        "paper": ParityChooseCheckpoint((Setting(ParityTeacher(**PAPER_TEACHER), **PAPER_STUDENTS, students=1),)),
    }
}
