"""The two-stage algorithm of the paper's theory, small enough to read: move the first layer, then fit the second.

Mirrored pairs at initialisation: two neurons share weights ±1 and a bias and have opposite readouts, so the network
outputs 0. Readouts count as infinitesimal in stage 1, which keeps every hinge margin active: a first-layer step is
a·E[t(x)·x·1[w·x + b ≥ 0]], with t the label or a teacher's output. Weight decay erases the initial weights at the
first step, a device of Barak et al. 2022. Stage 2 is convex: we solve ridge least squares instead of running SGD.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .fourier import as_subset, check_degree, check_dimension, parity
from .gradients import parity_gradient

Function = Callable[[np.ndarray], np.ndarray]  # a batch of inputs (n, d) -> one real output each (n,)

CHUNK = 2**15  # inputs at a time: keeps a batch of activations inside the cache
RIDGE = 1e-5  # of the mean squared feature; small enough not to bend the fit, large enough to make it well-posed


def random_signs(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """n uniform inputs from {±1}^d, shape (n, d), float32."""
    packed = rng.integers(0, 256, size=(n, -(-d // 8)), dtype=np.uint8)
    return 1 - 2 * np.unpackbits(packed, axis=1, count=d).astype(np.float32)


@dataclass(frozen=True)
class TwoLayerNet:
    """f(x) = readout · relu(W x + b) + offset. Calling it on (n, d) inputs gives (n,) outputs."""

    weights: np.ndarray  # (width, d)
    biases: np.ndarray  # (width,)
    readout: np.ndarray  # (width,)
    offset: float = 0.0

    def features(self, x: np.ndarray) -> np.ndarray:
        """The hidden activations, (n, width)."""
        return np.maximum(x @ self.weights.T + self.biases, 0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.features(x) @ self.readout + self.offset


@dataclass(frozen=True)
class TwoStageResult:
    """What `two_stage` leaves behind. `stage_one` is the network at the end of stage 1: the intermediate checkpoint."""

    network: TwoLayerNet
    stage_one: TwoLayerNet
    support: np.ndarray  # (k,)
    accuracy: float  # on fresh labelled inputs
    degree_one: np.ndarray  # (d,): E[f x_j] / RMS(f) of stage_one
    stage1_samples: int
    stage2_samples: int

    @property
    def samples(self) -> int:
        """All fresh samples used in training."""
        return self.stage1_samples + self.stage2_samples


def _mirrored_init(rng: np.random.Generator, width: int, d: int) -> TwoLayerNet:
    """Mirrored pairs (width, d): weights ±1, biases uniform in (−1, 1), readouts ±1/width. It outputs 0 everywhere."""
    if width < 2 or width % 2:
        raise ValueError(f"width = {width}: neurons come in mirrored pairs, so it must be even and at least 2.")
    half = width // 2
    signs = rng.choice(np.float32([-1, 1]), size=(half, d))
    biases = rng.uniform(-1, 1, size=half).astype(np.float32)
    readout = np.full(half, 1 / width, dtype=np.float32)
    return TwoLayerNet(np.vstack([signs, signs]), np.tile(biases, 2), np.concatenate([readout, -readout]))


def _rescaled(update: np.ndarray, k: int) -> np.ndarray:
    """The update (width, d) times one learning rate, chosen so that a neuron's mean norm becomes 1/√k.

    A neuron with k equal weights then has them at 1/k, and its pre-activation spans the range of the biases, (−1, 1).
    """
    norm = np.linalg.norm(update, axis=1).mean()
    return update / (norm * np.sqrt(k)) if norm > 0 else update


def stage_one_teacher(d: int, support: Iterable[int], *, width: int = 64, seed: int = 0) -> TwoLayerNet:
    """The teacher at the end of stage 1, had it used infinitely many labelled samples: one exact gradient step.

    The weights come from the closed form (`parity_gradient`), the off-support ones included. Signs on the support and
    biases are drawn before the other signs, so teachers of one seed and different d have the same weights on the
    support, up to scale. The output is an odd function of x.
    Raises ValueError for a foreign support, an odd width, or a parity the gradient cannot see (odd k ≥ 3 at
    odd d).
    """
    check_dimension(d)
    support = as_subset(support, d)
    k = len(support)
    check_degree(k, d)
    rng = np.random.default_rng(seed)
    inner = _mirrored_init(rng, width, k)
    signs = np.empty((width, d))
    outside = np.setdiff1d(np.arange(d), support)
    signs[:, support] = inner.weights
    signs[:, outside] = np.tile(rng.choice([-1.0, 1.0], size=(width // 2, d - k)), (2, 1))
    gradient = np.array(
        [
            parity_gradient(neuron, support, bias=bias, readout=sign)
            for neuron, bias, sign in zip(signs, inner.biases, np.sign(inner.readout), strict=True)
        ]
    )
    if not gradient[:, support].any():
        raise ValueError(f"k = {k} at d = {d}: ξ_{k - 1} = 0, so the first step carries no signal. Use an even k.")
    weights = _rescaled(-gradient, k)
    return TwoLayerNet(weights.astype(np.float32), inner.biases, inner.readout)


def _chunks(n: int) -> Iterator[int]:
    yield from [CHUNK] * (n // CHUNK)
    if n % CHUNK:
        yield n % CHUNK


def _first_layer_step(net: TwoLayerNet, target: Function, rng: np.random.Generator, n: int) -> np.ndarray:
    """Minus the hinge-loss gradient of the first layer on n fresh samples, per unit of readout: (width, d)."""
    d = net.weights.shape[1]
    total = np.zeros(net.weights.shape)
    for size in _chunks(n):
        x = random_signs(rng, size, d)  # (size, d)
        gate = (x @ net.weights.T + net.biases >= 0).astype(np.float32)  # (size, width)
        total += gate.T @ (x * np.asarray(target(x), dtype=np.float32)[:, None])
    return np.sign(net.readout)[:, None] * total / n


def _fit_readout(net: TwoLayerNet, x: np.ndarray, y: np.ndarray) -> TwoLayerNet:
    """The same first layer with readout and offset from ridge least squares on labels y (n,)."""
    features = np.column_stack([net.features(x), np.ones(len(x))]).astype(np.float64)  # (n, width + 1)
    gram = features.T @ features / len(x)
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
    solution = np.linalg.solve(gram, features.T @ y / len(x))
    return TwoLayerNet(net.weights, net.biases, solution[:-1], float(solution[-1]))


def degree_one_coefficients(function: Function, d: int, *, samples: int = 20_000, seed: int = 0) -> np.ndarray:
    """E[f(x) x_j] / RMS(f) for every coordinate, from fresh samples: shape (d,), noise about 1/√samples.

    The squares sum to the share of E[f²] that degree 1 carries. Take absolute values before averaging over seeds:
    the signs depend on the initialisation and cancel. Raises ValueError for a function that is 0 on every sample.
    """
    check_dimension(d)
    x = random_signs(np.random.default_rng(seed), samples, d)
    outputs = np.asarray(function(x), dtype=np.float64)
    rms = np.sqrt(np.mean(outputs**2))
    if rms == 0:
        raise ValueError("function: it is 0 on every sample, so its coefficients relative to its RMS are undefined.")
    return outputs @ x / len(x) / rms


def two_stage(
    d: int,
    k: int,
    *,
    stage1_samples: int,
    stage2_samples: int = 4000,
    width: int = 128,
    steps: int = 1,
    teacher: Function | None = None,
    support: Iterable[int] | None = None,
    seed: int = 0,
    test_samples: int = 8192,
) -> TwoStageResult:
    """Learn a (d, k)-sparse parity in two stages and report how well it went (the paper's Algorithm 1, our reading).

    Stage 1: `steps` first-layer steps, each on stage1_samples/steps fresh inputs; the first erases the initial
    weights, later ones are added. With a `teacher` (inputs (n, d) → outputs (n,)) the first step follows the teacher
    and the rest follow the labels, which is what a perfect final teacher says: two checkpoints. Stage 2: fit the
    readout on labels. The teacher's scale does not matter: every step is rescaled to one mean norm. `support` defaults
    to a random one.

    Initialisation, stage 1, stage 2 and the test set draw from separate streams of `seed`.
    Raises ValueError for k outside 1…d, an odd width, steps < 1, stage1_samples < steps or stage2_samples < 1.
    """
    check_dimension(d)
    check_degree(k, d)
    if steps < 1 or stage1_samples < steps or stage2_samples < 1:
        raise ValueError(
            f"steps = {steps}, stage1_samples = {stage1_samples}, stage2_samples = {stage2_samples}: "
            "each step needs at least one sample, and so does stage 2."
        )
    streams = np.random.SeedSequence(seed).spawn(4)
    init_rng, stage1_rng, stage2_rng, test_rng = (np.random.default_rng(stream) for stream in streams)
    support = init_rng.choice(d, size=k, replace=False) if support is None else support
    support = as_subset(support, d)
    if len(support) != k:
        raise ValueError(f"support {support.tolist()}: expected k = {k} coordinates.")

    def labels(x: np.ndarray) -> np.ndarray:
        return parity(x, support)

    net = _mirrored_init(init_rng, width, d)
    for step in range(steps):
        target = teacher if step == 0 and teacher is not None else labels
        update = _rescaled(_first_layer_step(net, target, stage1_rng, stage1_samples // steps), k)
        kept = net.weights if step else 0
        net = TwoLayerNet((kept + update).astype(np.float32), net.biases, net.readout)
    x = random_signs(stage2_rng, stage2_samples, d)
    fitted = _fit_readout(net, x, labels(x))
    x_test = random_signs(test_rng, test_samples, d)
    return TwoStageResult(
        network=fitted,
        stage_one=net,
        support=support,
        accuracy=float(np.mean(np.sign(fitted(x_test)) == labels(x_test))),
        degree_one=degree_one_coefficients(net, d, seed=seed),
        stage1_samples=stage1_samples // steps * steps,
        stage2_samples=stage2_samples,
    )
