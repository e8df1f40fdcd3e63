"""Sixteen bits, and what is kept of a run's channels: models, runs, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from models.weights import read_header, read_weights, write_weights
from train.common.errors import UserError
from train.data.dataset import load_dataset
from train.data.forms import Form
from train.data.images import decode
from train.data.preprocessing import preprocessing_of
from train.data.statistics import Statistics, channel_statistics
from train.evaluation.inference import Predictor
from train.evaluation.whole_split import Evaluator
from train.export import serialized
from train.report.panels import painted
from train.training.step import make_state, make_step
from train.workdir.batch import batch_at, stream
from train.workdir.contents import read_described
from train.workdir.normalization import statistics_of
from train.workdir.run import Run
from train.workdir.trained import Trained, load_trained, save_trained

from .channel_folders import SIZE, make_folder, options_of
from .conftest import MakeConfig
from .standins import STATE, Brightest

DEEP = Form(1, 16)
NAMES, COLORS = ("ground", "thing"), np.array([[0, 0, 0], [128, 0, 0]], np.uint8)


def test_sixteen_bits_are_learned_from(
    make_config: MakeConfig, tiny: str, tmp_path: Path
) -> None:
    """The classes differ by 80 levels, of which 8 bits would keep none."""
    folder = make_folder(tmp_path / "data", DEEP)
    more = {"backbone": tiny, "optimizer": "adam", "learning_rate": 0.02}
    more["loss"] = "softmax_cross_entropy"
    config = make_config(data=str(folder), **options_of(DEEP, steps=40, **more))
    dataset = load_dataset(config.data)
    statistics = channel_statistics(dataset.train)
    assert 30 < statistics.std[0] <= 40
    preprocess = preprocessing_of("split", statistics, DEEP)
    graph, state = make_state(config, 2, seed=0)
    step = make_step(graph, config, preprocess=preprocess)
    padding = preprocess.padding
    for batch in stream(config, dataset.train, start=0, steps=40, padding=padding):
        assert batch.image.dtype == np.uint16
        state, metrics = step(state, batch)
    predictor = Predictor(graph, preprocess, config.evaluation)
    evaluator = Evaluator(predictor, dataset.val, dataset.class_names)
    assert evaluator.metrics(state)["mean_iou"] > 0.6
    (panel,) = evaluator.panels(state, 1)
    assert panel.image.dtype == np.uint8 and panel.image.shape == (*SIZE, 3)
    assert np.ptp(panel.image) == 255 and painted(panel, COLORS).mode == "RGB"
    batch_again = batch_at(config, dataset.train, 40, padding)
    np.testing.assert_array_equal(batch_again.images, batch.image)


def test_statistics_are_those_of_the_first_start(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "data", DEEP)
    config = make_config(data=str(folder), **options_of(DEEP))
    run, first = Run.open(config), Statistics((1.0,), (2.0,))
    run.begin(config)
    assert statistics_of(run, config, lambda: first) == first
    run.record(config.data, load_dataset(config.data), first)
    assert read_described(run.dataset_path).statistics == first
    other = Statistics((3.0,), (4.0,))
    assert statistics_of(run, config, lambda: other) == other  # before a checkpoint
    (run.checkpoints / "5").mkdir(parents=True)
    assert statistics_of(run, config, lambda: other) == first
    plain = make_config(preprocessing="imagenet")
    assert statistics_of(run, plain, lambda: other) is None


def test_runs_of_other_levels_than_theirs_are_refused(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    form = Form(4, 8)
    folder = make_folder(tmp_path / "data", form)
    config = make_config(data=str(folder), **options_of(form))
    run, data = Run.open(config), load_dataset(config.data)
    run.begin(config)
    run.record(config.data, data, Statistics((1.0, 2.0, 3.0, 60_000.0), (1.0,) * 4))
    said = "dataset.json: .*channel 4 of its images has mean 60000.0"
    with pytest.raises(UserError, match=said):
        load_trained(run.workdir)
    run.record(config.data, data, Statistics((1.0, 2.0, 3.0, 255.0), (1.0,) * 4))
    with pytest.raises(UserError, match="no checkpoint yet"):
        load_trained(run.workdir)


@pytest.fixture
def trained(make_config: MakeConfig, tmp_path: Path) -> Trained:
    form = Form(4, 16)
    config = make_config(**options_of(form))
    graph: Any = nnx.graphdef(Brightest())
    statistics = Statistics((30.0, 30.0, 30.0, 410.0), (1.0,) * 4)
    names = ("a", "b", "c", "d")
    return Trained(config, names, np.zeros((4, 3), np.uint8), graph, STATE, statistics)


@pytest.mark.parametrize("height", [0, 20])
def test_exported_functions_take_the_images_form(
    trained: Trained, height: int, rng: np.random.Generator
) -> None:
    config = trained.config.replace(image_height=height)
    trained = trained._replace(config=config)
    images = rng.integers(0, 60, (2, *SIZE, 4), dtype=np.uint16)
    images[..., 3] += 380
    inference = jax.export.deserialize(bytearray(serialized(trained, SIZE)))
    assert inference.in_avals[0].dtype == np.uint16
    masks, _ = inference.call(images)
    found = [trained.predictor().mask(STATE, image) for image in images]
    assert len(np.unique(found)) == 4
    assert np.mean(np.stack(found) == masks) > (0.98 if height else 0.9999)


def test_models_keep_their_statistics(
    make_config: MakeConfig, tiny: str, tmp_path: Path
) -> None:
    form, path = Form(4, 16), tmp_path / "model.safetensors"
    config = make_config(**options_of(form, backbone=tiny))
    graph, state = make_state(config, 2, seed=0)
    statistics = Statistics((1.5, 2.5, 3.5, 4.5), (1.0, 2.0, 3.0, 4.0))
    model = Trained(config, NAMES, COLORS, graph, state, statistics)
    save_trained(model, path)
    found = load_trained(path)
    assert found.statistics == statistics and found.preprocess == model.preprocess
    with pytest.raises(UserError, match="model.safetensors.*deviation of each of 4"):
        save_trained(model._replace(statistics=None), path)
        load_trained(path)
    strange = (
        ([1e9] * 4, [1] * 4),
        ([1, 1, 1, 65_535.9], [1] * 4),
        ([1] * 4, [1e-39] * 4),
    )
    unfit = ([[1, 2], [1, 2]], [[1] * 4, [0] * 4], "x", [[1] * 4, [1] * 4, [1] * 4])
    for bad in (*unfit, *strange):
        save_trained(model, path)
        metadata = dict(read_header(path).metadata) | {"statistics": json.dumps(bad)}
        write_weights(read_weights(path), path, metadata)
        with pytest.raises(UserError, match="model.safetensors"):
            load_trained(path)


def test_statistics_are_checked_where_nothing_is_normalized_by_them(
    make_config: MakeConfig, tiny: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    config = make_config(backbone=tiny)
    graph, state = make_state(config, 2, seed=0)
    for deviations in ((0.0,) * 3, (1.0,) * 4, (1.0,) * 3):
        statistics = Statistics((1.0,) * 3, deviations)
        save_trained(Trained(config, NAMES, COLORS, graph, state, statistics), path)
        if deviations != (1.0,) * 3:
            with pytest.raises(UserError, match="no means and deviations"):
                load_trained(path)
    assert load_trained(path).statistics == statistics


def test_kernels_of_another_number_of_channels_are_refused(
    make_config: MakeConfig, tiny: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    config = make_config(backbone=tiny)
    graph, state = make_state(config, 2, seed=0)
    wide = make_config(**options_of(Form(4, 8), backbone=tiny))
    statistics = Statistics((1.0,) * 4, (1.0,) * 4)
    save_trained(Trained(wide, NAMES, COLORS, graph, state, statistics), path)
    with pytest.raises(UserError, match="of another shape: backbone.conv.kernel"):
        load_trained(path)


def test_rgb_is_read_as_before(make_config: MakeConfig) -> None:
    dataset = load_dataset(make_config().data)
    image = decode(dataset.train[0]).image
    assert image.dtype == np.uint8 and image.shape[-1] == 3
    measured = channel_statistics(dataset.train)
    assert preprocessing_of("split", measured).padding == tuple(
        round(mean) for mean in measured.mean
    )
