"""Tables in, axes and figures out: what teachers of sparse parity show while they learn (lesson 2)."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pdtutor.plots.axes import reported
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
    figure.legend(*lower.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
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
    """Draw the correlations by degree, one panel per `moment`, dots are monomials of a teacher, bars means."""
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
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def weights_figure(progress: pd.DataFrame, history: pd.DataFrame, *, onsets: Mapping[int, int]) -> Figure:
    """Draw what the first layer shows of the support, and accuracy, against the step as a share of the plateau.

    `progress` has the columns seed, step, size (root mean square weight of coordinates inside over outside) and product
    (what six weights do together, the support over random sets): one thin line per teacher. Shaded in the lower panel:
    where 99 % of random sets lie.
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


def after_peak_figure(after_peak: pd.DataFrame) -> Figure:
    """Draw inside minus outside since the peak, one panel per learning rate, one thin line per teacher.

    Columns: lr, seed, step (updates since the peak), height.
    """
    rates = sorted(after_peak["lr"].unique(), reverse=True)
    figure, axes = plt.subplots(1, len(rates), figsize=(10, 3.5), sharey=True, layout="constrained")
    for ax, lr in zip(np.atleast_1d(axes), rates, strict=True):
        for number, (seed, rows) in enumerate(after_peak[after_peak["lr"] == lr].groupby("seed")):
            colour = PALETTE[number % len(PALETTE)]
            ax.plot(rows["step"], rows["height"], color=colour, linewidth=1.1, marker=".", label=f"seed {seed}")
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.set(title=f"learning rate {lr:g}", xlabel="updates since the peak")
    axes[0].set(ylabel="mean |correlation|,\ninside − outside")
    axes[0].legend(frameon=False, fontsize=8, ncols=2)
    return figure


def paper_teacher_figure(
    histories: Mapping[str, pd.DataFrame],
    spikes: Mapping[str, pd.DataFrame],
    answers: Mapping[str, pd.DataFrame],
    e1: pd.DataFrame,
) -> Figure:
    """Draw teachers of the paper's problem beside its numbers, which are crosses: accuracy and spikes.

    All mappings go from a description of the teachers to their table: histories, and curricula around the peaks, of
    probabilities and of answers.
    """
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), width_ratios=[1.3, 1, 1], layout="constrained")
    colour_of = dict(zip(histories, PALETTE, strict=False))
    for name, history in histories.items():
        for number, (_, rows) in enumerate(history.groupby("seed")):
            line = {"color": colour_of[name], "linewidth": 1.1, "label": name if number == 0 else None}
            axes[0].plot(rows["step"], rows["accuracy"], **line)
    reported(e1, {"teacher": "teacher"}, ax=axes[0])
    axes[0].set(xlabel="step (updates)", ylabel="held-out accuracy")
    for ax, tables, title in ((axes[1], spikes, "probability"), (axes[2], answers, "answer (argmax)")):
        for name, table in tables.items():
            _around_peaks(table, colour=colour_of[name], label=name, ax=ax)
        rows = e1[e1["method"] == "teacher"].set_index("quantity")
        inside, outside = rows.loc["in-support |corr|"], rows.loc["off-support |corr|"]
        peak = inside["at"].iloc[0]
        cross = {"marker": "X", "s": 45, "edgecolor": "white", "linewidth": 0.6, "zorder": 4}
        ax.scatter(inside["at"] - peak, inside["value"], color=INSIDE, label="paper, inside", **cross)
        ax.scatter([-3e5, 1e6], outside["value"], color=OUTSIDE, label="paper, outside", **cross)
        ax.set_xticks(np.arange(-400_000, 1_000_001, 400_000))
        ax.set(xlim=(-5e5, 1.1e6), ylim=(0, 0.1), title=f"correlations of the {title}")
        ax.set(xlabel="step, counted from each teacher's peak", ylabel="mean |correlation|")
    axes[1].legend(frameon=False, fontsize=9)
    for ax in axes:
        ax.xaxis.set_major_formatter(STEPS)
    return figure


