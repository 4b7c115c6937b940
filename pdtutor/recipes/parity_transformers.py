"""Transformers on sparse parity: the paper's experiment E2."""

from dataclasses import dataclass, field

from pdtutor.models.transformer import Transformer
from pdtutor.recipes.outcome import Recipe
from pdtutor.recipes.parity import AdamTeacher, ParityProgressive
from pdtutor.tasks.parity import SparseParity


@dataclass(frozen=True)
class TransformerTeacher(AdamTeacher):
    """E2, the teacher: a Transformer learns sparse parity, and its degree-1 correlations spike at the transition."""

    d: int = 20  # number of coordinates, the length of the sequence
    k: int = 3  # size of the support
    width: int = 64  # heads × head_dim
    head_dim: int = 8  # width of a head, also of the students' heads
    layers: int = 2  # number of blocks, also of the students
    causal: bool = False  # whether a position sees only itself and those before it
    init_std: float = 0.2  # std of initial weights; with GPT-2's 0.02 (and lr 1e-3) three seeds stayed at chance
    lr: float = 2e-4  # learning rate of Adam, constant
    batch_size: int = 64  # examples per update
    steps: int = 1000  # updates
    save_every: int = 50  # updates between checkpoints
    eval_examples: int = 2048  # held-out examples
    probe_examples: int = 8192  # examples for the correlations

    def task(self) -> SparseParity:
        """Return the task."""
        return SparseParity(self.d, self.k, encoding="tokens")

    def model(self, *, width: int, seeds: list[int]) -> Transformer:
        """Return freshly initialised models of this width, one copy per seed, which predict at the last position.

        Raises ValueError for a width that is not a multiple of head_dim.
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


@dataclass(frozen=True)
class TransformerProgressive(ParityProgressive):
    """E2, the students: cross-entropy, one-shot, progressive and (2,T) distillation with C₁ at the spike."""

    teacher: TransformerTeacher = field(default_factory=TransformerTeacher)
    width: int = 16  # the student's heads × head_dim
    lr: float = 1e-3  # learning rate of Adam
    steps: int = 3600  # the student's updates, at most
    eval_every: int = 50  # updates between evaluations
    interval: int = 50  # R of progressive distillation, in updates
    speed: float = 0.25  # v of progressive distillation; at v = 1 none of three students learned
    first: int = 300  # T of (2,T): updates with C₁, the first checkpoint


_SMOKE_TEACHER = TransformerTeacher(
    d=8, k=2, width=32, lr=1e-3, steps=120, save_every=20, eval_examples=256, probe_examples=512
)
_PAPER_TEACHER = TransformerTeacher(  # 8M examples, a checkpoint every 100k
    d=100,
    k=6,
    width=256,
    causal=True,
    init_std=0.02,
    lr=3e-4,
    batch_size=32,
    steps=250_000,
    save_every=3125,
    eval_examples=4096,
    probe_examples=16_384,
)

RECIPES: dict[str, dict[str, Recipe]] = {
    "transformer-teacher": {"smoke": _SMOKE_TEACHER, "laptop": TransformerTeacher(), "paper": _PAPER_TEACHER},
    "transformer-progressive": {
        "smoke": TransformerProgressive(_SMOKE_TEACHER, steps=120, eval_every=20, interval=20, speed=1.0, first=40),
        "laptop": TransformerProgressive(),
        "paper": TransformerProgressive(
            _PAPER_TEACHER,
            width=32,
            lr=1e-4,
            steps=250_000,
            eval_every=3125,
            interval=3125,
            speed=1.0,
            first=31_250,
        ),
    },
}
