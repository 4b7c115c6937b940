"""What the README says is true: its code runs, its numbers are those of data/runs, its paths exist."""

import io
import re
import tomllib
from pathlib import Path

import pandas as pd

from pdtutor import BayesOptimal, MaskedGrammar
from pdtutor.recipes.catalogue import recipe
from pdtutor.training.evaluate import evaluate, held_out

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def steps_table(text):
    """Return the first table of steps by method that is printed in the text."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["method", "median"])
    return pd.read_fwf(io.StringIO("\n".join(lines[start : start + 5]))).set_index("method")


def test_its_examples_run_one_after_the_other(capsys, monkeypatch):
    monkeypatch.setattr("pdtutor.registry._REGISTERED", {})  # other tests register classes of the same names
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    names = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert len(blocks) == 2
    printed = capsys.readouterr().out
    assert "Network" in printed
    shown, found = steps_table(README), steps_table(printed)
    # the kernels of another processor may round differently, which moves a student by an evaluation or two
    pd.testing.assert_frame_equal(found, shown, check_dtype=False, atol=500, rtol=0)
    assert found.loc["(2,T)", "slowest"] < found.loc["progressive", "fastest"] < found.loc["one-shot", "fastest"]
    assert names["run"].history["accuracy"].iloc[-2:].min() > 0.9  # the reader's own task is learned


def test_its_table_is_the_committed_result():
    committed = pd.read_csv(ROOT / "data/runs/parity-progressive/results.csv").set_index("method")
    row = r"^\| (cross-entropy|one-shot|progressive|\(2,T\)).*? \| (\d+) \| (\d+) \| (\d+|> \d+) \|$"
    rows = re.findall(row, README, flags=re.M)
    assert [row[0] for row in rows] == committed.index.tolist()
    for method, *numbers in rows:
        found = committed.loc[method, ["median", "fastest", "slowest"]]
        expected = [f"> {recipe('parity-progressive').steps}" if pd.isna(n) else str(int(n)) for n in found]
        assert numbers == expected


def test_its_table_of_grammar_students_is_the_committed_result():
    by_seed = pd.read_csv(ROOT / "data/runs/pcfg-budgets/by_seed.csv").query("budget == 800 and method != 'teacher'")
    method = r"^\| (cross-entropy|one-shot|progressive|\(2,T\)).*? \|"
    row = method + r" ([\d.]+) \(([\d.]+)–([\d.]+)\) \| (\d+)(, one never)? \|$"
    rows = re.findall(row, README, flags=re.M)
    assert [row[0] for row in rows] == by_seed["method"].unique().tolist()
    for method, *accuracies, steps, never in rows:
        found = by_seed[by_seed["method"] == method]
        final = found["final_accuracy"]
        assert accuracies == [f"{value:.3f}" for value in (final.median(), final.min(), final.max())]
        assert int(steps) == found["steps"].fillna(10**9).median()
        assert bool(never) == (found["reached"].sum() == 2)


def test_the_optimum_that_it_names_is_what_its_command_gives():
    named, command = re.search(r"its accuracy is ([\d.]+) \(± 0.001; `evaluate\((.*?)\)`", README).groups()
    assert command == "BayesOptimal(task), *held_out(task, 2000)"
    task = MaskedGrammar("cfg3b")
    _, accuracy = evaluate(BayesOptimal(task), *held_out(task, 500))
    assert abs(accuracy.item() - float(named)) < 0.005  # five standard deviations at 500 sentences


def test_the_map_names_what_there_is_and_nothing_else():
    block = README.split("```\nnotebooks/")[1].split("```")[0]
    named = re.findall(r"^  ([a-z_]+(?:\.py|/).*?)  ", block, flags=re.M)
    named = {part.rstrip("/") for names in named for part in names.split(", ")}
    there = {p.name for p in (ROOT / "pdtutor").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert named == there - {"__init__.py", "__main__.py"}


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_dependency_has_its_reason_and_its_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    wanted = {(re.match(r"[\w-]+", d).group(), extra) for extra, of_extra in groups.items() for d in of_extra}
    table = README.split("## Why these dependencies")[1].split("##")[0]
    rows = re.findall(r"^\| ([a-z].+?)(?: \(`(\w+)`\))? \|", table, flags=re.M)
    told = {(name, extra) for names, extra in rows if names != "package" for name in names.split(", ")}
    assert told == {(name, extra) for name, extra in wanted if name != "pdtutor"}


def test_its_first_screen_links_the_paper_and_explains_its_terms_before_it_uses_them():
    start = README.split("\n## ")[0]
    assert "(https://arxiv.org/abs/2410.05464)" in start
    for term in (
        "distillation",
        "student",
        "teacher",
        "one-shot",
        "(2,T)",
        "sparse parity",
        "checkpoints",
        "progressive",
    ):
        told = start.lower().index(f"*{term.lower()}*")  # in italics where it is explained
        prose = re.sub(r"!?\[.*?\]\(.*?\)", lambda link: " " * len(link.group()), start.lower())
        assert not re.search(rf"(?<!\w){re.escape(term.lower())}", prose[:told]), term
