"""The losses of drawn pixels where little is drawn, of any features, and divided."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lal_jax import pixel_contrast_loss, pixel_triplet_loss
from tests.lal_jax.effort import losses_and_gradient
from tests.lal_jax.functions import DRAWN, LABELS, LOGITS, every, refuses
from tests.lal_jax.scenes import random_scene

DEPTH = 5
LARGEST = float(np.finfo(np.float32).max)


@every(DRAWN)
def test_nothing_to_compare_is_zero(function, rng):
    """No valid pixel, no pixel, no image, a single one, as many classes as pixels."""
    features, labels, _ = random_scene(rng, classes=DEPTH)
    lone = jnp.full(labels.shape, 255).at[:, 2, 3].set(1)
    other = jnp.arange(labels.size).reshape(labels.shape) + 300
    cases: list[tuple[Any, ...]] = [
        (features, jnp.full(labels.shape, 255), {}),
        (features, jnp.full(labels.shape, 255), {"per_image": False}),
        (features[:, :0], labels[:, :0], {}),
        (features[:0], labels[:0], {"per_image": False}),
        (features[:0], labels[:0], {}),
        (features, lone, {}),
        (features, other, {}),
        (features, jnp.zeros(labels.shape, int), {}),
        (features, labels, {"samples": 1}),
    ]
    for x, y, options in cases:
        losses, gradient = losses_and_gradient(function, x, y, **options)
        assert losses.shape == (() if "per_image" in options else x.shape[:1])
        assert not losses.any() and not gradient.any()
        assert gradient.shape == x.shape


@every(DRAWN)
def test_an_image_of_one_class_leaves_others_alone(function, rng):
    features, labels, _ = random_scene(rng, classes=DEPTH)
    mixed = losses_and_gradient(function, features, labels)
    losses, gradient = losses_and_gradient(function, features, labels.at[0].set(2))
    assert losses[0] == 0 and not gradient[0].any()
    np.testing.assert_array_equal(losses[1], mixed[0][1])
    np.testing.assert_array_equal(gradient[1], mixed[1][1])


def test_one_class_spreads_if_positives_are_in_the_denominator(rng):
    features, labels, _ = random_scene(rng, classes=DEPTH)
    losses, gradient = losses_and_gradient(
        DRAWN["pixel_contrast_loss"], features, 0 * labels, denominator="all"
    )
    assert (losses >= np.log(41)).all() and gradient.any()


@every(DRAWN)
def test_any_finite_features_have_finite_losses_and_gradients(function, rng):
    scene = random_scene(rng, classes=DEPTH, dtype="float32")
    features, labels = map(np.asarray, scene[:2])
    plain, _ = losses_and_gradient(function, features, labels)
    for size in (1e-42, 1e-30, 1e-16, 1e18, LARGEST):
        scaled = features / np.abs(features).max() * np.float32(size)
        losses, gradient = losses_and_gradient(function, scaled, labels)
        assert jnp.isfinite(losses).all() and jnp.isfinite(gradient).all(), size
        if size > 1e-19:
            np.testing.assert_allclose(losses, plain, rtol=1e-5)
        else:
            assert not gradient.any()
    for temperature in (1e-300, 1e-30, 1e30):
        losses, gradient = losses_and_gradient(
            DRAWN["pixel_contrast_loss"], features, labels, temperature=temperature
        )
        assert jnp.isfinite(losses).all() and not jnp.isnan(gradient).any()


@every(DRAWN)
def test_features_of_no_length_are_at_right_angles_to_all(function, rng):
    features, labels, _ = random_scene(rng, classes=DEPTH)
    nothing = features.at[:, 2:4].set(0.0)
    losses, gradient = losses_and_gradient(function, nothing, labels)
    # The same cosines by axes of their own, of which each place but its class is alone.
    assert (losses > 0).all() and jnp.isfinite(gradient).all()
    assert not gradient[:, 2:4].any() and gradient[:, :2].any()
    _, at_zero = losses_and_gradient(function, 0 * features, labels)
    assert not at_zero.any()


@every(DRAWN)
def test_a_bad_number_shows_where_it_is_drawn(function, rng):
    features, labels, _ = random_scene(rng, classes=DEPTH)
    _, gradient = losses_and_gradient(function, features, labels, samples=12)
    drawn = np.asarray(gradient[0].any(-1))
    inside, outside = (tuple(np.argwhere(mask)[0]) for mask in (drawn, ~drawn))
    for bad in (np.nan, np.inf):
        spoilt = np.array(features)
        spoilt[(0, *outside)] = bad
        losses, _ = losses_and_gradient(function, spoilt, labels, samples=12)
        if function is DRAWN["pixel_contrast_loss"]:  # where all drawn have a slope
            assert jnp.isfinite(losses).all()
        spoilt[(0, *inside)] = bad
        losses, _ = losses_and_gradient(function, spoilt, labels, samples=12)
        assert jnp.isnan(losses[0]) and jnp.isfinite(losses[1])


@every(DRAWN)
def test_narrow_labels_and_any_leading_axes(function, rng):
    features, labels, _ = random_scene(rng, (2, 3, 4, 5), classes=DEPTH)
    losses, _ = losses_and_gradient(function, features, labels)
    assert losses.shape == (2, 3)
    narrow, _ = losses_and_gradient(function, features, labels.astype("uint8"))
    np.testing.assert_array_equal(narrow, losses)
    one, _ = losses_and_gradient(function, features[1, 2], labels[1, 2])
    np.testing.assert_allclose(one, losses[1, 2], rtol=1e-10)
    whole, _ = losses_and_gradient(function, features, labels, per_image=False)
    flat = features.reshape(120, DEPTH), labels.reshape(120)
    joined, _ = losses_and_gradient(function, *flat, per_image=False)
    assert whole.shape == joined.shape == ()
    np.testing.assert_allclose(whole, joined, rtol=1e-10)


@every(DRAWN)
def test_keys_decide_and_are_taken_one_an_image_under_vmap(function, rng):
    features, labels, _ = random_scene(rng, classes=DEPTH)
    keys = jax.random.split(jax.random.key(3), 2)

    def loss(x, y, key):
        return function(x, y, key=key, samples=12)

    one = jax.jit(loss)
    apart = [one(*given) for given in zip(features, labels, keys, strict=True)]
    together = jax.jit(jax.vmap(loss))(features, labels, keys)
    np.testing.assert_allclose(together, apart, rtol=1e-10)
    again, other = (
        one(features[0], labels[0], keys[0]),
        one(features[0], labels[0], keys[1]),
    )
    assert again == apart[0] != other
    raw = one(features[0], labels[0], jax.random.key_data(keys[0]))
    np.testing.assert_array_equal(raw, again)


@every(DRAWN)
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_the_loss_of_a_batch_gathers_labels_and_drawn_features_alone(
    function, kind, rng
):
    features, labels, _ = random_scene(rng, (4, 6, 3), classes=DEPTH)
    mesh = jax.make_mesh((4,), ("shards",), axis_types=(kind,))
    sharding = NamedSharding(mesh, PartitionSpec("shards"))
    arrays = jax.device_put((features, labels), sharding)
    loss = functools.partial(function, per_image=False, samples=20)
    both: Any = jax.jit(jax.value_and_grad(loss))
    with jax.set_mesh(mesh):
        compiled = both.lower(*arrays).compile()
        actual = compiled(*arrays)
    assert actual[1].sharding.is_equivalent_to(sharding, features.ndim)
    moved = re.findall(
        r"= (\w+)\[([\d,]*)\]\S* all-(?:gather|to-all)", compiled.as_text()
    )
    assert moved and all(dtype[0] in "spu" for dtype, _ in moved), moved
    wanted = losses_and_gradient(
        function, features, labels, per_image=False, samples=20
    )
    for one, other in zip(actual, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_own_options_out_of_range():
    key = jax.random.key(0)
    contrast: Any = functools.partial(pixel_contrast_loss, LOGITS, LABELS, key=key)
    triplet: Any = functools.partial(pixel_triplet_loss, LOGITS, LABELS, key=key)
    for loss in (contrast, triplet):
        for name in ("samples", "spatial_axes"):
            for value in (0, -1, 1.5, None, "3"):
                with refuses(
                    f"{name} must be an integer of at least 1", f"got {value!r}"
                ):
                    loss(**{name: value})
        with refuses("per_image must be True or False", "got 1"):
            loss(per_image=1)
        with refuses("4 axes of pixels", "(2, 6, 7, 5)", "per_image=False"):
            loss(spatial_axes=4)
        for bad in (0, None, jax.random.split(key, 2), np.zeros((3, 2), np.uint32)):
            with refuses("key must be one key", "jax.random.fold_in(key, step)", "got"):
                loss(key=bad)
    for value in (0, -0.1, float("nan"), float("inf")):
        with refuses("temperature must be a finite number above 0", f"got {value}"):
            contrast(temperature=value)
    with refuses("denominator must be 'negatives' or 'all'", "got 'positives'"):
        contrast(denominator="positives")
    for value in (-0.1, float("nan"), float("inf")):
        with refuses("margin must be a finite number of at least 0", f"got {value}"):
            triplet(margin=value)


@every(DRAWN)
def test_features_that_do_not_fit(function):
    larger: Any = np.zeros((2, 12, 14), int)
    with refuses("(2, 6, 7, 5)", "(2, 12, 14)", "labels[..., ::stride, ::stride]"):
        function(LOGITS, larger)
    for features in (np.float64(1.0), np.zeros((2, 6, 7, 0))):
        with refuses("features must have shape [..., depth]", f"got {features.shape}"):
            function(features, LABELS)
