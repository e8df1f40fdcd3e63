"""The Lovász-Softmax loss: an extension of the Jaccard loss of sets, ties and edges."""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lal_jax import lovasz_softmax_loss
from tests import reference_overlap
from tests.lal_jax.functions import LOGITS, refuses
from tests.lal_jax.scenes import random_scene
from tests.reference_overlap import jaccard_step
from tests.tolerances import assert_close, tolerance

PIXELS = 5
SUBSETS = [
    set(s) for n in range(PIXELS + 1) for s in itertools.combinations(range(PIXELS), n)
]


@jax.jit
def value_and_slopes(p, targets):
    """The loss of one class, of pixels in a row, and its slope by their errors."""
    loss, slope = jax.value_and_grad(
        lambda p: lovasz_softmax_loss(
            p[:, None],
            targets[:, None],
            activation="none",
            classes="all",
            per_image=False,
        )
    )(p)
    return loss, jnp.where(targets, -slope, slope)


def of_errors(errors, members):
    """The same of the errors, by which pixels are of the class."""
    targets = np.array([i in members for i in range(PIXELS)])
    errors = np.asarray(errors, np.float64)
    loss, slopes = value_and_slopes(np.where(targets, 1 - errors, errors), targets)
    return float(loss), np.asarray(slopes)


def in_order(errors, members, order):
    """Σ m times the steps of Δ, the pixels becoming wrong in that order."""
    sets = [set(order[:n]) for n in range(PIXELS + 1)]
    return sum(
        errors[i] * (jaccard_step(members, after) - jaccard_step(members, before))
        for i, before, after in zip(order, sets[:-1], sets[1:], strict=True)
    )


@pytest.mark.parametrize("members", SUBSETS, ids=str)
def test_it_is_the_lovasz_extension_of_the_jaccard_loss(members, rng):
    """Δ on every set of pixels; the largest sum over all orders in between.

    The latter characterizes the extension of a submodular function.
    """
    for wrong in SUBSETS:
        loss, _ = of_errors([i in wrong for i in range(PIXELS)], members)
        np.testing.assert_allclose(loss, jaccard_step(members, wrong), rtol=1e-15)
    for errors in (rng.uniform(size=PIXELS), rng.integers(4, size=PIXELS) / 4):
        orders = itertools.permutations(range(PIXELS))
        largest = max(in_order(errors, members, order) for order in orders)
        np.testing.assert_allclose(of_errors(errors, members)[0], largest, rtol=1e-14)


@pytest.mark.parametrize("members", SUBSETS, ids=str)
def test_ties(members, rng):
    """Any order of equal errors has the same value; the slopes are a subgradient.

    That is, no set has more than its Δ, all together have theirs, and Σ m g is the
    loss. Equal pixels have equal slopes, and where all errors are equal, all have.
    """
    for _ in range(4):
        errors = rng.integers(3, size=PIXELS) / 4
        loss, slopes = of_errors(errors, members)
        falling = [
            order
            for order in itertools.permutations(range(PIXELS))
            if (np.diff(errors[list(order)]) <= 0).all()
        ]
        values = [in_order(errors, members, order) for order in falling]
        np.testing.assert_allclose(loss, values, rtol=1e-14)
        np.testing.assert_allclose(slopes @ errors, loss, rtol=1e-14)
        for wrong in SUBSETS:
            assert slopes[list(wrong)].sum() <= jaccard_step(members, wrong) + 1e-15
        np.testing.assert_allclose(slopes.sum(), 1.0, rtol=1e-15)
        for i, j in itertools.combinations(range(PIXELS), 2):
            if errors[i] == errors[j] and (i in members) == (j in members):
                assert slopes[i] == slopes[j]
    _, slopes = of_errors([0.5] * PIXELS, members)
    np.testing.assert_allclose(slopes, 1 / PIXELS, rtol=1e-15)


def test_the_gradient_of_equal_pixels_turns_with_the_image(rng):
    """Of logits of four values, which a head's bfloat16 or zeros bring about."""
    logits, labels, _ = random_scene(rng)
    logits = jnp.round(logits / 4)
    gradient = jax.jit(jax.grad(lambda x, y: lovasz_softmax_loss(x, y).sum()))
    turned = gradient(logits[:, ::-1, ::-1], labels[:, ::-1, ::-1])
    assert_close(turned[:, ::-1, ::-1], gradient(logits, labels), length=42)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_void_changes_no_digit_of_the_slopes(dtype, rng):
    """Of errors that are 0, too, beside which that of an ignored pixel could stand."""
    labels = rng.integers(3, size=(1, 4, 6))
    p = np.round(rng.dirichlet(np.ones(4) / 4, (1, 4, 6)), 1)
    p[:, 0] = np.eye(4)[labels[:, 0]]  # right
    p[..., 3] = 0.0  # of a class that is absent
    p, labels = jnp.asarray(p, dtype), jnp.asarray(labels)
    loss = functools.partial(lovasz_softmax_loss, activation="none", classes="all")
    both = jax.jit(jax.value_and_grad(lambda p, y: loss(p, y).sum()))
    wanted, slopes = both(p, labels)
    for filling in (0.0, 1.0, np.nan, np.inf, -np.inf):
        more = jnp.concatenate([p, jnp.full_like(p, filling)], axis=2)
        with_void = jnp.concatenate([labels, jnp.full_like(labels, 255)], axis=2)
        actual, gradient = both(more, with_void)
        assert_close(actual, wanted, length=48)
        np.testing.assert_array_equal(gradient[:, :, :6], slopes)
        assert not gradient[:, :, 6:].any()


