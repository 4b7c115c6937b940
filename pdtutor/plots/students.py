"""Figures of lesson 3: students by their first checkpoint, by temperature, and at the paper's size."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pdtutor.plots.look import INSIDE, METHOD_COLOURS, OUTSIDE, PALETTE, STEPS

PHASES = {  # of a teacher, by its accuracy: marker, from, to
    "plateau (below 0.53)": ("^", 0.0, 0.53),
    "transition": ("o", 0.53, 0.99),
    "after (0.99 or more)": ("s", 0.99, 2.0),
}
PHASE_COLOURS = {"^": "0.35", "o": METHOD_COLOURS["(2,T)"], "s": METHOD_COLOURS["one-shot"]}
X_LABELS = {
    "correlation": "|correlation| with p(y = 1 | x), inside − outside",
    "hard": "|correlation| with C₁'s argmax, inside − outside",
    "signal": "gradient's signal-to-noise ratio, inside − outside",
}


def steps_by_predictor(candidates: pd.DataFrame, *, predictor: str, budget: int, ax: Axes | None = None) -> Axes:
    """Plot each student's steps to learn against what its C₁ says of the support, by the phase of C₁'s teacher.

    `candidates` is the table of the recipe `parity-first-checkpoint`; predictor is one of its columns correlation,
    hard and signal. Hollow at the budget: not learned within it.
    """
    ax = ax or plt.gca()
    for name, (marker, low, high) in PHASES.items():
        rows = candidates[(candidates["teacher"] >= low) & (candidates["teacher"] < high)]
        steps, reached = rows["steps"].astype(float).fillna(budget), rows["reached"].to_numpy()
        look = {"marker": marker, "s": 26, "linewidths": 0.9, "edgecolors": PHASE_COLOURS[marker]}
        ax.scatter(rows[predictor][~reached], steps[~reached], facecolors="none", alpha=0.7, **look)
        ax.scatter(
            rows[predictor][reached], steps[reached], facecolors=PHASE_COLOURS[marker], alpha=0.7, label=name, **look
        )
    if predictor == "signal":
        ax.set_xscale("symlog", linthresh=float(candidates[predictor].max()) / 20)
        ax.tick_params(axis="x", labelsize=9)
    ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.axhline(budget, color="0.6", linestyle=":", linewidth=1, zorder=0)
    ax.set(xlabel=X_LABELS[predictor], ylabel="student's steps to learn", ylim=(0, 1.08 * budget))
    ax.yaxis.set_major_formatter(STEPS)
    return ax


def predictors_figure(candidates: pd.DataFrame, *, budget: int) -> Figure:
    """Draw `steps_by_predictor` for the argmax's correlation and for the gradient's signal-to-noise ratio."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for ax, predictor in zip(axes, ("hard", "signal"), strict=True):
        steps_by_predictor(candidates, predictor=predictor, budget=budget, ax=ax)
    axes[1].set(ylabel="")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, title="teacher's accuracy at C₁ (hollow: not within the budget, dotted)", ncols=3,
                  loc="lower center", bbox_to_anchor=(0.5, 0.97), frameon=False)  # fmt: skip
    figure.tight_layout()
    return figure


def accuracy_by_seed(
    history: pd.DataFrame, *, colour=METHOD_COLOURS["(2,T)"], dashes: str | tuple = "-", ax: Axes | None = None,
    label: str | None = None, width: float = 1.0,
) -> Axes:  # fmt: skip
    """Plot held-out accuracy against the step, one thin line per seed, each to its own last step."""
    ax = ax or plt.gca()
    for _, of_seed in history.groupby("seed"):
        ax.plot(of_seed["step"], of_seed["accuracy"], color=colour, linestyle=dashes, linewidth=width, label=label)
        label = None  # one entry in the legend
    ax.set(xlabel="step (optimizer updates)", ylabel="held-out accuracy", ylim=(0.44, 1.02))
    ax.xaxis.set_major_formatter(STEPS)
    return ax


