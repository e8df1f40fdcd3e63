"""Properties of the selective pool and the locally adaptive loss for any input."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal_jax import (
    chessboard_weights,
    gaussian_weights,
    locally_adaptive_loss,
    masked_mean,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
)
from lal_jax.patches import selective_pool_by_patches
from lal_jax.window_sum import window_sum
from lal_jax.windows import NO_CLASS
from tests.lal_jax.drawn import CLASSES, SHAPE, repeatable, scene, seeds
from tests.tolerances import assert_close


class Setting(NamedTuple):
    kernel_size: tuple[int, int]
    stride: int
    normalizer: str
    power: float
    weights: Callable[..., np.ndarray]
    dilation: int = 1
    score_scale: float = 1.0


def lopsided_weights(kernel_size: tuple[int, int]) -> np.ndarray:
    """Not symmetric in any way."""
    return np.random.default_rng(7).uniform(0.1, 2.0, size=kernel_size)


# Few, since JAX compiles each anew.
SETTINGS = [
    Setting((1, 1), 1, "count", 3.0, chessboard_weights),
    Setting((5, 5), 1, "count", 3.0, chessboard_weights),
    Setting((3, 3), 2, "count", 1.0, lopsided_weights),
    Setting((3, 5), 2, "weights", 2.5, gaussian_weights),
    Setting((3, 3), 1, "count", 3.0, lopsided_weights, 2, 4.0),
]


class Outcome(NamedTuple):
    pooled: jax.Array
    per_pixel: jax.Array
    per_image: jax.Array
    gradient: jax.Array


@functools.cache
def _compiled(setting, weights):
    window: dict[str, Any] = {
        "kernel_size": np.shape(weights),
        "stride": setting.stride,
        "dilation": setting.dilation,
        "normalizer": setting.normalizer,
        "neighbor_weights": np.array(weights),
    }

    @jax.jit
    def outcome(logits, labels, where, class_weights):
        target = {"class_weights": class_weights, "label_smoothing": 0.1}
        target["score_scale"] = setting.score_scale
        window["where"] = where
        loss = functools.partial(
            locally_adaptive_loss,
            labels=labels,
            power=setting.power,
            **window,
            **target,
        )
        per_image, pullback = jax.vjp(loss, logits)
        return Outcome(
            selective_pool(logits, labels, **window),
            selective_cross_entropy(logits, labels, **window, **target),
            per_image,
            pullback(jnp.ones_like(per_image))[0],
        )

    return outcome


def evaluate(
    setting: Setting, logits, labels, where, class_weights=None, *, turn=lambda w: w
) -> Outcome:
    """All outcomes of a setting; `turn` is applied to the neighbor weights."""
    weights = turn(setting.weights(setting.kernel_size))
    function = _compiled(setting, tuple(tuple(row) for row in weights.tolist()))
    if class_weights is None:
        class_weights = np.ones(CLASSES)
    return function(*map(jnp.asarray, (logits, labels, where, class_weights)))


@functools.partial(jax.jit, static_argnames="stride")
def sum_and_pullback(values, marks, weights, cotangents, stride):
    """S x, and the pullback of y at the centers."""
    total, pullback = jax.vjp(
        lambda x: window_sum(x, marks, weights, stride=stride, dilation=(1, 1)), values
    )
    return total, pullback(cotangents)[0]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 5), (3, 5)])
@repeatable(5)
@given(seed=seeds)
def test_adjoint_of_the_window_sum_has_the_weights_mirrored(kernel_size, stride, seed):
    """⟨Sx, y⟩ = ⟨x, S̃y⟩ with zeros in y between the centers; S̃ = S at ω's default."""
    rng, x, labels, where = scene(seed)
    marks = jnp.where(jnp.asarray(where & (labels != 255)), labels, NO_CLASS)
    y = np.zeros_like(x)
    y[:, ::stride, ::stride] = rng.normal(size=y[:, ::stride, ::stride].shape)
    centers = jnp.asarray(y[:, ::stride, ::stride])
    own = lopsided_weights(kernel_size)
    chessboard = chessboard_weights(kernel_size)
    for weights, mirrored in [(chessboard, chessboard), (own, own[::-1, ::-1])]:
        arrays = [jnp.asarray(array) for array in (x, y, weights, mirrored)]
        total, transposed = sum_and_pullback(
            arrays[0], marks, arrays[2], centers, stride
        )
        adjoint, _ = sum_and_pullback(arrays[1], marks, arrays[3], arrays[0], 1)
        assert_close(jnp.vdot(total, centers), jnp.vdot(x, adjoint), length=x.size)
        assert_close(transposed, adjoint, length=25)


