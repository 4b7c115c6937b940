"""The parts of the transformers library that `Pretrained` uses: architectures, and networks with saved weights."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pdtutor.models.layers import in_float32
from pdtutor.models.saved import Saved, optional

OBJECTIVES = ("masked", "causal")

# Entries of a config.json that don't describe the architecture: where it comes from, and how to run it. Entries that
# begin with an underscore don't, either.
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
    """Return the architecture as a JSON-ready dict, from a transformers configuration or the dict of a config.json."""
    described = config if isinstance(config, dict) else json.loads(config.to_json_string())
    return {key: value for key, value in described.items() if key not in NOT_ARCHITECTURE and not key.startswith("_")}


def configuration(architecture, *, causal: bool):
    """Return the transformers configuration, set up for training. Raises ValueError for an unknown architecture."""
    transformers = optional("transformers")
    described = describe(architecture)
    model_type = described.get("model_type")
    if model_type not in transformers.CONFIG_MAPPING:
        raise ValueError(
            f"transformers {transformers.__version__} knows no architecture with model_type {model_type!r}"
        )
    config = transformers.AutoConfig.for_model(**described)
    for name, value in {"is_decoder": causal, "use_cache": False}.items():
        if hasattr(config, name):  # BERT, for example, looks ahead unless it is told to be a decoder
            setattr(config, name, value)
    return config


def network_class(config, objective: str) -> type[nn.Module]:
    """Return transformers' class for this architecture and objective. Raises ValueError if there is none."""
    transformers = optional("transformers")
    classes = {
        "masked": transformers.MODEL_FOR_MASKED_LM_MAPPING,
        "causal": transformers.MODEL_FOR_CAUSAL_LM_MAPPING,
    }[objective]
    if type(config) not in classes:
        raise ValueError(f"the architecture {config.model_type!r} has no {objective} language model in transformers")
    return classes[type(config)]


def filled(network: nn.Module, saved: Saved) -> nn.Module:
    """Return a network like the given one, which may be on the meta device, with the saved weights.

    Raises ValueError if weights are missing or have another shape.
    """
    with quiet():
        network, info = type(network).from_pretrained(  # pyright: ignore[reportAttributeAccessIssue]
            None,
            config=network.config,
            state_dict=dict(saved.weights),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    # Saved weights that the model has no place for (a next-sentence head, a pooler) do no harm; missing weights do.
    others = [f"{name} is {tuple(theirs)}, not {tuple(ours)}" for name, theirs, ours in info["mismatched_keys"]]
    missing = sorted(f"{name} is missing" for name in info["missing_keys"])
    if missing or others:
        raise ValueError(
            f"the weights of {saved.name} don't fill a {type(network).__name__}: {'; '.join(missing + sorted(others))}"
        )
    return network


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers, whose warnings the caller handles, and restore torch's random generator at the end.

    What is built meanwhile is in float32.
    """
    logging = optional("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]), in_float32():
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def longest_row(network: nn.Module) -> int | None:
    """Return how many ids a row may hold, None if the architecture sets no limit.

    RoBERTa and similar models leave their first positions unused, so it is fewer than they have positions.
    """
    positions = getattr(network.config, "max_position_embeddings", None)
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return positions - int(module.padding_idx) - 1  # pyright: ignore[reportArgumentType, reportOptionalOperand]
    return positions
