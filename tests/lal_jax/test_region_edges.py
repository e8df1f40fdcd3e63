"""The losses of windows and skeletons where there is little of either, and misuse."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lal_jax import cl_dice_loss, region_mutual_information_loss
from tests.lal_jax.effort import losses_and_gradient
from tests.lal_jax.functions import LABELS, LOGITS, REGIONS, every, refuses
from tests.lal_jax.scenes import random_scene


@every(REGIONS)
def test_a_label_that_does_not_count_is_as_where(function, rng):
    """One out of range, and each of several that are ignored."""
    logits, labels, _ = random_scene(rng)
    outside = jnp.asarray(rng.uniform(size=labels.shape) < 0.2)
    wanted = losses_and_gradient(function, logits, labels, ~outside)
    assert wanted[0].all() and not wanted[1][outside].any()
    ignored: Any = {"ignore_label": (255, 4, -3)}
    for stray, options in ((77, {}), (-1, {}), (5, {}), (4, ignored), (-3, ignored)):
        strays = jnp.where(outside, stray, labels)
        actual = losses_and_gradient(function, logits, strays, **options)
        for one, other in zip(actual, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


@every(REGIONS)
def test_nothing_to_average_over_is_zero(function, rng):
    """No valid pixel, no pixel at all, no image, targets of no class, weights of 0."""
    logits, labels, _ = random_scene(rng)
    nowhere = jnp.zeros(labels.shape, bool)
    cases: list[tuple[Any, ...]] = [
        (logits, labels, nowhere, {}),
        (logits, labels, nowhere, {"per_image": False}),
        (logits[:, :0], labels[:, :0], None, {}),
        (logits[:0], labels[:0], None, {"per_image": False}),
        (logits, jnp.zeros(logits.shape, bool), None, {}),
        (logits, labels, None, {"class_weights": (0.0,) * 5}),
    ]
    for x, y, where, options in cases:
        losses, gradient = losses_and_gradient(function, x, y, where, **options)
        assert losses.shape == (() if "per_image" in options else x.shape[:1])
        assert not losses.any() and not gradient.any()


@every(REGIONS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_a_bad_number_is_not_hidden(function, activation, rng):
    """Not even of a class that is absent and does not count in the average."""
    _, labels, _ = random_scene(rng)
    logits = jnp.asarray(rng.uniform(size=(*labels.shape, 5)))
    losses, _ = losses_and_gradient(
        function,
        logits.at[0, 2, 3, 4].set(jnp.nan),
        labels.at[:, 1:4, 2:5].set(1),
        activation=activation,
    )
    assert jnp.isnan(losses[0]) and jnp.isfinite(losses[1])


@every(REGIONS)
def test_any_leading_axes_and_one_image(function, rng):
    logits, labels, _ = random_scene(rng, (2, 3, 4, 5))
    losses, _ = losses_and_gradient(function, logits, labels)
    assert losses.shape == (2, 3)
    one, _ = losses_and_gradient(function, logits[1, 2], labels[1, 2])
    assert one.shape == ()
    np.testing.assert_allclose(one, losses[1, 2], rtol=1e-10)
    flat = logits.reshape(6, 4, 5, 5), labels.reshape(6, 4, 5)
    whole, _ = losses_and_gradient(function, logits, labels, per_image=False)
    joined, _ = losses_and_gradient(function, *flat, per_image=False)
    np.testing.assert_allclose(whole, joined, rtol=1e-10)


@every(REGIONS)
def test_large_images_in_single_precision(function, rng):
    """A region of a hundredth of the image, and predictions that are mostly right."""
    rows, columns = np.indices((192, 192))
    labels = jnp.asarray((rows - 90) ** 2 + (columns - 70) ** 2 < 100, int)[None]
    logits = rng.normal(size=(1, 192, 192, 2)) + 8 * np.eye(2)[labels]
    double, slope = losses_and_gradient(function, jnp.asarray(logits), labels)
    single, gradient = losses_and_gradient(
        function, jnp.asarray(logits, "float32"), labels
    )
    np.testing.assert_allclose(single, double, rtol=1e-5)
    distance = np.linalg.norm(np.asarray(gradient, np.float64) - slope)
    assert distance < 1e-4 * np.linalg.norm(slope)


COLLECTIVE = re.compile("all-(gather|to-all)|collective-permute")


@every(REGIONS)
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_the_loss_of_a_batch_shards_by_sums(function, kind, rng):
    logits, labels, _ = random_scene(rng, (4, 6, 3))
    mesh = jax.make_mesh((4,), ("shards",), axis_types=(kind,))
    sharding = NamedSharding(mesh, PartitionSpec("shards"))
    arrays = jax.device_put((logits, labels), sharding)
    loss = functools.partial(function, per_image=False)
    both: Any = jax.jit(jax.value_and_grad(loss))
    with jax.set_mesh(mesh):
        compiled = both.lower(*arrays).compile()
        actual = compiled(*arrays)
    assert "all-reduce" in compiled.as_text()
    assert not COLLECTIVE.search(compiled.as_text())
    wanted = losses_and_gradient(function, logits, labels, per_image=False)
    for one, other in zip(actual, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_blocks_of_a_batch_on_explicit_devices(rng):
    logits, labels, _ = random_scene(rng, (4, 18, 21))
    loss = functools.partial(region_mutual_information_loss, radius=2, downsampling=4)
    both = jax.jit(jax.value_and_grad(lambda x, y: loss(x, y).mean()))
    wanted = both(logits, labels)
    mesh = jax.make_mesh((4,), ("shards",), axis_types=(AxisType.Explicit,))
    sharding = NamedSharding(mesh, PartitionSpec("shards"))
    with jax.set_mesh(mesh):
        actual = both(*jax.device_put((logits, labels), sharding))
    assert float(wanted[0]) > 0
    for one, other in zip(actual, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@every(REGIONS)
def test_targets_and_shapes_that_do_not_fit(function):
    onehot: Any = np.eye(5, dtype=np.uint8)[LABELS]
    with refuses("or be floating point or boolean targets", "uint8", "argmax", "bool)"):
        function(LOGITS, onehot, activation="sigmoid")
    with refuses("one class needs", "(2, 6, 7, 1)", "activation='softmax'"):
        function(LOGITS[..., :1], LOGITS[..., :1] > 0)
    with refuses("activation must be 'softmax' or 'sigmoid' or 'none'", "got 'relu'"):
        function(LOGITS, LABELS, activation="relu")
    with refuses("per_image must be True or False", "got 1"):
        function(LOGITS, LABELS, per_image=1)
    for per_image in (True, False):
        with refuses("[..., height, width, classes]", "got (7, 5)"):
            function(LOGITS[0, 0], LABELS[0, 0], per_image=per_image)


def test_own_options_out_of_range():
    of_windows: Any = region_mutual_information_loss
    for name in ("radius", "downsampling"):
        for value in (0, -2, 1.5, None, "3"):
            with refuses(f"{name} must be an integer of at least 1", f"got {value!r}"):
                of_windows(LOGITS, LABELS, **{name: value})
    of_lines: Any = cl_dice_loss
    for value in (-1, 2.0, None):
        with refuses("iterations must be an integer of at least 0", f"got {value!r}"):
            of_lines(LOGITS, LABELS, iterations=value)
    for smooth in (-1, float("nan"), float("inf")):
        with refuses("smooth must be", "at least 0", f"got {smooth}"):
            of_lines(LOGITS, LABELS, smooth=smooth)
    for axes in (1, 4, 2.5, "3", None):
        with refuses("spatial_axes must be 2", "3 for volumes", f"got {axes!r}"):
            of_lines(LOGITS, LABELS, spatial_axes=axes)
    with refuses("[..., depth, height, width, classes]", "got (6, 7, 5)"):
        of_lines(LOGITS[0], LABELS[0], spatial_axes=3)
    with refuses("classes must be 'present' or 'all'", "got 5"):
        of_lines(LOGITS, LABELS, classes=5)
