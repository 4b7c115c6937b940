"""Drawings of grammars and derivations against what they were drawn from."""

from itertools import pairwise

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from pdtutor import plots
from pdtutor.pcfg.grammar import Grammar
from pdtutor.pcfg.sampler import sample
from pdtutor.pcfg.spans import derivation

CFG3B = Grammar.load("cfg3b")
BY_HAND = Grammar.parse("S -> B A\nA -> D C D\nB -> C D\nC -> z\nD -> x")  # its only sentence is z x x z x
DARK = (0.1, 0.1, 0.1)


@pytest.fixture(autouse=True)
def close_figures():
    plt.close("all")
    yield
    plt.close("all")


def boxes(ax):
    """Return every box as (name, left, right, middle of y, patch), in the order in which they were drawn."""
    inside = {}
    for text in ax.texts:
        inside.setdefault(tuple(np.round(text.get_position(), 6)), text.get_text())
    found = []
    for patch in ax.patches:
        left, bottom, width, height = patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()
        middle = bottom + height / 2
        name = inside[tuple(np.round((left + width / 2, middle), 6))]
        found.append((name, left, left + width, middle, patch))
    return found


def edges(ax):
    """Return the edges from one box to another as arrays of points."""
    drawn = next(lines for lines in ax.collections if isinstance(lines, LineCollection))
    return drawn.get_segments()


def drawn_rules(ax):
    """Return the rules that a reader sees: from the box at the top of an edge to the strip of boxes at its foot."""
    all_boxes, rules = boxes(ax), []
    for lines in ax.collections:
        for edge in lines.get_segments():
            (top_x, top_y), (x, y) = edge[0], edge[-1]
            [left] = [b[0] for b in all_boxes if b[1] < top_x < b[2] and abs(b[3] - top_y) < 0.2]
            row = sorted((b for b in all_boxes if abs(b[3] - y) < 0.2), key=lambda box: box[1])
            strips = [[row[0]]]
            for before, box in pairwise(row):
                strips.append([box]) if box[1] - before[2] > 1e-6 else strips[-1].append(box)
            [strip] = [strip for strip in strips if abs((strip[0][1] + strip[-1][2]) / 2 - x) < 1e-6]
            rules.append((left, tuple(box[0] for box in strip)))
    return rules


@pytest.mark.parametrize("grammar", [CFG3B, CFG3B.rooted_at("16"), Grammar.load("cfg3f"), BY_HAND], ids=repr)
def test_every_rule_is_read_off_the_drawing_of_a_grammar(grammar):
    _, ax = plt.subplots(figsize=(11, 5))
    plots.grammar_tree(grammar, ax=ax)
    assert sorted(drawn_rules(ax)) == sorted((rule.left, rule.right) for rule in grammar.rules)
    assert len(boxes(ax)) == len(grammar.symbols) + sum(len(rule.right) for rule in grammar.rules)
    labels = {text.get_text() for text in ax.texts}
    assert {"tokens", *(f"level {level}" for level in range(len(grammar.levels)))} <= labels


def test_a_symbol_has_one_colour_wherever_it_stands_in_a_grammar():
    colours = {}
    for name, *_, patch in boxes(plots.grammar_tree(CFG3B)):
        colours.setdefault(name, set()).add(patch.get_facecolor())
    assert {len(of_name) for of_name in colours.values()} == {1}
    for level in CFG3B.levels:
        assert len(set.union(*(colours[name] for name in level))) == 1
    assert len({colour for of_name in colours.values() for colour in of_name}) == len(CFG3B.levels) + 1


def test_boxes_of_a_grammar_do_not_overlap_and_hold_their_names():
    for name in ("cfg3b", "cfg3f"):
        figure, ax = plt.subplots(figsize=(11, 5))
        plots.grammar_tree(Grammar.load(name), ax=ax)
        rows = {}
        for _, left, right, y, _ in boxes(ax):
            rows.setdefault(round(y, 6), []).append((left, right))
        for row in rows.values():
            row.sort()
            assert all(right <= left + 1e-6 for (_, right), (left, _) in pairwise(row))
        renderer = figure.canvas.get_renderer()
        widths = {patch.get_window_extent(renderer).width for *_, patch in boxes(ax)}
        texts = [text.get_window_extent(renderer).width for text in ax.texts if text.get_text().isdecimal()]
        assert max(texts) < min(widths)


def test_probabilities_are_written_where_rules_are_not_equally_likely():
    grammar = Grammar.parse("S -> A B [0.2]\nS -> B [0.8]\nA -> x\nA -> x x\nB -> y")
    texts = [text.get_text() for text in plots.grammar_tree(grammar).texts]
    assert [text for text in texts if "." in text] == ["0.2", "0.8"]


def test_a_recursive_grammar_is_not_drawn():
    with pytest.raises(ValueError, match="has no levels, so it can't be drawn level by level"):
        plots.grammar_tree(Grammar.parse("S -> ( S )\nS -> c"))


def by_hand():
    return derivation(BY_HAND, sample(BY_HAND, np.random.default_rng(0), 1, spans=True), 0)


