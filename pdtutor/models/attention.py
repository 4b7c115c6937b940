"""Scaled dot-product attention, compiled for narrow heads on the CPU; for everything else, torch's own.

Torch's CPU kernel multiplies matrices block by block, and with heads 8 wide most of its time is overhead. Here a loop
over keys (in the backward pass: over queries) handles 16 queries (keys) at a time, one per lane of a vector, and keeps
its sums in registers. No sum runs across lanes, so results depend neither on the machine's vector width nor on what
else is in the batch. As in flash attention, scores are not kept: the backward pass recomputes them from one number per
query, the log of its normaliser.
"""

# Numba's intrinsics are called with one argument fewer than they are defined with.
# pyright: reportCallIssue=false

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from numba import boolean, float32, int64, njit, types, void
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

from pdtutor.compiled import compiled
from pdtutor.models.vectors import (
    LANES,
    column_to_row,
    copy_row,
    dot,
    exp2,
    from_lane,
    load,
    load_all,
    maximum,
    plus_outer,
    row_to_column,
    scaled,
    splat,
    store,
    store_all,
    transpose,
    zeros,
)

HEAD_DIM = 24  # widest head that is compiled; measured: with wider ones torch's kernel is as fast, or faster
THREADED = 1 << 23  # number of scores from which threads are worth starting, which takes up to half a millisecond

LOG2_E = math.log2(math.e)


def attention(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """Return softmax(query · keyᵀ / √head_dim) · value, (n, heads, asking, head_dim).

    It computes what `torch.nn.functional.scaled_dot_product_attention` does, in compiled code for float32 heads up to
    HEAD_DIM wide on the CPU. There, a row in which no key may be attended to gets a result and gradients of 0.

    Args:
        query: (n, heads, asking, head_dim); `asking` is the number of queries.
        key, value: (n, heads, length, head_dim).
        seen: bool, broadcastable to (n, 1, 1, length), True where a key may be attended to; all may if not given.
        causal: whether query i may attend to keys 0…i only.

    Raises ValueError for causal attention with a mask, or with different numbers of queries and keys.
    """
    if causal and (seen is not None or query.shape[2] != key.shape[2]):
        raise ValueError(
            f"causal attention takes no mask and as many queries as keys, got {query.shape[2]} queries, "
            f"{key.shape[2]} keys and {'no' if seen is None else 'a'} mask"
        )
    if not _compiled(query, key, value, seen):
        return scaled_dot_product_attention(query, key, value, attn_mask=seen, is_causal=causal)
    if seen is not None:
        seen = seen[:, 0, 0].expand(key.shape[0], key.shape[2])
    return _Attention.apply(query, key, value, seen, causal)


def _compiled(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None) -> bool:
    """Return whether the compiled kernels can take these tensors; the kernels themselves check nothing."""
    tensors = (query, key, value)
    if any(t.device.type != "cpu" or t.dtype != torch.float32 or t.dim() != 4 or not t.numel() for t in tensors):
        return False
    n, heads, _, head_dim = query.shape
    length = key.shape[2]
    if head_dim > HEAD_DIM or key.shape != (n, heads, length, head_dim) or value.shape != key.shape:
        return False
    if seen is None:
        return True
    by_key = seen.dim() == 4 and seen.shape[0] in (1, n) and seen.shape[1:3] == (1, 1) and seen.shape[3] in (1, length)
    return by_key and seen.dtype == torch.bool and seen.device.type == "cpu"


class _Attention(torch.autograd.Function):
    """The kernels as an autograd function.

    Results are laid out in memory as (n, length, heads, head_dim), so the Linear that reads them needs no copy.
    """

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        query, key, value = (t if t.stride(-1) == 1 else t.contiguous() for t in (query, key, value))
        out, logs = _like(query), query.new_empty(query.shape[:3])
        _spread(_forward(query.shape[3]), [query, key, value, out], logs, seen, causal)
        ctx.save_for_backward(query, key, value, out, logs, seen)
        ctx.causal = causal
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, logs, seen = ctx.saved_tensors
        grad = grad if grad.stride(-1) == 1 else grad.contiguous()
        grads = [_like(t) for t in (query, key, value)]
        _spread(_backward(query.shape[3]), [query, key, value, out, grad, *grads], logs, seen, ctx.causal)
        return *grads, None, None


def _like(tensor: Tensor) -> Tensor:
    """Return an empty tensor of the same shape (n, heads, length, head_dim), in memory (n, length, heads, head_dim)."""
    n, heads, length, head_dim = tensor.shape
    return tensor.new_empty(n, length, heads, head_dim).transpose(1, 2)


def _spread(kernel: Callable, tensors: list[Tensor], logs: Tensor, seen: Tensor | None, causal: bool) -> None:
    """Run the kernel on all rows and heads. The results don't depend on the number of threads.

    Args:
        tensors: query, key and the kernel's other tensors, (n, heads, asking or length, head_dim), with last stride 1.
        logs: (n, heads, asking).
        seen: (n, length) bool, or None.
    """
    (n, heads, asking, _), length = tensors[0].shape, tensors[1].shape[2]
    mask = np.empty((0, 0), np.bool_) if seen is None else seen.numpy()
    arguments = [*map(_flat, tensors), logs.numpy(), mask, length, causal]
    items, threads = n * heads, torch.get_num_threads()
    if threads == 1 or items * asking * length < THREADED:
        kernel(*arguments, 0, items)
        return
    bounds = [items * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda first, last: kernel(*arguments, first, last), bounds[:-1], bounds[1:]))


