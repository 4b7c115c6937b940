"""Each checker of lesson 3b passes the solution and answers typical mistakes with the hint that fits."""

import numpy as np
import pytest
import torch

from pdtutor import SparseParity, Trajectory, Transformer, checkpoint_table
from pdtutor.tasks.hierarchical import HierarchicalParity


def tree_label(parities, depth):
    node = 0
    for _ in range(depth):
        node = 2 * node + 1 + (parities[node] < 0)
    return node - (2**depth - 1)


def agreement(p, final):
    return 1 - distance(p, final) / distance(final.mean(axis=0), final)


def tokens(x):
    return ((1 - x) / 2).astype(np.int64)


def distance(p, q):
    return np.abs(p - q).sum(axis=1).mean() / 2


def turns(parities, depth, *, swapped=False):
    """Return the turns on the path, 1 = right, from the root down; swapped goes right for +1."""
    node, path = 0, []
    for _ in range(depth):
        path.append(int((parities[node] < 0) != swapped))
        node = 2 * node + 1 + path[-1]
    return path


def binary(digits):
    return sum(digit << place for place, digit in enumerate(reversed(digits)))


def onehot(p):
    return np.eye(p.shape[1])[p.argmax(axis=1)]


SOLUTIONS = [tree_label, agreement, tokens]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        # the paper's definition: the leaf whose path has the largest sum of signed parities
        ("tree_label", lambda x, depth: int(np.argmax([signed_sum(x, depth, leaf) for leaf in range(2**depth)]))),
        ("agreement", lambda p, f: 1 - np.abs(p - f).sum() / np.abs(f.mean(0) - f).sum()),  # ½ and n cancel
        ("agreement", lambda p, f: 1 - np.abs(p - f).mean() / np.abs(f.mean(0) - f).mean()),
        ("tokens", lambda x: np.where(x > 0, 0, 1)),
        ("tokens", lambda x: torch.tensor(x < 0).long()),
        ("tokens", lambda x: [[int(sign < 0) for sign in row] for row in x]),
    ],
)
def test_another_way_to_the_right_answer_passes(passes, name, other):
    passes(other, name=name)


def signed_sum(parities, depth, leaf):
    total, node = 0, leaf + 2**depth - 1
    while node:
        left, node = node % 2, (node - 1) // 2
        total += parities[node] if left else -parities[node]
    return total


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("tree_label", lambda x, d: binary([1 - t for t in turns(x, d)]), "left and right swapped"),
        ("tree_label", lambda x, d: binary(turns(x, d, swapped=True)), "left and right swapped"),
        ("tree_label", lambda x, d: sum(turns(x, d)), "counts the right turns"),
        ("tree_label", lambda x, d: binary(turns(x, d)[::-1]), "the first binary digit"),
        ("tree_label", lambda x, d: tree_label(x, d) + 2**d - 1, "subtract the 2^depth − 1"),
        ("tree_label", lambda x, d: int(x[0] < 0), "the root alone"),
        ("tree_label", lambda x, d: turns(x, d)[-1], "the last turn alone"),
        ("tree_label", lambda x, d: binary([int(x[2**i - 1] < 0) for i in range(d)]), "that the parity chose"),
        ("tree_label", lambda x, d: binary([int(x[i] < 0) for i in range(d)]), "the first nodes in the numbering"),
        ("tree_label", lambda x, d: binary(turns(x, 3)), "IndexError"),
        ("agreement", lambda p, f: 1 - distance(p, f), "divide by the distance of chance"),
        ("agreement", lambda p, f: 1 - 2 * distance(p, f), "then ½ cancels"),
        ("agreement", lambda p, f: 1 - np.abs(p - f).mean(), "a sum over the classes"),
        ("agreement", lambda p, f: 1 - distance(p, f) / distance(p.mean(0), f), "the mean of the final predictions"),
        ("agreement", lambda p, f: 1 - distance(p, f) / distance(p.mean(0), p), "yours is measured on p"),
        ("agreement", lambda p, f: 1 - distance(p, f) / distance(f.mean(1, keepdims=True), f), "always 1/classes"),
        ("agreement", lambda p, f: 1 - distance(p, f) / distance(f.mean(), f), "always 1/classes"),
        ("agreement", lambda p, f: (p.argmax(1) == f.argmax(1)).mean(), "not argmaxes"),
        ("agreement", lambda p, f: agreement(onehot(p), onehot(f)), "chance-corrected or not"),
        ("agreement", lambda p, f: 1 - np.mean(np.abs(p - f).sum(1) / np.abs(f.mean(0) - f).sum(1)), "first, then"),
        ("agreement", lambda p, f: 1 - np.abs(p - f).sum(1) / 2 / distance(f.mean(0), f), "return one number"),
        ("agreement", lambda p, f: distance(p, f) / distance(f.mean(0), f), "1 minus it"),
        ("agreement", lambda p, f: 1 - distance(p, f) / distance(f.mean(0), f) / 2, "only in the first"),
        ("agreement", lambda p, f: 1 - 2 * distance(p, f) / distance(f.mean(0), f), "only in the second"),
        ("agreement", lambda p, f: max(0.0, agreement(p, f)), "worse than chance is negative"),
        ("tokens", lambda x: tokens(-x), "the other way round"),
        ("tokens", lambda x: x, "these are still signs"),
        ("tokens", lambda x: x.astype(np.int64), "these are still signs"),
        ("tokens", lambda x: -x, "the signs negated"),
        ("tokens", lambda x: (1 - x).astype(np.int64), "divide it by 2"),
        ("tokens", lambda x: (1 - x) / 2, "float32 is not int64"),
        ("tokens", lambda x: x < 0, "bool is not int64"),
        ("tokens", lambda x: tokens(x).ravel(), "got shape"),
    ],
)
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)


def test_of_another_type_the_general_hint_says_how_to_change_it(said):
    assert "end with .astype(np.int64)" in said(lambda x: (1 - x) / 2, name="tokens")


def test_the_tree_is_the_task_s():
    task = HierarchicalParity(30, 2, depth=3)
    x, labels = task.sample(np.random.default_rng(0), 200)
    parities = x[:, np.array(task.supports)].prod(axis=2)  # (n, nodes)
    assert [tree_label(row, 3) for row in parities] == labels.tolist()
    assert set(labels) == set(range(8))


def test_the_tokens_are_the_task_s():
    ids, _ = SparseParity(10, 3, encoding="tokens").sample(np.random.default_rng(0), 50)
    x, _ = SparseParity(10, 3).sample(np.random.default_rng(0), 50)
    np.testing.assert_array_equal(tokens(x), ids)
    assert tokens(x).dtype == ids.dtype


def test_the_agreement_is_the_checkpoint_table_s(tmp_path):
    settings = {"max_length": 10, "classes": 2, "layers": 1, "heads": 1}
    task = SparseParity(10, 3, encoding="tokens")
    models = [Transformer(2, seed=seed, init_std=1.0, **settings) for seed in (0, 1)]
    models[1].seeds = [0]  # as if the first had trained on
    trajectory = Trajectory.create(tmp_path, models[0], task)
    for step, model in enumerate(models, start=1):
        trajectory.save(step, model)
    ids = torch.tensor(task.sample(np.random.default_rng(0), 60)[0])
    with torch.no_grad():
        p, final = (model(ids[None])[0].softmax(-1).numpy() for model in models)
    table = checkpoint_table(trajectory, ids, progress=False)
    np.testing.assert_allclose(table["agreement"], [agreement(p, final), 1.0], atol=1e-5)
