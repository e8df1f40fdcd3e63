"""RGB weights for images of other channels: every array is accounted for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flax import nnx

from models.weights import WeightsError, load_weights
from models.widening import FIRST_CONVOLUTION, Widening, widened

from .networks import make_model
from .test_weights import as_file_of


def stem(model: Any) -> np.ndarray:
    return np.asarray(model.backbone.stem.kernel.get_value())


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("bgr", [False, True])
def test_responses_keep_their_size(
    channels: int, bgr: bool, rng: np.random.Generator
) -> None:
    """Where all channels say the same, as gray does."""
    kernel = rng.normal(size=(3, 3, 3, 5)).astype(np.float32)
    found = widened(kernel, channels, Widening(bgr=bgr))
    assert found.shape == (3, 3, channels, 5) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=2), kernel.sum(axis=2), atol=1e-5)
    if channels >= 3:
        own = kernel[:, :, ::-1] if bgr else kernel
        scaled = own * np.float32(3 / channels)
        np.testing.assert_allclose(found[:, :, :3], scaled, rtol=1e-6)
    mean = kernel.mean(axis=2) * np.float32(3 / channels)
    for further in range(3 if channels >= 3 else 0, channels):
        np.testing.assert_allclose(found[:, :, further], mean, atol=1e-6)


def test_levels_of_the_file_are_those_here(rng: np.random.Generator) -> None:
    kernel = rng.normal(size=(1, 1, 3, 2)).astype(np.float32)
    found = widened(kernel, 3, Widening((2.0, 3.0, 4.0), bgr=True))
    wanted = kernel[:, :, ::-1] * np.array([2.0, 3.0, 4.0])[:, None]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_first_convolution_alone_is_changed() -> None:
    file = as_file_of("torchvision's ResNet", make_model(seed=3))
    wide, plain = make_model(inputs=5), make_model()
    loaded = load_weights(wide, file, widening=Widening())
    usual = load_weights(plain, file)
    assert loaded.arrays == usual.arrays and loaded.unused == usual.unused
    assert usual.widened == "" and FIRST_CONVOLUTION in loaded.widened
    assert "5 channels" in loaded.widened and "times 3/5" in loaded.widened
    np.testing.assert_array_equal(stem(wide), widened(stem(plain), 5, Widening()))
    others = (
        {path: leaf for path, leaf in nnx.to_flat_state(nnx.state(model.backbone))}
        for model in (wide, plain)
    )
    first, second = others
    assert first.keys() == second.keys()
    for path, leaf in first.items():
        if path != ("stem", "kernel"):
            same = np.asarray(second[path].get_value())
            np.testing.assert_array_equal(np.asarray(leaf.get_value()), same)


def test_weights_of_three_channels_stay_as_they_are() -> None:
    file = as_file_of("torchvision's ResNet", make_model(seed=3))
    models = make_model(), make_model()
    load_weights(models[0], file)
    assert load_weights(models[1], file, widening=Widening()).widened == ""
    np.testing.assert_array_equal(stem(models[0]), stem(models[1]))


def test_other_channels_do_not_fit_unasked() -> None:
    file = as_file_of("torchvision's ResNet", make_model(seed=3))
    with pytest.raises(WeightsError, match="of another shape: .*conv1"):
        load_weights(make_model(inputs=4), file)
    with pytest.raises(WeightsError, match="of another shape: .*stem"):
        load_weights(
            make_model(inputs=4),
            as_file_of("this project", make_model(inputs=2)),
            widening=Widening(),
        )
