"""Transformers on a grammar's sentences, the students of the paper's experiments E3 (masked) and E4 (causal)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from pdtutor import plots
from pdtutor.compare import Comparison, results, spread
from pdtutor.models import Transformer
from pdtutor.probes import nonterminal_probe
from pdtutor.recipes.outcome import Outcome, Recipe
from pdtutor.recipes.parity import ParityProgressive
from pdtutor.recipes.pcfg import SMOKE_TEACHER, CausalTeacher, GrammarTeacher, paper_teacher, rising_checkpoints
from pdtutor.run import Run


@dataclass(frozen=True)
class _GrammarStudents(ParityProgressive):
    """What the students of both objectives share."""

    width: int = 32  # the student's heads × head_dim
    lr: float = 2e-2  # AdamW, 6 % warm-up, then cosine; the best for labels and for one-shot of 0.003…0.04
    decay: str = "cosine"
    warmup: float = 0.06
    steps: int = 800  # the student's updates
    eval_every: int = 50  # updates between evaluations
    interval: int = 100  # R of progressive distillation, in updates
    speed: float = 2.5  # v: the student meets the teacher's last checkpoint at its own end
    first: int = 200  # T of (2,T), in updates
    threshold: float = 0.6  # accuracy whose steps are counted

    def compare(self, methods, **options) -> Comparison:
        """Return the comparison of students under these supervisions, at the teacher's precision."""
        return super().compare(methods, precision=self.teacher.precision, **options)


