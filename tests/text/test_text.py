"""Corpora, the wheels that hold some of them, tokenizers, and tokens on disk. No test needs a network."""

import hashlib
import importlib.util
import json
import multiprocessing
import os
import re
import shutil
import string
import sys
import warnings
import zipfile
from itertools import islice
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import pdtutor.text
from pdtutor.files import write_sealed
from pdtutor.text import tokenizers, tokens
from pdtutor.text.corpora import CORPORA, LAYOUTS, documents, fingerprint
from pdtutor.text.tokenizers import SPECIAL, load_tokenizer, read_tokenizer, special_ids, train_tokenizer
from pdtutor.text.tokens import Tokens, prepare
from pdtutor.text.wheels import cache_folder, members

REAL_CACHE = cache_folder()  # the user's own, which the fixture `cache` hides
PACKAGE = "pdtutor-texts-for-tests"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PDTUTOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# Wheels


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Return a folder that is the only place where pip looks for packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel_in(folder, texts, layout="documents"):
    """Write a wheel that holds texts as files of the module `texts_for_tests`; return its entry for CORPORA."""
    name = PACKAGE.replace("-", "_")
    info = f"{name}-1.0.dist-info"
    files = {
        "texts_for_tests/__init__.py": "raise SystemExit('imported')",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\nRequires-Dist: no-such-package\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    } | {f"texts_for_tests/{file}": text for file, text in texts.items()}
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return {
        "source": "wheel",
        "package": PACKAGE,
        "version": "1.0",
        "wheel": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "members": "texts_for_tests/*.txt",
        "layout": layout,
    }


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_wheel_is_downloaded_once_and_its_members_are_read_in_order(index, cache, monkeypatch):
    texts = {"b.txt": "the second", "a.txt": "  the first\n", "c.md": "of another kind", "d.txt": " \n "}
    entry = wheel_in(index, texts)
    monkeypatch.setitem(CORPORA, "test", entry)
    assert list(documents("test")) == ["the first", "the second"]
    assert files_in(cache) == [f"wheels/{entry['wheel']}"]
    (index / entry["wheel"]).unlink()  # pip would fail
    assert list(documents("test")) == ["the first", "the second"]
    assert "texts_for_tests" not in sys.modules
    assert importlib.util.find_spec("texts_for_tests") is None  # not installed either


def test_a_download_with_another_hash_is_refused_and_not_kept(index, cache, monkeypatch):
    entry = wheel_in(index, {"a.txt": "one"})
    found = entry["sha256"]
    monkeypatch.setitem(CORPORA, "test", entry | {"sha256": "0" * 64})
    with pytest.raises(ValueError, match=f"(?s){found}.*{'0' * 64}"):
        documents("test")
    assert files_in(cache) == []


def test_a_damaged_wheel_in_the_cache_is_downloaded_again(index, cache, monkeypatch):
    entry = wheel_in(index, {"a.txt": "one"})
    monkeypatch.setitem(CORPORA, "test", entry)
    kept = cache / "wheels" / entry["wheel"]
    kept.parent.mkdir(parents=True)
    kept.write_bytes((index / entry["wheel"]).read_bytes()[:-20])
    assert list(documents("test")) == ["one"]
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == entry["sha256"]
    assert files_in(cache) == [f"wheels/{entry['wheel']}"]


def test_without_a_network_the_error_says_where_to_put_the_file_and_so_it_works(index, cache, monkeypatch):
    entry = wheel_in(index, {"a.txt": "one"})
    content = (index / entry["wheel"]).read_bytes()
    (index / entry["wheel"]).unlink()
    monkeypatch.setitem(CORPORA, "test", entry)
    with pytest.raises(ConnectionError, match=f"could not download {PACKAGE}==1.0 with pip") as raised:
        documents("test")
    file, folder = re.search(r"put the file (\S+) from pypi.org into (\S+)$", str(raised.value)).groups()
    assert files_in(cache) == []
    (Path(folder) / file).write_bytes(content)
    assert list(documents("test")) == ["one"]


def test_a_version_that_is_not_there_is_no_connection(index, monkeypatch):
    monkeypatch.setitem(CORPORA, "test", wheel_in(index, {"a.txt": "one"}) | {"version": "1.1"})
    with pytest.raises(ConnectionError, match=f"No matching distribution found for {PACKAGE}==1.1"):
        documents("test")


def test_a_wheel_of_another_name_is_refused(index, monkeypatch):
    entry = wheel_in(index, {"a.txt": "one"})
    monkeypatch.setitem(CORPORA, "test", entry | {"wheel": "other.whl"})
    with pytest.raises(ValueError, match=f"pip should have downloaded other.whl, but it downloaded {entry['wheel']}"):
        documents("test")


def test_archives_without_members_and_what_is_no_archive_are_named(tmp_path):
    entry = wheel_in(tmp_path, {"a.md": "one"})
    path = tmp_path / entry["wheel"]
    with pytest.raises(ValueError, match=re.escape(f"{path} holds no files that match texts_for_tests/*.txt")):
        list(members(path, entry["members"]))
    path.write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=re.escape(f"{path} is not readable as a zip archive")):
        list(members(path, entry["members"]))


# Corpora


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_says_what_it_is(name):
    entry = CORPORA[name]
    for key in ("title", "licence"):
        assert isinstance(entry[key], str)
        assert entry[key]
    for key in ("size", "documents", "characters"):
        assert isinstance(entry[key], int)
        assert entry[key] > 0
    assert entry["layout"] in LAYOUTS
    assert entry["source"] in ("wheel", "hub")
    if entry["source"] == "wheel":
        assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])
        assert entry["wheel"].startswith(f"{entry['package'].replace('-', '_')}-{entry['version']}-")
        assert entry["members"]
    else:
        assert re.fullmatch("[0-9a-f]{40}", entry["revision"])
        assert all(entry[key] for key in ("dataset", "split", "column"))


@pytest.mark.parametrize("name", [name for name, entry in CORPORA.items() if entry["source"] == "wheel"])
def test_corpora_have_as_many_documents_as_it_says(name, monkeypatch):
    entry = CORPORA[name]
    path = REAL_CACHE / "wheels" / entry["wheel"]
    if not path.exists():
        pytest.skip(f"{entry['wheel']} was not downloaded before")
    assert path.stat().st_size == entry["size"]
    monkeypatch.setenv("PDTUTOR_CACHE", str(REAL_CACHE))
    found = list(documents(name))
    assert len(found) == entry["documents"]
    assert sum(map(len, found)) == entry["characters"]
    if number := re.search(r"\d[\d ]*\d", entry["title"]):
        assert int(number[0].replace(" ", "")) == entry["documents"]


