"""Teachers from elsewhere: saved models in folders and on the hub, and functions."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pdtutor.checkpoints.hub
from pdtutor import (
    MLP,
    AdamW,
    Distill,
    MaskedGrammar,
    SparseParity,
    Transformer,
    explicit,
    one_shot,
    progressive,
    train,
)
from pdtutor.checkpoints.foreign import FunctionTeacher
from pdtutor.checkpoints.hub import Checkpoint, PretrainedTrajectory, local_family, multiberts, pythia, save_family
from pdtutor.models.pretrained import Pretrained
from pdtutor.models.saved import read_saved

transformers = pytest.importorskip("transformers")

TASK = MaskedGrammar("cfg3b", root="16")  # 3 classes, 6 ids
SIZES = {
    "vocab_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 80,
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
BERT = transformers.BertConfig(**SIZES, **NO_DROPOUT, pad_token_id=TASK.padding)
PUBLISHED = transformers.BertConfig(**SIZES)  # padding 0
NEOX = transformers.GPTNeoXConfig(**SIZES)
IDS = torch.tensor([[[0, 1, 2, 3, 1], [2, 2, 4, 1, 0]]])
COMMITS = {step: f"{step:040x}" for step in (0, 1, 1000)}
CUT = {"padding": TASK.padding, "classes": TASK.classes}
QUIET = {"progress": False, "eval_examples": 64, "eval_every": 10}


def alike(a, b):
    """The same logits. Weights that lie elsewhere in memory may be summed in another order."""
    return torch.allclose(a, b, rtol=1e-4, atol=1e-3)


def save(path: Path, mark: float, architecture=BERT) -> Path:
    """Save a model in the folder whose logits are told by `mark`."""
    kind = transformers.GPTNeoXForCausalLM if architecture is NEOX else transformers.BertForPreTraining
    torch.manual_seed(0)
    network = kind(architecture)
    with torch.no_grad():
        next(network.parameters()).mul_(1 + mark)
    network.save_pretrained(path)
    return path


def logits(path: Path, objective: str = "masked", **settings) -> torch.Tensor:
    return Pretrained.load(path, objective=objective, **settings)(IDS)


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Three checkpoints of a BERT in a folder, which tests may read but not change."""
    folder = tmp_path_factory.mktemp("family")
    for name, mark in (("step_20k", 2), ("step_000500", 1), ("step2000k", 3)):
        save(folder / name, mark)
    (folder / "tokenizer").mkdir()
    (folder / "step_3.json").write_text("{}")
    return folder


def test_a_folder_of_checkpoints_is_a_trajectory(family):
    teacher = local_family(family, "masked")
    assert teacher.steps == (500, 20_000, 2_000_000)
    assert (teacher.final, teacher.seeds, teacher.path) == (2_000_000, [0], str(family))
    assert [teacher.nearest(step) for step in (0, 10_250, 10_251, 10**9)] == [500, 500, 20_000, 2_000_000]
    for step, name in ((500, "step_000500"), (20_000, "step_20k"), (2_000_000, "step2000k")):
        model = teacher.at(step)
        assert alike(model(IDS), logits(family / name))
        assert not model.training
        assert not any(p.requires_grad for p in model.parameters())
    assert not torch.equal(teacher.at(500)(IDS), teacher.at(20_000)(IDS))
    assert teacher.copy(0) is teacher.of(0) is teacher
    assert repr(teacher) == f"PretrainedTrajectory({str(family)!r}: 3 checkpoints, steps 500…2000000)"


def test_what_a_trajectory_does_not_have_is_an_error_that_says_what_it_has(family):
    teacher = local_family(family, "masked")
    with pytest.raises(ValueError, match=r"has no checkpoint at step 600; the nearest is 500"):
        teacher.at(600)
    with pytest.raises(ValueError, match="copy must be 0, the only one of"):
        teacher.copy(1)
    with pytest.raises(ValueError, match=r"no single copy has seed 7; the copies' seeds are \[0\]"):
        teacher.of(7)


