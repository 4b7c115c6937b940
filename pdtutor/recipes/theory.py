"""The two-stage algorithm of the paper's theory, run: how its samples grow, what it costs, and with which teachers.

Models are those of `pdtutor.theory`: NumPy, on the processor. A recipe with `resume` starts anew; it takes minutes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pdtutor import plots, theory
from pdtutor.devices import AUTO
from pdtutor.progress import progress_bar
from pdtutor.recipes.outcome import Outcome, Recipe, checked
from pdtutor.recipes.settings import Checked

LABELS, PAIR, WIDE = "labels", "teacher of one pair", "wide teacher"
TEACHER_SEED = 1000  # added to a student's seed, so that its teacher has another initialisation


@dataclass(frozen=True)
class Degree:
    """For which dimensions students of a k-parity are trained, by supervision."""

    k: int  # size of the support
    smallest: int  # stage-1 samples of the first student
    labels: tuple[int, ...]  # dimensions for students of labels
    pair: tuple[int, ...]  # dimensions for students of a teacher of one pair
    wide: tuple[int, ...]  # dimensions for students of a wide teacher


@dataclass(frozen=True)
class ParityTwoStage:
    """Theorem 3.2: samples that two-stage students need, by d, k and error, on labels or with a teacher first."""

    degrees: tuple[Degree, ...] = (
        Degree(2, 2**5, (15, 21, 31, 45, 63), (15, 21, 31, 45, 63), (15, 31, 63)),
        Degree(4, 2**9, (15, 21, 31, 45), (15, 21, 31, 45, 63), (15, 31)),
        Degree(6, 2**12, (13, 15, 17), (13, 15, 17), (15,)),
    )
    errors: tuple[float, ...] = (0.3, 0.1, 0.03)  # test errors to be reached
    wide: int = 64  # neurons of the wide teacher
    largest: int = 2**22  # stage-1 samples of the last student of labels, at most
    largest_taught: int = 2**20  # stage-1 samples of the last taught student, at most

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train students on more and more samples until they reach the smallest error, and fit how samples grow."""
        cells = [
            (degree.k, degree.smallest, d, supervision, seed)
            for degree in self.degrees
            for supervision, dims in {LABELS: degree.labels, PAIR: degree.pair, WIDE: degree.wide}.items()
            for d in dims
            for seed in range(seeds)
        ]
        curves = []
        for k, smallest, d, supervision, seed in progress_bar(cells, desc="students", show=progress):
            teacher = None
            if supervision != LABELS:
                width = 2 if supervision == PAIR else self.wide
                support = theory.hidden_support(d, k, seed=seed)
                teacher = theory.stage_one_teacher(d, support, width=width, seed=TEACHER_SEED + seed)
            sizes = {"smallest": smallest, "largest": self.largest if supervision == LABELS else self.largest_taught}
            curve = theory.learning_curve(d, k, seed=seed, error=min(self.errors), teacher=teacher, **sizes)
            curves.append(curve.assign(k=k, d=d, supervision=supervision, seed=seed))
        history = pd.concat(curves, ignore_index=True)[["k", "d", "supervision", "seed", "samples", "error"]]
        by_seed = samples_by_error(history, self.errors)
        tables = {"results": slopes(by_seed), "by_seed": by_seed, "history": history}
        return Outcome(tables, plots.two_stage_figure(by_seed, error=sorted(self.errors)[len(self.errors) // 2]))


def samples_by_error(history: pd.DataFrame, errors: tuple[float, ...]) -> pd.DataFrame:
    """Return the samples that each student needs for each error; nan if it never stays below it."""
    rows = [
        dict(zip(["k", "d", "supervision", "seed"], of, strict=True))
        | {"error": error, "samples": theory.samples_to_reach(curve, error)}
        for of, curve in history.groupby(["k", "d", "supervision", "seed"], sort=False)
        for error in errors
    ]
    return pd.DataFrame(rows)


def slopes(by_seed: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents of samples against d, by k, error and supervision, and those of labels minus taught.

    Columns k, error, supervision, dims, seeds, unreached (students that never stayed below the error), exponent, low
    and high (95 %, seeds resampled). A dimension with such a student is left out of the fit. Differences are over the
    dimensions that both have, paired by seed.
    """
    rows = []
    for (k, error), group in by_seed.groupby(["k", "error"]):
        tables = {name: group[group["supervision"] == name] for name in (LABELS, PAIR, WIDE)}
        for name, table in tables.items():
            rows.append({"k": k, "error": error, "supervision": name, **_slope(table)})
        for name in (PAIR, WIDE):
            rows.append(
                {"k": k, "error": error, "supervision": f"labels − {name}", **_slope(tables[LABELS], tables[name])}
            )
    return pd.DataFrame(rows)


def _slope(table: pd.DataFrame, minus: pd.DataFrame | None = None) -> dict[str, object]:
    """Return dims, seeds, unreached, exponent, low and high of one fit, or of the difference of two."""
    both = [table] if minus is None else [table, minus]
    full = [set(one["d"]) - set(one.loc[one["samples"].isna(), "d"]) for one in both]
    dims = sorted(set.intersection(*full))
    seeds = table["seed"].nunique()
    found = {
        "dims": " ".join(map(str, dims)),
        "seeds": seeds,
        "unreached": sum(one["samples"].isna().sum() for one in both),
    }
    slope = theory.Slope(np.nan, np.nan, np.nan)
    if len(dims) >= 2 and seeds >= 2:
        fitted = [one[one["d"].isin(dims)] for one in both]
        slope = theory.bootstrap_slope(fitted[0], "d", "samples", minus=None if minus is None else fitted[1])
    return found | slope._asdict()


@dataclass(frozen=True)
class ParityEarlyCheckpoint(Checked):
    """After how many samples a stage-1 checkpoint shows the support, and the bill with the teacher's samples."""

    d: int = 19  # number of coordinates
    k: int = 4  # size of the support
    widths: tuple[int, ...] = (2, 16, 128)  # neurons of the teacher
    samples: tuple[int, ...] = tuple(2**i for i in range(12, 25, 2))  # the teacher's samples in stage 1
    error: float = 0.1  # the students' test error to be reached
    largest: int = 2**21  # stage-1 samples of a student, at most

    def check(self) -> None:
        """Raise ValueError for widths that are odd."""
        for width in self.widths:
            theory.samples_to_appear(self.d, self.k, width=width)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train teachers on more and more samples, and a student with each of them and on labels."""
        d, k, rows, curves = self.d, self.k, [], []
        cells = [
            (width, samples, seed) for width in (0, *self.widths) for samples in self.samples for seed in range(seeds)
        ]
        for width, samples, seed in progress_bar(cells, desc="teachers", show=progress):
            if width == 0 and samples != self.samples[0]:
                continue  # labels have no teacher: one student a seed
            support, teacher, shown = theory.hidden_support(d, k, seed=seed), None, {}
            if width:
                teacher = theory.stage_one_teacher(d, support, width=width, seed=TEACHER_SEED + seed, samples=samples)
                squares = (teacher.weights**2).sum(axis=0)  # (d,)
                shown = theory.degree_one_energy(teacher, support, d, seed=seed)
                shown["weights"] = squares[support].sum() / squares.sum()
            of = {"width": width, "seed": seed, "teacher_samples": samples if width else 0}
            curve = theory.learning_curve(d, k, seed=seed, error=self.error, largest=self.largest, teacher=teacher)
            curves.append(curve.assign(**of))
            rows.append({**of, **shown, "student_samples": theory.samples_to_reach(curve, self.error)})
        by_seed = pd.DataFrame(rows)
        appears = {width: theory.samples_to_appear(d, k, width=width) for width in self.widths}
        tables = {"results": bill(by_seed, largest=self.largest), "by_seed": by_seed, "history": pd.concat(curves)}
        return Outcome(tables, plots.early_checkpoint_figure(by_seed, appears=appears))


def bill(by_seed: pd.DataFrame, *, largest: int) -> pd.DataFrame:
    """Return medians by the teacher's width and samples, and for how many students the teacher pays.

    A student that never reached the error counts as one that needs `largest`. `students` is the smallest number M of
    students with teacher_samples + M·student_samples below M times what labels need; nan if there is none.
    """
    filled = by_seed.fillna({"student_samples": largest})
    medians = (
        filled.groupby(["width", "teacher_samples"], as_index=False).median(numeric_only=True).drop(columns="seed")
    )
    labels = medians.loc[medians["width"] == 0, "student_samples"].item()
    saved = labels - medians["student_samples"]
    pays = np.floor(medians["teacher_samples"] / saved.where(saved > 0)) + 1
    return medians.assign(students=pays.where(medians["width"] > 0))


@dataclass(frozen=True)
class ParityImperfectTeacher(Checked):
    """One-shot from an imperfect final teacher: the label plus an error of size d^(−c), and trained networks."""

    dims: tuple[int, ...] = (25,)  # numbers of coordinates for the label with an error
    k: int = 4  # size of the support
    degrees: tuple[int, ...] = (1, 2, 3)  # degrees of the error
    powers: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)  # c: the error has size d^(−c)
    trained_d: int = 15  # number of coordinates for trained networks
    trained: tuple[int, ...] = (2**14, 2**15, 2**16, 2**18)  # stage-1 samples of the trained networks
    error: float = 0.1  # the students' test error to be reached
    largest: int = 2**20  # stage-1 samples of a student, at most

    def check(self) -> None:
        """Raise ValueError for a degree that is not less than k, and networks too large for a table."""
        for degree in self.degrees:
            theory.flawed_label(range(self.k), degree=degree, size=1.0)
        theory.hypercube(self.trained_d)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train one-shot students of each final teacher, students of labels, and ones with two checkpoints."""
        k, rows, networks, curves = self.k, [], [], []
        kinds = [(degree, power) for degree in self.degrees for power in self.powers]
        cells = [
            (d, degree, power, seed)
            for d in self.dims
            for degree, power in [(0, np.inf), (0, 0.0), *kinds]
            for seed in range(seeds)
        ]
        options = {"error": self.error, "largest": self.largest}
        for d, degree, power, seed in progress_bar(cells, desc="students", show=progress):
            support, final, teacher = theory.hidden_support(d, k, seed=seed), None, None
            if degree:
                final = theory.flawed_label(support, degree=degree, size=d**-power)
            elif power == 0:  # two checkpoints
                teacher = theory.stage_one_teacher(d, support, width=2, seed=TEACHER_SEED + seed)
            of = {"d": d, "degree": degree, "power": power, "seed": seed}
            curve = theory.learning_curve(d, k, seed=seed, teacher=teacher, final=final, **options)
            curves.append(curve.assign(**of))
            rows.append(of | {"samples": theory.samples_to_reach(curve, self.error)})
        for samples, seed in progress_bar(
            [(n, s) for n in self.trained for s in range(seeds)], desc="networks", show=progress
        ):
            networks.append(self.student_of_network(samples, seed))
        by_seed = pd.DataFrame(rows)
        medians = (
            by_seed.fillna({"samples": self.largest})
            .groupby(["degree", "power", "d"], as_index=False)["samples"]
            .median()
        )
        tables = {
            "results": medians,
            "by_seed": by_seed,
            "networks": pd.DataFrame(networks),
            "history": pd.concat(curves),
        }
        return Outcome(tables, plots.imperfect_teacher_figure(by_seed, tables["networks"]))

    def student_of_network(self, samples: int, seed: int) -> dict[str, float]:
        """Return how good a network trained on labels is, what its output holds, and what its one-shot student needs.

        Energies are shares of the output's, exact, on the support: of degree 1 and 2.
        """
        d, k = self.trained_d, self.k
        support = theory.hidden_support(d, k, seed=seed)
        width = theory.student_width(k)
        found = theory.two_stage(
            d,
            k,
            stage1_samples=samples,
            stage2_samples=theory.STAGE2_PER_NEURON * width,
            width=width,
            steps=3,
            support=support,
            seed=TEACHER_SEED + seed,
        )
        cube = theory.hypercube(d)
        outputs = np.concatenate([found.network(part.astype(np.float32)) for part in np.array_split(cube, 64)])
        wrong = np.mean(np.sign(outputs) != theory.parity(cube, support))
        energy = theory.fourier_coefficients(outputs) ** 2 / np.mean(outputs.astype(float) ** 2)
        singles = [energy[theory.subset_index([j], d)] for j in range(d)]
        pairs = [energy[theory.subset_index([i, j], d)] for i in support for j in support if i < j]
        curve = theory.learning_curve(d, k, seed=seed, error=self.error, largest=self.largest, final=found.network)
        return {
            "d": d, "teacher_samples": samples, "seed": seed, "error": wrong,
            "parity": energy[theory.subset_index(support, d)], "degree_1_in": np.sum(np.take(singles, support)),
            "degree_1_out": np.sum(singles) - np.sum(np.take(singles, support)), "degree_2_in": np.sum(pairs),
            "samples": theory.samples_to_reach(curve, self.error),
        }  # fmt: skip


RECIPES: dict[str, dict[str, Recipe]] = {
    "parity-two-stage": {
        "smoke": ParityTwoStage(
            (Degree(2, 2**5, (7, 9), (7, 9), (7, 9)),), errors=(0.3, 0.1), wide=4, largest=2**9, largest_taught=2**9
        ),
        "laptop": ParityTwoStage(),
        "paper": ParityTwoStage(
            (
                Degree(2, 2**5, (15, 31, 63, 127, 255), (15, 31, 63, 127, 255), (15, 31, 63, 127, 255)),
                Degree(4, 2**9, (15, 21, 31, 45, 63, 91), (15, 31, 63, 127, 255), (15, 31, 63, 127, 255)),
                Degree(6, 2**12, (13, 15, 17, 19), (15, 31, 63, 127, 255), (15, 31, 63, 127, 255)),
            ),
            largest=2**27,
            largest_taught=2**24,
        ),
    },
    "parity-early-checkpoint": {
        "smoke": ParityEarlyCheckpoint(9, 2, widths=(2, 4), samples=(2**6, 2**8), error=0.3, largest=2**9),
        "laptop": ParityEarlyCheckpoint(),
        "paper": ParityEarlyCheckpoint(
            51, widths=(2, 16, 128, 1024), samples=tuple(4**i for i in range(8, 14)), largest=2**24
        ),
    },
    "parity-imperfect-teacher": {
        "smoke": ParityImperfectTeacher((9,), 2, (1,), (0.5, 1.0), 9, (2**8,), error=0.3, largest=2**9),
        "laptop": ParityImperfectTeacher(),
        "paper": ParityImperfectTeacher((15, 21, 31, 45, 63), largest=2**24),
    },
}
