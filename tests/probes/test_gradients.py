"""A student's first gradient: against autograd, on targets whose gradient is known, and as a probe."""

import pytest
import torch

from pdtutor import MLP, FunctionTeacher, SparseParity, first_gradient
from pdtutor.probes.gradients import balanced_inputs, gradient_signal

TASK = SparseParity(12, 4)
STUDENT = MLP(12, width=40, seed=3)


def model_of(function, name="a function"):
    return FunctionTeacher(lambda x: torch.stack([function(x), -function(x)], 1), classes=2, name=name).at(0)


def label(x):
    return x[:, list(TASK.support)].prod(1)


def test_it_is_the_part_of_autograd_s_gradient_that_depends_on_the_targets():
    x = balanced_inputs(TASK, groups=32)
    q = (torch.arange(len(x)) % 3 == 0).float()

    def gradient(q):
        loss = -(torch.stack([1 - q, q], 1) * STUDENT(x[None])[0].log_softmax(-1)).sum(-1)
        return torch.stack(
            [torch.autograd.grad(one, STUDENT.layers[0].weight, retain_graph=True)[0][0] for one in loss]
        )

    push = gradient(torch.full_like(q, 0.5)) - gradient(
        q
    )  # (n, width, d): against the gradient, less the student's own
    halves = [half.mean(0) for half in push.tensor_split(2)]
    noise = (push**2).mean(0).sum() / TASK.d  # x_j² = 1: the same for every coordinate
    signal, of_all = gradient_signal(STUDENT, x, q - 0.5)
    assert of_all == pytest.approx(float(noise), rel=1e-4)
    torch.testing.assert_close(signal, (halves[0] * halves[1]).sum(0) / noise, rtol=1e-3, atol=1e-6)


def test_a_teacher_of_one_coordinate_gives_a_gradient_there_and_labels_give_none():
    probe = first_gradient(TASK, STUDENT, groups=2048)
    j = TASK.support[1]
    one = probe(model_of(lambda x: x[:, j])).set_index("coordinate")
    assert one["signal"].idxmax() == j
    assert one["signal"][j] == pytest.approx(0.5, abs=0.15)  # half of the neurons are active at an example
    assert one["signal"].drop(j).abs().max() < 0.05
    assert one["hard"][j] == pytest.approx(0.5)
    assert probe(model_of(label))["signal"].abs().max() < 5e-3


def test_inside_is_the_support_and_a_cold_teacher_s_strength_does_not_matter():
    probe = first_gradient(TASK, STUDENT, groups=64)
    weak, strong = (probe(model_of(lambda x, s=scale: s * x[:, 0])) for scale in (0.01, 10.0))
    assert tuple(weak.loc[weak["inside"], "coordinate"]) == TASK.support
    assert weak["signal"].tolist() == pytest.approx(strong["signal"].tolist())
    assert weak["correlation"].max() < strong["correlation"].max() / 10


def test_balanced_inputs_hold_every_setting_of_the_support_equally_often():
    x = balanced_inputs(TASK, groups=5)
    assert x.shape == (5 * 16, 12)
    settings = {tuple(row) for row in x[:16, list(TASK.support)].tolist()}
    assert len(settings) == 16
    assert (x.abs() == 1).all()
    assert label(x).sum() == 0


@pytest.mark.parametrize("student", [MLP(12, width=[4, 4]), MLP(12, width=4, seed=[0, 1]), MLP(12, width=4, classes=3)])
def test_another_student_is_refused(student):
    with pytest.raises(ValueError, match="student must have one copy, one hidden layer and two classes"):
        first_gradient(TASK, student)
