"""pdtutor.course: what a lesson is, its run, its pair of .py and .ipynb, and the stamp with the public address."""

import ast
import json
import os
import re
import subprocess
import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pdtutor.course import __main__ as command
from pdtutor.course import build, lessons, pair, stamp
from pdtutor.course.claims import MIME
from pdtutor.course.execute import Execution, execute

ROOT = Path(__file__).parents[2]
REAL_LESSONS = sorted((ROOT / "notebooks").glob("**/*.py"))
ADDRESS = "https://github.com/OWNER/pdtutor"

# Cells of a small lesson. Its claims are displayed as data, so that these tests need not import torch.
SHOW_CLAIMS = """\
from IPython.display import display
row = {{"claim": "two is even", "paper": "even", "measured": "2", "spread": "", "chance": "", "seeds": 0}}
row["verdict"] = "{verdict}"
display({{"text/plain": "claims", "application/vnd.pdtutor.claims+json": {{"claims": [row]}}}}, raw=True)"""
NOISE = """\
import sys
from tqdm.auto import tqdm
for _ in tqdm(range(3)):
    pass
print("a warning", file=sys.stderr)
print("kept")"""


def lesson(*code: str, path: str = "notebooks/01_tiny.ipynb") -> nbformat.NotebookNode:
    badge = lessons.BADGE.format(slug="OWNER/pdtutor", path=path)
    setup = lessons.SETUP.format(address=ADDRESS, placeholder=lessons.PLACEHOLDER)
    cells = [
        new_markdown_cell("# A tiny lesson"),
        new_markdown_cell(badge, metadata={"tags": ["badge"]}),
        new_markdown_cell("Two numbers, *added*. And more."),
        new_code_cell(setup, metadata={"tags": ["setup"]}),
        *map(new_code_cell, code),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def write_lesson(root: Path, *code: str, name: str = "01_tiny") -> Path:
    """Write a lesson's .py as its author would, and return its path."""
    source = root / "notebooks" / f"{name}.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    notebook = lesson(*code, path=source.with_suffix(".ipynb").relative_to(root).as_posix())
    config = jupytext.config.load_jupytext_config(str(source))
    source.write_text(jupytext.writes(notebook, fmt="py:percent", config=config), encoding="utf-8")
    return source


@pytest.fixture
def clone(tmp_path):
    for name in ("pyproject.toml", "jupytext.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    # The real clone may hold the address of a fork.
    text = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text.replace(lessons.address(tmp_path), ADDRESS), encoding="utf-8")
    (tmp_path / "README.md").write_text(
        f"[![ci]({ADDRESS}/actions/workflows/ci.yml/badge.svg)]({ADDRESS}) git clone {ADDRESS}.git\n"
        f"[Colab](https://colab.research.google.com/github/OWNER/pdtutor/blob/main/notebooks/01_tiny.ipynb)\n"
        f"[Kaggle](https://kaggle.com/kernels/welcome?src={ADDRESS}/blob/main/notebooks/01_tiny.ipynb)\n"
        f"[Binder](https://mybinder.org/v2/gh/OWNER/pdtutor/main?urlpath=lab/tree/notebooks/01_tiny.ipynb)\n",
        encoding="utf-8",
    )
    (tmp_path / "CITATION.cff").write_text(f'repository-code: "{ADDRESS}"\n', encoding="utf-8")
    return tmp_path


@pytest.fixture
def stored(clone):
    """Return the .py and .ipynb of a lesson, with the outputs of a clean run, but made without a kernel."""
    source = write_lesson(clone, "1 + 1", 'print("kept")')
    target = pair.update(source)
    notebook = nbformat.read(target, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    code[1].outputs = [new_output("execute_result", {"text/plain": "2"}, execution_count=2)]
    nbformat.write(notebook, target)
    return source, target


def edit(path: Path, change) -> None:
    notebook = nbformat.read(path, as_version=4)
    change([cell for cell in notebook.cells if cell.cell_type == "code"])
    nbformat.write(notebook, path)


# Real lessons


@pytest.mark.parametrize("source", REAL_LESSONS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_lesson_carries_the_shared_cells(source):
    for path in (source, source.with_suffix(".ipynb")):
        for tag, text in lessons.shared_cells(path, ROOT, lessons.address(ROOT)).items():
            assert lessons.tagged(lessons.read(path), tag).source == text, f"the {tag} cell of {path}"


# What a lesson is


@pytest.mark.parametrize(
    "spelling",
    [
        "https://github.com/some-course/pdtutor",
        "https://github.com/some-course/pdtutor.git",
        "https://user@github.com/some-course/pdtutor/",
        "git@github.com:some-course/pdtutor.git",
        "git@github.com:some-course/pdtutor",
        "ssh://git@github.com/some-course/pdtutor.git",
        "ssh://git@github.com:22/some-course/pdtutor.git\n",
    ],
)
def test_slug_reads_every_spelling_of_a_github_address(spelling):
    assert lessons.slug(spelling) == "some-course/pdtutor"


@pytest.mark.parametrize(
    "other", ["https://gitlab.com/a/b", "git@example.org:a/b.git", "/srv/pdtutor.git", "https://notgithub.com/a/b", ""]
)
def test_slug_refuses_what_colab_cannot_open(other):
    with pytest.raises(ValueError, match="GitHub only"):
        lessons.slug(other)


def test_heading_is_the_title_and_the_first_sentence_of_prose():
    assert lessons.heading(lesson()) == ("A tiny lesson", "Two numbers, *added*.")
    assert lessons.heading(new_notebook(cells=[new_code_cell("1")])) == ("", "")


def test_tagged_wants_exactly_one_cell():
    notebook = lesson()
    with pytest.raises(ValueError, match="0 cells are tagged 'other'"):
        lessons.tagged(notebook, "other")
    notebook.cells += notebook.cells
    with pytest.raises(ValueError, match="2 cells are tagged 'setup'"):
        lessons.tagged(notebook, "setup")


def test_a_later_display_of_claims_replaces_an_earlier():
    def display(*rows):
        claims = [{"claim": claim, "verdict": verdict} for claim, verdict in rows]
        return new_code_cell("", outputs=[new_output("display_data", {MIME: {"claims": claims}})])

    notebook = new_notebook(
        cells=[display(("a", "partly")), new_markdown_cell("…"), display(("a", "holds"), ("b", "holds"))]
    )
    assert lessons.claims(notebook)[["claim", "verdict"]].values.tolist() == [["a", "holds"], ["b", "holds"]]


# The set-up cell


def setup_cell(address=ADDRESS) -> str:
    return lessons.SETUP.format(address=address, placeholder=lessons.PLACEHOLDER)


def run_setup(monkeypatch, address, installed=("pdtutor", "torch", "numpy"), error=""):
    """Run the cell where these packages are installed, and return what it asks pip for; pip fails with the error."""
    calls = []

    def run(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, int(bool(error)), "", error)

    specs = {name: ModuleSpec(name, None, origin=f"/site/{name}/__init__.py") for name in installed}
    specs |= {"pdtutor": ModuleSpec("pdtutor", None)} if "a folder called pdtutor" in installed else {}
    monkeypatch.setattr("importlib.util.find_spec", specs.get)
    monkeypatch.setattr("importlib.metadata.version", {"torch": "2.6.0+cu124", "numpy": "2.0.2"}.__getitem__)
    monkeypatch.setattr(subprocess, "run", run)
    exec(setup_cell(address), {})
    return calls


def test_setup_does_nothing_where_pdtutor_is_installed(monkeypatch, capfd):
    assert run_setup(monkeypatch, ADDRESS) == []
    assert capfd.readouterr() == ("", "")


def test_setup_installs_pdtutor_and_pins_torch_and_numpy(monkeypatch):
    [call] = run_setup(monkeypatch, "https://github.com/a/b", installed=("torch", "numpy"))
    assert call[:4] == [sys.executable, "-m", "pip", "install"]
    assert call[-3:] == ["pdtutor[hub] @ git+https://github.com/a/b", "torch==2.6.0+cu124", "numpy==2.0.2"]
    [call] = run_setup(monkeypatch, "https://github.com/a/b", installed=())
    assert call[-1] == "pdtutor[hub] @ git+https://github.com/a/b"


def test_setup_takes_the_released_package_before_the_address_is_known(monkeypatch):
    [call] = run_setup(monkeypatch, ADDRESS, installed=("numpy",))
    assert call[-2:] == ["pdtutor[hub]", "numpy==2.0.2"]


def test_setup_is_not_fooled_by_a_folder_of_that_name(monkeypatch):
    """A clone in the current folder looks like a package without code."""
    assert len(run_setup(monkeypatch, ADDRESS, installed=("a folder called pdtutor",))) == 1


@pytest.mark.parametrize("address", [ADDRESS, "https://github.com/a/b"])
def test_setup_says_in_plain_words_what_to_do_where_pip_fails(monkeypatch, address):
    with pytest.raises(ImportError, match=r"(?s)could not install .*No matching.*What you can do.*network.*make stamp"):
        run_setup(monkeypatch, address, installed=(), error="ERROR: No matching distribution found")


def test_setup_runs_on_an_older_python_as_far_as_its_message():
    """So that pip can say which Python it needs; and no line is IPython's own, whose versions differ."""
    ast.parse(setup_cell(), feature_version=(3, 8))
    assert not re.search(r"^\s*[%!]", setup_cell(), flags=re.MULTILINE)


# The header


def test_lessons_with_transformers_ask_for_a_gpu_and_no_others():
    for source in REAL_LESSONS:
        asks = source.parent.name == "notebooks" and source.stem[:3] in ("03b", "04_", "05_", "05b")
        for path in (source, source.with_suffix(".ipynb")):
            metadata = lessons.read(path).metadata
            assert (metadata.get("accelerator") == "GPU") == asks, path
            assert ("kaggle" in metadata) == asks, path
            assert not asks or (metadata.colab.gpuType, metadata.kaggle.isGpuEnabled) == ("T4", True), path


def test_what_the_header_asks_for_survives_a_run_and_the_stamp(clone):
    source = write_lesson(clone, "1 + 1")
    header = "#   accelerator: GPU\n#   colab:\n#     gpuType: T4\n#   kaggle:\n#     isGpuEnabled: true\n"
    text = source.read_text(encoding="utf-8").replace("# jupyter:\n", f"# jupyter:\n{header}")
    source.write_text(text, encoding="utf-8")
    command.notebooks(root=clone)
    stamp.stamp(clone, "https://github.com/some-course/fork")
    assert header in source.read_text(encoding="utf-8")
    metadata = nbformat.read(source.with_suffix(".ipynb"), as_version=4).metadata
    assert (metadata.accelerator, metadata.colab, metadata.kaggle) == ("GPU", {"gpuType": "T4"}, {"isGpuEnabled": True})
    assert pair.faults(source, root=clone) == []


# Running


def test_execute_names_the_cell_that_fails_and_keeps_the_rest(tmp_path):
    cells = [new_code_cell(NOISE), new_markdown_cell("…"), new_code_cell("1 / 0"), new_code_cell("2")]
    notebook = new_notebook(cells=cells)
    run = execute(notebook, name="01_tiny", folder=tmp_path)
    assert run.failure.startswith("01_tiny, code cell 2: ZeroDivisionError: division by zero\n")
    noisy, _, failing, after = run.notebook.cells
    assert [(output.output_type, output.get("text")) for output in noisy.outputs] == [("stream", "kept\n")]
    assert failing.outputs[0].ename == "ZeroDivisionError"
    assert after.execution_count is None
    assert not set(run.notebook.metadata) & {"widgets", "language_info"}
    assert "execution" not in noisy.metadata


@pytest.mark.parametrize("where", ["JUPYTER_PATH", "JUPYTER_DATA_DIR"])
def test_execute_runs_in_its_own_environment_whatever_kernels_there_are(tmp_path, monkeypatch, where):
    other = tmp_path / "kernels/python3"
    other.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv(where, str(tmp_path))
    run = execute(new_notebook(cells=[new_code_cell("import sys; print(sys.prefix)")]), name="01", folder=tmp_path)
    assert run.failure == ""
    assert run.notebook.cells[0].outputs[0].text.strip() == sys.prefix


def test_the_lab_starts_kernels_of_its_own_environment(tmp_path, monkeypatch):
    """By the name `python3`, although JUPYTER_PATH, which clusters set, has another of that name."""
    for name in ("theirs/kernels/python3", "theirs/kernels/julia"):
        (tmp_path / name).mkdir(parents=True)
        spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Other", "language": "python"}
        (tmp_path / name / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    recipe = re.search(r"^lab:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    recipe = recipe.replace("$(CURDIR)", str(tmp_path)).replace("$$", "$")

    def says(command: str) -> str:
        """Return what a command prints in the place of `jupyter lab`, with its environment."""
        run = ["sh", "-c", recipe.replace("$(BIN)/jupyter", f"{command} #")]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout

    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "theirs"))
    kernels = json.loads(says(f"{sys.executable} -m jupyter_client.kernelspecapp list --json"))["kernelspecs"]
    assert kernels["python3"]["resource_dir"] == str(tmp_path / ".venv/share/jupyter/kernels/python3")
    assert "julia" in kernels
    monkeypatch.delenv("JUPYTER_PATH")
    assert says("printenv JUPYTER_PATH").strip() == str(tmp_path / ".venv/share/jupyter")


def test_execute_leaves_no_kernel_running(tmp_path):
    notebook = new_notebook(cells=[new_code_cell("import os; print(os.getpid())")])
    execute(notebook, name="01", folder=tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int(notebook.cells[0].outputs[0].text), 0)


def test_execute_fails_on_a_figure_that_cannot_be_drawn(tmp_path):
    """IPython shows such an error but counts the cell as a success."""
    cell = "class Broken:\n    def _repr_html_(self):\n        raise ValueError('no picture')\nBroken()"
    run = execute(new_notebook(cells=[new_code_cell(cell)]), name="01_tiny", folder=tmp_path)
    assert run.failure.startswith("01_tiny, code cell 1: ValueError: no picture")


@pytest.mark.parametrize("verdict", ["reproduced", "partly", "not reproduced"])
def test_build_writes_pages_index_and_claims(clone, verdict, capsys):
    """A claim that was not reproduced is a result like any other."""
    source = write_lesson(clone, SHOW_CLAIMS.format(verdict=verdict))
    before = source.read_text(encoding="utf-8")
    out = clone / "build"
    command.build(root=clone, out=out)
    [row] = pd.read_csv(out / "claims.csv", keep_default_na=False).to_dict("records")
    numbers = {"measured": 2, "spread": "", "chance": "", "seeds": 0}
    assert row == {"claim": "two is even", "paper": "even", **numbers, "verdict": verdict}
    index = (out / "course/index.html").read_text(encoding="utf-8")
    wanted = [f"Claims: 1 {verdict}.", "What the paper reports", "<td>exact</td>", f">{verdict}</td>"]
    for text in ('href="01_tiny.html"', "A tiny lesson", "Two numbers, <em>added</em>.", *wanted):
        assert text in index
    page = (out / "course/01_tiny.html").read_text(encoding="utf-8")
    assert "A tiny lesson" in page
    assert f"two is even | even | 2 | {verdict}" in " ".join(capsys.readouterr().out.split())
    assert [path.name for path in source.parent.iterdir()] == ["01_tiny.py"]
    assert source.read_text(encoding="utf-8") == before


def test_build_fails_where_a_verdict_is_not_the_stored_one(clone):
    source = write_lesson(clone, SHOW_CLAIMS.format(verdict="reproduced"))
    assert pair.rerun(source, root=clone) == ""
    command.build(root=clone, out=clone / "build")
    changed = source.read_text(encoding="utf-8").replace('"reproduced"', '"partly"')
    source.write_text(changed, encoding="utf-8")
    with pytest.raises(SystemExit, match="verdict changed: two is even: partly, stored: reproduced"):
        command.build(root=clone, out=clone / "build")
    index = (clone / "build/course/index.html").read_text(encoding="utf-8")
    assert "changed: two is even: partly, stored: reproduced" in index
    source.write_text(changed.replace("two is even", "two is odd"), encoding="utf-8")
    with pytest.raises(
        SystemExit, match=r"(?s)two is even: missing, stored: reproduced.*two is odd: partly, stored: missing"
    ):
        command.build(root=clone, out=clone / "build")


def test_build_goes_on_after_a_lesson_that_fails(clone, monkeypatch):
    write_lesson(clone, "1 / 0", name="01_bad")
    write_lesson(clone, "2", name="02_good")

    def fake(notebook, *, name, folder, **options):
        return Execution(notebook, 61, "01_bad, code cell 2: …" if name == "01_bad" else "")

    monkeypatch.setattr(build, "execute", fake)
    with pytest.raises(SystemExit, match="01_bad, code cell 2"):
        command.build(root=clone, out=clone / "build")
    index = (clone / "build/course/index.html").read_text(encoding="utf-8")
    assert "01_bad, code cell 2" in index
    assert (clone / "build/course/02_good.html").exists()
    assert "1 min 1 s" in index


def test_an_interrupted_build_ends_at_once_and_in_one_line(clone, monkeypatch, capsys):
    for name in ("01_stopped", "02_running"):
        write_lesson(clone, "2", name=name)
    running, released, ended = (threading.Event() for _ in range(3))

    def lesson(source, **_):
        if source.stem == "01_stopped":
            running.wait(timeout=20)
            raise KeyboardInterrupt
        running.set()
        released.wait(timeout=20)
        ended.set()

    def left(status):
        assert not ended.is_set()
        raise SystemExit(status)

    monkeypatch.setattr(build, "run_lesson", lesson)
    monkeypatch.setattr(command.os, "_exit", left)
    monkeypatch.setattr(sys, "argv", ["course", "build", "--root", str(clone), "--out", str(clone / "out"), "--jobs=2"])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    released.set()
    assert stopped.value.code == 130
    assert capsys.readouterr().err.strip() == "interrupted"


@pytest.mark.parametrize(("jobs", "threads"), [(2, 2), (4, 1), (8, 1)])
def test_build_runs_lessons_side_by_side_and_shares_the_cores(clone, monkeypatch, jobs, threads):
    for number in range(jobs):
        write_lesson(clone, "2", name=f"0{number}_lesson")
    together, given = threading.Barrier(jobs, timeout=20), []

    def fake(notebook, *, name, folder, line, threads):
        together.wait()  # goes on when all are there
        given.append((name, line, threads))
        return Execution(notebook, 1, "")

    monkeypatch.setattr(build, "execute", fake)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    command.build(root=clone, out=clone / "build", jobs=jobs)
    assert sorted(given) == [(f"0{number}_lesson", number, threads) for number in range(jobs)]
    with pytest.raises(ValueError, match="jobs must be a whole number of at least 1, got 0"):
        command.build(root=clone, out=clone / "build", jobs=0)


@pytest.mark.parametrize(("asked", "said"), [(None, "3"), ("7", "7")])
def test_a_lesson_computes_with_its_threads_unless_the_environment_says_otherwise(tmp_path, monkeypatch, asked, said):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    cell = new_code_cell("import os; print(os.environ['OMP_NUM_THREADS'])")
    run = execute(new_notebook(cells=[cell]), name="01", folder=tmp_path, threads=3)
    assert run.notebook.cells[0].outputs[0].text.strip() == said


def test_a_folder_without_lessons_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="top of the clone"):
        command.build(root=tmp_path, out=tmp_path / "build")


def test_text_table_wraps_to_the_terminal():
    row = {"claim": "word " * 30, "paper": "p", "measured": "m " * 40, "seeds": 3, "verdict": "not reproduced"}
    lines = build.as_text(pd.DataFrame([row]), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["claim", "|", "paper", "|", "measured", "|", "verdict"]
    assert "not reproduced" in lines[2]
    assert " ".join(lines[2:]).count("word") == 30


# The pair


def test_notebooks_stores_a_clean_run_and_a_second_changes_nothing(clone):
    source = write_lesson(clone, NOISE, "1 + 1")
    command.notebooks(root=clone)
    first = source.with_suffix(".ipynb").read_bytes()
    assert pair.faults(source, root=clone) == []
    command.pair(root=clone)
    command.notebooks(("01_tiny",), root=clone)
    assert source.with_suffix(".ipynb").read_bytes() == first
    with pytest.raises(ValueError, match="no lesson called"):
        command.notebooks(("09_none",), root=clone)


def test_a_failing_lesson_keeps_its_stored_outputs(stored, clone):
    source, target = stored
    source.write_text(source.read_text(encoding="utf-8").replace("1 + 1", "1 / 0"), encoding="utf-8")
    before = target.read_bytes()
    with pytest.raises(SystemExit, match="01_tiny, code cell 2: ZeroDivisionError"):
        command.notebooks(root=clone)
    assert target.read_bytes() == before


def test_a_clean_pair_has_no_fault(stored, clone):
    assert pair.faults(stored[0], root=clone) == []


def set_count(code):
    code[1].execution_count = 7


def unexecute(code):
    code[2].execution_count = None


def store_error(code):
    code[2].outputs = [new_output("error", ename="E", evalue="", traceback=[])]


def store_noise(code):
    code[2].outputs = [new_output("stream", name="stderr", text="…")]


def change_setup(code):
    code[0].source += "\nimport os"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (set_count, "code cell 2 has count 7"),
        (unexecute, "code cell 3 has count None"),
        (store_error, "an error is stored"),
        (store_noise, "progress bar"),
        (change_setup, "'setup' is not the shared one"),
    ],
)
def test_pair_finds_what_is_wrong_with_the_notebook(stored, clone, change, fault):
    source, target = stored
    edit(target, change)
    assert any(fault in found for found in pair.faults(source, root=clone))
    with pytest.raises(SystemExit, match=fault):
        command.pair(root=clone)


@pytest.mark.parametrize(("old", "new"), [("1 + 1", "1 + 2"), ("Two numbers", "Three numbers")])
def test_pair_finds_an_edited_source(stored, clone, old, new):
    source, _ = stored
    source.write_text(source.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert pair.faults(source, root=clone) == ["01_tiny.ipynb is not in step with 01_tiny.py: run `make notebooks`"]


def test_pair_finds_missing_halves(stored, clone):
    _, target = stored
    target.rename(clone / "notebooks/02_alone.ipynb")
    with pytest.raises(SystemExit, match=r"01_tiny\.ipynb is missing(.|\n)*02_alone\.ipynb: has no \.py"):
        command.pair(root=clone)


# The stamp


def test_stamp_reaches_every_place_and_a_second_changes_nothing(stored, clone):
    source, target = stored
    outputs = [cell.get("outputs") for cell in nbformat.read(target, as_version=4).cells]
    changed = stamp.stamp(clone, "https://github.com/some-course/fork")
    places = {"pyproject.toml", "CITATION.cff", "README.md", "01_tiny.py", "01_tiny.ipynb"}
    assert {path.name for path in changed} == places
    for path in changed:
        text = path.read_text(encoding="utf-8")
        assert "OWNER/pdtutor" not in text
        assert "some-course/fork" in text
    assert lessons.address(clone) == "https://github.com/some-course/fork"
    assert pair.faults(source, root=clone) == []
    assert [cell.get("outputs") for cell in nbformat.read(target, as_version=4).cells] == outputs
    assert stamp.stamp(clone, "https://github.com/some-course/fork") == []
    stamp.stamp(clone, ADDRESS)
    assert pair.faults(source, root=clone) == []


def test_stamp_fills_in_cells_that_were_only_tagged(stored, clone):
    source, _ = stored
    notebook = lessons.read(source)
    for tag in ("badge", "setup"):
        lessons.tagged(notebook, tag).source = "# to come"
    jupytext.write(notebook, source, fmt="py:percent")
    command.stamp(address="git@github.com:OWNER/pdtutor.git", root=clone)
    assert pair.faults(source, root=clone) == []


def test_stamp_writes_nothing_when_a_lesson_lacks_a_cell(stored, clone):
    source, _ = stored
    source.write_text(source.read_text(encoding="utf-8").replace('tags=["setup"]', ""), encoding="utf-8")
    before = {path: path.read_bytes() for path in clone.rglob("*.*") if path.is_file()}
    with pytest.raises(ValueError, match=r"01_tiny\.py: 0 cells are tagged 'setup'"):
        stamp.stamp(clone, "https://github.com/some-course/fork")
    assert {path: path.read_bytes() for path in clone.rglob("*.*") if path.is_file()} == before


def test_origin_comes_from_the_clone(clone):
    subprocess.run(["git", "init", "-q", str(clone)], check=True)
    with pytest.raises(ValueError, match="no remote called origin"):
        stamp.origin(clone)
    subprocess.run(["git", "-C", str(clone), "remote", "add", "origin", "git@github.com:a/b.git"], check=True)
    assert stamp.origin(clone) == "https://github.com/a/b"
    subprocess.run(["git", "-C", str(clone), "remote", "set-url", "origin", "https://gitlab.com/a/b"], check=True)
    with pytest.raises(ValueError, match="GitHub only"):
        stamp.origin(clone)


# The workflow that stamps a fork


def run_workflow(clone: Path, outputs: Path) -> None:
    """Run the steps of stamp.yml in the clone, as some-course/fork on GitHub would; what installs is left out."""
    [job] = yaml.safe_load((ROOT / ".github/workflows/stamp.yml").read_text(encoding="utf-8"))["jobs"].values()
    there = {"ADDRESS": "https://github.com/some-course/fork", "GITHUB_REPOSITORY": "some-course/fork"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **there, "GITHUB_OUTPUT": str(outputs), "PATH": path, "PYTHONPATH": str(ROOT)}
    outputs.write_text("", encoding="utf-8")
    for step in job["steps"]:
        wanted = "if" not in step or "other=yes" in outputs.read_text(encoding="utf-8")
        if "run" in step and wanted and "pip install" not in step["run"]:
            subprocess.run(["bash", "-e", "-c", step["run"]], cwd=clone, env=environment, check=True)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout


def test_the_workflow_stamps_a_fork_once_and_never_another_file(stored, clone, tmp_path_factory):
    source, _ = stored
    elsewhere = tmp_path_factory.mktemp("github")
    git(elsewhere, "init", "-q", "--bare", "-b", "main", "fork.git")
    git(clone, "init", "-q", "-b", "main")
    git(clone, "add", ".")
    git(clone, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "as copied")
    git(clone, "remote", "add", "origin", str(elsewhere / "fork.git"))
    git(clone, "push", "-qu", "origin", "main")
    (clone / "left over.txt").write_text("of another step", encoding="utf-8")
    run_workflow(clone, elsewhere / "outputs")
    assert git(elsewhere / "fork.git", "log", "--format=%s") == (
        "Badges and set-up cells open some-course/fork\nas copied\n"
    )
    assert "some-course/fork" in git(elsewhere / "fork.git", "show", "main:notebooks/01_tiny.py")
    assert "left over.txt" not in git(elsewhere / "fork.git", "ls-tree", "--name-only", "main")
    assert pair.faults(source, root=clone) == []
    run_workflow(clone, elsewhere / "outputs")
    assert git(elsewhere / "fork.git", "rev-list", "--count", "main") == "2\n"


def test_the_workflow_may_write_and_starts_at_pushes_to_main_alone():
    workflow = yaml.safe_load((ROOT / ".github/workflows/stamp.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "write"}
    assert workflow[True] == {"push": {"branches": ["main"]}}  # YAML reads `on` as true
