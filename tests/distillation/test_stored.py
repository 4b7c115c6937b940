import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

import pdtutor.distillation.stored.store
from pdtutor import (
    FINAL,
    MLP,
    SGD,
    AdamW,
    Anneal,
    Distill,
    Labels,
    MaskedGrammar,
    SparseParity,
    Trajectory,
    Transformer,
    compare,
    explicit,
    n_shot,
    on_plateau,
    one_shot,
    progressive,
    train,
)
from pdtutor.distillation.losses import labelled_positions
from pdtutor.distillation.stored.store import storage_table, store_targets
from pdtutor.distillation.stored.targets import StoredTargets
from pdtutor.distillation.supervision import Stored
from pdtutor.distillation.targets import make_targets
from pdtutor.distillation.teachers import Teachers
from pdtutor.distillation.timetable import Timetable
from pdtutor.files import LOCK
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import IGNORED

PARITY = SparseParity(8, 2, support=(1, 5))
RULES = ("s -> a b x", "s -> b c d x", "s -> e f a", "x -> a", "x -> d e", "x -> b f f")
WORDS = MaskedGrammar("\n".join(RULES))  # six classes
QUIET = {"progress": False}
STUDENT = {"steps": 40, "batch_size": 8, "seed": 3}  # of all targets stored here
TRAINING = {"optimizer": AdamW(lr=1e-2), "eval_every": 7, "eval_examples": 100, **QUIET, **STUDENT}


def word_model(**settings):
    sizes = {"max_length": WORDS.longest, "classes": WORDS.classes, "layers": 1, "heads": 2, "head_dim": 8}
    return Transformer(WORDS.vocabulary, read_out="every", padding=WORDS.padding, init_std=0.2, **sizes, **settings)


def parity_model(**settings):
    return MLP(8, width=12, **settings)


MODELS = {PARITY: parity_model, WORDS: word_model}


@pytest.fixture(scope="module")
def trajectories():
    """A teacher per task, whose checkpoints at 20, 40 and 60 differ a lot."""
    optimizers = {PARITY: SGD(lr=0.5), WORDS: AdamW(lr=1e-2)}
    settings = {"steps": 60, "batch_size": 8, "save_every": 20, "eval_examples": 100, **QUIET}
    return {t: train(MODELS[t](seed=1), t, optimizer=optimizers[t], **settings).trajectory for t in MODELS}


@pytest.fixture
def taught(trajectories):
    return Distill(trajectories[PARITY], progressive(20), temperature=1.0)


@pytest.fixture
def targets(taught, tmp_path):
    """Both classes of the parity teacher, in five shards of eight updates."""
    return store_targets(tmp_path / "targets", taught, PARITY, k=2, shard_tokens=60, **QUIET, **STUDENT)


def examples(task, start, stop):
    """Return inputs and labels of the student's updates, both (updates, batch, …)."""
    stretch = Stream(task, batch_size=8, seeds=[3], purpose="student data").stretch(start, stop)
    return stretch.inputs[0], stretch.labels[0]


def targets_of(supervision, task, start, stop, *, rows=slice(None), **settings):
    """Return what `train` would work with in these updates."""
    stretch = Stream(task, batch_size=8, seeds=[3], purpose="student data", rows=rows).stretch(start, stop)
    return make_targets(stretch, Teachers([supervision], 40), classes=task.classes, **settings)


# what is stored


@pytest.mark.parametrize("k", [1, 2, 4, 6])
@pytest.mark.parametrize("temperature", [0.0, 1e-4, 0.5, 1.0, 3.0, Anneal(4.0, 0.1, 20)])
def test_stored_targets_are_those_of_top_k(trajectories, tmp_path, k, temperature):
    exact = Distill(trajectories[WORDS], one_shot(), temperature=temperature, top_k=k)
    stored = Stored(store_targets(tmp_path, exact, WORDS, k=k, shard_tokens=100, **QUIET, **STUDENT))
    ours, theirs = (targets_of(s, WORDS, 3, 17, some_positions=True) for s in (stored, exact))
    assert (ours.at == theirs.at).all()
    weight = theirs.soft.sum(-1, keepdim=True)  # of each position
    torch.testing.assert_close(ours.soft, theirs.soft, atol=2e-4 * float(weight.max()), rtol=0)
    torch.testing.assert_close(ours.soft.sum(-1, keepdim=True), weight)
    torch.testing.assert_close(ours.constant, theirs.constant, atol=5e-4, rtol=0)
    if k == 1 or temperature == 0:
        assert (ours.soft == theirs.soft).all()


