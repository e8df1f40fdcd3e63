"""Supervised contrast of pixels: features of a class together, classes apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.pixel_pairs import Pairs, drawn_pairs
from lal_jax.reductions import masked_mean

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int, Key

Denominator = Literal["negatives", "all"]


def pixel_contrast_loss(
    features: Float[Array, "*batch height width depth"],
    labels: Int[Array, "*batch height width"],
    *,
    key: Key[Array, ""],
    samples: int = 1024,
    temperature: float = 0.1,
    denominator: Denominator = "negatives",
    spatial_axes: int = 2,
    per_image: bool = True,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the supervised contrast of pixels drawn from each image.

    .. math:: L = \frac{1}{|A|} \sum_{i \in A} \frac{1}{|P_i|} \sum_{p \in P_i}
              -\ln \frac{e^{z_i \cdot z_p / \tau}}
              {e^{z_i \cdot z_p / \tau} + \sum_{n \in N_i} e^{z_i \cdot z_n / \tau}}

    with z = x / ‖x‖. P_i are the other pixels drawn of the class of i, N_i those of
    other classes, and A the pixels drawn that have a P_i.

    For features before the classifier, or a projection of them, beside a loss of
    pixels.

    Args:
      features: x, `[..., height, width, depth]`, floating point.
      labels: class indices, `[..., height, width]`, integer: of each pixel that
        features stand for, `labels[..., ::stride, ::stride]`. Every integer that is
        not ignored is a class.
      key: of jax.random; another one in every step draws other pixels.
      samples: how many pixels are drawn, at most, of an image or, with
        `per_image=False`, of the batch. Of each class equally many, at random, or all
        if it has fewer; what does not go round goes to classes at random.
      temperature: τ, above 0; the lower, the more the nearest negatives weigh.
      denominator: `"negatives"` as above; `"all"` takes the other positives into the
        sum too, of all a ≠ i.
      spatial_axes: how many axes before the depth are an image's: 2, 3 for volumes, 1
        for sequences.
      per_image: True contrasts the pixels of each image; False those of all images
        with each other, in one loss.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[..., height, width]`. They are
        never drawn.

    Returns:
      One loss per image, `[...]`, or with `per_image=False` one in all, `[]`; from 0 to
      ln(1 + n e^{2/τ}) of n negatives, float32, or float64 for float64 features. 0 with
      gradient 0 without a pair of one class, and with denominators of negatives where
      there are none.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax, jax.numpy as jnp
    >>> features = jnp.array([[[3.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 1.0]]])
    >>> labels = jnp.array([[0, 0, 1, 1]])
    >>> options = {"key": jax.random.key(0), "temperature": 1.0}
    >>> round(float(pixel_contrast_loss(features, labels, **options)), 4)
    0.5514
    >>> wrong = jnp.array([[0, 1, 0, 1]])
    >>> round(float(pixel_contrast_loss(features, wrong, **options)), 4)
    1.5514

    Source: Wang et al. 2021 (arXiv:2101.11939), Eq. 3, without its memory bank and hard
    pixels; its pairs across images need `per_image=False`. `"all"` is Khosla et al.
    2020 (arXiv:2004.11362), Eq. 2. Features shorter than about 1e-18 count as 0, with
    cosines and gradient 0.

    Value and gradient take the memory of the features and about 5 × 4 · samples² bytes
    per loss, in float32.
    """
    _checks.check_positive("temperature", temperature)
    _checks.check_choice("denominator", denominator, ("negatives", "all"))
    pairs = drawn_pairs(
        features,
        labels,
        key=key,
        samples=samples,
        spatial_axes=spatial_axes,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
    )
    losses, counted = _anchor_losses(pairs, float(temperature), denominator)
    return masked_mean(losses, where=counted, axis=-1)


def _anchor_losses(
    pairs: Pairs, temperature: float, denominator: Denominator
) -> tuple[Float[Array, "*images places"], Bool[Array, "*images places"]]:
    """Returns the mean over each anchor's positives, and which anchors have any."""
    cosines, positives, negatives = pairs
    # Sums of scores of a lower temperature, and their slopes, would overflow.
    least = math.sqrt(jnp.finfo(cosines.dtype).tiny)
    scores = cosines / max(temperature, least)
    rivals = negatives if denominator == "negatives" else negatives | positives
    rival = _log_sum(scores, rivals)
    excess = rival - scores
    if denominator == "negatives":
        excess = jax.nn.softplus(excess)
    some = jnp.any(rivals, axis=-1, keepdims=True)
    count = jnp.sum(positives, axis=-1)
    total = jnp.sum(jnp.where(positives & some, excess, 0.0), axis=-1)
    return total / jnp.maximum(count, 1).astype(total.dtype), count > 0


def _log_sum(
    scores: Float[Array, "*images places places"],
    mask: Bool[Array, "*images places places"],
) -> Float[Array, "*images places 1"]:
    """Returns ln Σ e^s over the mask of each row, 0 of an empty row."""
    axis = scores.ndim - 1
    fixed = jnp.where(mask, jax.lax.stop_gradient(scores), -jnp.inf)
    peak = jnp.max(fixed, axis=axis, keepdims=True, initial=-jnp.inf)
    peak = jnp.where(jnp.isneginf(peak), 0.0, peak)
    powers = jnp.where(mask, jnp.exp(jnp.where(mask, scores - peak, 0.0)), 0.0)
    total = jnp.sum(powers, axis=axis, keepdims=True)
    return jnp.log(jnp.where(total == 0, 1.0, total)) + peak
