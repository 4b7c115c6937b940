"""Each checker of lesson 5 passes the solution and answers typical mistakes with the hint that fits."""

import hashlib
import random
import zlib
from collections import Counter

import numpy as np
import pytest
import torch

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


SOLUTIONS = [mask_batch, split_by_document]


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
    ],
)
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
