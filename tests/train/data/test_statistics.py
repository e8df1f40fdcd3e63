"""Channels are measured over the training split, and normalized by that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.common.errors import UserError
from train.config import Config
from train.data.augment import Augment, AugmentationOptions, jittered
from train.data.batches import evaluation_pieces, load_piece
from train.data.dataset import DataOptions, load_dataset
from train.data.forms import Form
from train.data.images import decode, encode
from train.data.preprocessing import preprocessing_of
from train.data.statistics import Statistics, channel_statistics, check_statistics
from train.evaluation.inference import Predictor
from train.evaluation.views import EvaluationOptions

from ..channel_folders import make_folder
from ..inspection.folders import inspect

FORMS = [Form(4, 8), Form(1, 16), Form(7, 16)]


def options(folder: Path, form: Form, **more: Any) -> DataOptions:
    prepared = str(folder.parent / "prepared")
    how = {"channels": form.channels, "bit_depth": form.bits}
    return DataOptions(folder=str(folder), prepared=prepared, **how, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_split_has_mean_0_and_deviation_1(form: Form, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", form)
    train = load_dataset(options(folder, form)).train
    images = np.stack([decode(train[index]).image for index in range(len(train))])
    assert images.shape == (6, 40, 48, form.channels) and images.dtype == form.dtype
    found = channel_statistics(train)
    exact = images.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.std, exact.std(axis=(0, 1, 2)), rtol=1e-10)
    preprocess = preprocessing_of("split", found, form)
    assert preprocess.form == form
    seen = np.asarray(preprocess(images))  # type: ignore[arg-type]
    np.testing.assert_allclose(seen.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(seen.std(axis=(0, 1, 2)), 1, atol=1e-4)
    padding = np.array(preprocess.padding, form.dtype)
    np.testing.assert_allclose(preprocess(padding), 0, atol=0.51 / min(found.std))  # type: ignore[arg-type]


def test_a_channel_of_one_level_has_deviation_1(tmp_path: Path) -> None:
    record = {
        "image": encode(np.full((4, 5, 3), 7, np.uint8), "PNG"),
        "label": encode(np.zeros((4, 5), np.uint8), "PNG"),
    }
    found = channel_statistics([record])
    assert found == Statistics((7.0, 7.0, 7.0), (1.0, 1.0, 1.0))
    assert preprocessing_of("split", found).padding == (7, 7, 7)


def test_what_is_beside_an_image_has_the_mean_color(tmp_path: Path) -> None:
    form = Form(4, 16)
    train = load_dataset(options(make_folder(tmp_path / "data", form), form)).train
    color = 1, 22, 333, 65_535
    augment = Augment(AugmentationOptions(crop=(64, 64), scale=(0.7, 0.7)), color)
    image, label = augment(decode(train[0]), np.random.default_rng(0))
    assert image.shape == (64, 64, 4) and image.dtype == np.uint16
    assert (image[label == 255] == color).all() and (label != 255).any()
    (piece,) = evaluation_pieces([(40, 48)], most=lambda size: 1, multiple=64)
    padded = load_piece(train, piece, color).image
    assert padded.shape == (1, 64, 64, 4) and padded.dtype == np.uint16
    assert padded[0, -1, -1].tolist() == list(color)


def test_jitter_keeps_the_depth(rng: np.random.Generator) -> None:
    image = rng.integers(0, 2**16, (9, 8, 3), dtype=np.uint16)
    bright = jittered(image, np.array([1.5, 1.0, 1.0]))
    assert bright.dtype == np.uint16 and bright.max() == 2**16 - 1
    np.testing.assert_allclose(bright, np.minimum(image * 1.5, 2**16 - 1), atol=1.5)


def test_heights_are_prepared_in_the_same_depth(tmp_path: Path) -> None:
    form = Form(7, 16)
    folder = make_folder(tmp_path / "data", form)
    small = load_dataset(options(folder, form, image_height=20)).train
    image = decode(small[0]).image
    assert image.shape == (20, 24, 7) and image.dtype == np.uint16
    assert decode(load_dataset(options(folder, form)).train[0]).image.shape[0] == 40


def test_images_of_another_form_end_the_preparation(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data", Form(4, 8))
    with pytest.raises(UserError, match="a.tif.*4 channels of 8.*2 channels of 8 bits"):
        load_dataset(options(folder, Form(2, 8)))
    with pytest.raises(UserError, match="Not read, save it as .jpg.*a.tif"):
        load_dataset(options(folder, Form()))


def test_inspection_shows_the_first_three_channels(tmp_path: Path) -> None:
    from train.inspection.pictures import pictures_of

    form = Form(4, 8)
    folder = make_folder(tmp_path / "data", form)
    how = {"channels": 4, "bit_depth": 8}
    summary = inspect(folder, **how)
    assert not summary.faults and summary.contents.form == form
    assert pictures_of(summary)
    refused = inspect(folder, channels=4, bit_depth=16)
    assert any("4 channels of 8 bits" in fault.text for fault in refused.faults)


@pytest.mark.parametrize(
    "given, said",
    [
        ({"channels": 4}, "--preprocessing must be split with --channels 4"),
        ({"bit_depth": 16}, "--preprocessing must be split.*--bit-depth 16"),
        (
            {"channels": 4, "preprocessing": "split", "jitter": 0.1},
            "--jitter must be 0 with --channels 4",
        ),
        ({"channels": 0}, "--channels must lie in"),
        ({"bit_depth": 12}, "--bit-depth must be one of: 8, 16"),
        ({"channels": 4, "data": ""}, "--channels.*need --data"),
    ],
    ids=str,
)
def test_options_that_cannot_work_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Config().replace(**{"data": "folder", **given})


@pytest.mark.parametrize(
    "mean, std",
    [((1.0,), ()), ((1.0,), (0.0,)), ((float("nan"),), (1.0,)), ((1e9,), (1.0,))],
)
def test_numbers_that_no_images_have_are_refused(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="no means and deviations"):
        check_statistics(mean, std)


def test_models_without_their_numbers_are_refused() -> None:
    for found in (None, Statistics((1.0,), (1.0,))):
        with pytest.raises(UserError, match="needs the mean.*of 4 channels"):
            preprocessing_of("split", found, Form(4, 8))


@pytest.mark.parametrize("form, most", [(Form(1, 8), 255.0), (Form(1, 16), 65_535.0)])
def test_numbers_are_levels_of_the_images(form: Form, most: float) -> None:
    assert preprocessing_of("split", Statistics((most,), (1e-6,)), form).padding == (
        most,
    )
    for bad in ((most + 0.1, 1.0), (-0.1, 1.0), (1.0, most + 0.1), (1.0, 1e-39)):
        with pytest.raises(UserError, match="channel 1 .* which none of .* bits has"):
            preprocessing_of("split", Statistics(bad[:1], bad[1:]), form)


@pytest.mark.parametrize("window", [(0, 0), (32, 32)])
def test_windows_and_padding_are_in_the_images_form(window: tuple[int, int]) -> None:
    """A network that only looks whether a channel is at its mean."""
    from flax import nnx

    from ..standins import STATE, Brightest

    form, mean = Form(4, 16), (100.0, 200.0, 300.0, 40_000.0)
    preprocess = preprocessing_of("split", Statistics(mean, (1.0,) * 4), form)
    how = EvaluationOptions(window=window, size_multiple=64)
    graph: Any = nnx.graphdef(Brightest())
    predictor = Predictor(graph, preprocess, how)
    image = np.broadcast_to(np.array(mean, np.uint16), (40, 48, 4)).copy()
    image[..., 3] += 5
    image[:20, :, 2] += 9
    mask = predictor.mask(STATE, image)
    assert (mask[:20] == 2).all() and (mask[20:] == 3).all()
