"""The source of every random draw: one generator per (seed, purpose, index).

The purpose ("init", "teacher data", "student data", "evaluation", …) is part of the key, so that a teacher and a
student that were both given seed 0 still see different examples, and neither ever sees the held-out ones.
"""

import zlib

import numpy as np

from pdtutor.validate import whole


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """Return the generator for this seed, purpose and index; the same key gives the same draws on every machine.

    Raises ValueError if the seed is not a whole number ≥ 0.
    """
    return np.random.default_rng([whole("seed", seed, minimum=0), zlib.crc32(purpose.encode()), *index])
