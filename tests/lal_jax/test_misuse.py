"""Misuse that is known before tracing raises ValueError: what came, and the way out.

What the tests of the single functions have already is not repeated here.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    center_loss,
    check_labels,
    chessboard_weights,
    class_weights_from_counts,
    focal_loss,
    gaussian_weights,
    gradients,
    hard_pixel_mean,
    label_counts,
    locally_adaptive_loss,
    loss_max_pooling,
    masked_mean,
    minkowski_mean,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
    standard_score,
    uniform_weights,
    update_centers,
    valid_mask,
    weighted_ensemble,
)

Function = Callable[..., Any]
LOGITS: Any = np.linspace(-1, 1, 2 * 6 * 7 * 5).reshape(2, 6, 7, 5)
LABELS: Any = np.arange(2 * 6 * 7).reshape(2, 6, 7) % 5
CENTERS: Any = np.ones((5, 5))

WINDOWED: dict[str, Function] = {
    "selective_pool": selective_pool,
    "selective_cross_entropy": selective_cross_entropy,
    "locally_adaptive_loss": locally_adaptive_loss,
    "locally_adaptive_gradient": gradients.locally_adaptive_gradient,
    "selective_gradient": gradients.selective_gradient,
}
TARGETED: dict[str, Function] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "selective_cross_entropy": selective_cross_entropy,
    "locally_adaptive_loss": locally_adaptive_loss,
    "locally_adaptive_gradient": gradients.locally_adaptive_gradient,
}
# Each takes predictions and labels.
OF_LABELS: dict[str, Function] = {
    **WINDOWED,
    **TARGETED,
    "focal_loss": focal_loss,
    "center_loss": lambda x, y, **options: center_loss(
        x, y, jnp.asarray(CENTERS), **options
    ),
    "update_centers": lambda x, y, **options: update_centers(
        jnp.asarray(CENTERS), x, y, **options
    ),
    "as_printed": gradients.as_printed,
}
# Each takes losses.
POOLS: dict[str, Function] = {
    "masked_mean": masked_mean,
    "minkowski_mean": minkowski_mean,
    "hard_pixel_mean": hard_pixel_mean,
    "loss_max_pooling": loss_max_pooling,
    "minkowski_gradient": gradients.minkowski_gradient,
}
POWERED: dict[str, Function] = {
    "minkowski_mean": lambda power: minkowski_mean(LOGITS[..., 0], power=power),
    "minkowski_gradient": lambda power: gradients.minkowski_gradient(
        LOGITS[..., 0], power=power
    ),
    "locally_adaptive_loss": lambda power: locally_adaptive_loss(
        LOGITS, LABELS, kernel_size=1, power=power
    ),
    "locally_adaptive_gradient": lambda power: gradients.locally_adaptive_gradient(
        LOGITS, LABELS, kernel_size=1, power=power
    ),
}
KERNELS: dict[str, Function] = {
    "chessboard_weights": chessboard_weights,
    "uniform_weights": uniform_weights,
    "gaussian_weights": gaussian_weights,
    **{
        name: lambda kernel_size, f=function: f(LOGITS, LABELS, kernel_size=kernel_size)
        for name, function in WINDOWED.items()
    },
}


def every(functions: dict[str, Function]):
    return pytest.mark.parametrize("function", functions.values(), ids=functions.keys())


def refuses(*parts: object):
    """Expects a ValueError whose message has all of these, in this order."""
    pattern = ".*".join(re.escape(str(part)) for part in parts)
    return pytest.raises(ValueError, match=f"(?s){pattern}")


# --- Arrays ------------------------------------------------------------------------


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


# --- Windows -----------------------------------------------------------------------


@every(KERNELS)
@pytest.mark.parametrize(
    "kernel_size",
    [4, 0, -3, (), (3, 4), (3, 0), 3.0, (3.0, 3), (3, float("nan")), "5", None],
)
def test_kernels_without_a_center(function, kernel_size):
    with refuses("kernel_size must be a positive odd integer", f"got {kernel_size!r}"):
        function(kernel_size)


@every(WINDOWED)
@pytest.mark.parametrize("stride", [0, -1, 1.5, 2.0, (2, 2), None, "2"])
def test_strides_that_are_no_positive_integers(function, stride):
    with refuses("stride must be an integer of at least 1", f"got {stride!r}"):
        function(LOGITS, LABELS, stride=stride)


@every(WINDOWED)
def test_normalizers_that_are_unknown(function):
    for normalizer in ("sum", "Count", None):
        with refuses("normalizer must be 'count' or 'weights'", f"got {normalizer!r}"):
            function(LOGITS, LABELS, normalizer=normalizer)


@every(WINDOWED)
def test_neighbor_weights_of_another_shape(function):
    for weights in (np.ones((3, 3)), np.ones(5), 1.0, [[1.0] * 5] * 4):
        with refuses("kernel_size=(5, 5)", f"got {np.shape(weights)}"):
            function(LOGITS, LABELS, neighbor_weights=weights)


@every({name: WINDOWED[name] for name in WINDOWED if name in TARGETED})
def test_normalizations_that_are_unknown_or_learn_nothing(function):
    for normalization in ("softmax", None):
        with refuses("'standard_score' or 'none'", f"got {normalization!r}"):
            function(LOGITS, LABELS, normalization=normalization)
    with refuses("at least 3 classes", "(2, 6, 7, 2)", 'pass normalization="none"'):
        function(LOGITS[..., :2], LABELS)


# --- Targets -----------------------------------------------------------------------


@every({**TARGETED, "focal_loss": focal_loss})
def test_class_weights_of_another_length(function):
    for weights in (np.ones(4), np.ones((5, 1)), 1.0, [1, 2, 3]):
        with refuses("each of the 5 classes", f"got shape {np.shape(weights)}"):
            function(LOGITS, LABELS, class_weights=weights)


@every(TARGETED)
def test_label_smoothing_out_of_range(function):
    for smoothing in (1.0, 1.5, -0.1, float("nan")):
        with refuses("label_smoothing must lie in [0, 1)", f"got {smoothing}"):
            function(LOGITS, LABELS, label_smoothing=smoothing)


def test_a_focus_out_of_range():
    for alpha in (0, -0.25, float("inf"), float("nan")):
        with refuses("alpha must be a finite number above 0", f"got {alpha}"):
            focal_loss(LOGITS, LABELS, alpha=alpha)
    for gamma in (-1, float("inf"), float("nan")):
        with refuses("gamma must be a finite number of at least 0", f"got {gamma}"):
            focal_loss(LOGITS, LABELS, gamma=gamma)


@pytest.mark.parametrize("alpha", [0, -1, 1.5, float("nan")])
def test_a_rate_of_the_centers_out_of_range(alpha):
    with refuses("alpha must lie in (0, 1]", f"got {alpha}"):
        update_centers(CENTERS, LOGITS, LABELS, alpha=alpha)


# --- Numbers -----------------------------------------------------------------------


@every(POWERED)
@pytest.mark.parametrize("power", [0, -1, float("nan"), float("inf")])
def test_powers_out_of_range(function, power):
    with refuses("power must be a finite number above 0", f"got {power}"):
        function(power)


@pytest.mark.parametrize("epsilon", [-1e-6, float("nan"), float("inf")])
def test_epsilons_out_of_range(epsilon):
    with refuses("epsilon must be a finite number of at least 0", f"got {epsilon}"):
        standard_score(LOGITS, epsilon=epsilon)


@pytest.mark.parametrize("sigma", [0, -1.0, float("nan"), float("inf")])
def test_sigmas_out_of_range(sigma):
    with refuses("sigma must be a finite number above 0", f"got {sigma}"):
        gaussian_weights(3, sigma=sigma)


@pytest.mark.parametrize("beta", [1.0, 2, -0.1, float("nan")])
def test_betas_out_of_range(beta):
    with refuses("beta must lie in [0, 1)", f"got {beta}"):
        class_weights_from_counts(
            np.array([1, 2]), method="effective_number", beta=beta
        )


NUMBERS: dict[str, Function] = {
    "power": POWERED["locally_adaptive_loss"],
    "label_smoothing": lambda value: softmax_cross_entropy(
        LOGITS, LABELS, label_smoothing=value
    ),
    "alpha": lambda value: focal_loss(LOGITS, LABELS, alpha=value),
    "gamma": lambda value: focal_loss(LOGITS, LABELS, gamma=value),
    "epsilon": lambda value: standard_score(LOGITS, epsilon=value),
    "fraction": lambda value: hard_pixel_mean(LOGITS, fraction=value),
    "norm": lambda value: loss_max_pooling(LOGITS, norm=value),
    "minimal_fraction": lambda value: loss_max_pooling(LOGITS, minimal_fraction=value),
    "sigma": lambda value: gaussian_weights(3, sigma=value),
}


@pytest.mark.parametrize(("name", "function"), NUMBERS.items(), ids=NUMBERS.keys())
def test_options_that_are_no_numbers(name, function):
    """Nor are traced ones known; the message says how to make them so."""
    remedy = f'static_argnames=("{name}",)'
    with refuses(f"{name} must be known before tracing", "Tracer", remedy):
        jax.jit(function)(0.5)
    for value in ("half", None, [0.5, 0.5]):
        with refuses(f"{name} must be a single number", f"got {value!r}"):
            function(value)


def test_a_traced_kernel_stride_or_ignore_label():
    for name in ("kernel_size", "stride", "ignore_label"):
        remedy = f'static_argnames=("{name}",)'
        with refuses(f"{name} must be known before tracing", "Tracer", remedy):
            jax.jit(
                lambda value, name=name: selective_pool(LOGITS, LABELS, **{name: value})
            )(3)


@pytest.mark.parametrize("ignore_label", [None, 1.5, 2**31])
def test_an_ignore_label_that_no_label_can_be(ignore_label):
    with refuses("ignore_label must be an integer", "-1", f"got {ignore_label}"):
        selective_pool(LOGITS, LABELS, ignore_label=ignore_label)


@pytest.mark.parametrize("form", [np.array, jnp.array])
def test_class_weights_that_are_no_weights(form):
    for first in (-1.0, np.nan, np.inf):
        with refuses("class_weights must be finite and not negative", "got"):
            selective_cross_entropy(
                LOGITS, LABELS, class_weights=form([first, 1.0, 1.0, 1.0, 1.0])
            )
    strange: Any
    for strange in ("balanced", {0: 1.0}, form([1j] * 5)):
        with refuses("class_weights must be", "class_weights_from_counts"):
            selective_cross_entropy(LOGITS, LABELS, class_weights=strange)


def test_axes_named_twice():
    with refuses("axis must name axes of the losses", "each once", "(-1, 2)"):
        masked_mean(jnp.ones((2, 3, 4)), axis=(-1, 2))


# --- Counts and labels -------------------------------------------------------------


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
    """The first is named with its place, and how many there are."""
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


# --- Pools and ensembles -----------------------------------------------------------


def test_a_pool_of_the_wrong_shape():
    loss = partial(locally_adaptive_loss, LOGITS, LABELS, kernel_size=1)
    remedy = "axis=(-2, -1), with functools.partial"
    pool: Any
    for pool, shape in [
        (lambda losses, *, where: losses, "(2, 6, 7)"),
        (lambda losses, *, where: losses.mean(), "()"),
        (partial(masked_mean, axis=-1), "(2, 6)"),
    ]:
        with refuses("one an image, (2,)", f"got {shape}", remedy):
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
