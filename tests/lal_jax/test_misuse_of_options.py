"""Misuse of options raises a ValueError that says what was given and what to do.

Cases in the tests of single functions are not repeated here.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    class_balanced_mean,
    class_weights_from_counts,
    dice_loss,
    focal_loss,
    gaussian_weights,
    hard_pixel_mean,
    loss_max_pooling,
    masked_mean,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
    standard_score,
    tversky_loss,
    update_centers,
)
from lal_jax.gradients import class_balanced_gradient
from tests.lal_jax.functions import (
    CENTERS,
    KERNELS,
    LABELS,
    LOGITS,
    OVERLAP,
    POWERED,
    REGIONS,
    TARGETED,
    WINDOWED,
    Function,
    every,
    refuses,
)

SCALED = {name: WINDOWED[name] for name in WINDOWED if name in TARGETED}
BALANCED: dict[str, Function] = {
    "class_balanced_mean": class_balanced_mean,
    "class_balanced_gradient": class_balanced_gradient,
}


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
@pytest.mark.parametrize("dilation", [0, -1, 1.5, (2,), (1, 0), (1, 2, 3), None, "2"])
def test_dilations_that_are_no_positive_integers(function, dilation):
    expected = refuses(
        "dilation must be an integer of at least 1", "2 axes", f"got {dilation!r}"
    )
    with expected:
        function(LOGITS, LABELS, dilation=dilation)


@every(SCALED)
@pytest.mark.parametrize(
    "scale",
    [0, -2.0, np.nan, np.inf, 1e39, 1e-39, "2", None, [1.0, 2.0], 2j, jnp.ones(1)],
)
def test_scales_that_are_no_positive_numbers(function, scale):
    """Of float32 logits, in which 1e39 is infinite and 1e-39 is flushed to 0."""
    with refuses("score_scale must be", f"got {scale!r}"):
        function(LOGITS.astype(np.float32), LABELS, score_scale=scale)


@every(SCALED)
def test_traced_scales_of_another_shape(function):
    with refuses("score_scale must be one finite float64 above 0", "default 1", "got"):
        jax.jit(lambda scale: function(LOGITS, LABELS, score_scale=scale))(np.ones(5))


@every(BALANCED)
@pytest.mark.parametrize("exponent", [-0.1, 1.1, float("nan"), float("inf")])
def test_exponents_out_of_range(function, exponent):
    with refuses("exponent must lie in [0, 1]", "classes alike", f"got {exponent!r}"):
        function(LOGITS[..., 0], LABELS, exponent=exponent)


@every(BALANCED)
@pytest.mark.parametrize("classes", [0, -3, 2.0, "5"])
def test_numbers_of_classes_that_are_none(function, classes):
    with refuses("classes must be an integer of at least 1", f"got {classes!r}"):
        function(LOGITS[..., 0], LABELS, classes=classes)


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


@every(SCALED)
def test_normalizations_that_are_unknown_or_learn_nothing(function):
    for normalization in ("softmax", None):
        with refuses("'standard_score'", "'none'", f"got {normalization!r}"):
            function(LOGITS, LABELS, normalization=normalization)
    with refuses("at least 3 classes", "(2, 6, 7, 2)", 'pass normalization="image'):
        function(LOGITS[..., :2], LABELS)


@every({**TARGETED, **OVERLAP, **REGIONS, "focal_loss": focal_loss})
def test_class_weights_of_another_length(function):
    for weights in (np.ones(4), np.ones((5, 1)), 1.0, [1, 2, 3]):
        with refuses("each of the 5 classes", f"got shape {np.shape(weights)}"):
            jax.eval_shape(lambda w=weights: function(LOGITS, LABELS, class_weights=w))


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
    "beta": lambda value: tversky_loss(LOGITS, LABELS, beta=value),
    "smooth": lambda value: dice_loss(LOGITS, LABELS, smooth=value),
    "epsilon": lambda value: standard_score(LOGITS, epsilon=value),
    "exponent": lambda value: class_balanced_mean(
        LOGITS[..., 0], LABELS, exponent=value
    ),
    "fraction": lambda value: hard_pixel_mean(LOGITS, fraction=value),
    "norm": lambda value: loss_max_pooling(LOGITS, norm=value),
    "minimal_fraction": lambda value: loss_max_pooling(LOGITS, minimal_fraction=value),
    "sigma": lambda value: gaussian_weights(3, sigma=value),
}


@pytest.mark.parametrize(("name", "function"), NUMBERS.items(), ids=NUMBERS.keys())
def test_options_that_are_no_numbers(name, function):
    """Traced numbers are refused too; the message says how to make them static."""
    remedy = f'static_argnames=("{name}",)'
    with refuses(f"{name} must be known before tracing", "Tracer", remedy):
        jax.jit(function)(0.5)
    for value in ("half", None, [0.5, 0.5]):
        with refuses(f"{name} must be a single number", f"got {value!r}"):
            function(value)


def test_a_traced_kernel_stride_dilation_or_ignore_label():
    for name in ("kernel_size", "stride", "dilation", "ignore_label"):
        remedy = f'static_argnames=("{name}",)'
        with refuses(f"{name} must be known before tracing", "Tracer", remedy):
            jax.jit(
                lambda value, name=name: selective_pool(LOGITS, LABELS, **{name: value})
            )(3)


@pytest.mark.parametrize("ignore_label", [None, 1.5, 2**31 - 1, 1 - 2**31])
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
