import json
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pdtutor.seeds import generator
from pdtutor.tasks.build import build_task
from pdtutor.tasks.hierarchical import HierarchicalParity
from pdtutor.tasks.parity import SparseParity
from pdtutor.tasks.stream import Stream


@given(d=st.integers(1, 40), seed=st.integers(0, 1000), data=st.data())
def test_a_drawn_support_has_k_distinct_coordinates_in_range(d, seed, data):
    k = data.draw(st.integers(1, d))
    support = SparseParity(d, k, seed=seed).support
    assert len(set(support)) == k
    assert all(0 <= i < d for i in support)


def test_labels_are_the_product_of_the_supported_signs():
    task = SparseParity(9, 3, support=(8, 1, 4))
    inputs, labels = task.sample(generator(0, "x"), 500)
    assert inputs.shape == (500, 9)
    assert inputs.dtype == np.float32
    assert set(np.unique(inputs)) == {-1.0, 1.0}
    product = inputs[:, 1] * inputs[:, 4] * inputs[:, 8]
    assert ((labels == 0) == (product == 1)).all()


def test_tokens_are_the_same_examples_as_signs():
    as_signs, as_tokens = SparseParity(9, 3), SparseParity(9, 3, encoding="tokens")
    (inputs, labels), (ids, same_labels) = (task.sample(generator(0, "x"), 500) for task in (as_signs, as_tokens))
    assert ids.dtype == np.int64
    assert (inputs == np.where(ids == 0, 1, -1)).all()  # +1 ↔ 0, −1 ↔ 1
    assert (labels == same_labels).all()
    assert (labels == ids[:, as_tokens.support].sum(axis=1) % 2).all()
    for task, given_inputs in ((as_signs, inputs), (as_tokens, ids)):
        assert (task.signs(given_inputs) == inputs).all()
        assert task.signs(given_inputs).dtype == np.float32


def test_examples_do_not_change_between_versions():
    inputs, labels = SparseParity(9, 3).sample(generator(0, "x"), 4)
    rows = ["".join("+-"[int(x < 0)] for x in row) for row in inputs]
    assert rows == ["-++++-++-", "+++-++-++", "++----+-+", "+-++-+++-"]
    assert labels.tolist() == [1, 1, 0, 0]


