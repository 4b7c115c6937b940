import errno
import json

import pytest
import torch

from pdtutor import MLP, SparseParity, Trajectory
from pdtutor.files import write_bytes, write_sealed

TASK = SparseParity(6, 2)


@pytest.fixture
def trajectory(tmp_path):
    """Three checkpoints, told apart by the read-out's bias, which equals the step."""
    trajectory = Trajectory.create(tmp_path / "run", MLP(6, width=3, seed=[4, 5]), TASK)
    for step in (0, 10, 30):
        trajectory.save(step, marked(step))
    return trajectory


def marked(step: int) -> MLP:
    model = MLP(6, width=3, seed=[4, 5])
    with torch.no_grad():
        model.layers[-1].bias.fill_(step)
    return model


def test_a_trajectory_rebuilds_task_and_models_without_being_told(trajectory):
    opened = Trajectory(trajectory.path)
    assert opened.steps == (0, 10, 30)
    assert opened.final == 30
    assert opened.task == TASK
    for step in opened.steps:
        model = opened.at(step)
        assert model.layers[-1].bias.eq(step).all()
        assert torch.equal(model.layers[0].weight, marked(step).layers[0].weight)
        assert not model.training
        assert not any(p.requires_grad for p in model.parameters())
    assert "3 checkpoints, steps 0…30" in repr(opened)


def test_one_copy_can_be_seen_alone(trajectory):
    view = trajectory.copy(1)
    assert view.seeds == [5]
    assert view.at(10).layers[0].weight.shape == (1, 3, 6)
    assert torch.equal(view.at(10).layers[0].weight[0], trajectory.at(10).layers[0].weight[1])
    assert view.digest != trajectory.copy(0).digest
    assert trajectory.of(5).digest == view.digest
    with pytest.raises(ValueError, match=r"no single copy has seed 6; the copies' seeds are \[4, 5\]"):
        trajectory.of(6)
    with pytest.raises(ValueError, match="copy must be in 0…1, got 2"):
        trajectory.copy(2)


def test_nearest_takes_the_earlier_on_a_tie(trajectory):
    assert [trajectory.nearest(s) for s in (-5, 4, 5, 20, 21, 99)] == [0, 0, 0, 10, 30, 30]


def test_saving_a_step_again_replaces_it(trajectory):
    trajectory.save(10, marked(77))
    assert Trajectory(trajectory.path).steps == (0, 10, 30)
    assert trajectory.at(10).layers[-1].bias.eq(77).all()


def test_a_step_that_was_not_saved_is_an_error_that_names_the_nearest(trajectory):
    with pytest.raises(ValueError, match="no checkpoint at step 12; the nearest is 10"):
        trajectory.at(12)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "step_000000010.safetensors is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-5]), "step_000000010.safetensors is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x01"), "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_spoils_no_other(trajectory, damage, message):
    damage(trajectory.path / "step_000000010.safetensors")
    with pytest.raises(ValueError, match=message):
        trajectory.at(10)
    assert trajectory.at(30).layers[-1].bias.eq(30).all()


def test_folders_that_hold_no_trajectory_are_named(tmp_path, trajectory):
    with pytest.raises(ValueError, match="holds no trajectory"):
        Trajectory(tmp_path)
    index = trajectory.path / "trajectory.json"
    whole = index.read_text()
    index.write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not readable as JSON"):
        Trajectory(trajectory.path)
    index.write_text(json.dumps({"format": "someone else's"}))
    with pytest.raises(ValueError, match="not in the format"):
        Trajectory(trajectory.path)
    index.write_text("[]")
    with pytest.raises(ValueError, match="not a JSON object"):
        Trajectory(trajectory.path)


def test_an_empty_trajectory_says_so(tmp_path):
    empty = Trajectory.create(tmp_path / "empty", marked(0), TASK)
    for ask in (lambda: empty.final, lambda: empty.at(0), lambda: empty.nearest(0)):
        with pytest.raises(ValueError, match="is empty"):
            ask()


def test_weights_of_another_shape_are_refused(trajectory):
    index = json.loads((trajectory.path / "trajectory.json").read_text())
    index["model"]["width"] = [4]
    index.pop("sha256")
    write_sealed(trajectory.path / "trajectory.json", index)
    with pytest.raises(ValueError, match=r"doesn't fit the model: layers.0.bias is \(2, 3\), the model's is \(2, 4\)"):
        Trajectory(trajectory.path).at(10)


def test_a_folder_in_use_is_not_overwritten(trajectory):
    with pytest.raises(ValueError, match="already holds a trajectory"):
        Trajectory.create(trajectory.path, marked(0), TASK)


@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_leaves_the_earlier_checkpoints_readable(trajectory, monkeypatch, after):
    """The disk fills while the weights (after=0) or the index (after=1) are written."""
    written = []

    def full(path, content):
        written.append(path)
        if len(written) <= after:
            return write_bytes(path, content)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pdtutor.checkpoints.trajectory.write_bytes", full)
    monkeypatch.setattr("pdtutor.files.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        trajectory.save(40, marked(40))
    for seen in (trajectory, Trajectory(trajectory.path)):
        assert seen.steps == (0, 10, 30)
        assert seen.at(30).layers[-1].bias.eq(30).all()


def test_a_write_that_dies_half_way_leaves_the_earlier_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"earlier")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for moment in ("os.fsync", "pathlib.Path.replace"):  # while it is written, and before it takes the earlier's place
        with monkeypatch.context() as patch:
            patch.setattr(moment, fail)
            with pytest.raises(OSError, match="No space"):
                write_bytes(path, b"later")
        assert path.read_bytes() == b"earlier"
        assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_few_checkpoints_of_one_copy_can_be_kept_without_the_rest(trajectory, tmp_path):
    kept = trajectory.of(5).extract(tmp_path / "kept", [0, 30])
    assert (kept.steps, kept.seeds, kept.task) == ((0, 30), [5], TASK)
    assert torch.equal(Trajectory(kept.path).at(30).layers[-1].bias, trajectory.of(5).at(30).layers[-1].bias)
    with pytest.raises(ValueError, match="has no checkpoint at step 20; the nearest is 10"):
        trajectory.extract(tmp_path / "other", [0, 20])
    assert not (tmp_path / "other").exists()
    with pytest.raises(ValueError, match="no steps were named"):
        trajectory.extract(tmp_path / "other", [])
    with pytest.raises(ValueError, match="already holds a trajectory"):
        trajectory.extract(kept.path, [10])
