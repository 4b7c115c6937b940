"""Transformers on real text, masked and autoregressive: the paper's experiment E5, teachers and students."""

from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from pdtutor.recipes.outcome import Recipe
from pdtutor.recipes.sequence_students import Autoregressive, Budgets, MaskedProgressive, WhichCheckpoint
from pdtutor.recipes.sequences import MaskedTeacher, SequenceTeacher, closest_checkpoints
from pdtutor.tasks.text import CausalText, MaskedText

WIKIPEDIA_AND_PLAYS = ("wikipedia-vital", "shakespeare")


@dataclass(frozen=True)
class TextTeacher(MaskedTeacher):
    """E5, the teacher: a Transformer learns to fill in masked characters or word pieces of Wikipedia and plays."""

    width: int = 64  # heads × head_dim
    head_dim: int = 16  # width of a head, also of the students' heads
    lr: float = 3e-3  # peak learning rate of AdamW: 6 % warm-up, then cosine
    batch_size: int = 128  # rows per update
    steps: int = 1600  # updates
    save_every: int = 50  # updates between checkpoints
    corpus: tuple[str, ...] = WIKIPEDIA_AND_PLAYS  # names from data/corpora.toml, or folders of texts
    tokenizer: str = "characters"  # characters, bpe-N, wordpiece-N, a tokenizer.json, or a model's folder or repository
    length: int = 32  # ids per row
    rate: float = 0.3  # share of the tokens that is masked
    limit: int | None = None  # documents of each corpus, at most; all if None

    def task(self) -> MaskedText:
        """Return the task."""
        return MaskedText(self.corpus, self.tokenizer, self.length, self.limit, rate=self.rate)


class _ClosestFirst(MaskedProgressive):
    """Students of text, whose C₁ is the checkpoint that 3-grams explain best."""

    def first_checkpoints(self, curriculum: pd.DataFrame) -> dict[int, int]:
        """Return C₁ of (2,T) by seed: after the transition, the checkpoint that 3-grams explain best."""
        return closest_checkpoints(curriculum)


@dataclass(frozen=True)
class TextProgressive(_ClosestFirst):
    """E5, the students: cross-entropy, one-shot, progressive and (2,T) distillation, C₁ where 3-grams explain it best.

    Progressive distillation has three checkpoints, as the paper's smallest budgets have few: the last one is the final
    checkpoint, and it teaches for a third. (2,T) gives C₁ the first third.
    """

    teacher: TextTeacher = field(default_factory=TextTeacher)
    lr: float = 3e-3  # peak learning rate of AdamW
    steps: int = 1200  # the student's updates
    eval_every: int = 20  # updates between evaluations
    interval: int = 400  # R of progressive distillation, in updates
    speed: float = 4 / 3  # v of progressive distillation; the teacher's last checkpoint comes in the last interval
    first: int = 400  # T of (2,T): updates with C₁, the first checkpoint
    threshold: float = 0.25  # accuracy to reach, above the plateau: tables say how many updates that takes


@dataclass(frozen=True)
class TextBudgets(Budgets):
    """E5, the students at several budgets (numbers of updates), each a run of its own, as in the paper."""

    runs: tuple[TextProgressive, ...] = ()  # one per budget; those with equal teachers share them


@dataclass(frozen=True)
class TextWhichCheckpoint(_ClosestFirst, WhichCheckpoint):
    """E5, (2,T) by its first checkpoint: which of the teacher's checkpoints help?"""

    teacher: TextTeacher = field(default_factory=TextTeacher)
    lr: float = 3e-3  # peak learning rate of AdamW
    steps: int = 600  # the student's updates: about as many as one-shot students spend on their plateau
    eval_every: int = 20  # updates between evaluations
    first: int = 200  # T of (2,T): updates with C₁, the first checkpoint
    threshold: float = 0.25  # accuracy to reach, above the plateau: tables say how many updates that takes
    checkpoints: tuple[int, ...] = (100, 150, 200, 250, 300, 400, 600, 800, 1200, 1600)  # steps of C₁


@dataclass(frozen=True)
class CausalTextTeacher(SequenceTeacher):
    """E5, autoregressive, the teacher: a Transformer learns to continue Wikipedia and plays."""

    width: int = 64  # heads × head_dim
    head_dim: int = 16  # width of a head, also of the students' heads
    init_std: float = 0.04  # standard deviation of initial weights, also the students'
    lr: float = 4e-3  # peak learning rate of AdamW: 6 % warm-up, then cosine
    steps: int = 1000  # updates
    corpus: tuple[str, ...] = WIKIPEDIA_AND_PLAYS  # names from data/corpora.toml, or folders of texts
    tokenizer: str = "characters"  # characters, bpe-N, wordpiece-N, a tokenizer.json, or a model's folder or repository
    length: int = 32  # ids per row
    limit: int | None = None  # documents of each corpus, at most; all if None

    def task(self) -> CausalText:
        """Return the task."""
        return CausalText(self.corpus, self.tokenizer, self.length, self.limit)


@dataclass(frozen=True)
class TextAutoregressive(Autoregressive):
    """E5, autoregressive, the students: cross-entropy, one-shot and progressive distillation."""

    teacher: CausalTextTeacher = field(default_factory=CausalTextTeacher)
    lr: float = 8e-3  # peak learning rate of AdamW
    speed: float = 1.25  # v of progressive distillation; the teacher's last checkpoint comes in the last interval
    temperature: float = 1.0  # τ; early teachers are uncertain, and their argmax alone says little
    threshold: float = 0.35  # accuracy to reach: tables say how many updates that takes


