import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lal_jax import selective_cross_entropy, softmax_cross_entropy
from tests import reference
from tests.lal_jax.scenes import DTYPES, OPTIONS, random_scene
from tests.tolerances import assert_close


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_selective_equals_reference(getkey, options, dtype):
    logits, labels, where = random_scene(getkey(), dtype=dtype)
    actual = jax.jit(
        lambda x: selective_cross_entropy(x, labels, where=where, **options)
    )(logits)
    assert actual.dtype == dtype
    expected = reference.selective_cross_entropy(
        np.asarray(logits), np.asarray(labels), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=25 * 5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3,), (2, 6, 7), (0, 3, 4)])
@pytest.mark.parametrize("name", ["defaults", "class_weights", "label_smoothing"])
def test_softmax_equals_reference(getkey, name, shape, dtype):
    logits, labels, where = random_scene(getkey(), shape, dtype=dtype)
    actual = softmax_cross_entropy(logits, labels, where=where, **OPTIONS[name])
    assert actual.dtype == dtype
    expected = reference.softmax_cross_entropy(
        np.asarray(logits), np.asarray(labels), where=np.asarray(where), **OPTIONS[name]
    )
    assert_close(actual, expected, length=5)


def test_softmax_equals_optax(getkey):
    logits, labels, _ = random_scene(getkey())
    labels = labels % 5
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    assert_close(softmax_cross_entropy(logits, labels), expected, length=5)


@pytest.mark.parametrize("name", ["defaults", "class_weights", "label_smoothing"])
def test_window_of_one_and_raw_logits_is_softmax_cross_entropy(getkey, name):
    """With weights that sum to one; the paper's centre weight alone is two."""
    logits, labels, where = random_scene(getkey())
    expected = softmax_cross_entropy(logits, labels, where=where, **OPTIONS[name])
    actual = selective_cross_entropy(
        logits,
        labels,
        kernel_size=1,
        normalization="none",
        normalizer="weights",
        where=where,
        **OPTIONS[name],
    )
    assert_close(actual, expected, length=5)


@pytest.mark.parametrize(
    ("kernel_size", "lowest"), [(3, 0.103), (5, 0.519), (7, 1.100)]
)
def test_lowest_loss_inside_a_uniform_region(getkey, kernel_size, lowest):
    """C = 21: reached where every logit but the right one's is the same."""
    labels = jnp.full((7, 7), 4)
    best = 100 * jax.nn.one_hot(labels, 21, dtype="float64")
    loss = jax.jit(
        lambda x: selective_cross_entropy(x, labels, kernel_size=kernel_size)[3, 3]
    )
    np.testing.assert_allclose(loss(best), lowest, atol=5e-4)
    assert loss(best + 50 * jax.random.normal(getkey(), best.shape)) > lowest


def test_range_of_the_loss(getkey):
    """C = 21: from 0.00167, right at a lone pixel, to 12.992, a single wrong peak.

    The upper end is the maximum of log Σ exp 2x − 2x_y over Σx = 0, Σx² = C.
    """
    labels = jnp.zeros((1, 1), int)

    def loss(*leading_logits):
        logits = (
            jnp.zeros((1, 1, 21))
            .at[0, 0, : len(leading_logits)]
            .set(jnp.array(leading_logits))
        )
        return selective_cross_entropy(1e3 * logits, labels)[0, 0]

    np.testing.assert_allclose(loss(1.0), 0.00167, atol=5e-6)
    np.testing.assert_allclose(loss(-3.29692, 3.18291), 12.9918, atol=1e-4)
    labels = jnp.zeros((3000, 1, 1), int)
    logits = 1e3 * jax.random.normal(getkey(), (3000, 1, 1, 21)) ** 3
    losses = selective_cross_entropy(logits, labels, kernel_size=1)
    assert losses.min() > 0.00167
    assert losses.max() < 12.992


@pytest.mark.parametrize("loss", [selective_cross_entropy, softmax_cross_entropy])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(getkey, loss, dtype):
    logits, labels, _ = random_scene(getkey(), dtype=dtype)
    actual = loss(logits, labels)
    assert actual.dtype == "float32"
    assert_close(actual, loss(logits.astype("float32"), labels))


@pytest.mark.parametrize("loss", [selective_cross_entropy, softmax_cross_entropy])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
def test_label_dtypes(getkey, loss, dtype):
    logits, labels, _ = random_scene(getkey())
    actual = loss(logits, labels.astype(dtype))
    np.testing.assert_array_equal(actual, loss(logits, labels))


@pytest.mark.parametrize("loss", [selective_cross_entropy, softmax_cross_entropy])
def test_void_is_zero_whatever_its_logits_are(getkey, loss):
    logits, labels, where = random_scene(getkey())
    void = (labels == 255) | ~where
    clean = loss(logits, labels, where=where)
    assert not clean[void].any()
    for poison in (jnp.nan, jnp.inf, -jnp.inf):
        poisoned = jnp.where(void[..., None], poison, logits)
        np.testing.assert_array_equal(loss(poisoned, labels, where=where), clean)


def test_two_classes_pass_without_the_standard_score(getkey):
    logits, labels, _ = random_scene(getkey(), classes=2)
    options = {"normalization": "none", "ignore_label": 2}
    actual = selective_cross_entropy(
        logits, jnp.where(labels == 255, 0, labels), **options
    )
    expected = reference.selective_cross_entropy(
        np.asarray(logits), np.where(labels == 255, 0, labels), **options
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
        ({"class_weights": np.ones(4)}, r"4.*5|5.*4"),
        ({"class_weights": np.ones((5, 1))}, "5, 1"),
        ({"neighbor_weights": np.ones((3, 3))}, "3, 3"),
    ],
)
def test_selective_refuses_misuse(getkey, options, culprit):
    logits, labels, _ = random_scene(getkey())
    with pytest.raises(ValueError, match=culprit):
        selective_cross_entropy(logits, labels, **options)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"label_smoothing": 1.0}, "1.0"),
        ({"class_weights": np.ones(4)}, r"4.*5|5.*4"),
    ],
)
def test_softmax_refuses_misuse(getkey, options, culprit):
    logits, labels, _ = random_scene(getkey())
    with pytest.raises(ValueError, match=culprit):
        softmax_cross_entropy(logits, labels, **options)


@pytest.mark.parametrize("loss", [selective_cross_entropy, softmax_cross_entropy])
def test_refuses_arrays_that_do_not_fit(getkey, loss):
    logits, labels, _ = random_scene(getkey())
    with pytest.raises(ValueError, match="2, 6, 6"):
        loss(logits, labels[..., :6])
    with pytest.raises(ValueError, match="1, 2, 6, 7"):
        loss(logits, labels[None])
    with pytest.raises(ValueError, match="float64"):
        loss(logits, labels.astype(float))
    with pytest.raises(ValueError, match="int64"):
        loss(logits.astype(int), labels)


def test_refuses_the_standard_score_of_two_classes(getkey):
    logits, labels, _ = random_scene(getkey(), classes=2)
    with pytest.raises(ValueError, match=r"gradient|±1"):
        selective_cross_entropy(logits, labels)
