"""The compiled updates against the textbook's, and what they refuse."""

import numpy as np
import pytest
import torch

from pdtutor.models import kernels
from pdtutor.models.kernels import UNITS, sgd
from pdtutor.models.logits import logits_of
from pdtutor.models.mlp import MLP
from pdtutor.models.sign_logits import logits_of_signs

WIDTH, D, CLASSES = 150, 13, 3  # more units than one block, and neither size a multiple of what is unrolled
assert WIDTH > UNITS


def arrays(updates=1000, batch=1, seed=0, width=WIDTH, d=D):
    """Return what a kernel takes, inputs of ±1 as (updates, batch, d)."""
    rng = np.random.default_rng(seed)
    shapes = {"w1": (width, d), "b1": (width,), "w2": (CLASSES, width), "b2": (CLASSES,)}
    made = {name: rng.uniform(-0.3, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    made["inputs"] = rng.choice(np.float32([-1, 1]), (updates, batch, d))
    made["targets"] = (rng.dirichlet(np.ones(CLASSES), (updates, batch)) / batch).astype(np.float32)
    made["rates"] = rng.uniform(0.001, 0.03, updates).astype(np.float32)
    made["losses"] = np.zeros(updates, np.float32)
    return made


def plain(w1, b1, w2, b2, inputs, targets, rates, losses):
    """Do the same with autograd, and return the parameters and the losses."""
    parameters = [torch.tensor(array, requires_grad=True) for array in (w1, b1, w2, b2)]
    found = []
    for x, q, rate in zip(torch.tensor(inputs), torch.tensor(targets), rates.tolist(), strict=True):
        hidden = torch.relu(x @ parameters[0].T + parameters[1])
        loss = -(q * (hidden @ parameters[2].T + parameters[3]).log_softmax(-1)).sum()
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= rate * gradient
        found.append(loss.item())
    return [parameter.detach().numpy() for parameter in parameters], found


# Many examples make it likely that somewhere rounding decides whether a unit is on: the plain loop in float64 then
# leaves the one in float32 behind by 1e-4, too.
@pytest.mark.parametrize("signs", [True, False])
@pytest.mark.parametrize(("batch", "updates"), [(1, 1000), (3, 300), (8, 100), (12, 60), (40, 20)])
def test_the_weights_are_the_plain_loops(batch, updates, signs):
    made = arrays(updates, batch)
    if not signs:
        made["inputs"] *= np.random.default_rng(1).uniform(0.5, 1.5, D).astype(np.float32)
    agree(made)


def agree(made):
    """Assert that the kernel does with these arrays what the plain loop does."""
    expected, losses = plain(**made)
    sgd(**made)
    for name, wanted in zip(("w1", "b1", "w2", "b2"), expected, strict=True):
        np.testing.assert_allclose(made[name], wanted, atol=1e-5, rtol=0, err_msg=name)
    np.testing.assert_allclose(made["losses"], losses, atol=1e-5)


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(("width", "d"), [(3, 1), (UNITS, 16), (UNITS + 1, 19), (300, 41)])
@pytest.mark.parametrize(("batch", "updates"), [(1, 75), (2, 21), (5, 10), (16, 3), (33, 2)])
def test_signs_of_any_sizes_are_added_up_right(width, d, batch, updates, large, monkeypatch):
    monkeypatch.setattr(kernels, "LARGE", 0 if large else 2**30)
    agree(arrays(updates, batch, width=width, d=d))


@pytest.mark.parametrize("place", [(0, 0, 0), (29, 1, D - 1)])
def test_a_single_other_number_among_signs_counts(place):
    made = arrays(updates=30, batch=2)
    made["inputs"][place] = 0.25
    agree(made)


def test_a_first_layer_that_overflows_shows_in_the_loss():
    for inputs in (1, 0.5):
        made = arrays(updates=40)
        made["inputs"][:] *= np.float32(inputs)
        made["rates"][:] = 1e25
        sgd(**made)
        assert not np.isfinite(made["losses"][-1])


def test_a_unit_that_is_not_a_number_shows_in_the_loss():
    made = arrays(updates=3, batch=2)
    made["w1"][5] = np.nan
    sgd(**made)
    assert np.isnan(made["losses"]).all()


def test_where_a_call_ends_does_not_matter():
    made, parts = arrays(updates=101), arrays(updates=101)
    sgd(**made)
    for start, stop in ((0, 1), (1, 30), (30, 95), (95, 101)):  # updates are done a few together
        stretch = {name: parts[name][start:stop] for name in ("inputs", "targets", "rates", "losses")}
        sgd(**(parts | stretch))
    for name in ("w1", "b1", "w2", "b2", "losses"):
        np.testing.assert_allclose(parts[name], made[name], atol=1e-6, err_msg=name)


def test_each_number_of_inputs_has_its_own_kernel():
    made = arrays(updates=5)
    wider = {name: array.copy() for name, array in made.items()}
    wider["w1"] = np.pad(wider["w1"], ((0, 0), (0, 4)))  # four inputs that are always 0
    wider["inputs"] = np.pad(wider["inputs"], ((0, 0), (0, 0), (0, 4)))
    sgd(**made)
    sgd(**wider)
    np.testing.assert_allclose(wider["w1"][:, :D], made["w1"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        ("w1", lambda a: a.astype(np.float64), TypeError, "w1 must be a float32 array, got float64"),
        ("targets", lambda a: a.tolist(), TypeError, "targets must be a float32 array, got list"),
        ("inputs", lambda a: torch.tensor(a), TypeError, "inputs must be a float32 array, got torch.float32"),
        ("w1", np.asfortranarray, TypeError, "w1 must be contiguous in C order, got strides"),
        ("rates", lambda a: np.repeat(a, 2)[::2], TypeError, "rates must be contiguous in C order"),
        ("w2", lambda a: a[:, :-1].copy(), ValueError, r"w2 must have shape \(classes, width = 150\), got \(3, 149\)"),
        ("losses", lambda a: a[:-1], ValueError, r"losses must have shape \(updates = 4\), got \(3,\)"),
        ("b1", lambda a: a[None], ValueError, r"b1 must have shape \(width = 150\), got \(1, 150\)"),
        ("b1", lambda a: a[:, None], ValueError, r"b1 must have shape \(width = 150\), got \(150, 1\)"),
    ],
)
def test_what_compiled_code_would_misread_is_refused_before_anything_is_touched(name, change, error, message):
    made = arrays(updates=4)
    before = made["w2"].copy() if name != "w2" else made["b2"].copy()
    made[name] = change(made[name])
    with pytest.raises(error, match=message):
        sgd(**made)
    np.testing.assert_array_equal(made["w2"] if name != "w2" else made["b2"], before)


@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        ("w1", lambda a: a.astype(np.float64), TypeError, "w1 must be a float32 array, got float64"),
        ("inputs", np.asfortranarray, TypeError, "inputs must be contiguous in C order"),
        ("b1", lambda a: a[:-1].copy(), ValueError, r"b1 must have shape \(width = 150\), got \(149,\)"),
        ("inputs", lambda a: a[:, :-1].copy(), ValueError, r"must have shape \(examples, d = 13\), got \(9, 12\)"),
    ],
)
def test_arrays_that_logits_of_signs_would_misread_are_refused(name, change, error, message):
    made = {key: array for key, array in arrays(updates=1).items() if key in ("w1", "b1", "w2", "b2")}
    made["inputs"] = np.ones((9, D), np.float32)
    with pytest.raises(error, match=message):
        logits_of_signs(**(made | {name: change(made[name])}))


