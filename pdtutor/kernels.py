"""SGD on a one-hidden-layer ReLU network as compiled loops: forward, backward and update fused.

At these sizes a training step is a few thousand multiplications, and autograd's bookkeeping costs many times more than
they do. The plain twin of both kernels is the autograd path of `train`; tests hold them together.

Two layouts of the same arithmetic: `sgd_by_example` vectorises over the inputs of one example and touches only its
active units on the way back, which suits batches of a few; `sgd_by_batch` vectorises over the examples of a batch.
"""

from functools import lru_cache

import numpy as np
from numba import njit

# Everything that lets sums be vectorised, but NaN and infinities keep their meaning: a diverging run must show.
FAST = {"contract", "reassoc", "nsz", "arcp"}


@njit(nogil=True, fastmath=FAST, cache=True)
def soft_cross_entropy(logits, targets):
    """Return −Σ_b Σ_c q_bc log p_bc and overwrite the logits with its gradient.

    Args:
        logits: (classes, batch) float32.
        targets: (batch, classes) float32, distributions q times each example's weight in the mean.
    """
    classes, batch = logits.shape
    loss = np.float32(0.0)
    for b in range(batch):
        top = logits[0, b]
        for c in range(1, classes):
            top = max(top, logits[c, b])
        norm = mass = np.float32(0.0)
        for c in range(classes):
            norm += np.exp(logits[c, b] - top)
            mass += targets[b, c]
        log_norm = np.log(norm) + top
        for c in range(classes):
            log_p = logits[c, b] - log_norm
            loss -= targets[b, c] * log_p
            logits[c, b] = mass * np.exp(log_p) - targets[b, c]
    return loss


def sgd_by_example(w1, b1, w2, b2, inputs, targets, rates, losses) -> None:
    """Run one SGD update per element of `rates`, in place.

    Args:
        w1, b1: (width, d), (width,) float32, first layer; updated in place.
        w2, b2: (classes, width), (classes,) float32, read-out; updated in place.
        inputs: (updates, batch, d) float32.
        targets: (updates, batch, classes) float32, distributions q times each example's weight in the mean.
        rates: (updates,) float32, learning rates.
        losses: (updates,) float32, receives the loss before each update.

    Raises TypeError for what is not a float32 array in C order, and ValueError for shapes that don't fit together,
    before anything is touched.
    """
    _check(w1, b1, w2, b2, inputs, targets, rates, losses, layout=("updates", "batch", "d"))
    rows = FEW_ROWS if w1.nbytes > CACHE else ROWS
    _by_example(w1.shape[1])(w1, b1, w2, b2, inputs, targets, rates, losses, rows)


def sgd_by_batch(w1, b1, w2, b2, inputs, targets, rates, losses) -> None:
    """Do the same as `sgd_by_example` with inputs as (updates, d, batch)."""
    _check(w1, b1, w2, b2, inputs, targets, rates, losses, layout=("updates", "d", "batch"))
    _by_batch(w1, b1, w2, b2, inputs, targets, rates, losses)


def _check(w1, b1, w2, b2, inputs, targets, rates, losses, *, layout: tuple[str, ...]) -> None:
    """Raise TypeError or ValueError naming the first array that compiled code must not be given."""
    expected = {
        "w1": (w1, ("width", "d")),
        "b1": (b1, ("width",)),
        "w2": (w2, ("classes", "width")),
        "b2": (b2, ("classes",)),
        "inputs": (inputs, layout),
        "targets": (targets, ("updates", "batch", "classes")),
        "rates": (rates, ("updates",)),
        "losses": (losses, ("updates",)),
    }
    sizes: dict[str, int] = {}
    for name, (array, axes) in expected.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float32:
            raise TypeError(f"{name} must be a float32 array, got {getattr(array, 'dtype', type(array).__name__)}")
        if not array.flags.c_contiguous:
            raise TypeError(f"{name} must be contiguous in C order, got strides {array.strides}: copy it first")
        if array.ndim != len(axes) or any(sizes.get(axis, n) != n for axis, n in zip(axes, array.shape, strict=True)):
            wanted = ", ".join(f"{axis} = {sizes[axis]}" if axis in sizes else axis for axis in axes)
            raise ValueError(f"{name} must have shape ({wanted}), got {array.shape}")
        sizes.update(zip(axes, array.shape, strict=True))


# Rows of the first layer that are updated and then multiplied by the next inputs while still in cache. Weights that
# have to come from memory each time come fastest in order, so then the rows are few.
ROWS, FEW_ROWS = 64, 8
CACHE = 4 * 2**20  # bytes of weights


