"""The look of every figure of the course: colours, dashes and the format of steps."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.ticker import EngFormatter

PALETTE = sns.color_palette("colorblind")
METHOD_COLOURS = {
    "teacher": (0.45, 0.45, 0.45),
    "cross-entropy": (0.0, 0.0, 0.0),
    "one-shot": PALETTE[1],
    "progressive": PALETTE[0],
    "(2,T)": PALETTE[2],
}
METHOD_DASHES = {"cross-entropy": (1, 1.5), "teacher": (4, 2)}  # cross-entropy may coincide with one-shot
STEPS = EngFormatter(sep="")  # 12k, 20M
INSIDE, OUTSIDE = PALETTE[3], PALETTE[7]


def style() -> None:
    """Set the style of all figures that are drawn from now on."""
    sns.set_theme(style="ticks", context="notebook", palette="colorblind")
    plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100}


def colours(methods: list[str]) -> dict:
    """Return one colour per method: its own or, if named "method, τ …", that method's; others get spare colours."""
    spare = iter(c for c in PALETTE * 4 if c not in METHOD_COLOURS.values())
    own = {method: METHOD_COLOURS.get(method.split(", τ")[0]) for method in methods}
    return {method: colour or next(spare) for method, colour in own.items()}


def depth_colours(table: pd.DataFrame) -> dict[int, tuple]:
    """Return one colour per depth of a tree, from dark at the root to light; `table` has the column depth."""
    return dict(enumerate(sns.color_palette("viridis", table["depth"].max() + 1)))
