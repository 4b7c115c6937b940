"""Kills, full disks, flipped bits, truncations, edits and races: nothing may go wrong without a word.

Whatever happens to a folder, what is read from it afterwards is what was written, or an error names the file. `make
test` tries a sample of each kind; `make test-faults` (FAULTS=full) tries 200 kills, a bit of every byte of every file,
and every place where a disk can be full.
"""

import ast
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pdtutor import MLP, Distill, Run, SparseParity, StoredTargets, Trajectory, n_shot, one_shot, store_targets, train
from pdtutor.files import LOCK, read_sealed, write_sealed
from pdtutor.training.run import FILE, FORMATS

FULL = os.environ.get("FAULTS") == "full"
TASK = SparseParity(6, 2)
SETTINGS = {"steps": 40, "eval_every": 10, "save_every": 20, "eval_examples": 8, "progress": False, "device": "cpu"}
TRAINING = f"""
import hashlib, os, random, signal, sys, time
import torch
from pdtutor import MLP, SparseParity, train
torch.set_num_threads(1)

def digest(model):
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()

def trained(out, seed=1, **settings):
    settings = {{**{SETTINGS!r}, **settings}}
    return digest(train(MLP(6, width=4, seed=[seed]), SparseParity(6, 2), out=out, **settings).model)
"""


def started(out, **settings):
    return train(MLP(6, width=4, seed=[1]), TASK, out=out, **{**SETTINGS, **settings})


def digest(model):
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing happened to."""
    return started(tmp_path_factory.mktemp("whole") / "run")


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """The folder of a run that was interrupted after its save at step 20."""
    out = tmp_path_factory.mktemp("halfway") / "run"
    from pdtutor.training.session import Session

    record = Session.record_losses

    def interrupted(self, losses):
        record(self, losses)
        if self.step == 20:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "record_losses", interrupted)
        with pytest.raises(Stop):
            started(out)
    return out


@pytest.fixture(scope="module")
def stored(whole, tmp_path_factory):
    """The folder of stored targets of two shards."""
    distill = Distill(whole.trajectory, n_shot([20, 40], each=5), temperature=1.0)
    return store_targets(
        tmp_path_factory.mktemp("stored") / "targets", distill, TASK, steps=10, batch_size=4, seed=3, k=1,
        shard_tokens=20, progress=False,
    ).path  # fmt: skip


def tried(read, folder):
    """Return what is read from a folder, and the message of a ValueError, "" if there was none."""
    try:
        return read(folder), ""
    except ValueError as error:
        return None, str(error)


def copied(folder, tmp_path):
    """Return a fresh copy of a folder."""
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def files_of(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def resumed(folder):
    """Return the weights at the end of a run that goes on from this folder, and of every checkpoint."""
    run = started(folder, resume=True)
    return [digest(run.trajectory.at(step)) for step in run.trajectory.steps]


def targets_of(folder):
    """Return all that is read from stored targets."""
    found = StoredTargets(folder)
    ids, log_p, counts = found.read(0, found.steps)
    return [found.stages(10), found.steps, ids.tolist(), log_p.tolist(), counts.tolist(), found.settings]


def named(folder, read, right, tmp_path, name, change):
    """Change a file's bytes, read the folder, and return whether an error named the file: else all was as written."""
    copy = copied(folder, tmp_path)
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(change(content))
    found, said = tried(read, copy)
    if said:
        assert str(copy / name) in said
        assert "\n" not in said
    else:
        assert found == right, f"{name} was changed without a word"
    return said != ""


def flipped(place, bit):
    return lambda content: content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


READERS = {"halfway": resumed, "stored": targets_of}


@pytest.mark.parametrize("kind", READERS)
def test_a_flipped_bit_is_noticed(kind, request, tmp_path):
    folder, read = request.getfixturevalue(kind), READERS[kind]
    right, rng, noticed, flips = read(copied(folder, tmp_path)), random.Random(0), 0, 0
    for name in files_of(folder):
        size = (folder / name).stat().st_size
        places = range(size) if FULL else sorted(rng.sample(range(size), min(6, size)))
        for place in places:
            noticed += named(folder, read, right, tmp_path, name, flipped(place, rng.randrange(8)))
            flips += 1
    print(f"{kind}: {noticed} of {flips} flipped bits were refused, the others change nothing that is read")
    assert noticed > 0.4 * flips  # a bit of the checkpoint that a resume replaces changes nothing


