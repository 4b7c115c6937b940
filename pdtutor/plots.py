"""Tables in, axes out. Colours and names of methods are the same in every figure of the course."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator

_COLOURS = sns.color_palette("colorblind")
METHOD_COLOURS = {
    "teacher": (0.45, 0.45, 0.45),
    "cross-entropy": (0.0, 0.0, 0.0),
    "one-shot": _COLOURS[1],
    "progressive": _COLOURS[0],
    "(2,T)": _COLOURS[2],
}
METHOD_DASHES = {"cross-entropy": (1, 1.5), "teacher": (4, 2)}  # one-shot may lie exactly on cross-entropy
STEPS = EngFormatter(sep="")  # 12k, 20M
INSIDE, OUTSIDE = _COLOURS[3], _COLOURS[7]


def style() -> None:
    """Set the look of all figures."""
    sns.set_theme(style="ticks", context="notebook", palette="colorblind")
    plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100}


def colours(methods: list[str]) -> dict:
    """Return one colour per method: its own, that of the method before ", τ", or one of the rest of the palette."""
    spare = iter(c for c in _COLOURS * 4 if c not in METHOD_COLOURS.values())
    own = {method: METHOD_COLOURS.get(method.split(", τ")[0]) for method in methods}
    return {method: colour or next(spare) for method, colour in own.items()}


def accuracy(history: pd.DataFrame, *, ax: Axes | None = None, hue: str = "method") -> Axes:
    """Plot held-out accuracy against the step, one line per method: the median over seeds, the band from min to max.

    Runs that stopped early because they had learned keep their last value to the end of the longest.
    """
    ax = ax or plt.gca()
    wide = history.pivot_table(index="step", columns=[hue, "seed"], values="accuracy", sort=False).sort_index()
    long = wide.ffill().melt(ignore_index=False, value_name="accuracy").reset_index()
    methods = sorted(dict.fromkeys(history[hue]), key=lambda method: method in METHOD_DASHES)  # dashed ones on top
    sns.lineplot(
        long,
        x="step",
        y="accuracy",
        hue=hue,
        hue_order=methods,
        style=hue,
        style_order=methods,
        dashes={method: METHOD_DASHES.get(method, "") for method in methods},
        palette=colours(methods),
        estimator="median",
        errorbar=("pi", 100),
        err_kws={"alpha": 0.15, "linewidth": 0},
        ax=ax,
    )
    ax.set(xlabel="step (optimizer updates)", ylabel="held-out accuracy", ylim=(min(0.45, wide.min(axis=None)), 1.02))
    ax.xaxis.set_major_formatter(STEPS)
    ax.legend(title=None, frameon=False)
    return ax


def correlations(curriculum: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot |corr| of monomials inside and outside the support against the step: mean, and band from min to max."""
    ax = ax or plt.gca()
    named = curriculum.assign(monomials=np.where(curriculum["inside"], "inside the support", "outside"))
    sns.lineplot(
        named,
        x="step",
        y="value",
        hue="monomials",
        hue_order=["inside the support", "outside"],
        palette=[INSIDE, OUTSIDE],
        errorbar=("pi", 100),
        err_kws={"alpha": 0.2, "linewidth": 0},
        ax=ax,
    )
    floor = curriculum.groupby("step")["noise_floor"].mean()
    ax.plot(floor.index, floor, color="black", linestyle=":", linewidth=1, label="noise floor (1 s.d.)")
    ax.set(xlabel="step (optimizer updates)", ylabel="|correlation| with p(y = 1 | x)", ylim=(0, None))
    ax.xaxis.set_major_formatter(STEPS)
    ax.legend(title=None, frameon=False)
    return ax


def depth_colours(table: pd.DataFrame) -> dict[int, tuple]:
    """Return one colour per depth of the tree of hierarchical parity, from dark at the root to light."""
    return dict(enumerate(sns.color_palette("viridis", table["depth"].max() + 1)))


