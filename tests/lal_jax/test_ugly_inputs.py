"""Inputs at the edge, in float32: each has an outcome that docs/mathematics.md names.

Two images of 8×8 pixels and 21 classes, four blocks of 4×4 with labels 0–3.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    center_loss,
    focal_loss,
    gradients,
    hard_pixel_mean,
    locally_adaptive_loss,
    loss_max_pooling,
    masked_mean,
    minkowski_mean,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
    standard_score,
    update_centers,
    valid_mask,
)
from tests import reference
from tests.tolerances import assert_close

CLASSES = 21
BLOCKS = np.kron([[0, 1], [2, 3]], np.ones((4, 4), np.int32))
LABELS = np.stack([BLOCKS, BLOCKS[::-1]])
WEIGHTS = np.linspace(0.5, 2.0, CLASSES)
LARGEST = float(np.finfo(np.float32).max)
SMALL: dict[str, Any] = {"kernel_size": 3}


def pooled(pool):
    """Cross-entropy, pooled over each image."""
    return lambda x, y: pool(softmax_cross_entropy(x, y), where=valid_mask(y))


Losses = dict[str, Callable[[jax.Array, jax.Array], jax.Array]]
BY_SCORE: Losses = {
    "locally adaptive": locally_adaptive_loss,
    "with a power of 2.5": functools.partial(
        locally_adaptive_loss, power=2.5, normalizer="weights", **SMALL
    ),
    "with max-pooling": functools.partial(
        locally_adaptive_loss, pool=loss_max_pooling, **SMALL
    ),
    "with hard pixels": functools.partial(
        locally_adaptive_loss, pool=hard_pixel_mean, stride=2, **SMALL
    ),
    "by pixel": functools.partial(
        selective_cross_entropy, class_weights=WEIGHTS, label_smoothing=0.1, **SMALL
    ),
}
BY_LOGITS: Losses = {
    "raw logits": functools.partial(
        locally_adaptive_loss, normalization="none", **SMALL
    ),
    "cross-entropy": softmax_cross_entropy,
    "with weights": functools.partial(
        softmax_cross_entropy, class_weights=WEIGHTS, label_smoothing=0.1
    ),
    "focal": focal_loss,
    "focal root": functools.partial(focal_loss, gamma=0.5),
    "mean": pooled(masked_mean),
    "power mean": pooled(minkowski_mean),
    "root mean": pooled(functools.partial(minkowski_mean, power=0.5)),
    "max-pooling": pooled(loss_max_pooling),
    "hard pixels": pooled(hard_pixel_mean),
}
BY_FEATURES: Losses = {
    "center": lambda x, y: center_loss(x, y, jnp.ones((CLASSES, CLASSES), "float32"))
}
LOSSES = {**BY_SCORE, **BY_LOGITS, **BY_FEATURES}


def value_and_gradient(loss, logits, labels):
    """The losses and the gradient of their sum."""
    losses, pullback = jax.vjp(lambda x: loss(x, labels), logits)
    return losses, pullback(jnp.ones_like(losses))[0]


@functools.cache
def compiled(loss):
    return jax.jit(functools.partial(value_and_gradient, loss))


def evaluate(loss, logits, labels=LABELS):
    return compiled(loss)(jnp.asarray(logits, "float32"), jnp.asarray(labels))


def every(losses: Losses):
    return pytest.mark.parametrize("loss", losses.values(), ids=losses.keys())


@pytest.fixture
def logits(rng) -> np.ndarray:
    return rng.normal(size=(*LABELS.shape, CLASSES)).astype(np.float32)


def signs(logits: np.ndarray, size: float) -> np.ndarray:
    return np.where(logits > 0, size, -size).astype(np.float32)


def extremes(logits: np.ndarray) -> dict[str, np.ndarray]:
    """Finite logits that few networks give, up to 1e30."""
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


# --- Finite logits -----------------------------------------------------------------


@every({**BY_SCORE, **BY_LOGITS})
def test_finite_logits_have_finite_losses_and_gradients(loss, logits):
    for name, extreme in extremes(logits).items():
        losses, gradient = evaluate(loss, extreme)
        assert jnp.isfinite(losses).all(), name
        assert (losses >= 0).all(), name
        assert jnp.isfinite(gradient).all(), name


@every(
    {
        "window of one": functools.partial(locally_adaptive_loss, kernel_size=1),
        **BY_LOGITS,
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
    """Up to 1e18, where the variance still is a float."""
    for size in (1e4, 1e18):
        large = standard_score(jnp.asarray(signs(logits, size)))
        assert_close(large, standard_score(jnp.asarray(signs(logits, 1e3))), length=21)


@every({name: BY_LOGITS[name] for name in ("cross-entropy", "focal", "focal root")})
def test_cross_entropy_ends_where_float32_does(loss, logits):
    """Between 3e38 and −3e38 lie 6e38: the loss is the largest float then, not inf."""
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
    objective = jax.jit(jax.value_and_grad(lambda w: loss(features @ w, labels).mean()))
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


# --- Logits that are not finite ----------------------------------------------------


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


# --- Labels ------------------------------------------------------------------------


@every(LOSSES)
def test_nothing_but_void_is_zero(loss, logits):
    for values in (logits, np.full_like(logits, np.nan)):
        losses, gradient = evaluate(loss, values, np.full_like(LABELS, 255))
        assert not losses.any()
        assert not gradient.any()


@every(LOSSES)
def test_an_empty_batch_has_no_losses(loss):
    logits = np.zeros((0, 8, 8, CLASSES), np.float32)
    losses, gradient = evaluate(loss, logits, LABELS[:0])
    assert losses.shape[0] == losses.size == 0
    assert gradient.shape == logits.shape


@every({**BY_SCORE, "cross-entropy": softmax_cross_entropy})
def test_an_image_of_no_rows_is_zero(loss):
    logits = np.zeros((2, 0, 8, CLASSES), np.float32)
    losses, gradient = evaluate(loss, logits, LABELS[:, :0])
    assert losses.shape[0] == 2
    assert not losses.any()
    assert gradient.shape == logits.shape


@every({name: LOSSES[name] for name in ("by pixel", "focal", "center")})
def test_uint8_labels_are_as_int32(loss, logits):
    labels = LABELS.copy()
    labels[:, 3, 2:6] = 255
    expected = evaluate(loss, logits, labels)
    actual = evaluate(loss, logits, labels.astype(np.uint8))
    for narrow, wide in zip(actual, expected, strict=True):
        assert_close(narrow, wide, length=125)


PER_PIXEL = ("by pixel", "cross-entropy", "with weights", "focal", "center")


@pytest.mark.parametrize("stray", [77, -1, 256, 254])
@every({name: LOSSES[name] for name in PER_PIXEL})
def test_a_label_out_of_range_adds_nothing(loss, stray, logits):
    """To its own pixel; the others see it as they see void."""
    outside = np.zeros(LABELS.shape, bool)
    outside[0, 3:5, 1:3] = outside[1, 0, 7] = True
    losses, gradient = evaluate(loss, logits, np.where(outside, stray, LABELS))
    expected = evaluate(loss, logits, np.where(outside, 255, LABELS))
    assert not losses[outside].any() and not gradient[outside].any()
    np.testing.assert_array_equal(losses, expected[0])
    np.testing.assert_array_equal(gradient, expected[1])


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("locally adaptive", 3),
        ("with a power of 2.5", 2.5),
        ("power mean", 3),
        ("mean", 1),
    ],
)
def test_a_label_out_of_range_counts_in_the_mean(name, power, logits):
    """M is 64 with it and 60 with void."""
    strays, voids = LABELS.copy(), LABELS.copy()
    strays[:, 3:5, 1:3], voids[:, 3:5, 1:3] = [77, 254], 255
    share = (60 / 64) ** (1 / power)
    actual = evaluate(LOSSES[name], logits, strays)
    expected = evaluate(LOSSES[name], logits, voids)
    np.testing.assert_allclose(actual[0], share * expected[0], rtol=1e-6)
    assert_close(actual[1], share * expected[1], length=CLASSES)
    assert not actual[1][:, 3:5, 1:3].any()


def test_closed_form_gradient_of_labels_out_of_range(logits):
    strays = LABELS.copy()
    strays[0, 3:5, 1:3], strays[1, 0, 0] = 77, -1
    closed = jax.jit(gradients.locally_adaptive_gradient)(
        jnp.asarray(logits), jnp.asarray(strays)
    )
    _, autodiff = evaluate(locally_adaptive_loss, logits, strays)
    assert_close(closed, autodiff, length=125)


def test_centers_stay_where_labels_are_out_of_range(logits):
    centers = jnp.ones((3, CLASSES), "float32")
    moved = update_centers(centers, jnp.asarray(logits), jnp.full((2, 8, 8), 77))
    np.testing.assert_array_equal(moved, centers)


# --- Shapes of regions and images --------------------------------------------------


def floor(share):
    """The lowest loss of 21 classes where the neighbors' shares sum to s."""
    root = np.sqrt(CLASSES - 1)
    return np.log1p((CLASSES - 1) * np.exp(-share * CLASSES / root))


