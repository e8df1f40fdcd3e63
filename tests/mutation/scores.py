"""Mistakes in the standard score and the score by an image's deviation."""

from __future__ import annotations

from tests.mutation.trainer import of

SCORES = [
    *of(
        "lal_jax/standard_score.py",
        "tests/lal_jax/test_standard_score.py",
        (
            "slope without the overlap",
            "overlap = score_mean(centered * change",
            "overlap = 0 * score_mean(centered * change",
        ),
        (
            "differences overflow",
            "shifted = jnp.maximum(shifted, -FARTHEST)",
            "shifted = shifted + 0",
        ),
        ("squares overflow", "centered * DOWN", "centered"),
    ),
    *of(
        "lal_jax/standard_score.py",
        "tests/lal_jax/test_image_score.py",
        (
            "void counts in the image",
            "jnp.sum(valid, axis=axes, keepdims=True)",
            "jnp.sum(valid | True, axis=axes, keepdims=True)",
        ),
        ("−inf is far", "jnp.isinf(jnp.min(", "jnp.isnan(jnp.min("),
        (
            "NaN of ignored pixels in their image",
            "        centered = _where(valid, centered)\n",
            "        centered = centered * 1\n",
        ),
        (
            "infinity of ignored pixels in their image",
            "jnp.any(infinite & valid[..., None]",
            "jnp.any(infinite",
        ),
        (
            "the mean of the image beside those of the pixels",
            "centered = shifted - jnp.mean(shifted, axis=-1, keepdims=True)",
            "centered = shifted - jnp.mean(shifted, axis=(*axes, -1), keepdims=True)",
        ),
    ),
    *of(
        "lal_jax/standard_score.py",
        "tests/lal_jax/test_void.py",
        (
            "ignored pixels in second derivatives",
            "    change = _where(valid, change)\n    mean",
            "    mean",
        ),
    ),
]
