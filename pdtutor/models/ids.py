"""Rows of token ids, and positions in them: what models of sequences refuse, and the padding that they leave out.

What must be looked up in the values is looked up on the CPU only: on an accelerator it would mean waiting for it.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def require_ids(model: str, ids: Tensor, *, copies: int, vocabulary: int, max_length: int | None) -> None:
    """Raise ValueError unless the ids are int64, (copies or 1, batch, length), and rows are not empty or too long.

    On the CPU also unless they lie in 0…vocabulary − 1. `model` is what messages call the model.
    """
    if ids.dtype != torch.int64 or ids.dim() != 3 or ids.shape[0] not in (1, copies):
        leading = "1" if copies == 1 else f"1 or {copies}"
        raise ValueError(
            f"a {model} takes int64 token ids of shape ({leading}, batch, length), got {ids.dtype} of shape "
            f"{tuple(ids.shape)}"
        )
    if not 1 <= ids.shape[2] <= (max_length or ids.shape[2]):
        allowed = "at least 1 id" if max_length is None else f"1…{max_length} ids"
        raise ValueError(f"rows must hold {allowed}, got {ids.shape[2]}")
    if ids.device.type == "cpu" and ids.numel():
        low, high = (bound.item() for bound in ids.aminmax())
        if low < 0 or high >= vocabulary:
            raise ValueError(f"token ids must lie in 0…{vocabulary - 1}, got {low}…{high}")


def require_positions(at: Tensor, ids: Tensor, *, copies: int) -> None:
    """Raise ValueError unless the positions are int64, (copies or 1, batch, n), with n ≥ 1 for every row of the ids.

    On the CPU also unless they lie in −1…length − 1.
    """
    if at.dtype != torch.int64 or at.dim() != 3 or at.shape[0] not in (1, copies) or not at.shape[2]:
        raise ValueError(
            f"at must be int64 positions of shape (copies, batch, n), got {at.dtype} of shape {tuple(at.shape)}"
        )
    if at.shape[1] != ids.shape[1]:
        raise ValueError(f"at must have positions for all {ids.shape[1]} rows of ids, got {at.shape[1]}")
    if at.device.type == "cpu" and at.numel():
        low, high = (bound.item() for bound in at.aminmax())
        if low < -1 or high >= ids.shape[2]:
            raise ValueError(f"positions must lie in −1…{ids.shape[2] - 1}, got {low}…{high}")


def without_padding(
    ids: Int[Tensor, "*rows length"], padding: int
) -> tuple[Int[Tensor, "*rows shorter"], Bool[Tensor, "*rows shorter"] | None]:
    """Return the ids without the columns after the end of every row, and which of them are no padding; None if all.

    On an accelerator no columns are left out.
    """
    seen = ids != padding
    if ids.device.type == "cpu":
        longest = used_columns(seen)
        ids, seen = ids[..., :longest], seen[..., :longest]
        if seen.all():
            return ids, None
    return ids, seen


def used_columns(used: Bool[Tensor, "*rows length"]) -> int:
    """Return how many columns there are up to the last one that any row uses; 1 if none is used."""
    columns = used.flatten(0, -2).any(dim=0).nonzero()
    return int(columns[-1]) + 1 if len(columns) else 1
