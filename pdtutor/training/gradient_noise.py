"""The signal and the noise of a student's gradient: how clearly do labels, or a teacher, say where to go?"""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from pdtutor.distillation.supervision import Supervision
from pdtutor.distillation.targets import make_targets
from pdtutor.distillation.teachers import Teachers
from pdtutor.models.model import Model, device_of, reads_positions
from pdtutor.progress import progress_bar
from pdtutor.tasks.stream import Stream, Stretch
from pdtutor.tasks.task import Task, a_task
from pdtutor.validate import flag, instance, sequence, shown, text, whole

PURPOSE = "gradient noise"  # of the examples: no run is trained or evaluated on them


def gradient_noise(
    model: Model,
    task: Task,
    supervision: Supervision | Sequence[Supervision],
    *,
    parameters: Sequence[str] | None = None,
    batches: int = 64,
    batch_size: int = 64,
    progress: bool = True,
) -> pd.DataFrame:
    """Return how far the gradient of one batch agrees with that of another, a row per copy of the model.

    With g the gradient of one batch's loss with respect to the parameters, the columns are copy, seed, signal
    (‖E g‖²), noise (E‖g − E g‖²) and ratio (signal / noise). The ratio of a batch B times as large is B times as large.
    The signal is estimated without bias, as the product of the means over the batches with even and with odd numbers,
    so it may be negative if there is hardly any.

    A gradient says how to get better at what the model is asked to match, so compare models that have come as far with
    *their own* supervision: a student that one teacher has brought to its plateau has a large gradient under another
    teacher only because that one's answers have other frequencies.

    Args:
        model: the student; it is not changed.
        task: where the examples come from; they are those of no training run.
        supervision: Labels() or Distill(…), one for all copies or one per copy, as for `train`; the teacher is the one
            with which its schedule begins.
        parameters: the names (as in `model.named_parameters()`) of those with respect to which g is taken; all that are
            trained if not given.
        batches: number of batches, at least 4, half of them for each of the two means.
        batch_size: examples per batch.
        progress: show a progress bar.

    Raises ValueError for too few batches, another number of supervisions than copies, parameters that the model lacks
    or that are frozen, Stored(…), which has no answers to these examples, and whatever the supervision raises.
    """
    instance("model", model, Model, "a model of pdtutor")
    a_task("task", task)
    batches, batch_size = whole("batches", batches, minimum=4), whole("batch_size", batch_size)
    progress = flag("progress", progress)
    copies = len(model.seeds)
    one = isinstance(supervision, Supervision)
    each = [supervision] * copies if one else sequence("supervision", supervision)
    if len(each) != copies:
        raise ValueError(f"supervision must be one for all copies or one for each of {copies}, got {len(each)}")
    for supervised, seed in zip(each, model.seeds, strict=True):
        supervision = instance("supervision", supervised, Supervision, "Labels() or Distill(…)")
        supervision.require(task=task, batch_size=batch_size, seed=seed, role=PURPOSE, steps=1)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not trained:
        raise ValueError("none of the model's parameters requires gradients: model.requires_grad_(True) first")
    if parameters is None:
        asked = list(trained)
    else:
        asked = [text("parameters", name) for name in sequence("parameters", parameters)]
    if not asked or set(asked) - trained.keys():
        raise ValueError(f"parameters must name some that are trained, {', '.join(trained)}; got {shown(parameters)}")
    stream = Stream(task, batch_size=batch_size, seeds=model.seeds, purpose=PURPOSE, device=device_of(model))
    teachers = Teachers(each, 1)
    some = {"some_positions": stream.stretch(0, 1).per_position and reads_positions(model)}
    means = [torch.zeros(()), torch.zeros(())]  # over even and odd batches, (copies, weights)
    squares = torch.zeros(copies)
    for number in progress_bar(range(batches), desc="gradients", unit="batch", show=progress):
        here = stream.stretch(number, number + 1)
        stretch = Stretch(here.inputs, here.labels, here.index, 0)  # so that the first teacher answers every batch
        targets = make_targets(stretch, teachers, classes=task.classes, **some)
        losses = targets.loss_of(targets.logits(model, stretch.inputs[stretch.index, 0], 0), 0)
        gradient = _flat(
            torch.autograd.grad(losses.sum(), [trained[name] for name in asked])
        ).cpu()  # (copies, weights)
        means[number % 2] = means[number % 2] + gradient / ((batches + 1 - number % 2) // 2)
        squares += gradient.square().sum(1) / batches
    signal = (means[0] * means[1]).sum(1)
    noise = squares - signal
    columns = {"signal": signal.tolist(), "noise": noise.tolist(), "ratio": (signal / noise).tolist()}
    return pd.DataFrame({"copy": range(copies), "seed": list(model.seeds), **columns})


def _flat(gradients: Sequence[Tensor]) -> Tensor:
    """Return the gradients of all parameters, each (copies, …), as one row per copy: (copies, weights)."""
    return torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
