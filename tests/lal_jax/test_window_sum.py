"""The window sum's implementation can be exchanged, with its derivatives intact."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_derivatives import linear_call

from lal_jax import locally_adaptive_loss, window_sum
from tests import reference
from tests.lal_jax.scenes import LOPSIDED, random_scene
from tests.tolerances import assert_close


def loops(values, marks, weights, stride, dilation):
    """The window sum of images in NumPy loops."""
    values, marks, weights = map(np.asarray, (values, marks, weights))
    total = np.zeros_like(values)
    for q in np.ndindex(marks.shape):
        for place in np.ndindex(weights.shape):
            steps = zip(q[1:], place, weights.shape, dilation, strict=True)
            p = (q[0], *(i + d * (a - size // 2) for i, a, size, d in steps))
            inside = 0 <= p[1] < marks.shape[1] and 0 <= p[2] < marks.shape[2]
            if inside and marks[q] == marks[p] >= 0:
                total[q] += weights[place] * values[p]
    return total[:, ::stride, ::stride]


def kernel_sum(values, marks, weights, stride, dilation):
    """The loops as a kernel opaque to JAX, with its transpose stated."""

    def call(residuals, x, stride=1):
        marks, weights = residuals
        rows, columns = (-(-size // stride) for size in marks.shape[1:])
        shape = jax.ShapeDtypeStruct((len(marks), rows, columns, x.shape[-1]), x.dtype)
        return jax.pure_callback(
            lambda x, marks, weights: loops(x, marks, weights, stride, dilation),
            shape,
            x,
            marks,
            weights,
        )

    def transpose(residuals, cotangents):
        marks, weights = residuals
        return call((marks, weights[::-1, ::-1]), cotangents)

    residuals = (marks, jnp.asarray(weights))
    if stride > 1:
        return call(residuals, values, stride)
    return linear_call(call, transpose, residuals, values)


@pytest.fixture
def kernel_alone(monkeypatch):
    """Chooses the kernel; anything that still uses the slices fails."""

    def unused(*arguments):
        raise AssertionError("the sum of slices ran beside the chosen implementation")

    jitted: Any = window_sum.window_sum
    jitted.clear_cache()  # it keeps the sum it was traced with
    monkeypatch.setattr(window_sum, "_implementation", lambda: kernel_sum)
    monkeypatch.setattr(window_sum, "sum_of_slices", unused)
    yield
    jitted.clear_cache()


@pytest.mark.usefixtures("kernel_alone")
@pytest.mark.parametrize("stride", [1, 2])
def test_another_implementation_serves_every_derivative(rng, stride):
    """Value, reverse and forward mode, and a Hessian's product, with lopsided ω."""
    logits, labels, where = random_scene(rng, (2, 4, 5))
    window = {
        "kernel_size": 3,
        "neighbor_weights": LOPSIDED,
        "stride": stride,
        "dilation": (1, 2),
    }
    arrays = np.asarray(logits), np.asarray(labels)
    options = {**window, "where": np.asarray(where)}

    def loss(x):
        return locally_adaptive_loss(x, labels, where=where, **window)

    @jax.jit
    def everything(x, change):
        losses, pullback = jax.vjp(loss, x)
        (gradient,) = pullback(jnp.ones_like(losses))
        _, derivative = jax.jvp(loss, (x,), (change,))
        _, product = jax.jvp(jax.grad(lambda x: loss(x).sum()), (x,), (change,))
        return losses, gradient, derivative, product

    change = rng.normal(size=logits.shape)
    losses, gradient, derivative, product = everything(logits, jnp.asarray(change))
    expected = reference.locally_adaptive_loss(*arrays, **options)
    assert_close(losses, expected, length=45)
    expected = reference.locally_adaptive_gradient(*arrays, **options)
    assert_close(gradient, expected, length=45)
    slopes = (expected * change).reshape(2, -1).sum(-1)
    np.testing.assert_allclose(derivative, slopes, rtol=1e-11)
    ahead, behind = (
        reference.locally_adaptive_gradient(arrays[0] + step, arrays[1], **options)
        for step in (1e-5 * change, -1e-5 * change)
    )
    np.testing.assert_allclose(product, (ahead - behind) / 2e-5, atol=1e-8)
