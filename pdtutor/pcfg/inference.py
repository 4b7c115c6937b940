"""Exact inference in a grammar: what evidence about a sentence says about its tokens and spans, and what comes next.

Here a grammar is prepared: right-hand sides of three or more symbols are split, A → B (C D), where all rules that end
in C D share the part (C D), and the lengths of spans are bounded. The probabilities are computed in `chart`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter

import numpy as np

from pdtutor.pcfg.chart import AFTER_LEAST, AFTER_MOST, Nodes, forward, inside, outside, sentence
from pdtutor.pcfg.grammar import Grammar

UNBOUNDED = 2**40  # tokens: longer than any sentence


@dataclass(frozen=True)
class Marginals:
    """What evidence says about a sentence of known length.

    Attributes:
        log_evidence: ln P(the length, the evidence).
        cavity: (length, tokens), P(the true token at i is t | the length, the evidence at all other positions).
        posterior: (length, tokens), the same, given the evidence at i as well: cavity · likelihood, normalised.
        spans: (levels, length, most symbols in a level), P(a span derived from the symbol grammar.levels[level][k] ends
            at token i | the length, all evidence) at [level, i, k]; None for a grammar without levels.
    """

    log_evidence: float
    cavity: np.ndarray
    posterior: np.ndarray
    spans: np.ndarray | None


def marginals(grammar: Grammar, likelihood: np.ndarray) -> Marginals:
    """Return the exact Marginals of a sentence of known length, given evidence about each of its tokens.

    Args:
        grammar: any, recursive or not, whose unit rules A → B form no cycle.
        likelihood: (length, tokens), P(what is seen at i | the true token at i is t). A row of ones is a masked token,
            a row with a single 1 and zeros otherwise a known token.

    A span that explains its evidence 10^300 times worse than another of the same length elsewhere in the sentence may
    be treated as impossible, since floating-point numbers can't hold so small a ratio.

    Raises ValueError for another shape, an empty sentence, likelihoods that are negative or not finite, evidence of
    probability zero, and unit rules that form a cycle, which it names.
    """
    likelihood = np.asarray(likelihood, dtype=np.float64)
    if likelihood.ndim != 2 or likelihood.shape[1] != len(grammar.tokens):
        raise ValueError(f"likelihood must have shape (length, {len(grammar.tokens)}), got {likelihood.shape}")
    if not len(likelihood):
        raise ValueError("an empty sentence has no marginals: likelihood needs at least one row")
    if len(wrong := np.argwhere(~((likelihood >= 0) & (likelihood < np.inf)))):
        position, token = wrong[0]
        raise ValueError(
            f"likelihoods must be finite and not negative, got {likelihood[position, token]} at position {position}"
        )
    most = likelihood.max(axis=1, keepdims=True)  # (length, 1)
    nodes = _nodes(grammar)
    evidence = 0.0
    if most.all():
        likelihood = np.ascontiguousarray(likelihood / most)
        chart = inside(likelihood, nodes, nodes.bounds)
        evidence = sentence(chart, nodes, len(likelihood))
    if evidence == 0:
        raise ValueError(f"{grammar!r} cannot derive a sentence of length {len(likelihood)} with this evidence")
    levels = grammar.levels or ()
    (length, tokens), widest = likelihood.shape, max(map(len, levels), default=0)
    cavity, spans = outside(chart, nodes, length, tokens, len(levels), widest)
    cavity /= cavity.sum(axis=1, keepdims=True)
    posterior = cavity * likelihood
    posterior /= posterior.sum(axis=1, keepdims=True)
    log_scale = float(np.log(most).sum()) + int(chart.exponents[-1]) * math.log(2)
    return Marginals(math.log(evidence) + log_scale, cavity, posterior, spans if levels else None)


def next_tokens(grammar: Grammar, tokens: np.ndarray) -> np.ndarray:
    """Return the exact probabilities of what follows each prefix of a sentence, (length + 1, V + 1) float64.

    Row i holds P(the next token is t | tokens[:i]) for each of the V tokens and, in the last column, P(the sentence
    ends here | tokens[:i]), over sentences of all lengths.

    Args:
        grammar: any that is not recursive.
        tokens: (length,) token ids of a sentence or of a prefix of one.

    Raises ValueError for a recursive grammar, for anything but a row of token ids, and for a prefix that the grammar
    cannot derive, naming the position.
    """
    tokens, vocabulary = np.asarray(tokens), len(grammar.tokens)
    if tokens.ndim != 1 or (tokens.size and not np.issubdtype(tokens.dtype, np.integer)):
        raise ValueError(f"tokens must be a row of token ids, got {tokens.dtype} of shape {tokens.shape}")
    if len(unknown := np.flatnonzero((tokens < 0) | (tokens >= vocabulary))):
        position = int(unknown[0])
        raise ValueError(f"token ids must lie in 0 … {vocabulary - 1}, got {tokens[position]} at position {position}")
    nodes = _nodes(grammar)
    if nodes.recursive:
        raise ValueError(f"{grammar!r} is recursive: next_tokens needs a grammar that is not")
    known = np.zeros((len(tokens), vocabulary))
    known[np.arange(len(tokens)), tokens.astype(np.int64)] = 1
    follows, position = forward(inside(known, nodes, nodes.prefix_bounds), nodes, *known.shape)
    if position >= 0:
        token = f"token {grammar.tokens[tokens[position]]!r} at position {position}"
        raise ValueError(f"{grammar!r} cannot derive this prefix: {token} can't follow the tokens before it")
    return follows


@lru_cache(maxsize=32)
def _nodes(grammar: Grammar) -> Nodes:
    """Return the grammar in the form that the compiled code reads.

    Raises ValueError for unit rules that form a cycle, which it names.
    """
    names = [*grammar.tokens, *grammar.symbols]
    node = {name: i for i, name in enumerate(names)}
    sides = []  # of every rule: the node of its only symbol, or those of its first symbol and of the rest
    parts: dict[tuple[int, ...], int] = {}  # the node of a part by those of its first symbol and of the rest
    for rule in grammar.rules:
        first, *others = [node[name] for name in rule.right]
        rest = others[-1:]
        for other in reversed(others[:-1]):
            rest = [parts.setdefault((other, *rest), len(names) + len(parts))]
        sides.append((first, *rest))
    units, pairs = [], []
    for rule, side in zip(grammar.rules, sides, strict=True):
        if len(side) == 1 or side in parts:
            units.append((node[rule.left], parts.get(side, side[0]), rule.probability))
        else:
            pairs.append((node[rule.left], *side, rule.probability))
    pairs += [(part, *side, 1.0) for side, part in parts.items()]
    count = len(names) + len(parts)
    rank = _children_first(units, count, names)
    units.sort(key=lambda unit: rank[unit[0]])
    circular = [node[symbol] for symbol in grammar.symbols if symbol in grammar.recursive]
    corners = [(left, first, chance) for left, first, _, chance in pairs] + units
    if not circular:
        rank = _children_first(corners, count, names)
        corners.sort(key=lambda corner: -rank[corner[0]])
    root, places = node[grammar.start], np.full((count, 2), -1)
    for level, symbols in enumerate(grammar.levels or ()):
        for place, symbol in enumerate(symbols):
            places[node[symbol]] = level, place
    bounds = _bounds(pairs, units, circular, root, count, len(grammar.tokens))
    in_prefix = bounds.copy()
    in_prefix[:, AFTER_LEAST], in_prefix[:, AFTER_MOST] = 0, UNBOUNDED
    tables = [part for table in (_table(pairs, 3), _table(units, 2), _table(corners, 2)) for part in table]
    return Nodes(root, bool(circular), *tables, bounds, in_prefix, places)  # pyright: ignore[reportCallIssue]


def _table(rows: list[tuple], nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows, each of `nodes` nodes and a probability, as arrays (n, nodes) int64 and (n,) float64."""
    return np.array([row[:nodes] for row in rows], np.int64).reshape(-1, nodes), np.array([row[nodes] for row in rows])


