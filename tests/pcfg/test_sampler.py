"""Sentences against the grammar they are drawn from: their lengths, the rules behind them, their spans."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdtutor.pcfg import sampler
from pdtutor.pcfg.grammar import LONGEST, Grammar
from pdtutor.pcfg.sampler import ATTEMPTS, Sentences, sample

CFG3B = Grammar.load("cfg3b")
SKEWED = Grammar.parse("""
S -> A B [0.2]
S -> B A A [0.5]
S -> B [0.3]
A -> x y [0.9]
A -> x x x [0.1]
B -> y z [0.35]
B -> z [0.65]
""")
NESTED = Grammar.parse("tokens: ( ) c\nS -> ( S ) [0.4]\nS -> c [0.6]")
BRANCHING = Grammar.parse("S -> S S [0.4]\nS -> a [0.6]")


def words(grammar, sentences):
    return [" ".join(grammar.tokens[token] for token in sentence) for sentence in sentences]


def spans_of(grammar, sentences):
    """Return each level's spans as (symbol, right-hand side), read off ancestors and closes alone."""
    ancestors, closes = sentences.ancestors, sentences.closes
    found = []
    for level, symbols in enumerate(grammar.levels):
        ends = np.flatnonzero(closes <= level + 1)  # of the spans of the level below, or all tokens
        if level + 1 < len(grammar.levels):
            parts = [grammar.levels[level + 1][place] for place in ancestors[ends, level + 1]]
        else:
            parts = [grammar.tokens[token] for token in sentences.tokens]
        last = np.flatnonzero(closes[ends] <= level)
        rights = np.split(np.array(parts), last[:-1] + 1)
        found.append([(symbols[p], tuple(r)) for p, r in zip(ancestors[ends[last], level], rights, strict=True)])
    return found


