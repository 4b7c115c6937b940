"""Drawings of grammars, derivations, and predictions at one position of a sentence."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch
from matplotlib.patheffects import withStroke

from pdtutor.pcfg.grammar import Grammar
from pdtutor.plots.look import colours, depth_colours
from pdtutor.validate import whole

PALE, DARK = (0.92, 0.92, 0.92), (0.1, 0.1, 0.1)


def grammar_tree(grammar: Grammar, *, ax: Axes | None = None) -> Axes:
    """Draw a grammar's rules level by level, with the root on top: below each symbol, one strip for each of its rules.

    A strip shows the right-hand side in order; each part has the colour of its own level. Probabilities are written
    below the rules of symbols whose rules are not equally likely. Grammars like cfg3b need a figure about 11 inches
    wide.

    Raises ValueError for a grammar without levels.
    """
    if grammar.levels is None:
        raise ValueError(f"{grammar!r} has no levels, so it can't be drawn level by level")
    ax, levels = ax or plt.gca(), len(grammar.levels)
    shades = [*depth_colours(pd.DataFrame({"depth": range(levels)})).values(), PALE]  # the last is for tokens
    cell = 1.0 + max(map(len, (*grammar.symbols, *grammar.tokens)))  # widths are in characters
    parts = {s: [len(rule.right) for rule in grammar.of(s)] for s in grammar.symbols}
    widths = {s: cell * (sum(of) + 0.5 * (len(of) - 1)) for s, of in parts.items()}  # half a cell between rules
    whole_width = max(len(level) * (cell + max(widths[s] for s in level)) for level in grammar.levels)
    _blank(ax, xlim=(0, whole_width), ylim=(-levels + 0.2, 0.2))
    size = _font_size(ax, 1.0)
    for level, symbols in enumerate(grammar.levels):
        top, strip, edges = -level, -level - 0.5, []
        _row_label(ax, f"level {level}", top)
        for place, symbol in enumerate(symbols):
            middle = (place + 0.5) * whole_width / len(symbols)
            _box(ax, symbol, middle - 0.6 * cell, top, 1.2 * cell, 0.3, shades[level], size=size, weight="bold")
            equal = len({round(rule.probability, 9) for rule in grammar.of(symbol)}) == 1
            left = middle - widths[symbol] / 2
            for rule in grammar.of(symbol):
                x = left + cell * len(rule.right) / 2
                edges.append([(middle, top - 0.15), (middle, top - 0.25), (x, top - 0.25), (x, strip + 0.13)])
                for part in rule.right:
                    _box(ax, part, left, strip, cell, 0.26, shades[level + 1], size=size)
                    left += cell
                if not equal:
                    ax.text(x, strip - 0.15, f"{rule.probability:.3g}", ha="center", va="top", size=0.75 * size)
                left += 0.5 * cell
        ax.add_collection(LineCollection(edges, colors=[shades[level]], linewidths=1.2, zorder=1))
    _row_label(ax, "tokens", strip)
    return ax


def parse_tree(
    derivation: pd.DataFrame, *, position: int, ns: Sequence[int] = (3, 5, 7), ax: Axes | None = None
) -> Axes:
    """Draw a sentence's derivation above its tokens, and the windows of n tokens centred on one position.

    A span that lies wholly inside a window has the colour of the smallest such window; the windows' edges (dotted) cut
    the spans that they pass through. Spans that contain position i have a dark outline, and the token at i is black.
    50 tokens need a figure about 14 inches wide.

    Args:
        derivation: a table of `pdtutor.derivation`.
        position: position i of the token, counted from 0 without the start token.
        ns: the sizes of the windows, in tokens, all odd.

    Raises ValueError for a position outside the sentence, and for windows that are even or reach beyond the sentence.
    """
    length, tokens = int(derivation["stop"].max()), int(derivation["level"].max())
    windows = _windows(position, ns, length)
    shades = dict(zip(windows, sns.color_palette("flare", len(windows)), strict=True))
    ax = ax or plt.gca()
    _blank(ax, xlim=(-0.6, length - 0.4), ylim=(-tokens - 0.6 - 0.5 * len(windows), 0.3))
    size = _font_size(ax, 0.6)
    middles, edges = (derivation["start"] + derivation["stop"] - 1) / 2, []
    spans = cast("Iterable[Any]", derivation.itertuples())  # their fields are the columns
    for span in spans:
        covering = [n for n, (first, end) in windows.items() if first <= span.start and span.stop <= end]
        colour = shades[covering[0]] if covering else PALE
        above = span.start <= position < span.stop
        look = {"edgecolor": DARK, "linewidth": 1.6} if above and span.level < tokens else {}
        if above and span.level == tokens:
            colour = DARK
        weight = "bold" if covering or above else "normal"
        left, width = span.start - 0.44, span.stop - span.start - 0.12
        _box(ax, span.symbol, left, -span.level, width, 0.5, colour, size=size, weight=weight, **look)
        if not pd.isna(span.parent):
            edges.append([(middles[span.parent], -span.level + 0.75), (middles[span.Index], -span.level + 0.25)])
    ax.add_collection(LineCollection(edges, colors="0.6", linewidths=0.8, zorder=1))
    ax.text(position, -tokens - 0.5, "i", style="italic", ha="center", va="center", size=11)
    for row, (n, (first, end)) in enumerate(windows.items()):
        y, sides = -tokens - 0.85 - 0.5 * row, [first - 0.5, end - 0.5]
        ax.plot(np.repeat(sides, 2), [y + 0.15, y, y, y + 0.15], color=shades[n], linewidth=2, label=f"n = {n}")
        ax.vlines(sides, -tokens - 0.3, 0.28, color=[shades[n]], linestyle=":", linewidth=1.2, zorder=3)
        right = end + 0.06 * length < length
        x, align = (sides[1] + 0.004 * length, "left") if right else (sides[0] - 0.004 * length, "right")
        ax.text(x, y + 0.05, f"n = {n}", color=shades[n], ha=align, va="center", size=10)
    for level in range(tokens):
        _row_label(ax, f"level {level}", -level)
    _row_label(ax, "tokens", -tokens)
    return ax


def predictions(table: pd.DataFrame, *, truth: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw what predictors say about one token: one row per predictor, with a bar and a probability for each token.

    Args:
        table: columns predictor, token, probability. The drawing's rows and columns are in the order of the table.
        truth: the true token, whose heading is black.

    Raises ValueError if the table has two probabilities for the same predictor and token.
    """
    names, tokens = list(dict.fromkeys(table["predictor"])), list(dict.fromkeys(table["token"]))
    wide = table.pivot(index="predictor", columns="token", values="probability").loc[names, tokens]
    ax, kinds = ax or plt.gca(), [str(name).split(", ")[0] for name in names]  # "teacher, 3 masked" is a teacher
    by_kind = colours(list(dict.fromkeys(kinds)))
    shades = {name: by_kind[kind] for name, kind in zip(names, kinds, strict=True)}
    _blank(ax, xlim=(0, len(tokens)), ylim=(len(names) - 0.4, -1.4))
    for column, token in enumerate(tokens):
        head = DARK if str(token) == truth else PALE
        _box(ax, str(token), column + 0.01, -0.95, 0.7, 0.6, head, size=10, weight="bold")
    for row, name in enumerate(names):
        _row_label(ax, name, row)
        ax.barh([row] * len(tokens), [0.7] * len(tokens), 0.6, left=np.arange(len(tokens)) + 0.01, color="0.96")
        ax.barh([row] * len(tokens), 0.7 * wide.loc[name], 0.6, left=np.arange(len(tokens)) + 0.01, color=shades[name])
        for column, p in enumerate(wide.loc[name]):
            ax.text(column + 0.73, row, f"{p:.2f}", ha="left", va="center", size=10)
    return ax


