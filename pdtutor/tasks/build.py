"""Tasks by name, rebuilt from their description in a trajectory's JSON."""

from pdtutor.registry import build
from pdtutor.tasks.hierarchical import HierarchicalParity
from pdtutor.tasks.parity import SparseParity
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar
from pdtutor.tasks.task import Task
from pdtutor.tasks.text import CausalText, MaskedText

KINDS = (CausalGrammar, CausalText, HierarchicalParity, MaskedGrammar, MaskedText, SparseParity)
TASKS = {kind.__name__: kind for kind in KINDS}


def build_task(config: dict) -> Task:
    """Return the task that a `config()` describes. Raises ValueError for an unknown class."""
    return build(config, TASKS, what="task")
