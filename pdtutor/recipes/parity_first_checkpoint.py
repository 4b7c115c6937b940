"""C₁ of (2,T)-progressive distillation on sparse parity: what it says of the support, and two controls."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pdtutor import plots
from pdtutor.checkpoints.foreign import FunctionTeacher
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.distillation.schedule import FINAL, n_shot, one_shot
from pdtutor.models.logits import logits_of
from pdtutor.models.mlp import MLP
from pdtutor.models.model import Model, device_of
from pdtutor.probes.gradients import balanced_inputs, first_gradient
from pdtutor.probes.over import over
from pdtutor.probes.probe import Probe
from pdtutor.recipes.outcome import Outcome, Recipe, checked
from pdtutor.recipes.parity import PAPER_STUDENTS, PAPER_TEACHER, SMOKE_TEACHER, ParityStudents, ParityTeacher
from pdtutor.recipes.parity_logits import answers, logit_coefficients, of_degree, sum_of, without
from pdtutor.tasks.parity import SparseParity
from pdtutor.training.compare import bootstrap_mean, results

LEARNED = 0.99  # a teacher's accuracy from which on it has learned
GRADIENT = ("correlation", "hard", "signal")  # columns of `first_gradient`; in `candidates`, inside − outside
PREDICTORS = (*GRADIENT, "signal_outside", "energy_1", "energy_between", "energy_label")  # columns of `candidates`
PLATEAU = 0.53  # a teacher's accuracy until which it is on its plateau
PHASES = {  # candidates by the teacher's accuracy there: from, to
    "all": (0.0, 2.0),
    "on the plateau": (0.0, PLATEAU),
    "in the transition": (PLATEAU, LEARNED),
}


@dataclass(frozen=True)
class ParityFirstCheckpoint(ParityStudents):
    """E1, (2,T): students' steps against what C₁ says of the support; controls with another support and untrained."""

    steps: int = 12_000  # the student's updates
    checkpoints: int = 16  # how many first checkpoints to try until the teacher has learned; evenly spaced
    groups: int = 1024  # groups of 2^k examples for the gradients

    def controls(self, teachers: Trajectory, peaks: dict[int, int]) -> dict:
        """Return (2,T) with C₁ at the spike, and with two that say nothing of the support; and one-shot, without C₁.

        "another support" is the checkpoint at the spike with its inputs renamed, so that it knows other coordinates as
        well as the original knows the support.
        """
        task = self.teacher.task()

        def elsewhere(seed: int):
            teacher = teachers.of(seed)
            functions = {0: renamed(teacher, peaks[seed], task), 1: answers(teacher, teacher.final)}
            both = FunctionTeacher(functions, classes=2, name=f"teacher {seed} of another support")
            return self.distill(both, n_shot([0, FINAL], each=self.first))

        return {
            "the spike": lambda seed: self.two_shot(teachers.of(seed), peaks[seed]),
            "another support": elsewhere,
            "untrained": lambda seed: self.two_shot(teachers.of(seed), 0),
            "no C₁ (one-shot)": lambda seed: self.distill(teachers.of(seed), one_shot()),
        }

    def candidates(self, teacher: Trajectory, peak: int, accuracy: pd.Series, *, out: Path, **options) -> pd.DataFrame:
        """Return one row per C₁ of one teacher: what it says of the support, and its student's steps.

        Columns: checkpoint, teacher (its accuracy); correlation, hard and signal (each the mean inside the support
        minus the mean outside: see `first_gradient`); signal_inside and signal_outside; energy_1, energy_between and
        energy_label (of degree 1, of degrees 2 to k − 1, and of degree k: see `support_energy`); steps,
        final_accuracy and reached, of the student; seed.
        """
        seed, steps = teacher.seeds[0], first_steps(teacher, accuracy, self.checkpoints, peak)
        student = MLP(self.teacher.d, width=self.width, seed=seed)
        probe = first_gradient(self.teacher.task(), student, temperature=self.temperature, groups=self.groups)
        probing = {name: value for name, value in options.items() if name != "resume"}
        probed = over(teacher, probe, steps=steps, **probing)
        energies = over(teacher, support_energy(self.teacher.task(), groups=self.groups), steps=steps, **probing)
        energies = energies.pivot(index="step", columns="degree", values="energy")
        means = probed.groupby(["step", "inside"])[list(GRADIENT)].mean().unstack()
        excess = pd.DataFrame({name: means[name][True] - means[name][False] for name in GRADIENT})
        excess["signal_inside"], excess["signal_outside"] = means["signal"][True], means["signal"][False]
        excess["energy_1"], excess["energy_label"] = energies[1], energies[self.teacher.k]
        excess["energy_between"] = energies.drop(columns=[1, self.teacher.k]).sum(axis=1)
        compared = self.compare(
            {str(step): self.two_shot(teacher, step) for step in steps},
            seeds=[seed],
            until=None,
            out=out,
            **options,
        )
        found = results(compared.history, threshold=self.threshold).astype({"method": int}).set_index("method")
        table = excess.join(found[["steps", "final_accuracy", "reached"]])
        table.insert(0, "teacher", accuracy)
        return table.rename_axis("checkpoint").reset_index().assign(seed=seed)

    def parts(self, teachers: Trajectory, peaks: dict[int, int]) -> dict:
        """Return (2,T) with C₁ at the spike changed: see `parts_of`."""

        def method(name: str):
            def supervision(seed: int):
                teacher = teachers.of(seed)
                changed = parts_of(teacher, peaks[seed], self.teacher.task())[name]
                functions = {0: changed, 1: answers(teacher, teacher.final)}
                both = FunctionTeacher(functions, classes=2, name=f"teacher {seed}, {name}")
                return self.distill(both, n_shot([0, FINAL], each=self.first))

            return supervision

        return {name: method(name) for name in PARTS}

    def energies_of_parts(self, teacher: Trajectory, peak: int) -> pd.DataFrame:
        """Return one row per part of C₁ at the spike: seed, part, and the energy of its argmax by degree, 1 … k."""
        task = self.teacher.task()
        probe = support_energy(task, groups=max(2, self.groups // 2))
        rows = []
        for name, function in {"the spike": answers(teacher, peak), **parts_of(teacher, peak, task)}.items():
            table = probe(FunctionTeacher(function, classes=2, name=name).at(0)).set_index("degree")
            rows.append({"seed": teacher.seeds[0], "part": name, **table["energy"].round(4).to_dict()})
        return pd.DataFrame(rows)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers, a student for every C₁ to try of each, and students for the controls."""
        options = {"resume": resume, "device": device, "progress": progress}
        trained = self.teacher.train_seeds(seeds, out=out, **options)
        teachers, accuracy = trained.trajectory, trained.history.set_index(["seed", "step"])["accuracy"]
        curriculum = self.teacher.curriculum(teachers, device=device, progress=progress)
        first = self.teacher.first_checkpoints(teachers, curriculum, device=device, progress=progress)
        peaks = dict(zip(first["seed"].tolist(), first["step"].tolist(), strict=True))
        candidates = pd.concat(
            [
                self.candidates(teachers.of(seed), peaks[seed], accuracy[seed], out=out / f"students-{seed}", **options)
                for seed in teachers.seeds
            ],
            ignore_index=True,
        )
        controls = self.compare(
            self.controls(teachers, peaks), seeds=teachers.seeds, until=None, out=out / "controls", **options
        )
        parts = self.compare(
            self.parts(teachers, peaks), seeds=teachers.seeds, until=None, out=out / "parts", **options
        )
        history = pd.concat([controls.history, parts.history], ignore_index=True)
        tables = {
            "results": rank_correlations(candidates, budget=self.steps),
            "candidates": candidates,
            "controls": results(history, threshold=self.threshold),
            "history": history[["method", "seed", "step", "accuracy", "teacher_step"]],
            "first_checkpoints": first,
            "parts": pd.concat([self.energies_of_parts(teachers.of(seed), peaks[seed]) for seed in teachers.seeds]),
        }
        return Outcome(tables, plots.predictors_figure(candidates, budget=self.steps))


def first_steps(teacher: Trajectory, accuracy: pd.Series, count: int, peak: int) -> list[int]:
    """Return the C₁ to try: `count` evenly spaced until the teacher has learned, and a few others.

    These are the untrained checkpoint, the one at the spike, and two from after the teacher has learned: one half-way
    to the end, and the final one. Fewer, if not so many were saved.
    """
    learned = accuracy.index[accuracy >= LEARNED]
    end = int(learned[0]) if len(learned) else teacher.final
    spaced = {teacher.nearest(end * (i + 1) // count) for i in range(count)}
    return sorted({0, *spaced, peak, teacher.nearest((end + teacher.final) // 2), teacher.final})


PARTS = ("degree 1 alone", "without degree 1", "without the label")


def parts_of(teacher: Trajectory, step: int, task: SparseParity) -> dict:
    """Return three changes of a checkpoint, by their names in `PARTS`: functions from inputs (n, d) to logits (n, 2).

    Of the difference z of its logits, the first keeps nothing but the terms of single coordinates of the support; the
    second leaves out those of all single coordinates; and the third that of the label, the product of the support.
    """
    coefficients, original = logit_coefficients(teacher, step, task), answers(teacher, step)
    changes = (
        sum_of(of_degree(coefficients, 1, support=task.support)),
        without(original, of_degree(coefficients, 1)),
        without(original, of_degree(coefficients, task.k)),
    )
    return dict(zip(PARTS, changes, strict=True))


def support_energy(task: SparseParity, *, groups: int, seed: int = 0) -> Probe:
    """Return a probe: how much of a model's argmax, as a sign, are products of in-support coordinates, by degree.

    The probe maps a model to a table with a row per copy and degree 1…k and the columns copy, degree and energy: the
    sum of E[h·χ_A]² over all A inside the support with |A| = degree, where h = ±1 is the argmax. All energies, over all
    sets of coordinates, sum to 1. It is estimated without bias by the product of two halves of the examples, so it may
    be negative.
    """
    inputs = balanced_inputs(task, groups=groups, seed=seed)
    signs = inputs[: 2**task.k, list(task.support)]  # (2^k, k), the settings of each group
    sets = [a for size in range(1, task.k + 1) for a in combinations(range(task.k), size)]
    monomials = torch.stack([signs[:, list(a)].prod(1) for a in sets], dim=1)  # (2^k, sets)
    degrees = torch.tensor([len(a) for a in sets])

    def ask(model: Model) -> pd.DataFrame:
        logits = logits_of(model, inputs.to(device_of(model))).cpu()  # (copies, groups·2^k, 2)
        h = (logits[..., 0] - logits[..., 1]).sign().unflatten(1, (groups, -1))  # (copies, groups, 2^k)
        first, second = (half.mean(1) @ monomials / len(signs) for half in h.tensor_split(2, dim=1))  # (copies, sets)
        return pd.DataFrame(
            {"copy": copy, "degree": degree, "energy": float((first * second)[copy][degrees == degree].sum())}
            for copy in range(len(h))
            for degree in range(1, task.k + 1)
        )

    return Probe(task, ask)


def renamed(teacher: Trajectory, step: int, task: SparseParity):
    """Return `answers` of a checkpoint with its inputs renamed: it now knows k coordinates outside the support.

    Inputs are uniform, so it is as good a teacher of that other support as the original is of its own.

    Raises ValueError unless 2k coordinates exist.
    """
    outside = [j for j in range(task.d) if j not in task.support]
    if len(outside) < task.k:
        raise ValueError(f"another support needs d ≥ 2k, got d = {task.d} and k = {task.k}")
    order = list(range(task.d))
    for j, i in zip(task.support, outside, strict=False):  # exchanges the support with others
        order[i], order[j] = j, i
    original = answers(teacher, step)
    return lambda inputs: original(inputs[:, torch.tensor(order)])


def rank_correlations(candidates: pd.DataFrame, *, budget: int, resamples: int = 2000) -> pd.DataFrame:
    """Return how well each predictor at C₁ orders a teacher's candidates by their students' steps.

    A row per group of candidates and predictor: Spearman's rank correlation, the mean over teachers, with a 95 %
    bootstrap interval (low, high) over teachers, their number, and the number of candidates. Students that didn't learn
    within the budget count as equally slow. A teacher whose candidates in a group are all alike is left out.
    """
    table = candidates[candidates["checkpoint"] > 0].assign(steps=candidates["steps"].astype(float).fillna(2 * budget))
    rows = []
    for group, (low, high) in PHASES.items():
        below = table[(table["teacher"] >= low) & (table["teacher"] < high)]
        for predictor in PREDICTORS:
            by_seed = [
                of_seed[predictor].rank().corr(of_seed["steps"].rank())
                for _, of_seed in below.groupby("seed")
                if of_seed["steps"].nunique() > 1 and of_seed[predictor].nunique() > 1
            ]
            low, high = bootstrap_mean(by_seed, resamples=resamples)
            mean = float(np.mean(by_seed)) if by_seed else float("nan")
            rows.append({"candidates": group, "predictor": predictor, "rank_correlation": mean, "low": low,
                         "high": high, "teachers": len(by_seed), "number": len(below)})  # fmt: skip
    return pd.DataFrame(rows)


RECIPES: dict[str, dict[str, Recipe]] = {
    "parity-first-checkpoint": {
        "smoke": ParityFirstCheckpoint(
            SMOKE_TEACHER, steps=600, width=32, eval_every=50, interval=100, first=100, checkpoints=3, groups=64
        ),
        "laptop": ParityFirstCheckpoint(),
        "paper": ParityFirstCheckpoint(ParityTeacher(**PAPER_TEACHER), **PAPER_STUDENTS),
    }
}
