"""Tables in, axes and figures out: what teachers of sparse parity show while they learn (lesson 2)."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pdtutor.plots.look import INSIDE, METHOD_COLOURS, OUTSIDE, PALETTE, STEPS

MARKERS = "osD^v"
SIDES = {True: ("inside the support", INSIDE, "-"), False: ("outside", OUTSIDE, "--")}


def inside_outside(curriculum: pd.DataFrame, *, ax: Axes | None = None, **line) -> Axes:
    """Plot the mean correlations inside (solid) and outside the support (dashed) against the step, for one seed.

    The dotted line is what a correlation of exactly 0 measures on average: √(2/π) times the noise floor.
    """
    ax = ax or plt.gca()
    means = curriculum.groupby(["step", "inside"])["value"].mean().unstack()
    for side, (label, colour, dashes) in SIDES.items():
        ax.plot(means.index, means[side], color=colour, linestyle=dashes, label=label, **{"linewidth": 1.2, **line})
    floor = curriculum.groupby("step")["noise_floor"].mean() * np.sqrt(2 / np.pi)
    ax.plot(floor.index, floor, color="black", linestyle=":", linewidth=1, label="what a true 0 measures")
    ax.xaxis.set_major_formatter(STEPS)
    return ax


def teachers_figure(
    history: pd.DataFrame, curriculum: pd.DataFrame, *, spans: Mapping[int, tuple[int, int]], columns: int = 3
) -> Figure:
    """Draw, for each teacher seed, the accuracy and, below it, the degree-1 correlations; `columns` seeds in a row.

    `spans` holds the first and the last step of each seed's transition, which is shaded.
    """
    seeds = list(dict.fromkeys(history["seed"]))
    rows = -(-len(seeds) // columns)
    figure = plt.figure(figsize=(11, 3.3 * rows), layout="constrained")
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[1, 1.3] * rows)
    top = 1.05 * curriculum.groupby(["seed", "step", "inside"])["value"].mean().max()
    for number, seed in enumerate(seeds):
        row, column = divmod(number, columns)
        upper = figure.add_subplot(grid[2 * row, column])
        lower = figure.add_subplot(grid[2 * row + 1, column], sharex=upper)
        of_seed = history[history["seed"] == seed]
        upper.plot(of_seed["step"], of_seed["accuracy"], color="0.2", linewidth=1.2)
        upper.set(title=f"seed {seed}", ylim=(0.45, 1.02), yticks=[0.5, 1])
        upper.tick_params(labelbottom=False)
        inside_outside(curriculum[curriculum["seed"] == seed], ax=lower)
        lower.set(ylim=(0, top))
        for ax in (upper, lower):
            ax.axvspan(*spans[seed], color="0.92", zorder=0)
        if row == rows - 1:
            lower.set(xlabel="step (updates)")
        if column == 0:
            upper.set(ylabel="accuracy")
            lower.set(ylabel="|correlation|")
        if number == 0:
            lower.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def transition_figure(history: pd.DataFrame, curriculum: pd.DataFrame, *, span: tuple[int, int]) -> Figure:
    """Draw one teacher's accuracy, loss and correlations between two steps, one below the other."""
    figure, axes = plt.subplots(3, 1, figsize=(9, 5.5), sharex=True, layout="constrained")
    shown = history[history["step"].between(*span)]
    axes[0].plot(shown["step"], shown["accuracy"], color="0.2", marker=".", linewidth=1)
    axes[1].plot(shown["step"], shown["loss"], color="0.2", marker=".", linewidth=1)
    inside_outside(curriculum[curriculum["step"].between(*span)], ax=axes[2], marker=".", linewidth=1)
    axes[0].set(ylabel="accuracy")
    axes[1].set(ylabel="loss")
    axes[2].set(ylabel="|correlation|", xlabel="step (updates)", ylim=(0, None))
    axes[2].legend(frameon=False, fontsize=9)
    for ax in axes:
        ax.grid(axis="x", alpha=0.4)
    return figure


