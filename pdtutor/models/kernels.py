"""One-hidden-layer ReLU networks, compiled: SGD as one loop of forward, backward and update, and logits of sign inputs.

At these sizes an update is a few thousand multiplications, and autograd's bookkeeping costs many times more than they
do. The plain twin is the autograd path of `train`; tests check that the two agree.

With small batches the first layer takes most of the time: every update reads and writes all of it. But an update only
adds multiples of its own inputs to the first layer. So W_t x follows from W_0, the weights a few updates earlier:
W_t x = W_0 x − Σ_{s<t} move_s (x_s · x), where move_s is the learning rate times the gradient with respect to the
pre-activations at input x_s. A few updates therefore share one product with W_0 and one write, and correct each other's
pre-activations by their inputs' scalar products, which is exact.
"""

from functools import lru_cache

import numpy as np
from numba import njit

from pdtutor.compiled import compiled

# All that allows vectorised sums. NaN and infinities keep their meaning, so that a diverging run is noticed.
FAST = {"contract", "reassoc", "nsz", "arcp"}

# Chosen by timing: the number of examples of small batches that share one pass over the first layer, and the number of
# units in a block of that layer, which stays in cache during the pass.
EXAMPLES, UNITS = 16, 128
BITS = 5  # signs that are looked up together; chosen by timing


@compiled(nogil=True, fastmath=FAST)
def soft_cross_entropy(logits, targets):
    """Return −Σ_b Σ_c q_bc log p_bc, and overwrite the logits with its gradient.

    Args:
        logits: (classes, batch) float32; p is their softmax.
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


def sgd(w1, b1, w2, b2, inputs, targets, rates, losses) -> None:
    """Run one SGD update per element of `rates`, in place.

    Args:
        w1, b1: (width, d) and (width,) float32, the first layer; updated in place.
        w2, b2: (classes, width) and (classes,) float32, the read-out; updated in place.
        inputs: (updates, batch, d) float32.
        targets: (updates, batch, classes) float32, distributions q times each example's weight in the mean.
        rates: (updates,) float32, the learning rates.
        losses: (updates,) float32, receives the loss before each update.

    Raises TypeError for anything but float32 arrays in C order, and ValueError for shapes that don't fit together,
    before anything is changed.
    """
    _check(
        _weights(w1, b1, w2, b2)
        | {
            "inputs": (inputs, ("updates", "batch", "d")),
            "targets": (targets, ("updates", "batch", "classes")),
            "rates": (rates, ("updates",)),
            "losses": (losses, ("updates",)),
        }
    )
    width, d = w1.shape
    units = -(-width // (8 * -(-width // UNITS))) * 8  # blocks of equal size, a multiple of 8
    _sgd(d, units)(w1, b1, w2, b2, inputs, targets, rates, losses, max(1, EXAMPLES // inputs.shape[1]))


def logits_of_signs(w1, b1, w2, b2, inputs) -> np.ndarray | None:
    """Return the network's logits (examples, classes) at inputs (examples, d); None unless all inputs are ±1.

    The weights are those of `sgd`. A few signs can add only a few different values to a unit's pre-activation, so most
    multiplications are replaced by look-ups in tables of these values.

    Raises TypeError and ValueError as `sgd` does.
    """
    _check(_weights(w1, b1, w2, b2) | {"inputs": (inputs, ("examples", "d"))})
    codes, signs = _codes(inputs)
    return _logits_of_codes(w1, b1, w2, b2, codes) if signs else None


def _weights(w1, b1, w2, b2) -> dict[str, tuple]:
    """Return the network's arrays and the names of their axes, in the form that `_check` takes."""
    return {
        "w1": (w1, ("width", "d")),
        "b1": (b1, ("width",)),
        "w2": (w2, ("classes", "width")),
        "b2": (b2, ("classes",)),
    }


def _check(expected: dict[str, tuple]) -> None:
    """Raise TypeError or ValueError for the first array, of {name: (array, axes)}, that compiled code can't take."""
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