@pytest.mark.parametrize("kind", ["reverse_kl", "jensen_shannon"])
def test_all_classes_serve_every_divergence(trajectories, tmp_path, kind):
    exact = Distill(trajectories[WORDS], one_shot(), temperature=1.0, alpha=0.3, divergence=kind)
    targets = store_targets(tmp_path, exact, WORDS, k=6, **QUIET, **STUDENT)
    inputs, _ = examples(WORDS, 3, 4)
    losses = []
    for supervision in (Stored(targets, alpha=0.3, divergence=kind), exact):
        found = targets_of(supervision, WORDS, 3, 4)
        losses.append(found.loss_of(word_model(seed=5)(inputs), 0) + found.constant[:, 0])
    torch.testing.assert_close(*losses, atol=1e-4, rtol=0)


def test_every_layout_and_any_rows_of_a_batch_get_the_same(trajectories, tmp_path):
    exact = Distill(trajectories[WORDS], one_shot(), temperature=1.0)
    targets = store_targets(tmp_path, exact, WORDS, k=3, shard_tokens=100, **QUIET, **STUDENT)
    _, labels = examples(WORDS, 5, 30)
    dense = targets.log_probabilities(labels, 5)  # (updates, batch, length, classes)
    assert dense.shape == (*labels.shape, 6)
    torch.testing.assert_close(dense.exp().sum(-1), torch.ones(labels.shape))
    assert (dense[labels == IGNORED] - dense[labels == IGNORED][0, 0] == 0).all()  # uniform
    at, compact = labelled_positions(labels)
    for found in (targets.log_probabilities(compact, 5), targets.log_probabilities(labels, 5, at=at)):
        assert found.shape == (*compact.shape, 6)
        assert (found[at >= 0] == dense[labels != IGNORED]).all()
    for rows in (slice(0, 3), slice(3, 8), slice(8, 8)):
        assert (targets.log_probabilities(labels, 5, rows=rows) == dense[:, rows]).all()
    at, compact = labelled_positions(labels[:, 2:5])
    found = targets.log_probabilities(labels, 5, rows=slice(2, 5), at=at)
    assert (found[at >= 0] == dense[:, 2:5][labels[:, 2:5] != IGNORED]).all()


def test_targets_of_shares_of_a_batch_are_those_of_the_batch(trajectories, tmp_path):
    """As processes that train together see them: weights are the whole batch's, labels compacted within a share."""
    exact = Distill(trajectories[WORDS], one_shot(), temperature=1.0, top_k=2)
    stored = Stored(store_targets(tmp_path, exact, WORDS, k=2, **QUIET, **STUDENT))
    for some_positions in (False, True):
        settings = {"rows": slice(3, 8), "some_positions": some_positions}
        ours, theirs = (targets_of(s, WORDS, 3, 17, **settings) for s in (stored, exact))
        torch.testing.assert_close(ours.soft, theirs.soft, atol=2e-5, rtol=1e-3)


def test_reading_gives_positions_in_the_order_of_updates(targets):
    everything, _, counts = targets.read(0, 40)
    assert everything.shape == (320, 2)
    assert counts.tolist() == [8] * 40
    for start, stop in ((0, 1), (6, 19), (39, 40)):  # the second from three shards
        ids, log_p, counts = targets.read(start, stop)
        assert (ids == everything[8 * start : 8 * stop]).all()
        assert counts.tolist() == [8] * (stop - start)
        torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(len(ids)))
    assert (targets.read(6)[0] == everything[48:56]).all()


