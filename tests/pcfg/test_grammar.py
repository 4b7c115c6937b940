"""Grammars as text, what is refused, and lengths against those computed by hand and those of the paper."""

import itertools
import math
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdtutor.pcfg.grammar import SHIPPED, Grammar, Rule

LENGTHS = Grammar.parse("""
S -> A A [0.25]
S -> A [0.75]
A -> a
A -> a b b
""")
CATALAN = "S -> S S [{p}]\nS -> a [{q}]"


@st.composite
def grammars(draw):
    """Draw a grammar without recursion, with its rules in any order after the first."""
    names, of = "SABC", {}
    for place, name in enumerate(names):
        parts = st.lists(st.sampled_from([*names[place + 1 :], "a", "b"]), min_size=1, max_size=3)
        rights = draw(st.lists(parts, min_size=1, max_size=3))
        weights = draw(st.lists(st.floats(0.01, 1), min_size=len(rights), max_size=len(rights)))
        total = sum(weights)
        of[name] = [Rule(name, tuple(r), w / total) for r, w in zip(rights, weights, strict=True)]
    reached = {"S"}
    for name in names:  # symbols only lead to later ones
        if name in reached:
            reached |= {s for rule in of[name] for s in rule.right} & set(names)
    first, *rest = [rule for name in names if name in reached for rule in of[name]]
    return Grammar([first, *draw(st.permutations(rest))])


def test_a_grammar_is_read_with_comments_tokens_and_probabilities():
    grammar = Grammar.parse("""
        # a comment
        tokens: b a   # their order is that of the ids
        S -> A b [0.25]
        S->b[ 7.5e-1 ]

        A -> a
        A -> b a  # equally likely
    """)
    assert grammar.rules == (
        Rule("S", ("A", "b"), 0.25, 4),
        Rule("S", ("b",), 0.75, 5),
        Rule("A", ("a",), 0.5, 7),
        Rule("A", ("b", "a"), 0.5, 8),
    )
    assert (grammar.start, grammar.symbols, grammar.tokens) == ("S", ("S", "A"), ("b", "a"))
    assert grammar.of("A") == grammar.rules[2:]


def test_without_a_line_of_tokens_whatever_has_no_rule_is_one():
    assert Grammar.parse("S -> b 10 A 9\nA -> ² a").tokens == ("9", "10", "a", "b", "²")
    assert Grammar.parse("tokens: c\ntokens: b a\nS -> a").tokens == ("c", "b", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tokens: a\nS -> a\nS -> a B", "^line 3: unknown symbol 'B': give it rules or list it as a token"),
        ("tokens: a b\n\nS -> a\nT -> b", "^line 4: 'T' is unreachable: 'S' never leads to it"),
        ("S -> a\nT -> U\nU -> T\nU -> b", "^line 2: 'T' is unreachable"),
        ("tokens: a A\nS -> A\nA -> a", "^line 3: 'A' is a token, so it can't have rules"),
        ("tokens: a b a\nS -> a", "^token 'a' is listed 2 times, so its id is unclear: list it once"),
        ("# first\nS ->", "^line 2: 'S' has an empty right-hand side"),
        ("S -> a [0.5]\nS -> [0.5]", "^line 2: 'S' has an empty right-hand side"),
        ("S -> A\n\nA -> a [0.5]\nA -> b [0.4]", "^lines 3, 4: the probabilities of 'A' sum to 0.9, not to 1"),
        ("S -> a [0.5]\nS -> b [0.51]", "^lines 1, 2: the probabilities of 'S' sum to 1.01"),
        ("S -> a [1]\nS -> b [0]", r"^line 2: a probability must lie in \(0, 1\], got 0"),
        ("S -> a [1.5]\nS -> b [-0.5]", r"^line 1: a probability must lie in \(0, 1\], got 1.5"),
        ("S -> a [-0.5]\nS -> b [1.5]", r"^line 1: a probability must lie in \(0, 1\], got -0.5"),
        ("S -> a [nan]", r"^line 1: a probability must lie in \(0, 1\], got nan"),
        ("S -> a [half]", "^line 1: a probability must be a number, got 'half'"),
        ("S -> a [0.5]\nS -> b", "^line 2: some rules of 'S' have a probability, but this one has none"),
        ("S -> a A\nA -> b A", "^lines 1, 2: no derivation of 'S', 'A' ever ends"),
        ("S -> a\nS -> A\nA -> B b\nB -> A\nB -> B", "^lines 3, 4, 5: no derivation of 'A', 'B' ever ends"),
        ("S -> a\nS => b", "^line 2: a rule must look like 'A -> B C' or 'A -> B C .0.5.', got 'S => b'"),
        ("-> a", "^line 1: a rule must look like"),
        ("S T -> a", "^line 1: a rule must look like"),
        ("S -> a | b", "^line 1: a rule must look like"),
        ("S -> a -> b", "^line 1: a rule must look like"),
        ("S->a->b", "^line 1: a rule must look like"),
        ("S -> a [0.5", "^line 1: a rule must look like"),
        ("S -> a [0.5] b", "^line 1: a rule must look like"),
        ("# nothing\ntokens: a", "^a grammar needs at least one rule"),
    ],
)
def test_what_is_no_grammar_is_refused_with_its_line(text, message):
    with pytest.raises(ValueError, match=message):
        Grammar.parse(text)


