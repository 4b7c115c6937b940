"""Checkers for the exercises of lesson 5, language modelling (notebooks/05_language_modeling.py).

Both exercises have many right answers: the checkers test what must hold for all of them, on many rows and documents.
They are plain numpy, without `pdtutor.tasks` and `pdtutor.text`, so that each can catch a mistake in the other.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pdtutor.checks.core import Fault, check_faults, show

IGNORED, START, END, MASK, UNKNOWN = -100, 0, 1, 9, 16  # special ids stand among the others, as in many vocabularies
ALPHABET = np.setdiff1d(np.arange(25), [START, END, MASK, UNKNOWN])
EXCERPT = 12  # how many positions of a row are shown

# All have the same length and the same beginning, so that neither tells them apart, and they are in no order.
DOCUMENTS = [f"Village {number * 7919 % 10_000:04d} has a mill, a church and a well." for number in range(2000)]


def mask_batch(function: Callable) -> None:
    """Check `function(rng, rows, tokens, rate, mask, alphabet)` → inputs and labels by BERT's rule, both (n, length).

    `rows` (n, length) are ids; `tokens` (n, length) is False at special ids; `rate` is a share, `mask` an id and
    `alphabet` (m,) the ids to draw from. Labels are −100 where nothing is selected.
    """
    text = np.random.default_rng(5).choice(ALPHABET, (1500, 46))
    rows = np.pad(text, ((0, 0), (1, 1)), constant_values=(START, END))

    def faults(masked: Callable) -> Iterator[Fault]:
        for rate in (0.15, 0.4):
            given, tokens = rows.copy(), np.isin(rows, ALPHABET)
            answer = masked(np.random.default_rng(7), given, tokens.copy(), rate, MASK, ALPHABET.copy())
            if not _alike(answer, rows):
                yield f"got {show(answer)}", {}, f"return a pair of arrays like rows, {rows.shape}: inputs, labels."
            again = masked(np.random.default_rng(7), rows.copy(), tokens.copy(), rate, MASK, ALPHABET.copy())
            if not all(map(np.array_equal, answer, again)):
                yield "two calls with equal seeds differ", {}, "draw everything random from rng: it has the seed."
            inputs, labels = map(np.asarray, answer)
            yield from _masking_faults(inputs, labels, rows, tokens, given, rate)

    check_faults(
        "mask_batch",
        function,
        faults,
        hint="all arrays are (n, length); rng.random(rows.shape) draws a number for each position.",
        success="what pdtutor.tasks.masking does, which also sees to it that each row has a label.",
    )


def _masking_faults(
    inputs: np.ndarray, labels: np.ndarray, rows: np.ndarray, tokens: np.ndarray, given: np.ndarray, rate: float
) -> Iterator[Fault]:
    """Yield what is wrong with an answer, all arrays (n, length); `given` is what the function made of its rows."""
    labelled, changed = labels != IGNORED, inputs != rows

    def at(wrong: np.ndarray, **more: np.ndarray) -> dict[str, np.ndarray]:
        """Return an excerpt of a row that holds the first of the wrong positions."""
        row, place = np.argwhere(wrong)[0]
        part = row, slice(max(0, place - EXCERPT + 1), max(EXCERPT, place + 1))
        arrays = {"rows": rows, "inputs": inputs, "labels": labels, **more}
        return {name: array[part] for name, array in arrays.items()}

    if (wrong := given != rows).any():
        hint = "rows belongs to the caller: change a copy. And a label is the token that was there before."
        yield "your function changed rows", at(wrong, changed=given), hint
    if (wrong := inputs == IGNORED).any():
        yield "inputs hold -100", at(wrong), "return inputs first, then labels; only labels hold -100."
    if labelled[tokens].all():
        hint = "label only what was selected; elsewhere put -100, or the loss counts tokens that the model can see."
        yield "every token has a label", at(tokens), hint
    if (wrong := (labelled | changed) & ~tokens).any():
        yield "a special id was selected", at(wrong, tokens=tokens), "select only where tokens is True."
    if (wrong := changed & ~labelled).any():
        yield "an id without a label was replaced", at(wrong), "select once, for both inputs and labels."
    if (wrong := labelled & (labels != rows)).any():
        yield "a label is not the token that was there", at(wrong), "labels come from rows, not from inputs."
    if (labelled == labelled[0]).all():
        yield "all rows have their labels at the same positions", {}, "draw for each row: rng.random(rows.shape)."
    if not _near(share := labelled[tokens].mean(), rate, tokens.sum()):
        hint = "select each token with probability rate. All selected tokens get a label, also those that don't change."
        yield f"{share:.0%} of the tokens have a label", {"rate": rate} | at(labelled | tokens), hint
    hidden, drawn = labelled & (inputs == MASK), labelled & changed & (inputs != MASK)
    if (wrong := drawn & ~np.isin(inputs, ALPHABET)).any():
        hint = "draw from alphabet, which holds no special ids: rng.choice(alphabet, …)."
        if inputs[drawn].max() < len(ALPHABET):
            hint = "rng.integers(len(alphabet)) gives positions in alphabet; alphabet[…] gives the ids."
        yield "a random id is not in alphabet", {"alphabet": ALPHABET} | at(wrong), hint
    counts = np.array([hidden.sum(), drawn.sum(), (labelled & ~changed).sum()])
    own = 0.1 / len(ALPHABET)  # a token drawn at random may be the one that was there
    if not all(map(_near, counts / counts.sum(), (0.8, 0.1 - own, 0.1 + own), [counts.sum()] * 3)):
        shares = "of the selected tokens {:.0%} became the mask, {:.0%} another token, {:.0%} stayed"
        hint = (
            "make one more draw u for each: the mask if u < 0.8, a random token if u < 0.9, else what was there. Real "
            "text has no masks, and a model that relies on them would do badly on it."
        )
        yield shares.format(*counts / counts.sum()), at(labelled), hint
    if len(np.unique(inputs[drawn])) < len(ALPHABET):
        hint = "draw one id for each position, from all of alphabet: rng.choice(alphabet, rows.shape)."
        yield "some ids of alphabet are never drawn", {"drawn": np.unique(inputs[drawn]), "alphabet": ALPHABET}, hint


def split_by_document(function: Callable) -> None:
    """Check `function(documents, share)`: texts, and validation's share of them → two lists, train and validation."""
    chance = "here chance decides: let the text decide, e.g. by its digest."
    place = "here the place in the list decides, shuffled or not: let the text alone decide, e.g. by its digest."
    others = (
        "here the other documents play a part, so that some change sides when the corpus grows: compare share with a "
        "number made from the text alone."
    )
    elsewhere = (
        "hash() of a string differs from process to process, and id() is an address in memory: take a digest from "
        "hashlib, or zlib.crc32."
    )
    shuffled = [DOCUMENTS[i] for i in np.random.default_rng(3).permutation(len(DOCUMENTS))]
    calls = [
        ("in a second call", DOCUMENTS, chance),
        ("in another order", shuffled, place),
        ("without half of the others", DOCUMENTS[::2], others),
    ]

    def faults(split: Callable) -> Iterator[Fault]:
        given = DOCUMENTS.copy()
        first = split(given, 0.1)
        yield from _parting_faults(first, DOCUMENTS)
        for when, documents, hint in calls:
            if moved := _moved(first, split(documents.copy(), 0.1), documents):
                yield f"a document changes sides {when}", moved, hint
        with _another_process(function):
            again = split([text[:1] + text[1:] for text in DOCUMENTS], 0.1)  # copies, at other addresses
        if moved := _moved(first, again, DOCUMENTS):
            yield "a document changes sides in another process", moved, elsewhere
        for share in (0.1, 0.3):
            found = len(split(DOCUMENTS.copy(), share)[1]) / len(DOCUMENTS)
            if found in (0, 1):
                hint = "all of them begin alike and are equally long: take a digest of the whole text."
                yield "all documents are on one side", {"documents": DOCUMENTS[:2]}, hint
            if not _near(found, share, len(DOCUMENTS)):
                hint = (
                    "share is that of validation, the second list; a digest's first 4 bytes, read as a whole number "
                    "and divided by 2**32, are uniform on [0, 1)."
                )
                yield f"{found:.0%} of the documents are in validation", {"share": share}, hint
        repeated = [*DOCUMENTS, *DOCUMENTS[::3]]  # as a page that was crawled twice
        yield from _parting_faults(split(repeated.copy(), 0.3), repeated)
        if given != DOCUMENTS:
            yield "your function changed documents", {}, "the list belongs to the caller: build two new ones."

    check_faults(
        "split_by_document",
        function,
        faults,
        hint="documents is a list of texts, share a number between 0 and 1.",
        success="no document is in both, today or tomorrow. pdtutor.text holds out one in twenty like this.",
    )


