"""Every loss under JAX's transforms, and sharded over devices."""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lal_jax
from tests import reference
from tests.lal_jax.quick import quick_jit
from tests.lal_jax.scenes import LOPSIDED
from tests.tolerances import assert_close

IMAGES, HEIGHT, WIDTH, CLASSES = SHAPE = (4, 8, 6, 4)
TERMS = 5 * 5 * CLASSES * HEIGHT * WIDTH
CENTERS = np.cos(np.arange(CLASSES * CLASSES)).reshape(CLASSES, CLASSES)
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0])
TARGETS: dict[str, Any] = {"class_weights": CLASS_WEIGHTS, "label_smoothing": 0.1}
# A column, since every place is compiled for every test, and columns cross the shards.
COLUMN: dict[str, Any] = {"kernel_size": (3, 1), "neighbor_weights": LOPSIDED[:, :1]}


class Loss(NamedTuple):
    """A loss of logits and labels, and the same by NumPy's loops."""

    function: Callable[[Any, Any], Any]
    expected: Callable[[Any, Any], Any]


def same(compute: Callable[[Any, Any, Any], Any]) -> Loss:
    """A loss whose functions have the same names in the library and the reference."""
    return Loss(
        functools.partial(compute, lal_jax), functools.partial(compute, reference)
    )


def squares(x: Any) -> Any:
    """Stand-in losses, for functions of losses."""
    return (x**2).sum(-1)


def valid(y: Any) -> Any:
    return y != 255


def as_volume(x: Any, y: Any) -> tuple[Any, Any]:
    """Every row of six as three rows of two."""
    return x.reshape(*y.shape[:-1], 3, 2, x.shape[-1]), y.reshape(*y.shape[:-1], 3, 2)


LOSSES = {
    "locally_adaptive": same(
        lambda lib, x, y: lib.locally_adaptive_loss(x, y, kernel_size=3)
    ),
    "with stride and targets": same(
        lambda lib, x, y: lib.locally_adaptive_loss(x, y, stride=2, **COLUMN, **TARGETS)
    ),
    "on sequences": same(
        lambda lib, x, y: lib.locally_adaptive_loss(x, y, kernel_size=(3,))
    ),
    "on volumes": same(
        lambda lib, x, y: lib.locally_adaptive_loss(
            *as_volume(x, y), kernel_size=(3, 1, 1)
        )
    ),
    "with hard_pixel_mean": Loss(
        lambda x, y: lal_jax.locally_adaptive_loss(
            x, y, **COLUMN, pool=lal_jax.hard_pixel_mean
        ),
        lambda x, y: reference.hard_pixel_mean(
            reference.selective_cross_entropy(x, y, **COLUMN), where=valid(y)
        ),
    ),
    "with loss_max_pooling": Loss(
        lambda x, y: lal_jax.locally_adaptive_loss(
            x, y, **COLUMN, pool=lal_jax.loss_max_pooling
        ),
        lambda x, y: reference.loss_max_pooling(
            reference.selective_cross_entropy(x, y, **COLUMN), where=valid(y)
        ),
    ),
    "locally_adaptive_gradient": Loss(
        lambda x, y: lal_jax.gradients.locally_adaptive_gradient(
            x, y, **COLUMN, **TARGETS
        ),
        lambda x, y: reference.locally_adaptive_gradient(x, y, **COLUMN, **TARGETS),
    ),
    "selective_pool": same(lambda lib, x, y: lib.selective_pool(x, y, **COLUMN)),
    "selective_cross_entropy": same(
        lambda lib, x, y: lib.selective_cross_entropy(x, y, **COLUMN)
    ),
    "softmax_cross_entropy": same(
        lambda lib, x, y: lib.softmax_cross_entropy(x, y, **TARGETS)
    ),
    "focal_loss": same(
        lambda lib, x, y: lib.focal_loss(x, y, class_weights=CLASS_WEIGHTS)
    ),
    "center_loss": same(lambda lib, x, y: lib.center_loss(x, y, CENTERS)),
    "update_centers": same(lambda lib, x, y: lib.update_centers(CENTERS, x, y)),
    "standard_score": same(lambda lib, x, y: lib.standard_score(x)),
    "masked_mean": same(lambda lib, x, y: lib.masked_mean(squares(x), where=valid(y))),
    "minkowski_mean": same(
        lambda lib, x, y: lib.minkowski_mean(squares(x), where=valid(y))
    ),
    "hard_pixel_mean": same(
        lambda lib, x, y: lib.hard_pixel_mean(squares(x), where=valid(y))
    ),
    "loss_max_pooling": same(
        lambda lib, x, y: lib.loss_max_pooling(squares(x), where=valid(y))
    ),
    "weighted_ensemble": Loss(
        lambda x, y: lal_jax.weighted_ensemble([x, x**2], [1.0, 3.0]),
        lambda x, y: (x + 3 * x**2) / 4,
    ),
}
# Adds up over the whole batch, and lets no gradient through.
OVER_THE_BATCH = "update_centers"
# Their weights are constants in the gradient, which is exact in its value alone.
FIRST_DERIVATIVE_ONLY = ["with loss_max_pooling", "loss_max_pooling"]
DIFFERENTIABLE = [name for name in LOSSES if name != OVER_THE_BATCH]
every_loss = pytest.mark.parametrize("name", LOSSES)


@functools.cache
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels, some of them ignored."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES - 1, size=SHAPE[:-1])
    labels[rng.uniform(size=labels.shape) < 0.1] = 255
    return rng.normal(size=SHAPE), labels


def value_and_gradient(function: Callable[..., jax.Array]) -> Callable[..., Any]:
    """Maps logits and labels to the losses and the gradient of Σ sin(losses).

    Sines, since the sum of standard scores and that of their squares are constants.
    """

    def objective(x, y):
        losses = function(x, y)
        return jnp.sum(jnp.sin(losses)), losses

    def both(x, y):
        gradient, losses = jax.grad(objective, has_aux=True)(x, y)
        return losses, gradient

    return both


@functools.cache
def compiled(name: str) -> Callable[..., tuple[jax.Array, jax.Array]]:
    return quick_jit(value_and_gradient(LOSSES[name].function))


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
    "remat": lambda loss: quick_jit(value_and_gradient(jax.checkpoint(loss))),
    "vmap": lambda loss: quick_jit(value_and_gradient(jax.vmap(loss))),
    "scan": lambda loss: quick_jit(value_and_gradient(scan(loss))),
    "vmap of grad": lambda loss: quick_jit(jax.vmap(value_and_gradient(loss))),
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
    losses, gradient = both(*(jnp.asarray(array[0]) for array in batch()))
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

    @quick_jit
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

    def gradient(x):
        return value_and_gradient(LOSSES[name].function)(x, labels)[1]

    @quick_jit
    def gradient_and_hessian(x):
        return gradient(x), jax.jacfwd(gradient)(x)

    _, hessian = gradient_and_hessian(logits)
    matrix = np.reshape(hessian, (logits.size, logits.size))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-11)
    if name not in FIRST_DERIVATIVE_ONLY:
        step = 1e-5 * rng.normal(size=logits.shape)
        ahead, behind = (
            gradient_and_hessian(logits + side * step)[0] for side in (1, -1)
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
    both = quick_jit(value_and_gradient(LOSSES[name].function))
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
