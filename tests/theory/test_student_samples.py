"""Samples that whole two-stage students need: what is drawn, what teaches, and how a growth is fitted."""

import numpy as np
import pandas as pd
import pytest

from pdtutor import theory
from pdtutor.theory.algorithm import _drawn


@pytest.mark.parametrize("n", [5, 2**9, 2**9 + 1, 10**6])
def test_inputs_are_drawn_n_times_in_all_and_evenly(n):
    drawn = list(_drawn(np.random.default_rng(0), n, 9))
    times = np.concatenate([times for _, times in drawn])
    means = sum(times @ x for x, times in drawn) / n
    assert times.sum() == n
    assert np.abs(means).max() < 5 / np.sqrt(n)


def test_a_sampled_teacher_tends_to_the_exact_one():
    exact = theory.stage_one_teacher(9, [1, 4], width=6, seed=3)
    sampled = theory.stage_one_teacher(9, [1, 4], width=6, seed=3, samples=10**8)
    rough = theory.stage_one_teacher(9, [1, 4], width=6, seed=3, samples=50)
    np.testing.assert_allclose(sampled.weights, exact.weights, atol=2e-3)
    assert np.abs(rough.weights - exact.weights).max() > 0.05
    np.testing.assert_array_equal(sampled.biases, exact.biases)
    np.testing.assert_array_equal(sampled.weights[:3], -sampled.weights[3:])


def test_the_final_teacher_is_followed_in_all_steps_and_in_stage_2():
    same = {"stage1_samples": 30_000, "steps": 2, "support": [0, 2], "width": 16, "seed": 0}
    labels = theory.two_stage(9, 2, **same)
    given = theory.two_stage(9, 2, **same, final=lambda x: theory.parity(x, [0, 2]))
    opposite = theory.two_stage(9, 2, **same, final=lambda x: -theory.parity(x, [0, 2]))
    np.testing.assert_allclose(given.network.readout, labels.network.readout)
    assert labels.accuracy > 0.95
    assert opposite.accuracy < 0.05


def test_degree_one_energy_is_per_coordinate_and_a_share_of_all():
    found = theory.degree_one_energy(lambda x: 2 * x[:, 0] + 2 * x[:, 1] + x[:, 2], [0, 1], 4)
    assert found["inside"] == pytest.approx(4 / 9, abs=0.03)
    assert found["outside"] == pytest.approx(1 / 18, abs=0.01)
    assert found["share"] == pytest.approx(8 / 9, abs=0.02)


def test_the_support_appears_in_a_wide_teacher_where_the_derivation_says():
    for width in (2, 32):
        n, ratios = theory.samples_to_appear(15, 4, width=width), {}
        for times in (0.05, 1, 20):
            found = [
                theory.degree_one_energy(
                    theory.stage_one_teacher(15, range(4), width=width, seed=s, samples=int(times * n)), range(4), 15
                )
                for s in range(40)
            ]
            ratios[times] = np.mean([one["inside"] for one in found]) / np.mean([one["outside"] for one in found])
        assert ratios[0.05] < 1.4
        assert 1.4 < ratios[1] < 3 < ratios[20]
    assert n == pytest.approx(17 / 4 / theory.threshold_coefficient(15, 3) ** 2)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_flawed_label_is_the_label_plus_an_error_of_one_degree(degree):
    x = theory.hypercube(6)
    output = theory.flawed_label([0, 2, 3, 5], degree=degree, size=0.5)(x)
    energy = theory.degree_weights(output)
    assert theory.fourier_coefficient(output, [0, 2, 3, 5]) == pytest.approx(1)
    assert energy[degree] == pytest.approx(0.25)
    assert energy.sum() == pytest.approx(1.25)
    assert theory.fourier_coefficient(output, [1, 2, 3][:degree]) == pytest.approx(0)


def test_a_learning_curve_doubles_until_it_has_learned_twice():
    curve = theory.learning_curve(7, 2, seed=0, error=0.05, smallest=32, largest=2**14)
    assert (curve["samples"] == 32 * 2 ** np.arange(len(curve))).all()
    assert (curve["error"].iloc[-2:] <= 0.05).all()
    never = theory.learning_curve(7, 2, seed=0, error=0.0001, smallest=32, largest=64, final=lambda x: x[:, 0])
    assert never["samples"].tolist() == [32, 64]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.05, 0.2, 0.01], 400 / 2 ** (np.log(0.1 / 0.01) / np.log(20))),
        ([0.05, 0.01, 0.0], 100),
        ([0.5, 0.4, 0.3], None),
    ],
)
def test_samples_to_reach_interpolates_after_the_last_look_above(errors, expected):
    found = theory.samples_to_reach(pd.DataFrame({"samples": [100, 200, 400], "error": errors}), 0.1)
    assert np.isnan(found) if expected is None else found == pytest.approx(expected)


def law(exponents, factors=(1, 1, 1)):
    return pd.DataFrame(
        [
            {"seed": s, "d": d, "samples": factor * d**e}
            for s, (e, factor) in enumerate(zip(exponents, factors, strict=True))
            for d in (10, 20, 40)
        ]
    )


def test_a_bootstrap_slope_has_the_fitted_exponent_and_resamples_seeds():
    fit = theory.bootstrap_slope(law([1.0, 2.0, 3.0]), "d", "samples")
    assert fit.exponent == pytest.approx(2)
    assert (fit.low, fit.high) == (pytest.approx(1), pytest.approx(3))
    exact = theory.bootstrap_slope(law([2.0] * 3), "d", "samples")
    assert exact == pytest.approx((2, 2, 2))


def test_a_difference_of_slopes_is_paired_by_seed():
    fit = theory.bootstrap_slope(law([1.0, 2.0, 3.0]), "d", "samples", minus=law([0.5, 1.5, 2.5], (3, 3, 3)))
    assert fit == pytest.approx((0.5, 0.5, 0.5))


def test_a_student_has_eight_units_for_each_pattern_of_signs_on_the_support():
    assert [theory.student_width(k) for k in (2, 4, 6)] == [32, 128, 512]
