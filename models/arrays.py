"""Arrays of a file of weights: whether they can be weights, and in which order."""

from __future__ import annotations

import numpy as np

_FLOATS = ("float16", "bfloat16", "float32", "float64")


def is_sound(ours: str, value: np.ndarray) -> bool:
    """Returns whether an array can be weights: floats within those of 32 bits."""
    if value.dtype.name not in _FLOATS:
        return False
    lowest = 0 if ours.endswith(".var") else -np.inf
    largest = np.finfo(np.float32).max
    return bool((np.abs(value) <= largest).all() and (value >= lowest).all())


def from_torch(array: np.ndarray) -> np.ndarray:
    """Returns a kernel `[out, in, h, w]` as `[h, w, in, out]`, other arrays as is."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
