"""Logits of sign inputs, compiled: a wide network's answers to ±1 are looked up instead of multiplied."""

import numpy as np

from pdtutor.compiled import compiled
from pdtutor.models.kernels import FAST, UNITS, are_signs, check, weights

BITS = 5  # signs that are looked up together; chosen by timing


def logits_of_signs(w1, b1, w2, b2, inputs) -> np.ndarray | None:
    """Return the network's logits (examples, classes) at inputs (examples, d); None unless all inputs are ±1.

    The weights are those of `kernels.sgd`. A few signs can add only a few different values to a pre-activation, so most
    multiplications are replaced by look-ups in tables of these values.

    Raises TypeError and ValueError as `kernels.sgd` does.
    """
    check(weights(w1, b1, w2, b2) | {"inputs": (inputs, ("examples", "d"))})
    return _logits_of_codes(w1, b1, w2, b2, _codes(inputs)) if are_signs(inputs) else None


@compiled(nogil=True)
def _codes(inputs):
    """Return codes (examples, ⌈d/BITS⌉), whose bits mark the negative inputs."""
    examples, d = inputs.shape
    codes = np.zeros((examples, -(-d // BITS)), np.int64)
    for e in range(examples):
        x = inputs[e]
        for j in range(d):
            codes[e, j // BITS] |= np.int64(x[j] < 0) << j % BITS
    return codes


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