def flip_columns(image):
    return image[:, :, ::-1]


def flip_rows(image):
    return image[:, ::-1]


def transpose(image):
    return np.swapaxes(image, 1, 2)


# How each turns a batch of images, and how the neighbor weights.
TURNS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "left and right": (flip_columns, lambda weights: weights[:, ::-1]),
    "top and bottom": (flip_rows, lambda weights: weights[::-1]),
    "rows and columns": (transpose, lambda weights: weights.T),
}


@pytest.mark.parametrize(("turn", "turn_weights"), TURNS.values(), ids=TURNS.keys())
@repeatable(12)
@given(seed=seeds, setting=st.sampled_from(SETTINGS))
def test_a_turned_image_has_turned_losses(turn, turn_weights, seed, setting):
    _, *arrays = scene(seed)
    straight = evaluate(setting, *arrays)
    turned = evaluate(setting, *map(turn, arrays), turn=turn_weights)
    assert_close(turned.pooled, turn(straight.pooled), length=25)
    assert_close(turned.per_pixel, turn(straight.per_pixel), length=125)
    assert_close(turned.per_image, straight.per_image, length=125)
    assert_close(turned.gradient, turn(straight.gradient), length=125)


@repeatable(12)
@given(seed=seeds, setting=st.sampled_from(SETTINGS), order=st.permutations(range(3)))
def test_images_do_not_know_their_place_in_the_batch(seed, setting, order):
    _, *arrays = scene(seed)
    straight = evaluate(setting, *arrays)
    permuted = evaluate(setting, *(array[order] for array in arrays))
    for before, after in zip(straight, permuted, strict=True):
        np.testing.assert_array_equal(after, before[np.array(order)])


@repeatable(4)
@given(seed=seeds, setting=st.just(SETTINGS[2]))
def test_a_batch_is_a_loop_over_its_images(seed, setting):
    _, *arrays = scene(seed)
    batch = evaluate(setting, *arrays)
    for index in range(SHAPE[0]):
        alone = evaluate(setting, *(array[index] for array in arrays))
        for together, single in zip(batch, alone, strict=True):
            assert_close(single, together[index], length=125)


@repeatable(12)
@given(
    seed=seeds,
    setting=st.sampled_from(SETTINGS),
    names=st.permutations(range(CLASSES)),
)
def test_classes_are_names(seed, setting, names):
    """Class c becomes names[c] in logits, labels and weights; void stays 255."""
    rng, logits, labels, where = scene(seed)
    class_weights = rng.uniform(0.5, 2.0, size=CLASSES)
    place = np.argsort(names)
    renamed = np.where(labels == 255, 255, np.take(names, labels % 255))
    before = evaluate(setting, logits, labels, where, class_weights)
    after = evaluate(setting, logits[..., place], renamed, where, class_weights[place])
    assert_close(after.pooled, before.pooled[..., place], length=25)
    assert_close(after.per_pixel, before.per_pixel, length=125)
    assert_close(after.per_image, before.per_image, length=125)
    assert_close(after.gradient, before.gradient[..., place], length=125)


# At a scale of 1e3, ε = 1e-6 beside σ² is a share of some 1e-12, of 1e-9 at a pixel
# whose logits happen to lie close together.
LARGE = 1e3


