"""Logits at the edge, with the outcomes that docs/mathematics.md names."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import locally_adaptive_loss, standard_score
from tests import reference
from tests.lal_jax.effort import full_jit
from tests.lal_jax.ugly import (
    BY_DISTANCE,
    BY_FEATURES,
    BY_LOGITS,
    BY_OVERLAP,
    BY_REGION,
    BY_SCORE,
    CLASSES,
    LABELS,
    LARGEST,
    LOSSES,
    SMALL,
    WEIGHTS,
    evaluate,
    every,
    random_logits,
    value_and_gradient,
)
from tests.tolerances import assert_close


@pytest.fixture
def logits(rng) -> np.ndarray:
    return random_logits(rng)


def signs(logits: np.ndarray, size: float) -> np.ndarray:
    return np.where(logits > 0, size, -size).astype(np.float32)


def extremes(logits: np.ndarray) -> dict[str, np.ndarray]:
    """Extreme finite logits, up to 1e30."""
    right = np.eye(CLASSES, dtype=bool)[LABELS]
    found = {
        "zero": np.zeros_like(logits),
        "tiny": logits * np.float32(1e-30),
        "subnormal": logits * np.float32(1e-42),
        "offset": logits + np.float32(1e4),
    }
    for size in (1e4, 1e18, 1e30):
        found[f"±{size:g}"] = signs(logits, size)
        found[f"times {size:g}"] = logits * np.float32(size)
        for sign in (1, -1):
            at_right = np.where(right, np.float32(sign * size), logits)
            found[f"{sign * size:g} at the right class"] = at_right
            found[f"{sign * size:g} at one class"] = logits.copy()
            found[f"{sign * size:g} at one class"][..., 7] = sign * size
    return found


@every({**BY_SCORE, **BY_LOGITS, **BY_OVERLAP, **BY_REGION, **BY_DISTANCE})
def test_finite_logits_have_finite_losses_and_gradients(loss, logits):
    for name, extreme in extremes(logits).items():
        losses, gradient = evaluate(loss, extreme)
        assert jnp.isfinite(losses).all(), name
        assert (losses >= 0).all() or loss in BY_DISTANCE.values(), name
        assert jnp.isfinite(gradient).all(), name


@every(
    {
        "window of one": functools.partial(locally_adaptive_loss, kernel_size=1),
        **BY_LOGITS,
        **BY_OVERLAP,
        **BY_REGION,
    }
)
def test_finite_logits_have_finite_losses_and_gradients_without_jit(loss, logits):
    some = extremes(logits)
    for name in ("zero", "±1e+18", "-1e+30 at the right class"):
        extreme = jnp.asarray(some[name])
        losses, gradient = value_and_gradient(loss, extreme, jnp.asarray(LABELS))
        assert jnp.isfinite(losses).all(), name
        assert jnp.isfinite(gradient).all(), name


@every(BY_SCORE)
@pytest.mark.parametrize("size", [3e38, LARGEST])
def test_scores_survive_the_largest_floats(loss, size, logits):
    one = logits.copy()
    one[..., 7] = size
    for extreme in (signs(logits, size), one, -one, np.full_like(logits, size)):
        losses, gradient = evaluate(loss, extreme)
        assert jnp.isfinite(losses).all()
        assert jnp.isfinite(gradient).all()


def test_scores_of_large_logits_are_those_of_small_ones(logits):
    """Up to 1e22 between the largest and the smallest of a pixel."""
    for size in (1e4, 1e18, 4e21):
        large = standard_score(jnp.asarray(signs(logits, size)))
        assert_close(large, standard_score(jnp.asarray(signs(logits, 1e3))), length=21)


@every({name: BY_LOGITS[name] for name in ("cross-entropy", "focal", "focal root")})
def test_cross_entropy_ends_where_float32_does(loss, logits):
    """The difference of 3e38 and −3e38 overflows: the loss is the largest float."""
    losses, gradient = evaluate(loss, signs(logits, 3e38))
    assert jnp.isfinite(losses).all()
    assert jnp.isfinite(gradient).all()
    assert losses.max() > 3e38 / 4


@pytest.mark.parametrize("size", [1e4, 1e18])
def test_center_loss_is_finite_while_its_square_is(size, logits):
    losses, gradient = evaluate(BY_FEATURES["center"], signs(logits, size))
    np.testing.assert_allclose(losses, CLASSES * size**2 / 2, rtol=1e-3)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("constant", [0.0, 7.0, 1e4, 3e38])
@every({**BY_SCORE, **BY_LOGITS})
def test_constant_logits_cost_log_of_the_classes(loss, constant):
    if loss is BY_LOGITS["raw logits"]:
        constant = min(constant, 1e37)  # their sum over a window is a float32 still
    losses, gradient = evaluate(loss, np.full((2, 8, 8, CLASSES), constant))
    expected = np.full(losses.shape, np.log(CLASSES))
    if loss in (BY_SCORE["by pixel"], BY_LOGITS["with weights"]):
        expected *= WEIGHTS[LABELS]
    if loss is BY_LOGITS["focal"]:
        expected *= 0.25 * (1 - 1 / CLASSES) ** 2
    if loss is BY_LOGITS["focal root"]:
        expected *= 0.25 * (1 - 1 / CLASSES) ** 0.5
    np.testing.assert_allclose(losses, expected, rtol=5e-6)
    assert jnp.isfinite(gradient).all()
    assert gradient.any()


def test_a_head_of_zeros_can_be_trained(rng):
    """Its logits are all 0; ε bounds the slope by 1000 and a step leads downhill."""
    features = jnp.asarray(rng.normal(size=(*LABELS.shape, 16)), "float32")
    labels = jnp.asarray(LABELS)
    head = jnp.zeros((16, CLASSES), "float32")
    loss = BY_SCORE["with a power of 2.5"]
    objective = full_jit(
        jax.value_and_grad(lambda w: loss(features @ w, labels).mean())
    )
    before, slope = objective(head)
    assert jnp.isfinite(slope).all() and slope.any()
    after, _ = objective(head - 1e-3 * slope / jnp.linalg.norm(slope))
    assert after < before


def test_an_offset_costs_the_rounding_of_the_logits_alone(logits):
    offset = logits + np.float32(1e4)
    losses, _ = evaluate(BY_SCORE["with a power of 2.5"], offset)
    exact = reference.locally_adaptive_loss(
        offset.astype(float), LABELS, power=2.5, normalizer="weights", **SMALL
    )
    np.testing.assert_allclose(losses, exact, rtol=5e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@every(LOSSES)
def test_a_bad_logit_leaves_other_images_alone(loss, bad, logits):
    clean = evaluate(loss, logits)
    spoilt = logits.copy()
    spoilt[0, 2, 5, 1] = bad
    for before, after in zip(clean, evaluate(loss, spoilt), strict=True):
        np.testing.assert_array_equal(after[1], before[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_logit_touches_the_windows_that_hold_it(bad, logits):
    loss = BY_SCORE["by pixel"]
    clean, _ = evaluate(loss, logits)
    spoilt = logits.copy()
    spoilt[0, 2, 5, 1] = bad
    losses, _ = evaluate(loss, spoilt)
    window = np.zeros(LABELS.shape, bool)
    window[0, 1:4, 4:7] = True
    np.testing.assert_array_equal(losses[~window], clean[~window])
    assert jnp.isnan(losses[window & (LABELS == LABELS[0, 2, 5])]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@every({name: LOSSES[name] for name in ("cross-entropy", "focal", "center")})
def test_a_bad_logit_touches_its_pixel(loss, bad, logits):
    clean, clean_gradient = evaluate(loss, logits)
    spoilt = logits.copy()
    spoilt[0, 2, 5, 1] = bad
    losses, gradient = evaluate(loss, spoilt)
    others = np.ones(LABELS.shape, bool)
    others[0, 2, 5] = False
    np.testing.assert_array_equal(losses[others], clean[others])
    np.testing.assert_array_equal(gradient[others], clean_gradient[others])
    if np.isnan(bad):
        assert jnp.isnan(losses[0, 2, 5])


def test_a_bad_logit_is_not_hidden_by_pooling(logits):
    spoilt = logits.copy()
    spoilt[0, 2, 5, 1] = np.nan
    for name in ("locally adaptive", "with max-pooling", "with hard pixels"):
        losses, _ = evaluate(BY_SCORE[name], spoilt)
        assert jnp.isnan(losses[0]), name
        assert jnp.isfinite(losses[1]), name
