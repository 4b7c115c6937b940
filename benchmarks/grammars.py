"""Grammars: what is measured, and the plain ways that it is measured against."""

import numpy as np

from benchmarks.work import Work
from pdtutor.pcfg.grammar import Grammar
from pdtutor.pcfg.sampler import sample


def works() -> list[Work]:
    """Return this part's rows of the table."""
    return [sentences(spans=False, target=500), sentences(spans=True, target=300)]


def sentences(*, spans: bool, target: float) -> Work:
    """Sentences of cfg3b: recursion over an `nltk.PCFG`, whose spans come free, against the compiled sampler."""
    grammar = Grammar.load("cfg3b")
    plain = grammar.to_nltk()

    def recursion(count: int) -> None:
        rng = np.random.default_rng(0)
        for _ in range(count):
            derive(plain, plain.start(), rng)

    def ours(count: int) -> None:
        rng = np.random.default_rng(0)
        for start in range(0, count, 4096):  # as a stream of training examples draws them
            sample(grammar, rng, min(4096, count - start), spans=spans)

    name = f"sentences of cfg3b{', spans told' if spans else ''} (sentences/s)"
    return Work(name, recursion, ours, 1, 1, target)


def derive(grammar, symbol, rng: np.random.Generator) -> list[str]:
    """Return the tokens of a random derivation. Python's `random.choices` would make it almost four times faster."""
    productions = grammar.productions(lhs=symbol)
    chosen = productions[rng.choice(len(productions), p=[production.prob() for production in productions])]
    return [t for part in chosen.rhs() for t in ([part] if isinstance(part, str) else derive(grammar, part, rng))]
