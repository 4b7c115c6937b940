"""Exact inference against all derivations of small grammars, and against itself on long sentences."""

from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from pdtutor.pcfg.grammar import Grammar
from pdtutor.pcfg.inference import marginals, next_tokens
from pdtutor.pcfg.sampler import sample

GRAMMARS = {
    "two levels, ambiguous": Grammar.parse(
        """S -> A B [0.3]
        S -> B A [0.5]
        S -> A A A [0.1]
        S -> B [0.1]
        A -> x [0.6]
        A -> x y [0.4]
        B -> x [0.1]
        B -> y [0.7]
        B -> y x [0.2]"""
    ),
    "unit rules": Grammar.parse(
        """S -> A [0.2]
        S -> A B [0.5]
        S -> B [0.2]
        S -> C C C [0.1]
        A -> C [0.25]
        A -> x [0.75]
        B -> A [0.6]
        B -> x z A [0.4]
        C -> y [0.1]
        C -> z [0.9]"""
    ),
    "long right-hand sides": Grammar.parse(
        """tokens: x y z unused
        S -> A x B y [0.35]
        S -> A A B A [0.4]
        S -> A B A [0.15]
        S -> B A [0.1]
        A -> x [0.5]
        A -> x B z x y [0.5]
        B -> z [0.3]
        B -> z y [0.7]"""
    ),
    "right-hand sides that are parts of others": Grammar.parse(
        """S -> A B A [0.3]
        S -> x A B A [0.4]
        S -> B A [0.3]
        A -> x [0.5]
        A -> y B [0.5]
        B -> x y [0.2]
        B -> y x y [0.8]"""
    ),
    "levels of cfg3b": Grammar.load("cfg3b").rooted_at("13"),
    "levels of cfg3i": Grammar.load("cfg3i").rooted_at("13"),
}
RECURSIVE = {
    "both sides": Grammar.parse("S -> S S [0.4]\nS -> a [0.35]\nS -> b [0.15]\nS -> b a c [0.1]"),
    "partly": Grammar.parse(
        """S -> N V [0.7]
        S -> V [0.3]
        N -> d n [0.8]
        N -> N P [0.2]
        P -> p N [0.9]
        P -> p [0.1]
        V -> v N [0.5]
        V -> v [0.2]
        V -> n v S [0.3]"""
    ),
}
EVERY = GRAMMARS | RECURSIVE


def all_derivations(grammar, longest):
    """Return (probability, token ids, spans) of all derivations of up to `longest` tokens; a span is (symbol, end)."""

    @cache
    def of(symbol, longest):
        if symbol in grammar.tokens:
            return [(1.0, (grammar.tokens.index(symbol),), ())]
        return [
            (rule.probability * p, tokens, (*spans, (symbol, len(tokens) - 1)))
            for rule in grammar.of(symbol)
            for p, tokens, spans in side(rule.right, longest)
        ]

    @cache
    def side(right, longest):
        if len(right) == 1:
            return of(right[0], longest)
        return [
            (p * q, one + two, spans + tuple((symbol, len(one) + end) for symbol, end in others))
            for p, one, spans in (of(right[0], longest - len(right) + 1) if longest >= len(right) else [])
            for q, two, others in side(right[1:], longest - len(one))
        ]

    return of(grammar.start, longest)


@cache
def derivations(name):
    """Return the derivations of a grammar in EVERY by length; those of a recursive one only up to 6 tokens."""
    by_length = defaultdict(list)
    for derivation in all_derivations(EVERY[name], 6 if name in RECURSIVE else EVERY[name].longest):
        by_length[len(derivation[1])].append(derivation)
    return by_length


@cache
def sentences(name):
    """Return the probability of each sentence of a grammar that is not recursive."""
    probability = defaultdict(float)
    for of_length in derivations(name).values():
        for p, tokens, _ in of_length:
            probability[tokens] += p
    return probability


