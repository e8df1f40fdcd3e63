"""The ONNX file of networks with void classes, and for images that are no RGB."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.train.conftest import MakeConfig
from train.data.forms import Form
from train.data.statistics import Statistics
from train.exporting.onnx_inference import onnx_inference

from ..channel_folders import options_of
from .sessions import (
    assert_same_masks,
    expected_scores,
    random_trained,
    run,
    session_of,
)


@pytest.mark.parametrize("more", [{}, {"evaluation_flip": True}], ids=["one", "mean"])
def test_no_pixel_is_of_a_void_class(
    more: dict[str, Any],
    make_config: MakeConfig,
    short: str,
    rng: np.random.Generator,
) -> None:
    trained = random_trained(make_config(backbone=short, void=("0", "9"), **more))
    images = rng.integers(0, 256, (2, 24, 33, 3), dtype=np.uint8)
    found = run(session_of(onnx_inference(trained)), images)
    expected = expected_scores(trained, images)
    assert set(np.unique(found["masks"])) == {1, 2}
    assert_same_masks(found["masks"], expected[..., 1:], first=1)
    assert found["confidence"].min() >= 0.5
    (name,) = found.keys() - {"masks", "confidence"}
    assert (found[name][..., 0] == expected[..., 0]).all()


@pytest.mark.parametrize("height", [0, 18])
def test_images_of_other_forms_are_taken(
    height: int, make_config: MakeConfig, short: str, rng: np.random.Generator
) -> None:
    form = Form(4, 16)
    options = options_of(form, backbone=short, image_height=height)
    statistics = Statistics((100.0, 200.0, 300.0, 40_000.0), (10.0, 20.0, 30.0, 40.0))
    trained = random_trained(make_config(**options))._replace(statistics=statistics)
    noise = rng.normal(statistics.mean, statistics.std, (2, 24, 33, 4))
    images = noise.clip(0, 65_535).astype(np.uint16)
    content = onnx_inference(trained)
    session = session_of(content)
    (given,) = session.get_inputs()
    assert given.type == "tensor(uint16)" and given.shape[-1] == 4
    found, expected = run(session, images), expected_scores(trained, images)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found["logits"], expected, atol=1e-2 * largest)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["preprocessing"])["bits"] == 16
    assert json.loads(metadata["statistics"])[1] == [10.0, 20.0, 30.0, 40.0]
