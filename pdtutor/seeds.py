"""The source of every random draw: one generator per (seed, purpose, index).

The purpose ("init", "teacher data", "student data", "evaluation", …) is part of the key, so that a teacher and a
student that were both given seed 0 still see different examples, and neither ever sees the held-out ones.
"""

import zlib

import numpy as np


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """Return the generator for this seed, purpose and index; the same key gives the same draws on every machine.

    Raises ValueError if the seed is not an integer ≥ 0.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")
    return np.random.default_rng([int(seed), zlib.crc32(purpose.encode()), *index])
