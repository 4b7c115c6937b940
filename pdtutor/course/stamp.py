"""Write the public address into every place that shows it, so that a fork's badges open the fork."""

import re
import subprocess
from pathlib import Path

import jupytext
import nbformat
from jupytext.config import load_jupytext_config

from pdtutor.course import lessons


def origin(root: Path) -> str:
    """Return the address of the clone's `origin` as https://github.com/owner/name.

    Raises ValueError if there is no such remote or it is not on GitHub.
    """
    answer = subprocess.run(
        ["git", "-C", str(root), "remote", "get-url", "origin"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise ValueError(
            "this clone has no remote called origin: add one with `git remote add origin https://github.com/…`"
        )
    return public_address(answer.stdout)


def public_address(address: str) -> str:
    """Return an address in any of git's spellings as https://github.com/owner/name.

    Raises ValueError if it is not on GitHub.
    """
    return f"https://github.com/{lessons.slug(address)}"


def stamp(root: Path, address: str) -> list[Path]:
    """Write `address` into pyproject.toml, CITATION.cff, the README and every lesson; return the files that changed.

    Stored outputs are kept, and each .py stays in step with its .ipynb.

    Raises ValueError, before anything is written, for a lesson without its `badge` or `setup` cell.
    """
    old, new = lessons.slug(lessons.address(root)), lessons.slug(address)
    after = {}
    for path in (root / "pyproject.toml", root / "CITATION.cff", root / "README.md"):
        text = path.read_text(encoding="utf-8")
        after[path] = re.sub(rf"((?:github(?:\.com)?|/gh)[/:]){re.escape(old)}(?![\w-])", rf"\g<1>{new}", text)
    for source in lessons.sources(root) + lessons.solutions(root):
        for path in (source, source.with_suffix(".ipynb")):
            if path.exists():
                after[path] = _stamped(path, root, address)
    changed = [path for path, text in after.items() if path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(after[path], encoding="utf-8")
    return changed


def _stamped(path: Path, root: Path, address: str) -> str:
    """Return the text of the lesson at `path` (.py or .ipynb) with its shared cells filled in."""
    notebook = lessons.read(path)
    try:
        shared = lessons.shared_cells(path, root, address)
        cells = {text: lessons.tagged(notebook, tag) for tag, text in shared.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if all(cell.source == text for text, cell in cells.items()):
        return path.read_text(encoding="utf-8")
    for text, cell in cells.items():
        cell.source = text
    if path.suffix == ".ipynb":
        return nbformat.writes(notebook) + "\n"
    return jupytext.writes(notebook, fmt="py:percent", config=load_jupytext_config(str(path.resolve())))
