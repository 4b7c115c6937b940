"""SGD on a one-hidden-layer ReLU network as compiled loops: forward, backward and update fused.

At these sizes a training step is a few thousand multiplications, and autograd's bookkeeping costs many times more than
they do. The plain twin of both kernels is the autograd path of `train`; tests hold them together.

Two layouts of the same arithmetic: `sgd_by_example` vectorises over the inputs of one example and touches only its
active units on the way back, which suits batches of a few; `sgd_by_batch` vectorises over the examples of a batch.
"""

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


@njit(nogil=True, fastmath=FAST, cache=True)
def sgd_by_example(w1, b1, w2, b2, inputs, targets, rates, losses):
    """Run one SGD update per element of `rates`, in place.

    Args:
        w1, b1: (width, d), (width,) float32, first layer; updated in place.
        w2, b2: (classes, width), (classes,) float32, read-out; updated in place.
        inputs: (updates, batch, d) float32.
        targets: (updates, batch, classes) float32, see `soft_cross_entropy`.
        rates: (updates,) float32, learning rates.
        losses: (updates,) float32, receives the loss before each update.
    """
    _, batch, d = inputs.shape
    classes, width = w2.shape
    hidden = np.empty((width, batch), np.float32)
    back = np.empty((classes, batch), np.float32)  # logits, then the gradient with respect to them
    for t in range(len(rates)):
        rate = rates[t]
        for c in range(classes):
            back[c] = b2[c]
        for u in range(width):
            row = w1[u]
            for b in range(batch):
                x = inputs[t, b]
                total = np.float32(0.0)
                for j in range(d):
                    total += row[j] * x[j]
                total += b1[u]
                if total <= 0:
                    total = np.float32(0.0)
                else:
                    for c in range(classes):
                        back[c, b] += w2[c, u] * total
                hidden[u, b] = total
        losses[t] = soft_cross_entropy(back, targets[t])
        for u in range(width):
            row = w1[u]
            for b in range(batch):
                if hidden[u, b] != 0:
                    gradient = np.float32(0.0)  # of the pre-activation; all of them use w2 from before the update
                    for c in range(classes):
                        gradient += back[c, b] * w2[c, u]
                    move = rate * gradient
                    b1[u] -= move
                    x = inputs[t, b]
                    for j in range(d):
                        row[j] -= move * x[j]
            for c in range(classes):
                gradient = np.float32(0.0)
                for b in range(batch):
                    gradient += back[c, b] * hidden[u, b]
                w2[c, u] -= rate * gradient
        for c in range(classes):
            b2[c] -= rate * back[c].sum()


@njit(nogil=True, fastmath=FAST, cache=True)
def sgd_by_batch(w1, b1, w2, b2, inputs, targets, rates, losses):
    """Do the same as `sgd_by_example` with inputs as (updates, d, batch) float32."""
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
