"""Shapes are checked while the tests run: jaxtyping's hook compares every annotated array with what comes in and out.

Only arrays are compared. What else an argument may be is the function's own to refuse, as other tests see.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, get_args

import hypothesis
from beartype import beartype
from jaxtyping import AbstractArray, install_import_hook

# Modules with compiled functions are left out: numba compiles a function, not what decorates it.
CHECKED = [
    "pdtutor.distillation.losses",
    "pdtutor.distillation.targets",
    "pdtutor.models.ids",
    "pdtutor.models.layers",
    "pdtutor.models.logits",
    "pdtutor.models.mlp",
    "pdtutor.models.network",
    "pdtutor.models.transformer",
    "pdtutor.probes",
]


def is_array(hint: Any) -> bool:
    """Return whether the hint is an array of jaxtyping's, or holds one."""
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(is_array, get_args(hint)))


def shapes_checked(function: Callable) -> Callable:
    """Return the function with those of its annotations checked that are about arrays."""
    function.__annotations__ = {name: hint for name, hint in function.__annotations__.items() if is_array(hint)}
    return beartype(function)


# The hook takes its checker by name, and must be in place before the modules are imported.
checker = ModuleType("shape_checker")
checker.shapes_checked = shapes_checked
sys.modules[checker.__name__] = checker
install_import_hook(CHECKED, f"{checker.__name__}.{shapes_checked.__name__}")

# A machine that has other work to do is no reason to fail: no example has a deadline, however slow.
hypothesis.settings.register_profile("pdtutor", deadline=None)
hypothesis.settings.load_profile("pdtutor")