def published(monkeypatch, cache, texts, layout):
    """Return the documents of a wheel with these texts that lies in the cache."""
    folder = cache / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setitem(CORPORA, "test", wheel_in(folder, texts, layout))
    return list(documents("test"))


def test_summaries_are_the_extracts_and_gaps_in_them_are_closed(monkeypatch, cache):
    articles = {
        "Square": {"title": "Square", "extract": "Its area is , and its sides  are alike ; see (here ) .\nNext line."},
        "Nothing": {"title": "Nothing", "extract": "  "},
        "Cube": {"title": "Cube", "extract": "A solid."},
    }
    found = published(monkeypatch, cache, {"a.txt": json.dumps(articles)}, "summaries")
    assert found == ["Its area is, and its sides are alike; see (here).\nNext line.", "A solid."]


PLAY = r"""# A Play

## ACT I

### SCENE I. A kitchen.

_Enter ANN, with
a lamp; BOB
behind_

**ANN**  
Who's there?\--  
Speak, I say \[and loud]!

_\[Aside] A noise_

I heard a pan, a pot, & c.

**BOB**  
_\[Within]_  
'Tis I.  


_Exeunt_

### SCENE II. The cellar.

**FIRST COOK**  
Dark.

_Exit_

## ACT II

_Music_
"""


def test_plays_are_scenes_of_what_is_said_and_by_whom(monkeypatch, cache):
    first, second = published(monkeypatch, cache, {"a.txt": PLAY}, "plays")
    assert first == "ANN: Who's there?--\nSpeak, I say !\nI heard a pan, a pot, &c.\nBOB: 'Tis I."
    assert second == "FIRST COOK: Dark."


MESSAGE = """\
[ As delivered before a joint session at 9:04 p.m. ]

Fellow-Citizens of the Senate:

I. FOREIGN AFFAIRS

The act of [1815-03-03] protects each of them [the States]. It is well. [Laughter]

Water Policy

That is so—[applause]—and [see APP Note] we defeated [won; White House correction] it. [At this point, all rose.]

May 60 69.4 52

1. Let us begin, in words that go on far enough to fill a line of sixty characters
JAMES MONROE
"""


def test_messages_are_without_headings_signatures_and_notes(monkeypatch, cache):
    (found,) = published(monkeypatch, cache, {"a.txt": MESSAGE}, "messages")
    assert found.split("\n") == [
        "Fellow-Citizens of the Senate:",
        "The act of 1815-03-03 protects each of them the States. It is well.",
        "That is so——and we defeated it.",
        "1. Let us begin, in words that go on far enough to fill a line of sixty characters",
    ]


WIKITEXT = [
    "",
    " = Grey heron = \n",
    "",
    " The bird , 1 @.@ 2 m tall ( in spring ) , is a heron 's kin ; it wades . \n",
    "\n",
    " = = Range = = \n",
    " A well @-@ known sight . \n",
    " = = = North = = = \n",
    " Over 10 @,@ 000 pairs : rare [ sic ] ! \n",
    " = The Pan = \n",
    " It is a pan . \n",
]


def test_wikitext_is_cut_at_titles_and_its_tokens_are_joined(monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: [{"text": line} for line in WIKITEXT])
    heron, pan = documents("wikitext-103")
    assert [line.strip() for line in heron.splitlines()] == [
        "Grey heron",
        "The bird, 1.2 m tall (in spring), is a heron's kin; it wades.",
        "Range",
        "A well-known sight.",
        "North",
        "Over 10,000 pairs: rare [sic]!",
    ]
    assert [line.strip() for line in pan.splitlines()] == ["The Pan", "It is a pan."]


def jsonl(path, texts, column="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({column: text}) + "\n" for text in texts), encoding="utf-8")


def test_a_folder_s_files_are_found_however_deep_and_whatever_they_are_called(tmp_path):
    folder = tmp_path / "my [texts] *"
    jsonl(folder / "deep" / "er" / "rows.jsonl", ["rów one", "", " row two\n"])
    (folder / "q?.txt").write_text("one\n\nfile \n", encoding="utf-8")
    (folder / "qa.txt").write_text("another", encoding="utf-8")
    (folder / "notes.md").write_text("not read", encoding="utf-8")
    pq.write_table(pa.table({"id": [1, 2], "text": ["column", "wise"]}), folder / "deep" / "table.parquet")
    assert list(documents(folder)) == ["one\n\nfile", "another", "rów one", "row two", "column", "wise"]
    assert list(documents(str(folder))) == list(documents(folder))


COLUMNS = "there is no column 'text'; the columns are"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n\n{"body": "x", "id": 1}\n', f"a.jsonl, line 3: {COLUMNS} body, id"),
        ("a.jsonl", b'{"text": 5}\n', "a.jsonl, line 1: the column 'text' must hold text, got int"),
        ("a.jsonl", b'{"text": "a"}\n{"tex', "a.jsonl, line 2: not readable as JSON"),
        ("a.jsonl", b'[{"text": "a"}]\n', "a.jsonl, line 1: each line must be one JSON object, got list"),
        ("a.jsonl", b'{"text": "a", "b": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "a.jsonl, line 1: not readable"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "caf\xe9"}', "a.jsonl, line 2: not UTF-8 .*save the file as UTF-8"),
        ("a.parquet", b"nonsense", "a.parquet: not readable as Parquet"),
        ("a.parquet", b"", "a.parquet: not readable as Parquet"),
        ("a.txt", b"one\ncaf\xe9", "a.txt, line 2: not UTF-8 .*position 7.*save the file as UTF-8"),
        ("a.txt", "caf\xe9".encode("utf-16"), r"a.txt, line 1: not UTF-8 \(it begins as UTF-16 does\)"),
        ("a.txt", "cafe".encode("utf-16-le"), "a.txt is full of null bytes"),
        ("a.md", b"x", "texts holds no .txt, .jsonl or .parquet files"),
    ],
)
def test_what_holds_no_texts_is_named_with_its_place(tmp_path, file, content, message):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path))}.*{message}") as raised:
        list(documents(tmp_path / "texts"))
    assert "\n" not in str(raised.value)