def _parting_faults(found: Any, documents: Sequence[str]) -> Iterator[Fault]:
    """Yield why the answer does not divide the documents into two lists."""
    sides: Sequence[Any] = found if isinstance(found, tuple | list) and len(found) == 2 else [None]
    if not all(isinstance(side, Collection) and not isinstance(side, str) for side in sides):
        yield f"got {show(found)}", {}, "return train, validation: two lists of documents."
    train, validation = map(Counter, sides)
    known, now = Counter(documents), train + validation
    if foreign := [part for side in sides for part in side if part not in known]:
        hint = "a document stays whole, and the lists hold the texts: split the list, not the characters."
        yield f"got {show(foreign[0])}, which is not one of the documents", {"documents": DOCUMENTS[:2]}, hint
    if both := train & validation:
        hint = "train is all that is not in validation, or the model is evaluated on what it has read."
        yield "a document is on both sides", {"document": min(both)}, hint
    if lost := known.keys() - now.keys():
        yield "a document is on neither side", {"document": min(lost)}, "each goes into train or into validation."
    if fewer := known - now:
        hint = (
            "duplicates were dropped: a set, or the keys of a dict, hold each text once. Go through the list, and "
            "append each document to one of two lists; equal texts land on the same side by themselves."
        )
        yield "a document that occurs twice is there only once", {"document": min(fewer)}, hint
    if more := now - known:
        hint = "append each document once for each time that it occurs."
        yield "a document is there more often than it was given", {"document": min(more)}, hint


