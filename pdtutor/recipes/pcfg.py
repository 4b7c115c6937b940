"""Transformers on a grammar's sentences: the paper's experiments E3, masked, and E4, autoregressive."""

from dataclasses import dataclass

import pandas as pd

from pdtutor.models import Transformer
from pdtutor.optim import AdamW
from pdtutor.probes import ngram_closeness, ngram_robustness, over
from pdtutor.run import Run
from pdtutor.tasks import CausalGrammar, MaskedGrammar
from pdtutor.train import train
from pdtutor.trajectory import Trajectory


@dataclass(frozen=True)
class GrammarTeacher:
    """E3, the teacher: a Transformer learns masked prediction, and leans on 3-grams at its transition."""

    grammar: str = "cfg3b"  # by name
    root: str | None = "16"  # start symbol; None for the grammar's own
    width: int = 128  # heads × head_dim
    head_dim: int = 8  # width of a head, the students' too
    layers: int = 2  # blocks, the students' too
    lr: float = 3e-3  # AdamW, 6 % warm-up, then cosine
    batch_size: int = 64  # sentences per update
    steps: int = 600  # updates
    save_every: int = 25  # updates between checkpoints
    eval_examples: int = 512  # held-out sentences
    probe_sentences: int = 128  # sentences for the n-gram probes

    def task(self) -> MaskedGrammar | CausalGrammar:
        """Return the task."""
        return MaskedGrammar(self.grammar, root=self.root)

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

    def train(self, *, seeds: list[int], **options) -> Run:
        """Return the run of one teacher per seed, side by side; options go to `train`."""
        return train(
            self.model(width=self.width, seeds=seeds),
            self.task(),
            steps=self.steps,
            batch_size=self.batch_size,
            optimizer=self.optimizer(lr=self.lr, decay="cosine", warmup=0.06),
            eval_every=self.save_every,
            eval_examples=self.eval_examples,
            save_every=self.save_every,
            **({"description": "teacher"} | options),
        )

    def curriculum(
        self, trajectory: Trajectory, *, sizes: tuple[int, ...] = (3, 5, 7), progress: bool = True
    ) -> pd.DataFrame:
        """Return M_robust and M_close at every checkpoint, for n-grams of these sizes."""
        probes = {
            (name, n): probe(self.task(), n, sentences=self.probe_sentences)
            for n in sizes
            for name, probe in (("M_robust", ngram_robustness), ("M_close", ngram_closeness))
        }

        def probe(model) -> pd.DataFrame:
            return pd.concat([ask(model).assign(probe=name) for (name, _), ask in probes.items()], ignore_index=True)

        return over(trajectory, probe, progress=progress)
