"""Sentences of a grammar: masked prediction (BERT) and autoregression (GPT-2), the paper's experiments E3 and E4."""

from dataclasses import dataclass, field

import numpy as np

from pdtutor.pcfg.grammar import Grammar
from pdtutor.pcfg.sampler import Sentences, sample
from pdtutor.tasks.masking import checked_rate, mask_rows
from pdtutor.tasks.task import IGNORED
from pdtutor.validate import text, whole


@dataclass(frozen=True)
class _GrammarTask:
    """What both objectives share: a grammar's sentences as rows of ids.

    The ids are the grammar's tokens, then `bos`, with which every row begins, `mask`, and `padding`, which fills rows
    up after the end of a sentence. The classes are the tokens.
    """

    grammar: str | Grammar = "cfg3b"
    root: str | None = None
    max_length: int | None = None
    rules: Grammar = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = self.grammar
        if not isinstance(rules, Grammar):
            text("grammar", rules)
            rules = Grammar.parse(rules) if "->" in rules else Grammar.load(rules)
        object.__setattr__(self, "rules", rules if self.root is None else rules.rooted_at(self.root))
        if self.max_length is not None:
            object.__setattr__(self, "max_length", whole("max_length", self.max_length))

    @property
    def classes(self) -> int:
        """Number of the grammar's tokens."""
        return len(self.rules.tokens)

    @property
    def bos(self) -> int:
        """The id that begins every row."""
        return self.classes

    @property
    def mask(self) -> int:
        """The id that hides a token."""
        return self.classes + 1

    @property
    def padding(self) -> int:
        """The id that fills rows up after the end of a sentence."""
        return self.classes + 2

    @property
    def vocabulary(self) -> int:
        """Number of ids: tokens, `bos`, `mask` and `padding`."""
        return self.classes + 3

    @property
    def longest(self) -> int:
        """Number of ids in the longest row, `bos` included."""
        return 1 + (self.rules.longest if self.max_length is None else self.max_length)

    def sentences(self, rng: np.random.Generator, n: int, *, spans: bool = False) -> Sentences:
        """Return n sentences; see `pdtutor.pcfg.sample`."""
        return sample(self.rules, rng, n, spans=spans, max_length=self.max_length)

    def rows(self, sentences: Sentences) -> np.ndarray:
        """Return the sentences as rows of ids, (n, 1 + longest of them) int64: `bos`, tokens, `padding`."""
        ids = sentences.padded(sentences.tokens.astype(np.int64), self.padding)
        return np.pad(ids, ((0, 0), (1, 0)), constant_values=self.bos)

    def is_token(self, rows: np.ndarray) -> np.ndarray:
        """Return which ids are tokens of the grammar: (…) int64 → (…) bool."""
        return rows < self.classes

    def lengths(self, inputs: np.ndarray) -> np.ndarray:
        """Return how many ids of each row are not padding: (…, length) → (…,)."""
        return (inputs != self.padding).sum(-1)

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_task` rebuilds this task."""
        grammar = str(self.grammar) if isinstance(self.grammar, Grammar) else self.grammar
        return {"class": type(self).__name__, "grammar": grammar, "root": self.root, "max_length": self.max_length}


@dataclass(frozen=True)
class MaskedGrammar(_GrammarTask):
    """Masked prediction (E3): tokens are selected with probability `rate`, and predicted from all that is visible.

    Selected tokens are shown as `pdtutor.tasks.masking.mask_rows` says. `bos` and padding are never selected.

    Args:
        grammar: a Grammar, its text, or the name of one that ships with pdtutor.
        root: the symbol to start from; the grammar's own root if not given. A symbol below it gives shorter sentences.
        max_length: number of tokens, `bos` not counted, that a sentence may have; longer ones are drawn again. Only
            recursive grammars need it.
        rate: probability of selecting a token, in (0, 1); 0.3 in the paper.

    Raises ValueError for a rate outside (0, 1), for an unknown grammar or root, and for max_length < 1.
    """

    rate: float = 0.3

    causal = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rate", checked_rate(self.rate))

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n examples: inputs and labels, both (n, length) int64 ids; labels are IGNORED where not selected."""
        return self.corrupt(rng, self.rows(self.sentences(rng, n)))

    def whole(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n unmasked rows for probes, (n, length) int64, and the number of tokens in each, (n,)."""
        sentences = self.sentences(rng, n)
        return self.rows(sentences), sentences.lengths

    def corrupt(self, rng: np.random.Generator, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the masked inputs and the labels of rows of ids (n, length), both (n, length) int64."""
        alphabet = np.arange(self.classes)
        return mask_rows(rng, rows, self.is_token(rows), rate=self.rate, mask=self.mask, alphabet=alphabet)

    def config(self) -> dict:
        return super().config() | {"rate": self.rate}


@dataclass(frozen=True)
class CausalGrammar(_GrammarTask):
    """Autoregression (E4): at every position, the next token is predicted.

    Args:
        grammar: a Grammar, its text, or the name of one that ships with pdtutor.
        root: the symbol to start from; the grammar's own root if not given. A symbol below it gives shorter sentences.
        max_length: number of tokens, `bos` not counted, that a sentence may have; longer ones are drawn again. Only
            recursive grammars need it.
        level: score only tokens at which a span of this level ends (the root's level is 0), as in the paper's E4; all
            tokens if not given.

    Raises ValueError for a level that the grammar doesn't have, for an unknown grammar or root, and for max_length < 1.
    """

    level: int | None = None

    causal = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.level is not None:
            levels = self.rules.levels
            level = whole("level", self.level, minimum=0)
            if levels is None or level >= len(levels):
                there = "no levels" if levels is None else f"levels 0…{len(levels) - 1}"
                raise ValueError(f"the grammar has {there}, got level {level}")
            object.__setattr__(self, "level", level)

    @property
    def longest(self) -> int:
        """Number of ids in the longest row: the last token of a sentence is never an input."""
        return super().longest - 1

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n examples: ids and the tokens that follow them, both (n, length) int64; IGNORED where not scored."""
        sentences = self.sentences(rng, n, spans=self.level is not None)
        rows = self.rows(sentences)
        inputs, following = rows[:, :-1], rows[:, 1:]
        scored = following < self.classes
        if self.level is not None:
            scored &= sentences.padded(sentences.told()[1] <= self.level, False)
        inputs = np.where(following == self.padding, self.padding, inputs)  # nothing follows the last token
        return inputs, np.where(scored, following, IGNORED)

    def config(self) -> dict:
        return super().config() | {"level": self.level}
