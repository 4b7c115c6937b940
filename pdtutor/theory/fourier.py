"""Boolean functions {±1}^d → R as tables of 2^d values, and their Walsh–Fourier coefficients.

One bit convention holds everywhere. Row i of a table belongs to the input x with x_j = −1 where bit j of i is set, and
+1 elsewhere. Entry m of a coefficient vector belongs to the subset S of the coordinates j whose bit is set in m. So
χ_S(x) = ∏_{j∈S} x_j = (−1)^{popcount(i & m)}, and a fast Walsh–Hadamard transform of the table gives the coefficients.

O'Donnell 2014 is the textbook "Analysis of Boolean Functions".
"""

from collections.abc import Iterable

import numpy as np

from pdtutor.validate import sequence, whole

MAX_TABLE_DIM = 20  # 2^20 rows: the largest table that still takes well under a second and 100 MB


def check_dimension(d: int, *, largest: int | None = None) -> None:
    """Raise ValueError unless d is a whole number of at least 1 and, if `largest` is given, at most that."""
    whole("d", d)
    if largest is not None and d > largest:
        raise ValueError(
            f"d must be at most {largest} for a table of all 2^d inputs, got {d}; "
            "the closed forms, threshold_coefficient and parity_gradient, take any d"
        )


def check_degree(k: int, d: int, *, strict: bool = False) -> None:
    """Raise ValueError unless the degree k of a parity is a whole number with 1 ≤ k ≤ d; with `strict`, 1 ≤ k < d."""
    whole("k", k)
    if strict and k >= d:
        raise ValueError(f"k must be less than d = {d}, so that a coordinate lies outside the support; got {k}")
    if k > d:
        raise ValueError(f"k must be at most d = {d}, got {k}")


def as_subset(subset: Iterable[int], d: int) -> np.ndarray:
    """Return the subset as a sorted int64 array of distinct coordinates, shape (|S|,).

    Raises ValueError for a coordinate outside 0…d−1 and a repeated one.
    """
    listed = [whole("a coordinate", one, minimum=0) for one in sequence("the coordinates", subset, ordered=False)]
    coordinates = np.sort(np.asarray(listed, dtype=np.int64))
    if coordinates.size and (coordinates[0] < 0 or coordinates[-1] >= d):
        raise ValueError(f"coordinates must lie in 0…{d - 1}, got {coordinates.tolist()}")
    if np.any(np.diff(coordinates) == 0):
        raise ValueError(f"coordinates must be distinct, got {coordinates.tolist()}")
    return coordinates


def subset_index(subset: Iterable[int], d: int) -> int:
    """Return the position of `subset` in a coefficient vector: the number with bit j set for every j in the subset.

    Raises ValueError for a coordinate outside 0…d−1 and a repeated one.
    """
    return sum(1 << int(j) for j in as_subset(subset, d))


def hypercube(d: int) -> np.ndarray:
    """Return all inputs, (2^d, d) int8 with entries ±1; row i has x_j = −1 where bit j of i is set.

    Raises ValueError for d < 1 or d > MAX_TABLE_DIM.
    """
    check_dimension(d, largest=MAX_TABLE_DIM)
    rows = np.arange(2**d, dtype=np.int64)
    return (1 - 2 * (rows[:, None] >> np.arange(d) & 1)).astype(np.int8)


def parity(x: np.ndarray, support: Iterable[int]) -> np.ndarray:
    """Return χ_S(x) = ∏_{j∈S} x_j for a batch x (…, d): shape (…), same dtype (O'Donnell 2014, §1.2).

    Raises ValueError for a coordinate outside 0…d−1 and a repeated one.
    """
    x = np.asarray(x)
    return x[..., as_subset(support, x.shape[-1])].prod(axis=-1, dtype=x.dtype)


def walsh_hadamard(table: np.ndarray) -> np.ndarray:
    """Return Σ_x f(x)·χ_S(x) for every subset S, in d·2^d additions: table (2^d,) → (2^d,) float64.

    Applied twice it gives 2^d·table. Raises ValueError unless the table has one axis with 2^d values, d ≥ 1.
    """
    values = np.array(table, dtype=np.float64)
    size = values.size
    if values.ndim != 1 or size < 2 or size & (size - 1):
        raise ValueError(f"a table must have one axis with 2^d values, d ≥ 1; got shape {values.shape}")
    stride = 1
    while stride < size:
        pairs = values.reshape(-1, 2, stride)  # entries that differ in one bit, side by side
        plus, minus = pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]
        pairs[:, 0], pairs[:, 1] = plus, minus
        stride *= 2
    return values


def fourier_coefficients(table: np.ndarray) -> np.ndarray:
    """Return f̂(S) = E[f(x)·χ_S(x)] for every subset S: table (2^d,) → (2^d,), in the order of `subset_index`.

    Parseval: Σ_S f̂(S)² = E[f²]. Source: O'Donnell 2014, §1.2–1.4.

    Raises ValueError unless the table has one axis with 2^d values, d ≥ 1.
    """
    return walsh_hadamard(table) / np.size(table)


def fourier_coefficient(table: np.ndarray, subset: Iterable[int]) -> float:
    """Return the one coefficient f̂(S) = E[f(x)·χ_S(x)] of a table (2^d,).

    Raises ValueError for a table of another shape, a coordinate outside 0…d−1 and a repeated one.
    """
    coefficients = fourier_coefficients(table)
    return float(coefficients[subset_index(subset, coefficients.size.bit_length() - 1)])


def degree_weights(table: np.ndarray) -> np.ndarray:
    """Return the Fourier weight at each degree r = 0…d, W_r = Σ_{|S|=r} f̂(S)²: table (2^d,) → (d + 1,).

    The weights sum to E[f²] (O'Donnell 2014, §1.4). Raises ValueError for a table of another shape.
    """
    coefficients = fourier_coefficients(table)
    degrees = np.bitwise_count(np.arange(coefficients.size))
    return np.bincount(degrees, weights=coefficients**2)
