"""Tables of derivations against NLTK's parser and against a sentence derived by hand."""

import nltk
import numpy as np
import pytest

from pdtutor.pcfg.grammar import Grammar
from pdtutor.pcfg.sampler import Sentences, sample
from pdtutor.pcfg.spans import derivation

CFG3B = Grammar.load("cfg3b")
AMBIGUOUS = Grammar.parse(
    "S -> A B [0.2]\nS -> B A A [0.5]\nS -> B [0.3]\nA -> x y\nA -> x x x\nA -> x\nB -> x z\nB -> x"
)
BY_HAND = Grammar.parse("S -> B A\nA -> D C D\nB -> C D\nC -> z\nD -> x")


def tree(table, row=0):
    """Return the tree below one of the table's rows, as an NLTK tree."""
    children = table.index[(table["parent"] == row).fillna(False)]
    symbol = table["symbol"][row]
    return nltk.Tree(symbol, [tree(table, child) for child in children]) if len(children) else symbol


def test_a_derivation_is_the_one_told_by_hand():
    table = derivation(BY_HAND, sample(BY_HAND, np.random.default_rng(0), 3, spans=True), 1)
    assert list(table.columns) == ["level", "symbol", "start", "stop", "parent"]
    assert "".join(table["symbol"]) == "SBACDDCDzxxzx"
    assert table["level"].tolist() == [0] + 2 * [1] + 5 * [2] + 5 * [3]
    assert table["start"].tolist() == [0, 0, 2] + 2 * [0, 1, 2, 3, 4]
    assert table["stop"].tolist() == [5, 2, 5] + 2 * [1, 2, 3, 4, 5]
    assert table["parent"].isna().tolist() == [True] + 12 * [False]
    assert table["parent"][1:].tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("grammar", [AMBIGUOUS, CFG3B.rooted_at("10"), CFG3B.rooted_at("13")], ids=repr)
def test_derivations_are_among_the_parses_of_nltk(grammar):
    sentences = sample(grammar, np.random.default_rng(0), 30, spans=True)
    parser, only = nltk.ChartParser(grammar.to_nltk()), 0
    for number, sentence in enumerate(sentences):
        table = derivation(grammar, sentences, number)
        parses = list(parser.parse([grammar.tokens[token] for token in sentence]))
        assert tree(table) in parses
        only += len(parses) == 1
        for symbol, start, stop, parent in table[["symbol", "start", "stop", "parent"]].dropna().values:
            inside = table.loc[parent]
            assert inside["start"] <= start < stop <= inside["stop"], symbol
    assert only >= 5  # sentences with a single parse


def test_a_sentence_is_found_by_number_from_either_end():
    sentences = sample(CFG3B.rooted_at("13"), np.random.default_rng(0), 3, spans=True)
    assert derivation(CFG3B.rooted_at("13"), sentences, -1).equals(derivation(CFG3B.rooted_at("13"), sentences, 2))
    with pytest.raises(IndexError):
        derivation(CFG3B.rooted_at("13"), sentences, 3)


def test_what_has_no_spans_is_refused():
    plain = sample(BY_HAND, np.random.default_rng(0), 1)
    with pytest.raises(ValueError, match="were drawn without spans: draw them with spans=True"):
        derivation(BY_HAND, plain, 0)
    with pytest.raises(ValueError, match="has no levels"):
        derivation(Grammar.parse("S -> ( S )\nS -> c"), plain, 0)
    told: Sentences = sample(BY_HAND, np.random.default_rng(0), 1, spans=True)
    with pytest.raises(ValueError, match="has 6 levels, but the sentences' grammar has 3"):
        derivation(CFG3B, told, 0)