def test_a_derivation_is_drawn_a_box_a_span_and_an_edge_to_each_part():
    sentences = sample(CFG3B.rooted_at("16"), np.random.default_rng(0), 1, spans=True)
    table = derivation(CFG3B.rooted_at("16"), sentences, 0)
    ax = plots.parse_tree(table, position=20)
    found = boxes(ax)
    assert [name for name, *_ in found] == table["symbol"].tolist()
    np.testing.assert_array_equal([np.ceil(left) for _, left, *_ in found], table["start"])
    np.testing.assert_array_equal([np.floor(right) + 1 for _, _, right, *_ in found], table["stop"])
    np.testing.assert_allclose([y for *_, y, _ in found], -table["level"])
    assert len(edges(ax)) == len(table) - 1
    children = table.dropna()
    parents = table.loc[children["parent"]]
    middles = [(of["start"].to_numpy() + of["stop"].to_numpy() - 1) / 2 for of in (parents, children)]
    for end, x in enumerate(middles):
        np.testing.assert_allclose([edge[end][0] for edge in edges(ax)], x)


def test_brackets_enclose_the_tokens_of_their_windows_and_nothing_else():
    sentences = sample(CFG3B.rooted_at("13"), np.random.default_rng(0), 1, spans=True)
    ax = plots.parse_tree(derivation(CFG3B.rooted_at("13"), sentences, 0), position=6, ns=(7, 3, 5))
    brackets = {line.get_label(): line for line in ax.get_lines()}
    assert list(brackets) == ["n = 3", "n = 5", "n = 7"]
    for half, bracket in enumerate(brackets.values(), start=1):
        assert sorted(set(bracket.get_xdata())) == [6 - half - 0.5, 6 + half + 0.5]
        [cut] = [c for c in ax.collections if c is not ax.collections[0] and c.get_segments()[0][0][0] == 5.5 - half]
        assert [segment[0][0] for segment in cut.get_segments()] == [5.5 - half, 6.5 + half]
    ys = [bracket.get_ydata().max() for bracket in brackets.values()]
    assert -3.25 > ys[0] > ys[1] > ys[2]  # below the tokens, which are on level 3


def test_spans_have_the_colour_of_the_smallest_window_that_holds_them_whole():
    ax = plots.parse_tree(by_hand(), position=2, ns=(3, 5))  # S, B = z x, A = x z x, then C D D C D
    small, large = (to_rgb(line.get_color()) for line in ax.get_lines())
    faces = [to_rgb(patch.get_facecolor()) for *_, patch in boxes(ax)]
    assert faces[:3] == [large] * 3
    assert faces[3:8] == [large, small, small, small, large]
    assert faces[8:] == [large, small, DARK, small, large]
    plt.close("all")
    [line], found = plots.parse_tree(by_hand(), position=1, ns=(3,)).get_lines(), boxes(plt.gca())
    coloured = [name for name, *_, patch in found if to_rgb(patch.get_facecolor()) == to_rgb(line.get_color())]
    assert coloured == [*"BCDD", "z", "x"]  # not A: the window cuts it


def test_the_position_and_the_spans_that_it_lies_in_are_dark():
    found = boxes(plots.parse_tree(by_hand(), position=3, ns=(3,)))
    outlined = [name for name, *_, patch in found if to_rgb(patch.get_edgecolor()) == DARK]
    assert outlined == ["S", "A", "C"]
    assert [left for _, left, *_, patch in found if to_rgb(patch.get_facecolor()) == DARK] == [3 - 0.44]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"position": 5}, "the sentence has positions 0 … 4, got 5"),
        ({"position": -1}, "position must be a whole number of at least 0, got -1"),
        ({"position": 2, "ns": (4,)}, "n must be odd.*got 4"),
        ({"position": 1, "ns": (3, 5)}, "the window of n = 5 around position 1 leaves the sentence of 5 tokens"),
        ({"position": 4, "ns": (3,)}, "the window of n = 3 around position 4 leaves the sentence"),
    ],
)
def test_windows_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plots.parse_tree(by_hand(), **options)


def test_labels_of_windows_stay_within_the_sentence():
    _, ax = plt.subplots(figsize=(14, 4.5))
    plots.parse_tree(by_hand(), position=3, ns=(3,))
    plots.parse_tree(by_hand(), position=1, ns=(3,))
    last, first = (text for text in ax.texts if text.get_text() == "n = 3")
    limits = ax.get_window_extent()
    for text in (first, last):
        extent = text.get_window_extent()
        assert limits.x0 <= extent.x0
        assert extent.x1 <= limits.x1


TABLE = pd.DataFrame(
    {
        "predictor": ["teacher", "teacher", "exact, 3-gram masked", "exact, 3-gram masked"],
        "token": ["2", "1", "2", "1"],
        "probability": [0.9, 0.1, 0.25, 0.75],
    }
)


def test_predictions_are_bars_as_long_as_they_are_probable():
    ax = plots.predictions(TABLE, truth="1")
    bars = [bars for bars in ax.containers if bars.patches[0].get_facecolor()[:3] != (0.96, 0.96, 0.96)]
    np.testing.assert_allclose([[bar.get_width() / 0.7 for bar in row] for row in bars], [[0.9, 0.1], [0.25, 0.75]])
    assert to_rgb(bars[0].patches[0].get_facecolor()) == plots.METHOD_COLOURS["teacher"]
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["2", "1", "teacher", "0.90", "0.10", "exact, 3-gram masked", "0.25", "0.75"]
    heads = [patch for patch in ax.patches if not any(patch in bars.patches for bars in ax.containers)]
    assert [to_rgb(head.get_facecolor()) == DARK for head in heads] == [False, True]


def test_two_probabilities_for_the_same_thing_are_refused():
    with pytest.raises(ValueError, match="duplicate"):
        plots.predictions(pd.concat([TABLE, TABLE]))
