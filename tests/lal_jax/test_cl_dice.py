"""clDice against loops, what its skeletons are, and slopes where values tie."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import cl_dice_loss
from lal_jax.soft_skeleton import soft_skeleton
from tests import reference_regions
from tests.lal_jax.effort import losses_and_gradient
from tests.lal_jax.scenes import SHAPE, random_scene

CLASSES = 5
WEIGHTS = (0.5, 2.0, 1.0, 3.0, 0.1)
FEW: dict[str, Any] = {"iterations": 2}
CASES: dict[str, dict[str, Any]] = {
    "images": {},
    "no erosion": {"iterations": 0},
    "sigmoid": {"activation": "sigmoid", "classes": "all", "smooth": 0.0},
    "batch": {"per_image": False, "smooth": 7.5},
    "weights": {"class_weights": WEIGHTS, "classes": "all"},
    "two ignored": {"ignore_label": (255, 1)},
    "volume": {"spatial_axes": 3},
}


def value_and_gradient(logits, labels, **options):
    return losses_and_gradient(cl_dice_loss, logits, labels, **{**FEW, **options})


def losses_of(*arrays, **options):
    return value_and_gradient(*arrays, **options)[0]


def expected(logits, labels, *, where=None, **options):
    if "class_weights" in options:
        options["class_weights"] = np.array(options["class_weights"])
    return reference_regions.cl_dice_loss(
        np.asarray(logits, np.float64),
        np.asarray(labels),
        where=None if where is None else np.asarray(where),
        **{**FEW, **options},
    )


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_value_and_gradient_equal_reference(rng, options):
    """The gradient along a step, by the loops' differences."""
    logits, labels, where = random_scene(rng)
    wanted = expected(logits, labels, where=where, **options)
    step = 1e-6 * rng.normal(size=logits.shape)
    ahead, behind = (
        expected(logits + one, labels, where=where, **options) for one in (step, -step)
    )
    slope = (ahead - behind).sum() / 2
    for dtype, error in (("float64", 1e-10), ("float32", 1e-5)):
        losses, gradient = value_and_gradient(
            logits.astype(dtype), labels, where=where, **options
        )
        assert losses.dtype == gradient.dtype == dtype
        np.testing.assert_allclose(losses, wanted, rtol=error)
        product = np.vdot(np.asarray(gradient, np.float64), step)
        np.testing.assert_allclose(product, slope, rtol=1e-5)


@pytest.mark.parametrize("kind", ["soft", "several"])
def test_targets_equal_reference(rng, kind):
    """What ignored pixels hold, NaN included, has no effect."""
    logits, _, where = map(np.asarray, random_scene(rng))
    soft = rng.dirichlet(np.ones(CLASSES), SHAPE)
    targets = soft if kind == "soft" else soft > 0.2
    wanted = expected(logits, targets, where=where)
    void = ~where[..., None]
    if kind == "soft":
        targets = np.where(void, [np.nan, np.inf, -np.inf, 1e300, 0.0], targets)
    logits = np.where(void, [0.0, np.nan, np.inf, -np.inf, 1e300], logits)
    losses, gradient = value_and_gradient(logits, targets, where=where)
    np.testing.assert_allclose(losses, wanted, rtol=1e-10)
    assert jnp.isfinite(gradient).all() and not gradient[void[..., 0]].any()


def test_soft_targets_have_a_gradient_of_their_own(rng):
    logits, _, where = random_scene(rng)
    targets = jnp.asarray(rng.dirichlet(np.ones(CLASSES), SHAPE))

    @jax.jit
    @jax.value_and_grad
    def loss(t):
        return cl_dice_loss(logits, t, where=where, **FEW).sum()

    step = jnp.asarray(1e-6 * rng.normal(size=targets.shape))
    difference = (loss(targets + step)[0] - loss(targets - step)[0]) / 2
    product = jnp.vdot(loss(targets)[1], step)
    np.testing.assert_allclose(product, difference, rtol=1e-6)


def skeleton(image: np.ndarray, valid: np.ndarray, iterations: int) -> np.ndarray:
    compute = _skeleton(iterations, image.ndim)
    return np.asarray(compute(jnp.asarray(image), jnp.asarray(valid)))


