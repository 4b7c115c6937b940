"""The one training loop, for teachers and students alike: a teacher is a run whose trajectory is kept."""

from collections.abc import Sequence
from pathlib import Path

import torch

from pdtutor.devices import AUTO, memory_advice, require_precision, say_where
from pdtutor.distillation.supervision import Supervision
from pdtutor.distillation.targets import make_targets, updates_that_fit
from pdtutor.models.mlp import is_two_layer_mlp
from pdtutor.models.model import Model, device_of, reads_positions
from pdtutor.models.placement import placed
from pdtutor.processes import exclusive, launched
from pdtutor.progress import compilation_on, progress_bar
from pdtutor.tasks.stream import Stream
from pdtutor.tasks.task import Task
from pdtutor.training.captured import GraphEngine
from pdtutor.training.engines import AutogradEngine, Engine, KernelEngine, choose_engine
from pdtutor.training.optim import SGD, AdamW
from pdtutor.training.run import Run
from pdtutor.training.scaling import scaling_tensors
from pdtutor.training.session import Session
from pdtutor.training.settings import Settings, check, require_same
from pdtutor.validate import a_path, flag, instance


def train(
    model: Model,
    task: Task,
    *,
    steps: int,
    batch_size: int = 32,
    optimizer: SGD | AdamW | None = None,
    supervision: Supervision | Sequence[Supervision] | None = None,
    seed: int | Sequence[int] | None = None,
    role: str | None = None,
    eval_every: int | None = None,
    eval_examples: int = 4096,
    save_every: int | None = None,
    save_at: Sequence[int] = (),
    until: float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str | torch.device = AUTO,
    engine: str = "auto",
    precision: str | None = None,
    accumulate: int | None = None,
    progress: bool = True,
    description: str = "training",
) -> Run:
    """Train the model in place and return its run.

    An argument that says "per copy" takes one value for all copies of the model, or a list with one value per copy.

    Under `torchrun` or `accelerate launch`, processes that all call this with the same arguments train the model
    together, each on its share of every batch. The updates and the history are those of a single process, up to the
    rounding of sums, and all processes get the run. A run may be resumed by another number of processes.

    Args:
        model: a model with a leading copies dimension (see `models.model.Model`).
        task: what to learn (see `tasks.task.Task`).
        steps: optimizer updates.
        batch_size: examples per update and copy, over all processes.
        optimizer: SGD or AdamW, with its learning rate and schedule; SGD(lr=0.1) if not given.
        supervision: Labels(), Distill(…) or Stored(…), per copy; labels if not given.
        seed: seed of the training examples, per copy; the model's own seeds if not given.
        role: "teacher" or "student"; the two get different examples even if their seeds are equal. If not given, a
            model with a teacher for any of its copies is a student. Give "student" to a model that is trained on labels
            for comparison with distilled ones.
        eval_every: evaluate at step 0, every so many updates and at the end; steps/50 if not given.
        eval_examples: held-out examples per evaluation.
        save_every: save a checkpoint at step 0 and every so many updates.
        save_at: save checkpoints at these steps, too. The last step is always saved. Saved steps are also evaluated.
        until: stop at the first evaluation at which every copy reaches this accuracy.
        out: folder for the run; if not given, a temporary one that lives as long as the trajectory.
        resume: continue the run in `out` from its last saved state; start it if there is none.
        device: where to train: "cpu", "cuda", "cuda:1", "mps", or "auto". The last is where the model is, if that is a
            GPU; else a CUDA GPU, if there is one and it is expected to be faster (see `models.placement`), or what the
            environment variable PDTUTOR_DEVICE names; under a launch, the device of each process.
        engine: "autograd"; "kernel", compiled, for MLPs with one hidden layer under SGD on the CPU; "graph", autograd's
            updates in few launches, for a GPU; or "auto", the fastest that applies. Several processes or micro-batches
            need "autograd".
        precision: "float32"; or "bfloat16", or on GPUs without it (NVIDIA's T4, for one) "float16", to multiply
            matrices in it, which a GPU does several times faster. Weights, losses, evaluations and teachers stay in
            float32; in "float16" the loss is scaled (see `training.scaling`). If not given, what `accelerate launch
            --mixed_precision` says, else "float32".
        accumulate: sum the gradient of an update over so many micro-batches of a process's rows, to save memory. If not
            given, what Accelerate's ACCELERATE_GRADIENT_ACCUMULATION_STEPS says, else 1.
        progress: show a progress bar.
        description: the label of the progress bar.

    Raises:
        ValueError: for arguments out of range, a schedule that needs a checkpoint which the teacher's trajectory lacks,
            an `out` that already holds a run (unless resumed) or that another process writes in, a resume with other
            settings than those of the saved run or from files that were changed since, stored targets for a student
            with other examples or fewer steps, and a device that can't be used or can't multiply in the precision asked
            for.
        DeviceMemoryError: a MemoryError that says what to lower, if the device has too little memory.
        FloatingPointError: if a loss is no longer finite, or a teacher's logits aren't, which the message then names;
            on a GPU only at the next evaluation. The last checkpoint stays readable.
    """
    out = None if out is None else a_path("out", out)
    resume, progress = flag("resume", resume), flag("progress", progress)
    if resume and out is None:
        raise ValueError("resume=True needs `out`, the folder of the run that goes on, got out=None")
    instance("description", description, str, "a string")
    settings = check(
        model,
        task,
        steps=steps,
        batch_size=batch_size,
        optimizer=optimizer,
        supervision=supervision,
        seed=seed,
        role=role,
        eval_every=eval_every,
        eval_examples=eval_examples,
        save_every=save_every,
        save_at=save_at,
        until=until,
        precision=precision,
        accumulate=accumulate,
    )
    with exclusive(out), memory_advice(lambda: device_of(model), _what_to_lower(settings, out)):
        session, updates = _start(
            model, task, settings, device=device, engine=engine, out=out, resume=resume, progress=progress
        )
        _run_updates(session, task, updates, progress=progress, description=description)
    return session.run()


