"""Every loss under JAX's transforms, and sharded over devices."""

import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lal_jax import locally_adaptive_loss, softmax_cross_entropy
from tests.lal_jax.effort import compilations, full_jit
from tests.lal_jax.losses import (
    DIFFERENTIABLE,
    FIRST_DERIVATIVE_ONLY,
    IMAGES,
    LOSSES,
    OVER_THE_BATCH,
    SHAPE,
    TERMS,
    batch,
    compiled,
    value_and_gradient,
)
from tests.lal_jax.scenes import random_scene
from tests.tolerances import assert_close

every_loss = pytest.mark.parametrize("name", LOSSES)


@functools.cache
def expected_losses(name: str, *, image_by_image: bool = False) -> np.ndarray:
    logits, labels = batch()
    if not image_by_image:
        return LOSSES[name].expected(logits, labels)
    pairs = zip(logits, labels, strict=True)
    return np.stack([LOSSES[name].expected(x, y) for x, y in pairs])


@functools.cache
def gradient_of(name: str) -> np.ndarray:
    """Image by image, outside any other transform."""
    both = value_and_gradient(LOSSES[name].function)
    return np.stack(
        [both(x, y)[1] for x, y in zip(*map(jnp.asarray, batch()), strict=True)]
    )


def scan(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    return lambda x, y: jax.lax.map(lambda image: function(*image), (x, y))


TRANSFORMS: dict[str, Callable[..., Callable[..., Any]]] = {
    "remat": lambda loss: jax.jit(value_and_gradient(jax.checkpoint(loss))),
    "vmap": lambda loss: jax.jit(value_and_gradient(jax.vmap(loss))),
    "scan": lambda loss: jax.jit(value_and_gradient(scan(loss))),
    "vmap of grad": lambda loss: jax.jit(jax.vmap(value_and_gradient(loss))),
}
IMAGE_BY_IMAGE = ["vmap", "scan", "vmap of grad"]


@every_loss
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_value_and_gradient_under(transform, name):
    losses, gradient = TRANSFORMS[transform](LOSSES[name].function)(*batch())
    expected = expected_losses(name, image_by_image=transform in IMAGE_BY_IMAGE)
    assert_close(losses, expected, length=TERMS)
    assert_close(gradient, gradient_of(name), length=TERMS)


@every_loss
def test_value_and_gradient_under_jit(name):
    losses, gradient = compiled(name)(*map(jnp.asarray, batch()))
    assert_close(losses, expected_losses(name), length=TERMS)
    assert_close(gradient, gradient_of(name), length=TERMS)


@every_loss
def test_value_and_gradient_without_jit(name):
    both = value_and_gradient(LOSSES[name].function)
    image = [jnp.asarray(array[0]) for array in batch()]
    both(*image)
    with compilations() as compiled:  # which would take far longer than the loss
        losses, gradient = both(*image)
    assert not compiled
    assert_close(losses, expected_losses(name, image_by_image=True)[0], length=TERMS)
    assert_close(gradient, gradient_of(name)[0], length=TERMS)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_equals_the_differences_of_the_reference(name, rng):
    logits, labels = batch()
    step = 1e-5 * rng.normal(size=SHAPE)
    ahead, behind = (
        np.sin(LOSSES[name].expected(logits + side * step, labels)) for side in (1, -1)
    )
    difference = (ahead - behind).reshape(IMAGES, -1).sum(-1) / 2
    product = (gradient_of(name) * step).reshape(IMAGES, -1).sum(-1)
    np.testing.assert_allclose(difference, product, rtol=1e-6)


def test_no_gradient_flows_through_the_centers():
    assert not gradient_of(OVER_THE_BATCH).any()


@every_loss
def test_forward_mode_equals_reverse_mode(name, rng):
    tangent = rng.normal(size=SHAPE)
    logits, labels = batch()

    @jax.jit
    def derivative(x, change):
        def objective(x):
            return jnp.sum(jnp.sin(LOSSES[name].function(x, labels)))

        return jax.jvp(objective, (x,), (change,))[1]

    expected = np.vdot(gradient_of(name), tangent)
    np.testing.assert_allclose(derivative(logits, tangent), expected, rtol=1e-11)


@every_loss
def test_hessian(name, rng):
    """The Hessian is symmetric; times a step it is the change of the gradient."""
    logits, labels = (array[0, :2] for array in batch())

    def gradient_twice(x):
        gradient = value_and_gradient(LOSSES[name].function)(x, labels)[1]
        return gradient, gradient

    hessian_and_gradient = jax.jit(jax.jacfwd(gradient_twice, has_aux=True))
    hessian, _ = hessian_and_gradient(logits)
    matrix = np.reshape(hessian, (logits.size, logits.size))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-11)
    if name not in FIRST_DERIVATIVE_ONLY:
        step = 1e-5 * rng.normal(size=logits.shape)
        ahead, behind = (
            hessian_and_gradient(logits + side * step)[1] for side in (1, -1)
        )
        difference = np.ravel(ahead - behind) / 2
        np.testing.assert_allclose(matrix @ step.ravel(), difference, atol=1e-11)