def controls_figure(history: pd.DataFrame, *, first: int, columns: int = 4) -> Figure:
    """Draw the accuracies of the controls of C₁, a panel per method and a line per seed; dotted: the switch at T."""
    methods = list(dict.fromkeys(history["method"]))
    columns = min(columns, len(methods))
    shape = -(-len(methods) // columns), columns
    figure, axes = plt.subplots(
        *shape, figsize=(2.6 * columns, 2.6 * shape[0]), sharex=True, sharey=True, squeeze=False
    )
    for ax, method in zip(axes.flat, methods, strict=False):
        accuracy_by_seed(history[history["method"] == method], ax=ax)
        ax.axvline(first, color="0.4", linestyle=":", linewidth=1)
        ax.set_title(method, fontsize=11)
        ax.set(xlabel="step", ylabel="held-out accuracy" if ax is axes[0, 0] else "")
    for ax in axes.flat[len(methods) :]:
        ax.set_visible(False)
    figure.tight_layout()
    return figure


def temperature_figure(by_seed: pd.DataFrame, *, budget: int) -> Figure:
    """Draw the steps to learn by temperature, a panel per schedule, and those of the changed warm teachers.

    `by_seed` is a table of the recipe `parity-temperature`. One dot per student, with the learning rate; hollow at the
    budget (dotted): not learned within it.
    """
    table = by_seed.assign(
        group=[name.split(", τ = ")[0] if ", τ = " in name else "changed teachers" for name in by_seed["method"]],
        short=[name.split(", ")[-1] for name in by_seed["method"]],
    )
    order = ["one-shot", "progressive", "(2,T)", "changed teachers"]
    groups = [group for group in order if (table["group"] == group).any()]
    rows = table.groupby("group")["short"].nunique()
    heights = [rows[group] for group in groups]
    figure, axes = plt.subplots(
        len(groups), 1, figsize=(8, 0.36 * sum(heights) + 1.2), sharex=True, height_ratios=heights, squeeze=False
    )
    for ax, group in zip(axes[:, 0], groups, strict=True):
        of_group = table[table["group"] == group]
        names = list(dict.fromkeys(of_group["short"]))
        if names[0].startswith("τ = "):
            names.sort(key=lambda name: float(name.removeprefix("τ = ")))
        colour = METHOD_COLOURS.get(group, METHOD_COLOURS["one-shot"])
        for row, name in enumerate(names):
            found = of_group[of_group["short"] == name]
            steps, reached = found["steps"].astype(float).fillna(budget), found["reached"].to_numpy()
            places = row + np.linspace(-0.22, 0.22, len(found))
            ax.scatter(steps[reached], places[reached], color=colour, s=26)
            ax.scatter(steps[~reached], places[~reached], facecolors="none", edgecolors=colour, s=26)
        rates = of_group.groupby("short", sort=False)["rate"].first()
        ax.set_yticks(range(len(names)), [f"{name}  (rate {rates[name]:g})" for name in names], fontsize=10)
        ax.axvline(budget, color="0.5", linestyle=":", linewidth=1, zorder=0)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_title(group, fontsize=11, loc="left")
        ax.grid(axis="x", alpha=0.3)
    axes[-1, 0].set(xlabel="steps to learn (hollow: not within the budget, dotted)", xlim=(0, 1.04 * budget))
    axes[-1, 0].xaxis.set_major_formatter(STEPS)
    figure.tight_layout()
    return figure


def by_checkpoint_figure(candidates: pd.DataFrame, *, budget: int, columns: int = 3) -> Figure:
    """Draw each student's steps to learn by its C₁, a panel per teacher, in the marks of the teacher's phase at C₁.

    `candidates` is as for `steps_by_predictor`; the vertical axis is the student's, the horizontal the teacher's.
    """
    seeds = sorted(candidates["seed"].unique())
    shape = -(-len(seeds) // columns), columns
    figure, axes = plt.subplots(
        *shape, figsize=(3.2 * columns, 2.2 * shape[0]), sharex=True, sharey=True, squeeze=False
    )
    for ax, seed in zip(axes.flat, seeds, strict=False):
        of_seed = candidates[candidates["seed"] == seed]
        for name, (marker, low, high) in PHASES.items():
            rows = of_seed[(of_seed["teacher"] >= low) & (of_seed["teacher"] < high)]
            steps, reached = rows["steps"].astype(float).fillna(budget), rows["reached"].to_numpy()
            look = {"marker": marker, "s": 26, "linewidths": 0.9, "edgecolors": PHASE_COLOURS[marker]}
            ax.scatter(rows["checkpoint"][~reached], steps[~reached], facecolors="none", **look)
            ax.scatter(
                rows["checkpoint"][reached], steps[reached], facecolors=PHASE_COLOURS[marker], label=name, **look
            )
        ax.axhline(budget, color="0.6", linestyle=":", linewidth=1, zorder=0)
        ax.set_title(f"teacher {seed}", fontsize=10)
        ax.xaxis.set_major_formatter(STEPS)
        ax.yaxis.set_major_formatter(STEPS)
    axes[0, 0].set_ylim(0, 1.08 * budget)
    figure.supxlabel("teacher's step: the checkpoint C₁", fontsize=11)
    figure.supylabel("student's steps to learn", fontsize=11)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="teacher's accuracy at C₁ (hollow: not within the budget, dotted)", ncols=3,
                  loc="lower center", bbox_to_anchor=(0.5, 0.98), frameon=False)  # fmt: skip
    figure.tight_layout()
    return figure


def signal_figure(candidates: pd.DataFrame, *, batch_size: int, columns: int = 3) -> Figure:
    """Draw the signal-to-noise ratio of a student's first batch by C₁, inside and outside, a panel per teacher.

    `candidates` is as for `steps_by_predictor`; batch_size is that of the students. Where a ratio is estimated below
    zero or below a millionth it is drawn at a millionth.
    """
    seeds = sorted(candidates["seed"].unique())
    shape = -(-len(seeds) // columns), columns
    figure, axes = plt.subplots(
        *shape, figsize=(3.2 * columns, 2.2 * shape[0]), sharex=True, sharey=True, squeeze=False
    )
    for ax, seed in zip(axes.flat, seeds, strict=False):
        of_seed = candidates[candidates["seed"] == seed].sort_values("checkpoint")
        for name, column, colour, dashes in (
            ("inside the support", "signal_inside", INSIDE, "-"),
            ("outside", "signal_outside", OUTSIDE, "--"),
        ):
            ratio = (batch_size * of_seed[column]).clip(lower=1e-6)
            ax.plot(of_seed["checkpoint"], ratio, color=colour, linestyle=dashes, linewidth=1.3, label=name)
        learned = of_seed["reached"].to_numpy()
        marks = (batch_size * of_seed["signal_inside"]).clip(lower=1e-6)
        ax.scatter(of_seed["checkpoint"][learned], marks[learned], color=INSIDE, s=16, label="its student learned")
        ax.set_title(f"teacher {seed}", fontsize=10)
        ax.xaxis.set_major_formatter(STEPS)
    axes[0, 0].set(yscale="log")
    figure.supxlabel("teacher's step: the checkpoint C₁", fontsize=11)
    figure.supylabel("signal-to-noise ratio of one batch", fontsize=11)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 0.98), frameon=False)
    figure.tight_layout()
    return figure