def test_a_folder_that_is_gone_is_named(family, tmp_path):
    shutil.copytree(family, tmp_path / "copy")
    teacher = local_family(tmp_path / "copy", "masked", name="mine")
    shutil.rmtree(tmp_path / "copy" / "step_20k")
    with pytest.raises(ValueError, match=r"no folder .*step_20k, .*; of mine, this machine has steps 500, 2000000"):
        teacher.at(20_000)
    (tmp_path / "copy" / "step_000500" / "config.json").unlink()
    with pytest.raises(ValueError, match=r"step_000500 has no config.json; of mine, this machine has steps 2000000"):
        teacher.at(500)


def test_the_digest_tells_teachers_apart_and_nothing_else(family, monkeypatch):
    monkeypatch.chdir(family.parent)
    same = [local_family(family, "masked"), local_family(family.name, "masked", name="mine", local_files_only=True)]
    assert same[0].digest == same[1].digest
    others = [
        local_family(family, "causal"),
        local_family(family, "masked", padding=5),
        local_family(family, "masked", classes=3),
        PretrainedTrajectory(same[0].checkpoints[:2], objective="masked"),
        PretrainedTrajectory([Checkpoint(500, "a/b")], objective="masked"),
        PretrainedTrajectory([Checkpoint(500, "a/b", "step500")], objective="masked"),
    ]
    assert len({teacher.digest for teacher in [same[0], *others]}) == 7


def test_lists_that_make_no_trajectory_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a list has no checkpoints"):
        PretrainedTrajectory([], objective="masked")
    with pytest.raises(ValueError, match="checkpoints like a/b has several checkpoints of step 5"):
        PretrainedTrajectory([Checkpoint(5, "a/b"), Checkpoint(5, "c/d"), Checkpoint(7, "a/b")], objective="masked")
    with pytest.raises(ValueError, match="a checkpoint's step must be a whole number of at least 0, got -1"):
        PretrainedTrajectory([Checkpoint(-1, "a/b")], objective="masked")
    with pytest.raises(ValueError, match="objective must be one of"):
        PretrainedTrajectory([Checkpoint(5, "a/b")], objective="span")
    (tmp_path / "checkpoint-500").mkdir()
    with pytest.raises(ValueError, match="no subfolders named step_20k, step_1000 or the like; it has checkpoint-500"):
        local_family(tmp_path, "masked")
    with pytest.raises(ValueError, match=r"there is no folder .*/nowhere"):
        local_family(tmp_path / "nowhere", "masked")
    for name in ("step_2k", "step_2000"):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="has several checkpoints of step 2000"):
        local_family(tmp_path, "masked")


def test_the_published_families_are_listed_without_a_network():
    teacher = multiberts(seed=3)
    assert len(teacher.steps) == 28
    assert teacher.steps[:11] == (*range(20_000, 200_001, 20_000), 300_000)
    assert teacher.final == 2_000_000
    assert teacher.checkpoints[0] == Checkpoint(20_000, "google/multiberts-seed_3-step_20k")
    assert teacher.checkpoints[-1].repo == "google/multiberts-seed_3-step_2000k"
    assert (teacher.path, teacher.objective, teacher.padding) == ("MultiBERTs seed 3", "masked", 0)
    with pytest.raises(ValueError, match="seeds 0…4 have intermediate checkpoints, got seed 5"):
        multiberts(seed=5)

    teacher = pythia("70m", classes=50_277)
    assert len(teacher.steps) == 154
    assert teacher.steps[:13] == (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000)
    assert teacher.final == 143_000
    assert teacher.checkpoints[11] == Checkpoint(1000, "EleutherAI/pythia-70m", "step1000")
    assert (teacher.objective, teacher.padding, teacher.classes) == ("causal", None, 50_277)


def test_published_families_can_lie_in_folders(tmp_path):
    for name in ("seed_0-step_20k", "seed_1-step_40k", "seed_0-step_2000k"):
        (tmp_path / f"multiberts-{name}").mkdir()
    (tmp_path / "step_60k").mkdir()
    assert multiberts(seed=0, folder=tmp_path).steps == (20_000, 60_000, 2_000_000)
    assert multiberts(seed=1, folder=tmp_path).steps == (40_000, 60_000)
    assert multiberts(seed=1, folder=tmp_path).path == "MultiBERTs seed 1"
    for name in ("step0", "step512", "step143000", "pythia-70m-step1000"):
        (tmp_path / "pythia" / name).mkdir(parents=True)
    assert pythia("160m", folder=tmp_path / "pythia").steps == (0, 512, 143_000)
    assert pythia("70m", folder=tmp_path / "pythia").steps == (0, 512, 1000, 143_000)
    assert pythia("70m", folder=tmp_path / "pythia").objective == "causal"


