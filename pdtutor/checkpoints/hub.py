"""Teachers whose checkpoints are models saved by the transformers library, on the Hugging Face hub or in folders.

    teacher = multiberts(seed=0)                      # 28 checkpoints of BERT-base on the Hugging Face hub
    Distill(teacher, explicit([(0, 100_000), (2_000, FINAL)]))

A checkpoint is read, and downloaded if necessary, when `at` asks for it, or earlier and in the background by
`prefetch`.
"""

import re
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from pdtutor.checkpoints.foreign import ForeignTrajectory
from pdtutor.checkpoints.teachable import a_trajectory
from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.models.architectures import OBJECTIVES, quiet
from pdtutor.models.pretrained import Pretrained
from pdtutor.models.saved import NotThere, Saved, in_reach, read_saved, shortened
from pdtutor.processes import on_main
from pdtutor.validate import a_path, flag, instance, one_of, sequence, text, user_path, whole

PYTHIA_STEPS = (0, *(2**i for i in range(10)), *range(1_000, 144_000, 1_000))  # 154
MULTIBERTS_STEPS = (*range(20_000, 220_000, 20_000), *range(300_000, 2_100_000, 100_000))  # 28
MULTIBERTS_SEEDS = 5  # this many of the 25 MultiBERTs were published with intermediate checkpoints


# How a folder's name says the step: step_20k, checkpoint-500, global_step500, step1000-tokens2B, epoch_0_step_500, 500
WORD = r"(?:global[_-]?)?(?:steps?|checkpoint|ckpt|iter|iteration)"
NAMED = re.compile(rf"(?P<kind>|.*?{WORD})[_=-]?(?P<number>\d+)(?P<thousands>k?)(?:[_-]tokens\d+\w?)?", re.IGNORECASE)


@dataclass(frozen=True)
class Checkpoint:
    """Where the checkpoint of one step is: in a folder, or in a repository on the hub, at a branch, tag or commit."""

    step: int
    repo: str
    revision: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", whole("a checkpoint's step", self.step, minimum=0))
        object.__setattr__(self, "repo", str(a_path("repo", self.repo)) if isinstance(self.repo, Path) else self.repo)
        text("repo", self.repo)
        if self.revision is not None:
            text("revision", self.revision)


class PretrainedTrajectory(ForeignTrajectory):
    """The checkpoints of one masked or causal language model, each in its own folder, repository or revision.

    Args:
        checkpoints: where the checkpoint of each step is.
        objective, padding, classes: as for `Pretrained.load`.
        name: what messages call it; made from the place of the first checkpoint if not given.
        cache_dir: folder of the hub's cache; that of huggingface_hub (HF_HUB_CACHE) if not given.
        local_files_only: use only what is on this machine, and never ask the hub.

    The digest is that of this list, not of the weights, which may not be on this machine. If other weights appear under
    the same name or on the same branch, it doesn't change.

    Raises ValueError for no checkpoints, several of one step, and an unknown objective.
    """

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        *,
        objective: str,
        padding: int | None = None,
        classes: int | None = None,
        name: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> None:
        listed = [
            instance("checkpoints", one, Checkpoint, "a list of Checkpoint")
            for one in sequence("checkpoints", checkpoints)
        ]
        self.checkpoints = tuple(sorted(listed, key=lambda c: c.step))
        self.objective = one_of("objective", objective, OBJECTIVES)
        self.padding = None if padding is None else whole("padding", padding, minimum=0)
        self.classes = None if classes is None else whole("classes", classes)
        self.cache_dir = None if cache_dir is None else a_path("cache_dir", cache_dir)
        self.local_files_only = flag("local_files_only", local_files_only)
        if name is not None:
            text("name", name)
        places = [(c.step, _place(c.repo), c.revision) for c in self.checkpoints]
        path = name or (f"checkpoints like {places[0][1]}" if places else "a list")
        super().__init__(path, tuple(c.step for c in self.checkpoints), (places, objective, self.padding, self.classes))
        self._ahead: tuple[int, Future] | None = None  # the step that is read in advance, and the result
        self._turn = Lock()  # one thread at a time reads in advance

    def at(self, step: int) -> Pretrained:
        """Return the model of exactly this step, in eval mode and float32 on the CPU; a new one at every call.

        Raises ValueError for a step that isn't listed (naming the nearest); for a folder, repository, revision or file
        that can't be found (naming the steps that this machine has); and for damaged or missing weights.
        """
        self._require(step)
        saved = self._read_ahead(step) or self._read(step)
        model = Pretrained.from_saved(saved, objective=self.objective, padding=self.padding, classes=self.classes)
        return model.requires_grad_(False)

    def prefetch(self, step: int) -> None:
        """Start to read this step's checkpoint in the background, so that `at(step)` needn't wait; return at once.

        One checkpoint is held in this way, until `at` takes it or another step is prefetched. If the read fails, `at`
        tries again and reports the error. The thread delays neither the end of this process nor, if it is killed, a
        later process.
        """
        if self._ahead is not None:
            if self._ahead[0] == step:
                return
            self._ahead[1].cancel()
        self._ahead = step, Future()
        Thread(target=self._fulfil, args=self._ahead, name=f"prefetch of {self.path}", daemon=True).start()

    def _fulfil(self, step: int, future: Future) -> None:
        """Read the checkpoint into the future, unless that was cancelled while an earlier read was still running."""
        with self._turn:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._read(step))
                except BaseException as error:  # at() waits for a result or an error
                    future.set_exception(error)

    def _read_ahead(self, step: int) -> Saved | None:
        """Return what `prefetch` read, waiting for it if necessary; None if it read another step or failed."""
        if self._ahead is None or self._ahead[0] != step:
            return None
        (_, future), self._ahead = self._ahead, None
        return future.result() if future.exception() is None else None

    def _read(self, step: int) -> Saved:
        self._require(step)
        checkpoint = self.checkpoints[self.steps.index(step)]
        try:
            return read_saved(
                checkpoint.repo,
                revision=checkpoint.revision,
                cache_dir=self.cache_dir,
                local_files_only=self.local_files_only,
            )
        except NotThere as error:
            here = [str(c.step) for c in self.checkpoints if in_reach(c.repo, c.revision, self.cache_dir)]
            known = f"of {self.path}, this machine has steps {', '.join(here) or 'none'}"
            raise NotThere(f"checkpoint {step}: {error}; {known}") from error


