"""Grammars as text, what is refused, and lengths against those computed by hand and those of the paper."""

import itertools
import json
import math
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdtutor.pcfg.components import components
from pdtutor.pcfg.grammar import LONGEST, SHIPPED, Grammar
from pdtutor.pcfg.notation import Rule

LENGTHS = Grammar.parse("""
S -> A A [0.25]
S -> A [0.75]
A -> a
A -> a b b
""")
AWKWARD = (
    "",
    "#",
    "a#b",
    "[",
    "]",
    "[0.5]",
    "|",
    "A|B",
    "->",
    "A->B",
    "-",
    ">",
    "- >",
    "New York",
    " ",
    '"',
    '"a"',
    "\\",
    "'d",
)
AWKWARD += (
    "``",
    "''",
    "tokens:",
    "tokens:a",
    "\0",
    "\n",
    "\r",
    "\x0c",
    "\x85",
    "\xa0",
    "\u2028",
    "\ufeff",
    "\ud800",
    "é",
    "→",
)
NAMES = st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(), max_size=5), st.text(' "#->[]|\\a', max_size=5))
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


@st.composite
def strange_grammars(draw):
    """Draw a grammar whose names may be anything."""
    s, a, *tokens = draw(st.lists(NAMES, min_size=3, max_size=6, unique=True))
    rights = draw(st.lists(st.lists(st.sampled_from([a, *tokens]), min_size=1, max_size=3), min_size=1, max_size=3))
    rules = [Rule(s, (a, *right), 1 / len(rights)) for right in rights]
    return Grammar([*rules, Rule(a, (tokens[0],), 1.0)], tokens=tokens)


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
    assert [rule.line for rule in grammar.rules] == [4, 5, 7, 8]
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
        ("tokens: a b a\nS -> a", "^line 1: token 'a' is listed in line 1 already, so its id is unclear: list it once"),
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


@given(strange_grammars())
@settings(deadline=None)
def test_whatever_the_names_a_grammar_that_is_printed_or_saved_can_be_read_back(tmp_path_factory, grammar):
    path = tmp_path_factory.getbasetemp() / "strange.txt"
    path.write_text(str(grammar), encoding="utf-8-sig", newline="\r\n")
    for again in (Grammar.parse(str(grammar)), Grammar.parse(json.loads(json.dumps(str(grammar)))), Grammar.load(path)):
        assert again == grammar
        assert (again.tokens, again.symbols, again.start) == (grammar.tokens, grammar.symbols, grammar.start)
        assert again.fingerprint() == grammar.fingerprint()


@given(
    st.lists(st.sampled_from([*'abS#[]|" \\\n\r\x85>-', "->", "S -> ", "tokens:", "[0.5]", "\nS -> a"]), max_size=12)
)
@settings(deadline=None)
def test_any_text_is_a_grammar_that_can_be_read_back_or_is_refused(pieces):
    try:
        grammar = Grammar.parse("".join(pieces))
    except ValueError as error:
        assert "line" in str(error) or "at least one rule" in str(error)  # noqa: PT017
    else:
        assert Grammar.parse(str(grammar)) == grammar


def test_names_in_double_quotes_are_strings_as_in_json():
    grammar = Grammar.parse('tokens: "New York" "#" b"b "\\u00e9"  # not "this"\n"N P"->"#" "New York"\n')
    assert grammar.tokens == ("New York", "#", 'b"b', "é")
    assert grammar.rules == (Rule("N P", ("#", "New York"), 1.0),)
    assert str(grammar) == 'tokens: "New York" "#" b"b é\n"N P" -> "#" "New York" [1.0]'


def test_probabilities_that_have_no_short_decimals_can_be_read_back():
    sevenths = Grammar.parse("\n".join(f"S -> {token}" for token in "abcdefg"))
    assert Grammar.parse(str(sevenths)) == sevenths


@pytest.mark.parametrize(
    "other", ["S -> a [0.3]\nS -> b [0.7]", "S -> a\nS -> c", "tokens: b a\nS -> a\nS -> b", "S -> a"]
)
def test_other_rules_tokens_or_probabilities_make_another_grammar(other):
    assert Grammar.parse(other) != Grammar.parse("S -> a\nS -> b")


