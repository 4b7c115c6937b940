"""Students on sentences of a grammar: the paper's experiments E3 (masked) and E4 (causal)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from pdtutor.models.model import Model
from pdtutor.probes.nonterminals import nonterminal_probe
from pdtutor.recipes.outcome import Recipe
from pdtutor.recipes.pcfg import SMOKE_TEACHER, CausalTeacher, GrammarTeacher, paper_teacher
from pdtutor.recipes.sequence_students import Autoregressive, Budgets, MaskedProgressive, WhichCheckpoint
from pdtutor.training.run import Run


@dataclass(frozen=True)
class GrammarProgressive(MaskedProgressive):
    """E3, the students: cross-entropy, one-shot, progressive and (2,T) distillation, C₁ as M_robust starts to rise.

    C₁ is the first checkpoint whose median M_robust of 3-grams is at least half of its largest value. Progressive
    distillation has eight checkpoints in the first half of the budget; after that the final one teaches.
    """

    teacher: GrammarTeacher = field(default_factory=GrammarTeacher)
    lr: float = 1e-2  # peak learning rate of AdamW
    interval: int = 50  # R of progressive distillation, in updates
    speed: float = 15.0  # v of progressive distillation: checkpoints 750, 1500, …, 6000
    probed: int = 2048  # sentences on which the non-terminal probe is trained

    def students(
        self,
        teachers: Run,
        curriculum: pd.DataFrame,
        *,
        rates: Mapping[str, float] | None = None,
        out: Path,
        progress: bool = True,
        **options,
    ) -> dict[str, pd.DataFrame]:
        """Return the students' history, and how well the spans of each level can be read from their last hidden states.

        The table `spans` has the columns of `nonterminal_probe`, with method and seed in place of copy. It also has the
        teachers' rows, whose method is "teacher".
        """
        compared = self.taught(teachers, curriculum, rates=rates, out=out, progress=progress, **options)
        of_run = [[pair for pair, place in compared.places.items() if place[0] == i] for i in range(len(compared.runs))]
        spans = [
            *(self.spans(run.model, of, progress=progress) for run, of in zip(compared.runs, of_run, strict=True)),
            self.spans(teachers.model, [("teacher", seed) for seed in teachers.trajectory.seeds], progress=progress),
        ]
        return {"history": compared.history, "spans": pd.concat(spans, ignore_index=True)}

    def controls(self, seeds: Sequence[int], *, progress: bool = True) -> pd.DataFrame:
        """Return what the non-terminal probes tell of models that have learned nothing, or from wrong symbols.

        The table has the columns of `spans` and `width`: the students' and the teacher's. The methods are "untrained",
        freshly initialised models, and "shuffled", read-outs of these models trained on symbols of other sentences.
        """
        tables = []
        for width in (self.width, self.teacher.width):
            model = self.teacher.model(width=width, seeds=list(seeds))
            for name, shuffled in (("untrained", False), ("shuffled", True)):
                names = [(name, seed) for seed in seeds]
                table = self.spans(model, names, shuffled=shuffled, progress=progress)
                tables.append(table.assign(width=width))
        return pd.concat(tables, ignore_index=True)

    def spans(
        self, model: Model, names: Sequence[tuple[str, int]], *, shuffled: bool = False, progress: bool = True
    ) -> pd.DataFrame:
        """Return both non-terminal probes, at every level, of a model whose copies have these methods and seeds.

        The root and the symbols just above the tokens are left out, because they are trivial. With `shuffled`,
        read-outs are trained on symbols of other sentences.
        """
        task = self.teacher.task()
        options = {"sentences": self.probed, "shuffled": shuffled, "progress": progress}
        tables = [
            nonterminal_probe(task, level, kind=kind, **options)(model)
            for level in range(1, len(task.rules.levels or ()) - 1)
            for kind in ("attention", "linear")
        ]
        table = pd.concat(tables, ignore_index=True)
        table.insert(0, "method", [names[copy][0] for copy in table["copy"]])
        table.insert(1, "seed", [names[copy][1] for copy in table["copy"]])
        return table.drop(columns="copy")


@dataclass(frozen=True)
class GrammarBudgets(Budgets):
    """E3, the students at several budgets (numbers of updates), each a run of its own, as in the paper."""

    runs: tuple[GrammarProgressive, ...] = ()  # one per budget; those with equal teachers share them


@dataclass(frozen=True)
class GrammarWhichCheckpoint(WhichCheckpoint):
    """E3, (2,T) by its first checkpoint: neither an early nor a late one is best (an inverted U)."""

    teacher: GrammarTeacher = field(default_factory=GrammarTeacher)
    lr: float = 1e-2  # peak learning rate of AdamW
    steps: int = 400  # the student's updates: about as many as one-shot students spend on their plateau
    first: int = 100  # T of (2,T): updates with C₁, the first checkpoint
    # steps of C₁
    checkpoints: tuple[int, ...] = (100, 200, 300, 400, 500, 600, 700, 800, 1000, 1500, 2000, 3000, 4500, 6000)
    measured: tuple[int, ...] = (50,)  # the student's updates at which gradients are measured, before T


@dataclass(frozen=True)
class CausalProgressive(Autoregressive):
    """E4, the students: cross-entropy, one-shot and progressive distillation, token by token."""

    teacher: CausalTeacher = field(default_factory=CausalTeacher)
    lr: float = 5e-3  # peak learning rate of AdamW
    speed: float = 4.0  # v of progressive distillation; the final checkpoint teaches the last five eighths
    temperature: float = 1.0  # τ; early teachers are uncertain, and their argmax alone says little


_SMOKE = {"width": 8, "steps": 40, "eval_every": 10, "interval": 10, "speed": 1.0, "first": 10}
_SMOKE_STUDENTS = GrammarProgressive(SMOKE_TEACHER, **_SMOKE, probed=64)
_PAPER = {"width": 64, "lr": 5e-3, "eval_every": 200, "interval": 1000, "speed": 1.0, "first": 1000}


def _paper_students(steps: int) -> GrammarProgressive:
    """Return the students of E3 with the paper's numbers, at this budget."""
    return GrammarProgressive(paper_teacher(steps), **_PAPER, steps=steps, probed=10_240)