@njit(inline="always")
def _multiply(block, x, out, d, units):
    """Write x @ block into `out`: (examples, d) and (d, units) → (examples, units)."""
    for e in range(0, len(x), 2):
        xa, xb, ya, yb = x[e], x[e + 1], out[e], out[e + 1]
        for u in range(units):
            ya[u] = yb[u] = np.float32(0.0)
        for j in range(0, d - 3, 4):  # four at a time: fewer passes over ya and yb
            row0, row1, row2, row3 = block[j], block[j + 1], block[j + 2], block[j + 3]
            a0, a1, a2, a3 = xa[j], xa[j + 1], xa[j + 2], xa[j + 3]
            b0, b1, b2, b3 = xb[j], xb[j + 1], xb[j + 2], xb[j + 3]
            for u in range(units):
                ya[u] += a0 * row0[u] + a1 * row1[u] + a2 * row2[u] + a3 * row3[u]
                yb[u] += b0 * row0[u] + b1 * row1[u] + b2 * row2[u] + b3 * row3[u]
        for j in range(d // 4 * 4, d):
            row, a, b = block[j], xa[j], xb[j]
            for u in range(units):
                ya[u] += a * row[u]
                yb[u] += b * row[u]


@njit(inline="always")
def _move(block, x, moves, d, units):
    """Subtract xᵀ @ moves from `block`: (examples, d) and (examples, units) → (d, units)."""
    for e in range(0, len(x), 8):
        x0, x1, x2, x3, x4, x5, x6, x7 = x[e], x[e + 1], x[e + 2], x[e + 3], x[e + 4], x[e + 5], x[e + 6], x[e + 7]
        m0, m1, m2, m3 = moves[e], moves[e + 1], moves[e + 2], moves[e + 3]
        m4, m5, m6, m7 = moves[e + 4], moves[e + 5], moves[e + 6], moves[e + 7]
        for j in range(d):
            row = block[j]
            a0, a1, a2, a3, a4, a5, a6, a7 = x0[j], x1[j], x2[j], x3[j], x4[j], x5[j], x6[j], x7[j]
            for u in range(units):
                lower = a0 * m0[u] + a1 * m1[u] + a2 * m2[u] + a3 * m3[u]
                row[u] -= lower + (a4 * m4[u] + a5 * m5[u] + a6 * m6[u] + a7 * m7[u])


@lru_cache
def _sgd(d: int, units: int):
    """Return the kernel for these sizes: with constant loop bounds it is several times faster.

    The closure holds nothing else, because numba's cache on disk finds a kernel by what its closure holds.
    """

    @compiled(nogil=True, fastmath=FAST)
    def kernel(w1, b1, w2, b2, inputs, targets, rates, losses, together):
        updates, batch, _ = inputs.shape
        classes, width = w2.shape
        blocks = -(-width // units)
        padded = blocks * units  # the extra units have weights of 0 and never become active
        # Copies, laid out for vectors of units; the compiler can tell that arrays made here don't overlap.
        first = np.zeros((blocks, d, units), np.float32)
        bias, second = np.zeros(padded, np.float32), np.zeros((classes, padded), np.float32)
        for u in range(width):
            for j in range(d):
                first[u // units, j, u % units] = w1[u, j]
        bias[:width], second[:, :width] = b1, w2
        examples = (together * batch + 7) // 8 * 8  # the moves of surplus examples stay 0
        x, earlier_x = np.zeros((examples, d), np.float32), np.zeros((examples, d), np.float32)
        hidden = np.zeros((examples, padded), np.float32)
        moves = np.zeros((examples, padded), np.float32)  # rate times the gradient of the pre-activations
        products = np.zeros((examples, examples), np.float32)  # 1 (for the bias) + x_e · x_s, s of an earlier update
        back = np.empty((classes, batch), np.float32)  # logits, then the gradient with respect to them
        for start in range(0, updates, together):
            stop = min(start + together, updates)
            for t in range(start, stop):
                for b in range(batch):
                    x[(t - start) * batch + b] = inputs[t, b]
            for e in range(batch, (stop - start) * batch):
                for s in range(e // batch * batch):
                    total = np.float32(1.0)
                    for j in range(d):
                        total += x[e, j] * x[s, j]
                    products[e, s] = total
            for k in range(blocks):
                _move(first[k], earlier_x, moves[:, k * units : (k + 1) * units], d, units)
                _multiply(first[k], x, hidden[:, k * units : (k + 1) * units], d, units)
            moves[:] = np.float32(0.0)
            for t in range(start, stop):
                rate, now = rates[t], (t - start) * batch
                for b in range(batch):
                    h, product = hidden[now + b], products[now + b]
                    for s in range(0, now, 4):
                        p0, p1, p2, p3 = product[s], product[s + 1], product[s + 2], product[s + 3]
                        m0, m1, m2, m3 = moves[s], moves[s + 1], moves[s + 2], moves[s + 3]
                        for u in range(padded):
                            h[u] -= p0 * m0[u] + p1 * m1[u] + p2 * m2[u] + p3 * m3[u]
                    for u in range(padded):
                        total = h[u] + bias[u]
                        h[u] = total if total > 0 else np.float32(0.0) * total  # 0 · NaN = NaN, which must show
                    for c in range(classes):
                        weight = second[c]
                        total = np.float32(0.0)
                        for u in range(padded):
                            total += weight[u] * h[u]
                        back[c, b] = total + b2[c]
                losses[t] = soft_cross_entropy(back, targets[t])
                for b in range(batch):  # uses the read-out from before this update
                    h, m = hidden[now + b], moves[now + b]
                    for c in range(classes):
                        weight, error = second[c], rate * back[c, b]
                        for u in range(padded):
                            m[u] += error * weight[u]
                    for u in range(padded):
                        m[u] = m[u] if h[u] > 0 else np.float32(0.0) * h[u]
                for b in range(batch):
                    h = hidden[now + b]
                    for c in range(classes):
                        weight, error = second[c], rate * back[c, b]
                        b2[c] -= error
                        for u in range(padded):
                            weight[u] -= error * h[u]
            for e in range(examples):
                m = moves[e]
                for u in range(padded):
                    bias[u] -= m[u]
            x, earlier_x = earlier_x, x
        for k in range(blocks):
            _move(first[k], earlier_x, moves[:, k * units : (k + 1) * units], d, units)
        for u in range(width):
            for j in range(d):
                w1[u, j] = first[u // units, j, u % units]
        b1[:], w2[:] = bias[:width], second[:, :width]

    return kernel


@compiled(nogil=True)
def _codes(inputs):
    """Return codes (examples, ⌈d/BITS⌉), whose bits mark the negative inputs, and whether all inputs are ±1."""
    examples, d = inputs.shape
    codes = np.zeros((examples, -(-d // BITS)), np.int64)
    others = 0
    for e in range(examples):
        x = inputs[e]
        for j in range(d):
            others += (x[j] != 1) & (x[j] != -1)
            codes[e, j // BITS] |= np.int64(x[j] < 0) << j % BITS
    return codes, others == 0


@compiled(nogil=True, fastmath=FAST)
def _logits_of_codes(w1, b1, w2, b2, codes):
    width, d = w1.shape
    classes = len(w2)
    examples, groups = codes.shape
    logits = np.empty((examples, classes), np.float32)
    logits[:] = b2
    table = np.empty((groups, 1 << BITS, UNITS), np.float32)  # what each code adds to each unit of a block
    bias, h = np.empty(UNITS, np.float32), np.empty(UNITS, np.float32)
    second = np.empty((classes, UNITS), np.float32)
    for start in range(0, width, UNITS):
        count = min(UNITS, width - start)
        table[:, 0], bias[:], second[:] = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        bias[:count], second[:, :count] = b1[start : start + count], w2[:, start : start + count]
        for u in range(count):
            for j in range(d):
                table[j // BITS, 0, u] += w1[start + u, j]  # code 0: all signs positive
        for code in range(1, 1 << BITS):
            rest, place = code & (code - 1), 0  # the code without its lowest 1 bit, and that bit's place
            while not code >> place & 1:
                place += 1
            for g in range(groups):
                row, without = table[g, code], table[g, rest]
                row[:] = without
                if g * BITS + place < d:
                    for u in range(count):
                        row[u] -= 2 * w1[start + u, g * BITS + place]
        for e in range(examples):
            code = codes[e]
            h[:] = bias
            for g in range(0, groups - 3, 4):  # four at a time: fewer passes over h
                row0, row1 = table[g, code[g]], table[g + 1, code[g + 1]]
                row2, row3 = table[g + 2, code[g + 2]], table[g + 3, code[g + 3]]
                for u in range(UNITS):
                    h[u] += (row0[u] + row1[u]) + (row2[u] + row3[u])
            for g in range(groups // 4 * 4, groups):
                row0 = table[g, code[g]]
                for u in range(UNITS):
                    h[u] += row0[u]
            for u in range(UNITS):
                h[u] = h[u] if h[u] > 0 else np.float32(0.0) * h[u]  # 0 · NaN = NaN, which must show
            for c in range(classes):
                weight = second[c]
                total = np.float32(0.0)
                for u in range(UNITS):
                    total += weight[u] * h[u]
                logits[e, c] += total
    return logits
