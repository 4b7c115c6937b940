"""Files that are complete or absent, and checked when they are read, in folders with one writer.

A file is written under a temporary name and then renamed. A JSON file that others depend on ends with the SHA-256 of
its own content, its seal, and it names every other file with its size and SHA-256. So what was changed since, by a
failing disk or by hand, is noticed before anything is computed from it.
"""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from stat import S_ISREG

from filelock import FileLock, Timeout

SEAL = "sha256"  # the key of a JSON file's seal
LOCK = ".in-use.lock"  # held by the process that writes in a folder
OWNER = ".in-use.json"  # says which process that is


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: if the process is killed or the disk is full, any earlier file stays as it was.

    Raises OSError that names the file and says how to go on if the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise OSError(
            error.errno,
            f"no room for {path} ({len(content):,} bytes: {os.strerror(error.errno or 0)}). What was saved before is "
            "intact; once there is room, a resume (resume=True, or --resume) goes on from it",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def clear_temporary(folder: Path) -> None:
    """Remove the unfinished temporary files that killed processes have left in a folder."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file atomically. Raises ValueError for NaN and infinity, which JSON doesn't have."""
    write_bytes(path, json.dumps(content, indent=1, allow_nan=False).encode())


def read_json(path: Path) -> dict:
    """Return the content of a JSON file.

    Raises ValueError, naming the file, if it is missing, not a file, not a JSON object, or holds a number that isn't
    finite.
    """
    _require_file(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:  # which JSONDecodeError and UnicodeDecodeError are, too
        raise ValueError(f"{path} is not readable as JSON ({error}); was it truncated?") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a JSON object")
    return content


def write_sealed(path: Path, content: dict) -> None:
    """Write a JSON file atomically, with its seal."""
    content = json.loads(json.dumps(content, allow_nan=False))  # as it will be read
    write_json(path, content | {SEAL: seal(content)})


def read_sealed(path: Path, formats: Sequence[str | None]) -> dict:
    """Return the content of a JSON file without its seal.

    Args:
        path: the file.
        formats: what its "format" may be; None stands for none. Only the last one must be sealed: it came with seals.

    Raises ValueError, naming the file, as `read_json` does, for another format, and if the seal is wrong or missing.
    """
    content = read_json(path)
    found, given = content.pop(SEAL, None), content.get("format")
    if given not in formats:
        raise ValueError(f"{path} is not in the format {formats[-1]!r}")
    if found != seal(content) and (found is not None or given == formats[-1]):
        raise ValueError(f"{path} was changed after it was written: its content doesn't match its SHA-256")
    return content


def seal(content: dict) -> str:
    """Return the SHA-256 of a JSON object, whatever the order of its keys and the space between them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def entry_of(name: str, content: bytes) -> dict:
    """Return how a JSON file names another file beside it: file, bytes and sha256."""
    return {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def require_entry(entry: object, path: Path) -> None:
    """Raise ValueError, naming the JSON file `path` that holds it, for anything else than `entry_of` returns, and more.

    A file's name is a name: it has no folder in it, and leads nowhere else.
    """
    good = (
        isinstance(entry, dict)
        and isinstance(entry.get("file"), str)
        and re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", entry["file"])
        and is_whole(entry.get("bytes"))
        and isinstance(entry.get("sha256"), str)
        and re.fullmatch("[0-9a-f]{64}", entry["sha256"])
    )
    if not good:
        raise ValueError(f"{path} names a file in a way that it was not written: {str(entry)[:200]}")


def read_entry(folder: Path, entry: dict, what: str) -> bytes:
    """Return the content of the file in this folder that an entry names; its size is compared before it is read.

    Raises ValueError, with `what` it is and its name, if it is missing, not a file, or not what was written.
    """
    require_size(folder, entry, what)
    path = folder / entry["file"]
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ValueError(f"{what} {path} is damaged: its content is not what was written")
    return content


def require_size(folder: Path, entry: dict, what: str) -> None:
    """Raise ValueError, with `what` it is and its name, unless an entry's file is there and as long as it was."""
    path = folder / entry["file"]
    _require_file(path, what)
    if (size := path.stat().st_size) != entry["bytes"]:
        raise ValueError(f"{what} {path} is damaged: it has {size} bytes, {entry['bytes']} were written")


def is_whole(value: object, *, most: float = 2**53) -> bool:
    """Return whether a value that was read is a whole number from 0 to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only process that writes in this folder, which is made if it isn't there, while the block runs.

    The lock is the operating system's, so it ends with its process, however that ends; on network file systems it holds
    between machines where these support locks. Where there are none, it warns and goes on. Raises ValueError at once,
    naming the other process, if there is one.
    """
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"{folder} is in use{_by_whom(folder)}: wait for it, or choose another folder") from None
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        warnings.warn(f"{folder} can't be locked ({error}): let no other process write in it", stacklevel=3)
    try:
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        write_json(folder / OWNER, {"process": os.getpid(), "machine": socket.gethostname(), "since": since})
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        if new and [path.name for path in folder.iterdir()] == [LOCK]:  # nothing came of it
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()  # the file stays: whoever removed it could remove another process's lock


def _by_whom(folder: Path) -> str:
    """Return which process has locked a folder, as far as it says so."""
    try:
        owner = read_json(folder / OWNER)
        return f": process {owner['process']} on {owner['machine']} has been writing in it since {owner['since']}"
    except (ValueError, KeyError, OSError):
        return " by another process"


def _require_file(path: Path, what: str = "") -> None:
    """Raise ValueError unless there is a file at this path: a pipe or a device could be read for ever."""
    name = f"{what} {path}".strip()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ValueError(f"{name} is missing" if what else f"{name} does not exist") from None
    if not S_ISREG(mode):
        raise ValueError(f"{name} is not a file")


def _finite(text: str) -> float:
    """Return the number that this text of a JSON file stands for. Raises ValueError unless it is finite."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return value
