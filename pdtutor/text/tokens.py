"""A corpus as token ids: made once, kept in the cache folder and memory-mapped.

A document's digest decides whether it belongs to the validation split, so that it is in the same split in every corpus,
order and run.
"""

import hashlib
import json
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from uuid import uuid4

import numpy as np
from filelock import FileLock
from tokenizers import Tokenizer

from pdtutor.files import read_sealed, write_sealed
from pdtutor.progress import progress_bar
from pdtutor.text.corpora import documents, fingerprint
from pdtutor.text.tokenizers import drops_unknown, load_tokenizer, read_tokenizer, special_ids, train_tokenizer
from pdtutor.text.wheels import cache_folder
from pdtutor.validate import one_of, user_path

FORMAT = "pdtutor tokens 2"
VALIDATION = 20  # on average, one document in this many is for validation
SPLITS = ("train", "validation")
FILES = ("train.bin", "validation.bin", "tokenizer.json")
BATCH = 1024  # documents encoded at once, at most,
CHARACTERS = 2_000_000  # and the characters in them, unless a single document has more
SOME_UNKNOWN = 0.03  # if a larger share of a split's tokens is unknown, there is a warning,
MOSTLY_UNKNOWN = 0.5  # and if a larger share of those for training is, an error


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
        """What `prepare` was asked for, what it counted in each split, the special tokens' ids, and digests."""
        return read_sealed(self.folder / "tokens.json", [FORMAT])

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the tokens were made with."""
        return load_tokenizer(self.folder / "tokenizer.json")

    @property
    def special(self) -> dict[str, int]:
        """The ids of the special tokens that the tokenizer has, by role; see `special_ids`."""
        return self.about["special"]

    @property
    def digest(self) -> str:
        """A short fingerprint of all ids, the vocabulary and the special tokens; places and dates don't matter."""
        ids = [self.about["digests"][f"{split}.bin"] for split in SPLITS]
        return _digest([ids, self.about["vocabulary"], self.special])[:16]

    def damage(self) -> str | None:
        """Return what is wrong with the folder, None if all is as it was written. All files are read."""
        try:
            if self.about["asked"] != self.folder.name:
                return f"{self.folder / 'tokens.json'} was written for other tokens"
            for name in FILES:
                if _sha256(self.folder / name) != self.about["digests"][name]:
                    return f"{self.folder / name} was changed after it was written"
        except (OSError, ValueError) as error:
            return str(error)
        return None

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
    """Return the tokens of one or more corpora, from the cache if they were made before and nothing has changed.

    Folders of texts, given tokenizers and what is in the cache are known by their content, which is read each time.
    What is damaged in the cache is made again.

    Args:
        corpora: one or more names or folders; see `documents`.
        tokenizer: "characters", "bpe-N" or "wordpiece-N" to train one on the training documents; or the path of a
            tokenizer.json, a model's folder or a hub repository.
        limit: read at most this many documents of each corpus.
        progress: show a progress bar.

    Warns of a tokenizer without an end token, of unknown tokens if there are many, and of damage.

    Raises what `documents`, `train_tokenizer` and `load_tokenizer` raise, and ValueError if a split would be empty, or
    more than half of the tokens for training unknown; for a tokenizer that fails on the texts, and texts that change
    while they are read.
    """
    corpora = (corpora,) if isinstance(corpora, str | Path) else tuple(corpora)
    tokenizer = str(tokenizer)
    kind, _, _ = tokenizer.partition("-")
    trained = kind in ("characters", "bpe", "wordpiece") and not user_path(tokenizer).exists()
    given = None if trained else read_tokenizer(tokenizer)
    named = tokenizer if given is None else [given[0].to_str(), given[1]]
    content = [fingerprint(corpus, limit) for corpus in corpora]
    asked = _digest([FORMAT, VALIDATION, content, named, limit])[:16]
    made = Tokens(cache_folder() / "tokens" / asked)
    damage = made.damage() if made.folder.exists() else None
    if damage:
        warnings.warn(f"{damage}; these tokens are made again", stacklevel=2)
    if damage or not made.folder.exists():
        about = {"asked": asked, "corpora": [str(corpus) for corpus in corpora], "tokenizer": tokenizer}
        used = train_tokenizer(tokenizer, _Texts(corpora, limit, training=True)) if given is None else given[0]
        about["special"] = special_ids(used) if given is None else given[1]
        description = f"tokens of {', '.join(about['corpora'])}"
        with progress_bar(_Texts(corpora, limit), desc=description, unit="document", show=progress) as texts:
            _write(made.folder, used, iter(texts), about)
        if [fingerprint(corpus, limit) for corpus in corpora] != content:
            shutil.rmtree(made.folder)
            raise ValueError(f"the texts of {', '.join(about['corpora'])} changed while they were read: try again")
        made = Tokens(made.folder)
    _warn(made.about)
    return made


def _warn(about: dict) -> None:
    """Warn of what may surprise in tokens: many are unknown, much is left out, or documents have no end."""
    for split, counts in about["splits"].items():
        if (share := counts["unknown"] / counts["tokens"]) > SOME_UNKNOWN:
            warnings.warn(
                f"{share:.0%} of the tokens in the {split} split of {', '.join(about['corpora'])} are unknown to the "
                f"tokenizer {about['tokenizer']!r}; they are not predicted",
                stacklevel=3,
            )
    if about["left_out"] > SOME_UNKNOWN:
        warnings.warn(
            f"the tokenizer {about['tokenizer']!r} leaves out {about['left_out']:.0%} of the characters of "
            f"{', '.join(about['corpora'])}, which it doesn't know",
            stacklevel=3,
        )
    if "end" not in about["special"]:
        warnings.warn(
            f"the tokenizer {about['tokenizer']!r} has no end token that is known here, so documents follow each other "
            "without a mark: its tokenizer_config.json can name one as eos_token",
            stacklevel=3,
        )


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


