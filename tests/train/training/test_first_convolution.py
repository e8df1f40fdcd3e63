"""Weights for RGB begin a run on other images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from models.weights import read_weights
from models.widening import Widening, widened
from train.data.preprocessing import PREPROCESSINGS
from train.training.first_convolution import widening_for
from train.training.initial_weights import check_initial_weights, with_weights
from train.training.step import abstract_state

from ...models.networks import make_model
from ...models.test_weights import as_file_of
from ..conftest import CLASSES, MakeConfig


@pytest.mark.parametrize("name", [n for n in PREPROCESSINGS if n != "split"])
def test_filters_respond_to_imagenet_as_they_did(
    name: str, rng: np.random.Generator
) -> None:
    """Under any preprocessing, where the split has the levels of ImageNet."""
    usual, its = PREPROCESSINGS["imagenet"], PREPROCESSINGS[name]
    images: Any = rng.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    flat: Any = np.full((1, 8, 8, 3), 128, np.uint8)
    kernel = rng.normal(size=(1, 1, 3, 4)).astype(np.float32)
    widening = widening_for("split", name)
    assert widening is not None
    here = widened(kernel, 3, widening)
    change = (its(images) - its(flat)) @ kernel[0, 0]
    np.testing.assert_allclose(
        (usual(images) - usual(flat)) @ here[0, 0], change, rtol=1e-3, atol=1e-3
    )


def test_weights_are_left_where_images_are_as_for_the_file() -> None:
    assert widening_for("imagenet", "bgr_mean") is None
    assert widening_for("split", "split") == Widening()


def test_a_run_on_four_channels_begins_at_rgb_weights(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.safetensors"
    save_file(as_file_of("kazuto", make_model(classes=CLASSES, seed=3)), path)
    more = {"style": "caffe", "channels": 4, "preprocessing": "split"}
    config = make_config(weights=str(path), **more)
    check_initial_weights(config.model)
    graph, state = abstract_state(config, CLASSES)
    taken = with_weights(state, graph, config.model)
    said = capsys.readouterr().out
    assert "backbone.stem.kernel for 4 channels" in said
    assert "times 58.4, 57.1, 57.4 for the levels here" in said
    params: Any = taken.params
    found = params["backbone"]["stem"]["kernel"].get_value()
    assert found.shape[2] == 4
    read = read_weights(path)["layer1.conv1.conv.weight"].transpose(2, 3, 1, 0)
    widening = widening_for("split", "bgr_mean")
    assert widening is not None
    np.testing.assert_array_equal(np.asarray(found), widened(read, 4, widening))