def node_curves(curriculum: pd.DataFrame, *, degree: int, ax: Axes | None = None) -> Axes:
    """Plot |corr| of one degree against the step, one line per node: the mean over its monomials, coloured by depth.

    Dotted: sets that miss every support, at the deepest nodes, which the fewest examples pass.
    """
    ax = ax or plt.gca()
    of_degree = curriculum[curriculum["degree"] == degree]
    shades = depth_colours(of_degree)
    for (depth, _), of_node in of_degree[of_degree["inside"]].groupby(["depth", "node"]):
        means = of_node.groupby("step")["value"].mean()
        label = "root" if depth == 0 else f"depth {depth}"
        seen = ax.get_legend_handles_labels()[1]
        ax.plot(means.index, means, color=shades[depth], linewidth=1.5, label=None if label in seen else label)
    deepest = of_degree[~of_degree["inside"] & (of_degree["depth"] == max(shades))].groupby("step")["value"].mean()
    ax.plot(deepest.index, deepest, color=OUTSIDE, linestyle=":", label="outside")
    ax.set(xlabel="step (optimizer updates)", ylabel="|correlation|", ylim=(0, None))
    ax.xaxis.set_major_formatter(STEPS)
    ax.legend(title=None, frameon=False)
    return ax


def node_steps(nodes: pd.DataFrame, *, budget: int, ax: Axes | None = None) -> Axes:
    """Plot when each node was learned, a dot per node and seed, by method and depth; hollow at the budget if never."""
    ax = ax or plt.gca()
    methods, shades = list(dict.fromkeys(nodes["method"])), depth_colours(nodes)
    lanes = np.linspace(-0.25, 0.25, len(shades)) if len(shades) > 1 else [0.0]
    for (method, depth), found in nodes.groupby(["method", "depth"]):
        steps, never = found["step"].astype(float).fillna(budget), found["step"].isna().to_numpy()
        offsets = methods.index(method) + lanes[depth] + np.linspace(-0.08, 0.08, len(steps))
        colour = shades[depth]
        ax.scatter(steps[~never], offsets[~never], color=colour, s=24, alpha=0.8, linewidths=0)
        ax.scatter(steps[never], offsets[never], facecolors="none", edgecolors=colour, s=24)
    for depth, colour in shades.items():
        ax.scatter([], [], color=colour, s=24, label="root" if depth == 0 else f"depth {depth}")
    ax.set(xlabel="step at which the node is learned (hollow: never)", yticks=range(len(methods)))
    ax.set_yticklabels(methods)
    ax.xaxis.set_major_formatter(STEPS)
    ax.invert_yaxis()
    ax.legend(frameon=False)
    return ax


def staircase(tables: Mapping[str, pd.DataFrame], *, steps: int, ax: Axes | None = None) -> Axes:
    """Plot which checkpoint teaches at which student step: schedule name → its `table`."""
    ax = ax or plt.gca()
    shades = colours(list(tables))
    for name, table in tables.items():
        x = [*table["student_step"], steps]
        y = [*table["teacher_step"], table["teacher_step"].iloc[-1]]
        ax.step(x, y, where="post", label=name, color=shades[name], linewidth=2)
    ax.set(xlabel="student step", ylabel="teacher checkpoint (step)", ylim=(0, None))
    ax.xaxis.set_major_formatter(STEPS)
    ax.yaxis.set_major_formatter(STEPS)
    ax.legend(frameon=False)
    return ax


def steps_to_threshold(found: pd.DataFrame, *, budget: int, ax: Axes | None = None) -> Axes:
    """Plot the steps to the threshold of a `results` table, a dot per seed; hollow at the budget if never reached."""
    ax = ax or plt.gca()
    methods = list(dict.fromkeys(found["method"]))
    shades = colours(methods)
    for row, method in enumerate(methods):
        of_method = found[found["method"] == method]
        steps = of_method["steps"].astype(float).fillna(budget)
        offsets = row + np.linspace(-0.15, 0.15, len(steps))
        reached = of_method["reached"].to_numpy()
        ax.scatter(steps[reached], offsets[reached], color=shades[method], s=50, zorder=3)
        ax.scatter(steps[~reached], offsets[~reached], facecolors="none", edgecolors=shades[method], s=50, zorder=3)
    ax.set(xscale="log", xlabel="steps to the threshold (hollow: not within the budget)", yticks=range(len(methods)))
    ax.set_yticklabels(methods)
    ax.xaxis.set_major_formatter(STEPS)
    ax.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    ax.xaxis.set_minor_formatter(STEPS)
    ax.invert_yaxis()
    ax.grid(axis="x", which="both", alpha=0.3)
    return ax


