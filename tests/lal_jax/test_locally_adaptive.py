from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    locally_adaptive_loss,
    masked_mean,
    selective_cross_entropy,
    softmax_cross_entropy,
)
from tests import reference
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES, KERNELS, random_scene
from tests.tolerances import assert_close


def value_and_gradient(logits, labels, **options):
    """The losses, one per image, and the gradient of their sum."""
    losses, pullback = jax.vjp(
        lambda x: locally_adaptive_loss(x, labels, **options), logits
    )
    return losses, pullback(jnp.ones_like(losses))[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernel_size", "stride"), list(zip(KERNELS, [1, 2, 1, 3, 2], strict=True))
)
def test_equals_reference(rng, kernel_size, stride, dtype):
    """A batch with borders, ignored labels and `where`.

    Every kernel at every stride is pooled in `test_pooling.py`.
    """
    logits, labels, where = random_scene(rng, dtype=dtype)
    options = {"kernel_size": kernel_size, "stride": stride}
    actual = full_jit(
        lambda x: locally_adaptive_loss(x, labels, where=where, **options)
    )(logits)
    assert actual.dtype == dtype
    expected = reference.locally_adaptive_loss(
        np.asarray(logits), np.asarray(labels), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=np.prod(kernel_size) * 5)


@pytest.mark.parametrize("power", [1.0, 2.5])
def test_power_equals_reference(rng, power):
    logits, labels, _ = random_scene(rng)
    expected = reference.locally_adaptive_loss(
        np.asarray(logits), np.asarray(labels), power=power
    )
    actual = locally_adaptive_loss(logits, labels, power=power)
    assert_close(actual, expected, length=125)


@pytest.mark.parametrize("shape", [(1, 6), (2, 1, 3, 4), (0, 4, 5)])
def test_shapes_equal_reference(rng, shape):
    """Windows larger than the image, any leading axes, an empty batch."""
    logits, labels, _ = random_scene(rng, shape)
    losses, gradient = full_jit(partial(value_and_gradient, kernel_size=3))(
        logits, labels
    )
    arrays = np.asarray(logits), np.asarray(labels)
    expected = reference.locally_adaptive_loss(*arrays, kernel_size=3)
    assert_close(losses, expected, length=45)
    expected = reference.locally_adaptive_gradient(*arrays, kernel_size=3)
    assert_close(gradient, expected, length=45)


def test_pool_replaces_minkowski(rng):
    logits, labels, where = random_scene(rng)
    loss = partial(locally_adaptive_loss, logits, labels, kernel_size=1, where=where)
    assert_close(loss(pool=masked_mean), loss(power=1.0), length=42)


def test_pool_receives_the_losses_and_what_is_valid(rng):
    logits, labels, where = random_scene(rng)
    seen = []

    def pool(losses, *, where):
        seen.append((losses, where))
        return losses.sum((-2, -1))

    options: dict[str, Any] = {"kernel_size": 1, "stride": 2, "where": where}
    locally_adaptive_loss(logits, labels, pool=pool, **options)
    [(losses, valid)] = seen
    np.testing.assert_array_equal(
        losses, selective_cross_entropy(logits, labels, **options)
    )
    np.testing.assert_array_equal(valid, ((labels != 255) & where)[:, ::2, ::2])


def test_reduces_to_the_mean_softmax_cross_entropy(rng):
    logits, labels, where = random_scene(rng)
    actual = locally_adaptive_loss(
        logits,
        labels,
        kernel_size=1,
        normalization="none",
        normalizer="weights",
        power=1.0,
        where=where,
    )
    plain = softmax_cross_entropy(logits, labels, where=where)
    valid = (labels != 255) & where
    assert_close(actual, masked_mean(plain, where=valid), length=63)


def test_invariant_to_scale_and_shift_of_a_pixel(rng):
    """Up to ε beside σ², 1e-12 of it at a scale of 1e3."""
    logits, labels, _ = random_scene(rng)
    logits = 1e3 * logits
    expected = locally_adaptive_loss(logits, labels)
    scale, shift = np.exp(rng.normal(size=(2, *labels.shape, 1)))
    moved = scale * logits + 100 * shift
    one_moved = logits.at[0, 3, 4].set(moved[0, 3, 4])
    for changed in (moved, one_moved):
        actual = locally_adaptive_loss(changed, labels)
        np.testing.assert_allclose(actual, expected, rtol=1e-10)


