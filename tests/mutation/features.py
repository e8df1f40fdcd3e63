"""Mistakes in the losses of drawn pixels that their tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

DRAWS = "tests/lal_jax/test_pixel_draws.py"
LOSSES = "tests/lal_jax/test_pixel_losses.py"
EDGES = "tests/lal_jax/test_pixel_edges.py"

FEATURES = [
    *of(
        "lal_jax/pixel_draws.py",
        DRAWS,
        ("ignored pixels drawn", "jnp.where(valid, labels, NO_CLASS)", "labels"),
        (
            "classes in proportion",
            "jnp.where(marks == NO_CLASS, places, _since_change(marks))",
            "jnp.where(marks == NO_CLASS, places, 0)",
        ),
        (
            "the first pixels of a class",
            "_bits(within, zeros), index",
            "zeros.astype(jnp.uint32), index",
        ),
        (
            "what is left over goes to the first classes",
            "_bits(between, zeros), index",
            "zeros.astype(jnp.uint32), index",
        ),
        (
            "every place counted as drawn",
            "rank[..., :places] < places",
            "rank[..., :places] <= places",
        ),
    ),
    *of(
        "lal_jax/pixel_pairs.py",
        LOSSES,
        (
            "an anchor is its own positive",
            "both & same & (row != column)",
            "both & same",
        ),
        (
            "empty places are pixels",
            "both = drawn[..., :, None] & drawn[..., None, :]",
            "both = drawn[..., :, None] | True | drawn[..., None, :]",
        ),
        (
            "features of any length",
            "return vectors / jnp.sqrt(jnp.where(short, 1.0, square))",
            "return vectors * peak",
        ),
    ),
    *of(
        "lal_jax/pixel_pairs.py",
        EDGES,
        (
            "short features divided by 0",
            "short = vanishes(peak)",
            "short = peak < 0",
        ),
        ("the largest floats overflow", "vectors = 0.25 * vectors", "vectors += 0.0"),
        (
            "gradient without a sharding",
            "features = jnp.where(valid[..., None], features, nothing)",
            "del nothing",
        ),
        (
            "labels divided among devices",
            "return jax.sharding.reshard(array, PartitionSpec(None))",
            "return array",
        ),
        ("batches of keys", "given.ndim != (0 if typed else 1)", "False"),
    ),
    *of(
        "lal_jax/pixel_contrast.py",
        LOSSES,
        ("mean over all places", "where=counted, axis=-1", "axis=-1"),
        (
            "sum over the positives",
            "total / jnp.maximum(count, 1).astype(total.dtype)",
            "total",
        ),
        (
            "the positive left out of its denominator",
            "excess = jax.nn.softplus(excess)",
            "excess = jax.nn.relu(excess)",
        ),
        ("denominators of positives", "else negatives | positives", "else positives"),
        ("anchors without positives count", ", count > 0", ", count >= 0"),
    ),
    *of(
        "lal_jax/pixel_contrast.py",
        EDGES,
        (
            "positives without a negative",
            "jnp.where(positives & some, excess, 0.0)",
            "jnp.where(positives, excess, 0.0)",
        ),
    ),
    *of(
        "lal_jax/pixel_triplet.py",
        LOSSES,
        (
            "the easiest positive",
            "-_largest(-cosines, positives)",
            "_largest(cosines, positives)",
        ),
        ("distances without their square", "+ 2.0 * jnp.where", "+ 1.0 * jnp.where"),
        (
            "anchors without positives count",
            "jnp.any(positives, axis=-1) & jnp.any(negatives, axis=-1)",
            "jnp.any(negatives, axis=-1)",
        ),
        ("no hinge", "masked_mean(jax.nn.relu(excess)", "masked_mean((excess)"),
    ),
]