def teacher_figure(history: pd.DataFrame, curriculum: pd.DataFrame) -> Figure:
    """Draw, for each teacher seed, the accuracy above the degree-1 correlations."""
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
    """Draw the accuracies by method."""
    figure, ax = plt.subplots(figsize=(9, 4))
    accuracy(history, ax=ax)
    sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), title=None, frameon=False)
    return figure


def which_checkpoint_figure(
    found: pd.DataFrame, teacher_history: pd.DataFrame, curriculum: pd.DataFrame, *, budget: int
) -> Figure:
    """Draw, for each seed, the student's steps to learn by C₁ above the teacher's accuracy and correlations."""
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
    """Draw, for each setting, steps to learn by C₁'s agreement with the final checkpoint, above the rules' regrets.

    Tables are those of the recipe `parity-choose-checkpoint`. A hollow dot is a student that didn't learn within the
    budget, and below a choice whose students didn't all learn.
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


def steps_by_agreement(students: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot each student's steps to learn against its C₁'s agreement with the final checkpoint, a dot per student."""
    ax = ax or plt.gca()
    budget, colour = students["budget"].iloc[0], METHOD_COLOURS["(2,T)"]
    steps, reached = students["steps"].astype(float).fillna(budget), students["reached"].to_numpy()
    ax.axvline(0.25, color="0.6", linestyle=":", linewidth=1.5, zorder=0)
    hollow = {"facecolors": "none", "edgecolors": colour, "alpha": 0.5}
    ax.scatter(students["agreement"][~reached], steps[~reached], s=16, linewidths=0.8, **hollow)
    ax.scatter(students["agreement"][reached], steps[reached], s=16, color=colour, alpha=0.6, linewidths=0)
    ax.set(xlabel="C₁'s agreement with the final checkpoint", ylabel="student's steps to learn")
    ax.set(xlim=(-0.06, 1.06), ylim=(0, 1.08 * budget))
    ax.yaxis.set_major_formatter(STEPS)
    return ax


