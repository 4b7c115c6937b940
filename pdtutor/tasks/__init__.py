"""What is learned: a task draws examples, and knows how to write itself into a trajectory's JSON and back.

A task is anything with `classes`, `sample(generator, n) -> (inputs, labels)` as numpy arrays, and `config()`. Labels
equal to `IGNORED` are not predicted and count in no loss and no accuracy.

A task whose inputs are rows of ids filled up after their end has `padding`, that id, and `lengths(inputs)`: its batches
are made of rows alike in length.

A task whose examples can run out, as text can, has `sample_held_out(generator, n)` besides: examples for evaluations,
made of what `sample` never draws from.

A task may split `sample` into `packed(generator, n)`, a small array, and `unpack(packed)`, which makes the examples,
whatever the leading dimensions: numpy arrays of an array, tensors of a tensor, on its device. So several streams are
unpacked at once, and a GPU makes its examples itself.
"""

from pdtutor.tasks.hierarchical import HierarchicalParity
from pdtutor.tasks.parity import SparseParity
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar
from pdtutor.tasks.stream import IGNORED, Stream
from pdtutor.tasks.text import CausalText, MaskedText

KINDS = (CausalGrammar, CausalText, HierarchicalParity, MaskedGrammar, MaskedText, SparseParity)
TASKS = {task.__name__: task for task in KINDS}

__all__ = [
    "IGNORED",
    "TASKS",
    "CausalGrammar",
    "CausalText",
    "HierarchicalParity",
    "MaskedGrammar",
    "MaskedText",
    "SparseParity",
    "Stream",
    "build_task",
]


def build_task(config: dict):
    """Return the task that `config`, as written by a task's `config()`, describes. Raises ValueError if unknown."""
    arguments = dict(config)
    name = arguments.pop("class", None)
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; pdtutor knows {', '.join(sorted(TASKS))}")
    return TASKS[name](**arguments)
