"""Region mutual information against loops, its bounds and what it is blind to."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import region_mutual_information_loss
from tests import reference_regions
from tests.lal_jax.effort import losses_and_gradient
from tests.lal_jax.scenes import DTYPES, SHAPE, random_scene
from tests.tolerances import assert_close

CLASSES = 5
SMALL: dict[str, Any] = {"radius": 2, "downsampling": 1}
WEIGHTS = (0.5, 2.0, 1.0, 3.0, 0.1)
LARGEST = np.log1p(0.25 / reference_regions.RIDGE) / 2
CASES: dict[str, dict[str, Any]] = {
    "windows of pixels": {},
    "windows of blocks": {"downsampling": 2},
    "single blocks": {"radius": 1, "downsampling": 3},
    "sigmoid": {"activation": "sigmoid"},
    "batch": {"per_image": False, "downsampling": 2},
    "weights": {"class_weights": WEIGHTS},
    "two ignored": {"ignore_label": (255, 1), "radius": 1},
}


value_and_gradient = functools.partial(
    losses_and_gradient, region_mutual_information_loss
)


def losses_of(*arrays, **options):
    return value_and_gradient(*arrays, **options)[0]


def expected(logits, labels, **options):
    if "class_weights" in options:
        options["class_weights"] = np.array(options["class_weights"])
    arrays = np.asarray(logits, np.float64), np.asarray(labels)
    return (
        reference_regions.region_mutual_information_loss(*arrays, **options),
        reference_regions.region_mutual_information_gradient(*arrays, **options),
    )


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_value_and_gradient_equal_reference(rng, options):
    options = {**SMALL, **options}
    logits, labels, where = random_scene(rng)
    wanted = expected(logits, labels, where=np.asarray(where), **options)
    assert wanted[0].all()
    for dtype, error in (("float64", 1e-10), ("float32", 1e-4)):
        actual = value_and_gradient(
            logits.astype(dtype), labels, where=where, **options
        )
        for one, other in zip(actual, wanted, strict=True):
            assert one.dtype == dtype
            largest = np.abs(other).max()
            np.testing.assert_allclose(one, other, rtol=error, atol=error * largest)


def test_defaults_equal_reference(rng):
    logits, labels, _ = random_scene(rng, (1, 18, 21), classes=3)
    actual = losses_of(logits, labels)
    np.testing.assert_allclose(actual, expected(logits, labels)[0], rtol=1e-10)


@pytest.mark.parametrize("activation", ["softmax", "none"])
@pytest.mark.parametrize("kind", ["soft", "several"])
def test_targets_equal_reference(rng, activation, kind):
    """What ignored pixels hold, NaN included, has no effect."""
    logits, _, where = random_scene(rng)
    if activation == "none":
        logits = jax.nn.softmax(logits)
    soft = rng.dirichlet(np.ones(CLASSES), SHAPE)
    targets = soft if kind == "soft" else soft > 0.2
    options: dict[str, Any] = {"activation": activation, **SMALL}
    wanted = expected(logits, targets, where=np.asarray(where), **options)
    void = ~np.asarray(where)[..., None]
    if kind == "soft":
        targets = np.where(void, [np.nan, np.inf, -np.inf, 1e300, 0.0], targets)
    logits = jnp.where(void, jnp.array([0.0, np.nan, np.inf, -np.inf, 1e300]), logits)
    actual = value_and_gradient(logits, jnp.asarray(targets), where=where, **options)
    for one, other in zip(actual, wanted, strict=True):
        assert_close(one, other, length=10**6)


def test_soft_targets_have_a_gradient_of_their_own(rng):
    logits, _, where = random_scene(rng)
    targets = jnp.asarray(rng.dirichlet(np.ones(CLASSES), SHAPE))

    @jax.jit
    @jax.value_and_grad
    def loss(t):
        return region_mutual_information_loss(logits, t, where=where, **SMALL).sum()

    step = jnp.asarray(1e-6 * rng.normal(size=targets.shape))
    difference = (loss(targets + step)[0] - loss(targets - step)[0]) / 2
    product = jnp.vdot(loss(targets)[1], step)
    np.testing.assert_allclose(product, difference, rtol=1e-6)


def test_gradient_of_the_loops_equals_their_differences(rng):
    x, y = map(np.asarray, random_scene(rng, (1, 5, 6))[:2])
    _, gradient = expected(x, y, **SMALL)
    step = 1e-5 * rng.normal(size=x.shape)
    ahead, behind = (expected(x + one, y, **SMALL)[0] for one in (step, -step))
    np.testing.assert_allclose(
        (ahead - behind).sum() / 2, (gradient * step).sum(), rtol=1e-6
    )


def scenes(rng: np.random.Generator, side: int) -> dict[str, np.ndarray]:
    """Regions whose windows have many places, or few, or one, that vary alone."""
    rows, columns = np.indices((side, side))
    disk = (rows - side / 2) ** 2 + (columns - side / 2) ** 2
    return {
        "half": columns < side // 2,
        "diagonal": rows + columns < side,
        "stripes": rows // 3 % 2 == 0,
        "speck": disk < 6,
        "disk": disk < (side / 4) ** 2,
        "noise": rng.uniform(size=(side, side)) < 0.5,
    }


@pytest.mark.parametrize("radius", [2, 3])
def test_single_precision_is_double_precision(rng, radius):
    """Of regions whose covariance is singular, and predictions from right to blind.

    In float32 ξ is less than the rounding of a variance of ¼.
    """
    both = functools.partial(
        value_and_gradient, radius=radius, downsampling=1, activation="none"
    )
    regions = np.stack(list(scenes(rng, 40).values()))
    targets = np.stack([regions, ~regions], axis=-1)
    noise = rng.normal(size=targets.shape)
    for name, p in {
        "right": 1.0 * targets,
        "nearly right": np.clip(targets + 1e-3 * noise, 0, 1),
        "unsure": np.clip(0.8 * targets + 0.1 + 0.1 * noise, 0, 1),
        "random": np.clip(0.5 + 0.2 * noise, 0, 1),
        "blind": np.full(targets.shape, 0.3),
    }.items():
        p = p.astype("float32")
        losses, gradient = both(p, targets)
        exact, slope = both(p.astype("float64"), targets)
        np.testing.assert_allclose(losses, exact, rtol=1e-4, err_msg=name)
        if name not in ("right", "blind"):  # whose gradient is 0, and rounding
            for one, other in zip(np.array(gradient), np.array(slope), strict=True):
                error = np.linalg.norm(one - other) / np.linalg.norm(other)
                assert error < 1e-3, name


@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_lie_between_right_and_blind(rng, dtype):
    """At most ½ ln 2 where right; elsewhere at most what the labels vary by."""
    labels = rng.integers(3, size=SHAPE)
    right = 1e4 * np.eye(CLASSES, dtype=dtype)[labels]
    losses = losses_of(right, labels, **SMALL)
    assert ((losses > 0) & (losses < float(np.log(2) / 2))).all()
    blind = losses_of(np.zeros_like(right), labels, **SMALL)
    assert (blind < float(LARGEST)).all()
    for scale in (0.1, 1.0, 30.0):
        logits = scale * rng.normal(size=right.shape)
        losses = losses_of(logits.astype(dtype), labels, **SMALL)
        assert ((losses > 0) & (losses <= blind)).all()


def test_probabilities_of_the_wrong_class_tell_as_much(rng):
    """Of two classes; each is the other's complement."""
    labels = rng.integers(2, size=SHAPE)
    logits = rng.normal(size=(*SHAPE, 2))
    losses = losses_of(logits, labels, **SMALL)
    exchanged = losses_of(logits[..., ::-1], labels, **SMALL)
    np.testing.assert_allclose(exchanged, losses, rtol=1e-10)


