"""Execute lessons, publish the executed notebooks as HTML, and collect their claims."""

import shutil
import tempfile
import textwrap
from collections import Counter
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbformat.v4 import new_markdown_cell

from pdtutor.course import lessons
from pdtutor.course.claims import apart
from pdtutor.course.execute import Execution, execute


def run_lesson(source: Path, *, pages: Path, **options: int) -> tuple[Execution, dict]:
    """Execute a lesson, write its page into `pages`, and return the execution and the lesson's entry for the index.

    Options go to `execute`.
    """
    notebook = lessons.read(source)
    # It runs alone in an empty folder, as on Colab, so that a lesson which needs other files of the clone fails here.
    with tempfile.TemporaryDirectory() as folder:
        run = execute(notebook, name=source.stem, folder=Path(folder), **options)
    title, summary = lessons.heading(notebook)
    title = title or source.stem
    run.notebook.cells.insert(0, new_markdown_cell("[All lessons](index.html)"))
    page = pages / f"{source.stem}.html"
    exporter = HTMLExporter(embed_images=True, require_js_url="", jquery_url="")
    body, _ = exporter.from_notebook_node(run.notebook, resources={"metadata": {"name": title}})
    page.write_text(body, encoding="utf-8")
    entry = {
        "title": title,
        "summary": Markup(markdown2html(summary)),
        "page": page.name,
        "seconds": run.seconds,
        "failure": run.failure,
        "claims": (claims := lessons.claims(run.notebook)).to_dict("records"),
        "tables": {part: rows.to_dict("records") for part, rows in apart(claims).items()},
        "changes": [] if run.failure else changed_verdicts(source, claims),
    }
    return run, entry


def changed_verdicts(source: Path, claims: pd.DataFrame) -> list[str]:
    """Return a line for each claim whose verdict differs from the one stored in the lesson's .ipynb, if there is one.

    A claim that only one of them has counts as changed.
    """
    stored = source.with_suffix(".ipynb")
    if not stored.exists():
        return []
    before, now = (
        dict(zip(table["claim"], table["verdict"], strict=True))
        for table in (lessons.claims(lessons.read(stored)), claims)
    )
    return [
        f"{claim}: {now.get(claim, 'missing')}, stored: {before.get(claim, 'missing')}"
        for claim in {**before, **now}
        if now.get(claim) != before.get(claim)
    ]


def write_index(entries: list[dict], folder: Path) -> Path:
    """Write index.html, with each lesson's title, summary, run time and claims, into `folder`; return its path."""
    template = files("pdtutor.course").joinpath("index.html.j2").read_text(encoding="utf-8")
    verdicts = [row["verdict"] for entry in entries for row in entry["claims"]]
    html = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    page = folder / "index.html"
    page.write_text(
        html.render(
            lessons=entries,
            total=sum(entry["seconds"] for entry in entries),
            verdicts=Counter(verdicts),
            duration=duration,
        ),
        encoding="utf-8",
    )
    return page


def duration(seconds: float) -> str:
    """Return a time as a reader would write it: "45 s" or "3 min 20 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def as_text(table: pd.DataFrame, *, width: int | None = None) -> str:
    """Return the claims as a text table: claim | paper | measured | verdict.

    Cells are wrapped so that a line has at most `width` characters; the terminal's width if not given.
    """
    width = width or shutil.get_terminal_size((110, 24)).columns
    shown = ["claim", "paper", "measured", "verdict"]
    rows = [shown, *table[shown].values.tolist()]
    last = max(len(row[-1]) for row in rows)
    room = max(width - last - 3 * len(" | "), 30)
    widths = [room * 40 // 100, room * 28 // 100, room * 32 // 100, last]
    lines = []
    for row in rows:
        wrapped = [textwrap.wrap(str(cell), size) for cell, size in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            padded = (part.ljust(size) for part, size in zip(parts, widths, strict=True))
            lines.append(" | ".join(padded).rstrip())
        if row is rows[0]:
            lines.append("-+-".join("-" * size for size in widths))
    return "\n".join(lines)
