import pytest
import torch
from packaging.version import Version
from torch.nn import functional

from pdtutor import SparseParity, train
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.models.build import build_model, select_copies
from pdtutor.models.logits import logits_of
from pdtutor.models.mlp import MLP
from pdtutor.models.transformer import Transformer
from pdtutor.training.optim import AdamW


def test_each_copy_computes_what_torch_s_own_layers_compute():
    model = MLP(5, width=[7, 4], classes=3, seed=[0, 1])
    x = torch.randn(2, 6, 5)
    logits = model(x)  # (copies, batch, classes)
    assert logits.shape == (2, 6, 3)
    for copy in range(2):
        hidden = x[copy]
        for layer in model.layers[:-1]:
            hidden = torch.relu(torch.nn.functional.linear(hidden, layer.weight[copy], layer.bias[copy]))
        expected = torch.nn.functional.linear(hidden, model.layers[-1].weight[copy], model.layers[-1].bias[copy])
        torch.testing.assert_close(logits[copy], expected)


def test_initial_weights_are_torch_s_default_and_depend_on_the_seed_alone():
    model = MLP(25, width=4000, seed=[3, 4, 3])
    first = model.layers[0]
    assert torch.equal(first.weight[0], first.weight[2])
    assert not torch.equal(first.weight[0], first.weight[1])
    assert torch.equal(first.weight[1], MLP(25, width=4000, seed=4).layers[0].weight[0])
    reference = torch.nn.Linear(25, 4000)  # uniform on ±1/√25
    for ours, theirs in ((first.weight[0], reference.weight), (first.bias[0], reference.bias)):
        assert ours.abs().max() <= 0.2
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05)


def test_copies_can_be_selected_and_models_rebuilt():
    model = MLP(5, width=3, seed=[7, 8, 9])
    one = select_copies(model, [2])
    x = torch.randn(1, 4, 5)
    assert one.seeds == [9]
    torch.testing.assert_close(one(x)[0], model(x)[2])
    assert build_model(model.config()).config() == model.config()
    with pytest.raises(ValueError, match="unknown model"):
        build_model({"class": "Nope"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d": 0, "width": 3}, "d must be a whole number"),
        ({"d": 4, "width": 0}, "width must be a whole number of at least 1, got 0"),
        ({"d": 4, "width": [3, 0]}, "width"),
        ({"d": 4, "width": []}, "at least one hidden layer"),
        ({"d": 4, "width": 3, "seed": []}, "one seed"),
        ({"d": 4, "width": 3, "seed": -2}, "seed"),
        ({"d": 4, "width": 3, "classes": 0}, "classes"),
    ],
)
def test_bad_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**arguments)


def transformer(**arguments):
    """A small one with weights large enough that every part of it matters to the logits."""
    sizes = {"max_length": 8, "classes": 3, "layers": 2, "heads": 2, "head_dim": 4, "init_std": 0.3, "seed": [0, 1]}
    model = Transformer(5, **(sizes | arguments))
    for number, parameter in enumerate(model.parameters()):
        noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
        parameter.data += 0.1 * noise  # biases and norms too
    return model


def token_ids(*shape):
    return torch.randint(5, shape, generator=torch.Generator().manual_seed(0))


def plain_transformer(model, copy, ids):
    """The logits (batch, length, classes) of one copy at ids (batch, length), by the book."""

    def linear(layer, x):
        return functional.linear(x, layer.weight[copy], layer.bias[copy])

    def norm(layer, x):
        return functional.layer_norm(x, x.shape[-1:], layer.weight[copy], layer.bias[copy])

    length = ids.shape[1]
    hidden = functional.embedding(ids, model.tokens.weight[copy]) + model.positions.weight[copy, :length]
    visible = torch.ones(length, length).tril() if model.causal else torch.ones(length, length)
    for block in model.blocks:
        x = norm(block.attention_norm, hidden)
        key_value = linear(block.key_value, x)
        width = x.shape[-1]
        q, k, v = (
            t.unflatten(-1, (model.heads, model.head_dim)).transpose(1, 2)
            for t in (linear(block.query, x), key_value[..., :width], key_value[..., width:])
        )  # (batch, heads, length, head_dim)
        scores = q @ k.transpose(-1, -2) / model.head_dim**0.5
        weights = scores.masked_fill(visible == 0, -torch.inf).softmax(-1)
        hidden = hidden + linear(block.attention_out, (weights @ v).transpose(1, 2).flatten(2))
        inner = functional.gelu(linear(block.mlp_in, norm(block.mlp_norm, hidden)))
        hidden = hidden + linear(block.mlp_out, inner)
    return linear(model.out, norm(model.norm, hidden))


