"""Teachers from elsewhere: the published checkpoints of a language model, distilled into a smaller one."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pdtutor import plots
from pdtutor.checkpoints.foreign import ForeignTrajectory
from pdtutor.checkpoints.hub import local_family, multiberts, pythia, save_family
from pdtutor.devices import AUTO
from pdtutor.distillation.schedule import FINAL, Schedule, n_shot, one_shot, progressive
from pdtutor.distillation.supervision import Distill, Labels
from pdtutor.models.pretrained import Pretrained
from pdtutor.recipes.outcome import Outcome, Recipe, checked
from pdtutor.recipes.settings import Checked
from pdtutor.recipes.text import WIKIPEDIA_AND_PLAYS
from pdtutor.tasks.text import CausalText, MaskedText
from pdtutor.training.compare import compare, results, spread
from pdtutor.training.loop import train
from pdtutor.training.optim import AdamW


@dataclass(frozen=True)
class Architecture:
    """The size of a BERT, or of a GPT-NeoX for the causal objective."""

    layers: int = 4  # number of blocks
    width: int = 256  # width of the hidden states, a multiple of heads
    heads: int = 4  # number of attention heads

    def config(self, task: MaskedText | CausalText) -> dict:
        """Return the transformers configuration for the vocabulary and the rows of a task, without dropout."""
        special = task.tokens.special
        return {
            "model_type": "gpt_neox" if isinstance(task, CausalText) else "bert",
            "vocab_size": task.vocabulary,
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": 4 * self.width,
            "max_position_embeddings": task.length,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "hidden_dropout": 0.0,
            "attention_dropout": 0.0,
            "pad_token_id": special.get("padding"),
        }


@dataclass(frozen=True)
class PretrainedProgressive(Checked):
    """E5 with teachers from elsewhere: published checkpoints (MultiBERTs, Pythia, a folder) teach a small student.

    The student with seed s learns from the MultiBERT with seed s, or from the teacher that is trained first with seed
    s. Pythia and a folder are one teacher for all students.
    """

    family: str = ""  # multiberts, pythia-160m, or a folder of checkpoints; if empty, a teacher is trained first
    objective: str = "masked"  # masked, or causal, which Pythia needs
    corpus: tuple[str, ...] = WIKIPEDIA_AND_PLAYS  # names from data/corpora.toml, or folders of texts
    tokenizer: str = "wordpiece-2048"  # the teacher's, and so the students'
    length: int = 32  # ids per row
    limit: int | None = None  # documents of each corpus, at most; all if None
    teacher: Architecture = field(default_factory=Architecture)  # size of a teacher that is trained first
    teacher_steps: int = 2000  # updates of a teacher that is trained first
    save_every: int = 100  # updates between the checkpoints of such a teacher
    student: Architecture = field(default_factory=lambda: Architecture(layers=2, width=64))  # size of the student
    lr: float = 2e-3  # peak learning rate of AdamW: 6 % warm-up, then cosine
    batch_size: int = 64  # rows per update
    steps: int = 1000  # the student's updates
    eval_every: int = 100  # updates between evaluations
    eval_examples: int = 512  # held-out rows
    intervals: int = 8  # number of intervals of progressive distillation
    first_checkpoint: int | None = None  # C₁ of (2,T), a step of the teacher; no (2,T) if None
    first: int = 200  # T of (2,T): updates with C₁, the first checkpoint
    temperature: float = 1.0  # τ, by which the teacher's logits are divided
    threshold: float = 0.2  # accuracy to reach: tables say how many updates that takes
    precision: str | None = None  # how matrices are multiplied: "float32", or "bfloat16" for a GPU

    def check(self) -> None:
        """Raise ValueError for an optimizer, a model or a schedule that can't be made of these settings.

        Raises ImportError if transformers is missing.
        """
        self.optimizer()
        self.model(self.student, 0)
        steps = self.teacher_steps
        saved = [*range(0, steps, self.save_every), steps]
        for schedule in self.schedules(steps).values() if not self.family else ():
            schedule.stages(saved, self.steps)

    def task(self) -> MaskedText | CausalText:
        """Return the task. Raises ValueError for an unknown objective."""
        kinds = {"masked": MaskedText, "causal": CausalText}
        if self.objective not in kinds:
            raise ValueError(f"objective must be 'masked' or 'causal', got {self.objective!r}")
        return kinds[self.objective](self.corpus, self.tokenizer, self.length, self.limit)

    def teachers(self, seed: int, *, out: Path, **options) -> ForeignTrajectory:
        """Return the teacher of the student with this seed. If it is trained first, options go to `train`."""
        task = self.task()
        settings = {"classes": task.classes, "padding": task.tokens.special.get("padding")}
        if self.family == "multiberts":
            return multiberts(seed, **settings)
        if self.family.startswith("pythia-"):
            return pythia(self.family.removeprefix("pythia-"), **settings)
        folder = Path(self.family) if self.family else out / f"family-seed{seed}"
        if not self.family:
            run = train(
                self.model(self.teacher, seed),
                task,
                save_every=self.save_every,
                out=out / f"teacher-seed{seed}",
                **self.settings(self.teacher_steps, self.save_every),
                **options,
            )
            save_family(run.trajectory, folder)
        return local_family(folder, self.objective, **settings)

    def model(self, size: Architecture, seed: int) -> Pretrained:
        """Return a freshly initialised model of this size for the task."""
        task = self.task()
        padding = task.tokens.special.get("padding")
        return Pretrained(size.config(task), objective=self.objective, padding=padding, classes=task.classes, seed=seed)

    def optimizer(self) -> AdamW:
        """Return the optimizer of teacher and student."""
        return AdamW(lr=self.lr, betas=(0.9, 0.95), decay="cosine", warmup=0.06)

    def schedules(self, final: int) -> dict[str, Schedule]:
        """Return the schedules by the paper's names, for a teacher whose last checkpoint is at step `final`.

        Progressive distillation goes through the teacher's checkpoints at such a speed that the last one comes at the
        student's end.
        """
        every, speed = self.steps // self.intervals, final / self.steps
        schedules = {"one-shot": one_shot(), "progressive": progressive(every, speed=speed)}
        if self.first_checkpoint is not None:
            schedules["(2,T)"] = n_shot([self.first_checkpoint, FINAL], each=self.first)
        return schedules

    def methods(self, teacher: ForeignTrajectory) -> dict:
        """Return the supervisions by the paper's names, with (2,T) if C₁ is given."""
        distilled = {
            name: Distill(teacher, schedule, temperature=self.temperature)
            for name, schedule in self.schedules(teacher.final).items()
        }
        return {"cross-entropy": Labels()} | distilled

    @checked
    def run(self, *, seeds: int, out: Path, resume: bool = False, device: str = AUTO, progress: bool = True) -> Outcome:
        """Find or train the teachers, and compare the supervisions, one student after the other."""
        options = {"resume": resume, "device": device, "progress": progress}
        histories, task = [], self.task()
        for seed in range(seeds):
            compared = compare(
                lambda seeds: self.model(self.student, seeds[0]),
                task,
                self.methods(self.teachers(seed, out=out, **options)),
                seeds=[seed],
                side_by_side=False,  # a model of transformers is one copy
                out=out / "students",
                **self.settings(self.steps, self.eval_every),
                **options,
            )
            histories.append(compared.history)
        history = pd.concat(histories, ignore_index=True)
        found = results(history, threshold=self.threshold)
        tables = {"results": spread(found), "by_seed": found, "history": history}
        return Outcome(tables, plots.accuracy_figure(history))

    def settings(self, steps: int, every: int) -> dict:
        """Return the arguments of `train` for every model here: so many updates, evaluated every so many."""
        return {
            "steps": steps,
            "batch_size": self.batch_size,
            "optimizer": self.optimizer(),
            "eval_every": every,
            "eval_examples": self.eval_examples,
            "precision": self.precision,
        }


PUBLISHED = PretrainedProgressive(
    family="multiberts",
    corpus=("wikitext-103", "gutenberg"),
    tokenizer="google-bert/bert-base-uncased",
    length=128,
    limit=10_000,
    student=Architecture(layers=4, width=256, heads=4),
    lr=5e-4,
    batch_size=256,
    steps=24_000,
    eval_every=1000,
    intervals=24,
    first_checkpoint=20_000,
    first=4000,
    threshold=0.4,
    precision="bfloat16",
)

RECIPES: dict[str, dict[str, Recipe]] = {
    "pretrained-progressive": {
        "smoke": PretrainedProgressive(
            tokenizer="wordpiece-512",
            length=16,
            limit=400,
            teacher=Architecture(layers=1, width=16, heads=2),
            teacher_steps=20,
            save_every=5,
            student=Architecture(layers=1, width=8, heads=1),
            batch_size=8,
            steps=20,
            eval_every=10,
            eval_examples=32,
            intervals=4,
            first_checkpoint=5,
            first=5,
        ),
        "laptop": PretrainedProgressive(),
        "paper": PUBLISHED,
    },
}
