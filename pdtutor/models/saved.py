"""A model that transformers saved, in a local folder or on the Hugging Face hub: its configuration and its weights.

The files are read here and not by `from_pretrained`, which changes torch's defaults for the whole process while it
works. So a thread can read them beside a training run. Downloads go to huggingface_hub's cache, in which a file is
complete or absent. Only tensors are unpickled, and no code from a repository ever runs.
"""

import importlib
import pickle
import zipfile
from collections.abc import Callable, Iterable, Mapping
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
from pdtutor.validate import user_path

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
ADAPTER = "adapter_config.json"
POINTER = b"version https://git-lfs.github.com/spec/"  # how the text begins that stands for a file in git

# what the readers of both formats raise for files that are truncated, altered or of another kind
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
    """A folder, repository, revision or file doesn't exist or can't be reached."""


class NoSuchFile(NotThere):
    """The folder or the repository is there, but not this file in it."""


@dataclass(frozen=True)
class Saved:
    """A saved model, as `read_saved` returns it.

    Attributes:
        name: where it was read from, for messages.
        config: the content of config.json.
        weights: all tensors by name, on the CPU; floating-point ones as float32.
    """

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
    """Return the model saved in a local folder or in a repository on the hub, downloaded unless it is in the cache.

    Weights are read from safetensors files, or if there are none, from pytorch_model.bin with `torch.load` and
    weights_only=True. There they may be one level deeper, as in a training checkpoint {"model": …, "optimizer": …}.

    Args:
        repo: a folder, or the name of a repository on the hub.
        revision: a branch, tag or commit of the repository; its default branch if not given.
        cache_dir: huggingface_hub's cache; its default folder if not given.
        local_files_only: never ask the hub.

    Raises NotThere (a ValueError) if there is no such folder, repository, revision or file, or if the hub can't be
    reached; ValueError for a revision of a folder, a PEFT adapter, and a file that is damaged, a git-LFS pointer or
    without tensors; and ImportError without huggingface_hub.
    """
    folder, cache_dir = user_path(repo), None if cache_dir is None else user_path(cache_dir)
    if folder.is_dir():
        if revision is not None:
            raise ValueError(f"{folder} is a folder, which has no revisions, got revision={revision!r}")
        name, find = str(folder), partial(_in_folder, folder)
        if (folder / ADAPTER).exists():
            raise ValueError(_is_adapter(name))
        config = find("config.json")
    else:
        name = str(repo) if revision is None else f"{repo} at revision {revision}"
        find = partial(_on_hub, str(repo), cache_dir=cache_dir, local_files_only=local_files_only)
        config = _hub_config(partial(find, revision=revision), name)
        # a branch may move between two downloads, so ask for its commit: the cache names the folder after it
        find = partial(find, revision=config.parent.name)
    return Saved(name, read_json(config), _weights(find, name))


def in_reach(repo: str | Path, revision: str | None, cache_dir: str | Path | None) -> bool:
    """Return whether `read_saved` needs no download for this, judged by whether config.json is on the machine."""
    if (folder := user_path(repo)).is_dir():
        return (folder / "config.json").exists()
    cache_dir = None if cache_dir is None else user_path(cache_dir)
    hub = optional("huggingface_hub")
    try:
        cached = hub.try_to_load_from_cache(str(repo), "config.json", cache_dir=cache_dir, revision=revision)
    except ValueError:  # the path of a folder that is gone, which can't be a repository's name
        return False
    return isinstance(cached, str)


def optional(name: str) -> ModuleType:
    """Return a module that is an optional dependency. Raises ImportError, which says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"models in the format of Hugging Face need {name}: pip install 'pdtutor[hub]'") from error


def _weights(find: Callable[[str], Path], name: str) -> dict[str, Tensor]:
    """Return all weights, from a single file or from the files that an index lists. Raises NotThere without any."""
    last: NotThere | None = None
    for file in WEIGHTS:
        try:
            path = find(file)
        except NotThere as error:
            last = error
            continue
        shards = [path]
        if file.endswith(".json"):
            try:
                shards = [find(shard) for shard in sorted(set(read_json(path)["weight_map"].values()))]
            except (AttributeError, KeyError, TypeError):
                raise ValueError(f"{path} is damaged or no list of files: it has no weight_map") from None
        return {key: tensor for shard in shards for key, tensor in _tensors(shard, name).items()}
    raise NotThere(f"{name} has no weights: neither model.safetensors nor pytorch_model.bin ({last})")


def _tensors(path: Path, name: str) -> dict[str, Tensor]:
    """Return one file's tensors; floating-point ones, often saved in half precision, as float32."""
    content, where = path.read_bytes(), f"{path}, weights of {name},"
    if content.startswith(POINTER):
        raise ValueError(f"{where} is a git-LFS pointer and not the weights themselves: run `git lfs pull` there")
    safe = path.suffix == ".safetensors"
    try:
        read = load(content) if safe else torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except NOT_TENSORS as error:
        reason = str(error).partition("\n")[0] if safe else _why_not(content)
        raise ValueError(f"{where} is damaged or not what its name says ({reason})") from (error if safe else None)
    tensors = _state_dict(read, where)
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}


