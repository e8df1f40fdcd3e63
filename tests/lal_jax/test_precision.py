"""Every loss in each floating point dtype."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.lal_jax.losses import (
    DIFFERENTIABLE,
    LOSSES,
    batch,
    compiled,
)

every_loss = pytest.mark.parametrize("name", LOSSES)
WITHOUT_LABELS = ["standard_score", "weighted_ensemble"]
ABOVE = "hard_pixel_mean above a threshold"  # which rounded losses may cross
MASKED = [
    *("masked_mean", "minkowski_mean", "hard_pixel_mean", "loss_max_pooling"),
    ABOVE,
]


@functools.cache
def computed_in(dtype: str, name: str) -> tuple[jax.Array, jax.Array]:
    logits, labels = batch()
    return compiled(name)(jnp.asarray(logits, dtype), jnp.asarray(labels))


def distance(actual: jax.Array, expected: jax.Array) -> float:
    """Euclidean distance, relative to the length of the expected."""
    exact = np.asarray(expected, np.float64)
    return float(
        np.linalg.norm(np.asarray(actual, np.float64) - exact) / np.linalg.norm(exact)
    )


def cosine(actual: jax.Array, expected: jax.Array) -> float:
    first, second = (np.ravel(np.asarray(g, np.float64)) for g in (actual, expected))
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


@every_loss
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_near_single(dtype, name):
    losses, gradient = computed_in(dtype, name)
    expected_losses, expected_gradient = computed_in("float32", name)
    assert losses.dtype == expected_losses.dtype
    assert gradient.dtype == dtype
    if name == ABOVE:
        return
    assert distance(losses, expected_losses) < 1e-2
    if name in DIFFERENTIABLE:
        assert cosine(gradient, expected_gradient) > 0.999


@every_loss
def test_single_precision_is_near_double(name):
    losses, gradient = computed_in("float64", name)
    single_losses, single_gradient = computed_in("float32", name)
    assert losses.dtype == gradient.dtype == "float64"
    assert single_gradient.dtype == "float32"
    assert distance(single_losses, losses) < 1e-5
    if name in DIFFERENTIABLE:
        assert single_losses.dtype == "float32"
        assert distance(single_gradient, gradient) < 1e-4  # small deviations divide it


@pytest.mark.parametrize(
    "name", [n for n in LOSSES if n not in WITHOUT_LABELS + MASKED]
)
def test_labels_of_floating_point_are_refused(name):
    logits, labels = batch()
    with pytest.raises(ValueError, match="labels must be integer .* got float32"):
        LOSSES[name].function(jnp.asarray(logits), jnp.asarray(labels, "float32"))
