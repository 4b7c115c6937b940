"""A folder says what made it, and takes no second run."""

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import pytest

from pdtutor.cli import main
from pdtutor.recipes.catalogue import recipe
from pdtutor.recipes.provenance import sign
from pdtutor.recipes.settings import settings

NAME = "parity-progressive"


def signed(out, *, name=NAME, scale="smoke", seeds=2, device=None, resume=False, given=None):
    sign(
        out, name, given or recipe(name, scale), scale=scale, seeds=seeds, command="pdtutor run …", device=device,
        resume=resume,
    )  # fmt: skip
    return json.loads((out / "recipe.json").read_text())


def test_a_run_s_folder_says_what_made_it(tmp_path):
    arguments = ["run", "parity-sample-complexity", "--scale", "smoke", "--seeds", "1", "--out", str(tmp_path / "a b")]
    main(arguments)
    found = json.loads((tmp_path / "a b" / "recipe.json").read_text())
    (start,) = found.pop("starts")
    assert len(found.pop("sha256")) == 64
    assert found == {
        "format": "pdtutor recipe 2",
        "recipe": "parity-sample-complexity",
        "scale": "smoke",
        "seeds": 1,
        "settings": {"k": 2, "dims": [9, 15, 21], "max_samples": 2**28},
    }
    assert start["command"] == f"pdtutor run parity-sample-complexity --scale smoke --seeds 1 --out '{tmp_path}/a b'"
    assert start["versions"]["python"] == platform.python_version()
    assert {of: start["versions"][of] for of in ("torch", "numpy", "pdtutor")} == {
        of: version(of) for of in ("torch", "numpy", "pdtutor")
    }
    made = datetime.fromisoformat(start["date"])
    assert made.utcoffset().total_seconds() == 0
    assert abs((datetime.now(UTC) - made).total_seconds()) < 600


def test_settings_have_the_names_of_the_command_line():
    found = settings(recipe("pcfg-budgets", "smoke"))
    assert found["runs.1.steps"] == 20
    assert found["runs.0.teacher.root"] == "13"
    assert "runs" not in found
    assert settings(recipe("parity-temperature", "laptop"))["temperatures"] == (1e-4, 1.0, 4.0, 10.0)


def test_a_resume_adds_its_start_and_may_change_the_device_alone(tmp_path):
    first = signed(tmp_path, device="cpu")
    (tmp_path / "teachers").mkdir()
    second = signed(tmp_path, device="cuda", resume=True)
    assert [start["device"] for start in second["starts"]] == ["cpu", "cuda"]
    assert second["settings"] == first["settings"]
    other = recipe(NAME, "laptop")
    with pytest.raises(
        ValueError, match=r"other settings.*: .*; teacher.width was 64, now 1000.*; width was 32, now 10"
    ):
        signed(tmp_path, given=other, resume=True)
    with pytest.raises(ValueError, match=r"it can't be resumed: seeds was 2, now 3$"):
        signed(tmp_path, seeds=3, resume=True)
    assert json.loads((tmp_path / "recipe.json").read_text()) == second


@pytest.mark.parametrize("resume", [False, True])
def test_another_recipe_s_folder_is_refused(tmp_path, resume):
    signed(tmp_path)
    (tmp_path / "teachers").mkdir()
    with pytest.raises(ValueError, match="holds a run of parity-progressive, not of pcfg-teacher: choose another"):
        signed(tmp_path, name="pcfg-teacher", resume=resume)
    with pytest.raises(SystemExit, match="holds a run of parity-progressive, not of parity-sample-complexity"):
        main(["run", "parity-sample-complexity", "--scale", "smoke", "--out", str(tmp_path), *["--resume"] * resume])
    assert json.loads((tmp_path / "recipe.json").read_text())["recipe"] == NAME


def test_a_run_that_left_nothing_but_its_description_does_not_block_the_folder(tmp_path):
    signed(tmp_path)
    found = signed(tmp_path, name="parity-teacher", seeds=5)
    assert (found["recipe"], found["seeds"], len(found["starts"])) == ("parity-teacher", 5, 1)
    (tmp_path / "teachers").mkdir()
    with pytest.raises(ValueError, match="already holds a run of parity-teacher: choose another folder, or resume"):
        signed(tmp_path, name="parity-teacher", seeds=5)


def test_a_folder_from_before_there_was_a_description_can_be_resumed(tmp_path):
    arguments = ["run", "parity-teacher", "--scale", "smoke", "--seeds", "1", "--steps", "50", "--out", str(tmp_path)]
    main(arguments)
    (tmp_path / "recipe.json").unlink()
    main([*arguments, "--resume"])
    assert json.loads((tmp_path / "recipe.json").read_text())["settings"]["steps"] == 50


def test_a_damaged_description_is_named(tmp_path):
    (tmp_path / "recipe.json").write_text('{"recipe": ')
    (tmp_path / "teachers").mkdir()
    with pytest.raises(ValueError, match=r"recipe\.json is not readable as JSON"):
        signed(tmp_path, resume=True)
