"""pdtutor.theory against brute force: every closed form has an enumeration or a plain twin here."""

from itertools import combinations
from math import comb, isinf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdtutor import theory

dimensions = st.integers(1, 8)


def random_table(d, seed):
    return np.random.default_rng(seed).normal(size=2**d)


# Walsh–Fourier


def test_hypercube_sets_x_to_minus_one_where_the_bit_is_set():
    assert theory.hypercube(2).tolist() == [[1, 1], [-1, 1], [1, -1], [-1, -1]]


@given(dimensions, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_coefficients_equal_the_defining_expectation(d, seed):
    table, x = random_table(d, seed), theory.hypercube(d)
    coefficients = theory.fourier_coefficients(table)
    for size in range(d + 1):
        for subset in combinations(range(d), size):
            expected = np.mean(table * theory.parity(x, subset))
            assert coefficients[theory.subset_index(subset, d)] == pytest.approx(expected, abs=1e-12)
            assert theory.fourier_coefficient(table, subset) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_parseval_and_inversion(d, seed):
    table = random_table(d, seed)
    coefficients = theory.fourier_coefficients(table)
    assert np.sum(coefficients**2) == pytest.approx(np.mean(table**2))
    np.testing.assert_allclose(theory.walsh_hadamard(coefficients), table, atol=1e-10)
    weights = theory.degree_weights(table)
    assert weights.shape == (d + 1,)
    assert weights.sum() == pytest.approx(np.mean(table**2))


def test_a_parity_has_one_coefficient_and_one_degree():
    table = theory.parity(theory.hypercube(6), [1, 3, 4])
    expected = np.zeros(64)
    expected[0b011010] = 1
    np.testing.assert_array_equal(theory.fourier_coefficients(table), expected)
    np.testing.assert_array_equal(theory.degree_weights(table), [0, 0, 0, 1, 0, 0, 0])


def test_the_transform_leaves_its_input_alone():
    table = np.ones(8)
    theory.walsh_hadamard(table)
    np.testing.assert_array_equal(table, np.ones(8))


# Threshold coefficients


@pytest.mark.parametrize("d", [1, 2, 5, 8, 11, 15])
@pytest.mark.parametrize("bias", [-3, -1, -0.5, 0, 0.5, 1, 2, 3, 40, -40])
def test_threshold_coefficients_equal_brute_force(d, bias):
    table = (theory.hypercube(d).sum(axis=1, dtype=int) + bias >= 0).astype(float)
    coefficients = theory.fourier_coefficients(table)
    for degree in range(d + 1):
        brute = coefficients[theory.subset_index(range(degree), d)]
        assert theory.threshold_coefficient(d, degree, bias=bias) == pytest.approx(brute, abs=1e-14)


@pytest.mark.parametrize("bias", [1, -1])
def test_the_four_coefficients_at_d_100(bias):
    found = [abs(theory.threshold_coefficient(100, degree, bias=bias)) for degree in (1, 3, 5, 7)]
    assert [f"{value:.2e}" for value in found] == ["3.98e-02", "4.02e-04", "1.24e-05", "6.54e-07"]


def test_no_overflow_at_d_1000():
    found = [theory.threshold_coefficient(1000, degree) for degree in (1, 3, 5, 999)]
    # ξ_1 is half the chance that the other 999 coordinates are one apart: C(999, 499)/2^1000, about 1/√(2π·1000).
    assert found[0] == comb(999, 499) / 2**1000
    assert found[0] == pytest.approx(1 / sqrt(2 * np.pi * 1000), rel=1e-3)
    assert all(0 < abs(value) < 1 for value in found)


@given(st.integers(0, 200).map(lambda n: 2 * n + 1), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_an_odd_threshold_has_no_even_degrees(d, half_degree):
    degree = 2 * half_degree
    if degree <= d:
        assert theory.threshold_coefficient(d, degree, bias=0) == 0


@pytest.mark.parametrize("k", [2, 4, 6])
def test_fourier_gap_scales_as_the_theory_says(k):
    dims = [301, 601, 1201]
    fit = theory.fit_slope(dims, [theory.fourier_gap(d, k) for d in dims])
    assert fit.exponent == pytest.approx(-(k - 1) / 2, abs=0.02)
    samples = theory.fit_slope(dims, [theory.predicted_samples(d, k) for d in dims])
    assert k - 1 < samples.exponent < k - 1 + 0.25  # the logarithm of d adds a little


def test_gap_without_signal_and_without_outsiders():
    assert theory.fourier_gap(21, 3) == 0
    assert isinf(theory.predicted_samples(21, 3))
    assert theory.fourier_gap(4, 4) == abs(theory.threshold_coefficient(4, 3))


# Population gradients


@given(st.integers(1, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_closed_gradient_equals_enumeration(d, data):
    signs = np.array(data.draw(st.lists(st.sampled_from([-1, 1]), min_size=d, max_size=d)))
    support = data.draw(st.sets(st.integers(0, d - 1), min_size=1))
    bias = data.draw(st.sampled_from([-3, -1, -0.4, 0, 0.4, 1, 2]))
    readout = data.draw(st.sampled_from([-2.0, 0.5, 1.0]))
    labels = theory.parity(theory.hypercube(d), support)
    exact = theory.population_gradient(signs, labels, bias=bias, readout=readout)
    closed = theory.parity_gradient(signs, support, bias=bias, readout=readout)
    np.testing.assert_allclose(closed, exact, rtol=0, atol=1e-12)


def test_gradient_is_the_derivative_of_the_hinge_loss():
    d, support, step = 7, [0, 2, 5], 1e-4
    x = theory.hypercube(d)
    labels = theory.parity(x, support)
    rng = np.random.default_rng(0)
    weights, readout, bias = rng.normal(size=d), 1e-3, 0.3  # a small readout keeps every margin active

    def loss(w):
        return np.mean(np.maximum(0, 1 - labels * readout * np.maximum(x @ w + bias, 0)))

    numeric = [(loss(weights + step * e) - loss(weights - step * e)) / (2 * step) for e in np.eye(d)]
    exact = theory.population_gradient(weights, labels, bias=bias, readout=readout)
    np.testing.assert_allclose(numeric, exact, atol=1e-9)


def test_an_odd_teacher_adds_half_its_degree_one_coefficient():
    d = 9
    teacher = theory.stage_one_teacher(d, [1, 2, 4, 7], width=8, seed=3)
    table = teacher(theory.hypercube(d))
    degree_one = [theory.fourier_coefficient(table, [j]) for j in range(d)]
    signs = np.random.default_rng(1).choice([-1, 1], size=d)
    gradient = theory.population_gradient(signs, table, readout=1.0)
    np.testing.assert_allclose(gradient, -0.5 * np.array(degree_one), atol=1e-7)  # the teacher is float32


# Bad input names the value and what is allowed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.hypercube(21), r"at most 20.*got 21"),
        (lambda: theory.hypercube(0), r"d must be a whole number of at least 1, got 0"),
        (lambda: theory.hypercube(2.5), r"d must be a whole number.*got 2\.5"),
        (lambda: theory.walsh_hadamard(np.ones(6)), r"2\^d.*shape \(6,\)"),
        (lambda: theory.walsh_hadamard(np.ones(1)), r"shape \(1,\)"),
        (lambda: theory.walsh_hadamard(np.ones((2, 2))), r"one axis.*shape \(2, 2\)"),
        (lambda: theory.fourier_coefficient(np.ones(4), [2]), r"0…1, got \[2\]"),
        (lambda: theory.parity(np.ones((3, 4)), [0, 0]), r"distinct, got \[0, 0\]"),
        (lambda: theory.threshold_coefficient(10, 11), r"degree must be at most d = 10, got 11"),
        (lambda: theory.threshold_coefficient(10, -1), r"degree must be .* at least 0, got -1"),
        (lambda: theory.threshold_coefficient(10, 1, bias=float("nan")), r"bias must be a finite number, got nan"),
        (lambda: theory.fourier_gap(10, 0), r"k must be .* at least 1, got 0"),
        (lambda: theory.fourier_gap(10, 11), r"k must be at most d = 10, got 11"),
        (lambda: theory.predicted_samples(4, 4), r"k must be less than d = 4.*got 4"),
        (lambda: theory.population_gradient(np.ones(3), np.ones(4)), r"\(8,\).*got shape \(4,\)"),
        (lambda: theory.population_gradient(np.ones((2, 3)), np.ones(4)), r"one neuron.*got shape \(2, 3\)"),
        (lambda: theory.population_gradient(np.ones(25), np.ones(4)), r"at most 20.*got 25.*closed forms"),
        (lambda: theory.parity_gradient(np.full(4, 0.5), [0]), r"weights ±1.*got array"),
        (lambda: theory.parity_gradient(np.ones(4), []), r"at least one coordinate, got none"),
        (lambda: theory.stage_one_teacher(9, [0, 1, 2]), r"k = 3 at d = 9.*even k"),
        (lambda: theory.stage_one_teacher(9, [0, 1], width=3), r"width must be even.*got 3"),
        (lambda: theory.stage_one_teacher(9, [0, 9]), r"0…8, got \[0, 9\]"),
        (lambda: theory.degree_one_coefficients(lambda x: 0 * x[:, 0], 3), r"0 on every sample"),
        (lambda: theory.two_stage(5, 6, stage1_samples=10), r"k must be at most d = 5, got 6"),
        (lambda: theory.two_stage(5, 2, stage1_samples=10, width=5), r"width must be even.*got 5"),
        (lambda: theory.two_stage(5, 2, stage1_samples=2, steps=3), r"steps = 3, stage1_samples = 2"),
        (lambda: theory.two_stage(5, 2, stage1_samples=10, support=[1]), r"k = 2 coordinates, got 1: \[1\]"),
        (lambda: theory.sample_complexity([20]), r"d must be odd.*got 20"),
        (lambda: theory.sample_complexity([65]), r"63.*got 65"),
        (lambda: theory.sample_complexity([21], k=3), r"k must be even.*got 3"),
        (lambda: theory.sample_complexity([5], k=6), r"k must be less than d = 5.*got 6"),
        (lambda: theory.sample_complexity([21], supervision=["label"]), r"'labels', 'teacher'\], got \['label'\]"),
        (lambda: theory.fit_slope([1, 2], [1, 2]), r"at least 3 pairs.*got 2 x and 2 y"),
        (lambda: theory.fit_slope([1, 2, 3], [1, 2, 0]), r"positive"),
        (lambda: theory.fit_slope([1, 2, 3], [1, 2, float("nan")]), r"finite"),
    ],
)
def test_bad_input_is_a_value_error_that_says_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
