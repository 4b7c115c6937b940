"""The compiled passes over a grammar's chart: inside, outside and forward.

The chart holds P(evidence in a span | the span is derived from a node) for all spans of a sentence. It is filled by
increasing length. A node is a token, a symbol, or a part of a longer right-hand side: its last two or more symbols.

Two things make it fast. First, each node's spans have a shortest and a longest length, and a first and a last start,
since the number of tokens before and after them is bounded in the same way; nothing is computed outside these bounds.
Second, all spans of one node and one length form a row, ordered by start: one rule with one split of the length is
then a sum of products of contiguous numbers, cut to where neither row is zero.
"""

import math
from typing import NamedTuple

import numpy as np

from pdtutor.compiled import compiled

SHORTEST, BEFORE_LEAST, AFTER_LEAST, LONGEST, BEFORE_MOST, AFTER_MOST = range(6)  # columns of Nodes.bounds
SCALED = 64  # the spans of a length are rescaled if their largest value leaves 2**-SCALED … 2**SCALED


class Nodes(NamedTuple):
    """A grammar whose right-hand sides have one or two nodes: tokens, symbols and parts of longer right-hand sides.

    Attributes:
        root: the node of the start symbol. The node of token t is t.
        recursive: whether some symbol occurs in a derivation of itself.
        pairs, pair_chances: (n, 3) and (n,), a row A, B, C and a probability for each rule A → B C.
        units, unit_chances: (n, 2) and (n,), a row A, B and a probability for each rule A → B. The rows of B's
            unit rules come before those of A's.
        corners, corner_chances: (n, 2) and (n,), a row A, B and a probability for each rule A → B … of either kind.
            If the grammar is not recursive, the rows of A's rules come before those of B's.
        bounds: (nodes, 6), the fewest tokens in a node's spans, before them and after them in a sentence; then the
            most.
        prefix_bounds: the same for prefixes of sentences, where any number of tokens may follow a span.
        places: (nodes, 2), a symbol's level and its index in grammar.levels[level]; −1 for other nodes.
    """

    root: int
    recursive: bool
    pairs: np.ndarray
    pair_chances: np.ndarray
    units: np.ndarray
    unit_chances: np.ndarray
    corners: np.ndarray
    corner_chances: np.ndarray
    bounds: np.ndarray
    prefix_bounds: np.ndarray
    places: np.ndarray


class Chart(NamedTuple):
    """The inside probabilities of all spans.

    Row rows[node] + length holds the spans of this node and length. Row r has the starts low[r] … high[r] − 1; the
    value for start i is values[cells[r] + i], and it is zero outside first[r] … last[r] − 1. Values are probabilities
    times 2**-exponents[length].
    """

    values: np.ndarray
    rows: np.ndarray
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray
    last: np.ndarray
    cells: np.ndarray
    exponents: np.ndarray


@compiled(nogil=True)
def _empty(length, bounds):
    """Return an all-zero chart for a sentence of this length, given all nodes' bounds, (nodes, 6)."""
    rows, count = np.empty(len(bounds), np.int64), 0
    for node in range(len(bounds)):
        rows[node] = count - bounds[node, SHORTEST]
        count += max(0, min(length, bounds[node, LONGEST]) - bounds[node, SHORTEST] + 1)
    low, high, cells = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    size = 0
    for node in range(len(bounds)):
        for n in range(bounds[node, SHORTEST], min(length, bounds[node, LONGEST]) + 1):
            row, rest = rows[node] + n, length - n
            start = max(bounds[node, BEFORE_LEAST], rest - bounds[node, AFTER_MOST])
            stop = min(bounds[node, BEFORE_MOST], rest - bounds[node, AFTER_LEAST]) + 1
            if start < stop:
                low[row], high[row], cells[row] = start, stop, size - start
                size += stop - start
    return Chart(np.zeros(size), rows, low, high, low.copy(), high.copy(), cells, np.zeros(length + 1, np.int64))


@compiled(nogil=True)
def _extent(values):
    """Return where the nonzero values begin and end, and the largest value."""
    start, stop, most = 0, len(values), 0.0
    while start < stop and values[start] == 0:
        start += 1
    while start < stop and values[stop - 1] == 0:
        stop -= 1
    for i in range(start, stop):
        most = max(most, values[i])
    return start, stop, most


