"""What a number is of: the model without dropout, the teacher of the student's own seed, the positions with labels."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from pdtutor import (
    AdamW,
    Distill,
    FunctionTeacher,
    Labels,
    MaskedGrammar,
    Network,
    SparseParity,
    Stream,
    Trajectory,
    Transformer,
    compare,
    evaluate,
    held_out,
    logits_of,
    monomial_correlations,
    one_shot,
    recipes,
    register,
    train,
)
from pdtutor.distillation.targets import make_targets
from pdtutor.distillation.teachers import Teachers
from pdtutor.models.mlp import MLP
from pdtutor.recipes.students import Progressive
from pdtutor.theory import degree_weights, hypercube
from pdtutor.training import evaluate as evaluation

TASK = SparseParity(8, 2)
QUIET = {"progress": False, "eval_examples": 64, "batch_size": 8}


@register
def with_dropout():
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.9), nn.Linear(32, 2))


# Dropout ---------------------------------------------------------------------------------------------------------


def test_whatever_asks_a_model_asks_it_without_dropout():
    model, (inputs, labels) = Network(with_dropout, classes=2, seed=[0, 1]), held_out(TASK, 64)
    expected = model.eval()(inputs[None]).detach()
    model.train()
    assert not torch.allclose(model(inputs[None]), expected, atol=1e-3)
    assert torch.equal(logits_of(model, inputs), expected)
    loss, accuracy = evaluate(model, inputs, labels)
    by_hand = torch.stack([cross_entropy(of_copy, labels) for of_copy in expected])
    torch.testing.assert_close(loss, by_hand)
    assert torch.equal(accuracy, (expected.argmax(-1) == labels).float().mean(1))
    probe = monomial_correlations(TASK, examples=64)
    assert probe(model).equals(probe(model))
    assert model.training  # it is left as it was


def test_rows_with_padding_are_read_without_dropout_too():
    class Dropping(Transformer):
        def forward(self, ids):
            return nn.functional.dropout(super().forward(ids), 0.5, self.training)

    model = Dropping(6, max_length=4, read_out="every", layers=1, padding=5)
    ids = torch.tensor([[0, 1, 2, 5], [3, 4, 5, 5], [1, 1, 1, 1]])
    expected = model.eval()(ids[None]).detach()
    assert torch.equal(logits_of(model.train(), ids)[:, 2], expected[:, 2])
    assert model.training


def test_a_run_with_dropout_is_evaluated_without_it_and_its_teachers_have_none():
    run = train(Network(with_dropout, classes=2), TASK, steps=4, save_every=4, eval_every=2, **QUIET)
    inputs, labels = held_out(TASK, 64)
    last = run.history["loss"].iloc[-1]
    assert evaluate(run.trajectory.at(4), inputs, labels)[0].item() == pytest.approx(last, rel=1e-5)
    teachers = Teachers([Distill(run.trajectory, one_shot())], 2)
    stretch = Stream(TASK, batch_size=8, seeds=[0], purpose="student data").stretch(0, 2)
    said = [teachers.logits(stretch, None, 2)[0] for _ in range(2)]
    assert torch.equal(*said)


# A teacher for each seed -----------------------------------------------------------------------------------------


def of_coordinate(i):
    """A teacher whose prediction is the sign of coordinate i."""
    return FunctionTeacher(lambda x: 9 * torch.stack([x[:, i], -x[:, i]], -1), classes=2, name=f"coordinate {i}")


@pytest.mark.parametrize("how", [{}, {"side_by_side": False}, {"until": 1.0}])
def test_every_student_learns_from_the_teacher_of_its_own_seed(how):
    compared = compare(
        lambda seeds: MLP(8, width=16, seed=seeds),
        TASK,
        {"labels": Labels(), "own": lambda seed: Distill(of_coordinate(seed), one_shot(), temperature=1.0)},
        seeds=[1, 4, 6],
        steps=150,
        optimizer=AdamW(lr=0.02),
        **how,
        **QUIET,
    )
    inputs, _ = held_out(TASK, 200)
    for seed in (1, 4, 6):
        student = compared.trajectory("own", seed).at(150)
        agreement = (logits_of(student, inputs)[0].argmax(-1) == (inputs[:, seed] < 0)).float().mean()
        assert agreement > 0.95, seed


def test_the_methods_of_recipes_take_the_teacher_of_the_student_s_seed():
    teachers = train(MLP(8, width=8, seed=[0, 1, 2]), TASK, steps=4, save_every=2, **QUIET).trajectory
    students = Progressive(recipes.recipe("parity-teacher", "smoke"))
    methods = students.methods(teachers, {0: 2, 1: 2, 2: 4})
    for name in ("one-shot", "progressive", "(2,T)"):
        digests = [methods[name](seed).trajectory.digest for seed in (0, 1, 2)]
        assert digests == [teachers.of(seed).digest for seed in (0, 1, 2)], name
        assert len(set(digests)) == 3
    assert [methods["(2,T)"](seed).schedule.checkpoints[0] for seed in (0, 1, 2)] == [2, 2, 4]


def test_copies_are_taught_by_the_copies_of_the_teacher_that_were_named():
    trajectory = train(MLP(8, width=8, seed=[0, 1, 2]), TASK, steps=4, save_every=2, **QUIET).trajectory
    teachers = Teachers([Distill(Trajectory(trajectory.path).of(seed), one_shot()) for seed in (2, 0, 1)], 2)
    stretch = Stream(TASK, batch_size=8, seeds=[5, 5, 5], purpose="student data").stretch(0, 2)
    said = teachers.logits(stretch, None, 2)
    expected = logits_of(trajectory.at(4), stretch.inputs[0].flatten(0, 1)).unflatten(1, (2, 8))
    for copy, seed in enumerate((2, 0, 1)):
        torch.testing.assert_close(said[copy], expected[seed])


# Means over labelled positions -----------------------------------------------------------------------------------


@register
class Sparse:
    """Rows of 6 ids, of which few have a label: none to three, other numbers in every row."""

    classes = vocabulary = 4

    def sample(self, rng, n):
        ids = rng.integers(0, 4, (n, 6))
        labelled = np.arange(6) < rng.integers(0, 4, (n, 1))
        labelled[0, 0] = True
        return ids, np.where(rng.permuted(labelled, axis=1), (ids + 1) % 4, -100)

    def config(self):
        return {"class": "Sparse"}


def reader(seed=0):
    return Transformer(4, max_length=6, classes=4, read_out="every", layers=1, seed=seed)


@pytest.mark.parametrize("some_positions", [False, True])
@pytest.mark.parametrize("taught", [False, True])
def test_a_loss_and_its_gradient_are_means_over_the_positions_with_a_label(some_positions, taught):
    teacher = FunctionTeacher(lambda ids: 3.0 * nn.functional.one_hot((ids + 2) % 4, 4), classes=4, name="next but one")
    supervision = Distill(teacher, one_shot(), temperature=1.0) if taught else Labels()
    stretch = Stream(Sparse(), batch_size=5, seeds=[3], purpose="student data").stretch(0, 3)
    targets = make_targets(stretch, Teachers([supervision], 3), classes=4, some_positions=some_positions)
    model = reader()
    for update in range(3):
        inputs, labels = stretch.inputs[0, update], stretch.labels[0, update]
        scored = labels != -100
        assert 0 < scored.sum() < scored.numel()
        logits = model(inputs[None])[0][scored]
        wanted = (3.0 * nn.functional.one_hot((inputs + 2) % 4, 4)).softmax(-1)[scored] if taught else labels[scored]
        by_hand = cross_entropy(logits, wanted)  # a mean over what has a label
        found = targets.loss_of(targets.logits(model, stretch.inputs[:, update], update), update)[0]
        torch.testing.assert_close(found, by_hand)
        gradients = [
            torch.autograd.grad(loss, list(model.parameters()), allow_unused=True) for loss in (found, by_hand)
        ]
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)
        entropy = cross_entropy(wanted.log(), wanted) if taught else torch.tensor(0.0)
        torch.testing.assert_close(targets.constant[0, update], -entropy)


def test_the_history_has_means_over_the_positions_with_a_label():
    task = Sparse()
    run = train(reader(), task, steps=1, seed=3, eval_every=1, **QUIET)
    stretch = Stream(task, batch_size=8, seeds=[3], purpose="teacher data").stretch(0, 1)
    inputs, labels = held_out(task, 64)
    before, after = reader(), run.model
    losses = [
        cross_entropy(model(x[None])[0].flatten(0, 1), y.flatten()).item()  # leaves out −100
        for model, x, y in (
            (before, inputs, labels),
            (after, inputs, labels),
            (before, stretch.inputs[0, 0], stretch.labels[0, 0]),
        )
    ]
    assert run.history["loss"].tolist() == pytest.approx(losses[:2], rel=1e-4)
    assert run.history["train_loss"].iloc[-1] == pytest.approx(losses[2], rel=1e-4)


# Degrees ---------------------------------------------------------------------------------------------------------


def test_the_weight_of_a_degree_is_at_its_own_place():
    """W_0 is the square of the mean, and W_d that of the product of all coordinates."""
    x = hypercube(3).astype(float)
    table = 4 + 3 * x[:, 0] + 2 * x[:, 0] * x[:, 2] + x.prod(1)
    np.testing.assert_allclose(degree_weights(table), [16, 9, 4, 1])
    np.testing.assert_allclose(degree_weights(x[:, 1] - x[:, 2]), [0, 2, 0, 0], atol=1e-12)


def test_logits_of_many_classes_are_never_all_in_memory(monkeypatch):
    """In pieces, sums differ by their last digits alone."""
    task = MaskedGrammar("cfg3b", root="13")
    model = Transformer(
        task.vocabulary, max_length=task.longest, classes=task.classes, heads=1, layers=1, read_out="every",
        padding=task.padding, seed=[0, 1], init_std=0.5,
    )  # fmt: skip
    inputs, labels = held_out(task, 50)
    whole = evaluate(model, inputs, labels)
    sizes, ask = [], evaluation.logits_of
    monkeypatch.setattr(evaluation, "logits_of", lambda *asked: (sizes.append(ask(*asked).numel()), ask(*asked))[1])
    monkeypatch.setattr(evaluation, "PIECE_LOGITS", 300)
    pieces = evaluate(model, inputs, labels)
    assert len(sizes) > 5
    assert max(sizes) <= 300
    torch.testing.assert_close(pieces[0], whole[0])
    assert torch.equal(pieces[1], whole[1])


def test_blocks_of_large_examples_are_small_and_others_stay_what_they_were():
    large, small = SparseParity(1_000_000, 3), SparseParity(1000, 3)
    assert 4 * 1_000_000 * Stream(large, batch_size=2, seeds=[0], purpose="data").block * 2 <= 2**28
    assert Stream(small, batch_size=32, seeds=[0], purpose="data").block == 128
