import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pdtutor.distillation.losses import (
    cross_entropy,
    distillation_loss,
    divergence,
    labelled_positions,
    mean_labelled,
    soft_targets,
    teacher_log_probabilities,
)
from pdtutor.tasks.task import IGNORED

student = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))  # (copies, batch, classes)
teacher = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1)) * 3
labels = torch.tensor([[0, 1, 2, 3, 0], [3, 3, 1, 0, 2]])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_forward_kl_is_torch_s_own_with_the_temperature_on_the_teacher_only(temperature):
    ours = distillation_loss(student, teacher, labels, temperature=temperature)
    for copy in range(2):
        p = (teacher[copy] / temperature).softmax(-1)
        theirs = F.kl_div(student[copy].log_softmax(-1), p, reduction="batchmean")
        torch.testing.assert_close(ours[copy], theirs)


def test_reverse_kl_is_torch_s_own():
    log_p = teacher_log_probabilities(teacher, 2.0)
    ours = divergence(student, log_p, kind="reverse_kl").mean()
    log_q = student.log_softmax(-1)
    theirs = F.kl_div(log_p.flatten(0, 1), log_q.flatten(0, 1), reduction="batchmean", log_target=True)
    torch.testing.assert_close(ours, theirs)


def test_jensen_shannon_is_the_mean_kl_to_the_average_symmetric_and_at_most_log_2():
    log_p, log_q = teacher.log_softmax(-1), student.log_softmax(-1)
    middle = ((log_p.exp() + log_q.exp()) / 2).log()
    by_hand = (log_p.exp() * (log_p - middle)).sum(-1) / 2 + (log_q.exp() * (log_q - middle)).sum(-1) / 2
    torch.testing.assert_close(divergence(student, log_p, kind="jensen_shannon"), by_hand)
    torch.testing.assert_close(divergence(teacher, log_q, kind="jensen_shannon"), by_hand)
    apart = divergence(torch.tensor([100.0, 0.0]), torch.tensor([-torch.inf, 0.0]), kind="jensen_shannon")
    assert apart.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-38, 1e-20, 1e-4])
def test_cold_teachers_are_their_argmax_exactly_and_finitely(temperature):
    logits = torch.tensor([[3.0, 1.0, -2.0], [1.5, 1.5, 0.0], [-3e38, 3e38, 0.0]])
    p = teacher_log_probabilities(logits, temperature).exp()
    assert torch.equal(p, torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]))


def test_at_temperature_0_distillation_is_cross_entropy_on_the_teacher_s_argmax():
    ours = student.clone().requires_grad_()
    loss = distillation_loss(ours, teacher, labels, temperature=0)
    expected = torch.stack([F.cross_entropy(student[c], teacher[c].argmax(-1)) for c in range(2)])
    torch.testing.assert_close(loss, expected)
    loss.sum().backward()
    assert torch.isfinite(ours.grad).all()


@given(st.floats(0, 1))
def test_alpha_mixes_the_two_losses(alpha):
    mixed = distillation_loss(student, teacher, labels, temperature=1.0, alpha=alpha)
    ce = mean_labelled(cross_entropy(student, labels), labels)
    kd = distillation_loss(student, teacher, labels, temperature=1.0, alpha=0.0)
    torch.testing.assert_close(mixed, alpha * ce + (1 - alpha) * kd)


def test_top_k_keeps_and_renormalises_the_k_largest():
    p = teacher_log_probabilities(torch.tensor([2.0, 0.0, 1.0]), 1.0, top_k=2).exp()
    e = math.e
    torch.testing.assert_close(p, torch.tensor([e / (e + 1), 0.0, 1 / (e + 1)]))


def test_ignored_positions_count_nowhere():
    some = labels.clone()
    some[0, :3] = IGNORED
    whole = distillation_loss(student, teacher, some, temperature=1.0, alpha=0.3)
    kept = distillation_loss(student[:1, 3:], teacher[:1, 3:], labels[:1, 3:], temperature=1.0, alpha=0.3)
    torch.testing.assert_close(whole[0], kept[0])
    assert soft_targets(some, None, 1.0, classes=4)[0, :3].abs().sum() == 0


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jensen_shannon"])
def test_every_divergence_is_0_exactly_at_the_teacher_and_pulls_towards_it(kind):
    logits = teacher.clone().requires_grad_()
    at_teacher = divergence(logits, teacher.log_softmax(-1), kind=kind)
    torch.testing.assert_close(at_teacher, torch.zeros_like(at_teacher), atol=1e-6, rtol=0)
    away = student.clone().requires_grad_()
    before = divergence(away, teacher.log_softmax(-1), kind=kind).sum()
    before.backward()
    after = divergence(away - 0.01 * away.grad, teacher.log_softmax(-1), kind=kind).sum()
    assert after < before


def test_soft_targets_have_the_gradient_of_the_whole_loss():
    log_p = teacher_log_probabilities(teacher, 0.7)
    direct, through = student.clone().requires_grad_(), student.clone().requires_grad_()
    distillation_loss(direct, teacher, labels, temperature=0.7, alpha=0.25).sum().backward()
    q = soft_targets(labels, log_p.exp(), 0.25, classes=4)
    (-(q * through.log_softmax(-1)).sum(-1).mean(1)).sum().backward()
    torch.testing.assert_close(direct.grad, through.grad)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature must be at least 0, got -1.0"),
        ({"temperature": float("nan")}, "temperature must be a finite number, got nan"),
        ({"alpha": 1.5}, "alpha must be between 0 and 1, got 1.5"),
        ({"alpha": -0.1}, "alpha must be between 0 and 1"),
        ({"kind": "hinge"}, "divergence must be one of 'forward_kl', 'reverse_kl', 'jensen_shannon'; got 'hinge'"),
        ({"top_k": 0}, "top_k must be a whole number of at least 1, got 0"),
        ({"top_k": 5}, "at most the number of classes, 4; got 5"),
        ({"temperature": 0, "kind": "reverse_kl"}, "infinite where the teacher's probability is 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        distillation_loss(student, teacher, labels, **settings)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="must agree"):
        distillation_loss(student, teacher[..., :3], labels)
    with pytest.raises(ValueError, match="must agree"):
        distillation_loss(student, teacher, labels[:, :2])


def test_labelled_positions_come_in_order_and_are_filled_up():
    rows = torch.tensor([[[IGNORED, 2, IGNORED, 0], [1, IGNORED, IGNORED, IGNORED], [IGNORED] * 4]])
    at, there = labelled_positions(rows)
    assert at.tolist() == [[[1, 3], [0, -1], [-1, -1]]]
    assert there.tolist() == [[[2, 0], [1, IGNORED], [IGNORED, IGNORED]]]


def test_where_nothing_is_labelled_one_position_is_left():
    at, there = labelled_positions(torch.full((2, 5), IGNORED))
    assert at.tolist() == [[-1], [-1]]
    assert there.tolist() == [[IGNORED], [IGNORED]]