def _children_first(edges: list[tuple], nodes: int, names: list[str]) -> dict[int, int]:
    """Return each node's rank in an order that puts b before a for all edges (a, b, …).

    Raises ValueError if the edges form a cycle, which it names.
    """
    children: dict[int, list[int]] = {node: [] for node in range(nodes)}
    for edge in edges:
        children[edge[0]].append(edge[1])
    try:
        return {node: rank for rank, node in enumerate(TopologicalSorter(children).static_order())}
    except CycleError as error:
        circle = " -> ".join(names[node] for node in reversed(error.args[1]))
        raise ValueError(f"unit rules form a cycle, {circle}, so that a span has infinitely many derivations") from None


def _bounds(pairs: list, units: list, circular: list[int], root: int, nodes: int, tokens: int) -> np.ndarray:
    """Return the bounds of all nodes, (nodes, 6) int64, as `Nodes` describes them."""
    nothing = nodes  # the second child of a unit rule, of length 0
    rules = np.array([pair[:3] for pair in pairs] + [(a, b, nothing) for a, b, _ in units]).T
    columns = []
    for choose, unknown in ((np.minimum, np.inf), (np.maximum, 0.0)):
        length, beside = np.full((2, nodes + 1), unknown)
        length[:tokens], length[nothing], beside[root] = 1, 0, 0
        if choose is np.maximum:  # recursive symbols, and what is beside them, may be of any length
            length[circular] = beside[circular] = np.inf
        columns += _extremes(choose, length, beside, *rules)
    return np.minimum(np.stack(columns, axis=1)[:nodes], UNBOUNDED).astype(np.int64)


def _extremes(choose: np.ufunc, length, beside, above, left, right) -> list[np.ndarray]:
    """Return the fewest (`choose` is np.minimum) or the most tokens in each node's spans, before and after them.

    All arrays are (nodes + 1,). `length` and `beside`, the latter for both sides, are the values to start from; the
    rules, above → left right, are applied until nothing changes.
    """

    def settled(values, at, of):
        while True:
            before = values.copy()
            choose.at(values, at, of(values))
            if np.array_equal(before, values):
                return values

    children = np.append(left, right)
    length = settled(length, above, lambda n: n[left] + n[right])
    before = settled(beside.copy(), children, lambda n: np.append(n[above], n[above] + length[left]))
    after = settled(beside.copy(), children, lambda n: np.append(n[above] + length[right], n[above]))
    return [length, before, after]