@functools.cache
def _skeleton(iterations: int, spatial: int) -> Callable[..., jax.Array]:
    return jax.jit(
        functools.partial(soft_skeleton, iterations=iterations, spatial=spatial)
    )


def test_a_band_has_a_line_of_one_or_two_pixels():
    """Found by erosions up to half of the width; not at all by fewer."""
    for width, iterations in itertools.product(range(1, 9), range(4)):
        band, line = np.zeros((2, 12, 20))
        band[2 : 2 + width] = 1
        middle = (width - 1) // 2
        if width <= 2 * iterations + 2:
            line[2 + middle : 2 + width - middle] = 1
        found = skeleton(band, np.ones(band.shape, bool), iterations)
        np.testing.assert_array_equal(found, line)


@pytest.mark.parametrize("shape", [(7, 9), (4, 5, 6)])
def test_a_skeleton_equals_that_of_the_loops(rng, shape):
    valid = rng.uniform(size=shape) < 0.8
    for image in (rng.uniform(size=shape), 1.0 * (rng.uniform(size=shape) < 0.7)):
        image = np.where(valid, image, 0.0)
        wanted = reference_regions.soft_skeleton(image, valid, 2)
        np.testing.assert_allclose(skeleton(image, valid, 2), wanted, rtol=1e-12)


