"""An --image-height that enlarges images beyond all use is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from train.common.errors import UserError
from train.data.dataset import load_dataset
from train.data.images import Example, at_height
from train.evaluation.inference import Predictor
from train.evaluation.mask_files import Beside, MaskFiles, MaskMaker
from train.evaluation.views import EvaluationOptions
from train.export import export
from train.training.step import make_state
from train.workdir.trained import Trained, save_trained

from .conftest import CLASSES, MakeConfig
from .standins import IMAGENET, Brightest


def test_an_image_is_enlarged_16_times_a_side() -> None:
    example = Example(np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8))
    assert at_height(example, 64).label.shape == (64, 96)
    said = r"a.png is 4 pixels high: --image-height 65 would enlarge it 16.25 times"
    with pytest.raises(UserError, match=said):
        at_height(example, 65, "a.png")
    assert at_height(example, 0) is example


@pytest.mark.parametrize(
    "height, scales, times",
    [
        (64, (1.0,), 0),
        (66, (1.0,), 16.5),
        (0, (0.5, 4.0), 0),
        (16, (0.5, 4.0), 0),
        (17, (0.5, 4.0), 17),
    ],
)
def test_predicting_counts_scales(
    tmp_path: Path, height: int, scales: tuple[float, ...], times: float
) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(path)
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    options = EvaluationOptions(scales=scales)
    maker = MaskMaker(
        Predictor(graph, IMAGENET, options, height=height),
        ("a", "b", "c"),
        np.zeros((3, 3), np.uint8),
        beside=Beside(),
    )
    files = MaskFiles(tmp_path / "b.png", tmp_path / "c.png")
    seen = []
    if not times:
        seen.append(maker.stages.read((path, files)))
    else:
        said = rf"a\.png is 4 pixels high: --image-height {height}.* {times:g} times a"
        with pytest.raises(UserError, match=said):
            maker.stages.read((path, files))
    assert bool(seen) == (not times)


def test_exporting_names_the_model(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(image_height=16384)
    graph, state = make_state(config, CLASSES, seed=0)
    colors = np.zeros((CLASSES, 3), np.uint8)
    trained = Trained(config, ("a", "b", "c"), colors, graph, state)
    path = tmp_path / "a.safetensors"
    save_trained(trained, path)
    out = tmp_path / "out"
    said = r"a\.safetensors: an image of 32×32 is 32 .*16384 .* 512 times .* --size"
    with pytest.raises(UserError, match=said):
        export(path, out, size=(32, 32))
    assert not out.exists()


def test_records_are_not_enlarged(make_config: MakeConfig) -> None:
    """Those of train/evaluate.py and train/browse.py, too, which a run may size."""
    config = make_config(image_height=16384)
    with pytest.raises(UserError, match=r"\.(jpg|png) is \d+ pixels high: --image-hei"):
        load_dataset(config.data)
