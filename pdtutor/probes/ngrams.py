"""N-gram probes: does a prediction rely on its near neighbours, and do they explain it? (paper section 4)"""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pdtutor.models.logits import logits_of
from pdtutor.models.model import Model, device_of
from pdtutor.probes.probe import Probe
from pdtutor.seeds import generator
from pdtutor.tasks.task import MaskedTask
from pdtutor.validate import instance, whole

QUANTILES = {"p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9}


def ngram_robustness(task: MaskedTask, n: int, *, sentences: int = 256, positions: int = 4, seed: int = 0) -> Probe:
    """Return a probe of M_robust(n): how far a prediction moves if its n-gram is masked.

    For a sentence x and a position i, M_robust is the total variation ½‖p − q‖₁ between p, the prediction at i with
    only i masked, and q, the one with the whole n-gram centred on i masked. If it is large, the model relies on near
    neighbours.

    The probe maps a model to a table with a row per copy: copy, n, the mean, p10, p25, median, p75 and p90 over pairs
    (x, i), and `pairs`, their number. Positions are drawn uniformly from the tokens around which the window fits into
    the sentence.

    Args:
        task: the task that gives the sentences and the mask.
        n: size of the window, odd; with n = 1 it is i alone, and M_robust(1) is 0.
        sentences: number of sentences to draw.
        positions: number of positions in each sentence, drawn without replacement; all of them if there are fewer.
        seed: seed of the sentences and positions.

    Raises ValueError for an n < 1 or even; for sentences or positions < 1; and if none of the sentences drawn is as
    long as the window.
    """
    rows, places, window = _windows(task, n, sentences=sentences, positions=positions, seed=seed)
    return _distance(task, n, rows, places, window)


def ngram_closeness(task: MaskedTask, n: int, *, sentences: int = 256, positions: int = 4, seed: int = 0) -> Probe:
    """Return a probe of M_close(n): how far a prediction moves if everything but its n-gram is masked.

    It differs from `ngram_robustness` in q alone, the prediction with i and all tokens outside the n-gram centred on i
    masked. If M_close is small, the n-gram explains the prediction.
    """
    rows, places, window = _windows(task, n, sentences=sentences, positions=positions, seed=seed)
    return _distance(task, n, rows, places, task.is_token(rows) & ~window)


def _windows(
    task: MaskedTask, n: int, *, sentences: int, positions: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids (pairs, length), positions i (pairs,), and which ids lie in the window of i, (pairs, length) bool."""
    instance("task", task, MaskedTask, "a task of masked prediction, such as a MaskedGrammar")
    n, sentences, positions = whole("n", n), whole("sentences", sentences), whole("positions", positions)
    if n % 2 == 0:
        raise ValueError(f"n must be odd, so that the window has as many tokens before i as after it; got {n}")
    rng = generator(seed, "n-grams")
    drawn, tokens = task.whole(rng, sentences)
    fits = tokens >= n
    if not fits.any():
        raise ValueError(
            f"a window of n = {n} is longer than each of the {sentences} sentences, of {tokens.max()} tokens at most"
        )
    ids, lengths, half = drawn[fits], tokens[fits], n // 2
    # Tokens are at positions 1…length; the window of i reaches from i − half to i + half.
    chosen = []
    for row, length in zip(task.is_token(ids), lengths, strict=True):
        middles = 1 + half + np.flatnonzero(row[1 + half : length - half + 1])
        chosen.append(rng.permutation(middles)[:positions])
    rows = ids.repeat([len(of_sentence) for of_sentence in chosen], axis=0)
    places = np.concatenate(chosen)
    return rows, places, np.abs(np.arange(ids.shape[1]) - places[:, None]) <= half


def _distance(task: MaskedTask, n: int, rows: np.ndarray, places: np.ndarray, hidden: np.ndarray) -> Probe:
    """Return a probe of how far predictions at `places` move if `hidden`, (pairs, length) bool, is masked as well."""
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

    return Probe(task, probe)


def _predictions(
    model: Model, inputs: Int[Tensor, "rows length"], at: Int[Tensor, " rows"]
) -> Float[Tensor, "copies rows classes"]:
    """Return class probabilities at one position of every row: (rows, length), (rows,) → (copies, rows, classes)."""
    device = device_of(model)
    return logits_of(model, inputs.to(device), at[:, None].to(device)).squeeze(2).softmax(-1)
