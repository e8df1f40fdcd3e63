"""The one table of tolerances: a dtype's relative error × √(terms in the sum)."""

import math

import numpy as np
from numpy.typing import ArrayLike

RELATIVE_ERROR = {"float64": 1e-14, "float32": 6e-7, "bfloat16": 4e-3}


def tolerance(dtype: object, length: int = 1) -> float:
    """The relative error that `length` accumulated terms of `dtype` may show."""
    return RELATIVE_ERROR[str(dtype)] * math.sqrt(length)


def assert_close(
    actual: ArrayLike, expected: ArrayLike, *, length: int = 1, dtype: object = None
) -> None:
    """`actual` is `expected` up to `dtype`'s error, relative to its largest entry.

    `dtype` is the one computed in, that of `actual` unless given; `length` is the
    number of terms in the longest sum behind an entry.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    relative = tolerance(dtype or actual.dtype, length)
    largest = np.abs(expected).max(initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=relative * largest)
