"""Transformers on sentences of a grammar: the teachers of the paper's experiments E3 (masked) and E4 (causal)."""

from abc import abstractmethod
from dataclasses import dataclass

from pdtutor.recipes.outcome import Recipe
from pdtutor.recipes.sequences import MaskedTeacher, SequenceTeacher
from pdtutor.tasks.optimal import BayesOptimal
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar
from pdtutor.training.evaluate import evaluate, held_out


class _GrammarTeacher(SequenceTeacher):
    """What grammars add to a teacher: the best possible predictions are known."""

    @abstractmethod
    def task(self) -> MaskedGrammar | CausalGrammar:
        """Return the task."""

    def optimum(self) -> tuple[float, float]:
        """Return cross-entropy and accuracy of the Bayes-optimal predictor on the held-out sentences."""
        loss, accuracy = evaluate(BayesOptimal(self.task()), *held_out(self.task(), self.eval_examples))
        return loss.item(), accuracy.item()


@dataclass(frozen=True)
class GrammarTeacher(_GrammarTeacher, MaskedTeacher):
    """E3, the teacher: a Transformer learns masked prediction, and relies on 3-grams at its transition."""

    grammar: str = "cfg3b"  # name of the grammar
    root: str | None = "16"  # start symbol; the grammar's own if None
    steps: int = 6000  # updates: until predictions no longer depend on 3-grams
    probe_sentences: int = 64  # sentences for the n-gram probes

    def task(self) -> MaskedGrammar:
        """Return the task."""
        return MaskedGrammar(self.grammar, root=self.root)


@dataclass(frozen=True)
class CausalTeacher(_GrammarTeacher, SequenceTeacher):
    """E4, the teacher: a Transformer learns to predict the tokens that close a span, from those before them."""

    grammar: str = "cfg3f"  # name of the grammar
    root: str | None = "16"  # start symbol; the grammar's own if None
    level: int = 1  # predict the tokens that close a span of this level; the root has level 0
    lr: float = 1.5e-3  # peak learning rate of AdamW: 6 % warm-up, then cosine; 5e-3 kept it near its first plateau
    steps: int = 1500  # updates

    def task(self) -> CausalGrammar:
        """Return the task."""
        return CausalGrammar(self.grammar, root=self.root, level=self.level)


SMOKE_TEACHER = GrammarTeacher(
    root="13", width=16, layers=1, batch_size=8, steps=40, save_every=10, eval_examples=32, probe_sentences=8
)


def paper_teacher(steps: int) -> GrammarTeacher:
    """Return the teacher of E3 with the paper's numbers; each of its budgets has its own teacher."""
    return GrammarTeacher(
        root=None, width=256, layers=4, batch_size=512, steps=steps, save_every=200, eval_examples=1024,
        precision="bfloat16",
    )  # fmt: skip


RECIPES: dict[str, dict[str, Recipe]] = {
    "pcfg-teacher": {"smoke": SMOKE_TEACHER, "laptop": GrammarTeacher(), "paper": paper_teacher(8000)},
}
