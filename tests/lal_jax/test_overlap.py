"""The overlap losses against loops, one another, and counts."""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lal_jax
from lal_jax import (
    dice_loss,
    generalized_dice_loss,
    jaccard_loss,
    lovasz_softmax_loss,
    tversky_loss,
)
from tests import reference_overlap
from tests.lal_jax.functions import OF_SUMS, OVERLAP
from tests.lal_jax.scenes import DTYPES, SHAPE, random_scene
from tests.tolerances import assert_close

CLASSES = 5
PIXELS = 6 * 7
WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0, 0.1])
COMMON: dict[str, dict[str, Any]] = {
    "defaults": {},
    "sigmoid": {"activation": "sigmoid"},
    "batch": {"per_image": False},
    "weights": {"class_weights": WEIGHTS},
    "two ignored": {"ignore_label": (255, 1)},
}
BY_CLASS: dict[str, dict[str, Any]] = {
    "all": {"classes": "all", "class_weights": WEIGHTS},
    "bare": {"classes": "all", "smooth": 0.0},
    "smooth": {"smooth": 7.5, "activation": "sigmoid", "per_image": False},
}
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "dice_loss": {"squared": {"squared": True, "activation": "sigmoid"}, **BY_CLASS},
    "tversky_loss": {
        "focal": {"gamma": 0.75, "alpha": 0.2, "beta": 1.3},
        "square": {"gamma": 2.0, "beta": 0.0, "classes": "all"},
        **BY_CLASS,
    },
    "jaccard_loss": BY_CLASS,
    "generalized_dice_loss": {},
    "lovasz_softmax_loss": {
        "all": BY_CLASS["all"],
        "sigmoids of all": {"activation": "sigmoid", "classes": "all"},
    },
}
CASES = [
    pytest.param(name, options, id=f"{name} {case}")
    for name in OVERLAP
    for case, options in {**COMMON, **OWN[name]}.items()
]
# Without smoothing.
BARE: dict[str, dict[str, Any]] = {
    name: {"smooth": 0.0} if "smooth" in inspect.signature(loss).parameters else {}
    for name, loss in OVERLAP.items()
}
every_loss = pytest.mark.parametrize("name", OVERLAP)
TARGETS = [
    *((name, "several") for name in OVERLAP),
    *((name, "soft") for name in OF_SUMS),
]
every_case = pytest.mark.parametrize(("name", "options"), CASES)


def value_and_gradient(name, logits, labels, **options):
    """The losses, and the gradient of their sum by the logits."""
    loss = functools.partial(OVERLAP[name], **options)

    @jax.jit
    def both(x):
        losses, pullback = jax.vjp(lambda x: loss(x, labels), x)
        return losses, pullback(jnp.ones_like(losses))[0]

    return both(logits)


def expected(name, logits, labels, **options):
    arrays = np.asarray(logits, np.float64), np.asarray(labels)
    return (
        getattr(reference_overlap, name)(*arrays, **options),
        reference_overlap.overlap_gradient(name, *arrays, **options),
    )


@every_case
@pytest.mark.parametrize("dtype", DTYPES)
def test_value_and_gradient_equal_reference(rng, name, options, dtype):
    logits, labels, where = random_scene(rng, dtype=dtype)
    actual = value_and_gradient(name, logits, labels, where=where, **options)
    wanted = expected(name, logits, labels, where=np.asarray(where), **options)
    for one, other in zip(actual, wanted, strict=True):
        assert one.dtype == dtype
        assert_close(one, other, length=2 * PIXELS)


@pytest.mark.parametrize(("name", "kind"), TARGETS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_targets_equal_reference(rng, name, activation, kind):
    """What ignored pixels hold, NaN included, has no effect."""
    logits, _, where = random_scene(rng)
    if activation == "none":
        logits = jax.nn.softmax(logits)
    soft = rng.dirichlet(np.ones(CLASSES), SHAPE)
    targets = soft if kind == "soft" else soft > 0.2
    wanted = expected(
        name, logits, targets, where=np.asarray(where), activation=activation
    )
    void = ~np.asarray(where)[..., None]
    if kind == "soft":
        targets = np.where(void, [np.nan, np.inf, -np.inf, 1e300, 0.0], targets)
    logits = jnp.where(void, jnp.array([0.0, np.nan, np.inf, -np.inf, 1e300]), logits)
    actual = value_and_gradient(
        name, logits, jnp.asarray(targets), where=where, activation=activation
    )
    for one, other in zip(actual, wanted, strict=True):
        assert_close(one, other, length=2 * PIXELS)


@pytest.mark.parametrize("name", OF_SUMS)
@pytest.mark.parametrize("squared", [False, True])
def test_soft_targets_have_a_gradient_of_their_own(rng, name, squared):
    """As they do where they come from another network."""
    logits, _, where = random_scene(rng)
    targets = jnp.asarray(rng.dirichlet(np.ones(CLASSES), SHAPE))
    options = {"squared": True} if squared and name == "dice_loss" else {}

    def loss(x, t):
        return OVERLAP[name](x, t, where=where, per_image=False, **options)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))(logits, targets)
    step = 1e-6 * rng.normal(size=(2, *targets.shape))
    ahead, behind = (
        loss(logits + side * step[0], targets + side * step[1]) for side in (1, -1)
    )
    change = np.vdot(gradients[0], step[0]) + np.vdot(gradients[1], step[1])
    np.testing.assert_allclose((ahead - behind) / 2, change, rtol=1e-6)
    assert not gradients[1][~where].any()


