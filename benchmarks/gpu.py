"""Everything that only a GPU can show, in five parts of twelve minutes together: `python -m benchmarks.gpu --all`.

    tests    the tests marked `gpu`
    agree    the smoke run of every recipe, on the GPU and on the CPU: the largest difference between their tables
    lessons  lessons 3b, 4 and 5 on the GPU, and beside them on two threads of the CPU: seconds, verdicts that changed
    speeds   updates per second by four ways of running them, and the share of what the GPU can do (see `gpu_speeds`)
    e3       the paper's E3 at its smallest budget: one teacher, students by all four methods, as far as time allows

Each part runs in a process of its own, is stopped after its time, and leaves a line in OUT/gpu.jsonl, whatever happens;
OUT/hardware.json says on what. A part that was stopped goes on where it was, if it can, when it is run again.
`--smoke` tries the script itself, on any machine, at sizes that mean nothing.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import pandas as pd
import torch
import tyro

from benchmarks import gpu_speeds
from pdtutor import devices
from pdtutor.course import lessons as course
from pdtutor.course.execute import execute
from pdtutor.recipes.catalogue import RECIPES
from pdtutor.validate import user_path

LIMITS = {"tests": 90, "agree": 140, "lessons": 190, "speeds": 170, "e3": 130}  # seconds: 12 minutes in all
LESSONS = ("03b_transformers_and_trees", "04_pcfg_transformers", "05_language_modeling")
THREADS = 2 if (os.cpu_count() or 1) >= 4 else 1  # of a lesson: as on a laptop, and room for those beside it
E3_STEPS = 2000  # the paper's smallest budget, in updates
ROOT = Path(__file__).parents[1]


def main(
    *,
    part: Annotated[tuple[str, ...], tyro.conf.arg(metavar=f"{{{','.join(LIMITS)}}}")] = (),
    all: bool = False,
    out: Path = Path("build/gpu"),
    smoke: bool = False,
    here: bool = False,
) -> None:
    """Run parts of the list, each in a process of its own, and print a line of result for each.

    Args:
        part: which parts.
        all: all of them.
        out: the folder for results.
        smoke: tiny sizes, and the CPU where there is no GPU: to try this script.
        here: run the one part in this process (what the process of a part does).
    """
    chosen = tuple(LIMITS) if all else part
    if not chosen or not set(chosen) <= LIMITS.keys():
        sys.exit(
            f"error: name parts with --part, of {', '.join(LIMITS)}, or take --all; got {' '.join(part) or 'none'}"
        )
    if not smoke and (reason := devices.cuda_problem()) is not None:
        sys.exit(f"error: no GPU can be used here: {reason}")
    device = torch.device("cpu") if devices.cuda_problem() is not None else devices.find("cuda")
    out = user_path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    if here:
        (name,) = chosen
        print(json.dumps(PARTS[name](out, device, smoke)))
        return
    (out / "hardware.json").write_text(json.dumps(devices.hardware(device), indent=1))
    print(devices.name_of(device), flush=True)
    failed = [name for name in chosen if "error" in run_part(name, out, smoke)]
    sys.exit(bool(failed))


def run_part(name: str, out: Path, smoke: bool) -> dict:
    """Run a part in a process of its own, within its time, and return its line of result."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--here", "--part", name, "--out", str(out)]
    start = time.perf_counter()
    with (out / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, *(["--smoke"] if smoke else [])],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=None if smoke else LIMITS[name])
            done = process.returncode == 0
            found = json.loads(said.splitlines()[-1]) if done else {"error": tail(out / f"{name}.log")}
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and what it has started
            process.wait()
            found = {"error": f"stopped after {LIMITS[name]} s", **so_far(name, out)}
    line = {"part": name, "seconds": round(time.perf_counter() - start, 1), **found}
    with (out / "gpu.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)
    return line


def tail(log: Path) -> str:
    """Return the last line of a log that says anything."""
    return next((line for line in reversed(log.read_text().splitlines()) if line.strip()), "no message")


def so_far(name: str, out: Path) -> dict:
    """Return what a part that was stopped has left: the rows of its table, or the steps that its runs have come to."""
    table = out / f"{name}.csv"
    steps = {str(file.parent.relative_to(out)): json.loads(file.read_text())["step"] for file in out.rglob("run.json")}
    return {"rows": len(pd.read_csv(table))} if table.exists() else {"steps": steps}


def tests(out: Path, device: torch.device, smoke: bool) -> dict:
    """Run the tests marked `gpu`."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/test_gpu.py", "-p", "no:cacheprovider", "-v"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    (out / "tests.txt").write_text(ran.stdout + ran.stderr)
    told = (line for line in reversed(ran.stdout.splitlines()) if re.search(r"passed|failed|skipped", line))
    summary = next(told, "")
    return {"result": summary.strip("= ")} | ({} if ran.returncode == 0 else {"error": summary or "see tests.txt"})


def agree(out: Path, device: torch.device, smoke: bool) -> dict:
    """Run every recipe at smoke scale on the device and on the CPU, and compare the tables that they return."""
    matplotlib.use("agg")
    rows = []
    for name in ["parity-teacher", "pcfg-teacher"] if smoke else RECIPES:
        row: dict = {"recipe": name}
        try:
            tables, seconds = {}, {}
            for place in (str(device), "cpu"):
                start = time.perf_counter()
                where = out / "agree" / name / f"{place.replace(':', '')}-{time.time_ns()}"
                tables[place] = RECIPES[name]["smoke"].run(seeds=1, out=where, device=place, progress=False).tables
                seconds[place] = time.perf_counter() - start
            pairs = [(tables[str(device)][key], table) for key, table in tables["cpu"].items()]
            row |= {"seconds": seconds[str(device)], "cpu_seconds": seconds["cpu"]}
            row["difference"] = max(apart(mine, theirs) for mine, theirs in pairs)
        except Exception as error:  # the table is to show every failure
            row["error"] = f"{type(error).__name__}: {error}"[:300]
        rows.append(row)
        table = pd.DataFrame(rows)
        table.to_csv(out / "agree.csv", index=False, float_format="%.6g")
    failed = [] if "error" not in table else table.loc[table["error"].notna(), "recipe"].tolist()
    found = {"recipes": len(table), "largest_difference": float(table.get("difference", pd.Series([np.nan])).max())}
    return found | ({"error": f"failed: {', '.join(failed)}"} if failed else {})


def apart(mine: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """Return the largest difference between numbers of two tables, infinity if they are not of one shape."""
    columns = theirs.select_dtypes("number").columns
    if len(mine) != len(theirs) or not set(columns) <= set(mine):
        return float("inf")
    both = [table[columns].astype(float).to_numpy() for table in (mine, theirs)]
    gaps = np.abs(both[0] - both[1])
    missing = np.isnan(both[0]) != np.isnan(both[1])
    return float("inf") if missing.any() else float(np.nanmax(gaps, initial=0.0))


def lessons(out: Path, device: torch.device, smoke: bool) -> dict:
    """Execute lessons on the device, one at a time, and beside them on the CPU; compare seconds and verdicts."""
    names, rows = LESSONS[1:2] if smoke else LESSONS, []

    def save() -> None:
        pd.DataFrame(rows).to_csv(out / "lessons.csv", index=False, float_format="%.4g")

    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // (2 * THREADS) - 1)) as beside:
        on_cpu = [beside.submit(executed, name, out, "cpu") for name in names]
        on_gpu = []
        for name in names:
            on_gpu.append(executed(name, out, "auto"))
            rows.append({"lesson": name, "seconds": on_gpu[-1]["seconds"], "failure": on_gpu[-1]["failure"][:300]})
            save()
        for row, mine, future in zip(rows, on_gpu, on_cpu, strict=True):
            theirs = future.result()
            verdicts = [{claim["claim"]: claim["verdict"] for claim in run["claims"]} for run in (mine, theirs)]
            changed = [claim for claim in verdicts[1] if verdicts[0].get(claim) != verdicts[1][claim]]
            row |= {"cpu_seconds": theirs["seconds"], "verdicts": len(verdicts[1]), "changed": "; ".join(changed)}
            row["failure"] = row["failure"] or theirs["failure"][:300]
            save()
    wrong = [row["lesson"] for row in rows if row["changed"] or row["failure"]]
    return {"lessons": rows} | ({"error": f"see lessons.csv: {', '.join(wrong)}"} if wrong else {})


def executed(name: str, out: Path, device: str) -> dict:
    """Execute a lesson in a kernel whose `auto` means this device; return seconds, claims and its first error."""
    folder = out / "lessons" / f"{name}-{device}"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"PDTUTOR_DEVICE": device, "OMP_NUM_THREADS": str(THREADS)}
    call = f"from benchmarks.gpu import execute_here; execute_here({name!r}, {str(folder)!r})"
    command = [sys.executable, "-c", call]
    ran = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, cwd=ROOT, check=False)
    if ran.returncode:
        return {"seconds": float("nan"), "claims": [], "failure": (ran.stderr.splitlines() or ["no message"])[-1]}
    return json.loads(ran.stdout.splitlines()[-1])


def execute_here(name: str, folder: str) -> None:
    """Execute a lesson in the folder, and print seconds, claims and its first error as JSON."""
    ran = execute(course.read(ROOT / "notebooks" / f"{name}.py"), name=name, folder=Path(folder))
    claims = course.claims(ran.notebook).to_dict("records")
    print(json.dumps({"seconds": ran.seconds, "claims": claims, "failure": ran.failure}))


def speeds(out: Path, device: torch.device, smoke: bool) -> dict:
    """Measure updates per second of every work, writing the table after each; what has to be compiled comes last."""
    seconds = 0.05 if smoke else 0.25
    numbers, side = (2**16, 64) if smoke else (gpu_speeds.COPIED, gpu_speeds.SIDE)
    bytes_per_s = gpu_speeds.bandwidth(device, numbers)
    works, rows = gpu_speeds.works(smoke=smoke), []

    def save() -> None:
        pd.DataFrame(rows).to_csv(out / "speeds.csv", index=False, float_format="%.6g")

    for work in works:
        flops_per_s = gpu_speeds.arithmetic(device, work.half, side)
        rows.append(gpu_speeds.measure(work, device, seconds, bytes_per_s=bytes_per_s, flops_per_s=flops_per_s))
        save()
    for row, work in zip(rows, works, strict=True):
        gpu_speeds.add_compiled(row, work, device, seconds)
        save()
    apart = [row["work"] for row in rows if row["float32"] and row["difference"] > gpu_speeds.TOLERANCE]
    found = {"rows": len(rows), "GB_per_s": bytes_per_s / 1e9, "fastest": {row["work"]: row["fastest"] for row in rows}}
    return found | ({"error": f"recorded updates end at other weights: {', '.join(apart)}"} if apart else {})


def e3(out: Path, device: torch.device, smoke: bool) -> dict:
    """Run E3 at the paper's size and smallest budget, or go on with it; return each method's final accuracy."""
    matplotlib.use("agg")
    recipe = RECIPES["pcfg-budgets"]["smoke" if smoke else "paper"]
    run = next(students for students in recipe.runs if smoke or students.steps == E3_STEPS)  # pyright: ignore
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        run = replace(run, teacher=replace(run.teacher, precision="float16"))
    outcome = run.run(seeds=1, out=out / "e3", resume=True, device=str(device))
    outcome.save(out / "e3")
    found = outcome.tables["by_seed"].set_index("method")["final_accuracy"]
    return {"updates": run.steps, "accuracy": found.round(4).to_dict()}


PARTS: dict[str, Callable[[Path, torch.device, bool], dict]] = {
    "tests": tests,
    "agree": agree,
    "lessons": lessons,
    "speeds": speeds,
    "e3": e3,
}

if __name__ == "__main__":
    tyro.cli(main)