def evidence(grammar, length, rng):
    """Return random likelihoods of a sentence, (length, tokens), of which a third of the rows, on average, are ones."""
    likelihood = rng.random((length, len(grammar.tokens)))
    likelihood[rng.random(length) < 1 / 3] = 1
    return likelihood


def check_against_all_derivations(name, length, likelihood):
    grammar, found = EVERY[name], marginals(EVERY[name], likelihood)
    p = np.array([p for p, _, _ in derivations(name)[length]])  # (derivations,)
    tokens = np.array([tokens for _, tokens, _ in derivations(name)[length]])  # (derivations, length)
    each = likelihood[np.arange(length), tokens]  # (derivations, length)
    posterior, cavity = np.zeros_like(likelihood), np.zeros_like(likelihood)
    for i in range(length):
        np.add.at(posterior[i], tokens[:, i], p * each.prod(axis=1))
        np.add.at(cavity[i], tokens[:, i], p * np.delete(each, i, axis=1).prod(axis=1))
    total = p @ each.prod(axis=1)
    assert found.log_evidence == pytest.approx(np.log(total), abs=1e-12)
    np.testing.assert_allclose(found.posterior, posterior / posterior.sum(axis=1, keepdims=True), atol=1e-12)
    np.testing.assert_allclose(found.cavity, cavity / cavity.sum(axis=1, keepdims=True), atol=1e-12)
    if grammar.levels is None:
        assert found.spans is None
        return
    spans = np.zeros((len(grammar.levels), length, max(map(len, grammar.levels))))
    place = {s: (level, i) for level, symbols in enumerate(grammar.levels) for i, s in enumerate(symbols)}
    for weight, (_, _, ends) in zip(p * each.prod(axis=1) / total, derivations(name)[length], strict=True):
        for symbol, end in ends:
            spans[place[symbol][0], end, place[symbol][1]] += weight
    assert found.spans.shape == spans.shape
    np.testing.assert_allclose(found.spans, spans, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_marginals_are_those_of_all_derivations(name):
    rng = np.random.default_rng(0)
    for length in derivations(name):
        check_against_all_derivations(name, length, np.ones((length, len(EVERY[name].tokens))))
        for _ in range(2):
            check_against_all_derivations(name, length, evidence(EVERY[name], length, rng))
        tokens = derivations(name)[length][rng.integers(len(derivations(name)[length]))][1]
        known = np.eye(len(EVERY[name].tokens))[list(tokens)]
        check_against_all_derivations(name, length, known)
        known[rng.random(length) < 0.4] = 1
        check_against_all_derivations(name, length, known)


def test_the_grammars_have_what_the_tests_are_for():
    with_levels = {name for name, grammar in EVERY.items() if grammar.levels}
    assert with_levels == {"two levels, ambiguous", "levels of cfg3b", "levels of cfg3i"}
    ambiguous = {name for name in GRAMMARS if len(sentences(name)) < sum(map(len, derivations(name).values()))}
    assert ambiguous >= {"two levels, ambiguous", "unit rules", "levels of cfg3i"}
    for name in GRAMMARS:
        assert sum(sentences(name).values()) == pytest.approx(1)


@pytest.mark.parametrize("name", GRAMMARS)
def test_next_tokens_are_those_of_all_sentences(name):
    probability, vocabulary = sentences(name), len(GRAMMARS[name].tokens)
    rng = np.random.default_rng(1)
    chosen = [list(probability)[i] for i in rng.integers(len(probability), size=5)]
    chosen += [tokens[: len(tokens) // 2] for tokens in chosen] + [()]
    for tokens in chosen:
        expected = np.zeros((len(tokens) + 1, vocabulary + 1))
        for other, p in probability.items():
            for i in range(len(tokens) + 1):
                if other[:i] == tokens[:i]:
                    expected[i, other[i] if i < len(other) else vocabulary] += p
        found = next_tokens(GRAMMARS[name], np.array(tokens))
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-12)


@pytest.mark.parametrize("name", GRAMMARS)
def test_next_tokens_multiply_to_the_probability_of_the_sentence(name):
    grammar = GRAMMARS[name]
    for tokens, p in list(sentences(name).items())[:5]:
        follows = next_tokens(grammar, list(tokens))
        product = follows[range(len(tokens)), tokens].prod() * follows[-1, -1]
        assert product == pytest.approx(p, rel=1e-12)
        assert marginals(grammar, np.eye(len(grammar.tokens))[list(tokens)]).log_evidence == pytest.approx(np.log(p))


# Long sentences


@pytest.fixture(scope="module", params=["cfg3b", "cfg3f"])
def long(request):
    grammar = Grammar.load(request.param)
    return grammar, sample(grammar, np.random.default_rng(0), 1, spans=True)


def test_on_a_long_sentence_both_ways_to_its_probability_agree(long):
    grammar, drawn = long
    follows = next_tokens(grammar, drawn[0])
    np.testing.assert_allclose(follows.sum(axis=1), 1)
    log_p = np.log(follows[range(len(drawn[0])), drawn[0]]).sum() + np.log(follows[-1, -1])
    assert log_p < -90  # the sentence is the result of many choices
    assert marginals(grammar, np.eye(3)[drawn[0]]).log_evidence == pytest.approx(log_p, abs=1e-9)


def test_on_a_long_sentence_the_truth_is_always_possible(long):
    grammar, drawn = long
    tokens, likelihood = drawn[0], np.eye(3)[drawn[0]]
    masked = np.random.default_rng(1).random(len(tokens)) < 0.3
    likelihood[masked] = 1
    found = marginals(grammar, likelihood)
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1)
    np.testing.assert_allclose(found.cavity.sum(axis=1), 1)
    np.testing.assert_array_equal(found.posterior[~masked], likelihood[~masked])
    assert found.posterior[range(len(tokens)), tokens].min() > 0
    assert 0.5 < found.posterior[masked, tokens[masked]].mean() < 1
    ends = found.spans.sum(axis=2)  # (levels, length)
    np.testing.assert_allclose(ends[:, -1], 1)
    assert np.all(np.diff(ends, axis=0) > -1e-9)  # where a span ends, one of every level below ends too
    for level in range(len(grammar.levels)):
        (at,) = np.nonzero(drawn.closes <= level)
        assert found.spans[level, at, drawn.ancestors[at, level]].min() > 0


@pytest.mark.parametrize("name", ["cfg3b", "cfg3f"])
def test_without_evidence_there_is_the_probability_of_the_length(name):
    grammar = Grammar.load(name)
    p = grammar.length_distribution()
    for length in (250, grammar.longest):
        found = marginals(grammar, np.ones((length, 3)))
        assert found.log_evidence == pytest.approx(np.log(p[length]), abs=1e-9)
        np.testing.assert_allclose(found.posterior, found.cavity, rtol=1e-12)


def test_probabilities_far_below_the_smallest_float():
    words, length = 500, 400
    of_word = "".join(f"\nW -> w{i}" for i in range(words))
    tokens = np.random.default_rng(0).integers(words, size=length)
    likelihood = np.eye(words)[tokens]
    likelihood[7] = 1
    chain = Grammar.parse("S -> W S [0.9]\nS -> W [0.1]" + of_word)
    found = marginals(chain, likelihood)
    assert found.log_evidence == pytest.approx((length - 1) * np.log(0.9 / words) + np.log(0.1))
    np.testing.assert_allclose(found.posterior[7], 1 / words)
    follows = next_tokens(Grammar.parse(f"S -> {'W ' * length}" + of_word), tokens)
    np.testing.assert_allclose(follows[:-1, :-1], 1 / words)
    assert follows[-1, -1] == 1


def test_a_factor_of_the_likelihood_is_one_of_the_evidence():
    grammar, rng = GRAMMARS["two levels, ambiguous"], np.random.default_rng(2)
    likelihood, factors = rng.random((4, 2)), np.array([[1e-200], [1e-250], [1e150], [3.0]])
    one, other = marginals(grammar, likelihood), marginals(grammar, np.asfortranarray(likelihood * factors))
    assert other.log_evidence == pytest.approx(one.log_evidence + np.log(factors).sum())
    np.testing.assert_allclose(other.cavity, one.cavity)


def test_grammars_that_print_alike_keep_their_own_probabilities():
    for p in (0.25, 0.25 + 4e-8):
        grammar = Grammar.parse(f"S -> a [{p:.10f}]\nS -> b [{1 - p:.10f}]")
        assert marginals(grammar, np.ones((1, 2))).posterior[0, 0] == pytest.approx(p, abs=1e-12)
        assert next_tokens(grammar, [])[0, 0] == pytest.approx(p, abs=1e-12)


def test_a_long_right_hand_side_and_symbols_one_below_the_other():
    long = Grammar.parse("S -> " + 300 * "a b ")
    found = marginals(long, np.ones((600, 2)))
    np.testing.assert_array_equal(found.posterior, np.tile(np.eye(2), (300, 1)))
    chain = Grammar.parse("\n".join(f"S{i} -> a S{i + 1}" for i in range(300)) + "\nS300 -> b")
    np.testing.assert_array_equal(next_tokens(chain, [0] * 300)[[0, -1]], [[1, 0, 0], [0, 1, 0]])


# Errors


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (np.ones(2), r"shape \(length, 2\), got \(2,\)"),
        (np.ones((3, 3)), r"shape \(length, 2\), got \(3, 3\)"),
        (np.ones((0, 2)), "an empty sentence"),
        ([[1, 1], [1, -0.5]], "finite and not negative, got -0.5 at position 1"),
        ([[1, 1], [np.nan, 1]], "finite and not negative, got nan at position 1"),
        ([[1, np.inf], [1, 1]], "finite and not negative, got inf at position 0"),
        (np.ones((7, 2)), "cannot derive a sentence of length 7"),
        ([[1, 1], [0, 0]], "cannot derive a sentence of length 2 with this evidence"),
        ([[0, 1], [0, 1], [0, 1]], "cannot derive a sentence of length 3 with this evidence"),
    ],
)
def test_marginals_say_what_is_wrong(likelihood, message):
    with pytest.raises(ValueError, match=message):
        marginals(GRAMMARS["two levels, ambiguous"], likelihood)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[0, 1]], r"row of token ids, got .* of shape \(1, 2\)"),
        ([0.0, 1.0], "row of token ids, got float64"),
        ([0, 2], "token ids must lie in 0 … 1, got 2 at position 1"),
        ([0, -1], "token ids must lie in 0 … 1, got -1 at position 1"),
        ([1, 0, 0, 0, 1, 0], "cannot derive this prefix: token 'x' at position 3"),
        ([1, 1, 1], "cannot derive this prefix: token 'y' at position 1"),
    ],
)
def test_next_tokens_say_what_is_wrong(tokens, message):
    with pytest.raises(ValueError, match=message):
        next_tokens(GRAMMARS["two levels, ambiguous"], tokens)


@pytest.mark.parametrize("name", RECURSIVE)
def test_next_tokens_of_a_recursive_grammar(name):
    with pytest.raises(ValueError, match="recursive"):
        next_tokens(RECURSIVE[name], [0])


def test_unit_rules_in_a_circle():
    circle = Grammar.parse("S -> A x [0.5]\nS -> x [0.5]\nA -> B [0.5]\nA -> y [0.5]\nB -> A [0.5]\nB -> x x [0.5]")
    with pytest.raises(ValueError, match=r"cycle, (A -> B -> A|B -> A -> B),"):
        marginals(circle, np.ones((3, 2)))
    with pytest.raises(ValueError, match="cycle, S -> S,"):
        marginals(Grammar.parse("S -> S [0.5]\nS -> a [0.5]"), np.ones((1, 1)))