@pytest.mark.parametrize(
    ("schedule", "in_force"),
    [
        (progressive(20), {0: 20, 19: 20, 20: 40, 39: 40}),
        (explicit([(0, 20), (7, 60), (33, 40)]), {0: 20, 6: 20, 7: 60, 32: 60, 33: 40, 39: 40}),
        (n_shot([20, FINAL], each=13), {0: 20, 12: 20, 13: 60, 39: 60}),
        (explicit([(0, 20), (1, 60), (2, 40), (39, 60)]), {0: 20, 1: 60, 2: 40, 38: 40, 39: 60}),
    ],
)
def test_checkpoints_take_over_at_the_updates_of_the_schedule(trajectories, tmp_path, schedule, in_force):
    """A shift by one update, in what is stored or in the shard that it is read from, would show here."""
    trajectory = trajectories[PARITY]
    exact = Distill(trajectory, schedule, temperature=1.0)
    targets = store_targets(tmp_path, exact, PARITY, k=2, shard_tokens=50, **QUIET, **STUDENT)
    timetable = Timetable([Stored(targets)], 40)
    assert timetable.stages == [schedule.stages(trajectory.steps, 40)]
    for update, step in in_force.items():
        assert timetable.in_force(update) == [step]
        inputs, labels = examples(PARITY, update, update + 1)
        log_p = {saved: trajectory.at(saved)(inputs)[0].log_softmax(-1) for saved in (20, 40, 60)}
        found = targets.log_probabilities(labels, update)[0]
        distances = {saved: float((found - of).abs().max()) for saved, of in log_p.items()}
        assert distances.pop(step) < 2e-3
        assert min(distances.values()) > 0.05


@dataclass(frozen=True)
class Counting:
    """Inputs are random signs, labels arbitrary among many classes."""

    classes: int

    def sample(self, rng, n):
        return rng.choice([-1.0, 1.0], (n, 4)).astype(np.float32), rng.integers(0, self.classes, n)

    def config(self):
        return {"class": "Counting", "classes": self.classes}