# --- teaching ---


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A run of a small BERT, and the same checkpoints as transformers saves them."""
    folder = tmp_path_factory.mktemp("taught")
    model = Pretrained(BERT, **CUT)
    run = train(model, TASK, steps=40, save_every=10, optimizer=AdamW(lr=3e-3), **QUIET)
    save_family(run.trajectory, folder)
    return run.trajectory, local_family(folder, "masked", **CUT)


def test_a_run_can_be_saved_for_others_whatever_a_killed_process_left(taught, tmp_path, capfd):
    run, _ = taught
    for left in (".step_10.tmp", "step_20"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "model.safetensors").write_bytes(b"half")
    save_family(run, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_0", "step_10", "step_20", "step_30", "step_40"]
    saved = local_family(tmp_path, "masked", **CUT)
    for step in run.steps:
        assert alike(saved.at(step)(IDS), run.at(step)(IDS))
        others = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / f"step_{step}")
        assert alike(others(IDS[0], IDS[0] != TASK.padding).logits[..., :3], run.at(step)(IDS)[0])
    other = train(MLP(6, width=2), SparseParity(6, 2), steps=1, engine="autograd", **QUIET)
    with pytest.raises(ValueError, match="holds models of class MLP; only a Pretrained itself can be saved"):
        save_family(other.trajectory, tmp_path)


def ours(seed=1) -> Transformer:
    return Transformer(
        TASK.vocabulary, max_length=TASK.longest, classes=3, read_out="every", padding=TASK.padding, seed=seed
    )


@pytest.mark.parametrize("student", [ours, lambda: Pretrained(BERT, **CUT, seed=1)])
def test_progressive_distillation_from_folders_is_that_from_the_run_itself(taught, student):
    settings = {"steps": 40, "optimizer": AdamW(lr=3e-3), **QUIET}
    runs = [
        train(student(), TASK, **settings, supervision=Distill(teacher, progressive(10), temperature=1.0))
        for teacher in taught
    ]
    assert runs[1].teachers["teacher_step"].to_list() == [10, 20, 30, 40]
    for of_run, of_folders in zip(runs[0].model.parameters(), runs[1].model.parameters(), strict=True):
        assert torch.equal(of_run, of_folders)
    assert runs[1].history["train_loss"].iloc[-1] < 0.1


def test_a_resumed_run_must_have_the_same_teacher(taught, tmp_path):
    _, teacher = taught
    settings = {"steps": 6, "out": tmp_path, **QUIET}
    first = train(ours(), TASK, **settings, supervision=Distill(teacher, one_shot()))
    again = PretrainedTrajectory(teacher.checkpoints, objective="masked", **CUT)
    resumed = train(ours(), TASK, **settings, supervision=Distill(again, one_shot()), resume=True)
    assert resumed.history.equals(first.history)
    fewer = PretrainedTrajectory(teacher.checkpoints[1:], objective="masked", **CUT)
    with pytest.raises(ValueError, match="other settings"):
        train(ours(), TASK, **settings, supervision=Distill(fewer, one_shot()), resume=True)


def test_teacher_and_student_must_share_their_vocabulary(family, tmp_path):
    with pytest.raises(ValueError, match="the teacher predicts 8 classes, the student 3"):
        train(ours(), TASK, steps=2, **QUIET, supervision=Distill(local_family(family, "masked"), one_shot()))
    small = transformers.BertConfig(**SIZES | {"vocab_size": 4}, pad_token_id=None)
    transformers.BertForMaskedLM(small).save_pretrained(tmp_path / "step_1")
    teacher = local_family(tmp_path, "masked", classes=3)
    with pytest.raises(ValueError, match="token ids must lie in 0…3, got 0…5"):
        train(ours(), TASK, steps=2, **QUIET, supervision=Distill(teacher, one_shot()))
    with pytest.raises(ValueError, match=r"vocabulary of 8: classes may be at most that .*, got 9"):
        local_family(family, "masked", classes=9).at(500)


# --- the hub's cache ---


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache such as huggingface_hub leaves, and no network."""
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    place(tmp_path / "hub", "google/multiberts-seed_0-step_20k", "main", COMMITS[1], PUBLISHED)
    for step, commit in COMMITS.items():
        place(tmp_path / "hub", "EleutherAI/pythia-70m", f"step{step}", commit, NEOX, mark=step)
    return tmp_path / "hub"


