"""The first gradient of a student: what a teacher's answers say to it about single coordinates (paper section 3).

A student f with one hidden layer and two classes minimises −Σ_c q_c log p_S(c). With t(x) = q₁(x) − ½ in [−½, ½] and
a_i the difference of the read-outs of neuron i, the targets push its weight w_ij, at each example, by

    s_ij(x) = t(x) · a_i · 1[w_i·x + b_i > 0] · x_j.

The rest of the gradient comes from the student's own output; it is the same whoever teaches.
"""

from itertools import product

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pdtutor.models.logits import logits_of
from pdtutor.models.mlp import MLP, is_two_layer_mlp
from pdtutor.models.model import Model, device_of
from pdtutor.probes.probe import Probe
from pdtutor.seeds import generator
from pdtutor.tasks.parity import SparseParity
from pdtutor.validate import instance, number, whole


def gradient_signal(
    student: MLP, inputs: Float[Tensor, "n d"], targets: Float[Tensor, " n"]
) -> tuple[Float[Tensor, " d"], float]:
    """Return how far the targets' push on the weights of each coordinate stands out from one example to the next.

    With S_j = ‖E[s_·j]‖², summed over hidden neurons, and N the variance of s_·j between examples, summed likewise, the
    first value is S_j / N for every coordinate: the signal-to-noise ratio of the gradient of one example. A batch of B
    examples has B times as much. S_j is estimated without bias as the product of the means over two halves of the
    examples, so it may be negative. N is the same for all coordinates, but for S_j, which is neglected in it.

    Args:
        student: an untrained MLP of one copy, one hidden layer and two classes.
        inputs: (n, d), ±1; their two halves must be independent.
        targets: t = q₁ − ½, (n,).

    Returns S_j / N, (d,), and N.

    Raises ValueError for another student, and for fewer than two examples.
    """
    instance("student", student, MLP, "an MLP")
    if not is_two_layer_mlp(student) or len(student.seeds) != 1 or student.classes != 2:
        raise ValueError(f"student must have one copy, one hidden layer and two classes, got {student.config()}")
    if len(inputs) < 2:
        raise ValueError(f"inputs must hold at least two examples, got {len(inputs)}")
    weights = dict(student.named_parameters())
    weight, bias = weights["layers.0.weight"].detach()[0], weights["layers.0.bias"].detach()[0]  # (width, d), (width,)
    a = weights["layers.1.weight"].detach()[0].diff(dim=0)[0]  # (width,)
    means, noise = [], 0.0
    for x, t in zip(inputs.tensor_split(2), targets.tensor_split(2), strict=True):
        push = ((x @ weight.T + bias) > 0) * t[:, None] * a  # (n/2, width)
        means.append(push.T @ x / len(x))  # (width, d)
        noise += float((push**2).sum(1).mean()) / 2
    return (means[0] * means[1]).sum(0) / noise, noise


def balanced_inputs(task: SparseParity, *, groups: int, seed: int = 0) -> Float[Tensor, "n d"]:
    """Return inputs (groups·2^k, d): every group is one random x with all 2^k settings of the support's coordinates.

    Means over them have the same expectation as over random examples, and much less noise for products of in-support
    coordinates, such as the label. So even the faint gradient of the labels can be measured. The two halves are
    independent.

    Raises ValueError for groups < 1.
    """
    instance("task", task, SparseParity, "a SparseParity")
    inputs, _ = task.sample(generator(seed, "probe"), whole("groups", groups))
    settings = np.array(list(product((-1, 1), repeat=task.k)), dtype=np.float32)  # (2^k, k)
    filled = np.repeat(task.signs(inputs)[:, None, :], len(settings), axis=1)  # (groups, 2^k, d)
    filled[:, :, task.support] = settings
    return torch.from_numpy(filled.reshape(-1, task.d))


def first_gradient(
    task: SparseParity, student: MLP, *, temperature: float = 1e-4, groups: int = 1024, seed: int = 0
) -> Probe:
    """Return a probe: what a model's answers, as a teacher, say about single coordinates to this untrained student.

    The probe maps a model to a table with a row per copy and coordinate, and the columns copy, coordinate, inside
    (bool), correlation (|E[x_j·p(y=1|x)]| at temperature 1), hard (the same of the probabilities at `temperature`: for
    a cold teacher of its argmax) and signal: see `gradient_signal`.

    Args:
        task: the parity whose support is asked about; its inputs must be signs.
        student: an untrained MLP of one copy, one hidden layer and two classes.
        temperature: τ of the teacher; 0 for its argmax.
        groups: number of groups of 2^k examples; see `balanced_inputs`.
        seed: seed of the examples.

    Raises ValueError as `gradient_signal` and `balanced_inputs` do, and for a negative temperature.
    """
    temperature = number("temperature", temperature, minimum=0)
    inputs = balanced_inputs(task, groups=groups, seed=seed)
    gradient_signal(student, inputs[:2], torch.zeros(2) + 0.5)  # raises for a student that it can't take

    def probe(model: Model) -> pd.DataFrame:
        logits = logits_of(model, inputs.to(device_of(model))).cpu()  # (copies, n, 2)
        soft = logits.softmax(-1)[..., 1] - 0.5  # (copies, n)
        gap = logits[..., 1] - logits[..., 0]
        hard = gap.sign() / 2 if temperature == 0 else (gap / temperature).sigmoid() - 0.5  # with two classes
        rows = []
        for copy in range(len(logits)):
            signal, _ = gradient_signal(student, inputs, hard[copy])
            columns = {
                "correlation": ((soft[copy] - soft[copy].mean()) @ inputs / len(inputs)).abs(),
                "hard": ((hard[copy] - hard[copy].mean()) @ inputs / len(inputs)).abs(),
                "signal": signal,
            }
            values = {name: column.tolist() for name, column in columns.items()}
            inside = [j in task.support for j in range(task.d)]
            rows.append(pd.DataFrame({"copy": copy, "coordinate": range(task.d), "inside": inside, **values}))
        return pd.concat(rows, ignore_index=True)

    return Probe(task, probe)
