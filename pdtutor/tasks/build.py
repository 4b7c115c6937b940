"""Tasks by name, rebuilt from their description in a trajectory's JSON."""

from collections.abc import Callable

from pdtutor.registry import registered
from pdtutor.tasks.hierarchical import HierarchicalParity
from pdtutor.tasks.parity import SparseParity
from pdtutor.tasks.pcfg import CausalGrammar, MaskedGrammar
from pdtutor.tasks.task import Task
from pdtutor.tasks.text import CausalText, MaskedText

KINDS = (CausalGrammar, CausalText, HierarchicalParity, MaskedGrammar, MaskedText, SparseParity)
TASKS = {kind.__name__: kind for kind in KINDS}


def task_class(name: str) -> Callable[..., Task] | None:
    """Return the class that a task's `config()` names; None if no known class has that name."""
    return TASKS.get(name) or registered(name)


def build_task(config: dict) -> Task:
    """Return the task that a `config()` describes. Raises ValueError for an unknown class."""
    arguments = dict(config)
    name = arguments.pop("class", None)
    kind = task_class(name)
    if kind is None:
        raise ValueError(
            f"unknown task {name!r}: pdtutor has {', '.join(sorted(TASKS))}; a class of your own is known once "
            f"`pdtutor.register({name})` has run in this process"
        )
    return kind(**arguments)
