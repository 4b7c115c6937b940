"""N-gram and non-terminal probes against cases that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pdtutor import BayesOptimal, MaskedGrammar, Transformer, ngram_closeness, ngram_robustness, nonterminal_probe
from pdtutor.probes.nonterminals import AttentionReadOut, spans
from pdtutor.seeds import generator
from pdtutor.tasks.task import IGNORED

TASK = MaskedGrammar("cfg3b", root="16")


class Reader(nn.Module):
    """Predicts token 0 for sure at i if the neighbour at i + offset is shown, else all tokens alike; two copies."""

    def __init__(self, offset):
        super().__init__()
        self.offset, self.seeds, self.padding = offset, [0, 1], TASK.padding

    def forward(self, ids):
        shown = (ids != TASK.mask).roll(-self.offset, dims=-1)  # (1, batch, length)
        logits = torch.where(shown.unsqueeze(-1), torch.tensor([50.0, 0.0, 0.0]), torch.zeros(3))
        return torch.cat([logits, torch.zeros_like(logits)])  # the second copy looks at nothing


@pytest.mark.parametrize(
    ("offset", "n", "moved"), [(1, 3, True), (2, 3, False), (2, 5, True), (-2, 5, True), (3, 5, False)]
)
def test_robustness_is_the_distance_that_masking_the_window_makes(offset, n, moved):
    table = ngram_robustness(TASK, n, sentences=20, positions=3)(Reader(offset))
    assert table["copy"].tolist() == [0, 1]
    assert table["pairs"].tolist() == [60, 60]
    # ½‖(1, 0, 0) − (⅓, ⅓, ⅓)‖₁ = ⅔
    for name in ("mean", "p10", "median", "p90"):
        assert table[name][0] == pytest.approx(2 / 3 if moved else 0, abs=1e-6)
        assert table[name][1] == 0


@pytest.mark.parametrize(("offset", "n", "moved"), [(1, 3, False), (2, 3, True), (2, 5, False), (-4, 7, True)])
def test_closeness_is_the_distance_that_masking_all_else_makes(offset, n, moved):
    table = ngram_closeness(TASK, n, sentences=20, positions=3)(Reader(offset))
    inside = table["median"][0]
    assert inside == pytest.approx(2 / 3 if moved else 0, abs=1e-6)


def test_a_window_of_one_is_the_position_itself():
    assert ngram_robustness(TASK, 1, sentences=10)(Reader(1))["mean"].tolist() == [0, 0]


def test_the_optimum_needs_no_3_gram_that_is_masked_but_is_explained_by_longer_ones():
    optimal = BayesOptimal(TASK)
    robust = {n: ngram_robustness(TASK, n, sentences=30)(optimal)["mean"][0] for n in (3, 7)}
    close = {n: ngram_closeness(TASK, n, sentences=30)(optimal)["mean"][0] for n in (3, 7)}
    assert robust[3] < 0.05 < robust[7]
    assert close[7] < 0.1 < close[3]


@pytest.mark.parametrize("probe", [ngram_robustness, ngram_closeness])
@pytest.mark.parametrize(
    ("n", "message"),
    [
        (2, "n must be odd"),
        (0, "n must be a whole number of at least 1, got 0"),
        (-3, "n must be a whole number of at least 1, got -3"),
        (101, r"a window of n = 101 is longer than each of the 256 sentences"),
    ],
)
def test_bad_windows_are_refused(probe, n, message):
    with pytest.raises(ValueError, match=message):
        probe(TASK, n)


def model(seeds=(0,), **settings):
    return Transformer(
        TASK.vocabulary,
        max_length=TASK.longest,
        classes=TASK.classes,
        read_out="every",
        padding=TASK.padding,
        seed=list(seeds),
        **settings,
    )


class Oracle(Transformer):
    """A Transformer whose hidden states hold the symbol of a level above each token, and whether the seed is 0."""

    def __init__(self, level, seeds):
        super().__init__(
            TASK.vocabulary, max_length=TASK.longest, classes=3, read_out="every", padding=TASK.padding, seed=seeds
        )
        self.level = level
        self.known = {}

    def states(self, ids):
        states = torch.zeros(len(self.seeds), *ids.shape[1:], self.width)
        for row, sentence in enumerate(ids[0]):
            states[0, row] = self.known[tuple(sentence[sentence < TASK.classes].tolist())][: ids.shape[2]]
        return states


@pytest.fixture
def oracle(monkeypatch):
    """A model whose states hold the symbol of level 1; its second copy's states are empty."""
    oracle = Oracle(1, [0, 1])
    sample = MaskedGrammar.sentences

    def remember(self, rng, n, *, spans=False):
        drawn = sample(self, rng, n, spans=spans)
        for i in range(n):
            above = drawn.ancestors[drawn.offsets[i] : drawn.offsets[i + 1], 1].astype(int)
            held = torch.zeros(TASK.longest, oracle.width)
            held[np.arange(1, 1 + len(above)), above] = 1.0
            oracle.known[tuple(drawn[i].tolist())] = held
        return drawn

    monkeypatch.setattr(MaskedGrammar, "sentences", remember)
    return oracle


@pytest.mark.parametrize("kind", ["attention", "linear"])
def test_states_that_hold_the_symbol_are_read_out_and_others_are_not(kind, oracle):
    table = nonterminal_probe(TASK, 1, kind=kind, sentences=256, held_out=64, heads=4, lr=0.05)(oracle)
    assert table["ends"][0] > 0.99 if kind == "linear" else table["ends"][0] > 0.8
    assert table["inside"][0] > 0.99 if kind == "linear" else table["inside"][0] > 0.8
    assert table["all"][1] < table["all"][0] - 0.1
    if kind == "linear":
        assert table["all"][1] == pytest.approx(table["chance"][1], abs=0.02)