def _state_dict(read: object, where: str) -> dict[str, Tensor]:
    """Return the tensors in what was read: a state dict, or a training checkpoint with one state dict in it.

    Raises ValueError for several state dicts and for none.
    """
    entries = dict(read) if isinstance(read, Mapping) else {}
    states = {key: _only_tensors(value) for key, value in entries.items() if isinstance(value, Mapping)}
    states = {key: state for key, state in states.items() if state and len(state) == len(entries[key])}
    if len(states) > 1:
        raise ValueError(f"{where} holds several state dicts, {', '.join(states)}: save the one you mean by itself")
    [state] = states.values() or [_only_tensors(entries)]
    if not state:
        kind = (
            f"a dictionary of {shortened(entries) or 'nothing'}" if isinstance(read, Mapping) else type(read).__name__
        )
        raise ValueError(f"{where} holds no state dict ({kind}): save the model's state_dict() in its place")
    return state


def _only_tensors(entries: Mapping) -> dict[str, Tensor]:
    return {key: value for key, value in entries.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _why_not(content: bytes) -> str:
    """Return why torch.load can't read a file. torch's own words advise to switch its protection off."""
    if not content:
        return "it is empty"
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            if any(file.endswith("/constants.pkl") for file in archive.namelist()):
                return "it is a TorchScript archive: save the model's state_dict() in its place"
        objects = torch.serialization.get_unsafe_globals_in_checkpoint(BytesIO(content))
    except Exception:  # whatever a damaged file makes the readers raise
        objects = []
    if objects:
        return f"it holds {shortened(objects)} and not only tensors, and such objects are never unpickled"
    return "it is truncated, or torch.save did not write it"


def _in_folder(folder: Path, file: str) -> Path:
    if not (folder / file).is_file():
        there = sorted(entry.name for entry in folder.iterdir())
        raise NoSuchFile(f"{folder} has no {file}; it " + (f"has {shortened(there)}" if there else "is empty"))
    return folder / file


def _hub_config(find: Callable[[str], Path], name: str) -> Path:
    """Return the path of a repository's config.json. Raises ValueError if it holds an adapter instead of a model."""
    try:
        return find("config.json")
    except NoSuchFile as error:
        try:
            find(ADAPTER)
        except NotThere:
            raise error from None
        raise ValueError(_is_adapter(name)) from None


def _is_adapter(name: str) -> str:
    return (
        f"{name} holds a PEFT adapter ({ADAPTER}), not a whole model: merge it into its base model "
        "(merge_and_unload) and save that"
    )


def shortened(names: Iterable[object], most: int = 5) -> str:
    """Return names as a list for a message, of which at most so many are spelt out."""
    named = list(map(str, names))
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def _on_hub(
    repo: str, file: str, *, revision: str | None, cache_dir: str | Path | None, local_files_only: bool
) -> Path:
    """Return the path in the cache of a repository's file, downloaded if it isn't there yet. Raises NotThere.

    A cached file is not compared with the hub's: every load would wait for an answer, without a network for half a
    minute, and published checkpoints of a training run don't change. The cache also notes which files a repository
    doesn't have.
    """
    hub = optional("huggingface_hub")
    errors = optional("huggingface_hub.errors")
    where = repo if revision is None else f"{repo} at revision {revision}"
    places = {"revision": revision, "cache_dir": cache_dir}
    try:
        cached = hub.try_to_load_from_cache(repo, file, **places)
        if cached is not None and not isinstance(cached, str):
            raise NoSuchFile(f"{where} has no {file}")
        return Path(cached or hub.hf_hub_download(repo, file, local_files_only=local_files_only, **places))
    except errors.HFValidationError as error:
        raise NotThere(f"there is no folder {repo}, and a repository on the hub can't have that name") from error
    except errors.LocalEntryNotFoundError as error:
        download = f"hf download {repo}" + ("" if revision is None else f" --revision {revision}")
        raise NotThere(
            f"{file} of {where} is neither a local file nor in the cache of the Hugging Face hub, and the hub was not "
            f"asked or didn't answer: connect to the network, or run `{download}` on a machine that has one and copy "
            "its cache to this one (HF_HUB_CACHE names the cache's folder)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NotThere(f"{repo} is on the Hugging Face hub but has no revision {revision!r}") from error
    except errors.GatedRepoError as error:
        raise NotThere(
            f"{repo} needs its owner's permission: ask for it on the repository's page, then run `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise NotThere(f"there is no folder {repo}, and no such repository on the Hugging Face hub") from error
    except errors.EntryNotFoundError as error:
        raise NoSuchFile(f"{where} has no {file}") from error
    except OSError as error:
        if error.errno is not None:  # a problem of this machine, such as a full disk
            raise
        raise NotThere(f"{file} of {where} could not be downloaded ({error})") from error
