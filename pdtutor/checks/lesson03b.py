"""Checkers for the exercises of lesson 3b, Transformers and trees (notebooks/03b_transformers_and_trees.py).

Expected answers are computed here, by hand or in plain numpy, without `pdtutor.tasks` and `pdtutor.probes`, so that
each can catch a mistake in the other.
"""

from collections.abc import Callable

import numpy as np

from pdtutor.checks.core import Case, check

# Predictions of a final and of an earlier checkpoint, (n, classes).
FINAL = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.6, 0.1, 0.3]])
EARLIER = np.array([[0.7, 0.15, 0.15], [0.45, 0.35, 0.2], [0.55, 0.25, 0.2], [0.5, 0.2, 0.3]])


def tree_label(function: Callable) -> None:
    """Check `function(parities, depth)`: ±1 of every node, (2^depth − 1,) → the leaf; +1 goes left and −1 right."""
    mistakes = {  # the path here: left at node 0, right at node 1, right at node 4
        "+1 goes left and left is 0; yours has left and right swapped.": 4,
        "this counts the right turns, but it matters which of the turns they are: read them as a binary number.": 2,
        "the root's turn counts most: it is the first binary digit of the label, not the last.": 6,
        "this is the leaf's number among all nodes; subtract the 2^depth − 1 nodes above the leaves.": 10,
        "this is the turn at the root alone: go on to its child, 2v + 1 (left) or 2v + 2 (right).": 0,
        "this is the last turn alone; each turn before it is a binary digit, too.": 1,
    }
    strayed = {
        "go on to the child that the parity chose: you read nodes that are not on the path.": 7,
        "you read the first nodes in the numbering; a path has one node of each level.": 6,
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
    """Check `function(p, final)`: predictions, both (n, classes) → 1 − E TV(p, final) / E TV(mean of final, final).

    The ½ in TV = ½‖p−q‖₁ cancels, and so does a mean over the classes: an answer with or without them is right.
    """
    mean = FINAL.mean(axis=0)
    apart, away, chance = np.abs(EARLIER - FINAL).sum(axis=1), _distance(EARLIER, FINAL), _distance(mean, FINAL)
    guess, answer = np.eye(3)[EARLIER.argmax(axis=1)], np.eye(3)[FINAL.argmax(axis=1)]
    divide = "divide by the distance of chance, that of final.mean(axis=0), or a guess that ignores x gets credit"
    mistakes = {
        f"{divide}.": 1 - away,
        f"{divide}; then ½ cancels.": 1 - 2 * away,
        f"{divide}; and a distance is a sum over the classes.": 1 - np.abs(EARLIER - FINAL).mean(),
        "chance is the mean of the final predictions, not of p: it knows how often each class comes in the end.": 1
        - away / _distance(EARLIER.mean(axis=0), FINAL),
        "the distance of chance is that between the final predictions and their mean; yours is measured on p.": 1
        - away / _distance(EARLIER.mean(axis=0), EARLIER),
        "chance is a mean over the examples, one value per class; a mean over the classes is always 1/classes.": 1
        - away / _distance(np.full(3, 1 / 3), FINAL),
        "compare probabilities, not argmaxes: they shift long before the argmax does.": (guess * answer).sum(1).mean(),
        "compare probabilities, not argmaxes, chance-corrected or not: they shift long before the argmax does.": 1
        - _distance(guess, answer) / _distance(answer.mean(axis=0), answer),
        "average both distances over the examples first, then divide one average by the other.": 1
        - np.mean(apart / np.abs(mean - FINAL).sum(axis=1)),
        "return one number: average the distance over the examples.": 1 - apart / 2 / chance,
        "this is the distance that is left, relative to chance; agreement is 1 minus it.": away / chance,
        "½ belongs in both distances or in neither; yours has it only in the first.": 1 - away / chance / 2,
        "½ belongs in both distances or in neither; yours has it only in the second.": 1 - away / chance * 2,
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
                {"worse than chance is negative: don't cut it off at 0, the value of an uninformed guess.": 0.0},
            ),
        ],
        hint="TV(p, q) is half the sum over the classes of |p − q|. Average TV(p, final) over the examples, then "
        "TV(final.mean(axis=0), final); return 1 − their ratio.",
        success="this is the column `agreement` of pdtutor.checkpoint_table; 1 at the final checkpoint, 0 at chance.",
    )


def tokens(function: Callable) -> None:
    """Check `function(x)`: signs (n, d) of ±1 → token ids (n, d) int64, 0 for +1 and 1 for −1."""
    x = np.array([[1, -1, -1, 1], [-1, 1, 1, 1]], dtype=np.float32)
    ids = np.array([[0, 1, 1, 0], [1, 0, 0, 0]])
    mistakes = {
        "+1 is token 0 and −1 is token 1; yours are the other way round.": 1 - ids,
        "a token id is a row of the embedding table, 0 or 1; these are still signs.": x,
        "these are the signs negated; a token id is a row of the embedding table, 0 or 1.": -x,
        "1 − x is 0 or 2: divide it by 2.": 2 * ids,
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
    """Return the mean total variation between predictions p and q, each (n, classes) or one for all, (classes,)."""
    return float(np.abs(p - q).sum(axis=1).mean() / 2)
