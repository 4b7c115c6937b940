"""The compiled updates against the textbook's, and what they refuse."""

import numpy as np
import pytest
import torch

from pdtutor.kernels import sgd_by_batch, sgd_by_example

WIDTH, D, CLASSES = 70, 13, 3  # more rows than one block, and neither a multiple of what is unrolled


def arrays(updates=1000, batch=1, seed=0):
    """Return what a kernel takes, inputs as (updates, batch, d)."""
    rng = np.random.default_rng(seed)
    shapes = {"w1": (WIDTH, D), "b1": (WIDTH,), "w2": (CLASSES, WIDTH), "b2": (CLASSES,)}
    made = {name: rng.uniform(-0.3, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    made["inputs"] = rng.choice(np.float32([-1, 1]), (updates, batch, D))
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


def by_example(made):
    sgd_by_example(**made)


def by_batch(made):
    sgd_by_batch(**(made | {"inputs": np.ascontiguousarray(made["inputs"].transpose(0, 2, 1))}))


@pytest.mark.parametrize("kernel", [by_example, by_batch])
@pytest.mark.parametrize("batch", [1, 3, 40])
def test_after_1000_updates_the_weights_are_the_plain_loops(kernel, batch):
    made = arrays(batch=batch)
    expected, losses = plain(**made)
    kernel(made)
    for name, wanted in zip(("w1", "b1", "w2", "b2"), expected, strict=True):
        np.testing.assert_allclose(made[name], wanted, atol=1e-5, rtol=0, err_msg=name)
    np.testing.assert_allclose(made["losses"], losses, atol=1e-5)


@pytest.mark.parametrize("kernel", [by_example, by_batch])
def test_a_unit_that_is_not_a_number_shows_in_the_loss(kernel):
    made = arrays(updates=3, batch=2)
    made["w1"][5] = np.nan
    kernel(made)
    assert np.isnan(made["losses"]).all()


def test_each_number_of_inputs_has_its_own_kernel():
    made = arrays(updates=5)
    wider = {name: array.copy() for name, array in made.items()}
    wider["w1"] = np.pad(wider["w1"], ((0, 0), (0, 4)))  # four inputs that are always 0
    wider["inputs"] = np.pad(wider["inputs"], ((0, 0), (0, 0), (0, 4)))
    by_example(made)
    by_example(wider)
    np.testing.assert_allclose(wider["w1"][:, :D], made["w1"], atol=1e-6)


@pytest.mark.parametrize("kernel", [sgd_by_example, sgd_by_batch])
@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        ("w1", lambda a: a.astype(np.float64), TypeError, "w1 must be a float32 array, got float64"),
        ("targets", lambda a: a.tolist(), TypeError, "targets must be a float32 array, got list"),
        ("inputs", lambda a: torch.tensor(a), TypeError, "inputs must be a float32 array, got torch.float32"),
        ("w1", np.asfortranarray, TypeError, "w1 must be contiguous in C order, got strides"),
        ("rates", lambda a: np.repeat(a, 2)[::2], TypeError, "rates must be contiguous in C order"),
        ("w2", lambda a: a[:, :-1].copy(), ValueError, r"w2 must have shape \(classes, width = 70\), got \(3, 69\)"),
        ("losses", lambda a: a[:-1], ValueError, r"losses must have shape \(updates = 4\), got \(3,\)"),
        ("b1", lambda a: a[None], ValueError, r"b1 must have shape \(width = 70\), got \(1, 70\)"),
        ("b1", lambda a: a[:, None], ValueError, r"b1 must have shape \(width = 70\), got \(70, 1\)"),
    ],
)
def test_what_compiled_code_would_misread_is_refused_before_anything_is_touched(kernel, name, change, error, message):
    made = arrays(updates=4)
    if kernel is sgd_by_batch:
        made["inputs"] = np.ascontiguousarray(made["inputs"].transpose(0, 2, 1))
    before = made["w2"].copy() if name != "w2" else made["b2"].copy()
    made[name] = change(made[name])
    with pytest.raises(error, match=message):
        kernel(**made)
    np.testing.assert_array_equal(made["w2"] if name != "w2" else made["b2"], before)


def test_inputs_of_another_size_are_refused():
    made = arrays(updates=4)
    made["inputs"] = made["inputs"][:, :, :-1].copy()
    with pytest.raises(ValueError, match=r"inputs must have shape \(updates, batch, d = 13\), got \(4, 1, 12\)"):
        sgd_by_example(**made)