@pytest.mark.parametrize(("classes", "width"), [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_class_ids_take_as_little_room_as_they_can(trajectories, tmp_path, monkeypatch, classes, width):
    task = Counting(classes)
    logits = torch.randn(16, classes, generator=torch.Generator().manual_seed(0))
    logits[:, -1] = 9  # the last class, whose id is the largest, is the most probable

    def says(model, inputs, at):
        return logits[: len(inputs)].unsqueeze(0)

    monkeypatch.setattr("pdtutor.distillation.stored.store.logits_of", says)
    taught = Distill(trajectories[PARITY], one_shot(), temperature=1.0, other_task=True)
    targets = store_targets(tmp_path, taught, task, steps=2, batch_size=4, seed=0, k=3, **QUIET)
    arrays = load_file(next(tmp_path.glob("*.safetensors")))
    assert arrays["ids"].dtype.itemsize == width
    assert arrays["gaps"].dtype == np.float16
    ids, log_p, _ = targets.read(0, 2)
    kept = logits[:8].topk(3)
    assert (ids == kept.indices).all()
    torch.testing.assert_close(log_p, kept.values.log_softmax(-1), atol=4e-3, rtol=0)


def test_a_stretch_of_logits_has_a_limit(trajectories, tmp_path, monkeypatch):
    """The teacher of many classes is asked in small pieces, which changes nothing."""
    exact = Distill(trajectories[WORDS], progressive(20), temperature=1.0)
    store_targets(tmp_path / "one", exact, WORDS, k=3, **QUIET, **STUDENT)
    monkeypatch.setattr("pdtutor.distillation.stored.store.LOGITS", 1)  # an update at a time
    store_targets(tmp_path / "two", exact, WORDS, k=3, **QUIET, **STUDENT)
    one, two = (StoredTargets(tmp_path / name).read(0, 40) for name in ("one", "two"))
    assert (one[0] == two[0]).float().mean() > 0.99
    torch.testing.assert_close(one[1], two[1], atol=2e-3, rtol=2e-3)


def test_size_per_token_is_what_the_files_measure(targets):
    files = sorted(targets.path.glob("*.safetensors"))
    assert targets.size_per_token == sum(file.stat().st_size for file in files) / 320
    assert [(shard["start"], shard["stop"], shard["tokens"]) for shard in targets.shards] == [
        (start, start + 8, 64) for start in range(0, 40, 8)
    ]
    assert [shard["file"] for shard in targets.shards] == [file.name for file in files]
    assert {file.name for file in targets.path.iterdir()} == {*(file.name for file in files), "targets.json", LOCK}


# training


@pytest.mark.parametrize("task", [PARITY, WORDS], ids=["parity", "sentences"])
@pytest.mark.parametrize(("temperature", "k", "close"), [(1e-4, 1, 1e-5), (1.0, 1, 1e-5), (1.0, 2, 1e-3)])
def test_training_on_stored_targets_is_distillation(trajectories, tmp_path, task, temperature, k, close):
    exact = Distill(trajectories[task], progressive(20), temperature=temperature, alpha=0.2, top_k=k)
    targets = store_targets(tmp_path, exact, task, k=k, shard_tokens=50, **QUIET, **STUDENT)
    runs = [train(MODELS[task](seed=5), task, supervision=s, **TRAINING) for s in (exact, Stored(targets, alpha=0.2))]
    pd.testing.assert_frame_equal(runs[0].history, runs[1].history, atol=close, rtol=0)
    pd.testing.assert_frame_equal(runs[0].teachers, runs[1].teachers)
    assert runs[1].history.teacher_step.tolist() == [20, 20, 20, 40, 40, 40, 40]  # of updates 0, 6, 13, 20, …


@pytest.mark.parametrize("task", [PARITY, WORDS], ids=["parity", "sentences"])
def test_all_classes_are_exact_distillation_across_blocks_of_the_stream(trajectories, tmp_path, task, monkeypatch):
    monkeypatch.setattr("pdtutor.tasks.stream.BLOCK_EXAMPLES", 56)  # seven updates
    exact = Distill(trajectories[task], progressive(20), temperature=1.0)
    targets = store_targets(tmp_path, exact, task, k=task.classes, **QUIET, **STUDENT)
    runs = [train(MODELS[task](seed=5), task, supervision=s, **TRAINING) for s in (exact, Stored(targets))]
    pd.testing.assert_frame_equal(runs[0].history, runs[1].history, atol=1e-3, rtol=0)


def test_training_holds_no_teacher(trajectories, targets, monkeypatch):
    monkeypatch.setattr(Trajectory, "at", lambda *_: pytest.fail("a checkpoint was loaded"))
    train(parity_model(seed=5), PARITY, supervision=Stored(targets), **TRAINING)


def test_the_compiled_kernel_reads_them_too(targets):
    settings = TRAINING | {"optimizer": SGD(lr=0.1)}
    runs = [
        train(parity_model(seed=5), PARITY, supervision=Stored(targets), engine=engine, **settings)
        for engine in ("kernel", "autograd")
    ]
    pd.testing.assert_frame_equal(runs[0].history, runs[1].history, atol=1e-5, rtol=0)


def test_copies_side_by_side_each_read_their_own(trajectories, taught, tmp_path):
    """Rows of a batch are padded to the longest of all copies' streams; what is stored doesn't see it."""
    exact = Distill(trajectories[WORDS], progressive(20), temperature=1.0, top_k=2)
    of_seed = {
        seed: Stored(store_targets(tmp_path / str(seed), exact, WORDS, k=2, **QUIET, **STUDENT | {"seed": seed}))
        for seed in (3, 4)
    }
    methods = {"labels": Labels(), "exact": exact, "stored": lambda seed: of_seed[seed]}
    settings = {key: value for key, value in TRAINING.items() if key != "seed"}
    students = compare(lambda seeds: word_model(seed=seeds), WORDS, methods, seeds=[3, 4], **settings)
    ours, theirs = (
        students.history.query("method == @method").drop(columns=["method", "copy"]).reset_index(drop=True)
        for method in ("stored", "exact")
    )
    pd.testing.assert_frame_equal(ours, theirs, atol=2e-3, rtol=0)


def test_a_student_may_train_for_fewer_steps_and_resume(targets, tmp_path, monkeypatch):
    settings = {"supervision": Stored(targets), **TRAINING, "steps": 25, "save_every": 10}
    whole = train(parity_model(seed=5), PARITY, **settings)
    read = StoredTargets.log_probabilities

    def dying(self, labels, start, **place):
        return read(self, labels, start, **place) if start < 14 else 1 / 0

    with monkeypatch.context() as patched:
        patched.setattr(StoredTargets, "log_probabilities", dying)
        with pytest.raises(ZeroDivisionError):
            train(parity_model(seed=5), PARITY, out=tmp_path / "run", **settings)
    resumed = train(parity_model(seed=5), PARITY, out=tmp_path / "run", resume=True, **settings)
    pd.testing.assert_frame_equal(whole.history, resumed.history)


# resuming, and what can be wrong


class Died(Exception):
    pass


@pytest.mark.parametrize("victim", ["write_bytes", "write_sealed"])
def test_a_killed_run_resumes_at_the_first_missing_shard(taught, targets, tmp_path, monkeypatch, victim):
    """Killed before the third shard is written, or between it and the index."""
    whole_write, calls = getattr(pdtutor.distillation.stored.store, victim), []

    def dying(path, content):
        calls.append(path)
        if len(calls) == (3 if victim == "write_bytes" else 4):  # the first JSON comes before any shard
            raise Died
        whole_write(path, content)

    settings = {"k": 2, "shard_tokens": 60, **QUIET, **STUDENT}
    with monkeypatch.context() as patched:
        patched.setattr(pdtutor.distillation.stored.store, victim, dying)
        with pytest.raises(Died):
            store_targets(tmp_path / "killed", taught, PARITY, **settings)
    (tmp_path / "killed" / ".targets_000000016.safetensors.1.tmp").write_bytes(b"half")
    partial = StoredTargets(tmp_path / "killed")
    assert partial.steps == 16
    with pytest.raises(
        ValueError, match=r"holds targets of 16 updates, 40 are needed; .*resume=True.* continues to 40"
    ):
        train(parity_model(seed=5), PARITY, supervision=Stored(partial), **TRAINING)
    with pytest.raises(ValueError, match="already holds targets"):
        store_targets(tmp_path / "killed", taught, PARITY, **settings)
    before = {file.name: file.stat().st_mtime_ns for file in partial.path.glob("*_00000000[08].safetensors")}
    assert len(before) == 2
    resumed = store_targets(tmp_path / "killed", taught, PARITY, resume=True, **settings)
    assert before == {name: (resumed.path / name).stat().st_mtime_ns for name in before}
    assert contents(resumed) == contents(targets)
    assert resumed.digest == targets.digest
    store_targets(tmp_path / "killed", taught, PARITY, resume=True, **settings)  # nothing left to do
    assert contents(resumed) == contents(targets)


def contents(targets):
    return {file.name: file.read_bytes() for file in targets.path.iterdir()}


def damage(file, how):
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "truncated":
        file.write_bytes(content[:-10])
    else:
        file.write_bytes(content[:-10] + b"0123456789")


@pytest.mark.parametrize("how", ["missing", "truncated", "altered"])
def test_a_shard_that_is_not_whole_is_named_and_written_again(taught, targets, tmp_path, how):
    whole = contents(targets)
    damage(targets.path / "targets_000000016.safetensors", how)
    opened = StoredTargets(targets.path)
    opened.read(0, 16)
    opened.read(24, 40)
    said = {"missing": "is missing", "truncated": r"has \d+ bytes, \d+ were written", "altered": "is damaged"}[how]
    with pytest.raises(ValueError, match=rf"targets_000000016.safetensors.* {said}"):
        opened.read(15, 17)
    if how != "altered":  # that would take reading all of it
        with pytest.raises(ValueError, match=rf"targets_000000016.safetensors.* {said}"):
            train(parity_model(seed=5), PARITY, supervision=Stored(opened), out=tmp_path / "run", **TRAINING)
        assert not (tmp_path / "run").exists()  # found before training
    store_targets(targets.path, taught, PARITY, k=2, shard_tokens=60, resume=True, **QUIET, **STUDENT)
    assert contents(targets) == whole


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no stored targets: it has no targets.json"):
        StoredTargets(tmp_path)
    file = tmp_path / "targets.json"
    for content, said in (("{", "not readable as JSON"), ("[]", "holds a list"), ('{"format": "x"}', "'pdtutor")):
        file.write_text(content)
        with pytest.raises(ValueError, match=rf"targets.json.* {said}"):
            StoredTargets(tmp_path)


def test_an_empty_store_says_so(taught, tmp_path, monkeypatch):
    monkeypatch.setattr(pdtutor.distillation.stored.store, "write_bytes", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store_targets(tmp_path, taught, PARITY, k=2, **QUIET, **STUDENT)
    empty = StoredTargets(tmp_path)
    with pytest.raises(ValueError, match="holds no targets yet"):
        _ = empty.size_per_token
    with pytest.raises(ValueError, match="holds targets of the first 0 updates, not 3…4"):
        empty.read(3, 5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 4}, "seed was 3, now 4"),
        ({"batch_size": 4}, "batch_size was 8, now 4"),
        ({"role": "teacher"}, "role was 'student', now 'teacher'"),
        ({"task": SparseParity(8, 2, support=(1, 6))}, r"task's support was \[1, 5\], now \[1, 6\]"),
        ({"steps": 41}, "holds targets of 40 updates, 41 are needed"),
        ({"seed": [3, 4], "copies": 2}, "seed was 3, now 4"),
    ],
)
def test_a_student_with_other_examples_is_refused(targets, change, said):
    settings = TRAINING | change
    model = parity_model(seed=[5] * settings.pop("copies", 1))
    with pytest.raises(ValueError, match=rf"{targets.path}.* {said}"):
        train(model, settings.pop("task", PARITY), supervision=Stored(targets), **settings)


