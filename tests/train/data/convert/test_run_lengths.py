"""Run lengths beside COCO's own code, and those that cannot be right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from train.data.convert.run_lengths import decode_runs


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_masks_come_back(height: int, width: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < share
    compressed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))[
        "counts"
    ].decode()
    np.testing.assert_array_equal(decode_runs(compressed, height, width), mask)
    changes = np.flatnonzero(np.diff(mask.T.ravel())) + 1
    lengths = np.diff([0, *changes, mask.size]).tolist()
    plain = [0, *lengths] if mask[0, 0] else lengths
    np.testing.assert_array_equal(decode_runs(plain, height, width), mask)


def test_long_runs_come_back() -> None:
    mask = np.zeros((3000, 2000), np.uint8, order="F")
    mask[7:, 3:1500] = 1
    counts = coco.encode(mask)["counts"].decode()
    np.testing.assert_array_equal(decode_runs(counts, 3000, 2000), mask)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([3, 5], "not of 5×4 = 20 pixels"),
        ([3, 50], "not of 5×4"),
        ([-3, 23], "not of 5×4"),
        ([2**70, 20], "not of 5×4"),
        ([], "not of 5×4"),
        ("35", "not of 5×4"),
        ("", "no compressed run lengths"),
        ("3o", "no compressed run lengths"),
        ("3 5", "no compressed run lengths"),
        ("3€", "no compressed run lengths"),
        ("zzzz", "no compressed run lengths"),
        ("oooooooooo1", "over 35 bits"),
    ],
)
def test_lengths_that_cannot_be_right(counts: str | list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode_runs(counts, 5, 4)
