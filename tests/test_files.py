"""`~`, where no shell has replaced it by the user's home, in every path that a user may give."""

import os
from pathlib import Path

import pytest
import torch

from pdtutor import (
    MLP,
    CausalText,
    Distill,
    Grammar,
    Labels,
    Run,
    SparseParity,
    StoredTargets,
    Trajectory,
    compare,
    local_family,
    multiberts,
    one_shot,
    store_targets,
    train,
)
from pdtutor.checkpoints.hub import Checkpoint, PretrainedTrajectory, save_family
from pdtutor.cli import main
from pdtutor.models.pretrained import Pretrained
from pdtutor.resources import cache_folder, data_path
from pdtutor.text.tokenizers import load_tokenizer
from pdtutor.validate import user_path

TASK = SparseParity(8, 2)
QUIET = {"steps": 2, "batch_size": 4, "eval_examples": 16, "progress": False}
GRAMMAR = "S -> A B [0.5]\nS -> B A [0.5]\nA -> a\nB -> b\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of one's own, and a working folder, which must stay empty."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PDTUTOR_CACHE", raising=False)
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "home"
    assert not list((tmp_path / "here").iterdir())


def test_only_a_leading_home_is_replaced(home, monkeypatch):
    assert user_path("~/run") == home / "run"
    assert user_path(Path("~")) == home
    for kept in ("run", "/a/~/b", "a~", "", "~nobody-has-this-name/run"):
        assert user_path(kept) == Path(kept)


def test_without_a_home_the_error_says_so(monkeypatch):
    def unknown(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(ValueError, match="~/run: no home folder is known for ~; set HOME"):
        user_path("~/run")


def test_runs_trajectories_and_stored_targets_lie_in_the_home(home):
    run = train(MLP(8, width=8), TASK, out="~/run", **QUIET)
    assert run.trajectory.path == home / "run" == Trajectory("~/run").path
    assert Run.open("~/run").trajectory.path == home / "run"
    assert train(MLP(8, width=8), TASK, out="~/run", resume=True, **QUIET).history.equals(run.history)
    assert Trajectory("~/run").extract("~/part", [2]).path == home / "part"
    targets = store_targets(
        "~/targets", Distill(run.trajectory, one_shot()), TASK, steps=2, batch_size=4, seed=0, k=2, progress=False
    )
    assert targets.path == home / "targets" == StoredTargets("~/targets").path
    compare(lambda seeds: MLP(8, width=8, seed=seeds), TASK, {"labels": Labels()}, seeds=[0], out="~/all", **QUIET)
    assert (home / "all/students/run.json").exists()


def test_the_command_line_and_the_caches_know_the_home(home, monkeypatch):
    main(["run", "parity-sample-complexity", "--scale", "smoke", "--seeds", "1", "--out=~/recipe"])
    assert {"results.csv", "recipe.json", "figure.png"} <= {path.name for path in (home / "recipe").iterdir()}
    monkeypatch.setenv("PDTUTOR_CACHE", "~/cache")
    assert cache_folder() == home / "cache"
    file = "runs/parity-100-6/checkpoints-seed0/trajectory.json"
    content = data_path(file).read_bytes()
    for place in (home / "data" / file, home / "package/pdtutor/data/fetched.sha256"):
        place.parent.mkdir(parents=True)
    (home / "data" / file).write_bytes(content)
    (home / "package/pdtutor/data/fetched.sha256").write_bytes(data_path("fetched.sha256").read_bytes())
    monkeypatch.setattr("pdtutor.resources.PACKAGE", home / "package/pdtutor")
    monkeypatch.setenv("PDTUTOR_DATA", "~/data")
    assert data_path(file) == home / "cache/data" / file


def test_texts_tokenizers_and_grammars_are_found_in_the_home(home, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("PDTUTOR_CACHE", str(home / "cache"))
    (home / "texts").mkdir()
    for i in range(60):
        (home / f"texts/{i}.txt").write_text(f"hello there {i} " * 20)
    tokens = CausalText("~/texts", "characters", 8).tokens
    assert tokens.folder.is_relative_to(home / "cache")
    (home / "tokenizer.json").write_bytes((tokens.folder / "tokenizer.json").read_bytes())
    assert load_tokenizer("~/tokenizer.json").get_vocab() == tokens.tokenizer.get_vocab()
    assert CausalText("~/texts", "~/tokenizer.json", 8).classes == CausalText(home / "texts", "characters", 8).classes
    (home / "mine.txt").write_text(GRAMMAR)
    assert Grammar.load("~/mine.txt").tokens == ("a", "b")


def test_teachers_from_elsewhere_are_found_in_the_home(home, monkeypatch):
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 8, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8}
    model = Pretrained(transformers.GPT2Config(**sizes, bos_token_id=1, eos_token_id=1), objective="causal").eval()

    family = Trajectory.create(home / "mine", model, SparseParity(6, 2, encoding="tokens"))
    family.save(5, model)
    save_family(family, "~/family")
    ids = torch.arange(6)[None, None]
    for teacher in (
        local_family("~/family", "causal"),
        PretrainedTrajectory([Checkpoint(5, "~/family/step_5")], objective="causal"),
    ):
        assert torch.allclose(teacher.at(5)(ids), model(ids), atol=1e-5)
    assert torch.allclose(Pretrained.load("~/family/step_5", objective="causal")(ids), model(ids), atol=1e-5)
    (home / "berts/step_20k").mkdir(parents=True)
    assert multiberts(folder="~/berts").steps == (20_000,)
    assert os.listdir(home / "family") == ["step_5"]
