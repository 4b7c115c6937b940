"""E1 on the paper's own problem, (100,6)-sparse parity at batch 1."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pdtutor import plots
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.distillation.schedule import one_shot, progressive
from pdtutor.distillation.supervision import Labels
from pdtutor.processes import on_main
from pdtutor.recipes.outcome import Outcome, checked
from pdtutor.recipes.parity import PAPER_STUDENTS, PAPER_TEACHER, ParityStudents, ParityTeacher
from pdtutor.resources import paper
from pdtutor.training.compare import results, spread
from pdtutor.validate import user_path

# The paper's numbers, with two exceptions: a width of 1000 instead of 50 000, which two CPU cores can train in minutes,
# and a larger learning rate, because at the paper's 5e-3 so narrow a network needs 25 million updates or more.
TEACHER = ParityTeacher(d=100, k=6, width=1000, lr=1e-2, batch_size=1, steps=30_000_000, save_every=100_000)
SMOKE_TEACHER = ParityTeacher(
    d=10, k=2, width=64, lr=0.02, batch_size=1, steps=6000, save_every=200, eval_examples=512, probe_examples=1024
)


@dataclass(frozen=True)
class ParityHundred(ParityStudents):
    """E1 at the paper's size, (100,6) at batch 1: labels, one-shot, progressive, and (2,T) from three checkpoints."""

    teacher: ParityTeacher = field(default_factory=lambda: TEACHER)
    lr: float = 1e-2  # learning rate
    steps: int = 30_000_000  # updates of one-shot and progressive students, at most
    eval_every: int = 100_000  # updates between evaluations
    interval: int = 100_000  # R of progressive distillation, in updates
    first: int = 1_000_000  # T of (2,T): updates with C₁, the first checkpoint
    label_steps: int = 200_000_000  # updates of students trained on labels, at most: far beyond the paper's 20 million
    two_shot_steps: int = 4_000_000  # updates of (2,T) students, at most
    early: int = 500_000  # updates between the early C₁ and the spike; in the paper, from 9.7M to 10.2M
    late: int = 600_000  # updates between the spike and the late C₁; in the paper, from 10.2M to 10.8M
    around: int = 2_000_000  # updates before and after the spike for which correlations are plotted and kept

    def check(self) -> None:
        """Raise ValueError also for a progressive schedule that needs a checkpoint which the teacher won't save."""
        super().check()
        progressive(self.interval).stages(self.teacher.saved_steps, self.steps)

    def learned(self, history: pd.DataFrame) -> list[int]:
        """Return the seeds whose teacher has learned: they alone have students, each of its own teacher.

        Raises ValueError if no teacher has learned.
        """
        final = history.groupby("seed")["accuracy"].last()
        seeds = [int(seed) for seed in final.index[final >= self.threshold]]
        if not seeds:
            raise ValueError(f"no teacher has learned within {self.teacher.steps} updates: give them more")
        return seeds

    def two_shot_methods(self, teachers: dict[int, Trajectory], peaks: dict[int, int]) -> dict:
        """Return (2,T) with C₁ too early, at the spike and too late; teachers and peaks are by seed."""

        def method(shift: int):
            return lambda seed: self.two_shot(teachers[seed], teachers[seed].nearest(peaks[seed] + shift))

        return {"(2,T), C₁ early": method(-self.early), "(2,T)": method(0), "(2,T), C₁ late": method(self.late)}

    @on_main
    def keep(self, teacher: Trajectory, peak: int, folder: Path) -> None:
        """Extract the checkpoints that teach in (2,T), and one from `around` steps before the spike, into a folder."""
        if not user_path(folder).exists():
            shifts = (-self.around, -self.early, 0, self.late)
            teacher.extract(folder, sorted({*(teacher.nearest(peak + shift) for shift in shifts), teacher.final}))

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers, find their spikes, and compare the supervisions, each with its own number of updates.

        A seed whose teacher has not learned has no students, of labels neither: all methods have the same seeds.
        """
        options = {"resume": resume, "device": device, "progress": progress}
        trained = self.teacher.train_seeds(seeds, out=out, **options)
        seeds_with_students = self.learned(trained.history)
        curriculum = pd.concat(
            [
                self.teacher.curriculum(trained.trajectory.of(seed), device=device, progress=progress)
                for seed in seeds_with_students  # on a plateau there is no spike
            ],
            ignore_index=True,
        )
        first = self.teacher.first_checkpoints(trained.trajectory, curriculum, device=device, progress=progress)
        spikes = dict(zip(first["seed"].tolist(), first["step"].tolist(), strict=True))
        teachers = {seed: trained.trajectory.of(seed) for seed in seeds_with_students}
        for seed, teacher in teachers.items():
            self.keep(teacher, spikes[seed], out / f"checkpoints-seed{seed}")
        distilled = {
            "one-shot": lambda seed: self.distill(teachers[seed], one_shot()),
            "progressive": lambda seed: self.distill(teachers[seed], progressive(self.interval)),
        }
        parts = [
            (self.two_shot_methods(teachers, spikes), self.two_shot_steps, "two-shot"),
            (distilled, self.steps, "distilled"),
            ({"cross-entropy": Labels()}, self.label_steps, "labels"),
        ]
        histories = [trained.history.assign(method="teacher")]
        for methods, steps, part in parts:
            compared = self.compare(methods, seeds=list(teachers), steps=steps, out=out / f"students-{part}", **options)
            histories.append(compared.history)
        history = pd.concat(histories, ignore_index=True)
        found = results(history, threshold=self.threshold)
        shift = curriculum["step"] - curriculum["seed"].map(spikes)
        spike = curriculum.assign(from_spike=shift)[shift.abs() <= self.around]
        answers = []
        for seed, teacher in teachers.items():
            steps = spike.loc[spike["seed"] == seed, "step"].unique().tolist()
            found_there = self.teacher.curriculum(teacher, temperature=0, steps=steps, device=device, progress=progress)
            answers.append(found_there.assign(from_spike=found_there["step"] - spikes[seed]))
        tables = {
            "results": spread(found),
            "by_seed": found,
            "first_checkpoints": first,
            "history": history,
            "spike": spike,
            "spike_answers": (spike_answers := pd.concat(answers, ignore_index=True)),
            "curriculum": curriculum,
        }
        return Outcome(tables, plots.paper_size_figure(history, spike_answers, paper("E1")))


RECIPES = {
    "parity-100-6": {
        "smoke": ParityHundred(
            SMOKE_TEACHER, width=32, lr=0.02, steps=6000, eval_every=200, interval=200, first=400, label_steps=8000,
            two_shot_steps=2000, early=400, late=600, around=1000,
        ),
        "laptop": ParityHundred(),
        "paper": ParityHundred(
            ParityTeacher(**PAPER_TEACHER), **PAPER_STUDENTS, label_steps=20_000_000, two_shot_steps=20_000_000
        ),
    },
}  # fmt: skip
