"""Paths as people write them, and files that are complete or absent: written under a temporary name, then renamed."""

import json
import os
from pathlib import Path


def user_path(path: str | Path) -> Path:
    """Return the path with the user's home for a leading `~`, which a shell leaves as it is in `--out=~/run`.

    `~name` is that user's home; as in a shell, it stays as it is if there is no such user. Raises ValueError for `~` if
    no home is known.
    """
    path = Path(path)
    try:
        return path.expanduser()
    except RuntimeError:
        if path.parts[0] != "~":
            return path
        raise ValueError(f"{path}: no home folder is known for ~; set HOME, or write the path without ~") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: if the process is killed or the disk is full, any earlier file stays as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_temporary(folder: Path) -> None:
    """Remove the unfinished temporary files that killed processes have left in a folder."""
    for path in folder.glob(".*.tmp"):
        path.unlink()


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file atomically. Raises ValueError for NaN and infinity, which JSON doesn't have."""
    write_bytes(path, json.dumps(content, indent=1, allow_nan=False).encode())


def read_json(path: Path) -> dict:
    """Return the content of a JSON file. Raises ValueError, naming the file, if it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable as JSON ({error}); was it truncated?") from error
