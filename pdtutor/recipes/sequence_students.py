"""Students on sequences: at one budget, at several, by first checkpoint, and autoregressive."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pdtutor import plots
from pdtutor.devices import AUTO
from pdtutor.distillation.schedule import n_shot
from pdtutor.recipes.outcome import Outcome, checked
from pdtutor.recipes.sequences import MaskedTeacher, SequenceTeacher, rising_checkpoints
from pdtutor.recipes.students import Progressive, with_teachers
from pdtutor.training.compare import Comparison, results
from pdtutor.training.run import Run


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
        teachers = self.teacher.train_seeds(seeds, out=out, **options)
        curriculum = self.teacher.curriculum(teachers.trajectory, sizes=(3,), device=device, progress=progress)
        tables = self.students(teachers, curriculum, out=out / "students", **options)
        figure = plots.accuracy_figure(tables["history"])
        history = {"history": with_teachers(tables["history"], teachers.history), "curriculum": curriculum}
        return Outcome(self.summary(tables["history"]) | tables | history, figure)

    def students(
        self, teachers: Run, curriculum: pd.DataFrame, *, out: Path, progress: bool = True, **options
    ) -> dict[str, pd.DataFrame]:
        """Return the students' history and whatever else a recipe measures of them, as tables by name."""
        compared = self.taught(teachers, curriculum, out=out, progress=progress, **options)
        return {"history": compared.history}

    def taught(self, teachers: Run, curriculum: pd.DataFrame, **options) -> Comparison:
        """Return the comparison of the four supervisions, with a student per teacher. Options go to `train`."""
        methods = self.methods(teachers.trajectory, self.first_checkpoints(curriculum))
        return self.compare(methods, seeds=teachers.trajectory.seeds, **options)


@dataclass(frozen=True)
class Budgets:
    """Students at several budgets (numbers of updates), each a run of its own, as in the paper."""

    runs: tuple[MaskedProgressive, ...] = ()  # one per budget; those with equal teachers share them

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers and, at every budget, students under the four supervisions."""
        options = {"resume": resume, "device": device, "progress": progress}
        kinds = list(dict.fromkeys(students.teacher for students in self.runs))
        teachers, parts = {}, []
        for students in self.runs:
            if students.teacher not in teachers:
                place = out / f"teachers-{kinds.index(students.teacher)}"
                run = students.teacher.train(seeds=list(range(seeds)), out=place, **options)
                curriculum = students.teacher.curriculum(run.trajectory, sizes=(3,), device=device, progress=progress)
                teachers[students.teacher] = run, curriculum, students.optimum()
            run, curriculum, optimum = teachers[students.teacher]
            tables = students.students(run, curriculum, out=out / f"students-{students.steps}", **options)
            history = with_teachers(tables["history"], run.history)
            found = results(history, threshold=students.threshold).assign(**optimum)
            tables = {"by_seed": found} | tables | {"history": history, "curriculum": curriculum}
            parts.append({name: table.assign(budget=students.steps) for name, table in tables.items()})
        tables = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
        found = tables["by_seed"]
        return Outcome({"results": by_budget(found)} | tables, plots.budgets_figure(found))


def by_budget(found: pd.DataFrame) -> pd.DataFrame:
    """Return one row per budget and method: median, lowest and highest final accuracy over seeds, and number of seeds.

    There is a column `optimum` if the table has one.
    """
    accuracy = "final_accuracy"
    columns = {"accuracy": (accuracy, "median"), "lowest": (accuracy, "min"), "highest": (accuracy, "max")}
    columns |= {"seeds": ("seed", "size")} | ({"optimum": ("optimum", "first")} if "optimum" in found else {})
    return found.groupby(["budget", "method"], sort=False).agg(**columns).reset_index()


@dataclass(frozen=True)
class WhichCheckpoint(MaskedProgressive):
    """(2,T) distillation by its first checkpoint: neither an early nor a late one is best (an inverted U)."""

    checkpoints: tuple[int, ...] = (50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000)  # steps of C₁

    def check(self) -> None:
        """Raise ValueError also for a C₁ that the teacher won't save."""
        super().check()
        for step in self.checkpoints:
            n_shot([step], each=self.first).stages(self.teacher.saved_steps, self.steps)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers and, for every C₁ of each, a student. With the final checkpoint as C₁ it is one-shot."""
        options = {"resume": resume, "device": device, "progress": progress}
        teachers = self.teacher.train_seeds(seeds, out=out, **options)
        curriculum = self.teacher.curriculum(teachers.trajectory, sizes=(3,), device=device, progress=progress)

        def with_first(step: int):
            return lambda seed: self.two_shot(teachers.trajectory.of(seed), step)

        methods = {str(step): with_first(step) for step in self.checkpoints}
        compared = self.compare(methods, seeds=teachers.trajectory.seeds, out=out / "students", **options)
        history = compared.history.rename(columns={"method": "checkpoint"}).astype({"checkpoint": int})
        found = compared.results(threshold=self.threshold).rename(columns={"method": "checkpoint"})
        found = found.astype({"checkpoint": int})
        tables = {"results": found, "history": history, "teacher_history": teachers.history, "curriculum": curriculum}
        return Outcome(tables, plots.first_checkpoint_figure(found, teachers.history, curriculum))


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
