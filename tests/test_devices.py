"""One device for everything. What a GPU would do is played by `fake_gpu`; `tests/gpu` holds what needs a real one."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from fake_gpu import NAME, OnDevice, fake_gpu
from safetensors.torch import load_file

import pdtutor
from pdtutor import (
    MLP,
    SGD,
    AdamW,
    Distill,
    FunctionTeacher,
    MaskedGrammar,
    Run,
    SparseParity,
    Stored,
    Stream,
    Transformer,
    choose_checkpoint,
    compare,
    devices,
    monomial_correlations,
    one_shot,
    over,
    progressive,
    storage_table,
    store_targets,
    train,
)
from pdtutor.cli import main
from pdtutor.distillation.stored import store
from pdtutor.models.model import device_of
from pdtutor.models.placement import SMALL, placed
from pdtutor.probes import choose
from pdtutor.recipes import outcome
from pdtutor.recipes.catalogue import RECIPES
from pdtutor.training import loop
from pdtutor.training.evaluate import held_out
from pdtutor.training.scaling import FIRST, PATIENCE, adjust, scaling_tensors, unscale
from pdtutor.training.session import Session

over_module = sys.modules["pdtutor.probes.over"]  # `pdtutor.over` is the function
TASK = SparseParity(8, 2)
QUIET = {"progress": False, "eval_examples": 64}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def nothing_said_or_set(monkeypatch):
    monkeypatch.setattr(devices, "_said", set())
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    problem = devices.cuda_problem
    problem.cache_clear()
    yield
    problem.cache_clear()


@pytest.fixture
def gpu(monkeypatch):
    with fake_gpu(monkeypatch):
        yield


def small(**settings):
    return MLP(8, width=4, **settings)


def transformer(**settings):
    return Transformer(2, max_length=8, heads=2, layers=1, **settings)


# ---- the rule


def test_auto_takes_the_gpu_for_all_but_small_mlps(gpu):
    narrow, wide = MLP(100, width=1000), MLP(100, width=50_000)
    assert device_of(placed(narrow, examples=1)).type == "cpu"
    assert device_of(placed(wide, examples=1)).type == "cuda"
    assert device_of(placed(transformer(), examples=1)).type == "cuda"
    assert device_of(placed(MLP(8, width=[4, 4]), examples=1)).type == "cuda"  # the compiled kernel can't train it
    weights = sum(p.numel() for p in narrow.parameters())
    assert device_of(placed(narrow, examples=SMALL // weights)).type == "cpu"
    assert device_of(placed(narrow, examples=SMALL // weights + 1)).type == "cuda"


def test_the_batch_decides_where_an_mlp_trains(gpu):
    weights = sum(p.numel() for p in small().parameters())
    for batch_size, device in ((1, "cpu"), (SMALL // weights + 1, "cuda")):
        run = train(small(), TASK, steps=1, batch_size=batch_size, **QUIET)
        assert set(run.history["device"]) == {device}


def test_auto_leaves_a_model_on_its_gpu_and_a_named_device_is_taken(gpu, monkeypatch):
    model = small().to("cuda")
    assert device_of(placed(model)).type == "cuda"
    assert device_of(placed(model, "cpu")).type == "cpu"
    assert device_of(placed(model, "cuda")).type == "cuda"
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    assert device_of(placed(transformer())).type == "cpu"
    monkeypatch.setenv(devices.VARIABLE, "cuda")
    assert device_of(placed(small())).type == "cuda"
    monkeypatch.setenv(devices.VARIABLE, "")
    assert device_of(placed(small())).type == "cpu"


def test_a_launch_on_cpus_stays_there(gpu, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert device_of(placed(transformer())).type == "cpu"


def test_an_apple_gpu_has_to_be_asked_for(monkeypatch):
    with fake_gpu(monkeypatch, "mps"):
        assert device_of(placed(transformer())).type == "cpu"
        assert device_of(placed(transformer(), "mps")).type == "mps"


# ---- devices that can't be used


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("gpu", "device must be auto, cpu, cuda, cuda:0, … or mps, got 'gpu'"),
        (None, "device must be a string"),
        ("xla", "pdtutor trains on cpu, cuda and mps"),
        ("meta", "pdtutor trains on cpu, cuda and mps"),
    ],
)
def test_what_is_no_device_is_refused(device, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        train(small(), TASK, steps=1, device=device, **QUIET)


def built_for_cuda(monkeypatch, *, available=True, count=1, warning=None):
    def is_available():
        if warning:
            warnings.warn(warning, stacklevel=1)
        return available

    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_a_gpu_that_is_missing_hidden_or_out_of_date_is_an_error_only_if_it_is_asked_for(monkeypatch):
    def reason():
        devices.cuda_problem.cache_clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert device_of(placed(transformer())).type == "cpu"  # without a word
        with pytest.raises(ValueError, match=r"can't be used: .*'auto' takes a device that can") as caught:
            devices.find("cuda")
        return str(caught.value)

    monkeypatch.setattr(torch.version, "cuda", None)
    assert "this torch is a build for CPUs only" in reason()
    built_for_cuda(monkeypatch, available=False)
    assert "torch finds no GPU that it can use" in reason()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    built_for_cuda(monkeypatch)
    assert "CUDA_VISIBLE_DEVICES hides every GPU" in reason()


def test_the_reason_names_an_old_driver_a_wrong_number_and_a_busy_gpu(monkeypatch):
    built_for_cuda(monkeypatch, available=False, warning="The NVIDIA driver on your\nsystem is too old (11040)")
    assert "(The NVIDIA driver on your system is too old (11040))" in devices.cuda_problem()
    built_for_cuda(monkeypatch, count=2)
    devices.cuda_problem.cache_clear()
    assert devices.cuda_problem(5) == "there are 2 GPUs, numbered from 0"

    def busy(*args, **kwargs):
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nmore")

    monkeypatch.setattr(torch, "ones", busy)
    assert devices.cuda_problem(0) == "it fails at 1 + 1: CUDA error: all CUDA-capable devices are busy or unavailable"


@pytest.mark.parametrize("what", ["cuda_problem", "cuda_shortage"])
def test_a_gpu_that_fails_or_is_full_is_warned_of_once_and_work_goes_on(gpu, monkeypatch, what):
    monkeypatch.setattr(devices, what, lambda index=None: "it is busy")
    with pytest.warns(UserWarning, match="the GPU is not used: it is busy. Work goes on, on the CPU"):
        assert device_of(placed(transformer())).type == "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert device_of(placed(transformer())).type == "cpu"


def test_a_full_gpu_says_how_full_it_is(gpu, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "NVIDIA T4")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (100 * 2**20, 15_000 * 2**20))
    assert devices.cuda_shortage() == "NVIDIA T4 has 100 MB free of 15000, the rest is in use by other processes"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**30, 15_000 * 2**20))
    assert devices.cuda_shortage() is None


# ---- what a run says of its device


def test_the_device_is_named_once_and_recorded(gpu, tmp_path, capsys):
    for number in (1, 2):
        run = train(transformer(), SparseParity(8, 2, encoding="tokens"), steps=2, eval_examples=16,
                    out=tmp_path / str(number))  # fmt: skip
    assert capsys.readouterr().err.count(f"on cuda:0: {NAME}") == 1
    assert set(run.history["device"]) == {"cuda"}
    saved = json.loads((tmp_path / "2" / "run.json").read_text())
    assert saved["hardware"] == run.hardware == Run.open(tmp_path / "2").hardware
    (found,) = run.hardware
    assert found["from_step"] == 0
    assert found["device"] == "cuda:0"
    assert found["name"] == NAME
    assert found["torch"] == torch.__version__
    assert found["cpu"] == devices.processor()
    assert found["cpu"]


def test_a_small_mlp_beside_a_gpu_says_why_it_is_not_there(gpu, capsys):
    train(small(), TASK, steps=2, eval_examples=16)
    assert "faster for small MLPs than the GPU (device='cuda' takes that)" in capsys.readouterr().err


def test_a_machine_without_a_gpu_says_nothing(capsys):
    train(small(), TASK, steps=2, eval_examples=16)
    assert "on cpu" not in capsys.readouterr().err


def killed_at(step, monkeypatch):
    """Have training stop, as if killed, after the evaluation at this step."""
    record = Session.record_losses

    def record_losses(self, losses):
        due = record(self, losses)
        if self.step >= step:
            raise KeyboardInterrupt
        return due

    monkeypatch.setattr(Session, "record_losses", record_losses)


def test_a_run_goes_on_on_another_device_and_says_so(monkeypatch, tmp_path):
    task = SparseParity(8, 2, encoding="tokens")
    settings = {"steps": 30, "eval_every": 10, "save_every": 10, "optimizer": AdamW(lr=0.01), **QUIET}
    whole = train(transformer(), task, **settings)
    with fake_gpu(monkeypatch), monkeypatch.context() as patch:
        killed_at(20, patch)
        with pytest.raises(KeyboardInterrupt):
            train(transformer(), task, out=tmp_path / "run", **settings)
    with pytest.warns(UserWarning, match=rf"goes on from step 20 on .*name was {NAME}.*not bit for bit"):
        run = train(transformer(), task, out=tmp_path / "run", resume=True, device="cpu", **settings)
    assert run.history["device"].tolist() == ["cuda", "cuda", "cuda", "cpu"]
    assert [entry["from_step"] for entry in run.hardware] == [0, 20]
    np.testing.assert_allclose(run.history["loss"], whole.history["loss"], atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_run_goes_on_on_its_gpu(gpu, monkeypatch, tmp_path, precision):
    task = SparseParity(8, 2, encoding="tokens")
    settings = {"steps": 30, "eval_every": 10, "save_every": 10, "precision": precision, "optimizer": AdamW(lr=0.01)}
    whole = train(transformer(), task, **settings, **QUIET)
    with monkeypatch.context() as patch:
        killed_at(20, patch)
        with pytest.raises(KeyboardInterrupt):
            train(transformer(), task, out=tmp_path / "run", **settings, **QUIET)
    (state,) = (tmp_path / "run").glob("resume_*.safetensors")
    assert ("loss_scale" in load_file(state)) == (precision == "float16")
    run = train(transformer(), task, out=tmp_path / "run", resume=True, **settings, **QUIET)
    pd.testing.assert_frame_equal(run.history, whole.history)


def test_a_resume_on_the_same_device_says_nothing(monkeypatch, tmp_path):
    settings = {"steps": 30, "eval_every": 10, "save_every": 10, "out": tmp_path / "run", **QUIET}
    with monkeypatch.context() as patch:
        killed_at(20, patch)
        with pytest.raises(KeyboardInterrupt):
            train(small(), TASK, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(small(), TASK, resume=True, **settings)


# ---- too little memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_what_to_lower(monkeypatch, tmp_path, capsys, error):
    def full(*args, **kwargs):
        raise error

    monkeypatch.setattr(loop, "make_targets", full)
    with pytest.raises(devices.DeviceMemoryError) as caught:
        train(small(seed=[0, 1]), TASK, steps=9, batch_size=77, out=tmp_path / "run", **QUIET)
    for advice in (
        "batch_size (77)",
        "accumulate (1)",
        "fewer than 2 copies",
        "bfloat16",
        str(tmp_path / "run"),
        "resume",
    ):
        assert advice in str(caught.value)
    with pytest.raises(SystemExit, match=r"error: .* is out of memory: lower batch_size"):
        main(["run", "parity-teacher", "--scale", "smoke", "--out", str(tmp_path / "cli")])


def test_other_errors_are_passed_on(monkeypatch):
    def wrong(*args, **kwargs):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(loop, "make_targets", wrong)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(small(), TASK, steps=1, **QUIET)


# ---- half precision


def test_a_gpu_without_bfloat16_is_told_of_float16(gpu):
    with pytest.raises(ValueError, match=rf"bfloat16' is not for {NAME}.*use 'float16', which scales the loss"):
        train(transformer(), SparseParity(8, 2, encoding="tokens"), steps=1, precision="bfloat16", **QUIET)
    with pytest.raises(ValueError, match="'float16' is for GPUs"):
        train(small(), TASK, steps=1, precision="float16", device="cpu", **QUIET)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.parametrize("optimizer", [SGD(lr=0.1, momentum=0.9, weight_decay=0.01), AdamW(lr=0.01, weight_decay=0.1)])
def test_scaling_the_loss_changes_no_update(gpu, optimizer):
    """Nothing is rounded here, because the fake GPU knows no float16."""
    task, settings = SparseParity(8, 2, encoding="tokens"), {"steps": 40, "optimizer": optimizer, **QUIET}
    runs = {p: train(transformer(seed=[0, 1]), task, precision=p, **settings) for p in ("float32", "float16")}
    plain, scaled = (run.history["loss"].to_numpy() for run in runs.values())
    np.testing.assert_allclose(scaled, plain, atol=1e-5)


@pytest.mark.parametrize("optimizer", [SGD(lr=0.1, momentum=0.9, weight_decay=0.01), AdamW(lr=0.01, weight_decay=0.1)])
def test_an_update_that_overflows_is_left_out_for_its_copy_alone(optimizer):
    parameter = torch.ones(2, 3)
    state = optimizer.start([parameter])
    scales = scaling_tensors(2, torch.device("cpu"))
    state.tensors |= scales

    def update(gradient):
        gradients, finite = unscale([gradient * scales["loss_scale"].view(2, 1)], scales["loss_scale"])
        state.update(gradients, torch.full((2,), 0.1), torch.tensor([2.0, 0.5]), finite=finite)
        adjust(scales, finite)

    update(torch.ones(2, 3))
    before = {name: tensor.clone() for name, tensor in {"weights": parameter, **state.tensors}.items()}
    update(torch.tensor([[1.0, torch.inf, 1.0], [1.0, 1.0, 1.0]]))
    after = {"weights": parameter, **state.tensors}
    changing = [name for name in after if name not in ("loss_scale", "finite_updates")]
    assert all(torch.equal(after[name][0], before[name][0]) for name in changing)
    assert not any(torch.equal(after[name][1], before[name][1]) for name in changing)
    assert scales["loss_scale"].tolist() == [FIRST / 2, FIRST]
    assert scales["finite_updates"].tolist() == [0, 2]


def test_the_scale_doubles_after_enough_finite_updates():
    scales = scaling_tensors(1, torch.device("cpu"))
    for _ in range(PATIENCE):
        assert scales["loss_scale"].item() == FIRST
        adjust(scales, torch.tensor([True]))
    assert (scales["loss_scale"].item(), scales["finite_updates"].item()) == (2 * FIRST, 0)


# ---- everything follows

ON_THE_CPU = (  # theory, computed with numpy
    "parity-sample-complexity",
    "parity-two-stage",
    "parity-early-checkpoint",
    "parity-imperfect-teacher",
)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_its_device_on_to_all_that_computes(name, monkeypatch, tmp_path):
    asked = []

    def seen(model, device=devices.AUTO, **options):
        asked.append(device)
        return model

    for module in (loop, over_module, choose):
        monkeypatch.setattr(module, "placed", seen)
    monkeypatch.setattr(outcome, "find", torch.device)
    seeds = 2 if name == "parity-temperature" else 1  # the first of them choose learning rates
    RECIPES[name]["smoke"].run(seeds=seeds, out=tmp_path, device="cuda:7", progress=False)
    assert set(asked) == (set() if name in ON_THE_CPU else {"cuda:7"})


@pytest.mark.parametrize(
    "name",
    ["parity-progressive", "parity-choose-checkpoint", "hierarchical-progressive", "transformer-teacher",
     "pcfg-progressive", "text-progressive", "pretrained-progressive"],
)  # fmt: skip
def test_a_recipe_finds_on_a_gpu_what_it_finds_on_the_cpu(name, monkeypatch, tmp_path):
    recipe = RECIPES[name]["smoke"]
    with fake_gpu(monkeypatch):
        there = recipe.run(seeds=1, out=tmp_path / "there", device="cuda", progress=False)
    here = recipe.run(seeds=1, out=tmp_path / "here", device="cpu", progress=False)
    assert here.tables.keys() == there.tables.keys()
    for key, table in here.tables.items():
        numbers = table.select_dtypes("number").astype(float)
        np.testing.assert_allclose(there.tables[key][numbers.columns].astype(float), numbers, atol=0.01, err_msg=key)
    ran_on = {
        entry["device"]
        for file in (tmp_path / "there").rglob("run.json")
        for entry in json.loads(file.read_text())["hardware"]
    }
    assert ran_on == {"cuda:0"}


@pytest.mark.parametrize("name", ["parity-teacher", "pcfg-progressive"])
def test_no_recipe_needs_float64_of_an_apple_gpu(name, monkeypatch, tmp_path):
    with fake_gpu(monkeypatch, "mps"):
        RECIPES[name]["smoke"].run(seeds=1, out=tmp_path, device="mps", progress=False)


def test_the_command_line_passes_the_device_on(monkeypatch, tmp_path):
    given = {}

    def run(self, **options):
        given.update(options)
        raise ValueError("seen")

    monkeypatch.setattr(type(RECIPES["pcfg-teacher"]["smoke"]), "run", run)
    command = ["run", "pcfg-teacher", "--scale", "smoke", "--out", str(tmp_path), "--device"]
    with pytest.raises(SystemExit, match="seen"), fake_gpu(monkeypatch):
        main([*command, "cuda:0"])
    assert given["device"] == json.loads((tmp_path / "recipe.json").read_text())["starts"][0]["device"] == "cuda:0"


def test_a_device_that_cannot_be_used_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SystemExit, match="error: device must be auto, cpu"):
        main(["run", "pcfg-teacher", "--scale", "smoke", "--device", "gpu", "--out", str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()


def test_probes_choices_and_stored_targets_are_asked_on_the_device(gpu, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(OnDevice, "softmax", lambda self, *a: (asked.append(self.device), torch.softmax(self, *a))[1])
    task = MaskedGrammar("cfg3b", root="10")

    def model(**settings):
        return Transformer(task.vocabulary, max_length=task.longest, classes=task.classes, read_out="every",
                           padding=task.padding, heads=1, layers=1, **settings)  # fmt: skip

    settings = {"batch_size": 8, "optimizer": AdamW(lr=0.01), **QUIET}
    teacher = train(model(), task, steps=30, save_every=10, **settings).trajectory
    inputs, labels = held_out(task, 50)
    with contextlib.suppress(ValueError):  # so little training may leave nothing to choose
        choose_checkpoint(teacher, inputs, labels=labels, progress=False)
    assert asked
    assert {device.type for device in asked} == {"cuda"}
    taught = Distill(teacher, progressive(every=10))
    streams = []
    monkeypatch.setattr(store, "Stream", lambda *a, **how: (streams.append(how["device"].type), Stream(*a, **how))[1])
    targets = store_targets(tmp_path / "t", taught, task, steps=20, batch_size=8, seed=1, k=3, progress=False)
    assert streams == ["cuda"]
    run = train(model(seed=1), task, steps=20, supervision=Stored(targets), role="student", **settings)
    assert set(run.history["device"]) == {"cuda"}
    student = placed(model(seed=1))
    table = storage_table(taught, task, student, ks=[1, task.classes], steps=20, batch_size=8, seed=1, updates=2)
    assert table["share"].iloc[-1] == pytest.approx(1)
    compared = compare(lambda seeds: model(seed=seeds), task, {"a": taught}, seeds=[1], steps=2, **settings)
    assert set(compared.history["device"]) == {"cuda"}


def test_a_function_that_teaches_is_asked_where_it_is_told(gpu, tmp_path):
    asked = []

    def guess(inputs):
        asked.append(inputs.device.type)
        return torch.zeros(len(inputs), 2, device=inputs.device)

    taught = Distill(FunctionTeacher(guess, classes=2, name="a guess"), one_shot())
    for device in ("auto", "cuda"):
        store_targets(
            tmp_path / device, taught, TASK, steps=2, batch_size=4, seed=1, k=1, device=device, progress=False
        )
    assert set(asked[: len(asked) // 2]) == {"cpu"}
    assert set(asked[len(asked) // 2 :]) == {"cuda"}


def test_a_probe_runs_where_it_is_told(gpu):
    teacher = train(small(), TASK, steps=4, save_every=2, **QUIET).trajectory
    seen = []

    def probe(model):
        seen.append(device_of(model).type)
        return monomial_correlations(TASK, degree=1, examples=64)(model)

    over(teacher, probe, progress=False)
    over(teacher, probe, device="cuda", progress=False)
    assert seen == ["cpu"] * 3 + ["cuda"] * 3


def test_the_fake_gpu_is_as_strict_as_a_real_one(gpu):
    there = torch.ones(3).to("cuda")
    for mistake in (
        lambda: there + torch.ones(3),
        lambda: torch.cat([there, torch.ones(3)]),
        lambda: torch.zeros(3, device="cuda").add_(torch.ones(3)),
        lambda: torch.nn.functional.embedding(torch.tensor([0, 1]), torch.zeros(2, 2, device="cuda")),
    ):
        with pytest.raises(RuntimeError, match="on the fake device and on the CPU"):
            mistake()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    moved = there.cpu()
    moved.add_(1)
    assert there.tolist() == [1, 1, 1]
    assert (there + 1).device.type == "cuda"
    assert moved.device.type == "cpu"


def test_only_one_module_asks_torch_for_a_gpu_and_no_lesson_names_one():
    root = Path(pdtutor.__file__).parent
    allowed = {root / "devices.py", root / "training" / "captured.py"}  # the second records on CUDA's streams
    for file in [*root.rglob("*.py"), *(root.parent / "notebooks").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert ".cuda()" not in text, file
        assert file in allowed or not re.search(r"torch\.cuda|to\([\"']cuda", text), file


FORKS = """
import os, sys, torch
from pdtutor import MLP, SparseParity, train

torch.set_num_threads(2)

def loss():
    settings = {"steps": 2, "batch_size": 64, "eval_examples": 64, "engine": "autograd", "progress": False}
    return train(MLP(20, width=600), SparseParity(20, 3), **settings).history.loss.iloc[-1]

before = loss()
child = os.fork()
if not child:
    os._exit(0 if torch.get_num_threads() == 1 and abs(loss() - before) < 1e-5 else 1)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_trains_as_its_parent_did():
    """It would wait for ever for its parent's threads; the time limit is there to end it then."""
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.communicate(timeout=100)[0].strip() == "0"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the child, too
