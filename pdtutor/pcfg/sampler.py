"""Sentences of a grammar, drawn by compiled code, with the spans that each token lies in."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product

import numpy as np

from pdtutor.compiled import compiled
from pdtutor.pcfg.grammar import LONGEST, Grammar
from pdtutor.validate import whole

ATTEMPTS = 10_000  # this many sentences in a row that are too long are an error
STRINGS = 16  # a symbol with at most this many derivations is drawn in one step; the limit was chosen by timing
STRINGS_TOKENS = 1024  # but only if they have at most this many tokens, all together
TOGETHER = 2**26  # tokens: sentences are drawn in groups that have room for so many, or one by one
UNIT_RULES = 1_000_000  # so many unit rules in a row, and as many as there are symbols, are an error
LEVELS = 254  # whose spans can be told
TOO_LONG, ENDLESS = -1, -2  # what the compiled sampler returns if it gives up
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

    Raises ValueError for spans of a grammar without levels, with more than 254 levels or with more than 256 symbols in
    one, for a grammar without max_length that is recursive or has sentences of more than 2**24 tokens, for a greater
    max_length, for more than 256 tokens, if 10 000 sentences in a row are too long, and for unit rules that lead back
    to where they began so often that no sentence is ever complete.
    """
    n = whole("n", n, minimum=0)
    if len(grammar.tokens) > 256:
        raise ValueError(f"token ids are bytes, so a grammar can have at most 256 tokens; got {grammar!r}")
    if spans and grammar.levels is None:
        raise ValueError(f"{grammar!r} has no levels, so its spans can't be given level by level")
    levels = len(grammar.levels or ()) if spans else 0
    if levels > LEVELS or (levels and max(map(len, grammar.levels or ())) > 256):
        raise ValueError(
            f"spans are told for at most {LEVELS} levels of at most 256 symbols each; {grammar!r} has {levels} levels "
            f"of up to {max(map(len, grammar.levels or ()))}"
        )
    longest = grammar.longest if max_length is None else whole("max_length", max_length)
    if longest > LONGEST:
        raise ValueError(f"max_length must be at most {LONGEST}, got {longest}")
    arrays, together = _arrays(grammar, levels), max(1, TOGETHER // longest)
    groups = [_draw(grammar, arrays, rng, min(together, n - i), longest, levels) for i in range(0, n or 1, together)]
    if len(groups) == 1:
        return groups[0]
    lengths = np.concatenate([group.lengths for group in groups])
    told = zip(*(group.told() for group in groups), strict=True) if spans else ()
    return Sentences(
        np.concatenate([group.tokens for group in groups]),
        np.concatenate([[0], np.cumsum(lengths)]),
        sum(group.rejected for group in groups),
        *map(np.concatenate, told),
    )


def _draw(grammar: Grammar, arrays: tuple, rng: np.random.Generator, n: int, longest: int, levels: int) -> Sentences:
    """Return n sentences of at most `longest` tokens, with their spans if levels are given. Raises as `sample` does."""
    spans = levels > 0
    tokens, offsets = np.empty(n * longest, np.uint8), np.zeros(n + 1, np.int64)
    ancestors, closes = np.empty((len(tokens) * spans, levels), np.uint8), np.empty(len(tokens) * spans, np.uint8)
    drawn = (longest, tokens, offsets, ancestors, closes)
    rejected = _sampler(levels)(rng, *arrays, *drawn)  # pyright: ignore[reportCallIssue]
    if rejected == TOO_LONG:
        raise ValueError(
            f"{ATTEMPTS} sentences in a row of {grammar!r} were longer than max_length = {longest}: choose a larger one"
        )
    if rejected == ENDLESS:
        raise ValueError(
            f"a sentence of {grammar!r} was not complete after {UNIT_RULES} unit rules in a row: some of them lead "
            "back to where they began with a probability of nearly 1"
        )
    for part in (tokens, ancestors, closes)[: 3 if spans else 1]:
        part.resize((offsets[-1], *part.shape[1:]), refcheck=False)  # in place: frees the unused end without a copy
    return Sentences(tokens, offsets, rejected, *((ancestors, closes) if spans else ()))


@lru_cache(maxsize=8)
def _arrays(grammar: Grammar, levels: int) -> tuple[np.ndarray, ...]:
    """Return the grammar in the form that the compiled code reads.

    Symbols and tokens are numbers: symbol s is −1 − s, and a token is its id. Symbol s has the rules first[s] …
    first[s + 1] − 1; `upto` holds the cumulative probabilities of each symbol's rules; the right-hand side of rule r is
    right[start[r] : start[r + 1]]. A symbol with few and short derivations is `flat`: it has one rule for each
    derivation, so that a single draw gives all its tokens. For each token of such a rule, `ends` and `lineage` hold
    what `closes` and `ancestors` hold in Sentences; INHERITED marks where the symbol itself ends. The last array is
    each symbol's index in its level, 0 without levels.
    """
    told = (grammar.levels or ()) if levels else ()
    places = {symbol: place for level in told for place, symbol in enumerate(level)}
    codes = {t: i for i, t in enumerate(grammar.tokens)} | {s: -1 - i for i, s in enumerate(grammar.symbols)}
    depths = {symbol: depth for depth, level in enumerate(told) for symbol in level}
    flat = _strings(grammar, codes, depths, places, levels)
    rules = []  # of every symbol: (probability, right-hand side, ends, lineage)
    for symbol in grammar.symbols:
        if symbol in flat:
            rules.append(flat[symbol])
        else:
            sides = [(rule.probability, [codes[s] for s in rule.right]) for rule in grammar.of(symbol)]
            rules.append([(p, side, [0] * len(side), [[0] * levels] * len(side)) for p, side in sides])
    _, right, ends, lineage = zip(*(rule for of_symbol in rules for rule in of_symbol), strict=True)
    sizes = [len(side) for side in right]
    return (
        np.cumsum([0] + [len(of_symbol) for of_symbol in rules]),
        np.array([p for of_symbol in rules for p in accumulate(rule[0] for rule in of_symbol)], dtype=np.float64),
        np.cumsum([0, *sizes]),
        np.array([code for side in right for code in side], dtype=np.int32),
        np.array([end for of_rule in ends for end in of_rule], dtype=np.uint8),
        np.array([row for of_rule in lineage for row in of_rule], dtype=np.uint8).reshape(sum(sizes), levels),
        np.array([symbol in flat for symbol in grammar.symbols]),
        np.array([places.get(symbol, 0) for symbol in grammar.symbols], dtype=np.uint8),
    )


def _strings(grammar: Grammar, codes: dict, depths: dict, places: dict, levels: int) -> dict[str, list[tuple]]:
    """Return all derivations of tokens and of symbols with few and short ones: (probability, tokens, ends, lineage)."""
    strings = {token: [(1.0, [codes[token]], [INHERITED], [[0] * levels])] for token in grammar.tokens}
    sizes = dict.fromkeys(grammar.tokens, 1)  # tokens in all derivations together
    for symbol, *_ in grammar.components:
        rules, depth = grammar.of(symbol), depths.get(symbol, 0)
        if symbol in grammar.recursive or not all(part in strings for rule in rules for part in rule.right):
            continue
        counts = [math.prod(len(strings[part]) for part in rule.right) for rule in rules]
        size = sum(
            count // len(strings[part]) * sizes[part]
            for count, rule in zip(counts, rules, strict=True)
            for part in rule.right
        )
        if sum(counts) > STRINGS or size > STRINGS_TOKENS:
            continue
        strings[symbol], sizes[symbol] = [], size
        for rule in rules:
            for chosen in product(*(strings[part] for part in rule.right)):
                p = rule.probability * math.prod(part[0] for part in chosen)
                # where a part that is not the last ends, the first level to close is the part's own
                ends = [[depth + 1 if e == INHERITED else e for e in part[2]] for part in chosen[:-1]] + [chosen[-1][2]]
                lineage = [[*row] for part in chosen for row in part[3]]
                if levels:
                    for row in lineage:
                        row[depth] = places[symbol]
                tokens = [token for part in chosen for token in part[1]]
                strings[symbol].append((p, tokens, [end for of_part in ends for end in of_part], lineage))
    return strings


@lru_cache
def _sampler(levels: int):
    """Return the compiled sampler that records the spans of so many levels; for 0 it records none."""

    @compiled(nogil=True)
    def sampler(
        rng, first, upto, start, right, ends, lineage, flat, places, longest, tokens, offsets, ancestors, closes
    ):
        waiting = np.empty(longest + 1, np.int32)  # symbols and tokens still to be derived, the next on top
        depths, closing = np.empty(longest + 1, np.int16), np.empty(longest + 1, np.int16)
        above = np.empty(levels, np.uint8)  # the ancestors of the current symbol
        rejected = refused = 0  # too long: in all, and in a row
        units = 0  # unit rules in a row, with no token between them
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
                    units = 0
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
                units = units + 1 if parts == 1 else 0
                if units > UNIT_RULES + len(first):
                    return ENDLESS
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
                    units = 0
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
                    return TOO_LONG
                continue
            refused = 0
            done += 1
            offsets[done] = at
        return rejected

    return sampler