def test_grammars_that_differ_only_in_where_a_name_ends_are_not_equal():
    one, other = (Grammar([Rule("S", right, 1.0)]) for right in (("a b",), ("a", "b")))
    assert one != other
    assert str(one) != str(other)


def test_rules_that_a_program_makes_are_checked_too():
    for wrong in (("S", "ab", 1.0), (1, ("a",), 1.0), ("S", (1,), 1.0), ("S", ["a"], 1.0), ("S", ("a",), "1")):
        with pytest.raises(ValueError, match=r"^a rule needs a string, a tuple of strings and a number, got Rule"):
            Rule(*wrong)
    with pytest.raises(ValueError, match=r"^a token must be a string, got 1"):
        Grammar([Rule("S", ("a",), 1.0)], tokens=["a", 1])
    with pytest.raises(ValueError, match=r"^token 'a' is listed 2 times"):
        Grammar([Rule("S", ("a",), 1.0)], tokens=["a", "a"])
    with pytest.raises(ValueError, match=r"^rule 'S -> a \[0.5\]': the probabilities of 'S' sum to 0.5"):
        Grammar([Rule("S", ("a",), 0.5)])


def test_probabilities_may_be_numbers_of_any_kind():
    grammar = Grammar([Rule("S", ("a",), Fraction(1, 3)), Rule("S", ("b",), np.float32(2 / 3))])
    assert {type(rule.probability) for rule in grammar.rules} == {float}
    assert Grammar.parse(str(grammar)) == grammar


def test_a_fingerprint_is_of_what_is_drawn():
    text = "tokens: a b c\nS -> A B [0.25]\nS -> B [0.75]\nA -> a\nB -> b\nB -> c"
    same = "# mine\r\ntokens:  a b\ntokens: c\n\nS->A B[.25]\nB -> b [0.5]\nS -> B [75e-2]\nB -> c [0.5]\nA -> a [1]"
    fingerprint = Grammar.parse(text).fingerprint()
    assert fingerprint == Grammar.parse(same).fingerprint()
    assert Grammar.parse(text) != Grammar.parse(same)  # the symbols have other ids
    others = [("a b c", "b a c"), ("b c", "b c d"), ("0.25", "0.2500001"), ("B -> b\nB -> c", "B -> c\nB -> b")]
    others += [("A B [", "B A ["), ("A -> a", "A -> b")]
    found = {Grammar.parse(text.replace(*other)).fingerprint() for other in others} | {fingerprint}
    assert len(found) == len(others) + 1
    assert Grammar.parse(text).rooted_at("B").fingerprint() not in found


def test_a_fingerprint_stays_the_same_from_version_to_version():
    assert Grammar.load("cfg3b").fingerprint() == "965bd0dff95038e9"


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


@pytest.mark.parametrize("name", AWKWARD)
def test_a_grammar_of_nltk_with_any_names_can_be_read_back(name):
    nltk = pytest.importorskip("nltk")
    s, a = nltk.Nonterminal("S"), nltk.Nonterminal(name)
    rules = [(s, ["a", name, "b"], 0.5), (s, ["a"], 0.5)], [(s, [a, "a"], 1.0), (a, ["b"], 1.0)]
    for of in rules:
        productions = [nltk.ProbabilisticProduction(left, right, prob=p) for left, right, p in of]
        grammar = Grammar.from_nltk(nltk.PCFG(s, productions))
        assert [rule.right for rule in grammar.rules] == [tuple(map(str, right)) for _, right, _ in of]
        assert Grammar.parse(str(grammar)) == grammar
        assert Grammar.from_nltk(grammar.to_nltk()) == grammar


def test_symbols_and_tokens_of_nltk_that_would_become_one_are_refused():
    nltk = pytest.importorskip("nltk")
    s, rule = nltk.Nonterminal("S"), nltk.ProbabilisticProduction
    for right in (["1", 1], [nltk.Nonterminal(2), nltk.Nonterminal("2")]):
        rest = [rule(part, ["a"], prob=1.0) for part in right if isinstance(part, nltk.Nonterminal)]
        with pytest.raises(ValueError, match=r"^line 1: .* are different, but are written alike"):
            Grammar.from_nltk(nltk.PCFG(s, [rule(s, right, prob=1.0), *rest]))
    with pytest.raises(ValueError, match=r"^line 1: the non-terminal 'X' has no productions"):
        Grammar.from_nltk(nltk.PCFG(s, [rule(s, [nltk.Nonterminal("X")], prob=1.0)]))


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


