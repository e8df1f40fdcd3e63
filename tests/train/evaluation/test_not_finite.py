"""A network whose logits are not finite gives no mask and no metric."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from train import evaluate, export, predict
from train.common.errors import Diverged, NotFinite, UserError
from train.config import Config
from train.data.dataset import Dataset
from train.data.images import encode
from train.data.preprocessing import PREPROCESSINGS
from train.evaluation.inference import Predictor
from train.evaluation.views import EvaluationOptions, PredictionOptions
from train.evaluation.whole_split import Evaluator
from train.workdir import evaluated
from train.workdir.evaluated import SplitOptions
from train.workdir.run import Run
from train.workdir.trained import Trained

from ..standins import STATE, Brightest, predictor, random_image

NAMES = ("a", "b", "c")
WHITE = 255


class Breaking(Brightest):
    """Brightest, but white pixels have one logit of a value."""

    def __init__(self, value: float):
        self.value = value

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        return jax.numpy.where(_first_of_white(images), self.value, images)


class BreakingByWeight(Brightest):
    """Breaking, by a value of its state: one program for all values."""

    def __init__(self, value: float):
        self.value = nnx.Param(jax.numpy.float32(value))

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        return jax.numpy.where(_first_of_white(images), self.value[...], images)


def _first_of_white(images: jax.Array) -> jax.Array:
    # `imagenet` makes white more than 2; nothing else here is.
    white = images.min(axis=-1, keepdims=True) > 2
    return white & (jax.numpy.arange(3) == 0)


def image_with(*, white: bool, size: tuple[int, int] = (60, 70)) -> np.ndarray:
    image = random_image(np.random.default_rng(0), *size) // 2
    if white:
        image[41:44, 5:8] = WHITE
    return image


@pytest.mark.parametrize("window", [(0, 0), (32, 32)])
@pytest.mark.parametrize("fusion", ["mean", "max"])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0)])
def test_one_logit_is_enough(
    window: tuple[int, int], fusion: str, scales: tuple[float, ...]
) -> None:
    options: dict[str, Any] = {"window": window, "fusion": fusion, "scales": scales}
    found, _ = predictor(BreakingByWeight(0), flip=True, **options)
    for value in (np.nan, np.inf, -np.inf):
        _, state = predictor(BreakingByWeight(value))
        assert found.mask(state, image_with(white=False)).shape == (60, 70)
        with pytest.raises(NotFinite, match="not finite .*--learning-rate"):
            found.mask(state, image_with(white=True))


def test_batch_says_which_image() -> None:
    found, state = predictor(Breaking(np.nan))
    images = [image_with(white=white) for white in (False, False, True, True)]
    with pytest.raises(NotFinite) as raised:
        found.batch(state, np.stack(images))
    assert raised.value.index == 2


def source(*white: bool) -> list[dict[str, Any]]:
    """Records of images with or without white pixels."""
    label = encode(np.zeros((60, 70), np.uint8), "PNG")
    return [
        {
            "image": encode(image_with(white=each), "PNG"),
            "label": label,
            "name": f"image{number}".encode(),
        }
        for number, each in enumerate(white)
    ]


@pytest.mark.parametrize("window", [(0, 0), (32, 32)])
def test_evaluation_names_step_and_image(window: tuple[int, int]) -> None:
    options = EvaluationOptions(window=window, batch_size=2)
    graph: nnx.GraphDef = nnx.graphdef(Breaking(np.nan))
    predictor = Predictor(graph, PREPROCESSINGS["imagenet"], options)
    evaluator = Evaluator(predictor, source(False, False, True), NAMES)
    state = STATE._replace(step=jax.numpy.int32(7))
    for measured in (evaluator.counts, evaluator.metrics):
        with pytest.raises(
            Diverged, match="^step 7, image 'image2': .*finite"
        ) as ended:
            measured(state)
        assert ended.value.step == 7


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The network in the place of a trained one."""
    graph: nnx.GraphDef = nnx.graphdef(Breaking(np.nan))
    colors = np.zeros((3, 3), np.uint8)
    trained = Trained(Config().replace(crop=(64, 64)), NAMES, colors, graph, STATE)
    val = source(False, True)
    dataset = Dataset("two", NAMES, colors, "two", val, val)
    monkeypatch.setattr(predict, "load_trained", lambda *path: trained)
    monkeypatch.setattr(export, "load_trained", lambda *path: trained)
    monkeypatch.setattr(evaluated, "load_run", lambda *path: trained)
    monkeypatch.setattr(evaluated, "load_dataset", lambda config: dataset)
    (tmp_path / "model").mkdir()
    Run(tmp_path / "model").record(trained.config.data, dataset)
    return tmp_path / "model"


def test_predict_writes_the_other_masks(model: Path, tmp_path: Path) -> None:
    images = []
    for name, white in (("dark", False), ("white", True)):
        images.append(tmp_path / f"{name}.png")
        images[-1].write_bytes(encode(image_with(white=white), "PNG"))
    with pytest.raises(UserError, match=r"1 of 2 masks .*\n.*white.png: .* finite"):
        predict.predict(model, tuple(images), tmp_path / "out", PredictionOptions())
    written = {"areas.csv", "dark.png", "dark_overlay.png"}
    assert set(os.listdir(tmp_path / "out")) == written
    assert "white" not in (tmp_path / "out" / "areas.csv").read_text()


def test_evaluate_writes_nothing(model: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(UserError, match="image 'image1': .*finite"):
        evaluate.evaluate(model, PredictionOptions(), SplitOptions())
    assert os.listdir(model) == ["dataset.json"] and not capsys.readouterr().out


def test_export_writes_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaking, "__call__", lambda self, x, train: x * np.nan)
    with pytest.raises(UserError, match=f"^{model}: .*finite"):
        export.export(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fusion", ["mean", "max"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_exported_confidence_is_none(fusion: str, value: float) -> None:
    graph: nnx.GraphDef = nnx.graphdef(Breaking(value))
    config = Config().replace(evaluation_fusion=fusion)
    trained = Trained(config, NAMES, np.zeros((3, 3), np.uint8), graph, STATE)
    exported = jax.export.deserialize(bytearray(export.serialized(trained, (60, 70))))
    _, confidence = exported.call(image_with(white=True)[None])
    np.testing.assert_array_equal(
        np.isnan(confidence[0]), (image_with(white=True) == WHITE).all(-1)
    )


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("window", [(0, 0), (32, 32)])
def test_memory_that_does_not_suffice_is_said(
    batch_size: int, window: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Predictor, "_scores", fail)
    options = EvaluationOptions(window=window, batch_size=batch_size)
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    predictor = Predictor(graph, PREPROCESSINGS["imagenet"], options)
    with pytest.raises(UserError) as raised:
        Evaluator(predictor, source(False), NAMES).counts(STATE)
    text, whole = str(raised.value), window == (0, 0)
    assert ("--window 513 513" if whole else "--window 321 321") in text
    assert ("--evaluation-batch 1" in text) == (whole and batch_size > 1)


def test_evaluation_batch_can_be_smaller_than_the_runs(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def batch(self: Predictor, state: Any, images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return np.zeros(images.shape[:3], np.uint8)

    monkeypatch.setattr(Predictor, "batch", batch)
    evaluate.evaluate(model, PredictionOptions(), SplitOptions())
    evaluate.evaluate(model, PredictionOptions(), SplitOptions(evaluation_batch=1))
    assert seen == [2, 1, 1]
    assert json.loads((model / "evaluation_val.json").read_text())["data"] == "two"