def test_other_columns_do_not_matter(tmp_path):
    rows = [
        {"id": 7, "text": "a", "tags": []},
        {"text": "b", "id": "x", "tags": [{"k": 1}]},
        {"text": "c", "more": None},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name, more in {"b": {"id": [1, 2]}, "c": {"id": ["x", "y"]}, "d": {"meta": [None, {"a": 1}]}}.items():
        pq.write_table(
            pa.table(more | {"text": pa.array([name, name]).dictionary_encode()}), tmp_path / f"{name}.parquet"
        )
    assert list(documents(tmp_path)) == list("abcbbccdd")


def test_only_the_text_is_read_from_parquet_and_not_all_at_once(tmp_path):
    table = pa.table({"text": ["long " * 20_000] * 400, "other": [b"x"] * 400})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    del table
    assert (tmp_path / "a.parquet").stat().st_size < 10_000  # for 40 MB of text
    before = pa.total_allocated_bytes()
    for _, _ in zip(documents(tmp_path), range(80), strict=False):
        assert pa.total_allocated_bytes() - before < 10e6


def test_rows_and_files_without_text_are_no_documents(tmp_path):
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.jsonl").write_text('\n{"text": null}\n{"text": "  "}\n{"text": "one"}\n')
    (tmp_path / "c.jsonl").touch()
    pq.write_table(pa.table({"text": [None, "two", ""]}), tmp_path / "d.parquet")
    assert list(documents(tmp_path)) == ["one", "two"]
    pq.write_table(pa.table({"text": ["x"] * 40 + ["y"], "n": [1] * 41}), tmp_path / "d.parquet")
    pq.write_table(pa.table({"text": pa.array(["x", "y"]).cast("binary")}), tmp_path / "e.parquet")
    with pytest.raises(ValueError, match=r"e.parquet, row 1: the column 'text' must hold text, got bytes"):
        list(documents(tmp_path))
    pq.write_table(pa.table({"body": ["x"], "n": [1]}), tmp_path / "d.parquet")
    with pytest.raises(ValueError, match=f"d.parquet: {COLUMNS} body, n"):
        list(documents(tmp_path))


def test_marks_of_byte_order_and_ends_of_lines_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes("Zeta\r\none\rtwo".encode("utf-8-sig"))
    line = b'{"text": "a\\u2028b"}\r\n'
    (tmp_path / "b.jsonl").write_bytes(("\ufeff".encode() + line) * 2)  # two such files, one after the other
    assert list(documents(tmp_path)) == ["Zeta\none\ntwo", "a\u2028b", "a\u2028b"]


def test_half_a_surrogate_pair_is_replaced(tmp_path):
    halves = ["so \ud83d", "\ude00 so", "\ud83d\ude00"]  # JSON joins the last two
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in halves))
    assert list(documents(tmp_path)) == ["so \ufffd", "\ufffd so", "\U0001f600"]


@pytest.mark.parametrize(
    "name", ["a::b", "zip:x", "{x}", "50%25 off", "~me", " x", "new\nline", "back\\slash", os.fsdecode(b"\xe9")]
)
def test_names_are_names(tmp_path, name):
    for path in (tmp_path / "1" / f"{name}.txt", tmp_path / "2" / name / "a.txt"):
        path.parent.mkdir(parents=True)
        path.write_text("one")
        assert list(documents(path.parent)) == ["one"]
        json.dumps(fingerprint(path.parent))