def test_other_labels_are_found_at_the_first_update_that_has_any(targets):
    _, labels = examples(PARITY, 6, 12)
    labels[3, 5] = 1 - labels[3, 5]
    with pytest.raises(ValueError, match="other examples: the labels of update 9 are not those"):
        targets.log_probabilities(labels, 6)
    with pytest.raises(ValueError, match="other examples: the labels of update 7"):
        targets.log_probabilities(examples(PARITY, 6, 12)[1], 7)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "steps must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"seed": -1}, "seed must be"),
        ({"k": 0}, "k must be a whole"),
        ({"k": 3}, "k must be at most the number of classes, 2; got 3"),
        ({"shard_tokens": 0}, "shard_tokens must be"),
        ({"schedule": on_plateau([20, FINAL])}, "depends on the student's progress"),
        ({"schedule": progressive(10)}, r"needs a teacher's checkpoint in steps 1…10"),
        ({"top_k": 1}, "k is 2, but .* top_k=1"),
        ({"task": WORDS}, "was trained on another task: class was 'SparseParity', now 'MaskedGrammar'"),
    ],
)
def test_what_cannot_be_stored_is_refused(trajectories, tmp_path, change, said, monkeypatch):
    two_classes = lambda model, inputs, at: torch.zeros(1, *inputs.shape[:1], 4, 2)  # noqa: E731
    monkeypatch.setattr("pdtutor.distillation.stored.store.logits_of", two_classes)
    settings = {"k": 2, **QUIET, **STUDENT} | change
    schedule, top_k = settings.pop("schedule", one_shot()), settings.pop("top_k", None)
    taught = Distill(trajectories[PARITY], schedule, top_k=top_k)
    with pytest.raises(ValueError, match=said):
        store_targets(tmp_path, taught, settings.pop("task", PARITY), **settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"seed": 4}, "seed was 3, now 4"), ({"k": 1}, "k was 2, now 1"), ({"steps": 50}, "steps was 40, now 50")],
)
def test_other_settings_cannot_be_resumed(taught, targets, change, said):
    with pytest.raises(ValueError, match=f"other settings, so it can't be resumed: {said}"):
        store_targets(targets.path, taught, PARITY, resume=True, **{"k": 2, **QUIET, **STUDENT} | change)


