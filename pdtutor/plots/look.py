"""How every figure of the course looks: a method has the same colour everywhere."""

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
METHOD_DASHES = {"cross-entropy": (1, 1.5), "teacher": (4, 2)}  # one-shot may lie exactly on cross-entropy
STEPS = EngFormatter(sep="")  # 12k, 20M
INSIDE, OUTSIDE = PALETTE[3], PALETTE[7]


def style() -> None:
    """Set the look of all figures."""
    sns.set_theme(style="ticks", context="notebook", palette="colorblind")
    plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100}


def colours(methods: list[str]) -> dict:
    """Return one colour per method: its own, that of the method before ", τ", or one of the rest of the palette."""
    spare = iter(c for c in PALETTE * 4 if c not in METHOD_COLOURS.values())
    own = {method: METHOD_COLOURS.get(method.split(", τ")[0]) for method in methods}
    return {method: colour or next(spare) for method, colour in own.items()}


def depth_colours(table: pd.DataFrame) -> dict[int, tuple]:
    """Return one colour per depth of the tree of hierarchical parity, from dark at the root to light."""
    return dict(enumerate(sns.color_palette("viridis", table["depth"].max() + 1)))
