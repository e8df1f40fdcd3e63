"""Images that are no RGB of 8 bits: trained on, evaluated, predicted and exported."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.forms import Form
from train.data.images import read_image
from train.evaluation.views import PredictionOptions
from train.export import export
from train.main import complete
from train.predict import predict

from .channel_folders import SIZE, make_folder, options_of
from .conftest import MakeConfig


def test_a_class_that_the_fourth_channel_shows_is_learned(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    form = Form(4, 8)
    folder = make_folder(tmp_path / "data", form)
    options = options_of(form, steps=150, learning_rate=3e-3, batch_size=4)
    options |= {"optimizer": "adam", "weight_decay": 0.0, "log_every": 50}
    options |= {"evaluate_every": 150, "checkpoint_every": 150}
    config = make_config(data=str(folder), **options)
    summary = complete(config)
    assert summary["mean_iou"] > 0.85
    described = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert len(described["channel_mean"]) == form.channels

    image = next((folder / "JPEGImages").glob("g.*"))
    truth = np.asarray(Image.open(folder / "SegmentationClass" / "g.png"))
    export(tmp_path / "run", tmp_path / "out", size=SIZE)
    pixels = read_image(image, form)
    function = (tmp_path / "out" / "inference.jax").read_bytes()
    masks, _ = jax.export.deserialize(bytearray(function)).call(pixels[None])
    assert np.mean(np.asarray(masks[0]) == truth) > 0.9
    model = tmp_path / "out" / "model.safetensors"
    predict(model, (image,), tmp_path / "masks", PredictionOptions())
    found = np.asarray(Image.open(tmp_path / "masks" / "g.png"))
    np.testing.assert_array_equal(found, masks[0])
    with Image.open(tmp_path / "masks" / "g_overlay.png") as overlay:
        assert overlay.mode == "RGB"
    windows = PredictionOptions(window=(32, 32))
    predict(tmp_path / "run", (image,), tmp_path / "windows", windows)
    found = np.asarray(Image.open(tmp_path / "windows" / "g.png"))
    assert np.mean(found == truth) > 0.9
    Image.new("RGB", (48, 40)).save(tmp_path / "other.png")
    with pytest.raises(UserError, match="(?s)1 failed.*other.png.*3 channels of 8"):
        predict(model, (tmp_path / "other.png",), tmp_path / "m", PredictionOptions())