def place(cache: Path, repo: str, revision: str, commit: str, architecture, *, mark: float = 0) -> None:
    folder = cache / f"models--{repo.replace('/', '--')}"
    save(folder / "snapshots" / commit, mark, architecture)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / revision).write_text(commit)


def test_a_repository_in_the_cache_needs_no_network(cache):
    model = multiberts(seed=0).at(20_000)
    snapshot = cache / "models--google--multiberts-seed_0-step_20k" / "snapshots" / COMMITS[1]
    assert alike(model(IDS), logits(snapshot, padding=0))


def test_revisions_in_the_cache_are_told_apart(cache):
    teacher = pythia("70m")
    snapshots = cache / "models--EleutherAI--pythia-70m" / "snapshots"
    for step, commit in COMMITS.items():
        assert alike(teacher.at(step)(IDS), logits(snapshots / commit, "causal"))
    assert not torch.equal(teacher.at(1)(IDS), teacher.at(1000)(IDS))
    elsewhere = pythia("70m", cache_dir=cache.parent / "empty")
    with pytest.raises(ValueError, match=r"of Pythia 70m, this machine has steps none"):
        elsewhere.at(1)


def test_what_the_cache_has_and_knows_to_be_missing_is_not_asked_for(cache, monkeypatch):
    folder = cache / "models--google--multiberts-seed_0-step_20k"
    snapshot = folder / "snapshots" / COMMITS[1]
    expected = logits(snapshot, padding=0)
    network = transformers.BertForMaskedLM.from_pretrained(snapshot)
    torch.save(network.state_dict(), snapshot / "pytorch_model.bin")
    (snapshot / "model.safetensors").unlink()
    for absent in ("model.safetensors", "model.safetensors.index.json"):  # as huggingface_hub notes it
        (folder / ".no_exist" / COMMITS[1]).mkdir(parents=True, exist_ok=True)
        (folder / ".no_exist" / COMMITS[1] / absent).touch()
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: pytest.fail("the hub was asked"))
    assert alike(multiberts().at(20_000)(IDS), expected)


def test_what_is_not_in_the_cache_is_named_with_what_to_do(cache):
    place = "config.json of EleutherAI/pythia-70m at revision step2 is neither a local file nor in the cache"
    command = "`hf download EleutherAI/pythia-70m --revision step2`"
    with pytest.raises(ValueError, match=rf"{place}.*{command}.*of Pythia 70m, this machine has steps 0, 1, 1000$"):
        pythia("70m").at(2)
    with pytest.raises(ValueError, match=r"google/multiberts-seed_0-step_40k is neither .* has steps 20000$"):
        multiberts().at(40_000)


def test_damage_in_the_cache_is_named(cache):
    snapshot = cache / "models--google--multiberts-seed_0-step_20k" / "snapshots" / COMMITS[1]
    weights = snapshot / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=rf"{weights}, weights of google/multiberts-seed_0-step_20k, is damaged"):
        multiberts().at(20_000)
    weights.unlink()
    with pytest.raises(ValueError, match="google/multiberts-seed_0-step_20k has no weights: neither"):
        multiberts().at(20_000)
    torch.save({}, snapshot / "pytorch_model.bin")
    with pytest.raises(ValueError, match="weights of google/multiberts-seed_0-step_20k don't fill a BertForMaskedLM"):
        multiberts().at(20_000)


# --- reading ahead ---


class Gate(threading.Event):
    """Lets reads through once it is set; `reached` says that one has come to it."""

    def __init__(self):
        super().__init__()
        self.reached = threading.Event()


