import numpy as np
import pandas as pd
import pytest
import torch

from pdtutor import MLP, SparseParity, monomial_correlations, over, peak_step, peak_steps, train
from pdtutor.probes.monomials import largest_difference
from pdtutor.probes.nodes import node_correlations, node_steps
from pdtutor.tasks.hierarchical import HierarchicalParity

WIDE = SparseParity(30, 6)
TASK = SparseParity(9, 3, support=(0, 4, 7))


class Known(torch.nn.Module):
    """p(y=1|x) = ½ + c·χ_A(x), for each copy its own A."""

    def __init__(self, sets, c):
        super().__init__()
        self.sets, self.c = sets, torch.nn.Parameter(torch.tensor(c))

    def forward(self, inputs):
        p = torch.stack([0.5 + self.c * inputs[0][:, list(a)].prod(-1) for a in self.sets])
        return torch.stack([1 - p, p], -1).log()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_correlation_with_a_known_monomial_is_its_coefficient_and_with_others_noise(degree):
    inside, outside = TASK.support[:degree], (1, 2, 3)[:degree]
    table = monomial_correlations(TASK, degree=degree, examples=20_000)(Known([inside, outside], 0.2))
    names = {True: "·".join(map(str, inside)), False: "·".join(map(str, outside))}
    for copy, kind in ((0, True), (1, False)):
        rows = table[table["copy"] == copy].set_index("monomial")
        hit = rows.loc[names[kind]]
        assert hit.value == pytest.approx(0.2, abs=0.005)
        assert hit.inside == kind
        assert rows.drop(names[kind]).value.max() < 5 * hit.noise_floor
        assert hit.noise_floor == pytest.approx(0.2 / 20_000**0.5, rel=0.02)


def test_correlations_are_the_same_whether_a_model_reads_signs_or_tokens():
    tokens = SparseParity(9, 3, support=TASK.support, encoding="tokens")
    model = Known([(0, 4), (1, 2)], 0.2)
    reader = torch.nn.Module()  # reads tokens where `Known` reads signs
    reader.c, reader.forward = model.c, lambda ids: model(1.0 - 2.0 * ids)
    for degree in (1, 2):
        expected = monomial_correlations(TASK, degree=degree, examples=500)(model)
        assert monomial_correlations(tokens, degree=degree, examples=500)(reader).equals(expected)


def test_at_temperature_0_the_answer_is_correlated_and_warmth_makes_it_fainter():
    def found(temperature):
        table = monomial_correlations(TASK, examples=5000, temperature=temperature)(Known([(4,)], 0.1))
        return table.set_index("monomial").value["4"]

    assert found(0) == found(1e-4) == pytest.approx(0.5, abs=1e-3)  # p is 0.4 or 0.6, the answer 0 or 1
    assert found(1.0) == pytest.approx(0.1, abs=1e-3)
    warm = 1 / (1 + (0.4 / 0.6) ** 0.5) - 0.5  # p at temperature 2, less ½
    assert found(2.0) == pytest.approx(warm, abs=1e-3)


def test_a_correlation_is_a_size_without_a_sign():
    probe = monomial_correlations(TASK, examples=1000)
    assert probe(Known([(4,)], -0.2)).value.min() >= 0
    assert probe(Known([(4,)], -0.2)).value.max() == pytest.approx(0.2, abs=0.03)


def test_all_in_support_monomials_are_measured_against_sets_that_miss_the_support():
    table = monomial_correlations(TASK, degree=2, examples=100, off_support=5)(MLP(9, width=4))
    inside = table[table.inside]
    assert sorted(inside.monomial) == ["0·4", "0·7", "4·7"]
    outside = table[~table.inside]
    assert outside.monomial.nunique() == len(outside) == 5
    for name in outside.monomial:
        assert not set(map(int, name.split("·"))) & set(TASK.support)
    assert len(monomial_correlations(TASK, degree=1, examples=100)(MLP(9, width=4))) == 9  # all 6 that lie outside


def test_a_probe_over_a_trajectory_is_its_table_at_every_checkpoint():
    run = train(MLP(9, width=4, seed=[0, 1]), TASK, steps=20, save_every=10, progress=False, eval_examples=50)
    probe = monomial_correlations(TASK, examples=200)
    table = over(run.trajectory, probe, progress=False)
    assert table.step.unique().tolist() == [0, 10, 20]
    assert table["copy"].unique().tolist() == [0, 1]
    assert table.seed.tolist() == table["copy"].tolist()
    one = over(run.trajectory, probe, steps=[10], progress=False)
    assert one.drop(columns=["step", "seed"]).equals(probe(run.trajectory.at(10)))
    with pytest.raises(ValueError, match="no checkpoint at step 11"):
        over(run.trajectory, probe, steps=[11])
    with pytest.raises(ValueError, match="nothing to probe"):
        over(run.trajectory, probe, steps=[])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degree": 0}, "degree must be a whole number of at least 1, got 0"),
        ({"degree": 4}, "degree must be at most k = 3, got 4"),
        ({"examples": 0}, "examples"),
        ({"off_support": 0}, "off_support"),
    ],
)
def test_bad_questions_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        monomial_correlations(TASK, **arguments)


