import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import chessboard_weights, selective_pool
from tests import reference
from tests.lal_jax.scenes import DTYPES, KERNELS, LOPSIDED, random_scene
from tests.tolerances import assert_close


def test_chessboard_weights_of_the_paper():
    weights = chessboard_weights(5)
    assert isinstance(weights, np.ndarray)
    np.testing.assert_array_equal(
        weights,
        [
            [0.5, 0.5, 0.5, 0.5, 0.5],
            [0.5, 1.0, 1.0, 1.0, 0.5],
            [0.5, 1.0, 2.0, 1.0, 0.5],
            [0.5, 1.0, 1.0, 1.0, 0.5],
            [0.5, 0.5, 0.5, 0.5, 0.5],
        ],
    )


@pytest.mark.parametrize("kernel_size", [*KERNELS, (5, 3), (1, 7), (9, 9)])
def test_chessboard_weights_equal_reference(kernel_size):
    expected = reference.chessboard_weights(kernel_size)
    np.testing.assert_array_equal(chessboard_weights(kernel_size), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", KERNELS)
def test_equals_reference(rng, kernel_size, stride, dtype):
    predictions, labels, where = random_scene(rng, dtype=dtype)
    options = {"kernel_size": kernel_size, "stride": stride}
    actual = jax.jit(lambda x: selective_pool(x, labels, where=where, **options))(
        predictions
    )
    assert actual.dtype == dtype
    expected = reference.selective_pool(
        np.asarray(predictions), np.asarray(labels), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=np.prod(kernel_size))


@pytest.mark.parametrize("normalizer", ["count", "weights"])
def test_own_neighbor_weights_equal_reference(rng, normalizer):
    predictions, labels, _ = random_scene(rng)
    options = {
        "kernel_size": 3,
        "neighbor_weights": LOPSIDED,
        "normalizer": normalizer,
        "ignore_label": 1,
    }
    actual = selective_pool(predictions, labels, **options)
    expected = reference.selective_pool(
        np.asarray(predictions), np.asarray(labels), **options
    )
    assert_close(actual, expected, length=9)


@pytest.mark.parametrize(
    "shape", [(1, 6), (6, 1), (1, 1), (2, 3), (2, 1, 3, 4, 5), (0, 4, 5)]
)
def test_shapes_equal_reference(rng, shape):
    """Windows larger than the image, any leading axes, an empty batch."""
    predictions, labels, where = random_scene(rng, shape)
    options: dict[str, Any] = {"kernel_size": 7, "stride": 2}
    actual = jax.jit(lambda x: selective_pool(x, labels, where=where, **options))(
        predictions
    )
    expected = reference.selective_pool(
        np.asarray(predictions), np.asarray(labels), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=49)


def test_zero_weights_divide_nothing_by_zero():
    """A lone pixel whose center weight is zero has Σω = 0 and pools to zero."""
    ring = np.ones((3, 3))
    ring[1, 1] = 0
    pooled, pullback = jax.vjp(
        lambda x: selective_pool(
            x,
            jnp.arange(4).reshape(2, 2),
            kernel_size=3,
            neighbor_weights=ring,
            normalizer="weights",
        ),
        jnp.ones((2, 2, 4)),
    )
    assert not pooled.any()
    assert not pullback(pooled)[0].any()


def test_void_is_neither_center_nor_neighbor(rng):
    predictions, labels, where = random_scene(rng)
    void = (labels == 255) | ~where
    for poison in (jnp.nan, jnp.inf, -jnp.inf):
        poisoned = jnp.where(void[..., None], poison, predictions)
        pooled = selective_pool(poisoned, labels, where=where)
        clean = selective_pool(predictions, labels, where=where)
        np.testing.assert_array_equal(pooled, clean)
        assert not pooled[void].any()


@pytest.mark.parametrize("kernel_size", [5, (3, 5)])
def test_unnormalized_sum_is_self_adjoint(rng, kernel_size):
    """⟨Sx, y⟩ = ⟨x, Sy⟩ for S = ξ·f, on which the closed-form gradient rests."""
    x, labels, where = random_scene(rng)
    y = jnp.asarray(rng.normal(size=x.shape))
    center = np.where(chessboard_weights(kernel_size) == 2, 1.0, 0.0)

    def pool(z, neighbor_weights=None):
        return selective_pool(
            z,
            labels,
            kernel_size=kernel_size,
            neighbor_weights=neighbor_weights,
            where=where,
        )

    inverse_count = pool(jnp.ones_like(x), center)  # 1/ξ, and 0 at void
    count = jnp.where(inverse_count > 0, 1 / inverse_count, 0)
    assert_close(
        jnp.vdot(count * pool(x), y), jnp.vdot(x, count * pool(y)), length=x.size
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(rng, dtype):
    predictions, labels, _ = random_scene(rng, dtype=dtype)
    actual = selective_pool(predictions, labels)
    assert actual.dtype == "float32"
    expected = reference.selective_pool(np.asarray(predictions), np.asarray(labels))
    assert_close(actual, expected, length=25)


@pytest.mark.parametrize("kernel_size", [0, 4, -3, (3, 2), (0, 3)])
def test_refuses_kernels_without_a_center(kernel_size):
    with pytest.raises(ValueError, match="got " + re.escape(str(kernel_size))):
        chessboard_weights(kernel_size)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"kernel_size": 4}, "4"),
        ({"stride": 0}, "0"),
        ({"stride": -2}, "-2"),
        ({"normalizer": "sum"}, "sum"),
        ({"kernel_size": 3, "neighbor_weights": np.ones((3, 5))}, "3, 5"),
        ({"kernel_size": 3, "neighbor_weights": np.ones(9)}, "9"),
        ({"where": np.ones((2, 6, 6), bool)}, "2, 6, 6"),
    ],
)
def test_refuses_misuse(rng, options, culprit):
    predictions, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match=f"got .*{culprit}"):
        selective_pool(predictions, labels, **options)


def test_refuses_arrays_that_do_not_fit(rng):
    predictions, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match="got .*2, 6, 6"):
        selective_pool(predictions, labels[..., :6])
    with pytest.raises(ValueError, match="got .*float64"):
        selective_pool(predictions, labels.astype(float))
    with pytest.raises(ValueError, match="got .*int64"):
        selective_pool(predictions.astype(int), labels)