@pytest.fixture
def reading(family, monkeypatch):
    """A teacher, the names of the steps read so far with their thread, and a gate that holds up the next read."""
    reads, gate = [], Gate()
    gate.set()

    def read(repo, **places):
        reads.append((Path(repo).name, threading.current_thread() is threading.main_thread()))
        gate.reached.set()
        assert gate.wait(600)
        return read_saved(repo, **places)

    monkeypatch.setattr(pdtutor.checkpoints.hub, "read_saved", read)
    return local_family(family, "masked"), reads, gate


def test_a_checkpoint_read_ahead_is_the_one_that_comes_next(reading, family):
    teacher, reads, gate = reading
    gate.clear()
    for _ in range(3):  # asking twice starts one read
        teacher.prefetch(20_000)
    gate.set()
    assert alike(teacher.at(20_000)(IDS), logits(family / "step_20k"))
    assert reads == [("step_20k", False)]
    first, second = teacher.at(20_000), teacher.at(20_000)  # it is held no longer, and models are not shared
    assert first is not second
    assert reads == [("step_20k", False), ("step_20k", True), ("step_20k", True)]


def test_asking_for_another_checkpoint_does_not_wait_for_the_one_read_ahead(reading, family):
    teacher, reads, gate = reading
    gate.clear()
    teacher.prefetch(20_000)
    assert gate.reached.wait(600)
    pdtutor.checkpoints.hub.read_saved, held = read_saved, pdtutor.checkpoints.hub.read_saved
    assert alike(teacher.at(500)(IDS), logits(family / "step_000500"))
    pdtutor.checkpoints.hub.read_saved = held
    gate.set()
    assert alike(teacher.at(20_000)(IDS), logits(family / "step_20k"))
    assert reads == [("step_20k", False)]


def test_at_most_one_checkpoint_is_read_ahead_and_the_last_asked_for_wins(reading, family):
    teacher, reads, gate = reading
    gate.clear()
    teacher.prefetch(500)
    assert gate.reached.wait(600)
    teacher.prefetch(20_000)  # waits for its turn, and is never read
    teacher.prefetch(2_000_000)
    gate.set()
    assert alike(teacher.at(2_000_000)(IDS), logits(family / "step2000k"))
    assert reads == [("step_000500", False), ("step2000k", False)]


def test_what_goes_wrong_ahead_of_time_is_told_when_the_checkpoint_is_asked_for(family, tmp_path, capfd):
    shutil.copytree(family, tmp_path / "copy")
    teacher = local_family(tmp_path / "copy", "masked")
    weights = tmp_path / "copy" / "step_20k" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    teacher.prefetch(20_000)
    teacher.prefetch(7)
    with pytest.raises(ValueError, match="has no checkpoint at step 7; the nearest is 500"):
        teacher.at(7)
    teacher.prefetch(20_000)
    with pytest.raises(ValueError, match="step_20k, is damaged"):
        teacher.at(20_000)
    teacher.prefetch(20_000)
    teacher._ahead[1].exception()  # it has failed by now
    weights.write_bytes(content)  # what ailed it has passed
    assert alike(teacher.at(20_000)(IDS), logits(family / "step_20k"))
    assert "Traceback" not in capfd.readouterr().err


def test_weights_read_beside_a_training_run_do_not_change_it(taught):
    """The read is real and in another thread, while the student trains on the checkpoint before."""
    _, teacher = taught

    class ReadsAhead(PretrainedTrajectory):
        def at(self, step):
            model = super().at(step)
            self.prefetch(self.steps[min(self.steps.index(step) + 1, len(self.steps) - 1)])
            return model

    ahead = ReadsAhead(teacher.checkpoints, objective="masked", **CUT)
    settings = {"steps": 40, "optimizer": AdamW(lr=3e-3), **QUIET}
    plain, beside = (
        train(ours(), TASK, **settings, supervision=Distill(t, progressive(10), temperature=1.0))
        for t in (teacher, ahead)
    )
    for one, other in zip(plain.model.parameters(), beside.model.parameters(), strict=True):
        assert torch.equal(one, other)


