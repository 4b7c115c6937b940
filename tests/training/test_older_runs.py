"""What version 0.1.0 left on disk opens, teaches and is resumed: folders in tests/fixtures/v0.1.0.

The teacher is a finished run of two copies. The student was killed after 40 of 60 updates: copy 0 was distilled
progressively from copy 1 of the teacher, copy 1 trained on labels. The targets are of copy 0 of the teacher.
"""

import shutil
from pathlib import Path

import pytest
import torch

from pdtutor import (
    MLP,
    AdamW,
    Anneal,
    Distill,
    Labels,
    Run,
    SparseParity,
    Stored,
    StoredTargets,
    Trajectory,
    one_shot,
    progressive,
    train,
)

OLDER = Path(__file__).parents[1] / "fixtures" / "v0.1.0"
TASK = SparseParity(8, 2, support=(1, 5))
QUIET = {"progress": False, "eval_examples": 100, "batch_size": 8}


def test_a_trajectory_opens_with_its_task_its_digest_and_every_checkpoint():
    teacher = Trajectory(OLDER / "teacher")
    assert teacher.task == TASK
    assert teacher.steps == (0, 20, 40, 60)
    assert [teacher.at(step).seeds for step in teacher.steps] == [[0, 1]] * 4
    assert teacher.of(1).digest == "47754f5e96047d05"  # what the student's run names as its teacher


def test_a_finished_run_opens_with_its_history():
    run = Run.open(OLDER / "teacher")
    assert run.history["step"].tolist() == [0, 0, 20, 20, 40, 40, 60, 60]
    assert run.history["teacher_step"].isna().all()
    assert run.model.seeds == [0, 1]


def student(out, *, resume):
    supervision = Distill(
        Trajectory(OLDER / "teacher").of(1), progressive(20), temperature=1.0, alpha=Anneal(0.5, 0.0, 30)
    )
    return train(
        MLP(8, width=5, seed=[3, 4]),
        TASK,
        steps=60,
        optimizer=AdamW(lr=[1e-2, 2e-2], decay="cosine", warmup=0.1),
        supervision=[supervision, Labels()],
        eval_every=10,
        save_every=30,
        engine="autograd",
        out=out,
        resume=resume,
        **QUIET,
    )


def test_a_killed_run_is_resumed_to_what_it_would_have_become(tmp_path):
    shutil.copytree(OLDER / "student", tmp_path / "cut")
    resumed, whole = student(tmp_path / "cut", resume=True), student(tmp_path / "whole", resume=False)
    assert resumed.history["step"].tolist() == whole.history["step"].tolist()
    assert resumed.teachers.equals(whole.teachers)
    for mine, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)  # another machine trained the first 40 updates


def test_stored_targets_teach():
    targets = StoredTargets(OLDER / "targets")
    assert (targets.steps, targets.k, targets.classes) == (20, 2, 2)
    runs = [
        train(MLP(8, width=5, seed=3), TASK, steps=20, supervision=supervision, **QUIET)
        for supervision in (
            Stored(targets),
            Distill(Trajectory(OLDER / "teacher").of(0), one_shot(), temperature=1.0, top_k=2),
        )
    ]
    for mine, theirs in zip(*(run.model.parameters() for run in runs), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)
    with pytest.raises(ValueError, match="targets of 20 updates, 21 are needed"):
        train(MLP(8, width=5, seed=3), TASK, steps=21, supervision=Stored(targets), **QUIET)