def _windows(position: int, ns: Sequence[int], length: int) -> dict[int, tuple[int, int]]:
    """Return each n's window as (first token, token after the last), the smallest window first.

    Raises ValueError for a position outside the sentence, an even n, and a window that reaches beyond the sentence.
    """
    if whole("position", position, minimum=0) >= length:
        raise ValueError(f"the sentence has positions 0 … {length - 1}, got {position}")
    found = {}
    for n in sorted(ns):
        if whole("n", n) % 2 == 0:
            raise ValueError(f"n must be odd, so that a position has equally many neighbours on both sides; got {n}")
        first, end = position - n // 2, position + n // 2 + 1
        if first < 0 or end > length:
            raise ValueError(f"the window of n = {n} around position {position} leaves the sentence of {length} tokens")
        found[n] = first, end
    return found


def _blank(ax: Axes, *, xlim: tuple[float, float], ylim: tuple[float, float]) -> None:
    """Set the limits and remove ticks and frame."""
    ax.set(xlim=xlim, ylim=ylim, xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


def _inches(ax: Axes) -> tuple[float, float]:
    """Return the lengths of one unit of x and one unit of y, in inches."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi / np.ptp(ax.get_xlim()), box.height / ax.figure.dpi / np.ptp(ax.get_ylim())


def _font_size(ax: Axes, character: float) -> float:
    """Return the font size, in points, at which a character is so many units of x wide; at most 11."""
    return min(11, 72 * _inches(ax)[0] * character / 0.64)


def _row_label(ax: Axes, name: str, y: float) -> None:
    ax.text(-0.01, y, name, transform=ax.get_yaxis_transform(), ha="right", va="center", size=10, color="0.35")


def _box(
    ax: Axes,
    name: str,
    left: float,
    y: float,
    width: float,
    height: float,
    colour: tuple,
    *,
    size: float,
    weight: str = "normal",
    **look,
) -> None:
    """Draw a rounded box with its name in it, in dark or white letters, whichever is easier to read."""
    x_unit, y_unit = _inches(ax)
    rounded = f"round,pad=0,rounding_size={0.035 / x_unit}"
    look = {"edgecolor": "white", "linewidth": 0.8} | look
    shape = {"boxstyle": rounded, "mutation_aspect": x_unit / y_unit, "facecolor": colour, "zorder": 2}
    ax.add_patch(FancyBboxPatch((left, y - height / 2), width, height, **shape, **look))
    light = np.dot(np.power(to_rgb(colour), 2.2), (0.2126, 0.7152, 0.0722)) > 0.22
    style = {"size": size, "weight": weight, "color": DARK if light else "white"}
    style["path_effects"] = [withStroke(linewidth=2, foreground=colour)]  # so that lines don't cross the letters
    ax.text(left + width / 2, y, name, ha="center", va="center_baseline", zorder=4, **style)
