"""The derivation of a sentence as a table: which symbol derives which of its tokens."""

import numpy as np
import pandas as pd

from pdtutor.pcfg.grammar import Grammar
from pdtutor.pcfg.sampler import Sentences


def derivation(grammar: Grammar, sentences: Sentences, sentence: int) -> pd.DataFrame:
    """Return the derivation of one sentence, one row per span: level by level from the root, then left to right.

    Columns: level (as in grammar.levels; tokens are one level below the last), symbol, start and stop (the span's
    tokens are start … stop − 1, counted from 0 without the start token), and parent (the row of the span that this one
    is a part of, <NA> for the root).

    Args:
        grammar: what the sentences were drawn from.
        sentences: drawn with spans=True.
        sentence: its number, as in sentences[sentence].

    Raises ValueError for a grammar without levels, for sentences drawn without spans, and for those of a grammar with
    another number of levels; IndexError for a sentence that doesn't exist.
    """
    if grammar.levels is None:
        raise ValueError(f"{grammar!r} has no levels, so its spans can't be given level by level")
    ancestors, closes = sentences.told()
    if (told := ancestors.shape[1]) != len(grammar.levels):
        raise ValueError(f"{grammar!r} has {len(grammar.levels)} levels, but the sentences' grammar has {told}")
    sentence = range(len(sentences))[sentence]
    own = slice(sentences.offsets[sentence], sentences.offsets[sentence + 1])
    places = np.column_stack([ancestors[own], sentences.tokens[own]])  # (length, levels + 1)
    tables, first = [], 0  # first: the row where the level above begins
    for level, names in enumerate((*grammar.levels, grammar.tokens)):
        stops = np.flatnonzero(closes[own] <= level) + 1
        starts = np.append(0, stops[:-1])
        symbols = [names[place] for place in places[starts, level]]
        table = pd.DataFrame({"level": level, "symbol": symbols, "start": starts, "stop": stops})
        above = tables[-1]["stop"] if tables else []
        parents = first + np.searchsorted(above, starts, side="right")
        table["parent"] = pd.array(parents if tables else [pd.NA], dtype="Int64")
        first += len(above)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