# --- a hub ---


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as a download needs. The weights of one revision may stop half way."""

    files: Path  # repository / revision / file
    stalled: str | None
    sent_half: threading.Event
    released: threading.Event

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        if "/resolve/" not in self.path:
            return self._refuse("EntryNotFound")
        owner, name, _, revision, file = self.path.strip("/").split("/")
        if len(revision) == 40:
            revision = next(str(step) for step, commit in COMMITS.items() if commit == revision)
        path = self.files / owner / name / revision / file
        missing = ((path.parent.parent, "RepoNotFound"), (path.parent, "RevisionNotFound"), (path, "EntryNotFound"))
        for there, code in missing:
            if not there.exists():
                return self._refuse(code)
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMITS[int(revision)])
        self.send_header("ETag", f'"{hash(content) & 0xFFFFFFFF:08x}{len(content)}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and self.stalled == revision and file.endswith(".safetensors"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.sent_half.set()
            assert self.released.wait(600)
        elif body:
            self.wfile.write(content)

    def _refuse(self, code):
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path):
    """A hub on this machine, with revisions "1" and "1000" of one repository, and the settings that lead there."""
    pytest.importorskip("huggingface_hub")
    Hub.files, Hub.stalled = tmp_path / "served", None
    Hub.sent_half, Hub.released = threading.Event(), threading.Event()
    for step in (1, 1000):
        save(Hub.files / "someone" / "model" / str(step), step)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_CACHE": str(tmp_path / "cache")}
    yield {**os.environ, **place, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    Hub.released.set()
    server.shutdown()


TEACHER = """
import sys, torch
from pdtutor.checkpoints.hub import Checkpoint, PretrainedTrajectory
steps = [Checkpoint(step, "someone/model", str(step)) for step in (1, 2, 1000)]
teacher = PretrainedTrajectory(steps, objective="masked", name="someone")
"""
INTERRUPTED = TEACHER + "teacher.at(1); teacher.prefetch(1000); sys.stdin.read()"
ENDING = TEACHER + "teacher.prefetch(1); sys.stdin.read(); print('end')"
AFTERWARDS = """
for repo, step in (("someone/model", 2), ("someone/else", 1)):
    try:
        PretrainedTrajectory([Checkpoint(step, repo, str(step))], objective="masked", name="someone").at(step)
    except ValueError as error:
        print(error)
