"""Run lengths beside COCO's own code, and those that cannot be right."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from train.data.convert.run_lengths import Stretches, decode_runs, union


def painted(found: Stretches, height: int, width: int) -> np.ndarray:
    """Returns a mask of the pixels, bool `[height, width]`."""
    columns = np.zeros(height * width, np.uint8)
    found.paint(columns, 1)
    assert found.area() == columns.sum()
    return columns.reshape(width, height).T == 1


def decoded(counts: str | list[int], height: int, width: int) -> np.ndarray:
    return painted(decode_runs(counts, height, width), height, width)


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
    np.testing.assert_array_equal(decoded(compressed, height, width), mask)
    changes = np.flatnonzero(np.diff(mask.T.ravel())) + 1
    lengths = np.diff([0, *changes, mask.size]).tolist()
    plain = [0, *lengths] if mask[0, 0] else lengths
    np.testing.assert_array_equal(decoded(plain, height, width), mask)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(1, 12), st.floats(0, 1), st.integers(1, 5), st.integers(0, 2**32))
def test_union_is_that_of_masks(side: int, share: float, count: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((count, side, side)) < share
    parts = [
        decode_runs(
            coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode(),
            side,
            side,
        )
        for mask in masks
    ]
    found = union(parts)
    np.testing.assert_array_equal(painted(found, side, side), masks.any(axis=0))
    assert (found.starts[1:] > found.ends[:-1]).all()


def test_long_runs_come_back() -> None:
    mask = np.zeros((3000, 2000), np.uint8, order="F")
    mask[7:, 3:1500] = 1
    counts = coco.encode(mask)["counts"].decode()
    np.testing.assert_array_equal(decoded(counts, 3000, 2000), mask)


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


@pytest.mark.parametrize(
    ("counts", "size", "said"),
    [
        ("0" * 10_000_000, (5, 4), "not of 5×4"),
        ([0] * 1_000_000, (5, 4), "not of 5×4"),
        ("0" * 4_194_305, (4000, 4000), "has more than 4194304 run lengths"),
    ],
    ids=["characters", "numbers", "by the million"],
)
def test_more_lengths_than_a_mask_has_take_no_memory(
    counts: str | list[int], size: tuple[int, int], said: str
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=said):
            decode_runs(counts, *size)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