def _start(
    model: Model,
    task: Task,
    settings: Settings,
    *,
    device: str | torch.device,
    engine: str,
    out: str | Path | None,
    resume: bool,
    progress: bool,
) -> tuple[Session, Engine]:
    """Return the session of a run that starts or resumes, with its model on its device, and the engine to use."""
    processes = launched()
    placed(model, processes.place(device), examples=settings.batch_size)
    require_precision(settings.precision, device_of(model))
    engine = choose_engine(
        engine,
        model,
        settings.optimizer,
        settings.batch_size,
        linear=settings.linear,
        precision=settings.precision,
        processes=processes.size,
        accumulate=settings.accumulate,
    )
    record = settings.record(engine)
    require_same({**record, "resume": resume}, processes)
    _keep_freed_memory()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError(
            "none of the model's parameters requires gradients, as is so for a reopened checkpoint: "
            "model.requires_grad_(True) lets it train on"
        )
    state = settings.optimizer.start(trained)
    if settings.precision == "float16":
        state.tensors |= scaling_tensors(len(settings.seeds), device_of(model))
    session = Session(model, task, settings, record, state, processes, out=out, resume=resume)
    if progress and processes.main:
        say_where(session.device)
    return session, _engine(engine, session)


def _run_updates(session: Session, task: Task, engine: Engine, *, progress: bool, description: str) -> None:
    """Run updates until training is over, in stretches as long as evaluations, teachers and memory allow."""
    settings, processes = session.settings, session.processes
    stream = Stream(
        task,
        batch_size=settings.batch_size,
        seeds=settings.seeds,
        purpose=f"{settings.role} data",
        device=session.device,
        rows=processes.share(settings.batch_size),
    )
    busiest = processes.largest_share(settings.batch_size)
    bar = progress_bar(total=settings.steps, initial=session.step, desc=description, unit="update", show=progress)
    with bar, compilation_on(bar), processes.own_noise(settings.seeds[0], session.step):
        if not session.resumed:
            session.look()
        while not session.finished:
            stretch = stream.stretch(session.step, session.next_stop())
            positions = {"some_positions": stretch.per_position and reads_positions(session.model)}
            fitting = updates_that_fit(stretch, rows=busiest, classes=task.classes, **positions)
            stretch = stretch.first(fitting)
            targets = make_targets(stretch, session.teachers, classes=task.classes, **positions)
            losses = engine(stretch, targets, *settings.rates(stretch))
            losses = losses + processes.all_reduce_sum([targets.constant.T])[0]
            bar.update(len(stretch))
            if session.record_losses(losses):
                bar.total = session.step if session.finished else settings.steps
                bar.set_postfix(accuracy=f"{session.accuracy():.3f}", refresh=False)


def _what_to_lower(settings: Settings, out: str | Path | None) -> str:
    """Return advice for a run that has run out of memory."""
    copies, rows = len(settings.seeds), settings.batch_size
    fewer = f", train fewer than {copies} copies at once (compare: side_by_side=False)" if copies > 1 else ""
    going_on = "" if out is None else f"; {out} holds what was saved, and resume=True goes on from there"
    return (
        f"lower batch_size ({rows}), cut updates into micro-batches with accumulate ({settings.accumulate}){fewer}, "
        f"multiply in half precision (precision='bfloat16'), or evaluate on fewer examples{going_on}"
    )


def _engine(name: str, session: Session) -> Engine:
    """Return the engine of this name for the session's model."""
    model, state, settings = session.model, session.state, session.settings
    if name == "kernel" and is_two_layer_mlp(model):
        return KernelEngine(model)
    if name == "graph":
        return GraphEngine(model, state, precision=settings.precision)
    return AutogradEngine(model, state, settings.precision, settings.accumulate, session.processes)


def _keep_freed_memory() -> None:
    """Make the allocator of Linux keep the memory that tensors free, instead of returning it and asking for it again.

    glibc keeps freed blocks up to the size of the largest one that it ever returned, 32 MB at most; at first that is
    128 kB. Without this, the fresh pages of every hidden layer cost a fifth of a wide teacher's forward pass.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
