"""What the checkers of both n-gram probes share: a model in a few lines of numpy, and mistakes at a total variation."""

from collections.abc import Sequence

import numpy as np

# The logits that each id adds, (ids, classes): four tokens, the beginning, and the mask, which adds nothing.
EMBEDDING = np.array(
    [
        [1.6, -0.4, 0.1, -0.9],
        [-0.7, 1.2, 0.3, -0.2],
        [0.2, -1.1, 1.4, -0.5],
        [-0.3, 0.4, -1.3, 1.1],
        [0.3, 0.5, -0.6, 0.2],
        [0.0, 0.0, 0.0, 0.0],
    ]
)
MASK = 5


def predict(ids: np.ndarray) -> np.ndarray:
    """Return probabilities (length, classes) that depend on every id (length,): more on near ones and on the left."""
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ValueError(f"predict takes the ids of one sentence, shape (length,); got shape {ids.shape}")
    ahead = np.arange(len(ids)) - np.arange(len(ids))[:, None]  # (length, length): how far column is after row
    weights = np.where(ahead > 0, 0.5, 0.8) ** np.abs(ahead)
    powers = np.exp(weights @ EMBEDDING[ids])
    return powers / powers.sum(axis=1, keepdims=True)


def masked(ids: np.ndarray, places: Sequence[int] | np.ndarray, mask: int = MASK) -> np.ndarray:
    """Return a copy of the ids (length,) with `mask` at these positions."""
    return np.where(np.isin(np.arange(len(ids)), places), mask, ids)


def tv(p: np.ndarray, q: np.ndarray) -> float:
    """Return the total variation ½‖p − q‖₁ of two distributions (classes,)."""
    return float(np.abs(p - q).sum() / 2)


def wrong_distances(first: np.ndarray, second: np.ndarray, i: int) -> dict[str, np.ndarray | float]:
    """Return hint → wrong answer, where ½‖p − q‖₁ is asked for and p and q are the rows i of two (length, classes)."""
    p, q = first[i], second[i]
    apart, everywhere = np.abs(p - q), np.abs(first - second)
    return {
        "the ½ is missing: a total variation lies between 0 and 1.": apart.sum(),
        "compare only the predictions at i: this is a value for each position.": everywhere.sum(axis=1) / 2,
        "compare only the predictions at i: this is the sum over all positions.": everywhere.sum() / 2,
        "compare only the predictions at i: this is the mean over all positions.": everywhere.sum(axis=1).mean() / 2,
        "this is the largest difference; a total variation is half their sum over the classes.": apart.max(),
        "this is half the largest difference; a total variation is half their sum.": apart.max() / 2,
        "the differences are squared here; take their absolute values.": (apart**2).sum() / 2,
        "the differences are squared here; take half the sum of their absolute values.": (apart**2).sum(),
        "this is the Euclidean distance; take half the sum of the absolute values.": np.sqrt((apart**2).sum()),
        "this is half the Euclidean distance; take the absolute values, without squares.": np.sqrt((apart**2).sum())
        / 2,
        "sum over the classes, don't average.": apart.mean() / 2,
        "sum over the classes, don't average, and halve.": apart.mean(),
        "compare probabilities, not the most probable tokens.": 1.0,
        "this is a KL divergence; a total variation is half the sum of |p − q|.": (p * np.log(p / q)).sum(),
        "sum over the classes: return one number.": apart / 2,
        "0: either the differences cancel because the absolute values are missing, or both predictions saw the same "
        "ids: b = a is a second name for one array, a.copy() is a second array.": 0.0,
    }