def test_where_blocks_are_and_what_classes_are_called_does_not_matter(rng):
    logits, labels, _ = map(np.asarray, random_scene(rng, (2, 8, 8)))
    loss = functools.partial(losses_of, radius=2, downsampling=2, class_weights=WEIGHTS)
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
        np.testing.assert_allclose(actual, losses, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("downsampling", [1, 2])
def test_ignored_rows_and_columns_are_as_none(rng, downsampling):
    """Before the image as well, where they are whole blocks."""
    logits, labels, where = map(np.asarray, random_scene(rng))
    options: dict[str, Any] = {"radius": 2, "downsampling": downsampling}
    losses = losses_of(logits, labels, where=where, **options)
    sides = ((0, 0), (2, 5), (4, 3))
    padded = losses_of(
        np.pad(logits, (*sides, (0, 0)), constant_values=np.nan),
        np.pad(labels, sides, constant_values=255),
        where=np.pad(where, sides, constant_values=True),
        **options,
    )
    np.testing.assert_allclose(padded, losses, rtol=1e-10)


def test_a_window_counts_if_each_of_its_blocks_has_a_valid_pixel(rng):
    """Of blocks of 2×2 in windows of 2×2, the one at the right end below."""
    logits = rng.normal(size=(2, 6, 6, 2))
    labels, where = rng.integers(2, size=(2, 6, 6)), np.ones((2, 6, 6), bool)
    where[:, 5, 4:] = where[:, 4, 5] = False
    options: dict[str, Any] = {"radius": 2, "downsampling": 2}
    _, gradient = value_and_gradient(logits, labels, where=where, **options)
    assert gradient[:, 4, 4].all() and not gradient[~where].any()
    where[:, 4, 4] = False
    losses, gradient = value_and_gradient(logits, labels, where=where, **options)
    assert gradient[where].all()
    # All windows but one are in the first four rows or the first four columns.
    windows: reference_regions.Windows = [
        [[(0, i + a, j + b)] for a in (0, 1) for b in (0, 1)]
        for i, j in ((0, 0), (0, 1), (1, 0))
    ]
    p = np.asarray(jax.nn.softmax(jnp.asarray(logits)))
    x, y = (
        np.mean([one[:, a::2, b::2] for a in (0, 1) for b in (0, 1)], axis=0)
        for one in (p, np.eye(2)[labels])
    )
    wanted = [
        reference_regions.explained(
            *(reference_regions.vectors(one[..., c], windows) for one in (x, y))
        )[0]
        for c in (0, 1)
    ]
    np.testing.assert_allclose(losses[0], np.mean(wanted), rtol=1e-10)


def test_without_a_window_the_loss_is_zero(rng):
    """The image is too small, or no window has a valid pixel in all of its blocks."""
    logits, labels, _ = map(np.asarray, random_scene(rng))
    lines, corner = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    lines[:, ::2] = corner[:, :2] = True
    cases: list[dict[str, Any]] = [
        {},
        {"radius": 7, "downsampling": 1, "per_image": False},
        {"where": lines, **SMALL},
        {"where": corner, "radius": 2, "downsampling": 2},
    ]
    for options in cases:
        losses, gradient = value_and_gradient(logits, labels, **options)
        assert not losses.any() and not gradient.any()


def test_the_windows_of_a_batch_are_those_of_its_images(rng):
    """Twice the same image is as one; none reaches into the next."""
    logits, labels, _ = map(np.asarray, random_scene(rng))
    one = losses_of(logits[:1], labels[:1], **SMALL)
    pair = np.array([0, 0])
    twice = losses_of(logits[pair], labels[pair], per_image=False, **SMALL)
    assert twice.shape == ()
    np.testing.assert_allclose(twice, one[0], rtol=1e-10)
    rows = logits.reshape(12, 1, 7, CLASSES), labels.reshape(12, 1, 7)
    assert losses_of(*rows, per_image=False, **SMALL) == 0
