"""Probabilistic context-free grammars: reading, checking and printing them, and their exact length distributions.

A grammar is a text with one rule per line:

    # comments and empty lines are ignored
    tokens: 1 2 3
    22 -> 21 20 [0.25]
    22 -> 20 19 [0.75]

The left-hand side of the first rule is the start symbol. If none of a symbol's rules has a probability, they are
equally likely. The line of tokens is optional: without it, every name that has no rules is a token, so that a misspelt
symbol is taken for a token.

Names may be anything. Those that are empty, contain spaces, "->" or one of # [ ] |, or begin with a double quote or
with "tokens:" are written in double quotes, as strings are in JSON: "New York", "#", "\\u00a0".
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from pathlib import Path

import numpy as np

from pdtutor.resources import data_path
from pdtutor.validate import user_path, whole

SHIPPED = ("cfg3b", "cfg3b-32", "cfg3f", "cfg3g", "cfg3h", "cfg3i")
LONGEST = 2**24  # tokens: what may have longer sentences needs a max_length

BARE = r"""(?:[^\s#\[\]|"-]|-(?!>))(?:[^\s#\[\]|-]++|-(?!>))*+"""  # a name without quotes
NAME = re.compile(BARE)
MARKS = frozenset(("->", "[", "]", "|"))
PIECE = re.compile(  # what a line consists of, besides spaces; a single quote is one that doesn't close
    rf"""^tokens:|#.*|->|[\[\]|]|"(?:[^"\\]|\\.)*+"(?=[\s#\[\]|]|->|$)|{BARE}|\"""", re.DOTALL
)


@dataclass(frozen=True)
class Rule:
    """A rule left → right with its probability; `line` is its line number in the grammar's text, 0 where there is none.

    Rules in different lines are equal if all else is.

    Raises ValueError unless left is a string, right a tuple of strings, and the probability a number.
    """

    left: str
    right: tuple[str, ...]
    probability: float
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        names = (self.left, *self.right) if isinstance(self.right, tuple) else (None,)
        if not all(isinstance(name, str) for name in names) or not isinstance(self.probability, Real):
            raise ValueError(f"a rule needs a string, a tuple of strings and a number, got {_short(self)}")
        object.__setattr__(self, "probability", float(self.probability))

    def __str__(self) -> str:
        return f"{_written(self.left)} -> {' '.join(map(_written, self.right))} [{self.probability!r}]"


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
        self.tokens = tuple(sorted(found, key=_by_number) if tokens is None else tokens)
        self.symbols = tuple(of)
        self._check()

    def _check(self) -> None:
        of, tokens = self._of, frozenset(self.tokens)
        for token, times in Counter(self.tokens).items():
            if not isinstance(token, str):
                raise ValueError(f"a token must be a string, got {_short(token)}")
            if times > 1:
                raise ValueError(f"token {_short(token)} is listed {times} times, so its id is unclear: list it once")
            if token in of:
                raise ValueError(f"{_place(of[token][:1])}: {_short(token)} is a token, so it can't have rules")
        for rule in self.rules:
            if not rule.right:
                raise ValueError(
                    f"{_place([rule])}: {_short(rule.left)} has an empty right-hand side, which isn't supported"
                )
            for symbol in rule.right:
                if symbol not in of and symbol not in tokens:
                    raise ValueError(
                        f"{_place([rule])}: unknown symbol {_short(symbol)}: give it rules or list it as a token"
                    )
            if not 0 < rule.probability <= 1:
                raise ValueError(f"{_place([rule])}: a probability must lie in (0, 1], got {rule.probability:g}")
        for symbol, of_symbol in of.items():
            total = math.fsum(rule.probability for rule in of_symbol)
            if abs(total - 1) > 1e-6:
                raise ValueError(
                    f"{_place(of_symbol)}: the probabilities of {_short(symbol)} sum to {total:g}, not to 1"
                )
        reached = self.below(self.start)
        for rule in self.rules:
            if rule.left not in reached:
                raise ValueError(
                    f"{_place([rule])}: {_short(rule.left)} is unreachable: {_short(self.start)} never leads to it"
                )
        if endless := self._endless():
            rules = [rule for symbol in endless for rule in of[symbol]]
            raise ValueError(
                f"{_place(rules)}: no derivation of {_listed(map(_short, endless))} ever ends: each of these rules "
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
        """Return the grammar that a text describes, in the format shown at the top of this module.

        A byte order mark before it doesn't count.

        Raises ValueError, naming the line, for a line that isn't a rule, and for what `Grammar` refuses.
        """
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise ValueError(f"line {line}: a NUL character, as text in UTF-16 has them: save it as UTF-8")
        rules, tokens = [], None  # tokens: the line of each
        names: dict[str, str] = {}  # by how they are written
        for number, raw in enumerate(text.split("\n"), start=1):
            line = raw.strip()
            pieces = PIECE.findall(line)
            if pieces and pieces[-1].startswith("#"):
                pieces.pop()
            for piece in pieces:
                if piece not in names and piece not in MARKS:
                    names[piece] = _read(piece, number)
            if not pieces:
                continue
            if pieces[0] == "tokens:":
                tokens = {} if tokens is None else tokens
                for piece in pieces[1:]:
                    if piece in MARKS:
                        raise ValueError(f'line {number}: in double quotes {piece} can be a token: write "{piece}"')
                    if (token := names[piece]) in tokens:
                        raise ValueError(
                            f"line {number}: token {_short(token)} is listed in line {tokens[token]} already, so its "
                            "id is unclear: list it once"
                        )
                    tokens[token] = number
                continue
            weight = pieces[-2] if len(pieces) > 4 and (pieces[-3], pieces[-1]) == ("[", "]") else None
            rule = pieces if weight is None else pieces[:-3]
            if len(rule) < 2 or rule[0] in MARKS or rule[1] != "->" or not MARKS.isdisjoint(rule[2:]):
                raise ValueError(
                    f"line {number}: a rule must look like 'A -> B C' or 'A -> B C [0.5]', got {_short(line)}; a name "
                    "with spaces or any of # [ ] | -> needs double quotes"
                )
            try:
                p = None if weight is None else float(weight)
            except ValueError:
                raise ValueError(f"line {number}: a probability must be a number, got {_short(weight)}") from None
            rules.append((names[rule[0]], tuple([names[piece] for piece in rule[2:]]), p, number))
        return cls(_with_probabilities(rules), tokens=None if tokens is None else list(tokens))

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
            raise ValueError(f"{_short(symbol)} has no rules here; the symbols are {_listed(self.symbols)}")
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
            levels.append(tuple(sorted(now, key=_by_number)))
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
        longest = self.longest if max_length is None else whole("max_length", max_length)
        of = {token: np.array([0.0, 1.0]) for token in self.tokens}
        for group in self.components:
            if group[0] in self.recursive:
                of |= self._lengths(group, of, longest)
                continue
            total = np.zeros(longest + 1)
            for rule in self.of(group[0]):
                product = np.ones(1)
                for part in rule.right:
                    product = np.convolve(product, of[part])[: longest + 1]
                total[: len(product)] += rule.probability * product
            of[group[0]] = np.trim_zeros(total, "b") if total.any() else np.zeros(1)
        found = of[self.start if symbol is None else self.of(symbol)[0].left]
        return np.pad(found, (0, longest + 1 - len(found))) if max_length is not None else found

    def _lengths(self, group: list[str], of: Mapping[str, np.ndarray], longest: int) -> dict[str, np.ndarray]:
        """Return the distributions, (longest + 1,), of symbols that lead to each other, given those below them.

        Each part of a right-hand side has at least one token, so that a length follows from shorter ones, except along
        unit rules. Where these lead back to where they began, the chances of one length solve linear equations.
        """
        mine = {symbol: np.zeros(longest + 1) for symbol in group}
        below = {part for symbol in group for rule in self.of(symbol) for part in rule.right} - mine.keys()
        p = {part: np.pad(of[part], (0, max(0, longest + 1 - len(of[part])))) for part in below} | mine
        rules = [rule for symbol in group for rule in self.of(symbol)]
        first_parts = [[np.zeros(longest + 1) for _ in rule.right[1:]] for rule in rules]  # [k]: of parts 0 … k + 1
        units = {s: [(r.right[0], r.probability) for r in self.of(s) if len(r.right) == 1] for s in group}
        circles = []  # symbols, and the inverse of the equations' matrix
        for circle in components({s: [part for part, _ in units[s] if part in mine] for s in group}):
            among = np.array([[math.fsum(q for part, q in units[s] if part == t) for t in circle] for s in circle])
            try:
                circles.append((circle, np.linalg.inv(np.eye(len(circle)) - among)))
            except np.linalg.LinAlgError:
                raise ValueError(
                    f"unit rules lead from {_short(circle[0])} back to it with a probability of 1, so it never ends"
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
                    f"{_short(symbol)} leads back to itself, so there is no longest sentence: give max_length"
                )
        longest = dict.fromkeys(self.tokens, 1)
        for (symbol,) in self.components:
            longest[symbol] = max(sum(longest[part] for part in rule.right) for rule in self.of(symbol))
            if longest[symbol] > LONGEST:
                raise ValueError(
                    f"{_short(symbol)} can have more than {LONGEST} tokens, too many to draw: give max_length"
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
                    raise ValueError(f"line {number}: the non-terminal {_short(str(s))} has no productions")
                if s not in symbols:
                    tokens[str(s)] = number
                if (other := known.setdefault((s in symbols, str(s)), s)) != s:
                    raise ValueError(f"line {number}: {s!r} and {other!r} are different, but are written alike")
            rules.append(Rule(str(p.lhs()), tuple(str(s) for s in p.rhs()), p.prob(), number))
        rules.sort(key=lambda rule: rule.left != str(grammar.start()))
        return cls(rules, tokens=sorted(tokens, key=_by_number))

    def __str__(self) -> str:
        return "\n".join([f"tokens: {' '.join(map(_written, self.tokens))}", *map(str, self.rules)])

    def __repr__(self) -> str:
        return f"Grammar(start={self.start!r}, {len(self.rules)} rules, {len(self.tokens)} tokens)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grammar) and (self.tokens, self.rules) == (other.tokens, other.rules)

    def __hash__(self) -> int:
        return hash(self._fingerprint)  # equal grammars have equal ones


def components(children: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the strongly connected components of a graph, each after those that it leads to.

    This is Tarjan's algorithm (1972), with a list in place of recursion. A key is a node, its value the nodes that it
    leads to.
    """
    found, number, lowest, unfinished = [], {}, {}, []  # lowest: of unfinished nodes, the earliest that they lead to
    for root in children:
        path = [] if root in number else [(root, iter(children[root]))]
        if path:
            number[root] = lowest[root] = len(number)
            unfinished.append(root)
        while path:
            node, rest = path[-1]
            for child in rest:
                if child not in number:
                    number[child] = lowest[child] = len(number)
                    unfinished.append(child)
                    path.append((child, iter(children[child])))
                    break
                if child in lowest:
                    lowest[node] = min(lowest[node], number[child])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    group = [unfinished.pop()]
                    while group[-1] != node:
                        group.append(unfinished.pop())
                    for done in group:
                        del lowest[done]
                    found.append(group)
    return found


def _read(piece: str, line: int) -> str:
    """Return the name that is written so. Raises ValueError, naming the line, for quotes that are not as in JSON."""
    if not piece.startswith('"'):
        return piece
    try:
        return json.loads(piece, strict=False)
    except ValueError:
        raise ValueError(
            f"line {line}: {_short(piece)} is no name in double quotes: these stand around whole names, and inside "
            'them a quote is written \\" and a backslash \\\\'
        ) from None


def _written(name: str) -> str:
    """Return a name as it is written in a grammar's text: in double quotes where it needs them."""
    printable = name.isprintable()
    if printable and NAME.fullmatch(name) and not name.startswith("tokens:"):
        return name
    return json.dumps(name, ensure_ascii=not printable)


def _short(value: object) -> str:
    """Return the repr of a value, cut where it is too long for a message."""
    text = repr(value[:100] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _listed(words: Iterable[str]) -> str:
    """Return words with commas between them; of more than ten the first ten, and how many there are."""
    words = list(words)
    return ", ".join(words[:10]) + (f", … ({len(words)} in all)" if len(words) > 10 else "")


def _place(rules: Sequence[Rule]) -> str:
    """Return where rules stand, for messages: their lines or, without lines, the first of the rules."""
    lines = [str(rule.line) for rule in rules if rule.line]
    if not lines:
        return f"rule {_short(str(rules[0]))}"
    return f"line{'s' if len(lines) > 1 else ''} {_listed(lines)}"


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
    number = int(token) if token.isdecimal() and len(token) <= 640 else None  # Python may refuse to read longer ones
    return (number is None, number or 0, token)


def _nltk():
    try:
        import nltk
    except ImportError:
        raise ImportError("this needs NLTK: pip install nltk") from None
    return nltk
