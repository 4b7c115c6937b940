"""Models by name, rebuilt from their description in a trajectory's JSON."""

from collections.abc import Sequence

from pdtutor.models.mlp import MLP
from pdtutor.models.model import Model, device_of
from pdtutor.models.network import Network
from pdtutor.models.pretrained import Pretrained
from pdtutor.models.transformer import Transformer
from pdtutor.registry import build, require_rebuildable
from pdtutor.validate import instance, sequence, whole

MODELS = {kind.__name__: kind for kind in (MLP, Network, Pretrained, Transformer)}


def build_model(config: dict) -> Model:
    """Return the model that a `config()` describes, freshly initialised. Raises ValueError for an unknown class."""
    return build(config, MODELS, what="model")


def select_copies(model: Model, copies: Sequence[int]) -> Model:
    """Return a new model that holds only the given copies, in that order, on the same device.

    Raises ValueError for a model of your own whose class is not registered, or that would come back as another class.
    """
    require_rebuildable(instance("model", model, Model, "a model with copies, such as an MLP"), MODELS)
    copies = [whole("copies", copy, minimum=0) for copy in sequence("copies", copies)]
    if not copies or max(copies) >= len(model.seeds):
        raise ValueError(f"copies must name at least one copy in 0…{len(model.seeds) - 1}, got {copies}")
    chosen = build_model(model.config() | {"seed": [model.seeds[copy] for copy in copies]})
    state = model.state_dict()
    if not isinstance(model, Pretrained):  # which has a single copy, and refuses any other number
        state = {name: tensor[list(copies)] for name, tensor in state.items()}
    chosen.load_state_dict(state)
    return chosen.to(device_of(model))