def _at_budget(steps: int) -> GrammarProgressive:
    """Return students at this budget: eight checkpoints of progressive distillation, and T of (2,T) a quarter.

    The first checkpoint, R·v, falls in the teacher's second phase, where 3-grams matter most; the final one teaches for
    more than half of the budget.
    """
    speed = 2 * GrammarTeacher.steps / steps
    own = {"steps": steps, "interval": steps // 16, "speed": speed, "first": steps // 4}
    return GrammarProgressive(**own)


RECIPES: dict[str, dict[str, Recipe]] = {
    "pcfg-progressive": {
        "smoke": _SMOKE_STUDENTS,
        "laptop": _at_budget(800),
        "paper": _paper_students(8000),
    },
    "pcfg-budgets": {
        "smoke": GrammarBudgets((_SMOKE_STUDENTS, replace(_SMOKE_STUDENTS, steps=20))),
        "laptop": GrammarBudgets(
            tuple(_at_budget(steps) for steps in (400, 800, 1600)), rates=(1e-2, 2e-2, 4e-2), tuned=400
        ),
        "paper": GrammarBudgets(tuple(_paper_students(steps) for steps in (2000, 4000, 8000, 16_000))),
    },
    "pcfg-which-checkpoint": {
        "smoke": GrammarWhichCheckpoint(SMOKE_TEACHER, **_SMOKE, checkpoints=(10, 20, 40), measured=(5,), batches=4),
        "laptop": GrammarWhichCheckpoint(),
        "paper": GrammarWhichCheckpoint(
            paper_teacher(8000),
            **_PAPER,
            steps=8000,
            checkpoints=(400, 800, 1000, 1200, 1600, 2000, 4000, 7000, 8000),
        ),
    },
    "pcfg-autoregressive": {
        "smoke": CausalProgressive(
            CausalTeacher(
                root="13", level=1, width=16, layers=1, batch_size=8, steps=40, save_every=10, eval_examples=32
            ),
            **_SMOKE,
        ),
        "laptop": CausalProgressive(),
        "paper": CausalProgressive(
            CausalTeacher(
                root=None,
                width=256,
                layers=4,
                lr=5e-3,
                batch_size=512,
                steps=8000,
                save_every=200,
                eval_examples=1024,
                precision="bfloat16",
            ),
            width=64,
            lr=5e-3,
            steps=8000,
            eval_every=200,
            interval=1000,
            speed=2.0,
            temperature=1e-4,
        ),
    },
}
