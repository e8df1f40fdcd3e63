"""Trained networks of random weights, and what onnxruntime makes of their files."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
from flax import nnx

from tests.models.networks import filled
from tests.tolerances import assert_close, tolerance
from tests.train.conftest import CLASSES
from train.config import Config
from train.evaluation.preparation import prepared_images
from train.evaluation.scores import scores
from train.evaluation.views import views
from train.exporting.onnx_inference import onnx_inference
from train.training.network import make_model, split_model
from train.training.step import TrainState
from train.workdir.trained import Trained

LENGTH = 9 * 2048  # terms of the longest sum, 3×3 taps of the widest features


def random_trained(config: Config) -> Trained:
    channels = config.data.channels
    model = filled(lambda: make_model(config.model, CLASSES, channels=channels, seed=0))
    graph, params, statistics = split_model(model)
    state = TrainState(jnp.int32(7), params, statistics, jnp.zeros((3, 3)), ())
    colors = np.arange(3 * CLASSES, dtype=np.uint8).reshape(CLASSES, 3)
    return Trained(config, ("a", "b", "c"), colors, graph, state)


def session_of(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options)


def run(session: onnxruntime.InferenceSession, images: np.ndarray) -> dict:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images}), strict=True))


def expected_scores(trained: Trained, images: np.ndarray) -> np.ndarray:
    """What JAX gives: the views joined, the logits of one alone."""
    use, state = trained.use, trained.state
    options = use.evaluation
    if len(views(options)) == 1:
        options = dataclasses.replace(options, fusion="max")

    @jax.jit
    def found(params: nnx.State, statistics: nnx.State, images: jax.Array) -> jax.Array:
        model = nnx.merge(trained.graph, params, statistics, copy=True)
        seen = prepared_images(images, use.image_height)
        return scores(model, seen, trained.preprocess, options, trained.void)

    return np.asarray(found(state.params, state.statistics, jnp.asarray(images)))


def assert_same_masks(
    masks: np.ndarray, expected: np.ndarray, *, length: int = LENGTH, first: int = 0
) -> None:
    """Holds masks to the largest of scores `[..., classes]`, but for ties.

    Args:
      masks: of classes.
      expected: scores of the classes from `first` on.
      length: of the longest sum.
      first: class.
    """
    second, largest = np.moveaxis(np.sort(expected, axis=-1)[..., -2:], -1, 0)
    tie = 2 * tolerance(expected.dtype, length) * np.abs(expected).max()
    clear = largest - second > tie
    assert clear.mean() > 0.9 and len(np.unique(expected.argmax(-1)[clear])) > 1
    np.testing.assert_array_equal(masks[clear], expected.argmax(-1)[clear] + first)


def assert_parity(
    trained: Trained, shapes: Sequence[tuple[int, int, int]]
) -> dict[str, np.ndarray]:
    """Holds a file to JAX on random images of `shapes`, (number, height, width).

    Returns what onnxruntime gives for the last.
    """
    session, rng = session_of(onnx_inference(trained)), np.random.default_rng(0)
    found: dict[str, np.ndarray] = {}
    for shape in shapes:
        images = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        found, expected = run(session, images), expected_scores(trained, images)
        (name,) = found.keys() - {"masks", "confidence"}
        assert_close(found[name], expected, length=LENGTH)
        assert found["masks"].dtype == np.uint8
        assert_same_masks(found["masks"], expected)
        probable = expected
        if name == "logits":
            probable = np.asarray(jax.nn.softmax(expected))
        # A probability errs by the logits' error, which their scale multiplies.
        error = tolerance("float32", LENGTH) * max(1, np.abs(expected).max())
        largest = probable.max(axis=-1)
        np.testing.assert_allclose(found["confidence"], largest, atol=error)
    return found
