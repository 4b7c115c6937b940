from math import inf, nan

import pytest
import torch

from pdtutor import (
    FINAL,
    MLP,
    Anneal,
    Distill,
    FunctionTeacher,
    Labels,
    SparseParity,
    Trajectory,
    explicit,
    n_shot,
    one_shot,
    store_targets,
    train,
)
from pdtutor.distillation.losses import distillation_loss
from pdtutor.distillation.targets import make_targets
from pdtutor.distillation.teachers import Teachers
from pdtutor.distillation.timetable import Timetable
from pdtutor.models.logits import logits_of
from pdtutor.tasks.stream import Stream

TASK = SparseParity(8, 2)


@pytest.fixture(scope="module")
def trajectory():
    return train(MLP(8, width=16, seed=1), TASK, steps=60, save_every=20, progress=False, eval_examples=50).trajectory


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jensen_shannon"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, Anneal(1.0, 0.0, 4)])
@pytest.mark.parametrize("top_k", [None, 1])
def test_targets_give_the_value_of_the_distillation_loss_at_every_update(trajectory, kind, alpha, top_k):
    """The loss from a stretch of precomputed targets is the loss written out, update by update, copy by copy."""
    if kind == "reverse_kl" and top_k:
        return  # infinite, refused
    taught = Distill(trajectory, one_shot(), temperature=2.0, alpha=alpha, divergence=kind, top_k=top_k)
    teachers = Teachers([Labels(), taught], steps=10)
    stream = Stream(TASK, batch_size=5, seeds=[3, 4], purpose="student data")
    stretch = stream.stretch(2, 7)
    inputs, labels = stretch.inputs, stretch.labels
    targets = make_targets(stretch, teachers, classes=2)
    student = MLP(8, width=6, seed=[0, 1])
    for update in range(5):
        logits = student(inputs[:, update])
        losses = targets.loss_of(logits, update) + targets.constant[:, update]
        by_label = torch.nn.functional.cross_entropy(logits[0], labels[0, update])
        torch.testing.assert_close(losses[0], by_label)
        expected = distillation_loss(
            logits[1:],
            trajectory.at(60)(inputs[1:, update]),
            labels[1:, update],
            temperature=2.0,
            alpha=alpha if isinstance(alpha, float) else alpha.at(2 + update),
            kind=kind,
            top_k=top_k,
        )
        torch.testing.assert_close(losses[1:], expected)


def test_stretches_end_where_any_copy_changes_its_teacher(trajectory):
    three, two = n_shot([20, 40, FINAL], each=7), n_shot([20, FINAL], each=10)
    timetable = Timetable([Labels(), Distill(trajectory, three), Distill(trajectory, two)], steps=50)
    assert timetable.in_force(0) == [None, 20, 20]
    assert timetable.in_force(9) == [None, 40, 20]
    assert timetable.in_force(14) == [None, 60, 60]
    assert [timetable.next_switch(s, 50) for s in (0, 6, 7, 9, 10, 13, 14)] == [7, 7, 10, 10, 14, 14, 50]


def test_one_forward_pass_serves_all_copies_with_the_same_teacher_and_examples(trajectory, monkeypatch):
    passes = []

    def counted(model, inputs, at):
        passes.append(inputs.shape)
        return logits_of(model, inputs, at)

    monkeypatch.setattr("pdtutor.distillation.supervision.logits_of", counted)
    taught = [Distill(trajectory, one_shot(), temperature=t) for t in (0.0, 1.0, 4.0)]
    stream = Stream(TASK, batch_size=5, seeds=[3, 3, 4], purpose="student data")
    make_targets(stream.stretch(0, 6), Teachers(taught, steps=10), classes=2)
    assert passes == [(30, 8), (30, 8)]  # once for seed 3, once for seed 4


