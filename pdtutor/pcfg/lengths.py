"""The exact distribution of the lengths of a grammar's sentences."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pdtutor.pcfg.components import components
from pdtutor.pcfg.notation import short
from pdtutor.validate import whole

if TYPE_CHECKING:
    from pdtutor.pcfg.grammar import Grammar


def length_distribution(grammar: "Grammar", symbol: str | None = None, *, max_length: int | None = None) -> np.ndarray:
    """Return what `Grammar.length_distribution` does."""
    longest = grammar.longest if max_length is None else whole("max_length", max_length)
    of = {token: np.array([0.0, 1.0]) for token in grammar.tokens}
    for group in grammar.components:
        if group[0] in grammar.recursive:
            of |= _of_group(grammar, group, of, longest)
            continue
        total = np.zeros(longest + 1)
        for rule in grammar.of(group[0]):
            product = np.ones(1)
            for part in rule.right:
                product = np.convolve(product, of[part])[: longest + 1]
            total[: len(product)] += rule.probability * product
        of[group[0]] = np.trim_zeros(total, "b") if total.any() else np.zeros(1)
    found = of[grammar.start if symbol is None else grammar.of(symbol)[0].left]
    return np.pad(found, (0, longest + 1 - len(found))) if max_length is not None else found


def _of_group(
    grammar: "Grammar", group: list[str], of: Mapping[str, np.ndarray], longest: int
) -> dict[str, np.ndarray]:
    """Return the distributions, (longest + 1,), of symbols that lead to each other, given those below them.

    Each part of a right-hand side has at least one token, so that a length follows from shorter ones, except along
    unit rules. Where these lead back to where they began, the chances of one length solve linear equations.
    """
    mine = {symbol: np.zeros(longest + 1) for symbol in group}
    below = {part for symbol in group for rule in grammar.of(symbol) for part in rule.right} - mine.keys()
    p = {part: np.pad(of[part], (0, max(0, longest + 1 - len(of[part])))) for part in below} | mine
    rules = [rule for symbol in group for rule in grammar.of(symbol)]
    first_parts = [[np.zeros(longest + 1) for _ in rule.right[1:]] for rule in rules]  # [k]: of parts 0 … k + 1
    units = {s: [(r.right[0], r.probability) for r in grammar.of(s) if len(r.right) == 1] for s in group}
    circles = []  # symbols, and the inverse of the equations' matrix
    for circle in components({s: [part for part, _ in units[s] if part in mine] for s in group}):
        among = np.array([[math.fsum(q for part, q in units[s] if part == t) for t in circle] for s in circle])
        try:
            circles.append((circle, np.linalg.inv(np.eye(len(circle)) - among)))
        except np.linalg.LinAlgError:
            raise ValueError(
                f"unit rules lead from {short(circle[0])} back to it with a probability of 1, so it never ends"
            ) from None
    for n in range(1, longest + 1):
        for rule, products in zip(rules, first_parts, strict=True):
            so_far = p[rule.right[0]]
            for part, product in zip(rule.right[1:], products, strict=True):
                product[n] = so_far[1:n] @ p[part][1:n][::-1]
                so_far = product
            if products:
                mine[rule.left][n] += rule.probability * so_far[n]
        for circle, inverse in circles:
            outer = [sum(q * p[part][n] for part, q in units[s] if part not in circle) for s in circle]
            solved = inverse @ (np.array([mine[s][n] for s in circle]) + outer)
            for symbol, value in zip(circle, solved, strict=True):
                mine[symbol][n] = value
    return mine
