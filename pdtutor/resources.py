"""Where the data that belong to pdtutor are, and the paper's numbers as tables.

A clone has all data. An installed package has all but checkpoints and figures: checkpoints are fetched when they are
asked for, and kept in the user's cache folder. `data/fetched.sha256` lists them as `sha256sum` does.
"""

import hashlib
import os
from collections.abc import Iterator
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pandas as pd
import platformdirs

from pdtutor.files import write_bytes
from pdtutor.validate import shown, user_path

PACKAGE = Path(__file__).resolve().parent
PINNED = "fetched.sha256"
SECONDS = 60  # a server that is silent for so long is given up


def cache_folder() -> Path:
    """Return the folder for downloads and tokens: $PDTUTOR_CACHE if set, else pdtutor's in the user's cache folder."""
    return user_path(os.environ.get("PDTUTOR_CACHE") or platformdirs.user_cache_dir("pdtutor", appauthor=False))


def data_path(name: str = "") -> Path:
    """Return the path of `name` inside data/: at the top of a clone, in the installed package, or in the user's cache.

    What does not travel with the package is fetched: from $PDTUTOR_DATA, a folder or an address, if that is set, and
    otherwise from the repository.

    Raises:
        FileNotFoundError: if `name` doesn't exist; it names what is there.
        ConnectionError: if it has to be fetched and can't be, or isn't what this version expects.
    """
    if not isinstance(name, str | Path):
        raise ValueError(f"name must be that of a file or folder in data/, got {shown(name)}")
    # A wheel carries data/ as pdtutor/data; an editable clone has it beside the package.
    data = next((folder for folder in (PACKAGE / "data", PACKAGE.parent / "data") if folder.is_dir()), None)
    if data is None:
        raise FileNotFoundError(f"no data folder in {PACKAGE} or beside it: reinstall pdtutor")
    path = data / name
    if path.exists():
        return path
    if pinned := {file: digest for file, digest in _pinned(data) if Path(file).is_relative_to(name)}:
        for file, digest in pinned.items():
            _fetch(file, digest, cache_folder() / "data" / file)
        return cache_folder() / "data" / name
    nearest = next(folder for folder in path.parents if folder.is_dir())
    there = ", ".join(sorted(entry.name for entry in nearest.iterdir()))
    raise FileNotFoundError(f"{path} does not exist; {nearest} holds: {there}")


def paper(experiment: str) -> pd.DataFrame:
    """Return the paper's numbers for one experiment ("E1" … "E5"), one per row.

    Columns: quantity, method, at, at_unit, relation, value, tolerance, unit, source and note, which
    data/reference/README.md explains. `at` and `tolerance` are NaN where the paper gives none.

    Raises ValueError for an unknown experiment.
    """
    folder = data_path("reference")
    known = sorted(path.stem for path in folder.glob("*.csv"))
    if experiment not in known:
        raise ValueError(f"no numbers for experiment {experiment!r}; there are numbers for {', '.join(known)}")
    return pd.read_csv(folder / f"{experiment}.csv")


def _pinned(data: Path) -> Iterator[tuple[str, str]]:
    """Yield the files that may have to be fetched, relative to data/, each with its SHA-256."""
    if (data / PINNED).exists():
        for line in (data / PINNED).read_text(encoding="utf-8").splitlines():
            digest, file = line.split(maxsplit=1)
            yield file, digest


def _fetch(file: str, digest: str, path: Path) -> None:
    """Download `file` of data/ to `path`, unless it is there already. Raises ConnectionError, with what to do."""
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
        return
    problems = []
    for source in _sources():
        address = f"{source}/{quote(file)}"
        try:
            with urlopen(address, timeout=SECONDS) as answer:
                content = answer.read()
        except (OSError, HTTPException) as error:
            problems.append(f"{address}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() == digest:
            path.parent.mkdir(parents=True, exist_ok=True)
            return write_bytes(path, content)
        problems.append(f"{address}: this is not the file that belongs to this version of pdtutor")
    raise ConnectionError(
        f"{file} does not travel with the installed package and could not be downloaded:\n  "
        + "\n  ".join(problems or ["this copy of pdtutor does not know the address of its repository"])
        + "\nConnect to the network and try again, or set PDTUTOR_DATA to the data folder of a clone, or to its address"
    )


def _sources() -> list[str]:
    """Return the addresses at which the folder data/ may be found: $PDTUTOR_DATA, else the repository's.

    There the tag of this version comes first, which a fork may not have, and then its main branch.
    """
    if given := os.environ.get("PDTUTOR_DATA"):
        return [given.rstrip("/") if "://" in given else user_path(given).resolve().as_uri()]
    try:
        about = metadata("pdtutor")
    except PackageNotFoundError:  # a copy that was never installed
        return []
    links = dict(link.split(", ", 1) for link in about.get_all("Project-URL", []))
    repository = links.get("Repository", "/OWNER/")
    if "/OWNER/" in repository:  # not yet stamped, see pdtutor/course/stamp.py
        return []
    return [f"{repository}/raw/{version}/data" for version in (f"v{about['Version']}", "main")]
