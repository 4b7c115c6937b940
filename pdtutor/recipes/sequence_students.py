"""Students on sequences: at one budget, at several, by first checkpoint, and autoregressive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pandas as pd

from pdtutor import plots
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.distillation.schedule import n_shot
from pdtutor.distillation.supervision import Labels
from pdtutor.probes.choose import checkpoint_table, choose_step
from pdtutor.recipes.outcome import Outcome, checked
from pdtutor.recipes.sequences import MaskedTeacher, SequenceTeacher, rising_checkpoints
from pdtutor.recipes.students import Methods, Progressive, with_teachers
from pdtutor.training.compare import Comparison, merged, results
from pdtutor.training.evaluate import held_out
from pdtutor.training.gradient_noise import gradient_noise
from pdtutor.training.run import Run

INPUT_SEED = 1  # rules that choose checkpoints get other held-out inputs than the evaluations
TUNING_SEED = 100  # learning rates are chosen on seeds from here on, or from the first that is not counted

POSITIONS = ("positions.weight",)  # the parameters of a Transformer that say where a token stands
LABELS = "cross-entropy"  # the name of the supervision by labels


@dataclass(frozen=True)
class SequenceStudents(Progressive):
    """What the students of both objectives, masked and autoregressive, share."""

    teacher: SequenceTeacher
    width: int = 32  # the student's heads × head_dim
    lr: float = 2e-2  # peak learning rate of AdamW
    decay: str = "cosine"  # learning rate after the warm-up: "constant", or "cosine" (falls to 0)
    warmup: float = 0.06  # fraction of all updates over which the learning rate rises
    steps: int = 800  # the student's updates
    eval_every: int = 50  # updates between evaluations
    interval: int = 100  # R of progressive distillation, in updates
    speed: float = 2.5  # v of progressive distillation; the teacher's last checkpoint comes in the last interval
    first: int = 200  # T of (2,T): updates with C₁, the first checkpoint
    threshold: float = 0.6  # accuracy to reach: tables say how many updates that takes

    def optimum(self) -> dict[str, float]:
        """Return the best possible accuracy as a column `optimum`, or no column if it is not known."""
        optimum = self.teacher.optimum()
        return {} if optimum is None else {"optimum": optimum[1]}


@dataclass(frozen=True)
class MaskedProgressive(SequenceStudents):
    """Students by cross-entropy, one-shot, progressive and (2,T) distillation, with C₁ as M_robust starts to rise."""

    teacher: MaskedTeacher

    def first_checkpoints(self, curriculum: pd.DataFrame) -> dict[int, int]:
        """Return C₁ of (2,T) by seed: the first checkpoint whose M_robust of 3-grams is half of its largest."""
        return rising_checkpoints(curriculum)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers, find C₁ of each, and compare the four supervisions."""
        options = {"resume": resume, "device": device, "progress": progress}
        teachers, curriculum = self.teacher.probed(list(range(seeds)), out=out / "teachers", **options)
        tables = self.students(teachers, curriculum, out=out / "students", **options)
        figure = plots.accuracy_figure(tables["history"])
        history = {"history": with_teachers(tables["history"], teachers.history), "curriculum": curriculum}
        return Outcome(self.summary(tables["history"]) | tables | history, figure)

    def students(
        self,
        teachers: Run,
        curriculum: pd.DataFrame,
        *,
        rates: Mapping[str, float] | None = None,
        out: Path,
        progress: bool = True,
        **options,
    ) -> dict[str, pd.DataFrame]:
        """Return the students' history and whatever else a recipe measures of them, as tables by name."""
        compared = self.taught(teachers, curriculum, rates=rates, out=out, progress=progress, **options)
        return {"history": compared.history}

    def taught(
        self,
        teachers: Run,
        curriculum: pd.DataFrame,
        *,
        rates: Mapping[str, float] | None = None,
        out: Path | None = None,
        **options,
    ) -> Comparison:
        """Return the comparison of the four supervisions, with a student per teacher. Options go to `train`.

        Methods that have a learning rate in `rates` train with it, each group of equal rates side by side.
        """
        methods = self.methods(teachers.trajectory, self.first_checkpoints(curriculum))
        rate_of = {method: (rates or {}).get(method, self.lr) for method in methods}
        parts = []
        for rate in sorted(set(rate_of.values())):
            of_rate = {name: method for name, method in methods.items() if rate_of[name] == rate}
            place = out if out is None or not rates else out / f"rate-{rate:g}"
            students = replace(self, lr=rate)
            parts.append(students.compare(of_rate, seeds=teachers.trajectory.seeds, out=place, **options))
        compared, order = merged(parts), list(methods)
        compared.history = compared.history.sort_values(
            "method", key=lambda names: names.map(order.index), kind="stable", ignore_index=True
        )
        return compared

    def tried(
        self, rates: Sequence[float], teachers: Run, curriculum: pd.DataFrame, *, out: Path, **options
    ) -> pd.DataFrame:
        """Return `results` of the four supervisions at each of these learning rates, with a column `rate`."""
        tables = []
        for rate in rates:
            compared = replace(self, lr=rate).taught(teachers, curriculum, out=out / f"rate-{rate:g}", **options)
            tables.append(compared.results(threshold=self.threshold).assign(rate=rate))
        return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class Budgets:
    """Students at several budgets (numbers of updates), each a run of its own, as in the paper.

    Every method may have a learning rate of its own at every budget: the one with the highest accuracy, on average over
    seeds that are used for nothing else and have teachers of their own.
    """

    runs: tuple[MaskedProgressive, ...] = ()  # one per budget; those with equal teachers share them
    rates: tuple[float, ...] = ()  # peak learning rates to choose from; none: that of the run
    tuning: int = 2  # seeds on which they are chosen
    tuned: int = 100_000  # the largest budget at which they are chosen; larger ones take the rates of the one before

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers, choose the learning rates, and train students under all supervisions at every budget."""
        options = {"resume": resume, "device": device, "progress": progress}
        counted, uncounted = list(range(seeds)), max(seeds, TUNING_SEED)
        apart = list(range(uncounted, uncounted + self.tuning))
        kinds = list(dict.fromkeys(students.teacher for students in self.runs))
        of_kind = {students.teacher: students for students in self.runs}
        optima = {teacher: students.optimum() for teacher, students in of_kind.items()}
        parts, tuning, rates = [], [], {}

        @cache
        def teachers(teacher: MaskedTeacher, name: str) -> tuple[Run, pd.DataFrame]:
            place = out / f"{name}-{kinds.index(teacher)}"
            return teacher.probed(counted if name == "teachers" else apart, out=place, **options)

        for students in self.runs:
            if self.rates and students.steps <= self.tuned:
                apart_from = teachers(students.teacher, "tuning-teachers")
                tried = students.tried(self.rates, *apart_from, out=out / f"tuning-{students.steps}", **options)
                tuning.append(tried.assign(budget=students.steps))
                rates = most_accurate_rates(tried)
            run, curriculum = teachers(students.teacher, "teachers")
            place = out / f"students-{students.steps}"
            tables = students.students(run, curriculum, rates=rates, out=place, **options)
            history = with_teachers(tables["history"], run.history)
            found = results(history, threshold=students.threshold).assign(**optima[students.teacher])
            rate_of = {"teacher": students.teacher.lr} | rates
            found["rate"] = [rate_of.get(method, students.lr) for method in found["method"]]
            tables = {"by_seed": found} | tables | {"history": history, "curriculum": curriculum}
            parts.append({name: table.assign(budget=students.steps) for name, table in tables.items()})
        tables = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
        if tuning:
            tables["tuning"] = pd.concat(tuning, ignore_index=True)
        found = tables["by_seed"]
        return Outcome({"results": by_budget(found)} | tables, plots.budgets_figure(found))


def most_accurate_rates(tuning: pd.DataFrame) -> dict[str, float]:
    """Return for every method the rate with the highest final accuracy, on average over seeds."""
    means = tuning.groupby(["method", "rate"], sort=False)["final_accuracy"].mean().unstack("rate")
    return {str(method): float(rate) for method, rate in means.idxmax(axis=1).items()}


def by_budget(found: pd.DataFrame) -> pd.DataFrame:
    """Return one row per budget and method: median, lowest and highest final accuracy over seeds, and number of seeds.

    There is a column `rate`, the learning rate, and a column `optimum`, if the table has them.
    """
    accuracy = "final_accuracy"
    columns = {"accuracy": (accuracy, "median"), "lowest": (accuracy, "min"), "highest": (accuracy, "max")}
    columns |= {"seeds": ("seed", "size")}
    columns |= {name: (name, "first") for name in ("rate", "optimum") if name in found}
    return found.groupby(["budget", "method"], sort=False).agg(**columns).reset_index()


@dataclass(frozen=True)
class WhichCheckpoint(MaskedProgressive):
    """(2,T) distillation by its first checkpoint: neither an early nor a late one is best (an inverted U).

    Beside it, how clearly each C₁, and labels, tell a student where to go: the signal and the noise of its gradient.
    """

    checkpoints: tuple[int, ...] = (50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000)  # steps of C₁
    measured: tuple[int, ...] = (50, 100)  # the student's updates at which gradients are measured, before T
    batches: int = 80  # batches of which gradients are measured

    def check(self) -> None:
        """Raise ValueError also for a C₁ that the teacher won't save, and gradients measured under another teacher."""
        super().check()
        for step in self.checkpoints:
            n_shot([step], each=self.first).stages(self.teacher.saved_steps, self.steps)
        if late := [step for step in self.measured if step >= self.first]:
            raise ValueError(f"gradients can be measured while C₁ teaches, for {self.first} updates, not at {late[0]}")

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers and, for every C₁ of each, a student. With the final checkpoint as C₁ it is one-shot."""
        options = {"resume": resume, "device": device, "progress": progress}
        teachers, curriculum = self.teacher.probed(list(range(seeds)), out=out / "teachers", **options)

        def with_first(step: int):
            return lambda seed: self.two_shot(teachers.trajectory.of(seed), step)

        methods = {str(step): with_first(step) for step in self.checkpoints}
        methods_and_labels = methods | {LABELS: Labels()}
        trained = {"seeds": teachers.trajectory.seeds, "save_at": list(self.measured), **options}
        compared = merged(  # one C₁ at a time: no two share a teacher, and few copies stay in the processor's cache
            [
                self.compare({name: method}, out=out / "students" / name, **trained)
                for name, method in methods_and_labels.items()
            ]
        )
        of_labels = compared.history["method"] == LABELS
        history = compared.history[~of_labels].rename(columns={"method": "checkpoint"}).astype({"checkpoint": int})
        found = results(compared.history[~of_labels], threshold=self.threshold)
        found = found.rename(columns={"method": "checkpoint"}).astype({"checkpoint": int})
        tables = {"results": found, "history": history, "teacher_history": teachers.history, "curriculum": curriculum}
        tables["chosen"] = self.chosen(teachers.trajectory, curriculum, device=device, progress=progress)
        if self.measured:
            tables["noise"] = self.noise(compared, methods_and_labels, progress=progress)
        figure = plots.first_checkpoint_figure(found, curriculum, chosen=tables["chosen"]["step"].dropna().tolist())
        return Outcome(tables, figure)

    def chosen(
        self, teachers: Trajectory, curriculum: pd.DataFrame, *, device: str = AUTO, progress: bool = True
    ) -> pd.DataFrame:
        """Return the C₁ that each rule takes, which need no student: columns rule, seed and step.

        The rules are "3-grams", this recipe's, and "agreement", that of `choose_step`, which needs nothing but inputs;
        its step is <NA> for a teacher for which it names none.
        """
        inputs, labels = held_out(self.teacher.task(), self.teacher.eval_examples, seed=INPUT_SEED)
        table = checkpoint_table(teachers, inputs, labels=labels, device=device, progress=progress)
        rows: list[tuple[str, int, int | None]] = [
            ("3-grams", seed, step) for seed, step in self.first_checkpoints(curriculum).items()
        ]
        for seed, of_seed in table.groupby("seed"):
            try:
                rows.append(("agreement", int(str(seed)), choose_step(of_seed)))
            except ValueError:  # the transition fell between two checkpoints
                rows.append(("agreement", int(str(seed)), None))
        return pd.DataFrame(rows, columns=["rule", "seed", "step"]).astype({"step": "Int64"})

    def noise(self, compared: Comparison, methods: Methods, *, progress: bool = True) -> pd.DataFrame:
        """Return the signal and the noise of every student's gradient under its own C₁, or under labels.

        The gradient is that of the position embeddings: on the plateau predictions don't depend on where tokens stand,
        and to leave it the student must find out which positions matter. Columns: step (the student's), method, seed,
        and those of `gradient_noise`.
        """
        tables = []
        for number, run in enumerate(compared.runs):  # students of one method each, if a fast one may stop early
            names = [name for name, (position, _) in compared.places.items() if position == number]
            given = [method(seed) if callable(method := methods[name]) else method for name, seed in names]
            for step in self.measured:
                student = run.trajectory.at(step).requires_grad_(True)
                asked = {"parameters": POSITIONS, "batches": self.batches, "batch_size": self.teacher.batch_size}
                table = gradient_noise(student, self.teacher.task(), given, **asked, progress=progress)
                tables.append(table.assign(step=step, method=[name for name, _ in names]))
        columns = ["step", "method", "seed", "signal", "noise", "ratio"]
        return pd.concat(tables, ignore_index=True)[columns]


@dataclass(frozen=True)
class Autoregressive(SequenceStudents):
    """Students by cross-entropy, one-shot and progressive distillation, token by token.

    No n-gram probe says where C₁ is, so there is no (2,T).
    """

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers, and compare the three supervisions."""
        options = {"resume": resume, "device": device, "progress": progress}
        teachers = self.teacher.train_seeds(seeds, out=out, **options)
        methods = self.methods(teachers.trajectory)
        compared = self.compare(methods, seeds=teachers.trajectory.seeds, out=out / "students", **options)
        history = with_teachers(compared.history, teachers.history)
        tables = self.summary(compared.history)
        tables |= {"by_seed": tables["by_seed"].assign(**self.optimum()), "history": history}
        return Outcome(tables, plots.accuracy_figure(history))