@pytest.mark.parametrize("causal", [False, True])
def test_each_copy_of_a_transformer_computes_what_a_plain_one_computes(causal):
    ids = token_ids(2, 6, 7)  # shorter than max_length
    every, last = (transformer(causal=causal, read_out=read_out) for read_out in ("every", "last"))
    assert every(ids).shape == (2, 6, 7, 3)
    assert last(ids).shape == (2, 6, 3)
    for copy in range(2):
        expected = plain_transformer(every, copy, ids[copy])
        assert expected.std() > 0.3  # there is something to compare
        torch.testing.assert_close(every(ids)[copy], expected)
        torch.testing.assert_close(last(ids)[copy], expected[:, -1])


@pytest.mark.parametrize("read_out", ["last", "every"])
def test_a_copy_of_a_transformer_learns_as_it_would_alone(read_out):
    both, ids = transformer(read_out=read_out), token_ids(1, 6, 8)
    torch.testing.assert_close(both(ids), both(ids.expand(2, -1, -1)))
    both(ids).logsumexp(-1).sum().backward()
    for copy in range(2):
        alone = select_copies(both, [copy])
        torch.testing.assert_close(alone(ids)[0], both(ids)[copy])
        alone(ids).logsumexp(-1).sum().backward()
        for parameter, shared in zip(alone.parameters(), both.parameters(), strict=True):
            assert parameter.shape[0] == 1
            torch.testing.assert_close(parameter.grad[0], shared.grad[copy])


def test_a_causal_transformer_sees_only_the_past_and_an_encoder_both_ways():
    ids = token_ids(2, 1, 8)
    changed = ids.clone()
    changed[:, :, 4] = (ids[:, :, 4] + 1) % 5
    for causal in (True, False):
        model = transformer(causal=causal, read_out="every")
        moved = (model(ids) - model(changed)).abs().amax(-1)[:, 0] > 1e-3  # (copies, length)
        assert moved.tolist() == [[not causal] * 4 + [True] * 4] * 2


def test_initial_weights_of_a_transformer_are_gpt_2_s_and_depend_on_the_seed_alone():
    model = Transformer(50, max_length=40, layers=2, heads=16, seed=[3, 4, 3])
    alone = Transformer(50, max_length=40, layers=2, heads=16, seed=4)
    for (name, parameter), (_, of_one) in zip(model.named_parameters(), alone.named_parameters(), strict=True):
        assert torch.equal(parameter[1], of_one[0])
        assert torch.equal(parameter[0], parameter[2])
        if "norm.weight" in name or name.endswith("bias"):
            assert (parameter == float("norm.weight" in name)).all()
            continue
        assert not torch.equal(parameter[0], parameter[1])
        std = 0.01 if name.endswith(("attention_out.weight", "mlp_out.weight")) else 0.02  # 0.02/√(2·layers)
        assert parameter.std().item() == pytest.approx(std, rel=0.1), name
    twice = Transformer(50, max_length=40, layers=2, heads=16, init_std=0.04, seed=4)
    assert torch.equal(twice.tokens.weight, 2 * alone.tokens.weight)


