"""The same students under several supervisions, side by side and over several seeds."""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.distillation.supervision import Supervision
from pdtutor.models.model import Model
from pdtutor.seeds import generator
from pdtutor.tasks.task import Task, a_task
from pdtutor.training.loop import train
from pdtutor.training.run import Run
from pdtutor.validate import a_path, a_table, flag, instance, number, sequence, shown, text, whole

LONGEST = 100  # characters of a method's name in that of its folder


@dataclass
class Comparison:
    """The outcome of `compare`.

    Attributes:
        history: the histories of all runs in one table, with a leading column `method`.
        runs: the runs; students that trained side by side are copies in one run.
        places: (method, seed) → (position in runs, copy).
    """

    history: pd.DataFrame
    runs: list[Run]
    places: dict[tuple[str, int], tuple[int, int]]

    def trajectory(self, method: str, seed: int) -> Trajectory:
        """Return one student's checkpoints. Raises ValueError for a method or seed that was not compared."""
        if (method, seed) not in self.places:
            raise ValueError(f"no student {(method, seed)!r}; there are {', '.join(map(repr, self.places))}")
        position, copy = self.places[method, seed]
        return self.runs[position].trajectory.copy(copy)

    def results(self, *, threshold: float = 0.95) -> pd.DataFrame:
        """Return one row per method and seed: method, seed, steps, examples, final_accuracy, reached.

        `steps` and `examples` are those of the first evaluation with accuracy ≥ threshold, or <NA> if there was none;
        `reached` says whether there was one.
        """
        return results(self.history, threshold=threshold)


def compare(
    student: Callable[[list[int]], Model],
    task: Task,
    methods: Mapping[str, Supervision | Callable[[int], Supervision]],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    side_by_side: bool = True,
    out: str | Path | None = None,
    **settings,
) -> Comparison:
    """Train one student per method and seed, all for the same number of updates, and return their comparison.

    Students with the same seed start from the same weights and see the same examples, whatever their supervision.

    Args:
        student: makes the model for a list of seeds, one copy per seed: `lambda seeds: MLP(30, width=100, seed=seeds)`.
        task: what to learn.
        methods: name → Labels() or Distill(…), or a function from the student's seed to a supervision. Use a function
            for students that each have their own teacher, or (with Stored(…)) stored targets for their own examples.
        seeds: the students' seeds.
        side_by_side: train students as copies of one model: all at once or, if `until` is given, those of one method at
            a time, so that a fast method can stop early. If False, train one student after the other.
        out: folder for the runs; temporary if not given.
        **settings: further arguments of `train` (steps, batch_size, optimizer, eval_every, resume, …).

    Raises ValueError for no methods, no seeds or repeated seeds, and whatever `train` raises.
    """
    if not callable(student) or (isinstance(student, Model) and not isinstance(student, type)):
        raise ValueError(f"student must be a function from a list of seeds to a model, got {shown(student)}")
    instance("methods", methods, Mapping, "a dict of supervisions by name")
    for name, method in methods.items():
        instance("each name in methods", name, str, "a string")
        if isinstance(method, type) or not (callable(method) or isinstance(method, Supervision)):
            raise ValueError(
                f"methods must hold Labels(), Distill(…), Stored(…) or a function from a seed to one of them, "
                f"got {shown(method)} for {name!r}"
            )
    a_task("task", task)
    side_by_side = flag("side_by_side", side_by_side)
    seeds = [whole("seeds", seed, minimum=0) for seed in sequence("seeds", seeds)]
    if not methods or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"compare needs methods and distinct seeds, got {list(methods)} and {seeds}")
    pairs = [(method, seed) for method in methods for seed in seeds]
    if not side_by_side:
        groups = [[pair] for pair in pairs]
    elif settings.get("until") is not None:
        groups = [[(method, seed) for seed in seeds] for method in methods]
    else:
        groups = [pairs]
    resume = settings.get("resume", False)
    folders = [None] * len(groups) if out is None else _folders(groups, a_path("out", out), resume=resume)
    runs, histories, places = [], [], {}
    for group, folder in zip(groups, folders, strict=True):
        names = [method for method, _ in group]
        label = ", ".join(dict.fromkeys(names)) if len(set(names)) <= 4 else f"{len(group)} students"
        wanted = [seed for _, seed in group]
        model = instance(f"student({wanted})", student(wanted), Model, "a model with these seeds")
        if list(model.seeds) != wanted:
            raise ValueError(f"student({wanted}) must make a model of these seeds, got one of seeds {model.seeds}")
        if any(model is run.model for run in runs):
            raise ValueError(
                f"student({wanted}) returned a model that has already been trained: it must make a new one each time"
            )
        run = train(
            model,
            task,
            supervision=[_supervision(methods[method], seed) for method, seed in group],
            role="student",
            out=folder,
            description=label,
            **settings,
        )
        history = run.history.copy()
        history.insert(0, "method", [names[copy] for copy in history["copy"]])
        places |= {pair: (len(runs), copy) for copy, pair in enumerate(group)}
        runs.append(run)
        histories.append(history)
    return Comparison(pd.concat(histories, ignore_index=True), runs, places)


