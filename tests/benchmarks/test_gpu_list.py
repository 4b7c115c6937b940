"""The list for GPUs, tried on the CPU: every part leaves its line, whatever happens."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import torch

from benchmarks import gpu
from pdtutor import devices

CPU, POPEN = torch.device("cpu"), subprocess.Popen


def lines(out):
    return [json.loads(line) for line in (out / "gpu.jsonl").read_text().splitlines()]


def part_that(monkeypatch, code):
    """Have the process of a part run this code instead."""
    monkeypatch.setattr(gpu.subprocess, "Popen", lambda command, **how: POPEN([sys.executable, "-c", code], **how))


def test_without_a_gpu_it_says_why_and_does_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "cuda_problem", lambda index=None: "it is away")
    with pytest.raises(SystemExit, match="no GPU can be used here: it is away"):
        gpu.main(all=True, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_part_that_is_none_is_refused(tmp_path):
    with pytest.raises(
        SystemExit, match="name parts with --part, of tests, agree, lessons, speeds, e3, or take --all; got speed"
    ):
        gpu.main(part=("speed",), out=tmp_path)
    with pytest.raises(SystemExit, match="got none"):
        gpu.main(out=tmp_path)


def test_a_part_leaves_its_line_if_it_ends_fails_or_is_stopped(monkeypatch, tmp_path):
    part_that(monkeypatch, "print('chatter'); print('{\"rows\": 3}')")
    assert gpu.run_part("speeds", tmp_path, smoke=True)["rows"] == 3
    part_that(monkeypatch, "raise ValueError('no such thing')")
    assert gpu.run_part("agree", tmp_path, smoke=True)["error"] == "ValueError: no such thing"
    (tmp_path / "e3" / "teachers").mkdir(parents=True)
    (tmp_path / "e3" / "teachers" / "run.json").write_text('{"step": 700}')
    part_that(monkeypatch, "import threading; threading.Event().wait()")
    monkeypatch.setitem(gpu.LIMITS, "e3", 0.5)
    stopped = gpu.run_part("e3", tmp_path, smoke=False)
    assert stopped["error"] == "stopped after 0.5 s"
    assert stopped["steps"] == {"e3/teachers": 700}
    assert [line["part"] for line in lines(tmp_path)] == ["speeds", "agree", "e3"]
    assert lines(tmp_path)[-1]["seconds"] >= 0.5


def test_the_parts_take_twelve_minutes_at_most():
    assert sum(gpu.LIMITS.values()) <= 12 * 60
    assert gpu.PARTS.keys() == gpu.LIMITS.keys()


def test_recipes_are_compared_and_a_failure_is_named(monkeypatch, tmp_path):
    recipes = {"parity-teacher": gpu.RECIPES["parity-teacher"], "broken": {"smoke": None}}
    monkeypatch.setattr(gpu, "RECIPES", recipes)
    found = gpu.agree(tmp_path, CPU, smoke=False)
    assert found == {"recipes": 2, "largest_difference": 0.0, "error": "failed: broken"}
    table = pd.read_csv(tmp_path / "agree.csv").set_index("recipe")
    assert "AttributeError" in table.loc["broken", "error"]
    assert table.loc["parity-teacher", "cpu_seconds"] > 0


def test_tables_are_apart_by_their_largest_difference():
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, float("nan")], "c": ["x", "y"]})
    assert gpu.apart(table, table) == 0
    assert gpu.apart(table.assign(b=[0.75, float("nan")]), table) == 0.25
    for other in (table.assign(b=[0.5, 1.0]), table.iloc[:1], table.drop(columns="a")):
        assert gpu.apart(other, table) == float("inf")


def test_a_verdict_that_changes_is_an_error(monkeypatch, tmp_path):
    def executed(name, out, device):
        helps = "reproduced" if device == "cpu" else "partly"
        claims = [{"claim": "it helps", "verdict": helps}, {"claim": "it is fast", "verdict": "holds"}]
        return {"seconds": 1.0, "claims": claims, "failure": ""}

    monkeypatch.setattr(gpu, "executed", executed)
    found = gpu.lessons(tmp_path, CPU, smoke=True)
    assert found["error"] == "see lessons.csv: 04_pcfg_transformers"
    assert found["lessons"][0]["changed"] == "it helps"


def test_e3_is_the_paper_s_smallest_budget(monkeypatch, tmp_path):
    asked = {}

    def run(self, **options):
        asked.update(options, steps=self.steps, width=self.width, batch=self.teacher.batch_size)
        raise ValueError("seen")

    monkeypatch.setattr(type(gpu.RECIPES["pcfg-budgets"]["paper"].runs[0]), "run", run)
    with pytest.raises(ValueError, match="seen"):
        gpu.e3(tmp_path, CPU, smoke=False)
    assert (asked["steps"], asked["width"], asked["batch"]) == (2000, 64, 512)
    assert asked["resume"]
    assert asked["seeds"] == 1
