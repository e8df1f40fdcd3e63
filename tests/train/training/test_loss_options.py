"""Options of the losses: each reaches the library, by name and value."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lal_jax
from models.deeplab import NetworkOutputs
from train.common.errors import UserError
from train.config import Config
from train.data.images import Example
from train.training.additions import learned_scale
from train.training.checkpoint import Checkpoints
from train.training.initial_weights import with_weights
from train.training.loss_options import check_classes
from train.training.loss_sum import make_loss
from train.training.step import make_state, make_step
from train.workdir.trained import Trained, load_trained, save_trained

from ..conftest import CLASSES, MakeConfig


@pytest.fixture
def logits(rng: np.random.Generator) -> jax.Array:
    return jnp.asarray(rng.normal(size=(2, 9, 8, 5)), jnp.float32)


@pytest.fixture
def labels(rng: np.random.Generator) -> jax.Array:
    labels = rng.integers(4, size=(2, 9, 8)).astype(np.uint8) ** 2 % 5
    labels[:, 2] = 255
    return jnp.asarray(labels)


def losses_of(options: dict[str, Any], logits: jax.Array, labels: jax.Array) -> Any:
    config = Config().replace(**options)
    outputs = NetworkOutputs(logits, logits, [logits])
    losses, _, _ = make_loss(config.loss)(outputs, labels, jnp.zeros((5, 5)))
    return losses


@pytest.mark.parametrize(
    ("options", "library"),
    [
        ({"normalization": "image_score"}, {"normalization": "image_score"}),
        ({"score_scale": 3.0}, {"score_scale": 3.0}),
        ({"window_dilation": 2}, {"dilation": 2}),
        (
            {"class_weights": ("1", "2", "0.5", "0", "3")},
            {"class_weights": np.array([1, 2, 0.5, 0, 3])},
        ),
    ],
)
def test_the_locally_adaptive_loss_gets(
    options: dict[str, Any], library: Any, logits: jax.Array, labels: jax.Array
) -> None:
    found = losses_of(options, logits, labels)
    expected = lal_jax.locally_adaptive_loss(logits, labels, **library)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(found, lal_jax.locally_adaptive_loss(logits, labels))


def test_class_balance(logits: jax.Array, labels: jax.Array) -> None:
    balanced: Any = functools.partial(
        lal_jax.class_balanced_mean, exponent=0.5, where=labels != 255
    )
    for name, function in (
        ("softmax_cross_entropy", lal_jax.softmax_cross_entropy),
        ("focal", lal_jax.focal_loss),
    ):
        found = losses_of({"loss": name, "class_balance": 0.5}, logits, labels)
        expected = balanced(function(logits, labels), labels)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert not np.allclose(found, losses_of({"loss": name}, logits, labels))
    found = losses_of({"class_balance": 0.5, "power": 2.0}, logits, labels)
    per_pixel = lal_jax.selective_cross_entropy(logits, labels)
    expected = balanced(per_pixel, labels, power=2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "focal", "center", "loss_max_pooling"]
)
def test_class_weights_reach_every_loss(
    name: str, logits: jax.Array, labels: jax.Array
) -> None:
    options = {"loss": name, "center_weight": 0.0}
    plain = losses_of(options, logits, labels)
    doubled = losses_of({**options, "class_weights": ("2",) * 5}, logits, labels)
    np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_scale": 0.0}, "--score-scale must be above 0, got 0.0"),
        ({"window_dilation": 0}, "--window-dilation must be 1 or more, got 0"),
        ({"class_balance": 1.5}, r"--class-balance must lie in \[0, 1\], got 1.5"),
        (
            {"class_balance": 0.5, "pool": "hard_pixel"},
            "--class-balance needs --loss softmax_cross_entropy or focal, or",
        ),
        ({"class_balance": 0.5, "loss": "center"}, "--class-balance needs --loss"),
        (
            {"learn_score_scale": True, "loss": "focal"},
            "--learn-score-scale needs --loss locally_adaptive",
        ),
        (
            {"class_weights": ("median",)},
            r"--class-weights must be inverse_root, .* number per class.*median",
        ),
        ({"class_weights": ("1", "-2")}, "--class-weights must be .*-2"),
        ({"class_weights": ("1", "nan")}, "--class-weights must be .*nan"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Config().replace(**options)


def test_class_weights_for_other_classes() -> None:
    loss = Config().replace(class_weights=("1", "2")).loss
    with pytest.raises(UserError, match="--class-weights has 2 numbers, for 3 classes"):
        check_classes(loss, 3)
    check_classes(Config().replace(class_weights=("inverse",)).loss, 3)


def test_two_classes_learn_from_the_image_score() -> None:
    check_classes(Config().replace(normalization="image_score").loss, 2)


@pytest.fixture
def learning(make_config: MakeConfig, tiny: str) -> Config:
    return make_config(
        backbone=tiny,
        learn_score_scale=True,
        score_scale=2.0,
        kernel_size=1,
        weight_decay=0.5,
    )


def test_a_learned_scale_follows_its_gradient(learning: Config, batch: Example) -> None:
    """From the option's value on, along −∂L/∂log s, without weight decay."""
    graph, state = make_state(learning, CLASSES, seed=0)
    fixed = learning.replace(learn_score_scale=False)

    def loss_at(scale: float) -> float:
        config = fixed.replace(score_scale=scale)
        graph, start = make_state(config, CLASSES, seed=0)
        return float(make_step(graph, config)(start, batch)[1]["loss"])

    step = 1e-2
    slope = (loss_at(2 * np.exp(step)) - loss_at(2 * np.exp(-step))) / (2 * step)
    _, metrics = make_step(graph, learning)(state, batch)
    assert float(metrics["loss"]) == pytest.approx(loss_at(2.0), rel=1e-6)
    expected = 2 * np.exp(-learning.optimizer.learning_rate * slope)
    assert float(metrics["score_scale"]) == pytest.approx(expected, rel=1e-4)
    assert abs(expected - 2) > 1e-3