WHOLE_RUN = {"teacher": "teacher", "progressive": "progressive", "one-shot": "one-shot", "cross-entropy": "labels"}
TWO_SHOT = {  # method: title, the paper's name, colour, dashes
    "(2,T), C₁ early": ("C₁ half a million too early", "(2,1M) C1=9.7M", PALETTE[4], (0, (1, 1.2))),
    "(2,T)": ("C₁ at the spike", "(2,1M) C1=10.2M", METHOD_COLOURS["(2,T)"], "-"),
    "(2,T), C₁ late": ("C₁ 600k too late", "(2,1M) C1=10.8M", PALETTE[1], (0, (5, 2))),
}


def _crosses(e1: pd.DataFrame, method: str, ax: Axes, *, horizon: float) -> None:
    """Draw the paper's accuracies of one method as crosses; those without a step at the horizon, "throughout"."""
    rows = e1[(e1["quantity"] == "accuracy") & (e1["method"] == method)]
    ax.scatter(rows["at"].fillna(horizon), rows["value"], color="0.2", marker="X", s=42, edgecolor="white",
               linewidth=0.6, zorder=4, label="paper")  # fmt: skip


def whole_run_figure(history: pd.DataFrame, e1: pd.DataFrame, *, exact: pd.DataFrame | None = None) -> Figure:
    """Draw E1 at the paper's size, a panel per supervision and a thin line per seed; crosses: the paper.

    `exact`, likewise a history, is of teachers as wide as the paper's: drawn thick. A dotted line marks where the
    longest run of a panel ended.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 5.6), sharex=True, sharey=True)
    start = history["step"].max() / 100
    for ax, (method, title) in zip(axes.flat, WHOLE_RUN.items(), strict=True):
        rows = history[(history["method"] == method) & (history["step"] >= start)]
        colour = METHOD_COLOURS[method]
        accuracy_by_seed(rows, colour=colour, ax=ax, label="ours, teacher's width 1000")
        if exact is not None and len(wide := exact[(exact["method"] == method) & (exact["step"] >= start)]):
            accuracy_by_seed(wide, colour=colour, ax=ax, label="ours, width 50 000", width=2.4, dashes=(0, (3, 1)))
        _crosses(e1, method, ax, horizon=np.nan)
        ax.axvline(rows["step"].max(), color="0.5", linestyle=":", linewidth=1)
        ax.set_title(title, fontsize=11)
        ax.set(xscale="log", xlabel="", ylabel="")
        ax.xaxis.set_major_formatter(STEPS)
        ax.legend(frameon=False, fontsize=8, loc="center left")
    figure.supxlabel("step (optimizer updates; dotted: the longest run ends)", fontsize=11)
    figure.supylabel("held-out accuracy", fontsize=11)
    figure.tight_layout()
    return figure


def two_shot_figure(
    history: pd.DataFrame, e1: pd.DataFrame, *, first: int, exact: pd.DataFrame | None = None, until: int | None = None
) -> Figure:
    """Draw (2,T) at the paper's size, a panel per C₁ and a thin line per seed; dotted: the switch at T = first."""
    shown = [method for method in TWO_SHOT if (history["method"] == method).any()]
    figure, axes = plt.subplots(1, len(shown), figsize=(3.3 * len(shown), 3.2), sharey=True, squeeze=False)
    until = until or int(history.loc[history["method"].isin(shown), "step"].max())
    for ax, method in zip(axes[0], shown, strict=True):
        title, name, colour, dashes = TWO_SHOT[method]
        rows = history[(history["method"] == method) & (history["step"] <= until)]
        accuracy_by_seed(rows, colour=colour, dashes=dashes, ax=ax, label="ours, by seed")
        if exact is not None and len(wide := exact[(exact["method"] == method) & (exact["step"] <= until)]):
            accuracy_by_seed(wide, colour=colour, dashes=dashes, ax=ax, label="ours, width 50 000", width=2.6)
        _crosses(e1, name, ax, horizon=until)
        ax.axvline(first, color="0.4", linestyle=":", linewidth=1)
        ax.set_title(title, fontsize=11)
        ax.set(xlabel="student's step", ylabel="held-out accuracy" if ax is axes[0, 0] else "")
        ax.legend(frameon=False, fontsize=8, loc="lower right" if method == "(2,T)" else "center right")
    figure.tight_layout()
    return figure


