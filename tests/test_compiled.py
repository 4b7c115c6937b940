"""Compiled code is kept where it can be, and what is damaged or can't be written stops nothing."""

import importlib.util
import os
import pickle
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from numba import int64

from pdtutor import compiled

SOURCE = "from pdtutor.compiled import compiled\n\n@compiled()\ndef double(x):\n    return 2 * x\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with a module of one compiled function, temporary files of its own, and warnings not yet given."""
    (tmp_path / "site").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "site/doubling.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    compiled._warn.cache_clear()
    yield tmp_path
    compiled._warn.cache_clear()


@pytest.fixture
def closed(site, monkeypatch):
    """The same where neither the package nor the user's cache folder can be written to, even by root."""
    for name in ("site/__pycache__", "cache"):
        (site / name).write_text("a file, so no folder of this name can be made", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(site / "cache"))
    return site


def double(root: Path):
    """Import the module as a new process would, and return its function."""
    spec = importlib.util.spec_from_file_location("doubling", root / "site/doubling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


def kept(folder: Path, suffix: str = ".nbc") -> list[Path]:
    return sorted(folder.rglob(f"*{suffix}"))


def test_code_is_kept_beside_the_package_and_read_by_the_next_process(site):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = double(site), double(site)
        assert first(2) == 4
        assert second(3) == 6
    assert kept(site / "site/__pycache__")
    assert sum(first.stats.cache_hits.values()) == 0
    assert sum(second.stats.cache_hits.values()) == 1


def test_where_nothing_can_be_written_it_is_kept_among_the_temporary_files(closed):
    with pytest.warns(RuntimeWarning, match="kept in .*pdtutor-compiled-.*NUMBA_CACHE_DIR"):
        first = double(closed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once is enough
        second = double(closed)
    assert first(2) == 4
    assert second(3) == 6
    [folder] = (closed / "tmp").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert kept(folder)
    assert sum(second.stats.cache_hits.values()) == 1


@pytest.mark.parametrize(
    "what", ["no folder for temporary files", "a folder that others may write to", "a link", "Windows"]
)
def test_without_a_safe_folder_it_is_compiled_and_not_kept(closed, what, monkeypatch):
    folder = closed / f"tmp/pdtutor-compiled-{os.getuid()}"
    if what == "a folder that others may write to":
        folder.mkdir()
        folder.chmod(0o777)
    elif what == "a link":
        (closed / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(closed / "elsewhere")
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(closed / "nowhere"))
    if what == "Windows":
        monkeypatch.setattr(tempfile, "tempdir", str(closed / "tmp"))
        monkeypatch.delattr(os, "getuid")
    with pytest.warns(RuntimeWarning, match="every process compiles it anew"):
        function = double(closed)
    assert function(2) == 4
    assert not kept(closed)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_damaged_files_are_replaced(site, suffix, share):
    double(site)(2)
    [file] = kept(site, suffix)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.warns(RuntimeWarning, match="are damaged"):
        assert double(site)(2) == 4
    assert file.stat().st_size > 0.9 * len(whole)  # the code holds a number, which counts what was compiled
    third = double(site)
    assert third(2) == 4
    assert sum(third.stats.cache_hits.values()) == 1


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"cnowhere\nNothing\n.", pickle.dumps("0.0") + b"\x80\x05N.", "5"]
)
def test_damaged_files_of_another_user_stop_nothing(site, monkeypatch, content):
    """Those that can be neither read nor replaced."""
    double(site)(2)
    [index] = kept(site, ".nbi")
    if isinstance(content, str):  # the version that is expected, and then nonsense
        with index.open("rb") as file:
            content = pickle.dumps(pickle.load(file)) + pickle.dumps(pickle.dumps(content))
    index.write_bytes(content)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._open_for_write", denied)
    with pytest.warns(RuntimeWarning, match="can't be written to .*Set NUMBA_CACHE_DIR"):
        assert double(site)(2) == 4
    assert index.read_bytes() == content


def test_a_full_disk_stops_nothing(site, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    function = double(site)
    monkeypatch.setattr(function._cache._cache_file, "save", full)
    with pytest.warns(RuntimeWarning, match="can't be written"):
        assert function(2) == 4


def test_with_signatures_it_is_compiled_at_once_for_these_alone(site):
    def half(x):
        return x // 2

    function = compiled.compiled(int64(int64), nogil=True)(half)
    assert function.signatures == [(int64,)]
    assert function(4) == 2
    with pytest.raises(TypeError, match="No matching definition"):
        function(np.ones(2))


def test_nothing_in_the_package_is_cached_in_another_way():
    package = Path(compiled.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "compiled.py":
            assert not re.search(r"cache=True", path.read_text(encoding="utf-8")), path
