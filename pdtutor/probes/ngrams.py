"""N-gram probes: does a prediction lean on its near neighbours, and do they explain it? (paper section 4)"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, device_of
from pdtutor.seeds import generator
from pdtutor.tasks.task import MaskedTask
from pdtutor.validate import whole

QUANTILES = {"p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9}


def ngram_robustness(
    task: MaskedTask, n: int, *, sentences: int = 256, positions: int = 4, seed: int = 0
) -> Callable[[Model], pd.DataFrame]:
    """Return a probe of M_robust(n): how far a prediction moves when its n-gram is masked.

    At a sentence x and a position i it is the total variation ½‖p − q‖₁ between p, the prediction at i with i alone
    masked, and q, the one with the whole n-gram centred on i masked. Large values: the model leans on near neighbours.

    The probe maps a model to a table with a row per copy: copy, n, mean, p10, p25, median, p75 and p90 over (x, i),
    and pairs, their number. Positions are drawn uniformly where the window fits into the sentence.

    Args:
        task: whose sentences, and whose `mask`.
        n: size of the window, odd; 1 is i itself, and M_robust(1) is 0.
        sentences: how many to draw.
        positions: of each sentence, drawn without replacement; all that there are if there are fewer.
        seed: seed of the sentences and positions.

    Raises ValueError for n < 1 or even, and where no sentence that was drawn is as long as the window.
    """
    rows, places, window = _windows(task, n, sentences=sentences, positions=positions, seed=seed)
    return _distance(task, n, rows, places, window)


def ngram_closeness(
    task: MaskedTask, n: int, *, sentences: int = 256, positions: int = 4, seed: int = 0
) -> Callable[[Model], pd.DataFrame]:
    """Return a probe of M_close(n): how far a prediction moves when all but its n-gram is masked.

    As `ngram_robustness`, but q is the prediction with i and everything outside the n-gram centred on i masked. Small
    values: the n-gram explains the prediction.
    """
    rows, places, window = _windows(task, n, sentences=sentences, positions=positions, seed=seed)
    return _distance(task, n, rows, places, task.is_token(rows) & ~window)


def _windows(
    task: MaskedTask, n: int, *, sentences: int, positions: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids (pairs, length), the positions i (pairs,), and which ids lie in their windows (pairs, length) bool."""
    if whole("n", n) % 2 == 0:
        raise ValueError(f"n must be odd, so that a position has as many neighbours on either side; got {n}")
    whole("positions", positions)
    rng = generator(seed, "n-grams")
    drawn, tokens = task.whole(rng, whole("sentences", sentences))
    fits = tokens >= n
    if not fits.any():
        raise ValueError(f"a window of n = {n} is longer than each of the {sentences} sentences, {tokens.max()}")
    ids, lengths, half = drawn[fits], tokens[fits], n // 2
    # positions 1 … length hold tokens; the window of i reaches from i − half to i + half
    chosen = []
    for row, length in zip(task.is_token(ids), lengths, strict=True):
        middles = 1 + half + np.flatnonzero(row[1 + half : length - half + 1])
        chosen.append(rng.permutation(middles)[:positions])
    rows = ids.repeat([len(of_sentence) for of_sentence in chosen], axis=0)
    places = np.concatenate(chosen)
    return rows, places, np.abs(np.arange(ids.shape[1]) - places[:, None]) <= half


def _distance(
    task: MaskedTask, n: int, rows: np.ndarray, places: np.ndarray, hidden: np.ndarray
) -> Callable[[Model], pd.DataFrame]:
    """Return a probe of how far predictions at `places` move when `hidden` is masked as well."""
    alone = np.arange(rows.shape[1]) == places[:, None]
    inputs = torch.from_numpy(np.concatenate([np.where(alone | more, task.mask, rows) for more in (False, hidden)]))
    at = torch.from_numpy(np.concatenate([places, places]))

    def probe(model: Model) -> pd.DataFrame:
        p, q = _predictions(model, inputs, at).chunk(2, dim=1)  # (copies, pairs, classes) each
        distance = (p - q).abs().sum(-1).cpu().double().numpy() / 2
        table = {name: np.quantile(distance, share, axis=1) for name, share in QUANTILES.items()}
        return pd.DataFrame(
            {"copy": range(len(distance)), "n": n, "mean": distance.mean(axis=1), **table, "pairs": len(places)}
        )

    return probe


def _predictions(
    model: Model, inputs: Int[Tensor, "rows length"], at: Int[Tensor, " rows"]
) -> Float[Tensor, "copies rows classes"]:
    """Return probabilities at one position of every row: (rows, length), (rows,) → (copies, rows, classes)."""
    device = device_of(model)
    return logits_of(model, inputs.to(device), at[:, None].to(device)).squeeze(2).softmax(-1)
