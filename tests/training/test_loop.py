import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from pdtutor import (
    FINAL,
    MLP,
    SGD,
    AdamW,
    Anneal,
    Distill,
    Labels,
    MaskedGrammar,
    Run,
    SparseParity,
    Trajectory,
    Transformer,
    n_shot,
    on_plateau,
    one_shot,
    progressive,
    register,
    train,
)
from pdtutor.distillation import targets as teaching
from pdtutor.distillation.losses import distillation_loss
from pdtutor.distillation.teachers import Teachers
from pdtutor.files import LOCK
from pdtutor.seeds import generator
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import IGNORED
from pdtutor.training.evaluate import evaluate, held_out

TASK = SparseParity(8, 2, support=(1, 5))
QUIET = {"progress": False, "eval_examples": 200}


@pytest.fixture(scope="module")
def teacher():
    """A teacher whose checkpoints differ a lot from each other and from the labels."""
    return train(MLP(8, width=16, seed=1), TASK, steps=120, batch_size=8, optimizer=SGD(lr=0.5), save_every=20, **QUIET)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def plain_student(teacher_of, *, steps, batch, lr, temperature, alpha=0.0, seed=3, kind=torch.optim.SGD, **settings):
    """Distillation as one would first write it: one example stream, a teacher forward at every step, torch.optim."""
    model = MLP(8, width=12, seed=seed)
    optimizer = kind(model.parameters(), lr=lr, **settings)
    block = 4096 // batch
    for step in range(steps):
        if step % block == 0:
            inputs, labels = TASK.sample(generator(seed, "student data", step // block), block * batch)
        here = slice(step % block * batch, step % block * batch + batch)
        x, y = torch.from_numpy(inputs[here]), torch.from_numpy(labels[here])
        p = (teacher_of(step)(x.unsqueeze(0))[0] / temperature).softmax(-1)
        logits = model(x.unsqueeze(0))[0]
        loss = alpha * F.cross_entropy(logits, y) - (1 - alpha) * (p * logits.log_softmax(-1)).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("engine", ["autograd", "kernel"])
@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 0.0), (0.3, 0.4)])
def test_progressive_distillation_is_the_plain_loop(teacher, engine, batch_size, temperature, alpha):
    """Shifting the checkpoint, ignoring τ or α, or using labels instead of the teacher would each show here."""
    student = train(
        MLP(8, width=12, seed=3),
        TASK,
        steps=100,
        batch_size=batch_size,
        optimizer=SGD(lr=0.1),
        supervision=Distill(teacher.trajectory, progressive(40), temperature=temperature, alpha=alpha),
        engine=engine,
        **QUIET,
    )
    expected = plain_student(
        lambda step: teacher.trajectory.at(min(40 * (1 + step // 40), 120)),
        steps=100,
        batch=batch_size,
        lr=0.1,
        temperature=temperature,
        alpha=alpha,
    )
    torch.testing.assert_close(weights(student.model), weights(expected), atol=1e-5, rtol=1e-4)
    assert student.teachers.values.tolist() == [[0, 0, 40], [0, 40, 80], [0, 80, 120]]
    in_force = student.history.set_index("step").teacher_step
    assert [in_force[s] for s in (0, 20, 40, 42, 80, 82, 100)] == [40, 40, 40, 80, 80, 120, 120]


def test_adamw_is_the_plain_loop_across_evaluations_and_switches(teacher):
    student = train(
        MLP(8, width=12, seed=3),
        TASK,
        steps=60,
        batch_size=8,
        optimizer=AdamW(lr=1e-2, weight_decay=0.1),
        supervision=Distill(teacher.trajectory, progressive(40), temperature=1.0),
        eval_every=7,
        **QUIET,
    )
    expected = plain_student(
        lambda step: teacher.trajectory.at(40 * (1 + step // 40)),
        steps=60,
        batch=8,
        lr=1e-2,
        temperature=1.0,
        kind=torch.optim.AdamW,
        weight_decay=0.1,
    )
    torch.testing.assert_close(weights(student.model), weights(expected), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_the_kernel_and_autograd_agree_after_1000_updates(batch_size):
    runs = [
        train(
            MLP(8, width=20, seed=[0, 1]),
            TASK,
            steps=1000,
            batch_size=batch_size,
            optimizer=SGD(lr=[0.02, 0.01], decay="cosine", warmup=0.06),
            engine=engine,
            **QUIET,
        )
        for engine in ("kernel", "autograd")
    ]
    torch.testing.assert_close(weights(runs[0].model), weights(runs[1].model), atol=1e-5, rtol=0)
    np.testing.assert_allclose(runs[0].history.train_loss, runs[1].history.train_loss, atol=1e-5)


@pytest.mark.parametrize("engine", ["autograd", "kernel"])
def test_copies_train_exactly_as_they_would_alone(teacher, engine):
    """Each with its own seed, supervision and learning rate, in one pass and one at a time."""
    supervision = [
        Labels(),
        Distill(teacher.trajectory, one_shot()),
        Distill(teacher.trajectory, progressive(40), temperature=1.0, alpha=Anneal(1.0, 0.0, 30)),
    ]
    seeds, rates = [2, 2, 5], [0.1, 0.2, 0.05]
    settings = {"steps": 90, "batch_size": 16, "role": "student", "engine": engine, **QUIET}

    def alone(copy):
        return train(
            MLP(8, width=12, seed=seeds[copy]),
            TASK,
            optimizer=SGD(lr=rates[copy]),
            supervision=supervision[copy],
            **settings,
        )

    together = train(MLP(8, width=12, seed=seeds), TASK, optimizer=SGD(lr=rates), supervision=supervision, **settings)
    columns = ["step", "loss", "accuracy", "train_loss"]
    for copy in range(3):
        one = alone(copy)
        for mine, theirs in zip(together.model.parameters(), one.model.parameters(), strict=True):
            assert torch.equal(mine[copy], theirs[0])
        rows = together.history[together.history["copy"] == copy]
        np.testing.assert_array_equal(rows[columns].to_numpy(float), one.history[columns].to_numpy(float))


@pytest.mark.parametrize("divergence", ["reverse_kl", "jensen_shannon"])
def test_divergences_may_differ_between_copies(teacher, divergence):
    students = train(
        MLP(8, width=12, seed=[3, 3]),
        TASK,
        steps=30,
        supervision=[
            Distill(teacher.trajectory, one_shot(), temperature=2.0, divergence=divergence),
            Distill(teacher.trajectory, one_shot(), temperature=2.0),
        ],
        **QUIET,
    )
    assert students.settings["engine"] == "autograd"
    alone = train(
        MLP(8, width=12, seed=3),
        TASK,
        steps=30,
        supervision=Distill(teacher.trajectory, one_shot(), temperature=2.0),
        engine="autograd",
        **QUIET,
    )
    assert torch.equal(students.model.layers[0].weight[1], alone.model.layers[0].weight[0])
    assert not torch.equal(students.model.layers[0].weight[0], students.model.layers[0].weight[1])


def test_history_counts_updates_and_examples_and_scores_held_out_examples():
    run = train(MLP(8, width=16, seed=[0, 1]), TASK, steps=50, batch_size=4, eval_every=20, save_at=[30], **QUIET)
    one = run.history[run.history["copy"] == 1]
    assert one.step.tolist() == [0, 20, 30, 40, 50]
    assert one.examples.tolist() == [0, 80, 120, 160, 200]
    assert one.seed.eq(1).all()
    assert one.teacher_step.isna().all()
    assert run.trajectory.steps == (30, 50)
    loss, accuracy = evaluate(run.trajectory.at(30), *held_out(TASK, 200))
    assert loss[1].item() == pytest.approx(one.loss.iloc[2])
    assert accuracy[1].item() == pytest.approx(one.accuracy.iloc[2])


def test_teacher_student_and_evaluation_never_share_examples():
    task = SparseParity(40, 2)  # 2^40 inputs: equal ones are no accident
    streams = [
        Stream(task, batch_size=512, seeds=[0], purpose=f"{role} data").stretch(start, start + 4).inputs.reshape(-1, 40)
        for role in ("teacher", "student")
        for start in (0, 8)
    ]
    examples = torch.cat([*streams, held_out(task, 2048)[0]])
    assert len(examples.unique(dim=0)) == len(examples) == 5 * 2048


def test_a_temporary_trajectory_outlives_its_run():
    trajectory = train(MLP(8, width=4, seed=[0, 1]), TASK, steps=5, **QUIET).trajectory.copy(1)
    folder = trajectory.path
    assert trajectory.at(5).seeds == [1]
    del trajectory
    assert not folder.exists()


def test_it_learns_and_stops_when_every_copy_has_reached_the_accuracy():
    settings = {"steps": 5000, "optimizer": SGD(lr=0.3), "eval_every": 50, "until": 0.95, **QUIET}
    run = train(MLP(8, width=64, seed=[0, 1]), TASK, **settings)
    last = run.history[run.history.step == run.history.step.max()]
    assert (last.accuracy >= 0.95).all()
    assert last.step.iloc[0] < 5000
    assert run.trajectory.final == last.step.iloc[0]
    assert run.history.accuracy.iloc[0] < 0.8


def test_adamw_learns_with_autograd():
    run = train(MLP(8, width=[32, 16], seed=0), TASK, steps=400, optimizer=AdamW(lr=1e-2), **QUIET)
    assert run.settings["engine"] == "autograd"
    assert run.history.accuracy.iloc[-1] > 0.95


def test_a_plateau_moves_the_teacher_on(teacher):
    run = train(
        MLP(8, width=12, seed=3),
        TASK,
        steps=100,
        eval_every=5,
        optimizer=SGD(lr=0.0),  # a student that never improves
        supervision=Distill(teacher.trajectory, on_plateau([20, 60, FINAL], patience=2)),
        **QUIET,
    )
    # three rows under a teacher (the first to compare with, then two without a gain), then the next one
    assert run.teachers.values.tolist() == [[0, 0, 20], [0, 15, 60], [0, 30, 120]]


# Resume ---------------------------------------------------------------------------------------------------------


def student_settings(teacher, optimizer, engine="auto"):
    return {
        "engine": engine,
        "steps": 120,
        "batch_size": 8,
        "optimizer": optimizer,
        "supervision": Distill(teacher.trajectory, on_plateau([20, 60, FINAL], patience=1)),
        "eval_every": 10,
        "save_every": 30,
        **QUIET,
    }


@pytest.mark.parametrize(
    ("optimizer", "engine"),
    [
        (SGD(lr=0.1), "kernel"),
        (AdamW(lr=1e-2), "autograd"),
        (SGD(lr=0.1, momentum=0.9), "autograd"),
        (AdamW(lr=1e-2), "graph"),
    ],
)
@pytest.mark.parametrize("killed_at", [0, 35, 70])
def test_a_run_killed_anywhere_resumes_to_the_same_weights_and_history(
    teacher, tmp_path, monkeypatch, optimizer, engine, killed_at
):
    settings = student_settings(teacher, optimizer, engine)
    whole = train(MLP(8, width=12, seed=3), TASK, **settings, out=tmp_path / "whole")

    rates = type(optimizer).rates

    def killed(self, start, stop, **kwargs):
        if start >= killed_at and stop > start + 1:
            raise KeyboardInterrupt
        return rates(self, start, stop, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(type(optimizer), "rates", killed)
        with pytest.raises(KeyboardInterrupt):
            train(MLP(8, width=12, seed=3), TASK, **settings, out=tmp_path / "cut")
    last = Trajectory(tmp_path / "cut", unfinished=True)
    assert last.steps == tuple(s for s in (0, 30, 60, 90) if s <= killed_at)
    last.at(last.final)  # readable

    resumed = train(MLP(8, width=12, seed=3), TASK, **settings, out=tmp_path / "cut", resume=True)
    assert torch.equal(weights(resumed.model), weights(whole.model))
    assert resumed.history.equals(whole.history)
    assert resumed.teachers.equals(whole.teachers)
    assert resumed.trajectory.digest == whole.trajectory.digest


def test_resuming_a_finished_run_gives_it_back_and_open_reads_it(tmp_path):
    settings = {"steps": 30, "out": tmp_path / "run", **QUIET}
    first = train(MLP(8, width=4), TASK, **settings)
    again = train(MLP(8, width=4), TASK, **settings, resume=True)
    opened = Run.open(tmp_path / "run")
    for run in (again, opened):
        assert run.history.equals(first.history)
        assert torch.equal(weights(run.model), weights(first.model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 16}, "batch_size was 8, now 16"),
        ({"optimizer": SGD(lr=0.2)}, "optimizer was .*0.1.*, now .*0.2"),
        ({"steps": 150}, "steps was 120, now 150"),
        ({"supervision": None}, "supervision was"),
        ({"seed": 9}, r"seed was \[3\], now \[9\]"),
    ],
)
def test_resume_with_other_settings_is_refused(teacher, tmp_path, change, message):
    settings = student_settings(teacher, SGD(lr=0.1)) | {"out": tmp_path / "run", "role": "student"}
    train(MLP(8, width=12, seed=3), TASK, **settings)
    with pytest.raises(ValueError, match=message):
        train(MLP(8, width=12, seed=3), TASK, **(settings | change), resume=True)
    with pytest.raises(ValueError, match="already holds a trajectory"):
        train(MLP(8, width=12, seed=3), TASK, **settings)


def test_resume_touches_no_trajectory_that_is_not_its_own(tmp_path):
    other = Trajectory.create(tmp_path / "run", MLP(8, width=4), TASK)
    other.save(30, MLP(8, width=4))
    for resume in (False, True):
        with pytest.raises(ValueError, match="already holds a trajectory"):
            train(MLP(8, width=4), TASK, steps=30, out=tmp_path / "run", resume=resume, **QUIET)
    assert Trajectory(tmp_path / "run").steps == (30,)


def test_resume_removes_no_untrained_checkpoint_of_another_model(tmp_path):
    other = Trajectory.create(tmp_path / "run", MLP(8, width=5), TASK)
    other.save(0, MLP(8, width=5))
    with pytest.raises(ValueError, match="already holds a trajectory"):
        train(MLP(8, width=4), TASK, steps=30, out=tmp_path / "run", resume=True, **QUIET)
    assert Trajectory(tmp_path / "run").at(0).widths == [5]


def test_a_truncated_resume_file_is_named(tmp_path):
    settings = {"steps": 30, "out": tmp_path / "run", **QUIET}
    train(MLP(8, width=4), TASK, **settings)
    [state] = (tmp_path / "run").glob("resume_*.safetensors")
    state.write_bytes(state.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"resume state .* is damaged: it has 50 bytes, 512 were written"):
        train(MLP(8, width=4), TASK, **settings, resume=True)


def test_a_process_killed_while_it_saves_resumes_to_the_same_end(tmp_path):
    """SIGKILL in the middle of a write, in a real process."""
    script = """
import os, signal, sys
import pdtutor.files
from pdtutor import MLP, SparseParity, train
out, kill_at = sys.argv[1], int(sys.argv[2])
write, count = pdtutor.files.write_bytes, 0
def dying(path, content):
    global count
    count += 1
    if count == kill_at:
        path.with_name(f".{path.name}.1.tmp").write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
import pdtutor.checkpoints.trajectory, pdtutor.training.run
for module in (pdtutor.files, pdtutor.checkpoints.trajectory, pdtutor.training.run):
    module.write_bytes = dying
train(MLP(8, width=4), SparseParity(8, 2), steps=60, save_every=20, out=out, resume=True, progress=False,
      eval_examples=50, engine="autograd")
"""
    task = SparseParity(8, 2)
    settings = {"steps": 60, "save_every": 20, "resume": True, "engine": "autograd", "progress": False}
    settings["eval_examples"] = 50
    whole = train(MLP(8, width=4), task, out=tmp_path / "whole", **settings)
    for kill_at in (1, 3, 5, 6, 9):
        out = tmp_path / f"killed{kill_at}"
        ended = subprocess.run([sys.executable, "-c", script, str(out), str(kill_at)], capture_output=True, check=False)
        assert ended.returncode == -9, ended.stderr.decode()
        if (out / "trajectory.json").exists():
            saved = Trajectory(out)
            for step in saved.steps:
                saved.at(step)
        resumed = train(MLP(8, width=4), task, out=out, **settings)
        assert torch.equal(weights(resumed.model), weights(whole.model))
        assert resumed.history.equals(whole.history)
        assert [path.name for path in out.glob(".*")] == [LOCK]


# Updates in which nothing is scored ------------------------------------------------------------------------------


@register
@dataclass(frozen=True)
class Seldom(SparseParity):
    """An example in training has its label only with this probability; held-out ones have all of theirs."""

    labelled: float = 0.0

    def sample(self, rng, n):
        inputs, labels = super().sample(rng, n)
        return inputs, np.where(rng.random(n) < self.labelled, labels, IGNORED)

    def sample_held_out(self, rng, n):
        return super().sample(rng, n)

    def config(self):
        return {**super().config(), "class": "Seldom", "labelled": self.labelled}


@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        *((engine, kind) for engine in ("autograd", "kernel", "graph") for kind in ("labels", "forward_kl")),
        ("autograd", "reverse_kl"),
    ],
)
def test_a_batch_without_labels_teaches_nothing_and_does_no_harm(teacher, engine, kind):
    how = {"temperature": 1.0, "divergence": kind, "other_task": True}
    taught = Labels() if kind == "labels" else Distill(teacher.trajectory, one_shot(), **how)
    settings = {"supervision": taught, "optimizer": SGD(lr=0.5), "engine": engine, "eval_every": 20, **QUIET}
    before = MLP(8, width=12, seed=3)
    after = train(MLP(8, width=12, seed=3), Seldom(8, 2, support=(1, 5)), steps=20, batch_size=2, **settings)
    assert torch.equal(weights(after.model), weights(before))
    assert after.history["train_loss"].dropna().tolist() == [0.0]
    some = Seldom(8, 2, support=(1, 5), labelled=0.3)  # half of the batches have no label
    mixed = train(MLP(8, width=12, seed=3), some, steps=60, batch_size=2, **settings)
    assert torch.isfinite(weights(mixed.model)).all()
    assert not torch.equal(weights(mixed.model), weights(before))


def test_every_other_batch_without_labels_leaves_the_others_what_they_were(teacher):
    stream = Stream(Seldom(8, 2, labelled=0.3), batch_size=2, seeds=[3], purpose="student data")
    stretch = stream.stretch(0, 40)
    empty = (stretch.labels[0] == IGNORED).all(1)
    assert 10 < empty.sum() < 30
    for kind in ("forward_kl", "reverse_kl", "jensen_shannon"):
        teachers = Teachers([Distill(teacher.trajectory, one_shot(), temperature=1.0, divergence=kind)], steps=40)
        made, student = teaching.make_targets(stretch, teachers, classes=2), MLP(8, width=12, seed=3)
        for update in range(40):
            inputs, labels = stretch.inputs[:, update], stretch.labels[:, update]
            logits = student(inputs)
            loss = made.loss_of(logits, update) + made.constant[:, update]
            answers = teacher.model(inputs)
            plain = distillation_loss(logits, answers, labels, temperature=1.0, alpha=0.0, kind=kind)
            torch.testing.assert_close(loss, plain)
            assert bool(loss == 0) == bool(empty[update])


def test_held_out_examples_without_labels_are_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(Seldom, "sample_held_out", Seldom.sample)
    with pytest.raises(ValueError, match=r"nothing can be scored: none of the 200 held-out examples has a label"):
        train(MLP(8, width=4), Seldom(8, 2), steps=10, out=tmp_path / "run", **QUIET)
    inputs, labels = held_out(TASK, 5)
    with pytest.raises(ValueError, match="none of the 5 held-out examples has a label"):
        evaluate(MLP(8, width=4), inputs, torch.full_like(labels, IGNORED))


# Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["autograd", "kernel", "graph"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_loss_that_diverges_stops_with_the_step_named(tmp_path, engine, batch_size):
    with pytest.raises(FloatingPointError, match=r"copy 1 stopped being finite at step \d+.*checkpoints up to here"):
        train(
            MLP(8, width=16, seed=[0, 1]),
            TASK,
            steps=500,
            batch_size=batch_size,
            optimizer=SGD(lr=[0.1, 1e30]),
            out=tmp_path / "run",
            save_every=10,
            engine=engine,
            **QUIET,
        )
    kept = Trajectory(tmp_path / "run", unfinished=True)
    assert torch.isfinite(weights(kept.at(kept.final))).all()


def test_a_last_update_that_diverges_shows_in_the_held_out_loss(tmp_path):
    with pytest.raises(FloatingPointError, match="copy 0 stopped being finite at step 1: "):
        train(MLP(8, width=16), TASK, steps=1, optimizer=SGD(lr=1e30), out=tmp_path / "run", save_at=[0], **QUIET)
    assert Trajectory(tmp_path / "run").steps == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"eval_every": 0}, "eval_every"),
        ({"eval_examples": 0}, "eval_examples"),
        ({"save_every": 0}, "save_every"),
        ({"save_at": [11]}, "save_at must lie in 0…10, got 11"),
        ({"until": 1.5}, "until must be between 0 and 1"),
        ({"role": "tutor"}, "role must be one of 'teacher', 'student'; got 'tutor'"),
        ({"engine": "gpu"}, "engine must be one of"),
        ({"engine": "kernel", "optimizer": AdamW()}, "engine='kernel' doesn't apply here: the optimizer is not SGD"),
        ({"supervision": [Labels(), Labels()]}, "supervision must be one value or one per copy: got 2 for 1"),
        ({"seed": [1, 2]}, "seed must be one value or one per copy"),
        ({"optimizer": SGD(lr=[0.1, 0.2])}, "got 2 for 1 copies"),
    ],
)
def test_bad_arguments_are_refused_before_training(change, message):
    with pytest.raises(ValueError, match=message):
        train(MLP(8, width=4), TASK, **({"steps": 10, **QUIET} | change))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schedule": progressive(10)}, r"in steps 1…10; saved are 0, 20"),
        ({"schedule": n_shot([50, FINAL], each=5)}, "checkpoint at step 50"),
        ({"temperature": -1e-4}, "temperature must be at least 0"),
        ({"temperature": Anneal(1.0, -1.0, 5)}, "temperature must be at least 0"),
        ({"alpha": 2.0}, "alpha must be between 0 and 1, got 2.0"),
        ({"divergence": "l2"}, "divergence must be one of"),
        ({"top_k": 0}, "top_k"),
    ],
)
def test_bad_supervision_is_refused_before_training(teacher, settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(
            MLP(8, width=4),
            TASK,
            steps=50,
            supervision=Distill(teacher.trajectory, **({"schedule": one_shot()} | settings)),
            out=tmp_path / "run",
            **QUIET,
        )
    assert not (tmp_path / "run").exists()


def test_a_teacher_must_be_one_model_that_predicts_the_same_classes(tmp_path):
    several = train(MLP(8, width=4, seed=[0, 1]), TASK, steps=5, **QUIET)
    with pytest.raises(ValueError, match=r"holds 2 copies: pick one with trajectory.copy\(i\)"):
        Distill(several.trajectory, one_shot())
    foreign = Trajectory.create(tmp_path / "foreign", MLP(8, width=4, classes=3), TASK)
    foreign.save(5, MLP(8, width=4, classes=3))
    with pytest.raises(ValueError, match="the teacher predicts 3 classes, the student 2"):
        train(MLP(8, width=4), TASK, steps=5, supervision=Distill(foreign, one_shot()), **QUIET)


def test_a_model_that_does_not_fit_the_task_is_refused():
    with pytest.raises(ValueError, match="the model predicts 3 classes, the task has 2"):
        train(MLP(8, width=4, classes=3), TASK, steps=5, **QUIET)
    with pytest.raises(ValueError, match=r"takes inputs of d = 9, got shape \(1, 200, 8\)"):
        train(MLP(9, width=4), TASK, steps=5, **QUIET)


def test_what_is_saved_is_plain_json(tmp_path):
    train(MLP(8, width=4), TASK, steps=5, out=tmp_path / "run", **QUIET)
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert state["step"] == 5
    assert state["finished"]
    assert Run.open(tmp_path / "run").settings == state["settings"]


def test_logits_at_labelled_positions_alone_train_the_same_model(monkeypatch):
    task = MaskedGrammar("cfg3b", root="10")
    sizes = {"max_length": task.longest, "classes": task.classes, "heads": 2, "layers": 2, "init_std": 0.1}

    def trained(supervision):
        model = Transformer(task.vocabulary, read_out="every", padding=task.padding, seed=[0, 1], **sizes)
        return train(model, task, steps=30, batch_size=8, optimizer=SGD(lr=0.5), eval_every=10, save_every=10,
                     eval_examples=40, supervision=supervision, progress=False)  # fmt: skip

    teacher = trained(Labels())
    taught = Distill(
        teacher.trajectory.of(1), progressive(every=10), alpha=0.3, temperature=1.0, divergence="reverse_kl"
    )
    supervision = [Labels(), taught]
    some = trained(supervision)
    monkeypatch.setattr("pdtutor.training.loop.reads_positions", lambda model: False)
    every = trained(supervision)
    for p, q in zip(some.model.parameters(), every.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-4, rtol=1e-3)
    pd.testing.assert_frame_equal(some.history, every.history, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("engine", ["autograd", "graph"])
def test_in_bfloat16_it_learns_much_the_same_and_leaves_float32(engine):
    task = MaskedGrammar("cfg3b", root="10")
    sizes = {"max_length": task.longest, "classes": task.classes, "heads": 4, "layers": 1, "init_std": 0.1}
    runs = {}
    for precision in ("float32", "bfloat16"):
        model = Transformer(task.vocabulary, read_out="every", padding=task.padding, seed=[0, 1], **sizes)
        runs[precision] = train(model, task, steps=60, batch_size=16, optimizer=AdamW(lr=0.01), engine=engine,
                                precision=precision, eval_examples=200, progress=False)  # fmt: skip
    exact, mixed = (run.history.query("step == 60")["loss"].to_numpy() for run in runs.values())
    assert 0 < np.abs(exact - mixed).max() < 0.05
    assert {p.dtype for p in runs["bfloat16"].model.parameters()} == {torch.float32}
    assert runs["bfloat16"].settings["precision"] == "bfloat16"


def test_a_precision_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="precision must be one of 'float32', 'bfloat16', 'float16'; got 'half'"):
        train(MLP(8, width=4), TASK, steps=1, precision="half", **QUIET)
    with pytest.raises(ValueError, match="engine='kernel' doesn't apply here: it computes in float32 only"):
        train(MLP(8, width=4), TASK, steps=1, precision="bfloat16", engine="kernel", **QUIET)
    assert train(MLP(8, width=4), TASK, steps=1, precision="bfloat16", **QUIET).settings["engine"] == "autograd"


@pytest.mark.parametrize("kind", ["kernel", "autograd", "graph", "sentences"])
def test_how_many_targets_fit_in_memory_changes_nothing(monkeypatch, kind):
    """Stretches of one update, of some, and as long as evaluations allow.

    Weights to the last bit, where rounding doesn't: the kernel works on several updates at a time, and for sentences
    the most labels in any row of a stretch says how many zeros are summed up.
    """
    lengths, runs = [], []

    def noted(stretch, *args, **settings):
        lengths[-1].append(len(stretch))
        return teaching.make_targets(stretch, *args, **settings)

    monkeypatch.setattr("pdtutor.training.loop.make_targets", noted)
    for limit in (1, 4000 if kind == "sentences" else 800, 2**28):
        monkeypatch.setattr(teaching, "STRETCH_BYTES", limit)
        lengths.append([])
        settings = {"steps": 20, "batch_size": 8, "eval_every": 10, **QUIET}
        if kind == "sentences":
            task = MaskedGrammar("cfg3b", root="10")
            sizes = {"max_length": task.longest, "classes": task.classes, "heads": 2, "layers": 1}
            model = Transformer(task.vocabulary, read_out="every", padding=task.padding, seed=[0, 1], **sizes)
            runs.append(train(model, task, **settings))
        else:
            runs.append(train(MLP(8, width=12, seed=[0, 1]), TASK, engine=kind, **settings))
    one, some, most = lengths
    assert one == [1] * 20
    assert most == [10, 10]
    assert 1 < max(some) < 10
    close = {"atol": 0, "rtol": 0} if kind in ("autograd", "graph") else {"atol": 1e-5, "rtol": 1e-4}
    for run in runs[1:]:
        pd.testing.assert_frame_equal(run.history, runs[0].history, atol=1e-5, rtol=1e-5)  # train_loss: another sum
        torch.testing.assert_close(weights(run.model), weights(runs[0].model), **close)


def test_targets_of_a_stretch_take_no_more_than_the_limit(monkeypatch):
    task = MaskedGrammar("cfg3b", root="10")
    stream = Stream(task, batch_size=8, seeds=[0, 1, 0], purpose="student data")
    stretch, teachers = stream.stretch(0, 50), Teachers([Labels()] * 3, 50)
    for some_positions, limit in ((True, 40_000), (False, 60_000)):
        monkeypatch.setattr(teaching, "STRETCH_BYTES", limit)
        sizes = {"classes": task.classes, "some_positions": some_positions}
        updates = teaching.updates_that_fit(stretch, rows=8, **sizes)
        made = teaching.make_targets(stretch.first(updates), teachers, **sizes)
        assert 1 < updates < 50
        assert limit / 3 < 4 * made.soft.numel() <= limit
        assert teaching.updates_that_fit(stretch, rows=4, **sizes) >= 2 * updates  # a share of the rows
