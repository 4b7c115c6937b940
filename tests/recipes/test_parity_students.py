"""Controls of C₁, and temperatures: what the recipes of lesson 3 compute besides training."""

import numpy as np
import pandas as pd
import pytest
import torch

from pdtutor import FINAL, MLP, SGD, FunctionTeacher, SparseParity, n_shot, train
from pdtutor.recipes import catalogue
from pdtutor.recipes.parity_first_checkpoint import first_steps, parts_of, rank_correlations, renamed, support_energy
from pdtutor.recipes.parity_logits import answers, logit_coefficients
from pdtutor.recipes.parity_temperature import CHANGES, best_rates, changed_logits, logit_table

TASK = SparseParity(10, 3)


@pytest.fixture(scope="module")
def teacher():
    model = MLP(10, width=64, seed=[0])
    return train(model, TASK, steps=600, save_every=50, optimizer=SGD(lr=0.2), progress=False).trajectory


def test_a_renamed_teacher_treats_other_coordinates_as_the_original_treats_the_support(teacher):
    x = torch.from_numpy(TASK.sample(np.random.default_rng(0), 200)[0])
    outside = [j for j in range(10) if j not in TASK.support][:3]
    exchanged = x.clone()
    exchanged[:, outside], exchanged[:, list(TASK.support)] = x[:, list(TASK.support)], x[:, outside]
    torch.testing.assert_close(renamed(teacher, 600, TASK)(x), answers(teacher, 600)(exchanged))
    with pytest.raises(ValueError, match="needs d ≥ 2k, got d = 5 and k = 3"):
        renamed(teacher, 600, SparseParity(5, 3))


def test_first_checkpoints_are_dense_until_the_teacher_has_learned(teacher):
    accuracy = pd.Series({step: 1.0 if step >= 300 else 0.5 for step in teacher.steps})
    assert first_steps(teacher, accuracy, 3, peak=150) == [0, 100, 150, 200, 300, 450, 600]


def test_rank_correlations_are_those_of_each_teacher_s_own_candidates():
    table = pd.DataFrame(
        {
            "seed": [0] * 4 + [1] * 4,
            "checkpoint": [100, 200, 300, 400] * 2,
            "teacher": [0.5, 0.6, 0.7, 1.0] * 2,
            "correlation": [1, 2, 3, 0] * 2,
            "hard": [3, 2, 1, 0] * 2,
            "signal": [1.0] * 8,
            **{name: range(8) for name in ("signal_outside", "energy_1", "energy_between", "energy_label")},
            "steps": pd.array([300, 200, 100, None, 3000, 2000, 1000, None], dtype="Int64"),
        }
    )
    found = rank_correlations(table, budget=5000).set_index(["candidates", "predictor"])
    assert found.loc[("all", "correlation"), "rank_correlation"] == pytest.approx(-1)
    before = found.loc["in the transition"]
    assert before.loc["hard", "rank_correlation"] == pytest.approx(1)
    assert before.loc["signal", "teachers"] == 0  # all alike
    assert before.loc["hard", ["low", "high", "number"]].tolist() == pytest.approx([1, 1, 4])


def test_the_best_rate_has_the_fewest_steps_and_then_the_highest_accuracy():
    tuning = pd.DataFrame(
        {
            "method": ["a"] * 4 + ["b"] * 2,
            "rate": [0.1, 0.1, 0.2, 0.2, 0.1, 0.2],
            "steps": pd.array([100, 100, 90, None, None, None], dtype="Int64"),
            "final_accuracy": [1, 1, 1, 0.5, 0.6, 0.7],
        }
    )
    assert best_rates(tuning, budget=1000) == {"a": 0.1, "b": 0.2}