@st.composite
def recursive_grammars(draw):
    """Draw a grammar whose symbols may lead to any of them, also by unit rules, and always to a token."""
    names = "SABC"
    of = {}
    for name in names:
        rights = draw(st.lists(st.lists(st.sampled_from([*names, "a", "b"]), min_size=1, max_size=3), max_size=3))
        rights = [["a"], *rights, [*names[1:]]] if name == "S" else [["a"], *rights]
        of[name] = [Rule(name, tuple(right), 1 / len(rights)) for right in rights]
    return Grammar([rule for name in names for rule in of[name]])


@given(recursive_grammars())
@settings(deadline=None)
def test_lengths_of_recursive_grammars_solve_their_own_equations(grammar):
    longest = 8
    found = {s: grammar.length_distribution(s, max_length=longest) for s in grammar.symbols}
    of = found | {token: np.eye(longest + 1)[1] for token in grammar.tokens}
    for symbol in grammar.symbols:
        expected = np.zeros(longest + 1)
        for rule in grammar.of(symbol):
            product = np.ones(1)
            for part in rule.right:
                product = np.convolve(product, of[part])[: longest + 1]
            expected[: len(product)] += rule.probability * product
        np.testing.assert_allclose(found[symbol], expected, rtol=1e-9, atol=1e-15)
        assert found[symbol][1] > 0
        assert found[symbol].sum() < 1 + 1e-9


def test_unit_rules_that_hardly_ever_end_are_no_endless_computation():
    grammar = Grammar.parse("S -> A [0.9999999999]\nS -> a [1e-10]\nA -> S")
    np.testing.assert_allclose(grammar.length_distribution(max_length=2), [0, 1, 0], rtol=1e-5)
    with pytest.raises(ValueError, match="unit rules lead from 'S' back to it with a probability of 1"):
        Grammar.parse("S -> S [1.0]\nS -> a [1e-300]").length_distribution(max_length=2)


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4)))
@settings(deadline=None)
def test_components_are_what_leads_to_each_other_children_first(edges):
    children = {node: edges.get(node, []) for node in "abcdef"}
    leads = {(a, b) for a in children for b in children[a]}
    for k, a, b in itertools.product("abcdef", repeat=3):
        if (a, k) in leads and (k, b) in leads:
            leads.add((a, b))
    found = components(children)
    assert sorted(node for group in found for node in group) == list("abcdef")
    place = {node: i for i, group in enumerate(found) for node in group}
    for a, b in itertools.permutations("abcdef", 2):
        assert (place[a] == place[b]) == ((a, b) in leads and (b, a) in leads)
        assert (a, b) not in leads or place[b] <= place[a]


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
        ("S -> A\nA -> B\nB -> C\nC -> B\nC -> D\nD -> E\nE -> a", None),
        ("S -> A a\nA -> a", None),  # tokens and symbols side by side
        ("S -> A\nS -> a\nA -> a", None),
        ("S -> A B\nA -> C\nB -> b\nC -> c", None),
    ],
)
def test_only_rules_from_level_to_level_make_levels(text, levels):
    assert Grammar.parse(text).levels == levels


# Large grammars


def test_grammars_of_thousands_of_symbols_one_below_the_other_are_read_and_measured():
    n = 5000
    chain = Grammar.parse("\n".join(f"S{i} -> a S{i + 1}" for i in range(n)) + f"\nS{n} -> b")
    assert chain.longest == n + 1
    assert chain.levels is None
    assert Grammar.parse(str(chain)) == chain
    units = Grammar.parse("\n".join(f"S{i} -> S{i + 1}" for i in range(n)) + f"\nS{n} -> b")
    assert len(units.levels) == n + 1
    np.testing.assert_array_equal(units.length_distribution(), [0, 1])
    backwards = Grammar([units.rules[0], *units.rules[:0:-1]])
    assert backwards.longest == 1


