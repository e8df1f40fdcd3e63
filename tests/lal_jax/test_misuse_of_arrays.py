"""Misuse of arrays raises a ValueError that says what was given and what to do.

Cases in the tests of single functions are not repeated here.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    center_loss,
    check_labels,
    class_balanced_mean,
    class_weights_from_counts,
    gradients,
    label_counts,
    locally_adaptive_loss,
    masked_mean,
    selective_pool_by_patches,
    standard_score,
    update_centers,
    valid_mask,
    weighted_ensemble,
)
from tests.lal_jax.functions import (
    CENTERS,
    LABELS,
    LOGITS,
    OF_LABELS,
    POOLS,
    WINDOWED,
    every,
    refuses,
)


@every(OF_LABELS)
def test_arrays_that_do_not_fit(function):
    with refuses("labels must have the shape of the", "(2, 6, 7, 5)", "(2, 5, 7)"):
        function(LOGITS, LABELS[:, 1:])
    with refuses("labels must have the shape", "(2, 6, 7, 5)", "(2, 6, 7, 5)"):
        function(LOGITS, np.eye(5, dtype=int)[LABELS])
    with refuses("labels must be integer", "got bool", "labels.astype(jnp.int32)"):
        function(LOGITS, LABELS > 2)
    with refuses("labels must be integer", "got float64", "labels.astype(jnp.int32)"):
        function(LOGITS, LABELS * 1.0)
    for dtype in ("bool", "int32", "complex128"):
        with refuses("must be floating point", f"got {dtype}", ".astype(jnp.float32)"):
            function(LOGITS.astype(dtype), LABELS)


@every(OF_LABELS)
def test_a_where_that_does_not_fit(function):
    with refuses("where must be boolean", "got float64", "where=mask > 0"):
        function(LOGITS, LABELS, where=np.ones(LABELS.shape))
    with refuses("where must have the shape", "(2, 6)", "(2, 6, 7)"):
        function(LOGITS, LABELS, where=np.ones((2, 6), bool))


@every({**POOLS, "standard_score": standard_score})
def test_losses_that_are_not_floating_point(function):
    for dtype in ("int64", "bool"):
        with refuses("must be floating point", f"got {dtype}", "jnp.float32"):
            function(np.ones((2, 3, 4), dtype))


@every(POOLS)
def test_a_where_that_does_not_fit_the_losses(function):
    losses = np.ones((2, 3, 4))
    with refuses("where must be boolean", "got int64", "where=mask > 0"):
        function(losses, where=np.ones((2, 3, 4), int))
    with refuses("where must have the shape of the losses", "(3, 4)", "(2, 3, 4)"):
        function(losses, where=np.ones((3, 4), bool))


@every(
    {
        "class_balanced_mean": class_balanced_mean,
        "class_balanced_gradient": gradients.class_balanced_gradient,
    }
)
def test_labels_that_do_not_fit_the_losses(function):
    losses = np.ones((2, 3, 4))
    remedy = "pass labels of the centers"
    for labels in (np.ones((2, 3, 5), int), np.ones((3, 4), int)):
        with refuses("labels must have the shape of the losses", labels.shape, remedy):
            function(losses, labels)
    with refuses("labels must be integer", "got float64", "jnp.int32"):
        function(losses, losses)


@every(POOLS)
@pytest.mark.parametrize("axis", [3, (0, 5), 1.5, "x"])
def test_an_axis_that_losses_lack(function, axis):
    with refuses("axis must name axes", "(2, 3, 4)", f"got {axis!r}", "axis=None"):
        function(np.ones((2, 3, 4)), axis=axis)


def test_labels_that_are_not_integer_have_no_mask():
    with refuses("labels must be integer class indices", "got bool", "jnp.int32"):
        valid_mask(LABELS > 2)


@every(WINDOWED)
def test_too_few_axes_for_the_window(function):
    with refuses("must have shape [..., height, width, classes]", "got (7, 5)"):
        function(LOGITS[0, 0], LABELS[0, 0])
    with refuses("4 spatial axes", "4 sizes (kernel_size)", "got (2, 6, 7, 5)"):
        function(LOGITS, LABELS, kernel_size=(3, 3, 3, 3))


def test_patches_that_are_not_of_one_image():
    valid: Any = np.ones(LABELS.shape, bool)
    image, labels = LOGITS[0], LABELS[0]
    with refuses("one image [height, width, classes]", "(2, 6, 7, 5)", "jax.vmap"):
        selective_pool_by_patches(LOGITS, LABELS, valid)
    with refuses("kernel_size a number or a pair", "(6, 7, 5)", "(3, 3, 3)"):
        selective_pool_by_patches(image, labels, valid[0], kernel_size=(3, 3, 3))
    with refuses("valid must be boolean", "got int64", "valid=mask > 0"):
        selective_pool_by_patches(image, labels, labels)
    with refuses("valid must have the shape of the labels", "(5, 7)", "(6, 7)"):
        selective_pool_by_patches(image, labels, valid[0, 1:])


@pytest.mark.parametrize("centers", [np.ones(5), np.ones((2, 3, 5)), np.ones((3, 4))])
def test_centers_that_do_not_fit(centers):
    expected = refuses(
        "centers must have shape [classes, depth]", centers.shape, "(2, 6, 7, 5)"
    )
    with expected:
        center_loss(LOGITS, LABELS, centers)
    with expected:
        update_centers(centers, LOGITS, LABELS)


def test_centers_of_integers():
    with refuses("centers must be floating point", "got int64", "jnp.zeros("):
        update_centers(CENTERS.astype(int), LOGITS, LABELS)


def test_counts_that_are_no_counts():
    counts: Any
    method: Any
    for counts in ([1.0, float("inf")], np.ones((2, 2, 2)), None):
        with refuses("[classes] or [images, classes], finite", f"got {counts!r}"):
            class_weights_from_counts(counts, method="inverse")
    for counts in ([0, 0], [[0, 0], [0, 0]]):
        with refuses("counts must have a class that occurs", "got 0 for all"):
            class_weights_from_counts(counts, method="inverse")
    for method in ("Inverse", None):
        with refuses("'median_frequency'", f"got {method!r}"):
            class_weights_from_counts(np.array([1, 2]), method=method)


@pytest.mark.parametrize(
    "function", [check_labels, label_counts], ids=["check_labels", "label_counts"]
)
def test_labels_that_no_class_has(function):
    """The message has the first stray label, its place and their number."""
    labels = np.array([[0, 255, 1], [2, 3, 7]], np.uint8)
    with refuses("0…2 or be 255 (void)", "got 3 at (1, 1)", "2 of 6 pixels"):
        function(labels, classes=3)
    with refuses("0…7 or be 9 (void)", "got 255 at (0, 1)", "1 of 6 pixels"):
        function(labels, classes=8, ignore_label=9)
    with refuses("labels must be integer", "got float32", ".astype(np.int32)"):
        function(labels.astype(np.float32), classes=8)
    with refuses("labels have no values inside jit", "where the data is read"):
        jax.jit(partial(function, classes=8))(labels)


def test_checked_labels_go_by_their_name():
    with refuses("val/17.png must lie in 0…2", "got 9 at (0,)"):
        check_labels(np.array([9]), classes=3, name="val/17.png")
    with refuses("val/17.png must be integer", "got float64"):
        check_labels(np.array([1.0]), classes=3, name="val/17.png")
    with refuses("val/17.png have no values inside jit"):
        jax.jit(partial(check_labels, classes=3, name="val/17.png"))(LABELS)


def test_a_pool_of_the_wrong_shape():
    loss = partial(locally_adaptive_loss, LOGITS, LABELS, kernel_size=1)
    remedy = "axis=(-2, -1), with functools.partial"
    pool: Any
    for pool, shape in [
        (lambda losses, *, where: losses, "(2, 6, 7)"),
        (lambda losses, *, where: losses.mean(), "()"),
        (partial(masked_mean, axis=-1), "(2, 6)"),
    ]:
        with refuses("one per image, (2,)", f"got {shape}", remedy):
            loss(pool=pool)


def test_estimates_that_do_not_fit():
    ones = np.ones((2, 3))
    weights: Any
    for weights in ([1.0], 1.0, [[1.0], [1.0]]):
        shape = np.shape(weights)
        with refuses("one number for each estimate", f"weights {shape}", "(2, 2, 3)"):
            weighted_ensemble([ones, ones], weights)
    with refuses("estimates must be arrays of one shape", "[(2, 3), (3,)]"):
        weighted_ensemble([ones, ones[0]], [1.0, 1.0])
    with refuses("estimates must be arrays of one shape", "[]"):
        weighted_ensemble([], [])
    with refuses("estimates must be floating point", "got int64", "jnp.float32"):
        weighted_ensemble([ones.astype(int)] * 2, [1.0, 1.0])
    with refuses("one number for each estimate", "stacked estimates ()"):
        weighted_ensemble(jnp.ones(()), [1.0])
