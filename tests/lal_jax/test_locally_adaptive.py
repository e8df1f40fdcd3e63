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
from tests.lal_jax.scenes import DTYPES, KERNELS, random_scene
from tests.tolerances import assert_close


def value_and_gradient(logits, labels, **options):
    """The losses, one an image, and the gradient of their sum."""
    losses, pullback = jax.vjp(
        lambda x: locally_adaptive_loss(x, labels, **options), logits
    )
    return losses, pullback(jnp.ones_like(losses))[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", KERNELS)
def test_equals_reference(getkey, kernel_size, stride, dtype):
    """Over a batch with borders and both kinds of void."""
    logits, labels, where = random_scene(getkey(), dtype=dtype)
    options = {"kernel_size": kernel_size, "stride": stride}
    actual = jax.jit(
        lambda x: locally_adaptive_loss(x, labels, where=where, **options)
    )(logits)
    assert actual.dtype == dtype
    expected = reference.locally_adaptive_loss(
        np.asarray(logits), np.asarray(labels), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=np.prod(kernel_size) * 5)


@pytest.mark.parametrize("power", [1.0, 2.5])
def test_power_equals_reference(getkey, power):
    logits, labels, _ = random_scene(getkey())
    expected = reference.locally_adaptive_loss(
        np.asarray(logits), np.asarray(labels), power=power
    )
    actual = locally_adaptive_loss(logits, labels, power=power)
    assert_close(actual, expected, length=125)


@pytest.mark.parametrize("shape", [(1, 6), (2, 1, 3, 4), (0, 4, 5)])
def test_shapes_equal_reference(getkey, shape):
    """Windows larger than the image, any leading axes, an empty batch."""
    logits, labels, _ = random_scene(getkey(), shape)
    losses, gradient = jax.jit(value_and_gradient)(logits, labels)
    arrays = np.asarray(logits), np.asarray(labels)
    assert_close(losses, reference.locally_adaptive_loss(*arrays), length=125)
    assert_close(gradient, reference.locally_adaptive_gradient(*arrays), length=125)


def test_pool_replaces_minkowski(getkey):
    logits, labels, where = random_scene(getkey())
    options = {"stride": 2, "where": where}
    actual = locally_adaptive_loss(logits, labels, pool=masked_mean, **options)
    expected = locally_adaptive_loss(logits, labels, power=1.0, **options)
    assert_close(actual, expected, length=20)


def test_pool_receives_the_losses_and_what_is_valid(getkey):
    logits, labels, where = random_scene(getkey())
    seen = []

    def pool(losses, *, where):
        seen.append((losses, where))
        return losses.sum((-2, -1))

    locally_adaptive_loss(logits, labels, pool=pool, stride=2, where=where)
    [(losses, valid)] = seen
    np.testing.assert_array_equal(
        losses, selective_cross_entropy(logits, labels, stride=2, where=where)
    )
    np.testing.assert_array_equal(valid, ((labels != 255) & where)[:, ::2, ::2])


def test_reduces_to_the_mean_softmax_cross_entropy(getkey):
    logits, labels, where = random_scene(getkey())
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


def test_invariant_to_scale_and_shift_of_a_pixel(getkey):
    """But for ε beside σ², at a scale of 1e3 a share of 1e-12."""
    logits, labels, _ = random_scene(getkey())
    logits = 1e3 * logits
    expected = locally_adaptive_loss(logits, labels)
    scale, shift = jnp.exp(jax.random.normal(getkey(), (2, 7, 9, 1)))
    moved = scale * logits + 100 * shift
    actual = locally_adaptive_loss(moved, labels)
    np.testing.assert_allclose(actual, expected, rtol=1e-10)
    one = logits.at[3, 4].set(moved[3, 4])
    np.testing.assert_allclose(locally_adaptive_loss(one, labels), expected, rtol=1e-10)


@pytest.mark.parametrize("normalization", ["standard_score", "none"])
def test_void_has_no_effect_and_no_gradient(getkey, normalization):
    logits, labels, where = random_scene(getkey())
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
def test_an_image_without_valid_pixels_is_zero(getkey, labels_are_void):
    logits, labels, _ = random_scene(getkey())
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
def test_finite_for_finite_logits(getkey, dtype, normalization):
    logits, labels, _ = random_scene(getkey(), dtype=dtype)
    scales = [0.0, 1e-30, 1e-4, 1e4, 1e18]
    for extreme in [logits * jnp.asarray(scale, dtype) for scale in scales] + [
        jnp.where(logits > 0, jnp.asarray(scale, dtype), -jnp.asarray(scale, dtype))
        for scale in (1e4, 1e18)
    ]:
        losses, gradient = value_and_gradient(
            extreme, labels, normalization=normalization
        )
        assert jnp.isfinite(losses).all()
        assert jnp.isfinite(gradient).all()


def test_constant_logits_are_pulled_apart(getkey):
    """No direction is better than another there, but the gradient is finite."""
    _, labels, _ = random_scene(getkey())
    losses, gradient = value_and_gradient(jnp.ones((*labels.shape, 5)), labels)
    np.testing.assert_allclose(losses, np.log(5), rtol=1e-14)
    assert jnp.isfinite(gradient).all()
    assert gradient.any()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(getkey, dtype):
    logits, labels, _ = random_scene(getkey(), dtype=dtype)
    losses, gradient = value_and_gradient(logits, labels)
    assert losses.dtype == "float32"
    assert gradient.dtype == dtype
    wide = value_and_gradient(logits.astype("float32"), labels)
    assert_close(losses, wide[0])
    assert_close(gradient.astype("float32"), wide[1], dtype="bfloat16")


def test_uint8_labels(getkey):
    logits, labels, _ = random_scene(getkey())
    actual = value_and_gradient(logits, labels.astype("uint8"))
    expected = value_and_gradient(logits, labels)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])


