"""Panels of validation images among the events of TensorBoard."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from train.data.palette import colorize
from train.evaluation.inference import Predictor
from train.evaluation.views import EvaluationOptions
from train.evaluation.whole_split import Evaluator, Panel
from train.report.panels import painted, with_panels
from train.workdir.history import History

from ..evaluation.test_whole_split import source
from ..programs import OPTIONS, call
from ..standins import IMAGENET, STATE, Brightest
from ..workdir.test_events import read

__all__ = ["source"]  # a fixture

COLORS = np.array([(200, 0, 0), (0, 200, 0), (0, 0, 200)], np.uint8)


def shown(folder: Path) -> list[tuple[int, str, np.ndarray]]:
    """Returns step, tag and pixels of each picture among the events of a folder."""
    found = []
    for event in read(folder):
        for value in event.summary.value:
            if not value.HasField("image"):
                continue
            with Image.open(io.BytesIO(value.image.encoded_image_string)) as picture:
                pixels = np.asarray(picture)
            size = value.image.height, value.image.width, value.image.colorspace
            assert pixels.shape == size
            found.append((event.step, value.tag, pixels))
    return found


@pytest.mark.parametrize("size", [(20, 30), (321, 9), (700, 1000), (1, 2000)])
def test_panel_is_image_truth_and_prediction_side_by_side(
    rng: np.random.Generator, size: tuple[int, int]
) -> None:
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    truth, prediction = (rng.integers(0, 3, size, np.uint8) for _ in range(2))
    truth[0] = 255
    pixels = np.asarray(painted(Panel("a", image, truth, prediction), COLORS))
    assert max(pixels.shape[0], pixels.shape[1] // 3) <= 320
    parts = np.split(pixels, 3, axis=1)
    if max(size) <= 320:
        wanted = (image, colorize(truth, COLORS), colorize(prediction, COLORS))
        np.testing.assert_array_equal(pixels, np.concatenate(wanted, axis=1))
    for part in parts[1:]:  # no color between those of classes
        painted_in = {tuple(color) for color in part.reshape(-1, 3)}
        assert painted_in <= {*map(tuple, COLORS), (224, 224, 192)}


@pytest.fixture
def evaluator(source: list) -> Evaluator:  # noqa: F811
    predictor = Predictor(nnx.graphdef(Brightest()), IMAGENET, EvaluationOptions())
    return Evaluator(predictor, source, ("a", "b", "c"))


@pytest.mark.parametrize("count", [0, 2, 9])
def test_evaluation_shows_so_many_images(
    evaluator: Evaluator, tmp_path: Path, count: int
) -> None:
    history = History(tmp_path, tmp_path / "checkpoints", writes=True)
    history.rewind(0)
    evaluate = with_panels(evaluator, history, COLORS, count)
    assert evaluate(STATE) == evaluator.metrics(STATE)
    found = shown(tmp_path)
    assert len(found) == min(count, len(evaluator.source))
    for (step, tag, pixels), panel in zip(
        found, evaluator.panels(STATE, count), strict=True
    ):
        assert (step, tag) == (0, f"panels/{panel.name}")
        np.testing.assert_array_equal(pixels, np.asarray(painted(panel, COLORS)))


def test_process_that_writes_no_events_shows_nothing(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    history = History(tmp_path, tmp_path / "checkpoints", writes=False)
    history.rewind(0)
    with_panels(evaluator, history, COLORS, 2)(STATE)
    assert not list(tmp_path.iterdir())


def test_run_shows_panels_at_each_evaluation_and_at_the_end(
    folder: Path, tmp_path: Path, tiny: str
) -> None:
    run = tmp_path / "run"
    paths = ("--data", folder, "--prepared", tmp_path / "prepared", "--workdir", run)
    kinds = ("--backbone", tiny, "--steps", 5, "--evaluation-batch", 2)
    done = call("main", "demo", *OPTIONS, *paths, *kinds, "--panels", 1)
    assert done.returncode == 0, done.stderr
    assert [(step, tag) for step, tag, _ in shown(run)] == [
        (4, "panels/e"),
        (5, "panels/e"),
    ]
    refused = call("main", "demo", *OPTIONS, *paths, *kinds, "--panels", 33)
    assert "--panels must lie in [0, 32], got 33" in refused.stderr
