"""Several processes train what one does: in one process share by share, then in processes that a launcher starts."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch

from pdtutor import MLP, SGD, Anneal, Distill, Labels, MaskedGrammar, Run, SparseParity, one_shot, train
from pdtutor.cli import main
from pdtutor.distillation.targets import make_targets
from pdtutor.distillation.teachers import Teachers
from pdtutor.files import LOCK
from pdtutor.processes import ALONE, Processes, TemporaryFolder, launched, launched_precision, on_main, shares
from pdtutor.tasks.stream import Stream
from pdtutor.training.engines import choose_engine

SIGNS, SENTENCES = SparseParity(8, 2), MaskedGrammar("cfg3b", root="10")
QUIET = {"progress": False, "eval_examples": 51}

# What one process and launched ones both run. The latter are given it as a script.
PREAMBLE = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
import torch
from pdtutor import *
from pdtutor.processes import launched, on_main

SIGNS, SENTENCES = SparseParity(8, 2), MaskedGrammar("cfg3b", root="10")
QUIET = {"progress": False, "eval_examples": 51}

def reader(seed):
    return Transformer(SENTENCES.vocabulary, max_length=SENTENCES.longest, classes=SENTENCES.classes, layers=2, heads=2,
                       read_out="every", padding=SENTENCES.padding, init_std=0.1, seed=seed)

def sentences(teacher, **settings):
    supervision = [
        Labels(),
        Distill(teacher, one_shot(), temperature=2.0, alpha=0.3, divergence="reverse_kl"),
        Distill(teacher, progressive(10), temperature=1.0, alpha=Anneal(1.0, 0.0, 15)),
    ]
    return train(reader([0, 0, 1]), SENTENCES, steps=20, optimizer=AdamW(lr=0.01, eps=1e-5), supervision=supervision,
                 eval_every=5, save_every=10, **QUIET, **settings)

def parity(teacher, out, **settings):
    taught = Distill(teacher, on_plateau([10, FINAL], patience=1), temperature=1.0)
    settings = {"steps": 60, "batch_size": 5, "optimizer": SGD(lr=0.2, momentum=0.9), "supervision": [Labels(), taught],
                "eval_every": 5, "save_every": 20, "until": 0.97} | QUIET | settings
    return train(MLP(8, width=12, seed=[3, 4]), SIGNS, out=out, **settings)

def teachers(out):
    settings = {"save_every": 10, "optimizer": SGD(lr=0.5), "resume": True} | QUIET
    return (train(reader([1]), SENTENCES, steps=20, batch_size=7, out=out / "reader", **settings).trajectory,
            train(MLP(8, width=16, seed=1), SIGNS, steps=40, out=out / "MLP", **settings).trajectory)
"""
RUNS = """
def runs(out, of_sentences, of_signs):
    trained = {
        "odd": sentences(of_sentences, batch_size=5, out=out / "odd"),
        "accumulated": sentences(of_sentences, batch_size=7, out=out / "accumulated", accumulate=ACCUMULATE),
        "plateaus": parity(of_signs, out / "plateaus"),
        "one row, one example": parity(of_signs, out / "one", batch_size=1, eval_examples=1, until=None),
        "resumed": parity(of_signs, out / "resumed", until=None, resume=True),
    }
    return trained
"""
LAUNCHED = """
ACCUMULATE = 2
torch.manual_seed(0)
out, rank = Path(sys.argv[1]), launched().rank
of_sentences, of_signs = teachers(Path(sys.argv[2]))
temporary = train(MLP(8, width=4), SIGNS, steps=1, **QUIET).trajectory
said = [f"temporary: {temporary.path}", f"read: {temporary.at(1).d}"]
for name, run in runs(out, of_sentences, of_signs).items():
    run.history.to_csv(out / f"{name} {rank}.csv")
    torch.save([p.detach() for p in run.model.parameters()], out / f"{name} {rank}.pt")
try:
    parity(of_signs, out / "odd")
except ValueError as error:
    said.append(f"error: {error}")
with launched().own_noise(0, 0):
    said.append(f"noise: {torch.rand(1).item()}")
said.append(f"after: {torch.rand(1).item()}")
said.append(f"main: {on_main(lambda: (rank, launched().size))()}")
(out / f"said {rank}").write_text("\\n".join(said))
"""
KILLED = """
def killed(self, start, stop, **sizes):
    if start >= 35 and stop > start + 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return rates(self, start, stop, **sizes)
rates, SGD.rates = SGD.rates, killed
parity(teachers(Path(sys.argv[2]))[1], Path(sys.argv[1]), until=None, resume=True)
"""


def environment(**more):
    return os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1", "PYTHONWARNINGS": "ignore"} | more