def _digest(content: list | dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, tokenizer: Tokenizer, texts: Iterator[str], about: dict) -> None:
    """Write the tokens into the folder, which appears only once it is complete, and replaces a damaged one."""
    tokenizer.encode_special_tokens = True  # a "[MASK]" in a text is ordinary text
    vocabulary = sorted(tokenizer.get_vocab().items())
    dtype = np.dtype(np.uint16 if max(i for _, i in vocabulary) < 2**16 else np.uint32)
    end, unknown = about["special"].get("end"), about["special"].get("unknown")
    splits = {name: {"documents": 0, "characters": 0, "tokens": 0, "unknown": 0} for name in SPLITS}
    corpora = ", ".join(about["corpora"])
    drops, characters = drops_unknown(tokenizer), Counter[str]()
    with _workplace(folder.parent) as workplace:
        made = workplace / folder.name
        made.mkdir()
        with (made / "train.bin").open("wb") as train, (made / "validation.bin").open("wb") as validation:
            files = dict(zip(SPLITS, (train, validation), strict=True))
            for some in _batches(texts):
                for text, found in zip(some, _encoded(tokenizer, some, about), strict=True):
                    name = SPLITS[_validates(text)]
                    ids = np.array(found if end is None else [*found, end], dtype=dtype)
                    files[name].write(ids.tobytes())
                    new = {"documents": 1, "characters": len(text), "tokens": len(ids), "unknown": found.count(unknown)}
                    for key, count in new.items():
                        splits[name][key] += count
                    if drops:
                        characters.update(text)
        for split, counts in splits.items():
            if counts["tokens"] == (0 if end is None else counts["documents"]):
                raise ValueError(f"the {split} split of {corpora} is empty: it needs more documents")
        shown = [character for character in characters if not character.isspace()]
        left_out = [c for c, ids in zip(shown, _encoded(tokenizer, shown, about), strict=True) if not ids]
        about |= {"left_out": sum(characters[c] for c in left_out) / max(1, characters.total())}
        if (share := splits["train"]["unknown"] / splits["train"]["tokens"] + about["left_out"]) > MOSTLY_UNKNOWN:
            raise ValueError(
                f"{share:.0%} of {corpora} is unknown to the tokenizer {about['tokenizer']!r}, too much to learn from: "
                "choose another, such as 'characters' or one with a larger N"
            )
        tokenizer.save(str(made / "tokenizer.json"))
        digests = {"vocabulary": _digest(vocabulary), "digests": {name: _sha256(made / name) for name in FILES}}
        content = {"format": FORMAT, "dtype": dtype.name, "splits": splits} | about | digests
        write_sealed(made / "tokens.json", content)
        try:
            made.rename(folder)
        except OSError:  # another process was faster and wrote the same, or damaged tokens are in the way
            if Tokens(folder).damage():
                _replace(folder, made, workplace / "damaged")


def _encoded(tokenizer: Tokenizer, texts: list[str], about: dict) -> list[list[int]]:
    """Return the ids of texts. Raises ValueError, naming the tokenizer, if it fails on them."""
    try:
        return [encoded.ids for encoded in tokenizer.encode_batch(texts, add_special_tokens=False)]
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(
            f"the tokenizer {about['tokenizer']!r} can't encode {', '.join(about['corpora'])} ({error})"
        ) from error


def _replace(folder: Path, made: Path, damaged: Path) -> None:
    """Move a damaged folder out of the way and another into its place, unless another process has done so."""
    with suppress(FileNotFoundError):
        folder.rename(damaged)
    try:
        made.rename(folder)
    except OSError:
        if Tokens(folder).damage():
            raise


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    """Yield the texts in lists of at most BATCH, and of CHARACTERS at most unless a single text has more."""
    some, characters = [], 0
    for text in texts:
        if some and (len(some) == BATCH or characters + len(text) > CHARACTERS):
            yield some
            some, characters = [], 0
        some.append(text)
        characters += len(text)
    if some:
        yield some


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """Yield a new folder to build in, which is removed at the end; so is what builds have left that were killed."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("build-*"):
        with _owned(left) as owned:
            if owned:
                shutil.rmtree(left, ignore_errors=True)
    workplace = parent / f"build-{uuid4().hex}"
    with _owned(workplace):  # before it is there, so that nobody takes it for one that was left
        workplace.mkdir()
        try:
            yield workplace
        finally:
            shutil.rmtree(workplace, ignore_errors=True)


@contextmanager
def _owned(workplace: Path) -> Iterator[bool]:
    """Yield whether this process alone works in the folder while the block runs; False also where locks don't work."""
    lock = FileLock(workplace.with_name(f".{workplace.name}.lock"), timeout=0)
    with suppress(OSError, NotImplementedError):  # a Timeout is an OSError, too
        lock.acquire()
    owned = lock.is_locked
    try:
        yield owned
    finally:
        lock.release()
        if owned:
            Path(lock.lock_file).unlink(missing_ok=True)
