"""Which pixels are drawn: of each class as many, at random, and none ignored."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax.pixel_draws import draw_pixels


@functools.cache
def _draws(samples: int) -> Any:
    """Draws with a batch of keys."""
    draw = functools.partial(draw_pixels, samples=samples)
    return jax.jit(jax.vmap(draw, in_axes=(None, None, 0)))


def draws(labels, valid, samples, keys=1):
    """Masks of the pixels that each key draws, `[keys, *images, pixels]`."""
    labels, valid = jnp.asarray(labels), jnp.asarray(valid)
    seeds = jax.random.split(jax.random.key(0), keys)
    index, drawn = map(np.asarray, _draws(samples)(labels, valid, seeds))
    assert index.shape == (keys, *labels.shape[:-1], min(samples, labels.shape[-1]))
    for row in index.reshape(-1, index.shape[-1]):
        assert len(set(row.tolist())) == len(row)  # without replacement
    mask = np.zeros((keys, *labels.shape), bool)
    np.put_along_axis(mask, index, drawn, axis=-1)
    return mask


# Of 200 pixels, 7 are ignored: 150 of class 3, 30 of −4, 10 of 40, 2 of 5, 1 of 255.
KINDS = np.repeat([3, -4, 40, 5, 255], [157, 30, 10, 2, 1])
VALID = np.arange(200) % 23 != 3
LEFT = {kind: int((VALID & (KINDS == kind)).sum()) for kind in (3, -4, 40, 5, 255)}


@pytest.mark.parametrize("samples", [1, 11, 120])
def test_each_class_has_as_many_as_another_or_all(samples):
    """Or one more; and no place is left empty while a valid pixel is left."""
    for mask in draws(KINDS, VALID, samples, keys=5):
        assert not (mask & ~VALID).any()
        assert mask.sum() == min(samples, VALID.sum())
        counts = {kind: int((mask & (KINDS == kind)).sum()) for kind in LEFT}
        most = max(counts.values())
        for kind, count in counts.items():
            assert count >= min(most - 1, LEFT[kind]), counts


@pytest.mark.parametrize("samples", [200, 1000])
def test_all_valid_pixels_are_drawn_when_they_are_fewer(samples):
    for mask in draws(KINDS, VALID, samples, keys=2):
        np.testing.assert_array_equal(mask, VALID)


def test_pixels_of_a_class_are_equally_likely():
    """And so are classes where one more is left over; 6 standard deviations."""
    labels, valid = np.repeat([0, 1, 2], [12, 5, 1]), np.arange(18) != 4
    shares = draws(labels, valid, 5, keys=4000).mean(0)
    # One of class 2; two of each other.
    wanted = np.repeat([2 / 11, 2 / 5, 1.0], [12, 5, 1]) * valid
    deviation = np.sqrt(wanted * (1 - wanted) / 4000)
    assert (np.abs(shares - wanted) <= 6 * deviation).all()
    # One of class 2, and of one of the others a second.
    shares = draws(labels, valid, 4, keys=4000).mean(0)
    wanted = np.repeat([1.5 / 11, 1.5 / 5, 1.0], [12, 5, 1]) * valid
    deviation = np.sqrt(wanted * (1 - wanted) / 4000)
    assert (np.abs(shares - wanted) <= 6 * deviation).all()


def test_images_and_keys_are_independent_and_a_key_repeats():
    labels, valid = np.zeros((2, 400), int), np.ones((2, 400), bool)
    first, second = draws(labels, valid, 100, keys=2)
    again = draws(labels, valid, 100, keys=2)[0]
    np.testing.assert_array_equal(first, again)
    for one, other in ((first[0], first[1]), (first[0], second[0])):
        assert 5 < (one & other).sum() < 50  # 25 by chance
    # Pairs of pixels are drawn together as often as independent draws would.
    shares = draws(labels[0], valid[0], 200, keys=300)
    together = (shares[:, 1:] & shares[:, :-1]).mean()
    assert abs(together - 0.25) < 0.01


def test_no_pixel_is_valid():
    assert not draws(np.zeros((2, 9), int), np.zeros((2, 9), bool), 4).any()
