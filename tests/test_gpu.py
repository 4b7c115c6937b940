"""What only a GPU can show: `make test-gpu`. Elsewhere these tests are skipped, and `test_devices` plays the GPU."""

import os

import numpy as np
import pytest
import torch

from pdtutor import (
    MLP,
    SGD,
    AdamW,
    CausalGrammar,
    Distill,
    MaskedGrammar,
    Pretrained,
    Run,
    SparseParity,
    Transformer,
    choose_checkpoint,
    devices,
    progressive,
    train,
)
from pdtutor.models.model import device_of
from pdtutor.models.placement import placed
from pdtutor.training import captured
from pdtutor.training.evaluate import held_out

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")]

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch asks for it before it promises equal bits

SIGNS, TOKENS = SparseParity(20, 3), SparseParity(20, 3, encoding="tokens")
MASKED, CAUSAL = MaskedGrammar("cfg3b", root="16"), CausalGrammar("cfg3f", root="16", level=1)


def reader(task, **settings):
    return Transformer(
        task.vocabulary, max_length=task.longest, classes=task.classes, read_out="every", padding=task.padding,
        causal=task.causal, **{"heads": 4, "init_std": 0.1, **settings},
    )  # fmt: skip


TRAININGS = {
    "MLP": (lambda: MLP(20, width=64, seed=[0, 1]), SIGNS, SGD(lr=0.1, momentum=0.9)),
    "Transformer": (lambda: Transformer(2, max_length=20, heads=4, seed=[0, 1]), TOKENS, AdamW(lr=1e-3)),
    "masked": (lambda: reader(MASKED, seed=[0, 1]), MASKED, AdamW(lr=1e-3)),
    "causal": (lambda: reader(CAUSAL), CAUSAL, AdamW(lr=1e-3)),
}


def trained(name, *, steps=40, **settings):
    model, task, optimizer = TRAININGS[name]
    ask = {"batch_size": 16, "eval_every": steps, "eval_examples": 128, "progress": False, "optimizer": optimizer}
    return train(model(), task, steps=steps, **{**ask, **settings})


def weights(run):
    return torch.cat([p.detach().cpu().flatten() for p in run.model.parameters()])