def torchrun(*command, **more):
    """Run a script, or a module with -m, in two processes."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.run([sys.executable, "-m", *launcher, *map(str, command)], env=environment(**more), text=True,
                          capture_output=True, check=False, timeout=300)  # fmt: skip


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """What one process trains: the folder, and the names that the scripts above define."""
    out, names = tmp_path_factory.mktemp("single"), {"ACCUMULATE": None}
    exec(PREAMBLE + RUNS, names)
    names["of_sentences"], names["of_signs"] = names["teachers"](out)
    names["runs"](out, names["of_sentences"], names["of_signs"])
    return out, names


def assert_same_run(one, other):
    one, other = Run.open(one), Run.open(other)
    pd.testing.assert_frame_equal(one.history, other.history, atol=1e-4, rtol=1e-4)
    pd.testing.assert_frame_equal(one.teachers, other.teachers)
    assert one.trajectory.steps == other.trajectory.steps
    for step in one.trajectory.steps:
        for p, q in zip(one.trajectory.at(step).parameters(), other.trajectory.at(step).parameters(), strict=True):
            torch.testing.assert_close(p, q, atol=1e-4, rtol=1e-4)
    assert one.settings | {"engine": ""} == other.settings | {"engine": ""}


# Launches ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(single, tmp_path_factory):
    """What two processes train, the run "resumed" after one process alone was killed in it: the folder."""
    out = tmp_path_factory.mktemp("pair")
    _, names = single
    with pytest.MonkeyPatch.context() as patch:
        rates = SGD.rates

        def killed(self, start, stop, **sizes):
            if start >= 35 and stop > start + 1:
                raise KeyboardInterrupt
            return rates(self, start, stop, **sizes)

        patch.setattr(SGD, "rates", killed)
        patch.setattr("pdtutor.training.session.SAVE_SECONDS", float("inf"))  # slow machines would save again
        with pytest.raises(KeyboardInterrupt):
            names["parity"](names["of_signs"], out / "resumed", until=None)
    assert Run.open(out / "resumed", unfinished=True).history["step"].max() == 20  # killed after step 35
    (out / "script.py").write_text(PREAMBLE + RUNS + LAUNCHED)
    ended = torchrun(out / "script.py", out, single[0])
    assert ended.returncode == 0, ended.stderr
    return out


@pytest.mark.parametrize("name", ["odd", "accumulated", "plateaus", "one", "resumed"])
def test_two_processes_train_what_one_does(single, pair, name):
    """Labels, one-shot and progressive side by side; shares that differ; a process without a row; a resume."""
    assert_same_run(single[0] / name, pair / name)


def test_all_processes_have_the_same_numbers_to_the_last_bit(pair):
    names = [path.name.removesuffix(" 0.csv") for path in pair.glob("* 0.csv")]
    assert len(names) == 5
    for name in names:
        assert (pair / f"{name} 0.csv").read_bytes() == (pair / f"{name} 1.csv").read_bytes()
        for p, q in zip(*(torch.load(pair / f"{name} {rank}.pt") for rank in (0, 1)), strict=True):
            assert torch.equal(p, q)


def test_processes_share_a_temporary_folder_and_errors_but_no_noise(pair):
    one, other = (
        dict(line.split(": ", 1) for line in (pair / f"said {rank}").read_text().splitlines()) for rank in (0, 1)
    )
    assert one.pop("noise") != other.pop("noise")
    assert one == other
    assert not os.path.exists(one["temporary"])  # the last one gone removed it
    assert "already holds a trajectory" in one["error"]  # and both went on
    assert one["main"] == "(0, 1)"  # process 0, as if it were alone


def test_a_killed_launch_is_resumed_by_one_process(single, tmp_path):
    (tmp_path / "script.py").write_text(PREAMBLE + KILLED)
    ended = torchrun(tmp_path / "script.py", tmp_path / "run", single[0])
    assert ended.returncode != 0
    assert str(-signal.SIGKILL) in ended.stderr
    assert Run.open(tmp_path / "run", unfinished=True).history["step"].max() == 20  # killed after step 35
    _, names = single
    names["parity"](names["of_signs"], tmp_path / "run", until=None, resume=True)
    assert_same_run(single[0] / "resumed", tmp_path / "run")


def test_an_error_in_one_process_ends_the_launch_with_its_message(tmp_path):
    script = "train(MLP(8, width=4), SIGNS, steps=10 + launched().rank, out=sys.argv[1], **QUIET)"
    (tmp_path / "script.py").write_text(PREAMBLE + script)
    ended = torchrun(tmp_path / "script.py", tmp_path / "run")
    assert ended.returncode != 0
    assert "ValueError: all processes must be asked for the same run: " in ended.stderr
    assert "steps in process 0 is 10, in process 1 11" in ended.stderr


def test_accelerate_launch_says_precision_and_micro_batches(tmp_path):
    script = """
