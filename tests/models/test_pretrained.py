"""Models of the transformers library behind pdtutor's interface: as students, and loaded from what others saved."""

import json
import os
import pickle
import subprocess
import sys
import traceback

import numpy as np
import pytest
import torch
from torch import nn

from pdtutor import (
    AdamW,
    CausalGrammar,
    Distill,
    Labels,
    MaskedGrammar,
    Trajectory,
    Transformer,
    compare,
    one_shot,
    train,
)
from pdtutor.models.build import build_model, select_copies
from pdtutor.models.logits import logits_of, reads_positions
from pdtutor.models.pretrained import Pretrained
from pdtutor.training.engines import choose_engine

transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 80,
}
PADDING = 6  # below RoBERTa's number of positions
GPT2 = transformers.GPT2Config(
    vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=80, bos_token_id=1, eos_token_id=1
)
DISTILBERT = transformers.DistilBertConfig(
    vocab_size=40, dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=80
)
BERT, NEOX = transformers.BertConfig(**SIZES), transformers.GPTNeoXConfig(**SIZES)
MODELS = {
    "bert": (BERT, "masked"),
    "roberta": (transformers.RobertaConfig(**SIZES), "masked"),
    "distilbert": (DISTILBERT, "masked"),
    "mobilebert": (transformers.MobileBertConfig(**SIZES, embedding_size=16, intra_bottleneck_size=16), "masked"),
    "gpt_neox": (NEOX, "causal"),
    "gpt2": (GPT2, "causal"),
    "bert, causal": (BERT, "causal"),
}
SHORT_ROBERTA = transformers.RobertaConfig(**SIZES | {"max_position_embeddings": 30})
READS_ALL = {"mobilebert"}  # uses its read-out's weights without calling it
TASK = MaskedGrammar("cfg3b", root="16")  # 3 classes, 6 ids
QUIET = {"progress": False, "eval_examples": 64, "eval_every": 10}


def alike(a, b):
    """The same logits. Weights that lie elsewhere in memory may be summed in another order."""
    return torch.allclose(a, b, rtol=1e-4, atol=1e-3)


@pytest.fixture(params=MODELS)
def model(request):
    architecture, objective = MODELS[request.param]
    return Pretrained(architecture, objective=objective, padding=PADDING, seed=3).eval()


def rows(*, padded: int = 0, rng=0) -> torch.Tensor:
    """Ids (1, 4, 12), all but the padding at the end of the first two rows other than padding."""
    ids = torch.from_numpy(np.random.default_rng(rng).integers(PADDING + 1, 40, (1, 4, 12)))
    ids[:, :2, 12 - padded :] = PADDING
    return ids


def without_dropout(**changes) -> transformers.BertConfig:
    return transformers.BertConfig(
        **(SIZES | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} | changes)
    )


def save(path, architecture=BERT, kind=None, **changes):
    """Save a network of transformers with random weights in a folder, and return it."""
    torch.manual_seed(0)
    kind = kind or transformers.BertForPreTraining
    network = kind(architecture).to(changes.pop("dtype", torch.float32))
    network.save_pretrained(path, **changes)
    return network.eval()


