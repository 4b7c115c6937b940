"""Tables in, figures out: plots that belong together."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pdtutor.plots.axes import (
    accuracy,
    correlations,
    node_curves,
    node_steps,
    regret_by_rule,
    reported,
    steps_by_agreement,
)
from pdtutor.plots.look import METHOD_COLOURS, STEPS


def teacher_figure(history: pd.DataFrame, curriculum: pd.DataFrame) -> Figure:
    """Draw, for each teacher seed, the accuracy and, below it, the degree-1 correlations."""
    seeds = list(dict.fromkeys(history["seed"]))
    size = (4.2 * len(seeds), 5.5)
    figure, axes = plt.subplots(2, len(seeds), figsize=size, sharex=True, sharey="row", squeeze=False)
    for column, seed in enumerate(seeds):
        accuracy(history[history["seed"] == seed].assign(method="teacher"), ax=axes[0, column])
        axes[0, column].set(title=f"seed {seed}", xlabel="")
        correlations(curriculum[curriculum["seed"] == seed], ax=axes[1, column])
        for ax in axes[:, column][: 2 if column else 0]:
            ax.get_legend().remove()
    axes[1, 0].set_ylim(0, 1.05 * curriculum["value"].max())
    figure.tight_layout()
    return figure


def accuracy_figure(history: pd.DataFrame) -> Figure:
    """Draw the accuracy of each method against the step."""
    figure, ax = plt.subplots(figsize=(9, 4))
    accuracy(history, ax=ax)
    sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), title=None, frameon=False)
    return figure


def which_checkpoint_figure(
    found: pd.DataFrame, teacher_history: pd.DataFrame, curriculum: pd.DataFrame, *, budget: int
) -> Figure:
    """Draw, for each seed, the student's steps to learn by C₁ and, below, the teacher's accuracy and correlations."""
    seeds = list(dict.fromkeys(found["seed"]))
    size, heights = (4.2 * len(seeds), 7), [1.4, 1, 1]
    figure, axes = plt.subplots(
        3, len(seeds), figsize=size, sharex=True, sharey="row", squeeze=False, height_ratios=heights
    )
    for column, seed in enumerate(seeds):
        ax = axes[0, column]
        of_seed = found[found["seed"] == seed]
        steps, reached = of_seed["steps"].astype(float).fillna(budget), of_seed["reached"].to_numpy()
        colour = METHOD_COLOURS["(2,T)"]
        ax.plot(of_seed["checkpoint"], steps, color=colour, linewidth=1, alpha=0.5, zorder=1)
        ax.scatter(of_seed["checkpoint"][reached], steps[reached], color=colour, s=30, label="learned")
        hollow = {"facecolors": "white", "edgecolors": colour}
        ax.scatter(of_seed["checkpoint"][~reached], steps[~reached], s=30, label="not within the budget", **hollow)
        ax.yaxis.set_major_formatter(STEPS)
        ax.set(title=f"seed {seed}", ylim=(0, budget * 1.1), ylabel="student's steps to learn" if column == 0 else "")
        accuracy(teacher_history[teacher_history["seed"] == seed].assign(method="teacher"), ax=axes[1, column])
        axes[1, column].set(ylabel="teacher's accuracy" if column == 0 else "")
        axes[1, column].get_legend().remove()
        correlations(curriculum[curriculum["seed"] == seed], ax=axes[2, column])
        axes[2, column].set(xlabel="teacher's step: the checkpoint C₁", ylabel="|correlation|" if column == 0 else "")
        if column:
            axes[2, column].get_legend().remove()
    axes[0, 0].legend(frameon=False)
    axes[2, 0].set_ylim(0, 1.05 * curriculum["value"].max())
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def choose_figure(students: pd.DataFrame, by_seed: pd.DataFrame) -> Figure:
    """Draw, for each setting, steps to learn by C₁'s agreement with the final checkpoint and, below, rules' regrets.

    The tables are those of the recipe `parity-choose-checkpoint`. A hollow dot in the upper row is a student that
    didn't learn within the budget; in the lower row, a choice of C₁ with which not all students learned.
    """
    settings = list(dict.fromkeys(students["setting"]))
    size = (2.2 * len(settings) + 1.3, 6)
    figure, axes = plt.subplots(2, len(settings), figsize=size, squeeze=False)
    for column, setting in enumerate(settings):
        of_setting = students[students["setting"] == setting]
        steps_by_agreement(of_setting, ax=axes[0, column])
        axes[0, column].set_title(setting.replace("), ", ")\n").replace(", T", "\nT"), fontsize=11)
        regret_by_rule(by_seed[by_seed["setting"] == setting], ax=axes[1, column])
        if column:
            axes[0, column].set(ylabel="")
            axes[1, column].set(yticklabels=[])
    middle = (len(settings) - 1) // 2  # one label for each row is enough
    for ax in [*axes[:, :middle].flat, *axes[:, middle + 1 :].flat]:
        ax.set(xlabel="")
    figure.align_labels()
    figure.tight_layout()
    return figure


def paper_size_figure(
    history: pd.DataFrame, spike: pd.DataFrame, e1: pd.DataFrame, *, correlated: str = "answer"
) -> Figure:
    """Draw E1 with the paper's numbers: accuracies by seed; below, correlations around the spikes, and (2,T) by C₁.

    `spike` is a curriculum with a column `from_spike`: the steps since the spike of the same seed; `correlated` names
    what was correlated with the coordinates.
    """
    figure = plt.figure(figsize=(11, 7.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[1.1, 1])
    above = figure.add_subplot(grid[0, :])
    left, right = (figure.add_subplot(grid[1, column]) for column in (0, 1))
    whole = history[history["method"].isin(["teacher", "cross-entropy", "one-shot", "progressive"])]
    start = whole["step"].max() / 100
    accuracy(whole[whole["step"] >= start], ax=above, by_seed=True)
    reported(e1, {name: name for name in dict.fromkeys(whole["method"])}, ax=above)
    above.set(xscale="log", title="the whole run")
    above.xaxis.set_major_formatter(STEPS)
    correlations(spike.assign(step=spike["from_spike"]), ax=left)
    left.set(xlabel="teacher's step, counted from its spike", ylabel="|correlation|")
    left.set(title=f"correlations of the teacher's {correlated}")
    two = history[history["method"].str.startswith("(2,T)")]
    accuracy(two, ax=right, by_seed=True)
    reported(e1, {"(2,1M) C1=10.2M": "(2,T)"}, ax=right)
    right.set(title="(2,T) by its first checkpoint")
    return figure


def samples_figure(history: pd.DataFrame) -> Figure:
    """Draw the samples until the support stands out against d, on logarithmic axes, one line per supervision."""
    figure, ax = plt.subplots(figsize=(6, 4))
    band = {"estimator": "median", "errorbar": ("pi", 100)}
    sns.lineplot(history.dropna(), x="d", y="samples", hue="supervision", marker="o", ax=ax, **band)
    ax.set(xscale="log", yscale="log", xlabel="coordinates d", ylabel="samples until the support stands out")
    ax.legend(title=None, frameon=False)
    return figure


def nodes_figure(history: pd.DataFrame, curriculum: pd.DataFrame) -> Figure:
    """Draw, for each teacher seed, the accuracy and each node's correlations with its parity and its coordinates."""
    seeds = list(dict.fromkeys(history["seed"]))
    size = (4.2 * len(seeds), 7.5)
    figure, axes = plt.subplots(3, len(seeds), figsize=size, sharex=True, sharey="row", squeeze=False)
    leaves = 2 ** (int(curriculum["depth"].max()) + 1)
    rows = ["held-out accuracy", "|corr| with the\nnode's own parity", "mean |corr| with\nits coordinates"]
    for column, seed in enumerate(seeds):
        of_seed = curriculum[curriculum["seed"] == seed]
        accuracy(history[history["seed"] == seed].assign(method="teacher"), ax=axes[0, column])
        axes[0, column].set(title=f"seed {seed}", ylim=(0, 1.02), yticks=np.linspace(0, 1, 5))
        axes[0, column].set_yticks(np.arange(1, leaves + 1) / leaves, minor=True)  # one line per leaf
        axes[0, column].grid(axis="y", which="both", alpha=0.4)
        node_curves(of_seed, degree=of_seed["degree"].max(), ax=axes[1, column])
        node_curves(of_seed, degree=1, ax=axes[2, column])
        for row, ax in enumerate(axes[:, column]):
            ax.set(ylabel=rows[row] if column == 0 else "", xlabel=ax.get_xlabel() if row == 2 else "")
            if row != 1 or column:
                ax.get_legend().remove()
    axes[1, 0].set_ylim(0, 0.52)
    figure.align_ylabels()
    figure.tight_layout()
    return figure


def node_steps_figure(history: pd.DataFrame, nodes: pd.DataFrame, *, budget: int) -> Figure:
    """Draw the accuracies by method and, below, the steps at which each node was learned."""
    figure, axes = plt.subplots(2, 1, figsize=(9, 7), sharex=True)
    accuracy(history, ax=axes[0])
    axes[0].set(xlabel="")
    node_steps(nodes, budget=budget, ax=axes[1])
    for ax in axes:
        sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), title=None, frameon=False)
    figure.tight_layout()
    return figure