def regret_by_rule(by_seed: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot the regret of each rule, a dot per teacher; hollow if not all students of its choice learned."""
    ax = ax or plt.gca()
    rules = list(dict.fromkeys(by_seed["rule"]))
    for row, rule in enumerate(rules):
        of_rule = by_seed[by_seed["rule"] == rule]
        colour = {"agreement": METHOD_COLOURS["(2,T)"], "one-shot": METHOD_COLOURS["one-shot"]}.get(rule, "0.45")
        heights = row + np.linspace(-0.2, 0.2, len(of_rule))
        learned = (of_rule["learned"] == 1).to_numpy()
        ax.scatter(of_rule["regret"][learned], heights[learned], color=colour, s=40)
        ax.scatter(of_rule["regret"][~learned], heights[~learned], facecolors="white", edgecolors=colour, s=40)
    ax.axvline(1, color="0.6", linestyle=":", linewidth=1.5, zorder=0)
    ax.set(xscale="log", xlabel="steps, as a multiple of those of the best C₁", xlim=(0.85, 9))
    ax.set_yticks(range(len(rules)))
    ax.set_yticklabels(rules)
    ax.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    ax.minorticks_off()
    ax.invert_yaxis()
    return ax


def reported(table: pd.DataFrame, methods: Mapping[str, str], *, ax: Axes | None = None) -> Axes:
    """Plot the paper's accuracies as crosses, in our colours: a table of `reference.paper`, its method → our name."""
    ax = ax or plt.gca()
    shades = colours(list(methods.values()))
    rows = table[(table["quantity"] == "accuracy") & table["at"].notna() & table["method"].isin(methods)]
    for name, of_method in rows.groupby("method", sort=False):
        ax.scatter(
            of_method["at"], of_method["value"], color=shades[methods[name]], marker="X", s=45, edgecolor="white",
            linewidth=0.6, zorder=4,
        )  # fmt: skip
    ax.scatter([], [], color="0.3", marker="X", s=45, label="paper")
    ax.legend(title=None, frameon=False)
    return ax


def paper_size_figure(history: pd.DataFrame, spike: pd.DataFrame, e1: pd.DataFrame) -> Figure:
    """Draw E1 beside the paper's numbers: accuracies, the correlations around the teachers' spikes, and (2,T) by C₁.

    `spike` is a curriculum with a column `from_spike`, the steps since the spike of the same seed.
    """
    figure, axes = plt.subplots(1, 3, figsize=(17, 4.3), width_ratios=[1.3, 1, 1])
    whole = history[history["method"].isin(["teacher", "cross-entropy", "one-shot", "progressive"])]
    accuracy(whole[whole["step"] > 0], ax=axes[0])
    reported(e1, {name: name for name in dict.fromkeys(whole["method"])}, ax=axes[0])
    axes[0].set(xscale="log", title="the whole run")
    axes[0].xaxis.set_major_formatter(STEPS)
    correlations(spike.assign(step=spike["from_spike"]), ax=axes[1])
    axes[1].set(xlabel="teacher's step, counted from its spike", title="what the teacher leans on")
    two = history[history["method"].str.startswith("(2,T)")]
    accuracy(two, ax=axes[2])
    reported(e1, {"(2,1M) C1=10.2M": "(2,T)"}, ax=axes[2])
    axes[2].set(title="(2,T) by its first checkpoint")
    figure.tight_layout()
    return figure


def teacher_width_figure(found: pd.DataFrame, *, budget: int) -> Figure:
    """Draw the teacher's steps to learn by its width, a dot per seed, hollow at the budget if never; line: median."""
    figure, ax = plt.subplots(figsize=(6, 4))
    steps = found["steps"].astype(float).fillna(budget)
    reached = found["reached"].to_numpy()
    colour = METHOD_COLOURS["progressive"]
    medians = steps.groupby(found["width"]).median()
    ax.plot(medians.index, medians, color=colour, linewidth=1.5, alpha=0.6)
    ax.scatter(found["width"][reached], steps[reached], color=colour, zorder=3)
    ax.scatter(found["width"][~reached], steps[~reached], facecolors="white", edgecolors=colour, zorder=3)
    ax.set(xscale="log", yscale="log", xlabel="teacher's hidden units", ylabel="steps to learn")
    ax.yaxis.set_major_formatter(STEPS)
    ax.yaxis.set_minor_formatter(STEPS)
    ax.xaxis.set_major_formatter(STEPS)
    ax.grid(which="both", alpha=0.3)
    return figure


def steps_figure(found: pd.DataFrame, *, budget: int) -> Figure:
    """Draw `steps_to_threshold` on its own."""
    figure, ax = plt.subplots(figsize=(8, 0.5 * found["method"].nunique() + 1))
    steps_to_threshold(found, budget=budget, ax=ax)
    return figure


def samples_figure(history: pd.DataFrame) -> Figure:
    """Draw samples to separate the support against d on logarithmic axes, one line per supervision."""
    figure, ax = plt.subplots(figsize=(6, 4))
    band = {"estimator": "median", "errorbar": ("pi", 100)}
    sns.lineplot(history.dropna(), x="d", y="samples", hue="supervision", marker="o", ax=ax, **band)
    ax.set(xscale="log", yscale="log", xlabel="coordinates d", ylabel="samples until the support stands out")
    ax.legend(title=None, frameon=False)
    return figure


def nodes_figure(history: pd.DataFrame, curriculum: pd.DataFrame) -> Figure:
    """Draw, for each teacher seed, accuracy, and by node of the tree the correlations with its parity and with bits."""
    seeds = list(dict.fromkeys(history["seed"]))
    size = (4.2 * len(seeds), 7.5)
    figure, axes = plt.subplots(3, len(seeds), figsize=size, sharex=True, sharey="row", squeeze=False)
    leaves = 2 ** (int(curriculum["depth"].max()) + 1)
    rows = ["held-out accuracy", "|corr| with the\nnode's own parity", "mean |corr| with\nits coordinates"]
    for column, seed in enumerate(seeds):
        of_seed = curriculum[curriculum["seed"] == seed]
        accuracy(history[history["seed"] == seed].assign(method="teacher"), ax=axes[0, column])
        axes[0, column].set(title=f"seed {seed}", ylim=(0, 1.02), yticks=np.linspace(0, 1, 5))
        axes[0, column].set_yticks(np.arange(1, leaves + 1) / leaves, minor=True)  # a leaf at a time
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
    """Draw the accuracies by method above the steps at which each node was learned."""
    figure, axes = plt.subplots(2, 1, figsize=(9, 7), sharex=True)
    accuracy(history, ax=axes[0])
    axes[0].set(xlabel="")
    node_steps(nodes, budget=budget, ax=axes[1])
    for ax in axes:
        sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), title=None, frameon=False)
    figure.tight_layout()
    return figure