def _flat(tensor: Tensor) -> tuple[np.ndarray, int, int, int]:
    """Return the memory that a tensor spans, as a flat array, and all its strides but the last."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    by_row, by_head, by_place, _ = tensor.stride()
    return tensor.detach().as_strided((span,), (1,)).numpy(), by_row, by_head, by_place


# Kernels, one for each width of a head: the width is a constant, so loops are unrolled and sums stay in registers.

# A tensor (n, heads, asking or length, head_dim): its memory, and all its strides but the last, which is 1.
_TENSOR = types.Tuple((float32[::1], int64, int64, int64))
_REST = (float32[:, :, ::1], boolean[:, :], int64, boolean, int64, int64)


@njit(nogil=True, inline="always")
def _buffer(size):
    """Return `size` zeros, aligned to a vector's size: loads across cache lines take twice as long."""
    buffer = np.zeros(size + LANES, np.float32)
    start = -(buffer.ctypes.data // 4) % LANES
    return buffer[start : start + size]


@njit(nogil=True, inline="always")
def _begin(tensor, row, head, i):
    """Return where in the tensor's memory its entry [row, head, i] begins."""
    return row * tensor[1] + head * tensor[2] + i * tensor[3]


@njit(nogil=True, inline="always")
def _seen_places(seen, row, places):
    """Write the keys that this row may attend to into `places`, and return their number."""
    count = 0
    for j in range(len(places)):
        if len(seen) == 0 or seen[row, j]:
            places[count] = j
            count += 1
    return count


@lru_cache
def _forward(head_dim: int) -> Callable:
    """Return the kernel that writes, for some rows and heads, `out` and in `logs` each query's log₂ Σ_j 2^score_j."""

    @compiled(void(*[_TENSOR] * 4, *_REST), nogil=True)
    def kernel(query, key, value, out, logs, seen, length, causal, first, last):
        _, heads, asking = logs.shape
        one, scale = np.float32(1.0), np.float32(LOG2_E / math.sqrt(head_dim))  # 2^(log₂ e · score) = e^score
        none, never = splat(np.float32(0.0)), splat(np.float32(-np.inf))
        places = np.empty(length, np.int64)
        keys, values = _buffer(length * head_dim), _buffer(length * head_dim)
        scores, tile, tops, totals = _buffer(length * LANES), _buffer(head_dim * LANES), _buffer(LANES), _buffer(LANES)
        for item in range(first, last):
            row, head = item // heads, item % heads
            count = _seen_places(seen, row, places)
            for j in range(count):
                at = _begin(key, row, head, places[j])
                copy_row(key[0], at, one, keys, j * head_dim, head_dim)
                at = _begin(value, row, head, places[j])
                copy_row(value[0], at, one, values, j * head_dim, head_dim)
            for start in range(0, asking, LANES):
                lanes = min(LANES, asking - start)  # the other lanes are never read
                for lane in range(lanes):
                    row_to_column(query[0], _begin(query, row, head, start + lane), scale, tile, lane, head_dim)
                q = load_all(tile, 0, head_dim)
                visible = min(start + LANES, count) if causal else count
                common = start + 1 if causal else count  # keys that all of these queries see
                top = never
                for j in range(visible):
                    score = dot(q, keys, j * head_dim)
                    if j >= common:
                        score = from_lane(j - start, score, never)
                    store(scores, j * LANES, score)
                    top = maximum(score, top)
                total, taken = none, zeros(head_dim)
                for j in range(visible):
                    weight = exp2(load(scores, j * LANES) - top)
                    total = total + weight  # for keys a query doesn't see, 10^−38, which is lost in rounding
                    taken = plus_outer(taken, weight, values, j * head_dim)
                if count > 0:
                    taken = scaled(taken, splat(one) / total)
                store_all(tile, 0, taken)
                store(tops, 0, top)
                store(totals, 0, total)
                for lane in range(lanes):
                    column_to_row(tile, lane, one, out[0], _begin(out, row, head, start + lane), head_dim)
                    logs[row, head, start + lane] = tops[lane] + np.log2(totals[lane])

    return kernel


@lru_cache
def _backward(head_dim: int) -> Callable:
    """Return the kernel that writes the gradients of some rows and heads; `out` and `logs` are those of `_forward`.

    With p_ij = 2^(score_ij − log_i), g_i the gradient of output i and change_ij = p_ij · (g_i · value_j − g_i · out_i),
    the gradients are Σ_i p_ij g_i for value j, Σ_i change_ij query_i / √head_dim for key j, and Σ_j change_ij key_j /
    √head_dim for query i. That last sum runs over keys, which are one per lane, so tiles of changes are transposed.
    """

    @compiled(void(*[_TENSOR] * 8, *_REST), nogil=True)
    def kernel(query, key, value, out, grad, query_grad, key_grad, value_grad, logs, seen, length, causal, first, last):
        _, heads, asking = logs.shape
        scale = np.float32(LOG2_E / math.sqrt(head_dim))
        one, per_bit, none = np.float32(1.0), np.float32(1 / LOG2_E), splat(np.float32(0.0))
        places = np.empty(length, np.int64)
        size = head_dim * LANES
        keys, k_tile, v_tile = _buffer(size), _buffer(size), _buffer(size)
        queries, grads, deltas = _buffer(asking * head_dim), _buffer(asking * head_dim), _buffer(asking)
        sums = _buffer((asking + LANES - 1) // LANES * size)
        weights, changes = _buffer(LANES * LANES), _buffer(LANES * LANES)
        for item in range(first, last):
            row, head = item // heads, item % heads
            count = _seen_places(seen, row, places)
            for i in range(asking):
                to = i * head_dim
                copy_row(query[0], _begin(query, row, head, i), scale, queries, to, head_dim)
                copy_row(grad[0], _begin(grad, row, head, i), one, grads, to, head_dim)
                at = _begin(out, row, head, i)
                delta = np.float32(0.0)
                for d in range(head_dim):
                    delta += grads[to + d] * out[0][at + d]
                deltas[i] = delta
            sums[:] = np.float32(0.0)
            if count < length:
                for j in range(length):
                    for d in range(head_dim):
                        key_grad[0][_begin(key_grad, row, head, j) + d] = np.float32(0.0)
                        value_grad[0][_begin(value_grad, row, head, j) + d] = np.float32(0.0)
            for start in range(0, count, LANES):
                lanes = min(LANES, count - start)
                for lane in range(lanes):
                    at = _begin(key, row, head, places[start + lane])
                    copy_row(key[0], at, one, keys, lane * head_dim, head_dim)
                    row_to_column(key[0], at, one, k_tile, lane, head_dim)
                    at = _begin(value, row, head, places[start + lane])
                    row_to_column(value[0], at, one, v_tile, lane, head_dim)
                k, v = load_all(k_tile, 0, head_dim), load_all(v_tile, 0, head_dim)
                k_sum, v_sum = zeros(head_dim), zeros(head_dim)
                for begin in range(start if causal else 0, asking, LANES):
                    asked = min(LANES, asking - begin)
                    for i in range(begin, begin + asked):
                        weight = exp2(dot(k, queries, i * head_dim) - splat(logs[row, head, i]))
                        if causal and begin == start:
                            weight = from_lane(i - start + 1, none, weight)
                        store(weights, (i - begin) * LANES, weight)
                        change = weight * (dot(v, grads, i * head_dim) - splat(deltas[i]))
                        store(changes, (i - begin) * LANES, change)
                    for i in range(asked):
                        k_sum = plus_outer(k_sum, load(changes, i * LANES), queries, (begin + i) * head_dim)
                    for i in range(asked):
                        v_sum = plus_outer(v_sum, load(weights, i * LANES), grads, (begin + i) * head_dim)
                    transpose(changes)
                    q_sum = load_all(sums, begin * head_dim, head_dim)
                    for lane in range(lanes):
                        q_sum = plus_outer(q_sum, load(changes, lane * LANES), keys, lane * head_dim)
                    store_all(sums, begin * head_dim, q_sum)
                store_all(k_tile, 0, k_sum)
                store_all(v_tile, 0, v_sum)
                for lane in range(lanes):
                    at = _begin(key_grad, row, head, places[start + lane])
                    column_to_row(k_tile, lane, per_bit, key_grad[0], at, head_dim)
                    at = _begin(value_grad, row, head, places[start + lane])
                    column_to_row(v_tile, lane, one, value_grad[0], at, head_dim)
            for i in range(asking):
                at, to = i // LANES * size + i % LANES, _begin(query_grad, row, head, i)
                column_to_row(sums, at, per_bit * scale, query_grad[0], to, head_dim)

    return kernel