_TINY: dict[str, Any] = {
    "width": 16, "head_dim": 8, "layers": 1, "batch_size": 8, "steps": 40, "save_every": 10, "eval_examples": 32,
    "length": 16, "limit": 400,
}  # fmt: skip
_SMOKE_TEACHER = TextTeacher(**_TINY, probe_sentences=8)
_SMOKE = {"width": 8, "steps": 40, "eval_every": 10, "interval": 10, "speed": 1.0, "first": 10}
_SMOKE_STUDENTS = TextProgressive(_SMOKE_TEACHER, **_SMOKE)


def _at_budget(steps: int, teacher: TextTeacher, **settings) -> TextProgressive:
    """Return students at this budget: three checkpoints of progressive distillation, and T of (2,T) a third.

    The teacher's steps are multiples of R·v, but of R if v < 1; so R is a third of the shorter of the two runs.
    """
    interval = -(-min(steps, teacher.steps) // 3)  # rounded up, so that there is no fourth checkpoint
    own = {"steps": steps, "interval": interval, "speed": teacher.steps / steps, "first": -(-steps // 3)}
    return TextProgressive(teacher, **own, **settings)


# On word pieces the transition comes later than on characters, and models cost more.
WORD_PIECES = TextTeacher(tokenizer="wordpiece-2048", width=128, batch_size=64, init_std=0.08)


# A teacher that is further ahead of its students, in longer rows, in which less is masked, of one more corpus.
DEEPER = TextTeacher(
    corpus=(*WIKIPEDIA_AND_PLAYS, "sotu"), length=64, rate=0.15, width=96, layers=3, batch_size=64, lr=2e-3, steps=3000
)


def paper_teacher(steps: int) -> TextTeacher:
    """Return a teacher near the paper's, a BERT-base on Wikipedia and books; each budget has its own teacher."""
    return TextTeacher(
        corpus=("wikitext-103", "gutenberg"), limit=20_000, tokenizer="wordpiece-30522", length=512, rate=0.15,
        width=768, head_dim=64, layers=12, lr=1e-4, batch_size=256, steps=steps, save_every=2000, init_std=0.02,
        precision="bfloat16",
    )  # fmt: skip


_PAPER = {"width": 256, "lr": 1e-4, "eval_every": 1000, "speed": 1.0, "first": 8000}

RECIPES: dict[str, dict[str, Recipe]] = {
    "text-teacher": {"smoke": _SMOKE_TEACHER, "laptop": TextTeacher(), "paper": paper_teacher(120_000)},
    "text-progressive": {
        "smoke": _SMOKE_STUDENTS,
        "laptop": TextProgressive(),
        "paper": TextProgressive(paper_teacher(24_000), **_PAPER, steps=24_000, interval=3000),
    },
    "text-budgets": {
        "smoke": TextBudgets((replace(_SMOKE_STUDENTS, steps=20), _SMOKE_STUDENTS), rates=(1e-3, 1e-2), tuned=20),
        "laptop": TextBudgets(
            tuple(_at_budget(steps, TextTeacher()) for steps in (600, 1200, 2400)),
            rates=(1.5e-3, 3e-3, 6e-3),
            tuned=1200,
        ),
        "paper": TextBudgets(
            tuple(
                TextProgressive(paper_teacher(steps), **_PAPER, steps=steps, interval=steps // 8)
                for steps in (24_000, 60_000, 120_000)
            )
        ),
    },
    "text-word-pieces": {
        "smoke": TextBudgets((replace(_SMOKE_STUDENTS, teacher=replace(_SMOKE_TEACHER, tokenizer="wordpiece-256")),)),
        "laptop": TextBudgets(
            tuple(_at_budget(steps, WORD_PIECES, width=64, threshold=0.08) for steps in (400, 800, 1600)),
            rates=(2.5e-3, 5e-3, 1e-2),
        ),
        "paper": TextBudgets((TextProgressive(paper_teacher(24_000), **_PAPER, steps=24_000, interval=3000),)),
    },
    "text-deeper": {
        "smoke": TextBudgets((replace(_SMOKE_STUDENTS, teacher=replace(_SMOKE_TEACHER, layers=2)),)),
        "laptop": TextBudgets(
            tuple(_at_budget(steps, DEEPER, lr=4e-3) for steps in (800, 1600)), rates=(2e-3, 4e-3, 8e-3)
        ),
        "paper": TextBudgets((TextProgressive(paper_teacher(24_000), **_PAPER, steps=24_000, interval=3000),)),
    },
    "text-which-checkpoint": {
        "smoke": TextWhichCheckpoint(_SMOKE_TEACHER, **_SMOKE, checkpoints=(10, 20, 40), measured=(5,), batches=4),
        "laptop": TextWhichCheckpoint(),
        "paper": TextWhichCheckpoint(
            paper_teacher(24_000),
            **_PAPER,
            steps=24_000,
            checkpoints=(4000, 6000, 8000, 10_000, 12_000, 16_000, 20_000, 24_000),
        ),
    },
    "text-autoregressive": {
        "smoke": TextAutoregressive(CausalTextTeacher(**_TINY), **_SMOKE),
        "laptop": TextAutoregressive(),
        "paper": TextAutoregressive(
            CausalTextTeacher(
                corpus=("wikitext-103", "gutenberg"),
                limit=20_000,
                tokenizer="wordpiece-30522",
                length=512,
                width=768,
                head_dim=64,
                layers=12,
                lr=3e-4,
                batch_size=256,
                steps=24_000,
                save_every=2000,
                init_std=0.02,
                precision="bfloat16",
            ),
            width=256,
            lr=3e-4,
            steps=24_000,
            eval_every=1000,
            interval=3000,
            speed=1.0,
        ),
    },
}
