"""Measure every claimed speed against its plain baseline, print the table, and write it as CSV.

All in one process on one torch thread, the two ways by turns, so that what else the machine does meets both alike; the
rates are medians over the repeats. Compiling happens in a first call that is not counted.

Where the work is multiplying matrices, its floating-point operations are counted by torch in the plain way (two per
multiplication). So GFLOP/s says how much of that work ours does, even where it gets the result with fewer operations,
and `share` compares it with what one core reaches in a large matrix product in the same run.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import tyro
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from benchmarks import grammars, parity, transformers
from benchmarks.work import Work
from pdtutor.devices import processor
from pdtutor.validate import user_path

REPEATS = 5
COLUMNS = ["work", "baseline_per_s", "ours_per_s", "ratio", "target", "gflop_per_s"]
COUNTED = (1, 5)  # of the plain way, operations are counted in runs of so many updates; what runs cost once cancels
SIDE = 2048  # of the square matrices whose product measures the core


def main(out: Path = Path("build/bench.csv"), seconds: float = 3.0) -> None:
    """Measure the speeds this project claims; exit with status 1 if one misses its target.

    Args:
        out: the table, as CSV.
        seconds: how long one training takes in a measurement; each way of each work gets 5 measurements.
    """
    if not seconds > 0:
        sys.exit(f"error: --seconds must be above 0, got {seconds}")
    torch.set_num_threads(1)
    rows = works()
    with tqdm(total=2 * REPEATS * len(rows), unit="measurement") as bar:
        table = pd.DataFrame([measure(work, seconds, bar) for work in rows], columns=COLUMNS)
    core = matrix_product()
    table["share"] = table["gflop_per_s"] / core
    out = user_path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(out, index=False, float_format="%.6g")
    verdicts = [verdict(ratio, target) for ratio, target in table[["ratio", "target"]].to_numpy().tolist()]
    print(table.assign(verdict=verdicts).to_string(index=False, na_rep="", float_format="{:,.4g}".format))
    told = f"one torch thread, {core:.0f} GFLOP/s in a large matrix product, torch {torch.__version__}"
    print(f"{processor()}, {told}, compile time not counted; {out}")
    sys.exit("MISSED" in verdicts)


def works() -> list[Work]:
    """Return the rows of the table."""
    return [*parity.works(), *grammars.works(), *transformers.works()]


def measure(work: Work, seconds: float, bar: tqdm) -> tuple:
    """Return the row of this work, in the order of COLUMNS."""
    bar.set_description(work.name.split(" (")[0])
    ways = [(work.baseline, work.baseline_units), (work.ours, work.ours_units)]
    steps = [updates_in(seconds * work.baseline_trainings, work.baseline), updates_in(seconds, work.ours)]
    rates: list[list[float]] = [[], []]
    for _ in range(REPEATS):
        for (run, units), n, seen in zip(ways, steps, rates, strict=True):
            seen.append(n * units / elapsed(run, n))
            bar.update()
    baseline, ours = map(statistics.median, rates)
    return work.name, baseline, ours, ours / baseline, work.target, ours * flops_of_a_unit(work) / 1e9


def flops_of_a_unit(work: Work) -> float:
    """Return the floating-point operations that torch counts in a unit of the plain way; NaN if it counts none."""
    counts = []
    for updates in COUNTED:
        with FlopCounterMode(display=False) as counter:
            (work.counted or work.baseline)(updates)
        counts.append(counter.get_total_flops())
    units = (COUNTED[1] - COUNTED[0]) * work.baseline_units
    return (counts[1] - counts[0]) / units or float("nan")


def matrix_product(side: int = SIDE) -> float:
    """Return the GFLOP/s of one thread in the product of two large matrices: the best of five."""
    matrix = torch.ones(side, side)
    torch.mm(matrix, matrix)
    return max(2 * side**3 / elapsed(lambda n: torch.mm(matrix, matrix), 1) / 1e9 for _ in range(5))


def updates_in(seconds: float, run: Callable[[int], object]) -> int:
    """Return about how many updates fit into the time, after a first call that compiles and warms up."""
    run(1)
    steps = 1
    while (took := elapsed(run, steps)) < seconds / 4:
        steps *= 2
    return max(1, round(steps * seconds / took))


def elapsed(run: Callable[[int], object], steps: int) -> float:
    """Return the seconds that so many updates take."""
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def verdict(ratio: float, target: float | None) -> str:
    """Return "met" or "MISSED", and nothing where no target is claimed."""
    if pd.isna(target):
        return ""
    return "met" if ratio >= target else "MISSED"


if __name__ == "__main__":
    tyro.cli(main)