def agrees(observed, probabilities):
    """Return whether counts agree with their probabilities: chi-square is at most four sd above its mean.

    Cells that are expected fewer than ten times are merged into one.
    """
    observed, expected = np.asarray(observed, float), np.asarray(probabilities) * np.sum(observed)
    rare = expected < 10
    if rare.any():
        observed = np.append(observed[~rare], observed[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    possible = expected > 1e-9
    assert not observed[~possible].any()
    chi_square = ((observed - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = possible.sum() - 1
    return chi_square <= freedom + 4 * (2 * freedom) ** 0.5


def test_the_chi_square_test_tells_a_wrong_probability():
    drawn = np.random.default_rng(0).multinomial(5000, [0.2, 0.3, 0.5, 0])
    assert agrees(drawn, [0.2, 0.3, 0.5, 0])
    assert not agrees(drawn, [0.25, 0.25, 0.5, 0])


def test_equal_seeds_give_equal_sentences_and_others_others():
    first, again, other = (sample(SKEWED, np.random.default_rng(seed), 200) for seed in (0, 0, 1))
    assert words(SKEWED, first) == words(SKEWED, again) != words(SKEWED, other)


def test_a_generator_goes_on_where_it_stopped():
    rng = np.random.default_rng(0)
    parts = words(NESTED, sample(NESTED, rng, 3, max_length=5)) + words(NESTED, sample(NESTED, rng, 40, max_length=5))
    assert parts == words(NESTED, sample(NESTED, np.random.default_rng(0), 43, max_length=5))


@pytest.mark.parametrize("name", ["cfg3b", "cfg3f"])
def test_spans_do_not_change_what_is_drawn(name):
    grammar = Grammar.load(name)
    told, plain = (sample(grammar, np.random.default_rng(0), 100, spans=spans) for spans in (True, False))
    np.testing.assert_array_equal(told.tokens, plain.tokens)
    np.testing.assert_array_equal(told.offsets, plain.offsets)
    assert plain.ancestors is plain.closes is None


def test_sentences_are_what_they_say_and_keep_no_more_memory_than_that():
    sentences = sample(SKEWED, np.random.default_rng(0), 50, spans=True)
    total = sentences.offsets[-1]
    assert (len(sentences), sentences.offsets[0], sentences.rejected) == (50, 0, 0)
    assert sentences.lengths.tolist() == [len(sentence) for sentence in sentences]
    for array, shape in ((sentences.tokens, (total,)), (sentences.ancestors, (total, 2)), (sentences.closes, (total,))):
        assert (array.shape, array.dtype, array.base) == (shape, np.uint8, None)


def test_a_right_side_keeps_its_order():
    found = set(words(NESTED, sample(NESTED, np.random.default_rng(0), 200, max_length=7)))
    assert found == {"c", "( c )", "( ( c ) )", "( ( ( c ) ) )"}
    found = set(words(SKEWED, sample(SKEWED, np.random.default_rng(0), 2000)))
    a, b = ("x y", "x x x"), ("y z", "z")
    assert found == {f"{i} {j}" for i in a for j in b} | {f"{j} {i} {k}" for i in a for j in b for k in a} | set(b)


@pytest.mark.parametrize(
    ("grammar", "n"),
    [(SKEWED, 20_000), *((Grammar.load(name), 5000) for name in ("cfg3b", "cfg3b-32", "cfg3f", "cfg3i"))],
    ids=repr,
)
def test_lengths_are_distributed_as_the_grammars(grammar, n):
    sentences = sample(grammar, np.random.default_rng(0), n)
    assert agrees(np.bincount(sentences.lengths, minlength=grammar.longest + 1), grammar.length_distribution())


@pytest.mark.parametrize("grammar", [SKEWED, CFG3B], ids=repr)
def test_rules_are_used_as_often_as_is_likely(grammar):
    sentences = sample(grammar, np.random.default_rng(0), 6000 if grammar is SKEWED else 200, spans=True)
    used = Counter(span for level in spans_of(grammar, sentences) for span in level)
    for symbol in grammar.symbols:
        rules = grammar.of(symbol)
        assert agrees([used[symbol, rule.right] for rule in rules], [rule.probability for rule in rules]), symbol


def test_rules_are_chosen_independently():
    sentences = sample(SKEWED, np.random.default_rng(0), 10_000)
    pairs = Counter(sentence for sentence in words(SKEWED, sentences) if sentence.endswith("z") and "x" in sentence)
    expected = {"x y y z": 0.9 * 0.35, "x y z": 0.9 * 0.65, "x x x y z": 0.1 * 0.35, "x x x z": 0.1 * 0.65}
    assert pairs.keys() == expected.keys()
    assert agrees([pairs[sentence] for sentence in expected], list(expected.values()))


def test_all_256_tokens_have_their_id():
    grammar = Grammar.parse("\n".join(f"S -> t{i:03}" for i in range(256)))
    drawn = sample(grammar, np.random.default_rng(0), 10_000).tokens
    assert agrees(np.bincount(drawn, minlength=256), np.full(256, 1 / 256))


@pytest.mark.parametrize(
    ("grammar", "max_length"),
    [(SKEWED, None), (SKEWED, 4), (CFG3B, None), (CFG3B, 260), (Grammar.load("cfg3f"), None)],
    ids=repr,
)
def test_every_span_is_derived_by_a_rule(grammar, max_length):
    sentences = sample(grammar, np.random.default_rng(1), 30, spans=True, max_length=max_length)
    assert (sentences.rejected > 0) == (max_length is not None)
    spans = spans_of(grammar, sentences)
    assert {span for level in spans for span in level} <= {(rule.left, rule.right) for rule in grammar.rules}
    assert [symbol for symbol, _ in spans[0]] == [grammar.start] * 30
    for above, below in pairwise(spans):  # a level's spans are the parts of the one above
        assert [part for _, right in above for part in right] == [symbol for symbol, _ in below]


@pytest.mark.parametrize("grammar", [SKEWED, CFG3B], ids=repr)
def test_ancestors_change_only_where_a_span_closes(grammar):
    sentences = sample(grammar, np.random.default_rng(2), 30, spans=True)
    for level, symbols in enumerate(grammar.levels):
        inside = sentences.closes[:-1] > level
        before, after = sentences.ancestors[:-1, level], sentences.ancestors[1:, level]
        np.testing.assert_array_equal(before[inside], after[inside])
        assert sentences.ancestors[:, level].max() == len(symbols) - 1


@pytest.mark.parametrize("grammar", [SKEWED, CFG3B], ids=repr)
def test_the_last_token_of_a_sentence_closes_all_levels_and_no_other_does(grammar):
    sentences = sample(grammar, np.random.default_rng(3), 100, spans=True)
    np.testing.assert_array_equal(np.flatnonzero(sentences.closes == 0), sentences.offsets[1:] - 1)
    assert sentences.closes.max() == len(grammar.levels)


def test_spans_of_a_sentence_are_those_told_by_hand():
    grammar = Grammar.parse("S -> B A\nA -> D C D\nB -> C D\nC -> z\nD -> x")
    sentences = sample(grammar, np.random.default_rng(0), 2, spans=True)
    assert words(grammar, sentences) == ["z x x z x"] * 2
    assert sentences.ancestors[:5].tolist() == [[0, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0], [0, 0, 1]]  # S; A, B; C, D
    assert sentences.closes.tolist() == [2, 1, 2, 2, 0] * 2


def test_spans_of_cfg3b_have_the_papers_mean_lengths():
    closes = sample(CFG3B, np.random.default_rng(0), 2000, spans=True).closes
    found = [len(closes) / (closes <= level).sum() for level in range(6)]
    np.testing.assert_allclose(found, [294, 147, 56, 21, 8, 2.667], rtol=0.01)


def test_a_recursive_grammars_sentences_follow_its_distribution_up_to_the_cap():
    n = 20_000
    sentences = sample(BRANCHING, np.random.default_rng(0), n, max_length=6)
    p = BRANCHING.length_distribution(max_length=6)
    kept = p.sum()
    assert agrees(np.bincount(sentences.lengths, minlength=7), p / kept)
    expected, sd = n * (1 - kept) / kept, (n * (1 - kept)) ** 0.5 / kept  # negative binomial
    assert sentences.rejected == pytest.approx(expected, abs=4 * sd)


def test_sentences_as_long_as_the_cap_are_kept():
    sentences = sample(SKEWED, np.random.default_rng(0), 500, max_length=3)
    assert set(words(SKEWED, sentences)) == {"z", "y z", "x y z"}
    longest = sample(SKEWED, np.random.default_rng(0), 5000, max_length=SKEWED.longest)
    assert (longest.rejected, longest.lengths.max()) == (0, SKEWED.longest)


def test_a_symbol_may_lead_to_itself_alone():
    grammar = Grammar.parse("S -> S [0.9]\nS -> a [0.1]")
    assert words(grammar, sample(grammar, np.random.default_rng(0), 5, max_length=1)) == ["a"] * 5


def test_sentences_are_found_by_number():
    sentences = Sentences(np.arange(6, dtype=np.uint8), np.array([0, 2, 3, 6]), 0)
    assert [sentence.tolist() for sentence in sentences] == [[0, 1], [2], [3, 4, 5]]
    assert (sentences[-1].tolist(), sentences[-3].tolist(), sentences[np.int64(1)].tolist()) == ([3, 4, 5], [0, 1], [2])
    for outside in (3, -4):
        with pytest.raises(IndexError):
            sentences[outside]


def test_values_are_padded_to_a_sentence_a_row():
    sentences = Sentences(np.arange(6, dtype=np.uint8), np.array([0, 2, 3, 6]), 0)
    padded = sentences.padded(sentences.tokens, 9)
    assert padded.tolist() == [[0, 1, 9], [2, 9, 9], [3, 4, 5]]
    assert padded.dtype == np.uint8
    pairs = np.stack([np.arange(6), -np.arange(6)], axis=1)
    assert sentences.padded(pairs, 7).tolist()[:2] == [[[0, 0], [1, -1], [7, 7]], [[2, -2], [7, 7], [7, 7]]]


@given(st.integers(0, 2**32), st.integers(0, 20))
@settings(deadline=None, max_examples=30)
def test_padding_loses_nothing(seed, n):
    sentences = sample(SKEWED, np.random.default_rng(seed), n, spans=True)
    for values in (sentences.tokens, sentences.ancestors, sentences.closes):
        rows = sentences.padded(values, 255)
        assert rows.shape == (n, sentences.lengths.max(initial=0), *values.shape[1:])
        kept = [row[:length] for row, length in zip(rows, sentences.lengths, strict=True)]
        np.testing.assert_array_equal(np.concatenate([*kept, values[:0]]), values)
        assert all((row[length:] == 255).all() for row, length in zip(rows, sentences.lengths, strict=True))


def test_no_sentences_are_none():
    nothing = sample(SKEWED, np.random.default_rng(0), 0, spans=True)
    assert (len(nothing), nothing.rejected, nothing.offsets.tolist()) == (0, 0, [0])
    assert (nothing.tokens.shape, nothing.ancestors.shape, nothing.closes.shape) == ((0,), (0, 2), (0,))
    assert nothing.padded(nothing.tokens, 0).shape == (0, 0)
    assert list(nothing) == []


@pytest.mark.parametrize(
    ("grammar", "n", "options", "message"),
    [
        (SKEWED, -1, {}, "n must be a whole number of at least 0, got -1"),
        (SKEWED, 2.0, {}, "n must be a whole number of at least 0, got 2.0"),
        (SKEWED, 1, {"max_length": 0}, "max_length must be a whole number of at least 1, got 0"),
        (BRANCHING, 1, {}, "'S' leads back to itself, so there is no longest sentence: give max_length"),
        (NESTED, 1, {"spans": True, "max_length": 9}, r"Grammar\(start='S', 2 rules, 3 tokens\) has no levels"),
        (NESTED, 1, {"max_length": LONGEST + 1}, f"max_length must be at most {LONGEST}, got {LONGEST + 1}"),
        (CFG3B, 1, {"max_length": 160}, "10000 sentences in a row of .* longer than max_length = 160: choose"),
        (Grammar.parse("\n".join(f"S -> {i}" for i in range(257))), 1, {}, "at most 256 tokens; got .* 257 tokens"),
    ],
)
def test_what_cannot_be_drawn_is_refused(grammar, n, options, message):
    with pytest.raises(ValueError, match=message):
        sample(grammar, np.random.default_rng(0), n, **options)


def test_only_rejections_in_a_row_are_too_many():
    rare = Grammar.parse("S -> a [0.002]\nS -> a a [0.998]")
    assert sample(rare, np.random.default_rng(0), 50, max_length=1).rejected > ATTEMPTS


# Large and strange grammars


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\n".join(f"S{i} -> a S{i + 1}" for i in range(1200)) + "\nS1200 -> b", 1200 * "a " + "b"),
        ("\n".join(f"S{i} -> S{i + 1}" for i in range(1200)) + "\nS1200 -> b", "b"),
        ("\n".join(f"S{i} -> S{i + 1} S{i + 1}" for i in range(12)) + "\nS12 -> b", 4095 * "b " + "b"),
        ("S -> " + 3000 * "a b " + "c", 3000 * "a b " + "c"),
    ],
    ids=["symbols one below the other", "unit rules", "twice as long at each level", "a long right-hand side"],
)
def test_a_grammar_with_a_single_sentence_gives_this(text, sentence):
    grammar = Grammar.parse(text)
    for options in ({}, {"max_length": len(sentence)}):
        assert words(grammar, sample(grammar, np.random.default_rng(0), 3, **options)) == [sentence] * 3


def test_symbols_that_all_contain_each_other_are_drawn():
    n = 12
    lines = [f"X{i} -> X{(i + j) % n} w" for i in range(n) for j in range(1, n)] + [f"X{i} -> w" for i in range(n)]
    grammar = Grammar.parse("\n".join(lines))
    p = grammar.length_distribution(max_length=30)
    lengths = sample(grammar, np.random.default_rng(0), 5000, max_length=30).lengths
    assert agrees(np.bincount(lengths, minlength=31), p / p.sum())


def test_a_deep_tree_of_many_derivations_is_drawn():
    lines = [f"L{i}{s} -> L{i + 1}{a} L{i + 1}{b}" for i in range(9) for s in "xy" for a, b in ("xy", "yx", "xx")]
    grammar = Grammar.parse("\n".join(["S -> L0x L0y", *lines, "L9x -> a", "L9x -> b a", "L9y -> b"]))
    sentences = sample(grammar, np.random.default_rng(0), 20, spans=True)
    assert len(grammar.levels) == 11
    for above, below in pairwise(spans_of(grammar, sentences)):
        assert [part for _, right in above for part in right] == [symbol for symbol, _ in below]


def test_more_symbols_than_fit_in_two_bytes():
    n = 2**15 + 10
    lines = [f"S{i} -> S{i + 1}" for i in range(n)] + [f"S{n} -> S{n} b", f"S{n} -> a"]
    grammar = Grammar.parse("\n".join(lines))
    assert set(words(grammar, sample(grammar, np.random.default_rng(0), 50, max_length=3))) == {"a", "a b", "a b b"}


def test_levels_that_spans_cannot_be_told_for_are_drawn_without():
    wide = Grammar.parse("\n".join(f"S -> A{i} A{i}\nA{i} -> a" for i in range(257)))
    deep = Grammar.parse("\n".join(f"S{i} -> S{i + 1}" for i in range(255)) + "\nS255 -> a")
    assert words(wide, sample(wide, np.random.default_rng(0), 2)) == ["a a"] * 2
    assert words(deep, sample(deep, np.random.default_rng(0), 2)) == ["a"] * 2
    for grammar in (wide, deep):
        with pytest.raises(ValueError, match="spans are told for at most 254 levels of at most 256 symbols each"):
            sample(grammar, np.random.default_rng(0), 2, spans=True)
    most = deep.rooted_at("S2")
    assert sample(most, np.random.default_rng(0), 2, spans=True).closes.tolist() == [0, 0]


@pytest.mark.parametrize("spans", [False, True])
def test_sentences_drawn_in_groups_are_those_drawn_at_once(monkeypatch, spans):
    options = {"spans": spans, "max_length": 4}
    whole = sample(SKEWED, np.random.default_rng(0), 50, **options)
    monkeypatch.setattr(sampler, "TOGETHER", 13)
    parts = sample(SKEWED, np.random.default_rng(0), 50, **options)
    assert whole.rejected == parts.rejected > 0
    for name in ("tokens", "offsets", *(("ancestors", "closes") if spans else ())):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
        assert getattr(parts, name).dtype == getattr(whole, name).dtype


def test_unit_rules_that_hardly_ever_end_are_an_error():
    grammar = Grammar.parse("S -> A [1.0]\nS -> a [1e-300]\nA -> S")
    with pytest.raises(ValueError, match="not complete after 1000000 unit rules in a row: some of them lead back"):
        sample(grammar, np.random.default_rng(0), 1, max_length=3)


def test_sentences_of_more_tokens_than_can_be_held_need_a_cap():
    grammar = Grammar.parse(
        "\n".join(f"S{i} -> S{i + 1} S{i + 1} [0.5]\nS{i} -> a [0.5]" for i in range(99)) + "\nS99 -> a"
    )
    with pytest.raises(ValueError, match=f"can have more than {LONGEST} tokens, too many to draw: give max_length"):
        sample(grammar, np.random.default_rng(0), 1)
    lengths = sample(grammar, np.random.default_rng(0), 5000, max_length=9).lengths
    p = grammar.length_distribution(max_length=9)
    assert agrees(np.bincount(lengths, minlength=10), p / p.sum())