def test_a_transformer_is_saved_and_opened_again(tmp_path):
    task = SparseParity(6, 2, encoding="tokens")
    sizes = {"vocabulary": 2, "max_length": 6, "classes": 2, "layers": 1, "heads": 3, "head_dim": 2, "mlp_ratio": 2}
    model = Transformer(**sizes, causal=True, init_std=0.1, seed=[5, 6])
    before = model.tokens.weight.clone()
    options = {"optimizer": AdamW(), "out": tmp_path, "eval_examples": 50, "progress": False}
    run = train(model, task, steps=3, **options)
    assert not torch.equal(model.tokens.weight, before)
    opened = Trajectory(tmp_path)
    assert opened.task == task
    kind = {"class": "Transformer", "causal": True, "read_out": "last", "init_std": 0.1, "seed": [5, 6]}
    kind |= {"padding": None}
    assert opened.at(3).config() == model.config() == sizes | kind
    assert transformer(read_out="every").config()["read_out"] == "every"
    ids = torch.randint(2, (1, 9, 6))
    assert torch.equal(opened.at(3)(ids), run.model(ids))
    torch.testing.assert_close(opened.of(6).at(3)(ids)[0], run.model(ids)[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary": 0}, "vocabulary must be a whole number of at least 1, got 0"),
        ({"max_length": 0}, "max_length"),
        ({"classes": 0}, "classes"),
        ({"layers": 0}, "layers must be a whole number of at least 1, got 0"),
        ({"heads": 0}, "heads must be a whole number of at least 1, got 0"),
        ({"head_dim": 0}, "head_dim"),
        ({"mlp_ratio": 0}, "mlp_ratio"),
        ({"read_out": "first"}, "read_out must be one of 'last', 'every'; got 'first'"),
        ({"init_std": -1}, "init_std"),
        ({"seed": []}, "at least one seed"),
    ],
)
def test_bad_transformers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Transformer(**({"vocabulary": 2, "max_length": 4} | arguments))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.zeros(2, 3, 4), "takes int64 token ids .*, got torch.float32 of shape"),
        (torch.zeros(3, 4, dtype=torch.int64), r"got torch.int64 of shape \(3, 4\)"),
        (
            torch.zeros(3, 5, 4, dtype=torch.int64),
            r"shape \(1 or 2, batch, length\), got torch.int64 of shape \(3, 5, 4\)",
        ),
        (torch.zeros(2, 3, 9, dtype=torch.int64), "rows must hold 1…8 ids, got 9"),
        (torch.zeros(2, 3, 0, dtype=torch.int64), "rows must hold 1…8 ids, got 0"),
        (torch.full((2, 3, 4), 5), "token ids must lie in 0…4, got 5…5"),  # another copy's row, were it let through
        (torch.full((1, 3, 4), -1), "token ids must lie in 0…4, got -1…-1"),
    ],
)
def test_bad_token_ids_are_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        transformer()(ids)


PADDED = {"vocabulary": 6, "max_length": 9, "classes": 3, "read_out": "every", "padding": 5}


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_no_logits_and_no_gradients(causal):
    model = Transformer(**PADDED, causal=causal, init_std=0.3, seed=[0, 1])
    rows = [torch.randint(5, (length,), generator=torch.Generator().manual_seed(length)) for length in (4, 7, 1)]
    ids = torch.full((1, 3, 9), 5)  # two columns are padding in every row
    for row, tokens in enumerate(rows):
        ids[0, row, : len(tokens)] = tokens
    together = model(ids)
    assert together.shape == (2, 3, 9, 3)
    alone = [model(tokens[None, None]) for tokens in rows]
    for row, (tokens, expected) in enumerate(zip(rows, alone, strict=True)):
        torch.testing.assert_close(together[:, row, : len(tokens)], expected[:, 0], atol=1e-6, rtol=1e-5)
    scored = [together[:, row, : len(tokens)] for row, tokens in enumerate(rows)]
    mine = torch.autograd.grad(sum(part.square().sum() for part in scored), list(model.parameters()))
    theirs = torch.autograd.grad(sum(part.square().sum() for part in alone), list(model.parameters()))
    coarser = 5 if Version(torch.__version__) < Version("2.7") else 1  # torch 2.6 sums in another order
    for gradient, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-5 * coarser, rtol=1e-4)


def test_logits_of_rows_of_any_length_come_back_in_their_order(monkeypatch):
    monkeypatch.setattr("pdtutor.models.logits.IDS", 30)  # three rows a piece
    model = Transformer(**PADDED, init_std=0.3)
    ids = torch.randint(5, (20, 9), generator=torch.Generator().manual_seed(0))
    ids[torch.arange(9) >= torch.randint(1, 10, (20, 1), generator=torch.Generator().manual_seed(1))] = 5
    seen = ids != 5
    with torch.no_grad():
        torch.testing.assert_close(logits_of(model, ids)[:, seen], model(ids[None])[:, seen], atol=1e-6, rtol=1e-5)


def test_a_transformer_with_padding_is_rebuilt_and_its_states_are_what_it_reads_out():
    model = Transformer(**PADDED)
    assert build_model(model.config()).padding == 5
    ids = torch.tensor([[[0, 1, 5, 5]]])
    torch.testing.assert_close(model.out(model.states(ids)), model(ids))


@pytest.mark.parametrize("settings", [{"padding": 6}, {"read_out": "last"}])
def test_padding_that_cannot_be_is_refused(settings):
    with pytest.raises(ValueError, match="padding must be an id below 6, and needs read_out='every'"):
        Transformer(**(PADDED | settings))


def some_positions():
    """Positions of 3 rows whose lengths are 9, 7 and 2, the last one filled up."""
    return torch.tensor([[[0, 3, 4, 8], [6, 1, 1, 5], [1, -1, -1, -1]]])


