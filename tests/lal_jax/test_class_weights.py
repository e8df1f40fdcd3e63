import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    check_labels,
    class_weights_from_counts,
    label_counts,
    masked_mean,
    softmax_cross_entropy,
)
from tests.lal_jax.effort import full_jit

# Two images of 100 pixels; the second class is in both, the last in none.
TABLE = np.array([[60, 40, 0, 0], [0, 90, 10, 0]])


def test_inverse_weights_average_one_over_the_pixels():
    weights = class_weights_from_counts(TABLE, method="inverse")
    np.testing.assert_allclose(weights, [200 / 180, 200 / 390, 200 / 30, 0])
    np.testing.assert_allclose(TABLE.sum(0) @ weights, TABLE.sum())


def test_inverse_root_averages_one_over_the_pixels_and_goes_as_the_root():
    counts = np.array([400.0, 0.0, 100.0, 1.0])
    weights = class_weights_from_counts(counts, method="inverse_root")
    np.testing.assert_allclose(weights @ counts / counts.sum(), 1.0)
    np.testing.assert_allclose(weights, weights[3] * np.array([1 / 20, 0, 1 / 10, 1]))


def test_median_frequency_counts_the_images_that_hold_a_class():
    weights = class_weights_from_counts(TABLE, method="median_frequency")
    np.testing.assert_allclose(weights, [1.0, 0.6 / 0.65, 6.0, 0])


def test_effective_number_lies_between_equal_and_inverse():
    weights = class_weights_from_counts(TABLE, method="effective_number", beta=0.9)
    raw = [0.1 / (1 - 0.9**n) for n in (60, 130, 10)]
    np.testing.assert_allclose(weights, [*(np.array(raw) / np.mean(raw)), 0])
    inverse = class_weights_from_counts(TABLE, method="inverse")
    for beta, expected in ((0.0, np.ones(3)), (1 - 1e-9, inverse[:3])):
        found = class_weights_from_counts(TABLE, method="effective_number", beta=beta)
        np.testing.assert_allclose(found[:3], expected / expected.mean(), rtol=1e-6)


@pytest.mark.parametrize("counts", [[-1, 2], [0, 0], [[[1]]], [float("nan"), 1.0]])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="counts must"):
        class_weights_from_counts(counts, method="inverse")


def test_unknown_methods_and_betas_are_refused():
    with pytest.raises(
        ValueError,
        match="'inverse' or 'inverse_root' or .*'median'",
    ):
        class_weights_from_counts(TABLE, method="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"beta must lie in \[0, 1\), got 1"):
        class_weights_from_counts(TABLE, method="effective_number", beta=1)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_counted_labels_weigh_the_loss(rng, dtype):
    """The loss of uniform predictions keeps its scale under inverse weights."""
    labels = rng.choice([0, 1, 2, 255], size=(6, 7), p=[0.7, 0.1, 0.1, 0.1]).astype(
        dtype
    )
    counts = label_counts(labels, classes=3)
    np.testing.assert_array_equal(counts, [(labels == k).sum() for k in range(3)])
    losses = softmax_cross_entropy(
        jnp.zeros((6, 7, 3)),
        jnp.asarray(labels),
        class_weights=class_weights_from_counts(counts, method="inverse"),
    )
    mean = masked_mean(losses, where=jnp.asarray(labels != 255))
    np.testing.assert_allclose(mean, np.log(3))


def test_stray_labels_are_named_with_their_place():
    labels = np.zeros((2, 3, 4), np.uint8)
    labels[1, 2, 3] = 255
    check_labels(labels, classes=1)
    labels[1, 0, 2], labels[1, 2, 0] = 9, 7
    message = (
        r"mask\.png must lie in 0…4 or be 255 \(void\), got 9 at \(1, 0, 2\), 2 of 24"
    )
    with pytest.raises(ValueError, match=message):
        check_labels(labels, classes=5, name="mask.png")
    with pytest.raises(ValueError, match=r"got -1 at \(1,\)"):
        check_labels(np.array([0, -1]), classes=2)
    check_labels(np.array([0, -1]), classes=2, ignore_label=-1)
    with pytest.raises(ValueError, match="got float64"):
        check_labels(np.zeros(3), classes=2)


def test_labels_cannot_be_checked_inside_jit():
    with pytest.raises(ValueError, match="have no values inside jit"):
        jax.jit(lambda y: check_labels(y, classes=2))(jnp.zeros(3, int))


def test_weighted_mean_divides_by_the_sum_of_weights(rng):
    """As PyTorch's cross_entropy with weight= does over a batch."""
    losses = jnp.asarray(rng.uniform(size=(2, 3, 4)))
    labels = rng.choice([0, 1, 2, 255], size=(2, 3, 4))
    weights = np.array([1.0, 5.0, 0.25])
    valid = labels != 255
    w = np.where(valid, weights[np.where(valid, labels, 0)], 0)
    found = full_jit(
        lambda x, y: masked_mean(
            x, weights=jnp.asarray(weights)[y], where=y != 255, axis=None
        )
    )(losses.at[~valid].set(jnp.nan), jnp.asarray(labels))
    np.testing.assert_allclose(found, (w * losses).sum() / w.sum(), rtol=1e-14)
    by_image = masked_mean(losses, weights=jnp.asarray(w))
    expected = (w * losses).sum((1, 2)) / w.sum((1, 2))
    np.testing.assert_allclose(by_image, expected, rtol=1e-14)
    assert float(masked_mean(losses[0], weights=jnp.zeros((3, 4)))) == 0


def test_weights_of_pixels_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"weights \(3,\) and losses \(2, 3\)"):
        masked_mean(jnp.ones((2, 3)), weights=jnp.ones(3))