def right_everywhere(labels: np.ndarray) -> np.ndarray:
    return 100 * np.eye(CLASSES, dtype=np.float32)[labels]


def test_one_class_in_the_image():
    """When right, 0.4374; the floor of every pixel by what its window holds."""
    labels = np.full((2, 8, 8), 4)
    losses, gradient = evaluate(locally_adaptive_loss, right_everywhere(labels), labels)
    shares = reference.selective_pool(np.ones((8, 8, 1)), labels[0], kernel_size=5)
    expected = (floor(shares) ** 3).mean() ** (1 / 3)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(losses, 0.4374, atol=5e-5)
    assert jnp.isfinite(gradient).all()


CHECKERBOARD = np.indices((2, 8, 8)).sum(0) % 2


@pytest.mark.parametrize(
    ("kernel_size", "share"), [(3, 6 / 5), (5, 10 / 13), ((1, 3), 2.0)]
)
def test_a_checkerboard_joins_the_pixels_of_one_color(kernel_size, share):
    """5×5: the center, four diagonals at 1 and eight pixels of the ring at ½."""
    labels = jnp.asarray(CHECKERBOARD)
    ones = jnp.ones((2, 8, 8, 1), "float32")
    shares = selective_pool(ones, labels, kernel_size=kernel_size)[:, 2:6, 2:6]
    np.testing.assert_allclose(shares, share, rtol=1e-6)
    losses = selective_cross_entropy(
        jnp.asarray(right_everywhere(CHECKERBOARD)), labels, kernel_size=kernel_size
    )
    np.testing.assert_allclose(losses[:, 2:6, 2:6], floor(share), atol=1e-6)


