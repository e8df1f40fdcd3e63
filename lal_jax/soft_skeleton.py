"""The soft skeleton: what openings take away while erosions make a region thinner."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float

Offsets = tuple[tuple[int, ...], ...]
Carried = tuple[jax.Array, jax.Array]


def soft_skeleton(
    image: Float[Array, "*batch *space"],
    counted: Bool[Array, "*batch *space"],
    *,
    iterations: int,
    spatial: int,
) -> Float[Array, "*batch *space"]:
    """Returns 1 − Π (1 − δ) over δ = ReLU(I − open(I)) of I and of its erosions.

    An opening is the maximum over the pixels around of the erosion, and that the
    minimum over the pixel and its direct neighbors. Pixels that do not count are in no
    pool, as those beyond the edge, and 0.

    Args:
      image: I, of one class, with values in [0, 1].
      counted: False where a pixel does not count.
      iterations: how often I is eroded; n suffice for regions 2n + 2 pixels wide.
      spatial: how many axes an image has.
    """
    box = tuple(itertools.product((-1, 0, 1), repeat=spatial))
    cross = tuple(offset for offset in box if sum(map(abs, offset)) < 2)

    @jax.checkpoint  # keeps two images of an iteration, not all of its pools
    def step(carried: Carried, _: None) -> tuple[Carried, None]:
        image, skeleton = carried
        eroded = -_pooled_maximum(-image, counted, cross)
        stripped = jax.nn.relu(image - _pooled_maximum(eroded, counted, box))
        return (eroded, skeleton + stripped * (1.0 - skeleton)), None

    image = jnp.where(counted, image, 0.0)
    start = image, jnp.zeros_like(image)
    (_, skeleton), _ = jax.lax.scan(step, start, None, length=iterations + 1)
    return skeleton


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _pooled_maximum(
    image: Float[Array, "*batch *space"],
    counted: Bool[Array, "*batch *space"],
    offsets: Offsets,
) -> Float[Array, "*batch *space"]:
    """Returns the maximum over the places that count, 0 where the center does not."""
    image = jnp.where(counted, image, -jnp.inf)
    highest = functools.reduce(jnp.maximum, _neighbors(image, offsets, -jnp.inf))
    return jnp.where(counted, highest, 0.0)


@_pooled_maximum.defjvp
def _pooled_maximum_jvp(offsets, primals, tangents):
    """Applies the mean of the changes at the places that hold the maximum.

    As the transpose of the sum over all pools that a pixel is in: reverse mode is then
    that sum, a pool again, where JAX's own would add up padded images.
    """
    (image, counted), (change, _) = primals, tangents
    highest = _pooled_maximum(image, counted, offsets)
    own = jnp.where(counted, image, -jnp.inf)
    peaks = jnp.where(counted, highest, jnp.inf)
    ties = sum(
        (near == peaks).astype(image.dtype)
        for near in _neighbors(own, offsets, -jnp.inf)
    )

    def reverse(cotangent: jax.Array) -> jax.Array:
        shares = cotangent / jnp.maximum(ties, 1.0)
        pools = zip(
            _neighbors(peaks, offsets, jnp.inf),
            _neighbors(shares, offsets, 0.0),
            strict=True,
        )
        return functools.reduce(
            jnp.add, [jnp.where(own == peak, share, 0.0) for peak, share in pools]
        )

    (forward,) = jax.linear_transpose(reverse, change)(change)
    return highest, forward


def _neighbors(
    image: Float[Array, "*batch *space"], offsets: Offsets, beyond: float
) -> Iterator[Float[Array, "*batch *space"]]:
    """Yields the image shifted by each offset of −1, 0 or 1 along its last axes."""
    spatial = len(offsets[0])
    space = image.shape[-spatial:]
    widths = [(0, 0)] * (image.ndim - spatial) + [(1, 1)] * spatial
    padded = jnp.pad(image, widths, constant_values=beyond)
    for offset in offsets:
        starts = [1 + step for step in offset]
        window = [slice(a, a + n) for a, n in zip(starts, space, strict=True)]
        yield padded[(..., *window)]