def parameters(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_logits_are_the_networks_own(model):
    ids = rows()
    assert alike(model(ids)[0], model.network(input_ids=ids[0]).logits)
    assert (model.seeds, model.vocabulary, model.classes) == ([3], 40, 40)


def test_logits_at_some_positions_are_those_and_only_they_are_read_out(model, request):
    ids, at = rows(padded=3), torch.tensor([[[0, 5, 8], [1, -1, -1], [11, 0, 3], [2, 2, -1]]])
    rows_read = []
    head = model.network.get_output_embeddings()
    head.register_forward_hook(lambda _, inputs, __: rows_read.append(inputs[0].shape[1]))
    some = model(ids, at=at)
    assert some.shape == (1, 4, 3, 40)
    expected = model(ids).take_along_dim(at.clamp(min=0).unsqueeze(-1), dim=2)
    torch.testing.assert_close(some[at >= 0], expected[at >= 0])
    assert reads_positions(model)
    assert rows_read == ([] if request.node.callspec.params["model"] in READS_ALL else [3, 12])


def test_no_hook_stays_behind_when_a_forward_pass_dies():
    def die(*_):
        raise KeyboardInterrupt

    model = Pretrained(BERT)
    head = model.network.get_output_embeddings()
    head.register_forward_hook(die)
    with pytest.raises(KeyboardInterrupt):
        model(rows(), at=torch.tensor([[[0]] * 4]))
    assert not head._forward_pre_hooks


def test_padding_is_seen_by_nobody(model):
    ids = rows(padded=5)
    short, long = ids[:, :2, :7], nn.functional.pad(ids[:, :2], (0, 3), value=PADDING)
    for padded in (ids[:, :2], long, ids):  # cut off, and beside rows that are longer
        torch.testing.assert_close(model(padded)[:, :2, :7], model(short))
        assert model(padded).shape[2] == padded.shape[2]


def test_causal_models_do_not_look_ahead_and_masked_ones_do(model):
    ids = rows()
    changed = ids.clone()
    changed[..., -1] = (ids[..., -1] - 7) % 33 + 7  # stays above the padding
    changed[..., -1] = torch.where(changed[..., -1] == ids[..., -1], 7, changed[..., -1])
    same = torch.isclose(model(ids)[:, :, :-1], model(changed)[:, :, :-1], atol=1e-6).all()
    assert bool(same) == model.causal


def test_every_parameter_learns(model):
    """Also those that a task's labels at some positions, and fewer classes than ids, leave the least to learn from."""
    model = Pretrained(model.network.config, objective=model.objective, padding=PADDING, classes=3).train()
    loss = model(rows(), at=torch.tensor([[[4]] * 4])).log_softmax(-1)[..., 0].sum()
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    assert len(gradients) == len(list(model.parameters()))


def test_equal_seeds_give_equal_weights_and_torchs_generator_is_left_alone(model):
    before = torch.random.get_rng_state()
    config = json.loads(json.dumps(model.config()))
    again, other = build_model(config), build_model(config | {"seed": [4]})
    assert torch.equal(torch.random.get_rng_state(), before)
    assert again.config() == model.config()
    assert torch.equal(parameters(again), parameters(model))
    assert not torch.equal(parameters(other), parameters(model))
    torch.rand(5)  # nor does it matter where that generator is
    assert torch.equal(parameters(build_model(config)), parameters(model))


def test_checkpoints_keep_tied_weights_once_and_tie_them_again(model, tmp_path):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    trajectory = Trajectory.create(tmp_path, model, TASK)
    trajectory.save(10, model)
    loaded = Trajectory(tmp_path).copy(0).at(10)
    assert alike(loaded(rows(padded=3)), model(rows(padded=3)))
    assert len(list(loaded.parameters())) == len(list(model.parameters()))  # tied ones count once
    [file] = tmp_path.glob("*.safetensors")
    assert file.stat().st_size < 4 * parameters(model).numel() + 20_000  # and are stored once, with a header
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_its_only_copy_can_be_selected(model):
    selected = select_copies(model, [0]).eval()
    assert selected is not model
    assert alike(selected(rows()), model(rows()))
    assert selected.seeds == [3]
    with pytest.raises(ValueError, match="is one copy, got seeds"):
        select_copies(model, [0, 0])


def test_classes_cut_off_the_surplus_rows():
    whole, cut = (Pretrained(NEOX, objective="causal", classes=classes).eval() for classes in (None, 37))
    assert alike(cut(rows()), whole(rows())[..., :37])
    assert alike(cut(rows(), at=torch.tensor([[[3]] * 4])), whole(rows())[:, :, 3:4, :37])
    assert (whole.classes, cut.classes, cut.vocabulary) == (40, 37, 40)
    assert build_model(cut.config()).classes == 37


def test_dropout_is_the_architectures_in_training_only():
    ids = rows()
    model = Pretrained(BERT).train()
    assert not torch.equal(model(ids), model(ids))
    assert torch.equal(model.eval()(ids), model(ids))
    model = Pretrained(without_dropout()).train()
    assert torch.equal(model(ids), model(ids))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": [0, 1]}, r"is one copy, got seeds \[0, 1\]: train one model at a time, .*side_by_side=False"),
        ({"seed": []}, "at least one seed"),
        ({"objective": "next"}, "objective must be one of 'masked', 'causal'"),
        ({"classes": 41}, "vocabulary of 40: classes may be at most that"),
        ({"padding": 40}, "vocabulary of 40: .*padding must be below it"),
        ({"architecture": {"model_type": "bart-simpson"}}, "knows no architecture with model_type 'bart-simpson'"),
        ({"architecture": {"hidden_size": 16}}, "knows no architecture with model_type None"),
        ({"architecture": GPT2}, "'gpt2' has no masked language model"),
        ({"architecture": DISTILBERT, "objective": "causal"}, "'distilbert' has no causal language model"),
        ({"architecture": SHORT_ROBERTA, "padding": 39}, "no RobertaForMaskedLM can be built .*Padding_idx"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    arguments = {"architecture": BERT} | arguments
    with pytest.raises(ValueError, match=message):
        Pretrained(arguments.pop("architecture"), **arguments)


def test_ids_that_the_model_cannot_take_are_refused():
    model = Pretrained(BERT)
    for ids, message in (
        (rows().int(), "takes int64 token ids of shape"),
        (rows()[0], "takes int64 token ids of shape"),
        (rows().expand(2, -1, -1), r"shape \(1, batch, length\), got torch.int64 of shape \(2, 4, 12\)"),
        (rows().repeat(1, 1, 7), "rows must hold 1…80 ids, got 84"),
        (rows() + 30, "token ids must lie in 0…39, got"),
    ):
        with pytest.raises(ValueError, match=message):
            model(ids)
    assert Pretrained(MODELS["roberta"][0], padding=1).max_length == 78  # its first two positions are not for tokens
    for at, message in (
        (torch.zeros(1, 3, 2, dtype=torch.int64), "at must have positions for all 4 rows of ids, got 3"),
        (torch.full((1, 4, 2), 12), "positions must lie in −1…11, got 12…12"),
    ):
        with pytest.raises(ValueError, match=message):
            model(rows(), at=at)


def test_importing_pdtutor_does_not_import_transformers():
    script = "import sys; from pdtutor import pythia, train; print(*(name in sys.modules for name in sys.argv[1:]))"
    command = [sys.executable, "-c", script, "transformers", "huggingface_hub"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False"]


def test_without_transformers_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"need transformers: pip install 'pdtutor\[hub\]'"):
        Pretrained({"model_type": "bert"})
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"need huggingface_hub: pip install 'pdtutor\[hub\]'"):
        Pretrained.load("some/repository", objective="masked")


def test_a_saved_model_is_loaded_with_its_weights_and_nothing_else(tmp_path, capfd):
    saved = save(tmp_path)  # with a pooler and a next-sentence head, which have no place in a masked language model
    before, _ = torch.random.get_rng_state(), capfd.readouterr()
    model = Pretrained.load(tmp_path, objective="masked")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not model.training
    assert alike(model(rows())[0], saved(input_ids=rows()[0]).prediction_logits)
    assert capfd.readouterr() == ("", "")
    assert alike(select_copies(model, [0]).eval()(rows()), model(rows()))


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("format", ["safetensors", "bin"])
def test_weights_are_read_from_one_file_or_several_in_either_format(tmp_path, format, sharded):
    saved = save(tmp_path, max_shard_size="10kB" if sharded else "1GB")
    if format == "bin":
        to_bin(tmp_path, saved)
    assert len(list(tmp_path.glob("*.safetensors" if format == "safetensors" else "*.bin"))) > sharded
    model = Pretrained.load(tmp_path, objective="masked")
    assert alike(model(rows())[0], saved(input_ids=rows()[0]).prediction_logits)


def to_bin(folder, network):
    """Save the weights as older versions of transformers did, in as many files as there are."""
    files = sorted(folder.glob("*.safetensors"))
    state, place = network.state_dict(), {}
    for number, file in enumerate(files):
        file.unlink()
        keys = list(state)[number :: len(files)]
        name = "pytorch_model.bin" if len(files) == 1 else f"pytorch_model-{number}.bin"
        torch.save({key: state[key] for key in keys}, folder / name)
        place |= dict.fromkeys(keys, name)
    if len(files) > 1:
        (folder / "model.safetensors.index.json").unlink()
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": place}))


def test_half_precision_becomes_float32_and_surplus_logits_can_be_cut(tmp_path):
    saved = save(tmp_path, NEOX, transformers.GPTNeoXForCausalLM, dtype=torch.float16)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.get("dtype", config.get("torch_dtype")) == "float16"  # its name in versions 5 and 4
    model = Pretrained.load(tmp_path, objective="causal", classes=37)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.get_default_dtype() == torch.float32
    assert alike(model(rows())[0], saved.float()(input_ids=rows()[0]).logits[..., :37])


def test_a_pickle_that_runs_code_is_not_opened(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Payload()}, protocol=2))
    with pytest.raises(ValueError, match=r"pytorch_model.bin, weights of .*, is damaged or not what its name says"):
        Pretrained.load(tmp_path, objective="masked")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("format", ["safetensors", "bin"])
