"""Boolean functions {±1}^d → R as tables of 2^d values, and their Walsh–Fourier coefficients.

One bit convention everywhere. Row i of a table belongs to the input x with x_j = −1 where bit j of i is set, else +1.
Entry m of a coefficient vector belongs to the subset S of the coordinates j whose bit is set in m. With both in bits,
χ_S(x) = ∏_{j∈S} x_j = (−1)^{popcount(i & m)}, so the coefficients are a fast Walsh–Hadamard transform of the table.
"""

from collections.abc import Iterable

import numpy as np

MAX_TABLE_DIM = 20  # 2^20 rows: the largest table that still takes well under a second and 100 MB


def check_dimension(d: int, *, largest: int | None = None) -> None:
    """Raise ValueError unless d is a whole number from 1 to `largest` (no upper limit when None)."""
    if isinstance(d, bool) or not isinstance(d, int | np.integer) or d < 1:
        raise ValueError(f"d = {d!r}: the dimension must be a whole number, at least 1.")
    if largest is not None and d > largest:
        raise ValueError(
            f"d = {d}: a table of all 2^d inputs is limited to d ≤ {largest}. "
            "Use the closed forms (threshold_coefficient, parity_gradient) for larger d."
        )


def check_degree(k: int, d: int) -> None:
    """Raise ValueError unless the parity degree k is a whole number with 1 ≤ k ≤ d."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= d:
        raise ValueError(f"k = {k!r}: the parity degree must be a whole number from 1 to d = {d}.")


def as_subset(subset: Iterable[int], d: int) -> np.ndarray:
    """The subset as a sorted int64 array of distinct coordinates, shape (|S|,).

    Raises ValueError for a coordinate outside 0…d−1 or one named twice.
    """
    coordinates = np.sort(np.asarray(list(subset), dtype=np.int64))
    if coordinates.size and (coordinates[0] < 0 or coordinates[-1] >= d):
        raise ValueError(f"subset {coordinates.tolist()}: coordinates must lie in 0…{d - 1}.")
    if np.any(np.diff(coordinates) == 0):
        raise ValueError(f"subset {coordinates.tolist()}: a coordinate is named twice.")
    return coordinates


def subset_index(subset: Iterable[int], d: int) -> int:
    """The entry of `subset` in a coefficient vector: bit j is set for every j in the subset."""
    return sum(1 << int(j) for j in as_subset(subset, d))


def hypercube(d: int) -> np.ndarray:
    """All inputs, shape (2^d, d), int8 entries ±1; row i has x_j = −1 where bit j of i is set.

    Raises ValueError when d < 1 or d > MAX_TABLE_DIM.
    """
    check_dimension(d, largest=MAX_TABLE_DIM)
    rows = np.arange(2**d, dtype=np.int64)
    return (1 - 2 * (rows[:, None] >> np.arange(d) & 1)).astype(np.int8)


def parity(x: np.ndarray, support: Iterable[int]) -> np.ndarray:
    """χ_S(x) = ∏_{j∈S} x_j for a batch x of shape (..., d): shape (...), same dtype (O'Donnell 2014, §1.2)."""
    x = np.asarray(x)
    return x[..., as_subset(support, x.shape[-1])].prod(axis=-1, dtype=x.dtype)


def walsh_hadamard(table: np.ndarray) -> np.ndarray:
    """Σ_x f(x) χ_S(x) for every subset S, in d·2^d additions; shape (2^d,) in and out, float64.

    Applying it twice gives 2^d · table. Raises ValueError unless the table is one-dimensional with 2^d entries, d ≥ 1.
    """
    values = np.array(table, dtype=np.float64)
    size = values.size
    if values.ndim != 1 or size < 2 or size & (size - 1):
        raise ValueError(f"table of shape {values.shape}: expected one axis with 2^d values, d ≥ 1.")
    stride = 1
    while stride < size:
        pairs = values.reshape(-1, 2, stride)  # entries that differ in one bit, side by side
        plus, minus = pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]
        pairs[:, 0], pairs[:, 1] = plus, minus
        stride *= 2
    return values


def fourier_coefficients(table: np.ndarray) -> np.ndarray:
    """f̂(S) = E[f(x) χ_S(x)] for every subset S, shape (2^d,), indexed as `subset_index` says.

    Parseval: Σ_S f̂(S)² = E[f²]. Source: O'Donnell 2014, §1.2–1.4. Raises as `walsh_hadamard` does.
    """
    return walsh_hadamard(table) / np.size(table)


def fourier_coefficient(table: np.ndarray, subset: Iterable[int]) -> float:
    """The one coefficient f̂(S) = E[f(x) χ_S(x)] of a table with 2^d values. Raises ValueError on a foreign subset."""
    coefficients = fourier_coefficients(table)
    return float(coefficients[subset_index(subset, coefficients.size.bit_length() - 1)])


def degree_weights(table: np.ndarray) -> np.ndarray:
    """W_r = Σ_{|S|=r} f̂(S)², the energy at each degree r = 0…d: shape (d + 1,); it sums to E[f²] (O'Donnell §1.4)."""
    coefficients = fourier_coefficients(table)
    degrees = np.bitwise_count(np.arange(coefficients.size))
    return np.bincount(degrees, weights=coefficients**2)
