"""Each checker of lesson 5 passes the solution and answers typical mistakes with the hint that fits."""

import hashlib
import random
import zlib
from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn import functional

from pdtutor.distillation.losses import distillation_loss
from pdtutor.tasks.masking import mask_rows

IGNORED = -100


def mask_batch(rng, rows, tokens, rate, mask, alphabet):
    selected = tokens & (rng.random(rows.shape) < rate)
    fate = rng.random(rows.shape)
    shown = np.where(fate < 0.8, mask, np.where(fate < 0.9, rng.choice(alphabet, rows.shape), rows))
    return np.where(selected, shown, rows), np.where(selected, rows, IGNORED)


def digest(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def split_by_document(documents, share):
    return parted(documents, lambda text: digest(text) < share)


def parted(documents, held_out):
    return [d for d in documents if not held_out(d)], [d for d in documents if held_out(d)]


def top_k_targets(probabilities, k):
    ids = np.argsort(-probabilities, axis=1)[:, :k]
    kept = np.take_along_axis(probabilities, ids, axis=1)
    return ids, kept / kept.sum(axis=1, keepdims=True)


def log_softmax(z, axis=1):
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def take(values, ids):
    return np.take_along_axis(values, ids, axis=1)


def top_k_loss(student_logits, ids, probabilities):
    return -(probabilities * take(log_softmax(student_logits), ids)).sum(axis=1).mean()


def whole_batch_gradient(gradients, labelled):
    return labelled @ gradients / labelled.sum()


SOLUTIONS = [mask_batch, split_by_document, top_k_targets, top_k_loss, whole_batch_gradient]


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_the_solution_passes(passes, solution):
    passes(solution)


# Other ways to the right answer


def masked_by_the_package(rng, rows, tokens, rate, mask, alphabet):
    return mask_rows(rng, rows, tokens, rate=rate, mask=mask, alphabet=alphabet)


def masked_as_in_transformers(rng, rows, tokens, rate, mask, alphabet):
    """As its DataCollatorForLanguageModeling does: one after the other."""
    inputs, labels = rows.copy(), rows.copy()
    selected = rng.random(rows.shape) < np.where(tokens, rate, 0)
    labels[~selected] = IGNORED
    hidden = (rng.random(rows.shape) < 0.8) & selected
    inputs[hidden] = mask
    drawn = (rng.random(rows.shape) < 0.5) & selected & ~hidden
    inputs[drawn] = rng.choice(alphabet, drawn.sum())
    return inputs, labels


def masked_one_by_one(rng, rows, tokens, rate, mask, alphabet):
    inputs, labels = rows.tolist(), [[IGNORED] * rows.shape[1] for _ in rows]
    for i, j in zip(*np.nonzero(tokens), strict=True):
        if rng.random() < rate:
            labels[i][j], u = inputs[i][j], rng.random()
            if u < 0.9:
                inputs[i][j] = mask if u < 0.8 else alphabet[rng.integers(len(alphabet))]
    return torch.tensor(inputs), torch.tensor(labels)


def two_bytes(documents, share):
    return parted(documents, lambda text: int(hashlib.md5(text.encode()).hexdigest()[:4], 16) < share * 2**16)


def in_percent(documents, share):
    return parted(documents, lambda text: zlib.crc32(text.encode()) % 100 < 100 * share)


def by_seed(documents, share):
    return parted(documents, lambda text: random.Random(text).random() < share)


def in_sets(documents, share):
    train, validation = by_seed(documents, share)
    return set(train), set(validation)


def top_k_by_torch(probabilities, k):
    kept, ids = torch.tensor(probabilities.copy()).topk(k)
    return ids, kept / kept.sum(-1, keepdim=True)


def loss_by_torch(student_logits, ids, probabilities):
    log_p = torch.tensor(student_logits).log_softmax(-1).gather(-1, torch.tensor(ids))
    return -(torch.tensor(probabilities) * log_p).sum(-1).mean()


def loss_by_scatter(student_logits, ids, probabilities):
    target = torch.zeros(student_logits.shape, dtype=torch.float64).scatter(
        1, torch.tensor(ids), torch.tensor(probabilities)
    )
    return functional.cross_entropy(torch.tensor(student_logits), target)


def gradient_by_loop(gradients, labelled):
    total = 0
    for gradient, n in zip(gradients, labelled, strict=True):
        total = total + n * gradient
    return total / sum(labelled)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("mask_batch", masked_by_the_package),
        ("mask_batch", masked_as_in_transformers),
        ("mask_batch", masked_one_by_one),
        ("split_by_document", two_bytes),
        ("split_by_document", in_percent),
        ("split_by_document", by_seed),
        ("split_by_document", lambda documents, share: tuple(map(tuple, by_seed(documents, share)))),
        ("top_k_targets", top_k_by_torch),
        ("top_k_loss", loss_by_torch),
        ("top_k_loss", loss_by_scatter),
        ("whole_batch_gradient", gradient_by_loop),
        ("whole_batch_gradient", lambda g, n: np.average(g, axis=0, weights=n)),
        ("whole_batch_gradient", lambda g, n: torch.tensor(n / n.sum()) @ torch.tensor(g)),
    ],
)
def test_other_ways_to_the_right_answer_pass(passes, name, other):
    passes(other, name=name)


