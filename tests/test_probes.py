import pytest
import torch

from pdtutor import MLP, SparseParity, monomial_correlations, over, train

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