def multiberts(seed: int = 0, folder: str | Path | None = None, **settings: Any) -> PretrainedTrajectory:
    """Return the 28 checkpoints (steps 20k to 2000k) of a BERT-base, published for each of the seeds 0 to 4.

    They share the vocabulary of bert-base-uncased: 30522 ids, padding 0. (Sellam et al., 2022, "The MultiBERTs")

    Args:
        seed: which of the five models.
        folder: where the checkpoints already are on this machine, in subfolders named like the repositories, or
            `step_20k`. If not given, they come from the hub.
        **settings: further arguments of `PretrainedTrajectory`.

    Raises ValueError for another seed, and, with a folder, whatever `local_family` raises.
    """
    seed = whole("seed", seed, minimum=0)
    if seed >= MULTIBERTS_SEEDS:
        raise ValueError(
            f"only the MultiBERTs of seeds 0…{MULTIBERTS_SEEDS - 1} have intermediate checkpoints, got seed {seed}"
        )
    settings = {"padding": 0, "name": f"MultiBERTs seed {seed}", **settings}
    stem = f"multiberts-seed_{seed}-"
    if folder is not None:
        return local_family(folder, "masked", stem=stem, **settings)
    repos = [Checkpoint(step, f"google/{stem}step_{step // 1000}k") for step in MULTIBERTS_STEPS]
    return PretrainedTrajectory(repos, objective="masked", **settings)


def pythia(size: str = "160m", folder: str | Path | None = None, **settings: Any) -> PretrainedTrajectory:
    """Return the 154 checkpoints of a Pythia model: steps 0, 1, 2, 4 … 512, 1000, 2000 … 143000.

    They are causal language models with more logits (50304, 50432 or 50688, by size) than their tokenizer has tokens.
    (Biderman et al., 2023, "Pythia"; issue 68 of EleutherAI/pythia)

    Args:
        size: "14m", "70m", "160m", "410m", "1b", …, or one of these with "-deduped".
        folder: where the checkpoints already are on this machine, in subfolders named like `step1000`. If not given,
            they come from the hub.
        **settings: further arguments of `PretrainedTrajectory`, such as `classes` to leave out the surplus logits.

    Raises, with a folder, whatever `local_family` raises.
    """
    settings = {"name": f"Pythia {text('size', size)}", **settings}
    if folder is not None:
        return local_family(folder, "causal", stem=f"pythia-{size}-", **settings)
    repo = f"EleutherAI/pythia-{size}"
    revisions = [Checkpoint(step, repo, f"step{step}") for step in PYTHIA_STEPS]
    return PretrainedTrajectory(revisions, objective="causal", **settings)