# Mistakes


def masking(*, where=lambda tokens: tokens, shown=None, labels=None, rate=None):
    """A solution with parts of it replaced."""

    def function(rng, rows, tokens, given_rate, mask, alphabet):
        selected = where(tokens) & (rng.random(rows.shape) < (rate or given_rate))
        fate, drawn = rng.random(rows.shape), rng.choice(alphabet, rows.shape)
        replaced = (shown or masked)(fate, mask, drawn, rows)
        inputs = np.where(selected, replaced, rows)
        return inputs, np.where(selected, rows, IGNORED) if labels is None else labels(selected, rows, inputs)

    return function


def masked(fate, mask, drawn, rows):
    return np.where(fate < 0.8, mask, np.where(fate < 0.9, drawn, rows))


def drawing(draw):
    """A solution whose random ids come from `draw`: rng, rows, alphabet → ids."""

    def function(rng, rows, tokens, rate, mask, alphabet):
        selected, fate = tokens & (rng.random(rows.shape) < rate), rng.random(rows.shape)
        shown = np.where(fate < 0.8, mask, np.where(fate < 0.9, draw(rng, rows, alphabet), rows))
        return np.where(selected, shown, rows), np.where(selected, rows, IGNORED)

    return function


def in_place(rng, rows, tokens, rate, mask, alphabet):
    inputs, labels = mask_batch(rng, rows, tokens, rate, mask, alphabet)
    rows[:] = inputs
    return rows, labels


def labels_too_late(rng, rows, tokens, rate, mask, alphabet):
    selected = tokens & (rng.random(rows.shape) < rate)
    rows[selected] = mask
    return rows, np.where(selected, rows, IGNORED)


def two_draws(rng, rows, tokens, rate, mask, alphabet):
    inputs, _ = mask_batch(rng, rows, tokens, rate, mask, alphabet)
    return inputs, np.where(tokens & (rng.random(rows.shape) < rate), rows, IGNORED)


def own_rng(_, *given):
    return mask_batch(np.random.default_rng(), *given)


def one_for_all_rows(rng, rows, tokens, rate, mask, alphabet):
    selected = tokens & (rng.random(rows.shape[1]) < rate)
    shown = masked(rng.random(rows.shape), mask, rng.choice(alphabet, rows.shape), rows)
    return np.where(selected, shown, rows), np.where(selected, rows, IGNORED)


def by_place(documents, share):
    n = int(share * len(documents))
    return documents[n:], documents[:n]


def by_shuffle(seed=None):
    def function(documents, share):
        shuffled = random.Random(seed).sample(documents, len(documents))
        return by_place(shuffled, share)

    return function


def by_chance(documents, share):
    chosen = np.random.default_rng(0).random(len(documents)) < share
    return [d for d, c in zip(documents, chosen, strict=True) if not c], [
        d for d, c in zip(documents, chosen, strict=True) if c
    ]


def of_all_documents(documents, share):
    return by_place(sorted(documents, key=digest), share)


def by_hash(documents, share):
    return parted(documents, lambda text: hash(text) % 1000 < 1000 * share)


def helped_by_hash(documents, share):
    return parted(documents, lambda text: bucket(text) < 1000 * share)