@pytest.mark.parametrize("cut", [0, 9, 2000, -5, -500])
def test_a_truncated_file_is_named(tmp_path, format, cut):
    saved = save(tmp_path)
    if format == "bin":
        to_bin(tmp_path, saved)
    [file] = [*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.bin")]
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match=rf"{file.name}, weights of {tmp_path}, is damaged"):
        Pretrained.load(tmp_path, objective="masked")


def test_code_that_comes_with_a_model_is_neither_run_nor_asked_about(tmp_path, monkeypatch):
    """transformers would ask at the keyboard whether to run it, and yes is one key."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (tmp_path / "own.py").write_text(f"import os; os.mkdir({str(tmp_path / 'owned')!r})\n")
    saved = save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Config", "AutoModelForMaskedLM": "own.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = Pretrained.load(tmp_path, objective="masked")
    assert alike(model(rows())[0], saved(input_ids=rows()[0]).prediction_logits)
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "own"}))
    with pytest.raises(ValueError, match="no architecture with model_type 'own'; it has code of its own") as refused:
        Pretrained.load(tmp_path, objective="masked")
    assert "trust_remote_code" not in str(refused.value)
    assert not (tmp_path / "owned").exists()


class Custom:
    """What a training script may put beside the weights."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"weight": torch.ones(2)}, "args": Custom()}, "it holds .*Custom and not only tensors"),
        ("TorchScript", "it is a TorchScript archive: save the model's state_dict"),
        (None, "it is truncated, or torch.save did not write it"),
        (b"", "it is empty"),
    ],
)
def test_no_error_advises_to_switch_a_protection_off(tmp_path, content, message):
    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    file = tmp_path / "pytorch_model.bin"
    if content == "TorchScript":
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(2)), file)
    elif content is None:
        file.write_bytes(pickle.dumps(Custom()))
    elif content == b"":
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(ValueError, match=rf"pytorch_model.bin, weights of .* is damaged .*{message}") as refused:
        Pretrained.load(tmp_path, objective="masked")
    assert "weights_only" not in "".join(traceback.format_exception(refused.value))
    assert len(str(refused.value).splitlines()) == 1


