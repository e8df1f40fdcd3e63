"""Mistakes in the losses of windows and of centerlines that their tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

WINDOWS = "tests/lal_jax/test_region_mutual_information.py"
LINES = "tests/lal_jax/test_cl_dice.py"
EDGES = "tests/lal_jax/test_region_edges.py"
MEMORY = "tests/lal_jax/test_memory.py"

REGIONS = [
    *of(
        "lal_jax/region_mutual_information.py",
        WINDOWS,
        ("means over all pixels of a block", "pixels = jnp.maximum(pixels, 1.0)", ""),
        (
            "windows that are partly ignored",
            "jnp.all(_windows(pixels[..., 0] > 0, radius)",
            "jnp.any(_windows(pixels[..., 0] > 0, radius)",
        ),
        (
            "blocks that the edge cuts left out",
            "-(-height // side), -(-width // side)",
            "height // side, width // side",
        ),
        ("sums that are not centered", "vectors - mean, 0.0)", "vectors, 0.0)"),
        (
            "half as many variables",
            "/ (2 * size)",
            "/ size",
        ),
        (
            "images one by one in a batch",
            "batch_axes=axes[:-2],",
            "batch_axes=(),",
        ),
        (
            "absent classes count",
            "jnp.any(mean[..., size:, 0, 0] > 0, axis=-1)",
            "jnp.any(mean[..., size:, 0, 0] >= 0, axis=-1)",
        ),
    ),
    *of(
        "lal_jax/region_mutual_information.py",
        EDGES,
        (
            "NaN hidden",
            "jnp.where(determinant < 0, 0.0, determinant)",
            "jnp.where(determinant > 0, determinant, 0.0)",
        ),
    ),
    *of(
        "lal_jax/conditional_covariance.py",
        WINDOWS,
        (
            "no second factor",
            'vectors = _einsum("...ij,...jhw->...ihw", inverse, vectors)',
            "inverse = identity + jnp.zeros_like(inverse)",
        ),
        (
            "a first ridge below the rounding",
            "rough += (10 * RIDGE + 1e-6 * variance) * identity",
            "rough += 0.01 * RIDGE * identity",
        ),
        (
            "a first ridge that leaves nothing to the first factor",
            "(10 * RIDGE + 1e-6 * variance)",
            "(1e3 + 1e-6 * variance)",
        ),
        (
            "a ridge that is not transformed",
            'RIDGE * _einsum("...ik,...jk->...ij", inverse, inverse)',
            "RIDGE * identity",
        ),
        (
            "all places of the diagonal",
            "rows = inverse[-len(scale) :]",
            "rows = inverse",
        ),
        (
            "half of the slope",
            "jnp.sum(slope * change)",
            "0.5 * jnp.sum(slope * change)",
        ),
    ),
    *of(
        "lal_jax/conditional_covariance.py",
        "tests/lal_jax/test_transforms.py::test_sharded",
        (
            "JAX's own batches",
            "log_determinant, split = jax.vmap(log_determinant), jax.vmap(split)",
            "log_determinant = jax.vmap(log_determinant)",
        ),
    ),
    *of(
        "lal_jax/class_by_class.py",
        MEMORY,
        (
            "all classes kept",
            "jax.checkpoint(lambda pair: function(*pair))",
            "(lambda pair: function(*pair))",
        ),
    ),
    *of(
        "lal_jax/soft_skeleton.py",
        MEMORY,
        ("all pools kept", "    @jax.checkpoint  # keeps", "    # keeps"),
    ),
    *of(
        "lal_jax/soft_skeleton.py",
        LINES,
        (
            "erosion of squares",
            "sum(map(abs, offset)) < 2",
            "sum(map(abs, offset)) < 3",
        ),
        (
            "opening by crosses",
            "_pooled_maximum(eroded, counted, box)",
            "_pooled_maximum(eroded, counted, cross)",
        ),
        ("one erosion less", "length=iterations + 1", "length=iterations"),
        (
            "sum without overlap",
            "stripped * (1.0 - skeleton)",
            "stripped",
        ),
        (
            "ignored pixels in pools",
            "    image = jnp.where(counted, image, -jnp.inf)\n",
            "",
        ),
        (
            "ties pass their slope on in full",
            "cotangent / jnp.maximum(ties, 1.0)",
            "cotangent",
        ),
        (
            "slope of the center alone",
            "jnp.where(own == peak, share, 0.0)",
            "jnp.where(own == peak, 0.5 * share, 0.0)",
        ),
    ),
    *of(
        "lal_jax/cl_dice.py",
        LINES,
        (
            "skeletons compared with themselves",
            "*_shares(skeleton(t), p, axes, smooth)",
            "*_shares(skeleton(t), t, axes, smooth)",
        ),
        (
            "sums of one slice of a volume",
            "spatial=spatial_axes,\n        axes=axes,",
            "spatial=spatial_axes,\n        axes=axes[-2:],",
        ),
        (
            "no centerline is no hit",
            "jnp.where(vanishes(total), 1.0, ratio(inside, total))",
            "ratio(inside, total)",
        ),
        (
            "weights exchanged",
            "weight * missed + (1.0 - weight) * stray",
            "weight * stray + (1.0 - weight) * missed",
        ),
    ),
    *of(
        "lal_jax/overlap_sums.py",
        EDGES,
        (
            "flat pixels in windows",
            "if jnp.ndim(logits) <= rank:",
            "if False:",
        ),
    ),
]
