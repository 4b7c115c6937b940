"""The signal and the noise of a student's gradient, against a plain loop over batches and an exact gradient."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from pdtutor import (
    FINAL,
    MLP,
    Distill,
    Labels,
    MaskedGrammar,
    SparseParity,
    Stored,
    Transformer,
    n_shot,
    one_shot,
    store_targets,
    train,
)
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import IGNORED
from pdtutor.training.gradient_noise import PURPOSE, gradient_noise

PARITY, GRAMMAR = SparseParity(8, 2), MaskedGrammar("cfg3b", root="10")
QUIET = {"progress": False, "eval_examples": 16}


def mlp(seeds):
    return MLP(8, width=6, seed=seeds)


def transformer(seeds):
    return Transformer(
        GRAMMAR.vocabulary, max_length=GRAMMAR.longest, classes=GRAMMAR.classes, layers=1, heads=2, head_dim=4,
        read_out="every", padding=GRAMMAR.padding, init_std=0.3, seed=seeds,
    )  # fmt: skip


@pytest.fixture(scope="module")
def teachers():
    """The trajectories of a teacher of each task, of one copy, with three checkpoints."""
    settings = {"steps": 20, "save_every": 10, "batch_size": 8, **QUIET}
    parity, grammar = (train(make([7]), task, **settings) for make, task in ((mlp, PARITY), (transformer, GRAMMAR)))
    return {PARITY: parity.trajectory, GRAMMAR: grammar.trajectory}


def gradients_of(model, task, losses, *, batches, batch_size):
    """Every batch's gradient, (batches, copies, weights), by a loop over batches and copies.

    `losses` holds, per copy, the function from logits and labels at all positions, and inputs, to a loss.
    """
    stream = Stream(task, batch_size=batch_size, seeds=model.seeds, purpose=PURPOSE)
    found = []
    for number in range(batches):
        here = stream.stretch(number, number + 1)
        of_copies = []
        for copy, loss in enumerate(losses):
            inputs, labels = (part[here.index[copy], 0] for part in (here.inputs, here.labels))
            model.zero_grad()
            loss(model(inputs[None])[copy], labels, inputs).backward()
            of_copies.append(torch.cat([p.grad[copy].flatten() for p in model.parameters() if p.requires_grad]))
        found.append(torch.stack(of_copies))
    model.zero_grad()
    return torch.stack(found).double().numpy()


def cross_entropy(logits, labels, inputs):
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


def taught_by(teacher, temperature):
    """The loss with respect to a teacher at some temperature, without pdtutor."""

    def loss(logits, labels, inputs):
        with torch.no_grad():
            p = (teacher(inputs[None])[0] / temperature).softmax(-1)
        each = (p * (p.log() - logits.log_softmax(-1))).sum(-1)
        return each[labels != IGNORED].mean()

    return loss


@pytest.mark.parametrize(("make", "task"), [(mlp, PARITY), (transformer, GRAMMAR)])
@pytest.mark.parametrize("batches", [6, 9])
def test_every_copy_s_signal_and_noise_are_those_of_a_plain_loop(make, task, batches, teachers):
    model, teacher = make([3, 5, 3]), teachers[task]
    supervision = [
        Labels(),
        Distill(teacher, one_shot(), temperature=2.0),
        Distill(teacher, n_shot([10, FINAL], each=1), temperature=1.0),  # only the first of them is asked
    ]
    losses = [cross_entropy, taught_by(teacher.at(20), 2.0), taught_by(teacher.at(10), 1.0)]
    settings = {"batches": batches, "batch_size": 12}
    found = gradient_noise(model, task, supervision, **settings, progress=False)
    assert list(found) == ["copy", "seed", "signal", "noise", "ratio"]
    assert found[["copy", "seed"]].to_numpy().tolist() == [[0, 3], [1, 5], [2, 3]]
    gradients = gradients_of(model, task, losses, **settings)
    signal = (gradients[::2].mean(0) * gradients[1::2].mean(0)).sum(-1)
    noise = (gradients**2).sum(-1).mean(0) - signal
    assert found["signal"].tolist() == pytest.approx(signal.tolist(), rel=1e-4, abs=1e-7)
    assert found["noise"].tolist() == pytest.approx(noise.tolist(), rel=1e-4)
    assert found["ratio"].tolist() == pytest.approx((signal / noise).tolist(), rel=1e-3, abs=1e-6)


def test_one_supervision_serves_all_copies_and_equal_copies_agree(teachers):
    model = mlp([4, 4])
    distill = Distill(teachers[PARITY], one_shot(), temperature=1.0)
    for supervision in (Labels(), distill):
        settings = {"batches": 4, "batch_size": 8, "progress": False}
        found = gradient_noise(model, PARITY, supervision, **settings)
        each = gradient_noise(model, PARITY, [supervision] * 2, **settings)
        assert found.equals(each)
        assert found.loc[0, "signal"] == pytest.approx(found.loc[1, "signal"])


def alike(copies, make=mlp):
    """A model whose copies have equal weights, and examples of their own."""
    model = make(list(range(copies)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter[:1].expand_as(parameter))
    return model


def test_signal_and_noise_are_right_on_average_however_few_the_batches():
    copies, size = 400, 8
    model = alike(copies)
    everything = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 8)  # each of the inputs once
    labels = (everything[:, list(PARITY.support)].prod(1) < 0).long()
    drawn = PARITY.sample(np.random.default_rng(0), 20)
    assert ((drawn[0][:, list(PARITY.support)].prod(1) < 0) == drawn[1]).all()
    of_one, weights = mlp([0]), dict(mlp([0]).named_parameters())

    def loss(weights, x, y):
        return functional.cross_entropy(torch.func.functional_call(of_one, weights, (x[None, None],))[0], y[None])

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(weights, everything, labels)
    each = torch.cat([of.flatten(1) for of in each.values()], 1).detach().double()  # (256, weights)
    true_signal = float(each.mean(0).square().sum())
    true_noise = float((each - each.mean(0)).square().sum(1).mean()) / size
    found = gradient_noise(model, PARITY, Labels(), batches=5, batch_size=size, progress=False)
    for column, true in (("signal", true_signal), ("noise", true_noise)):
        error = found[column].std() / copies**0.5
        assert error < 0.2 * true
        assert found[column].mean() == pytest.approx(true, abs=5 * error)
    # a mean of squares, which counts noise as signal, would be seen
    assert true_noise / 5 > 5 * found["signal"].std() / copies**0.5


def test_the_ratio_grows_as_the_batch():
    model = alike(100)
    means = {
        size: gradient_noise(model, PARITY, Labels(), batches=8, batch_size=size, progress=False).mean()
        for size in (8, 32)
    }
    assert means[8]["noise"] / means[32]["noise"] == pytest.approx(4, rel=0.15)
    ratios = {size: of["signal"] / of["noise"] for size, of in means.items()}
    assert ratios[32] / ratios[8] == pytest.approx(4, rel=0.6)


def test_hardly_any_signal_may_be_negative():
    model = alike(60)
    found = gradient_noise(model, SparseParity(8, 8), Labels(), batches=4, batch_size=4, progress=False)
    assert (found["signal"] < 0).any()
    assert (found["noise"] > 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training, teachers):
    model = transformer([0, 1]).train(training)
    frozen = next(model.parameters()).requires_grad_(False)
    for number, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, number)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    distill = Distill(teachers[GRAMMAR], one_shot(), temperature=1.0)
    gradient_noise(model, GRAMMAR, distill, batches=4, batch_size=4, progress=False)
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    assert model.training == training
    assert [parameter is frozen for parameter in model.parameters() if not parameter.requires_grad] == [True]
    for number, parameter in enumerate(model.parameters()):
        assert (parameter.grad == number).all()


def test_only_trained_parameters_count():
    model, settings = mlp([0, 1]), {"batches": 4, "batch_size": 8}
    for parameter in model.layers[0].parameters():
        parameter.requires_grad_(False)
    found = gradient_noise(model, PARITY, Labels(), **settings, progress=False)
    gradients = gradients_of(model, PARITY, [cross_entropy] * 2, **settings)
    assert gradients.shape == (4, 2, 6 * 2 + 2)
    signal = (gradients[::2].mean(0) * gradients[1::2].mean(0)).sum(-1)
    assert found["signal"].tolist() == pytest.approx(signal.tolist(), rel=1e-4, abs=1e-7)


def test_examples_are_those_of_no_run():
    inputs = [
        Stream(PARITY, batch_size=8, seeds=[0], purpose=purpose).stretch(0, 1).inputs
        for purpose in (PURPOSE, "teacher data", "student data")
    ]
    assert not any(inputs[0].equal(other) for other in inputs[1:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batches": 3}, "batches must be a whole number of at least 4, got 3"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"progress": "yes"}, "progress must be"),
        ({"model": "mlp"}, "model must be a model of pdtutor, got 'mlp'"),
        ({"task": SparseParity}, "task must be"),
        ({"supervision": [Labels()]}, "supervision must be one for all copies or one for each of 2, got 1"),
        ({"supervision": [Labels(), "labels"]}, r"supervision must be Labels\(\) or Distill\(…\), got 'labels'"),
        ({"supervision": 3}, "supervision must be a list, got 3"),
        ({"model": mlp([0, 1]).requires_grad_(False)}, "none of the model's parameters requires gradients"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    given = {"model": mlp([0, 1]), "task": PARITY, "supervision": Labels(), "progress": False} | options
    with pytest.raises(ValueError, match=message):
        gradient_noise(given.pop("model"), given.pop("task"), given.pop("supervision"), **given)


def test_stored_targets_and_teachers_of_another_task_are_refused_as_they_are_by_train(teachers, tmp_path):
    distill = Distill(teachers[PARITY], one_shot())
    settings = {"steps": 4, "batch_size": 8, "seed": 0, "k": 2, "progress": False}
    stored = store_targets(tmp_path / "stored", distill, PARITY, **settings)
    with pytest.raises(ValueError, match="holds targets for a student with other examples: role was 'student', now "):
        gradient_noise(mlp([0]), PARITY, Stored(stored), batches=4, batch_size=8, progress=False)
    other = SparseParity(8, 2, support=[1, 2])
    with pytest.raises(ValueError, match="support"):
        gradient_noise(mlp([0]), other, distill, batches=4, batch_size=8, progress=False)


def test_only_the_parameters_that_are_asked_for_count():
    task = SparseParity(6, 2)
    model = MLP(6, width=5, seed=[0, 1])
    names = [name for name, _ in model.named_parameters()]
    parts = [gradient_noise(model, task, Labels(), parameters=[name], batches=6, progress=False) for name in names]
    whole = gradient_noise(model, task, Labels(), batches=6, progress=False)
    for column in ("signal", "noise"):
        assert sum(part[column] for part in parts).tolist() == pytest.approx(whole[column].tolist(), rel=1e-4)


@pytest.mark.parametrize("names", [[], ["no.such.weight"], "positions.weight"])
def test_parameters_that_the_model_lacks_are_refused(names):
    with pytest.raises(ValueError, match="parameters"):
        gradient_noise(MLP(6, width=5), SparseParity(6, 2), Labels(), parameters=names, batches=4, progress=False)
