"""What recipes on sequences share, on grammars and on text: teachers, Transformers that predict at every position.

Their students are in `sequence_students`.
"""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from pdtutor import plots
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.models.model import Model
from pdtutor.models.transformer import Transformer
from pdtutor.probes.ngrams import ngram_closeness, ngram_robustness
from pdtutor.probes.over import over
from pdtutor.recipes.outcome import Outcome, checked
from pdtutor.recipes.teacher import Teacher
from pdtutor.tasks.task import MaskedTask, SequenceTask
from pdtutor.training.optim import AdamW
from pdtutor.training.run import Run


@dataclass(frozen=True)
class SequenceTeacher(Teacher):
    """A Transformer on rows of ids. A recipe inherits from it and writes `task()`."""

    width: int = 128  # heads × head_dim
    head_dim: int = 8  # width of a head, also of the students' heads
    layers: int = 2  # number of blocks, also of the students
    lr: float = 5e-3  # peak learning rate of AdamW: 6 % warm-up, then cosine
    batch_size: int = 64  # rows per update
    steps: int = 2000  # updates
    save_every: int = 50  # updates between checkpoints
    eval_examples: int = 512  # held-out rows
    init_std: float = 0.02  # standard deviation of initial weights, also the students'
    precision: str | None = None  # how matrices are multiplied, also the students': "float32", or "bfloat16" for a GPU

    schedule: ClassVar[dict[str, Any]] = {"decay": "cosine", "warmup": 0.06}

    @abstractmethod
    def task(self) -> SequenceTask:
        """Return the task."""

    def model(self, *, width: int, seeds: list[int]) -> Transformer:
        """Return freshly initialised models of this width, one copy per seed; students are made in this way, too.

        Raises ValueError for a width that is not a multiple of head_dim.
        """
        heads, rest = divmod(width, self.head_dim)
        if rest:
            raise ValueError(f"width must be a multiple of head_dim = {self.head_dim}, got {width}")
        task = self.task()
        return Transformer(
            task.vocabulary,
            max_length=task.longest,
            classes=task.classes,
            layers=self.layers,
            heads=heads,
            head_dim=self.head_dim,
            causal=task.causal,
            read_out="every",
            padding=task.padding,
            init_std=self.init_std,
            seed=seeds,
        )

    def optimizer(self, **settings) -> AdamW:
        """Return the paper's optimizer of teacher and students; they differ only in the settings given here."""
        return AdamW(betas=(0.9, 0.95), **settings)

    def optimum(self) -> tuple[float, float] | None:
        """Return cross-entropy and accuracy of the best possible model; None if they are not known."""
        return None


@dataclass(frozen=True)
class MaskedTeacher(SequenceTeacher):
    """A teacher of masked prediction, with probes for how much it relies on n-grams."""

    probe_sentences: int = 128  # sentences for the n-gram probes

    @abstractmethod
    def task(self) -> MaskedTask:
        """Return the task."""

    def curriculum(
        self, trajectory: Trajectory, *, sizes: tuple[int, ...] = (3, 5, 7), device: str = AUTO, progress: bool = True
    ) -> pd.DataFrame:
        """Return M_robust and M_close, for n-grams of these sizes, at every checkpoint."""
        asked = [
            (name, make(self.task(), n, sentences=self.probe_sentences))
            for n in sizes
            for name, make in (("M_robust", ngram_robustness), ("M_close", ngram_closeness))
        ]

        def probe(model: Model) -> pd.DataFrame:
            return pd.concat([ask(model).assign(probe=name) for name, ask in asked], ignore_index=True)

        return over(trajectory, probe, device=device, progress=progress)

    def probed(
        self, seeds: list[int], *, out: Path, device: str = AUTO, progress: bool = True, **options
    ) -> tuple[Run, pd.DataFrame]:
        """Return the run of one teacher per seed, kept in `out`, and how much each checkpoint relies on 3-grams."""
        run = self.train(seeds=seeds, out=out, device=device, progress=progress, **options)
        return run, self.curriculum(run.trajectory, sizes=(3,), device=device, progress=progress)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train one teacher per seed, and follow how much its predictions rely on n-grams."""
        run = self.train_seeds(seeds, out=out, resume=resume, device=device, progress=progress)
        curriculum = self.curriculum(run.trajectory, device=device, progress=progress)
        final = run.history[run.history["step"] == run.trajectory.final].set_index("seed")
        medians = shortest_robust(curriculum).set_index(["seed", "step"])["median"]
        optimum = self.optimum()
        known = {} if optimum is None else dict(zip(("optimal_loss", "optimal_accuracy"), optimum, strict=True))
        rows = [
            {
                "seed": seed,
                "peak_step": peak,
                "M_robust_at_peak": medians[seed, peak],
                "M_robust_at_end": medians[seed, run.trajectory.final],
                "loss": final["loss"][seed],
                "accuracy": final["accuracy"][seed],
                **known,
            }
            for seed, peak in peak_checkpoints(curriculum).items()
        ]
        tables = {"results": pd.DataFrame(rows), "history": run.history, "curriculum": curriculum}
        figure = plots.sequence_teacher_figure(run.history, curriculum, optimal_loss=known.get("optimal_loss"))
        return Outcome(tables, figure)


def shortest_robust(curriculum: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of M_robust for the shortest n-grams."""
    return curriculum[(curriculum["probe"] == "M_robust") & (curriculum["n"] == curriculum["n"].min())]


def peak_checkpoints(curriculum: pd.DataFrame) -> dict[int, int]:
    """Return, by seed, the step at which the median M_robust of the shortest n-grams is largest."""
    medians = shortest_robust(curriculum).pivot(index="step", columns="seed", values="median")
    return _by_seed(medians.idxmax())


def rising_checkpoints(curriculum: pd.DataFrame) -> dict[int, int]:
    """Return, by seed, the first step at which M_robust is at least half of its largest value.

    It is the median M_robust of the shortest n-grams.
    """
    medians = shortest_robust(curriculum).pivot(index="step", columns="seed", values="median")
    return _by_seed((medians >= medians.max() / 2).idxmax())


def closest_checkpoints(curriculum: pd.DataFrame) -> dict[int, int]:
    """Return, by seed, the step at which 3-grams explain the predictions best.

    It has the smallest median M_close of the shortest n-grams, among the steps from `rising_checkpoints` on. (Before
    that, predictions depend on nothing, and M_close is small for that reason.)
    """
    closeness = curriculum[(curriculum["probe"] == "M_close") & (curriculum["n"] == curriculum["n"].min())]
    medians = closeness.pivot(index="step", columns="seed", values="median")
    rising = pd.Series(rising_checkpoints(curriculum))
    return _by_seed(medians.where(medians.index.to_numpy()[:, None] >= rising[medians.columns].to_numpy()).idxmin())


def _by_seed(steps: pd.Series) -> dict[int, int]:
    """Return a series of steps, indexed by seed, as a dictionary of plain ints."""
    return dict(zip(steps.index.astype(int).tolist(), steps.astype(int).tolist(), strict=True))