@pytest.mark.parametrize("kind", READERS)
def test_a_truncated_file_is_noticed(kind, request, tmp_path):
    folder, read = request.getfixturevalue(kind), READERS[kind]
    right = read(copied(folder, tmp_path))
    for name in files_of(folder):
        size = (folder / name).stat().st_size
        for left in range(size) if FULL else (0, size // 2, size - 1):
            named(folder, read, right, tmp_path, name, lambda content, left=left: content[:left])


def edits():
    """Yield what somebody might do to run.json and trajectory.json by hand, with the file."""
    for key, value in (
        ("step", 10), ("step", -1), ("step", 10**400), ("step", 20.5), ("step", "20"), ("step", True), ("step", None),
        ("finished", True), ("finished", "no"), ("tensors", "resume_000000000.safetensors"), ("tensors", "../x"),
        ("tensors", {"file": "../x", "bytes": 3, "sha256": "0" * 64}), ("tensors", {"file": "/dev/zero"}),
        ("history", []), ("history", [{}]), ("history", {}), ("stages", 3), ("stages", [[[1]]]), ("settings", {}),
        ("settings", None), ("more", 1), ("format", None), ("format", "pdtutor run 3"),
    ):  # fmt: skip
        yield FILE, (lambda content, key=key, value=value: content | {key: value})
    for key in ("step", "settings", "history", "tensors", "stages", "finished"):
        yield FILE, (lambda content, key=key: {k: v for k, v in content.items() if k != key})
    for key, value in (
        ("checkpoints", []), ("checkpoints", None), ("checkpoints", [{"step": 0}]), ("model", {}), ("model", None),
        ("task", []), ("run", {"updates": -1, "ended": False}), ("run", 3), ("more", {}), ("format", "x"),
    ):  # fmt: skip
        yield "trajectory.json", (lambda content, key=key, value=value: content | {key: value})
    for field, value in (
        ("step", -1), ("step", 10**400), ("step", 0.5), ("step", 20), ("file", "../run.json"), ("file", "/etc/passwd"),
        ("file", ".."), ("file", ""), ("file", "a/b"), ("file", 3), ("bytes", -1), ("bytes", 10**15), ("bytes", "9"),
        ("sha256", "x"), ("sha256", None),
    ):  # fmt: skip
        yield (
            "trajectory.json",
            lambda content, field=field, value=value: (
                content | {"checkpoints": [content["checkpoints"][0] | {field: value}, *content["checkpoints"][1:]]}
            ),
        )


@pytest.mark.parametrize("sealed", [False, True], ids=["by hand", "sealed again"])
def test_an_edited_folder_is_refused_in_one_line(halfway, tmp_path, sealed):
    """Also by somebody who knows how to seal a file."""
    passed = []
    for number, (name, edit) in enumerate(edits()):
        copy = copied(halfway, tmp_path)
        content = edit(json.loads((copy / name).read_text()))
        content.pop("sha256") if sealed else None
        (write_sealed if sealed else lambda path, content: path.write_text(json.dumps(content)))(copy / name, content)
        _, said = tried(resumed, copy)
        if str(copy) not in said or "\n" in said:
            passed.append((number, said))
    assert passed == []


@pytest.mark.parametrize("text", ["[" * 100_000, '{"step": NaN}', '{"step": 1e999}', "", "null", "\xff", "{}"])
def test_what_is_no_json_of_ours_is_refused(halfway, tmp_path, text):
    for name in (FILE, "trajectory.json"):
        copy = copied(halfway, tmp_path)
        (copy / name).write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=name):
            started(copy, resume=True)


def test_a_pipe_or_a_device_is_never_read(halfway, tmp_path):
    """It could be read for ever."""
    for name in files_of(halfway):
        copy = copied(halfway, tmp_path)
        (copy / name).unlink()
        os.mkfifo(copy / name)
        assert "is not a file" in tried(resumed, copy)[1]