def test_the_checkpoint_that_teaches_next_is_read_ahead(trajectory, monkeypatch):
    """Of two copies with one trajectory, the earlier switch decides; nothing is asked for after the last."""
    asked = []
    monkeypatch.setattr(Trajectory, "prefetch", lambda self, step: asked.append(step))
    early, late = n_shot([20, 40, FINAL], each=4), n_shot([20, FINAL], each=6)
    teachers = Teachers([Labels(), Distill(trajectory, late), Distill(trajectory, early)], steps=20)
    stream = Stream(TASK, batch_size=5, seeds=[0, 1, 2], purpose="student data")
    for start in (0, 4, 6, 8):
        make_targets(stream.stretch(start, start + 1), teachers, classes=2)
    assert asked == [40, 60]  # at 4 the final one is asked for; at 6 it is in memory


def test_a_checkpoint_is_loaded_once_while_it_teaches(trajectory, monkeypatch):
    """Whichever copies it teaches, and however many stretches that takes."""
    loaded, at = [], Trajectory.at

    def counted(self, step):
        loaded.append(step)
        return at(self, step)

    monkeypatch.setattr(Trajectory, "at", counted)
    two = n_shot([20, FINAL], each=4)
    teachers = Teachers([Distill(trajectory, two), Labels(), Distill(trajectory, two, temperature=1.0)], steps=20)
    stream = Stream(TASK, batch_size=5, seeds=[0, 1, 2], purpose="student data")
    for start in (0, 2, 4, 6, 8):
        make_targets(stream.stretch(start, start + 2), teachers, classes=2)
    assert loaded == [20, 60]


class Ill:
    """A teacher that gives one class of one example another logit than a number, at its second checkpoint."""

    def __init__(self, logit: float, *, all_classes: bool):
        def wrong(inputs):
            logits = torch.zeros(len(inputs), 2)
            logits[-1, : 2 if all_classes else 1] = logit
            return logits

        functions = {0: lambda inputs: torch.zeros(len(inputs), 2), 7: wrong}
        self.teacher = FunctionTeacher(functions, classes=2, name="an ill teacher")


ILL = [Ill(nan, all_classes=False), Ill(inf, all_classes=False), Ill(-inf, all_classes=True)]


@pytest.mark.parametrize("ill", ILL)
@pytest.mark.parametrize("settings", [{}, {"divergence": "jensen_shannon", "temperature": 1.0}, {"top_k": 1}])
def test_a_teacher_that_gives_no_probabilities_is_named_and_not_the_learning_rate(ill, settings):
    supervision = [Labels(), Distill(ill.teacher, explicit([(0, 0), (4, 7)]), **settings)]
    with pytest.raises(FloatingPointError, match=r"teacher of copy 1 .* step 7 .*an ill teacher") as stopped:
        train(MLP(8, width=4, seed=[0, 1]), SparseParity(8, 2), steps=8, supervision=supervision, progress=False)
    assert "a smaller learning rate" not in str(stopped.value)


def test_where_logits_are_not_looked_at_at_once_the_teacher_is_still_named(monkeypatch):
    """On an accelerator, where looking means waiting, only once a loss is not finite."""
    look, looks = Teachers.require_sound, []
    monkeypatch.setattr(Teachers, "require_sound", lambda teachers: looks.append(1) or len(looks) < 2 or look(teachers))
    with pytest.raises(FloatingPointError, match="checkpoint of step 7 gives logits"):
        train(
            MLP(8, width=4),
            SparseParity(8, 2),
            steps=8,
            supervision=Distill(ILL[0].teacher, explicit([(0, 7)])),
            progress=False,
        )
    assert len(looks) == 2


def test_a_class_of_probability_zero_is_sound():
    teacher = Ill(-inf, all_classes=False).teacher
    supervision = Distill(teacher, explicit([(0, 7)]), temperature=1.0)
    run = train(MLP(8, width=4), SparseParity(8, 2), steps=4, supervision=supervision, progress=False)
    assert run.history["train_loss"].iloc[-1] >= 0


@pytest.mark.parametrize("ill", ILL)
def test_what_such_a_teacher_says_is_not_stored(ill, tmp_path):
    supervision = Distill(ill.teacher, explicit([(0, 0), (4, 7)]))
    with pytest.raises(FloatingPointError, match="step 7 of an ill teacher gives logits that are NaN or infinite"):
        store_targets(tmp_path, supervision, SparseParity(8, 2), steps=8, batch_size=4, seed=0, k=1, progress=False)