def test_examples_are_uniform_and_independent():
    inputs, _ = SparseParity(11, 3).sample(generator(0, "x"), 40_000)
    second_moments = inputs.T @ inputs / len(inputs)
    assert np.abs(inputs.mean(0)).max() < 0.025  # 5 standard deviations of 1/√n
    assert np.abs(second_moments - np.eye(11)).max() < 0.025


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d": 5, "k": 6}, "k must be at most d"),
        ({"d": 5, "k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"d": 0, "k": 1}, "d must be a whole number of at least 1, got 0"),
        ({"d": 5, "k": 2, "support": (1, 1)}, "distinct"),
        ({"d": 5, "k": 2, "support": (1, 5)}, "0…4"),
        ({"d": 5, "k": 2, "support": (-1, 2)}, "at least 0, got -1"),
        ({"d": 5, "k": 2, "support": (1, 2, 3)}, "k = 2"),
        ({"d": 5, "k": 2, "encoding": "bits"}, "encoding must be one of 'signs', 'tokens'; got 'bits'"),
        ({"d": 5, "k": 2, "seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_bad_parities_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SparseParity(**arguments)


def test_a_task_is_rebuilt_from_its_config():
    task = SparseParity(12, 4, seed=5)
    assert build_task(task.config()).support == task.support
    tokens = SparseParity(12, 4, encoding="tokens")
    assert build_task(tokens.config()) == tokens
    before_tokens = {name: value for name, value in task.config().items() if name != "encoding"}
    assert build_task(before_tokens).encoding == "signs"
    with pytest.raises(ValueError, match="unknown task 'Nope'"):
        build_task({"class": "Nope"})


def test_a_stream_gives_the_same_update_however_it_is_cut():
    task = SparseParity(7, 2)
    whole = Stream(task, batch_size=1000, seeds=[3], purpose="p").stretch(0, 4)
    again = Stream(task, batch_size=1000, seeds=[3], purpose="p")
    assert again.block == 4
    other = Stream(task, batch_size=1000, seeds=[3], purpose="p")
    assert torch.equal(again.stretch(4, 5).inputs[:, 0], other.stretch(4, 6).inputs[:, 0])
    assert torch.equal(again.stretch(2, 4).inputs, whole.inputs[:, 2:4])
    assert torch.equal(whole.first(3).labels, whole.labels[:, :3])
    short = again.stretch(3, 7)  # a stretch ends with its block
    assert (short.start, short.stop, len(short)) == (3, 4, 1)
    assert torch.equal(short.labels, whole.labels[:, 3:])


PACKED = [SparseParity(11, 3), SparseParity(16, 4, encoding="tokens"), HierarchicalParity(27, 2)]


@pytest.mark.parametrize("task", PACKED)
def test_a_tensor_unpacks_to_the_same_examples_as_an_array(task):
    """Which is what makes the examples equal on every device."""
    expected = task.sample(generator(0, "x"), 600)
    packed = torch.from_numpy(task.packed(generator(0, "x"), 600))
    assert packed.numel() * packed.element_size() == 600 * -(-task.d // 8)
    for leading in ((600,), (2, 300)):
        found = task.unpack(packed.unflatten(0, leading))
        for mine, theirs in zip(found, expected, strict=True):
            assert torch.equal(mine.flatten(0, len(leading) - 1), torch.from_numpy(theirs))
            assert mine.dtype == torch.from_numpy(theirs).dtype


def both(stretch):
    return stretch.inputs, stretch.labels


@pytest.mark.parametrize("task", PACKED)
def test_a_stream_gives_what_the_task_samples_whatever_the_device(task):
    class Plain:
        sample, classes, config = staticmethod(task.sample), task.classes, staticmethod(task.config)

    settings = {"batch_size": 1024, "seeds": [5, 2, 5], "purpose": "p"}
    stream = Stream(task, **settings)
    found = both(stream.stretch(4, 6))
    for row, seed in enumerate([5, 2]):
        expected = task.sample(generator(seed, "p", 1), 4096)
        for mine, theirs in zip(found, expected, strict=True):
            assert torch.equal(mine[row].flatten(0, 1), torch.from_numpy(theirs[:2048]))
    for mine, plain, elsewhere in zip(
        found,
        both(Stream(Plain(), **settings).stretch(4, 6)),
        both(Stream(task, **settings, device="meta").stretch(4, 6)),
        strict=True,
    ):
        assert torch.equal(mine, plain)
        assert elsewhere.device.type == "meta"
        assert (elsewhere.shape, elsewhere.dtype) == (mine.shape, mine.dtype)


def test_streams_share_examples_only_at_equal_seed_and_purpose():
    task = SparseParity(20, 2)
    stream = Stream(task, batch_size=8, seeds=[1, 2, 1], purpose="teacher data")
    inputs, labels = both(stream.stretch(0, 3))
    assert inputs.shape == (2, 3, 8, 20)
    assert labels.shape == (2, 3, 8)
    assert stream.index.tolist() == [0, 1, 0]
    assert not torch.equal(inputs[0], inputs[1])
    student = Stream(task, batch_size=8, seeds=[1], purpose="student data").stretch(0, 3)
    assert not torch.equal(inputs[0], student.inputs[0])
    later = stream.stretch(stream.block, stream.block + 3)
    assert not torch.equal(inputs, later.inputs)


@pytest.mark.parametrize(("depth", "k"), [(1, 3), (2, 2), (3, 1), (3, 2)])
def test_the_hierarchical_label_is_the_leaf_with_the_largest_sum_of_signed_parities(depth, k):
    task = HierarchicalParity(k * (2**depth - 1) + 1, k, depth, seed=3)
    inputs, labels = task.sample(generator(0, "x"), 400)
    parities = np.stack([inputs[:, list(support)].prod(1) for support in task.supports], axis=1)  # (n, nodes)
    sums = []
    for path in product((0, 1), repeat=depth):  # leaves in order: 0 = left, 1 = right
        node, total = 0, 0
        for turn in path:
            total = total + (parities[:, node] if turn == 0 else -parities[:, node])
            node = 2 * node + 1 + turn
        sums.append(total)
    sums = np.stack(sums, axis=1)  # (n, leaves)
    assert (labels == sums.argmax(1)).all()
    assert (np.sort(sums, axis=1)[:, -1] == depth).all()
    assert (np.sort(sums, axis=1)[:, -2] < depth).all()  # never a tie


def test_hierarchical_labels_are_balanced_and_coordinates_uniform():
    task = HierarchicalParity(15, 2)
    inputs, labels = task.sample(generator(0, "x"), 40_000)
    assert (inputs.shape, inputs.dtype, labels.dtype, task.classes) == ((40_000, 15), np.float32, np.int64, 8)
    assert set(np.unique(inputs)) == {-1.0, 1.0}
    assert np.abs(np.bincount(labels, minlength=8) / len(labels) - 1 / 8).max() < 5 * (7 / 64 / 40_000) ** 0.5
    assert np.abs(inputs.mean(0)).max() < 0.025


def test_a_tree_of_one_node_is_sparse_parity():
    tree, parity = HierarchicalParity(9, 3, 1, supports=((1, 4, 8),)), SparseParity(9, 3, support=(1, 4, 8))
    for mine, theirs in zip(*(task.sample(generator(0, "x"), 100) for task in (tree, parity)), strict=True):
        assert (mine == theirs).all()


def test_leaves_below_a_node_split_those_of_its_parent():
    task = HierarchicalParity(15, 2)
    assert task.leaves_below(0) == (range(0, 4), range(4, 8))
    assert task.leaves_below(2) == (range(4, 6), range(6, 8))
    assert task.leaves_below(5) == (range(4, 5), range(5, 6))
    with pytest.raises(ValueError, match="node must lie in 0…6, got 7"):
        task.leaves_below(7)


@given(k=st.integers(1, 3), depth=st.integers(1, 3), spare=st.integers(0, 4), seed=st.integers(0, 1000))
def test_drawn_supports_are_disjoint_and_rebuilt_from_the_config(k, depth, spare, seed):
    task = HierarchicalParity(k * (2**depth - 1) + spare, k, depth, seed=seed)
    coordinates = [i for support in task.supports for i in support]
    assert len(coordinates) == len(set(coordinates)) == k * (2**depth - 1)
    assert all(0 <= i < task.d for i in coordinates)
    rebuilt = build_task(json.loads(json.dumps(task.config())))
    assert rebuilt.config() == task.config()
    mine, theirs = (t.sample(generator(1, "x"), 20)[1] for t in (task, rebuilt))
    assert (mine == theirs).all()
    chosen = HierarchicalParity(task.d, k, depth, supports=task.supports[::-1])
    assert build_task(chosen.config()).supports == task.supports[::-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d": 13, "k": 2}, "7 nodes of k = 2 coordinates each need d of at least 14, got d = 13"),
        ({"d": 9, "k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"d": 9, "k": 1, "depth": 0}, "depth must be a whole number of at least 1, got 0"),
        (
            {"d": 9, "k": 1, "depth": 2, "supports": ((0,), (1,))},
            "at depth = 2, supports must hold one for each of the 3 nodes, got 2",
        ),
        ({"d": 9, "k": 2, "depth": 2, "supports": ((0, 1), (2, 3), (4,))}, "must hold k = 2 coordinates"),
        ({"d": 9, "k": 2, "depth": 2, "supports": ((0, 1), (2, 3), (4, 0))}, "disjoint"),
        ({"d": 9, "k": 2, "depth": 2, "supports": ((0, 1), (2, 3), (4, 4))}, "distinct"),
        ({"d": 9, "k": 1, "depth": 2, "supports": ((0,), (1,), (9,))}, "0…8"),
        ({"d": 9, "k": 1, "depth": 2, "supports": ((0,), (1,), (-1,))}, "at least 0, got -1"),
        ({"d": 9, "k": 1, "depth": 2, "seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_bad_trees_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        HierarchicalParity(**arguments)
