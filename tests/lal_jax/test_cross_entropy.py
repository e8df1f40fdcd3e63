from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lal_jax import selective_cross_entropy, softmax_cross_entropy, targets
from tests import reference
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES, OPTIONS, TARGETS, random_scene
from tests.tolerances import assert_close


@pytest.fixture(autouse=True, params=["one device", "several"])
def _devices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own logits are read by index, or selected where programs may be divided."""
    several = request.param == "several"
    monkeypatch.setattr(targets, "several_devices", lambda: several)


LOSSES = {
    "selective": partial(selective_cross_entropy, kernel_size=3),
    "softmax": softmax_cross_entropy,
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_selective_equals_reference(rng, options):
    logits, labels, where = random_scene(rng)
    actual = full_jit(
        lambda x: selective_cross_entropy(x, labels, where=where, **options)
    )(logits)
    expected = reference.selective_cross_entropy(
        np.asarray(logits), np.asarray(labels), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=25 * 5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3,), (2, 6, 7), (0, 3, 4)])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_softmax_equals_reference(rng, target, shape, dtype):
    logits, labels, where = random_scene(rng, shape, dtype=dtype)
    actual = softmax_cross_entropy(logits, labels, where=where, **target)
    assert actual.dtype == dtype
    expected = reference.softmax_cross_entropy(
        np.asarray(logits), np.asarray(labels), where=np.asarray(where), **target
    )
    assert_close(actual, expected, length=5)


def test_softmax_equals_optax(rng):
    logits, labels, _ = random_scene(rng)
    labels = labels % 5
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    assert_close(softmax_cross_entropy(logits, labels), expected, length=5)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_window_of_one_and_raw_logits_is_softmax_cross_entropy(rng, target):
    """With weights that sum to one; the paper's center weight alone is two."""
    logits, labels, where = random_scene(rng)
    expected = softmax_cross_entropy(logits, labels, where=where, **target)
    actual = selective_cross_entropy(
        logits,
        labels,
        kernel_size=1,
        normalization="none",
        normalizer="weights",
        where=where,
        **target,
    )
    assert_close(actual, expected, length=5)


@pytest.mark.parametrize(
    ("kernel_size", "lowest"), [(3, 0.103), (5, 0.519), (7, 1.100)]
)
def test_lowest_loss_inside_a_uniform_region(rng, kernel_size, lowest):
    """C = 21: reached where every logit but the right one's is the same."""
    labels = jnp.full((7, 7), 4)
    best = 100 * jax.nn.one_hot(labels, 21, dtype="float64")
    loss = full_jit(
        lambda x: selective_cross_entropy(x, labels, kernel_size=kernel_size)[3, 3]
    )
    np.testing.assert_allclose(loss(best), lowest, atol=5e-4)
    assert loss(best + 50 * rng.normal(size=best.shape)) > lowest


def test_range_of_the_loss(rng):
    """C = 21: from 0.00167, right at a lone pixel, to 12.992, a single wrong peak.

    The upper end is the maximum of log Σ exp 2x − 2x_y over Σx = 0 and Σx² = C.
    """
    logits = rng.normal(size=(3000, 1, 1, 21)) ** 3
    logits[:2] = 0.0
    logits[0, ..., 0] = 1.0
    logits[1, ..., :2] = [-3.29692, 3.18291]
    loss = full_jit(partial(selective_cross_entropy, kernel_size=1))
    losses = loss(1e3 * logits, jnp.zeros((3000, 1, 1), int)).ravel()
    np.testing.assert_allclose(losses[0], 0.00167, atol=5e-6)
    np.testing.assert_allclose(losses[1], 12.992, atol=5e-4)
    assert losses[2:].min() > 0.00167
    assert losses[2:].max() < 12.992


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(rng, loss, dtype):
    logits, labels, _ = random_scene(rng, dtype=dtype)
    actual = loss(logits, labels)
    assert actual.dtype == "float32"
    assert_close(actual, loss(logits.astype("float32"), labels))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
def test_label_dtypes(rng, loss, dtype):
    logits, labels, _ = random_scene(rng)
    actual = loss(logits, labels.astype(dtype))
    np.testing.assert_array_equal(actual, loss(logits, labels))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_labels_beyond_the_classes_are_not_nan(rng, loss):
    logits, labels, _ = random_scene(rng)
    assert jnp.isfinite(loss(logits, jnp.where(labels == 255, 7, labels))).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_void_is_zero_whatever_its_logits_are(rng, loss):
    logits, labels, where = random_scene(rng)
    void = (labels == 255) | ~where
    clean = loss(logits, labels, where=where)
    assert not clean[void].any()
    for poison in (jnp.nan, jnp.inf, -jnp.inf):
        poisoned = jnp.where(void[..., None], poison, logits)
        np.testing.assert_array_equal(loss(poisoned, labels, where=where), clean)


def test_two_classes_pass_without_the_standard_score(rng):
    logits, labels, _ = random_scene(rng, classes=2)
    labels = labels % 3 % 2
    actual = selective_cross_entropy(logits, labels, normalization="none")
    expected = reference.selective_cross_entropy(
        np.asarray(logits), np.asarray(labels), normalization="none"
    )
    assert_close(actual, expected, length=50)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"normalization": "softmax"}, "softmax"),
        ({"normalizer": "sum"}, "sum"),
        ({"kernel_size": 4}, "4"),
        ({"stride": 0}, "0"),
        ({"label_smoothing": 1.0}, "1.0"),
        ({"label_smoothing": -0.1}, "-0.1"),
        ({"class_weights": np.ones(4)}, "4"),
        ({"class_weights": np.ones((5, 1))}, "5, 1"),
        ({"neighbor_weights": np.ones((3, 3))}, "3, 3"),
    ],
)
def test_selective_refuses_misuse(rng, options, culprit):
    logits, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match=f"got .*{culprit}"):
        selective_cross_entropy(logits, labels, **options)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"label_smoothing": 1.0}, "1.0"),
        ({"class_weights": np.ones(4)}, "4"),
    ],
)
def test_softmax_refuses_misuse(rng, options, culprit):
    logits, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match=f"got .*{culprit}"):
        softmax_cross_entropy(logits, labels, **options)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_refuses_arrays_that_do_not_fit(rng, loss):
    logits, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match="got .*2, 6, 6"):
        loss(logits, labels[..., :6])
    with pytest.raises(ValueError, match="got .*1, 2, 6, 7"):
        loss(logits, labels[None])
    with pytest.raises(ValueError, match="got .*float64"):
        loss(logits, labels.astype(float))
    with pytest.raises(ValueError, match="got .*int64"):
        loss(logits.astype(int), labels)


def test_refuses_the_standard_score_of_two_classes(rng):
    logits, labels, _ = random_scene(rng, classes=2)
    with pytest.raises(ValueError, match=r"gradient|±1"):
        selective_cross_entropy(logits, labels)