def test_another_teacher_or_temperature_cannot_be_resumed(trajectories, targets):
    other = Distill(trajectories[PARITY], one_shot(), temperature=2.0)
    with pytest.raises(
        ValueError, match=r"schedule was 'Progressive.*', now 'OneShot\(\)'; temperature was '1.0', now '2.0'"
    ):
        store_targets(targets.path, other, PARITY, resume=True, k=2, **QUIET, **STUDENT)


def test_the_supervision_checks_its_values(taught, targets, tmp_path):
    assert Stored(targets).config() == {
        "class": "Stored",
        "targets": targets.digest,
        "alpha": "0.0",
        "divergence": "forward_kl",
    }
    assert json.dumps(Stored(targets, alpha=Anneal(1.0, 0.0, 5)).config())
    for arguments, said in (
        ({"alpha": 1.5}, "alpha must be"),
        ({"alpha": Anneal(0.0, 2.0, 5)}, "alpha must be"),
        ({"divergence": "kl"}, "divergence must be one of"),
    ):
        with pytest.raises(ValueError, match=said):
            Stored(targets, **arguments)
    with pytest.raises(ValueError, match=r"targets must be StoredTargets"):
        Stored(str(targets.path))
    top = store_targets(tmp_path / "top", taught, PARITY, k=1, **QUIET, **STUDENT)
    with pytest.raises(ValueError, match="reverse_kl is infinite unless all classes are stored, and 1 of 2"):
        Stored(top, divergence="reverse_kl")


