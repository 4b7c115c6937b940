"""Tables in, axes out: each function makes one plot, in the axes that it is given or else the current ones."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from pdtutor.plots.look import INSIDE, METHOD_COLOURS, METHOD_DASHES, OUTSIDE, STEPS, colours, depth_colours


def accuracy(history: pd.DataFrame, *, ax: Axes | None = None, hue: str = "method", by_seed: bool = False) -> Axes:
    """Plot held-out accuracy against the step, one line per method: the median over seeds, with a band from min to max.

    A run that stopped early because it had learned keeps its last value up to the last step of the longest run. With
    `by_seed`, plot one line per method and seed instead, up to that run's own last step: for few seeds that differ too
    much for a median.
    """
    ax = ax or plt.gca()
    wide = history.pivot_table(index="step", columns=[hue, "seed"], values="accuracy", sort=False).sort_index()
    long = (wide if by_seed else wide.ffill()).melt(ignore_index=False, value_name="accuracy").dropna().reset_index()
    methods = sorted(dict.fromkeys(history[hue]), key=lambda method: method in METHOD_DASHES)  # dashed lines on top
    band = {"errorbar": ("pi", 100), "err_kws": {"alpha": 0.15, "linewidth": 0}}
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
        ax=ax,
        **({"estimator": None, "units": "seed", "linewidth": 1.2} if by_seed else {"estimator": "median", **band}),
    )
    ax.set(
        xlabel="step (optimizer updates)",
        ylabel="held-out accuracy",
        ylim=(min(0.45, float(wide.to_numpy().min())), 1.02),
    )
    ax.xaxis.set_major_formatter(STEPS)
    ax.legend(title=None, frameon=False)
    return ax


def correlations(curriculum: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot |corr| of monomials inside and outside the support against the step: mean, with a band from min to max."""
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


def node_curves(curriculum: pd.DataFrame, *, degree: int, ax: Axes | None = None) -> Axes:
    """Plot |corr| of one degree against the step, one line per node: the mean over its monomials, coloured by depth.

    The dotted line is for sets outside every support, at the deepest nodes, which the fewest examples reach.
    """
    ax = ax or plt.gca()
    of_degree = curriculum[curriculum["degree"] == degree]
    shades = depth_colours(of_degree)
    inside = of_degree[of_degree["inside"]]
    for depth, node in inside[["depth", "node"]].drop_duplicates().sort_values(["depth", "node"]).to_numpy().tolist():
        of_node = inside[inside["node"] == node]
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
    """Plot when each node was learned, by method and depth, one dot per node and seed.

    Nodes that were never learned are hollow dots at the budget.
    """
    ax = ax or plt.gca()
    methods, shades = list(dict.fromkeys(nodes["method"])), depth_colours(nodes)
    lanes = np.linspace(-0.25, 0.25, len(shades)) if len(shades) > 1 else [0.0]
    for method, depth in (
        nodes[["method", "depth"]].drop_duplicates().sort_values(["method", "depth"]).to_numpy().tolist()
    ):
        found = nodes[(nodes["method"] == method) & (nodes["depth"] == depth)]
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
    """Plot which checkpoint teaches at which student step; `tables` maps a schedule's name to its `table`."""
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


def steps_by_agreement(students: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot each student's steps to learn against C₁'s agreement with the final checkpoint, one dot per student."""
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
    """Plot the regret of each rule, one dot per teacher; hollow if not all students with its C₁ learned."""
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
    """Plot the accuracies of a `pdtutor.paper` table as crosses in our colours; `methods`: the paper's name → ours."""
    ax = ax or plt.gca()
    shades = colours(list(methods.values()))
    rows = table[(table["quantity"] == "accuracy") & table["at"].notna() & table["method"].isin(methods)]
    for name in rows["method"].unique().tolist():
        of_method = rows[rows["method"] == name]
        ax.scatter(
            of_method["at"], of_method["value"], color=shades[methods[name]], marker="X", s=45, edgecolor="white",
            linewidth=0.6, zorder=4,
        )  # fmt: skip
    ax.scatter([], [], color="0.3", marker="X", s=45, label="paper")
    ax.legend(title=None, frameon=False)
    return ax


def ngrams(curriculum: pd.DataFrame, *, probe: str, ax: Axes | None = None) -> Axes:
    """Plot "M_robust" or "M_close" against the step, one line per n: the median, with a band between the quartiles.

    Medians and quartiles are averaged over seeds.
    """
    ax = ax or plt.gca()
    of_probe = curriculum[curriculum["probe"] == probe]
    sizes = sorted(of_probe["n"].unique())
    for n, colour in zip(sizes, sns.color_palette("flare", len(sizes)), strict=True):
        means = of_probe[of_probe["n"] == n].groupby("step")[["p25", "median", "p75"]].mean()
        ax.plot(means.index, means["median"], color=colour, label=f"n = {n}")
        ax.fill_between(means.index, means["p25"], means["p75"], color=colour, alpha=0.12, linewidth=0)
    ax.set(xlabel="step (optimizer updates)", ylabel=f"{probe} (total variation)", ylim=(0, None))
    ax.xaxis.set_major_formatter(STEPS)
    ax.legend(frameon=False)
    return ax