def test_inputs_of_another_size_are_refused():
    made = arrays(updates=4)
    made["inputs"] = made["inputs"][:, :, :-1].copy()
    with pytest.raises(ValueError, match=r"inputs must have shape \(updates, batch, d = 13\), got \(4, 1, 12\)"):
        sgd(**made)


@pytest.mark.parametrize(("width", "d"), [(UNITS, 20), (WIDTH, D), (3, 4), (300, 41)])
def test_logits_of_signs_are_the_models(width, d):
    model = MLP(d, width=width, classes=CLASSES, seed=[0, 1])
    signs = torch.from_numpy(np.random.default_rng(0).choice(np.float32([-1, 1]), (50, d)))
    with torch.no_grad():
        expected = model(signs.unsqueeze(0))
    torch.testing.assert_close(logits_of(model, signs), expected, atol=1e-6, rtol=1e-5)
    arrays = [parameter.detach()[1].numpy() for parameter in model.parameters()]
    np.testing.assert_allclose(logits_of_signs(*arrays, signs.numpy()), expected[1], atol=1e-6, rtol=1e-5)


def test_logits_of_anything_else_are_the_models_too():
    model = MLP(D, width=WIDTH)
    inputs = torch.ones(4, D)
    inputs[2, 5] = 0.5
    assert logits_of_signs(*(p.detach()[0].numpy() for p in model.parameters()), inputs.numpy()) is None
    with torch.no_grad():
        torch.testing.assert_close(logits_of(model, inputs), model(inputs.unsqueeze(0)))


def test_a_unit_that_is_not_a_number_shows_in_the_logits():
    model = MLP(D, width=WIDTH)
    with torch.no_grad():
        model.layers[0].weight[0, 140, 3] = torch.nan
    assert logits_of(model, torch.ones(4, D)).isnan().all()
