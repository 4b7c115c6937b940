"""Tied parameters, one tensor under several names, in a state dict: saved once, and tied again when they are loaded."""

from torch import nn


def keep_tied(model: nn.Module) -> None:
    """Have the model's state dict hold each tied parameter under one name: safetensors saves no memory twice."""
    model.register_state_dict_post_hook(_drop_tied)
    model.register_load_state_dict_pre_hook(_restore_tied)


def _tied(model: nn.Module) -> dict[str, str]:
    """Return which parameters are another one under a second name: {second name: first name}."""
    first: dict[int, str] = {}
    named = model.named_parameters(remove_duplicate=False)
    return {name: first[id(parameter)] for name, parameter in named if first.setdefault(id(parameter), name) != name}


def _drop_tied(model: nn.Module, state: dict, prefix: str, _) -> None:
    """Keep one name of each tied parameter in a state dict."""
    for name in _tied(model):
        state.pop(prefix + name)


def _restore_tied(model: nn.Module, state: dict, prefix: str, *_) -> None:
    """Give tied parameters back the names that `_drop_tied` dropped, so that loading misses nothing."""
    for name, first in _tied(model).items():
        if prefix + first in state:
            state.setdefault(prefix + name, state[prefix + first])