def test_a_grammar_prints_as_it_is_read():
    grammar = Grammar.parse("S -> b a [0.250]  # a quarter\nS -> a [.75]")
    assert str(grammar) == "tokens: a b\nS -> b a [0.25]\nS -> a [0.75]"
    assert repr(grammar) == "Grammar(start='S', 2 rules, 2 tokens)"


@given(grammars())
@settings(deadline=None)
def test_what_is_printed_can_be_read_back(grammar):
    again = Grammar.parse(str(grammar))
    assert again == grammar
    assert hash(again) == hash(grammar)
    assert [r.probability for r in again.rules] == [r.probability for r in grammar.rules]


def test_probabilities_that_have_no_short_decimals_can_be_read_back():
    sevenths = Grammar.parse("\n".join(f"S -> {token}" for token in "abcdefg"))
    assert Grammar.parse(str(sevenths)) == sevenths


@pytest.mark.parametrize(
    "other", ["S -> a [0.3]\nS -> b [0.7]", "S -> a\nS -> c", "tokens: b a\nS -> a\nS -> b", "S -> a"]
)
def test_other_rules_tokens_or_probabilities_make_another_grammar(other):
    assert Grammar.parse(other) != Grammar.parse("S -> a\nS -> b")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_grammar_survives_the_way_to_nltk_and_back(name):
    nltk = pytest.importorskip("nltk")
    grammar = Grammar.load(name)
    there = grammar.to_nltk()
    assert there.start() == nltk.Nonterminal("22")
    assert len(there.productions(lhs=nltk.Nonterminal("22"))) == len(grammar.of("22"))
    assert {type(s) for p in there.productions(lhs=nltk.Nonterminal("7")) for s in p.rhs()} == {str}
    assert Grammar.from_nltk(there) == grammar


def test_a_grammar_of_nltk_starts_where_it_says():
    nltk = pytest.importorskip("nltk")
    productions = nltk.PCFG.fromstring("A -> 'b' [0.4] | 'a' A [0.6]\nS -> A 'c' [1.0]").productions()
    grammar = Grammar.from_nltk(nltk.PCFG(nltk.Nonterminal("S"), productions))
    assert str(grammar) == "tokens: a b c\nS -> A c [1.0]\nA -> b [0.4]\nA -> a A [0.6]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("S -> 'S' [0.5] | 'a' [0.5]", "^line 1: 'S' is a token"),
        ("S -> 'a' [1.0]\nT -> 'b' [1.0]", "^line 2: 'T' is unreachable"),
        ("S -> 'a' [0.5] | [0.5]", "^line 2: 'S' has an empty right-hand side"),
    ],
)
def test_what_only_nltk_allows_is_refused(text, message):
    nltk = pytest.importorskip("nltk")
    with pytest.raises(ValueError, match=message):
        Grammar.from_nltk(nltk.PCFG.fromstring(text))


def test_without_nltk_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk", None)
    with pytest.raises(ImportError, match="pip install nltk"):
        LENGTHS.to_nltk()


