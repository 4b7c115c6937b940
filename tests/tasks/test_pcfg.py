"""Sentences of a grammar as examples: what is masked, what follows, and how batches are made."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pdtutor.pcfg.grammar import Grammar
from pdtutor.pcfg.notation import Rule
from pdtutor.seeds import generator
from pdtutor.tasks.build import build_task
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import IGNORED

RECURSIVE = "S -> a S b [0.4]\nS -> c [0.6]"


def test_selected_tokens_are_masked_replaced_or_kept_in_the_papers_shares():
    task = MaskedGrammar("cfg3b", root="16", rate=0.3)
    rng = generator(0, "x")
    rows = task.rows(task.sentences(rng, 4000))
    inputs, labels = task.corrupt(rng, rows)
    tokens, selected = rows < task.classes, labels != IGNORED
    assert not selected[~tokens].any()  # neither the beginning nor the padding
    assert (labels[selected] == rows[selected]).all()
    assert (inputs[~selected] == rows[~selected]).all()
    assert abs(selected[tokens].mean() - 0.3) < 5 * 0.46 / np.sqrt(tokens.sum())
    shown, true = inputs[selected], rows[selected]
    masked, same = (shown == task.mask).mean(), (shown == true).mean()
    other = ((shown != task.mask) & (shown != true)).mean()
    bound = 5 * 0.5 / np.sqrt(len(shown))
    # of three tokens, a random one is the true one in a third of the cases
    assert abs(masked - 0.8) < bound
    assert abs(same - (0.1 + 0.1 / 3)) < bound
    assert abs(other - 0.2 / 3) < bound


def test_a_row_is_its_beginning_its_sentence_and_padding():
    task = MaskedGrammar("cfg3b", root="13")
    sentences = task.sentences(generator(0, "x"), 20)
    rows = task.rows(sentences)
    assert rows.shape == (20, 1 + sentences.lengths.max())
    for row, sentence in zip(rows, (sentences[i] for i in range(20)), strict=True):
        assert row[0] == task.bos
        assert (row[1 : 1 + len(sentence)] == sentence).all()
        assert (row[1 + len(sentence) :] == task.padding).all()
    assert (task.lengths(rows) == 1 + sentences.lengths).all()
    assert task.longest == 1 + Grammar.load("cfg3b").rooted_at("13").longest


def test_a_sentence_in_which_chance_selects_nothing_has_one_token_selected():
    task = MaskedGrammar("S -> a b\nS -> b", rate=0.01)
    _, labels = task.sample(generator(0, "x"), 500)
    assert ((labels != IGNORED).sum(1) >= 1).all()
    assert set(np.unique(labels)) == {IGNORED, 0, 1}


@pytest.mark.parametrize("level", [None, 0, 2, 3])
def test_labels_of_autoregression_are_the_next_tokens_that_close_a_span(level):
    task = CausalGrammar("cfg3b", root="16", level=level)
    inputs, labels = task.sample(generator(0, "x"), 50)
    sentences = task.sentences(generator(0, "x"), 50, spans=True)
    assert inputs.shape == labels.shape == (50, sentences.lengths.max())
    for i in range(50):
        sentence, length = sentences[i], sentences.lengths[i]
        assert inputs[i, 0] == task.bos
        assert (inputs[i, 1:length] == sentence[:-1]).all()
        assert (inputs[i, length:] == task.padding).all()
        scored = labels[i] != IGNORED
        assert (labels[i, scored] == sentence[scored[:length]]).all()
        closes = sentences.closes[sentences.offsets[i] : sentences.offsets[i + 1]]
        wanted = np.ones(length, bool) if level is None else closes <= level
        assert (scored[:length] == wanted).all()
        assert not scored[length:].any()


def test_a_recursive_grammar_needs_a_cap():
    task = MaskedGrammar(RECURSIVE, max_length=7)
    inputs, _ = task.sample(generator(0, "x"), 300)
    assert inputs.shape[1] == task.longest == 8
    with pytest.raises(ValueError, match="give max_length"):
        MaskedGrammar(RECURSIVE).sample(generator(0, "x"), 3)


@pytest.mark.parametrize(
    "task",
    [
        MaskedGrammar("cfg3f", root="13", rate=0.2),
        CausalGrammar("cfg3b", root="16", level=2),
        MaskedGrammar(Grammar.parse(RECURSIVE), max_length=9),
    ],
)
def test_a_grammar_task_is_rebuilt_from_its_config(task):
    rebuilt = build_task(json.loads(json.dumps(task.config())))
    for mine, theirs in zip(task.sample(generator(3, "x"), 20), rebuilt.sample(generator(3, "x"), 20), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert rebuilt.config() == build_task(rebuilt.config()).config()


@pytest.mark.parametrize("token", ["#", "[", "New York", "", "->", "\u2028", '"'])
def test_a_task_on_a_grammar_of_any_names_is_rebuilt_from_its_config(token):
    task = CausalGrammar(Grammar([Rule("S", ("a", token), 0.5), Rule("S", ("b",), 0.5)]))
    rebuilt = build_task(json.loads(json.dumps(task.config())))
    assert rebuilt.rules == task.rules
    assert rebuilt.fingerprint() == task.fingerprint()


@pytest.mark.parametrize("kind", [MaskedGrammar, CausalGrammar])
def test_a_grammar_file_that_was_edited_has_another_fingerprint(tmp_path, kind):
    path = tmp_path / "mine.txt"
    path.write_text("S -> A b\nA -> a\nA -> b b\n", encoding="utf-8")
    task = kind(path)
    assert task.config() == kind(str(path)).config()  # a path is kept as text
    path.write_text("# mine\nS -> A  b\n\nA -> a [0.5]\nA -> b b [0.5]", encoding="utf-8-sig", newline="\r\n")
    assert build_task(task.config()).fingerprint() == task.fingerprint()
    for edited in ("S -> A b\nA -> a\nA -> b", "S -> A b\nA -> a [0.4]\nA -> b b [0.6]", "S -> A b\nA -> b b\nA -> a"):
        path.write_text(edited, encoding="utf-8")
        assert build_task(task.config()).fingerprint() != task.fingerprint()


def test_a_fingerprint_is_of_the_rules_as_used():
    full, part = MaskedGrammar("cfg3b"), MaskedGrammar("cfg3b", root="13")
    assert full.fingerprint() != part.fingerprint() == MaskedGrammar(Grammar.load("cfg3b").rooted_at(13)).fingerprint()
    text = "S -> A B\nA -> a\nB -> b\nB -> c"
    other = "tokens: a b c\nS -> A B\nB -> b\nB -> c\nA -> a"  # the same sentences, as the next line says
    one, two = CausalGrammar(text), CausalGrammar(other)
    np.testing.assert_array_equal(*(task.sample(generator(0, "x"), 50)[0] for task in (one, two)))
    assert one.fingerprint() == two.fingerprint()


def test_batches_hold_rows_of_like_length_and_no_row_is_lost():
    task = MaskedGrammar("cfg3b", root="16")
    stream = Stream(task, batch_size=64, seeds=[0, 1], purpose="x")
    first = stream.stretch(0, stream.block)
    inputs, labels = first.inputs, first.labels  # (seeds, updates, batch, length)
    lengths = torch.from_numpy(task.lengths(inputs.numpy()))
    longest = lengths.amax(dim=2, keepdim=True)
    assert 1 - (lengths.sum() / longest.expand_as(lengths).sum()) < 0.02  # padding within batches
    share = 1 - (lengths.sum() / longest.amax(0, keepdim=True).expand_as(lengths).sum()).item()  # side by side
    assert stream.padding_share() == pytest.approx(share, abs=1e-6)
    assert share < 0.05
    assert (longest.amax(0) - longest.amin(0)).max() <= 5  # batches of both seeds run side by side
    means = lengths[0].float().mean(1)
    assert (means[1:] < means[:-1]).any()
    assert (means[1:] > means[:-1]).any()  # not in order of length
    drawn, drawn_labels = task.sample(generator(0, "x", 0), stream.block * 64)
    width = drawn.shape[1]
    rows, wanted = (part[0].flatten(0, 1)[:, :width] for part in (inputs, labels))
    mine, theirs = (np.concatenate(parts, axis=1).tolist() for parts in ((rows, wanted), (drawn, drawn_labels)))
    assert sorted(mine) == sorted(theirs)
    assert (inputs[0, ..., width:] == task.padding).all()
    assert (labels[inputs >= task.bos] != IGNORED).sum() == (labels[inputs == task.mask] != IGNORED).sum()
    other, _ = task.sample(generator(1, "x", 0), stream.block * 64)
    assert other.shape[1] != width  # one of the two was filled up


def test_a_stream_of_sentences_gives_the_same_update_however_it_is_cut():
    task = MaskedGrammar("cfg3b", root="13")
    whole = Stream(task, batch_size=16, seeds=[0, 1], purpose="x").stretch(0, 12)
    parts = Stream(task, batch_size=16, seeds=[0, 1], purpose="x")
    parts.stretch(300, 301)
    for start, stop in ((0, 5), (5, 12)):
        mine = parts.stretch(start, stop)
        torch.testing.assert_close(mine.inputs, whole.inputs[:, start:stop])
        torch.testing.assert_close(mine.labels, whole.labels[:, start:stop])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskedGrammar("cfg3b", rate=0.0), r"rate must lie in \(0, 1\), got 0.0"),
        (lambda: MaskedGrammar("cfg3b", rate=1.0), r"rate must lie in \(0, 1\), got 1.0"),
        (lambda: MaskedGrammar("cfg3b", rate=float("nan")), "rate must be a finite number"),
        (lambda: MaskedGrammar("cfg3z"), "no grammar called cfg3z and no such file; pdtutor has cfg3b"),
        (lambda: MaskedGrammar("no/file.txt"), "no grammar called no/file.txt and no such file"),
        (lambda: MaskedGrammar(Path("no/file.txt")), "no grammar called no/file.txt and no such file"),
        (lambda: MaskedGrammar(Path()), r"the grammar \. can't be read: Is a directory"),
        (lambda: MaskedGrammar(""), "a grammar needs at least one rule"),
        (lambda: MaskedGrammar("S : a\nS : b"), "line 1: a rule must look like"),
        (lambda: MaskedGrammar("S -> a\nS -> b |"), "line 2: a rule must look like"),
        (lambda: MaskedGrammar(3), "grammar must be a Grammar, its text, its name or a path, got 3"),
        (lambda: MaskedGrammar("cfg3b", root="99"), "'99' has no rules here"),
        (lambda: MaskedGrammar("cfg3b", root="1"), "'1' has no rules here"),
        (lambda: CausalGrammar("cfg3b", level=6), r"the grammar has levels 0…5, got level 6"),
        (lambda: CausalGrammar("cfg3b", level=-1), "level must be a whole number of at least 0"),
        (lambda: CausalGrammar(RECURSIVE, level=0, max_length=5), "the grammar has no levels, got level 0"),
        (lambda: MaskedGrammar("cfg3b", max_length=0), "max_length must be a whole number of at least 1"),
    ],
)
def test_bad_grammar_tasks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
