"""Tasks by name, rebuilt from what a trajectory's JSON says of them."""

from pdtutor.tasks.hierarchical import HierarchicalParity
from pdtutor.tasks.parity import SparseParity
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar
from pdtutor.tasks.text import CausalText, MaskedText

KINDS = (CausalGrammar, CausalText, HierarchicalParity, MaskedGrammar, MaskedText, SparseParity)
TASKS = {task.__name__: task for task in KINDS}



def build_task(config: dict):
    """Return the task that `config`, as written by a task's `config()`, describes. Raises ValueError if unknown."""
    arguments = dict(config)
    name = arguments.pop("class", None)
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; pdtutor knows {', '.join(sorted(TASKS))}")
    return TASKS[name](**arguments)