def _around_peaks(curriculum: pd.DataFrame, *, colour: str | tuple[float, float, float], label: str, ax: Axes) -> None:
    """Plot mean correlations inside (solid) and outside (dashed) the support, from each seed's peak on."""
    for number, (_, of_seed) in enumerate(curriculum.groupby("seed")):
        means = of_seed.groupby(["step", "inside"])["value"].mean().unstack()
        steps = means.index.to_numpy()
        since = steps - steps[(means[True] - means[False]).to_numpy().argmax()]
        ax.plot(since, means[True], color=colour, linewidth=1.1, label=label if number == 0 else None)
        ax.plot(since, means[False], color=colour, linewidth=1, linestyle="--")


def _beside(values: pd.Series, groups: pd.Series, *, factor: float) -> pd.Series:
    """Return values on a logarithmic axis moved apart within their groups, so that no dot hides another."""
    within, size = values.groupby(groups).cumcount(), values.groupby(groups).transform("size")
    return values * factor ** (within - (size - 1) / 2)


def heights(results: pd.DataFrame, *, by: str, ax: Axes | None = None) -> Axes:
    """Plot every teacher's spike, inside minus outside, against the column `by`; colour and marker say the width.

    Lines join the medians of a width. Crosses are what groups of other coordinates reach in the same way.
    """
    ax = ax or plt.gca()
    for number, width in enumerate(sorted(results["width"].unique().tolist())):
        rows, colour, marker = results[results["width"] == width], PALETTE[number], MARKERS[number]
        height, at = rows["inside"] - rows["outside"], _beside(rows[by], rows[by], factor=1.08)
        medians = height.groupby(rows[by]).median()
        ax.plot(medians.index, medians, color=colour, linewidth=1)
        dots = {"color": colour, "alpha": 0.8}
        ax.scatter(at, height, marker=marker, s=18, linewidths=0, label=f"width {width}", **dots)
        ax.scatter(at, rows["by_chance"], marker="x", s=10, linewidths=0.7, **dots)
    ax.set(xscale="log", ylim=(0, None), ylabel="height of the spike")
    return ax


def waits(
    results: pd.DataFrame, *, by: str, label: str, budget: int, ax: Axes | None = None, lines: bool = True
) -> Axes:
    """Plot every teacher's plateau against its width, one colour and marker per value of `by`; hollow: not left."""
    ax = ax or plt.gca()
    for number, (value, rows) in enumerate(results.groupby(by)):
        colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
        length, left = rows["onset"].astype(float).fillna(budget), rows["onset"].notna().to_numpy()
        at = _beside(rows["width"], rows["width"], factor=1.05)
        if lines:
            medians = length.groupby(rows["width"]).median()
            ax.plot(medians.index, medians, color=colour, linewidth=1)
        ax.scatter(at[left], length[left], color=colour, marker=marker, s=16, linewidths=0, label=f"{label} {value:g}")
        ax.scatter(at[~left], length[~left], facecolors="white", edgecolors=colour, marker=marker, s=16)
    ax.set(xscale="log", yscale="log", xlabel="hidden units")
    ax.set_xticks(sorted(results["width"].unique()), [STEPS(width) for width in sorted(results["width"].unique())])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(STEPS)
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.legend(frameon=False, fontsize=8)
    return ax


