"""Each lesson is a pair: the .py is the source, the .ipynb the same cells with the outputs of a clean run."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import nbformat
from jupytext.cli import jupytext as jupytext_cli

from pdtutor.course import lessons
from pdtutor.course.execute import execute


def rerun(source: Path, *, root: Path) -> str:
    """Execute `source` and store its outputs in the .ipynb; or, with the pair untouched, what failed."""
    with tempfile.TemporaryDirectory() as folder:
        updated = _updated_copy(source, root, Path(folder))
        with tempfile.TemporaryDirectory() as empty:
            run = execute(lessons.read(updated), name=source.stem, folder=Path(empty))
        if not run.failure:
            nbformat.write(run.notebook, source.with_suffix(".ipynb"))
    return run.failure


def faults(source: Path, *, root: Path) -> list[str]:
    """What is wrong with the pair: out of step, not run in order, errors stored, shared cells changed."""
    stored = source.with_suffix(".ipynb")
    if not stored.exists():
        return [f"{stored.name} is missing: run `make notebooks`"]
    with tempfile.TemporaryDirectory() as folder:
        in_step = _updated_copy(source, root, Path(folder)).read_bytes() == stored.read_bytes()
    found = [] if in_step else [f"{stored.name} is not in step with {source.name}: run `make notebooks`"]
    notebook = nbformat.read(stored, as_version=4)
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the header names no kernel (kernelspec: python3), so JupyterLab would ask for one")
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for number, cell in enumerate(code, start=1):
        if cell.execution_count != number:
            found.append(f"code cell {number} has count {cell.execution_count}: not run once and in order")
            break
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        found.append("an error is stored among the outputs")
    if any(lessons.without_progress(cell.outputs) != cell.outputs for cell in code):
        found.append("a progress bar or the error stream is stored among the outputs")
    address = lessons.address(root)
    for tag, text in lessons.shared_cells(source, root, address).items():
        try:
            if lessons.tagged(notebook, tag).source != text:
                command = f"python -m pdtutor.course stamp --address {address}"
                found.append(f"the cell tagged {tag!r} is not the shared one: run `{command}`")
        except ValueError as error:
            found.append(str(error))
    return found


def orphans(root: Path) -> list[Path]:
    """The .ipynb files under notebooks/ that have no .py."""
    return [
        path
        for path in sorted((root / "notebooks").glob("**/*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts and not path.with_suffix(".py").exists()
    ]


def _updated_copy(source: Path, root: Path, folder: Path) -> Path:
    """The .ipynb that jupytext makes of `source` and its stored outputs, in `folder`: the clone stays."""
    for path in (root / "jupytext.toml", source.with_suffix(".ipynb"), source):
        if path.exists():
            shutil.copy(path, folder)
    return update(folder / source.name)


def update(source: Path) -> Path:
    """The .ipynb of `source`, brought in step with it; the outputs of cells that did not change are kept."""
    # Never `--sync`: it trusts the files' times, which a fresh clone doesn't keep.
    jupytext_cli(["--quiet", "--to", "ipynb", "--update", str(source)])
    return source.with_suffix(".ipynb")