@compiled(nogil=True, fastmath={"contract"})
def inside(likelihood, nodes, bounds):
    """Return the chart for a likelihood, (length, V), and all nodes' bounds, in sentences or in prefixes of them."""
    length, vocabulary = likelihood.shape
    chart = _empty(length, bounds)
    values, rows, low, high, first, last, cells, exponents = chart
    shortest, longest = bounds[:, SHORTEST].copy(), bounds[:, LONGEST].copy()
    for n in range(1, length + 1):
        exponents[n] = exponents[n // 2] + exponents[n - n // 2]  # a first guess, corrected below
        if n == 1:
            for t in range(vocabulary):
                for i in range(low[rows[t] + 1], high[rows[t] + 1]):
                    values[cells[rows[t] + 1] + i] = likelihood[i, t]
        for rule in range(len(nodes.pairs)):
            a, b, c = nodes.pairs[rule]
            row = rows[a] + n
            if not shortest[a] <= n <= longest[a] or low[row] == high[row]:
                continue
            for m in range(max(shortest[b], n - longest[c]), min(longest[b], n - shortest[c]) + 1):
                left, right = rows[b] + m, rows[c] + n - m
                start, stop = max(low[row], first[left], first[right] - m), min(high[row], last[left], last[right] - m)
                if start < stop:
                    chance = math.ldexp(nodes.pair_chances[rule], exponents[m] + exponents[n - m] - exponents[n])
                    to = values[cells[row] + start : cells[row] + stop]
                    one = values[cells[left] + start : cells[left] + stop]
                    two = values[cells[right] + start + m : cells[right] + stop + m]
                    for i in range(stop - start):
                        to[i] += chance * one[i] * two[i]
        for rule in range(len(nodes.units)):
            a, b = nodes.units[rule]
            if shortest[b] <= n <= longest[b]:
                row, child = rows[a] + n, rows[b] + n
                for i in range(low[row], high[row]):
                    values[cells[row] + i] += nodes.unit_chances[rule] * values[cells[child] + i]
        most = 0.0
        for node in range(len(bounds)):
            if shortest[node] <= n <= longest[node]:
                row = rows[node] + n
                start, stop, largest = _extent(values[cells[row] + low[row] : cells[row] + high[row]])
                first[row], last[row], most = low[row] + start, low[row] + stop, max(most, largest)
        shift = math.frexp(most)[1]
        if abs(shift) > SCALED:
            exponents[n] += shift
            for node in range(len(bounds)):
                if shortest[node] <= n <= longest[node]:
                    row = rows[node] + n
                    for i in range(first[row], last[row]):
                        values[cells[row] + i] = math.ldexp(values[cells[row] + i], -shift)
    return chart


@compiled(nogil=True)
def sentence(chart, nodes, length):
    """Return the probability that the first `length` tokens are a whole sentence, scaled like the chart."""
    if not nodes.bounds[nodes.root, SHORTEST] <= length <= nodes.bounds[nodes.root, LONGEST]:
        return 0.0
    row = chart.rows[nodes.root] + length
    return chart.values[chart.cells[row]] if chart.low[row] == 0 < chart.high[row] else 0.0


@compiled(nogil=True, fastmath={"contract"})
def outside(chart, nodes, length, vocabulary, levels, widest):
    """Return each position's cavity up to a factor, (length, V), and the spans, (levels, length, widest).

    `out` holds the outside probabilities, P(all other evidence, the span is derived from the node), in the same places
    as the chart's inside probabilities. They are scaled so that inside times outside is scaled like the probability of
    the whole sentence.
    """
    values, rows, low, high, first, last, cells, exponents = chart
    shortest, longest = nodes.bounds[:, SHORTEST].copy(), nodes.bounds[:, LONGEST].copy()
    out = np.zeros(len(values))
    out[cells[rows[nodes.root] + length]] = 1
    begin, end = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    cavity, spans = np.zeros((length, vocabulary)), np.zeros((levels, length, widest))
    evidence = sentence(chart, nodes, length)
    for n in range(length, 0, -1):
        for rule in range(len(nodes.units) - 1, -1, -1):
            a, b = nodes.units[rule]
            if shortest[b] <= n <= longest[b]:
                row, child = rows[a] + n, rows[b] + n
                for i in range(low[row], high[row]):
                    out[cells[child] + i] += nodes.unit_chances[rule] * out[cells[row] + i]
        for node in range(len(rows)):
            if shortest[node] <= n <= longest[node]:
                row = rows[node] + n
                start, stop, _ = _extent(out[cells[row] + low[row] : cells[row] + high[row]])
                begin[node], end[node] = low[row] + start, low[row] + stop
                level, place = nodes.places[node]
                if level >= 0:
                    for i in range(begin[node], end[node]):
                        spans[level, i + n - 1, place] += out[cells[row] + i] * values[cells[row] + i] / evidence
        for rule in range(len(nodes.pairs)):
            a, b, c = nodes.pairs[rule]
            row = rows[a] + n
            if not shortest[a] <= n <= longest[a] or begin[a] == end[a]:
                continue
            for m in range(max(shortest[b], n - longest[c]), min(longest[b], n - shortest[c]) + 1):
                left, right = rows[b] + m, rows[c] + n - m
                chance = math.ldexp(nodes.pair_chances[rule], exponents[m] + exponents[n - m] - exponents[n])
                start, stop = max(begin[a], first[right] - m), min(end[a], last[right] - m)
                if start < stop:
                    above = out[cells[row] + start : cells[row] + stop]
                    to = out[cells[left] + start : cells[left] + stop]
                    beside = values[cells[right] + start + m : cells[right] + stop + m]
                    for i in range(stop - start):
                        to[i] += chance * above[i] * beside[i]
                start, stop = max(begin[a], first[left]), min(end[a], last[left])
                if start < stop:
                    above = out[cells[row] + start : cells[row] + stop]
                    to = out[cells[right] + start + m : cells[right] + stop + m]
                    beside = values[cells[left] + start : cells[left] + stop]
                    for i in range(stop - start):
                        to[i] += chance * above[i] * beside[i]
    for t in range(vocabulary):
        row = rows[t] + 1
        for i in range(low[row], high[row]):
            cavity[i, t] = out[cells[row] + i]
    return cavity, spans


@compiled(nogil=True)
def forward(chart, nodes, length, vocabulary):
    """Return what follows each prefix, (length + 1, V + 1), and the position of the first impossible token, else −1.

    begins[A, i] is P(the tokens before i, and a span derived from A begins at i) times 2**-exponents[i]. Such a span
    is either the first part of a span derived from a rule's left-hand side, or follows a span that the chart holds.
    """
    shortest, longest = nodes.bounds[:, SHORTEST].copy(), nodes.bounds[:, LONGEST].copy()
    begins, exponents = np.zeros((len(nodes.bounds), length + 1)), np.zeros(length + 1, np.int64)
    follows = np.zeros((length + 1, vocabulary + 1))
    begins[nodes.root, 0] = 1
    for now in range(length + 1):
        exponents[now] = exponents[max(now - 1, 0)]
        for rule in range(len(nodes.pairs)):
            a, b, c = nodes.pairs[rule]
            total = 0.0
            for m in range(shortest[b], min(longest[b], now) + 1):
                row, i = chart.rows[b] + m, now - m
                if begins[a, i] and chart.first[row] <= i < chart.last[row]:
                    both = begins[a, i] * chart.values[chart.cells[row] + i]
                    total += math.ldexp(both, exponents[i] + chart.exponents[m] - exponents[now])
            begins[c, now] += nodes.pair_chances[rule] * total
        for corner in range(len(nodes.corners)):
            a, b = nodes.corners[corner]
            begins[b, now] += nodes.corner_chances[corner] * begins[a, now]
        follows[now, vocabulary] = math.ldexp(sentence(chart, nodes, now), chart.exponents[now] - exponents[now])
        total = follows[now, vocabulary]
        for t in range(vocabulary):
            follows[now, t] = begins[t, now]
            total += begins[t, now]
        if total == 0:
            return follows, now - 1
        for t in range(vocabulary + 1):
            follows[now, t] /= total
        shift = math.frexp(total)[1]
        exponents[now] += shift
        for node in range(len(begins)):
            begins[node, now] = math.ldexp(begins[node, now], -shift)
    return follows, -1
