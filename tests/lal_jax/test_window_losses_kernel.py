"""The kernels against XLA's form: interpreted, or run where there is a GPU for them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    gaussian_weights,
    locally_adaptive_loss,
    selective_cross_entropy,
)
from lal_jax.kernel_switch import VARIABLE, platform_obstacle
from lal_jax.window_losses import WindowLoss, xla_losses, xla_residuals
from lal_jax.window_losses_kernel import losses_and_residuals
from lal_jax.windows import NO_CLASS
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import LOPSIDED
from tests.tolerances import assert_close

MODE = "interpret" if platform_obstacle() else "on"
some_jit: Any = jax.jit if MODE == "interpret" else full_jit
SHAPE = (2, 6, 7, 3)

CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "3×3": (SHAPE, {"kernel_size": 3}),
    "lopsided": (SHAPE, {"kernel_size": 3, "neighbor_weights": LOPSIDED}),
    "a row": (SHAPE, {"kernel_size": (1, 3)}),
    "a column, dilated": ((1, 7, 5, 3), {"kernel_size": (3, 1), "dilation": 2}),
    "5×5 of one row": ((1, 1, 9, 4), {"kernel_size": 5}),
    "5×5 of one column, dilated": ((9, 1, 3), {"kernel_size": 5, "dilation": (1, 3)}),
    "weights": (
        SHAPE,
        {
            "kernel_size": 3,
            "neighbor_weights": gaussian_weights(3),
            "normalizer": "weights",
        },
    ),
    "raw, scaled, smoothed": (
        SHAPE,
        {
            "kernel_size": (1, 3),
            "normalization": "none",
            "score_scale": np.float32(2.5),
            "label_smoothing": 0.1,
        },
    ),
    "class weights": (
        SHAPE,
        {"kernel_size": (3, 1), "class_weights": np.array([0.5, 2.0, 1.0])},
    ),
    "several tiles, odd": (
        (2, 17, 31, 3),
        {"kernel_size": 3, "neighbor_weights": LOPSIDED, "dilation": (2, 1)},
    ),
    "more leading axes": ((2, 1, 2, 3, 8, 3), {"kernel_size": (1, 3)}),
}
on_gpu = pytest.mark.skipif(MODE == "interpret", reason="needs a GPU of Hopper's or on")
LARGE: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "21 classes": ((2, 65, 131, 21), {}),
    "32 classes, dilated": ((1, 33, 40, 32), {"dilation": 2, "kernel_size": 3}),
    "31 places": ((1, 9, 70, 5), {"kernel_size": (1, 31), "normalization": "none"}),
    "a whole image of VOC": ((1, 513, 513, 21), {"normalizer": "weights"}),
}


def scene(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Random logits, float32, and labels in blocks with void pixels among them."""
    *batch, height, width, classes = shape
    blocks = rng.integers(0, classes, (*batch, height // 2 + 1, width // 3 + 1))
    labels = blocks.repeat(2, -2).repeat(3, -1)[..., :height, :width]
    labels = np.where(rng.random(labels.shape) < 0.15, 255, labels)
    logits = 3 * rng.standard_normal(shape, np.float32)
    return jnp.asarray(logits), jnp.asarray(labels, jnp.int32)


@pytest.fixture
def switch(monkeypatch):
    """Sets the mode for what is traced from here on."""
    return functools.partial(monkeypatch.setenv, VARIABLE)


def losses_and_gradient(logits, labels, **options):
    """Each pixel's loss, and the gradient of a sum in which each has its own factor."""
    factors = jnp.linspace(0.5, 1.5, labels.size).reshape(labels.shape)

    def total(x):
        losses = selective_cross_entropy(x, labels, **options)
        return jnp.sum(losses * factors.astype(losses.dtype)), losses

    gradient, losses = some_jit(jax.grad(total, has_aux=True))(logits)
    return losses, gradient


def compare(rng, switch, shape, options):
    logits, labels = scene(rng, shape)
    switch("off")
    double = logits.astype(jnp.float64)
    expected = losses_and_gradient(double, labels, **options)
    switch(MODE)
    actual = losses_and_gradient(logits, labels, **options)
    assert all(array.dtype == jnp.float32 for array in actual)
    terms = shape[-1] * np.prod(options.get("kernel_size", 5))
    for ours, theirs in zip(actual, expected, strict=True):
        assert_close(ours, theirs, length=terms)


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradient_are_those_of_xla_in_float64(rng, switch, case):
    compare(rng, switch, *CASES[case])


@on_gpu
@pytest.mark.parametrize("case", LARGE)
def test_large_images(rng, switch, case):
    compare(rng, switch, *LARGE[case])


def kernel_and_xla(switch, logits, labels, **options):
    switch(MODE)
    actual = losses_and_gradient(logits, labels, **options)
    switch("off")
    return actual, losses_and_gradient(logits, labels, **options)


def label_by_label(logits, labels, **options):
    """Losses and gradient of each label by itself, all other pixels being ignored."""
    losses, gradient = jnp.zeros(labels.shape), jnp.zeros(logits.shape)
    both = some_jit(lambda x, y: losses_and_gradient(x, y, **options))
    for label in range(logits.shape[-1]):
        own = labels == label
        one, slope = both(logits, jnp.where(own, label, 255))
        losses = jnp.where(own, one.astype(losses.dtype), losses)
        gradient = jnp.where(own[..., None], slope.astype(losses.dtype), gradient)
    return losses, gradient


def test_void_alone_has_no_loss_and_no_gradient(switch):
    logits = jnp.full(SHAPE, jnp.nan, jnp.float32)
    labels = jnp.full(SHAPE[:-1], 255, jnp.int32)
    switch(MODE)
    losses, gradient = losses_and_gradient(logits, labels, kernel_size=(1, 3))
    assert not losses.any()
    assert not gradient.any()


@pytest.mark.parametrize("normalization", ["standard_score", "none"])
def test_ugly_logits_do_as_with_xla(rng, switch, normalization):
    """NaN, infinities, logits whose squares overflow; NaN of void never enters.

    Nor does that of a neighbor with another label, which in XLA's form is times 0, NaN.
    """
    logits, labels = scene(rng, SHAPE)
    labels = labels.at[0, 2:4].set(1).at[1, 0].set(255).at[1, 2, 3].set(255)
    logits = logits.at[1, 0].set(jnp.nan).at[1, 2, 3].set(jnp.nan)
    logits = logits.at[0, 2, 0, 1].set(jnp.nan).at[1, 3, 3].set(2.0)
    logits = logits.at[1, 5, 0, 0].set(jnp.inf).at[1, 5, 6, 2].set(-jnp.inf)
    logits = logits.at[0, 5, 2].set(jnp.array([1e30, -1e30, 0], jnp.float32))
    logits = logits.at[0, 5, 5].set(jnp.array([3e38, -3e38, 0], jnp.float32))
    options = {"kernel_size": (1, 3), "normalization": normalization}
    switch(MODE)
    actual = losses_and_gradient(logits, labels, **options)
    switch("off")
    expected = label_by_label(logits, labels, **options)
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(jnp.isnan(ours), jnp.isnan(theirs))
        assert 0 < jnp.isnan(theirs).sum() < theirs.size // 2
        assert_close(jnp.nan_to_num(ours), jnp.nan_to_num(theirs), length=9)
    assert (actual[0][~jnp.isnan(actual[0])] >= 0).all()


def test_losses_are_finite_where_differences_overflow(switch):
    logits = jnp.array([[[[1.5e38, -1.5e38, 0]]]], jnp.float32)
    labels = jnp.ones((1, 1, 1), jnp.int32)
    options = {"kernel_size": (1, 3), "normalization": "none"}
    actual, expected = kernel_and_xla(switch, logits, labels, **options)
    for ours, theirs in zip(actual, expected, strict=True):
        assert jnp.isfinite(ours).all()
        assert_close(ours, theirs)


def test_strays_have_no_loss_and_no_gradient(rng, switch):
    logits, labels = scene(rng, SHAPE)
    labels = labels.at[0, 1:3].set(7).at[1, 4:].set(-3)
    actual, expected = kernel_and_xla(switch, logits, labels, kernel_size=(1, 3))
    assert not actual[0][0, 1:3].any()
    assert not actual[1][1, 4:].any()
    for ours, theirs in zip(actual, expected, strict=True):
        assert_close(ours, theirs, length=9)


@pytest.mark.parametrize("scored", [True, False])
def test_residuals_are_those_of_xla(rng, scored):
    """One program's losses may meet another's gradient: on two kinds of device."""
    logits, labels = scene(rng, SHAPE)
    marks = jnp.where(labels == 255, NO_CLASS, labels).at[0, 2].set(9)
    loss = WindowLoss(
        window=(3, 1),
        weight_bytes=np.array([0.5, 1, 2], np.float32).tobytes(),
        dilation=(1, 1),
        normalizer="weights",
        scored=scored,
        scale=1.5,
        label_smoothing=0.1,
        mode=MODE,
    )
    kernel = some_jit(lambda x, y: losses_and_residuals(x, y, loss, True))
    xla = some_jit(lambda x, y: [xla_losses(x, y, loss), *xla_residuals(x, y, loss)])
    for ours, theirs in zip(kernel(logits, marks), xla(logits, marks), strict=True):
        assert_close(ours, theirs, length=9, dtype=jnp.dtype("float32"))


def test_the_loss_of_an_image(rng, switch):
    """The pooled loss without a gradient: the kernel that keeps nothing for one."""
    logits, labels = scene(rng, SHAPE)
    loss = functools.partial(locally_adaptive_loss, kernel_size=(1, 3))
    switch(MODE)
    actual = some_jit(lambda x: loss(x, labels))(logits)
    switch("off")
    expected = jax.jit(lambda x: loss(x, labels))(logits.astype(jnp.float64))
    assert_close(actual, expected, length=9)


def test_bfloat16_logits(rng, switch):
    logits, labels = scene(rng, SHAPE)
    half = logits.astype(jnp.bfloat16)
    actual, expected = kernel_and_xla(switch, half, labels, kernel_size=(1, 3))
    assert actual[1].dtype == jnp.bfloat16
    assert_close(actual[0], expected[0], length=9)
    assert_close(
        actual[1].astype(jnp.float32),
        expected[1].astype(jnp.float32),
        dtype=jnp.dtype(jnp.bfloat16),
    )
