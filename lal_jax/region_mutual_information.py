"""Region mutual information: what predictions in a window tell of the labels in it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.class_by_class import map_classes
from lal_jax.conditional_covariance import conditional_log_determinant
from lal_jax.overlap_sums import (
    Activation,
    check_image,
    class_average,
    probabilities_and_targets,
)

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Shaped


def region_mutual_information_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    radius: int = 3,
    downsampling: int = 4,
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the region mutual information loss of each image.

    .. math:: L = \frac{\sum_c w_c \ell_c}{\sum_c w_c}, \quad
              \ell_c = \frac{1}{2d} \ln \frac{\det M}{\xi^d}, \quad
              M = \Sigma_Y + \xi I - \Sigma_{YP} (\Sigma_P + \xi I)^{-1} \Sigma_{PY}

    Y are the targets in a window of R×R, P the probabilities in it, Σ covariances over
    all windows of the image, d = R² and ξ = 10⁻⁶. M is what the best linear prediction
    from P leaves of Σ_Y, and ℓ, up to a constant, what bounds −I(Y; P)/d from above.

    For use beside a loss of pixels, as in its paper: by itself it asks for
    probabilities that tell the labels, so p and 1 − p cost the same.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer; or targets t in [0, 1],
        `[..., height, width, classes]`, floating point or boolean.
      radius: R, the side of the windows, in blocks.
      downsampling: the side of the blocks, in pixels: targets and probabilities are
        averaged over a block's valid pixels. Blocks are counted from the top left, and
        cut by the edge. 1 takes pixels as they are.
      activation: how p comes from the logits: `"softmax"`, `"sigmoid"` for several
        labels a pixel, or `"none"` where probabilities are given, in [0, 1].
      per_image: True takes covariances over the windows of each image, False over those
        of all images. No window reaches from one image into another.
      class_weights: w, one factor per class, `[classes]`; None means 1.
      ignore_label: the label of ignored pixels, or several; of labels alone, targets
        are ignored by `where`.
      where: False marks further pixels to ignore, `[..., height, width]`. A window
        counts if each of its blocks has a valid pixel.

    Returns:
      One loss per image, `[...]`, or with `per_image=False` one in all, `[]`; float32,
      or float64 for float64 logits. The average is over the classes that have a target
      in a window that counts; without any, 0 with gradient 0. From 0 to
      ½ ln(1 + 1/(4ξ)) = 6.2; right probabilities cost at most ½ ln 2.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> labels = jnp.triu(jnp.ones((9, 9), int))
    >>> right = jnp.stack([1 - labels, labels], axis=-1) * 0.8 + 0.1
    >>> options = {"radius": 2, "downsampling": 1, "activation": "none"}
    >>> round(float(region_mutual_information_loss(right, labels, **options)), 4)
    0.3529
    >>> blind = jnp.full_like(right, 0.5)
    >>> round(float(region_mutual_information_loss(blind, labels, **options)), 4)
    4.4883

    Source: Zhao et al. 2019 (arXiv:1910.12037), −I_l/d without the cross-entropy beside
    it, and −½ ln ξ more, so that it is not negative. The authors' program has sigmoids
    for p, ξ = 5·10⁻⁴ beside sums over the windows, ignored pixels as zeros in the
    averages, blocks that begin half a block before the image, and the sum of all
    classes. A label out of range is left out, as an ignored pixel.

    Classes are computed in turn, and again in reverse mode. Value and gradient take
    about 2 + (1 + 9 R² / classes) / downsampling² times the memory of the logits.
    """
    _checks.check_integer("radius", radius, least=1)
    _checks.check_integer("downsampling", downsampling, least=1)
    check_image(logits, 2)
    probabilities, targets, counted, axes = probabilities_and_targets(
        logits,
        labels,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
        rank=2,
    )
    losses, present = _losses(
        probabilities,
        targets,
        counted,
        radius=radius,
        downsampling=downsampling,
        batch_axes=axes[:-2],
    )
    return class_average(
        losses, present, classes="present", class_weights=class_weights
    )


@functools.partial(jax.jit, static_argnames=("radius", "downsampling", "batch_axes"))
def _losses(
    probabilities: Float[Array, "*batch height width classes"],
    targets: Shaped[Array, "*batch height width classes"],
    counted: Bool[Array, "*batch height width"],
    *,
    radius: int,
    downsampling: int,
    batch_axes: tuple[int, ...],
) -> tuple[Float[Array, "*images classes"], Bool[Array, "*images classes"]]:
    """Returns the classes' losses, and which have a target, as one program anywhere.

    Covariances are over the batch axes as well.
    """
    pixels = _block_sums(counted[..., None].astype(probabilities.dtype), downsampling)
    whole = jnp.all(_windows(pixels[..., 0] > 0, radius), axis=-3, keepdims=True)
    pixels = jnp.maximum(pixels, 1.0)

    def class_loss(p: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        vectors = jnp.concatenate([_windows(p, radius), _windows(t, radius)], axis=-3)
        return _class_loss(vectors, whole, batch_axes)

    return map_classes(
        class_loss,
        _block_sums(probabilities, downsampling) / pixels,
        _block_sums(targets.astype(pixels.dtype), downsampling) / pixels,
    )


def _class_loss(
    vectors: Float[Array, "*batch two_d rows columns"],
    whole: Bool[Array, "*batch 1 rows columns"],
    batch_axes: tuple[int, ...],
) -> tuple[Float[Array, "*images"], Bool[Array, "*images"]]:
    """Returns a class's loss, and whether it has a target in a whole window.

    The vectors hold the probabilities of every window, and then its targets.
    """
    size = vectors.shape[-3] // 2
    sum_axes = (*batch_axes, vectors.ndim - 2, vectors.ndim - 1)
    count = jnp.sum(whole, axis=sum_axes, keepdims=True)
    count = jnp.maximum(count, 1).astype(vectors.dtype)
    mean = jnp.sum(jnp.where(whole, vectors, 0.0), axis=sum_axes, keepdims=True) / count
    determinant = conditional_log_determinant(
        jnp.where(whole, vectors - mean, 0.0), count[..., 0], batch_axes=batch_axes
    )
    # Rounding is no gain; not a maximum, which would hide NaN.
    losses = jnp.where(determinant < 0, 0.0, determinant) / (2 * size)
    present = jnp.any(mean[..., size:, 0, 0] > 0, axis=-1)
    return jnp.squeeze(losses, batch_axes), jnp.squeeze(present, batch_axes)


def _block_sums(
    values: Float[Array, "*batch height width channels"], side: int
) -> Float[Array, "*batch rows columns channels"]:
    """Returns the sums over blocks of side×side pixels, fewer where the edge cuts."""
    if side == 1:
        return values
    *batch, height, width, channels = values.shape
    rows, columns = -(-height // side), -(-width // side)
    missing = [(0, rows * side - height), (0, columns * side - width), (0, 0)]
    values = jnp.pad(values, [(0, 0)] * len(batch) + missing)
    # One axis at a time, as Explicit sharding of the batch allows.
    tall = values.reshape(*batch, rows, side, columns * side, channels).sum(-3)
    return tall.reshape(*batch, rows, columns, side, channels).sum(-2)


def _windows(
    maps: Shaped[Array, "*batch height width"], side: int
) -> Shaped[Array, "*batch places rows columns"]:
    """Returns what each of the side×side places holds in every window."""
    rows, columns = (max(length - side + 1, 0) for length in maps.shape[-2:])
    return jnp.stack(
        [
            maps[..., down : down + rows, across : across + columns]
            for down in range(side)
            for across in range(side)
        ],
        axis=-3,
    )