def students_curriculum_figure(curriculum: pd.DataFrame) -> Figure:
    """Draw the mean correlations of students inside and outside the support, a panel per method, a line per seed.

    `curriculum` is that of `over`, with a column `method`.
    """
    methods = list(dict.fromkeys(curriculum["method"]))
    figure, axes = plt.subplots(1, len(methods), figsize=(3.3 * len(methods), 3.2), sharey=True, squeeze=False)
    for ax, method in zip(axes[0], methods, strict=True):
        of_method = curriculum[curriculum["method"] == method]
        for inside, colour, dashes, label in ((True, INSIDE, "-", "inside"), (False, OUTSIDE, "--", "outside")):
            for _, of_seed in of_method[of_method["inside"] == inside].groupby("seed"):
                mean = of_seed.groupby("step")["value"].mean()
                ax.plot(mean.index, mean, color=colour, linestyle=dashes, linewidth=1.1, label=label)
                label = None
        floor = of_method.groupby("step")["noise_floor"].mean()
        ax.plot(floor.index, floor, color="black", linestyle=":", linewidth=1, label="noise floor")
        ax.set_title(method, fontsize=11)
        ax.set(xlabel="student's step", ylabel="mean |correlation|" if ax is axes[0, 0] else "")
        ax.xaxis.set_major_formatter(STEPS)
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 0].legend(frameon=False, fontsize=9)
    figure.tight_layout()
    return figure


def coordinates_figure(tables: Mapping[str, pd.DataFrame], *, column: str, ylabel: str) -> Figure:
    """Draw one bar per coordinate, a panel per table of `first_gradient`; hatched and coloured: inside the support."""
    figure, axes = plt.subplots(1, len(tables), figsize=(3.3 * len(tables), 2.8), sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        for inside, colour, hatch, label in ((True, INSIDE, "///", "inside"), (False, OUTSIDE, "", "outside")):
            rows = table[table["inside"] == inside]
            ax.bar(rows["coordinate"], rows[column], color=colour, hatch=hatch, edgecolor="white", label=label)
        ax.set_title(name, fontsize=11)
        ax.set(xlabel="coordinate", ylabel=ylabel if ax is axes[0, 0] else "")
    axes[0, 0].legend(frameon=False, fontsize=9)
    figure.tight_layout()
    return figure
