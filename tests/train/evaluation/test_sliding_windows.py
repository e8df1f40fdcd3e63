"""Windows: where they lie, and that their masks fit together."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Config
from train.evaluation.inference import Predictor
from train.evaluation.sliding_windows import lay_windows
from train.training.step import make_state

from ..standins import IMAGENET, Blurred, Brightest, Constant, predictor, random_image

WINDOW = (40, 56)
SCALES = (0.5, 1.0, 1.5)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 47, 64, 65, 200])
@pytest.mark.parametrize("overlap", [0, 0.3, 0.5, 0.9, 0.99])
def test_windows_are_spread_evenly_and_weights_sum_to_one(
    length: int, overlap: float
) -> None:
    spans = lay_windows(length, 32, overlap)
    starts = np.array([span.start for span in spans])
    assert starts[0] == 0 and starts[-1] == max(0, length - 32)
    apart = np.diff(starts)
    assert (apart > 0).all() and (apart <= max(1, 32 * (1 - overlap))).all()
    assert not len(apart) or apart.max() - apart.min() <= 1
    total = np.zeros(max(32, length))
    for start, weights in spans:
        assert weights.dtype == np.float32 and (weights > 0).all()
        total[start : start + 32] += weights
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_weight_is_largest_in_the_middle() -> None:
    spans = lay_windows(320, 32, 0.5)
    assert (spans[0].weights[:16] == 1).all() and (spans[-1].weights[16:] == 1).all()
    weights = spans[5].weights
    assert set(np.flatnonzero(weights == weights.max())) <= {15, 16}
    assert (np.diff(weights[:16]) > 0).all() and (np.diff(weights[16:]) < 0).all()


@pytest.mark.parametrize("overlap", [0, 0.5, 0.9])
@pytest.mark.parametrize(
    "size", [(40, 57), (41, 56), (81, 113), (97, 131), (7, 150), (130, 9)]
)
def test_windows_of_a_pointwise_network_give_the_whole_mask(
    rng: np.random.Generator, size: tuple[int, int], overlap: float
) -> None:
    image = random_image(rng, *size)
    whole, state = predictor(Brightest())
    parts, _ = predictor(Brightest(), window=WINDOW, overlap=overlap)
    Brightest.sizes.clear()
    mask = parts.mask(state, image)
    assert Brightest.sizes == [WINDOW]
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, whole.mask(state, image))


@pytest.mark.parametrize("fusion", ["mean", "max"])
@pytest.mark.parametrize("scales", [(1.0,), SCALES])
@pytest.mark.parametrize("overlap", [0, 0.5, 0.9])
def test_constant_has_no_seams(
    overlap: float, scales: tuple[float, ...], fusion: str
) -> None:
    parts, state = predictor(
        Constant(0.3, -1.0, 2.0),
        window=WINDOW,
        overlap=overlap,
        scales=scales,
        flip=len(scales) > 1,
        fusion=fusion,
    )
    image = np.zeros((97, 131, 3), np.uint8)
    found = np.concatenate(list(parts.windowed(state, image, WINDOW)))
    assert found.shape == (97, 131, 3)
    wanted = jax.nn.softmax(jnp.array([0.3, -1.0, 2.0]))
    np.testing.assert_allclose(
        found, np.broadcast_to(wanted, found.shape), rtol=0, atol=1e-6
    )


def test_overlap_blends_seams() -> None:
    image = np.full((3 * 40, 3 * 56, 3), 200, np.uint8)
    worst = []
    for overlap in (0, 0.5, 0.75):
        parts, state = predictor(Blurred(), window=WINDOW, overlap=overlap)
        found = np.concatenate(list(parts.windowed(state, image, WINDOW)))
        worst.append(np.abs(found[1:-1, 1:-1] - found[20, 20]).max())
    assert worst[0] > 0.2  # there is something to blend
    assert worst[1] < 0.1 * worst[0] and worst[2] < 0.1 * worst[0]


def test_windows_see_an_images_border_as_the_network_does() -> None:
    image = np.full((97, 131, 3), 200, np.uint8)
    parts, state = predictor(Blurred(), window=WINDOW, overlap=0.9)
    whole, _ = predictor(Blurred(), window=(97, 131))
    found, wanted = (
        np.concatenate(list(each.windowed(state, image, each.options.window)))
        for each in (parts, whole)
    )
    assert np.abs(found - wanted).max() < 0.1 * np.abs(wanted - wanted[20, 20]).max()


def test_all_large_images_share_one_program(rng: np.random.Generator) -> None:
    parts, state = predictor(Brightest(), window=WINDOW)
    Brightest.sizes.clear()
    for size in ((97, 131), (41, 10), (10, 57), (60, 60)):
        assert parts.mask(state, random_image(rng, *size)).shape == size
    assert Brightest.sizes == [WINDOW]


def test_image_within_the_window_is_taken_whole(rng: np.random.Generator) -> None:
    parts, state = predictor(Brightest(), window=WINDOW, size_multiple=8)
    Brightest.sizes.clear()
    assert parts.mask(state, random_image(rng, 40, 49)).shape == (40, 49)
    assert Brightest.sizes == [(40, 56)]
    for size in ((40, 3), (1, 56)):
        assert parts.mask(state, random_image(rng, *size)).shape == size
    assert Brightest.sizes == [(40, 56), (40, 8), (8, 56)]


def test_progress_sees_every_row_of_windows(rng: np.random.Generator) -> None:
    parts, state = predictor(Brightest(), window=WINDOW, overlap=0)
    seen = []

    def progress(rows: Any) -> Iterator[Any]:
        for row in rows:
            seen.append(row.start)
            yield row

    parts.mask(state, random_image(rng, 120, 60), progress=progress)
    assert seen == [0, 40, 80]


def test_memory_does_not_grow_with_the_height() -> None:
    parts, state = predictor(
        Constant(*np.arange(20.0).tolist()), window=(32, 32), overlap=0
    )

    def peak(height: int) -> int:
        image = np.zeros((height, 96, 3), np.uint8)
        parts.mask(state, image)
        tracemalloc.start()
        parts.mask(state, image)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    grown = peak(3200) - peak(1600)
    masks = 2 * 1600 * 96  # its rows, and all of them joined
    assert grown < 1.2 * masks
    assert peak(3200) < 2 * masks + 3 * 32 * 96 * (20 * 4 + 8)


def test_windows_of_a_real_network_have_the_images_size(
    rng: np.random.Generator,
) -> None:
    config = Config().replace(
        backbone="resnet_small",
        dilations=(1, 2),
        window=(33, 47),
        evaluation_scales=(0.5,),
    )
    graph, state = make_state(config, 3, seed=0)
    windows = Predictor(graph, IMAGENET, config.evaluation)
    mask = windows.mask(state, random_image(rng, 61, 40))
    assert mask.shape == (61, 40) and mask.max() < 3
