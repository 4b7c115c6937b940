"""Temperature, learning rate and schedule on sparse parity, and what in a warm teacher's logits teaches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from pdtutor import plots
from pdtutor.checkpoints.foreign import FunctionTeacher
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.distillation.schedule import one_shot, progressive
from pdtutor.recipes.outcome import Outcome, Recipe, checked
from pdtutor.recipes.parity import PAPER_STUDENTS, PAPER_TEACHER, SMOKE_TEACHER, ParityStudents, ParityTeacher
from pdtutor.recipes.parity_logits import Coefficients, answers, logit_coefficients, of_degree, sum_of, without
from pdtutor.tasks.parity import SparseParity
from pdtutor.training.compare import results, spread

SCHEDULES = ("one-shot", "progressive", "(2,T)")


@dataclass(frozen=True)
class ParityTemperature(ParityStudents):
    """E1 by temperature, learning rate and schedule: rates chosen on seeds of their own; and changed warm teachers.

    For plain SGD a factor τ² on the loss is a factor τ² on the learning rate, so the rates cover both.
    """

    steps: int = 20_000  # the student's updates, for all
    temperatures: tuple[float, ...] = (1e-4, 1.0, 4.0, 10.0)  # the values of τ; the first counts as cold
    rates: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # learning rates to try
    tuning: int = 3  # the first seeds choose the rates, the others are counted
    changed_at: float = 10.0  # τ of the changed teachers
    changed_steps: int = 10_000  # updates of their students
    examples: int = 262_144  # for the Fourier coefficients of the final teacher's logits

    def check(self) -> None:
        """Raise ValueError also for a progressive schedule that needs a checkpoint which the teacher won't save."""
        super().check()
        progressive(self.interval).stages(self.teacher.saved_steps, self.steps)
        if self.changed_at not in self.temperatures:
            raise ValueError(f"changed_at must be one of temperatures, {self.temperatures}; got {self.changed_at}")

    def methods(self, schedule: str, teachers: Trajectory, peaks: dict[int, int]) -> dict:
        """Return the supervision by this schedule at every temperature: name → function of the student's seed."""

        def method(temperature: float):
            recipe = replace(self, temperature=temperature)
            return {
                "one-shot": lambda seed: recipe.distill(teachers.of(seed), one_shot()),
                "progressive": lambda seed: recipe.distill(teachers.of(seed), progressive(self.interval)),
                "(2,T)": lambda seed: recipe.two_shot(teachers.of(seed), peaks[seed]),
            }[schedule]

        return {f"{schedule}, τ = {temperature:g}": method(temperature) for temperature in self.temperatures}

    def changed(self, teachers: Trajectory, coefficients: Mapping[int, Coefficients]) -> dict:
        """Return one-shot supervision by changed final teachers at `changed_at`.

        See `changed_logits` for the changes; coefficients are by the student's seed.
        """
        recipe, task = replace(self, temperature=self.changed_at), self.teacher.task()

        def method(change: str):
            def supervision(seed: int):
                function = changed_logits(teachers.of(seed), coefficients[seed], task, change)
                name = f"teacher {seed}, {change}"
                return recipe.distill(FunctionTeacher(function, classes=2, name=name), one_shot())

            return supervision

        return {change: method(change) for change in CHANGES}

    def students(self, methods: dict, rate: float, seeds: list[int], **options) -> pd.DataFrame:
        """Return the history of students with this learning rate, with a column `rate`. Options go to `compare`."""
        return replace(self, lr=rate).compare(methods, seeds=seeds, until=None, **options).history.assign(rate=rate)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Choose the rates, count the students with them, probe the teachers' logits, and change the teachers.

        Raises ValueError for no more seeds than `tuning`.
        """
        if seeds <= self.tuning:
            raise ValueError(
                f"the first {self.tuning} seeds choose the learning rates: give more than that, got {seeds}"
            )
        options = {"resume": resume, "device": device, "progress": progress}
        trained = self.teacher.train_seeds(seeds, out=out, **options)
        teachers = trained.trajectory
        curriculum = self.teacher.curriculum(teachers, device=device, progress=progress)
        first = self.teacher.first_checkpoints(teachers, curriculum, device=device, progress=progress)
        peaks = dict(zip(first["seed"].tolist(), first["step"].tolist(), strict=True))
        tuners, counted = teachers.seeds[: self.tuning], teachers.seeds[self.tuning :]
        methods = {schedule: self.methods(schedule, teachers, peaks) for schedule in SCHEDULES}
        together = {name: method for group in methods.values() for name, method in group.items()}
        tuning = pd.concat(
            [
                self.found(self.students(together, rate, tuners, out=out / f"tuning-{rate:g}", **options))
                for rate in self.rates
            ],
            ignore_index=True,
        )
        chosen = best_rates(tuning, budget=self.steps)
        histories = []
        for rate in sorted(set(chosen.values())):
            of_rate = {name: together[name] for name, best in chosen.items() if best == rate}
            histories.append(self.students(of_rate, rate, counted, out=out / f"students-{rate:g}", **options))
        task = self.teacher.task()
        coefficients = {
            seed: logit_coefficients(teachers.of(seed), teachers.final, task, examples=self.examples)
            for seed in teachers.seeds
        }
        rate = chosen[f"one-shot, τ = {self.changed_at:g}"]
        changes = self.students(
            self.changed(teachers, coefficients),
            rate,
            counted,
            steps=self.changed_steps,
            out=out / "changed",
            **options,
        )
        history = pd.concat([*histories, changes], ignore_index=True)
        by_seed = self.found(history)
        tables = {
            "results": spread(by_seed).assign(rate=by_seed.groupby("method", sort=False)["rate"].first().to_numpy()),
            "by_seed": by_seed,
            "tuning": tuning,
            "logits": logit_table(coefficients, task),
            "history": history.loc[
                history["step"] % (4 * self.eval_every) == 0, ["method", "seed", "step", "accuracy"]
            ],
        }
        return Outcome(tables, plots.temperature_figure(by_seed, budget=self.steps))

    def found(self, history: pd.DataFrame) -> pd.DataFrame:
        """Return one row per method, rate and seed: method, rate, seed, steps, final_accuracy, reached."""
        parts = [
            results(of_rate, threshold=self.threshold).assign(rate=rate)
            for rate, of_rate in history.groupby("rate", sort=False)
        ]
        return pd.concat(parts, ignore_index=True)[["method", "rate", "seed", "steps", "final_accuracy", "reached"]]


def best_rates(tuning: pd.DataFrame, *, budget: int) -> dict[str, float]:
    """Return for every method the rate with the fewest steps on average; a student that never learned counts 2×budget.

    On a tie, the one with the highest final accuracy on average.
    """
    table = tuning.assign(steps=tuning["steps"].astype(float).fillna(2 * budget), wrong=1 - tuning["final_accuracy"])
    means = table.groupby(["method", "rate"], sort=False)[["steps", "wrong"]].mean().reset_index()
    best = means.sort_values(["steps", "wrong"], kind="stable").groupby("method", sort=False).head(1)
    return {name: float(rate) for name, rate in zip(best["method"], best["rate"], strict=True)}


def logit_table(coefficients: Mapping[int, Coefficients], task: SparseParity) -> pd.DataFrame:
    """Return the size of the logits' coefficients by seed and degree, as shares of the label's coefficient.

    Columns: seed, degree, inside (bool), number (of monomials), rms and largest (of |E[z·χ_A]| over |E[z·χ_S]|), and
    label (E[z·χ_S] itself).
    """
    rows = []
    for seed, of_seed in coefficients.items():
        label = of_seed[task.support]
        groups: dict[tuple[int, bool], list[float]] = {}
        for a, value in of_seed.items():
            if 0 < len(a) < task.k:
                groups.setdefault((len(a), set(a) <= set(task.support)), []).append(abs(value / label))
        for (degree, inside), values in sorted(groups.items()):
            size = torch.tensor(values)
            rows.append({"seed": seed, "degree": degree, "inside": inside, "number": len(values),
                         "rms": float(size.square().mean().sqrt()), "largest": float(size.max()),
                         "label": label})  # fmt: skip
    return pd.DataFrame(rows)


CHANGES = ("unchanged", "without degree 1", "without degrees 1 to k − 1", "label and degree 1 only", "label only")


def changed_logits(teacher: Trajectory, coefficients: Coefficients, task: SparseParity, change: str):
    """Return the function from inputs (n, d) to the logits (n, 2) of the final teacher after this change of z.

    "without …" subtracts those monomials of z: of degree 1 all coordinates, of higher degrees the support's. "… only"
    keeps nothing but the label's term, ĉ_S·χ_S, or that and those of single coordinates of the support.
    """
    final, k, support = answers(teacher, teacher.final), task.k, task.support
    return {
        "unchanged": final,
        "without degree 1": without(final, of_degree(coefficients, 1)),
        "without degrees 1 to k − 1": without(final, of_degree(coefficients, *range(1, k))),
        "label and degree 1 only": sum_of(of_degree(coefficients, 1, k, support=support)),
        "label only": sum_of(of_degree(coefficients, k)),
    }[change]


RECIPES: dict[str, dict[str, Recipe]] = {
    "parity-temperature": {
        "smoke": ParityTemperature(
            SMOKE_TEACHER, steps=600, width=32, eval_every=50, interval=100, first=100, temperatures=(1e-4, 4.0),
            changed_at=4.0, changed_steps=400,
            rates=(0.1, 0.4), tuning=1, examples=4096,
        ),
        "laptop": ParityTemperature(),
        "paper": ParityTemperature(ParityTeacher(**PAPER_TEACHER), **PAPER_STUDENTS),
    }
}  # fmt: skip
