"""Figures of the experiments on sequences, grammars and text: tables in, axes and figures out."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pdtutor.plots.axes import ngrams
from pdtutor.plots.look import METHOD_COLOURS, METHOD_DASHES, STEPS, colours


def losses(history: pd.DataFrame, *, optimal_loss: float | None = None, ax: Axes | None = None) -> Axes:
    """Plot the teachers' held-out loss against the step, one line per seed, and the Bayes-optimal loss if known."""
    ax = ax or plt.gca()
    for _, of_seed in history.groupby("seed"):
        ax.plot(of_seed["step"], of_seed["loss"], color=METHOD_COLOURS["teacher"], linewidth=1.2)
    ax.set(xlabel="step (optimizer updates)", ylabel="held-out cross-entropy", ylim=(0, None))
    ax.xaxis.set_major_formatter(STEPS)
    if optimal_loss is not None:
        ax.axhline(optimal_loss, color="0.3", linestyle=":", label="Bayes optimum")
        ax.legend(frameon=False)
    return ax


def budgets(found: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot the final accuracy against the budget, one line per method: the median over seeds, the band from min to max.

    The table has the columns method, budget and final_accuracy, and may have optimum, the Bayes-optimal accuracy.
    """
    ax = ax or plt.gca()
    methods = list(dict.fromkeys(found["method"]))
    sns.lineplot(
        found,
        x="budget",
        y="final_accuracy",
        hue="method",
        style="method",
        dashes={method: METHOD_DASHES.get(method, "") for method in methods},
        palette=colours(methods),
        markers=dict.fromkeys(methods, "o"),
        estimator="median",
        errorbar=("pi", 100),
        err_kws={"alpha": 0.15, "linewidth": 0},
        ax=ax,
    )
    if "optimum" in found:
        ax.axhline(found["optimum"].mean(), color="0.3", linestyle=":", label="Bayes optimum")
    ticks = sorted(found["budget"].unique())
    ax.set(xscale="log", xlabel="budget (optimizer updates, each a run of its own)", ylabel="held-out accuracy")
    ax.set_xticks(ticks, [STEPS(tick, None) for tick in ticks])
    ax.minorticks_off()
    ax.legend(title=None, frameon=False)
    return ax


def phases(borders: Sequence[float], *, ax: Axes) -> None:
    """Draw a vertical line at each step at which a phase ends."""
    for step in borders:
        ax.axvline(step, color="0.6", linestyle=(0, (6, 3)), linewidth=1, zorder=0)


def sequence_teacher_figure(
    history: pd.DataFrame,
    curriculum: pd.DataFrame,
    *,
    optimal_loss: float | None = None,
    borders: Sequence[float] = (),
) -> Figure:
    """Draw the teachers' loss, with the Bayes-optimal loss if known, beside both n-gram probes.

    At the steps `borders`, where one phase of training ends and the next begins, there are vertical lines.
    """
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8))
    losses(history, optimal_loss=optimal_loss, ax=axes[0])
    for ax, probe in zip(axes[1:], ("M_robust", "M_close"), strict=True):
        ngrams(curriculum, probe=probe, ax=ax)
    titles = ("teacher", "masking the n-gram: how far it moves", "masking all but the n-gram")
    for ax, title in zip(axes, titles, strict=True):
        ax.set(title=title)
        phases(borders, ax=ax)
    figure.tight_layout()
    return figure


def budgets_figure(found: pd.DataFrame) -> Figure:
    """Draw the final accuracy of each method against the budget."""
    figure, ax = plt.subplots(figsize=(8, 4.2))
    budgets(found, ax=ax)
    sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), title=None, frameon=False)
    return figure


def first_checkpoint_figure(
    found: pd.DataFrame,
    curriculum: pd.DataFrame,
    *,
    borders: Sequence[float] = (),
    chosen: Sequence[float] = (),
) -> Figure:
    """Draw the final accuracy of (2,T) by C₁ and, beside it, what the n-gram probes say of the teachers.

    Left a thin line per seed and the mean. The last C₁ is the final checkpoint, which makes it one-shot distillation:
    the dotted line is its mean. Right, for the shortest n-grams, the mean over the teachers of their medians, with the
    range as a band. Steps are on a logarithmic axis, because most of what changes does so early.

    Args:
        found: columns checkpoint, seed and final_accuracy.
        curriculum: what `MaskedTeacher.curriculum` returns.
        borders: steps at which one phase of the teachers ends and the next begins: vertical lines.
        chosen: steps that rules choose; their range is grey.
    """
    accuracy = found.pivot(index="checkpoint", columns="seed", values="final_accuracy").sort_index()
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), sharex=True)
    taught = METHOD_COLOURS["(2,T)"]
    left.plot(accuracy, color=taught, linewidth=0.8, alpha=0.6)
    left.plot(accuracy.mean(axis=1), color=taught, marker="o", label=f"mean of {accuracy.shape[1]}")
    one_shot = accuracy.iloc[-1].mean()
    left.axhline(one_shot, color=METHOD_COLOURS["one-shot"], linestyle=":", label="one-shot")
    if len(chosen):
        left.axvspan(min(chosen), max(chosen), color="0.9", label="what the rules choose", zorder=0)
    left.set(title="students by C₁; thin: each seed", xlabel="teacher's step at C₁", ylabel="final accuracy")
    shortest = curriculum[(curriculum["n"] == curriculum["n"].min()) & (curriculum["step"] > 0)]
    for probe, of_probe in shortest.groupby("probe", sort=False):
        medians = of_probe.pivot(index="step", columns="seed", values="median")
        (line,) = right.plot(medians.mean(axis=1), label=f"{probe}({shortest['n'].min()})")
        band = medians.min(axis=1), medians.max(axis=1)
        right.fill_between(medians.index, *band, alpha=0.2, color=line.get_color(), linewidth=0)
    right.set(title="teachers: mean and range of medians", xlabel="teacher's step", ylabel="total variation")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(STEPS)
        ax.xaxis.set_minor_formatter(NullFormatter())
        phases(borders, ax=ax)
        ax.legend(frameon=False)
    figure.tight_layout()
    return figure


def spans_figure(spans: pd.DataFrame, controls: pd.DataFrame) -> Figure:
    """Draw what the non-terminal probes read: a panel per kind of read-out and level, a dot per model.

    Lines are the controls, means over seeds: untrained models of the students' width (dashed) and of the teachers'
    (solid), and the larger mean of the read-outs that were trained on wrong symbols (dotted).

    Args:
        spans: columns method, seed, level, kind and all, as in `spans.csv` of a recipe of students on a grammar.
        controls: the same columns and `width`; the methods are "untrained" and "shuffled".
    """
    kinds, levels = sorted(spans["kind"].unique()), sorted(spans["level"].unique())
    methods = list(dict.fromkeys(spans["method"]))
    narrow, wide = controls["width"].min(), controls["width"].max()
    figure, axes = plt.subplots(1, len(kinds) * len(levels), figsize=(13, 3.8), sharey=True, layout="constrained")
    for ax, (kind, level) in zip(axes, [(kind, level) for kind in kinds for level in levels], strict=True):
        of_panel = spans[(spans["kind"] == kind) & (spans["level"] == level)]
        for place, (method, colour) in enumerate(colours(methods).items()):
            values = of_panel[of_panel["method"] == method]["all"]
            ax.scatter([place] * len(values), values, color=colour, label=method)
        asked = controls[(controls["kind"] == kind) & (controls["level"] == level)]
        means = asked.groupby(["method", "width"])["all"].mean()
        ax.axhline(means["untrained", narrow], color="0.3", linestyle="--", label="untrained, students' width")
        ax.axhline(means["untrained", wide], color="0.3", linewidth=1, label="untrained, teachers' width")
        ax.axhline(means["shuffled"].max(), color="0.3", linestyle=":", label="trained on wrong symbols")
        ax.set(title=f"{kind} probe, level {level}", xticks=[], xlim=(-0.7, len(methods) - 0.3))
    axes[0].set(ylabel="accuracy", ylim=(0.3, 1.02))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def when_figure(table: pd.DataFrame) -> Figure:
    """Draw by how much methods beat one-shot, above against how long its students wait, below how much less theirs do.

    There is a column of panels per method, and a line per task. Error bars are 95 % intervals of the mean over seeds.
    The table is one of `recipes.when.advantages`, or several.
    """
    methods, tasks = list(dict.fromkeys(table["method"])), list(dict.fromkeys(table["task"]))
    palette = dict(zip(tasks, sns.color_palette("colorblind", len(tasks)), strict=True))
    columns = {
        "waiting": "share of the budget that one-shot students wait",
        "saved": "share of the budget that these students wait less",
    }
    figure, axes = plt.subplots(2, len(methods), figsize=(6.2 * len(methods), 7.4), sharey=True, squeeze=False)
    for of_row, (column, label) in zip(axes, columns.items(), strict=True):
        for ax, method in zip(of_row, methods, strict=True):
            for task, rows in table[table["method"] == method].sort_values("budget").groupby("task", sort=False):
                bars = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
                line = {"color": palette[task], "marker": "o", "capsize": 3, "label": task}
                if column == "saved":  # budgets need not be in order there, and lines would cross
                    line["linestyle"] = "none"
                ax.errorbar(rows[column], rows["mean"], yerr=bars, **line)
            ax.axhline(0, color="0.3", linewidth=1)
            ax.set(xlabel=label, title=f"{method} − one-shot")
        of_row[0].set(ylabel="difference in accuracy")
    for ax in axes[0]:
        ax.set(xlim=(0, 1.04))
    axes[0, -1].legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    figure.tight_layout()
    return figure