def test_there_must_be_room_outside_the_support():
    with pytest.raises(ValueError, match="only 1 lie outside"):
        monomial_correlations(SparseParity(4, 3), degree=2)


def curriculum_of(values, inside, *, seed=0):
    """A curriculum with steps 0, 10, 20, … from values (steps, coordinates), of which the first few are inside."""
    values = np.asarray(values, dtype=float)
    return pd.DataFrame(
        [
            {"step": 10 * row, "seed": seed, "inside": i < inside, "value": value}
            for row, of_step in enumerate(values)
            for i, value in enumerate(of_step)
        ]
    )


def noise(rng, steps, coordinates):
    return np.abs(rng.normal(size=(steps, coordinates))) * 0.02


def test_the_peak_is_the_largest_difference_of_means_and_never_step_0():
    tables = []
    for seed, differences in enumerate([(0.9, 0.2, 0.3), (0.9, 0.4, 0.1)]):
        values = noise(np.random.default_rng(seed), 3, 20)
        values[:, :4] += np.array(differences)[:, None]
        tables.append(curriculum_of(values, 4, seed=seed))
    assert peak_steps(pd.concat(tables)) == {0: 20, 1: 10}


def test_networks_that_have_learned_nothing_have_no_peak():
    table = monomial_correlations(WIDE, examples=2048)(MLP(30, width=100, seed=list(range(40))))
    start = table.assign(step=table["copy"] + 1, seed=0)  # forty initial weights, as if they were checkpoints
    step, chance = largest_difference(start)
    gap = start.groupby(["step", "inside"])["value"].mean().unstack()
    assert step == (gap[True] - gap[False]).idxmax()
    assert chance > 0.2
    with pytest.raises(
        ValueError, match=rf"seed 0: in-support correlations never stand out: .* step {step}, .*choose_ch"
    ):
        peak_steps(start)
    learning = Known([(i,) for i in WIDE.support], 0.1)
    found = monomial_correlations(WIDE, examples=2048)(learning).groupby(["monomial", "inside"], sort=False)["value"]
    spike = found.mean().reset_index().assign(step=100, seed=0)
    assert peak_step(pd.concat([start, spike])) == 100  # six means of one sixth of 0.1 each, among larger accidents


def test_at_most_about_one_noise_in_twenty_has_a_peak():
    rng = np.random.default_rng(0)
    named = sum(largest_difference(curriculum_of(noise(rng, 20, 16), 4))[1] <= 0.05 for _ in range(60))
    assert named <= 6


def test_an_early_accident_is_no_peak_and_a_faint_one_that_all_coordinates_share_is():
    values = noise(np.random.default_rng(1), 10, 24)
    values[1] *= 5
    values[1, 0] = 0.6  # one coordinate of four, as large accidents come
    assert largest_difference(curriculum_of(values, 4)) == (10, pytest.approx(0.2, abs=0.15))
    values[1] = values[2]
    values[7] = 0.001 + np.arange(24) * 1e-5
    values[7, :4] = 0.05
    assert largest_difference(curriculum_of(values, 4)) == (70, pytest.approx(0.001, abs=0.001))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (curriculum_of(np.ones((1, 4)), 2), "no step after 0"),
        (curriculum_of(np.ones((3, 4)), 4), "inside and outside the support"),
        (curriculum_of(np.ones((3, 4)), 0), "inside and outside the support"),
        (curriculum_of(np.ones((3, 4)), 2).iloc[:-1], "the same monomials at every step"),
        (curriculum_of(np.ones((3, 4)), 2), "100.0% of random groups"),
    ],
)
def test_a_curriculum_without_a_peak_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        peak_step(table)


TREE = HierarchicalParity(12, 3, 2, seed=1)


class Planted(torch.nn.Module):
    """Goes left at node v with probability ½ + c_v·χ_v(x), for each copy its own c; labels as in HierarchicalParity."""

    def __init__(self, task, c):
        super().__init__()
        self.task, self.c = task, torch.nn.Parameter(torch.tensor(c))  # (copies, nodes)

    def forward(self, inputs):
        parities = torch.stack([inputs[0][:, list(support)].prod(-1) for support in self.task.supports])  # (nodes, n)
        left = 0.5 + self.c[:, :, None] * parities  # (copies, nodes, n)
        leaves = torch.ones(*left.shape[::2], self.task.classes)  # (copies, n, classes)
        for node in range(len(self.task.supports)):
            for leaf in self.task.leaves_below(node)[0]:
                leaves[..., leaf] *= left[:, node]
            for leaf in self.task.leaves_below(node)[1]:
                leaves[..., leaf] *= 1 - left[:, node]
        return leaves.log()


def own(table, copy=0):
    """Return the correlation of each node with its own parity."""
    return table[(table["copy"] == copy) & table.inside & (table.degree == 3)].sort_values("node").value.to_numpy()


