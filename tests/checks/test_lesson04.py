"""Each checker of lesson 4 passes the solution and answers typical mistakes with the hint that fits."""

from collections import ChainMap
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from pdtutor import Grammar, MaskedGrammar, ngram_robustness
from pdtutor.checks import lesson04
from pdtutor.pcfg.inference import marginals
from pdtutor.seeds import generator

MASK = 9


def expected_lengths(rules):
    def length(symbol):
        if symbol not in rules:
            return 1
        return sum(probability * sum(map(length, right)) for probability, right in rules[symbol])

    return {symbol: length(symbol) for symbol in rules}


def m_robust(predict, ids, i, n, mask):
    alone, window = ids.copy(), ids.copy()
    alone[i] = mask
    window[i - n // 2 : i + n // 2 + 1] = mask
    return np.abs(predict(alone)[i] - predict(window)[i]).sum() / 2


def posterior(sentences, probabilities, seen, mask, classes):
    fits = ((sentences == seen) | (seen == mask)).all(axis=1)
    return shares(sentences, probabilities * fits, classes)


def token_accuracy(guesses, labels, ignored):
    asked = labels != ignored
    return (guesses == labels)[asked].mean()


SOLUTIONS = [expected_lengths, m_robust, posterior, token_accuracy]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


# Other ways to the right answer


def by_levels(rules):
    """Until nothing changes, for a grammar that ends; the tokens are in the answer."""
    lengths = dict.fromkeys((s for of in rules.values() for _, right in of for s in right), 1.0)
    for _ in rules:
        lengths |= {s: sum(p * sum(lengths[part] for part in right) for p, right in of) for s, of in rules.items()}
    return lengths


def by_linear_algebra(rules):
    """Solve length = M length + tokens."""
    place = {symbol: k for k, symbol in enumerate(rules)}
    inner, tokens = np.zeros((len(rules), len(rules))), np.zeros(len(rules))
    for symbol, of in rules.items():
        for p, right in of:
            for part in right:
                if part in place:
                    inner[place[symbol], place[part]] += p
                else:
                    tokens[place[symbol]] += p
    return dict(zip(rules, np.linalg.solve(np.eye(len(rules)) - inner, tokens), strict=True))


def by_where(predict, ids, i, n, mask):
    away = np.abs(np.arange(len(ids)) - i)
    p, q = (predict(np.where(hidden, mask, ids))[i] for hidden in (away == 0, away <= n // 2))
    return np.maximum(p - q, 0).sum()  # half of all differences are positive


def by_loop(predict, ids, i, n, mask):
    window = [mask if abs(j - i) <= (n - 1) / 2 else token for j, token in enumerate(ids)]
    p, q = predict([*ids[:i], mask, *ids[i + 1 :]])[i], predict(window)[i]
    return 0.5 * sum(abs(a - b) for a, b in zip(p, q, strict=True))


def by_torch(predict, ids, i, n, mask):
    two = torch.tensor(ids).repeat(2, 1)
    two[0, i] = mask
    two[1, i - n // 2 : i + n // 2 + 1] = mask
    p, q = (torch.tensor(predict(row))[i] for row in two)
    return (p - q).abs().sum() / 2


def restored(predict, ids, i, n, mask):
    kept = ids.copy()
    ids[i] = mask
    p = predict(ids)[i]
    ids[i - n // 2 : i + n // 2 + 1] = mask
    q = predict(ids)[i]
    ids[:] = kept
    return np.abs(p - q).sum() / 2


def posterior_by_loop(sentences, probabilities, seen, mask, classes):
    out = np.zeros((len(seen), classes))
    for sentence, probability in zip(sentences, probabilities, strict=True):
        if all(s in (mask, token) for s, token in zip(seen, sentence, strict=True)):
            for i, token in enumerate(sentence):
                out[i, token] += probability
    return out / out.sum(axis=1, keepdims=True)


def posterior_by_torch(sentences, probabilities, seen, mask, classes):
    sentences, seen = torch.tensor(sentences), torch.tensor(seen)
    kept = (sentences[:, seen != mask] == seen[seen != mask]).all(1)
    onehot = nn.functional.one_hot(sentences[kept], classes).double()
    return (
        torch.einsum("n,nlc->lc", torch.tensor(probabilities)[kept], onehot) / torch.tensor(probabilities)[kept].sum()
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("expected_lengths", by_levels),
        ("expected_lengths", by_linear_algebra),
        ("expected_lengths", lambda rules: ChainMap(expected_lengths(rules))),
        ("expected_lengths", lambda rules: {s: torch.tensor(n) for s, n in expected_lengths(rules).items()}),
        ("m_robust", by_where),
        ("m_robust", by_loop),
        ("m_robust", by_torch),
        ("m_robust", restored),
        ("posterior", posterior_by_loop),
        ("token_accuracy", lambda g, y, ignored: (g == y).sum() / (y != ignored).sum()),
        ("posterior", posterior_by_torch),
        ("posterior", lambda *given: posterior_by_loop(*given).astype(np.float32)),
        ("posterior", lambda *given: posterior(*given).tolist()),
    ],
)
def test_another_way_to_the_right_answer_passes(passes, name, other):
    passes(other, name=name)


# Mistakes


def lengths(rules, over_rules=np.dot, *, side=sum, token=1, inner=0):
    """over_rules: probabilities, lengths of the right-hand sides → length; inner: what a symbol adds of its own."""

    @cache
    def length(symbol):
        if symbol not in rules:
            return token
        probabilities = [p for p, _ in rules[symbol]]
        return inner + over_rules(probabilities, [side([length(s) for s in right]) for _, right in rules[symbol]])

    return {symbol: length(symbol) for symbol in rules}


def one_pass(rules, symbols):
    found = {}
    for symbol in symbols:
        found[symbol] = sum(p * sum(found.get(s, 1) for s in right) for p, right in rules[symbol])
    return found


def robust(measure=lambda p, q: np.abs(p - q).sum() / 2, *, first=lambda i, n: [i], then=None, at=True):
    """A function whose predictions have the positions first(i, n) masked, and then(i, n, length); at: at i, or all."""
    then = then or (lambda i, n, length: range(i - n // 2, i + n // 2 + 1))

    def function(predict, ids, i, n, mask):
        places = np.arange(len(ids))
        p, q = (
            predict(np.where(np.isin(places, list(hidden)), mask, ids))
            for hidden in (first(i, n), then(i, n, len(ids)))
        )
        return measure(p[i], q[i]) if at else measure(p, q)

    return function


def outside(i, n, length):
    return {j for j in range(length) if abs(j - i) > n // 2}


def fixed_mask(predict, ids, i, n, mask):
    return m_robust(predict, ids, i, n, 5)


def in_place(predict, ids, i, n, mask):
    ids[i] = mask
    p = predict(ids)[i]
    ids[i - n // 2 : i + n // 2 + 1] = mask
    return np.abs(p - predict(ids)[i]).sum() / 2


def one_array(predict, ids, i, n, mask):
    alone = window = ids
    alone[i] = mask
    window[i - n // 2 : i + n // 2 + 1] = mask
    return np.abs(predict(alone)[i] - predict(window)[i]).sum() / 2


def shares(sentences, weights, classes, *, normalise=True):
    found = np.einsum("n,nlc->lc", weights, np.eye(classes)[sentences])
    return found / weights.sum() if normalise else found


def fitting(sentences, seen, mask):
    return ((sentences == seen) | (seen == mask)).all(axis=1)


def counts(sentences, probabilities, seen, mask, classes):
    return shares(sentences, 1.0 * fitting(sentences, seen, mask), classes)


def raw(sentences, probabilities, seen, mask, classes):
    return shares(sentences, probabilities * fitting(sentences, seen, mask), classes, normalise=False)


def prior(sentences, probabilities, seen, mask, classes):
    return shares(sentences, probabilities, classes)


def by(which):
    """Sentences that fit by `which`: match at visible positions (N, visible) → (N,)."""

    def function(sentences, probabilities, seen, mask, classes):
        visible = seen != mask
        return shares(sentences, probabilities * which((sentences == seen)[:, visible]), classes)

    return function


def any_for_all(sentences, probabilities, seen, mask, classes):
    return shares(sentences, probabilities * ((sentences == seen) | (seen == mask)).any(axis=1), classes)


def most_probable(sentences, probabilities, seen, mask, classes):
    weights = probabilities * fitting(sentences, seen, mask)
    return np.eye(classes)[sentences[weights.argmax()]]


def without_marginals(sentences, probabilities, seen, mask, classes):
    shown = np.eye(max(classes, mask + 1))[seen][:, :classes]
    return np.where((seen == mask)[:, None], prior(sentences, probabilities, seen, mask, classes), shown)


def naive_bayes(sentences, probabilities, seen, mask, classes):
    found = np.zeros((len(seen), classes))
    for i, c in product(range(len(seen)), range(classes)):
        has = probabilities * (sentences[:, i] == c)
        found[i, c] = has.sum()
        for j in np.flatnonzero(seen != mask):
            found[i, c] *= (has * (sentences[:, j] == seen[j])).sum() / max(has.sum(), 1e-300)
    return found / found.sum(axis=1, keepdims=True)


def only_masked(sentences, probabilities, seen, mask, classes):
    found = posterior(sentences, probabilities, seen, mask, classes)
    return np.where((seen == mask)[:, None], found, 0)


def weights_in_place(sentences, probabilities, seen, mask, classes):
    probabilities[~fitting(sentences, seen, mask)] = 0
    return shares(sentences, probabilities, classes)


def of_sentences(sentences, probabilities, seen, mask, classes):
    return probabilities * fitting(sentences, seen, mask)


def of_columns(found):
    return found / np.maximum(found.sum(axis=0), 1e-300)


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("expected_lengths", lambda r: lengths(r, lambda p, of: max(of)), "this is the longest"),
        ("expected_lengths", lambda r: lengths(r, lambda p, of: min(of)), "this is the shortest"),
        ("expected_lengths", lambda r: lengths(r, lambda p, of: np.mean(of)), "don't take a plain mean"),
        ("expected_lengths", lambda r: lengths(r, lambda p, of: sum(of)), "the sum over the rules"),
        ("expected_lengths", lambda r: lengths(r, lambda p, of: of[0]), "only each symbol's first rule"),
        ("expected_lengths", lambda r: lengths(r, lambda p, of: of[np.argmax(p)]), "only each symbol's most probable"),
        ("expected_lengths", lambda r: {s: sum(p * len(x) for p, x in of) for s, of in r.items()}, "right-hand sides"),
        ("expected_lengths", lambda r: one_pass(r, r), "the right-hand sides; a symbol there"),
        ("expected_lengths", lambda r: lengths(r, inner=1), "has no length of its own"),
        (
            "expected_lengths",
            lambda r: {s: n - 1 for s, n in lengths(r, inner=1).items()},
            "below the symbol are counted",
        ),
        ("expected_lengths", lambda r: lengths(r, token=0, inner=1), "counts the symbols that have rules"),
        ("expected_lengths", lambda r: lengths(r, token=0), "a token, of length 1"),
        ("expected_lengths", lambda r: lengths(r, side=np.mean), "add up the lengths"),
        ("expected_lengths", lambda r: lengths(r, side=np.prod), "add up the lengths"),
        (
            "expected_lengths",
            lambda r: expected_lengths({s: [(p, set(x)) for p, x in r[s]] for s in r}),
            "counts twice",
        ),
        ("expected_lengths", lambda r: expected_lengths(r)["S"], "every symbol of rules"),
        ("expected_lengths", lambda r: one_pass(r, reversed(r)), "use recursion"),
        ("expected_lengths", lambda r: list(expected_lengths(r).values()), "which is not a dict"),
        ("expected_lengths", lambda r: {"S": expected_lengths(r)["S"]}, "without 'B'"),
        ("expected_lengths", lambda r: {s: [n] for s, n in expected_lengths(r).items()}, "at 'S' got shape (1,)"),
        ("expected_lengths", lambda r: dict.fromkeys(r, "many"), "not a number"),
        ("expected_lengths", lambda r: {s: round(n, 1) for s, n in expected_lengths(r).items()}, "at 'S' got 6.5"),
        ("m_robust", robust(lambda p, q: np.abs(p - q).sum()), "the ½ is missing"),
        ("m_robust", robust(first=lambda i, n: []), "it still sees token i"),
        ("m_robust", robust(then=lambda i, n, _: range(i - n, i + n + 1)), "not how far it reaches"),
        ("m_robust", robust(then=lambda i, n, _: range(i, i + n)), "yours begins at i"),
        ("m_robust", robust(then=lambda i, n, _: range(i - n + 1, i + 1)), "yours ends at i"),
        ("m_robust", robust(then=lambda i, n, _: range(i - n // 2, i + n // 2)), "a slice ends before its end"),
        ("m_robust", robust(then=lambda i, n, _: range(i - n // 2 + 1, i + n // 2 + 1)), "first token is missing"),
        ("m_robust", robust(then=lambda i, n, _: {*range(i - n // 2, i + n // 2 + 1)} - {i}), "q still sees token i"),
        ("m_robust", robust(lambda p, q: np.abs(p - q).sum(1) / 2, at=False), "for each position"),
        ("m_robust", robust(at=False), "the sum over all positions"),
        ("m_robust", robust(lambda p, q: np.abs(p - q).sum(1).mean() / 2, at=False), "the mean over all positions"),
        ("m_robust", robust(then=lambda i, n, length: outside(i, n, length) | {i}), "that is M_close. M_robust"),
        ("m_robust", robust(then=outside), "that is M_close, and it masks i"),
        ("m_robust", robust(lambda p, q: np.abs(p - q).max()), "this is the largest difference"),
        ("m_robust", robust(lambda p, q: np.abs(p - q).max() / 2), "this is half the largest"),
        ("m_robust", robust(lambda p, q: ((p - q) ** 2).sum() / 2), "squared here; take their absolute"),
        ("m_robust", robust(lambda p, q: ((p - q) ** 2).sum()), "squared here; take half the sum"),
        ("m_robust", robust(lambda p, q: np.linalg.norm(p - q)), "this is the Euclidean distance"),
        ("m_robust", robust(lambda p, q: np.linalg.norm(p - q) / 2), "this is half the Euclidean"),
        ("m_robust", robust(lambda p, q: np.abs(p - q).mean() / 2), "don't average."),
        ("m_robust", robust(lambda p, q: np.abs(p - q).mean()), "don't average, and halve"),
        ("m_robust", robust(lambda p, q: p.argmax() != q.argmax()), "not the most probable tokens"),
        ("m_robust", robust(lambda p, q: (p * np.log(p / q)).sum()), "a KL divergence"),
        ("m_robust", robust(lambda p, q: np.abs(p - q) / 2), "sum over the classes: return one"),
        ("m_robust", robust(lambda p, q: (p - q).sum() / 2), "the absolute values are missing"),
        ("m_robust", one_array, "a second name for one array"),
        ("m_robust", in_place, "mask a copy"),
        ("m_robust", robust(then=lambda i, n, _: range(i - 1, i + 2)), "yours has 3, whatever n is"),
        ("m_robust", fixed_mask, "use the argument `mask`"),
        ("m_robust", lambda predict, ids, i, n, mask: predict(ids[None])[i], "ids of one sentence"),
        ("token_accuracy", lambda g, y, _: (g == y).mean(1).mean(), "leave it out of the count"),
        (
            "token_accuracy",
            lambda g, y, ignored: np.mean([(a == b)[b != ignored].mean() for a, b in zip(g, y, strict=True)]),
            "a mean of the sentences' means",
        ),
        ("token_accuracy", lambda g, y, ignored: ((g == y) | (y == ignored)).mean(), "count as right here"),
        ("token_accuracy", lambda g, y, _: (g == y).sum(1) / (y != -100).sum(1), "one number for all"),
        ("token_accuracy", lambda g, y, _: (g == y).sum(), "divide by the number"),
        ("token_accuracy", lambda g, y, _: (g == y)[y != -100].mean(), "says where a guess counts"),
        ("posterior", counts, "weight each by its probability."),
        ("posterior", lambda *of: counts(*of) * fitting(of[0], *of[2:4]).sum(), "and divide by the sum"),
        ("posterior", raw, "each row must sum to 1"),
        ("posterior", lambda *of: raw(*of) / of[1].sum(), "not of all sentences"),
        ("posterior", lambda *of: raw(*of) / fitting(of[0], *of[2:4]).sum(), "how many sentences fit"),
        ("posterior", prior, "every sentence counts here, whatever was seen"),
        ("posterior", lambda *of: prior(*of) * of[1].sum(), "divide by what is left"),
        ("posterior", any_for_all, "With any() every sentence fits"),
        ("posterior", lambda *of: any_for_all(*of) * of[1].sum(), "With any() every sentence fits"),
        ("posterior", lambda s, p, seen, mask, c: shares(s, p * (s == seen).any(axis=1), c), "all(), not any()"),
        (
            "posterior",
            lambda s, p, seen, mask, c: shares(s, p * (s == seen).any(axis=1), c, normalise=False),
            "all(), not any()",
        ),
        (
            "posterior",
            lambda s, p, seen, mask, c: shares(s, p * ((s == seen) | (seen == mask)).all(axis=0), c),
            "shapes are lined up from the last axis",
        ),
        ("posterior", by(lambda match: match[:, 0]), "not only the first"),
        ("posterior", by(lambda match: match[:, -1]), "not only the last"),
        ("posterior", by(lambda match: match.any(axis=1)), "all(), not any()"),
        ("posterior", by(lambda match: ~match.all(axis=1)), "the sentences that don't fit."),
        ("posterior", lambda *of: of_columns(raw(*of)), "normalise over the classes"),
        ("posterior", lambda *of: raw(*of) / raw(*of).sum(), "normalise every row by itself"),
        ("posterior", lambda *of: torch.tensor(posterior(*of)).softmax(-1), "don't take a softmax"),
        ("posterior", most_probable, "the most probable sentence"),
        ("posterior", without_marginals, "not position by position"),
        ("posterior", naive_bayes, "is not independent"),
        ("posterior", only_masked, "with a 1 at the token seen."),
        ("posterior", lambda *of: raw(*of) * (of[2] == of[3])[:, None], "at the token seen; and"),
        ("posterior", lambda *of: np.zeros((4, 3)), "this looks as if no sentence fitted"),
        ("posterior", lambda *of: np.full((4, 3), 1 / 3), "all tokens are equally likely, as if"),
        ("posterior", lambda s, p, seen, *_: shares(s, p * (s == seen).all(axis=1), 3), "wherever it isn't mask"),
        ("posterior", lambda *of: posterior(*of).T, "transposed"),
        ("posterior", lambda *of: of_sentences(*of) / of_sentences(*of).sum(), "at each position, add up"),
        ("posterior", of_sentences, "same token, and divide by the sum"),
        ("posterior", lambda s, p, seen, mask, classes: posterior(s, p, seen, 4, classes), "wherever it isn't mask"),
        ("posterior", lambda s, p, seen, mask, classes: posterior(s, p, seen, mask, 3), "got shape (4, 3)"),
        ("posterior", weights_in_place, "your function changed probabilities"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # 0 / 0 where no sentence fits
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)


def test_rules_are_shown_as_they_are_given_unless_they_are_many(said):
    assert "given:    rules = {'S': [(0.2, ('A', 'c')), (0.5, " in said(lambda r: 0, name="expected_lengths")
    output = said(lambda r: {s: n + (s == "22") for s, n in expected_lengths(r).items()}, name="expected_lengths")
    assert "at '22' got 295" in output
    assert "given:    the rules of cfg3b = a dict of 16" in output
    assert "expected: {'22': 294, '19': 168, " in output


def test_an_answer_that_holds_itself_is_answered(said):
    def endless(rules):
        found = {}
        found["S"] = found
        return found

    assert said(endless, name="expected_lengths").startswith("✗ expected_lengths: at 'S' got")


# Against the package


@pytest.mark.parametrize("name", ["cfg3b", "cfg3i"])
def test_the_expected_lengths_are_the_grammar_s(name):
    grammar = Grammar.load(name)
    found = expected_lengths({s: [(rule.probability, rule.right) for rule in grammar.of(s)] for s in grammar.symbols})
    assert found == pytest.approx({s: grammar.length_statistics(s)["mean"] for s in grammar.symbols})
    if name == "cfg3b":
        assert found["22"] == pytest.approx(294)


class Neighbours(nn.Module):
    """Logits from random embeddings, of the id itself and of others by their distance."""

    def __init__(self, vocabulary, classes):
        super().__init__()
        self.seeds = [0]
        self.embedding = nn.Parameter(torch.randn(vocabulary, classes, generator=torch.Generator().manual_seed(0)))

    def forward(self, ids):
        places = torch.arange(ids.shape[-1])
        return 0.7 ** (places - places[:, None]).abs() @ self.embedding[ids]


def test_the_probe_is_a_mean_of_m_robust():
    task = MaskedGrammar("cfg3b", root="10")
    model = Neighbours(task.vocabulary, task.classes)

    def predict(ids):
        with torch.no_grad():
            return model(torch.tensor(ids)[None, None])[0, 0].softmax(-1).numpy()

    n, seed = 3, 5
    table = ngram_robustness(task, n, sentences=50, positions=task.longest, seed=seed)(model)  # wherever n fits
    drawn = task.sentences(generator(seed, "n-grams"), 50)
    each = [
        m_robust(predict, row, i, n, task.mask)
        for row, length in zip(task.rows(drawn), drawn.lengths, strict=True)
        for i in range(2, length)  # tokens are at 1 … length
    ]
    assert table["pairs"].tolist() == [len(each)]
    assert table["mean"][0] == pytest.approx(np.mean(each), rel=1e-5)


# The grammar of the checker's sentences.
SMALL = Grammar.parse(
    """S -> A A [0.2]
    S -> A B [0.3]
    S -> B A [0.4]
    S -> A A A [0.1]
    A -> 0 1 [0.7]
    A -> 2 0 [0.3]
    B -> 2 1 [0.6]
    B -> 1 0 [0.4]"""
)


def all_sentences(grammar, length):
    """Return sentences (N, length) and their probabilities (N,); one that has several derivations comes once."""

    @cache
    def of(symbol):
        if symbol in grammar.tokens:
            return {(grammar.tokens.index(symbol),): 1.0}
        found = {}
        for rule in grammar.of(symbol):
            for parts in product(*(of(part).items() for part in rule.right)):
                tokens = sum((tokens for tokens, _ in parts), ())
                found[tokens] = found.get(tokens, 0) + rule.probability * np.prod([p for _, p in parts])
        return found

    found = {tokens: p for tokens, p in of(grammar.start).items() if len(tokens) == length}
    return np.array(list(found)), np.array(list(found.values()))


@pytest.mark.parametrize(
    ("grammar", "length"),
    [(SMALL, 4), (SMALL, 6), (Grammar.load("cfg3b").rooted_at("10"), 8), (Grammar.load("cfg3i").rooted_at("10"), 6)],
)
def test_the_posterior_is_that_of_exact_inference(grammar, length):
    sentences, probabilities = all_sentences(grammar, length)
    classes, rng = len(grammar.tokens), np.random.default_rng(0)
    for share in (0.2, 0.5, 0.8, 1.0):
        seen = np.where(rng.random(length) < share, MASK, sentences[rng.integers(len(sentences))])
        likelihood = np.where((seen == MASK)[:, None], 1.0, seen[:, None] == np.arange(classes))
        found = posterior(sentences, probabilities, seen, MASK, classes)
        np.testing.assert_allclose(found, marginals(grammar, likelihood).posterior, atol=1e-12)


def test_the_checker_s_sentences_are_all_that_its_grammar_has_of_their_length():
    sentences, probabilities = all_sentences(SMALL, 4)
    expected = {tuple(s): pytest.approx(p) for s, p in zip(sentences.tolist(), probabilities, strict=True)}
    pairs = zip(lesson04.SENTENCES.tolist(), lesson04.PROBABILITIES, strict=True)
    assert {tuple(s): p for s, p in pairs} == expected
