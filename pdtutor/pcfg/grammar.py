"""Probabilistic context-free grammars: rules that are checked, and what follows from them.

`notation.py` says how they are written, `lengths.py` computes the distribution of their sentences' lengths.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pdtutor.pcfg.components import components
from pdtutor.pcfg.lengths import length_distribution
from pdtutor.pcfg.notation import Rule, by_number, listed, place, read, short, written
from pdtutor.resources import data_path
from pdtutor.validate import user_path

SHIPPED = ("cfg3b", "cfg3b-32", "cfg3f", "cfg3g", "cfg3h", "cfg3i")
LONGEST = 2**24  # tokens: what may have longer sentences needs a max_length


class Grammar:
    """A probabilistic context-free grammar without empty rules.

    Attributes:
        rules: in the order of the text.
        start: the symbol from which every sentence is derived.
        tokens: the terminals, which sentences are made of; a token's id is its index here.
        symbols: the non-terminals, which have rules, the start symbol first; a symbol's id is its index here.
        levels: the symbols by level, from the root (level 0) to the pre-terminals, if every rule leads from one level
            to the next, as in the grammars of Allen-Zhu & Li (2023); otherwise None.

    Grammars are equal if their tokens and their rules are, each in the same order.

    Raises ValueError, naming the line, for an empty right-hand side, a name that has no rules and is no token, a token
    that has rules, a symbol that the start symbol never leads to, probabilities that are not in (0, 1] or don't sum to
    1, and a symbol whose derivations never end.
    """

    def __init__(self, rules: Sequence[Rule], *, tokens: Sequence[str] | None = None) -> None:
        if not rules:
            raise ValueError("a grammar needs at least one rule")
        self.rules = tuple(rules)
        self.start = rules[0].left
        of: dict[str, list[Rule]] = {}
        for rule in self.rules:
            of.setdefault(rule.left, []).append(rule)
        self._of = {symbol: tuple(of_symbol) for symbol, of_symbol in of.items()}
        found = dict.fromkeys(s for rule in self.rules for s in rule.right if s not in of)
        self.tokens = tuple(sorted(found, key=by_number) if tokens is None else tokens)
        self.symbols = tuple(of)
        self._check()

    def _check(self) -> None:
        of, tokens = self._of, frozenset(self.tokens)
        for token, times in Counter(self.tokens).items():
            if not isinstance(token, str):
                raise ValueError(f"a token must be a string, got {short(token)}")
            if times > 1:
                raise ValueError(f"token {short(token)} is listed {times} times, so its id is unclear: list it once")
            if token in of:
                raise ValueError(f"{place(of[token][:1])}: {short(token)} is a token, so it can't have rules")
        for rule in self.rules:
            if not rule.right:
                raise ValueError(
                    f"{place([rule])}: {short(rule.left)} has an empty right-hand side, which isn't supported"
                )
            for symbol in rule.right:
                if symbol not in of and symbol not in tokens:
                    raise ValueError(
                        f"{place([rule])}: unknown symbol {short(symbol)}: give it rules or list it as a token"
                    )
            if not 0 < rule.probability <= 1:
                raise ValueError(f"{place([rule])}: a probability must lie in (0, 1], got {rule.probability:g}")
        for symbol, of_symbol in of.items():
            total = math.fsum(rule.probability for rule in of_symbol)
            if abs(total - 1) > 1e-6:
                raise ValueError(f"{place(of_symbol)}: the probabilities of {short(symbol)} sum to {total:g}, not to 1")
        reached = self.below(self.start)
        for rule in self.rules:
            if rule.left not in reached:
                raise ValueError(
                    f"{place([rule])}: {short(rule.left)} is unreachable: {short(self.start)} never leads to it"
                )
        if endless := self._endless():
            rules = [rule for symbol in endless for rule in of[symbol]]
            raise ValueError(
                f"{place(rules)}: no derivation of {listed(map(short, endless))} ever ends: each of these rules "
                "contains one of them again"
            )

    def _endless(self) -> list[str]:
        """Return the symbols none of whose derivations ends."""
        missing = []  # per rule: how many of its symbols are not known to end
        waiting: dict[str, list[int]] = {symbol: [] for symbol in self.symbols}  # the rules that contain a symbol
        for number, rule in enumerate(self.rules):
            parts = {part for part in rule.right if part in self._of}
            missing.append(len(parts))
            for part in parts:
                waiting[part].append(number)
        ends: set[str] = set()
        ready = [number for number, count in enumerate(missing) if count == 0]
        while ready:
            symbol = self.rules[ready.pop()].left
            if symbol not in ends:
                ends.add(symbol)
                for number in waiting[symbol]:
                    missing[number] -= 1
                    if missing[number] == 0:
                        ready.append(number)
        return [symbol for symbol in self.symbols if symbol not in ends]

    @classmethod
    def parse(cls, text: str) -> "Grammar":
        """Return the grammar that a text describes, in the format of `notation.py`.

        A byte order mark before it doesn't count.

        Raises ValueError, naming the line, for a line that isn't a rule, and for what `Grammar` refuses.
        """
        rules, tokens = read(text)
        return cls(rules, tokens=tokens)

    @classmethod
    def load(cls, name: str | Path) -> "Grammar":
        """Return a grammar that ships with pdtutor, by its name ("cfg3b"), or any other, by the path of its text.

        A file must be in UTF-8, with or without a byte order mark.

        Raises ValueError, naming the file, if there is no such name and no such file, for a file that can't be read or
        is in another encoding, and, with the line as well, for what `parse` refuses.
        """
        path = data_path(f"grammars/{name}.txt") if str(name) in SHIPPED else user_path(name)
        called = str(name)[:300]
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise ValueError(f"no grammar called {called} and no such file; pdtutor has {', '.join(SHIPPED)}") from None
        except (OSError, ValueError) as error:  # a folder, a file of somebody else's, a name that can't be a file's
            why = error.strerror if isinstance(error, OSError) else error
            raise ValueError(f"the grammar {called} can't be read: {why}") from None
        try:
            return cls.parse(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            byte = content[error.start]
            raise ValueError(f"{path}: line {line}: byte {byte:#04x} is not UTF-8: save the file as UTF-8") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def of(self, symbol: str) -> tuple[Rule, ...]:
        """Return the rules of a symbol. Raises ValueError for a token or an unknown name."""
        if symbol not in self._of:
            raise ValueError(f"{short(symbol)} has no rules here; the symbols are {listed(self.symbols)}")
        return self._of[symbol]

    def below(self, symbol: str) -> set[str]:
        """Return the symbols that occur in derivations of `symbol`, itself included."""
        found, waiting = {symbol}, [symbol]
        while waiting:
            for rule in self.of(waiting.pop()):
                for part in rule.right:
                    if part in self._of and part not in found:
                        found.add(part)
                        waiting.append(part)
        return found

    def rooted_at(self, symbol: str) -> "Grammar":
        """Return the part of this grammar that starts from `symbol`: the same tokens, but shorter sentences."""
        below = self.below(str(symbol))
        rules = sorted((r for r in self.rules if r.left in below), key=lambda rule: rule.left != str(symbol))
        return Grammar(rules, tokens=self.tokens)

    def fingerprint(self) -> str:
        """Return a digest of all that decides which sentences a seed draws, as 16 hexadecimal digits.

        That is: the tokens in the order of their ids, the start symbol, and each symbol's rules, in their order, with
        their probabilities. Comments, spaces and the order in which the symbols are defined don't count.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        rules = [(s, [(rule.right, rule.probability) for rule in self._of[s]]) for s in sorted(self.symbols)]
        return hashlib.sha256(json.dumps([self.tokens, self.start, rules]).encode()).hexdigest()[:16]

    @cached_property
    def components(self) -> list[list[str]]:
        """The symbols in groups that lead to each other, each group after those that it leads to."""
        return components({s: [p for r in self._of[s] for p in r.right if p in self._of] for s in self.symbols})

    @cached_property
    def recursive(self) -> frozenset[str]:
        """The symbols that occur in derivations of themselves."""
        return frozenset(
            symbol
            for group in self.components
            for symbol in group
            if len(group) > 1 or any(symbol in rule.right for rule in self._of[symbol])
        )

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...] | None:
        """The symbols by level; None if some rule does not lead from one level to the next."""
        levels: list[tuple[str, ...]] = []
        now, above = (self.start,), set[str]()
        while now:
            levels.append(tuple(sorted(now, key=by_number)))
            above.update(now)
            right = dict.fromkeys(s for symbol in now for rule in self.of(symbol) for s in rule.right)
            if len({s in self._of for s in right}) > 1 or not above.isdisjoint(right):
                return None  # tokens and symbols side by side, or a symbol on two levels
            now = tuple(symbol for symbol in right if symbol in self._of)
        return tuple(levels)

    def length_distribution(self, symbol: str | None = None, *, max_length: int | None = None) -> np.ndarray:
        """Return the exact distribution of the lengths of a symbol's spans; by default, of sentences.

        It is (longest + 1,) or, where given, (max_length + 1,) float64: entry n is P(length = n). A recursive grammar
        has no longest sentence: its distribution is cut off at `max_length`, and the entries sum to P(length ≤
        max_length). Raises ValueError for a recursive grammar without `max_length`, for an unknown symbol, and for unit
        rules that lead back to where they began with a probability of 1.
        """
        return length_distribution(self, symbol, max_length=max_length)

    def length_statistics(self, symbol: str | None = None) -> dict[str, float]:
        """Return the exact mean, sd, min and max of the lengths of a symbol's spans; by default, of sentences."""
        p = self.length_distribution(symbol)
        n = np.arange(len(p))
        mean = float(p @ n)
        return {"mean": mean, "sd": float(p @ (n - mean) ** 2) ** 0.5, "min": int(p.nonzero()[0][0]), "max": len(p) - 1}

    @cached_property
    def longest(self) -> int:
        """The length of the longest sentence, in tokens.

        Raises ValueError for a recursive grammar, which has none, and for one of more than LONGEST tokens.
        """
        for symbol in self.symbols:
            if symbol in self.recursive:
                raise ValueError(
                    f"{short(symbol)} leads back to itself, so there is no longest sentence: give max_length"
                )
        longest = dict.fromkeys(self.tokens, 1)
        for (symbol,) in self.components:
            longest[symbol] = max(sum(longest[part] for part in rule.right) for rule in self.of(symbol))
            if longest[symbol] > LONGEST:
                raise ValueError(
                    f"{short(symbol)} can have more than {LONGEST} tokens, too many to draw: give max_length"
                )
        return longest[self.start]

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

        Raises ValueError for what `Grammar` refuses, such as a token that is spelt like a symbol, for a non-terminal
        without productions, and for different symbols or tokens that are written alike.
        """
        kind = _nltk().Nonterminal
        symbols = {p.lhs() for p in grammar.productions()}  # Nonterminals, unequal to tokens of the same name
        rules, tokens, known = [], {}, {}
        for number, p in enumerate(grammar.productions(), start=1):
            for s in (p.lhs(), *p.rhs()):
                if isinstance(s, kind) and s not in symbols:
                    raise ValueError(f"line {number}: the non-terminal {short(str(s))} has no productions")
                if s not in symbols:
                    tokens[str(s)] = number
                if (other := known.setdefault((s in symbols, str(s)), s)) != s:
                    raise ValueError(f"line {number}: {s!r} and {other!r} are different, but are written alike")
            rules.append(Rule(str(p.lhs()), tuple(str(s) for s in p.rhs()), p.prob(), number))
        rules.sort(key=lambda rule: rule.left != str(grammar.start()))
        return cls(rules, tokens=sorted(tokens, key=by_number))

    def __str__(self) -> str:
        return "\n".join([f"tokens: {' '.join(map(written, self.tokens))}", *map(str, self.rules)])

    def __repr__(self) -> str:
        return f"Grammar(start={self.start!r}, {len(self.rules)} rules, {len(self.tokens)} tokens)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grammar) and (self.tokens, self.rules) == (other.tokens, other.rules)

    def __hash__(self) -> int:
        return hash(self._fingerprint)  # equal grammars have equal ones


def _nltk():
    try:
        import nltk
    except ImportError:
        raise ImportError("this needs NLTK: pip install nltk") from None
    return nltk
