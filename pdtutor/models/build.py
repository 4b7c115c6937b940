"""Models by name, rebuilt from what a trajectory's JSON says of them."""

from collections.abc import Sequence

from torch import nn

from pdtutor.models.mlp import MLP
from pdtutor.models.pretrained import Pretrained
from pdtutor.models.transformer import Transformer

MODELS = {"MLP": MLP, "Pretrained": Pretrained, "Transformer": Transformer}


def build_model(config: dict) -> nn.Module:
    """Return a freshly initialised model of the kind that `config()` describes. Raises ValueError if unknown."""
    arguments = dict(config)
    name = arguments.pop("class", None)
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; pdtutor knows {', '.join(sorted(MODELS))}")
    return MODELS[name](**arguments)


def select_copies(model: nn.Module, copies: Sequence[int]) -> nn.Module:
    """Return a new model that holds only the given copies, in that order, on the same device."""
    chosen = build_model(model.config() | {"seed": [model.seeds[copy] for copy in copies]})
    state = model.state_dict()
    if not isinstance(model, Pretrained):  # which has one copy only, and chosen would have refused any other number
        state = {name: tensor[list(copies)] for name, tensor in state.items()}
    chosen.load_state_dict(state)
    return chosen.to(next(model.parameters()).device)