PREFIXES = ["module.", "_orig_mod.", "_orig_mod.module.", "model.", "base_model.model.", "teacher."]


def rewrite(folder, change):
    """Replace the saved weights by what `change` makes of the state dict, in the older format."""
    saved = save(folder)
    (folder / "model.safetensors").unlink()
    torch.save(change(saved.state_dict()), folder / "pytorch_model.bin")
    return saved


@pytest.mark.parametrize("prefix", PREFIXES)
def test_weights_are_found_below_the_names_of_what_wrapped_the_model(tmp_path, prefix):
    saved = rewrite(tmp_path, lambda state: {prefix + key: tensor for key, tensor in state.items()})
    model = Pretrained.load(tmp_path, objective="masked")
    assert alike(model(rows())[0], saved(input_ids=rows()[0]).prediction_logits)


def test_weights_of_a_compiled_part_and_of_an_architecture_with_a_common_prefix_are_found(tmp_path):
    rewrite(tmp_path / "part", lambda state: {k.replace("encoder.", "encoder._orig_mod."): v for k, v in state.items()})
    Pretrained.load(tmp_path / "part", objective="masked")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    llama = transformers.LlamaConfig(vocab_size=40, **sizes, tie_word_embeddings=True)  # model.… are its own names
    saved = save(tmp_path / "llama", llama, transformers.LlamaForCausalLM)
    model = Pretrained.load(tmp_path / "llama", objective="causal")
    assert alike(model(rows())[0], saved(input_ids=rows()[0]).logits)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_weights_are_found_inside_a_training_checkpoint(tmp_path, key):
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}
    saved = rewrite(tmp_path, lambda state: {key: state, "optimizer": optimizer, "step": 3})
    model = Pretrained.load(tmp_path, objective="masked")
    assert alike(model(rows())[0], saved(input_ids=rows()[0]).prediction_logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: {"model": state, "ema": state}, "holds several state dicts, model, ema: save the one"),
        (lambda state: {"step": 3, "optimizer": {}}, r"holds no state dict \(a dictionary of step, optimizer\): save"),
        (lambda state: list(state.values()), r"holds no state dict \(list\): save"),
        (
            lambda state: {f"{part}.{key}": tensor for part in ("teacher", "student") for key, tensor in state.items()},
            r"don't fill a BertForMaskedLM: .* is missing, .* and \d+ more; the file also has student.bert",
        ),
        (
            lambda state: state | {"bert.pooler.dense.lora_A.weight": torch.ones(2, 2)},
            "those of an adapter are not merged; the file also has .*lora_A",
        ),
    ],
)
def test_weights_that_are_not_those_of_one_model_are_described_in_a_line(tmp_path, change, message):
    rewrite(tmp_path, change)
    with pytest.raises(ValueError, match=message) as refused:
        Pretrained.load(tmp_path, objective="masked")
    assert len(str(refused.value)) < 700
    assert len(str(refused.value).splitlines()) == 1


