"""The boundary loss against loops, its closed form, its bounds, and misuse."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import boundary_loss, signed_distances
from tests.lal_jax.effort import full_jit
from tests.lal_jax.functions import LABELS, LOGITS, refuses
from tests.lal_jax.scenes import DTYPES, SHAPE, random_scene
from tests.reference_boundary import boundary_loss_and_gradient
from tests.tolerances import assert_close

CLASSES = 5
TERMS = CLASSES * 2 * 6 * 7
WEIGHTS = np.array([0.0, 2.0, 1.0, 3.0, 0.1])
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "sigmoid": {"activation": "sigmoid", "spacing": (2.0, 0.7)},
    "probabilities": {"activation": "none"},
    "batch": {"per_image": False},
    "weights": {"class_weights": WEIGHTS},
    "two ignored": {"ignore_label": (255, 1)},
    "sequences": {"spacing": (1.0,)},
    "volume": {"spacing": (3.0, 1.0, 0.5)},
}
distances = jax.jit(functools.partial(signed_distances, num_classes=CLASSES))


@functools.cache
def compiled(**options: Any) -> Any:
    @jax.jit
    def both(x, y, arrays):
        losses, pullback = jax.vjp(
            lambda x: boundary_loss(x, y, **arrays, **options), x
        )
        return losses, pullback(jnp.ones_like(losses))[0]

    return both


def value_and_gradient(
    logits: Any,
    labels: Any,
    *,
    where: Any = None,
    phi: Any = None,
    class_weights: Any = None,
    **options: Any,
) -> tuple[jax.Array, jax.Array]:
    """The losses, and the gradient of their sum by the logits."""
    arrays = {"where": where, "distances": phi, "class_weights": class_weights}
    return compiled(**options)(logits, labels, arrays)


def expected(logits: Any, labels: Any, *, where: Any = None, **options: Any) -> Any:
    """The same by loops."""
    valid = None if where is None else np.asarray(where)
    return boundary_loss_and_gradient(
        np.asarray(logits), np.asarray(labels), where=valid, **options
    )


def value(*arguments: Any, **options: Any) -> jax.Array:
    return value_and_gradient(*arguments, **options)[0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_value_and_gradient_equal_reference(rng, case, dtype):
    logits, labels, where = random_scene(rng, dtype=dtype)
    actual = value_and_gradient(logits, labels, where=where, **CASES[case])
    wanted = expected(logits, labels, where=where, **CASES[case])
    for one, other in zip(actual, wanted, strict=True):
        assert one.dtype == dtype
        assert_close(one, other, length=TERMS)


@pytest.mark.parametrize("case", CASES)
def test_gradient_of_the_loops_equals_their_differences(rng, case):
    logits, labels, _ = map(np.asarray, random_scene(rng, (2, 3, 4)))
    _, gradient = expected(logits, labels, **CASES[case])
    step = 1e-5 * rng.normal(size=logits.shape)
    ahead, behind = (
        expected(logits + side * step, labels, **CASES[case])[0] for side in (1, -1)
    )
    difference = np.sum(ahead - behind) / 2
    np.testing.assert_allclose(difference, np.vdot(gradient, step), rtol=1e-5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_several_labels_a_pixel_equal_reference(rng, activation):
    """What ignored pixels hold, NaN included, has no effect."""
    logits, _, where = random_scene(rng)
    targets = rng.uniform(size=logits.shape) < 0.4
    void = ~np.asarray(where)[..., None]
    filled = jnp.where(void, jnp.array([0.0, np.nan, np.inf, -np.inf, 1e300]), logits)
    actual = value_and_gradient(filled, targets, where=where, activation=activation)
    wanted = expected(logits, targets, where=where, activation=activation)
    for one, other in zip(actual, wanted, strict=True):
        assert_close(one, other, length=TERMS)


def test_one_hot_targets_are_as_labels(rng):
    logits, labels, where = random_scene(rng)
    where &= labels != 255
    onehot = np.asarray(labels)[..., None] == np.arange(CLASSES)
    actual = value_and_gradient(logits, onehot, where=where)
    for one, other in zip(
        actual, value_and_gradient(logits, labels, where=where), strict=True
    ):
        assert_close(one, other, length=TERMS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_distances_given_are_as_its_own(rng, dtype):
    """Whatever they are at ignored pixels, and of whatever precision."""
    logits, labels, where = random_scene(rng, dtype=dtype)
    valid = where & (labels != 255)
    phi = distances(labels, where=where)
    wanted = value_and_gradient(logits, labels, where=where, class_weights=WEIGHTS)
    for bad in (np.nan, np.inf, 7.0):
        filled = jnp.where(valid[..., None], phi, bad).astype("float32")
        actual = value_and_gradient(
            logits, labels, where=where, phi=filled, class_weights=WEIGHTS
        )
        for one, other in zip(actual, wanted, strict=True):
            assert one.dtype == dtype
            assert_close(one, other, length=TERMS, dtype="float32")
    soft = jnp.ones_like(logits) / CLASSES  # which have no boundary of their own
    of_soft = value(logits, soft, phi=phi, where=valid, class_weights=WEIGHTS)
    assert_close(of_soft, wanted[0], length=TERMS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_lie_between_right_and_farthest(rng, dtype):
    """The depth of each pixel in its region, and its way to the farthest class."""
    labels = rng.integers(3, size=SHAPE)
    phi = np.asarray(distances(labels))
    lowest, highest = phi.min(-1).mean((1, 2)), phi.max(-1).mean((1, 2))
    assert (lowest <= -1).all()
    sure = 1000 * np.eye(CLASSES, dtype=dtype)
    np.testing.assert_allclose(value(sure[labels], labels), lowest, rtol=1e-6)
    far = sure[phi.argmax(-1)]
    np.testing.assert_allclose(value(far, labels), highest, rtol=1e-6)
    for scale in (0.1, 1.0, 30.0):
        logits = scale * rng.normal(size=(*SHAPE, CLASSES))
        losses = np.asarray(value(logits.astype(dtype), labels), "float64")
        assert ((losses > lowest) & (losses < highest)).all()


def test_of_two_classes_it_is_the_foregrounds(rng):
    """As the paper has it: p of the foreground times φ, by which it is known."""
    logits = rng.normal(size=(*SHAPE, 2))
    labels = rng.integers(2, size=SHAPE)
    phi = np.asarray(distances(labels))[..., 1]
    foreground = np.asarray(jax.nn.softmax(logits)[..., 1])
    wanted = (foreground * phi).mean((1, 2))
    actual = value(logits, labels, class_weights=np.array([0.0, 1.0]))
    assert_close(actual, wanted, length=TERMS)
    one = value(foreground[..., None], labels[..., None] == 1, activation="none")
    assert_close(one, wanted, length=TERMS)


def test_nothing_to_average_over_is_zero(rng):
    """No valid pixel, no pixel at all, no image, one class alone, weights of 0."""
    logits, labels, where = random_scene(rng)
    for x, y, options in (
        (logits, jnp.full_like(labels, 255), {}),
        (logits, jnp.full_like(labels, 255), {"per_image": False}),
        (logits, labels, {"where": jnp.zeros_like(where)}),
        (logits[:, :0], labels[:, :0], {}),
        (logits[:0], labels[:0], {"per_image": False}),
        (logits, jnp.full_like(labels, 3), {}),
        (logits, labels, {"class_weights": np.zeros(CLASSES)}),
    ):
        losses, gradient = value_and_gradient(x, y, **options)
        assert losses.shape == (() if "per_image" in options else x.shape[:1])
        assert not losses.any() and not gradient.any()


@pytest.mark.parametrize("stray", [77, -1, CLASSES])
def test_a_label_out_of_range_is_as_an_ignored_one(rng, stray):
    logits, labels, _ = random_scene(rng)
    outside = jnp.asarray(rng.uniform(size=labels.shape) < 0.2)
    wanted = value_and_gradient(logits, jnp.where(outside, 255, labels))
    actual = value_and_gradient(logits, jnp.where(outside, stray, labels))
    for one, other in zip(actual, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not actual[1][outside].any()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_a_bad_number_is_not_hidden(rng, activation):
    """Not even of a class that is absent, whose distances are 0."""
    logits, labels, _ = random_scene(rng)
    logits = logits.at[0, 2, 3, 4].set(jnp.nan)
    losses = value(logits, labels.at[0, 2, 3].set(1), activation=activation)
    assert jnp.isnan(losses[0]) and jnp.isfinite(losses[1])


def test_where_pixels_are_turned_and_what_classes_are_called_does_not_matter(rng):
    logits, labels, where = map(np.asarray, random_scene(rng))
    loss = functools.partial(value, class_weights=WEIGHTS)
    straight = loss(logits, labels, where=where)
    for turn in (lambda array: array[:, ::-1], lambda array: array[:, :, ::-1]):
        turned = loss(turn(logits), turn(labels), where=turn(where))
        assert_close(turned, straight, length=TERMS)
    swapped = loss(logits[::-1], labels[::-1], where=where[::-1])
    assert_close(swapped[::-1], straight, length=TERMS)
    order = np.array([3, 0, 4, 2, 1])
    renamed = np.where(labels == 255, 255, np.argsort(order)[labels % 255])
    permuted = value(
        logits[..., order], renamed, where=where, class_weights=WEIGHTS[order]
    )
    assert_close(permuted, straight, length=TERMS)


def test_memory_with_and_without_distances():
    """Beside the arguments, 3 × the logits; 6 × where distances are to be found."""
    logits = jax.ShapeDtypeStruct((1, 129, 129, 21), "float32")
    labels = jax.ShapeDtypeStruct((1, 129, 129), "int32")

    def loss(x, y, phi):
        return boundary_loss(x, y, distances=phi).mean()

    for phi, most in (logits, 3), (None, 6):
        lowered = full_jit(jax.value_and_grad(loss)).lower(logits, labels, phi)
        analysis = lowered.compile().memory_analysis()
        assert analysis is not None
        assert analysis.temp_size_in_bytes <= most * logits.size * 4


def test_misuse_is_named():
    loss: Any = functools.partial(boundary_loss, LOGITS, LABELS)
    soft: Any = functools.partial(boundary_loss, LOGITS, LOGITS)
    with refuses("floating point targets have no boundary", "labels > 0.5", "(2, 6"):
        soft()
    with refuses("distances must have the shape of the logits", "(2, 6, 7, 5)", "(2,"):
        loss(distances=LOGITS[..., 0])
    with refuses("distances must be floating point", "got int64"):
        loss(distances=LABELS)
    with refuses("(2, 6, 7)", "num_classes=5"):
        loss(distances=LOGITS[..., 0])
    with refuses("logits before the classes must have 2 spatial axes", "got (7, 5)"):
        boundary_loss(LOGITS[0, 0], LABELS[0, 0])
    with refuses("spacing must be a finite number above 0", "got 0"):
        loss(spacing=0)
    with refuses("activation must be 'softmax' or 'sigmoid' or 'none'", "got 'relu'"):
        loss(activation="relu")
    with refuses("per_image must be True or False", "got 1"):
        loss(per_image=1)
    with refuses("each of the 5 classes", "got shape (4,)"):
        loss(class_weights=np.ones(4))
    with refuses("one class needs", "(2, 6, 7, 1)", "activation='softmax'"):
        boundary_loss(LOGITS[..., :1], LABELS[..., None] == 1)
    flat: Any = LOGITS.reshape(84, 5), LABELS.reshape(84)
    whole = boundary_loss(*flat, distances=flat[0], per_image=False)
    assert whole.shape == ()
