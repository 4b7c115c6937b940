"""The two-stage algorithm of the paper's theory, small enough to read: move the first layer, then fit the second.

Neurons are initialised in mirrored pairs, with the same weights ±1, the same bias and opposite readouts, so that the
network outputs 0. In stage 1 the readouts are taken to be infinitesimal, which keeps every hinge margin active: a
first-layer step is a·E[t(x)·x·1[w·x + b ≥ 0]], where t is the label or a teacher's output and a the readout. Weight
decay erases the initial weights at the first step, as in Barak et al. 2022. Stage 2 is convex: we solve ridge least
squares instead of running SGD.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pdtutor.theory.fourier import MAX_TABLE_DIM, as_subset, check_degree, check_dimension, hypercube, parity
from pdtutor.theory.gradients import parity_gradient
from pdtutor.validate import shown, whole

Function = Callable[[np.ndarray], np.ndarray]  # a batch of inputs (n, d) → one real output each (n,)

CHUNK = 2**12  # inputs at a time, so that a batch of activations stays inside the cache
RIDGE = 1e-5  # relative to the mean squared feature: too small to bend the fit, large enough to make it well-posed


def random_signs(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Return n uniform inputs from {±1}^d, (n, d) float32."""
    packed = rng.integers(0, 256, size=(n, -(-d // 8)), dtype=np.uint8)
    return 1 - 2 * np.unpackbits(packed, axis=1, count=d).astype(np.float32)


@dataclass(frozen=True)
class TwoLayerNet:
    """The network f(x) = readout · relu(W x + b) + offset; called on inputs (n, d) it returns outputs (n,)."""

    weights: np.ndarray  # (width, d)
    biases: np.ndarray  # (width,)
    readout: np.ndarray  # (width,)
    offset: float = 0.0

    def features(self, x: np.ndarray) -> np.ndarray:
        """Return the hidden activations (n, width) of inputs (n, d)."""
        return np.maximum(x @ self.weights.T + self.biases, 0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.features(x) @ self.readout + self.offset


@dataclass(frozen=True)
class TwoStageResult:
    """The outcome of `two_stage`.

    Attributes:
        network: the trained network.
        stage_one: the network at the end of stage 1, which is the intermediate checkpoint.
        support: the coordinates of the parity, (k,).
        accuracy: the trained network's accuracy on fresh labelled inputs.
        degree_one: E[f(x)·x_j] / RMS(f) of `stage_one`, (d,).
        stage1_samples: how many samples stage 1 used.
        stage2_samples: how many samples stage 2 used.
    """

    network: TwoLayerNet
    stage_one: TwoLayerNet
    support: np.ndarray
    accuracy: float
    degree_one: np.ndarray
    stage1_samples: int
    stage2_samples: int

    @property
    def samples(self) -> int:
        """All fresh samples that training used, those of both stages."""
        return self.stage1_samples + self.stage2_samples


def _mirrored_init(rng: np.random.Generator, width: int, d: int) -> TwoLayerNet:
    """Return mirrored pairs with weights ±1, biases uniform in (−1, 1) and readouts ±1/width; the net outputs 0.

    Raises ValueError for a width that is odd or less than 2.
    """
    if width < 2 or width % 2:
        raise ValueError(f"width must be even and at least 2, since neurons come in mirrored pairs; got {width}")
    half = width // 2
    signs = rng.choice(np.array([-1, 1], np.float32), size=(half, d))
    biases = rng.uniform(-1, 1, size=half).astype(np.float32)
    readout = np.full(half, 1 / width, dtype=np.float32)
    return TwoLayerNet(np.vstack([signs, signs]), np.tile(biases, 2), np.concatenate([readout, -readout]))


def _rescaled(update: np.ndarray, k: int) -> np.ndarray:
    """Return the update (width, d) times one learning rate, chosen so that the neurons' mean norm becomes 1/√k.

    A neuron with k equal weights then has them at 1/k, and its pre-activation spans the range of the biases, (−1, 1).
    """
    norm = np.linalg.norm(update, axis=1).mean()
    return update / (norm * np.sqrt(k)) if norm > 0 else update


def stage_one_teacher(
    d: int, support: Iterable[int], *, width: int = 64, seed: int = 0, samples: int | None = None
) -> TwoLayerNet:
    """Return the teacher at the end of stage 1: one gradient step of the first layer, exact or from samples.

    The weights of the exact step come from the closed form, `parity_gradient`, on the support and off it. The output is
    an odd function of x. Signs on the support and biases are drawn before the other signs, so that teachers of one seed
    have the same weights on the support at every d, up to scale.

    Args:
        d: the number of coordinates.
        support: the coordinates of the parity.
        width: the number of neurons, even.
        seed: seed of the initialisation, and of the samples.
        samples: fresh labelled samples of the step; if not given, it is as if there were infinitely many.

    Raises ValueError for a coordinate outside 0…d−1 or repeated, an empty support, an odd width, and a parity that the
    gradient cannot see (odd k ≥ 3 at odd d).
    """
    check_dimension(d)
    support = as_subset(support, d)
    k = len(support)
    if not k:
        raise ValueError("support must hold at least one coordinate, got none")
    check_degree(k, d)
    width, rng = whole("width", width), np.random.default_rng(whole("seed", seed, minimum=0))
    inner = _mirrored_init(rng, width, k)
    signs = np.empty((width, d))
    outside = np.setdiff1d(np.arange(d), support)
    signs[:, support] = inner.weights
    signs[:, outside] = np.tile(rng.choice([-1.0, 1.0], size=(width // 2, d - k)), (2, 1))
    if samples is not None:
        start = TwoLayerNet(signs.astype(np.float32), inner.biases, inner.readout)
        drawn = np.random.default_rng([seed, 1])
        update = _first_layer_step(start, lambda x: parity(x, support), drawn, whole("samples", samples))
        return TwoLayerNet(_rescaled(update, k).astype(np.float32), inner.biases, inner.readout)
    gradient = np.array(
        [
            parity_gradient(neuron, support, bias=bias, readout=sign)
            for neuron, bias, sign in zip(signs, inner.biases, np.sign(inner.readout), strict=True)
        ]
    )
    if not gradient[:, support].any():
        raise ValueError(
            f"k = {k} at d = {d} gives the first step no signal, since ξ_{k - 1} = 0: use an even k or another d"
        )
    weights = _rescaled(-gradient, k)
    return TwoLayerNet(weights.astype(np.float32), inner.biases, inner.readout)


def _drawn(rng: np.random.Generator, n: int, d: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield n uniform inputs in chunks: different ones (at most CHUNK, d) float32, and how often each is drawn.

    Where n is above 2^d, the numbers of times that each input of the cube is drawn are drawn themselves, which is the
    same distribution: the time no longer grows with n.
    """
    if d <= MAX_TABLE_DIM and n > 2**d:
        cube, times = hypercube(d), rng.multinomial(n, np.full(2**d, 0.5**d)).astype(np.float32)
        for start in range(0, len(cube), CHUNK):
            yield cube[start : start + CHUNK].astype(np.float32), times[start : start + CHUNK]
        return
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        yield random_signs(rng, size, d), np.ones(size, dtype=np.float32)


def _first_layer_step(net: TwoLayerNet, target: Function, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return minus the hinge-loss gradient of the first layer on n fresh samples, per unit of readout: (width, d)."""
    d = net.weights.shape[1]
    total = np.zeros(net.weights.shape)
    for x, times in _drawn(rng, n, d):  # (size, d), (size,)
        gate = (x @ net.weights.T + net.biases >= 0).astype(np.float32)  # (size, width)
        total += gate.T @ (x * (times * np.asarray(target(x), dtype=np.float32))[:, None])
    return np.sign(net.readout)[:, None] * total / n


def _fit_readout(net: TwoLayerNet, x: np.ndarray, y: np.ndarray) -> TwoLayerNet:
    """Return the same first layer with readout and offset fitted to labels y (n,) by ridge least squares."""
    features = np.column_stack([net.features(x), np.ones(len(x))]).astype(np.float64)  # (n, width + 1)
    gram = features.T @ features / len(x)
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
    solution = np.linalg.solve(gram, features.T @ y / len(x))
    return TwoLayerNet(net.weights, net.biases, solution[:-1], float(solution[-1]))


def degree_one_coefficients(function: Function, d: int, *, samples: int = 20_000, seed: int = 0) -> np.ndarray:
    """Return E[f(x)·x_j] / RMS(f) for every coordinate, (d,), from fresh samples; the noise is about 1/√samples.

    The squares sum to the share of E[f²] that degree 1 carries. Take absolute values before averaging over seeds: the
    signs depend on the initialisation and cancel.

    Raises ValueError for d < 1 and a function that is 0 on every sample.
    """
    check_dimension(d)
    x = random_signs(np.random.default_rng(whole("seed", seed, minimum=0)), whole("samples", samples), d)
    outputs = np.asarray(function(x), dtype=np.float64)
    rms = np.sqrt(np.mean(outputs**2))
    if rms == 0:
        raise ValueError("function is 0 on every sample, so that coefficients relative to its RMS are undefined")
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
    final: Function | None = None,
    support: Iterable[int] | None = None,
    seed: int = 0,
    test_samples: int = 8192,
) -> TwoStageResult:
    """Learn a (d, k)-sparse parity in two stages, and return how well it went (our reading of the paper's Algorithm 1).

    Stage 1 takes `steps` first-layer steps, each on stage1_samples/steps fresh inputs. The first step erases the
    initial weights, later ones are added. Stage 2 fits the readout to the final teacher. Initialisation, stage 1, stage
    2 and the test set draw from separate streams of `seed`.

    Args:
        d: the number of coordinates.
        k: the size of the support, 1 ≤ k ≤ d.
        stage1_samples: fresh samples of stage 1, over all of its steps.
        stage2_samples: fresh samples of stage 2.
        width: the number of neurons, even.
        steps: the number of first-layer steps.
        teacher: the intermediate teacher, which maps inputs (n, d) to outputs (n,): the first step follows it. Its
            scale does not matter, because every step is rescaled to the same mean norm. If not given, the first step
            follows the final teacher, as all others do: one-shot.
        final: the final teacher, which all later steps and stage 2 follow; if not given, it is perfect, that is, the
            labels.
        support: the k coordinates of the parity; random if not given.
        seed: seed of all that is drawn.
        test_samples: fresh samples on which accuracy is measured.

    Raises ValueError for k outside 1…d, an odd width, steps < 1, stage1_samples < steps, stage2_samples < 1, and a
    support that leaves 0…d−1, repeats a coordinate or does not hold k of them.
    """
    check_dimension(d)
    check_degree(k, d)
    d, k, width, seed = int(d), int(k), whole("width", width), whole("seed", seed, minimum=0)
    test_samples = whole("test_samples", test_samples)
    steps, stage1_samples, stage2_samples = (
        whole(name, given, minimum=0)
        for name, given in {
            "steps": steps,
            "stage1_samples": stage1_samples,
            "stage2_samples": stage2_samples,
        }.items()
    )
    for name, given in {"teacher": teacher, "final": final}.items():
        if given is not None and not callable(given):
            raise ValueError(f"{name} must be a function from inputs (n, d) to outputs (n,), got {shown(given)}")
    if steps < 1 or stage1_samples < steps or stage2_samples < 1:
        raise ValueError(
            "steps must be at least 1, and each step and stage 2 need at least one sample; "
            f"got steps = {steps}, stage1_samples = {stage1_samples}, stage2_samples = {stage2_samples}"
        )
    streams = np.random.SeedSequence(seed).spawn(4)
    init_rng, stage1_rng, stage2_rng, test_rng = (np.random.default_rng(stream) for stream in streams)
    support = init_rng.choice(d, size=k, replace=False) if support is None else support
    support = as_subset(support, d)
    if len(support) != k:
        raise ValueError(f"support must hold k = {k} coordinates, got {len(support)}: {support.tolist()}")

    def labels(x: np.ndarray) -> np.ndarray:
        return parity(x, support)

    last = labels if final is None else final
    net = _mirrored_init(init_rng, width, d)
    for step in range(steps):
        target = teacher if step == 0 and teacher is not None else last
        update = _rescaled(_first_layer_step(net, target, stage1_rng, stage1_samples // steps), k)
        kept = net.weights if step else 0
        net = TwoLayerNet((kept + update).astype(np.float32), net.biases, net.readout)
    x = random_signs(stage2_rng, stage2_samples, d)
    fitted = _fit_readout(net, x, np.asarray(last(x), dtype=np.float64))
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
