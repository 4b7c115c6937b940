"""Probabilistic context-free grammars: reading, checking and printing them, and their exact length distributions.

A grammar is a text with one rule per line:

    # comments and empty lines are ignored
    tokens: 1 2 3
    22 -> 21 20 [0.25]
    22 -> 20 19 [0.75]

The left-hand side of the first rule is the start symbol. If none of a symbol's rules has a probability, they are
equally likely. The line of tokens is optional: without it, every name that has no rules is a token, so that a misspelt
symbol is taken for a token.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pdtutor.files import user_path
from pdtutor.resources import data_path
from pdtutor.validate import whole

SHIPPED = ("cfg3b", "cfg3b-32", "cfg3f", "cfg3g", "cfg3h", "cfg3i")
RULE = re.compile(r"(?P<left>\S+?)\s*->\s*(?P<right>.*?)(?:\[\s*(?P<p>\S+)\s*\])?")


@dataclass(frozen=True)
class Rule:
    """A rule left → right with its probability; `line` is its line number in the grammar's text."""

    left: str
    right: tuple[str, ...]
    probability: float
    line: int = 0

    def __str__(self) -> str:
        return f"{self.left} -> {' '.join(self.right)} [{float(self.probability)!r}]"


class Grammar:
    """A probabilistic context-free grammar without empty rules.

    Attributes:
        rules: in the order of the text.
        start: the symbol from which every sentence is derived.
        tokens: the terminals, which sentences are made of; a token's id is its index here.
        symbols: the non-terminals, which have rules, the start symbol first; a symbol's id is its index here.
        levels: the symbols by level, from the root (level 0) to the pre-terminals, if every rule leads from one level
            to the next, as in the grammars of Allen-Zhu & Li (2023); otherwise None.

    Raises ValueError, naming the line, for an empty right-hand side, a name that has no rules and is no token, a token
    that has rules, a symbol that the start symbol never leads to, probabilities that are not in (0, 1] or don't sum to
    1, and a symbol whose derivations never end.
    """

    def __init__(self, rules: Sequence[Rule], *, tokens: Sequence[str] | None = None) -> None:
        if not rules:
            raise ValueError("a grammar needs at least one rule")
        self.rules = tuple(rules)
        self.start = rules[0].left
        of = self._of = {}
        for rule in self.rules:
            of.setdefault(rule.left, []).append(rule)
        found = dict.fromkeys(s for rule in self.rules for s in rule.right if s not in of)
        self.tokens = tuple(sorted(found, key=_by_number) if tokens is None else tokens)
        self.symbols = tuple(of)
        self._check()

    def _check(self) -> None:
        of = self._of
        for token, times in Counter(self.tokens).items():
            if times > 1:
                raise ValueError(f"token {token!r} is listed {times} times, so its id is unclear: list it once")
            if token in of:
                raise ValueError(f"line {of[token][0].line}: {token!r} is a token, so it can't have rules")
        for rule in self.rules:
            if not rule.right:
                raise ValueError(f"line {rule.line}: {rule.left!r} has an empty right-hand side, which isn't supported")
            for symbol in rule.right:
                if symbol not in of and symbol not in self.tokens:
                    raise ValueError(
                        f"line {rule.line}: unknown symbol {symbol!r}: give it rules or list it as a token"
                    )
            if not 0 < rule.probability <= 1:
                raise ValueError(f"line {rule.line}: a probability must lie in (0, 1], got {rule.probability:g}")
        for symbol, of_symbol in of.items():
            total = sum(rule.probability for rule in of_symbol)
            if abs(total - 1) > 1e-6:
                lines = ", ".join(str(rule.line) for rule in of_symbol)
                raise ValueError(f"lines {lines}: the probabilities of {symbol!r} sum to {total:g}, not to 1")
        reached = self.below(self.start)
        for rule in self.rules:
            if rule.left not in reached:
                raise ValueError(f"line {rule.line}: {rule.left!r} is unreachable: {self.start!r} never leads to it")
        ends = set(self.tokens)
        while grown := {s for s in of if s not in ends and any(set(r.right) <= ends for r in of[s])}:
            ends |= grown
        if endless := [symbol for symbol in self.symbols if symbol not in ends]:
            lines = ", ".join(str(rule.line) for symbol in endless for rule in of[symbol])
            names = ", ".join(map(repr, endless))
            raise ValueError(
                f"lines {lines}: no derivation of {names} ever ends: each of these rules contains one of them again"
            )

    @classmethod
    def parse(cls, text: str) -> "Grammar":
        """Return the grammar that a text describes, in the format shown at the top of this module.

        Raises ValueError, naming the line, for a line that isn't a rule, and for what `Grammar` refuses.
        """
        rules, tokens = [], None
        for number, raw in enumerate(text.splitlines(), start=1):
            line = raw.split("#")[0].strip()
            if not line:
                continue
            if line.startswith("tokens:"):
                tokens = [*(tokens or ()), *line.removeprefix("tokens:").split()]
                continue
            match = RULE.fullmatch(line)
            if match is None or any(mark in match["right"] for mark in ("->", "|", "[", "]")):
                raise ValueError(f"line {number}: a rule must look like 'A -> B C' or 'A -> B C [0.5]', got {line!r}")
            try:
                p = None if match["p"] is None else float(match["p"])
            except ValueError:
                raise ValueError(f"line {number}: a probability must be a number, got {match['p']!r}") from None
            rules.append((match["left"], tuple(match["right"].split()), p, number))
        return cls(_with_probabilities(rules), tokens=tokens)

    @classmethod
    def load(cls, name: str | Path) -> "Grammar":
        """Return a grammar that ships with pdtutor, by its name ("cfg3b"), or any other, by the path of its text.

        Raises ValueError if there is no such name and no such file, and for what `parse` refuses.
        """
        path = data_path(f"grammars/{name}.txt") if str(name) in SHIPPED else user_path(name)
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(f"no grammar called {name} and no such file; pdtutor has {', '.join(SHIPPED)}") from None

    def of(self, symbol: str) -> tuple[Rule, ...]:
        """Return the rules of a symbol. Raises ValueError for a token or an unknown name."""
        if symbol not in self._of:
            raise ValueError(f"{symbol!r} has no rules here; the symbols are {', '.join(self.symbols)}")
        return tuple(self._of[symbol])

    def below(self, symbol: str) -> set[str]:
        """Return the symbols that occur in derivations of `symbol`, itself included."""
        found, waiting = set(), [symbol]
        while waiting:
            found.add(now := waiting.pop())
            waiting += [s for rule in self.of(now) for s in rule.right if s in self._of and s not in found]
        return found

    def rooted_at(self, symbol: str) -> "Grammar":
        """Return the part of this grammar that starts from `symbol`: the same tokens, but shorter sentences."""
        below = self.below(str(symbol))
        rules = sorted((r for r in self.rules if r.left in below), key=lambda rule: rule.left != str(symbol))
        return Grammar(rules, tokens=self.tokens)

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...] | None:
        """The symbols by level; None if some rule does not lead from one level to the next."""
        levels: list[tuple[str, ...]] = []
        now: tuple[str, ...] = (self.start,)
        while now:  # ends for recursive grammars too: all symbols can end, so tokens and symbols meet on some level
            levels.append(tuple(sorted(now, key=_by_number)))
            right = dict.fromkeys(s for symbol in now for rule in self.of(symbol) for s in rule.right)
            if len({s in self._of for s in right}) > 1:
                return None  # tokens and symbols side by side
            now = tuple(symbol for symbol in right if symbol in self._of)
        return tuple(levels)

    def length_distribution(self, symbol: str | None = None, *, max_length: int | None = None) -> np.ndarray:
        """Return the exact distribution of the lengths of a symbol's spans; by default, of sentences.

        It is (longest + 1,) or, where given, (max_length + 1,) float64: entry n is P(length = n). A recursive grammar
        has no longest sentence: its distribution is cut off at `max_length`, and the entries sum to P(length ≤
        max_length). Raises ValueError for a recursive grammar without `max_length` and for an unknown symbol.
        """
        longest = self.longest if max_length is None else whole("max_length", max_length)
        of = {token: np.array([0.0, 1.0]) for token in self.tokens} | {s: np.zeros(1) for s in self.symbols}
        while True:  # a symbol's distribution follows from those of its parts; repeat until none changes
            before = {s: of[s] for s in self.symbols}
            for s in reversed(self.symbols):
                total = np.zeros(longest + 1)
                for rule in self.of(s):
                    product = np.ones(1)
                    for part in rule.right:
                        product = np.convolve(product, of[part])[: longest + 1]
                    total[: len(product)] += rule.probability * product
                of[s] = np.trim_zeros(total, "b") if total.any() else np.zeros(1)
            if all(_same(before[s], of[s]) for s in self.symbols):
                break
        found = of[self.start if symbol is None else self.of(symbol)[0].left]
        return np.pad(found, (0, max_length + 1 - len(found))) if max_length is not None else found

    def length_statistics(self, symbol: str | None = None) -> dict[str, float]:
        """Return the exact mean, sd, min and max of the lengths of a symbol's spans; by default, of sentences."""
        p = self.length_distribution(symbol)
        n = np.arange(len(p))
        mean = float(p @ n)
        return {"mean": mean, "sd": float(p @ (n - mean) ** 2) ** 0.5, "min": int(p.nonzero()[0][0]), "max": len(p) - 1}

    @cached_property
    def longest(self) -> int:
        """The length of the longest sentence, in tokens. Raises ValueError for a recursive grammar, which has none."""
        longest: dict[str, int] = dict.fromkeys(self.tokens, 1)

        def of(symbol: str, above: tuple[str, ...]) -> int:
            if symbol in above:
                raise ValueError(f"{symbol!r} leads back to itself, so there is no longest sentence: give max_length")
            if symbol not in longest:
                longest[symbol] = max(sum(of(s, (*above, symbol)) for s in r.right) for r in self.of(symbol))
            return longest[symbol]

        return of(self.start, ())

    def to_nltk(self):
        """Return this grammar as an `nltk.PCFG`. Raises ImportError if NLTK is not installed."""
        nltk = _nltk()
        symbol = {s: nltk.Nonterminal(s) for s in self.symbols}
        productions = [
            nltk.ProbabilisticProduction(symbol[r.left], [symbol.get(s, s) for s in r.right], prob=r.probability)
            for r in self.rules
        ]
        return nltk.PCFG(symbol[self.start], productions)

    @classmethod
    def from_nltk(cls, grammar) -> "Grammar":
        """Return an `nltk.PCFG` as a Grammar. In errors, "line" is then the number of the production.

        Raises ValueError for what `Grammar` refuses, such as a token that is spelt like a symbol.
        """
        rules = [
            Rule(str(p.lhs()), tuple(str(s) for s in p.rhs()), p.prob(), number)
            for number, p in enumerate(grammar.productions(), start=1)
        ]
        symbols = {p.lhs() for p in grammar.productions()}  # Nonterminals, unequal to tokens of the same name
        tokens = {str(s) for p in grammar.productions() for s in p.rhs() if s not in symbols}
        rules.sort(key=lambda rule: rule.left != str(grammar.start()))
        return cls(rules, tokens=sorted(tokens, key=_by_number))

    def __str__(self) -> str:
        return "\n".join([f"tokens: {' '.join(self.tokens)}", *map(str, self.rules)])

    def __repr__(self) -> str:
        return f"Grammar(start={self.start!r}, {len(self.rules)} rules, {len(self.tokens)} tokens)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grammar) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _with_probabilities(rules: list[tuple[str, tuple[str, ...], float | None, int]]) -> list[Rule]:
    """Return the rules (left, right, probability or None, line), equally likely for a symbol whose rules have None.

    Raises ValueError if only some of a symbol's rules have a probability.
    """
    alternatives = Counter(left for left, *_ in rules)
    without: dict[str, list[int]] = {}  # lines of the rules that have none, by symbol
    for left, _, probability, line in rules:
        if probability is None:
            without.setdefault(left, []).append(line)
    for symbol, lines in without.items():
        if len(lines) < alternatives[symbol]:
            raise ValueError(f"line {lines[0]}: some rules of {symbol!r} have a probability, but this one has none")
    return [Rule(left, right, 1 / alternatives[left] if p is None else p, line) for left, right, p, line in rules]


def _by_number(token: str) -> tuple:
    """Return a sort key that puts numbers before words, and in numerical order."""
    return (not token.isdecimal(), int(token) if token.isdecimal() else 0, token)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) == len(b) and np.allclose(a, b, rtol=1e-14, atol=0)


def _nltk():
    try:
        import nltk
    except ImportError:
        raise ImportError("this needs NLTK: pip install nltk") from None
    return nltk