def test_a_learned_scale_is_saved_with_the_run_and_not_exported(
    learning: Config, batch: Example, tmp_path: Path, rng: np.random.Generator
) -> None:
    graph, state = make_state(learning, CLASSES, seed=0)
    state, _ = make_step(graph, learning)(state, batch)
    with Checkpoints(tmp_path / "kept", 0, "data") as checkpoints:
        checkpoints.save(state, 1.0)
        restored = checkpoints.restore(make_state(learning, CLASSES, seed=0)[1])
    assert restored is not None
    jax.tree.map(np.testing.assert_array_equal, restored[0].params, state.params)
    alone = learning.replace(learn_score_scale=False)
    others = make_state(alone, CLASSES, seed=0)[1].params
    assert len(jax.tree.leaves(state.params)) == 1 + len(jax.tree.leaves(others))
    colors = np.zeros((CLASSES, 3), np.uint8)
    trained = Trained(learning, ("a", "b", "c"), colors, graph, state)
    save_trained(trained, tmp_path / "model.safetensors")
    loaded = load_trained(tmp_path / "model.safetensors")
    images = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        loaded.predictor().batch(loaded.state, images),
        trained.predictor().batch(trained.state, images),
    )


def test_weights_are_loaded_beside_a_learned_scale(
    learning: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph, state = make_state(learning, CLASSES, seed=1)
    colors = np.zeros((CLASSES, 3), np.uint8)
    path = tmp_path / "model.safetensors"
    save_trained(Trained(learning, ("a", "b", "c"), colors, graph, state), path)
    config = learning.replace(weights=str(path), score_scale=5.0)
    graph, start = make_state(config, CLASSES, seed=2)
    loaded = with_weights(start, graph, config.model)
    assert "random weights" not in capsys.readouterr().out
    model = nnx.merge(graph, loaded.params, loaded.statistics)
    scale = learned_scale(model)
    assert scale is not None and float(scale) == pytest.approx(5.0)
    for name in ("backbone", "head"):
        jax.tree.map(
            np.testing.assert_array_equal, loaded.params[name], state.params[name]
        )