@pytest.mark.parametrize("normalization", ["standard_score", "none"])
def test_void_has_no_effect_and_no_gradient(rng, normalization):
    logits, labels, where = random_scene(rng)
    void = (labels == 255) | ~where
    options = {"where": where, "normalization": normalization}
    losses, gradient = value_and_gradient(logits, labels, **options)
    assert not gradient[void].any()
    for poison in (jnp.nan, jnp.inf, -jnp.inf, 1e300):
        poisoned = jnp.where(void[..., None], poison, logits)
        actual = value_and_gradient(poisoned, labels, **options)
        np.testing.assert_array_equal(actual[0], losses)
        np.testing.assert_array_equal(actual[1], gradient)


@pytest.mark.parametrize("labels_are_void", [True, False])
def test_an_image_without_valid_pixels_is_zero(rng, labels_are_void):
    logits, labels, _ = random_scene(rng)
    logits = logits.at[1, 2:].set(jnp.nan)
    where = jnp.ones(labels.shape, bool)
    if labels_are_void:
        labels = labels.at[1].set(255)
    else:
        where = where.at[1].set(False)
    losses, gradient = value_and_gradient(logits, labels, where=where)
    assert losses[0] > 0
    assert losses[1] == 0
    assert gradient[0].any()
    assert not gradient[1].any()


@pytest.mark.parametrize("normalization", ["standard_score", "none"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_finite_for_finite_logits(rng, dtype, normalization):
    """A rounding error below zero would already be NaN under a fractional power."""
    logits, labels, _ = random_scene(rng, dtype=dtype)
    function = full_jit(
        lambda x: value_and_gradient(
            x, labels, kernel_size=3, power=2.5, normalization=normalization
        )
    )
    scales = [0.0, 1e-30, 1e-4, 1e4, 1e18]
    for extreme in [logits * jnp.asarray(scale, dtype) for scale in scales] + [
        jnp.where(logits > 0, jnp.asarray(scale, dtype), -jnp.asarray(scale, dtype))
        for scale in (1e4, 1e18)
    ]:
        losses, gradient = function(extreme)
        assert jnp.isfinite(losses).all()
        assert jnp.isfinite(gradient).all()


def test_constant_logits_are_pulled_apart(rng):
    """No direction is better than another there, but the gradient is finite."""
    _, labels, _ = random_scene(rng)
    losses, gradient = value_and_gradient(jnp.ones((*labels.shape, 5)), labels)
    np.testing.assert_allclose(losses, np.log(5), rtol=1e-14)
    assert jnp.isfinite(gradient).all()
    assert gradient.any()


def test_half_precision_is_computed_in_float32(rng):
    logits, labels, _ = random_scene(rng, dtype="bfloat16")
    function = full_jit(lambda x: value_and_gradient(x, labels, kernel_size=3))
    losses, gradient = function(logits)
    assert losses.dtype == "float32"
    assert gradient.dtype == "bfloat16"
    wide = function(logits.astype("float32"))
    assert_close(losses, wide[0], length=45)
    assert_close(gradient.astype("float32"), wide[1], dtype="bfloat16")


def test_uint8_labels(rng):
    logits, labels, _ = random_scene(rng)
    actual = value_and_gradient(logits, labels.astype("uint8"))
    expected = value_and_gradient(logits, labels)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])


def test_value_is_the_same_under_jit_and_differentiation(rng):
    logits, labels, _ = random_scene(rng)
    expected = locally_adaptive_loss(logits, labels)
    losses, gradient = value_and_gradient(logits, labels)
    np.testing.assert_array_equal(losses, expected)
    compiled = full_jit(value_and_gradient)(logits, labels)
    assert_close(compiled[0], expected, length=125)
    assert_close(compiled[1], gradient, length=125)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"power": 0}, "0"),
        ({"power": -1.5}, "-1.5"),
        ({"kernel_size": 4}, "4"),
        ({"kernel_size": (3, 0)}, "0"),
        ({"stride": 0}, "0"),
        ({"normalization": "softmax"}, "softmax"),
        ({"normalizer": "sum"}, "sum"),
        ({"class_weights": np.ones(4)}, "4"),
        ({"label_smoothing": 1.0}, "1.0"),
        ({"neighbor_weights": np.ones((3, 3))}, "3, 3"),
        ({"where": np.ones((2, 6, 6), bool)}, "2, 6, 6"),
    ],
)
def test_refuses_misuse(rng, options, culprit):
    logits, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match=f"got .*{culprit}"):
        locally_adaptive_loss(logits, labels, **options)


def test_refuses_arrays_that_do_not_fit(rng):
    logits, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match="got .*2, 6, 6"):
        locally_adaptive_loss(logits, labels[..., :6])
    with pytest.raises(ValueError, match="got .*float64"):
        locally_adaptive_loss(logits, labels.astype(float))
    with pytest.raises(ValueError, match="got .*int64"):
        locally_adaptive_loss(logits.astype(int), labels)
    with pytest.raises(ValueError, match=r"gradient|±1"):
        locally_adaptive_loss(logits[..., :2], labels)
