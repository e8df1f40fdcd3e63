"""Labels at the edge, with the outcomes that docs/mathematics.md names."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    _labels,
    gradients,
    locally_adaptive_loss,
    softmax_cross_entropy,
    update_centers,
    valid_mask,
)
from tests.lal_jax.effort import full_jit
from tests.lal_jax.ugly import (
    BY_SCORE,
    CLASSES,
    LABELS,
    LOSSES,
    evaluate,
    every,
    random_logits,
)
from tests.tolerances import assert_close


@pytest.fixture
def logits(rng) -> np.ndarray:
    return random_logits(rng)


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


WIDE = (
    ("int64", 1 + 2**32),
    ("int64", 1 - 2**32),
    ("uint64", 1 + 2**32),
    ("uint32", 2**32 - 1),
)


@pytest.mark.parametrize("x64", [True, False])
def test_labels_beyond_32_bits_are_no_class_and_not_ignored(x64):
    with jax.enable_x64(x64):
        for dtype, value in WIDE:
            labels: Any = np.array([2, value, 255], dtype)
            valid = valid_mask(labels, ignore_label=(255, -1))
            first, wide, _ = _labels.as_indices(labels).tolist()
            assert valid.tolist() == [True, True, False]
            assert first == 2
            assert wide not in range(-1, 256)


@every({name: LOSSES[name] for name in ("by pixel", "center", "dice", "boundary")})
def test_labels_beyond_32_bits_are_as_others_out_of_range(loss, logits):
    """Of NumPy: JAX's own arrays, and arguments of jit, are cut before."""
    stray = LABELS == 1
    with jax.enable_x64(False):
        expected = loss(logits, np.where(stray, CLASSES + 7, LABELS))
        for dtype, value in WIDE[1:3]:
            actual = loss(logits, np.where(stray, value, LABELS.astype(dtype)))
            np.testing.assert_array_equal(actual, expected)


def test_labels_of_either_byte_order():
    """As readers of FITS and TIFF return them."""
    for order in "<>":
        labels: Any = LABELS.astype(order + "u2")
        np.testing.assert_array_equal(_labels.as_indices(labels), LABELS)


@every({name: LOSSES[name] for name in ("by pixel", "focal", "center", "dice")})
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
    """Loss and gradient are as if the pixel were ignored."""
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
    """M is 64 with it and 60 where it is ignored."""
    strays, voids = LABELS.copy(), LABELS.copy()
    strays[:, 3:5, 1:3], voids[:, 3:5, 1:3] = [77, 254], 255
    share = (60 / 64) ** (1 / power)
    actual = evaluate(LOSSES[name], logits, strays)
    expected = evaluate(LOSSES[name], logits, voids)
    np.testing.assert_allclose(actual[0], share * expected[0], rtol=1e-6)
    assert_close(actual[1], share * expected[1], length=CLASSES)
    assert not actual[1][:, 3:5, 1:3].any()


@pytest.mark.parametrize("stray", [77, -1])
def test_a_label_out_of_range_weighs_nothing_in_a_balanced_mean(stray, logits):
    """Which knows the number of classes from the loss."""
    strays, voids = LABELS.copy(), LABELS.copy()
    strays[:, 3:5, 1:3], voids[:, 3:5, 1:3] = stray, 255
    actual = evaluate(LOSSES["class balanced"], logits, strays)
    expected = evaluate(LOSSES["class balanced"], logits, voids)
    for with_strays, with_voids in zip(actual, expected, strict=True):
        assert_close(with_strays, with_voids, length=CLASSES)


def test_closed_form_gradient_of_labels_out_of_range(logits):
    strays = LABELS.copy()
    strays[0, 3:5, 1:3], strays[1, 0, 0] = 77, -1
    closed = full_jit(gradients.locally_adaptive_gradient)(
        jnp.asarray(logits), jnp.asarray(strays)
    )
    _, autodiff = evaluate(locally_adaptive_loss, logits, strays)
    assert_close(closed, autodiff, length=125)


def test_centers_stay_where_labels_are_out_of_range(logits):
    centers = jnp.ones((3, CLASSES), "float32")
    moved = update_centers(centers, jnp.asarray(logits), jnp.full((2, 8, 8), 77))
    np.testing.assert_array_equal(moved, centers)
