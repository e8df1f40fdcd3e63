"""The triplet loss of pixels: the hardest of an anchor's class and of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.pixel_pairs import drawn_pairs
from lal_jax.reductions import masked_mean

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int, Key


def pixel_triplet_loss(
    features: Float[Array, "*batch height width depth"],
    labels: Int[Array, "*batch height width"],
    *,
    key: Key[Array, ""],
    samples: int = 1024,
    margin: float = 0.2,
    spatial_axes: int = 2,
    per_image: bool = True,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the triplet loss of pixels drawn from each image, by the hardest pairs.

    .. math:: L = \frac{1}{|A|} \sum_{i \in A} \max\Bigl(0,\; m +
              \max_{p \in P_i} \lVert z_i - z_p \rVert^2 -
              \min_{n \in N_i} \lVert z_i - z_n \rVert^2 \Bigr)

    with z = x / ‖x‖. P_i are the other pixels drawn of the class of i, N_i those of
    other classes, and A the pixels drawn that have both.

    Args:
      features: x, `[..., height, width, depth]`, floating point.
      labels: class indices, `[..., height, width]`, integer; as in
        `pixel_contrast_loss`, and so are `key`, `samples`, `spatial_axes`, `per_image`,
        `ignore_label` and `where`.
      key: of jax.random; another one in every step draws other pixels.
      samples: how many pixels are drawn, at most, as many of each class.
      margin: m, 0 or more; squared distances lie in [0, 4].
      spatial_axes: how many axes before the depth are an image's.
      per_image: True compares the pixels of each image, False those of all images.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      One loss per image, `[...]`, or with `per_image=False` one in all, `[]`; from 0 to
      m + 4, and m where all features are the same; float32, or float64 for float64
      features. Without an anchor that has both, 0 with gradient 0.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax, jax.numpy as jnp
    >>> features = jnp.array([[[3.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 1.0]]])
    >>> options = {"key": jax.random.key(0)}
    >>> float(pixel_triplet_loss(features, jnp.array([[0, 0, 1, 1]]), **options))
    0.0
    >>> wrong = jnp.array([[0, 1, 0, 1]])
    >>> round(float(pixel_triplet_loss(features, wrong, **options)), 4)
    2.2

    Source: squared distances of unit vectors and the margin are those of Schroff et al.
    2015 (arXiv:1503.03832), the hardest pairs those of Hermans et al. 2017
    (arXiv:1703.07737), Eq. 5. The difference of the two is 2 (z_i·z_n − z_i·z_p), whose
    slope is finite where distances are 0; equally hard pairs share it alike. Features
    shorter than about 1e-18 count as 0, with
    cosines and gradient 0.

    Value and gradient take the memory of the features and about 5 × 4 · samples² bytes
    per loss, in float32.
    """
    _checks.check_not_negative("margin", margin)
    cosines, positives, negatives = drawn_pairs(
        features,
        labels,
        key=key,
        samples=samples,
        spatial_axes=spatial_axes,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
    )
    farthest = -_largest(-cosines, positives)
    nearest = _largest(cosines, negatives)
    counted = jnp.any(positives, axis=-1) & jnp.any(negatives, axis=-1)
    excess = float(margin) + 2.0 * jnp.where(counted, nearest - farthest, 0.0)
    return masked_mean(jax.nn.relu(excess), where=counted, axis=-1)


def _largest(
    values: Float[Array, "*images places places"],
    mask: Bool[Array, "*images places places"],
) -> Float[Array, "*images places"]:
    """Returns each row's largest value in the mask, −∞ of none."""
    return jnp.max(
        jnp.where(mask, values, -jnp.inf), axis=values.ndim - 1, initial=-jnp.inf
    )
