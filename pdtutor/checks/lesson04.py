"""Checkers for the exercises of lesson 4, Transformers on grammars (notebooks/04_pcfg_transformers.py).

Expected answers are computed here, by recursion or in plain numpy, without `pdtutor.probes` and, but for the rules of
cfg3b, without `pdtutor.pcfg`, so that each can catch a mistake in the other.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from pdtutor.checks.core import Case, Either, check
from pdtutor.checks.ngrams import MASK, masked, predict, tv, wrong_distances
from pdtutor.pcfg.grammar import Grammar

Rules = Mapping[str, Sequence[tuple[float, tuple[str, ...]]]]  # symbol → its rules: probability, right-hand side

# The most probable rule of S is neither its first nor its longest, and two of its right-hand sides hold a symbol twice.
UNEQUAL: Rules = {
    "S": [(0.2, ("A", "c")), (0.5, ("A", "A", "B")), (0.3, ("A", "B", "B", "B"))],
    "B": [(0.75, ("A", "a", "a")), (0.25, ("c",))],
    "A": [(0.1, ("a", "b")), (0.7, ("b",)), (0.2, ("a", "c", "b"))],
}
# B stands below S and below A, and the keys are sorted neither from the root down nor from the tokens up.
SHARED: Rules = {
    "B": [(0.4, ("D", "y")), (0.6, ("x", "x", "D"))],
    "S": [(0.9, ("A", "B")), (0.1, ("B", "D", "A"))],
    "D": [(0.3, ("x",)), (0.7, ("y", "x"))],
    "A": [(0.8, ("B", "x")), (0.2, ("D", "D"))],
}

# All sentences of four tokens of one grammar, (N, 4), and their probabilities, (N,). S → A A, A B or B A with
# probabilities 0.2, 0.3 and 0.4 (S's other sentences are longer); A → 0 1 or 2 0 with 0.7 and 0.3; B → 2 1 or 1 0 with
# 0.6 and 0.4.
SENTENCES = np.array(
    [
        [0, 1, 0, 1],
        [0, 1, 2, 0],
        [2, 0, 0, 1],
        [2, 0, 2, 0],
        [0, 1, 2, 1],
        [0, 1, 1, 0],
        [2, 0, 2, 1],
        [2, 0, 1, 0],
        [2, 1, 0, 1],
        [2, 1, 2, 0],
        [1, 0, 0, 1],
        [1, 0, 2, 0],
    ]
)
PROBABILITIES = np.array([0.098, 0.042, 0.042, 0.018, 0.126, 0.084, 0.054, 0.036, 0.168, 0.072, 0.112, 0.048])


def expected_lengths(function: Callable) -> None:
    """Check `function(rules)`: symbol → [(probability, right-hand side), …] → a dict, symbol → mean number of tokens.

    A symbol that is no key of `rules` is a token. The answer may hold the tokens or not.
    """
    mean = _lengths(UNEQUAL)
    rule_lengths = {s: sum(p * len(right) for p, right in of) for s, of in UNEQUAL.items()}
    with_inner = _lengths(UNEQUAL, symbol=1)
    mistakes = {
        "this is the longest; an expectation weights every rule by its probability.": _lengths(
            UNEQUAL, lambda p, lengths: max(lengths)
        ),
        "this is the shortest; an expectation weights every rule by its probability.": _lengths(
            UNEQUAL, lambda p, lengths: min(lengths)
        ),
        "the rules are not equally likely: weight each by its probability, don't take a plain mean.": _lengths(
            UNEQUAL, lambda p, lengths: np.mean(lengths)
        ),
        "this is the sum over the rules; weight each by its probability.": _lengths(
            UNEQUAL, lambda p, lengths: sum(lengths)
        ),
        "this follows only each symbol's first rule; every rule counts, with its probability.": _lengths(
            UNEQUAL, lambda p, lengths: lengths[0]
        ),
        "this follows only each symbol's most probable rule; every rule counts, with its probability.": _lengths(
            UNEQUAL, lambda p, lengths: lengths[np.argmax(p)]
        ),
        "this is the mean length of the right-hand sides; a symbol there stands for the tokens below it.": rule_lengths,
        "inner nodes are counted, too; a symbol has no length of its own, only that of the tokens below it.": (
            with_inner
        ),
        "inner nodes below the symbol are counted, too; count only the tokens.": {
            s: length - 1 for s, length in with_inner.items()
        },
        "this counts the symbols that have rules; count the tokens below them.": _lengths(UNEQUAL, token=0, symbol=1),
        "every length is 0, because a token's is: a symbol that is no key of rules is a token, of length 1.": _lengths(
            UNEQUAL, token=0
        ),
        "every length is 1: add up the lengths of a right-hand side's parts, don't average or multiply.": (
            _lengths(UNEQUAL, side=np.mean)
        ),
        "a symbol that occurs twice in a right-hand side counts twice.": _lengths(UNEQUAL, unique=True),
        "this is the length of the start symbol; return a dict with every symbol of rules.": mean["S"],
    }
    early: dict[str, float] = {}  # the answer of one pass, last key first, that takes 1 for any length not yet known
    for symbol, of in reversed(list(SHARED.items())):
        early[symbol] = sum(p * sum(early.get(s, 1) for s in right) for p, right in of)
    order = "a symbol needs the lengths in its right-hand sides first, and keys come in any order: use recursion."
    cfg3b = _rules("cfg3b")
    check(
        "expected_lengths",
        function,
        [
            Case({"rules": UNEQUAL}, mean, mistakes),
            Case({"rules": SHARED}, _lengths(SHARED), {order: early}),
            Case({"the rules of cfg3b": cfg3b}, _lengths(cfg3b)),
        ],
        hint="return a dict: a token's length is 1, a right-hand side's the sum of its parts' lengths, a symbol's the "
        "sum over its rules of probability times length.",
        success="294 tokens for cfg3b, on average; pdtutor.Grammar knows it as length_statistics().",
    )


def token_accuracy(function: Callable) -> None:
    """Check `function(guesses, labels, ignored)` → the share of right guesses among all positions that are asked.

    `guesses` and `labels` (sentences, length) are ids; a label `ignored` asks nothing.
    """
    labels = np.array([[2, -100, 0, -100, -100, -100], [-100, 1, 1, 0, 2, 1], [-100, -100, -100, 2, -100, -100]])
    guesses = np.array([[2, 1, 1, 0, 0, 2], [1, 1, 1, 0, 1, 1], [0, 2, 1, 2, 0, 0]])
    asked, right = labels != -100, guesses == labels
    of_sentences = (right & asked).sum(axis=1) / asked.sum(axis=1)
    mistakes = {
        "a position that asks nothing can't be right: leave it out of the count. And the sentences differ in how many "
        "they ask, so a mean over sentences of means is not the mean over positions.": right.mean(),
        "this is a mean of the sentences' means, in which a token counts more if its sentence asks few: divide all "
        "right guesses by all positions asked.": of_sentences.mean(),
        "positions that ask nothing count as right here.": (right | ~asked).mean(),
        "this is a value for each sentence; return one number for all.": of_sentences,
        "this counts the right guesses; divide by the number of positions asked.": right.sum(),
    }
    check(
        "token_accuracy",
        function,
        [
            Case({"guesses": guesses, "labels": labels, "ignored": -100}, right.sum() / asked.sum(), mistakes),
            Case({"guesses": guesses, "labels": np.where(asked, labels, 9), "ignored": 9}, right.sum() / asked.sum()),
        ],
        hint="asked = labels != ignored says where a guess counts; right guesses there, divided by how many are asked.",
        success="every token that is asked counts once; pdtutor.evaluate does the same.",
    )


def m_robust(function: Callable) -> None:
    """Check `function(predict, ids, i, n, mask)` → ½‖p − q‖₁ of two predictions at position i.

    p is made with only i masked, q with the whole n-gram centred on i masked, which fits into the sentence. `predict`
    maps ids (length,) to probabilities (length, classes).
    """
    ids, i, n = np.array([4, 0, 3, 1, 2, 2, 0, 1, 3]), 4, 3
    places = np.arange(len(ids))
    window = places[i - 1 : i + 2]
    first, second = predict(masked(ids, [i])), predict(masked(ids, window))  # (length, classes)

    def distance(hidden: np.ndarray) -> float:
        return tv(first[i], predict(masked(ids, hidden))[i])

    mistakes = {
        "p is the prediction with i masked; here it still sees token i.": tv(predict(ids)[i], second[i]),
        "n is the size of the window, not how far it reaches: it goes from i − n//2 to i + n//2.": distance(
            places[i - n : i + n + 1]
        ),
        "the window is centred on i; yours begins at i. It goes from i − n//2 to i + n//2.": distance(
            places[i : i + n]
        ),
        "the window is centred on i; yours ends at i. It goes from i − n//2 to i + n//2.": distance(
            places[i - n + 1 : i + 1]
        ),
        "the window's last token is missing: a slice ends before its end, so it is i − n//2 : i + n//2 + 1.": distance(
            places[i - 1 : i + 1]
        ),
        "the window's first token is missing: it begins at i − n//2.": distance(places[i : i + 2]),
        "for q, mask the whole window, i included; here q still sees token i.": distance(np.array([i - 1, i + 1])),
        "everything but the window is masked here: that is M_close. M_robust masks the window.": distance(
            np.append(np.setdiff1d(places, window), i)
        ),
        "everything but the window is masked here: that is M_close, and it masks i as well.": distance(
            np.setdiff1d(places, window)
        ),
        **wrong_distances(first, second, i),
    }
    short = np.array([1, 2, 0, 1, 2])
    three = "the window has n ids, here 5, which is all of them; yours has 3, whatever n is."
    fixed = "this task's mask is another id: use the argument `mask`."
    check(
        "m_robust",
        function,
        [
            _window(ids, i, n, MASK, mistakes),
            _window(short, 2, 5, MASK, {three: _robustness(short, 2, 3, MASK)}),
            _window(short, 3, 1, MASK),
            _window(short, 3, 3, 4, {fixed: _robustness(short, 3, 3, MASK)}),
        ],
        hint="take two copies of ids; mask i in one, and i − n//2 … i + n//2 in the other; predict from both, and "
        "return half the sum of the absolute differences between their rows i.",
        success="a mean of these, over sentences and positions, is what pdtutor.ngram_robustness measures.",
        untouched="ids belongs to the caller: mask a copy, ids.copy().",
    )


def posterior(function: Callable) -> None:
    """Check `function(sentences, probabilities, seen, mask, classes)` → P(token at i is c | seen), (length, classes).

    `sentences` (N, length) are all that there are, with their `probabilities` (N,); `seen` (length,) is one of them
    with `mask` at the masked positions.
    """
    seen = np.array([2, 4, 4, 1])
    visible = seen != 4
    match = seen == SENTENCES  # (N, length)
    fits = match[:, visible].all(axis=1)
    joint = PROBABILITIES * fits
    right, prior = _marginals(joint), _marginals(PROBABILITIES)
    unscaled = right * joint.sum()
    second = _marginals(PROBABILITIES * (SENTENCES[:, 1] == 0))
    some = match.any(axis=1)  # the sentences that fit at one visible position at least
    likely = np.eye(3)[SENTENCES[joint.argmax()]]
    only_masked = np.where(visible[:, None], 0, right)
    mistakes = {
        "this counts the sentences that fit; weight each by its probability.": _marginals(fits * 1.0),
        "this counts the sentences that fit; weight each by its probability, and divide by the sum.": (
            _marginals(fits * 1.0) * fits.sum()
        ),
        "each row must sum to 1: divide by the probability of all the sentences that fit.": unscaled,
        "divide by the probability of the sentences that fit, not of all sentences.": unscaled / PROBABILITIES.sum(),
        "divide by the sum of the weights, not by how many sentences fit.": unscaled / fits.sum(),
        "every sentence counts here, whatever was seen: leave out those that don't fit. With any() every sentence "
        "fits, as each masked position fits: it takes all().": prior,
        "every sentence counts here, whatever was seen: leave out those that don't fit, and divide by what is left. "
        "With any() every sentence fits, as each masked position fits: it takes all().": prior * PROBABILITIES.sum(),
        "a sentence must fit all visible positions, not only the first.": _marginals(PROBABILITIES * match[:, 0]),
        "a sentence must fit all visible positions, not only the last.": _marginals(PROBABILITIES * match[:, 3]),
        "a sentence must fit all visible positions, not just any of them: all(), not any().": Either(
            [_marginals(PROBABILITIES * some), _marginals(PROBABILITIES * some) * (PROBABILITIES * some).sum()]
        ),
        "these are the sentences that don't fit.": _marginals(PROBABILITIES * ~fits),
        "normalise over the classes, the last axis; each row must sum to 1.": unscaled
        / np.where(unscaled.any(axis=0), unscaled.sum(axis=0), 1),
        "normalise every row by itself; here all rows together sum to 1.": unscaled / unscaled.sum(),
        "normalise the probabilities, don't take a softmax: an impossible token keeps probability 0.": np.exp(right)
        / np.exp(right).sum(axis=1, keepdims=True),
        "this is the most probable sentence alone; all that fit have their share: return probabilities.": likely,
        "a masked position depends on what is seen elsewhere: go through whole sentences, not position by position.": (
            np.where(visible[:, None], np.eye(3)[SENTENCES[fits][0]], prior)
        ),
        "what is seen at one position and at another is not independent: go through whole sentences.": _naive(seen, 4),
        "the visible positions have a row, too, with a 1 at the token seen.": only_masked,
        "the visible positions have a row, too, with a 1 at the token seen; and each row must sum to 1.": only_masked
        * joint.sum(),
        "this looks as if no sentence fitted: at a masked position a sentence may have any token.": np.zeros_like(
            right
        ),
        "all tokens are equally likely, as if no sentence fitted: at a masked position a sentence may have any.": (
            np.full(right.shape, 1 / 3)
        ),
        "a row for each position, a column for each class: yours is transposed.": right.T,
        "these are the sentences' probabilities; at each position, add up those with the same token.": joint
        / joint.sum(),
        "these are the sentences' probabilities; add up those with the same token, and divide by the sum.": joint,
    }
    check(
        "posterior",
        function,
        [
            _evidence(seen, 4, 3, right, mistakes),
            _evidence(np.array([9, 9, 9, 9]), 9, 3, prior),
            _evidence(SENTENCES[6], 4, 3, np.eye(3)[SENTENCES[6]]),
            _evidence(np.array([5, 0, 5, 5]), 5, 4, np.pad(second, ((0, 0), (0, 1)))),  # no sentence holds token 3
        ],
        hint="keep the sentences that equal seen wherever it isn't mask; at each position add up the probabilities of "
        "those with token c, (length, classes), and divide by the sum over all that you kept.",
        success="no model can do better; pdtutor.marginals has the same without a list of all the sentences.",
        untouched="the arrays belong to the caller: work on a copy, as in weights = probabilities * fits.",
    )


def _evidence(seen: np.ndarray, mask: int, classes: int, expected: np.ndarray, mistakes: Mapping | None = None) -> Case:
    """Return a case of `posterior`."""
    given = {"sentences": SENTENCES, "probabilities": PROBABILITIES, "seen": seen, "mask": mask, "classes": classes}
    return Case(given, expected, mistakes or {})


def _lengths(
    rules: Rules,
    over_rules: Callable = np.dot,
    *,
    side: Callable = sum,
    token: float = 1,
    symbol: float = 0,
    unique: bool = False,
) -> dict[str, float]:
    """Return every symbol's length: the expected number of tokens, unless an argument makes a mistake of it.

    Args:
        rules: symbol → its rules.
        over_rules: maps the probabilities and the lengths of a symbol's rules to the symbol's length.
        side: maps the lengths of a right-hand side's parts to the right-hand side's length.
        token: the length of a token.
        symbol: what a symbol adds to the length of its right-hand sides.
        unique: count a symbol that occurs twice in a right-hand side once.
    """

    @cache
    def length(part: str) -> float:
        if part not in rules:
            return token
        probabilities, rights = zip(*rules[part], strict=True)
        lengths = [side([length(p) for p in (dict.fromkeys(right) if unique else right)]) for right in rights]
        return symbol + float(over_rules(probabilities, lengths))

    return {part: length(part) for part in rules}


def _rules(name: str) -> Rules:
    """Return the rules of a grammar that comes with pdtutor."""
    grammar = Grammar.load(name)
    return {symbol: [(rule.probability, rule.right) for rule in grammar.of(symbol)] for symbol in grammar.symbols}


def _robustness(ids: np.ndarray, i: int, n: int, mask: int) -> float:
    """Return the right answer of `m_robust` for the predictions of `predict`."""
    window = np.arange(i - n // 2, i + n // 2 + 1)
    return tv(predict(masked(ids, [i], mask))[i], predict(masked(ids, window, mask))[i])


def _window(ids: np.ndarray, i: int, n: int, mask: int, mistakes: Mapping | None = None) -> Case:
    """Return a case of `m_robust`."""
    given = {"predict": predict, "ids": ids, "i": i, "n": n, "mask": mask}
    return Case(given, _robustness(ids, i, n, mask), mistakes or {})


def _marginals(weights: np.ndarray) -> np.ndarray:
    """Return the share of each token at each position, (length, 3), of SENTENCES weighted by `weights` (N,)."""
    return np.einsum("n,nlc->lc", weights / weights.sum(), np.eye(3)[SENTENCES])


def _naive(seen: np.ndarray, mask: int) -> np.ndarray:
    """Return the posterior of naive Bayes, (length, 3): as if, given one token, the others were independent."""
    onehot = np.eye(3)[SENTENCES]  # (N, length, 3)
    joint = np.einsum("n,nic,njd->icjd", PROBABILITIES, onehot, onehot) / PROBABILITIES.sum()
    prior = np.einsum("icic->ic", joint)
    scores = prior.copy()
    for j in np.flatnonzero(seen != mask):
        scores *= np.divide(joint[:, :, j, seen[j]], prior, out=np.zeros_like(prior), where=prior > 0)
    return scores / scores.sum(axis=1, keepdims=True)