def test_each_node_is_measured_by_its_own_decision_on_the_examples_that_pass_it():
    planted = Planted(TREE, [[0.5, 0.5, 0.5], [0.3, 0.0, 0.0], [0.0, 0.0, -0.2]])
    table = node_correlations(TREE, degree=(1, 3), examples=20_000)(planted)
    assert table.columns.tolist() == ["copy", "node", "depth", "degree", "monomial", "inside", "value", "noise_floor"]
    for copy, known in enumerate(([0.5, 0.5, 0.5], [0.3, 0, 0], [0, 0, 0.2])):
        assert own(table, copy) == pytest.approx(known, abs=0.005)
    others = table[(table.degree == 1) | ~table.inside]
    assert len(others) == 3 * 3 * (3 + 3 + 1)  # copies × nodes × (3 bits inside, 3 outside, their 1 triple)
    assert (others.value <= 4.5 * others.noise_floor).all()
    passing = 20_000 / 2**table.depth
    assert table.noise_floor.to_numpy() == pytest.approx(
        np.array([[0.5, 0.5, 0.5], [0.3, 0, 0], [0, 0, 0.2]])[table["copy"], table.node] / passing**0.5, rel=0.03
    )


def test_single_coordinates_show_only_at_the_node_that_leans_on_them():
    class Leaning(torch.nn.Module):
        """Goes right at node 2 more often where one of its coordinates is +1; undecided elsewhere."""

        def __init__(self):
            super().__init__()
            self.c = torch.nn.Parameter(torch.tensor(0.3))

        def forward(self, inputs):
            left = 0.5 - self.c * inputs[..., TREE.supports[2][1]]
            return torch.stack([torch.full_like(left, 0.5)] * 2 + [left, 1 - left], -1).log()

    table = node_correlations(TREE, degree=1, examples=5000)(Leaning())
    [hit] = table[table.value > 0.05].to_dict("records")
    assert (hit["node"], hit["depth"], hit["inside"]) == (2, 1, True)
    assert hit["monomial"] == str(TREE.supports[2][1])
    assert hit["value"] == pytest.approx(0.3, abs=0.02)


def test_a_model_that_is_sure_of_the_wrong_leaves_is_still_read():
    class Sure(torch.nn.Module):
        """Puts everything on the left of the root, yet there decides node 2 rightly, with masses that underflow."""

        def __init__(self):
            super().__init__()
            self.c = torch.nn.Parameter(torch.tensor(500.0))

        def forward(self, inputs):
            parity = inputs[..., list(TREE.supports[2])].prod(-1)
            return torch.stack([self.c + 0 * parity] * 2 + [-self.c + 9 * parity, -self.c - 9 * parity], -1)

    table = node_correlations(TREE, degree=3, examples=500)(Sure())
    assert own(table) == pytest.approx([0, 0, 0.5], abs=0.02)


def test_a_tree_of_one_node_gives_the_monomial_correlations():
    tree, parity = HierarchicalParity(9, 3, 1, supports=(TASK.support,)), TASK
    model = MLP(9, width=5, seed=[0, 1])
    mine = node_correlations(tree, degree=2, examples=300)(model)
    theirs = monomial_correlations(parity, degree=2, examples=300)(model)
    assert mine.monomial.tolist() == theirs.monomial.tolist()
    assert mine.value.to_numpy() == pytest.approx(theirs.value.to_numpy(), abs=1e-6)
    assert mine.noise_floor.to_numpy() == pytest.approx(theirs.noise_floor.to_numpy(), rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degree": 0}, "degree must be a whole number of at least 1, got 0"),
        ({"degree": (1, 4)}, "degree must be at most k = 3, got 4"),
        ({"degree": ()}, "number of degrees must be a whole number of at least 1, got 0"),
        ({"examples": 1}, "fewer than two of 1 examples pass through node 0: ask for more"),
        ({"off_support": 0}, "off_support"),
    ],
)
def test_bad_questions_about_nodes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        node_correlations(TREE, **arguments)
    with pytest.raises(ValueError, match="only 2 lie outside"):
        node_correlations(HierarchicalParity(11, 3, 2), degree=3)


def test_a_node_is_learned_at_the_first_step_that_reaches_the_threshold():
    columns = ["step", "seed", "node", "depth", "degree", "inside", "value"]
    rows = [
        *[(step, 0, 0, 0, 3, True, value) for step, value in ((0, 0.1), (10, 0.3), (20, 0.2), (30, 0.4))],
        *[(step, 0, 1, 1, 3, True, value) for step, value in ((0, 0.1), (10, 0.2))],
        *[(0, 0, 1, 1, degree, inside, 0.5) for degree, inside in ((1, True), (3, False))],  # not its parity
    ]
    found = node_steps(pd.DataFrame(rows, columns=columns))
    assert found.columns.tolist() == ["seed", "node", "depth", "step"]
    assert found.step.tolist() == [10, pd.NA]
    assert node_steps(pd.DataFrame(rows, columns=columns), threshold=0.4).step.tolist() == [30, pd.NA]