LAYOUTS = {
    "batch over Auto axes": (AxisType.Auto, PartitionSpec("shards")),
    "batch over Explicit axes": (AxisType.Explicit, PartitionSpec("shards")),
    "height over Auto axes": (AxisType.Auto, PartitionSpec(None, "shards")),
}
SHARED = ["with stride and targets", OVER_THE_BATCH]
COLLECTIVE = re.compile("all-(gather|reduce|to-all)|collective-permute")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shards", "name"), [*((4, name) for name in LOSSES), *((2, n) for n in SHARED)]
)
def test_sharded(shards, name, layout):
    """As on one device; sharded by image, each loss is on its image's device.

    On two devices, which hold two images each, two losses suffice.
    """
    kind, spec = LAYOUTS[layout]
    devices = jax.devices("cpu")[:shards]
    mesh = jax.make_mesh((shards,), ("shards",), axis_types=(kind,), devices=devices)
    arrays = jax.device_put(batch(), NamedSharding(mesh, spec))
    both: Any = jax.jit(value_and_gradient(LOSSES[name].function))
    with jax.set_mesh(mesh):
        compiled = both.lower(*arrays).compile()
        losses, gradient = compiled(*arrays)
    assert_close(losses, expected_losses(name), length=TERMS)
    assert_close(gradient, gradient_of(name), length=TERMS)
    if name == OVER_THE_BATCH:
        assert set(COLLECTIVE.findall(compiled.as_text())) == {"reduce"}
        return
    assert gradient.sharding.is_equivalent_to(arrays[0].sharding, gradient.ndim)
    if "batch" in layout:
        assert losses.sharding.shard_shape(losses.shape)[0] == IMAGES // shards
        assert not COLLECTIVE.search(compiled.as_text())


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("loss", [softmax_cross_entropy, locally_adaptive_loss])
def test_classes_are_divided(rng, loss, kind):
    """As the last layer of a large network may leave them."""
    logits, labels, _ = random_scene(rng, (2, 5, 6), classes=8)
    expected = value_and_gradient(loss)(logits, labels)
    mesh = jax.make_mesh((4,), ("shards",), axis_types=(kind,))
    by_class = NamedSharding(mesh, PartitionSpec(None, None, None, "shards"))
    logits = jax.device_put(logits, by_class)
    labels = jax.device_put(labels, NamedSharding(mesh, PartitionSpec()))
    with jax.set_mesh(mesh):
        losses, gradient = full_jit(value_and_gradient(loss))(logits, labels)
    assert_close(losses, expected[0], length=8 * 25)
    assert_close(gradient, expected[1], length=8 * 25)
    assert gradient.sharding.is_equivalent_to(by_class, gradient.ndim)
