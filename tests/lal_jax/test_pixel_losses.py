"""The losses of drawn pixels against loops, their bounds and what does not matter."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax.pixel_draws import draw_pixels
from tests import reference_features
from tests.lal_jax.effort import losses_and_gradient
from tests.lal_jax.functions import DRAWN, every
from tests.lal_jax.scenes import SHAPE, random_scene

DEPTH = 5
CASES: dict[str, dict[str, Any]] = {
    "contrast": {},
    "contrast of all": {"denominator": "all", "temperature": 0.5},
    "contrast of the batch": {"per_image": False, "temperature": 1},
    "contrast of volumes": {"spatial_axes": 3, "ignore_label": (255, 1)},
    "triplets": {},
    "triplets of the batch": {"per_image": False, "margin": 1.0},
    "triplets of rows": {"spatial_axes": 1, "margin": 0},
}


def drawn_mask(labels, where, samples, *, spatial_axes=2, per_image=True, ignored=255):
    """Which pixels the losses draw with the key of `DRAWN`, as loops take it."""
    kept = labels.shape[:-spatial_axes] if per_image else ()
    valid = jnp.asarray(~np.isin(labels, ignored) & where)
    flat, valid = labels.reshape(*kept, -1), valid.reshape(*kept, -1)
    index, drawn = draw_pixels(flat, valid, jax.random.key(0), samples)
    mask = np.zeros(flat.shape, bool)
    np.put_along_axis(mask, np.asarray(index), np.asarray(drawn), axis=-1)
    return mask.reshape(labels.shape)


def names_of(name: str) -> tuple[Any, Any, Any]:
    """A loss, its reference and that of its gradient."""
    kind = "pixel_contrast" if "contrast" in name else "pixel_triplet"
    references = vars(reference_features)
    loss = DRAWN[f"{kind}_loss"]
    return loss, references[f"{kind}_loss"], references[f"{kind}_gradient"]


@pytest.mark.parametrize("samples", [17, 1000])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_equal_reference(name, samples, rng):
    """Of the same pixels; of all that are valid, where these are fewer."""
    loss, of_loops, by_loops = names_of(name)
    features, labels, where = random_scene(rng, classes=DEPTH)
    options = CASES[name]
    given = np.asarray(labels), np.asarray(where)
    shape = {
        key: options[key] for key in ("spatial_axes", "per_image") if key in options
    }
    drawn = drawn_mask(
        *given, samples, ignored=options.get("ignore_label", 255), **shape
    )
    wanted = of_loops(features, given[0], drawn=drawn, where=given[1], **options)
    slope = by_loops(features, given[0], drawn=drawn, where=given[1], **options)
    assert wanted.all()
    for dtype, error in (("float64", 1e-10), ("float32", 1e-5)):
        losses, gradient = losses_and_gradient(
            loss, features.astype(dtype), labels, where, samples=samples, **options
        )
        assert losses.dtype == gradient.dtype == dtype
        np.testing.assert_allclose(losses, wanted, rtol=error)
        largest = np.abs(slope).max()
        np.testing.assert_allclose(gradient, slope, atol=error * largest)
        assert not gradient[~drawn].any()


@pytest.mark.parametrize("name", ["contrast", "contrast of all", "triplets"])
def test_gradient_of_the_loops_equals_their_differences(name, rng):
    _, of_loops, by_loops = names_of(name)
    features, labels, _ = map(np.asarray, random_scene(rng, classes=DEPTH))
    step = 1e-6 * rng.normal(size=features.shape)
    ahead, behind = (
        of_loops(features + side * step, labels, **CASES[name]) for side in (1, -1)
    )
    product = np.vdot(by_loops(features, labels, **CASES[name]), step)
    np.testing.assert_allclose((ahead - behind).sum() / 2, product, rtol=1e-6)


def losses_of(function, features, labels, **options):
    return losses_and_gradient(function, features, labels, **options)[0]


def test_contrast_of_two_pairs_in_closed_form():
    """Classes at right angles: ln(1 + 2 e^(−1/τ)); the wrong way ln(2 + e^(1/τ))."""
    x = np.array([[[2.0, 0.0], [1.0, 0.0], [0.0, 5.0], [0.0, 3.0]]])
    contrast = DRAWN["pixel_contrast_loss"]
    right, wrong = np.array([[0, 0, 7, 7]]), np.array([[0, 7, 0, 7]])
    for tau in (0.1, 1.0):
        low, high = np.log1p(2 * np.exp(-1 / tau)), np.log(2 + np.exp(1 / tau))
        for labels, wanted in ((right, low), (wrong, high)):
            loss = losses_of(contrast, x, labels, temperature=tau)
            np.testing.assert_allclose(loss, wanted, rtol=1e-12)
            loss = losses_of(
                contrast, x, labels, temperature=tau, denominator="all"
            )  # each anchor has one positive
            np.testing.assert_allclose(loss, wanted, rtol=1e-12)


def test_losses_lie_within_their_bounds_and_reach_them(rng):
    """Wrong: the others of a class opposite, those of another class the same."""
    labels = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3
    right = np.eye(DEPTH)[labels]
    contrast, triplet = DRAWN.values()
    pixels, others = SHAPE[1] * SHAPE[2], 28
    assert not losses_of(triplet, right, labels).any()
    np.testing.assert_allclose(
        losses_of(contrast, right, labels), np.log1p(others * np.exp(-10)), rtol=1e-10
    )
    equal = np.ones((*SHAPE, DEPTH))
    np.testing.assert_allclose(losses_of(triplet, equal, labels), 0.2, rtol=1e-12)
    np.testing.assert_allclose(
        losses_of(contrast, equal, labels), np.log(1 + others), rtol=1e-12
    )
    np.testing.assert_allclose(
        losses_of(contrast, equal, labels, denominator="all"), np.log(pixels - 1)
    )
    # Two classes of two pixels each: x and −x in both of them.
    worst = np.array([[[1.0], [-1.0], [1.0], [-1.0]]])
    pair = np.array([[0, 0, 1, 1]])
    np.testing.assert_allclose(losses_of(triplet, worst, pair), 4.2, rtol=1e-12)
    np.testing.assert_allclose(
        losses_of(contrast, worst, pair), np.log(2 + np.exp(20.0)), rtol=1e-12
    )
    for scale in (0.1, 1.0, 30.0):
        x = scale * rng.normal(size=(*SHAPE, DEPTH)) + right
        for function, bound in (
            (contrast, np.log1p(others * np.exp(20))),
            (triplet, 4.2),
        ):
            losses = losses_of(function, x, labels)
            assert ((losses >= 0) & (losses < bound)).all()


@every(DRAWN)
def test_scale_rotation_and_names_of_classes_do_not_matter(function, rng):
    features, labels, where = random_scene(rng, classes=DEPTH)
    losses = losses_of(function, features, labels, where=where)
    turn = np.linalg.qr(rng.normal(size=(DEPTH, DEPTH)))[0]
    lengths = np.exp(rng.normal(size=(*SHAPE, 1)))
    renamed = jnp.where(labels == 255, 255, jnp.array([7, -2, 300])[labels % 255])
    changed = {
        "rotated": losses_of(function, features @ turn, labels, where=where),
        "scaled": losses_of(function, features * lengths, labels, where=where),
        "renamed": losses_of(function, features, renamed, where=where),
        "flipped": losses_of(
            function, features[:, ::-1], labels[:, ::-1], where=where[:, ::-1]
        ),
    }
    for name, actual in changed.items():
        np.testing.assert_allclose(actual, losses, rtol=1e-12, err_msg=name)


@every(DRAWN)
def test_a_gradient_has_no_part_along_the_feature(function, rng):
    features, labels, _ = random_scene(rng, classes=DEPTH)
    _, gradient = losses_and_gradient(function, features, labels)
    assert gradient.any()
    np.testing.assert_allclose((gradient * features).sum(-1), 0, atol=1e-14)


def test_equally_hard_pairs_share_the_slope_alike():
    x = np.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [-1.0, 0.0], [-1.0, 0.0]]])
    labels = np.array([[0, 0, 0, 1, 1]])
    _, gradient = losses_and_gradient(DRAWN["pixel_triplet_loss"], x, labels, margin=4)
    np.testing.assert_allclose(gradient[0, 1], gradient[0, 2], rtol=1e-12)
    assert gradient[0, 1].any() and jnp.isfinite(gradient).all()
