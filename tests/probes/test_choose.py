"""Choosing C₁: trajectories made by hand, where the agreement of every checkpoint is known, and the recipe's table."""

from math import atanh

import numpy as np
import pandas as pd
import pytest
import torch

from pdtutor import MLP, SparseParity, Trajectory, checkpoint_table, choose_checkpoint
from pdtutor.probes.choose import choose_step, predictions
from pdtutor.probes.monomials import peak_step
from pdtutor.recipes.choose import peaks, regrets
from pdtutor.tasks.task import IGNORED

INPUTS = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
ALMOST_SURE = 20.0  # logit of a finished teacher


def model_with(*logits: float, classes: int = 2, swap: bool = False) -> MLP:
    """Return an MLP of one input whose class 1 has logit `logit`·x and all others 0: one copy per logit."""
    model = MLP(1, width=2, classes=classes, seed=list(range(len(logits))))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.layers[0].weight[:] = torch.tensor([[1.0], [-1.0]])  # hidden units relu(x) and relu(−x)
        for copy, logit in enumerate(logits):
            model.layers[1].weight[copy, 0 if swap else 1] = torch.tensor([logit, -logit])
    return model


def made(tmp_path, agreements: dict[int, float], **settings) -> Trajectory:
    """Return a trajectory with these agreements by step: p(1|x) = σ(s·x) agrees by tanh(s/2) with a finished one."""
    trajectory = Trajectory.create(tmp_path, model_with(0.0, **settings), SparseParity(1, 1))
    for step, agreement in agreements.items():
        logit = ALMOST_SURE if agreement == 1 else 2 * atanh(agreement)
        trajectory.save(step, model_with(logit, **settings))
    return trajectory


PLATEAU_JUMP_AFTER = {0: 0.3, 10: 0.0, 20: -0.2, 30: 0.1, 40: 0.2, 50: 0.4, 60: 0.9, 70: 0.25, 80: 1.0}


def test_the_table_holds_the_agreements_that_were_put_in_and_how_far_predictions_moved(tmp_path):
    table = checkpoint_table(made(tmp_path, PLATEAU_JUMP_AFTER), INPUTS)
    assert table["step"].tolist() == list(PLATEAU_JUMP_AFTER)
    np.testing.assert_allclose(table["agreement"], list(PLATEAU_JUMP_AFTER.values()), atol=1e-6)
    # p(1|x=1) = (1 + agreement)/2, so TV between two checkpoints is half the difference of their agreements
    moves = np.abs(np.diff(list(PLATEAU_JUMP_AFTER.values()))) / 2
    np.testing.assert_allclose(table["movement"][1:], moves, atol=1e-6)
    assert np.isnan(table["movement"][0])


@pytest.mark.parametrize(
    ("agreement", "step"),
    [(0.25, 40), (0.35, 50), (0.12, 30), (0.8, 60), (1.0, 80)],  # the nearer of the two around the first passage
)
def test_it_picks_the_checkpoint_around_the_first_passage(tmp_path, agreement, step):
    trajectory = made(tmp_path, PLATEAU_JUMP_AFTER)
    assert choose_checkpoint(trajectory, INPUTS, agreement=agreement, progress=False) == step


def test_a_quarter_of_the_way_is_the_default(tmp_path):
    trajectory = made(tmp_path, {0: 0.0, 10: 0.05, 20: 0.24, 30: 0.5, 40: 0.75, 50: 1.0})
    assert choose_checkpoint(trajectory, INPUTS) == 20


def test_neither_a_late_dip_nor_the_untrained_model_is_chosen(tmp_path):
    agreements = {0: 0.25, 10: 0.0, 20: 0.15, 30: 0.6, 40: 0.99, 50: 0.25, 60: 0.99, 70: 1.0}
    assert choose_checkpoint(made(tmp_path, agreements), INPUTS) == 20


