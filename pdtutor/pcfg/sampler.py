"""Sentences of a grammar, drawn by compiled code, with the spans that each token lies in."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from pdtutor.compiled import compiled
from pdtutor.pcfg.grammar import Grammar
from pdtutor.validate import whole

ATTEMPTS = 10_000  # this many sentences in a row that are too long are an error
STRINGS = 16  # a symbol with at most this many derivations is drawn in one step; the limit was chosen by timing
INHERITED = 255  # in `ends`: the symbol ends with this token, and so does whatever ends with the symbol


@dataclass(frozen=True)
class Sentences:
    """Sentences one after the other and, if asked for, the spans of their derivations.

    Attributes:
        tokens: (total,) uint8, the token ids of all sentences.
        offsets: (n + 1,) int64; sentence s is tokens[offsets[s] : offsets[s + 1]].
        rejected: how many sentences were drawn and discarded because they were too long.
        ancestors: (total, levels) uint8, the symbol of each level from which a token is derived, as its index in
            grammar.levels[level]; None if not asked for.
        closes: (total,) uint8, the first level whose span ends at this token: spans of this level and of all levels
            below it end here. Where no span ends, it is the number of levels. None if not asked for.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    rejected: int
    ancestors: np.ndarray | None = None
    closes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, sentence: int) -> np.ndarray:
        """Return the token ids of one sentence, (length,)."""
        sentence = range(len(self))[sentence]
        return self.tokens[self.offsets[sentence] : self.offsets[sentence + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Lengths of the sentences, (n,) int64."""
        return np.diff(self.offsets)

    def told(self) -> tuple[np.ndarray, np.ndarray]:
        """Return `ancestors` and `closes`. Raises ValueError if the sentences were drawn without them."""
        if self.ancestors is None or self.closes is None:
            raise ValueError("these sentences were drawn without spans: draw them with spans=True")
        return self.ancestors, self.closes

    def padded(self, values: np.ndarray, fill: int) -> np.ndarray:
        """Return values per token, (total, …), with one sentence per row: (n, longest, …), `fill` after its end."""
        lengths = self.lengths
        inside = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (n, longest)
        rows = np.full((*inside.shape, *values.shape[1:]), fill, dtype=values.dtype)
        rows[inside] = values
        return rows


def sample(
    grammar: Grammar, rng: np.random.Generator, n: int, *, spans: bool = False, max_length: int | None = None
) -> Sentences:
    """Return n independent sentences.

    Args:
        grammar: any grammar; a recursive one needs max_length.
        rng: the source of all draws.
        n: number of sentences.
        spans: also return ancestors and closes; only for grammars with levels.
        max_length: in tokens; longer sentences are counted and drawn again, so that the sentences follow the grammar's
            distribution given that they are no longer than this.

    Raises ValueError for spans of a grammar without levels, for a recursive grammar without max_length, for more than
    256 tokens, and if 10 000 sentences in a row are too long.
    """
    n = whole("n", n, minimum=0)
    if len(grammar.tokens) > 256:
        raise ValueError(f"token ids are bytes, so a grammar can have at most 256 tokens; got {grammar!r}")
    if spans and grammar.levels is None:
        raise ValueError(f"{grammar!r} has no levels, so its spans can't be given level by level")
    longest = grammar.longest if max_length is None else whole("max_length", max_length)
    levels = len(grammar.levels or ()) if spans else 0
    tokens, offsets = np.empty(n * longest, np.uint8), np.zeros(n + 1, np.int64)
    ancestors, closes = np.empty((len(tokens) * spans, levels), np.uint8), np.empty(len(tokens) * spans, np.uint8)
    drawn = (longest, tokens, offsets, ancestors, closes)
    rejected = _sampler(levels)(rng, *_arrays(grammar, levels), *drawn)  # pyright: ignore[reportCallIssue]
    if rejected < 0:
        raise ValueError(
            f"{ATTEMPTS} sentences in a row of {grammar!r} were longer than max_length = {longest}: choose a larger one"
        )
    for part in (tokens, ancestors, closes)[: 3 if spans else 1]:
        part.resize((offsets[-1], *part.shape[1:]), refcheck=False)  # in place: frees the unused end without a copy
    return Sentences(tokens, offsets, rejected, *((ancestors, closes) if spans else ()))


@lru_cache(maxsize=8)
def _arrays(grammar: Grammar, levels: int) -> tuple[np.ndarray, ...]:
    """Return the grammar in the form that the compiled code reads.

    Symbols and tokens are numbers: symbol s is −1 − s, and a token is its id. Symbol s has the rules first[s] …
    first[s + 1] − 1; `upto` holds the cumulative probabilities of each symbol's rules; the right-hand side of rule r is
    right[start[r] : start[r + 1]]. A symbol with few derivations is `flat`: it has one rule for each derivation, so
    that a single draw gives all its tokens. For each token of such a rule, `ends` and `lineage` hold what `closes` and
    `ancestors` hold in Sentences; INHERITED marks where the symbol itself ends. The last array is each symbol's index
    in its level, 0 without levels.
    """
    places = {symbol: place for level in grammar.levels or () for place, symbol in enumerate(level)}
    codes = {t: i for i, t in enumerate(grammar.tokens)} | {s: -1 - i for i, s in enumerate(grammar.symbols)}
    depths = {symbol: depth for depth, level in enumerate(grammar.levels or ()) for symbol in level}
    rules = []  # of every symbol: (probability, right-hand side, ends, lineage)
    flat = [_derivations(grammar, symbol) <= STRINGS for symbol in grammar.symbols]
    for symbol, few in zip(grammar.symbols, flat, strict=True):
        if few:
            rules.append(_strings(grammar, symbol, depths.get(symbol, 0), codes, places, levels))
        else:
            sides = [(rule.probability, [codes[s] for s in rule.right]) for rule in grammar.of(symbol)]
            rules.append([(p, side, [0] * len(side), [[0] * levels] * len(side)) for p, side in sides])
    _, right, ends, lineage = zip(*(rule for of_symbol in rules for rule in of_symbol), strict=True)
    sizes = [len(side) for side in right]
    return (
        np.cumsum([0] + [len(of_symbol) for of_symbol in rules]),
        np.concatenate([np.cumsum([rule[0] for rule in of_symbol]) for of_symbol in rules]),
        np.cumsum([0, *sizes]),
        np.array([code for side in right for code in side], dtype=np.int16),
        np.array([end for of_rule in ends for end in of_rule], dtype=np.uint8),
        np.array([row for of_rule in lineage for row in of_rule], dtype=np.uint8).reshape(sum(sizes), levels),
        np.array(flat),
        np.array([places.get(symbol, 0) for symbol in grammar.symbols], dtype=np.uint8),
    )


def _derivations(grammar: Grammar, symbol: str, above: tuple[str, ...] = ()) -> float:
    """Return the number of derivations of a symbol; infinity if recursion makes them endless."""
    if symbol in grammar.tokens:
        return 1
    if symbol in above:
        return math.inf
    return sum(
        math.prod(_derivations(grammar, part, (*above, symbol)) for part in rule.right) for rule in grammar.of(symbol)
    )


def _strings(grammar: Grammar, symbol: str, depth: int, codes: dict, places: dict, levels: int) -> list[tuple]:
    """Return all derivations of a symbol at this depth, each as (probability, tokens, ends, lineage)."""
    if symbol in grammar.tokens:
        return [(1.0, [codes[symbol]], [INHERITED], [[0] * levels])]
    found = []
    for rule in grammar.of(symbol):
        parts = [_strings(grammar, part, depth + 1, codes, places, levels) for part in rule.right]
        for chosen in product(*parts):
            p = rule.probability * math.prod(part[0] for part in chosen)
            # where a part that is not the last ends, the first level to close is the part's own
            ends = [[depth + 1 if e == INHERITED else e for e in part[2]] for part in chosen[:-1]] + [chosen[-1][2]]
            lineage = [[*row] for part in chosen for row in part[3]]
            if levels:
                for row in lineage:
                    row[depth] = places[symbol]
            tokens = [token for part in chosen for token in part[1]]
            found.append((p, tokens, [end for of_part in ends for end in of_part], lineage))
    return found


@lru_cache
def _sampler(levels: int):
    """Return the compiled sampler that records the spans of so many levels; for 0 it records none."""

    @compiled(nogil=True)
    def sampler(
        rng, first, upto, start, right, ends, lineage, flat, places, longest, tokens, offsets, ancestors, closes
    ):
        waiting = np.empty(longest + 1, np.int16)  # symbols and tokens still to be derived, the next on top
        depths, closing = np.empty(longest + 1, np.int16), np.empty(longest + 1, np.int16)
        above = np.empty(levels, np.uint8)  # the ancestors of the current symbol
        rejected = refused = 0  # too long: in all, and in a row
        done = 0
        while done < len(offsets) - 1:
            begin = at = offsets[done]
            waiting[0], depths[0], closing[0] = -1, 0, 0  # the start symbol; all levels end with it
            top = 1
            while top:
                top -= 1
                symbol, depth, close = waiting[top], depths[top], closing[top]
                if symbol >= 0:
                    tokens[at] = symbol
                    if levels:
                        closes[at] = close
                        for level in range(levels):
                            ancestors[at, level] = above[level]
                    at += 1
                    continue
                if levels:
                    above[depth] = places[-1 - symbol]
                rule, last = first[-1 - symbol], first[-symbol] - 1
                if rule < last:
                    u = rng.random()
                    while rule < last and u >= upto[rule]:
                        rule += 1
                begins = start[rule]
                parts = start[rule + 1] - begins
                if at - begin + top + parts > longest:  # each of these gives at least one token
                    at = -1
                    break
                if flat[-1 - symbol]:
                    for part in range(begins, begins + parts):
                        tokens[at] = right[part]
                        if levels:
                            closes[at] = close if ends[part] == INHERITED else ends[part]
                            for level in range(levels):
                                ancestors[at, level] = above[level] if level <= depth else lineage[part, level]
                        at += 1
                    continue
                for part in range(parts):  # pushed last to first, so that the first is on top
                    waiting[top] = right[begins + parts - 1 - part]
                    if levels:
                        depths[top] = depth + 1
                        closing[top] = close if part == 0 else depth + 1
                    top += 1
            if at < 0:
                rejected += 1
                refused += 1
                if refused == ATTEMPTS:
                    return -1
                continue
            refused = 0
            done += 1
            offsets[done] = at
        return rejected

    return sampler
