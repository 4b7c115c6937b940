"""MLPs on hierarchical parity: which subtrees a teacher learns first, and which of them reach a student."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pdtutor import plots
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.devices import AUTO
from pdtutor.models.mlp import MLP
from pdtutor.models.model import Model
from pdtutor.probes.monomials import correlation_levels, largest_difference
from pdtutor.probes.nodes import node_correlations, node_steps
from pdtutor.probes.over import over
from pdtutor.recipes.outcome import Outcome, checked
from pdtutor.recipes.parity import PAPER_STUDENTS, PAPER_TEACHER, ParityTeacher
from pdtutor.recipes.students import Progressive, with_teachers
from pdtutor.tasks.hierarchical import HierarchicalParity
from pdtutor.training.compare import Comparison


@dataclass(frozen=True)
class HierarchicalTeacher(ParityTeacher):
    """Hierarchical parity, the teacher: a wide MLP learns the tree from the root down, in transitions that overlap.

    A node's parity has the same weight, 2^−depth, in the probability of every leaf below it. One level further down,
    half as many leaves lie below a node, and its signal in the gradient has half the squared norm.
    """

    d: int = 36  # number of coordinates
    k: int = 4  # size of every node's support
    depth: int = 3  # levels of the tree, which has 2^depth labels
    lr: float = 0.3  # learning rate, constant
    save_every: int = 250  # updates between checkpoints
    probe_examples: int = 8192  # examples for the correlations

    def task(self) -> HierarchicalParity:
        """Return the task."""
        return HierarchicalParity(self.d, self.k, self.depth)

    def model(self, *, width: int, seeds: list[int]) -> Model:
        """Return freshly initialised models of this width, one copy per seed, with one logit per leaf."""
        return MLP(self.d, width=width, classes=self.task().classes, seed=seeds)

    def curriculum(
        self, trajectory: Trajectory, *, degree: int | Sequence[int] = 1, device: str = AUTO, progress: bool = True
    ) -> pd.DataFrame:
        """Return the correlations of every node's decision with monomials of these degrees, at every checkpoint."""
        probe = node_correlations(self.task(), degree=degree, examples=self.probe_examples)
        return over(trajectory, probe, device=device, progress=progress)

    def nodes(self, trajectory: Trajectory, *, device: str = AUTO, progress: bool = True) -> pd.DataFrame:
        """Return the curriculum for single coordinates and for the nodes' own parities, degrees 1 and k."""
        return self.curriculum(trajectory, degree=(1, self.k), device=device, progress=progress)

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train one teacher per seed, and follow the decision of every node."""
        run = self.train_seeds(seeds, out=out, resume=resume, device=device, progress=progress)
        curriculum = self.nodes(run.trajectory, device=device, progress=progress)
        found = node_steps(curriculum).merge(spikes(curriculum[curriculum["degree"] == 1]), on=["seed", "node"])
        accuracy = run.history.rename(columns={"accuracy": "accuracy_then"})[["seed", "step", "accuracy_then"]]
        found = found.merge(accuracy.astype({"step": "Int64"}), on=["seed", "step"], how="left")
        tables = {"results": found, "history": run.history, "curriculum": curriculum}
        return Outcome(tables, plots.nodes_figure(run.history, curriculum))


@dataclass(frozen=True)
class HierarchicalProgressive(Progressive):
    """Hierarchical parity, the students: with a single C₁ the last nodes come late, progressive finds all of them.

    C₁ is the checkpoint at which the single coordinates of the supports stand out most, over all nodes together; if
    they stand out no more than random ones, it is chosen by agreement. The table `first_checkpoints` says which.
    """

    teacher: HierarchicalTeacher = field(default_factory=HierarchicalTeacher)
    lr: float = 0.3  # learning rate
    steps: int = 30_000  # the student's updates, at most
    probe_every: int = 500  # updates between a student's checkpoints, at which its nodes are probed

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Train the teachers, find C₁, compare the four supervisions, and find when each student learns each node."""
        options = {"resume": resume, "device": device, "progress": progress}
        teachers = self.teacher.train_seeds(seeds, out=out, **options)
        curriculum = self.teacher.nodes(teachers.trajectory, device=device, progress=progress)
        single = curriculum[curriculum["degree"] == 1]
        first = self.teacher.first_checkpoints(teachers.trajectory, single, device=device, progress=progress)
        methods = self.methods(
            teachers.trajectory, dict(zip(first["seed"].tolist(), first["step"].tolist(), strict=True))
        )
        compared = self.compare(
            methods, seeds=teachers.trajectory.seeds, save_every=self.probe_every, out=out / "students", **options
        )
        history = with_teachers(compared.history, teachers.history)
        learned = [
            node_steps(curriculum).assign(method="teacher"),
            self.student_nodes(compared, device=device, progress=progress),
        ]
        tables = self.summary(compared.history) | {
            "nodes": pd.concat(learned, ignore_index=True)[["method", "seed", "node", "depth", "step"]],
            "first_checkpoints": first,
            "history": history,
            "curriculum": curriculum,
        }
        return Outcome(tables, plots.node_steps_figure(history, tables["nodes"], budget=self.steps))

    def student_nodes(self, compared: Comparison, *, device: str, progress: bool) -> pd.DataFrame:
        """Return when each student learned each node: the table of `node_steps` with a column `method`."""
        probe = node_correlations(self.teacher.task(), degree=self.teacher.k, examples=self.teacher.probe_examples)
        tables = []
        for method, seed in compared.places:
            found = over(compared.trajectory(method, seed), probe, device=device, progress=progress)
            tables.append(node_steps(found).assign(method=method))
        return pd.concat(tables)


def spikes(curriculum: pd.DataFrame) -> pd.DataFrame:
    """Return where each node's correlations stand out most: seed, node, peak_step, chance, inside_ and outside_at_peak.

    `chance` is that of `largest_difference`: the larger, the more likely the peak is an accident.
    """
    rows = []
    for (seed, node), of_node in curriculum.groupby(["seed", "node"]):
        levels, (peak, chance) = correlation_levels(of_node), largest_difference(of_node)
        inside, outside = levels.loc[peak, ["inside", "outside"]]
        found = {"peak_step": peak, "chance": chance, "inside_at_peak": inside, "outside_at_peak": outside}
        rows.append({"seed": seed, "node": node} | found)
    return pd.DataFrame(rows)


_SMOKE = HierarchicalTeacher(
    d=12, k=2, depth=2, width=64, lr=0.1, steps=600, save_every=50, eval_examples=512, probe_examples=1024
)
# 8 labels and k = 5 are the paper's. Sizes, learning rates and lengths are our guess: those of its sparse parity.
_PAPER = HierarchicalTeacher(**PAPER_TEACHER | {"k": 5})

RECIPES = {
    "hierarchical-teacher": {"smoke": _SMOKE, "laptop": HierarchicalTeacher(), "paper": _PAPER},
    "hierarchical-progressive": {
        "smoke": HierarchicalProgressive(
            _SMOKE, lr=0.1, steps=600, width=32, eval_every=50, interval=100, first=100, probe_every=100
        ),
        "laptop": HierarchicalProgressive(),
        "paper": HierarchicalProgressive(_PAPER, **PAPER_STUDENTS, probe_every=100_000),
    },
}
