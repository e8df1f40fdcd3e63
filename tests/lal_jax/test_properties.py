"""What holds for every input, on inputs that hypothesis draws.

It draws a seed and options; NumPy builds the arrays from the seed. There is one shape
and the settings are few, so that JAX compiles little.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lal_jax import (
    center_loss,
    chessboard_weights,
    focal_loss,
    gaussian_weights,
    gradients,
    hard_pixel_mean,
    locally_adaptive_loss,
    loss_max_pooling,
    masked_mean,
    minkowski_mean,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
    update_centers,
)
from lal_jax.patches import selective_pool_by_patches
from lal_jax.stencil import mark_void, window_sum
from tests import reference
from tests.lal_jax.scenes import random_scene
from tests.tolerances import assert_close

# Odd sizes, so that a stride of 2 has the same centres from either side.
SHAPE = (3, 5, 7)
CLASSES = 4
seeds = st.integers(0, 2**32 - 1)


def repeatable(examples: int) -> settings:
    """The same examples in every run, however long JAX compiles.

    They are not shrunk, as a smaller seed is no simpler.
    """
    return settings(
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=examples,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )


class Setting(NamedTuple):
    kernel_size: tuple[int, int]
    stride: int
    normalizer: str
    power: float
    weights: Callable[..., np.ndarray]


def lopsided_weights(kernel_size: tuple[int, int]) -> np.ndarray:
    """Not symmetric in any way."""
    return np.random.default_rng(7).uniform(0.1, 2.0, size=kernel_size)


# Few, since JAX compiles each anew.
SETTINGS = [
    Setting((1, 1), 1, "count", 3.0, chessboard_weights),
    Setting((5, 5), 1, "count", 3.0, chessboard_weights),
    Setting((3, 3), 2, "count", 1.0, lopsided_weights),
    Setting((3, 5), 2, "weights", 2.5, gaussian_weights),
]


class Outcome(NamedTuple):
    pooled: jax.Array
    per_pixel: jax.Array
    per_image: jax.Array
    gradient: jax.Array


@functools.cache
def _compiled(kernel_size, stride, normalizer, power, weights):
    window: dict[str, Any] = {
        "kernel_size": kernel_size,
        "stride": stride,
        "normalizer": normalizer,
        "neighbor_weights": np.array(weights),
    }

    @jax.jit
    def outcome(logits, labels, where, class_weights):
        target = {"class_weights": class_weights, "label_smoothing": 0.1}
        window["where"] = where
        per_image, pullback = jax.vjp(
            lambda x: locally_adaptive_loss(x, labels, power=power, **window, **target),
            logits,
        )
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
    """Everything at once; `turn` is applied to the neighbour weights."""
    weights = turn(setting.weights(setting.kernel_size))
    function = _compiled(
        weights.shape, *setting[1:4], tuple(tuple(row) for row in weights.tolist())
    )
    if class_weights is None:
        class_weights = np.ones(CLASSES)
    return function(*map(jnp.asarray, (logits, labels, where, class_weights)))


def scene(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    """A generator, and logits, labels and `where` in NumPy."""
    rng = np.random.default_rng(seed)
    logits, labels, where = map(np.asarray, random_scene(rng, SHAPE, classes=CLASSES))
    return rng, logits, labels, where


# --- Selective pooling and the locally adaptive loss -------------------------------


@functools.partial(jax.jit, static_argnames="stride")
def sum_and_pullback(values, marks, weights, cotangents, stride):
    """S x, and what reverse mode makes of y at the centres."""
    total, pullback = jax.vjp(
        lambda x: window_sum(x, marks, weights, stride=stride), values
    )
    return total, pullback(cotangents)[0]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 5), (3, 5)])
@repeatable(5)
@given(seed=seeds)
def test_adjoint_of_the_window_sum_has_the_weights_mirrored(kernel_size, stride, seed):
    """⟨Sx, y⟩ = ⟨x, S̃y⟩ with zeros in y between the centres; S̃ = S at ω's default."""
    rng, x, labels, where = scene(seed)
    marks = mark_void(jnp.asarray(labels), jnp.asarray(where & (labels != 255)))
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


# How each turns a batch of images, and how the neighbour weights.
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
    """The centre's weight of 2 is divided away by "weights" and not by "count"."""
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


# --- Bounds: docs/mathematics.md, section 4 ----------------------------------------


def lowest_loss(classes: int, share: np.ndarray) -> np.ndarray:
    """Where the right logit stands out and all others are equal; `share` is s."""
    return np.log1p((classes - 1) * np.exp(-share * classes / np.sqrt(classes - 1)))