def test_changed_teachers_lose_or_keep_just_these_monomials(teacher):
    coefficients = logit_coefficients(teacher, 600, TASK, examples=4096)
    assert len(coefficients) == 2**3 + 7
    assert coefficients[TASK.support] > 1  # the label as a sign
    x = torch.from_numpy(TASK.sample(np.random.default_rng(5), 20_000)[0])
    sizes = {}
    for change in CHANGES:
        z = (changed_logits(teacher, coefficients, TASK, change)(x) * torch.tensor([1.0, -1.0])).sum(1)
        sizes[change] = [float((z * x[:, list(a)].prod(1)).mean()) for a in ((0,), TASK.support[:2], TASK.support)]
    label = coefficients[TASK.support]
    assert sizes["unchanged"][2] == pytest.approx(label, abs=0.15)
    assert abs(sizes["without degree 1"][0]) < 0.15
    assert sizes["without degree 1"][1] == pytest.approx(coefficients[TASK.support[:2]], abs=0.15)
    assert abs(sizes["without degrees 1 to k − 1"][1]) < 0.15
    assert sizes["label only"] == pytest.approx([0, 0, label], abs=0.15)
    table = logit_table({0: coefficients}, TASK)
    assert table[["degree", "inside", "number"]].to_numpy().tolist() == [[1, False, 7], [1, True, 3], [2, True, 3]]


def test_temperatures_need_seeds_for_tuning_and_seeds_to_count(tmp_path):
    recipe = catalogue.recipe("parity-temperature", "laptop")
    with pytest.raises(ValueError, match="the first 3 seeds choose the learning rates: give more than that, got 3"):
        recipe.run(seeds=3, out=tmp_path)


def test_a_factor_on_the_loss_is_a_factor_on_the_rate_for_plain_sgd():
    """So a grid of rates covers τ², too."""
    weights = []
    for factor, rate in ((16.0, 0.01), (1.0, 0.16)):
        torch.manual_seed(0)
        student = torch.nn.Sequential(torch.nn.Linear(10, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).double()
        optimizer = torch.optim.SGD(student.parameters(), lr=rate)
        rng = np.random.default_rng(0)
        for _ in range(50):
            x, y = TASK.sample(rng, 32)
            loss = factor * torch.nn.functional.cross_entropy(
                student(torch.from_numpy(x).double()), torch.from_numpy(y)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        weights.append(student[0].weight.detach())
    torch.testing.assert_close(*weights)


def test_controls_are_the_spike_and_teachers_that_know_nothing_of_the_support(teacher):
    recipe = catalogue.recipe("parity-first-checkpoint", "smoke")
    controls = recipe.controls(teacher, {0: 150})
    stages = {name: method(0).stages(500) for name, method in controls.items()}
    assert stages["the spike"] == n_shot([150, FINAL], each=100).stages(teacher.steps, 500)
    assert stages["untrained"] == [(0, 0), (100, 600)]
    assert stages["another support"] == [(0, 0), (100, 1)]
    assert stages["no C₁ (one-shot)"] == [(0, 600)]


def test_parts_of_a_checkpoint_are_its_degree_1_and_what_is_left_without_degree_1_or_without_the_label(teacher):
    x = torch.from_numpy(TASK.sample(np.random.default_rng(5), 20_000)[0])
    parts = parts_of(teacher, 150, TASK)
    original = answers(teacher, 150)(x) @ torch.tensor([1.0, -1.0])

    def size(z, a):
        return float((z * x[:, list(a)].prod(1)).mean())

    for name, kept in {"degree 1 alone": (1, 0), "without degree 1": (0, 1), "without the label": (1, 0)}.items():
        z = parts[name](x) @ torch.tensor([1.0, -1.0])
        one, label = (TASK.support[0],), TASK.support
        assert size(z, one) == pytest.approx(kept[0] * size(original, one), abs=0.05)
        assert size(z, label) == pytest.approx(kept[1] * size(original, label), abs=0.05)


def test_the_energies_of_the_label_and_of_one_coordinate():
    probe = support_energy(TASK, groups=8)
    j = TASK.support[0]
    for function, degree in ((lambda x: x[:, list(TASK.support)].prod(1), 3), (lambda x: x[:, j], 1)):
        z = FunctionTeacher(lambda x, f=function: torch.stack([f(x), -f(x)], 1), classes=2, name="one").at(0)
        energies = probe(z).set_index("degree")["energy"]
        assert energies.to_dict() == pytest.approx({1: 0, 2: 0, 3: 0} | {degree: 1}, abs=1e-6)
