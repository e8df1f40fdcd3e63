"""A split is evaluated at full resolution, as it is predicted."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from train import evaluate
from train.common.errors import UserError
from train.config import Config, save_config
from train.evaluation.inference import Predictor
from train.evaluation.views import EvaluationOptions, PredictionOptions
from train.evaluation.whole_split import Evaluator, evenly
from train.workdir import evaluated
from train.workdir.trained import Trained

from ..standins import IMAGENET, STATE, Brightest


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def source(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Four random images, half of each a random mask, their first two rows ignored."""
    source: list[dict[str, Any]] = []
    for number, size in enumerate(((42, 60), (42, 60), (30, 31), (90, 70))):
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        truth = rng.integers(0, 3, size, dtype=np.uint8)
        truth[:2] = 255
        truth[:, size[1] // 2 :] = 1
        name = str(number).encode()
        source.append({"image": png(image), "label": png(truth), "name": name})
    return source


def test_windows_are_evaluated_as_predicted(source: list[dict[str, Any]]) -> None:
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    found, seen = [], []
    for window in ((0, 0), (32, 40)):
        options = EvaluationOptions(window=window, size_multiple=8, batch_size=2)
        predictor = Predictor(graph, IMAGENET, options)
        evaluator = Evaluator(predictor, source, ("a", "b", "c"))
        Brightest.sizes.clear()
        found.append(evaluator.counts(STATE).whole)
        seen.append(Brightest.sizes[:])
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].sum() == sum(
        h * w - 2 * (w // 2) for h, w in [(42, 60)] * 2 + [(30, 31), (90, 70)]
    )
    assert seen == [[(48, 64), (32, 32), (96, 72)], [(32, 40), (32, 32)]]


def test_a_split_without_labels_is_refused(source: list[dict[str, Any]]) -> None:
    void = [
        {**record, "label": png(np.full((42, 60), 255, np.uint8))} for record in source
    ]
    predictor = Predictor(nnx.graphdef(Brightest()), IMAGENET, EvaluationOptions())
    with pytest.raises(UserError, match="none of the 4 masks .*255.*--val-split"):
        Evaluator(predictor, void, ("a", "b", "c"))
    Evaluator(predictor, [*void, source[0]], ("a", "b", "c"))


def test_padding_makes_no_border(source: list[dict[str, Any]]) -> None:
    found = []
    for multiple in (1, 32):
        options = EvaluationOptions(size_multiple=multiple, batch_size=2)
        predictor = Predictor(nnx.graphdef(Brightest()), IMAGENET, options)
        evaluator = Evaluator(predictor, source[:2], ("a", "b", "c"))
        found.append(evaluator.counts(STATE))
    for distance, confusion in found[0].near.items():
        np.testing.assert_array_equal(confusion, found[1].near[distance])


def test_evaluation_notes_how_it_predicted(
    source: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b", "c")
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    trained = Trained(
        Config().replace(size_multiple=8),
        names,
        np.zeros((3, 3), np.uint8),
        graph,
        STATE,
    )
    dataset = SimpleNamespace(
        name="four",
        class_names=names,
        val=source,
        fingerprint="f",
        splits={},
        void=(),
        shown=(),
        by_color=False,
    )
    monkeypatch.setattr(evaluated, "load_run", lambda *path: trained)
    monkeypatch.setattr(evaluated, "load_dataset", lambda config: dataset)
    described = {
        "name": "",
        "class_names": names,
        "colors": 3 * [[0, 0, 0]],
        "fingerprint": "f",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    save_config(trained.config, tmp_path / "config.json")
    Brightest.sizes.clear()
    options = PredictionOptions(scales=(0.5, 1.0), flip=True, window=(32, 40))
    evaluate.evaluate(tmp_path, options, evaluated.SplitOptions())
    result = json.loads(
        (tmp_path / "evaluation_val_0.5x1.0_flip_window32x40.json").read_text()
    )
    assert (result["scales"], result["flip"]) == ([0.5, 1.0], True)
    assert (result["window"], result["data"]) == ([32, 40], "four")
    assert set(Brightest.sizes) == {(32, 40), (16, 20), (32, 32), (16, 16)}


@pytest.mark.parametrize(
    ("count", "places"), [(1, [0]), (2, [0, 4]), (3, [0, 2, 4]), (10**7, [*range(5)])]
)
def test_places_are_spread_evenly_whatever_is_asked_for(
    count: int, places: list[int]
) -> None:
    tracemalloc.start()
    try:
        assert evenly(5, count) == places
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # bytes
    finally:
        tracemalloc.stop()
