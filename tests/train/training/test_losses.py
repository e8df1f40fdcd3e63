"""The center loss in training: what it sees, how much it weighs, what it carries."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lal_jax
from models.deeplab import NetworkOutputs
from train.data.images import Example
from train.training.checkpoint import Checkpoints
from train.training.loss_sum import make_loss
from train.training.scales import shrink_labels
from train.training.step import make_state, make_step

from ..conftest import CLASSES, MakeConfig


@pytest.fixture
def outputs(rng: np.random.Generator) -> NetworkOutputs:
    """Logits of two 8×6 images, and features of half their size."""
    shapes = ((2, 8, 6, CLASSES), (2, 4, 3, CLASSES), (2, 4, 3, 5))
    logits, coarse, features = (
        jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes
    )
    return NetworkOutputs(logits, coarse, [features])


@pytest.fixture
def labels(rng: np.random.Generator) -> jax.Array:
    labels = rng.integers(CLASSES, size=(2, 8, 6))
    labels[:, :2] = 255
    return jnp.asarray(labels, jnp.uint8)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("seen", ["logits", "head_input"])
def test_center_is_cross_entropy_and_a_share_of_the_distances(
    make_config: MakeConfig,
    outputs: NetworkOutputs,
    labels: jax.Array,
    seen: str,
    reduction: str,
) -> None:
    config = make_config(
        center_weight=0.25,
        center_alpha=0.75,
        center_features=seen,
        center_reduction=reduction,
        loss="center",
    )
    centers = jnp.ones((CLASSES, CLASSES if seen == "logits" else 5))
    losses, moved, _ = make_loss(config.loss)(outputs, labels, centers)

    entropy = lal_jax.softmax_cross_entropy(outputs.logits, labels)
    counted = labels != 255
    features, truth = outputs.logits, labels
    if seen == "head_input":
        features, truth = outputs.features, labels[:, 1::2, 1::2]
    distances = lal_jax.center_loss(features, truth, centers)
    for image in range(2):
        of_image = distances[image][truth[image] != 255]
        pull = of_image.mean() if reduction == "mean" else of_image.sum()
        expected = entropy[image][counted[image]].mean() + 0.25 * pull
        np.testing.assert_allclose(losses[image], expected, rtol=1e-5)
    expected = lal_jax.update_centers(centers, features, truth, alpha=0.75)
    np.testing.assert_allclose(moved, expected, rtol=1e-5)
    assert not np.allclose(moved, centers)


@pytest.mark.parametrize("size", [(4, 3), (8, 6), (3, 2), (5, 1)])
def test_shrunk_labels_are_those_at_the_cells_centers(size: tuple[int, int]) -> None:
    labels = jnp.arange(48).reshape(1, 8, 6)
    rows, columns = (
        np.floor((np.arange(cells) + 0.5) * pixels / cells).astype(int)
        for cells, pixels in zip(size, (8, 6), strict=True)
    )
    expected = labels[:, rows[:, None], columns]
    np.testing.assert_array_equal(shrink_labels(labels, size), expected)


@pytest.mark.parametrize("seen", ["logits", "head_input"])
def test_steps_carry_the_centers_and_checkpoints_keep_them(
    make_config: MakeConfig,
    batch: Example,
    tmp_path: Path,
    seen: str,
    tiny: str,
) -> None:
    config = make_config(backbone=tiny, loss="center", center_features=seen)
    graph, state = make_state(config, CLASSES, seed=0)
    depth = 8 if seen == "head_input" else CLASSES
    assert state.centers.shape == (CLASSES, depth)
    assert state.centers.dtype == jnp.float32 and not state.centers.any()
    step = make_step(graph, config)
    for _ in range(2):
        before = np.asarray(state.centers)
        state, _ = step(state, batch)
        assert not np.allclose(state.centers, before)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        checkpoints.save(state, 1.0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(make_state(config, CLASSES, seed=0)[1])
    assert restored is not None
    np.testing.assert_array_equal(restored[0].centers, state.centers)