def test_a_tie_shares_the_slope_alike_and_turns_with_the_image(rng):
    """Of probabilities of 0 and 1, where nearly all pools tie."""
    image = 1.0 * (rng.uniform(size=(8, 8)) < 0.7)
    valid = rng.uniform(size=(8, 8)) < 0.9
    weights = rng.normal(size=(8, 8))

    @jax.jit
    def slope(image, valid, weights):
        compute = functools.partial(soft_skeleton, iterations=2, spatial=2)
        return jax.grad(lambda x: jnp.vdot(compute(x, valid), weights))(image)

    found = slope(image, valid, weights)
    assert jnp.isfinite(found).all() and found.any() and not found[~valid].any()
    turns: list[Callable[[Any], Any]] = [np.flipud, np.fliplr, np.transpose, np.rot90]
    for turn in turns:
        turned = slope(*map(turn, (image, valid, weights)))
        np.testing.assert_allclose(turned, turn(np.asarray(found)), atol=1e-12)
    # The pixel alone is of height 1 above pixels that tie: they lower it alike.
    lone = np.zeros((8, 8))
    lone[4, 4] = 1
    pick = 1.0 * (lone > 0)
    found = np.asarray(slope(lone, np.ones((8, 8), bool), pick))
    assert found[4, 4] == 1
    np.testing.assert_allclose(found.sum(), 0, atol=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    constant = slope(np.full((8, 8), 0.5), valid, weights)
    assert not constant.any()


def test_a_line_counts_if_it_is_whole_not_if_it_is_wide():
    """Thinner or wider than the region it scores 1, cut it does not."""
    labels = np.zeros((11, 15), int)
    labels[4:7] = 1
    sure: dict[str, Any] = {"activation": "none", "smooth": 0.0}
    background = {"class_weights": (0.0, 1.0), **sure}

    def loss(rows, cut=False):
        p = np.zeros((11, 15))
        p[rows] = 1
        p[:, 7:9] *= not cut
        return losses_of(np.stack([1 - p, p], axis=-1), labels, **background)

    assert loss(slice(4, 7)) == loss(slice(5, 6)) == loss(slice(3, 8)) == 0
    cut = 1 - 2 * (13 / 15) / (1 + 13 / 15)
    np.testing.assert_allclose(loss(slice(5, 6), cut=True), cut, rtol=1e-12)
    assert loss(slice(0, 2)) == 1


def test_losses_lie_between_right_and_wrong(rng):
    labels = rng.integers(3, size=SHAPE)
    right = 1e4 * np.eye(CLASSES)[labels]
    for smooth in (0.0, 1.0):
        assert not losses_of(right, labels, smooth=smooth).any()
        for scale in (0.1, 1.0, 30.0):
            logits = scale * rng.normal(size=right.shape)
            losses = losses_of(logits, labels, smooth=smooth)
            assert ((losses > 0) & (losses < 1)).all()
    wrong = 1e4 * np.eye(CLASSES)[(labels + 1) % 3]
    np.testing.assert_allclose(losses_of(wrong, labels, smooth=0.0), 1.0)


def test_where_pixels_are_and_what_classes_are_called_does_not_matter(rng):
    logits, labels, _ = map(np.asarray, random_scene(rng, (2, 6, 6)))
    loss = functools.partial(losses_of, class_weights=WEIGHTS)
    losses = loss(logits, labels)
    order = np.array([3, 0, 4, 2, 1])
    renamed = np.where(labels == 255, 255, np.argsort(order)[labels % 255])
    weights = tuple(np.array(WEIGHTS)[order].tolist())
    changed = {
        "up down": loss(logits[:, ::-1], labels[:, ::-1]),
        "left right": loss(logits[:, :, ::-1], labels[:, :, ::-1]),
        "transposed": loss(logits.swapaxes(1, 2), labels.swapaxes(1, 2)),
        "images exchanged": loss(logits[::-1], labels[::-1])[::-1],
        "classes exchanged": loss(logits[..., order], renamed, class_weights=weights),
    }
    for name, actual in changed.items():
        np.testing.assert_allclose(actual, losses, rtol=1e-12, err_msg=name)


def test_ignored_rows_and_columns_are_as_none(rng):
    logits, labels, where = map(np.asarray, random_scene(rng))
    losses = losses_of(logits, labels, where=where)
    sides = ((0, 0), (2, 5), (4, 3))
    padded = losses_of(
        np.pad(logits, (*sides, (0, 0)), constant_values=np.nan),
        np.pad(labels, sides, constant_values=255),
        where=np.pad(where, sides, constant_values=True),
    )
    np.testing.assert_allclose(padded, losses, rtol=1e-12)


def test_an_image_is_a_volume_of_one_slice(rng):
    """And a batch of images is not: skeletons of a volume cross its slices."""
    logits, labels, where = map(np.asarray, random_scene(rng))
    losses = losses_of(logits, labels, where=where)
    slices = losses_of(
        logits[:, None], labels[:, None], where=where[:, None], spatial_axes=3
    )
    np.testing.assert_allclose(slices, losses, rtol=1e-12)
    together = losses_of(logits, labels, where=where, spatial_axes=3)
    assert together.shape == ()
    batch = losses_of(logits, labels, where=where, per_image=False)
    assert abs(together - batch) > 1e-3


def test_a_class_that_is_absent_or_missed(rng):
    """Absent, its skeleton of length m costs m / (m + 2s); at 0 / 0 nothing."""
    labels = np.zeros((4, 9), int)
    p = np.zeros((4, 9, 3))
    p[..., 0], p[2, 2:6, 1] = 1, 0.5
    sure: dict[str, Any] = {
        "activation": "none",
        "classes": "all",
        "class_weights": (0.0, 1.0, 1.0),
    }
    for smooth, cost in ((1.0, 2 / (2 + 2)), (0.0, 1.0)):
        losses, gradient = value_and_gradient(p, labels, smooth=smooth, **sure)
        np.testing.assert_allclose(losses, cost / 2, rtol=1e-12)
        assert jnp.isfinite(gradient).all()
    # Of class 1 each skeleton is where the other is not.
    labels[0, 3:] = 1
    present: dict[str, Any] = {**sure, "classes": "present", "smooth": 0.0}
    losses, gradient = value_and_gradient(p, labels, **present)
    assert losses == 1 and jnp.isfinite(gradient).all()


def test_a_region_too_wide_to_have_a_centerline_misses_none():
    """T_s is 1 then: of a line of five pixels two lie in the region, T_p is 2 / 5."""
    labels, p = np.zeros((7, 16), int), np.zeros((7, 16))
    labels[:, :10], p[3, 8:13] = 1, 1
    pair = np.stack([1 - p, p], axis=-1)
    sure: dict[str, Any] = {"activation": "none", "class_weights": (0.0, 1.0)}
    losses, gradient = value_and_gradient(pair, labels, smooth=0.0, **sure)
    np.testing.assert_allclose(losses, 1 - 2 * 0.4 / 1.4, rtol=1e-12)
    assert jnp.isfinite(gradient).all()
