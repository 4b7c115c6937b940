import re
import subprocess
import tomllib
import zipfile
from importlib.metadata import distributions, metadata
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pdtutor import resources

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LISTED = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "data"]
CONDA_NAMES = {"torch": "pytorch", "lazy-loader": "lazy_loader"}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + extras["hub"] + extras["course"] + extras["test"]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != PROJECT["name"]]


def test_nothing_committed_is_ignored():
    """What git ignores is left out of the wheel, too."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_only_floors_are_asked_for():
    for requirement in requirements():
        assert [spec.operator for spec in requirement.specifier] == [">="], f"{requirement} is not just a floor"


def test_environment_yml_asks_for_what_pyproject_does():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    expected = {f"{CONDA_NAMES.get(r.name, r.name)}{r.specifier}" for r in requirements()}
    expected |= {f"python{PROJECT['requires-python']}", "pip"}
    assert environment["channels"] == ["conda-forge"]
    assert set(environment["dependencies"]) == expected


def test_constraints_are_exact_allowed_by_the_floors_and_portable():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for line in (line for line in lines if not line.startswith("#")):
        # A local version (+cpu) or a path would bind the file to one machine or one index.
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line
        name, version = line.lower().split("==")
        pins[name] = version
    for requirement in requirements():
        assert requirement.specifier.contains(pins[requirement.name]), requirement
    assert pins["torch"] == "2.13.0"


def test_constraints_can_be_installed_under_the_oldest_python_that_people_have():
    """Debian 12 has Python 3.11.2, and some packages ask for a later 3.11."""
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.M)
    here = {distribution.name for distribution in distributions()} & set(pins)
    asked = {name: metadata(name).get("Requires-Python") or "" for name in here}
    assert len(here) > 100
    assert {name: versions for name, versions in asked.items() if "3.11.2" not in SpecifierSet(versions)} == {}


def test_binder_installs_the_clone_under_a_python_that_ci_tests():
    lines = (ROOT / ".binder/requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith(("#", "--extra-index-url"))] == ["-e .[course]"]
    runtime = (ROOT / ".binder/runtime.txt").read_text(encoding="utf-8").strip()
    assert runtime.removeprefix("python-") in pythons_in_ci()


def test_ci_tests_the_pythons_that_the_package_names():
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert pythons_in_ci() == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def pythons_in_ci() -> list[str]:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    return workflow["jobs"]["test"]["strategy"]["matrix"]["python"]


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    [built] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return Path(built)


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < 4e6


def test_the_wheel_holds_the_package_and_all_data_but_figures_and_checkpoints(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("pdtutor-")}
    code = {path for path in (ROOT / "pdtutor").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    listed = subprocess.run(LISTED, capture_output=True, text=True, check=True).stdout
    data = {name for name in listed.splitlines() if not name.endswith((".png", ".safetensors", "trajectory.json"))}
    assert names == {path.relative_to(ROOT).as_posix() for path in code} | {f"pdtutor/{name}" for name in data}


def test_the_wheel_has_what_lessons_read_or_says_where_to_get_it(wheel, tmp_path, monkeypatch):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "pdtutor")
    monkeypatch.setenv("PDTUTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PDTUTOR_DATA", str(ROOT / "data"))
    lessons = [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").rglob("*.py")]
    # f"…/checkpoints-seed{seed}" stands for a folder of each seed
    named = {re.sub(r"\{.*?\}", "0", name) for text in lessons for name in re.findall(r"data_path\(f?\"(.+?)\"", text)}
    assert {"runs/pcfg-teacher", "runs/pcfg-teacher/checkpoints-seed1", "runs/parity-100-6/checkpoints-seed0"} <= named
    for name in sorted(named):
        there, here = resources.data_path(name), ROOT / "data" / name
        assert tmp_path in there.parents
        assert files(there) == files(here), name


def files(path: Path) -> set[str]:
    """Return the names of the files in a folder, without figures; a file stands for itself."""
    found = path.iterdir() if path.is_dir() else [path]
    return {file.name for file in found if file.is_file() and file.suffix != ".png"}