def test_the_first_trained_checkpoint_may_be_the_one(tmp_path):
    assert choose_checkpoint(made(tmp_path, {10: 0.3, 20: 0.6, 30: 1.0}), INPUTS) == 10


def test_the_order_of_classes_plays_no_part(tmp_path):
    plain = made(tmp_path / "plain", PLATEAU_JUMP_AFTER)
    swapped = made(tmp_path / "swapped", PLATEAU_JUMP_AFTER, swap=True)
    pd.testing.assert_frame_equal(checkpoint_table(plain, INPUTS), checkpoint_table(swapped, INPUTS))


def test_constant_predictions_agree_by_chance_and_the_final_one_with_itself(tmp_path):
    """For any number of classes and however unequal: the marginal of the final predictions has agreement 0."""
    inputs = torch.tensor([[1.0], [1.0], [1.0], [-1.0]])  # three to one
    trajectory = Trajectory.create(tmp_path, model_with(0.0), SparseParity(1, 1))
    marginal = model_with(0.0)
    with torch.no_grad():
        marginal.layers[1].bias[0] = torch.tensor([0.25, 0.75]).log()
    trajectory.save(1, marginal)
    trajectory.save(2, model_with(ALMOST_SURE))
    np.testing.assert_allclose(checkpoint_table(trajectory, inputs)["agreement"], [0, 1], atol=1e-6)


def test_every_copy_has_rows_of_its_own(tmp_path):
    trajectory = Trajectory.create(tmp_path, model_with(0.0, 0.0), SparseParity(1, 1))
    for step, agreements in {1: (0.0, 0.2), 2: (0.3, 0.5), 3: (0.6, 0.9)}.items():
        trajectory.save(step, model_with(*(2 * atanh(a) for a in agreements)))
    trajectory.save(4, model_with(ALMOST_SURE, ALMOST_SURE))
    table = checkpoint_table(trajectory, INPUTS)
    of_copy_1 = table[table["seed"] == 1]["agreement"]
    np.testing.assert_allclose(of_copy_1, [0.2, 0.5, 0.9, 1], atol=1e-6)
    assert [choose_checkpoint(trajectory.copy(copy), INPUTS) for copy in (0, 1)] == [2, 1]
    with pytest.raises(ValueError, match=r"holds 2 copies: pick one with trajectory\.copy\(i\)"):
        choose_checkpoint(trajectory, INPUTS)
    with pytest.raises(ValueError, match=r"one seed, got \[0, 1\]"):
        choose_step(table)


class Everywhere(torch.nn.Module):
    """A model of sequences: the logit of token t at a position is 1 if t stands there."""

    def __init__(self) -> None:
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def forward(self, tokens):
        return torch.nn.functional.one_hot(tokens, 3).float()


def test_positions_of_sequences_count_one_by_one_unless_ignored():
    tokens = torch.tensor([[0, 1, 2, 1], [2, 2, 0, 1]])
    p = predictions(Everywhere(), tokens)
    assert p.shape == (1, 8, 3)
    labels = torch.tensor([[IGNORED, 1, IGNORED, 1], [IGNORED, IGNORED, 0, 1]])
    kept = predictions(Everywhere(), tokens, labels)
    torch.testing.assert_close(kept, p[:, [1, 3, 6, 7]])
    with pytest.raises(ValueError, match=r"labels must have shape \(2, 4\), got \(2, 3\)"):
        predictions(Everywhere(), tokens, labels[:, :3])
    with pytest.raises(ValueError, match="nothing can be compared: all labels of the 2 inputs are IGNORED"):
        predictions(Everywhere(), tokens, torch.full_like(labels, IGNORED))


