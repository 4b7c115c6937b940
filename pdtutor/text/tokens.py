"""A corpus as token ids: made once, kept in the cache folder and memory-mapped.

A document's digest decides whether it belongs to the validation split, so that it is in the same split in every corpus,
order and run.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from pdtutor.files import read_json, user_path, write_json
from pdtutor.progress import progress_bar
from pdtutor.text.corpora import documents, fingerprint
from pdtutor.text.tokenizers import load_tokenizer, special_ids, train_tokenizer
from pdtutor.text.wheels import cache_folder
from pdtutor.validate import one_of

FORMAT = "pdtutor tokens 1"
VALIDATION = 20  # on average, one document in this many is for validation
SPLITS = ("train", "validation")
BATCH = 1024  # documents encoded at once


@dataclass(frozen=True)
class Tokens:
    """The tokens of a corpus on disk.

    Args:
        folder: where `prepare` put them.

    When they are read, raises ValueError, naming the file, if the folder holds no tokens or a split's file has the
    wrong size.
    """

    folder: Path

    @cached_property
    def about(self) -> dict:
        """What `prepare` was asked for, and the numbers of documents, characters and tokens in each split."""
        about = read_json(self.folder / "tokens.json")
        if about.get("format") != FORMAT:
            raise ValueError(f"{self.folder / 'tokens.json'} is not in the format {FORMAT!r}")
        return about

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the tokens were made with."""
        return load_tokenizer(self.folder / "tokenizer.json")

    @cached_property
    def special(self) -> dict[str, int]:
        """The ids of the special tokens that the tokenizer has, by role; see `special_ids`."""
        return special_ids(self.tokenizer)

    def split(self, name: str) -> np.ndarray:
        """Return the ids of the "train" or "validation" documents one after the other, (tokens,).

        Each document ends with the end token, if the tokenizer has one. Raises ValueError for any other split.
        """
        tokens, dtype = self.about["splits"][one_of("split", name, SPLITS)]["tokens"], self.about["dtype"]
        path = self.folder / f"{name}.bin"
        size = path.stat().st_size if path.exists() else 0
        if size != tokens * np.dtype(dtype).itemsize:
            raise ValueError(
                f"{path} is damaged ({size} bytes for {tokens} tokens): remove {self.folder} and prepare it again"
            )
        return np.memmap(path, dtype=dtype, mode="r", shape=(tokens,))


def prepare(
    corpora: str | Path | Sequence[str | Path],
    tokenizer: str | Path,
    *,
    limit: int | None = None,
    progress: bool = True,
) -> Tokens:
    """Return the tokens of one or more corpora, from the cache if they were made before.

    Args:
        corpora: one or more names or folders; see `documents`.
        tokenizer: "characters", "bpe-N" or "wordpiece-N" to train one on the training documents; or the path of a
            tokenizer.json, a model's folder or a hub repository.
        limit: read at most this many documents of each corpus.
        progress: show a progress bar.

    Raises what `documents`, `train_tokenizer` and `load_tokenizer` raise, and ValueError if a split would be empty.
    """
    corpora = (corpora,) if isinstance(corpora, str | Path) else tuple(corpora)
    tokenizer = str(tokenizer)
    kind, _, _ = tokenizer.partition("-")
    trained = kind in ("characters", "bpe", "wordpiece") and not user_path(tokenizer).exists()
    given = None if trained else load_tokenizer(tokenizer)
    named = tokenizer if given is None else given.to_str()
    asked = [FORMAT, VALIDATION, [fingerprint(c) for c in corpora], named, limit]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    folder = cache_folder() / "tokens" / digest
    if not (folder / "tokens.json").exists():
        about = {"corpora": [str(corpus) for corpus in corpora], "tokenizer": tokenizer}
        used = given or train_tokenizer(tokenizer, _Texts(corpora, limit, training=True))
        description = f"tokens of {', '.join(about['corpora'])}"
        with progress_bar(_Texts(corpora, limit), desc=description, unit="document", show=progress) as texts:
            _write(folder, used, iter(texts), about)
    return Tokens(folder)


@dataclass(frozen=True)
class _Texts:
    """The documents of corpora, all or only those for training; every loop over them reads them again."""

    corpora: Sequence[str | Path]
    limit: int | None
    training: bool = False

    def __iter__(self) -> Iterator[str]:
        for corpus in self.corpora:
            for text in islice(documents(corpus), self.limit):
                if not (self.training and _validates(text)):
                    yield text


def _validates(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % VALIDATION == 0


def _write(folder: Path, tokenizer: Tokenizer, texts: Iterator[str], about: dict) -> None:
    """Write the tokens into the folder, which appears only once it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.encode_special_tokens = True  # a "[MASK]" in a text is ordinary text
    dtype = np.dtype(np.uint16 if max(tokenizer.get_vocab().values()) < 2**16 else np.uint32)
    end = special_ids(tokenizer).get("end")
    splits = {name: {"documents": 0, "characters": 0, "tokens": 0} for name in SPLITS}
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as temporary:
        made = Path(temporary) / folder.name  # a folder of its own, since other users may not read a temporary one
        made.mkdir()
        with (made / "train.bin").open("wb") as train, (made / "validation.bin").open("wb") as validation:
            files = dict(zip(SPLITS, (train, validation), strict=True))
            while some := list(islice(texts, BATCH)):
                for text, encoded in zip(some, tokenizer.encode_batch(some, add_special_tokens=False), strict=True):
                    name = SPLITS[_validates(text)]
                    ids = np.array(encoded.ids if end is None else [*encoded.ids, end], dtype=dtype)
                    files[name].write(ids.tobytes())
                    for key, count in (("documents", 1), ("characters", len(text)), ("tokens", len(ids))):
                        splits[name][key] += count
        if empty := [name for name, counts in splits.items() if not counts["tokens"]]:
            raise ValueError(f"the {empty[0]} split of {', '.join(about['corpora'])} is empty: it needs more documents")
        tokenizer.save(str(made / "tokenizer.json"))
        write_json(made / "tokens.json", {"format": FORMAT, "dtype": dtype.name, "splits": splits} | about)
        try:
            made.rename(folder)
        except OSError:  # another process was faster and wrote the same
            if not (folder / "tokens.json").exists():
                raise