@pytest.mark.parametrize(
    ("name", "rules", "mean", "sd", "shortest", "longest"),
    [
        ("cfg3b", 31, 294.0, 44.3, 161, 432),
        ("cfg3f", 54, 249.9, 69.4, 64, 729),
        ("cfg3g", 48, 252.4, 53.0, 80, 729),
        ("cfg3h", 39, 236.4, 41.5, 97, 459),
        ("cfg3i", 32, 308.1, 46.0, 114, 564),
    ],
)
def test_shipped_grammars_have_the_papers_rules_and_lengths(name, rules, mean, sd, shortest, longest):
    grammar = Grammar.load(name)
    assert len(grammar.rules) == rules
    found = grammar.length_statistics()
    assert (found["mean"], found["sd"]) == (pytest.approx(mean, abs=0.051), pytest.approx(sd, abs=0.051))
    assert (found["min"], found["max"]) == (shortest, longest)
    assert grammar.length_distribution().sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_grammars_have_seven_levels_of_symbols_and_equal_chances(name):
    grammar = Grammar.load(name)
    levels = [("22",), *((str(n), str(n + 1), str(n + 2)) for n in (19, 16, 13, 10, 7)), ("1", "2", "3")]
    assert [*grammar.levels, grammar.tokens] == levels
    assert all(rule.probability == 1 / len(grammar.of(rule.left)) for rule in grammar.rules)


def test_cfg3b_lacks_one_rule_of_its_paper():
    short, full = Grammar.load("cfg3b"), Grammar.load("cfg3b-32")
    rights = [{(rule.left, rule.right) for rule in grammar.rules} for grammar in (short, full)]
    assert rights[0] < rights[1]
    assert rights[1] - rights[0] == {("9", ("2", "1"))}
    assert full.length_statistics()["mean"] == pytest.approx(275.6, abs=0.051)


def test_spans_of_cfg3b_have_the_mean_lengths_that_follow_by_hand():
    grammar = Grammar.load("cfg3b")
    by_hand = {7: 2.5, 8: 2.5, 9: 3, 10: 8, 11: 8, 12: 8, 13: 16, 14: 24, 15: 24}  # 7 -> 3 1 | 1 2 3; 10 -> 7 9 8 | …
    by_hand |= {16: (40 + 64) / 2, 17: 64, 18: (64 + 40) / 2, 19: 168, 20: 142, 21: 136, 22: (278 + 310) / 2}
    for symbol, mean in by_hand.items():
        assert grammar.length_statistics(str(symbol))["mean"] == pytest.approx(mean)
    assert [grammar.length_statistics("7")[key] for key in ("sd", "min", "max")] == [0.5, 2, 3]


def test_spans_of_cfg3b_have_the_papers_mean_lengths():
    grammar = Grammar.load("cfg3b")
    spans = Counter({"22": 1.0})  # expected number of each symbol of a level in a sentence
    for mean in (147, 56, 21, 8, 2.67):
        below = Counter()
        for rule in grammar.rules:
            for part in rule.right:
                below[part] += spans[rule.left] * rule.probability
        spans = below
        assert 294 / spans.total() == pytest.approx(mean, abs=0.005)


def test_a_symbol_starts_a_grammar_of_its_own():
    grammar = Grammar.load("cfg3b")
    part = grammar.rooted_at(20)
    assert part == grammar.rooted_at("20")
    assert (part.start, part.tokens) == ("20", grammar.tokens)
    assert part.levels == (("20",), *grammar.levels[2:])
    np.testing.assert_allclose(part.length_distribution(), grammar.length_distribution("20"))
    assert grammar.rooted_at("22") == grammar


def test_a_rooted_grammar_starts_with_its_root_and_keeps_all_tokens():
    grammar = Grammar.parse("S -> B A\nB -> b\nA -> B a")
    assert str(grammar.rooted_at("A")) == "tokens: a b\nA -> B a [1.0]\nB -> b [1.0]"
    assert grammar.rooted_at("B").tokens == ("a", "b")
    assert grammar.below("A") == {"A", "B"}


@pytest.mark.parametrize("symbol", ["1", "23"])
def test_nothing_is_rooted_at_a_token_or_at_what_is_unknown(symbol):
    with pytest.raises(ValueError, match=f"^'{symbol}' has no rules here; the symbols are 22, 19, 20"):
        Grammar.load("cfg3b").rooted_at(symbol)


