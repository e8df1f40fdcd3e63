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
            "jnp.maximum(logits - largest, -FARTHEST)",
            "(logits - largest)",
        ),
        ("squares overflow", "(mean)) * DOWN)", "(mean)))"),
        (
            "the mean stays in the derivative",
            "_where(valid, _less_mean(d_score))",
            "_where(valid, d_score)",
        ),
        (
            "differences overflow in the derivative",
            "jnp.minimum(largest - logits, FARTHEST)",
            "(largest - logits)",
        ),
    ),
    *of(
        "lal_jax/standard_score.py",
        "tests/lal_jax/test_image_score.py",
        (
            "void counts in the image",
            "jnp.sum(valid, axis=axes, keepdims=True)",
            "jnp.sum(valid | True, axis=axes, keepdims=True)",
        ),
        ("−inf is far", " + (logits - logits)", ""),
        (
            "NaN of ignored pixels in their image",
            "[_where(valid, one) for one in differences]",
            "[one * 1 for one in differences]",
        ),
        (
            "infinity of ignored pixels in their image",
            "jnp.sum(_where(valid, of_pixels) / pixels",
            "jnp.sum(of_pixels / pixels",
        ),
        (
            "the mean of the image beside those of the pixels",
            "mean = jnp.mean(shifted, axis=-1, keepdims=True)",
            "mean = jnp.mean(shifted, axis=(*axes, -1), keepdims=True)",
        ),
    ),
    *of(
        "lal_jax/standard_score.py",
        "tests/lal_jax/test_memory.py",
        (
            "differences kept for the derivative's sum",
            "summed = -(jnp.minimum(largest - logits, FARTHEST) + mean)",
            "summed = centered + 0",
        ),
        ("differences kept for the derivative", "bounded - mean", "shifted - mean"),
    ),
    *of(
        "lal_jax/standard_score.py",
        "tests/lal_jax/test_void.py",
        (
            "ignored pixels in second derivatives",
            "change = _where(valid, change)\n    d_inverse = _inverse_change(change, d",
            "d_inverse = _inverse_change(change, d",
        ),
        (
            "ignored pixels in the derivative",
            "change = _where(valid, change)\n    d_inverse = _inverse_change(change, s",
            "d_inverse = _inverse_change(change, s",
        ),
    ),
]
