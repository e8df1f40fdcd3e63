"""Several ignored labels are as one, in every function that takes `ignore_label`."""

import inspect
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

import lal_jax
from lal_jax import check_labels, class_balanced_mean, gradients, label_counts
from tests.lal_jax.functions import (
    LABELS,
    LOGITS,
    OF_LABELS,
    Function,
    every,
    refuses,
)

# A class, the usual one, and one that is neither.
SEVERAL = (1, 255, -3)
STRAYED: Any = np.where(np.indices(LABELS.shape).sum(0) % 7 == 0, -3, LABELS)
STRAYED[:, 2, 3:5] = 255
AS_ONE = np.where(np.isin(STRAYED, SEVERAL), 255, STRAYED)


def of_losses(pool: Function) -> Function:
    return lambda x, y, **options: pool(x[..., 0] ** 2, y, **options)


FUNCTIONS: dict[str, Function] = {
    **OF_LABELS,
    "class_balanced_mean": of_losses(class_balanced_mean),
    "class_balanced_gradient": of_losses(gradients.class_balanced_gradient),
    "valid_mask": lambda x, y, **options: lal_jax.valid_mask(y, **options),
    "signed_distances": lambda x, y, **options: lal_jax.signed_distances(
        y, num_classes=5, **options
    ),
}
# In NumPy.
LOOKED_AT = ("check_labels", "label_counts")


@every(FUNCTIONS)
def test_several_ignored_labels_are_as_one(function):
    """The class among them counts no more than the others."""
    actual = jax.jit(partial(function, ignore_label=SEVERAL))(LOGITS, STRAYED)
    wanted = jax.jit(function)(LOGITS, AS_ONE)
    np.testing.assert_array_equal(actual, wanted)
    assert not np.array_equal(actual, jax.jit(function)(LOGITS, STRAYED))


@every({name: FUNCTIONS[name] for name in ("focal_loss", "valid_mask")})
def test_lists_and_none_at_all(function):
    listed = function(LOGITS, STRAYED, ignore_label=list(SEVERAL))
    np.testing.assert_array_equal(listed, function(LOGITS, AS_ONE))
    none = function(LOGITS, LABELS, ignore_label=())
    np.testing.assert_array_equal(none, function(LOGITS, LABELS, ignore_label=-1))


def test_no_function_is_left_out():
    public = {**vars(lal_jax), **vars(gradients)}
    taking = {
        name
        for name in {*lal_jax.__all__, *gradients.__all__} - {"gradients", "metrics"}
        if "ignore_label" in inspect.signature(public[name]).parameters
    }
    assert taking == {*FUNCTIONS, *LOOKED_AT}


def test_labels_are_looked_at_and_counted_without_the_ignored():
    check_labels(STRAYED, classes=5, ignore_label=SEVERAL)
    counts = label_counts(STRAYED, classes=5, ignore_label=SEVERAL)
    wanted = [0 if c == 1 else np.sum(STRAYED == c) for c in range(5)]
    np.testing.assert_array_equal(counts, wanted)
    narrow = np.array([0, 255, 3], np.uint8)
    assert label_counts(narrow, classes=4, ignore_label=(-1, 255)).tolist() == [
        1,
        0,
        0,
        1,
    ]


@pytest.mark.parametrize("function", [check_labels, label_counts])
def test_labels_that_are_neither_classes_nor_ignored(function):
    labels = np.array([[0, 255], [9, 7]])
    with refuses("lie in 0…2 or be 255, 9 (void), got 7 at (1, 1), 1 of 4"):
        function(labels, classes=3, ignore_label=(255, 9))
    with refuses("lie in 0…2, got 255 at (0, 1), 3 of 4"):
        function(labels, classes=3, ignore_label=())


@every(
    {
        **FUNCTIONS,
        **{
            n: lambda x, y, n=n, **o: getattr(lal_jax, n)(y, classes=5, **o)
            for n in LOOKED_AT
        },
    }
)
def test_ignored_labels_that_no_label_can_be(function):
    remedy = "or a tuple of them"
    for bad in (None, 1.5, 2**31, np.array([0, 255])):
        with refuses("ignore_label must be an integer", remedy, f"got {bad!r}"):
            function(LOGITS, LABELS, ignore_label=bad)
    with refuses("ignore_label must be an integer", remedy, "got 'x'"):
        function(LOGITS, LABELS, ignore_label=(255, "x"))
    with refuses("ignore_label must be known before tracing", "Tracer"):
        jax.jit(lambda one: function(LOGITS, LABELS, ignore_label=(255, one)))(3)
