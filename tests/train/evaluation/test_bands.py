"""Probabilities in bands of rows: those of the masks, of any size, in little memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.common.errors import NotFinite
from train.evaluation import bands
from train.evaluation.bands import Band, bands_at_size
from train.evaluation.inference import Predictor
from train.evaluation.preparation import at_size
from train.training.step import TrainState

from ..standins import IMAGENET, Blurred, Constant, predictor, random_image

WINDOW = (40, 56)


@pytest.fixture(autouse=True)
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "ROWS", 16)


def joined(parts: Predictor, state: TrainState, image: np.ndarray) -> Band:
    found = list(parts.bands(state, image))
    assert max(len(band.mask) for band in found) <= max(16, WINDOW[0])
    mask, probabilities = map(np.concatenate, zip(*found, strict=True))
    assert mask.dtype == np.uint8 and probabilities.dtype == np.float32
    return Band(mask, probabilities)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size_multiple": 32},
        {"scales": (0.5, 1.0), "flip": True},
        {"scales": (0.5, 1.0), "fusion": "max"},
        {"window": WINDOW},
        {"window": WINDOW, "scales": (1.0, 1.5), "fusion": "max"},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(97, 61), (9, 30)])
def test_bands_are_the_mask_and_what_it_is_the_largest_of(
    rng: np.random.Generator, options: dict[str, Any], size: tuple[int, int]
) -> None:
    parts, state = predictor(Blurred(), **options)
    image = random_image(rng, *size)
    mask, probabilities = joined(parts, state, image)
    np.testing.assert_array_equal(mask, parts.mask(state, image))
    assert len(np.unique(mask)) > 1 and probabilities.shape == (*size, 4)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    largest = np.take_along_axis(probabilities, mask[..., None].astype(int), -1)
    np.testing.assert_allclose(largest[..., 0], probabilities.max(-1), rtol=1e-6)


def test_probabilities_of_a_whole_image_are_the_softmax(
    rng: np.random.Generator,
) -> None:
    image, model = random_image(rng, 41, 30), Blurred()
    parts, state = predictor(model)
    wanted = jax.nn.softmax(model(IMAGENET(jnp.asarray(image[None])), train=False))[0]
    np.testing.assert_allclose(joined(parts, state, image)[1], wanted, atol=1e-6)


@pytest.mark.parametrize("height", [45, 120])
@pytest.mark.parametrize("window", [(0, 0), (32, 32)])
def test_bands_have_the_images_size(
    rng: np.random.Generator, height: int, window: tuple[int, int]
) -> None:
    parts, state = predictor(Blurred(), window=window)
    parts._height = height
    image = random_image(rng, 90, 61)
    mask, probabilities = joined(parts, state, image)
    np.testing.assert_array_equal(mask, parts.mask(state, image))
    assert probabilities.shape == (90, 61, 4)
    np.testing.assert_array_equal(np.argmax(probabilities, -1), mask)


@pytest.mark.parametrize("after", [(7, 5), (10, 13), (64, 40), (1, 1)])
def test_bands_at_another_size_are_its_mask_in_bands(
    rng: np.random.Generator, after: tuple[int, int]
) -> None:
    mask = rng.integers(0, 9, (20, 13), np.uint8)
    given = [
        Band(mask[rows], mask[rows, :, None].astype(np.float32))
        for rows in (slice(0, 3), slice(3, 4), slice(4, 20))
    ]
    found = list(bands_at_size(given, (20, 13), after))
    assert max(len(band.mask) for band in found) <= 16
    wanted = at_size(mask, after)
    np.testing.assert_array_equal(np.concatenate([b.mask for b in found]), wanted)
    probabilities = np.concatenate([b.probabilities for b in found])
    np.testing.assert_array_equal(probabilities[..., 0], wanted)


@pytest.mark.parametrize("window", [(0, 0), WINDOW])
def test_logits_that_are_not_finite_are_an_error(window: tuple[int, int]) -> None:
    parts, state = predictor(Constant(0.0, float("nan")), window=window)
    with pytest.raises(NotFinite):
        list(parts.bands(state, np.zeros((60, 60, 3), np.uint8)))


@pytest.mark.parametrize("window", [(0, 0), (32, 32)])
def test_memory_on_the_host_does_not_grow_with_the_height(
    window: tuple[int, int],
) -> None:
    """But for the mask and the padded image; the device holds the scores."""
    parts, state = predictor(
        Constant(*np.arange(20.0).tolist()), window=window, overlap=0
    )

    def peak(height: int) -> int:
        image = np.zeros((height, 96, 3), np.uint8)
        for _ in range(2):  # at first it compiles
            tracemalloc.start()
            for _ in parts.bands(state, image):
                pass
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    grown = peak(1600) - peak(800)
    assert grown < 6 * 800 * 96  # probabilities would take 80 for a pixel