def worst_score(classes: int, share: float) -> tuple[np.ndarray, float]:
    """The score of class 0 whose loss is largest, and that loss.

    On the sphere of radius √C one wrong class stands apart from the others: an angle
    is left, which is searched twice, the second time around the best of the first.
    """
    wrong = classes - 1
    right = np.sqrt(wrong) * np.array([1.0, *[-1 / wrong] * wrong])
    peak = np.array([0.0, 1.0, *[-1 / (wrong - 1)] * (wrong - 1)])
    peak *= np.sqrt(classes) / np.linalg.norm(peak)
    best, width = np.pi, np.pi
    for _ in range(3):
        angles = best + np.linspace(-width, width, 1001)
        scores = np.cos(angles)[:, None] * right + np.sin(angles)[:, None] * peak
        logits = share * (scores - scores[:, :1])
        losses = np.log(np.exp(logits).sum(-1))
        best, width = angles[losses.argmax()], width / 200
    return scores[losses.argmax()], losses.max()


@functools.cache
def _losses(kernel_size, normalizer):
    return jax.jit(
        functools.partial(
            selective_cross_entropy, kernel_size=kernel_size, normalizer=normalizer
        )
    )


@pytest.mark.parametrize(
    ("classes", "kernel_size", "normalizer"),
    [
        (3, 3, "count"),
        (11, (3, 5), "count"),
        (21, 5, "count"),
        (21, 3, "weights"),
        (151, 3, "count"),
    ],
)
@repeatable(8)
@given(seed=seeds)
def test_no_loss_leaves_its_bounds(classes, kernel_size, normalizer, seed):
    """They follow from s, the sum of the neighbours' shares; the lower is reached."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=(5, 7))
    ones = np.ones((5, 7, 1))
    window: dict[str, Any] = {"kernel_size": kernel_size, "normalizer": normalizer}
    shares = reference.selective_pool(ones, labels, **window)[..., 0]
    loss = _losses(kernel_size, normalizer)

    right = 1e6 * jax.nn.one_hot(labels, classes, dtype="float64")
    lowest = lowest_loss(classes, shares)
    np.testing.assert_allclose(
        loss(right, jnp.asarray(labels)), lowest, rtol=1e-9, atol=1e-15
    )

    highest = np.zeros_like(shares)
    for share in np.unique(shares):
        highest[shares == share] = worst_score(classes, share)[1]
    for spread in (1, 3, 9):  # the higher, the more the largest logits stand out
        logits = 1e3 * rng.normal(size=(5, 7, classes)) ** spread
        losses = loss(jnp.asarray(logits), jnp.asarray(labels))
        assert (losses >= lowest * (1 - 1e-12)).all()
        assert (losses <= highest * (1 + 1e-6)).all()


@pytest.mark.parametrize(("classes", "kernel_size"), [(3, 3), (21, 5), (151, 3)])
@pytest.mark.parametrize("place", [(2, 3), (0, 0), (4, 2)])
def test_the_upper_bound_is_reached(classes, kernel_size, place):
    """With the worst score of a place everywhere in its region, or at it alone."""
    loss = _losses(kernel_size, "count")
    uniform = np.zeros((5, 7), int)
    lone = np.ones((5, 7), int)
    lone[place] = 0
    for labels in (uniform, lone):
        ones = np.ones((5, 7, 1))
        shares = reference.selective_pool(ones, labels, kernel_size=kernel_size)
        score, highest = worst_score(classes, shares[place].item())
        losses = loss(
            jnp.broadcast_to(1e4 * score, (5, 7, classes)), jnp.asarray(labels)
        )
        np.testing.assert_allclose(losses[place], highest, rtol=1e-6)


@pytest.mark.parametrize(("kernel_size", "floor"), [(5, 0.817), (7, 1.696)])
def test_highest_floor_where_like_neighbors_stand_on_the_outer_ring(kernel_size, floor):
    """C = 21; inside a region it is 0.519 and 1.100."""
    labels = np.zeros((kernel_size, kernel_size), int)
    labels[1:-1, 1:-1] = 1
    center = (kernel_size // 2, kernel_size // 2)
    labels[center] = 0
    right = 1e6 * jax.nn.one_hot(labels, 21, dtype="float64")
    losses = _losses(kernel_size, "count")(right, jnp.asarray(labels))
    np.testing.assert_allclose(losses[center], floor, atol=5e-4)


# --- Void --------------------------------------------------------------------------

WINDOW: dict[str, Any] = {"kernel_size": 3}
CENTERS = np.linspace(-1, 1, 3 * CLASSES).reshape(3, CLASSES)
# Each takes logits, labels and `where`.
OF_LOGITS: dict[str, Callable[..., jax.Array]] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "focal_loss": focal_loss,
    "focal_loss of a root": functools.partial(focal_loss, gamma=0.5),
    "center_loss": lambda x, y, where: center_loss(
        x, y, jnp.asarray(CENTERS), where=where
    ),
    "selective_pool": functools.partial(selective_pool, **WINDOW),
    "selective_cross_entropy": functools.partial(selective_cross_entropy, **WINDOW),
    "locally_adaptive_loss": functools.partial(locally_adaptive_loss, **WINDOW),
    "… of raw logits": functools.partial(
        locally_adaptive_loss, normalization="none", normalizer="weights", **WINDOW
    ),
    "… with hard pixels": functools.partial(
        locally_adaptive_loss, pool=hard_pixel_mean, stride=2, **WINDOW
    ),
}
# As well, but without a gradient of their own.
NOT_LOSSES: dict[str, Callable[..., jax.Array]] = {
    "update_centers": lambda x, y, where: update_centers(
        jnp.asarray(CENTERS), x, y, where=where
    ),
    "locally_adaptive_gradient": functools.partial(
        gradients.locally_adaptive_gradient, **WINDOW
    ),
    "selective_gradient": functools.partial(gradients.selective_gradient, **WINDOW),
    "as_printed": functools.partial(gradients.as_printed, **WINDOW),
}
# Each takes losses and `where`.
OF_LOSSES: dict[str, Callable[..., jax.Array]] = {
    "masked_mean": masked_mean,
    "minkowski_mean": minkowski_mean,
    "minkowski_mean of roots": functools.partial(minkowski_mean, power=0.5),
    "hard_pixel_mean": hard_pixel_mean,
    "loss_max_pooling": loss_max_pooling,
    "minkowski_gradient": gradients.minkowski_gradient,
}


@functools.cache
def _value(function):
    return jax.jit(lambda x, labels, where: function(x, labels, where=where))


fillings = st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 1e300])


@functools.cache
def _value_and_gradient(function):
    @jax.jit
    def both(values, *rest):
        result, pullback = jax.vjp(
            lambda x: function(x, *rest[:-1], where=rest[-1]), values
        )
        return result, pullback(jnp.ones_like(result))[0]

    return both


@pytest.mark.parametrize("function", OF_LOGITS.values(), ids=OF_LOGITS.keys())
@repeatable(6)
@given(seed=seeds, filling=fillings)
def test_void_pixels_may_hold_any_logits(function, seed, filling):
    _, logits, labels, where = scene(seed)
    void = ~where | (labels == 255)
    rest = jnp.asarray(labels), jnp.asarray(where)
    clean = _value_and_gradient(function)(jnp.asarray(logits), *rest)
    logits = np.where(void[..., None], filling, logits)
    filled = _value_and_gradient(function)(jnp.asarray(logits), *rest)
    for before, after in zip(clean, filled, strict=True):
        np.testing.assert_array_equal(after, before)
        assert jnp.isfinite(after).all()
    assert not filled[1][void].any()


@pytest.mark.parametrize("function", NOT_LOSSES.values(), ids=NOT_LOSSES.keys())
@repeatable(6)
@given(seed=seeds, filling=fillings)
def test_void_pixels_may_hold_any_logits_in_closed_forms(function, seed, filling):
    _, logits, labels, where = scene(seed)
    void = ~where | (labels == 255)
    rest = jnp.asarray(labels), jnp.asarray(where)
    clean = _value(function)(jnp.asarray(logits), *rest)
    assert jnp.isfinite(clean).all()
    filled = np.where(void[..., None], filling, logits)
    np.testing.assert_array_equal(_value(function)(jnp.asarray(filled), *rest), clean)


@pytest.mark.parametrize("function", OF_LOSSES.values(), ids=OF_LOSSES.keys())
@repeatable(6)
@given(seed=seeds, filling=fillings)
def test_void_pixels_may_hold_any_losses(function, seed, filling):
    rng, _, labels, where = scene(seed)
    losses = rng.exponential(size=SHAPE)
    clean = _value_and_gradient(function)(jnp.asarray(losses), jnp.asarray(where))
    losses = np.where(where, losses, filling)
    filled = _value_and_gradient(function)(jnp.asarray(losses), jnp.asarray(where))
    for before, after in zip(clean, filled, strict=True):
        np.testing.assert_array_equal(after, before)
        assert jnp.isfinite(after).all()
    assert not filled[1][~where].any()


# --- The means and the other losses ------------------------------------------------


def losses_of(seed: int) -> tuple[jax.Array, jax.Array, np.ndarray, np.ndarray]:
    """Losses, some of them 0 or equal, and a `where`; their means and maxima."""
    rng = np.random.default_rng(seed)
    losses = rng.exponential(size=SHAPE) ** rng.integers(1, 4)
    losses[rng.uniform(size=SHAPE) < 0.1] = 0.0
    losses[rng.uniform(size=SHAPE) < 0.1] = 0.5
    where = rng.uniform(size=SHAPE) < 0.8
    where[2] = False
    inside = np.where(where, losses, 0.0)
    means = inside.sum((1, 2)) / np.maximum(where.sum((1, 2)), 1)
    return jnp.asarray(losses), jnp.asarray(where), means, inside.max((1, 2))


def lies_between(lower: np.ndarray, value: jax.Array, upper: np.ndarray) -> bool:
    """Up to rounding."""
    return bool(
        (lower * (1 - 1e-12) <= value).all() and (value <= upper * (1 + 1e-12)).all()
    )


@repeatable(25)
@given(
    seed=seeds,
    powers=st.tuples(*[st.just(1.0) | st.floats(0.2, 60)] * 2).map(sorted),
    factor=st.floats(1e-30, 1e30),
)
def test_power_means_are_ordered_and_homogeneous(seed, powers, factor):
    losses, where, mean, maximum = losses_of(seed)
    low, high = (minkowski_mean(losses, power=k, where=where) for k in powers)
    np.testing.assert_array_equal(low <= high * (1 + 1e-12), True)
    for power, pooled in zip(powers, (low, high), strict=True):
        above = mean if power >= 1 else np.zeros(3)
        below = mean if power <= 1 else maximum
        assert lies_between(above, pooled, below)
    scaled = minkowski_mean(factor * losses, power=powers[0], where=where)
    np.testing.assert_allclose(scaled, factor * low, rtol=1e-11)


@repeatable(15)
@given(seed=seeds, fraction=st.floats(1e-3, 1.0), norm=st.floats(1.001, 50.0))
def test_hard_pixels_lie_between_mean_and_maximum(seed, fraction, norm):
    losses, where, mean, maximum = losses_of(seed)
    hard = hard_pixel_mean(losses, fraction=fraction, where=where)
    assert lies_between(mean, hard, maximum)
    soft = loss_max_pooling(losses, norm=norm, minimal_fraction=fraction, where=where)
    assert lies_between(mean, soft, np.asarray(hard))


@repeatable(10)
@given(seed=seeds, fraction=st.floats(1e-3, 1.0))
def test_loss_max_pooling_tends_to_the_hardest_and_to_the_mean(seed, fraction):
    """At p = 1 + 1e-6 and 1e6 the factors of τ are within 1e-4 of their limits."""
    losses, where, mean, _ = losses_of(seed)
    pool = functools.partial(loss_max_pooling, minimal_fraction=fraction, where=where)
    hardest = hard_pixel_mean(losses, fraction=fraction, where=where)
    np.testing.assert_allclose(pool(losses, norm=1 + 1e-6), hardest, rtol=1e-4)
    np.testing.assert_allclose(pool(losses, norm=1e6), mean, rtol=1e-4)


@repeatable(15)
@given(
    seed=seeds,
    alpha=st.floats(0.1, 2.0),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.5]),
)
def test_focal_gradient_is_that_of_cross_entropy_times_a_factor(seed, alpha, gamma):
    """α [(1 − p)^γ − γ p (1 − p)^(γ−1) log p]."""
    _, *arrays = scene(seed)
    logits, labels, where = map(jnp.asarray, arrays)
    slope, plain = (
        jax.grad(lambda x, f=loss: f(x, labels, where=where).sum())(logits)
        for loss in (
            functools.partial(focal_loss, alpha=alpha, gamma=gamma),
            softmax_cross_entropy,
        )
    )
    p = np.exp(-np.asarray(softmax_cross_entropy(logits, labels)))  # 1 at void
    miss = np.where(p < 1, 1 - p, 1.0)
    factor = alpha * (miss**gamma - gamma * p * miss ** (gamma - 1) * np.log(p))
    np.testing.assert_allclose(slope, factor[..., None] * plain, rtol=1e-9, atol=1e-13)