def test_symbols_that_all_contain_each_other_are_measured():
    n = 40
    lines = [f"X{i} -> X{(i + j) % n} w{i}" for i in range(n) for j in range(1, n)] + [
        f"X{i} -> w{i}" for i in range(n)
    ]
    grammar = Grammar.parse("\n".join(lines))
    assert grammar.recursive == set(grammar.symbols)
    expected = [0] + [(1 - 1 / n) ** i / n for i in range(12)]
    np.testing.assert_allclose(grammar.length_distribution(max_length=12), expected, rtol=1e-9)


def test_sentences_that_nobody_can_hold_have_no_longest_length():
    doubling = "\n".join(f"S{i} -> S{i + 1} S{i + 1}" for i in range(100)) + "\nS100 -> a"
    grammar = Grammar.parse(doubling)
    assert grammar.rooted_at("S90").longest == 1024
    assert grammar.rooted_at("S76").longest == LONGEST
    for call in (lambda: grammar.longest, grammar.length_distribution, grammar.length_statistics):
        with pytest.raises(ValueError, match=f"'S75' can have more than {LONGEST} tokens, .*: give max_length"):
            call()
    np.testing.assert_array_equal(grammar.length_distribution(max_length=3), np.zeros(4))


# Files


def test_a_grammar_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("S -> é [1.0]", encoding="utf-8")
    assert Grammar.load(path) == Grammar.load(str(path)) == Grammar.parse("S -> é")


@pytest.mark.parametrize("text", ["S -> a b\nS -> b", "tokens: a b\nS -> a b", "# mine\nS -> a b", "\nS -> a b"])
def test_a_byte_order_mark_and_line_ends_of_any_system_are_no_part_of_a_grammar(tmp_path, text):
    path = tmp_path / "mine.txt"
    for end in (b"\n", b"\r\n", b"\r"):
        path.write_bytes(text.encode("utf-8-sig").replace(b"\n", end))
        assert Grammar.load(path) == Grammar.parse(text) == Grammar.parse("\ufeff" + text)


def test_a_missing_grammar_is_an_error_that_names_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"no grammar called cfg3z and no such file; pdtutor has cfg3b, cfg3b-32"):
        Grammar.load("cfg3z")
    with pytest.raises(ValueError, match=r"no grammar called .*gone\.txt"):
        Grammar.load(tmp_path / "gone.txt")