def test_what_stands_in_the_place_of_weights_is_named(tmp_path):
    for name in ("pointer", "other", "quantized", "listed", "index"):
        save(tmp_path / name)
    (tmp_path / "pointer/model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:a\n")
    (tmp_path / "other/model.safetensors").rename(tmp_path / "other/consolidated.00.pth")
    config = json.loads((tmp_path / "quantized/config.json").read_text())
    (tmp_path / "quantized/config.json").write_text(json.dumps(config | {"quantization_config": {"bits": 4}}))
    (tmp_path / "listed/config.json").write_text("[]")
    (tmp_path / "index/model.safetensors").unlink()
    (tmp_path / "index/model.safetensors.index.json").write_text("{}")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_config.json").write_text("{}")
    for name, message in {
        "pointer": "model.safetensors, weights of .*, is a git-LFS pointer .*: run `git lfs pull` there",
        "other": "has no weights: neither .* it has config.json, consolidated.00.pth",
        "quantized": "the weights of .* are quantized: a model in full or half precision is needed",
        "listed": "config.json holds a list, not a JSON object",
        "index": "index.json is damaged or no list of files: it has no weight_map",
        "adapter": "holds a PEFT adapter .*, not a whole model: merge it",
    }.items():
        with pytest.raises(ValueError, match=message):
            Pretrained.load(tmp_path / name, objective="masked")


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda key: "cls.predictions.transform.dense.weight" not in key, "transform.dense.weight is missing"),
        (lambda key: not key.startswith("cls."), "cls.predictions.bias is missing"),  # a BertModel, without its head
        (lambda key: "layer.1." not in key, "bert.encoder.layer.1.attention"),
        (lambda key: "word_embeddings" not in key and "decoder" not in key, "word_embeddings.weight is missing"),
    ],
)
def test_weights_that_leave_part_of_the_model_to_chance_are_refused(tmp_path, keep, message):
    saved = save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({k: v for k, v in saved.state_dict().items() if keep(k)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=rf"{tmp_path} don't fill a BertForMaskedLM: .*{message}"):
        Pretrained.load(tmp_path, objective="masked")


def test_weights_of_another_shape_are_refused(tmp_path):
    save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 30}))
    with pytest.raises(ValueError, match=r"position_embeddings.weight is \(80, 16\), not \(30, 16\)"):
        Pretrained.load(tmp_path, objective="masked")


def test_tied_weights_may_be_saved_under_one_name_or_both_or_by_their_old_names(tmp_path):
    saved = save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    state = saved.state_dict()
    old = {
        k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for k, v in state.items()
    }
    old["bert.embeddings.position_ids"] = torch.arange(80)[None]  # as versions before 4.31 saved it
    for kept in (state, {k: v for k, v in state.items() if "decoder" not in k}, old):
        torch.save(kept, tmp_path / "pytorch_model.bin")
        model = Pretrained.load(tmp_path, objective="masked")
        assert alike(model(rows())[0], saved(input_ids=rows()[0]).prediction_logits)


def test_folders_that_hold_no_model_are_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} has no config.json"):
        Pretrained.load(tmp_path, objective="masked")
    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=rf"{tmp_path} has no weights: neither model.safetensors nor"):
        Pretrained.load(tmp_path, objective="masked")
    with pytest.raises(ValueError, match="is a folder, which has no revisions, got revision='step10'"):
        Pretrained.load(tmp_path, objective="masked", revision="step10")
    with pytest.raises(ValueError, match=r"there is no folder .*/other, and a repository on the hub can't have"):
        Pretrained.load(tmp_path / "other", objective="masked")