def degrees_figure(by_degree: pd.DataFrame) -> Figure:
    """Draw the correlations by degree, one panel per `moment`, one dot per monomial and teacher; the bar is the mean."""
    moments = list(dict.fromkeys(by_degree["moment"]))
    figure, axes = plt.subplots(1, len(moments), figsize=(11, 3.8), sharey=True, layout="constrained")
    jitter = np.random.default_rng(0)
    for ax, moment in zip(axes, moments, strict=True):
        shown = by_degree[by_degree["moment"] == moment]
        for side, (label, colour, _) in SIDES.items():
            part, shift, marker = shown[shown["inside"] == side], (-0.2 if side else 0.2), ("o" if side else "x")
            at = part["degree"] + shift + jitter.uniform(-0.1, 0.1, len(part))
            ax.scatter(at, part["value"], color=colour, s=8, alpha=0.35, linewidths=0.6, marker=marker, label=label)
            means = part.groupby("degree")["value"].mean()
            ax.scatter(means.index + shift, means, color="black", marker="_", s=120, zorder=3)
        ax.axhline(shown["noise_floor"].mean(), color="black", linestyle=":", linewidth=1)
        ax.set(yscale="log", ylim=(1e-5, 1), title=moment, xlabel="degree of the monomial", xticks=range(1, 7))
    axes[0].set(ylabel="|correlation| with p(y = 1 | x)")
    axes[0].legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def weights_figure(progress: pd.DataFrame, history: pd.DataFrame, *, onsets: Mapping[int, int]) -> Figure:
    """Draw what the first layer shows of the support, and accuracy, against the step as a share of the plateau.

    `progress` has the columns seed, step, size (root mean square weight of coordinates inside over outside) and product
    (see `support_in_weights`): one thin line per teacher. Dashed lines in the lower panel: what one random set of six in
    a hundred exceeds.
    """
    figure, axes = plt.subplots(3, 1, figsize=(9, 7), sharex=True, layout="constrained")
    for number, (seed, onset) in enumerate(onsets.items()):
        colour, rows = PALETTE[number % len(PALETTE)], progress[progress["seed"] == seed]
        accuracy = history[history["seed"] == seed]
        line = {"color": colour, "linewidth": 1.1}
        axes[0].plot(accuracy["step"] / onset, accuracy["accuracy"], label=f"seed {seed}", **line)
        axes[1].plot(rows["step"] / onset, rows["size"], **line)
        axes[2].plot(rows["step"] / onset, rows["product"], **line)
    axes[2].axhspan(0, 2.6, color="0.92", zorder=0)
    axes[0].set(ylabel="accuracy", ylim=(0.45, 1.02))
    axes[0].legend(frameon=False, fontsize=8, ncols=2)
    axes[1].set(ylabel="size of weights,\ninside over outside", ylim=(0.8, 1.5))
    axes[2].set(ylabel="product of six weights:\nsupport over random sets", yscale="log", ylim=(0.05, 3000))
    axes[2].set(xlabel="step, in units of the plateau's length", xlim=(0, 1.5))
    for ax in axes:
        ax.axvline(1, color="0.6", linestyle=":")
    return figure


def _lanes(values: pd.Series, *, spread: float) -> np.ndarray:
    """Return offsets that keep the dots of one group apart: evenly spaced, in the order of the rows."""
    return np.linspace(-spread, spread, len(values)) if len(values) > 1 else np.zeros(len(values))


def heights(results: pd.DataFrame, *, by: str, ax: Axes | None = None) -> Axes:
    """Plot every teacher's spike, inside minus outside, against the column `by`; colour and marker say the width.

    Lines join the medians of a width. Crosses are what groups of other coordinates reach in the same way.
    """
    ax = ax or plt.gca()
    for number, (width, rows) in enumerate(results.groupby("width")):
        colour, marker = PALETTE[number], MARKERS[number]
        height = rows["inside"] - rows["outside"]
        medians = height.groupby(rows[by]).median()
        ax.plot(medians.index, medians, color=colour, linewidth=1, label=None)
        at = rows[by] * 1.12 ** (rows.groupby(by).cumcount() - 2.5) ** 1 if len(rows) else rows[by]
        ax.scatter(at, height, color=colour, marker=marker, s=18, alpha=0.8, linewidths=0, label=f"width {STEPS(width)}")
        ax.scatter(at, rows["by_chance"], color=colour, marker="x", s=10, alpha=0.5, linewidths=0.7)
    ax.set(xscale="log", yscale="log", ylabel="height of the spike")
    ax.yaxis.set_minor_formatter(NullFormatter())
    return ax