MANY = "\n".join(f"S -> A{i} [0.5]\nA{i} -> a" for i in range(3000))
BAD = {  # what is in a file, and what the error says after the file's name
    "nothing": (b"", "a grammar needs at least one rule"),
    "only a byte order mark": (b"\xef\xbb\xbf", "a grammar needs at least one rule"),
    "only comments": (b"# mine\n\n  # yours\n", "a grammar needs at least one rule"),
    "only tokens": (b"tokens: a b", "a grammar needs at least one rule"),
    "UTF-16": ("S -> a\n".encode("utf-16"), "line 1: byte 0xff is not UTF-8: save the file as UTF-8"),
    "UTF-16 unmarked": ("S -> a\n".encode("utf-16-le"), "line 1: a NUL character, .*UTF-16"),
    "UTF-32": ("S -> a\n".encode("utf-32"), "line 1: byte 0xff is not UTF-8"),
    "Latin-1": (b"S -> a\nS -> \xe9", "line 2: byte 0xe9 is not UTF-8"),
    "Latin-1, marked": (b"\xef\xbb\xbfS -> a\nS -> \xe9", "line 2: byte 0xe9 is not UTF-8"),
    "bytes": (bytes(range(256)), "line 12: byte 0x80|line 1: a NUL|line 2: byte 0x80"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "line 1: byte 0x89 is not UTF-8"),
    "NUL": (b"S -> a\nS -> b\0", "line 2: a NUL character"),
    "prose": (b"This is no grammar.", "line 1: a rule must look like"),
    "JSON": (b'{"S": ["a", "b"]}', "line 1: .*double quotes"),
    "other arrows": ("S → a".encode(), "line 1: a rule must look like"),
    "BNF": (b"<S> ::= <A> | b", "line 1: a rule must look like"),
    "no left-hand side": (b"S -> a\n-> b", "line 2: a rule must look like"),
    "two arrows": (b"S -> a -> b", "line 1: a rule must look like"),
    "alternatives": (b"S -> a | b", "line 1: a rule must look like"),
    "only a probability": (b"S -> a\n[0.5]", "line 2: a rule must look like"),
    "an open bracket": (b"S -> a [0.5", "line 1: a rule must look like"),
    "two probabilities": (b"S -> a [0.5] [0.5]", "line 1: a rule must look like"),
    "an open quote": (b'S -> "a', "line 1: .*double quotes"),
    "a quote within a word": (b'S -> "a"b', "line 1: .*double quotes"),
    "a bad escape": (b'S -> a\nS -> "\\q"', "line 2: .*double quotes"),
    "a long line": (b"S" * 1_000_000, "line 1: a rule must look like .{60,400}$"),
    "many brackets": (b"S -> " + b"[" * 100_000, "line 1: a rule must look like .{60,400}$"),
    "a mark as token": (b"tokens: a |\nS -> a", 'line 1: in double quotes . can be a token: write "|"'),
    "a token twice": (b"tokens: a\ntokens: a\nS -> a", "line 2: token 'a' is listed in line 1 already"),
    "a token with rules": (b"tokens: a S\nS -> a", "line 2: 'S' is a token, so it can't have rules"),
    "an unknown symbol": (b"tokens: a\nS -> a\nS -> B", "line 3: unknown symbol 'B'"),
    "no tokens": (b"tokens:\nS -> a", "line 2: unknown symbol 'a'"),
    "an empty right-hand side": (b"S -> a [0.5]\nS -> [0.5]", "line 2: 'S' has an empty right-hand side"),
    "unreachable": (b"S -> a\nT -> b", "line 2: 'T' is unreachable"),
    "not a number": (b"S -> a [half]", "line 1: a probability must be a number, got 'half'"),
    "NaN": (b"S -> a [nan]", r"line 1: a probability must lie in \(0, 1\], got nan"),
    "infinity": (b"S -> a [inf]", r"line 1: a probability must lie in \(0, 1\], got inf"),
    "a huge exponent": (b"S -> a [1e999999999]", r"line 1: a probability must lie in \(0, 1\], got inf"),
    "a tiny exponent": (b"S -> a\nT -> a [1e-999999999]", r"line 2: a probability must lie in \(0, 1\], got 0"),
    "negative": (b"S -> a [1.5]\nS -> b [-0.5]", r"line 1: a probability must lie in \(0, 1\], got 1.5"),
    "a percentage": (b"S -> a [50%]", "line 1: a probability must be a number, got '50%'"),
    "a decimal comma": (b"S -> a [0,5]", "line 1: a probability must be a number, got '0,5'"),
    "too little": (b"S -> a [0.5]\nS -> b [0.4]", "lines 1, 2: the probabilities of 'S' sum to 0.9, not to 1"),
    "too much, in many lines": (MANY.encode(), r"lines 1, 3, .*… \(3000 in all\): .* sum to 1500, not to 1"),
    "probabilities here and there": (b"S -> a [0.5]\nS -> b", "line 2: some rules of 'S' have a probability"),
    "left recursion": (b"S -> S a", "line 1: no derivation of 'S' ever ends"),
    "right recursion": (b"S -> a S [0.5]\nS -> S [0.5]", "lines 1, 2: no derivation of 'S' ever ends"),
    "a circle": (b"S -> A\nS -> a\nA -> B\nB -> A", "lines 3, 4: no derivation of 'A', 'B' ever ends"),
    "a long circle": (
        "\n".join(f"S{i} -> S{(i + 1) % 5000}" for i in range(5000)).encode(),
        r"lines 1, 2, .*… \(5000 in all\): no derivation of 'S0', .*… \(5000 in all\) ever ends",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_grammar_is_refused_in_one_line_with_its_place(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / "g.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        Grammar.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", [".", "no/such/folder/g.txt", "cfg3b.txt/g", "a" * 5000, "a\0b", "\ud800", ""])
def test_what_is_no_file_is_refused_by_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cfg3b.txt").write_text("S -> a", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^(no grammar called|the grammar) ") as caught:
        Grammar.load(name)
    assert name[:300] in str(caught.value)
