"""Each lesson is a pair: the .py is the source, the .ipynb the same cells with the outputs of a clean run."""

import shutil
import tempfile
from pathlib import Path

import nbformat
from jupytext.cli import jupytext as jupytext_cli

from pdtutor.course import lessons
from pdtutor.course.execute import execute


def rerun(source: Path, *, root: Path) -> str:
    """Execute `source` and store its outputs in the .ipynb; return what failed, "" if nothing did.

    A lesson that fails leaves its .ipynb as it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        updated = _updated_copy(source, root, Path(folder))
        with tempfile.TemporaryDirectory() as empty:
            run = execute(lessons.read(updated), name=source.stem, folder=Path(empty))
        if not run.failure:
            nbformat.write(run.notebook, source.with_suffix(".ipynb"))
    return run.failure


def faults(source: Path, *, root: Path) -> list[str]:
    """Return what is wrong with the pair: out of step, not run in order, errors stored, shared cells changed."""
    stored = source.with_suffix(".ipynb")
    if not stored.exists():
        return [f"{stored.name} is missing: run `make notebooks`"]
    with tempfile.TemporaryDirectory() as folder:
        in_step = _updated_copy(source, root, Path(folder)).read_bytes() == stored.read_bytes()
    found = [] if in_step else [f"{stored.name} is not in step with {source.name}: run `make notebooks`"]
    notebook = nbformat.read(stored, as_version=4)
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the header must name a kernel (kernelspec: python3), or JupyterLab asks for one")
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for number, cell in enumerate(code, start=1):
        if cell.execution_count != number:
            found.append(f"code cell {number} has count {cell.execution_count}: not run once, from top to bottom")
            break
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        found.append("an error is stored among the outputs")
    if any(lessons.without_progress(cell.outputs) != cell.outputs for cell in code):
        found.append("a progress bar or standard error is stored among the outputs")
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
    """Return the .ipynb files under notebooks/ that have no .py."""
    return [
        path
        for path in sorted((root / "notebooks").glob("**/*.ipynb"))
        if ".ipynb_checkpoints" not in path.parts and not path.with_suffix(".py").exists()
    ]


def _updated_copy(source: Path, root: Path, folder: Path) -> Path:
    """Make the .ipynb of `source` and its stored outputs in `folder`, outside the clone, and return its path."""
    for path in (root / "jupytext.toml", source.with_suffix(".ipynb"), source):
        if path.exists():
            shutil.copy(path, folder)
    return update(folder / source.name)


def update(source: Path) -> Path:
    """Bring the .ipynb of `source` in step with it and return its path; unchanged cells keep their outputs."""
    # Never with `--sync`: it goes by the files' modification times, which a fresh clone doesn't keep.
    jupytext_cli(["--quiet", "--to", "ipynb", "--update", str(source)])
    return source.with_suffix(".ipynb")
