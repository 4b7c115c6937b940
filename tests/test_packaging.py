import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "lazy-loader": "lazy_loader"}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + extras["hub"] + extras["course"] + extras["test"]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != PROJECT["name"]]


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