def ids_of_lengths(*lengths):
    ids = torch.randint(5, (1, len(lengths), 9), generator=torch.Generator().manual_seed(0))
    return ids.where(torch.arange(9) < torch.tensor(lengths)[:, None], 5)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_logits_at_some_positions_are_those_of_all_positions_there(causal, layers):
    model = Transformer(**PADDED, causal=causal, layers=layers, init_std=0.3, seed=[0, 1])
    ids, at = ids_of_lengths(9, 7, 2), some_positions()
    there = (at >= 0).expand(2, -1, -1)
    every = model(ids).take_along_dim(at.clamp(min=0)[..., None], dim=2)[there]
    some = model(ids, at=at)
    assert some.shape == (2, 3, 4, 3)
    torch.testing.assert_close(some[there], every, atol=1e-6, rtol=1e-5)
    parameters = list(model.parameters())
    mine, theirs = (torch.autograd.grad(kept.square().sum(), parameters) for kept in (some[there], every))
    for gradient, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_every_copy_can_have_positions_of_its_own():
    model = Transformer(**PADDED, init_std=0.3, seed=[0, 1])
    ids = ids_of_lengths(9, 7, 2)
    at = torch.cat([some_positions(), some_positions().flip(2)])
    both = model(ids, at=at)
    for copy in (0, 1):
        torch.testing.assert_close(both[copy], model(ids, at=at[copy : copy + 1])[copy], atol=1e-6, rtol=1e-5)


def test_columns_without_any_position_come_back_too():
    model = Transformer(**PADDED)
    at = torch.tensor([[[1, -1, -1], [2, -1, -1]]])
    assert model(ids_of_lengths(5, 5), at=at).shape == (1, 2, 3, 3)
    assert model(ids_of_lengths(5, 5), at=torch.full_like(at, -1)).shape == (1, 2, 3, 3)


@pytest.mark.parametrize(
    ("settings", "at", "message"),
    [
        (
            {"read_out": "last", "padding": None},
            torch.zeros(1, 2, 1, dtype=torch.int64),
            "needs a Transformer with read_out='every'",
        ),
        ({}, torch.zeros(1, 2, 1), "int64 positions of shape"),
        ({}, torch.zeros(2, 1, dtype=torch.int64), "int64 positions of shape"),
        ({}, torch.zeros(1, 2, 0, dtype=torch.int64), "int64 positions of shape"),
        ({}, torch.zeros(1, 3, 1, dtype=torch.int64), "at must have positions for all 2 rows of ids, got 3"),
        ({}, torch.full((1, 2, 1), 9), "must lie in −1…8, got 9…9"),
        ({}, torch.full((1, 2, 1), -2), "must lie in −1…8, got -2…-2"),
    ],
)
def test_bad_positions_are_refused(settings, at, message):
    with pytest.raises(ValueError, match=message):
        Transformer(**(PADDED | settings))(ids_of_lengths(9, 7), at=at)


def test_no_position_before_a_real_one_loses_it():
    model, ids = Transformer(**PADDED), ids_of_lengths(9, 7)
    shifted = torch.tensor([[[-1, 3], [-1, 5]]])
    torch.testing.assert_close(model(ids, at=shifted)[:, :, 1:], model(ids, at=shifted[..., 1:]))


@pytest.mark.parametrize("causal", [False, True])
def test_padding_before_a_token_is_kept_or_refused(causal):
    """A mask hides it from attention that looks both ways; causal attention has none, so it says so."""
    model = Transformer(**(PADDED | {"causal": causal}))
    ids = torch.cat([torch.full((1, 2, 2), PADDED["padding"]), ids_of_lengths(7, 7)[:, :, :7]], dim=2)
    if causal:
        with pytest.raises(ValueError, match="must come after the end of a row"):
            model(ids)
    else:
        assert (model(ids)[:, :, 2:].abs().sum(-1) > 0).all()  # nothing was cut off


def test_a_model_that_knows_no_positions_is_asked_for_all_and_picked_from():
    class Every(torch.nn.Module):
        def forward(self, ids):
            return torch.nn.functional.one_hot(ids, 6).float()  # says what it sees

    ids, at = ids_of_lengths(9, 7, 2)[0], some_positions()[0]
    said = logits_of(Every(), ids, at)[0].argmax(-1)
    assert torch.equal(said[at >= 0], ids.take_along_dim(at.clamp(min=0), dim=1)[at >= 0])
