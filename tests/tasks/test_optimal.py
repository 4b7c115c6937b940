"""The Bayes-optimal predictor against enumeration, and against what it must beat."""

import itertools

import numpy as np
import pytest
import torch

from pdtutor import BayesOptimal, CausalGrammar, MaskedGrammar
from pdtutor.tasks.task import IGNORED
from pdtutor.training.evaluate import evaluate, held_out

TEXT = "S -> A B [0.7]\nS -> B A A [0.3]\nA -> a [0.6]\nA -> b c [0.4]\nB -> a b [0.5]\nB -> c [0.5]"


def derive(rules, symbols):
    """Yield (sentence, probability) of every derivation from these symbols."""
    if not symbols:
        yield (), 1.0
        return
    head, rest = symbols[0], symbols[1:]
    for tail, p in derive(rules, rest):
        if head in rules.tokens:
            yield (rules.tokens.index(head), *tail), p
        else:
            for rule in rules.of(head):
                for front, q in derive(rules, rule.right):
                    yield (*front, *tail), rule.probability * p * q


def language(task):
    found = {}
    for sentence, p in derive(task.rules, (task.rules.start,)):
        found[sentence] = found.get(sentence, 0.0) + p
    assert sum(found.values()) == pytest.approx(1)
    return found


def test_masked_predictions_are_the_posterior_under_the_corruption():
    task = MaskedGrammar(TEXT, rate=0.3)
    sentences = language(task)
    optimal = BayesOptimal(task)
    for seen in ([task.mask, 2, 1], [0, task.mask, task.mask, 1], [task.mask] * 4, [1, 2, 0, 0]):
        predicted = optimal(torch.tensor([[[task.bos, *seen, task.padding]]]))[0, 0].exp().numpy()
        for i in range(len(seen)):
            expected = np.zeros(task.classes)
            for sentence, p in sentences.items():
                if len(sentence) != len(seen):
                    continue
                for j, (true, shown) in enumerate(zip(sentence, seen, strict=True)):
                    kept = float(true == shown)
                    if shown == task.mask:
                        p *= 0.3 * 0.8
                    elif i == j:  # it was selected: that is when it is asked for
                        p *= 0.3 * (0.1 * kept + 0.1 / 3)
                    else:
                        p *= 0.7 * kept + 0.3 * (0.1 * kept + 0.1 / 3)
                expected[sentence[i]] += p
            np.testing.assert_allclose(predicted[1 + i], expected / expected.sum(), atol=1e-6)


def test_next_tokens_are_the_share_of_sentences_that_go_on_so():
    task = CausalGrammar(TEXT)
    sentences = language(task)
    for sentence in sentences:
        predicted = BayesOptimal(task)(torch.tensor([[[task.bos, *sentence[:-1]]]]))[0, 0].exp().numpy()
        for i in range(len(sentence)):
            expected = np.zeros(task.classes)
            for other, p in sentences.items():
                if len(other) > i and other[:i] == sentence[:i]:
                    expected[other[i]] += p
            np.testing.assert_allclose(predicted[i], expected / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("task", [MaskedGrammar("cfg3b", root="13"), CausalGrammar("cfg3b", root="13")])
def test_its_cross_entropy_is_the_least_that_counting_and_noise_reach(task):
    inputs, labels = held_out(task, 300)
    loss, accuracy = evaluate(BayesOptimal(task), inputs, labels)
    scored = labels[labels != IGNORED]
    shares = torch.bincount(scored, minlength=task.classes) / len(scored)
    assert loss.item() < -(shares * shares.log()).sum() - 0.2
    logits = BayesOptimal(task)(inputs.unsqueeze(0))[0]
    for tilt in itertools.product([0.5, 2.0], repeat=2):  # any other predictor is worse, on average
        other = (logits * tilt[0]).where(torch.rand(logits.shape) < 0.5, logits * tilt[1])
        logits_2d = other.flatten(0, 1).clamp(min=-30)
        worse = torch.nn.functional.cross_entropy(logits_2d, labels.flatten(), ignore_index=IGNORED)
        assert worse > loss
    assert 0.5 < accuracy <= 1


def test_what_the_grammar_cannot_derive_is_refused():
    task = MaskedGrammar(TEXT)
    with pytest.raises(ValueError, match=r"rows of ids must begin with bos = 3"):
        BayesOptimal(task)(torch.tensor([[[0, 1, 2]]]))
    with pytest.raises(ValueError, match="cannot derive"):
        BayesOptimal(task)(torch.tensor([[[task.bos, *[task.mask] * 9]]]))
    with pytest.raises(ValueError, match="cannot derive"):
        BayesOptimal(CausalGrammar(TEXT))(torch.tensor([[[3, 1, 1, 1]]]))


def test_causal_tasks_whose_optimum_is_not_computed_exactly_are_refused():
    with pytest.raises(ValueError, match=r"is recursive: its next tokens can't be computed exactly"):
        BayesOptimal(CausalGrammar("S -> S S\nS -> a", max_length=5))
    with pytest.raises(ValueError, match=r"have up to 6 tokens: leave max_length = 5 out"):
        BayesOptimal(CausalGrammar(TEXT, max_length=5))
    assert BayesOptimal(CausalGrammar(TEXT, max_length=6)).classes == 3


def test_masked_predictions_are_the_same_with_a_cap_since_the_length_is_seen():
    ids = torch.tensor([[[3, 4, 2, 1]]])
    capped, free = (BayesOptimal(MaskedGrammar(TEXT, max_length=cap))(ids) for cap in (3, None))
    torch.testing.assert_close(capped, free)
