import hashlib
import http.server
import threading
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from pdtutor import resources

ROOT = Path(__file__).parents[1]

COLUMNS = ["quantity", "method", "at", "at_unit", "relation", "value", "tolerance", "unit", "source", "note"]


@pytest.mark.parametrize("experiment", ["E1", "E2", "E3", "E4", "E5"])
def test_every_number_says_what_it_is_and_where_it_comes_from(experiment):
    table = resources.paper(experiment)
    assert list(table.columns) == COLUMNS
    assert pd.api.types.is_float_dtype(table["at"])
    assert pd.api.types.is_numeric_dtype(table["value"])
    assert table[["quantity", "value", "unit", "source"]].notna().all(axis=None)
    assert set(table["source"]) <= {"code", "figure", "review", "derived"}
    assert set(table["relation"]) <= {"=", "≈", "≤", "≥"}
    fractions = table[table["unit"] == "fraction"]
    assert fractions["value"].between(0, 1).all()
    assert (fractions["tolerance"] == 0.003).all()
    assert table.loc[table["at"].isna() & table["at_unit"].notna() & table["note"].isna()].empty
    assert not table.duplicated(["quantity", "method", "at", "relation", "note"]).any()


def test_e1_has_what_lesson_three_compares_with():
    rows = resources.paper("E1")[["quantity", "method", "at", "value"]].itertuples(index=False, name=None)
    table = {tuple(key): value for *key, value in rows}
    assert table["accuracy", "teacher", 10_200_000] == 0.75
    assert table["in-support |corr|", "teacher", 10_200_000] == 0.095
    assert table["accuracy", "(2,1M) C1=10.2M", 1_000_000] == 0.735


def test_unknown_experiment_lists_those_known():
    with pytest.raises(ValueError, match=r"'E9'; there are numbers for E1, E2, E3, E4, E5"):
        resources.paper("E9")


def test_data_path_names_what_is_there():
    assert resources.data_path("reference/E1.csv").is_file()
    with pytest.raises(FileNotFoundError, match=r"E7\.csv does not exist; .*reference holds: E1\.csv"):
        resources.data_path("reference/E7.csv")


def test_data_of_an_installed_package_come_first(tmp_path, monkeypatch):
    (tmp_path / "site-packages/pdtutor/data/reference").mkdir(parents=True)
    (tmp_path / "site-packages/data").mkdir()
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "site-packages/pdtutor")
    assert resources.data_path("reference") == tmp_path / "site-packages/pdtutor/data/reference"


def test_a_package_without_data_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "pdtutor")
    with pytest.raises(FileNotFoundError, match="reinstall"):
        resources.data_path("reference")


# What an installed package fetches

CHECKPOINTS = "runs/pcfg-teacher/checkpoints-seed1"
CONTENT = {f"{CHECKPOINTS}/trajectory.json": b"{}", f"{CHECKPOINTS}/step 1.safetensors": b"weights"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installed package whose data lack two files, the folder that has them, and an empty cache."""
    data, published = tmp_path / "site-packages/pdtutor/data", tmp_path / "published/data"
    (data / "runs/pcfg-teacher").mkdir(parents=True)
    (data / "runs/pcfg-teacher/history.csv").write_text("step", encoding="utf-8")
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in CONTENT.items()]
    (data / resources.PINNED).write_text("".join(lines), encoding="utf-8")
    for name, content in CONTENT.items():
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        (published / name).write_bytes(content)
    monkeypatch.setattr(resources, "PACKAGE", data.parent)
    monkeypatch.setenv("PDTUTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PDTUTOR_DATA", raising=False)
    return published


@pytest.fixture
def server(installed):
    """The address of a server on this machine for the folder above data/."""
    handler = partial(Quiet, directory=str(installed.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def fetched() -> dict[str, bytes]:
    folder = resources.data_path(CHECKPOINTS)
    return {f"{CHECKPOINTS}/{path.name}": path.read_bytes() for path in folder.iterdir()}


def test_checkpoints_are_fetched_once_from_a_folder_or_a_server(installed, server, monkeypatch, tmp_path):
    for source in (str(installed), f"{server}/data/"):
        monkeypatch.setenv("PDTUTOR_CACHE", str(tmp_path / source.rpartition(":")[2].replace("/", "-")))
        monkeypatch.setenv("PDTUTOR_DATA", source)
        assert fetched() == CONTENT
        monkeypatch.setenv("PDTUTOR_DATA", str(tmp_path / "nowhere"))
        assert fetched() == CONTENT
    assert resources.data_path("runs/pcfg-teacher") == resources.PACKAGE / "data/runs/pcfg-teacher"


def test_a_damaged_file_in_the_cache_is_fetched_again(installed, monkeypatch):
    monkeypatch.setenv("PDTUTOR_DATA", str(installed))
    (resources.data_path(CHECKPOINTS) / "trajectory.json").write_bytes(b"{")
    assert fetched() == CONTENT


def test_another_file_of_that_name_is_refused_and_not_kept(installed, monkeypatch, tmp_path):
    (installed / CHECKPOINTS / "trajectory.json").write_bytes(b"[]")
    monkeypatch.setenv("PDTUTOR_DATA", str(installed))
    with pytest.raises(ConnectionError, match=r"trajectory\.json: this is not the file that belongs to this version"):
        resources.data_path(CHECKPOINTS)
    assert not list((tmp_path / "cache").rglob("trajectory.json"))


def test_without_a_network_it_says_what_to_do(installed, server, monkeypatch):
    monkeypatch.setenv("PDTUTOR_DATA", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"(?s)trajectory.json does not travel.*127\.0\.0\.1:9.*set PDTUTOR_DATA"):
        resources.data_path(CHECKPOINTS)
    monkeypatch.setenv("PDTUTOR_DATA", f"{server}/elsewhere")
    with pytest.raises(ConnectionError, match="404"):
        resources.data_path(CHECKPOINTS)


def test_the_repository_is_asked_at_the_tag_of_this_version_and_then_at_main(installed, server, monkeypatch):
    class About(dict):
        def get_all(self, name, default):
            return self[name]

    def about(address):
        links = ["Documentation, https://example.org", f"Repository, {address}"]
        monkeypatch.setattr(resources, "metadata", lambda name: About({"Version": "1.2.3", "Project-URL": links}))

    about("https://github.com/OWNER/pdtutor")
    with pytest.raises(ConnectionError, match="does not know the address of its repository"):
        resources.data_path(CHECKPOINTS)
    about("https://github.com/a/b")
    assert resources._sources() == ["https://github.com/a/b/raw/v1.2.3/data", "https://github.com/a/b/raw/main/data"]
    about(server)
    (installed.parent / "raw/main").mkdir(parents=True)  # a fork without tags
    (installed.parent / "raw/main/data").symlink_to(installed)
    assert fetched() == CONTENT


def test_what_is_fetched_is_pinned():
    """To renew the list, in data/: sha256sum runs/*/checkpoints-*/* > fetched.sha256."""
    files = sorted(path for path in (ROOT / "data").glob("runs/*/checkpoints-*/*"))
    pinned = dict(resources._pinned(ROOT / "data"))
    assert list(pinned) == [path.relative_to(ROOT / "data").as_posix() for path in files]
    for path, digest in zip(files, pinned.values(), strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, path