def merged(parts: Sequence[Comparison]) -> Comparison:
    """Return several comparisons of different methods or seeds as one. Raises ValueError for none, and for a repeat."""
    if not parts:
        raise ValueError("merged needs at least one comparison, got none")
    runs: list[Run] = []
    places: dict[tuple[str, int], tuple[int, int]] = {}
    for part in parts:
        if twice := places.keys() & part.places.keys():
            raise ValueError(f"student {sorted(twice)[0]!r} is in several of the comparisons")
        places |= {pair: (len(runs) + position, copy) for pair, (position, copy) in part.places.items()}
        runs += part.runs
    return Comparison(pd.concat([part.history for part in parts], ignore_index=True), runs, places)


def _supervision(method: Supervision | Callable[[int], Supervision], seed: int) -> Supervision:
    """Return the supervision of the student with this seed. Raises ValueError if a function returns no such thing."""
    if isinstance(method, Supervision):
        return method
    return instance("a method", method(seed), Supervision, "Labels(), Distill(…) or Stored(…)")


def _folders(groups: list[list[tuple[str, int]]], out: Path, *, resume: bool) -> list[Path]:
    """Return a folder within `out` for each group of students, all different.

    A run that 0.1.0 began is resumed where it is, under the name that it had there.
    """
    if len(groups) == 1:
        return [out / "students"]
    names = folder_names([group[0][0] for group in groups])
    endings = ["" if len(group) > 1 else f"-seed{group[0][1]}" for group in groups]
    folders = [out / f"{names[group[0][0]]}{ending}" for group, ending in zip(groups, endings, strict=True)]
    if not resume:
        return folders
    earlier = [re.sub(r"[^\w.-]+", "-", group[0][0]) + ending for group, ending in zip(groups, endings, strict=True)]
    return [
        out / old if earlier.count(old) == 1 and _began(out, old) and not _began(out, folder.name) else folder
        for folder, old in zip(folders, earlier, strict=True)
    ]


def _began(out: Path, name: str) -> bool:
    """Return whether a run has saved its state in this folder of `out`. The name may be one that no folder can have."""
    return name.strip(".") != "" and os.path.exists(out / name / "run.json")


def folder_names(methods: Sequence[str]) -> dict[str, str]:
    """Return a name for the folder of each method: "(2,T)" → "2-T".

    It has letters, digits and underscores of ASCII, with dots and hyphens between them. Where two methods would share a
    name, be it in upper and lower case, or a name would be empty or too long, a digest of the method makes it unique.
    """
    slugs = {method: re.sub(r"[^A-Za-z0-9_.-]+", "-", method).strip(".-") for method in methods}
    count = Counter(slug.lower() for slug in slugs.values())
    return {
        method: slug
        if count[slug.lower()] == 1 and 0 < len(slug) <= LONGEST
        else f"{slug[:LONGEST]}-{sha256(method.encode()).hexdigest()[:8]}".lstrip("-")
        for method, slug in slugs.items()
    }