@dataclass(frozen=True)
class GrammarProgressive(_GrammarStudents):
    """E3, the students: cross-entropy, one-shot, progressive and (2,T) distillation, C₁ as M_robust starts to rise.

    C₁ is the first checkpoint whose median M_robust of 3-grams has come half-way to its largest value.
    """

    teacher: GrammarTeacher = field(default_factory=GrammarTeacher)
    probed: int = 2048  # sentences from which the probe for non-terminals learns

    def run(self, *, seeds: int, out: Path, resume: bool = False, progress: bool = True) -> Outcome:
        """Train the teachers, find each one's C₁, compare the four supervisions, and probe what the students know."""
        options = {"resume": resume, "progress": progress}
        teachers = self.teacher.train(seeds=list(range(seeds)), out=out / "teachers", **options)
        curriculum = self.teacher.curriculum(teachers.trajectory, sizes=(3,), progress=progress)
        history, spans = self.students(teachers, curriculum, out=out / "students", **options)
        found = results(history, threshold=self.threshold)
        history = pd.concat([history, teachers.history.assign(method="teacher")], ignore_index=True)
        tables = {"results": spread(found), "by_seed": found, "history": history, "curriculum": curriculum}
        return Outcome(tables | {"spans": spans}, plots.accuracy_figure(history[history["method"] != "teacher"]))

    def students(
        self, teachers: Run, curriculum: pd.DataFrame, *, out: Path, progress: bool = True, **options
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the students' history, and how well the spans of each level can be read from their final states.

        The second table has the columns of `nonterminal_probe`, but method and seed instead of copy. The teachers' rows
        are among them, method "teacher".
        """
        methods = self.methods(teachers.trajectory, rising_checkpoints(curriculum))
        seeds = teachers.trajectory.seeds
        compared = self.compare(methods, seeds=seeds, out=out, progress=progress, **options)
        students = [(method, seed) for method in methods for seed in seeds]
        spans = [
            self.spans(compared.runs[0].model, students, progress=progress),
            self.spans(teachers.model, [("teacher", seed) for seed in seeds], progress=progress),
        ]
        return compared.history, pd.concat(spans, ignore_index=True)

    def spans(self, model: Transformer, names: Sequence[tuple[str, int]], *, progress: bool = True) -> pd.DataFrame:
        """Return both non-terminal probes of a model whose copies have these methods and seeds, at every level.

        But for the root and the symbols just above the tokens: those are trivial.
        """
        task = self.teacher.task()
        tables = [
            nonterminal_probe(task, level, kind=kind, sentences=self.probed, progress=progress)(model)
            for level in range(1, len(task.rules.levels) - 1)
            for kind in ("attention", "linear")
        ]
        table = pd.concat(tables, ignore_index=True)
        table.insert(0, "method", [names[copy][0] for copy in table["copy"]])
        table.insert(1, "seed", [names[copy][1] for copy in table["copy"]])
        return table.drop(columns="copy")


@dataclass(frozen=True)
class GrammarBudgets:
    """E3, the students at several budgets, each a run of its own, as in the paper."""

    runs: tuple[GrammarProgressive, ...] = ()  # those whose teachers are alike share them

    def run(self, *, seeds: int, out: Path, resume: bool = False, progress: bool = True) -> Outcome:
        """Train the teachers and, for every budget, students of the four supervisions."""
        options = {"resume": resume, "progress": progress}
        kinds = list(dict.fromkeys(students.teacher for students in self.runs))
        teachers, tables = {}, []
        for students in self.runs:
            if students.teacher not in teachers:
                place = out / f"teachers-{kinds.index(students.teacher)}"
                run = students.teacher.train(seeds=list(range(seeds)), out=place, **options)
                curriculum = students.teacher.curriculum(run.trajectory, sizes=(3,), progress=progress)
                teachers[students.teacher] = run, curriculum, students.teacher.optimum()[1]
            run, curriculum, optimum = teachers[students.teacher]
            history, spans = students.students(run, curriculum, out=out / f"students-{students.steps}", **options)
            of_teacher = run.history.assign(method="teacher")
            found = results(pd.concat([history, of_teacher]), threshold=students.threshold).assign(optimum=optimum)
            tables.append(
                [table.assign(budget=students.steps) for table in (found, history, of_teacher, curriculum, spans)]
            )
        found, history, of_teacher, curriculum, spans = (
            pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True)
        )
        history = pd.concat([history, of_teacher], ignore_index=True)
        tables = {"results": by_budget(found), "by_seed": found, "history": history, "spans": spans}
        return Outcome(tables | {"curriculum": curriculum}, plots.budgets_figure(found))


def by_budget(found: pd.DataFrame) -> pd.DataFrame:
    """Return one row per budget and method: the final accuracy's median, lowest and highest over seeds, and seeds."""
    grouped = found.groupby(["budget", "method"], sort=False)
    return grouped.agg(
        accuracy=("final_accuracy", "median"),
        lowest=("final_accuracy", "min"),
        highest=("final_accuracy", "max"),
        seeds=("seed", "size"),
        optimum=("optimum", "first"),
    ).reset_index()


@dataclass(frozen=True)
class GrammarWhichCheckpoint(GrammarProgressive):
    """E3, (2,T) by its first checkpoint: the inverted U."""

    checkpoints: tuple[int, ...] = (50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000)  # C₁, teacher's steps

    def run(self, *, seeds: int, out: Path, resume: bool = False, progress: bool = True) -> Outcome:
        """Train the teachers and, for every C₁ of each, a student. C₁ = the final checkpoint is one-shot."""
        options = {"resume": resume, "progress": progress}
        teachers = self.teacher.train(seeds=list(range(seeds)), out=out / "teachers", **options)
        curriculum = self.teacher.curriculum(teachers.trajectory, sizes=(3,), progress=progress)

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
class CausalProgressive(_GrammarStudents):
    """E4, the students: cross-entropy, one-shot and progressive distillation, token by token."""

    teacher: CausalTeacher = field(default_factory=CausalTeacher)
    lr: float = 5e-3  # AdamW, 6 % warm-up, then cosine
    speed: float = 4.0  # v: the last half of the updates has the final teacher
    temperature: float = 1.0  # τ; early teachers are unsure, and their argmax alone says little

    def run(self, *, seeds: int, out: Path, resume: bool = False, progress: bool = True) -> Outcome:
        """Train the teachers and compare the three supervisions."""
        options = {"resume": resume, "progress": progress}
        teachers = self.teacher.train(seeds=list(range(seeds)), out=out / "teachers", **options)
        methods = self.methods(teachers.trajectory)
        compared = self.compare(methods, seeds=teachers.trajectory.seeds, out=out / "students", **options)
        found = results(compared.history, threshold=self.threshold).assign(optimum=self.teacher.optimum()[1])
        history = pd.concat([compared.history, teachers.history.assign(method="teacher")], ignore_index=True)
        tables = {"results": spread(found), "by_seed": found, "history": history}
        return Outcome(tables, plots.accuracy_figure(history))


_SMOKE = {"width": 8, "steps": 40, "eval_every": 10, "interval": 10, "speed": 1.0, "first": 10}
_SMOKE_STUDENTS = GrammarProgressive(SMOKE_TEACHER, **_SMOKE, probed=64)
_PAPER = {"width": 64, "lr": 5e-3, "eval_every": 200, "interval": 1000, "speed": 1.0, "first": 1000, "probed": 10_240}


def _paper_students(steps: int) -> GrammarProgressive:
    return GrammarProgressive(paper_teacher(steps), **_PAPER, steps=steps)


def _at_budget(steps: int, teacher_steps: int = 2000) -> GrammarProgressive:
    """Return the laptop's students with another budget, in which they meet as many checkpoints."""
    return GrammarProgressive(steps=steps, speed=teacher_steps / steps, interval=steps // 8)


RECIPES: dict[str, dict[str, Recipe]] = {
    "pcfg-progressive": {
        "smoke": _SMOKE_STUDENTS,
        "laptop": GrammarProgressive(),
        "paper": _paper_students(8000),
    },
    "pcfg-budgets": {
        "smoke": GrammarBudgets((_SMOKE_STUDENTS, replace(_SMOKE_STUDENTS, steps=20))),
        "laptop": GrammarBudgets(tuple(_at_budget(steps) for steps in (400, 800, 1600))),
        "paper": GrammarBudgets(tuple(_paper_students(steps) for steps in (2000, 4000, 8000, 16_000))),
    },
    "pcfg-which-checkpoint": {
        "smoke": GrammarWhichCheckpoint(SMOKE_TEACHER, **_SMOKE, checkpoints=(10, 20, 40)),
        "laptop": GrammarWhichCheckpoint(),
        "paper": GrammarWhichCheckpoint(
            paper_teacher(8000),
            **_PAPER,
            steps=8000,
            checkpoints=(400, 800, 1000, 1200, 1600, 2000, 4000, 7000, 8000),
        ),
    },
    "pcfg-autoregressive": {
        "smoke": CausalProgressive(
            CausalTeacher(
                root="13", level=1, width=16, layers=1, batch_size=8, steps=40, save_every=10, eval_examples=32
            ),
            **_SMOKE,
        ),
        "laptop": CausalProgressive(),
        "paper": CausalProgressive(
            CausalTeacher(
                root=None,
                width=256,
                layers=4,
                lr=5e-3,
                batch_size=512,
                steps=8000,
                save_every=200,
                eval_examples=1024,
                precision="bfloat16",
            ),
            width=64,
            lr=5e-3,
            steps=8000,
            eval_every=200,
            interval=1000,
            speed=2.0,
            temperature=1e-4,
        ),
    },
}
