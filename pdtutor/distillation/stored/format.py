"""The files in a folder of stored targets.

`targets.json` says what was stored, and for which student, and ends with its own SHA-256. Each shard, a safetensors
file, holds consecutive updates:

    ids: (positions, k), the classes that are kept, the most probable first, in the smallest unsigned type that fits.
    gaps: (positions, k − 1) float16, log p of the second to the k-th class minus log p of the first.
    counts: (updates,) int32, how many of the positions belong to each update.
    checks: (updates,) uint32, the CRC-32 of each update's labels, which reveals a student with other examples.

Float16 rounds a number by up to 1/2048 of its size, so what is stored should be small where p is large. Gaps are: the
relative error of p is gap/2048, and the gap of the first class, 0, needs no storing. Probabilities themselves would
vanish below 6e-8, and log p is large where many classes are about equally probable. A gap of −∞ (p = 0, as at
temperature 0) is kept. For random teachers of 3 to 5000 classes the KL at a position was off by 0.7e-5 to 4.5e-5 on
average; had log p been stored, it would have been off by 1.5 to 4.6 times as much.
"""

import itertools
import json
import zlib

import numpy as np
import torch
from torch import Tensor

from pdtutor.tasks.task import IGNORED

FORMATS = ("pdtutor targets 1", "pdtutor targets 2")  # version 0.1 wrote the first


def pack(log_p: Tensor, labels: Tensor, k: int) -> dict[str, np.ndarray]:
    """Return a shard's arrays for log p (positions, classes), of which k are kept, and labels (updates, batch, …)."""
    kept = log_p.topk(k, dim=-1)
    gaps = (kept.values[:, 1:] - kept.values[:, :1]).half()  # too low for float16 means p = 0 in float32
    counts, checks = fingerprints(labels)
    ids = kept.indices.cpu().numpy().astype(np.min_scalar_type(log_p.shape[-1] - 1))
    return {"ids": ids, "gaps": gaps.cpu().numpy(), "counts": counts, "checks": checks}


def log_probabilities_of(gaps: Tensor) -> Tensor:
    """Return the log-probabilities (positions, k) float32 that stored gaps (positions, k − 1) stand for."""
    return torch.nn.functional.pad(gaps.float(), (1, 0)).log_softmax(-1)


def spread(ids: Tensor, log_p: Tensor, classes: int) -> Tensor:
    """Return log p of all classes, −∞ for those that were not kept: (positions, k) twice → (positions, classes)."""
    return torch.full((len(ids), classes), -torch.inf).scatter_(-1, ids, log_p)


def fingerprints(labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return each update's number of labels and the CRC-32 of its labels: (updates, batch, …) → (updates,) twice."""
    flat = labels.flatten(1).cpu().numpy().astype("<i8")
    scored = flat != IGNORED
    counts, content = scored.sum(1), flat[scored].tobytes()
    bounds = [0, *(8 * counts.cumsum()).tolist()]
    checks = [zlib.crc32(content[low:high]) for low, high in itertools.pairwise(bounds)]
    return counts.astype(np.int32), np.array(checks, dtype=np.uint32)


def cut(arrays: dict[str, np.ndarray], start: int, stop: int) -> dict[str, np.ndarray]:
    """Return the part of a shard's arrays for updates start … stop − 1, counted from the shard's first update."""
    updates = slice(max(start, 0), stop)
    before, within = (int(arrays["counts"][part].sum()) for part in (slice(0, updates.start), updates))
    positions = slice(before, before + within)
    return {name: part[updates if name in ("counts", "checks") else positions] for name, part in arrays.items()}


def of_examples(settings: dict) -> dict:
    """Return those of the settings that determine the examples, flat and as JSON returns them."""
    task = {f"task's {name}": value for name, value in settings["task"].items()}
    return json.loads(json.dumps(task | {name: settings[name] for name in ("batch_size", "seed", "role")}))