def test_an_isolated_pixel_is_judged_by_twice_its_score(logits):
    labels = LABELS.copy()
    labels[0, 2, 1] = 9
    score = standard_score(jnp.asarray(logits))
    twice = softmax_cross_entropy(2 * score, jnp.asarray(labels))
    own = lambda x, y: selective_cross_entropy(x, y, **SMALL)[0, 2, 1]  # noqa: E731
    loss, gradient = evaluate(own, logits, labels)
    np.testing.assert_allclose(loss, twice[0, 2, 1], rtol=1e-6)
    assert gradient[0, 2, 1].any()
    assert not gradient.at[0, 2, 1].set(0).any()


@pytest.mark.parametrize(
    ("shape", "kernel_size", "cut"),
    [((2, 3), 5, (3, 5)), ((1, 8), 3, (1, 3)), ((1, 1), 3, 1)],
)
def test_a_window_beyond_the_image_is_cut(shape, kernel_size, cut, rng):
    """ω depends on the distance alone: a smaller window that covers it is the same."""
    logits = rng.normal(size=(*shape, CLASSES))
    labels = rng.integers(2, size=shape)
    outcomes = [
        evaluate(
            functools.partial(selective_cross_entropy, kernel_size=size), logits, labels
        )
        for size in (kernel_size, cut)
    ]
    for whole, small in zip(*outcomes, strict=True):
        assert_close(whole, small, length=CLASSES)
        assert whole.any()