@pytest.mark.parametrize("name", ["jit", "vmap", "remat", "scan"])
def test_transforms_equal_image_by_image(getkey, name):
    logits, labels, _ = random_scene(getkey())

    def function(x, y):
        return value_and_gradient(x, y, kernel_size=3)

    transformed = {
        "jit": function,
        "vmap": jax.vmap(function),
        "remat": jax.checkpoint(function),
        "scan": lambda x, y: jax.lax.map(lambda image: function(*image), (x, y)),
    }[name]
    actual = jax.jit(transformed)(logits, labels)
    for i, image in enumerate(zip(logits, labels, strict=True)):
        for part, expected in zip(actual, function(*image), strict=True):
            assert_close(part[i], expected, length=45)


def test_value_is_the_same_under_differentiation(getkey):
    logits, labels, _ = random_scene(getkey())
    losses, _ = value_and_gradient(logits, labels)
    np.testing.assert_array_equal(losses, locally_adaptive_loss(logits, labels))


def test_jvp_and_hessian(getkey):
    logits, labels, _ = random_scene(getkey(), (3, 4), classes=3)
    labels = labels % 3

    def loss(x):
        return locally_adaptive_loss(x, labels, kernel_size=3)

    def gradient(x):
        return reference.locally_adaptive_gradient(
            np.asarray(x), np.asarray(labels), kernel_size=3
        )

    tangent = jax.random.normal(getkey(), logits.shape)
    _, derivative = jax.jvp(loss, (logits,), (tangent,))
    np.testing.assert_allclose(
        derivative, np.vdot(gradient(logits), tangent), rtol=1e-11
    )
    step = 1e-5 * tangent
    difference = (gradient(logits + step) - gradient(logits - step)) / 2e-5
    hessian = jax.jit(jax.hessian(loss))(logits).reshape(36, 36)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    np.testing.assert_allclose(hessian @ tangent.ravel(), difference.ravel(), atol=1e-8)


def test_memory_stays_far_below_materialized_patches():
    """Value and gradient take at most 4 × the logits; 5×5 patches alone are 25 ×."""
    logits = jax.ShapeDtypeStruct((1, 129, 129, 21), jnp.float32)
    labels = jax.ShapeDtypeStruct((1, 129, 129), jnp.int32)
    compiled = (
        jax.jit(jax.value_and_grad(lambda x, y: locally_adaptive_loss(x, y).mean()))
        .lower(logits, labels)
        .compile()
    )
    temporary = compiled.memory_analysis().temp_size_in_bytes
    assert temporary <= 4 * logits.size * logits.dtype.itemsize


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
        ({"class_weights": np.ones(4)}, r"4.*5|5.*4"),
        ({"label_smoothing": 1.0}, "1.0"),
        ({"neighbor_weights": np.ones((3, 3))}, "3, 3"),
        ({"where": np.ones((2, 6, 6), bool)}, "2, 6, 6"),
    ],
)
def test_refuses_misuse(getkey, options, culprit):
    logits, labels, _ = random_scene(getkey())
    with pytest.raises(ValueError, match=culprit):
        locally_adaptive_loss(logits, labels, **options)


def test_refuses_arrays_that_do_not_fit(getkey):
    logits, labels, _ = random_scene(getkey())
    with pytest.raises(ValueError, match="2, 6, 6"):
        locally_adaptive_loss(logits, labels[..., :6])
    with pytest.raises(ValueError, match="float64"):
        locally_adaptive_loss(logits, labels.astype(float))
    with pytest.raises(ValueError, match="int64"):
        locally_adaptive_loss(logits.astype(int), labels)
    with pytest.raises(ValueError, match=r"gradient|±1"):
        locally_adaptive_loss(logits[..., :2], labels)
