"""What a lesson is: a .py in percent format, its .ipynb, and two cells that all lessons share word for word."""

import re
import tomllib
from pathlib import Path

import jupytext
import pandas as pd
from nbformat import NotebookNode

from pdtutor.course.claims import COLUMNS, MIME

PLACEHOLDER = "OWNER"  # the owner in the address until `make stamp` has been run

# The text of the two shared cells, tagged `badge` and `setup`. Only `make stamp` writes it into the lessons.
BADGE = """\
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{slug}/blob/main/{path})
[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]\
(https://kaggle.com/kernels/welcome?src=https://github.com/{slug}/blob/main/{path})
[![Open in Binder](https://mybinder.org/badge_logo.svg)]\
(https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/{path})"""
SETUP = """\
# Set-up: installs pdtutor where it is missing (Colab, Kaggle), and leaves torch and numpy as they are.
import importlib
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

REPOSITORY = "{address}"
found = find_spec("pdtutor")
if found is None or found.origin is None:  # a mere folder of that name has no origin
    package = "pdtutor[hub]"  # with transformers and datasets, which Colab and Kaggle have
    if "/{placeholder}/" not in REPOSITORY:
        package += f" @ git+{{REPOSITORY}}"
    kept = [f"{{name}}=={{version(name)}}" for name in ("torch", "numpy") if find_spec(name)]
    print(f"Installing {{package}}. This takes a minute …")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", package, *kept]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise ImportError(
            f"pip could not install {{package}}. What it said:\\n\\n{{done.stderr.strip()}}\\n\\n"
            "What you can do: check the network (on Kaggle: Settings, Turn on internet) and run this cell again. "
            "Or download the course, run `pip install` on its folder here, and then this cell again. "
            "If you keep this course on GitHub, run `make stamp` in it once: it tells the lessons where it is."
        )
    importlib.invalidate_caches()"""


def sources(root: Path) -> list[Path]:
    """Return the lessons' .py files, in order. Raises FileNotFoundError if there are none."""
    found = sorted((root / "notebooks").glob("*.py"))
    if not found:
        raise FileNotFoundError(f"no lesson in {(root / 'notebooks').resolve()}: run this at the top of the clone")
    return found


def solutions(root: Path) -> list[Path]:
    """Return the .py files of the solved exercises, in order."""
    return sorted((root / "notebooks" / "solutions").glob("*.py"))


def address(root: Path) -> str:
    """Return the repository's public address from pyproject.toml, the one place from which it is read."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"]


def slug(address: str) -> str:
    """Return `owner/name` of a GitHub address in any of git's spellings.

    Raises ValueError for any other host: Colab opens notebooks from GitHub only.
    """
    address = address.strip()
    match = re.fullmatch(
        r"(?:(?:https?|ssh|git)://)?(?:[^@/]+@)?(?:www\.)?github\.com(?::\d+)?[:/]+([\w.-]+)/([\w.-]+?)(?:\.git)?/?",
        address,
    )
    if match is None:
        raise ValueError(f"the address must be on GitHub, got {address!r}: Colab opens notebooks from GitHub only")
    return "/".join(match.groups())


def shared_cells(path: Path, root: Path, address: str) -> dict[str, str]:
    """Return what the cells tagged `badge` and `setup` must say in the lesson at `path` (.py or .ipynb), by tag.

    Raises ValueError for an address that is not on GitHub.
    """
    notebook = path.with_suffix(".ipynb").resolve().relative_to(root.resolve()).as_posix()
    return {
        "badge": BADGE.format(slug=slug(address), path=notebook),
        "setup": SETUP.format(address=address, placeholder=PLACEHOLDER),
    }


def tagged(notebook: NotebookNode, tag: str) -> NotebookNode:
    """Return the one cell tagged `tag`. Raises ValueError if there is none, or more than one."""
    cells = [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"{len(cells)} cells are tagged {tag!r}; a lesson must have exactly one")
    return cells[0]


def heading(notebook: NotebookNode) -> tuple[str, str]:
    """Return the lesson's title (its first heading) and summary (the first sentence of prose after it), "" if none."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# +(.+)$", text, re.MULTILINE)
    if title is None:
        return "", ""
    paragraphs = (paragraph.strip() for paragraph in re.split(r"\n\s*\n", text[title.end() :]))
    # Prose starts with a letter, a quotation mark, emphasis or mathematics; badges, headings, lists and tables don't.
    prose = next((" ".join(p.split()) for p in paragraphs if re.match(r"[\w$\"“'_]|\*\*?\w", p)), "")
    return title.group(1).strip(), re.split(r"(?<=[.!?:]) (?=[A-Z])", prose)[0]


def claims(notebook: NotebookNode) -> pd.DataFrame:
    """Return the claims that an executed notebook displays, one per row; a later display replaces an earlier one."""
    rows = {
        row["claim"]: row
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for row in output.get("data", {}).get(MIME, {}).get("claims", [])
    }
    return pd.DataFrame(list(rows.values()), columns=COLUMNS)


def without_progress(outputs: list) -> list:
    """Return the outputs without widgets, which are dead once stored, and without standard error: bars, warnings."""
    widget = "application/vnd.jupyter.widget-view+json"
    return [out for out in outputs if out.get("name") != "stderr" and widget not in out.get("data", {})]


def read(path: Path) -> NotebookNode:
    """Return the notebook at `path`, a .py in percent format or an .ipynb."""
    return jupytext.read(path)