def test_lengths_are_distributed_as_computed_by_hand():
    expected = [0, 0.375, 0.0625, 0.375, 0.125, 0, 0.0625]  # A has 1 or 3 tokens, A A has 2, 4, 4 or 6
    np.testing.assert_allclose(LENGTHS.length_distribution(), expected)
    np.testing.assert_allclose(LENGTHS.length_distribution("A"), [0, 0.5, 0, 0.5])
    np.testing.assert_allclose(LENGTHS.length_distribution(max_length=3), expected[:4])
    np.testing.assert_allclose(LENGTHS.length_distribution(max_length=8), [*expected, 0, 0])
    assert LENGTHS.length_statistics() == pytest.approx({"mean": 2.5, "sd": 2**0.5, "min": 1, "max": 6})
    assert LENGTHS.longest == 6


@given(grammars())
@settings(deadline=None)
def test_lengths_are_distributed_as_the_derivations(grammar):
    def lengths(symbol):
        if symbol in grammar.tokens:
            return {1: 1.0}
        found = Counter()
        for rule in grammar.of(symbol):
            for parts in itertools.product(*(lengths(part).items() for part in rule.right)):
                found[sum(n for n, _ in parts)] += rule.probability * math.prod(p for _, p in parts)
        return found

    expected = lengths("S")
    assert grammar.longest == max(expected)
    np.testing.assert_allclose(grammar.length_distribution(), [expected[n] for n in range(max(expected) + 1)])


@pytest.mark.parametrize("p", [0.3, 0.5, 0.6])
def test_lengths_of_a_recursive_grammar_have_catalan_coefficients(p):
    grammar = Grammar.parse(CATALAN.format(p=p, q=1 - p))
    trees = [math.comb(2 * n, n) // (n + 1) for n in range(60)]  # binary trees with n + 1 leaves
    expected = [0] + [tree * p**n * (1 - p) ** (n + 1) for n, tree in enumerate(trees)]
    np.testing.assert_allclose(grammar.length_distribution(max_length=60), expected, rtol=1e-9)


def test_a_symbol_that_leads_to_itself_alone_costs_no_length():
    grammar = Grammar.parse("S -> S [0.5]\nS -> a [0.375]\nS -> a a [0.125]")
    np.testing.assert_allclose(grammar.length_distribution(max_length=2), [0, 0.75, 0.25])


def test_a_recursive_grammar_has_no_longest_sentence():
    grammar = Grammar.parse("T -> S S\nS -> a T\nS -> a")
    for call in (grammar.length_distribution, grammar.length_statistics, lambda: grammar.longest):
        with pytest.raises(ValueError, match="leads back to itself, so there is no longest sentence: give max_length"):
            call()
    np.testing.assert_allclose(grammar.length_distribution(max_length=1), [0, 0])


def test_lengths_of_tokens_or_up_to_nothing_are_refused():
    with pytest.raises(ValueError, match="'a' has no rules here; the symbols are S, A"):
        LENGTHS.length_distribution("a")
    with pytest.raises(ValueError, match="max_length must be a whole number of at least 1, got 0"):
        LENGTHS.length_distribution(max_length=0)


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("S -> 10 9\n9 -> a b\n10 -> b", (("S",), ("9", "10"))),
        ("S -> a", (("S",),)),
        (CATALAN.format(p=0.5, q=0.5), None),
        ("S -> A\nS -> B\nA -> B\nB -> b", None),  # B on two levels
        ("S -> A\nA -> S\nA -> A\nA -> b", None),
        ("S -> A a\nA -> a", None),  # tokens and symbols side by side
        ("S -> A\nS -> a\nA -> a", None),
        ("S -> A B\nA -> C\nB -> b\nC -> c", None),
    ],
)
def test_only_rules_from_level_to_level_make_levels(text, levels):
    assert Grammar.parse(text).levels == levels


def test_a_grammar_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("S -> é [1.0]", encoding="utf-8")
    assert Grammar.load(path) == Grammar.load(str(path)) == Grammar.parse("S -> é")


def test_a_missing_grammar_is_an_error_that_names_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"no grammar called cfg3z and no such file; pdtutor has cfg3b, cfg3b-32"):
        Grammar.load("cfg3z")
    with pytest.raises(ValueError, match=r"no grammar called .*gone\.txt"):
        Grammar.load(tmp_path / "gone.txt")
