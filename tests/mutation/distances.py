"""Mistakes in distances and the boundary loss that their tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

FAR = "tests/lal_jax/test_distances.py"
LOSS = "tests/lal_jax/test_boundary.py"

DISTANCES = [
    *of(
        "lal_jax/distance_transform.py",
        FAR,
        ("spacings exchanged", "*others = reversed(spacing)", "*others = spacing"),
        (
            "only what comes before",
            "jnp.minimum(place - before, after - place)",
            "place - before",
        ),
        ("a cone for a parabola", "(everywhere - place) ** 2", "everywhere - place"),
        (
            "the last vertex alone",
            "return jnp.minimum(lowest, parabola), None",
            "return parabola, None",
        ),
    ),
    *of(
        "lal_jax/distance_transform.py",
        f"{FAR}::test_memory_is_a_few_arrays_of_the_result",
        (
            "all parabolas stored",
            "None\n\n    vertices = jnp.moveaxis(squares, -1, 0), places\n"
            "    return jax.lax.scan(lower, squares, vertices, unroll=8)[0]",
            "parabola\n\n    vertices = jnp.moveaxis(squares, -1, 0), places\n"
            "    return jnp.min(jax.lax.scan(lower, squares, vertices)[1], axis=0)",
        ),
    ),
    *of(
        "lal_jax/distances.py",
        FAR,
        (
            "ignored pixels are members",
            "is_target(labels, num_classes) & counted[..., None]",
            "is_target(labels, num_classes)",
        ),
        (
            "strays are another class",
            "has_class(labels, mask_of(labels, ignore_label, where), num_classes)",
            "mask_of(labels, ignore_label, where)",
        ),
        (
            "ignored pixels have distances",
            "known & jnp.isfinite(squares)",
            "jnp.isfinite(squares)",
        ),
        (
            "absent classes at infinity",
            "jnp.where(known & jnp.isfinite(squares), squares, 0.0)",
            "jnp.where(known, squares, 0.0)",
        ),
        (
            "positive inside",
            "jnp.where(inside, -lengths, lengths)",
            "lengths",
        ),
        (
            "the nearest class is its own",
            "others = jnp.where(inside, jnp.inf, outward)",
            "others = outward",
        ),
        ("no root", "lengths = jnp.sqrt(", "lengths = ("),
    ),
    *of(
        "lal_jax/distances.py",
        LOSS,
        (
            "ignored pixels are the other side",
            "squared_distances(known & ~inside, spacing, dtype)",
            "squared_distances(~inside, spacing, dtype)",
        ),
    ),
    *of(
        "lal_jax/boundary.py",
        LOSS,
        (
            "NaN of distances at ignored pixels",
            "phi = jnp.where(counted[..., None], phi, 0.0)",
            "phi = phi * counted[..., None].astype(phi.dtype)",
        ),
        (
            "mean over all pixels",
            "jnp.maximum(jnp.sum(counted, axis=axes), 1)",
            "jnp.maximum(jnp.sum(counted | True, axis=axes), 1)",
        ),
        (
            "nothing valid is NaN",
            "jnp.maximum(jnp.sum(counted, axis=axes), 1)",
            "jnp.sum(counted, axis=axes)",
        ),
        (
            "NaN of absent classes hidden",
            "jnp.sum(probabilities * phi, axis",
            "jnp.sum(jnp.where(phi == 0, 0.0, probabilities * phi), axis",
        ),
        ("an image always has two axes", "rank=len(steps),", "rank=2,"),
        (
            "labels overlap",
            "disjoint = jnp.ndim(labels) < probabilities.ndim",
            "disjoint = True",
        ),
        (
            "soft targets have distances",
            "if targets.dtype != jnp.bool_:",
            "if False:",
        ),
    ),
]
