"""One-hidden-layer ReLU networks, compiled: SGD as one loop of forward, backward and update.

At these sizes an update is a few thousand multiplications, and autograd's bookkeeping costs many times more than they
do. The plain twin is the autograd path of `train`; tests check that the two agree.

With small batches the first layer takes most of the time: every update reads and writes all of it. But an update only
adds multiples of its own inputs to the first layer. So W_t x follows from W_0, the weights a few updates earlier:
W_t x = W_0 x − Σ_{s<t} move_s (x_s · x), where move_s is the learning rate times the gradient with respect to the
pre-activations at input x_s. A few updates therefore share one product with W_0 and one write, and correct each other's
pre-activations by their inputs' scalar products, which is exact.

Where all inputs are ±1, most of that product's and that write's multiplications become look-ups: four rows have only 8
sums ± r0 ± r1 ± r2 ± r3, but for the sign of the whole, and each is computed once for all who need it.
"""

from functools import lru_cache

import numpy as np
from numba import njit

from pdtutor.compiled import compiled

# All that allows vectorised sums. NaN and infinities keep their meaning, so that a diverging run is noticed.
FAST = {"contract", "reassoc", "nsz", "arcp"}

# Chosen by timing: the number of units in a block of the first layer, which stays in cache during a pass over it, and
# the number of examples of small batches that share one pass; more of them for signs where the layer as a whole, of
# more than so many bytes, doesn't stay in cache.
UNITS, EXAMPLES, EXAMPLES_OF_LARGE, LARGE = 128, 16, 32, 2**21
INNER = 8  # updates before which pre-activations are corrected together, while the earlier moves are in cache; likewise


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
    check(
        weights(w1, b1, w2, b2)
        | {
            "inputs": (inputs, ("updates", "batch", "d")),
            "targets": (targets, ("updates", "batch", "classes")),
            "rates": (rates, ("updates",)),
            "losses": (losses, ("updates",)),
        }
    )
    width, d = w1.shape
    units = -(-width // (8 * -(-width // UNITS))) * 8  # blocks of equal size, a multiple of 8
    signs = bool(are_signs(inputs))
    together = max(1, (EXAMPLES_OF_LARGE if signs and w1.nbytes > LARGE else EXAMPLES) // inputs.shape[1])
    _sgd(d, units, signs)(w1, b1, w2, b2, inputs, targets, rates, losses, together)


def weights(w1, b1, w2, b2) -> dict[str, tuple]:
    """Return the network's arrays and the names of their axes, in the form that `check` takes."""
    return {
        "w1": (w1, ("width", "d")),
        "b1": (b1, ("width",)),
        "w2": (w2, ("classes", "width")),
        "b2": (b2, ("classes",)),
    }


def check(expected: dict[str, tuple]) -> None:
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
    """Add x @ block to `out`: (examples, d) and (d, units) → (examples, units)."""
    for e in range(0, len(x), 2):
        xa, xb, ya, yb = x[e], x[e + 1], out[e], out[e + 1]
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


@njit(inline="always")
def _sums(r0, r1, r2, r3, table, units):
    """Write the 8 sums r0 ± r1 ± r2 ± r3 into the rows of `table`, at the places that `_code` gives."""
    t0, t1, t2, t3, t4, t5, t6, t7 = table[0], table[1], table[2], table[3], table[4], table[5], table[6], table[7]
    for u in range(units):
        plus, minus, both, differ = r0[u] + r1[u], r0[u] - r1[u], r2[u] + r3[u], r2[u] - r3[u]
        t0[u], t1[u], t2[u], t3[u] = plus + both, minus + both, plus - differ, minus - differ
        t4[u], t5[u], t6[u], t7[u] = plus + differ, minus + differ, plus - both, minus - both


@njit(inline="always")
def _code(s0, s1, s2, s3):
    """Return where `_sums` has s0 · (s0 r0 + s1 r1 + s2 r2 + s3 r3)."""
    return (s1 != s0) | (s2 != s0) << 1 | (s3 != s0) << 2


@njit(inline="always")
def _multiply_signs(block, x, codes, table, out, d, units):
    """Do what `_multiply` does, for signs x and their codes over four inputs each, (examples, ⌈d/4⌉)."""
    groups = (d + 3) // 4
    for g in range(0, groups - 3, 4):  # four at a time: fewer passes over `out`
        for i in range(4):
            j = 4 * (g + i)
            _sums(block[j], block[j + 1], block[j + 2], block[j + 3], table[i], units)
        for e in range(len(x)):
            y, sign, code = out[e], x[e], codes[e]
            t0, t1, t2, t3 = table[0, code[g]], table[1, code[g + 1]], table[2, code[g + 2]], table[3, code[g + 3]]
            s0, s1, s2, s3 = sign[4 * g], sign[4 * g + 4], sign[4 * g + 8], sign[4 * g + 12]
            for u in range(units):
                y[u] += s0 * t0[u] + s1 * t1[u] + s2 * t2[u] + s3 * t3[u]
    for g in range(groups // 4 * 4, groups):
        j = 4 * g
        _sums(block[j], block[j + 1], block[j + 2], block[j + 3], table[0], units)
        for e in range(len(x)):
            y, t0, s0 = out[e], table[0, codes[e, g]], x[e, j]
            for u in range(units):
                y[u] += s0 * t0[u]


@njit(inline="always")
def _move_signs(block, x, codes, table, moves, d, units):
    """Do what `_move` does, for signs x and their codes over four examples each, (examples/4, d)."""
    for g in range(0, len(codes), 4):
        for i in range(4):
            e = 4 * (g + i)
            _sums(moves[e], moves[e + 1], moves[e + 2], moves[e + 3], table[i], units)
        c0, c1, c2, c3 = codes[g], codes[g + 1], codes[g + 2], codes[g + 3]
        x0, x1, x2, x3 = x[4 * g], x[4 * g + 4], x[4 * g + 8], x[4 * g + 12]
        for j in range(d):
            row, s0, s1, s2, s3 = block[j], x0[j], x1[j], x2[j], x3[j]
            t0, t1, t2, t3 = table[0, c0[j]], table[1, c1[j]], table[2, c2[j]], table[3, c3[j]]
            for u in range(units):
                row[u] -= s0 * t0[u] + s1 * t1[u] + s2 * t2[u] + s3 * t3[u]


@lru_cache
def _sgd(d: int, units: int, signs: bool):
    """Return the kernel for these sizes, and for inputs that are all ±1 or any others.

    With constant loop bounds it is several times faster. The closure holds nothing else, because numba's cache on disk
    finds a kernel by what its closure holds.
    """

    @compiled(nogil=True, fastmath=FAST)
    def kernel(w1, b1, w2, b2, inputs, targets, rates, losses, together):
        updates, batch, _ = inputs.shape
        classes, width = w2.shape
        blocks, groups = -(-width // units), (d + 3) // 4
        # Copies, laid out for vectors of units; the extra units and inputs have weights of 0 and never become active.
        first = np.zeros((blocks, 4 * groups, units), np.float32)
        bias, second = np.zeros((blocks, units), np.float32), np.zeros((blocks, classes, units), np.float32)
        for u in range(width):
            k, v = u // units, u % units
            bias[k, v], first[k, :d, v], second[k, :, v] = b1[u], w1[u], w2[:, u]
        examples = (together * batch + 15) // 16 * 16  # the moves of surplus examples stay 0
        x, earlier_x = np.zeros((examples, 4 * groups), np.float32), np.zeros((examples, 4 * groups), np.float32)
        codes, earlier_codes = np.zeros((examples, groups), np.uint8), np.zeros((examples // 4, d), np.uint8)
        table = np.zeros((4, 8, units), np.float32)
        # Rows of an odd number of blocks: caches hold few lines that are a large power of 2 apart.
        hidden = np.zeros((examples, blocks | 1, units), np.float32)
        moves = np.zeros((examples, blocks | 1, units), np.float32)  # rate times the gradient of the pre-activations
        products = np.zeros((examples, examples), np.float32)  # 1 (for the bias) + x_e · x_s, s of an earlier update
        back = np.zeros((classes, batch), np.float32)  # logits, then the gradient with respect to them
        errors = np.zeros((classes, batch), np.float32)  # that gradient times the rate
        # One pass over the blocks ends an update and begins the next one. The last pass only ends an update.
        # Places among the examples: the last update's, this one's, the last common correction's.
        earlier = now = inner = 0
        for t in range(updates + 1):
            whole = t == updates or now == 0  # whether this pass brings the first layer up to date
            if whole:
                if now:
                    moves[now:] = np.float32(0.0)  # those of an earlier round
                x, earlier_x = earlier_x, x
                stop = min(together, updates - t)
                for i in range(stop):
                    for b in range(batch):
                        for j in range(d):
                            x[i * batch + b, j] = inputs[t + i, b, j]
                for e in range(batch, stop * batch):
                    for s in range(e // batch * batch):
                        total = np.float32(1.0)
                        for j in range(d):
                            total += x[e, j] * x[s, j]
                        products[e, s] = total
                if signs:
                    for e in range(examples):
                        r, code = x[e], codes[e]
                        for g in range(groups):
                            code[g] = _code(r[4 * g], r[4 * g + 1], r[4 * g + 2], r[4 * g + 3])
                    for g in range(examples // 4):
                        r, code = earlier_x[4 * g : 4 * g + 4], earlier_codes[g]
                        for j in range(d):
                            code[j] = _code(r[0, j], r[1, j], r[2, j], r[3, j])
            # Every INNER updates, as many next ones are corrected by all earlier moves; later, each by those since.
            since, ahead = inner, now + batch
            if now == 0 or now == inner + INNER * batch:
                since, ahead, inner = 0, min(now + INNER * batch, together * batch), now
            back[:] = np.float32(0.0)
            for k in range(blocks):
                for b in range(batch):  # uses the read-out from before this update
                    h, m = hidden[earlier + b, k], moves[earlier + b, k]
                    for u in range(units):
                        m[u] = np.float32(0.0)
                    for c in range(classes):
                        weight, error = second[k, c], errors[c, b]
                        for u in range(units):
                            m[u] += error * weight[u]
                    for u in range(units):
                        m[u] = m[u] if h[u] > 0 else np.float32(0.0) * h[u]
                for b in range(batch):
                    h = hidden[earlier + b, k]
                    for c in range(classes):
                        weight, error = second[k, c], errors[c, b]
                        for u in range(units):
                            weight[u] -= error * h[u]
                if whole:
                    offset = bias[k]
                    for e in range(examples):
                        m = moves[e, k]
                        for u in range(units):
                            offset[u] -= m[u]
                    for e in range(examples):
                        h = hidden[e, k]
                        for u in range(units):
                            h[u] = offset[u]
                    if signs:
                        _move_signs(first[k], earlier_x, earlier_codes, table, moves[:, k], d, units)
                        _multiply_signs(first[k], x, codes, table, hidden[:, k], d, units)
                    else:
                        _move(first[k], earlier_x, moves[:, k], d, units)
                        _multiply(first[k], x, hidden[:, k], d, units)
                for e in range(now, ahead):
                    h, product = hidden[e, k], products[e]
                    for s in range(since, now, 4):
                        p0, p1, p2, p3 = product[s], product[s + 1], product[s + 2], product[s + 3]
                        m0, m1, m2, m3 = moves[s, k], moves[s + 1, k], moves[s + 2, k], moves[s + 3, k]
                        for u in range(units):
                            h[u] -= p0 * m0[u] + p1 * m1[u] + p2 * m2[u] + p3 * m3[u]
                for b in range(batch):
                    h = hidden[now + b, k]
                    for u in range(units):
                        h[u] = h[u] if h[u] > 0 else np.float32(0.0) * h[u]  # 0 · NaN = NaN, which must show
                    for c in range(classes):
                        weight = second[k, c]
                        total = np.float32(0.0)
                        for u in range(units):
                            total += weight[u] * h[u]
                        back[c, b] += total
            if t < updates:
                for c in range(classes):
                    for b in range(batch):
                        back[c, b] += b2[c]
                losses[t] = soft_cross_entropy(back, targets[t])
                for c in range(classes):
                    for b in range(batch):
                        errors[c, b] = rates[t] * back[c, b]
                        b2[c] -= errors[c, b]
            earlier, now = now, now + batch if now + batch < together * batch else 0
        for u in range(width):
            k, v = u // units, u % units
            b1[u], w1[u], w2[:, u] = bias[k, v], first[k, :d, v], second[k, :, v]

    return kernel


@compiled(nogil=True)
def are_signs(inputs):
    """Return whether all inputs are ±1."""
    others = 0
    for x in inputs.flat:
        others += (x != 1) & (x != -1)
    return others == 0
