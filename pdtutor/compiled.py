"""Functions compiled by numba, whose machine code is kept on disk for the next process where there is a place for it.

numba keeps it beside the source or in the user's cache folder, and stops with an error where it can write to neither
(a package installed for all users, a home that doesn't exist), or where a file of it is damaged. Here the code is then
kept in a folder of the user's own among the temporary files or, if that fails too, not at all.
"""

import os
import stat
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config
from numba.core.caching import FunctionCache, NullCache

CONFIG: Any = config  # settings read from the environment, which type checkers do not see
REMEDY = "Set NUMBA_CACHE_DIR to a folder that you may write to"


def compiled(*signatures: Any, **options: Any) -> Callable[[Callable], Any]:
    """Return a decorator that compiles a function as numba's `njit(*signatures, **options, cache=True)` does.

    With signatures the function is compiled for these at once, otherwise when it is first called. No place for the
    machine code and damaged files of it are no errors: there is a RuntimeWarning, once a process, and the function is
    compiled.
    """

    def decorate(function: Callable) -> Any:
        dispatcher: Any = njit(**options)(function)
        if dispatcher is function:  # NUMBA_DISABLE_JIT=1, for debuggers
            return function
        dispatcher._cache = _cache(function)
        for signature in signatures:
            dispatcher.compile(signature)
        if signatures:
            dispatcher.disable_compile()
        return dispatcher

    return decorate


class _Cache(FunctionCache):
    """numba's cache of one function, to which a damaged file or a full disk is no error."""

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling a damaged file may raise nearly anything
            _warn("Files of compiled code are damaged. They are replaced, and the functions compiled anew")
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception:  # a full disk, or a damaged index that can't be replaced: it is read again before
            _warn(f"Compiled code can't be written to {self.cache_path}. {REMEDY}")


def _cache(function: Callable) -> FunctionCache | NullCache:
    """Return where the machine code of a function is kept: numba's own place, a temporary folder, or nowhere."""
    with suppress(RuntimeError, OSError):  # numba's "cannot cache function …: no locator available"
        return _Cache(function)
    if folder := _temporary_folder():
        before, CONFIG.CACHE_DIR = CONFIG.CACHE_DIR, str(folder)
        try:
            cache = _Cache(function)
        except (RuntimeError, OSError):
            pass
        else:
            _warn(f"Neither the package nor a home can be written to: compiled code is kept in {folder}. {REMEDY}")
            return cache
        finally:
            CONFIG.CACHE_DIR = before
    _warn(f"There is no folder to keep compiled code in, so every process compiles it anew. {REMEDY}")
    return NullCache()


def _temporary_folder() -> Path | None:
    """Return a folder among the temporary files that only this user can write to; None if there can't be one.

    What is read from it is executed, so a folder that somebody else has put there won't do.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"pdtutor-compiled-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except (OSError, AttributeError):  # Windows has no getuid
        return None
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    return folder if own else None


@lru_cache
def _warn(text: str) -> None:
    """Warn, once a process for each text."""
    warnings.warn(text, RuntimeWarning, stacklevel=2)
