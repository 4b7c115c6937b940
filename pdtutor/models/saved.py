"""A model that transformers saved, in a local folder or on the Hugging Face hub: its configuration and its weights.

The files are read here and not by `from_pretrained`, which changes torch's defaults for the whole process while it
works: reading can so be left to a thread beside a training run. Downloads go to huggingface_hub's cache, in which a
file is whole or absent. Nothing is unpickled but tensors, and no code of a repository ever runs.
"""

import importlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import ModuleType

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from pdtutor.files import read_json

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

# what the readers of both formats raise for content that is cut short, altered or something else
NOT_TENSORS = (
    SafetensorError,
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class NotThere(ValueError):
    """A folder, repository, revision or file that can't be had."""


@dataclass(frozen=True)
class Saved:
    """What `read_saved` reads: where from, for messages; config.json; and the weights by name, float32 on the CPU."""

    name: str
    config: dict
    weights: dict[str, Tensor]


def read_saved(
    repo: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Saved:
    """Return what was saved in a local folder or in a repository on the hub, downloaded unless it is in the cache.

    Weights are read from safetensors, or where there are none from pytorch_model.bin, by `torch.load` with
    weights_only=True.

    Raises NotThere (a ValueError) if there is no such folder, repository, revision or file, or no network to look;
    ValueError for a file that is damaged; and ImportError without huggingface_hub.
    """
    if Path(repo).is_dir():
        if revision is not None:
            raise ValueError(f"{repo} is a folder, which has no revisions, got revision={revision!r}")
        name, find = str(repo), partial(_in_folder, Path(repo))
        config = find("config.json")
    else:
        name = str(repo) if revision is None else f"{repo} at revision {revision}"
        find = partial(_on_hub, str(repo), cache_dir=cache_dir, local_files_only=local_files_only)
        config = find("config.json", revision=revision)
        # a branch may move between two downloads; the commit, after which the cache names its folder, doesn't
        find = partial(find, revision=config.parent.name)
    return Saved(name, read_json(config), _weights(find, name))


def in_reach(repo: str | Path, revision: str | None, cache_dir: str | Path | None) -> bool:
    """Return whether `read_saved` would find this on the machine, as far as the configuration tells."""
    if Path(repo).is_dir():
        return (Path(repo) / "config.json").exists()
    hub = optional("huggingface_hub")
    try:
        cached = hub.try_to_load_from_cache(str(repo), "config.json", cache_dir=cache_dir, revision=revision)
    except ValueError:  # a folder that is gone: no name for a repository
        return False
    return isinstance(cached, str)


def optional(name: str) -> ModuleType:
    """Return a module that pdtutor doesn't install by itself. Raises ImportError that says how to."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"models in the format of Hugging Face need {name}: pip install 'pdtutor[hub]'") from error


def _weights(find: Callable[[str], Path], name: str) -> dict[str, Tensor]:
    """Return all weights, of one file or of the several that an index lists."""
    last: NotThere | None = None
    for file in WEIGHTS:
        try:
            path = find(file)
        except NotThere as error:
            last = error
            continue
        shards = [path]
        if file.endswith(".json"):
            shards = [find(shard) for shard in sorted(set(read_json(path)["weight_map"].values()))]
        return {key: tensor for shard in shards for key, tensor in _tensors(shard, name).items()}
    raise NotThere(f"{name} has no weights: neither model.safetensors nor pytorch_model.bin ({last})")


def _tensors(path: Path, name: str) -> dict[str, Tensor]:
    """Return one file's tensors; floating-point ones, often saved in half precision, as float32."""
    content = path.read_bytes()
    try:
        if path.suffix == ".safetensors":
            tensors = load(content)
        else:
            tensors = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    except NOT_TENSORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}, weights of {name}, is damaged or not what its name says ({reason})") from error


def _in_folder(folder: Path, file: str) -> Path:
    if not (folder / file).is_file():
        raise NotThere(f"{folder} has no {file}")
    return folder / file


def _on_hub(
    repo: str, file: str, *, revision: str | None, cache_dir: str | Path | None, local_files_only: bool
) -> Path:
    """Return where the cache has a file of a repository, downloaded if it wasn't there. Raises NotThere.

    What is in the cache is not compared with the hub: each load would wait for an answer, half a minute without a
    network, and checkpoints of one training run are published to stay. The cache also knows what a repository lacks.
    """
    hub = optional("huggingface_hub")
    errors = optional("huggingface_hub.errors")
    where = repo if revision is None else f"{repo} at revision {revision}"
    places = {"revision": revision, "cache_dir": cache_dir}
    try:
        cached = hub.try_to_load_from_cache(repo, file, **places)
        if cached is not None and not isinstance(cached, str):
            raise NotThere(f"{where} has no {file}")
        return Path(cached or hub.hf_hub_download(repo, file, local_files_only=local_files_only, **places))
    except errors.HFValidationError as error:
        raise NotThere(f"there is no folder {repo}, and a repository on the hub can't have that name") from error
    except errors.LocalEntryNotFoundError as error:
        download = f"hf download {repo}" + ("" if revision is None else f" --revision {revision}")
        raise NotThere(
            f"{file} of {where} is neither a local file nor in the cache of the Hugging Face hub, and the hub was not "
            f"asked or didn't answer: connect to the network, or run `{download}` where there is one and bring its "
            "cache here (HF_HUB_CACHE says where it lies)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NotThere(f"{repo} is on the Hugging Face hub but has no revision {revision!r}") from error
    except errors.GatedRepoError as error:
        raise NotThere(f"{repo} is only for those its owner admits: ask on its page, then `hf auth login`") from error
    except errors.RepositoryNotFoundError as error:
        raise NotThere(f"there is no folder {repo}, and no such repository on the Hugging Face hub") from error
    except errors.EntryNotFoundError as error:
        raise NotThere(f"{where} has no {file}") from error
    except OSError as error:
        if error.errno is not None:  # this machine's own trouble, such as a full disk
            raise
        raise NotThere(f"{file} of {where} could not be downloaded ({error})") from error
