"""A corpus as token ids, made once, kept in the cache folder and memory-mapped.

A document belongs to the validation split if its digest says so: the same one in every corpus, order and run.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from pdtutor.files import read_json, write_json
from pdtutor.progress import progress_bar
from pdtutor.text.corpora import documents, fingerprint
from pdtutor.text.tokenizers import load_tokenizer, special_ids, train_tokenizer
from pdtutor.text.wheels import cache_folder

FORMAT = "pdtutor tokens 1"
VALIDATION = 20  # every so many-th document, on average
SPLITS = ("train", "validation")
BATCH = 1024  # documents encoded at once


@dataclass(frozen=True)
class Tokens:
    """The tokens of a corpus on disk.

    Args:
        folder: where `prepare` put them.

    Raises ValueError, naming the file, if the folder holds none, or a split is not as long as it was.
    """

    folder: Path

    @cached_property
    def about(self) -> dict:
        """What `prepare` was asked for, and the number of documents, characters and tokens per split."""
        about = read_json(self.folder / "tokens.json")
        if about.get("format") != FORMAT:
            raise ValueError(f"{self.folder / 'tokens.json'} is not in the format {FORMAT!r}")
        return about

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.folder / "tokenizer.json")

    @cached_property
    def special(self) -> dict[str, int]:
        """The ids of padding, unknown, start, end and mask, those that the tokenizer has."""
        return special_ids(self.tokenizer)

    def split(self, name: str) -> np.ndarray:
        """Return the ids of the "train" or "validation" documents one after the other, each with an end: (tokens,)."""
        path, tokens, dtype = self.folder / f"{name}.bin", self.about["splits"][name]["tokens"], self.about["dtype"]
        size = path.stat().st_size if path.exists() else 0
        if size != tokens * np.dtype(dtype).itemsize:
            raise ValueError(f"{path} is damaged ({size} bytes for {tokens} tokens): remove {self.folder}")
        return np.memmap(path, dtype=dtype, mode="r", shape=(tokens,))


def prepare(
    corpora: Sequence[str | Path], tokenizer: str, *, limit: int | None = None, progress: bool = True
) -> Tokens:
    """Return the tokens of corpora, from the cache if they were made before.

    Args:
        corpora: names or folders; see `documents`.
        tokenizer: one to train on the training documents, "characters", "bpe-N" or "wordpiece-N"; or a tokenizer.json,
            a model's folder or hub repository.
        limit: so many documents of each corpus at most.
        progress: show a progress bar.

    Raises what `documents`, `train_tokenizer` and `load_tokenizer` raise, and ValueError where a split is empty.
    """
    kind, _, _ = tokenizer.partition("-")
    trained = kind in ("characters", "bpe", "wordpiece") and not Path(tokenizer).exists()
    given = None if trained else load_tokenizer(tokenizer)
    asked = [FORMAT, VALIDATION, [fingerprint(c) for c in corpora], tokenizer if trained else given.to_str(), limit]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    folder = cache_folder() / "tokens" / digest
    if not (folder / "tokens.json").exists():

        def texts() -> Iterator[str]:
            return chain.from_iterable(islice(documents(corpus), limit) for corpus in corpora)

        description = f"tokens of {', '.join(str(corpus) for corpus in corpora)}"
        used = given or train_tokenizer(tokenizer, (text for text in texts() if not _validates(text)))
        with progress_bar(texts(), desc=description, unit="document", show=progress) as bar:
            _write(folder, used, bar, {"corpora": [str(corpus) for corpus in corpora], "tokenizer": tokenizer})
    return Tokens(folder)


def _validates(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % VALIDATION == 0


def _write(folder: Path, tokenizer: Tokenizer, texts: Iterator[str], about: dict) -> None:
    """Write the tokens into the folder, which appears when all of it is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    dtype = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32)
    end = special_ids(tokenizer).get("end")
    splits = {name: {"documents": 0, "characters": 0, "tokens": 0} for name in SPLITS}
    try:
        files = {name: (temporary / f"{name}.bin").open("wb") for name in SPLITS}
        texts = iter(texts)
        while some := list(islice(texts, BATCH)):
            for text, encoded in zip(some, tokenizer.encode_batch(some, add_special_tokens=False), strict=True):
                name = SPLITS[_validates(text)]
                ids = np.array(encoded.ids if end is None else [*encoded.ids, end], dtype=dtype)
                files[name].write(ids.tobytes())
                for key, count in (("documents", 1), ("characters", len(text)), ("tokens", len(ids))):
                    splits[name][key] += count
        for file in files.values():
            file.close()
        if empty := [name for name, counts in splits.items() if not counts["tokens"]]:
            raise ValueError(f"the {empty[0]} split of {', '.join(about['corpora'])} is empty: it needs more documents")
        tokenizer.save(str(temporary / "tokenizer.json"))
        write_json(temporary / "tokens.json", {"format": FORMAT, "dtype": dtype.name, "splits": splits} | about)
        with contextlib.suppress(OSError):  # another process was faster, and wrote the same
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
