"""Figures of lesson 1: what a teacher of the two-stage algorithm shows, and how many samples a student needs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pdtutor.plots.look import INSIDE, OUTSIDE, PALETTE

SUPERVISIONS = {  # name: colour, marker, line
    "labels": (OUTSIDE, "s", "-"),
    "teacher of one pair": (INSIDE, "o", "-"),
    "wide teacher": (PALETTE[0], "^", "--"),
}
ERRORS = {0: ("0.3", "s"), 1: (INSIDE, "o"), 2: (PALETTE[0], "^"), 3: (PALETTE[1], "v")}  # by the error's degree


def coordinates(values: np.ndarray, support: list[int], *, ax: Axes) -> Axes:
    """Draw |values| (d,), one bar per coordinate: filled in the support, pale and hatched elsewhere."""
    inside = np.isin(np.arange(len(values)), support)
    where, sizes = np.arange(len(values)), np.abs(values)
    ax.bar(where[inside], sizes[inside], color=INSIDE, label="in the support")
    ax.bar(where[~inside], sizes[~inside], color="white", edgecolor=OUTSIDE, hatch="////", label="not in the support")
    ax.set(xlabel="coordinate j", ylim=(0, 1.3 * sizes.max()))
    ax.grid(axis="x", visible=False)
    return ax


def clusters(z: np.ndarray, labels: np.ndarray, *, ax: Axes) -> Axes:
    """Draw the distribution of one number z (n,) for inputs with label +1, upwards, and label −1, downwards."""
    bins = np.linspace(-np.abs(z).max(), np.abs(z).max(), 121)
    for label, colour, fill, hatch in ((1, INSIDE, INSIDE, ""), (-1, PALETTE[0], "white", "////")):
        counts = np.histogram(z[labels == label], bins=bins)[0] / len(z)
        name = f"y = {label:+d}".replace("-", "−")
        ax.stairs(label * counts, bins, fill=True, label=name, facecolor=fill, edgecolor=colour, hatch=hatch)
    ax.axhline(0, color="0.3", lw=0.8)
    ax.set(xlabel=r"$z = \sum_j \hat c_j x_j$, relative to its RMS", yticks=[])
    return ax


def _unreached(table: pd.DataFrame, x: str, y: str, top: float, *, ax: Axes, **style) -> None:
    """Draw a cross at `top` for every row whose y is nan, that is, which never reached the error."""
    lost = table[table[y].isna()]
    ax.plot(lost[x], np.full(len(lost), top), "x", ms=6, **style)


def _by_seed(table: pd.DataFrame, x: str, y: str, *, ax: Axes, label: str, color, marker: str, line: str = "-") -> None:
    """Draw a thin line per seed and thick median marks where every seed has a value."""
    for _, rows in table.groupby("seed"):
        ax.plot(rows[x], rows[y], color=color, lw=0.7, ls=line, alpha=0.7)
    medians = table.groupby(x)[y].agg(lambda values: values.median() if values.notna().all() else np.nan)
    ax.plot(medians.index, medians, color=color, marker=marker, ls="", ms=7, label=label)


def two_stage_figure(by_seed: pd.DataFrame, *, error: float) -> Figure:
    """Draw, for each k, the stage-1 samples to an error against d, on labels and taught, with d^(k−1) for comparison.

    `by_seed` has columns k, d, supervision, seed, error and samples.
    """
    table = by_seed[by_seed["error"] == error].sort_values("d")
    degrees = sorted(table["k"].unique())
    size = (3.6 * len(degrees) + 1, 4)
    figure, axes = plt.subplots(1, len(degrees), figsize=size, sharey=True, squeeze=False)
    for ax, k in zip(axes[0], degrees, strict=True):
        of_k = table[table["k"] == k]
        for name, (colour, marker, line) in SUPERVISIONS.items():
            rows = of_k[of_k["supervision"] == name]
            _by_seed(rows, "d", "samples", ax=ax, label=name, color=colour, marker=marker, line=line)
            _unreached(rows, "d", "samples", 2 * table["samples"].max(), ax=ax, color=colour)
        labels = of_k[of_k["supervision"] == "labels"].groupby("d")["samples"].median().dropna()
        if len(labels):
            dims = np.array([labels.index[0], labels.index[-1]])
            ax.plot(dims, 2 * labels.iloc[0] * (dims / dims[0]) ** (k - 1.0), "k:", lw=1.2)
        ax.set(xscale="log", yscale="log", xlabel="dimension d", title=f"k = {k} (dotted: slope {k - 1})")
        ticks = sorted(of_k["d"].unique())
        ax.set_xticks(ticks, [str(d) for d in ticks])
        ax.minorticks_off()
    axes[0, 0].set_ylabel(f"stage-1 samples to error {error:g}")
    axes[0, 0].legend(loc="upper left", fontsize=9)
    figure.tight_layout()
    return figure


def early_checkpoint_figure(by_seed: pd.DataFrame, *, appears: dict[int, float]) -> Figure:
    """Draw, for each width of the teacher and against its samples, what its output shows and what its student needs.

    Above: degree-1 energy per coordinate, inside and outside the support; the dotted line is where `appears` puts their
    ratio of 2, by width. Below: the student's stage-1 samples, and those on labels. `by_seed` has columns width (0 for
    labels), teacher_samples, seed, inside, outside and student_samples.
    """
    taught, labels = by_seed[by_seed["width"] > 0], by_seed[by_seed["width"] == 0]["student_samples"].median()
    widths, top = sorted(taught["width"].unique()), 2 * by_seed["student_samples"].max()
    figure, axes = plt.subplots(
        2, len(widths), figsize=(3.6 * len(widths), 6), sharex=True, sharey="row", squeeze=False
    )
    for column, width in enumerate(widths):
        rows = taught[taught["width"] == width].sort_values("teacher_samples")
        above, below = axes[:, column]
        _by_seed(rows, "teacher_samples", "inside", ax=above, label="in the support", color=INSIDE, marker="o")
        _by_seed(rows, "teacher_samples", "outside", ax=above, label="not in the support", color=OUTSIDE, marker="s")
        for ax in (above, below):
            ax.axvline(appears[width], color="k", ls=":", lw=1.2)
        above.set(title=f"teacher of width {width}", xscale="log", ylim=(0, None))
        _by_seed(rows, "teacher_samples", "student_samples", ax=below, label="taught student", color=INSIDE, marker="o")
        _unreached(rows, "teacher_samples", "student_samples", top, ax=below, color=INSIDE)
        below.plot([], [], "x", color=INSIDE, label="not reached")
        below.axhline(labels, color="0.3", ls="--", lw=1.2, label="student on labels")
        below.set(yscale="log", xlabel="the teacher's samples")
    axes[0, 0].set_ylabel("degree-1 energy\nper coordinate")
    axes[1, 0].set_ylabel("the student's samples")
    for ax in axes[:, 0]:
        ax.legend(fontsize=9)
    figure.tight_layout()
    return figure


def imperfect_teacher_figure(by_seed: pd.DataFrame, networks: pd.DataFrame) -> Figure:
    """Draw a one-shot student's samples against c, for errors of size d^(−c) and each degree; right, trained networks.

    `by_seed` has columns d, degree, power, seed and samples: degree 0 with power inf are labels, with power 0 two
    checkpoints. `networks` has columns error, samples and seed. The left panel is for the largest d.
    """
    d = by_seed["d"].max()
    table = by_seed[by_seed["d"] == d]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, width_ratios=[1.3, 1])
    for degree, rows in table[table["degree"] > 0].groupby("degree"):
        colour, marker = ERRORS[degree]
        name = f"error of degree {degree}"
        _by_seed(rows.sort_values("power"), "power", "samples", ax=axes[0], label=name, color=colour, marker=marker)
    for power, name, line in ((np.inf, "labels", "--"), (0, "two checkpoints", ":")):
        found = table[(table["degree"] == 0) & (table["power"] == power)]["samples"].median()
        axes[0].axhline(found, color="0.3", ls=line, lw=1.2, label=name)
    axes[0].set(xlabel="c", yscale="log", title=f"label + d^(−c) · error, d = {d}".replace("-", "−"))
    axes[0].set_ylabel("the one-shot student's samples")
    axes[1].legend(*axes[0].get_legend_handles_labels(), fontsize=9, loc="lower right")
    top = 2 * max(networks["samples"].max(), by_seed["samples"].max())
    axes[1].plot(
        networks["error"].clip(lower=1e-6), networks["samples"], "o", color=INSIDE, mfc="none", label="network"
    )
    _unreached(
        networks.assign(error=networks["error"].clip(lower=1e-6)), "error", "samples", top, ax=axes[1], color=INSIDE
    )
    axes[1].set(xscale="log", xlabel="the final network's test error (0 is drawn at 10⁻⁶)")
    axes[1].set(title="networks trained on labels")
    figure.tight_layout()
    return figure


def neuron_samples_figure(counts: pd.DataFrame, predicted: dict[int, list[float]]) -> Figure:
    """Draw, for each k, the samples until one neuron separates the support against d: neurons, medians, prediction.

    `counts` is a table of `sample_complexity`; `predicted` has the predicted samples on labels by k, one for each d.
    """
    figure, axes = plt.subplots(1, len(predicted), figsize=(9.5, 3.8), sharey=True, squeeze=False)
    for ax, (k, curve) in zip(axes[0], predicted.items(), strict=True):
        for name, label in (("labels", "labels"), ("teacher", "teacher of one pair")):
            colour, marker, _ = SUPERVISIONS[label]
            rows = counts[(counts["k"] == k) & (counts["supervision"] == name)]
            medians = rows.groupby("d")["samples"].median()
            ax.plot(rows["d"], rows["samples"], marker, color=colour, ms=3, alpha=0.4)
            ax.plot(medians.index, medians, marker, color=colour, ms=8, label=label)
        dims = sorted(counts["d"].unique())
        ax.plot(dims, curve, "k:", lw=1.5, label="prediction, labels")
        ax.set(xscale="log", yscale="log", title=f"k = {k}", xlabel="dimension d")
        ax.set_xticks(dims, [str(d) for d in dims])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("samples until the support stands out")
    axes[0, 0].legend(fontsize=9, loc="upper left")
    figure.tight_layout()
    return figure
