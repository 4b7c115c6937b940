"""The command line: what it suggests, how it fails, and that nothing is trained for settings that can't be trained."""

import contextlib
import io
import os
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest

from pdtutor import MaskedText, cli
from pdtutor.cli import main
from pdtutor.recipes.catalogue import RECIPES, SCALES, recipe, summary
from pdtutor.recipes.settings import check, settings


def ends(arguments: list[str]) -> int:
    """Return the status with which these arguments end, 1 for a message, as for the interpreter."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code if isinstance(ended.value.code, int) else 1


@pytest.fixture
def untrained(monkeypatch):
    """Fail where anything trains."""

    def trained(*_, **__):
        pytest.fail("something was trained")

    recipes = ("recipes.teacher", "recipes.parity_plateau", "recipes.parity_spike", "recipes.pretrained")
    for place in (*recipes, "training.compare"):
        monkeypatch.setattr(f"pdtutor.{place}.train", trained)


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["--version"], [], ["run", "--help"], ["run", "nope"]])
def test_what_needs_no_torch_does_not_import_it(arguments):
    heavy = "{'torch', 'pandas', 'matplotlib', 'numba'} & set(sys.modules)"
    code = f"import sys; from pdtutor.cli import main\ntry: main({arguments})\nfinally: print('heavy', {heavy})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == "heavy set()"


def test_the_version_is_the_packages(capsys):
    assert ends(["--version"]) == 0
    assert capsys.readouterr().out == f"pdtutor {version('pdtutor')}\n"


def test_without_a_command_the_help_is_shown(capsys):
    assert ends([]) == 0
    assert "run one; `pdtutor run RECIPE --help`" in capsys.readouterr().out


def test_the_catalogue_names_the_classes_and_their_first_lines():
    for name, scales in RECIPES.items():
        for scale in SCALES:
            kind = type(scales[scale])
            assert (kind.__doc__ or "").splitlines()[0] == summary(name), name
    assert "no-such-recipe" not in RECIPES


@pytest.mark.parametrize(
    ("arguments", "said", "unsaid"),
    [
        (["run"], ["which recipe?", *RECIPES], []),
        (["run", "--out", "x"], ["which recipe?", *RECIPES], []),
        (["run", "nope"], ["no recipe called 'nope'", *RECIPES], ["did you mean"]),
        (["run", "parity-progresive"], ["'parity-progresive'; did you mean parity-progressive"], ["hierarchical"]),
        (["run", "parity-progresive", "--help"], ["usage: pdtutor run RECIPE", *RECIPES], []),
    ],
)
def test_a_recipe_that_is_missing_or_misspelt_is_suggested(arguments, said, unsaid, capsys):
    if "--help" in arguments:
        main(arguments)
    else:
        assert ends(arguments) == 2
    output = "".join(capsys.readouterr())
    assert all(part in output for part in said)
    assert not any(part in output for part in unsaid)
    assert len(output.splitlines()) < len(RECIPES) + 10 if "parity-100-6" in said else True


@pytest.mark.parametrize(
    ("option", "meant"), [("--teacher.kk", "--teacher.k INT"), ("--widht", "--width INT"), ("--seed", "--seeds INT")]
)
def test_a_misspelt_option_is_suggested_from_this_recipe_alone(option, meant, capsys):
    assert ends(["run", "--out", "x", "parity-progressive", option, "3"]) == 2
    said = capsys.readouterr().err
    assert meant in said
    assert "pdtutor run parity-progressive --help" in said
    assert not any(name in said for name in RECIPES if name != "parity-progressive")


@pytest.mark.parametrize(
    "arguments",
    [
        ["parity-teacher", "--out", "OUT"],
        ["--out", "OUT", "parity-teacher"],
        ["--resume", "parity-teacher", "--out", "OUT"],
        ["--out", "parity-progressive", "parity-teacher"],
        ["parity-teacher", "--out=OUT", "--scale", "smoke"],
    ],
)
def test_options_may_stand_on_both_sides_of_the_recipe(arguments, monkeypatch):
    asked = {}
    monkeypatch.setattr(cli, "execute", lambda name, recipe, **options: asked.update(options, name=name))
    main(["run", *arguments])
    assert asked["name"] == "parity-teacher"
    assert str(asked["out"]) in ("OUT", "parity-progressive")
    assert shlex.split(asked["given"])[-len(arguments) :] == arguments


def test_an_interrupted_run_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "execute", interrupted)
    for resume in ([], ["--resume"]):
        assert ends(["run", "parity-teacher", "--out", "my runs/a", *resume]) == 130
        said = capsys.readouterr().err.strip()
        assert said.endswith("goes on: pdtutor run parity-teacher --out 'my runs/a' --resume")
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ImportError("this needs transformers: pip install 'pdtutor[hub]'"), "error: this needs transformers: pip"),
        (OSError("several\n  lines"), "error: several lines"),
        (TypeError("a mistake\nin pdtutor"), "error: TypeError: a mistake in pdtutor (PDTUTOR_TRACEBACK=1"),
    ],
)
def test_an_error_is_one_line_and_a_traceback_if_one_is_asked_for(error, line, monkeypatch):
    def wrong(*_, **__):
        raise error

    monkeypatch.setattr(cli, "execute", wrong)
    monkeypatch.delenv(cli.TRACEBACK, raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["run", "parity-teacher", "--out", "x"])
    assert ended.value.code.startswith(line)
    assert "\n" not in ended.value.code
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(type(error)):
        main(["run", "parity-teacher", "--out", "x"])


def test_without_transformers_the_recipe_that_needs_it_says_so_in_one_line(monkeypatch, tmp_path, untrained):
    documents = tmp_path / "texts"
    documents.mkdir()
    for i in range(80):
        (documents / f"{i}.txt").write_text(f"document {i} of a small corpus, which says little. " * 8)
    monkeypatch.setenv("PDTUTOR_CACHE", str(tmp_path / "cache"))
    small = ["--corpus", str(documents), "--tokenizer", "characters"]
    assert MaskedText((str(documents),), "characters", 16, 400).tokens  # prepared while all is there
    arguments = ["run", "pretrained-progressive", "--scale", "smoke", *small, "--out", str(tmp_path / "out")]
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SystemExit, match=r"error: .*need transformers: pip install 'pdtutor\[hub\]'$"):
        main(arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_has_no_greek_letters_gets_everything_else(encoding, monkeypatch):
    for arguments in (["list"], ["run", "parity-temperature", "--help"], ["--help"], ["run"]):
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        with contextlib.suppress(SystemExit):
            main(arguments)
        for stream in (out, err):
            stream.flush()
        said = (out.buffer.getvalue() + err.buffer.getvalue()).decode(encoding)
        assert "parity-temperature" in said or "RECIPE" in said


def with_settings(kind: str) -> list[tuple[str, str]]:
    """Return the (recipe, setting) pairs whose setting ends in this name, at smoke scale."""
    return [
        (name, setting)
        for name in RECIPES
        for setting in settings(recipe(name, "smoke"))
        if setting.rpartition(".")[2] == kind
    ]


BAD = {
    "lr": ("-0.1", "must be at least 0"),
    "temperature": ("nan", "must be a finite number"),
    "warmup": ("2", "must be between 0 and 1"),
    "threshold": ("inf", "must be a finite number"),
    "speed": ("-1", "must be at least 0"),
    "steps": ("0", "must be a whole number of at least 1"),
    "batch_size": ("-3", "must be a whole number of at least 1"),
    "width": ("0", "must be a whole number of at least 1"),
    "eval_every": ("0", "must be a whole number of at least 1"),
    "interval": ("0", "must be a whole number of at least 1"),
    "first": ("-1", "must be a whole number of at least 1"),
    "probe_examples": ("0", "must be a whole number of at least 1"),
    "probe_sentences": ("0", "must be a whole number of at least 1"),
    "early": ("-1", "must be a whole number of at least 0"),
}


@pytest.mark.parametrize(
    ("name", "setting"), [pair for kind in BAD for pair in with_settings(kind)], ids=lambda value: value
)
def test_numbers_out_of_range_are_refused_by_name_before_anything_trains(name, setting, tmp_path, untrained):
    value, message = BAD[setting.rpartition(".")[2]]
    option = f"--{setting.replace('_', '-')}={value}"
    with pytest.raises(SystemExit, match=f"^error: {setting} {message}"):
        main(["run", name, "--scale", "smoke", option, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("parity-progressive", ["--decay", "linear"], "decay must be one of"),
        ("parity-temperature", ["--temperatures", "1.0", "-1.0"], "temperatures must be at least 0"),
        ("parity-temperature", ["--interval", "10"], r"needs a teacher's checkpoint in steps 1…10; saved are 0, 50"),
        ("parity-progressive", ["--interval", "10"], r"needs a teacher's checkpoint in steps 1…10; saved are 0, 50"),
        ("parity-100-6", ["--interval", "10"], r"needs a teacher's checkpoint in steps 1…10; saved are 0, 200"),
        ("pcfg-progressive", ["--width", "12"], "width must be a multiple of head_dim = 8, got 12"),
        ("pcfg-progressive", ["--speed", "0"], "speed must be greater than 0"),
        ("pcfg-budgets", ["--runs.1.width", "12"], r"runs\.1: width must be a multiple"),
        ("pcfg-which-checkpoint", ["--checkpoints", "10", "15"], "needs the teacher's checkpoint at step 15"),
    ],
)
def test_students_that_their_teacher_could_not_teach_are_refused_before_it_trains(
    name, options, message, tmp_path, untrained
):
    with pytest.raises(SystemExit, match=message):
        main(["run", name, "--scale", "smoke", *options, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [name for name in RECIPES if not name.startswith(("text", "pretrained"))])
def test_the_recipes_own_numbers_are_in_order(name):
    for scale in SCALES:
        check(recipe(name, scale))


@pytest.mark.parametrize("arguments", [["list"], ["run", "parity-teacher", "--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "pdtutor", *arguments]
    found = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=buffered)
    os.close(writer)
    assert found.stderr == b""