@every_case
def test_gradient_of_the_loops_equals_their_differences(rng, name, options):
    logits, labels, _ = map(np.asarray, random_scene(rng, (2, 3, 4)))
    loss = getattr(reference_overlap, name)
    _, gradient = expected(name, logits, labels, **options)
    step = 1e-5 * rng.normal(size=logits.shape)
    ahead, behind = (loss(logits + side * step, labels, **options) for side in (1, -1))
    difference = np.sum(ahead - behind) / 2
    np.testing.assert_allclose(difference, np.vdot(gradient, step), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_targets_of_any_precision(rng, dtype):
    """They take the dtype computed in; narrow logits are summed in float32."""
    logits, _, _ = random_scene(rng, dtype=dtype)
    targets = jnp.asarray(rng.dirichlet(np.ones(CLASSES), SHAPE), "float64")
    for one, other in ((logits, targets), (targets, logits), (logits, logits)):
        loss = dice_loss(one, jax.nn.sigmoid(other))
        assert loss.dtype == ("float64" if one is targets else "float32")
    wide = dice_loss(logits.astype("float32"), targets)
    np.testing.assert_array_equal(dice_loss(logits, targets), wide)


def test_dice_and_jaccard_are_tversky_losses(rng):
    logits, labels, where = random_scene(rng)
    loss = functools.partial(tversky_loss, logits, labels, where=where)
    half = loss(alpha=0.5, beta=0.5, smooth=1.5)
    assert_close(dice_loss(logits, labels, where=where, smooth=3.0), half, length=84)
    one = loss(alpha=1.0, beta=1.0, smooth=3.0)
    assert_close(jaccard_loss(logits, labels, where=where, smooth=3.0), one, length=84)


def test_hard_predictions_have_the_scores_of_counts(rng):
    """F1 and IoU of the classes that occur, from numbers of pixels."""
    labels, predicted = rng.integers(3, size=(2, 6, 7))
    onehot = jnp.asarray(np.eye(4)[predicted])
    both = np.zeros((4, 4))
    np.add.at(both, (labels, predicted), 1)
    hits, sizes = both.diagonal()[:3], (both.sum(0) + both.sum(1))[:3]
    f1, iou = (2 * hits / sizes).mean(), (hits / (sizes - hits)).mean()
    for loss, score in (
        (dice_loss, f1),
        (jaccard_loss, iou),
        (lovasz_softmax_loss, iou),
    ):
        options: Any = {"activation": "none", **BARE[loss.__name__]}
        actual = jax.jit(functools.partial(loss, **options))(onehot, labels)
        np.testing.assert_allclose(1 - actual, score, rtol=1e-12)


@every_loss
@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_lie_between_right_and_wrong(rng, name, dtype):
    """0 for a sure and right prediction and 1 for a wrong one, without smoothing."""
    labels = jnp.asarray(rng.integers(3, size=SHAPE))
    loss = jax.jit(functools.partial(OVERLAP[name], **BARE[name]))
    sure = 1000 * jax.nn.one_hot(labels, CLASSES, dtype=dtype)
    assert not loss(sure, labels).any()
    wrong = 1000 * jax.nn.one_hot((labels + 1) % 3, CLASSES, dtype=dtype)
    np.testing.assert_allclose(loss(wrong, labels), 1.0, rtol=1e-6)
    for scale in (0.1, 1.0, 30.0, 1e4):
        logits = jnp.asarray(scale * rng.normal(size=(*SHAPE, CLASSES)), dtype)
        losses = loss(logits, labels)
        assert ((losses >= 0) & (losses <= 1)).all()


@every_loss
def test_where_pixels_are_and_what_classes_are_called_does_not_matter(rng, name):
    logits, labels, _ = map(np.asarray, random_scene(rng))
    loss = jax.jit(functools.partial(OVERLAP[name], class_weights=WEIGHTS))
    losses = loss(jnp.asarray(logits), jnp.asarray(labels))
    turned = loss(
        jnp.asarray(logits[:, ::-1, ::-1]), jnp.asarray(labels[:, ::-1, ::-1])
    )
    assert_close(turned, losses, length=84)
    swapped = loss(jnp.asarray(logits[::-1]), jnp.asarray(labels[::-1]))
    assert_close(swapped[::-1], losses, length=84)
    order = np.array([3, 0, 4, 2, 1])
    renamed = np.where(labels == 255, 255, np.argsort(order)[labels % 255])
    permuted = jax.jit(functools.partial(OVERLAP[name], class_weights=WEIGHTS[order]))
    actual = permuted(jnp.asarray(logits[..., order]), jnp.asarray(renamed))
    assert_close(actual, losses, length=84)


@every_loss
def test_any_leading_axes_and_one_image(rng, name):
    logits, labels, _ = random_scene(rng, (2, 3, 4, 5))
    loss = jax.jit(OVERLAP[name])
    losses = loss(logits, labels)
    assert losses.shape == (2, 3)
    one = loss(logits[1, 2], labels[1, 2])
    assert one.shape == ()
    assert_close(one, losses[1, 2], length=20)


@every_loss
def test_the_loss_of_a_batch_is_that_of_one_large_image(rng, name):
    logits, labels, where = random_scene(rng)
    by_image = jax.jit(OVERLAP[name])
    loss = jax.jit(functools.partial(OVERLAP[name], per_image=False))
    whole = loss(logits, labels, where=where)
    joined = by_image(
        logits.reshape(12, 7, 5), labels.reshape(12, 7), where=where.reshape(12, 7)
    )
    assert_close(whole, joined, length=84)
    flat = loss(logits.reshape(84, 5), labels.reshape(84), where=where.reshape(84))
    assert_close(flat, joined, length=84)


def test_every_loss_is_in_the_library():
    assert {name: getattr(lal_jax, name) for name in OVERLAP} == OVERLAP
    assert OVERLAP["generalized_dice_loss"] is generalized_dice_loss
