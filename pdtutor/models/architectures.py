"""What of the transformers library `Pretrained` rests on: architectures, and networks filled with saved weights."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pdtutor.models.saved import Saved, optional

OBJECTIVES = ("masked", "causal")

# What a config.json holds besides the architecture, with all that begins with an underscore: where it comes from, and
# how its owner would have it run.
NOT_ARCHITECTURE = (
    "architectures",
    "attn_implementation",
    "auto_map",
    "dtype",
    "output_attentions",
    "output_hidden_states",
    "quantization_config",
    "return_dict",
    "torch_dtype",
    "transformers_version",
    "transformers_weights",
)


def describe(config) -> dict:
    """Return a transformers configuration, or what a config.json holds, as a JSON-ready dict of the architecture."""
    described = config if isinstance(config, dict) else json.loads(config.to_json_string())
    return {key: value for key, value in described.items() if key not in NOT_ARCHITECTURE and not key.startswith("_")}


def configuration(architecture, *, causal: bool):
    """Return the transformers configuration, set to what training needs. Raises ValueError for an unknown one."""
    transformers = optional("transformers")
    described = describe(architecture)
    model_type = described.get("model_type")
    if model_type not in transformers.CONFIG_MAPPING:
        raise ValueError(
            f"transformers {transformers.__version__} knows no architecture with model_type {model_type!r}"
        )
    config = transformers.AutoConfig.for_model(**described)
    for name, value in {"is_decoder": causal, "use_cache": False}.items():
        if hasattr(config, name):  # BERT, for one, looks ahead unless it is told to be a decoder
            setattr(config, name, value)
    return config


def network_class(config, objective: str) -> type[nn.Module]:
    """Return the class of transformers that has this objective for this architecture. Raises ValueError."""
    transformers = optional("transformers")
    classes = {
        "masked": transformers.MODEL_FOR_MASKED_LM_MAPPING,
        "causal": transformers.MODEL_FOR_CAUSAL_LM_MAPPING,
    }[objective]
    if type(config) not in classes:
        raise ValueError(f"the architecture {config.model_type!r} has no {objective} language model in transformers")
    return classes[type(config)]


def filled(network: nn.Module, saved: Saved) -> nn.Module:
    """Return a network like this one (which may be on the meta device) with the saved weights. Raises ValueError."""
    with quiet():
        network, info = type(network).from_pretrained(  # pyright: ignore[reportAttributeAccessIssue]
            None,
            config=network.config,
            state_dict=dict(saved.weights),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    # Weights without a place in the model (a next-sentence head, a pooler) do no harm; a place without weights does.
    others = [f"{name} is {tuple(theirs)}, not {tuple(ours)}" for name, theirs, ours in info["mismatched_keys"]]
    missing = sorted(f"{name} is missing" for name in info["missing_keys"])
    if missing or others:
        raise ValueError(
            f"the weights of {saved.name} don't fill a {type(network).__name__}: {'; '.join(missing + sorted(others))}"
        )
    return network


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing what the caller handles, and torch's generator from moving."""
    logging = optional("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def longest_row(network: nn.Module) -> int | None:
    """Return how many ids a row may hold: RoBERTa and its kin leave their first positions unused."""
    positions = getattr(network.config, "max_position_embeddings", None)
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return positions - int(module.padding_idx) - 1  # pyright: ignore[reportArgumentType, reportOptionalOperand]
    return positions
