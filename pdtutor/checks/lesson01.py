"""Checkers for the exercises of lesson 1, sparse parity and its theory (notebooks/01_sparse_parity_theory.py).

Expected answers are computed here in plain numpy, without `pdtutor.theory`, so that each can catch a mistake in the
other.
"""

from collections.abc import Callable

import numpy as np

from pdtutor.checks.core import Case, check

# All inputs of d = 3, (8, 3).
CUBE = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [-1, -1, 1], [1, 1, -1], [-1, 1, -1], [1, -1, -1], [-1, -1, -1]])


def parity_label(function: Callable) -> None:
    """Check `function(x, support)`: x (n, d) with entries ±1 and a list of coordinates → the labels ±1, (n,)."""
    x = np.array([[1, 1, 1, 1], [-1, 1, 1, 1], [-1, -1, 1, -1], [1, -1, -1, 1]])
    support = [0, 2, 3]
    picked = x[:, support]
    mistakes = {
        "a parity multiplies its coordinates; you added them.": picked.sum(axis=1),
        "only the coordinates in the support count; you multiplied all d of them.": x.prod(axis=1),
        "multiply along axis 1, over the coordinates: one label for each of the n inputs.": picked.prod(axis=0),
        "labels must be ±1; the number of −1s modulo 2 is 0 or 1.": (picked == -1).sum(axis=1) % 2,
        "the sign is flipped: an even number of −1s multiplies to +1.": -picked.prod(axis=1),
    }
    check(
        "parity_label",
        function,
        [
            Case({"x": x, "support": support}, picked.prod(axis=1), mistakes),
            Case({"x": x, "support": [1]}, x[:, 1]),
        ],
        hint="x[:, support] picks the columns, shape (n, k); multiply them along axis 1.",
        success="your labels are the products over the support, one for each input.",
    )


def coefficient(function: Callable) -> None:
    """Check `function(f, x, subset)`: values f (n,) at the inputs x (n, d), a list of coordinates → f̂(subset)."""
    f = np.sign(CUBE.sum(axis=1)) + 0.25  # majority, and a mean to tell E[f] from E[χ]
    subset = [0, 1, 2]
    character = CUBE.prod(axis=1)
    mistakes = {
        "this is the sum over the inputs; an expectation divides it by their number.": np.sum(f * character),
        "you returned one product per input; average them.": f * character,
        "this is E[f]: the parity of the subset is missing.": np.mean(f),
        "this is E[χ]: f itself is missing.": np.mean(character),
        "take no absolute value: a coefficient has a sign.": abs(np.mean(f * character)),
    }
    shifted = CUBE[:, 1] * 2.0 + 0.25
    check(
        "coefficient",
        function,
        [
            Case({"f": f, "x": CUBE, "subset": subset}, np.mean(f * character), mistakes),
            Case({"f": shifted, "x": CUBE, "subset": [1]}, 2.0),
            Case(
                {"f": shifted, "x": CUBE, "subset": []},
                0.25,
                {"the parity of the empty subset is 1 everywhere, so its coefficient is the mean of f.": 0.0},
            ),
        ],
        hint="f̂(S) = E[f(x)·χ_S(x)]: multiply f by the parity of the columns in S, then take the mean.",
        success="majority on three bits has −1/2 on all three together, and the empty subset gives the mean.",
    )


def descent_direction(function: Callable) -> None:
    """Check `function(signs, support, xi_inside, xi_outside)`: weights ±1 (d,) → −∂L/∂w (d,) for readout 1."""
    signs, support = np.array([-1, -1, -1, 1, -1, 1]), [0, 1, 3, 4]
    inside = np.isin(np.arange(6), support)
    character = signs[support].prod()
    xi_inside, xi_outside = -0.0625, 0.03125
    expected = character * signs * np.where(inside, xi_inside, xi_outside)
    mistakes = {
        "the sign is that of the gradient; descent moves against it.": -expected,
        "the two coefficients are swapped: ξ_{k−1} belongs to the support.": character
        * signs
        * np.where(inside, xi_outside, xi_inside),
        "for j in S the product runs over S without j, so it has one factor w_j less. You kept all of S.": character
        * np.where(inside, xi_inside, xi_outside * signs),
        "for j outside S the product has one more factor, w_j.": character
        * np.where(inside, xi_inside * signs, xi_outside),
        "the product of the signs, χ, is missing.": np.where(inside, xi_inside, xi_outside),
        "the coordinates outside S get ξ_{k+1}; they are not 0.": np.where(inside, expected, 0),
    }
    given = {"signs": signs, "support": support, "xi_inside": xi_inside, "xi_outside": xi_outside}
    check(
        "descent_direction",
        function,
        [Case(given, expected, mistakes)],
        hint="ξ_{k−1}·χ_{S∖j}(w) for j in S, ξ_{k+1}·χ_{S∪j}(w) for j outside; χ is the product of the signs.",
        success="inside ξ_{k−1}·χ_{S∖j}(w), outside ξ_{k+1}·χ_{S∪j}(w).",
    )