import pdtutor.training.engines
inner, seen = pdtutor.training.engines._loss_and_gradients, []
pdtutor.training.engines._loss_and_gradients = lambda *args: seen.append(args[5]) or inner(*args)
run = train(reader([0]), SENTENCES, steps=5, batch_size=6, out=sys.argv[1], **QUIET)
said = {"precision": run.settings["precision"], "engine": run.settings["engine"], "rows": seen[:2]}
Path(f"{sys.argv[1]} {launched().rank}").write_text(repr(said))
"""
    (tmp_path / "script.py").write_text(PREAMBLE + script)
    # --multi_gpu is how it starts several processes; which devices they use is another matter
    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--mixed_precision=bf16",
                "--num_machines=1", "--dynamo_backend=no", "--main_process_port=0"]  # fmt: skip
    ended = subprocess.run([sys.executable, "-m", *launcher, tmp_path / "script.py", tmp_path / "run"], check=False,
                           env=environment(ACCELERATE_GRADIENT_ACCUMULATION_STEPS="2"), capture_output=True,
                           text=True, timeout=300)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows = [slice(0, 1), slice(1, 3)]  # of six rows a process has three, in two parts
    for rank in (0, 1):
        said = eval((tmp_path / f"run {rank}").read_text())
        assert said == {"precision": "bfloat16", "engine": "autograd", "rows": rows}
    assert Run.open(tmp_path / "run").settings["precision"] == "bfloat16"


def test_a_recipe_runs_in_two_processes_as_in_one(tmp_path, capsys):
    """Teachers, a probe of them and students; with `python -m pdtutor`, as launchers need it."""
    recipe = ["run", "parity-progressive", "--scale", "smoke", "--seeds", "1", "--steps", "150"]
    recipe += ["--teacher.steps", "200", "--teacher.lr", "0.5"]
    main([*recipe, "--out", str(tmp_path / "one")])
    alone = capsys.readouterr().out
    together = torchrun("-m", "pdtutor", *recipe, "--out", tmp_path / "two")
    assert together.returncode == 0, together.stderr
    assert together.stdout == alone.replace(str(tmp_path / "one"), str(tmp_path / "two"))  # printed once
    for name in ("results", "history"):
        one, two = (pd.read_csv(tmp_path / folder / f"{name}.csv") for folder in ("one", "two"))
        pd.testing.assert_frame_equal(one, two, atol=1e-4, rtol=1e-3)
    assert json.loads((tmp_path / "one" / "teachers" / "run.json").read_text())["settings"]["engine"] == "kernel"
    assert json.loads((tmp_path / "two" / "teachers" / "run.json").read_text())["settings"]["engine"] == "autograd"


# In one process ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 5, 12])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_shares_are_all_rows_in_order_and_as_even_as_can_be(rows, parts):
    cut = shares(rows, parts)
    assert [row for part in cut for row in range(rows)[part]] == list(range(rows))
    sizes = [part.stop - part.start for part in cut]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == parts
    assert [Processes(rank, parts).share(rows) for rank in range(parts)] == cut
    assert Processes(0, parts).largest_share(rows) == max(sizes)


@pytest.mark.parametrize("task", [SIGNS, SENTENCES], ids=["signs", "sentences"])
@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jensen_shannon"])
def test_losses_and_gradients_of_shares_sum_to_the_whole_batch_s(single, task, kind):
    """Also where a share is empty, and where one is cut again into micro-batches."""
    _, names = single
    if task is SIGNS:
        trajectory, student = names["of_signs"], MLP(8, width=6, seed=[0, 1])
    else:
        trajectory, student = names["of_sentences"], names["reader"]([0, 1])
    taught = Distill(trajectory, one_shot(), temperature=2.0, alpha=Anneal(1.0, 0.0, 4), divergence=kind)
    teachers = Teachers([Labels(), taught], steps=10)
    stream = Stream(task, batch_size=5, seeds=[3, 4], purpose="student data")
    stretch = stream.stretch(2, 4)

    def summed(processes, micro_batches):
        total = None
        for rows in shares(5, processes):
            share = replace(stretch, rows=rows)
            targets = make_targets(share, teachers, classes=task.classes, some_positions=task is SENTENCES)
            mine = share.own_inputs
            losses = targets.constant[:, 1]
            for part in shares(rows.stop - rows.start, micro_batches):
                if part.stop > part.start:
                    logits = targets.logits(student, mine[:, 1, part], 1, part)
                    losses = losses + targets.loss_of(logits, 1, part)
            gradients = torch.autograd.grad(losses.sum(), list(student.parameters())) if losses.requires_grad else ()
            mine = [losses.detach(), *(gradients or [torch.zeros_like(p) for p in student.parameters()])]
            total = mine if total is None else [a + b for a, b in zip(total, mine, strict=True)]
        return total

    whole = summed(1, 1)
    for processes, micro_batches in [(1, 2), (1, 7), (2, 1), (3, 2), (7, 1)]:
        for one, other in zip(whole, summed(processes, micro_batches), strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("accumulate", [2, 3, 9])
def test_micro_batches_train_what_a_whole_batch_does(single, tmp_path, accumulate):
    _, names = single
    names["sentences"](names["of_sentences"], batch_size=5, out=tmp_path / "run", accumulate=accumulate)
    assert_same_run(single[0] / "odd", tmp_path / "run")


def test_engines_that_cannot_sum_gradients_are_refused_with_the_reason():
    def chosen(engine, **parts):
        return choose_engine(engine, MLP(8, width=4), SGD(), 4, linear=True, **parts)

    assert (chosen("auto"), chosen("auto", processes=2), chosen("auto", accumulate=2)) == ("kernel", *["autograd"] * 2)
    for engine in ("kernel", "graph"):
        with pytest.raises(ValueError, match=f"engine='{engine}' doesn't apply here: several processes share"):
            chosen(engine, processes=2)
        with pytest.raises(ValueError, match=f"engine='{engine}' doesn't apply here: an update accumulates"):
            train(MLP(8, width=4), SIGNS, steps=1, engine=engine, accumulate=2, **QUIET)
    with pytest.raises(ValueError, match="accumulate must be a whole number of at least 1, got 0"):
        train(MLP(8, width=4), SIGNS, steps=1, accumulate=0, **QUIET)


def test_without_a_launch_nobody_asks_for_accelerate(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)  # as if it were not installed
    for size in ({}, {"WORLD_SIZE": "1"}, {"PMI_SIZE": "2"}):  # the last is MPI's own affair
        with monkeypatch.context() as patch:
            for name, value in size.items():
                patch.setenv(name, value)
            assert launched() is ALONE
            train(MLP(8, width=4), SIGNS, steps=1, **QUIET)
    for several in ({"WORLD_SIZE": "2"}, {"PMI_SIZE": "2", "ACCELERATE_MIXED_PRECISION": "no"}):
        with monkeypatch.context() as patch:
            for name, value in several.items():
                patch.setenv(name, value)
            with pytest.raises(ImportError, match=r"2 processes were launched.*pip install 'pdtutor\[hub\]'"):
                train(MLP(8, width=4), SIGNS, steps=1, **QUIET)


def test_accelerate_launch_that_starts_one_process_only_is_pointed_out(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # what it leaves on a machine without several GPUs
    with pytest.warns(UserWarning, match="asked for several processes, has started one"):
        assert launched() is ALONE


def test_the_launch_says_what_was_not_given(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "3")
    settings = {"steps": 1, "engine": "graph", **QUIET}
    with pytest.raises(ValueError, match="an update accumulates"):
        train(MLP(8, width=4), SIGNS, **settings)
    assert train(MLP(8, width=4), SIGNS, accumulate=1, **settings).settings["precision"] == "bfloat16"
    run = train(MLP(8, width=4), SIGNS, accumulate=1, precision="float32", **settings)
    assert run.settings["precision"] == "float32"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    assert launched_precision() == "float16"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(ValueError, match="launched with mixed precision 'fp8'; training is possible in no, bf16, fp16"):
        launched_precision()


def test_another_device_than_the_launch_s_is_refused():
    processes = Processes(1, 2, torch.device("cpu"))
    assert processes.place("auto") == processes.place("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device='cuda' was asked for, but this process was launched on 'cpu'"):
        processes.place("cuda")
    assert ALONE.place("mps") == "mps"


def test_what_the_main_process_does_for_all_it_does_alone_as_well():
    assert on_main(lambda: on_main(launched)())() is ALONE
    with pytest.raises(OSError, match="full"):
        on_main(failing)()


def failing():
    raise OSError("full")


def test_a_temporary_folder_goes_when_the_last_one_lets_go():
    folder = TemporaryFolder()
    path = folder.path
    other = path / ".held-by-1"
    other.touch()
    del folder
    assert path.exists()
    other.unlink()
    (path / LOCK).unlink()
    path.rmdir()
    folder = TemporaryFolder()
    path = folder.path
    del folder
    assert not path.exists()
