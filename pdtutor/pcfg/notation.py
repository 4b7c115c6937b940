"""How grammars are written: a rule per line, read and printed.

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

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real

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
            raise ValueError(f"a rule needs a string, a tuple of strings and a number, got {short(self)}")
        object.__setattr__(self, "probability", float(self.probability))

    def __str__(self) -> str:
        return f"{written(self.left)} -> {' '.join(map(written, self.right))} [{self.probability!r}]"


def read(text: str) -> tuple[list[Rule], list[str] | None]:
    """Return the rules that a text describes, and its tokens; None for the tokens if the text does not list them.

    A byte order mark before it doesn't count.

    Raises ValueError, naming the line, for a line that isn't a rule, a token that is listed twice, and a symbol of
    whose rules only some have a probability.
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
                        f"line {number}: token {short(token)} is listed in line {tokens[token]} already, so its "
                        "id is unclear: list it once"
                    )
                tokens[token] = number
            continue
        weight = pieces[-2] if len(pieces) > 4 and (pieces[-3], pieces[-1]) == ("[", "]") else None
        rule = pieces if weight is None else pieces[:-3]
        if len(rule) < 2 or rule[0] in MARKS or rule[1] != "->" or not MARKS.isdisjoint(rule[2:]):
            raise ValueError(
                f"line {number}: a rule must look like 'A -> B C' or 'A -> B C [0.5]', got {short(line)}; a name "
                "with spaces or any of # [ ] | -> needs double quotes"
            )
        try:
            p = None if weight is None else float(weight)
        except ValueError:
            raise ValueError(f"line {number}: a probability must be a number, got {short(weight)}") from None
        rules.append((names[rule[0]], tuple([names[piece] for piece in rule[2:]]), p, number))
    return _with_probabilities(rules), None if tokens is None else list(tokens)


def _read(piece: str, line: int) -> str:
    """Return the name that is written so. Raises ValueError, naming the line, for quotes that are not as in JSON."""
    if not piece.startswith('"'):
        return piece
    try:
        return json.loads(piece, strict=False)
    except ValueError:
        raise ValueError(
            f"line {line}: {short(piece)} is no name in double quotes: these stand around whole names, and inside "
            'them a quote is written \\" and a backslash \\\\'
        ) from None


def written(name: str) -> str:
    """Return a name as it is written in a grammar's text: in double quotes where it needs them."""
    printable = name.isprintable()
    if printable and NAME.fullmatch(name) and not name.startswith("tokens:"):
        return name
    return json.dumps(name, ensure_ascii=not printable)


def short(value: object) -> str:
    """Return the repr of a value, cut where it is too long for a message."""
    text = repr(value[:100] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def listed(words: Iterable[str]) -> str:
    """Return words with commas between them; of more than ten the first ten, and how many there are."""
    words = list(words)
    return ", ".join(words[:10]) + (f", … ({len(words)} in all)" if len(words) > 10 else "")


def place(rules: Sequence[Rule]) -> str:
    """Return where rules stand, for messages: their lines or, without lines, the first of the rules."""
    lines = [str(rule.line) for rule in rules if rule.line]
    if not lines:
        return f"rule {short(str(rules[0]))}"
    return f"line{'s' if len(lines) > 1 else ''} {listed(lines)}"


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


def by_number(token: str) -> tuple:
    """Return a sort key that puts numbers before words, and in numerical order."""
    number = int(token) if token.isdecimal() and len(token) <= 640 else None  # Python may refuse to read longer ones
    return (number is None, number or 0, token)