def test_symbols_of_other_sentences_teach_a_read_out_nothing_but_frequencies_at_a_position(oracle):
    probe = nonterminal_probe(TASK, 1, kind="linear", sentences=256, held_out=64, lr=0.05, shuffled=True)
    symbols = spans(TASK, 1, 2000, seed=1, purpose="x").symbols[:, 1:]
    counts = torch.stack([(symbols == symbol).sum(0) for symbol in range(symbols.max() + 1)])  # (symbols, length)
    by_position = (counts.max(0).values.sum() / counts.sum()).item()  # the most frequent symbol at each position
    with_symbols, empty = probe(oracle)["all"]
    assert with_symbols < by_position + 0.05 < 0.95
    assert empty < by_position + 0.05


def test_a_probe_of_a_transformer_has_a_row_for_each_copy():
    table = nonterminal_probe(TASK, 2, sentences=64, held_out=32, epochs=1)(model(seeds=[0, 1]))
    assert list(table.columns) == ["copy", "level", "kind", "ends", "inside", "all", "chance"]
    assert table["copy"].tolist() == [0, 1]
    assert isinstance(table, pd.DataFrame)
    assert table[["ends", "inside", "all", "chance"]].to_numpy().min() > 0.1
    again = nonterminal_probe(TASK, 2, sentences=64, held_out=32, epochs=1)(model(seeds=[0, 1]))
    pd.testing.assert_frame_equal(table, again)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 4}, "the grammar has levels 0…3, got level 4"),
        ({"level": 1, "kind": "mlp"}, "kind must be one of 'attention', 'linear'; got 'mlp'"),
        ({"level": 1, "heads": 0}, "heads must be a whole number of at least 1"),
    ],
)
def test_bad_span_probes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        nonterminal_probe(TASK, **arguments)


def test_what_stands_at_the_padding_is_not_mixed_in():
    sizes = {"heads": 3, "length": 6, "padding": 5, "seed": 0}
    read_out = AttentionReadOut(2, 4, 3, **sizes)
    ids = torch.tensor([[3, 0, 1, 5, 5], [3, 0, 1, 2, 0]])
    states = torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    other = states.clone()
    other[:, 0, 3:] += 1
    with torch.no_grad():
        torch.testing.assert_close(read_out(other, ids)[:, 0, :3], read_out(states, ids)[:, 0, :3])
    other[:, 1, 4] += 1
    with torch.no_grad():
        assert (read_out(other, ids)[:, 1, :4] - read_out(states, ids)[:, 1, :4]).abs().min() > 0


@pytest.mark.parametrize("level", [0, 1, 3])
def test_spans_have_the_symbol_of_the_level_and_end_where_it_does(level):
    found = spans(TASK, level, 10, seed=0, purpose="x")
    drawn = TASK.sentences(generator(0, "x"), 10, spans=True)
    for i in range(10):
        where = slice(drawn.offsets[i], drawn.offsets[i + 1])
        length = drawn.lengths[i]
        assert found.symbols[i, 1 : 1 + length].tolist() == drawn.ancestors[where, level].tolist()
        assert found.closes[i, 1 : 1 + length].tolist() == (drawn.closes[where] <= level).tolist()
        assert found.closes[i, length]  # the last token ends every span
        assert found.symbols[i, 0] == IGNORED
        assert (found.symbols[i, 1 + length :] == IGNORED).all()
        assert found.closes[i].sum() == (1 if level == 0 else (drawn.closes[where] <= level).sum())


@pytest.mark.parametrize("level", [1, 2])
def test_the_optimum_knows_the_spans_of_a_sentence_that_has_one_tree(level):
    table = nonterminal_probe(TASK, level, held_out=64)(BayesOptimal(TASK))
    assert table["kind"].tolist() == ["exact"]
    assert table.loc[0, ["ends", "inside", "all"]].tolist() == [1, 1, 1]
    assert table.loc[0, "chance"] < 0.8


def test_where_a_sentence_has_two_trees_the_optimum_takes_the_more_probable():
    # three tokens are X Y with one of X or two; the tree with one of X has probability 0.45, the other 0.1
    task = MaskedGrammar("S -> X Y\nX -> A [0.75]\nX -> A A [0.25]\nY -> B [0.4]\nY -> B B [0.6]\nA -> a\nB -> a")
    table = nonterminal_probe(task, 1, held_out=4000)(BayesOptimal(task))
    p_three = 0.75 * 0.6 + 0.25 * 0.4  # of three tokens; those of two and four have one tree
    wrong_middle = 0.25 * 0.4  # the middle token of X = a a, Y = a, taken for Y's
    tokens = 2 * 0.75 * 0.4 + 3 * p_three + 4 * 0.25 * 0.6
    assert table["all"][0] == pytest.approx(1 - wrong_middle / tokens, abs=0.01)


def test_hidden_states_are_read_without_dropout():
    """Whatever mode the model is in, and it stays in that mode."""

    class Dropping(Transformer):
        def states(self, ids, at=None):
            return nn.functional.dropout(super().states(ids, at), 0.9, self.training)

    model = Dropping(TASK.vocabulary, max_length=TASK.longest, classes=TASK.classes, heads=2, read_out="every")
    model.padding = TASK.padding
    probe = nonterminal_probe(TASK, 1, kind="linear", sentences=32, held_out=16, epochs=1)
    tables = [probe(model.train(mode)) for mode in (True, False)]
    assert tables[0].equals(tables[1])
    assert not model.training
