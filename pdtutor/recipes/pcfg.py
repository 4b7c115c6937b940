"""Transformers on a grammar's sentences, the teachers of the paper's experiments E3 (masked) and E4 (causal)."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
from torch import nn

from pdtutor import plots
from pdtutor.evaluate import evaluate, held_out
from pdtutor.models import Transformer
from pdtutor.optim import AdamW
from pdtutor.optimal import BayesOptimal
from pdtutor.probes import ngram_closeness, ngram_robustness, over
from pdtutor.recipes.outcome import Outcome, Recipe
from pdtutor.recipes.teacher import Teacher
from pdtutor.run import Run
from pdtutor.tasks import CausalGrammar, MaskedGrammar
from pdtutor.trajectory import Trajectory


@dataclass(frozen=True)
class _GrammarTeacher(Teacher):
    """What both objectives share: a Transformer on the sentences of a grammar."""

    grammar: str = "cfg3b"  # by name
    root: str | None = "16"  # start symbol; None for the grammar's own
    width: int = 128  # heads × head_dim
    head_dim: int = 8  # width of a head, the students' too
    layers: int = 2  # blocks, the students' too
    lr: float = 5e-3  # AdamW, 6 % warm-up, then cosine
    batch_size: int = 64  # sentences per update
    steps: int = 2000  # updates
    save_every: int = 50  # updates between checkpoints
    eval_examples: int = 512  # held-out sentences
    precision: str = "float32"  # of multiplied matrices, the students' too; "bfloat16" for a GPU

    schedule: ClassVar[dict] = {"decay": "cosine", "warmup": 0.06}

    def model(self, *, width: int, seeds: list[int]) -> Transformer:
        """Return freshly initialised models of this width, one copy per seed; students are of the teacher's kind.

        Raises ValueError for a width that is no multiple of head_dim.
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
            causal=isinstance(task, CausalGrammar),
            read_out="every",
            padding=task.padding,
            seed=seeds,
        )

    def optimizer(self, **settings) -> AdamW:
        """Return the paper's optimizer, the teacher's and the students' alike but for its settings."""
        return AdamW(betas=(0.9, 0.95), **settings)

    def train(self, **options) -> Run:
        """Return the run of one teacher per seed, at the recipe's precision; options go to `train`."""
        return super().train(precision=self.precision, **options)

    def optimum(self) -> tuple[float, float]:
        """Return cross-entropy and accuracy of the Bayes-optimal predictor on the held-out sentences."""
        loss, accuracy = evaluate(BayesOptimal(self.task()), *held_out(self.task(), self.eval_examples))
        return loss.item(), accuracy.item()


@dataclass(frozen=True)
class GrammarTeacher(_GrammarTeacher):
    """E3, the teacher: a Transformer learns masked prediction, and leans on 3-grams at its transition."""

    probe_sentences: int = 128  # sentences for the n-gram probes

    def task(self) -> MaskedGrammar:
        """Return the task."""
        return MaskedGrammar(self.grammar, root=self.root)

    def curriculum(
        self, trajectory: Trajectory, *, sizes: tuple[int, ...] = (3, 5, 7), progress: bool = True
    ) -> pd.DataFrame:
        """Return M_robust and M_close at every checkpoint, for n-grams of these sizes."""
        asked = [
            (name, make(self.task(), n, sentences=self.probe_sentences))
            for n in sizes
            for name, make in (("M_robust", ngram_robustness), ("M_close", ngram_closeness))
        ]

        def probe(model: nn.Module) -> pd.DataFrame:
            return pd.concat([ask(model).assign(probe=name) for name, ask in asked], ignore_index=True)

        return over(trajectory, probe, progress=progress)

    def run(self, *, seeds: int, out: Path, resume: bool = False, progress: bool = True) -> Outcome:
        """Train one teacher per seed and follow how far its predictions lean on n-grams."""
        run = self.train(seeds=list(range(seeds)), out=out / "teachers", resume=resume, progress=progress)
        curriculum = self.curriculum(run.trajectory, progress=progress)
        loss, accuracy = self.optimum()
        final = run.history[run.history["step"] == run.trajectory.final].set_index("seed")
        medians = shortest_robust(curriculum).set_index(["seed", "step"])["median"]
        peaks = peak_checkpoints(curriculum)
        rows = [
            {
                "seed": seed,
                "peak_step": peak,
                "M_robust_at_peak": medians[seed, peak],
                "M_robust_at_end": medians[seed, run.trajectory.final],
                "loss": final["loss"][seed],
                "accuracy": final["accuracy"][seed],
                "optimal_loss": loss,
                "optimal_accuracy": accuracy,
            }
            for seed, peak in peaks.items()
        ]
        tables = {"results": pd.DataFrame(rows), "history": run.history, "curriculum": curriculum}
        return Outcome(tables, plots.grammar_teacher_figure(run.history, curriculum, optimal_loss=loss))


def shortest_robust(curriculum: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of M_robust for the shortest n-grams."""
    return curriculum[(curriculum["probe"] == "M_robust") & (curriculum["n"] == curriculum["n"].min())]


def peak_checkpoints(curriculum: pd.DataFrame) -> dict[int, int]:
    """Return, by seed, the step at which the median M_robust of the shortest n-grams is largest."""
    return {
        int(seed): int(of_seed.loc[of_seed["median"].idxmax(), "step"])
        for seed, of_seed in shortest_robust(curriculum).groupby("seed")
    }


def rising_checkpoints(curriculum: pd.DataFrame) -> dict[int, int]:
    """Return, by seed, the first step whose median M_robust of the shortest n-grams is half of its largest value."""
    return {
        int(seed): int(of_seed[of_seed["median"] >= of_seed["median"].max() / 2]["step"].min())
        for seed, of_seed in shortest_robust(curriculum).groupby("seed")
    }


@dataclass(frozen=True)
class CausalTeacher(_GrammarTeacher):
    """E4, the teacher: a Transformer learns to predict the tokens that close a span, from what is before them."""

    grammar: str = "cfg3f"  # by name
    level: int = 1  # score the tokens that close a span of this level; the root's is 0
    lr: float = 1.5e-3  # AdamW, 6 % warm-up, then cosine; at 5e-3 it stayed near its first plateau
    steps: int = 1500  # updates

    def task(self) -> CausalGrammar:
        """Return the task."""
        return CausalGrammar(self.grammar, root=self.root, level=self.level)


SMOKE_TEACHER = GrammarTeacher(
    root="13", width=16, layers=1, batch_size=8, steps=40, save_every=10, eval_examples=32, probe_sentences=8
)


def paper_teacher(steps: int) -> GrammarTeacher:
    """Return E3's teacher as the paper has it; each of its budgets has one of its own."""
    return GrammarTeacher(
        root=None, width=256, layers=4, batch_size=512, steps=steps, save_every=200, eval_examples=1024,
        precision="bfloat16",
    )  # fmt: skip


RECIPES: dict[str, dict[str, Recipe]] = {
    "pcfg-teacher": {"smoke": SMOKE_TEACHER, "laptop": GrammarTeacher(), "paper": paper_teacher(8000)},
}