@repeatable(12)
@given(seed=seeds, setting=st.sampled_from(SETTINGS))
def test_scale_and_shift_of_a_pixel_do_not_matter(seed, setting):
    rng, logits, labels, where = scene(seed)
    scale, shift = np.exp(rng.normal(size=(2, *SHAPE, 1)))
    before = evaluate(setting, LARGE * logits, labels, where)
    after = evaluate(setting, LARGE * (scale * logits + shift), labels, where)
    np.testing.assert_allclose(after.per_pixel, before.per_pixel, rtol=1e-8)
    np.testing.assert_allclose(after.per_image, before.per_image, rtol=1e-8)
    largest = float(abs(before.gradient).max())
    np.testing.assert_allclose(
        scale * after.gradient, before.gradient, atol=1e-8 * largest
    )


@repeatable(12)
@given(seed=seeds, setting=st.sampled_from(SETTINGS))
def test_gradient_is_orthogonal_to_shift_and_scale(seed, setting):
    _, logits, labels, where = scene(seed)
    logits = LARGE * logits
    gradient = np.asarray(evaluate(setting, logits, labels, where).gradient)
    length = np.linalg.norm(gradient, axis=-1)
    assert length.any()
    assert (abs(gradient.sum(-1)) <= 1e-12 * length.max()).all()
    centered = logits - logits.mean(-1, keepdims=True)
    overlap = (centered * gradient).sum(-1) / np.linalg.norm(centered, axis=-1)
    assert (abs(overlap) <= 1e-8 * length.max()).all()


@repeatable(12)
@given(seed=seeds, setting=st.sampled_from(SETTINGS))
def test_gradient_halves_when_the_logits_double(seed, setting):
    _, logits, labels, where = scene(seed)
    once = evaluate(setting, LARGE * logits, labels, where).gradient
    twice = evaluate(setting, 2 * LARGE * logits, labels, where).gradient
    largest = float(abs(once).max())
    np.testing.assert_allclose(twice, once / 2, atol=1e-8 * largest)


@jax.jit
def _windows_of_one(logits, labels, where):
    loss = functools.partial(
        locally_adaptive_loss,
        kernel_size=1,
        normalization="none",
        power=1.0,
        where=where,
    )
    return loss(logits, labels, normalizer="weights"), loss(logits, labels)


@repeatable(8)
@given(seed=seeds)
def test_a_window_of_one_is_cross_entropy_or_that_of_twice_the_logits(seed):
    """The center's weight of 2 is divided away by "weights" and not by "count"."""
    _, *arrays = scene(seed)
    logits, labels, where = map(jnp.asarray, arrays)
    valid = where & (labels != 255)
    by_weights, by_count = _windows_of_one(logits, labels, where)
    for actual, factor in [(by_weights, 1.0), (by_count, 2.0)]:
        losses = softmax_cross_entropy(factor * logits, labels, where=where)
        assert_close(actual, masked_mean(losses, where=valid), length=35)


@repeatable(6)
@given(seed=seeds, kernel_size=st.sampled_from([3, 5]))
def test_pooling_by_patches_is_the_same(seed, kernel_size):
    _, *arrays = scene(seed)
    logits, labels, where = (jnp.asarray(array[0]) for array in arrays)
    patches = _by_patches(logits, labels, where & (labels != 255), kernel_size)
    actual = _pool(logits, labels, where, kernel_size)
    assert_close(actual, patches, length=kernel_size**2)


@functools.partial(jax.jit, static_argnums=3)
def _pool(logits, labels, where, kernel_size):
    return selective_pool(logits, labels, kernel_size=kernel_size, where=where)


@functools.partial(jax.jit, static_argnums=3)
def _by_patches(logits, labels, valid, kernel_size):
    return selective_pool_by_patches(logits, labels, valid, kernel_size=kernel_size)