def test_another_step_s_state_and_another_run_s_files_are_refused(halfway, whole, tmp_path):
    state = "resume_000000020.safetensors"
    copy = copied(halfway, tmp_path)
    shutil.copy(whole.trajectory.path / "resume_000000040.safetensors", copy / state)
    with pytest.raises(ValueError, match=f"{state} is damaged"):
        started(copy, resume=True)
    for name in (FILE, "trajectory.json"):
        copy = copied(halfway, tmp_path)
        shutil.copy(whole.trajectory.path / name, copy)
        with pytest.raises(ValueError, match=r"are of different runs|step_000000040.safetensors is missing"):
            started(copy, resume=True)


# Full disks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", range(9) if FULL else (0, 2, 4))
def test_a_full_disk_is_named_and_a_resume_goes_on(whole, tmp_path, monkeypatch, write):
    writes, fsync = [], os.fsync

    def full(descriptor):
        writes.append(descriptor)
        if len(writes) == write + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"no room for .* a resume .* goes on") as said:
            started(tmp_path / "run")
    assert str(tmp_path / "run") in str(said.value)
    assert digest(started(tmp_path / "run", resume=True).model) == digest(whole.model)
    assert files_of(tmp_path / "run") == files_of(whole.trajectory.path)


# Kills and races, in real processes: one that has imported everything forks those that are killed -------------------


def ran(code, *arguments):
    """Run code after TRAINING in a process of its own, and return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", TRAINING + code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


KILLS = """
def child(work, say):
    if (pid := os.fork()) == 0:
        try:
            os.write(say, work().encode())
        finally:
            os._exit(0)
    return pid

rng = random.Random(0)
for number in range(int(sys.argv[2])):
    out = f"{sys.argv[1]}/{number}"
    calls, last = [], rng.randrange(1, 30)  # killed in the middle of this call, of those that change the disk

    def deadly(function):
        def dies(*arguments, **named):
            calls.append(function)
            if len(calls) == last and rng.random() < 0.5:
                os.kill(os.getpid(), signal.SIGKILL)
            done = function(*arguments, **named)
            if len(calls) >= last:
                os.kill(os.getpid(), signal.SIGKILL)
            return done
        return dies

    def killed():
        os.fsync, os.replace, os.unlink = map(deadly, (os.fsync, os.replace, os.unlink))
        trained(out)
        return "not killed"

    read, write = os.pipe()
    status = os.waitpid(child(killed, write), 0)[1]
    os.waitpid(child(lambda: trained(out, resume=True), write), 0)
    os.close(write)
    print(os.WTERMSIG(status), os.read(read, 200).decode())
    os.close(read)
"""


def test_a_run_killed_anywhere_resumes_to_the_same_weights(whole, tmp_path):
    kills = 200 if FULL else 8
    said = [line.split(maxsplit=1) for line in ran(KILLS, tmp_path, kills)]
    killed = [weights for status, weights in said if status == "9"]
    print(f"{len(killed)} of {kills} runs were killed, all of them resumed to the same weights")
    assert len(killed) > 0.6 * kills
    assert {weights.removeprefix("not killed") for _, weights in said} == {digest(whole.model)}


RACES = """
for number in range(int(sys.argv[2])):
    for how in ("resume", "start"):
        for other in (1, 2):
            out = f"{sys.argv[1]}/{number}-{how}-{other}"
            read, write = os.pipe()
            for seed in (1, other):
                if os.fork() == 0:
                    try:
                        said = trained(out, seed, resume=how == "resume", steps=2000, eval_every=20)
                    except ValueError as error:
                        said = f"ValueError: {error}"
                    os.write(write, (said + chr(10)).encode())
                    os._exit(0)
            os.wait(), os.wait()
            print(out, os.read(read, 4000).decode().splitlines())
"""


def test_of_two_processes_in_one_folder_one_is_sent_away(tmp_path):
    """Whether they resume or start, with equal seeds or not; or the second finds that the first has finished."""
    races = ran(RACES, tmp_path, 12 if FULL else 1)
    assert len(races) == (48 if FULL else 4)
    sent_away = 0
    for race in races:
        out, said = race.split(" ", maxsplit=1)
        said = ast.literal_eval(said)
        refused = [line for line in said if line.startswith("ValueError: ")]
        assert len(said) == 2
        if refused:
            [why] = refused
            assert any(reason in why for reason in ("is in use", "already holds", "can't be resumed"))
        else:
            assert out.endswith("resume-1")
            assert said[0] == said[1]
        sent_away += len(refused)
        trajectory = Trajectory(out)
        assert trajectory.ended
        for step in trajectory.steps:
            trajectory.at(step)
    print(f"in {sent_away} of {len(races)} races one was sent away; no checkpoint was damaged")
    assert sent_away >= 0.75 * len(races)


def test_a_lock_ends_with_its_process_and_names_it(tmp_path):
    [line] = ran(
        """
