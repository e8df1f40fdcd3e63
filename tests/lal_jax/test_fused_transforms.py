"""The fused losses under JAX's transforms, as XLA's form is."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from lal_jax import locally_adaptive_loss
from lal_jax.kernel_switch import VARIABLE
from tests.lal_jax.test_window_losses_kernel import MODE, scene, some_jit
from tests.tolerances import assert_close

SHAPE = (2, 4, 5, 3)

loss = functools.partial(locally_adaptive_loss, kernel_size=(1, 3))


def total(x, y):
    return jnp.sum(loss(x, y))


def second(x, y, direction):
    return jax.jvp(lambda x: jax.grad(total)(x, y), (x,), (direction,))


def scanned(x, y):
    _, losses = jax.lax.scan(lambda carry, pair: (carry, loss(*pair)), 0, (x, y))
    return jnp.sum(losses)


def policy(x, y):
    save = jax.checkpoint_policies.everything_saveable
    return jax.grad(jax.checkpoint(total, policy=save))(x, y)


TRANSFORMS: dict[str, Any] = {
    "jvp": lambda x, y, d: jax.jvp(lambda x: loss(x, y), (x,), (d,)),
    "linearize": lambda x, y, d: jax.linearize(lambda x: loss(x, y), x)[1](d),
    "forward over reverse": second,
    "reverse over forward": lambda x, y, d: jax.grad(
        lambda x: jax.jvp(lambda x: total(x, y), (x,), (d,))[1]
    )(x),
    "reverse over reverse": lambda x, y, d: jax.grad(
        lambda x: jnp.vdot(jax.grad(total)(x, y), d)
    )(x),
    "jacrev": lambda x, y, d: jax.jacrev(loss)(x, y),
    "jacfwd": lambda x, y, d: jax.jacfwd(loss)(x[:1, :1, :2], y[:1, :1, :2]),
    "hessian": lambda x, y, d: jax.hessian(total)(x[:1, :1, :2], y[:1, :1, :2]),
    "remat": lambda x, y, d: jax.grad(jax.checkpoint(total))(x, y),
    "policy": lambda x, y, d: policy(x, y),
    "scan": lambda x, y, d: jax.value_and_grad(scanned)(x, y),
    "vmap": lambda x, y, d: jax.vmap(loss)(x, y),
    "vmap of grad": lambda x, y, d: jax.vmap(jax.grad(total))(x, y),
    "vmap over logits": lambda x, y, d: jax.vmap(jax.grad(total), (0, None))(x, y[0]),
    "vmap over labels": lambda x, y, d: jax.vmap(jax.grad(total), (None, 0))(x[0], y),
    "vmap over another axis": lambda x, y, d: jax.vmap(jax.grad(total), (3, 2), 1)(
        jnp.moveaxis(x, 0, 3), jnp.moveaxis(y, 0, 2)
    ),
    "vmap of jvp": lambda x, y, d: jax.vmap(
        lambda x, d: jax.jvp(lambda x: loss(x, y), (x,), (d,)), in_axes=(None, 0)
    )(x, jnp.stack([d, -d])),
    "vmap of second": lambda x, y, d: jax.vmap(second)(x, y, d),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_under(rng, monkeypatch, name):
    x, y = scene(rng, SHAPE)
    d = jnp.asarray(rng.standard_normal(SHAPE, "float32"))
    monkeypatch.setenv(VARIABLE, MODE)
    traced = some_jit(lambda *given: TRANSFORMS[name](*given)).trace(x, y, d)
    assert "window_losses" in str(traced.jaxpr)
    actual = traced.lower().compile()(x, y, d)
    monkeypatch.setenv(VARIABLE, "off")
    expected = some_jit(lambda *given: TRANSFORMS[name](*given))(x, y, d)
    for ours, theirs in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
        assert_close(ours, theirs, length=27)


def test_without_jit_and_by_shapes_alone(rng, monkeypatch):
    x, y = scene(rng, SHAPE)
    monkeypatch.setenv(VARIABLE, MODE)
    gradient = jax.grad(total)(x, y)
    shape = jax.eval_shape(jax.grad(total), x, y)
    assert (shape.shape, shape.dtype) == (gradient.shape, gradient.dtype)
    monkeypatch.setenv(VARIABLE, "off")
    assert_close(gradient, some_jit(jax.grad(total))(x, y), length=27)


def test_labels_and_a_stopped_gradient_change_nothing(rng, monkeypatch):
    """A zero tangent stays one: no kernel runs for it."""
    x, y = scene(rng, SHAPE)
    monkeypatch.setenv(VARIABLE, MODE)
    still = jax.make_jaxpr(jax.grad(lambda x: total(jax.lax.stop_gradient(x), y)))(x)
    assert "window_losses_change" not in str(still)
    assert "window_losses_gradient" not in str(still)