def _moved(before: Any, now: Any, documents: Sequence[str]) -> dict[str, str]:
    """Return the first document that is in validation in one answer only, and both its sides; {} if there is none."""
    names, first, second = ("train", "validation"), set(before[1]), set(now[1])
    moved = (text for text in documents if (text in first) != (text in second))
    return next(({"document": t, "before": names[t in first], "now": names[t in second]} for t in moved), {})


@contextmanager
def _another_process(function: Any) -> Iterator[None]:
    """Change what `hash` returns in the function's notebook meanwhile, as a new process does for strings."""
    names, builtin = getattr(function, "__globals__", {}), hash

    def salted(value: Any) -> int:
        return builtin(("salt", value))

    names.setdefault("hash", salted)  # unless the reader has defined one
    try:
        yield
    finally:
        if names.get("hash") is salted:
            del names["hash"]


def _near(found: float, share: float, n: int) -> bool:
    """Return whether the share found in n draws fits a probability of `share`: within five standard deviations."""
    return abs(found - share) < 5 * np.sqrt(share * (1 - share) / n)


def _alike(answer: Any, rows: np.ndarray) -> bool:
    """Return whether the answer is a pair of arrays of numbers, both of the rows' shape."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return False
    return all(np.shape(part) == rows.shape and np.asarray(part).dtype.kind in "iuf" for part in answer)
