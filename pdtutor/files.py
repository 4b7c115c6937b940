"""Files that are whole or absent: written under a temporary name, then renamed."""

import json
import os
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file atomically: a kill or a full disk leaves the earlier file, if any, as it was."""
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
    """Remove what a killed process left of files that it hadn't finished."""
    for path in folder.glob(".*.tmp"):
        path.unlink()


def write_json(path: Path, content: dict) -> None:
    """Write JSON atomically. NaN has no place in JSON and raises ValueError."""
    write_bytes(path, json.dumps(content, indent=1, allow_nan=False).encode())


def read_json(path: Path) -> dict:
    """Return the file's object. Raises ValueError naming the file if it is missing or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable as JSON ({error}); was it truncated?") from error