def local_family(folder: str | Path, objective: str, *, stem: str = "", **settings: Any) -> PretrainedTrajectory:
    """Return the checkpoints in the subfolders of a folder, whose names end with the step.

    Names may be step_20k, step1000 or step_000020, checkpoint-500 as the Trainer of transformers writes it,
    global_step500, my-run-step500, epoch_0_step_500, step1000-tokens2B, or the number alone; subfolders with other
    names are ignored.

    Args:
        folder: its subfolders hold what `save_pretrained` writes, config.json and weights.
        objective: "masked" or "causal".
        stem: what comes before `step`, `checkpoint` or the number in the names to read, if the folder holds several
            models; names without any stem are read, too.
        **settings: further arguments of `PretrainedTrajectory`.

    Raises ValueError if there is no such folder or subfolder, if subfolders are named in several ways or two name one
    step, and for an unknown objective.
    """
    folder = a_path("folder", folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir())
    found = _steps_of([path.name for path in subfolders], stem)
    if not found:
        there = shortened(path.name for path in subfolders) or "no subfolders"
        single = " and a config.json, so it is one checkpoint itself: name the folder that holds several"
        raise ValueError(
            f"{folder} has no subfolders named {stem}step_20k, step_1000, checkpoint-500 or the like; it has {there}"
            + (single if (folder / "config.json").exists() else "")
        )
    if len(kinds := sorted({kind for kind, _, _ in found})) > 1:
        raise ValueError(
            f"{folder} has subfolders named in several ways ({', '.join(f'{kind}…' for kind in kinds)}), which may be "
            "several models: choose one by stem, what comes before the word or number of its step"
        )
    checkpoints = [Checkpoint(step, str(folder / name)) for _, step, name in found]
    return PretrainedTrajectory(checkpoints, objective=objective, **{"name": str(folder), **settings})


@on_main
def save_family(trajectory: Trajectory, folder: str | Path) -> None:
    """Save the checkpoints of a run of `Pretrained` in subfolders step_0, step_500, …, as transformers does.

    `local_family` and transformers can open them. Each subfolder is complete or absent, and replaces an earlier one.
    Raises ValueError for a trajectory of other models.
    """
    a_trajectory("trajectory", trajectory)
    folder = a_path("folder", folder)
    for step in trajectory.steps:
        model = trajectory.at(step)
        if type(model) is not Pretrained:  # a subclass would be reopened as its network alone
            raise ValueError(
                f"{trajectory.path} holds models of class {type(model).__name__}; only a Pretrained itself can be "
                "saved for transformers"
            )
        place, unfinished = folder / f"step_{step}", folder / f".step_{step}.tmp"
        shutil.rmtree(unfinished, ignore_errors=True)
        with quiet():
            model.network.save_pretrained(unfinished)  # pyright: ignore[reportCallIssue]  # of transformers
        shutil.rmtree(place, ignore_errors=True)
        unfinished.rename(place)


def _steps_of(names: Sequence[str], stem: str) -> list[tuple[str, int, str]]:
    """Return (kind, step, name) for the names that have a step, where k means thousand.

    The kind is what comes before the step, without the stem and the number of an epoch: it tells models apart. Numbers
    alone count only where nothing else does; so do, with a stem, names of another kind than those that begin with it.
    """
    found = []
    for name in names:
        match = NAMED.fullmatch(name.removeprefix(stem))
        if match is None or name.startswith((".", "tmp-")):  # a checkpoint that is, or was, being written
            continue
        kind = re.sub(r"(epoch[_=-]?)\d+", r"\1", match["kind"])
        if not stem or (name.startswith(stem) if not kind else re.fullmatch(WORD, kind, re.IGNORECASE)):
            found.append((kind, int(match["number"]) * (1000 if match["thousands"] else 1), name))
    for preferred in (lambda kind, name: stem != "" and name.startswith(stem), lambda kind, name: kind != ""):
        if len({kind for kind, _, _ in found}) > 1:
            found = [one for one in found if preferred(one[0], one[2])] or found
    return found


def _place(repo: str) -> str:
    """Return a folder's absolute path, and the name of a repository as it is."""
    folder = user_path(repo)
    return str(folder.resolve()) if folder.is_dir() else repo
