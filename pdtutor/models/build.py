"""Models by name, rebuilt from what a trajectory's JSON says of them."""

from collections.abc import Callable, Sequence

from pdtutor.models.mlp import MLP
from pdtutor.models.model import Model, device_of
from pdtutor.models.network import Network
from pdtutor.models.pretrained import Pretrained
from pdtutor.models.transformer import Transformer
from pdtutor.registry import registered

MODELS = {kind.__name__: kind for kind in (MLP, Network, Pretrained, Transformer)}


def model_class(name: str) -> Callable[..., Model] | None:
    """Return the class that a model's `config()` names, None if there is none by that name."""
    return MODELS.get(name) or registered(name)


def build_model(config: dict) -> Model:
    """Return a freshly initialised model of the kind that `config()` describes. Raises ValueError if unknown."""
    arguments = dict(config)
    name = arguments.pop("class", None)
    kind = model_class(name)
    if kind is None:
        raise ValueError(
            f"unknown model {name!r}: pdtutor knows {', '.join(sorted(MODELS))}, and a class of your own once "
            f"`pdtutor.register({name})` has run in this process"
        )
    return kind(**arguments)


def select_copies(model: Model, copies: Sequence[int]) -> Model:
    """Return a new model that holds only the given copies, in that order, on the same device."""
    chosen = build_model(model.config() | {"seed": [model.seeds[copy] for copy in copies]})
    state = model.state_dict()
    if not isinstance(model, Pretrained):  # which has one copy only, and chosen would have refused any other number
        state = {name: tensor[list(copies)] for name, tensor in state.items()}
    chosen.load_state_dict(state)
    return chosen.to(device_of(model))
