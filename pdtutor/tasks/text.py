"""Windows of real text: masked prediction (BERT) and autoregression (GPT-2), the paper's experiment E5."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np

from pdtutor.tasks.masking import checked_rate, mask_rows
from pdtutor.tasks.task import IGNORED
from pdtutor.text.tokens import Tokens, prepare
from pdtutor.validate import a_path, sequence, whole

ATTEMPTS = 100  # to draw a window with something to predict


@dataclass(frozen=True)
class Windows:
    """Windows cut from a corpus, all of the same length: ids (n, length) int64."""

    ids: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Number of ids in each window, (n,) int64."""
        return np.full(*self.ids.shape)


@dataclass(frozen=True)
class _TextTask(ABC):
    """What both objectives share: windows cut from a corpus at random places.

    Ids and classes are the tokenizer's: a model has a logit for every id, special tokens included. Documents follow
    each other, so a window may hold the end of one and the start of the next. Training examples are cut from the
    training documents; those for evaluation and probes, from the documents held out for validation.

    The corpus is tokenized when its tokens are first needed, and then kept on disk (see `pdtutor.text.prepare`).
    """

    corpus: str | Path | Sequence[str | Path] = ("wikipedia-vital", "shakespeare")
    tokenizer: str | Path = "characters"
    length: int = 64
    limit: int | None = None

    def __post_init__(self) -> None:
        corpora = (self.corpus,) if isinstance(self.corpus, str | Path) else sequence("corpus", self.corpus)
        object.__setattr__(self, "corpus", tuple(_name("corpus", corpus) for corpus in corpora))
        object.__setattr__(self, "tokenizer", _name("tokenizer", self.tokenizer))
        if not self.corpus:
            raise ValueError("a text task needs at least one corpus, got none")
        object.__setattr__(self, "length", whole("length", self.length, minimum=3))
        if self.limit is not None:
            object.__setattr__(self, "limit", whole("limit", self.limit))

    @property
    def _corpora(self) -> tuple[str, ...]:
        """The checked `corpus`: the names as a tuple."""
        return cast("tuple[str, ...]", self.corpus)

    @cached_property
    def tokens(self) -> Tokens:
        """The corpus as token ids, prepared at the first access."""
        return prepare(self._corpora, self.tokenizer, limit=self.limit)

    @property
    def classes(self) -> int:
        """Number of ids, special tokens included."""
        return self._ids

    @cached_property
    def _ids(self) -> int:
        return 1 + max(self.tokens.tokenizer.get_vocab().values())

    @property
    def vocabulary(self) -> int:
        """Number of ids, special tokens included."""
        return self.classes

    @property
    def longest(self) -> int:
        """Number of ids in every row."""
        return self.length

    @property
    def padding(self) -> None:
        """None: all rows have the same length."""
        return None

    @cached_property
    def alphabet(self) -> np.ndarray:
        """The ids of ordinary tokens, special ones left out: (m,) int64."""
        return np.setdiff1d(list(self.tokens.tokenizer.get_vocab().values()), list(self.tokens.special.values()))

    def is_token(self, rows: np.ndarray) -> np.ndarray:
        """Return which ids are ordinary tokens: (…) int64 → (…) bool."""
        return self._ordinary[rows]

    @cached_property
    def _ordinary(self) -> np.ndarray:
        return np.isin(np.arange(self.classes), self.alphabet)

    def fingerprint(self) -> str:
        """Return a short digest of the corpus as it is used: its token ids in both splits, and the vocabulary."""
        return self.tokens.digest

    def windows(self, rng: np.random.Generator, n: int, *, split: str, length: int) -> np.ndarray:
        """Return n windows of this split with something to predict, at places drawn uniformly: (n, length) int64.

        Raises ValueError for a split that is shorter than a window, or has hardly any with something to predict.
        """
        ids = self.tokens.split(split)
        if len(ids) < length:
            raise ValueError(
                f"the {split} split holds {len(ids)} tokens, fewer than a window of {length}: choose a smaller length"
            )
        windows = np.empty((n, length), dtype=np.int64)
        missing = np.arange(n)
        for _ in range(ATTEMPTS):
            first = rng.integers(0, len(ids) - length + 1, len(missing))
            windows[missing] = ids[first[:, None] + np.arange(length)]
            missing = missing[~self._predictable(windows[missing]).any(axis=1)]
            if not len(missing):
                return windows
        raise ValueError(
            f"hardly any window of {length} tokens in the {split} split of {', '.join(self._corpora)} has a token to "
            f"predict, one that the tokenizer {self.tokenizer!r} knows: choose another tokenizer, or a larger length"
        )

    @abstractmethod
    def _predictable(self, windows: np.ndarray) -> np.ndarray:
        """Return what may be predicted in windows: (n, length) → (n, places) bool."""

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n training examples: inputs and labels, both (n, length) int64; IGNORED where not scored."""
        return self._examples(rng, n, "train")

    def sample_held_out(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n examples, as `sample` does, from documents that no training example comes from."""
        return self._examples(rng, n, "validation")

    @abstractmethod
    def _examples(self, rng: np.random.Generator, n: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return n examples of this split: inputs and labels, both (n, length) int64."""

    def config(self) -> dict:
        """Return the JSON-ready description from which `build_task` rebuilds this task."""
        asked = {"corpus": list(self._corpora), "tokenizer": self.tokenizer, "length": self.length, "limit": self.limit}
        return {"class": type(self).__name__, **asked}


def _name(what: str, value: str | Path) -> str:
    """Return a name or a path as it was written. Raises ValueError for anything else, and if it is empty."""
    a_path(what, value)
    return str(value)


@dataclass(frozen=True)
class MaskedText(_TextTask):
    """Masked prediction: tokens are selected with probability `rate`, and predicted from all that is visible.

    Selected tokens are shown as `pdtutor.tasks.masking.mask_rows` says. In held-out rows all of them are masked, so
    that accuracy counts nothing that can be copied. Every row begins and ends with the tokenizer's start and end tokens
    ([CLS] and [SEP] in BERT's). Special tokens are never selected.

    Args:
        corpus: one or several names of `pdtutor.text.CORPORA`, or folders.
        tokenizer: "characters", "bpe-N", "wordpiece-N", or an existing one: a file, a model's folder or repository.
        length: number of ids per row, the start and end tokens included; at least 3.
        limit: the number of documents to take from each corpus at most; all if not given.
        rate: probability of selecting a token, in (0, 1); 0.15 as in BERT.

    Raises ValueError for no corpus, length < 3, limit < 1 and a rate outside (0, 1); and, once the tokens are needed,
    for an unknown corpus or tokenizer, and for a tokenizer without mask, start or end tokens.
    """

    rate: float = 0.15

    causal = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rate", checked_rate(self.rate))

    @property
    def mask(self) -> int:
        """The id that hides a token."""
        return self._special("mask")

    def sentences(self, rng: np.random.Generator, n: int) -> Windows:
        """Return n windows of held-out text for probes, each two ids shorter than a row."""
        return Windows(self.windows(rng, n, split="validation", length=self.length - 2))

    def rows(self, sentences: Windows) -> np.ndarray:
        """Return windows as rows of ids (n, length) int64: start, tokens, end."""
        rows = np.pad(sentences.ids, ((0, 0), (1, 1)), constant_values=self._special("start"))
        rows[:, -1] = self._special("end")
        return rows

    def whole(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n held-out, unmasked rows for probes, (n, length) int64, and the number of tokens in each, (n,)."""
        windows = self.sentences(rng, n)
        return self.rows(windows), windows.lengths

    def _examples(self, rng: np.random.Generator, n: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows(Windows(self.windows(rng, n, split=split, length=self.length - 2)))
        tokens = self.is_token(rows)
        chosen = {"rate": self.rate, "mask": self.mask, "alphabet": self.alphabet}
        return mask_rows(rng, rows, tokens, **chosen, hide_all=split == "validation")

    def _predictable(self, windows: np.ndarray) -> np.ndarray:
        return self.is_token(windows)

    def _special(self, role: str) -> int:
        if role not in self.tokens.special:
            raise ValueError(
                f"the tokenizer {self.tokenizer!r} has no {role} token, which masked prediction needs: choose another"
            )
        return self.tokens.special[role]

    def config(self) -> dict:
        return super().config() | {"rate": self.rate}


@dataclass(frozen=True)
class CausalText(_TextTask):
    """Autoregression: at every position, the next id is predicted, ends of documents included.

    All positions are scored but those whose next id is the tokenizer's unknown token.

    Args:
        corpus: one or several names of `pdtutor.text.CORPORA`, or folders.
        tokenizer: "characters", "bpe-N", "wordpiece-N", or an existing one: a file, a model's folder or repository.
        length: number of ids per row; at least 3.
        limit: the number of documents to take from each corpus at most; all if not given.

    Raises ValueError for no corpus, length < 3 and limit < 1; and, once the tokens are needed, for an unknown corpus or
    tokenizer.
    """

    causal = True

    @cached_property
    def _unknown(self) -> int:
        return self.tokens.special.get("unknown", -1)

    def _predictable(self, windows: np.ndarray) -> np.ndarray:
        return windows[:, 1:] != self._unknown

    def _examples(self, rng: np.random.Generator, n: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        ids = self.windows(rng, n, split=split, length=self.length + 1)
        following = ids[:, 1:]
        return ids[:, :-1], np.where(following == self._unknown, IGNORED, following)
