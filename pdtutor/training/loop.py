"""The one training loop.

A teacher is nothing special: it is a run whose trajectory was kept.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import nn

from pdtutor.checkpoints.trajectory import Trajectory
from pdtutor.distillation.supervision import Distill, Labels, Stored
from pdtutor.distillation.targets import Teachers, longest_stretch
from pdtutor.models.logits import reads_positions
from pdtutor.processes import launched, launched_accumulation, launched_precision
from pdtutor.progress import progress_bar
from pdtutor.tasks.stream import Stream
from pdtutor.training.captured import CapturedUpdates
from pdtutor.training.engines import PRECISIONS, autograd_updates, choose_engine, kernel_updates
from pdtutor.training.evaluate import evaluate, held_out
from pdtutor.training.optim import SGD, AdamW
from pdtutor.training.run import (
    Run,
    history_frame,
    load_state,
    new_trajectory,
    require_same,
    save_state,
    saved_state,
    teachers_frame,
)
from pdtutor.validate import number, one_of, whole

SAVE_SECONDS = 30  # between checkpoints, the state for a resume is written at an evaluation after this long


def train(
    model: nn.Module,
    task,
    *,
    steps: int,
    batch_size: int = 32,
    optimizer: SGD | AdamW | None = None,
    supervision: Labels | Distill | Stored | Sequence[Labels | Distill | Stored] | None = None,
    seed: int | Sequence[int] | None = None,
    role: str | None = None,
    eval_every: int | None = None,
    eval_examples: int = 4096,
    save_every: int | None = None,
    save_at: Sequence[int] = (),
    until: float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str | torch.device | None = None,
    engine: str = "auto",
    precision: str | None = None,
    accumulate: int | None = None,
    progress: bool = True,
    description: str = "training",
) -> Run:
    """Train the model in place and return its run.

    Every argument that says "per copy" takes one value for all copies of the model or a list of one per copy.

    Under `torchrun` or `accelerate launch`, processes that each call this with the same arguments train the model
    together, each on its share of every batch: the same updates and history as one process alone, up to the rounding
    of sums. All get the run. A run may be resumed by another number of processes.

    Args:
        model: a model with a leading copies dimension (see `pdtutor.models`).
        task: what to learn (see `pdtutor.tasks`).
        steps: optimizer updates.
        batch_size: examples per update and copy, over all processes.
        optimizer: SGD or AdamW with its learning rate and schedule; SGD(lr=0.1) if not given.
        supervision: Labels(), Distill(…) or Stored(…), per copy; labels if not given.
        seed: seed of the training examples, per copy; the model's own seeds if not given.
        role: "teacher" or "student", which keeps their examples apart even at equal seeds; by default a student is
            what has a teacher. Give "student" to a model trained on labels for comparison with distilled ones.
        eval_every: evaluate at step 0, every so many updates and at the end; steps/50 if not given.
        eval_examples: held-out examples per evaluation.
        save_every: save a checkpoint at step 0 and every so many updates.
        save_at: save checkpoints at these steps too. The last step is always saved. Saved steps are evaluated.
        until: stop at the first evaluation in which every copy has reached this accuracy.
        out: folder for the run; a temporary one that lives as long as the trajectory if not given.
        resume: continue the run in `out` from its last saved state; start it if there is none.
        device: where to train; where the model is if not given, and under a launch the device of each process.
        engine: "autograd"; "kernel", compiled, for MLPs with one hidden layer under SGD on the CPU; "graph", autograd's
            updates in few launches, for a GPU; or "auto", the fastest that applies. Several processes and micro-batches
            need "autograd".
        precision: "float32", or "bfloat16" to multiply matrices in it, which a GPU does several times faster; weights,
            losses, evaluations and teachers stay in float32. If not given, what `accelerate launch --mixed_precision`
            says, else "float32".
        accumulate: sum the gradient of an update over so many micro-batches of a process's rows, for less memory. If
            not given, what Accelerate's ACCELERATE_GRADIENT_ACCUMULATION_STEPS says, else 1.
        progress: show a progress bar.
        description: what the bar says.

    Raises:
        ValueError: for arguments out of range, a schedule that the teacher's trajectory can't serve, an `out` that
            already holds a run, a resume with other settings than the saved run's, or stored targets for a student
            with other examples or fewer steps.
        FloatingPointError: if a loss stops being finite; it names the step, on a GPU at the next evaluation. The last
            checkpoint stays readable.
    """
    _keep_freed_memory()
    copies = len(model.seeds)
    if model.classes != task.classes:
        raise ValueError(f"the model predicts {model.classes} classes, the task has {task.classes}")
    steps, batch_size = whole("steps", steps), whole("batch_size", batch_size)
    eval_every = whole("eval_every", max(1, steps // 50) if eval_every is None else eval_every)
    whole("eval_examples", eval_examples)
    if until is not None:
        number("until", until, minimum=0, maximum=1)
    processes = launched()
    if (device := processes.place(device)) is not None:
        model.to(device)
    device = next(model.parameters()).device
    optimizer = SGD() if optimizer is None else optimizer
    supervision = _per_copy("supervision", Labels() if supervision is None else supervision, copies)
    seeds = model.seeds if seed is None else _per_copy("seed", seed, copies)
    distilled = any(not isinstance(s, Labels) for s in supervision)
    role = one_of("role", role or ("student" if distilled else "teacher"), ("teacher", "student"))
    saved_steps = {steps} | {whole("save_at", step, minimum=0) for step in save_at}
    if save_every is not None:
        saved_steps |= set(range(0, steps, whole("save_every", save_every)))
    if max(saved_steps) > steps:
        raise ValueError(f"save_at must lie in 0…{steps}, got {max(saved_steps)}")
    linear = all(isinstance(s, Labels) or s.divergence == "forward_kl" for s in supervision)
    precision = one_of("precision", launched_precision() if precision is None else precision, PRECISIONS)
    accumulate = whole("accumulate", launched_accumulation() if accumulate is None else accumulate)
    parts = {"processes": processes.size, "accumulate": accumulate}
    engine = choose_engine(engine, model, optimizer, batch_size, linear=linear, precision=precision, **parts)
    for of_copy, its_seed in zip(supervision, seeds, strict=True):
        if isinstance(of_copy, Stored):
            of_copy.targets.require(task=task, batch_size=batch_size, seed=its_seed, role=role, steps=steps)
    teachers = Teachers(supervision, steps)
    optimizer.rates(0, 1, steps=steps, copies=copies)  # a wrong number of rates fails here, before training
    settings = json.loads(
        json.dumps(
            {
                "model": model.config(),
                "task": task.config(),
                "steps": steps,
                "batch_size": batch_size,
                "optimizer": {"class": type(optimizer).__name__, **asdict(optimizer)},
                "supervision": [s.config() for s in supervision],
                "seed": list(seeds),
                "role": role,
                "eval_every": eval_every,
                "eval_examples": eval_examples,
                "saved_steps": sorted(saved_steps),
                "until": until,
                "engine": engine,
                "precision": precision,
            }
        )
    )

    require_same(settings, processes)
    state = optimizer.start(model.parameters())
    saved = saved_state(Path(out), settings) if resume and out is not None else None
    if saved is None:
        step, finished, history = 0, False, []
        trajectory = new_trajectory(out, model, task, resume=resume)
    else:
        step, finished, history = saved["step"], saved["finished"], saved["history"]
        teachers.stages = [[tuple(stage) for stage in stages] for stages in saved["stages"]]
        trajectory = Trajectory(out)
        tensors = load_state(Path(out), saved, model)
        state.tensors = {name: tensors[name].to(device) for name in state.tensors}

    processes.share_weights(model)
    run_updates = (
        CapturedUpdates(model, state, precision=precision)
        if engine == "graph"
        else partial(
            autograd_updates, model, state, precision=precision, accumulate=accumulate, processes=processes
        )
    )
    rows = processes.share(batch_size)  # of every batch, what this process works on
    stream = Stream(task, batch_size=batch_size, seeds=seeds, purpose=f"{role} data", device=device)
    test_inputs, test_labels = (t.to(device) for t in held_out(task, eval_examples))
    pending: list[torch.Tensor] = []  # losses (updates, copies) since the last row of history
    unchecked: list[torch.Tensor] = []  # those of them that are not yet known to be finite
    last_saved = time.monotonic()

    def look(step: int) -> bool:
        """Evaluate, write down, save what is due; return whether training is over."""
        nonlocal last_saved
        loss, accuracy = evaluate(model, test_inputs, test_labels, processes)
        _require_finite(loss.unsqueeze(0), step + 1, out)
        train_loss = torch.cat(pending).mean(0).tolist() if pending else [float("nan")] * copies
        pending.clear()
        in_force = teachers.in_force(max(step - 1, 0))
        for copy in range(copies):
            history.append(
                {
                    "copy": copy,
                    "seed": seeds[copy],
                    "step": step,
                    "examples": step * batch_size,
                    "loss": loss[copy].item(),
                    "accuracy": accuracy[copy].item(),
                    "train_loss": None if train_loss[copy] != train_loss[copy] else train_loss[copy],
                    "teacher_step": in_force[copy],
                }
            )
        teachers.observe(step, history)
        over = step == steps or (until is not None and bool((accuracy >= until).all()))
        due = step in saved_steps or over
        if due:
            trajectory.save(step, model)
        if due or processes.broadcast(time.monotonic() - last_saved > SAVE_SECONDS):
            save_state(
                trajectory.path, settings, model, state, step=step, over=over, history=history, stages=teachers.stages
            )
            last_saved = time.monotonic()
        return over

    bar = progress_bar(total=steps, initial=step, desc=description, unit="update", show=progress)
    with bar, processes.own_noise(seeds[0], step):
        if saved is None:
            finished = look(0)
        while not finished:
            stop = min(
                steps,
                (step // eval_every + 1) * eval_every,
                min(s for s in saved_steps if s > step),
                (step // stream.block + 1) * stream.block,
            )
            stop = teachers.next_switch(step, stop)
            inputs, labels = stream.chunk(step, stop)
            some = labels.shape == inputs.shape and reads_positions(model)  # sequences with labels at some positions
            sizes = {"copies": copies, "rows": processes.largest_share(batch_size), "classes": task.classes}
            updates = longest_stretch(labels, some_positions=some, **sizes)
            inputs, labels, stop = inputs[:, :updates], labels[:, :updates], step + updates
            targets = teachers.targets(
                inputs, labels, stream.index, step, task.classes, some_positions=some, rows=rows
            )
            rates = optimizer.rates(step, stop, steps=steps, copies=copies).to(device)
            corrections = optimizer.corrections(step, stop).to(device)
            if engine == "kernel":
                losses = kernel_updates(model, inputs, stream.index, targets, rates)
            else:
                model.train()
                losses = run_updates(inputs[:, :, rows][stream.index], targets, rates, corrections)
            losses = losses + processes.all_reduce_sum([targets.constant.T])[0]
            pending.append(losses)
            unchecked.append(losses)
            bar.update(stop - step)
            step = stop
            look_now = step % eval_every == 0 or step in saved_steps
            if look_now or device.type == "cpu":  # reading a loss waits for an accelerator: not after every stretch
                _require_finite(torch.cat(unchecked), step, out)
                unchecked.clear()
            if look_now:
                finished = look(step)
                bar.total = step if finished else steps
                bar.set_postfix(accuracy=f"{max(r['accuracy'] for r in history[-copies:]):.3f}", refresh=False)
    model.eval()
    return Run(model, history_frame(history), trajectory, teachers_frame(teachers.stages), settings)


def _keep_freed_memory() -> None:
    """Have the allocator of Linux keep what tensors free, instead of giving it back and asking for it again.

    glibc keeps freed blocks of up to the size of the largest one that it ever gave back, 32 MB at most; at first that
    is 128 kB. Every hidden layer that then comes as fresh pages costs a fifth of a wide teacher's forward pass.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _per_copy(name: str, value, copies: int) -> list:
    """Return a list of one value per copy. Raises ValueError if a list of another length was given."""
    values = list(value) if isinstance(value, Sequence) else [value] * copies
    if len(values) != copies:
        raise ValueError(f"{name} must be one value or one per copy: got {len(values)} for {copies} copies")
    return values


def _require_finite(losses: torch.Tensor, stop: int, path: str | Path | None) -> None:
    """Raise FloatingPointError naming the first update before `stop` and the copy whose loss is not finite."""
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        kept = "" if path is None else f"; the checkpoints up to here are in {path}"
        raise FloatingPointError(
            f"the loss of copy {int(bad[0, 1])} stopped being finite at step {stop - len(losses) + int(bad[0, 0])}: "
            f"a smaller learning rate may help{kept}"
        )