def test_a_loaded_models_padding_is_its_own(tmp_path):
    save(tmp_path)
    assert Pretrained.load(tmp_path, objective="masked", padding=0).padding == 0
    with pytest.raises(ValueError, match="was made with padding 0, got padding=6"):
        Pretrained.load(tmp_path, objective="masked", padding=6)


def student(seed=1) -> Pretrained:
    return Pretrained(without_dropout(), padding=TASK.padding, classes=TASK.classes, seed=seed)


def test_a_student_learns_and_a_killed_run_resumes_to_the_same_weights(tmp_path, monkeypatch):
    settings = {"steps": 60, "save_every": 20, "optimizer": AdamW(lr=3e-3, weight_decay=0.1), **QUIET}
    whole = train(student(), TASK, **settings, out=tmp_path / "whole")
    assert whole.history["loss"].iloc[-1] < whole.history["loss"].iloc[0] - 0.05

    rates = AdamW.rates

    def killed(self, start, stop, **kwargs):
        if start >= 30 and stop > start + 1:
            raise KeyboardInterrupt
        return rates(self, start, stop, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(AdamW, "rates", killed)
        with pytest.raises(KeyboardInterrupt):
            train(student(), TASK, **settings, out=tmp_path / "cut")
    assert Trajectory(tmp_path / "cut", unfinished=True).final == 20
    resumed = train(student(), TASK, **settings, out=tmp_path / "cut", resume=True)
    assert torch.equal(parameters(resumed.model), parameters(whole.model))
    assert resumed.history.equals(whole.history)
    assert torch.equal(parameters(Trajectory(tmp_path / "cut").at(60)), parameters(whole.model))


def test_it_teaches_and_is_taught_by_our_own(tmp_path):
    ours = Transformer(TASK.vocabulary, max_length=TASK.longest, classes=3, read_out="every", padding=TASK.padding)
    settings = {"steps": 40, "optimizer": AdamW(lr=3e-3), **QUIET}
    first = train(student(), TASK, **settings)
    second = train(ours, TASK, **settings, supervision=Distill(first.trajectory, one_shot(), temperature=1.0))
    third = train(student(2), TASK, **settings, supervision=Distill(second.trajectory, one_shot(), temperature=1.0))
    for run in (second, third):
        assert run.history["loss"].iloc[-1] < run.history["loss"].iloc[0] - 0.05
    inputs = torch.from_numpy(TASK.sample(np.random.default_rng(0), 20)[0])
    agree = logits_of(third.model, inputs).shape == logits_of(first.model, inputs).shape == (1, *inputs.shape, 3)
    assert agree


def test_several_seeds_are_compared_one_at_a_time():
    def make(seeds):
        return Pretrained(without_dropout(), padding=TASK.padding, classes=TASK.classes, seed=seeds)

    settings = {"methods": {"labels": Labels()}, "seeds": (1, 2), "steps": 2, **QUIET}
    with pytest.raises(ValueError, match=r"got seeds \[1, 2\]: train one model at a time"):
        compare(make, TASK, **settings)
    compared = compare(make, TASK, **settings, side_by_side=False)
    assert compared.history["seed"].unique().tolist() == [1, 2]
    assert compared.trajectory("labels", 2).seeds == [2]


def test_a_causal_student_learns():
    task = CausalGrammar("cfg3b", root="16")
    small = transformers.GPT2Config(
        **(GPT2.to_dict() | {"vocab_size": task.vocabulary, "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0})
    )
    model = Pretrained(small, objective="causal", padding=task.padding, classes=task.classes)
    run = train(model, task, steps=40, optimizer=AdamW(lr=3e-3), **QUIET)
    assert run.history["loss"].iloc[-1] < run.history["loss"].iloc[0] - 0.1


def test_a_student_with_another_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="the model predicts 40 classes, the task has 3"):
        train(Pretrained(without_dropout()), TASK, steps=1, **QUIET)
    with pytest.raises(ValueError, match="token ids must lie in 0…3"):
        train(Pretrained(without_dropout(vocab_size=4), classes=3), TASK, steps=1, **QUIET)


def test_its_updates_are_not_recorded_as_graphs():
    with pytest.raises(ValueError, match="engine='graph' doesn't apply here: models of transformers may ask"):
        choose_engine("graph", Pretrained(BERT), AdamW(), 8, linear=True)
