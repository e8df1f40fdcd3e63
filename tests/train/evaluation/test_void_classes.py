"""No pixel is predicted as a void class, nor is one part of a metric."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from train.common.errors import UserError
from train.data.dataset import load_dataset
from train.evaluation.crf import Crf, refiner
from train.evaluation.crf_options import CrfOptions
from train.evaluation.inference import Predictor
from train.evaluation.metrics import Counts
from train.evaluation.views import EvaluationOptions
from train.evaluation.whole_split import Evaluator
from train.export import serialized
from train.training.step import make_state
from train.workdir.run import Run
from train.workdir.trained import Trained, load_trained, save_trained

from ..conftest import CLASSES, MakeConfig
from ..standins import IMAGENET, STATE, Brightest, Constant, random_image

NAMES = ("a", "b", "c")
GRAPH: Any = nnx.graphdef(Brightest())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": (32, 32)},
        {"fusion": "max", "flip": True},
        {"flip": True},
    ],
    ids=["whole", "windows", "largest logits", "mean"],
)
def test_no_pixel_is_of_a_void_class(
    options: dict[str, Any], rng: np.random.Generator
) -> None:
    image, how = random_image(rng, 40, 48), EvaluationOptions(**options)
    free = Predictor(GRAPH, IMAGENET, how)
    assert set(np.unique(free.mask(STATE, image))) == {0, 1, 2}
    bound = Predictor(GRAPH, IMAGENET, how, void=(1,))
    bands = list(bound.bands(STATE, image))
    assert set(np.unique(bound.mask(STATE, image))) == {0, 2}
    found = np.concatenate([band.probabilities for band in bands])
    assert (found[..., 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)


def test_other_classes_are_as_likely_as_without_it(rng: np.random.Generator) -> None:
    image, how = random_image(rng, 33, 34), EvaluationOptions()
    model: Any = nnx.graphdef(Constant(5.0, 2.0, 1.0))
    (band,) = Predictor(model, IMAGENET, how, void=(0,)).bands(STATE, image)
    assert (band.mask == 1).all()
    expected = [0, 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]
    np.testing.assert_allclose(band.probabilities[0, 0], expected, rtol=1e-5)


def test_a_void_class_enters_no_metric(make_config: MakeConfig) -> None:
    config = make_config(void=("ground",))
    dataset = load_dataset(config.data)
    model: Any = nnx.graphdef(Constant(5.0, 2.0, 1.0))
    predictor = Predictor(model, IMAGENET, config.evaluation, void=dataset.void)
    counts = Evaluator(predictor, dataset.val, dataset.class_names).counts(STATE)
    assert counts.whole[0].sum() == counts.whole[:, 0].sum() == 0
    found = counts.measure(dataset.class_names, dataset.void)
    assert found["void"] == ["ground"] and found["iou"]["ground"] is None
    assert found["mean_iou"] == pytest.approx(found["iou"]["red"] / 2)
    assert "void" not in Counts(counts.whole, {}).measure(dataset.class_names)


@pytest.fixture
def trained(make_config: MakeConfig) -> Trained:
    colors = np.zeros((CLASSES, 3), np.uint8)
    return Trained(make_config(void=("1", "7")), NAMES, colors, GRAPH, STATE)


def test_exported_models_know_their_void_classes(
    trained: Trained, rng: np.random.Generator, tmp_path: Path
) -> None:
    images = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    inference = jax.export.deserialize(bytearray(serialized(trained, (32, 32))))
    masks, confidence = inference.call(images)
    assert set(np.unique(masks)) == {0, 2} and np.asarray(confidence).min() >= 0.5
    assert trained.void == (1,)  # 7 is of no class
    found = trained.predictor().batch(STATE, images)
    np.testing.assert_array_equal(masks, found)


def test_a_model_with_void_classes_that_it_lacks_is_refused(
    make_config: MakeConfig, tiny: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    for void, said in ((("sky",), "no class has that name"), (("0", "1"), "'c' alone")):
        config = make_config(void=void, backbone=tiny)
        graph, state = make_state(config, CLASSES, seed=0)
        colors = np.zeros((CLASSES, 3), np.uint8)
        save_trained(Trained(config, NAMES, colors, graph, state), path)
        with pytest.raises(UserError, match=f"model.safetensors.*{said}"):
            load_trained(path)


def test_a_run_goes_on_with_its_void_classes_alone(make_config: MakeConfig) -> None:
    config = make_config(void=("0",))
    run = Run.open(config)
    run.begin(config)
    Run.open(make_config(void=("0",)))
    with pytest.raises(UserError, match=r"void: \('0',\) → \(\)"):
        Run.open(make_config())


def test_a_crf_leaves_void_classes_out(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def marginals(
        self: Crf, what: str, image: np.ndarray, found: np.ndarray
    ) -> np.ndarray:
        seen.append((image, found))
        return found[..., ::-1]

    monkeypatch.setattr(Crf, "_marginals", marginals)
    image = rng.integers(0, 2**16, (8, 9, 4), dtype=np.uint16)
    probabilities = rng.dirichlet(np.ones(3), (8, 9)).astype(np.float32)
    with refiner(CrfOptions(on=True), (1,)) as refine:
        assert refine
        found = refine.refined("a.png", image, probabilities)
        whole = Crf(refine.parameters, refine.workers).refined("a.png", image, found)
    assert (found[..., 1] == 0).all()
    np.testing.assert_array_equal(found[..., ::2], probabilities[..., ::-2])
    np.testing.assert_array_equal(whole, found[..., ::-1])
    assert seen[0][0].dtype == np.uint8 and seen[0][0].shape == (8, 9, 3)
