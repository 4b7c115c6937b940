"""Windows of real text: masked prediction (BERT) and autoregression (GPT-2), the paper's experiment E5."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np

from pdtutor.tasks.masking import mask_rows, require_rate
from pdtutor.tasks.task import IGNORED
from pdtutor.text.tokens import Tokens, prepare
from pdtutor.validate import whole


@dataclass(frozen=True)
class Windows:
    """Windows cut from a corpus: ids (n, length) int64, all of one length."""

    ids: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(n,), the ids in each window."""
        return np.full(*self.ids.shape)


@dataclass(frozen=True)
class _TextTask(ABC):
    """What both objectives share: windows of a corpus, at random places of it.

    Ids are the tokenizer's, and so are classes: a model has a logit for every id, special ones included. Documents
    follow each other, so that a window may hold the end of one and the start of another. Training examples are cut
    from the training documents, evaluations and probes from those held out.

    The tokens are made when they are first needed, and kept (see `pdtutor.text.prepare`).

    Args:
        corpus: one or several names of `pdtutor.text.CORPORA`, or folders.
        tokenizer: "characters", "bpe-N", "wordpiece-N", or one that there is: a file, a model's folder or repository.
        length: ids per row, the special ones at its ends included.
        limit: so many documents of each corpus at most.

    Raises ValueError for no corpus and a length too short to hold anything; the rest is checked when the tokens are
    needed.
    """

    corpus: str | Path | Sequence[str | Path] = ("wikipedia-vital", "shakespeare")
    tokenizer: str | Path = "characters"
    length: int = 64
    limit: int | None = None

    def __post_init__(self) -> None:
        corpora = (self.corpus,) if isinstance(self.corpus, str | Path) else self.corpus
        object.__setattr__(self, "corpus", tuple(str(corpus) for corpus in corpora))
        object.__setattr__(self, "tokenizer", str(self.tokenizer))
        if not self.corpus:
            raise ValueError("a task on text needs at least one corpus, got none")
        whole("length", self.length, minimum=3)
        if self.limit is not None:
            whole("limit", self.limit)

    @property
    def _corpora(self) -> tuple[str, ...]:
        """What `corpus` is once it is checked."""
        return cast("tuple[str, ...]", self.corpus)

    @cached_property
    def tokens(self) -> Tokens:
        """The corpus as token ids."""
        return prepare(self._corpora, self.tokenizer, limit=self.limit)

    @property
    def classes(self) -> int:
        """Number of ids."""
        return self._ids

    @cached_property
    def _ids(self) -> int:
        return 1 + max(self.tokens.tokenizer.get_vocab().values())

    @property
    def vocabulary(self) -> int:
        return self.classes

    @property
    def longest(self) -> int:
        """Ids in a row."""
        return self.length

    @property
    def padding(self) -> None:
        """None: rows are all of one length."""
        return None

    @cached_property
    def alphabet(self) -> np.ndarray:
        """The ids of ordinary tokens: (m,) int64."""
        return np.setdiff1d(list(self.tokens.tokenizer.get_vocab().values()), list(self.tokens.special.values()))

    def is_token(self, rows: np.ndarray) -> np.ndarray:
        """Return which ids are ordinary tokens: (…) int64 → (…) bool."""
        return self._ordinary[rows]

    @cached_property
    def _ordinary(self) -> np.ndarray:
        return np.isin(np.arange(self.classes), self.alphabet)

    def windows(self, rng: np.random.Generator, n: int, *, split: str, length: int) -> np.ndarray:
        """Return n windows of this split at uniformly drawn places: (n, length) int64.

        Raises ValueError for a split that is shorter than a window.
        """
        ids = self.tokens.split(split)
        if len(ids) < length:
            raise ValueError(f"the {split} split holds {len(ids)} tokens, fewer than a window of {length}")
        first = rng.integers(0, len(ids) - length + 1, n)
        return ids[first[:, None] + np.arange(length)].astype(np.int64)

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n training examples: inputs and labels, both (n, length) int64, IGNORED where nothing is scored."""
        return self._examples(rng, n, "train")

    def sample_held_out(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n examples from documents that no training example comes from."""
        return self._examples(rng, n, "validation")

    @abstractmethod
    def _examples(self, rng: np.random.Generator, n: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return n examples of this split: inputs and labels, both (n, length) int64."""

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_task` rebuilds this task."""
        asked = {"corpus": list(self._corpora), "tokenizer": self.tokenizer, "length": self.length, "limit": self.limit}
        return {"class": type(self).__name__, **asked}


@dataclass(frozen=True)
class MaskedText(_TextTask):
    """Masked prediction: tokens are selected with probability `rate` and to be told from the rest, as `mask_rows` says.

    Rows begin and end with the tokenizer's ids for that, which are never selected.

    Args:
        rate: in (0, 1), 0.15 as BERT's.

    Raises ValueError for a rate outside (0, 1), and, once tokens are needed, for a tokenizer without mask or ends.
    """

    rate: float = 0.15

    causal = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_rate(self.rate)

    @property
    def mask(self) -> int:
        return self._special("mask")

    def sentences(self, rng: np.random.Generator, n: int) -> Windows:
        """Return n windows of held-out text, for probes."""
        return Windows(self.windows(rng, n, split="validation", length=self.length - 2))

    def rows(self, sentences: Windows) -> np.ndarray:
        """Return windows as rows of ids (n, length): start, tokens, end."""
        rows = np.pad(sentences.ids, ((0, 0), (1, 1)), constant_values=self._special("start"))
        rows[:, -1] = self._special("end")
        return rows

    def whole(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n held-out rows for probes, nothing masked, and the tokens in each: (n, length) int64 and (n,)."""
        windows = self.sentences(rng, n)
        return self.rows(windows), windows.lengths

    def _examples(self, rng: np.random.Generator, n: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows(Windows(self.windows(rng, n, split=split, length=self.length - 2)))
        tokens = self.is_token(rows)
        return mask_rows(rng, rows, tokens, rate=self.rate, mask=self.mask, alphabet=self.alphabet)

    def _special(self, role: str) -> int:
        if role not in self.tokens.special:
            raise ValueError(f"the tokenizer {self.tokenizer!r} has no token for {role}, so it can't be masked text's")
        return self.tokens.special[role]

    def config(self) -> dict:
        return super().config() | {"rate": self.rate}


@dataclass(frozen=True)
class CausalText(_TextTask):
    """Autoregression: at every position, the next id, ends of documents included; only what is unknown isn't scored."""

    causal = True

    @cached_property
    def _unknown(self) -> int:
        return self.tokens.special.get("unknown", -1)

    def _examples(self, rng: np.random.Generator, n: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        ids = self.windows(rng, n, split=split, length=self.length + 1)
        following = ids[:, 1:]
        return ids[:, :-1], np.where(following == self._unknown, IGNORED, following)
