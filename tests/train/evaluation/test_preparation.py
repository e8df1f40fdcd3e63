"""Images to predict are prepared as those of training were."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from train.data.dataset import load_dataset
from train.data.images import decode, read_image
from train.data.preprocessing import PREPROCESSINGS
from train.evaluation.inference import Predictor
from train.evaluation.preparation import (
    at_size,
    prepared,
    prepared_images,
)
from train.evaluation.views import EvaluationOptions
from train.training.scales import shrink_labels

from ..conftest import MakeConfig
from ..standins import STATE, Brightest

SIZES = [(40, 56), (33, 17), (7, 200), (96, 1), (5, 9)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("height", [0, 1, 16, 24, 40, 77])
def test_under_jit_they_are_resized_as_by_pillow(
    size: tuple[int, int], height: int, rng: np.random.Generator
) -> None:
    images = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    found = np.asarray(jax.jit(prepared_images, static_argnums=1)(images, height))
    wanted = np.stack([prepared(image, height) for image in images])
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    assert wanted.shape[1] == (height or size[0])
    # Pillow's weights have 22 bits: what falls between two levels may go either way.
    assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_masks_go_back_alike_under_jit(
    size: tuple[int, int], rng: np.random.Generator
) -> None:
    masks = rng.integers(0, 256, (2, 24, 31), dtype=np.uint8)
    found = np.asarray(shrink_labels(jnp.asarray(masks), size))
    assert found.shape == (2, *size)
    np.testing.assert_array_equal(found, [at_size(mask, size) for mask in masks])


def test_long_sides_are_counted_in_64_bits() -> None:
    columns = jnp.arange(30_000)[None, None]
    found = np.asarray(shrink_labels(columns, (1, 40_000)))[0, 0]
    assert found.tolist() == [(2 * i + 1) * 30_000 // 80_000 for i in range(40_000)]


@pytest.mark.parametrize("window", [(0, 0), (32, 32)])
def test_a_file_is_predicted_as_its_record(
    make_config: MakeConfig, window: tuple[int, int]
) -> None:
    config = make_config(image_height=72, train_split="val")
    record = load_dataset(config.data).val[0]
    image, _ = decode(record)
    path = f"{config.data.folder}/JPEGImages/{record['name'].decode()}.jpg"
    options, graph = EvaluationOptions(window=window), nnx.graphdef(Brightest())
    preprocess = PREPROCESSINGS["imagenet"]
    plain = Predictor(graph, preprocess, options)
    preparing = Predictor(graph, preprocess, options, height=72)
    wanted = plain.mask(STATE, image)
    assert wanted.shape == image.shape[:2] and len(np.unique(wanted)) > 1
    np.testing.assert_array_equal(preparing.mask(STATE, image), wanted)
    whole = read_image(Path(path))
    found = preparing.mask(STATE, whole)
    assert found.shape == whole.shape[:2] != wanted.shape
    np.testing.assert_array_equal(found, at_size(wanted, found.shape))
