"""The overlap losses where classes, pixels or denominators are missing, and misuse."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lal_jax import (
    dice_loss,
    generalized_dice_loss,
    lovasz_softmax_loss,
    tversky_loss,
)
from tests import reference_overlap
from tests.lal_jax.effort import full_jit
from tests.lal_jax.functions import LABELS, LOGITS, OF_SUMS, OVERLAP, every, refuses
from tests.lal_jax.scenes import random_scene
from tests.tolerances import assert_close

SMOOTH = {name: OF_SUMS[name] for name in OF_SUMS if "generalized" not in name}
BY_CLASS = {**SMOOTH, "lovasz_softmax_loss": lovasz_softmax_loss}
NONE: dict[str, Any] = {"activation": "none"}


def value_and_gradient(loss, logits, *rest, **options):
    @jax.jit
    def both(x, *rest):
        losses, pullback = jax.vjp(lambda x: loss(x, *rest, **options), x)
        return losses, pullback(jnp.ones_like(losses))[0]

    return both(logits, *rest)


@every(SMOOTH)
def test_an_absent_class_costs_what_is_predicted_of_it(function):
    """Of class 1: nothing at 0 / 0, all without smoothing, Σp / (Σp + s) with it."""
    labels = jnp.zeros((1, 2), int)
    bare = functools.partial(function, classes="all", smooth=0.0, **NONE)
    right = jnp.array([[[1.0, 0.0], [1.0, 0.0]]])
    losses, gradient = value_and_gradient(bare, right, labels)
    assert losses == 0
    assert jnp.isfinite(gradient).all() and not gradient[..., 1].any()
    stray = right.at[..., 1].set(0.25)
    losses, gradient = value_and_gradient(bare, stray, labels)
    assert losses == 0.5
    np.testing.assert_allclose(gradient[..., 1], 0.0, atol=1e-15)
    losses, gradient = value_and_gradient(
        functools.partial(function, classes="all", **NONE), stray, labels
    )
    own = {"alpha": 1.0} if function is tversky_loss else {}
    cost = function(stray, labels, classes="all", **own, **NONE)
    np.testing.assert_allclose(cost, 0.5 / (0.5 + 1) / 2)
    assert (gradient[..., 1] > 0).all()
    assert function(stray, labels, **NONE) == 0  # only class 0 is present


@every(OVERLAP)
def test_a_label_out_of_range_is_as_an_ignored_one(function, rng):
    logits, labels, _ = random_scene(rng)
    outside = jnp.asarray(rng.uniform(size=labels.shape) < 0.2)
    wanted = value_and_gradient(function, logits, jnp.where(outside, 255, labels))
    for stray in (77, -1, 5, 254):
        actual = value_and_gradient(function, logits, jnp.where(outside, stray, labels))
        for one, other in zip(actual, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
        assert not actual[1][outside].any()


@every(OVERLAP)
def test_nothing_to_average_over_is_zero(function, rng):
    """No valid pixel, no pixel at all, no image, targets of no class, weights of 0."""
    logits, labels, _ = random_scene(rng)
    choices: Any = {"classes": "all"} if function in BY_CLASS.values() else {}
    cases = [
        (logits, jnp.full_like(labels, 255), {}),
        (logits, jnp.full_like(labels, 255), {"per_image": False, **choices}),
        (logits, labels, {"where": jnp.zeros(labels.shape, bool), **choices}),
        (logits[:, :0], labels[:, :0], choices),
        (logits[:0], labels[:0], {"per_image": False, **choices}),
        (logits, jnp.zeros(logits.shape, bool), {}),
        (logits, labels, {"class_weights": np.zeros(5)}),
    ]
    for x, y, options in cases:
        losses, gradient = value_and_gradient(function, x, y, **options)
        assert losses.shape == (() if "per_image" in options else x.shape[:1])
        assert not losses.any() and not gradient.any()


@every(OVERLAP)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_a_bad_number_is_not_hidden(function, activation, rng):
    """Not even of a class that is absent and does not count in the average."""
    logits, labels, _ = random_scene(rng)
    losses = jax.jit(functools.partial(function, activation=activation))(
        logits.at[0, 2, 3, 4].set(jnp.nan), labels.at[0, 2, 3].set(1)
    )
    assert jnp.isnan(losses[0]) and jnp.isfinite(losses[1])


@every(OVERLAP)
def test_slopes_are_finite_while_probabilities_fade(function):
    """In float32, where squares of small sums are 0; sigmoids of −1 to −100."""
    bare: Any = {"smooth": 0.0, "classes": "all"}
    options = bare if function in SMOOTH.values() else {}
    loss = functools.partial(function, activation="sigmoid", **options)
    labels = jnp.zeros((100, 2, 2), int)
    logits = jnp.broadcast_to(
        -jnp.arange(1.0, 101)[:, None, None, None], (100, 2, 2, 3)
    )
    losses, gradient = value_and_gradient(loss, logits.astype("float32"), labels)
    assert ((losses >= 0) & (losses <= 1)).all()
    assert jnp.isfinite(gradient).all()
    squared = functools.partial(dice_loss, squared=True, activation="sigmoid", **bare)
    _, gradient = value_and_gradient(squared, logits.astype("float32"), labels)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("gamma", [0.5, 0.75, 1.0, 2.0])
def test_the_focal_form_is_finite_where_all_is_right(gamma):
    labels = jnp.array([[0, 1]])
    right = jax.nn.one_hot(labels, 3, dtype="float32")
    scales: Any = ((1.0, "none"), (1e4, "softmax"), (1e4, "sigmoid"))
    for scale, activation in scales:
        loss = functools.partial(
            tversky_loss, gamma=gamma, smooth=0.0, activation=activation
        )
        losses, gradient = value_and_gradient(
            loss, scale * right - (scale > 1) * scale / 2, labels
        )
        assert losses == 0 and jnp.isfinite(gradient).all()


def test_probabilities_that_round_to_more_than_one_are_no_gain():
    p = jnp.array([[[1.0 + 1e-7, 0.0], [0.0, 1.0 + 1e-7]]], "float32")
    assert (p > 1).any()
    for gamma in (0.75, 1.0):
        assert tversky_loss(p, jnp.array([[0, 1]]), gamma=gamma, **NONE) == 0


def test_squares_are_least_at_soft_targets(rng):
    targets = jnp.asarray(rng.dirichlet(np.ones(4), (5, 6)))
    squared = functools.partial(dice_loss, squared=True)
    loss, gradient = value_and_gradient(squared, targets, targets, **NONE)
    assert loss == 0 and not gradient.any()
    _, plain = value_and_gradient(dice_loss, targets, targets, **NONE)
    assert jnp.abs(plain).max() > 0.01


def test_classes_that_are_nearly_absent_from_soft_targets_are_no_overflow():
    targets = jnp.array([[[1.0, 1e-30, 1e-12], [0.9, 1e-30, 0.1]]], "float32")
    logits = jnp.zeros((1, 2, 3), "float32")
    loss, gradient = value_and_gradient(generalized_dice_loss, logits, targets)
    assert 0 < loss <= 1 and jnp.isfinite(gradient).all()


@every(OVERLAP)
def test_large_images_in_single_precision(function, rng):
    shape = (2, 512, 512)
    labels = rng.integers(2, size=shape) * (rng.uniform(size=shape) < 0.01)
    logits = rng.normal(size=(*shape, 2)) + 8 * np.eye(2)[labels]
    loss = full_jit(functools.partial(function, per_image=False))
    wanted = loss(jnp.asarray(logits), jnp.asarray(labels))
    actual = loss(jnp.asarray(logits, "float32"), jnp.asarray(labels))
    np.testing.assert_allclose(actual, wanted, rtol=1e-5)


COLLECTIVE = re.compile("all-(gather|to-all)|collective-permute")


@every(OF_SUMS)
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_loss_of_a_batch_shards_by_sums(function, kind, axis, rng):
    logits, labels, _ = random_scene(rng, (4, 8, 3))
    mesh = jax.make_mesh((4,), ("shards",), axis_types=(kind,))
    spec = PartitionSpec(*[None] * axis, "shards")
    arrays = jax.device_put((logits, labels), NamedSharding(mesh, spec))
    both: Any = jax.jit(
        jax.value_and_grad(functools.partial(function, per_image=False))
    )
    with jax.set_mesh(mesh):
        compiled = both.lower(*arrays).compile()
        loss, gradient = compiled(*arrays)
    assert "all-reduce" in compiled.as_text()
    assert not COLLECTIVE.search(compiled.as_text())
    x, y = np.asarray(logits), np.asarray(labels)
    name = function.__name__
    wanted = getattr(reference_overlap, name)(x, y, per_image=False)
    assert_close(loss, wanted, length=96)
    slope = reference_overlap.overlap_gradient(name, x, y, per_image=False)
    assert_close(gradient, slope, length=96)


@every(OVERLAP)
def test_targets_that_do_not_fit(function):
    onehot: Any = np.eye(5, dtype=np.uint8)[LABELS]
    with refuses("or be floating point or boolean targets", "uint8", "argmax", "bool)"):
        function(LOGITS, onehot, activation="sigmoid")
    with refuses("(2, 6, 7, 5)", "(2, 6, 7, 4) of float64"):
        function(LOGITS, np.ones((2, 6, 7, 4)))
    with refuses("where must have the shape", "(2, 6, 7, 5)", "(2, 6, 7)"):
        function(LOGITS, LOGITS, where=LOGITS > 0)
    with refuses("ignore_label must be an integer", "got 'x'"):
        function(LOGITS, LOGITS, ignore_label=(255, "x"))
    with refuses("one class needs", "labels[..., None] == 1", "(2, 6, 7, 1)"):
        function(LOGITS[..., :1], LABELS, activation="sigmoid")
    with refuses("one class needs", "(2, 6, 7, 1)", "activation='softmax'"):
        function(LOGITS[..., :1], LOGITS[..., :1] > 0)
    one = jax.jit(functools.partial(function, activation="sigmoid"))
    pair = one(LOGITS[..., :1], LOGITS[..., :1] > 0)
    assert pair.shape == (2,)


@every(OVERLAP)
def test_options_out_of_range(function):
    with refuses("activation must be 'softmax' or 'sigmoid' or 'none'", "got 'relu'"):
        function(LOGITS, LABELS, activation="relu")
    with refuses("per_image must be True or False", "got 1"):
        function(LOGITS, LABELS, per_image=1)
    with refuses("[..., height, width, classes]", "got (7, 5)", "per_image=False"):
        function(LOGITS[0, 0], LABELS[0, 0])
    if function in BY_CLASS.values():
        with refuses("classes must be 'present' or 'all'", "got 5"):
            jax.eval_shape(lambda: function(LOGITS, LABELS, classes=5))
    if function in SMOOTH.values():
        for smooth in (-1, float("nan"), float("inf")):
            with refuses("smooth must be", "at least 0", f"got {smooth}"):
                function(LOGITS, LABELS, smooth=smooth)


def test_own_options_out_of_range():
    for name in ("alpha", "beta"):
        for value in (-0.1, float("nan")):
            with refuses(f"{name} must be a finite number of at least 0", "got"):
                OVERLAP["tversky_loss"](LOGITS, LABELS, **{name: value})
    with refuses("alpha and beta must not both be 0"):
        tversky_loss(LOGITS, LABELS, alpha=0.0, beta=0)
    for gamma in (0, -1, float("inf")):
        with refuses("gamma must be a finite number above 0", f"got {gamma}"):
            tversky_loss(LOGITS, LABELS, gamma=gamma)
    with refuses("squared must be True or False", "got 2"):
        dice_loss(LOGITS, LABELS, squared=2)  # type: ignore[arg-type]
