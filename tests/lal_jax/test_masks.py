import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import valid_mask
from tests import reference
from tests.lal_jax.scenes import random_scene


@pytest.mark.parametrize("shape", [(6, 7), (2, 3, 4, 5), (0, 4, 5)])
def test_equals_reference(rng, shape):
    _, labels, where = random_scene(rng, shape)
    for options in ({}, {"where": where}, {"ignore_label": 1, "where": where}):
        expected = reference.valid_mask(np.asarray(labels), **options)
        np.testing.assert_array_equal(valid_mask(labels, **options), expected)


@pytest.mark.parametrize(
    ("dtype", "ignore_label"), [("uint8", 255), ("int8", -1), ("int32", -1)]
)
def test_label_dtypes(dtype, ignore_label):
    labels = jnp.array([[0, 1], [2, ignore_label]], dtype)
    actual = valid_mask(labels, ignore_label=ignore_label)
    np.testing.assert_array_equal(actual, [[True, True], [True, False]])


@pytest.mark.parametrize(
    ("dtype", "ignore_label"), [("int8", 255), ("uint8", -1), ("uint8", 256)]
)
def test_ignore_label_beyond_the_dtype_ignores_nothing(dtype, ignore_label):
    labels = jnp.array([[0, 1], [2, 127]], dtype)
    assert valid_mask(labels, ignore_label=ignore_label).all()


def test_refuses_float_labels():
    with pytest.raises(ValueError, match="got .*float32"):
        valid_mask(jnp.zeros((2, 2), "float32"))


def test_refuses_a_where_of_another_shape():
    labels = jnp.zeros((2, 3), int)
    with pytest.raises(ValueError, match="got .*2, 2"):
        valid_mask(labels, where=jnp.ones((2, 2), bool))


def test_refuses_a_where_that_is_not_boolean():
    labels = jnp.zeros((2, 3), int)
    with pytest.raises(ValueError, match="got .*float32"):
        valid_mask(labels, where=jnp.ones((2, 3), "float32"))