@pytest.mark.parametrize(
    ("agreements", "message"),
    [
        (
            {0: 0.1, 10: 0.2, 20: 1.0},
            "a choice needs at least two trained checkpoints and the final one, got steps 10, 20",
        ),
        (
            {0: 0.1, 10: 0.02, 20: 0.93, 30: 1.0},
            "it is 0.02 at step 10 and 0.93 at step 20: save more checkpoints around there",
        ),
        (
            {10: 0.9, 20: 0.95, 30: 1.0},
            "no checkpoint has an agreement of about 0.25 with the final one; it is 0.90 at step 10",
        ),
    ],
)
def test_trajectories_without_an_answer(tmp_path, agreements, message):
    with pytest.raises(ValueError, match=message):
        choose_checkpoint(made(tmp_path, agreements), INPUTS)


def test_arguments_without_an_answer(tmp_path):
    trajectory = made(tmp_path / "made", PLATEAU_JUMP_AFTER)
    with pytest.raises(ValueError, match=r"agreement must be between 0 and 1, got 1\.5"):
        choose_checkpoint(trajectory, INPUTS, agreement=1.5)
    with pytest.raises(ValueError, match="at least one example, got none"):
        choose_checkpoint(trajectory, INPUTS[:0])
    constant = Trajectory.create(tmp_path / "constant", model_with(0.0), SparseParity(1, 1))
    with pytest.raises(ValueError, match="is empty"):
        choose_checkpoint(constant, INPUTS)
    for step in (1, 2, 3):
        constant.save(step, model_with(0.0))
    with pytest.raises(ValueError, match="predicts the same for every input"):
        choose_checkpoint(constant, INPUTS)


def test_regret_counts_students_that_never_learned_as_the_budget_and_abstention_as_one_shot():
    steps, agreements = [10, 20, 30, 40], [0.01, 0.25, 0.9, 1.0]
    history = pd.DataFrame(
        {
            "setting": "a",
            "seed": 0,
            "step": steps,
            "accuracy": 0.5,
            "loss": [0.7, 0.69, 0.05, 0.0],  # falls between two checkpoints
            "agreement": agreements,
            "movement": [np.nan, 0.3, 0.2, 0.1],
            "correlation": [0.0, 0.1, 0.2, 0.0],
        }
    )
    needed = {10: (None, 600), 20: (200, 300), 30: (500, None), 40: (None, None)}
    students = pd.DataFrame(
        [
            {
                "setting": "a",
                "seed": 0,
                "checkpoint": step,
                "student": i,
                "steps": s,
                "reached": s is not None,
                "budget": 1000,
            }
            for step, both in needed.items()
            for i, s in enumerate(both)
        ]
    )
    found = regrets(history, students).set_index("rule")
    assert found["checkpoint"].dropna().to_dict() == {
        "best": 20, "agreement": 20, "steepest": 30, "movement": 20, "correlation": 30, "median": 10, "one-shot": 40,
    }  # fmt: skip
    assert found["steps"].to_dict() == {
        "best": 250, "agreement": 250, "loss": 1000, "steepest": 750, "movement": 250, "correlation": 750,
        "median": 800, "one-shot": 1000,
    }  # fmt: skip
    assert found["regret"]["correlation"] == 3
    assert found["learned"][["agreement", "correlation", "one-shot"]].tolist() == [1, 0.5, 0]
    assert pd.isna(found["checkpoint"]["loss"])


def test_a_peak_of_correlations_comes_with_its_chance():
    rng = np.random.default_rng(0)
    noise = {(seed, step): np.abs(rng.normal(0, 0.01, 20)) for seed in (0, 1) for step in (10, 20, 30)}
    noise[0, 20][:3] += 0.1  # the support of seed 0 stands out, that of seed 1 doesn't
    curriculum = pd.DataFrame(
        [
            {"seed": seed, "step": step, "inside": i < 3, "value": value}
            for (seed, step), values in noise.items()
            for i, value in enumerate(values)
        ]
    )
    found = peaks(curriculum)
    assert found.columns.tolist() == ["seed", "step", "chance"]
    assert found["seed"].tolist() == [0, 1]
    assert found["step"][0] == peak_step(curriculum[curriculum["seed"] == 0]) == 20
    assert found["chance"][0] < 0.05 < found["chance"][1]
