"""Transformers on sparse parity: the paper's experiment E2."""

from dataclasses import dataclass, field

from pdtutor.models import Transformer
from pdtutor.optim import AdamW
from pdtutor.recipes.outcome import Recipe
from pdtutor.recipes.parity import ParityProgressive, ParityTeacher
from pdtutor.tasks import SparseParity


@dataclass(frozen=True)
class TransformerTeacher(ParityTeacher):
    """E2, the teacher: a Transformer learns sparse parity, and its degree-1 correlations spike at the transition."""

    d: int = 20  # coordinates, which is the length of the sequence
    k: int = 3  # size of the support
    width: int = 64  # heads × head_dim
    head_dim: int = 8  # width of a head, the students' too
    layers: int = 2  # blocks, the students' too
    causal: bool = False  # whether a position sees only what is before it
    init_std: float = 0.2  # of the initial weights; at GPT-2's 0.02 models this narrow stay at chance
    lr: float = 1e-3  # Adam, constant
    batch_size: int = 64  # examples per update
    steps: int = 2000  # updates
    save_every: int = 50  # updates between checkpoints

    def task(self) -> SparseParity:
        """Return the task."""
        return SparseParity(self.d, self.k, encoding="tokens")

    def model(self, *, width: int, seeds: list[int]) -> Transformer:
        """Return freshly initialised models of this width, one copy per seed, read out at the last position.

        Raises ValueError for a width that is no multiple of head_dim.
        """
        heads, rest = divmod(width, self.head_dim)
        if rest:
            raise ValueError(f"width must be a multiple of head_dim = {self.head_dim}, got {width}")
        return Transformer(
            2,
            max_length=self.d,
            layers=self.layers,
            heads=heads,
            head_dim=self.head_dim,
            causal=self.causal,
            init_std=self.init_std,
            seed=seeds,
        )

    def optimizer(self, **settings) -> AdamW:
        """Return Adam, which is AdamW at its default of no weight decay."""
        return AdamW(**settings)


@dataclass(frozen=True)
class TransformerProgressive(ParityProgressive):
    """E2, the students: cross-entropy, one-shot, progressive and (2,T) distillation with C₁ at the spike."""

    teacher: TransformerTeacher = field(default_factory=TransformerTeacher)
    width: int = 32  # the student's heads × head_dim
    lr: float = 1e-3  # Adam
    steps: int = 4000  # the student's updates, at most
    eval_every: int = 50  # updates between evaluations
    interval: int = 50  # R of progressive distillation, in updates
    first: int = 500  # T of (2,T), in updates


_SMOKE = {"d": 8, "k": 2, "width": 32, "steps": 200, "save_every": 20, "eval_examples": 512, "probe_examples": 1024}
_SMOKE_TEACHER = TransformerTeacher(**_SMOKE)
# 8M examples; a checkpoint every 100k examples
_PAPER = {"d": 100, "k": 6, "batch_size": 32, "steps": 250_000, "save_every": 3125}
_PAPER_TEACHER = TransformerTeacher(**_PAPER, width=256, lr=3e-4)

RECIPES: dict[str, dict[str, Recipe]] = {
    "transformer-teacher": {"smoke": _SMOKE_TEACHER, "laptop": TransformerTeacher(), "paper": _PAPER_TEACHER},
    "transformer-progressive": {
        "smoke": TransformerProgressive(_SMOKE_TEACHER, width=16, steps=200, eval_every=20, interval=20, first=40),
        "laptop": TransformerProgressive(),
        "paper": TransformerProgressive(
            _PAPER_TEACHER, lr=1e-4, steps=250_000, eval_every=3125, interval=3125, first=31_250
        ),
    },
}