def test_what_editors_leave_is_not_read_and_what_is_there_is(tmp_path):
    folder = tmp_path / ".local" / "texts"  # hidden as a whole, which does not matter
    for name in (".ipynb_checkpoints/a.txt", ".git/a.txt", ".a.txt", "__MACOSX/._a.txt", "._a.txt", ".a.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\xff")
    (folder / "A.TXT").write_text("one")
    jsonl(folder / "b.Jsonl", ["two"])
    jsonl(tmp_path / "elsewhere" / "c.jsonl", ["three"])
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "link2").symlink_to(tmp_path / "elsewhere")
    (folder / "self").symlink_to(folder)
    assert list(documents(folder)) == ["one", "two", "three"]
    (folder / "gone.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"gone.txt is no file that can be read; is it a link to one that is gone\?"):
        list(documents(folder))


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    jsonl(tmp_path / "texts" / "a.jsonl", ["one"])
    assert list(documents("~/texts")) == ["one"]


def test_a_folder_s_fingerprint_is_that_of_what_is_read(tmp_path):
    for name in "abc":
        jsonl(tmp_path / f"{name}.jsonl", [name] * 3)
    before, part = fingerprint(tmp_path), fingerprint(tmp_path, 5)
    assert part == before[:2]
    time = (tmp_path / "c.jsonl").stat().st_mtime_ns
    jsonl(tmp_path / "c.jsonl", ["d"] * 3)
    os.utime(tmp_path / "c.jsonl", ns=(time, time))  # the same name, size and time
    assert fingerprint(tmp_path, 5) == part
    assert fingerprint(tmp_path) != before


def test_the_wing_offers_what_it_says():
    assert pdtutor.text.documents is documents
    assert pdtutor.text.prepare is prepare
    assert pdtutor.text.CORPORA is CORPORA


def test_an_unknown_corpus_is_refused_with_the_known():
    with pytest.raises(ValueError, match=r"no corpus and no folder is called 'shakspeare'; the corpora are .*shakes"):
        documents("shakspeare")


def test_a_data_set_in_the_hub_s_layout_is_streamed(tmp_path, monkeypatch):
    repository = tmp_path / "hub"
    (repository / "data").mkdir(parents=True)
    (repository / "README.md").write_text(
        "---\nconfigs:\n- config_name: raw\n  data_files:\n  - split: en\n    path: data/en-*\n"
        "  - split: de\n    path: data/de-*\n---\n"
    )
    for number, rows in enumerate((["one", " "], ["two"])):
        pq.write_table(pa.table({"book": rows}), repository / "data" / f"en-0000{number}-of-00002.parquet")
    pq.write_table(pa.table({"book": ["drei"]}), repository / "data" / "de-00000-of-00001.parquet")
    entry = {"source": "hub", "dataset": str(repository), "name": "raw", "split": "en", "revision": "0" * 40}
    monkeypatch.setitem(CORPORA, "test", entry | {"column": "book", "layout": "documents"})
    assert list(documents("test")) == ["one", "two"]
    monkeypatch.setitem(CORPORA, "test", entry | {"column": "text", "layout": "documents"})
    with pytest.raises(ValueError, match="no text in the column 'text'; its columns are book") as raised:
        list(documents("test"))
    assert f"the data set {repository} can't be read" in str(raised.value)


@pytest.mark.parametrize("name", ["wikitext-103", "gutenberg"])
def test_a_hub_corpus_is_asked_for_at_its_revision_and_read_no_further_than_needed(name, monkeypatch):
    asked, read = [], []

    def load_dataset(*arguments, **options):
        asked.append((arguments, options))

        def rows():
            for i in range(10**9):
                read.append(i)
                yield {"text": f" = Title {i} = "}

        return rows()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(list(islice(documents(name), 3))) == 3
    assert len(read) <= 4  # an article ends where the next one begins
    entry = CORPORA[name]
    assert asked == [
        (
            (entry["dataset"], entry.get("name")),
            {"split": entry["split"], "revision": entry["revision"], "streaming": True},
        )
    ]


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    jsonl(tmp_path / "a.jsonl", ["x"])
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert list(documents(tmp_path)) == ["x"]  # these files need no library
    pq.write_table(pa.table({"text": ["y"]}), tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pyarrow: pip install 'pdtutor\[hub\]'"):
        list(documents(tmp_path))
    with pytest.raises(ImportError, match=r"datasets library: pip install 'pdtutor\[hub\]'"):
        list(documents("gutenberg"))
    with pytest.raises(ImportError, match=r"transformers: pip install 'pdtutor\[hub\]'"):
        load_tokenizer(tmp_path)


# Tokenizers


def made_up(seed, n, letters="abcdefghijklmnopqrst", words=40, lexicon=60):
    """Return n documents of made-up words."""
    rng = np.random.default_rng(seed)
    drawn = ["".join(rng.choice(list(letters), rng.integers(2, 7))) for _ in range(lexicon)]
    return [" ".join(rng.choice(drawn, words)).capitalize() + "." for _ in range(n)]


TEXTS = made_up(0, 200)


@pytest.mark.parametrize(("kind", "size"), [("characters", 5 + 22), ("bpe-120", 120), ("wordpiece-150", 150)])
def test_trained_tokenizers_have_their_size_and_give_texts_back(kind, size, tmp_path):
    tokenizer = train_tokenizer(kind, TEXTS)
    assert tokenizer.get_vocab_size() == size
    assert special_ids(tokenizer) == {role: i for i, role in enumerate(SPECIAL)}
    assert sorted(tokenizer.get_vocab().values()) == list(range(size))
    text = TEXTS[3]
    encoded = tokenizer.encode(text, add_special_tokens=False)
    assert len(encoded.ids) == len(text) if kind == "characters" else len(encoded.ids) < 0.7 * len(text)
    assert tokenizer.decode(encoded.ids) == text.lower()
    assert tokenizer.decode(tokenizer.encode(text.replace("a", "Á").replace(" ", "\n")).ids) == text.lower()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.to_str() == tokenizer.to_str()
    assert again.encode(text).ids == encoded.ids
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("kind", "unknown"), [("characters", ["[UNK]"]), ("bpe-120", ["▁", "[UNK]"]), ("wordpiece-150", ["[UNK]"])]
)
def test_characters_that_were_not_seen_are_unknown(kind, unknown):
    assert train_tokenizer(kind, TEXTS).encode("ж").tokens == unknown


def test_characters_seen_rarely_are_unknown_but_only_in_large_corpora(monkeypatch):
    monkeypatch.setattr(tokenizers, "SHARE", 500)
    rare = ["§"] * 99 + ["%"] * 100
    assert train_tokenizer("characters", [*rare, "a" * 50_000]).encode("§%").tokens == ["[UNK]", "%"]
    assert train_tokenizer("characters", [*rare, "a" * 49_000]).encode("§%").tokens == ["§", "%"]
    assert train_tokenizer("characters", ["§", "a" * 1000]).encode("§").tokens == ["[UNK]"]


CHINESE = ["".join(np.random.default_rng(i).choice([chr(0x4E00 + i) for i in range(1500)], 300)) for i in range(40)]


@pytest.mark.parametrize("kind", ["characters", "bpe-4000", "wordpiece-4000"])
def test_the_alphabet_has_the_size_that_the_texts_need(kind):
    tokenizer = train_tokenizer(kind, CHINESE)
    known = {token.lstrip("▁") for token in tokenizer.get_vocab()}
    encoded = [token for text in CHINESE for token in tokenizer.encode(text, add_special_tokens=False).tokens]
    assert encoded.count("[UNK]") <= 0.001 * sum(map(len, CHINESE))
    assert " " not in encoded  # BERT would put two around each character
    assert "##" + CHINESE[0][0] not in known  # these are words of their own


@pytest.mark.parametrize(("kind", "characters"), [("bpe-200", 100), ("bpe-100", 64), ("wordpiece-200", 100)])
def test_an_alphabet_leaves_room_for_pieces(kind, characters):
    vocabulary = train_tokenizer(kind, CHINESE).get_vocab()
    assert sum(len(token) == 1 for token in vocabulary) == characters


def test_a_few_rare_characters_don_t_enlarge_an_alphabet():
    letters, rare = (
        [*string.ascii_lowercase, *string.digits, *map(chr, range(0x5D0, 0x5EB))],
        map(chr, range(0x10D0, 0x10E0)),
    )
    assert len(letters) == 63  # with the space, 64
    vocabulary = train_tokenizer("bpe-300", ["".join(letters) * 300 + "".join(rare)]).get_vocab()
    assert {token for token in vocabulary if len(token) == 1} == {*letters, "▁"}


def test_names_in_chinese_are_split_as_bert_does():
    for kind in ("characters", "bpe-100"):
        tokenizer = train_tokenizer(kind, [*TEXTS, "中国"])
        assert tokenizer.normalizer.normalize_str("a中b") == "a 中 b"


@pytest.mark.parametrize("kind", ["bpe-130", "wordpiece-200"])
def test_the_same_texts_give_the_same_tokenizer(kind):
    # All 80 characters are equally frequent, so that 64 must be chosen among ties, and so are many pairs of them.
    rng = np.random.default_rng(0)
    letters = [chr(code) for code in range(0x430, 0x450)] + [chr(code) for code in range(0x10D0, 0x1100)]
    texts = ["".join(rng.permutation(letters)) for _ in range(20)]
    texts = [" ".join(text[i : i + 5] for i in range(0, 80, 5)) for text in texts]
    made = {train_tokenizer(kind, texts).to_str() for _ in range(4)}
    assert len(made) == 1
    assert train_tokenizer(kind, iter(texts)).to_str() in made  # an iterator is read twice too


def test_a_piece_of_a_word_is_no_special_token():
    tokenizer = train_tokenizer("wordpiece-150", TEXTS)
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    assert known == set(SPECIAL.values())


@pytest.mark.parametrize("kind", ["words", "bpe", "bpe-", "bpe-x", "wordpiece-1.5", "characters-3", "unigram-100", ""])
def test_other_kinds_are_refused(kind):
    with pytest.raises(ValueError, match="tokenizer must be 'characters', 'bpe-N', 'wordpiece-N', a file or a folder"):
        train_tokenizer(kind, TEXTS)


@pytest.mark.parametrize(("kind", "needed"), [("bpe-26", 5 + 20 + 2), ("wordpiece-45", 5 + 20 + 1 + 20)])
def test_a_vocabulary_without_room_for_the_characters_is_refused(kind, needed):
    with pytest.raises(
        ValueError, match=f"'{kind}' has no room for the characters of these texts: N must be at least {needed}"
    ):
        train_tokenizer(kind, TEXTS)


def bert(folder, layout):
    """Write the tokenizer of a BERT with ten tokens; return their names."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "pan", "##s", "a", "."]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(names) + "\n")
    (folder / "config.json").write_text('{"model_type": "bert", "vocab_size": 10}')
    if layout == "tokenizer.json":
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        assert (folder / "tokenizer.json").exists()
        (folder / "vocab.txt").unlink(missing_ok=True)
    return names


@pytest.mark.parametrize("layout", ["vocab.txt", "tokenizer.json"])
def test_the_tokenizer_of_a_model_s_folder_is_read(layout, tmp_path):
    names = bert(tmp_path / "bert", layout)
    tokenizer = load_tokenizer(tmp_path / "bert")
    assert [tokenizer.id_to_token(i) for i in range(10)] == names
    assert special_ids(tokenizer) == {"padding": 0, "unknown": 1, "start": 2, "end": 3, "mask": 4}
    assert tokenizer.encode("The PANS.", add_special_tokens=False).tokens == ["the", "pan", "##s", "."]


@pytest.mark.parametrize("content", [None, b"{}", b'{"version": "1.0", "mod'])
def test_a_tokenizer_that_cannot_be_read_is_named(content, tmp_path):
    source = tmp_path if content is None else tmp_path / "tokenizer.json"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"no tokenizer can be read from {str(source)!r}")):
        load_tokenizer(source)


def test_a_tokenizer_that_cuts_texts_cuts_none_here(tmp_path):
    tokenizer = train_tokenizer("characters", TEXTS)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert [len(loaded.encode(TEXTS[0][:n]).ids) for n in (5, 100)] == [5, 100]


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["<s>", "<pad>", "</s>", "<unk>", "<mask>"], {"start": 0, "padding": 1, "end": 2, "unknown": 3, "mask": 4}),
        (["x", "<|endoftext|>"], {"end": 1}),
        (["<bos>", "<eos>"], {"start": 0, "end": 1}),
        (["<|begin_of_text|>", "<|end_of_text|>"], {"start": 0, "end": 1}),
        (["<|im_start|>", "<|im_end|>"], {"end": 1}),
        (["x", "y"], {}),
    ],
)
def test_special_tokens_are_found_by_the_names_of_published_models(names, roles):
    assert special_ids(Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}))) == roles


def words_in(folder, names, config=None, **settings):
    """Write a tokenizer of these words, in this order, and what a model's folder says of it; return the folder."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, **settings))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    if config is not None:
        content = {"tokenizer_class": "PreTrainedTokenizerFast"} | config
        (folder / "tokenizer_config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("source", ["", "tokenizer.json"])
@pytest.mark.parametrize(
    ("names", "declared", "roles"),
    [
        (["x", "END", "</s>"], {"eos_token": "END"}, {"end": 1}),
        (["x", "END", "</s>"], {"eos_token": {"__type": "AddedToken", "content": "END"}}, {"end": 1}),
        (["x", "SEP", "END"], {"sep_token": "SEP", "eos_token": "END"}, {"end": 2}),
        (["x", "SEP", "CLS"], {"sep_token": "SEP", "cls_token": "CLS", "eos_token": None}, {"end": 1, "start": 2}),
        (["x", "</s>"], {"pad_token": "</s>"}, {"end": 1, "padding": 1}),
        (["x", "<|endoftext|>"], {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}, {"end": 1}),
    ],
)
def test_a_model_says_what_its_special_tokens_are(tmp_path, source, names, declared, roles):
    folder = words_in(tmp_path / "model", names, declared, unk_token="none")
    assert read_tokenizer(folder / source)[1] == roles


def test_what_a_tokenizer_gives_for_the_unknown_is_unknown():
    word = models.WordLevel({"x": 0, "<unk>": 1, "?": 2}, unk_token="?")
    unigram = models.Unigram([("x", -1.0), ("?", 0.0)], 1, False)
    assert special_ids(Tokenizer(word)) == {"unknown": 2}
    assert special_ids(Tokenizer(unigram)) == {"unknown": 1}
    assert special_ids(Tokenizer(models.BPE())) == {}


def test_code_that_comes_with_a_tokenizer_is_not_run(tmp_path):
    code = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": [None, "own.Own"]}}
    folder = words_in(tmp_path / "model", ["x", "</s>"], code)
    (folder / "own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nclass Own: pass\n")
    with pytest.raises(
        ValueError, match=r"code that comes with the model, which is never run here; give the path of a"
    ):
        load_tokenizer(folder)
    assert not (tmp_path / "run").exists()
    assert special_ids(load_tokenizer(folder / "tokenizer.json")) == {"end": 1}


# Tokens


@pytest.fixture
def corpus(tmp_path):
    jsonl(tmp_path / "corpus" / "a.jsonl", TEXTS)
    return tmp_path / "corpus"


def prepared(*corpora, tokenizer="characters", **settings):
    return prepare(corpora, tokenizer, progress=False, **settings)


def validates(text):
    """Return whether a document belongs to the validation split, as one in twenty does."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 20 == 0


def split_documents(made, split):
    """Return the documents of a split, decoded by the tokenizer."""
    ids = np.asarray(made.split(split)).astype(np.int64)
    assert ids[-1] == made.special["end"]
    pieces = np.split(ids, np.flatnonzero(ids == made.special["end"]) + 1)[:-1]
    return [made.tokenizer.decode(piece[:-1].tolist()) for piece in pieces]


def test_tokens_are_the_documents_one_after_the_other_mapped_from_disk(corpus):
    made = prepared(corpus)
    for split, wanted in {"train": False, "validation": True}.items():
        texts = [text for text in TEXTS if validates(text) == wanted]
        assert isinstance(made.split(split), np.memmap)
        assert made.split(split).dtype == np.uint16
        assert split_documents(made, split) == [text.lower() for text in texts]
        characters = sum(map(len, texts))
        counts = {"documents": len(texts), "characters": characters, "tokens": characters + len(texts), "unknown": 0}
        assert made.about["splits"][split] == counts
    assert made.about["corpora"] == [str(corpus)]
    assert made.about["tokenizer"] == "characters"


def test_a_document_is_on_the_same_side_in_every_corpus_and_order(tmp_path):
    shared = TEXTS[:120]
    jsonl(tmp_path / "a" / "a.jsonl", shared + made_up(1, 60))
    jsonl(tmp_path / "b" / "b.jsonl", made_up(2, 60) + shared[::-1])
    sides = {}
    for corpora in ((tmp_path / "a",), (tmp_path / "b",), (tmp_path / "a", tmp_path / "b"), (tmp_path / "b", "a")):
        corpora = [tmp_path / corpus for corpus in corpora]
        made = prepared(*corpora)
        train, validation = (set(split_documents(made, split)) for split in ("train", "validation"))
        assert not train & validation
        for text in (text.lower() for text in shared):
            assert sides.setdefault(text, text in validation) == (text in validation)
    assert set(sides.values()) == {True, False}


@pytest.mark.parametrize("kind", ["characters", "bpe-100", "wordpiece-150"])
def test_the_tokenizer_is_trained_on_training_documents_only(kind, tmp_path):
    held = [text for text in made_up(3, 4000, letters="xyzXYZ", words=30) if validates(text)][:150]
    jsonl(tmp_path / "c" / "a.jsonl", [text for text in TEXTS if not validates(text)] + held)
    made = prepared(tmp_path / "c", tokenizer=kind)
    assert len(held) == made.about["splits"]["validation"]["documents"]
    assert not {"x", "##x"} & set(made.tokenizer.get_vocab())


def test_tokens_are_prepared_once(corpus, monkeypatch):
    first = prepared(corpus)
    monkeypatch.setattr(tokens, "documents", None)
    assert prepared(corpus) == first
    assert prepare(corpus, "characters") == first  # a single corpus
    assert prepare([str(corpus)], "characters") == first


def test_what_is_asked_for_decides_which_tokens_they_are(corpus, tmp_path, cache, monkeypatch):
    jsonl(tmp_path / "other" / "b.jsonl", made_up(4, 100))
    made = [
        prepared(corpus),
        prepared(corpus, limit=150),
        prepared(corpus, tokenizer="bpe-100"),
        prepared(corpus, tokenizer="bpe-101"),
        prepared(corpus, tmp_path / "other"),
        prepared(tmp_path / "other", corpus),
    ]
    jsonl(corpus / "a.jsonl", TEXTS[:-1])
    os.utime(corpus / "a.jsonl", (1, 1))
    made.append(prepared(corpus))
    assert len({one.folder for one in made}) == len(made)
    tokenizer = Tokenizer.from_str(made[2].tokenizer.to_str())
    for name in ("one", "two"):  # the same tokenizer in two places
        tokenizer.save(str(tmp_path / f"{name}.json"))
    one, two = (prepared(corpus, tokenizer=str(tmp_path / f"{name}.json")) for name in ("one", "two"))
    assert one == two
    assert one not in made

    published(monkeypatch, cache, {f"{i:03}.txt": text for i, text in enumerate(TEXTS)}, "documents")
    entry = CORPORA["test"]
    first = prepared("test")
    for described in ({"title": "Other"}, {"documents": 7}, {"licence": "none", "size": 3, "characters": 5}):
        monkeypatch.setitem(CORPORA, "test", entry | described)
        assert prepared("test") == first
    monkeypatch.setitem(CORPORA, "test", entry | {"layout": "plays"})
    assert prepared("test") != first
    monkeypatch.setattr(tokens, "documents", lambda corpus: iter(TEXTS))
    for version in ({"sha256": "0" * 64}, {"members": "*.txt"}):
        monkeypatch.setitem(CORPORA, "test", entry | version)
        assert prepared("test") != first


def test_a_limit_is_of_documents_of_each_corpus_and_nothing_else_is_read(tmp_path, monkeypatch):
    read = []

    def documents(corpus):
        for i in range(10**9):
            read.append(corpus)
            yield f"{corpus} {i} " * 20

    monkeypatch.setattr(tokens, "documents", documents)
    monkeypatch.setattr(tokens, "fingerprint", lambda corpus, limit: [corpus])
    made = prepared("a", "b", limit=80)
    counts = made.about["splits"]
    assert counts["train"]["documents"] + counts["validation"]["documents"] == 160
    assert read == (["a"] * 80 + ["b"] * 80) * 2  # to train the tokenizer, and to encode


def test_texts_are_known_by_their_content(corpus, tmp_path):
    made = prepared(corpus)
    file = corpus / "a.jsonl"
    before = file.stat()
    os.utime(file, (1, 1))  # another time
    assert prepared(corpus) == made
    (tmp_path / "moved").mkdir()
    file.rename(tmp_path / "moved" / "a.jsonl")
    assert prepared(tmp_path / "moved") == made
    jsonl(file, [text.swapcase().lower().replace("a", "b") for text in TEXTS])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    edited = prepared(corpus)
    assert edited.folder != made.folder
    assert edited.digest != made.digest
    assert len({made.digest, prepared(corpus, limit=150).digest, prepared(corpus, tokenizer="bpe-100").digest}) == 3


def test_a_given_tokenizer_is_known_by_its_content_and_its_special_tokens(corpus, tmp_path):
    names = sorted({word for text in TEXTS for word in re.findall(r"\w+|\.", text)})
    folders = [words_in(tmp_path / end, [*names, "A", "B"], {"eos_token": end}, unk_token="none") for end in "AB"]
    made = [prepared(corpus, tokenizer=folder) for folder in folders]
    assert made[0].digest != made[1].digest
    assert [one.split("train")[-1] for one in made] == [len(names), len(names) + 1]
    assert made[0].special == {"end": len(names)}


def flip(path):
    """Change a byte of a file, and neither its size nor its time."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGE = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": Path.unlink,
    "other": lambda path: path.write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["train.bin", "validation.bin", "tokenizer.json", "tokens.json"])
def test_what_is_damaged_in_the_cache_is_made_again(corpus, cache, name, damage):
    made = prepared(corpus, limit=60)
    content = {file: (made.folder / file).read_bytes() for file in files_in(made.folder)}
    DAMAGE[damage](made.folder / name)
    with pytest.warns(UserWarning, match=rf"{made.folder}.*/{name}.*; these tokens are made again"):
        again = prepared(corpus, limit=60)
    assert again == made
    assert {file: (made.folder / file).read_bytes() for file in files_in(made.folder)} == content
    assert list((cache / "tokens").iterdir()) == [made.folder]


def test_tokens_of_something_else_in_a_folder_are_made_again(corpus):
    made, other = prepared(corpus, limit=60), prepared(corpus, limit=70)
    shutil.rmtree(made.folder)
    shutil.copytree(other.folder, made.folder)
    with pytest.warns(UserWarning, match=r"tokens.json was written for other tokens; these tokens are made again"):
        assert prepared(corpus, limit=60).about["asked"] == made.folder.name


def test_tokens_that_cannot_be_made_again_stay_where_they_are(corpus):
    made = prepared(corpus)
    flip(made.folder / "train.bin")
    content = (made.folder / "train.bin").read_bytes()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tokens, "documents", None)
        with pytest.warns(UserWarning, match="made again"), pytest.raises(TypeError):
            prepared(corpus)
    assert (made.folder / "train.bin").read_bytes() == content