@pytest.fixture
def deterministic():
    """Have torch take algorithms that sum in one order: with padding, its fastest attention doesn't."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("name", TRAININGS)
def test_the_gpu_computes_what_the_cpu_computes(name, deterministic):
    """Adam can turn the rounding of a gradient near 0 into a whole step, so a few weights may differ by more."""
    cpu = weights(trained(name, engine="autograd", device="cpu"))
    gpu = {engine: weights(trained(name, engine=engine, device="cuda")) for engine in ("autograd", "graph")}
    assert torch.equal(gpu["graph"], gpu["autograd"])
    apart = (gpu["graph"] - cpu).abs()
    assert apart.quantile(0.99) < 1e-5
    assert apart.max() < 5e-3


@pytest.mark.parametrize("name", TRAININGS)
def test_auto_records_pdtutors_own_models(name, monkeypatch):
    recorded = []
    record = captured.GraphEngine._record
    monkeypatch.setattr(
        captured.GraphEngine, "_record", lambda self, size: (recorded.append(size), record(self, size))[1]
    )
    run = trained(name, device="cuda")
    assert run.settings["engine"] == "graph"
    assert recorded
    assert set(run.history["device"]) == {"cuda"}
    assert torch.cuda.get_device_name() == run.hardware[0]["name"]


def test_auto_takes_the_gpu_for_a_transformer_and_not_for_a_small_mlp():
    assert device_of(placed(Transformer(2, max_length=8, heads=2))).type == "cuda"
    assert device_of(placed(MLP(8, width=4))).type == "cpu"


def test_a_student_learns_the_same_from_a_teacher_there():
    teacher = trained("masked", device="cuda", save_every=10).trajectory
    histories = []
    for device in ("cpu", "cuda"):
        taught = Distill(teacher.of(0), progressive(every=10), temperature=1.0)
        histories.append(trained("masked", supervision=taught, role="student", device=device).history["loss"])
    np.testing.assert_allclose(*histories, atol=1e-3)


def test_a_run_goes_from_the_gpu_to_the_cpu_and_back(tmp_path, monkeypatch):
    from pdtutor.training.session import Session

    record = Session.record_losses

    def killed(self, losses):
        due = record(self, losses)
        if self.step in stops:
            raise KeyboardInterrupt
        return due

    monkeypatch.setattr(Session, "record_losses", killed)
    stops = {20}
    settings = {"steps": 40, "eval_every": 10, "save_every": 10, "out": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        trained("Transformer", device="cuda", **settings)
    stops = {30}
    with pytest.warns(UserWarning, match="not bit for bit"), pytest.raises(KeyboardInterrupt):
        trained("Transformer", device="cpu", resume=True, **settings)
    stops = set()
    with pytest.warns(UserWarning, match="not bit for bit"):
        run = trained("Transformer", device="cuda", resume=True, **settings)
    assert run.history["device"].tolist()[::2] == ["cuda", "cuda", "cuda", "cpu", "cuda"]
    whole = trained("Transformer", device="cpu", steps=40, eval_every=10)
    np.testing.assert_allclose(run.history["loss"], whole.history["loss"], atol=1e-3)
    assert Run.open(tmp_path / "run").hardware == run.hardware


def test_a_killed_run_resumes_bit_for_bit_on_one_gpu(tmp_path, monkeypatch, deterministic):
    whole = trained("masked", device="cuda", eval_every=10)
    from pdtutor.training.session import Session

    record, stops = Session.record_losses, {20}

    def killed(self, losses):
        due = record(self, losses)
        if self.step in stops:
            raise KeyboardInterrupt
        return due

    monkeypatch.setattr(Session, "record_losses", killed)
    settings = {"eval_every": 10, "save_every": 10, "out": tmp_path / "run", "device": "cuda"}
    with pytest.raises(KeyboardInterrupt):
        trained("masked", **settings)
    stops.clear()
    assert torch.equal(weights(trained("masked", resume=True, **settings)), weights(whole))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_about_as_well(precision):
    if precision == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        with pytest.raises(ValueError, match="use 'float16'"):
            trained("masked", precision=precision, device="cuda")
        return
    exact = trained("masked", device="cuda", steps=200).history["loss"].iloc[-2:]
    for engine in ("autograd", "graph"):
        half = trained("masked", precision=precision, engine=engine, device="cuda", steps=200)
        assert np.abs(half.history["loss"].iloc[-2:].to_numpy() - exact.to_numpy()).max() < 0.1
        assert {p.dtype for p in half.model.parameters()} == {torch.float32}


def test_a_model_of_transformers_trains_there():
    from transformers import BertConfig

    config = BertConfig(vocab_size=MASKED.vocabulary, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=MASKED.longest, hidden_dropout_prob=0.0,
                        attention_probs_dropout_prob=0.0)  # fmt: skip
    runs = [
        train(Pretrained(config, objective="masked", padding=MASKED.padding, classes=MASKED.classes), MASKED, steps=20,
              batch_size=8, optimizer=AdamW(lr=1e-3), eval_examples=32, device=device, progress=False)
        for device in ("cpu", "auto")
    ]  # fmt: skip
    assert set(runs[1].history["device"]) == {"cuda"}
    np.testing.assert_allclose(*(run.history["loss"] for run in runs), atol=1e-3)


def test_a_checkpoint_is_chosen_there_as_on_the_cpu():
    teacher = trained("masked", device="cuda", steps=400, save_every=20).trajectory.of(0)
    inputs, labels = held_out(MASKED, 200)
    chosen = set()
    for device in ("cpu", "cuda"):
        try:
            chosen.add(choose_checkpoint(teacher, inputs, labels=labels, device=device, progress=False))
        except ValueError as error:
            chosen.add(str(error)[:20])
    assert len(chosen) == 1


def test_out_of_memory_says_what_to_lower():
    free, _ = torch.cuda.mem_get_info()
    rows = int(free / (4 * 4 * 20 * 64))  # what one hidden layer of so many rows takes is more than all there is
    with pytest.raises(devices.DeviceMemoryError, match=f"is out of memory: lower batch_size .{rows}."):
        train(Transformer(2, max_length=20, heads=8, layers=4), TOKENS, steps=1, batch_size=rows,
              optimizer=AdamW(lr=1e-3), eval_examples=16, device="cuda", progress=False)  # fmt: skip
    torch.cuda.empty_cache()


def test_a_number_too_many_is_refused():
    with pytest.raises(ValueError, match="numbered from 0"):
        devices.find(f"cuda:{torch.cuda.device_count()}")