@njit(inline="always")
def _multiply(w1, first, last, x, out, d):
    """Write w1[first:last] @ x into out[first:last], four rows at a time, which share the loads of x."""
    u = first
    while u + 4 <= last:
        row0, row1, row2, row3 = w1[u], w1[u + 1], w1[u + 2], w1[u + 3]
        sum0 = sum1 = sum2 = sum3 = np.float32(0.0)
        for j in range(d):
            xj = x[j]
            sum0 += row0[j] * xj
            sum1 += row1[j] * xj
            sum2 += row2[j] * xj
            sum3 += row3[j] * xj
        out[u], out[u + 1], out[u + 2], out[u + 3] = sum0, sum1, sum2, sum3
        u += 4
    while u < last:
        row = w1[u]
        total = np.float32(0.0)
        for j in range(d):
            total += row[j] * x[j]
        out[u] = total
        u += 1


@lru_cache
def _by_example(d: int):
    """Return the kernel compiled for this number of inputs: constant trip counts are worth a fifth of its speed.

    Each block of rows is read once per update: as soon as it has moved, it meets the inputs of the next one. (`d` is
    all that the closure holds: numba's cache on disk looks a kernel up by it.)
    """

    @njit(nogil=True, fastmath=FAST, cache=True)
    def kernel(w1, b1, w2, b2, inputs, targets, rates, losses, rows):
        updates, batch, _ = inputs.shape
        classes, width = w2.shape
        hidden = np.empty((batch, width), np.float32)
        back = np.empty((classes, batch), np.float32)  # logits, then the gradient with respect to them
        moves = np.empty((batch, width), np.float32)  # rate times the gradient of the pre-activations
        active = np.empty(rows, np.int64)
        for b in range(batch):
            _multiply(w1, 0, width, inputs[0, b], hidden[b], d)
        for t in range(updates):
            rate = rates[t]
            for b in range(batch):
                h, move = hidden[b], moves[b]
                for u in range(width):
                    total = h[u] + b1[u]
                    h[u] = total if total > 0 else np.float32(0.0) * total  # 0·NaN = NaN must not pass for inactive
                    move[u] = np.float32(0.0)
                for c in range(classes):
                    weight = w2[c]
                    total = np.float32(0.0)
                    for u in range(width):
                        total += weight[u] * h[u]
                    back[c, b] = total + b2[c]
            losses[t] = soft_cross_entropy(back, targets[t])
            for b in range(batch):  # w2 as it was before this update
                move = moves[b]
                for c in range(classes):
                    weight, error = w2[c], rate * back[c, b]
                    for u in range(width):
                        move[u] += error * weight[u]
            for b in range(batch):
                h = hidden[b]
                for c in range(classes):
                    weight, error = w2[c], rate * back[c, b]
                    b2[c] -= error
                    for u in range(width):
                        weight[u] -= error * h[u]
            following = min(t + 1, updates - 1)
            for first in range(0, width, rows):
                last = min(first + rows, width)
                for b in range(batch):
                    h, move, x = hidden[b], moves[b], inputs[t, b]
                    count = 0
                    for u in range(first, last):  # without a branch: which units are active is not predictable
                        active[count] = u
                        count += h[u] > 0
                    for i in range(count):
                        u = active[i]
                        row, step = w1[u], move[u]
                        b1[u] -= step
                        for j in range(d):
                            row[j] -= step * x[j]
                for b in range(batch):
                    _multiply(w1, first, last, inputs[following, b], hidden[b], d)

    return kernel


@njit(nogil=True, fastmath=FAST, cache=True)
def _by_batch(w1, b1, w2, b2, inputs, targets, rates, losses):
    _, d, batch = inputs.shape
    classes, width = w2.shape
    hidden = np.empty((width, batch), np.float32)
    back = np.empty((classes, batch), np.float32)  # logits, then the gradient with respect to them
    gradient = np.empty(batch, np.float32)  # of one unit's pre-activation
    for t in range(len(rates)):
        rate, x = rates[t], inputs[t]
        for c in range(classes):
            back[c] = b2[c]
        for u in range(width):
            h = hidden[u]
            h[:] = b1[u]
            for j in range(d):
                weight, xj = w1[u, j], x[j]
                for b in range(batch):
                    h[b] += weight * xj[b]
            for b in range(batch):
                h[b] = h[b] if h[b] > 0 else np.float32(0.0) * h[b]  # 0·NaN = NaN must not pass for inactive
            for c in range(classes):
                weight, logits = w2[c, u], back[c]
                for b in range(batch):
                    logits[b] += weight * h[b]
        losses[t] = soft_cross_entropy(back, targets[t])
        for u in range(width):
            h = hidden[u]
            gradient[:] = np.float32(0.0)
            for c in range(classes):
                weight, error = w2[c, u], back[c]
                total = np.float32(0.0)
                for b in range(batch):
                    gradient[b] += error[b] * weight
                    total += error[b] * h[b]
                w2[c, u] -= rate * total
            total = np.float32(0.0)
            for b in range(batch):
                gradient[b] = gradient[b] if h[b] > 0 else np.float32(0.0)
                total += gradient[b]
            b1[u] -= rate * total
            for j in range(d):
                xj = x[j]
                total = np.float32(0.0)
                for b in range(batch):
                    total += gradient[b] * xj[b]
                w1[u, j] -= rate * total
        for c in range(classes):
            b2[c] -= rate * back[c].sum()
