"""The parts of the transformers library that `Pretrained` uses: architectures, and networks with saved weights."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pdtutor.models.layers import in_float32
from pdtutor.models.saved import Saved, optional, shortened

OBJECTIVES = ("masked", "causal")
WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")  # of torch.compile and FSDP

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
        custom = isinstance(architecture, dict) and "auto_map" in architecture
        raise ValueError(
            f"transformers {transformers.__version__} knows no architecture with model_type {model_type!r}"
            + ("; it has code of its own (auto_map), and pdtutor runs no code that comes with a model" * custom)
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

    Raises ValueError if weights are missing, have another shape, or are quantized or those of an adapter.
    """
    if "quantization_config" in saved.config:
        raise ValueError(f"the weights of {saved.name} are quantized: a model in full or half precision is needed")
    with quiet():
        network, info = type(network).from_pretrained(  # pyright: ignore[reportAttributeAccessIssue]
            None,
            config=network.config,
            state_dict=_unwrapped(saved.weights, network),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            trust_remote_code=False,
        )
    # Saved weights that the model has no place for (a next-sentence head, a pooler) do no harm; missing weights do.
    others = [f"{name} is {tuple(theirs)}, not {tuple(ours)}" for name, theirs, ours in info["mismatched_keys"]]
    missing = sorted(f"{name} is missing" for name in info["missing_keys"])
    adapters = [name for name in info["unexpected_keys"] if ".lora_" in name]  # without them it is another model
    if missing or others or adapters:
        surplus = sorted(info["unexpected_keys"])
        instead = f"; the file also has {shortened(surplus, 3)}" if surplus else ""
        raise ValueError(
            f"the weights of {saved.name} don't fill a {type(network).__name__}: "
            f"{shortened(missing + sorted(others) or ['those of an adapter are not merged'])}{instead}"
        )
    return network


def _unwrapped(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the weights by the network's own names, without the prefixes of what it was wrapped in when it was saved.

    torch.compile and FSDP leave a name anywhere; DDP (`module.`), Lightning (`model.`) and others leave one in front of
    all. An architecture's own names may begin with `model.`, too, so the names that fit best are taken.
    """
    for wrapper in WRAPPERS:
        weights = {key.replace(wrapper, ""): tensor for key, tensor in weights.items()}
    base = f"{network.base_model_prefix}."
    known = {name for own in network.state_dict() for name in (own, own.removeprefix(base))}
    readings = [weights]
    while len({key.partition(".")[0] for key in readings[-1]}) == 1 and all("." in key for key in readings[-1]):
        readings.append({key.partition(".")[2]: tensor for key, tensor in readings[-1].items()})
    return max(readings, key=lambda names: len(known & names.keys()))


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