@pytest.mark.parametrize("split", ["train", "validation"])
def test_tokens_that_are_damaged_in_use_are_named(corpus, split):
    made = prepared(corpus)
    path = made.folder / f"{split}.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged (")):
        made.split(split)
    path.unlink()
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged (0 bytes for ")):
        made.split(split)
    with pytest.raises(ValueError, match="split must be one of 'train', 'validation'; got 'test'"):
        made.split("test")
    (made.folder / "tokens.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match=re.escape(f"{made.folder / 'tokens.json'} is not in the format")):
        Tokens(made.folder).split("train")


def test_unknown_tokens_are_counted_warned_of_and_refused(tmp_path, cache):
    known = words_in(tmp_path / "model", ["x", "?", "</s>"], unk_token="?")

    def of(share):
        rng = np.random.default_rng(0)
        words = [" ".join(rng.choice(["x", "z"], 40, p=[1 - share, share])) for _ in range(80)]
        jsonl(tmp_path / f"{share}" / "a.jsonl", [f"x {text}" for text in words])
        return prepared(tmp_path / f"{share}", tokenizer=known)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = of(0.01).about["splits"]["train"]
    assert 0 < counts["unknown"] < 0.03 * counts["tokens"]
    for _ in range(2):  # also when they come from the cache
        with pytest.warns(UserWarning, match=r"(19|2\d)% of the tokens in the \w+ split of \S+ are unknown to the tok"):
            counts = of(0.2).about["splits"]["train"]
    assert counts["unknown"] == (of(0.2).split("train") == 1).sum()
    there = files_in(cache)
    with pytest.raises(ValueError, match=r"\d\d% of \S+ is unknown to the tokenizer .*choose another"):
        of(0.8)
    assert files_in(cache) == there


def test_what_a_tokenizer_leaves_out_is_counted_warned_of_and_refused(corpus, tmp_path):
    letters = sorted({*"".join(TEXTS), "</s>"} - {"."})

    def without(left_out):
        vocabulary = {letter: i for i, letter in enumerate(letters) if letter not in left_out} | {"</s>": 99}
        Tokenizer(models.BPE(vocabulary, [])).save(str(tmp_path / "pieces.json"))
        return prepared(corpus, tokenizer=tmp_path / "pieces.json").about["left_out"]

    total = sum(map(len, TEXTS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert without("") == pytest.approx(len(TEXTS) / total)  # the full stops
    with pytest.warns(UserWarning, match=r"leaves out \d\d% of the characters of \S+, which it doesn't know"):
        assert without("abcdef") == pytest.approx(sum(text.count(c) for text in TEXTS for c in "abcdef.") / total)
    with pytest.raises(ValueError, match=r"\d\d% of \S+ is unknown to the tokenizer"):
        without("abcdefghijklmnop")
    with pytest.raises(ValueError, match="is empty"):
        without({*letters} - {"</s>"})


def test_spaces_that_a_tokenizer_needs_no_tokens_for_are_not_left_out(corpus, tmp_path):
    letters = {letter: i for i, letter in enumerate(sorted({*"".join(TEXTS), "</s>"} - {" "}))}
    tokenizer = Tokenizer(models.BPE(letters, []))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "letters.json"))
    assert prepared(corpus, tokenizer=tmp_path / "letters.json").about["left_out"] == 0


def test_a_tokenizer_that_fails_is_named(corpus, tmp_path):
    Tokenizer(models.Unigram([("a", -1.0)], None, False)).save(str(tmp_path / "one.json"))
    with pytest.raises(ValueError, match=r"the tokenizer \S+one.json' can't encode \S+ \(Encountered an unknown token"):
        prepared(corpus, tokenizer=tmp_path / "one.json")


def test_texts_that_change_while_they_are_read_are_refused(corpus, cache, monkeypatch):
    def changing(folder):
        yield from documents(folder)
        jsonl(folder / "a.jsonl", TEXTS[1:])

    with monkeypatch.context() as patched:
        patched.setattr(tokens, "documents", changing)
        with pytest.raises(ValueError, match=f"the texts of {corpus} changed while they were read: try again"):
            prepared(corpus)
    assert list((cache / "tokens").iterdir()) == []


def test_a_tokenizer_without_an_end_token_is_warned_of(corpus, tmp_path):
    names = sorted({word for text in TEXTS for word in re.findall(r"\w+|\.", text)})
    folder = words_in(tmp_path / "model", names, {}, unk_token="none")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"has no end token that is known here.*can name one as eos_token"):
            prepared(corpus, tokenizer=folder)


def test_documents_are_encoded_a_few_at_a_time(corpus, monkeypatch):
    whole = prepared(corpus).digest
    monkeypatch.setattr(tokens, "CHARACTERS", 1000)
    batches = list(tokens._batches(iter(["a" * 400] * 5 + ["b" * 3000] * 2 + ["c"])))
    assert [len(batch) for batch in batches] == [2, 2, 1, 1, 1, 1]
    assert prepared(corpus, limit=len(TEXTS)).digest == whole


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing_behind(error, corpus, cache, monkeypatch):
    monkeypatch.setattr(tokens, "BATCH", 10)
    passes = []

    def interrupted(corpus):
        passes.append(corpus)
        yield from TEXTS[:50]
        if len(passes) == 2:
            raise error
        yield from TEXTS[50:]

    with monkeypatch.context() as patched:
        patched.setattr(tokens, "documents", interrupted)
        with pytest.raises(error):
            prepared(corpus)
    assert list((cache / "tokens").iterdir()) == []
    made = prepared(corpus)
    assert list((cache / "tokens").iterdir()) == [made.folder]
    assert split_documents(made, "train") == [text.lower() for text in TEXTS if not validates(text)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, as importing torch takes long")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_at_once_and_ones_that_died_are_no_trouble(corpus, cache, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")  # threads don't survive a fork
    monkeypatch.setattr(tokens, "BATCH", 10)
    processes = multiprocessing.get_context("fork")
    together = processes.Barrier(2)

    def texts(fate):
        passes = []

        def documents(corpus):
            passes.append(corpus)
            for i, text in enumerate(TEXTS):
                if len(passes) == 2 and i == 100:  # a part is written by then
                    os._exit(9) if fate == "dies" else together.wait(60)
                yield text

        return documents

    def child(fate):
        monkeypatch.setattr(tokens, "documents", texts(fate))
        prepared(corpus)

    def start(fate):
        process = processes.Process(target=child, args=(fate,))
        process.start()
        return process

    dying = start("dies")
    dying.join(60)
    assert dying.exitcode == 9
    assert not list((cache / "tokens").glob("*/tokens.json"))
    assert list((cache / "tokens").glob("build-*/*/train.bin"))
    both = [start("lives"), start("lives")]
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    (found,) = (cache / "tokens").glob("*/tokens.json")
    # what the dead one left is gone, and what the others were building was left alone
    assert list((cache / "tokens").iterdir()) == [found.parent]
    monkeypatch.setattr(tokens, "documents", None)  # nothing has to be read again
    made = prepared(corpus)
    assert found.parent == made.folder
    assert split_documents(made, "train") == [text.lower() for text in TEXTS if not validates(text)]


def test_where_files_can_t_be_locked_tokens_are_made_and_nothing_is_removed(corpus, cache, monkeypatch):
    def acquire(lock):
        raise NotImplementedError("no locks here")

    other = cache / "tokens" / "build-other"
    other.mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(tokens.FileLock, "acquire", acquire)
        made = prepared(corpus)
    assert set((cache / "tokens").iterdir()) == {other, made.folder}
    prepared(corpus, limit=100)
    assert not other.exists()


def test_a_process_that_was_faster_is_given_way(corpus, monkeypatch):
    made = prepared(corpus)
    before = (made.folder / "train.bin").stat().st_mtime_ns, made.folder.stat().st_ino
    (made.folder / "tokens.json").rename(made.folder / "hidden")

    def save_description(path, content):  # called when this process is almost done: the other one finishes first
        write_sealed(path, content)
        (made.folder / "hidden").rename(made.folder / "tokens.json")

    monkeypatch.setattr(tokens, "write_sealed", save_description)
    with pytest.warns(UserWarning, match=r"tokens.json does not exist; these tokens are made again"):
        assert prepared(corpus) == made
    assert ((made.folder / "train.bin").stat().st_mtime_ns, made.folder.stat().st_ino) == before


@pytest.mark.parametrize(("wanted", "split"), [(False, "validation"), (True, "train")])
def test_an_empty_split_is_refused_and_leaves_nothing(wanted, split, tmp_path, cache):
    jsonl(tmp_path / "few" / "a.jsonl", [text for text in TEXTS if validates(text) == wanted][:5])
    with pytest.raises(ValueError, match=f"the {split} split of {tmp_path / 'few'} is empty: it needs more documents"):
        prepared(tmp_path / "few")
    assert list((cache / "tokens").iterdir()) == []


def test_what_looks_like_a_special_token_in_a_text_is_text(tmp_path):
    jsonl(tmp_path / "c" / "a.jsonl", [f"[MASK] {text} [SEP]" for text in TEXTS])
    made = prepared(tmp_path / "c")
    documents = split_documents(made, "train") + split_documents(made, "validation")
    assert len(documents) == len(TEXTS)
    assert all(document.startswith("[mask] ") and document.endswith(" [sep]") for document in documents)


def test_a_given_tokenizer_is_used_whatever_its_size_and_ends(corpus, tmp_path):
    words = sorted({word for text in TEXTS for word in re.findall(r"\w+|\.", text)})
    vocabulary = {word: i + 70_000 for i, word in enumerate(words)}  # too many for 16 bits
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="none"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "words.json"))
    made = prepared(corpus, tokenizer=tmp_path / "words.json")
    ids = made.split("validation")
    assert ids.dtype == np.uint32
    wanted = [word for text in TEXTS if validates(text) for word in re.findall(r"\w+|\.", text)]
    assert [words[i - 70_000] for i in ids] == wanted  # without ends, since this tokenizer has no end token
    assert made.special == {}


def test_a_model_s_folder_is_a_tokenizer(tmp_path):
    bert(tmp_path / "bert", "vocab.txt")
    jsonl(tmp_path / "pans" / "b.jsonl", ["The pans.", *(f"{'the pan. ' * i}" for i in range(1, 60))])
    made = prepared(tmp_path / "pans", tokenizer=tmp_path / "bert")
    assert made.about["tokenizer"] == str(tmp_path / "bert")
    assert {5, 6, 9, 3} <= set(np.asarray(made.split("train")).tolist())