def bucket(text):
    return hash(text[5:]) % 1000


def of_characters(documents, share):
    text = "".join(documents)
    n = int(share * len(text))
    return text[n:], text[:n]


def of_pieces(documents, share):
    pieces = [piece for text in documents for piece in text.split(",")]
    return parted(pieces, lambda piece: digest(piece) < share)


def of_each(documents, share):
    n = int(50 * (1 - share))
    return [text[:n] for text in documents], [text[n:] for text in documents]


def sorted_in_place(documents, share):
    documents.sort()
    return split_by_document(documents, share)


def places(documents, share):
    return [i for i, d in enumerate(documents) if digest(d) >= share], [
        i for i, d in enumerate(documents) if digest(d) < share
    ]


def kept_only(order, *, normalise=True):
    """A solution that keeps the ids `order` gives: probabilities, k → (n, k)."""

    def function(probabilities, k):
        ids = order(probabilities, k)
        kept = take(probabilities, ids)
        return ids, kept / kept.sum(axis=1, keepdims=True) if normalise else kept

    return function


def top(probabilities, k):
    return np.argsort(-probabilities)[:, :k]


def normalised_in_place(probabilities, k):
    ids = top(probabilities, k)
    probabilities /= take(probabilities, ids).sum(axis=1, keepdims=True)
    return ids, take(probabilities, ids)


def with_zeros(probabilities, k):
    out = np.zeros_like(probabilities)
    np.put_along_axis(out, *top_k_targets(probabilities, k), axis=1)
    return out


def softmax(z, axis=-1):
    return np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)


def loss_of(log_p, mean=lambda x: x.sum(axis=1).mean()):
    """A solution that takes log_p: student_logits, ids → (n, k) for the student's log-probabilities."""
    return lambda z, ids, p: -mean(p * log_p(z, ids))


def right(z, ids):
    return take(log_softmax(z), ids)


def gradient_in_place(gradients, labelled):
    gradients *= labelled[:, None] / labelled.sum()
    return gradients.sum(axis=0)


