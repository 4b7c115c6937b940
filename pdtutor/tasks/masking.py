"""The masking rule of masked language modelling (BERT), for rows of any ids."""

import numpy as np

from pdtutor.tasks.task import IGNORED
from pdtutor.validate import number


def checked_rate(rate: float) -> float:
    """Return the rate as a float. Raises ValueError unless it lies in (0, 1)."""
    found = number("rate", rate)
    if not 0 < found < 1:
        raise ValueError(f"rate must lie in (0, 1), got {rate}")
    return found


def mask_rows(
    rng: np.random.Generator,
    rows: np.ndarray,
    tokens: np.ndarray,
    *,
    rate: float,
    mask: int,
    alphabet: np.ndarray,
    hide_all: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs and the labels of rows of ids, both (n, length) int64; labels are IGNORED where not selected.

    Each token is selected with probability `rate`. A selected token is shown as `mask` with probability 0.8, as a token
    drawn uniformly with probability 0.1, and as itself with probability 0.1. If chance selects no token of a row, the
    one that came closest is selected; a row without tokens has none to select.

    Args:
        rng: the source of all draws.
        rows: (n, length) int64.
        tokens: (n, length) bool, True where an id may be selected.
        rate: in (0, 1).
        mask: the id that hides a token.
        alphabet: (m,) int64, the ids from which random tokens are drawn.
        hide_all: show every selected token as `mask`, so that no token that is scored can be copied.
    """
    chance = rng.random(rows.shape, dtype=np.float32)
    selected = tokens & (chance < rate)
    unlucky = ~selected.any(axis=1)
    if unlucky.any():  # select the token that came closest
        closest = np.where(tokens[unlucky], chance[unlucky], 2).argmin(axis=1)
        selected[np.flatnonzero(unlucky), closest] = tokens[unlucky].any(axis=1)
    fate = rng.random(rows.shape, dtype=np.float32)
    if hide_all:
        fate[:] = 0
    shown = np.where(fate < 0.8, mask, alphabet[rng.integers(0, len(alphabet), rows.shape)])
    inputs = np.where(selected & (fate < 0.9), shown, rows)
    return inputs, np.where(selected, rows, IGNORED)