def test_an_absent_class_costs_its_largest_probability():
    labels = jnp.zeros((1, 3), int)
    p = jnp.array([[[1.0, 0.25, 0.0], [1.0, 0.5, 0.0], [1.0, 0.5, 0.0]]])
    loss = functools.partial(lovasz_softmax_loss, labels=labels, activation="none")
    both = jax.jit(jax.value_and_grad(functools.partial(loss, classes="all")))
    value, gradient = both(p)
    np.testing.assert_allclose(value, 0.5 / 3)
    np.testing.assert_allclose(gradient[0, :, 1], np.array([0, 0.5, 0.5]) / 3)
    np.testing.assert_allclose(gradient[0, :, 2], 1 / 9)  # shared by all that are 0
    assert jax.jit(loss)(p) == 0  # only class 0 is present


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_steps_keep_their_digits(dtype):
    """Of 65,536 pixels a step is some 1e-5: a difference of Δ would lose 5 of 7."""
    size = 2**16
    errors = np.arange(size, 0, -1) / 2**17  # falling, exact, and so is 1 − m
    member = np.arange(size) % 2 == 1
    p = jnp.asarray(np.where(member, 1 - errors, errors)[:, None], dtype)
    options: Any = {"activation": "none", "per_image": False}
    slope = jax.jit(jax.grad(functools.partial(lovasz_softmax_loss, **options)))
    missed = np.cumsum(member) - member
    union = size / 2 + np.arange(size) - missed
    steps = np.where(member, -1 / union, (size / 2 - missed) / union / (union + 1))
    actual = slope(p, member[:, None])[:, 0]
    np.testing.assert_allclose(actual, steps, rtol=tolerance(dtype))


@pytest.mark.parametrize("shape", [(12,), (2, 3, 4)], ids=["sequence", "volume"])
def test_pixels_in_any_shape(shape, rng):
    """One loss in all, mapped over; or an image, with the axes of a volume merged."""
    logits, labels, where = random_scene(rng, (2, *shape))

    def loss(x, y, w):
        return lovasz_softmax_loss(x, y, where=w, per_image=False)

    losses = jax.jit(jax.vmap(loss))(logits, labels, where)
    for n in range(2):
        x, y, w = (np.asarray(array[n]) for array in (logits, labels, where))
        wanted = reference_overlap.lovasz_softmax_loss(x, y, per_image=False, where=w)
        assert_close(losses[n], wanted, length=24)
    as_image = (2, shape[0], math.prod(shape[1:]))
    merged = jax.jit(lambda x, y, w: lovasz_softmax_loss(x, y, where=w))(
        logits.reshape(*as_image, -1), labels.reshape(as_image), where.reshape(as_image)
    )
    assert_close(merged, losses, length=24)


def test_probabilities_that_round_to_more_than_one_are_no_gain():
    p = jnp.array([[[1.0 + 1e-7, -1e-7], [-0.0, 1.0 + 1e-7]]], "float32")
    loss = functools.partial(lovasz_softmax_loss, labels=jnp.array([[0, 1]]))
    both = jax.jit(jax.value_and_grad(functools.partial(loss, activation="none")))
    value, gradient = both(p)
    assert value == 0 and jnp.isfinite(gradient).all()


def test_soft_targets_are_refused_by_name():
    for targets in (LOGITS, LOGITS.astype(np.float32)):
        with refuses("boolean targets", targets.dtype, "(2, 6, 7, 5)", "squared=True"):
            lovasz_softmax_loss(LOGITS, targets)


@pytest.mark.parametrize("axis", [0, 1])
def test_pixels_of_a_batch_on_several_devices(axis, rng):
    """Explicit axes need `jax.sharding.auto_axes`, since a sort gathers its rows."""
    logits, labels, _ = random_scene(rng, (4, 8, 3))
    spec = PartitionSpec(*[None] * axis, "shards")
    wanted = reference_overlap.lovasz_softmax_loss(
        np.asarray(logits), np.asarray(labels), per_image=False
    )
    loss = functools.partial(lovasz_softmax_loss, per_image=False)
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((4,), ("shards",), axis_types=(kind,))
        arrays = jax.device_put((logits, labels), NamedSharding(mesh, spec))
        with jax.set_mesh(mesh):
            if kind == AxisType.Auto:
                gathered = loss
            else:
                gathered = jax.sharding.auto_axes(loss, out_sharding=PartitionSpec())
            assert_close(jax.jit(gathered)(*arrays), wanted, length=96)