def spike_figure(results: pd.DataFrame, *, budget: int) -> Figure:
    """Draw, for the recipe `parity-spike`, the spike's height and the plateau's length by learning rate and width."""
    seen = results.assign(product=results["lr"] * results["width"]).dropna(subset="inside")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for ax, by, label in zip(axes, ["lr", "product"], ["learning rate", "learning rate × width"], strict=False):
        heights(seen, by=by, ax=ax)
        ax.set(xlabel=label)
    axes[1].set(ylabel="", yticklabels=[])
    axes[1].sharey(axes[0])
    axes[0].legend(frameon=False, fontsize=8)
    plateaus(results, ax=axes[2], budget=budget)
    return figure


def plateaus(results: pd.DataFrame, *, budget: int, ax: Axes | None = None) -> Axes:
    """Plot the length of every teacher's plateau against its width, one colour per learning rate; hollow: not left."""
    ax = ax or plt.gca()
    for number, (lr, rows) in enumerate(results.groupby("lr")):
        colour, marker = PALETTE[number], MARKERS[number]
        length = rows["onset"].astype(float).fillna(budget)
        left = rows["onset"].notna().to_numpy()
        at = rows["width"] * 1.07 ** (rows.groupby("width").cumcount() - 2.5)
        medians = length.groupby(rows["width"]).median()
        ax.plot(medians.index, medians, color=colour, linewidth=1)
        ax.scatter(at[left], length[left], color=colour, marker=marker, s=18, linewidths=0, label=f"lr {lr:g}")
        ax.scatter(at[~left], length[~left], facecolors="white", edgecolors=colour, marker=marker, s=18)
    ax.set(xscale="log", yscale="log", xlabel="hidden units", ylabel="length of the plateau (updates)")
    ax.yaxis.set_major_formatter(STEPS)
    ax.legend(frameon=False, fontsize=8)
    return ax


def spacing_figure(spacings: pd.DataFrame) -> Figure:
    """Draw the spike's height against the spacing of checkpoints, one line per teacher, one panel per learning rate."""
    rates = sorted(spacings["lr"].unique())
    figure, axes = plt.subplots(1, len(rates), figsize=(11, 3.6), sharey=True, layout="constrained")
    for ax, lr in zip(np.atleast_1d(axes), rates, strict=True):
        of_rate = spacings[spacings["lr"] == lr]
        for number, (width, rows) in enumerate(of_rate.groupby("width")):
            for seed, line in rows.groupby("seed"):
                label = f"width {STEPS(width)}" if seed == rows["seed"].min() else None
                height = line["inside"] - line["outside"]
                style = {"color": PALETTE[number], "marker": MARKERS[number], "markersize": 3, "linewidth": 0.9}
                ax.plot(line["spacing"], height, label=label, **style)
        ax.set(xscale="log", title=f"learning rate {lr:g}", xlabel="updates between checkpoints")
        ax.xaxis.set_major_formatter(STEPS)
    axes[0].set(ylabel="height of the spike", ylim=(0, None))
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def plateau_figure(results: pd.DataFrame) -> Figure:
    """Draw, for the recipe `parity-plateau`, how long networks still needed, by where they were taken; bars: medians."""
    starts = ["fresh", *sorted(set(results["start"]) - {"fresh"})]
    figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for number, start in enumerate(starts):
        rows = results[results["start"] == start].dropna(subset="onset")
        share = rows["onset"].astype(float) / rows["plateau"].astype(float)
        colour = METHOD_COLOURS["teacher"] if start == "fresh" else METHOD_COLOURS["progressive"]
        ax.scatter(number + _lanes(share, spread=0.25), share, color=colour, s=18)
        ax.hlines(share.median(), number - 0.35, number + 0.35, color="black", linewidth=1.5)
        if start != "fresh":
            left = 1 - int(start.split("/")[0]) / int(start.split("/")[1])
            ax.scatter([number], [left], marker="_", s=900, color=PALETTE[1], zorder=3)
    ax.scatter([], [], marker="_", s=200, color=PALETTE[1], label="what the teacher itself still needed")
    ax.set_xticks(range(len(starts)), ["fresh\nnetworks", *(f"taken at\n{start}" for start in starts[1:])])
    ax.set(ylabel="updates to the end of the plateau,\nin plateaus of the teacher", ylim=(0, None))
    ax.legend(frameon=False, fontsize=9)
    return figure
