"""Transformers on real text, masked and token by token: the paper's experiment E5, teachers and students."""

from dataclasses import dataclass, field, replace

from pdtutor.recipes.outcome import Recipe
from pdtutor.recipes.sequence_students import Autoregressive, Budgets, MaskedProgressive, WhichCheckpoint
from pdtutor.recipes.sequences import MaskedTeacher, SequenceTeacher
from pdtutor.tasks import CausalText, MaskedText

WIKIPEDIA_AND_PLAYS = ("wikipedia-vital", "shakespeare")


@dataclass(frozen=True)
class TextTeacher(MaskedTeacher):
    """E5, the teacher: a Transformer learns to fill in masked characters or word pieces of Wikipedia and plays."""

    corpus: tuple[str, ...] = WIKIPEDIA_AND_PLAYS  # names of data/corpora.toml, or folders of texts
    tokenizer: str = "characters"  # or bpe-N, wordpiece-N, a tokenizer.json, a model's folder or repository
    length: int = 64  # ids per row
    rate: float = 0.15  # share of tokens that is masked
    limit: int | None = None  # documents of each corpus at most

    def task(self) -> MaskedText:
        """Return the task."""
        return MaskedText(self.corpus, self.tokenizer, self.length, self.limit, rate=self.rate)


@dataclass(frozen=True)
class TextProgressive(MaskedProgressive):
    """E5, the students: cross-entropy, one-shot, progressive and (2,T) distillation, C₁ where M_robust(3) peaks."""

    teacher: TextTeacher = field(default_factory=TextTeacher)


@dataclass(frozen=True)
class TextBudgets(Budgets):
    """E5, the students at several budgets, each a run of its own, as in the paper."""

    runs: tuple[TextProgressive, ...] = ()  # those whose teachers are alike share them


@dataclass(frozen=True)
class TextWhichCheckpoint(WhichCheckpoint):
    """E5, (2,T) by its first checkpoint."""

    teacher: TextTeacher = field(default_factory=TextTeacher)


@dataclass(frozen=True)
class CausalTextTeacher(SequenceTeacher):
    """E5 token by token, the teacher: a Transformer learns to continue Wikipedia and plays."""

    corpus: tuple[str, ...] = WIKIPEDIA_AND_PLAYS  # names of data/corpora.toml, or folders of texts
    tokenizer: str = "characters"  # or bpe-N, wordpiece-N, a tokenizer.json, a model's folder or repository
    length: int = 64  # ids per row
    limit: int | None = None  # documents of each corpus at most

    def task(self) -> CausalText:
        """Return the task."""
        return CausalText(self.corpus, self.tokenizer, self.length, self.limit)


@dataclass(frozen=True)
class TextAutoregressive(Autoregressive):
    """E5 token by token, the students: cross-entropy, one-shot and progressive distillation."""

    teacher: CausalTextTeacher = field(default_factory=CausalTextTeacher)
    temperature: float = 1.0  # τ