def samples_to_resolve(function: Callable) -> None:
    """Check `function(signal, sigmas)` → the smallest whole n with sigmas·√(½/n) ≤ signal."""
    mistakes = {
        "the error falls as 1/√n, so n grows as 1/signal²: square it.": 18.0,
        "a sample counts only if the neuron is on, half of the time: the variance is ½, not 1.": 144.0,
        "square the number of standard errors too.": 24.0,
    }
    check(
        "samples_to_resolve",
        function,
        [
            Case({"signal": 0.25, "sigmas": 3.0}, 72.0, mistakes),
            Case(
                {"signal": 0.3, "sigmas": 1.0},
                6.0,
                {
                    "a number of samples is whole: round up.": 0.5 / 0.09,
                    "round up, not down: with one sample fewer the error is still too large.": 5.0,
                },
            ),
        ],
        hint="solve sigmas·√(½/n) = signal for n, then round up.",
        success="the signal enters squared: ten times smaller costs a hundred times more.",
    )


def degree_one_share(function: Callable) -> None:
    """Check `function(f, x)`: values f (2^d,) at all inputs x (2^d, d) → the share of the variance of f in degree 1."""
    f = 3.0 + CUBE[:, 0] - 2.0 * CUBE[:, 2] + CUBE[:, 0] * CUBE[:, 1] + 2.0 * CUBE.prod(axis=1)
    mistakes = {
        "divide by the variance of f; the mean square also counts the constant.": 5 / 19,
        "square the coefficients before you add them.": -1 / 10,
        "energies are squares; you added absolute values.": 3 / 10,
        "this is the energy itself; divide it by the variance of f.": 5.0,
        "divide by the variance, not by the standard deviation.": 5 / np.sqrt(10),
        "these are the shares of the single coordinates; add them up.": np.array([0.1, 0.0, 0.4]),
    }
    check(
        "degree_one_share",
        function,
        [
            Case({"f": f, "x": CUBE}, 0.5, mistakes),
            Case({"f": CUBE.prod(axis=1).astype(float), "x": CUBE}, 0.0),
        ],
        hint="the d coefficients are the means of f·x_j; add their squares and divide by the variance of f.",
        success="half of the test function is degree 1; a parity of three bits has none.",
    )


def first_layer_step(function: Callable) -> None:
    """Check `function(x, target, weights, biases, readout)`: −gradient of the hinge loss per unit of |readout|.

    x is (n, d), target (n,), weights (width, d), biases and readout (width,); the answer is (width, d).
    """
    x, target = CUBE.astype(float), np.array([1.0, -1.0, 0.5, 2.0, 1.0, -1.0, 1.0, -0.5])
    weights = np.array([[1.0, -1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    biases, readout = np.array([0.5, 0.5, -0.5, -0.5]), np.array([0.25, -0.25, 0.25, -0.25])
    before = x @ weights.T + biases
    gate, signs = before >= 0, np.sign(readout)[:, None]
    expected = signs * (gate.T @ (x * target[:, None])) / len(x)
    relu = signs * (np.maximum(before, 0).T @ (x * target[:, None])) / len(x)
    mistakes = {
        "the readout is missing: what does the step do to the two neurons of a mirrored pair?": signs * expected,
        "this is the gradient; descent moves against it.": -expected,
        "divide the sum over the inputs by their number.": expected * len(x),
        "multiply by the ReLU's derivative, 1 where the neuron is on, not by its value.": relu,
        "multiply by the ReLU's derivative, and by the sign of the readout.": signs * relu,
        "only the sign of the readout: its size goes into the learning rate.": np.abs(readout)[:, None] * expected,
        "the target is missing: it says which way each input pulls.": signs * (gate.T @ x) / len(x),
    }
    given = {"x": x, "target": target, "weights": weights, "biases": biases, "readout": readout}
    check(
        "first_layer_step",
        function,
        [Case(given, expected, mistakes)],
        hint="sign(a_i)·mean over the inputs of target·x_j·[neuron i is on], one row per neuron i.",
        success="mirrored neurons move in opposite directions, so that the network's output leaves 0.",
    )


def will_separate(function: Callable) -> None:
    """Check `function(coefficients, support)`: degree-1 coefficients (d,) → whether enough samples show the support."""
    coefficients, support = np.array([0.1, -0.5, 0.3, -0.2, 0.15]), [1, 2]
    signs = "coefficients have signs; compare absolute values."
    largest = "one coordinate is not enough: compare the smallest in the support."
    mean = "a mean hides the weakest coordinate: compare the smallest in the support with the largest outside."
    check(
        "will_separate",
        function,
        [
            Case({"coefficients": coefficients, "support": support}, True, {signs: False}),
            Case({"coefficients": coefficients, "support": [1, 4]}, False, {mean: True}),
            Case({"coefficients": np.array([0.4, 0.1, 0.2, 0.0]), "support": [0, 1]}, False, {largest: True}),
            Case({"coefficients": np.array([0.4, 0.3, -0.35, 0.0]), "support": [0, 1]}, False, {signs: True}),
        ],
        hint="the smallest |c_j| in the support must exceed the largest |c_j| outside it.",
        success="smallest inside above largest outside.",
    )