@pytest.mark.parametrize(
    ("name", "mistake", "hint"),
    [
        ("mask_batch", masking(labels=lambda selected, rows, _: rows), "put -100, or the loss counts"),
        ("mask_batch", masking(labels=lambda selected, rows, _: np.where(selected, rows, 0)), "put -100, or"),
        ("mask_batch", masking(shown=lambda fate, mask, drawn, rows: mask), "the mask if u < 0.8"),
        ("mask_batch", masking(shown=lambda fate, mask, *_: np.where(fate < 0.9, mask, _[1])), "a random token if"),
        ("mask_batch", masking(shown=lambda f, mask, drawn, _: np.where(f < 0.8, mask, drawn)), "the mask if u < 0.8"),
        ("mask_batch", masking(where=lambda tokens: np.ones_like(tokens)), "select only where tokens is True"),
        (
            "mask_batch",
            masking(labels=lambda s, rows, i: np.where(i != rows, rows, IGNORED)),
            "also those that don't change",
        ),
        (
            "mask_batch",
            masking(labels=lambda s, rows, i: np.where(i == 9, rows, IGNORED)),
            "for both inputs and labels",
        ),
        ("mask_batch", masking(labels=lambda s, rows, inputs: np.where(s, inputs, IGNORED)), "labels come from rows"),
        ("mask_batch", masking(rate=0.15), "with probability rate"),
        ("mask_batch", masking(rate=0.85), "with probability rate"),
        ("mask_batch", two_draws, "for both inputs and labels"),
        ("mask_batch", drawing(lambda rng, rows, of: rng.integers(0, of.max() + 1, rows.shape)), "no special ids"),
        (
            "mask_batch",
            drawing(lambda rng, rows, of: rng.integers(0, len(of), rows.shape)),
            "alphabet[…] gives the ids",
        ),
        ("mask_batch", drawing(lambda rng, rows, of: rng.choice(of)), "draw one id for each position"),
        ("mask_batch", in_place, "change a copy"),
        ("mask_batch", labels_too_late, "a label is the token that was there before"),
        ("mask_batch", own_rng, "draw everything random from rng"),
        ("mask_batch", one_for_all_rows, "draw for each row"),
        ("mask_batch", lambda *given: mask_batch(*given)[::-1], "inputs first, then labels"),
        ("mask_batch", lambda *given: mask_batch(*given)[0], "return a pair of arrays"),
        ("split_by_document", by_place, "the place in the list decides"),
        ("split_by_document", lambda d, share: parted(d, set(d[:: int(1 / share)]).__contains__), "the place in"),
        ("split_by_document", by_shuffle(), "here chance decides"),
        ("split_by_document", by_shuffle(0), "shuffled or not"),
        ("split_by_document", by_chance, "shuffled or not"),
        ("split_by_document", lambda d, share: by_shuffle(0)(sorted(d), share), "the other documents play a part"),
        ("split_by_document", of_all_documents, "the other documents play a part"),
        ("split_by_document", by_hash, "differs from process to process"),
        ("split_by_document", helped_by_hash, "differs from process to process"),
        (
            "split_by_document",
            lambda d, share: parted(d, lambda t: id(t) // 16 % 97 < 97 * share),
            "an address in memory",
        ),
        ("split_by_document", of_characters, "two lists of documents"),
        ("split_by_document", of_pieces, "not the characters"),
        ("split_by_document", of_each, "not the characters"),
        ("split_by_document", places, "the lists hold the texts"),
        ("split_by_document", lambda d, share: split_by_document(d, share)[1], "two lists of documents"),
        ("split_by_document", lambda d, share: (d, split_by_document(d, share)[1]), "on what it has read"),
        ("split_by_document", lambda d, share: split_by_document(d[10:], share), "into train or into validation"),
        ("split_by_document", lambda d, share: split_by_document(d, share)[::-1], "that of validation"),
        ("split_by_document", lambda d, share: split_by_document(d, 0.1), "share: 0.3"),
        ("split_by_document", lambda d, share: split_by_document(d, share / 2), "are uniform on [0, 1)"),
        ("split_by_document", lambda d, share: parted(d, lambda t: digest(t[:8]) < share), "of the whole text"),
        ("split_by_document", lambda d, share: parted(d, lambda t: len(t) % 10 < 10 * share), "of the whole text"),
        ("split_by_document", sorted_in_place, "build two new ones"),
        ("split_by_document", in_sets, "duplicates were dropped"),
        ("split_by_document", lambda d, share: split_by_document(list(dict.fromkeys(d)), share), "were dropped"),
        ("split_by_document", lambda d, share: split_by_document(sorted(set(d)), share), "were dropped"),
        ("split_by_document", lambda d, share: split_by_document(d + d, share), "once for each time that it occurs"),
        (
            "split_by_document",
            lambda d, share: split_by_document(d + [t for t, n in Counter(d).items() if n > 1], share),
            "once for each time that it occurs",
        ),
        ("top_k_targets", kept_only(top, normalise=False), "a row must sum to 1 again"),
        ("top_k_targets", lambda p, k: (top(p, k), softmax(take(p, top(p, k)))), "without a softmax"),
        ("top_k_targets", kept_only(lambda p, k: np.argsort(p)[:, :k]), "argsort sorts in ascending order"),
        ("top_k_targets", kept_only(lambda p, k: np.argsort(p)[:, -k:]), "the right classes in ascending order"),
        ("top_k_targets", kept_only(lambda p, k: np.sort(top(p, k))), "in the order of their ids"),
        ("top_k_targets", lambda p, k: top_k_targets(p, k)[::-1], "the ids first"),
        ("top_k_targets", with_zeros, "the zeros that take up space"),
        ("top_k_targets", lambda p, k: top_k_targets(p, k)[1], "which classes have these probabilities"),
        ("top_k_targets", lambda p, k: top_k_targets(p, 3), "keep the ids of the k largest"),
        ("top_k_targets", normalised_in_place, "p /= sum changes it"),
        ("top_k_loss", loss_of(lambda z, ids: log_softmax(take(z, ids))), "normalise the student over all classes"),
        ("top_k_loss", loss_of(take), "the log-softmax is missing"),
        ("top_k_loss", loss_of(lambda z, ids: take(softmax(z), ids)), "take the logs"),
        ("top_k_loss", lambda *of: -top_k_loss(*of), "the minus sign is missing"),
        ("top_k_loss", loss_of(right, np.sum), "average it"),
        ("top_k_loss", loss_of(right, np.mean), "not over the k classes too"),
        ("top_k_loss", loss_of(right, lambda x: x.sum(axis=1)), "return one number"),
        (
            "top_k_loss",
            lambda z, ids, p: top_k_loss(z, ids, p) + (p * np.log(p)).sum(1).mean(),
            "smaller by p's entropy",
        ),
        ("top_k_loss", lambda z, ids, p: top_k_loss(z, np.arange(p.shape[1])[None], p), "these are its first k"),
        ("top_k_loss", lambda z, ids, p: top_k_loss(z, top(z, p.shape[1]), p), "its own k most probable"),
        ("top_k_loss", lambda z, ids, p: -right(z, ids)[:, 0].mean(), "not only that of the most probable class"),
        ("top_k_loss", loss_of(lambda z, ids: take(np.log(softmax(z)), ids)), "largest logit subtracted first"),
        ("whole_batch_gradient", lambda g, n: g.mean(axis=0), "this is the plain average"),
        ("whole_batch_gradient", lambda g, n: g.sum(axis=0), "this is the plain sum"),
        ("whole_batch_gradient", lambda g, n: n @ g, "the gradient of the summed loss"),
        ("whole_batch_gradient", lambda g, n: n @ g / len(n), "not of processes"),
        ("whole_batch_gradient", lambda g, n: (1 / n) @ g / (1 / n).sum(), "the wrong way round"),
        ("whole_batch_gradient", lambda g, n: (1 / n) @ g, "don't divide"),
        ("whole_batch_gradient", lambda g, n: n[:, None] * g / n.sum(), "return one gradient"),
        ("whole_batch_gradient", gradient_in_place, "g *= weight changes it"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # mistakes overflow
def test_typical_mistakes_get_the_fitting_hint(refused, name, mistake, hint):
    assert hint in refused(mistake, name=name)


def test_a_part_of_the_batch_and_a_document_are_shown(said):
    output = said(masking(where=lambda tokens: np.ones_like(tokens)), name="mask_batch")
    lines = output.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["rows", "inputs", "labels", "tokens", "hint"]
    assert all(line.count(",") == 11 for line in lines[1:5])
    output = said(by_place, name="split_by_document")
    assert "document: 'Village " in output
    assert "before:   'train'" in output
    assert "now:      'validation'" in output


def test_the_checker_of_splits_leaves_the_notebook_as_it_was(said):
    names = dict(by_hash.__globals__)
    said(by_hash, name="split_by_document")
    assert by_hash.__globals__ == names
    assert "hash" not in by_hash.__globals__


def test_a_function_of_the_reader_s_that_is_called_hash_is_left_alone(passes, monkeypatch):
    monkeypatch.setitem(by_hash.__globals__, "hash", lambda text: zlib.crc32(text.encode()))
    passes(by_hash, name="split_by_document")
    assert by_hash.__globals__["hash"]("a") == zlib.crc32(b"a")


# Against the package


def test_the_top_k_loss_is_that_of_distillation_up_to_the_teacher_s_entropy():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(7, 20)), rng.normal(size=(7, 20))
    ids, p = top_k_targets(softmax(teacher), 5)
    theirs = distillation_loss(
        torch.tensor(student)[None], torch.tensor(teacher)[None], torch.zeros(1, 7, dtype=torch.long),
        temperature=1.0, top_k=5,
    )  # fmt: skip
    entropy = -(p * np.log(p)).sum(axis=1).mean()
    assert top_k_loss(student, ids, p) - entropy == pytest.approx(theirs.item())


def test_the_whole_batch_s_gradient_is_what_one_process_finds():
    rng = np.random.default_rng(0)
    x, y, cuts = torch.tensor(rng.normal(size=(10, 3))), torch.tensor(rng.normal(size=10)), [(0, 6), (6, 7), (7, 10)]

    def gradient(low, high):
        w = torch.ones(3, dtype=torch.float64, requires_grad=True)
        ((x[low:high] @ w - y[low:high]) ** 2).mean().backward()
        return w.grad.numpy()

    found = whole_batch_gradient(np.stack([gradient(*cut) for cut in cuts]), np.array([6, 1, 3]))
    np.testing.assert_allclose(found, gradient(0, 10))