def test_storing_is_of_a_teacher(tmp_path):
    with pytest.raises(ValueError, match=r"of a Distill itself can be stored, got Labels\(\)"):
        store_targets(tmp_path, Labels(), PARITY, k=1, **QUIET, **STUDENT)


# what it costs


def test_the_table_says_what_k_classes_cost(trajectories, tmp_path):
    exact = Distill(trajectories[WORDS], progressive(20), temperature=1.0)
    table = storage_table(exact, WORDS, word_model(seed=[5, 6]), updates=40, **STUDENT)
    assert list(table.columns) == ["k", "bytes_per_token", "share", "loss", "loss_error"]
    assert table.k.tolist() == [1, 2, 4, 6]
    assert table.share.is_monotonic_increasing
    assert table.share.iloc[-1] == pytest.approx(1)
    assert table.loss_error.iloc[-1] < 1e-4 < 0.01 < table.loss_error.iloc[0]
    assert table.bytes_per_token.diff().dropna().round(6).tolist() == [3, 6, 6]  # uint8 and float16 per class
    for row in table.itertuples():
        targets = store_targets(tmp_path / str(row.k), exact, WORDS, k=row.k, **QUIET, **STUDENT)
        tokens = targets.shards[0]["tokens"]
        assert targets.size_per_token == pytest.approx(row.bytes_per_token, abs=600 / tokens)  # but for its header


class Seldom(SparseParity):
    """Labels for few examples, so that most small batches have none."""

    share = 0.15

    def sample(self, rng, n):
        inputs, labels = super().sample(rng, n)
        return inputs, np.where(rng.random(n) < self.share, labels, IGNORED)


def test_updates_without_labels_cost_nothing_and_teach_nothing(trajectories, tmp_path, monkeypatch):
    task, settings = Seldom(8, 2, support=(1, 5)), {**STUDENT, "batch_size": 2}
    exact = Distill(trajectories[PARITY], one_shot(), temperature=1.0, other_task=True)
    table = storage_table(exact, task, parity_model(seed=5), ks=[2], updates=40, **settings)
    assert table.notna().all(axis=None)
    stored = Stored(store_targets(tmp_path, exact, task, k=2, **QUIET, **settings))
    stretch = Stream(task, batch_size=2, seeds=[3], purpose="student data").stretch(0, 40)
    losses = []
    for supervision in (exact, stored):
        made = make_targets(stretch, Teachers([supervision], steps=40), classes=2)
        logits = parity_model(seed=5)
        losses.append(
            torch.stack([made.loss_of(logits(stretch.inputs[:, u]), u) + made.constant[:, u] for u in range(40)])
        )
    torch.testing.assert_close(losses[0], losses[1], atol=1e-3, rtol=1e-3)  # float16 on disk
    assert losses[0].eq(0).squeeze(1).equal((stretch.labels[0] == IGNORED).all(1))
    monkeypatch.setattr(Seldom, "share", 0.0)
    with pytest.raises(ValueError, match="nothing can be measured: the 8 updates have no labels"):
        storage_table(exact, task, parity_model(seed=5), ks=[2], **settings)


def test_the_tables_loss_is_the_training_loss_before_training(trajectories, tmp_path):
    exact = Distill(trajectories[WORDS], one_shot(), temperature=1.0, top_k=2)
    table = storage_table(exact, WORDS, word_model(seed=5), ks=[2], updates=1, **STUDENT)
    stored = Stored(store_targets(tmp_path, exact, WORDS, k=2, **QUIET, **STUDENT))
    run = train(word_model(seed=5), WORDS, supervision=stored, **TRAINING | {"steps": 1})
    assert table.loss[0] == pytest.approx(run.history.train_loss[1], abs=1e-5)
