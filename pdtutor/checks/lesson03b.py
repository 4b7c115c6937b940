"""Checkers for the exercises of lesson 3b, Transformers and trees (notebooks/03b_transformers_and_trees.py).

Expected answers are worked out here, by hand or with plain numpy, apart from `pdtutor.tasks` and `pdtutor.probes`, so
that one can catch the other.
"""

from collections.abc import Callable

import numpy as np

from .core import Case, check

FINAL = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.6, 0.1, 0.3]])
EARLIER = np.array([[0.7, 0.15, 0.15], [0.45, 0.35, 0.2], [0.55, 0.25, 0.2], [0.5, 0.2, 0.3]])


def tree_label(function: Callable) -> None:
    """Check `function(parities, depth)`: ±1 of every node, (2^depth − 1,), → the leaf, left for +1 and right for −1."""
    mistakes = {  # the path here: left at node 0, right at node 1, right at node 4
        "+1 goes left and left is 0; yours has left and right swapped.": 4,
        "this counts the right turns; which of them were right matters. Read the turns as a binary number.": 2,
        "the root's turn counts most: it is the first binary digit of the label, not the last.": 6,
        "this is the leaf's number among all nodes; subtract the 2^depth − 1 above it.": 10,
        "this is what the root alone says: go on at its child, 2v + 1 (left) or 2v + 2 (right).": 0,
        "this is the last turn alone; each turn before it is a binary digit, too.": 1,
    }
    strayed = {
        "go on at the child that the parity chose: your path reads nodes it never comes to.": 7,
        "these are the first nodes in the numbering: one path meets one node of each level.": 6,
    }
    check(
        "tree_label",
        function,
        [
            Case({"parities": np.array([1, -1, -1, -1, -1, -1, 1]), "depth": 3}, 3, mistakes),
            Case({"parities": np.array([-1, -1, 1, -1, -1, 1, 1]), "depth": 3}, 4, strayed),  # by nodes 0, 2 and 5
            Case({"parities": np.array([-1, 1, 1]), "depth": 2}, 2),
            Case({"parities": np.array([-1]), "depth": 1}, 1),
        ],
        hint="start at v = 0; depth times, go to 2v + 1 if v's parity is +1, else to 2v + 2; subtract 2^depth − 1.",
        success="the labels of pdtutor.HierarchicalParity; a node off the path has no say.",
    )


def agreement(function: Callable) -> None:
    """Check `function(p, final)`: predictions (n, classes) twice → 1 − E TV(p, final) / E TV(mean of final, final).

    The ½ in TV = ½‖p−q‖₁ cancels, and so does a mean over the classes: answers with or without them are right.
    """
    mean = FINAL.mean(axis=0)
    apart, away, chance = np.abs(EARLIER - FINAL).sum(axis=1), _distance(EARLIER, FINAL), _distance(mean, FINAL)
    guess, answer = np.eye(3)[EARLIER.argmax(axis=1)], np.eye(3)[FINAL.argmax(axis=1)]
    mistakes = {
        "divide by the distance of chance, or a guess that never looks at x gets credit.": 1 - away,
        "divide by the distance of chance, or a guess that never looks at x gets credit; then ½ cancels.": 1 - 2 * away,
        "divide by the distance of chance, or a guess that never looks at x gets credit; and a distance is a sum over "
        "the classes.": 1 - np.abs(EARLIER - FINAL).mean(),
        "chance is the mean of the final predictions, not of p: it knows how often each class comes up in the end.": 1
        - away / _distance(EARLIER.mean(axis=0), FINAL),
        "chance is measured on the final predictions, how far their mean is from them; yours is measured on p.": 1
        - away / _distance(EARLIER.mean(axis=0), EARLIER),
        "chance is a mean over the examples, a value for each class; a mean over the classes is always 1/classes.": 1
        - away / _distance(np.full(3, 1 / 3), FINAL),
        "compare probabilities, not argmaxes: they shift long before the argmax does.": (guess * answer).sum(1).mean(),
        "compare probabilities, not argmaxes, chance-corrected or not: they shift long before the argmax does.": 1
        - _distance(guess, answer) / _distance(answer.mean(axis=0), answer),
        "average both distances over the examples first, then divide one average by the other.": 1
        - np.mean(apart / np.abs(mean - FINAL).sum(axis=1)),
        "return one number: average the distance over the examples.": 1 - apart / 2 / chance,
        "this is the way still to go; agreement is 1 minus it.": away / chance,
        "½ belongs in both distances or in neither; yours has it in the first alone.": 1 - away / chance / 2,
        "½ belongs in both distances or in neither; yours has it in the second alone.": 1 - away / chance * 2,
    }
    wrong = FINAL[:, [1, 2, 0]]
    below = 1 - _distance(wrong, FINAL) / chance
    check(
        "agreement",
        function,
        [
            Case({"p": EARLIER, "final": FINAL}, 1 - away / chance, mistakes),
            Case({"p": FINAL, "final": FINAL}, 1.0),
            Case({"p": np.tile(mean, (4, 1)), "final": FINAL}, 0.0),
            Case(
                {"p": wrong, "final": FINAL},
                below,
                {"worse than chance is negative: don't cut it off, it tells a wrong guess from none.": 0.0},
            ),
        ],
        hint="TV(p, q) is half the sum over the classes of |p − q|; average it over the examples, for p and for "
        "final.mean(axis=0) in its place; return 1 − their ratio.",
        success="this is the column `agreement` of pdtutor.checkpoint_table; 1 at the final checkpoint, 0 at chance.",
    )


def tokens(function: Callable) -> None:
    """Check `function(x)`: signs (n, d) of ±1 → token ids (n, d) int64, 0 for +1 and 1 for −1."""
    x = np.array([[1, -1, -1, 1], [-1, 1, 1, 1]], dtype=np.float32)
    ids = np.array([[0, 1, 1, 0], [1, 0, 0, 0]])
    mistakes = {
        "+1 is token 0 and −1 is token 1; yours are the other way round.": 1 - ids,
        "a token id is a row of the embedding table, 0 or 1; these are still signs.": x,
        "these are signs with the other sign; a token id is a row of the embedding table, 0 or 1.": -x,
        "1 − x is 0 or 2: halve it.": 2 * ids,
    }
    check(
        "tokens",
        function,
        [Case({"x": x}, ids, mistakes), Case({"x": -x[:1]}, 1 - ids[:1])],
        hint="(1 − x)/2, or x < 0, is 0 for +1 and 1 for −1; ids pick rows of a table, so end with .astype(np.int64).",
        success="what a Transformer reads; SparseParity(…, encoding='tokens') gives the same.",
        dtype=np.int64,
    )


def _distance(p: np.ndarray, q: np.ndarray) -> float:
    """Return the mean total variation between predictions, (n, classes) twice or one of them (classes,)."""
    return float(np.abs(p - q).sum(axis=1).mean() / 2)