def waits_figure(grid: pd.DataFrame, at_best: pd.DataFrame, *, budget: int) -> Figure:
    """Draw the plateau's length by width: at equal rates, at equal rate × width, and at each width's best rate.

    Effective rates are rounded to 1, 3, 10, 30, …, and only those are drawn that two widths or more have.
    """
    half_decades = np.round(2 * np.log10(grid["lr"] * grid["width"])) / 2
    effective = grid.assign(product=[float(f"{10**power:.0e}") for power in half_decades])
    effective = effective[effective.groupby("product")["width"].transform("nunique") > 1]
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
    waits(grid, by="lr", label="rate", budget=budget, ax=axes[0])
    waits(effective, by="product", label="rate × width ≈", budget=budget, ax=axes[1])
    waits(at_best, by="lr", label="rate", budget=budget, ax=axes[2], lines=False)
    medians = at_best.groupby("width")["onset"].median()
    axes[2].plot(medians.index, medians, color="black", linewidth=1)
    axes[0].set(title="equal rate", ylabel="length of the plateau (updates)")
    axes[1].set(title="equal effective rate")
    axes[2].set(title="each width at its best rate")
    return figure


def heights_figure(results: pd.DataFrame, *, budget: int) -> Figure:
    """Draw, for the recipe `parity-spike`, the spike's height and the plateau's length by learning rate and width."""
    seen = results.dropna(subset="onset")
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    heights(seen, by="lr", ax=axes[0])
    axes[0].set(xlabel="learning rate")
    axes[0].legend(frameon=False, fontsize=8)
    waits(results, by="lr", label="rate", budget=budget, ax=axes[1])
    axes[1].set(ylabel="length of the plateau (updates)")
    return figure


def spacing_figure(spacings: pd.DataFrame) -> Figure:
    """Draw the spike's height against the spacing of checkpoints, one line per teacher, one panel per learning rate."""
    rates = sorted(spacings["lr"].unique())
    figure, axes = plt.subplots(1, len(rates), figsize=(11, 3.6), sharey=True, layout="constrained")
    for ax, lr in zip(np.atleast_1d(axes), rates, strict=True):
        of_rate = spacings[spacings["lr"] == lr]
        for number, (width, rows) in enumerate(of_rate.groupby("width")):
            for seed, line in rows.groupby("seed"):
                label = f"width {width}" if seed == rows["seed"].min() else None
                height = line["inside"] - line["outside"]
                style = {"color": PALETTE[number], "marker": MARKERS[number], "markersize": 3, "linewidth": 0.9}
                ax.plot(line["spacing"], height, label=label, **style)
        ax.set(xscale="log", title=f"learning rate {lr:g}", xlabel="updates between checkpoints")
        ax.set_xticks(sorted(spacings["spacing"].unique()))
        ax.xaxis.set_major_formatter(STEPS)
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set(ylabel="height of the spike", ylim=(0, None))
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def plateau_figure(results: pd.DataFrame) -> Figure:
    """Draw, for the recipe `parity-plateau`, how long networks still needed by where they were taken; bars: medians."""
    starts = ["fresh", *sorted(set(results["start"]) - {"fresh"})]
    figure, ax = plt.subplots(figsize=(10, 4), layout="constrained")
    for number, start in enumerate(starts):
        rows = results[results["start"] == start].dropna(subset="onset")
        share, same = rows["onset"].astype(float) / rows["plateau"].astype(float), "other" not in start
        colour = METHOD_COLOURS["progressive"] if start != "fresh" and same else METHOD_COLOURS["teacher"]
        offsets = np.linspace(-0.25, 0.25, len(share))
        ax.scatter(number + offsets, share, color=colour, s=18, marker="o" if same else "x")
        ax.hlines(share.median(), number - 0.35, number + 0.35, color="black", linewidth=1.5)
        if start != "fresh" and same:
            quarter, whole = map(int, start.split("/"))
            ax.scatter([number], [1 - quarter / whole], marker="_", s=900, color=PALETTE[1], zorder=3)
    ax.scatter([], [], marker="_", s=200, color=PALETTE[1], label="what the teacher itself still needed")
    names = [f"taken at\n{start}".replace(", ", ",\n") for start in starts[1:]]
    ax.set_xticks(range(len(starts)), ["fresh\nnetworks", *names])
    ax.set(ylabel="updates to the end of the plateau,\nin plateaus of the teacher", yscale="log")
    ax.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.legend(frameon=False, fontsize=9)
    return figure