def results(history: pd.DataFrame, *, threshold: float = 0.95) -> pd.DataFrame:
    """Return one row per method and seed of a history with a column `method`; see `Comparison.results`."""
    a_table("history", history, "method", "seed", "step", "examples", "accuracy")
    threshold = number("threshold", threshold)
    rows = []
    for (method, seed), rows_of in history.groupby(["method", "seed"], sort=False):
        reached = rows_of[rows_of["accuracy"] >= threshold]
        first = reached.iloc[0] if len(reached) else None
        rows.append(
            {
                "method": method,
                "seed": seed,
                "steps": pd.NA if first is None else first["step"],
                "examples": pd.NA if first is None else first["examples"],
                "final_accuracy": rows_of["accuracy"].iloc[-1],
                "reached": first is not None,
            }
        )
    return pd.DataFrame(rows).astype({"steps": "Int64", "examples": "Int64"})


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per method of a `results` table, which summarises its seeds.

    Columns: method; median, fastest and slowest number of steps; reached (number of seeds that reached the threshold);
    seeds (their number); final_accuracy (median). A seed that never reached the threshold counts as slower than all
    that did, so the median is <NA> if half of the seeds or more never did.
    """
    a_table("table", table, "method", "steps", "reached", "final_accuracy")
    rows = []
    for method, of_method in table.groupby("method", sort=False):
        steps = of_method["steps"].astype(float).fillna(math.inf)
        middle = {"median": steps.median(), "fastest": steps.min(), "slowest": steps.max()}
        rows.append(
            {
                "method": method,
                **{name: pd.NA if value == math.inf else int(value) for name, value in middle.items()},
                "reached": int(of_method["reached"].sum()),
                "seeds": len(of_method),
                "final_accuracy": of_method["final_accuracy"].median(),
            }
        )
    return pd.DataFrame(rows).astype({"median": "Int64", "fastest": "Int64", "slowest": "Int64"})


def paired(found: pd.DataFrame, method: str, other: str, *, value: str = "final_accuracy") -> pd.DataFrame:
    """Return by how much one method is ahead of another, seed by seed: a row per budget, if the table has budgets.

    Columns: budget (if there is one in the table), method, other, mean (of the differences), low and high (the 95 %
    bootstrap interval of that mean), ahead (the number of seeds in which the difference is greater than 0), and seeds.

    Args:
        found: a table with the columns method, seed and `value`, a row per method and seed (and budget).
        method, other: names of methods.
        value: the column to compare.

    Raises ValueError for a method that is not in the table, for several rows of one method and seed (and budget), and
    for a seed of which one of the two methods has no value.
    """
    a_table("found", found, "method", "seed", text("value", value))
    for name in (text("method", method), text("other", other)):
        if name not in (names := list(dict.fromkeys(found["method"]))):
            raise ValueError(f"no method is called {name!r}; there are {', '.join(map(repr, names))}")
    both = found[found["method"].isin([method, other])]
    by = ["budget"] if "budget" in found else []
    twice = both[both.duplicated([*by, "method", "seed"])]
    if len(twice):
        several = twice.iloc[0]
        raise ValueError(
            f"found must have one row per {', '.join([*by, 'method'])} and seed, and has several of "
            f"{several['method']!r} and seed {several['seed']}"
        )
    rows = []
    for budget, of_budget in both.groupby("budget") if by else [(None, both)]:
        values = of_budget.pivot(index="seed", columns="method", values=value).reindex(columns=[method, other])
        differences = values[method].astype(float) - values[other].astype(float)
        if differences.isna().any():
            missing = differences.index[differences.isna()][0]
            raise ValueError(f"{method!r} and {other!r} must both have a {value} of every seed, also of seed {missing}")
        low, high = bootstrap_mean(differences.tolist())
        summary = {"mean": differences.mean(), "low": low, "high": high, "ahead": int((differences > 0).sum())}
        names = ({"budget": budget} if by else {}) | {"method": method, "other": other}
        rows.append({**names, **summary, "seeds": len(differences)})
    return pd.DataFrame(rows)


def bootstrap_mean(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of independent values; NaN for none."""
    if not values:
        return float("nan"), float("nan")
    drawn = generator(seed, "bootstrap").choice(np.asarray(values), size=(resamples, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