torch.save([teacher.at(step)(torch.tensor(IDS)) for step in (1, 1000)], sys.argv[1])
""".replace("IDS", repr(IDS.tolist()))


def test_a_process_killed_while_it_downloads_ahead_leaves_the_next_one_nothing_to_stumble_over(hub, tmp_path):
    Hub.stalled = "1000"
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], env=hub, stdin=subprocess.PIPE)
    try:
        assert Hub.sent_half.wait(600)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    there = {path.parent.name for path in (tmp_path / "cache").rglob("snapshots/*/model.safetensors")}
    assert there == {COMMITS[1]}
    Hub.stalled = None
    Hub.released.set()
    script = TEACHER + AFTERWARDS
    after = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "logits")], env=hub, capture_output=True, text=True, timeout=600
    )
    assert after.returncode == 0, after.stderr
    missing, unknown = after.stdout.splitlines()
    assert "someone/model is on the Hugging Face hub but has no revision '2'" in missing
    assert "there is no folder someone/else, and no such repository on the Hugging Face hub" in unknown
    one, thousand = torch.load(tmp_path / "logits")
    for found, step in ((one, "1"), (thousand, "1000")):  # another process may have other threads, and round otherwise
        torch.testing.assert_close(found, logits(Hub.files / "someone" / "model" / step), rtol=1e-4, atol=1e-3)


def test_a_process_does_not_wait_at_its_end_for_what_it_downloads_ahead(hub):
    Hub.stalled = "1"
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING], env=hub, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert Hub.sent_half.wait(600)
        out, errors = process.communicate(timeout=600)  # ends its input; the download is still stalled
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out.decode().strip()) == (0, "end"), errors.decode()


# --- functions ---


def by_counts(ids):
    """The next token is the one that was there: logits (batch, length, 3)."""
    return nn.functional.one_hot(ids.clamp(max=2), 3) * 5.0


def test_a_function_teaches():
    teacher = FunctionTeacher(by_counts, classes=3, name="counts")
    assert (teacher.steps, teacher.final, teacher.seeds, teacher.path) == ((0,), 0, [0], "counts")
    assert repr(teacher) == "FunctionTeacher('counts': 1 checkpoint, step 0)"
    assert torch.equal(teacher.at(0)(IDS)[0], by_counts(IDS[0]))
    supervision = Distill(teacher, one_shot(), temperature=1.0)
    run = train(ours(), TASK, steps=60, **QUIET, optimizer=AdamW(lr=3e-3), supervision=supervision)
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[1] / 2


def test_functions_teach_in_turn_and_from_any_input():
    task = SparseParity(6, 2)

    def parity(signs):  # what the task's label is, from its first two inputs, in numpy
        product = signs.numpy()[:, 0] * signs.numpy()[:, 1]
        return np.stack([-product, product], axis=1)

    functions = {10: lambda signs: torch.zeros(len(signs), 2, dtype=torch.float64), 30: parity}
    teacher = FunctionTeacher(functions, classes=2, name="nothing, then all")
    supervision = Distill(teacher, explicit([(0, 10), (20, 30)]), temperature=1.0)
    run = train(MLP(6, width=8), task, steps=40, engine="autograd", **QUIET, supervision=supervision)
    assert run.teachers["teacher_step"].to_list() == [10, 30]
    assert teacher.at(30)(torch.ones(1, 5, 6)).dtype == torch.float32
    with pytest.raises(ValueError, match="has no checkpoint at step 0; the nearest is 10"):
        teacher.at(0)


def test_a_torch_module_teaches_without_gradients_and_in_eval_mode():
    network = nn.Sequential(nn.Embedding(6, 3), nn.Dropout(0.5)).train()
    model = FunctionTeacher(network, classes=3, name="module").at(0)
    assert torch.equal(model(IDS), model(IDS))
    assert not model(IDS).requires_grad
    assert network[0].weight.requires_grad


def test_functions_are_told_apart_by_their_name(tmp_path):
    digests = {
        FunctionTeacher(function, classes=classes, name=name).digest
        for function, classes, name in (
            (by_counts, 3, "a"),
            (by_counts, 3, "b"),
            (by_counts, 4, "a"),
            ({1: by_counts}, 3, "a"),
        )
    }
    assert len(digests) == 4
    assert FunctionTeacher(by_counts, classes=3, name="a").digest == FunctionTeacher(len, classes=3, name="a").digest
    settings = {"steps": 2, "out": tmp_path, **QUIET}
    first, other = (Distill(FunctionTeacher(by_counts, classes=3, name=name), one_shot()) for name in "ab")
    train(ours(), TASK, **settings, supervision=first)
    with pytest.raises(ValueError, match="other settings"):
        train(ours(), TASK, **settings, supervision=other, resume=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": None}, "needs a name"),
        ({"classes": 0}, "classes must be a whole number of at least 1"),
        ({"function": {}}, "counts has no checkpoints"),
        ({"function": {-3: by_counts}}, "step must be a whole number of at least 0"),
    ],
)
def test_what_is_no_function_teacher_is_refused(arguments, message):
    arguments = {"function": by_counts, "classes": 3, "name": "counts"} | arguments
    with pytest.raises(ValueError, match=message):
        FunctionTeacher(arguments.pop("function"), **arguments)


def test_logits_of_another_shape_are_refused():
    for classes, wrong in ((4, by_counts), (3, lambda ids: by_counts(ids)[:, 1:]), (3, lambda ids: by_counts(ids)[1:])):
        model = FunctionTeacher(wrong, classes=classes, name="counts").at(0)
        expected = rf"counts must map inputs of shape \(2, 5\) to .* \(2, 5, {classes}\) or \(2, {classes}\), got"
        with pytest.raises(ValueError, match=expected):
            model(IDS)
    teacher = FunctionTeacher(lambda ids: torch.zeros(*ids.shape, 4), classes=4, name="counts")
    with pytest.raises(ValueError, match="the teacher predicts 4 classes, the student 3"):
        train(ours(), TASK, steps=1, **QUIET, supervision=Distill(teacher, one_shot()))
