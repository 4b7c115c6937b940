"""Tied parameters, which are one tensor under several names: saved under one name, and complete again when loaded."""

from torch import nn


def keep_tied(model: nn.Module) -> None:
    """Make the model's state dict hold each tied parameter under one name only: safetensors refuses shared memory."""
    model.register_state_dict_post_hook(_drop_tied)
    model.register_load_state_dict_pre_hook(_restore_tied)


def _tied(model: nn.Module) -> dict[str, str]:
    """Return the names after the first of each tied parameter: {later name: first name}."""
    first: dict[int, str] = {}
    named = model.named_parameters(remove_duplicate=False)
    return {name: first[id(parameter)] for name, parameter in named if first.setdefault(id(parameter), name) != name}


def _drop_tied(model: nn.Module, state: dict, prefix: str, _) -> None:
    """Keep only the first name of each tied parameter in a state dict."""
    for name in _tied(model):
        state.pop(prefix + name)


def _restore_tied(model: nn.Module, state: dict, prefix: str, *_) -> None:
    """Add the names that `_drop_tied` dropped to a state dict, so that none is missing when it is loaded."""
    for name, first in _tied(model).items():
        if prefix + first in state:
            state.setdefault(prefix + name, state[prefix + first])
