"""The parts of pdtutor.theory that draw samples: the two-stage algorithm, and sample complexity."""

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdtutor import theory
from pdtutor.theory.samples import gated_sums, gated_sums_plain, pack_signs, separates, unpack_signs

# The two-stage algorithm


@pytest.mark.parametrize("d", [12, 13])
def test_stage_one_teacher_is_odd_and_blind_to_the_even_parity(d):
    support = [0, 3, 5, 8]
    x = theory.hypercube(d)
    table = theory.stage_one_teacher(d, support, width=32, seed=1)(x)
    np.testing.assert_allclose(table, -table[::-1], atol=1e-6)  # row 2^d − 1 − i is the negated row i
    assert theory.fourier_coefficient(table, support) == pytest.approx(0, abs=1e-7)
    share = theory.degree_weights(table)[1] / np.mean(table**2)
    assert share > 0.85


def test_teachers_of_one_seed_agree_on_the_support():
    small, large = (theory.stage_one_teacher(d, range(4), width=8, seed=5) for d in (15, 41))
    ratio = small.weights[:, :4] / large.weights[:, :4]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    np.testing.assert_array_equal(small.biases, large.biases)


def test_teacher_weights_are_the_population_step():
    d, support = 9, [0, 1, 4, 6]
    net = theory.stage_one_teacher(d, support, width=6, seed=2)
    labels = theory.parity(theory.hypercube(d), support)
    sampled = theory.two_stage(d, 4, support=support, stage1_samples=200_000, stage2_samples=10, width=6, seed=0)
    for result in (net, sampled.stage_one):
        inside = np.abs(result.weights[:, support]).mean()
        outside = np.abs(np.delete(result.weights, support, axis=1)).mean()
        expected = theory.population_gradient(np.ones(d), labels)
        assert outside / inside == pytest.approx(abs(expected[2] / expected[0]), rel=0.15)


def test_degree_one_coefficients_are_relative_to_the_rms():
    found = theory.degree_one_coefficients(lambda x: 3 * x[:, 0] - 3 * x[:, 2], 4)
    np.testing.assert_allclose(found, [sqrt(0.5), 0, -sqrt(0.5), 0], atol=0.03)


def test_one_step_on_labels_solves_a_small_parity_given_enough_samples():
    few = theory.two_stage(15, 4, stage1_samples=1000, seed=0)
    many = theory.two_stage(15, 4, stage1_samples=300_000, seed=0)
    assert few.accuracy < 0.65
    assert many.accuracy > 0.95
    assert many.samples == 304_000
    in_support = np.abs(many.stage_one.weights[:, many.support]).mean()
    assert in_support > 2 * np.abs(many.stage_one.weights).mean()


def test_an_intermediate_teacher_solves_it_where_labels_cannot():
    support, settings_ = [2, 9, 20, 33], {"stage1_samples": 100_000, "steps": 3, "seed": 1}
    teacher = theory.stage_one_teacher(51, support, seed=1)
    taught = theory.two_stage(51, 4, support=support, teacher=teacher, **settings_)
    labelled = theory.two_stage(51, 4, support=support, **settings_)
    assert taught.accuracy > 0.8
    assert labelled.accuracy < 0.6


def test_the_teachers_scale_does_not_matter():
    teacher = theory.stage_one_teacher(21, range(4), seed=0)
    same = {"support": range(4), "stage1_samples": 500, "stage2_samples": 500, "width": 16, "seed": 0}
    first = theory.two_stage(21, 4, teacher=teacher, **same)
    second = theory.two_stage(21, 4, teacher=lambda x: 1024 * teacher(x), **same)
    np.testing.assert_allclose(first.stage_one.weights, second.stage_one.weights, rtol=1e-5)


def test_a_run_repeats_itself():
    first, second = (theory.two_stage(15, 2, stage1_samples=500, width=8, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.network.readout, second.network.readout)
    assert first.accuracy == second.accuracy


# Sample complexity


@given(st.integers(1, 64), st.integers(1, 50), st.integers(-9, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_compiled_kernel_equals_its_plain_twin(d, n, bias, seed):
    rng = np.random.default_rng(seed)
    x, signs = rng.choice([-1, 1], size=(n, d)), rng.choice([-1, 1], size=d)
    targets = rng.integers(-5, 6, size=n).astype(float)
    words = pack_signs(x)
    np.testing.assert_array_equal(unpack_signs(words, d), x)
    fast = gated_sums(words, pack_signs(signs[None])[0], targets, d, bias=bias)
    np.testing.assert_array_equal(fast, gated_sums_plain(x, signs, targets, bias=bias))


def test_a_separation_that_does_not_last_does_not_count():
    seen = 0

    def targets_of(words):  # the support is {0}: it stands out after 20 samples, drowns after 60, and wins after 1000
        nonlocal seen
        x = unpack_signs(words, 5)
        steps = np.arange(seen, seen + len(words))
        seen += len(words)
        size = np.select([steps < 20, steps < 60, steps < 1000], [1, 3, 10], 100)
        return size * np.where((steps < 20) | ((steps >= 60) & (steps < 1000)), x[:, 1], x[:, 0])

    rng = np.random.default_rng(0)
    assert 1000 < theory.samples_to_separate(targets_of, np.ones(5), [0], rng=rng) < 1500


def test_separates_compares_magnitudes():
    assert separates(np.array([-3.0, 1, 2, -1]), [0, 2])
    assert not separates(np.array([-3.0, 1, 2, -2.5]), [0, 2])


def test_sample_complexity_is_one_long_table_and_labels_cost_more():
    frame = theory.sample_complexity([15, 31], k=2, seeds=range(6), progress=False)
    assert list(frame.columns) == ["d", "k", "supervision", "seed", "samples"]
    assert len(frame) == 2 * 2 * 6
    medians = frame.groupby("supervision")["samples"].median()
    assert medians["labels"] > 5 * medians["teacher"]


def test_a_run_that_never_separates_is_nan():
    frame = theory.sample_complexity([31], k=4, supervision=["labels"], seeds=[0], max_samples=1000, progress=False)
    assert isnan(frame["samples"][0])


def test_fit_slope_recovers_a_power_law_and_its_error():
    x = np.array([1.0, 2, 4, 8, 16])
    exact = theory.fit_slope(x, 3 * x**2.5)
    assert exact.exponent == pytest.approx(2.5)
    assert exact.prefactor == pytest.approx(3)
    assert exact.stderr == pytest.approx(0, abs=1e-10)
    # Against the textbook formula through the normal equations.
    y = np.array([1.0, 3, 5, 20, 30])
    design = np.column_stack([np.ones(5), np.log(x)])
    solution, residual, *_ = np.linalg.lstsq(design, np.log(y), rcond=None)
    covariance = residual[0] / 3 * np.linalg.inv(design.T @ design)
    found = theory.fit_slope(x, y)
    assert found.exponent == pytest.approx(solution[1])
    assert found.stderr == pytest.approx(sqrt(covariance[1, 1]))