from pdtutor.files import locked
from pathlib import Path
if (pid := os.fork()) == 0:
    with locked(Path(sys.argv[1])):
        try:
            if os.fork() == 0:
                with locked(Path(sys.argv[1])):
                    pass
            else:
                os.wait()
        except ValueError as error:
            os.write(1, str(error).encode())
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(pid, 0)
with locked(Path(sys.argv[1])):
    pass
""",
        tmp_path / "run",
    )
    assert "is in use: process" in line
    assert "has been writing in it since" in line
    assert not (tmp_path / "run" / ".in-use.json").exists()


# What has not ended -------------------------------------------------------------------------------------------------


def test_a_run_that_has_not_ended_says_so(halfway, whole):
    assert (Trajectory(halfway).ended, whole.trajectory.ended) == (False, True)
    for ask in (
        lambda: Trajectory(halfway).final,
        lambda: Distill(Trajectory(halfway), one_shot()),
        lambda: Distill(Trajectory(halfway).of(1), n_shot([20], each=5)),
        lambda: Run.open(halfway),
    ):
        with pytest.raises(ValueError, match=r"hasn't ended: its last checkpoint is that of step 20 of 40.*unfinished"):
            ask()
    assert Trajectory(halfway, unfinished=True).of(1).final == Run.open(halfway, unfinished=True).trajectory.final == 20
    Distill(Trajectory(halfway, unfinished=True), one_shot())
    assert Trajectory(halfway).steps == (0, 20)


def test_runs_of_version_0_1_count_as_ended():
    old = Path(__file__).parents[1] / "fixtures" / "v0.1.0"
    assert Trajectory(old / "teacher").ended is None
    assert Trajectory(old / "teacher").final


def test_a_task_whose_content_has_changed_is_not_the_same(tmp_path):
    class Lines(SparseParity):
        content = "one"

        def sample(self, rng, n):
            return super().sample(rng, n)

        def config(self):
            return super().config() | {"class": "Lines"}

        def fingerprint(self):
            return self.content

    from pdtutor import register

    register(Lines)
    task = Lines(6, 2)
    run = train(MLP(6, width=4, seed=[1]), task, out=tmp_path / "run", **SETTINGS)
    assert run.trajectory.task.fingerprint() == "one"
    Lines.content = "other"
    with pytest.raises(ValueError, match="trained on other content than its task draws from now"):
        _ = Trajectory(tmp_path / "run").task
    with pytest.raises(
        ValueError, match=r"can't be resumed: a file that .*Lines.* draws from has changed since it began"
    ):
        train(MLP(6, width=4, seed=[1]), task, out=tmp_path / "run", resume=True, **SETTINGS)


def test_a_temporary_folder_of_a_killed_run_is_removed_by_the_next(tmp_path):
    code = """
run = train(MLP(6, width=4), SparseParity(6, 2), steps=2, progress=False)
path = run.trajectory.path
print(path, flush=True)
if len(sys.argv) > 1:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", TRAINING + code, "x"], check=False, env=environment, capture_output=True)
    [dead] = tmp_path.glob("pdtutor-*")
    os.utime(dead / LOCK, (0, 0))  # long ago
    subprocess.run([sys.executable, "-c", TRAINING + code], check=True, env=environment, capture_output=True)
    assert not list(tmp_path.glob("pdtutor-*"))


def test_a_seal_is_of_the_content_whatever_its_order(tmp_path):
    file = tmp_path / "x.json"
    write_sealed(file, {"format": FORMATS[-1], "b": 1, "a": (2, 0.1)})
    content = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_sealed(file, FORMATS) == {"format": FORMATS[-1], "b": 1, "a": [2, 0.1]}
