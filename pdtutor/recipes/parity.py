"""MLPs on sparse parity: the paper's experiment E1, and its section 3 in numbers."""

from dataclasses import dataclass, field, fields
from pathlib import Path

import pandas as pd

from pdtutor import plots, theory
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.models.mlp import MLP
from pdtutor.models.model import Model
from pdtutor.probes.choose import checkpoint_table, choose_step
from pdtutor.probes.monomials import CHANCE, correlation_levels, largest_difference, monomial_correlations
from pdtutor.probes.over import over
from pdtutor.recipes.outcome import Outcome, Recipe, checked
from pdtutor.recipes.students import Progressive, Students, evenly_spaced, with_teachers
from pdtutor.recipes.teacher import ProbedTeacher
from pdtutor.tasks.parity import SparseParity
from pdtutor.training.compare import results
from pdtutor.training.evaluate import held_out
from pdtutor.training.optim import SGD, AdamW

UNDER_WAY = (0.03, 0.75)  # agreement: of 18 teachers' spikes, 5 at chance or after the jump lay outside, 13 within
INPUT_SEED = 1  # rules that choose checkpoints get other held-out inputs than the evaluations


@dataclass(frozen=True)
class ParityTeacher(ProbedTeacher):
    """E1, the teacher: a wide MLP learns sparse parity, and its degree-1 correlations spike at the transition."""

    d: int = 30  # number of coordinates
    k: int = 6  # size of the support
    width: int = 1000  # hidden units
    lr: float = 0.2  # learning rate, constant
    batch_size: int = 32  # examples per update
    steps: int = 12_000  # updates
    save_every: int = 100  # updates between checkpoints
    eval_examples: int = 4096  # held-out examples
    probe_examples: int = 16_384  # examples for the correlations

    def task(self) -> SparseParity:
        """Return the task."""
        return SparseParity(self.d, self.k)

    def model(self, *, width: int, seeds: list[int]) -> Model:
        """Return freshly initialised models of this width, one copy per seed; students are made in this way, too."""
        return MLP(self.d, width=width, seed=seeds)

    def optimizer(self, **settings) -> SGD | AdamW:
        """Return the optimizer of teacher and students; they differ only in the settings given here."""
        return SGD(**settings)

    def curriculum(
        self,
        trajectory: Trajectory,
        *,
        degree: int = 1,
        temperature: float = 1.0,
        steps: list[int] | None = None,
        device: str = AUTO,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Return the correlations with all monomials of one degree, at every checkpoint or at these steps.

        They are of p(y=1|x) at a temperature; at 0, of the answer.
        """
        probe = monomial_correlations(self.task(), degree=degree, examples=self.probe_examples, temperature=temperature)
        return over(trajectory, probe, steps=steps, device=device, progress=progress)

    def first_checkpoints(
        self, trajectory: Trajectory, curriculum: pd.DataFrame, *, device: str = AUTO, progress: bool = True
    ) -> pd.DataFrame:
        """Return C₁ of every seed of a curriculum: columns seed, step, rule ("spike" or "agreement") and chance.

        It is the step at which single coordinates of the support exceed the others most: the spike. Where random
        coordinates do so as often (`chance` of `largest_difference` is above 0.05), it is one only if the teacher is
        under way there, by its agreement with the final checkpoint. If not, the step that `choose_step` names is taken.

        Raises ValueError, naming the seed, if `choose_step` names none.
        """
        rows = []
        for seed in curriculum["seed"].unique().tolist():
            (step, chance), rule = largest_difference(curriculum[curriculum["seed"] == seed]), "spike"
            if chance > CHANCE:
                inputs, _ = held_out(self.task(), self.eval_examples, seed=INPUT_SEED)
                try:
                    table = checkpoint_table(trajectory.of(seed), inputs, device=device, progress=progress)
                    if not UNDER_WAY[0] <= table.set_index("step")["agreement"][step] <= UNDER_WAY[1]:
                        step, rule = choose_step(table), "agreement"
                except ValueError as error:
                    raise ValueError(
                        f"(2,T) needs a first checkpoint of teacher {seed}, but its in-support correlations never "
                        f"stand out, and {error}"
                    ) from None
            rows.append({"seed": seed, "step": step, "rule": rule, "chance": chance})
        return pd.DataFrame(rows)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train one teacher per seed and follow its degree-1 correlations.

        In the results, `chance` is the share of random groups of coordinates that stand out as far as the support at
        `peak_step`: above 0.05 that step is no spike, but noise.
        """
        run = self.train_seeds(seeds, out=out, resume=resume, device=device, progress=progress)
        curriculum = self.curriculum(run.trajectory, device=device, progress=progress)
        rows = []
        for seed, of_seed in curriculum.groupby("seed"):
            accuracy = run.history[run.history["seed"] == seed].set_index("step")["accuracy"]
            levels, (peak, chance) = correlation_levels(of_seed), largest_difference(of_seed)
            rows.append(
                {
                    "seed": seed,
                    "steps_to_99": accuracy.index[accuracy >= 0.99].min(),
                    "peak_step": peak,
                    "chance": chance,
                    "accuracy_at_peak": accuracy[peak],
                    "inside_at_peak": levels.loc[peak, "inside"],
                    "outside_at_peak": levels.loc[peak, "outside"],
                    "inside_at_end": levels["inside"].iloc[-1],
                    "outside_at_end": levels["outside"].iloc[-1],
                }
            )
        tables = {"results": pd.DataFrame(rows), "history": run.history, "curriculum": curriculum}
        return Outcome(tables, plots.teacher_figure(run.history, curriculum))


@dataclass(frozen=True)
class AdamTeacher(ParityTeacher):
    """A teacher of sparse parity that is trained with Adam, as are its students."""

    def optimizer(self, **settings) -> AdamW:
        """Return Adam: AdamW, which has no weight decay by default."""
        return AdamW(**settings)


@dataclass(frozen=True)
class ParityStudents(Students):
    """Students of a teacher of sparse parity."""

    teacher: ParityTeacher = field(default_factory=ParityTeacher)


@dataclass(frozen=True)
class ParityProgressive(Progressive):
    """E1, the students: cross-entropy, one-shot, progressive and (2,T) distillation with C₁ at the spike.

    For a teacher without a spike, C₁ is chosen by agreement: the table `first_checkpoints` says which.
    """

    teacher: ParityTeacher = field(default_factory=ParityTeacher)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers, find their spikes, and compare the four supervisions."""
        options = {"resume": resume, "device": device, "progress": progress}
        teachers = self.teacher.train_seeds(seeds, out=out, **options)
        curriculum = self.teacher.curriculum(teachers.trajectory, device=device, progress=progress)
        first = self.teacher.first_checkpoints(teachers.trajectory, curriculum, device=device, progress=progress)
        methods = self.methods(
            teachers.trajectory, dict(zip(first["seed"].tolist(), first["step"].tolist(), strict=True))
        )
        compared = self.compare(methods, seeds=teachers.trajectory.seeds, out=out / "students", **options)
        history = with_teachers(compared.history, teachers.history)
        tables = self.summary(compared.history) | {"first_checkpoints": first, "history": history}
        return Outcome(tables | {"curriculum": curriculum}, plots.accuracy_figure(history))


@dataclass(frozen=True)
class ParityWhichCheckpoint(ParityStudents):
    """E1, (2,T) by its first checkpoint: which of the teacher's checkpoints help?"""

    steps: int = 12_000  # the student's updates
    checkpoints: int = 24  # how many first checkpoints to try, at least; evenly spaced over the teacher's run

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers and, for every C₁ to try of each, a student by (2,T) distillation."""
        options = {"resume": resume, "device": device, "progress": progress}
        teachers = self.teacher.train_seeds(seeds, out=out, **options)
        curriculum = self.teacher.curriculum(teachers.trajectory, device=device, progress=progress)
        histories = [
            self.by_checkpoint(teachers.trajectory.of(seed), out=out / f"students-seed{seed}", **options)
            for seed in teachers.trajectory.seeds
        ]
        history = pd.concat(histories, ignore_index=True)
        found = results(history.rename(columns={"checkpoint": "method"}), threshold=self.threshold)
        found = found.rename(columns={"method": "checkpoint"})
        figure = plots.which_checkpoint_figure(found, teachers.history, curriculum, budget=self.steps)
        tables = {"results": found, "history": history, "teacher_history": teachers.history, "curriculum": curriculum}
        return Outcome(tables, figure)

    def by_checkpoint(self, teacher: Trajectory, **options) -> pd.DataFrame:
        """Return the history of one teacher's students, side by side, with a leading column `checkpoint`."""
        methods = {str(step): self.two_shot(teacher, step) for step in evenly_spaced(teacher, self.checkpoints)}
        compared = self.compare(methods, seeds=teacher.seeds, until=None, **options)
        return compared.history.rename(columns={"method": "checkpoint"}).astype({"checkpoint": int})


@dataclass(frozen=True)
class ParitySampleComplexity:
    """Section 3 of the paper in numbers: samples until the support stands out, with labels and with a teacher."""

    k: int = 4  # size of the support, even
    dims: tuple[int, ...] = (15, 21, 31, 43, 63)  # numbers of coordinates, all odd
    max_samples: int = 2**28  # the search ends without a result after so many

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Count the samples and fit the slopes. It takes minutes at most, so there is nothing to resume.

        It is computed on the CPU, whatever the device.
        """
        history = theory.sample_complexity(
            list(self.dims), k=self.k, seeds=range(seeds), max_samples=self.max_samples, progress=progress
        )
        rows = []
        for supervision, found in history.groupby("supervision", sort=False):
            medians = found.groupby("d")["samples"].median().dropna()
            slope = theory.fit_slope(medians.index.to_numpy(), medians.to_numpy())
            rows.append({"supervision": supervision, "exponent": slope.exponent, "stderr": slope.stderr})
        return Outcome({"results": pd.DataFrame(rows), "history": history}, plots.samples_figure(history))


_SMOKE = {"d": 10, "k": 3, "width": 64, "steps": 600, "save_every": 50, "eval_examples": 512, "probe_examples": 1024}
SMOKE_TEACHER = ParityTeacher(**_SMOKE)
# The paper's numbers for E1, teachers and students; other recipes use them at paper scale, too.
PAPER_TEACHER = {
    "d": 100, "width": 50_000, "lr": 5e-3, "batch_size": 1, "steps": 20_000_000, "save_every": 100_000
}  # fmt: skip
PAPER_STUDENTS = {
    "lr": 1e-2, "decay": "cosine", "warmup": 0.06, "steps": 20_000_000, "eval_every": 100_000, "interval": 100_000,
    "first": 1_000_000,
}  # fmt: skip


def _students(kind: type, **laptop) -> dict[str, Recipe]:
    """Return an experiment with students at the three scales."""
    return {
        "smoke": kind(
            SMOKE_TEACHER, steps=600, width=32, eval_every=50, interval=100, first=100, **_if_has(kind, checkpoints=3)
        ),
        "laptop": kind(**laptop),
        "paper": kind(ParityTeacher(**PAPER_TEACHER), **PAPER_STUDENTS),
    }


def _if_has(kind: type, **settings) -> dict:
    """Return those of the settings that this recipe has."""
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in settings.items() if name in names}


RECIPES = {
    "parity-sample-complexity": {
        "smoke": ParitySampleComplexity(k=2, dims=(9, 15, 21)),
        "laptop": ParitySampleComplexity(),
        "paper": ParitySampleComplexity(dims=(15, 21, 31, 43, 63, 91), max_samples=2**32),
    },
    "parity-teacher": {"smoke": SMOKE_TEACHER, "laptop": ParityTeacher(), "paper": ParityTeacher(**PAPER_TEACHER)},
    "parity-progressive": _students(ParityProgressive),
    "parity-which-checkpoint": _students(ParityWhichCheckpoint),
}
