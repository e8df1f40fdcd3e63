"""Mistakes in the overlap losses that their tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

VALUES = "tests/lal_jax/test_overlap.py"
EDGES = "tests/lal_jax/test_overlap_edges.py"
LOVASZ = "tests/lal_jax/test_lovasz.py"
IGNORED = "tests/lal_jax/test_ignored_labels.py"

OVERLAP = [
    *of(
        "lal_jax/targets.py",
        f"{EDGES} {VALUES}",
        (
            "NaN of ignored targets",
            "return jnp.where(inside, given.astype(logits.dtype), 0.0), counted",
            "return given.astype(logits.dtype) * inside.astype(logits.dtype), counted",
        ),
        (
            "strays count as errors",
            "counted = has_class(indices, valid, classes)",
            "counted = valid",
        ),
        (
            "boolean targets of ignored pixels",
            "return given & inside, counted",
            "return given, counted",
        ),
    ),
    *of(
        "lal_jax/overlap_sums.py",
        VALUES,
        (
            "void has probabilities",
            "return jnp.where(counted[..., None], probabilities, 0.0)",
            "return probabilities",
        ),
        (
            "costs exchanged",
            "beta * (1.0 - probabilities), alpha * probabilities)",
            "alpha * (1.0 - probabilities), beta * probabilities)",
        ),
        (
            "slope without misses",
            "d_errors - (alpha + beta) * d_hits",
            "d_errors - alpha * d_hits",
        ),
        (
            "targets held constant",
            "d_hits += jnp.sum(probabilities * target_change, axis=axes)",
            "pass",
        ),
        (
            "slope of the softmax without its mean",
            "return probabilities, probabilities * (change - mean)",
            "return probabilities, probabilities * change",
        ),
        (
            "absent classes count",
            "weights = jnp.where(present, weights, 0.0)",
            "pass",
        ),
        (
            "a batch image by image",
            "return tuple(range(array.ndim - 1))",
            "return (array.ndim - 3, array.ndim - 2)",
        ),
        ("whole squares", "0.5 * jnp.square", "1.0 * jnp.square"),
    ),
    *of(
        "lal_jax/overlap_sums.py",
        EDGES,
        (
            "squares of fading sums",
            "return total < math.sqrt(jnp.finfo(total.dtype).tiny)",
            "return total == 0",
        ),
        (
            "rounding is a gain",
            "jnp.where((errors < 0) | nothing,",
            "jnp.where(nothing,",
        ),
        ("slope of a root at 0", "right = losses == 0", "right = losses < 0"),
        (
            "NaN of absent classes hidden",
            "jnp.sum(weights * losses, axis=-1)",
            "jnp.sum(jnp.where(weights > 0, weights * losses, 0.0), axis=-1)",
        ),
    ),
    *of(
        "lal_jax/overlap.py",
        VALUES,
        ("twice the smoothing", "float(smooth) / 2", "float(smooth)"),
        (
            "misses at half the cost",
            "alpha=1.0,\n        beta=1.0,",
            "alpha=1.0,\n        beta=0.5,",
        ),
    ),
    *of(
        "lal_jax/generalized_dice.py",
        f"{VALUES} {EDGES}",
        ("weights without a square", "jnp.square(least", "jnp.abs(least"),
        ("squares that overflow", "jnp.square(least /", "jnp.square(1.0 /"),
    ),
    *of(
        "lal_jax/lovasz.py",
        LOVASZ,
        ("soft targets as sets", "targets.dtype != jnp.bool_", "False"),
        (
            "void before the last",
            "jnp.where(valid, keys, integer",
            "jnp.where(True, keys, integer",
        ),
        (
            "members before others",
            "+ members.astype(integer)",
            "+ (~members).astype(integer)",
        ),
        (
            "ties share nothing",
            "(end - place).astype(dtype)",
            "jnp.ones_like(end, dtype)",
        ),
        ("steps without the missed", "size + place - missed", "size + place"),
        ("the member itself is missed", " - member.astype(jnp.int32)", ""),
        ("absent classes cost nothing", "1.0 / equal, outside", "0.0, outside"),
        ("the last of equal pixels", "before < keys", "before <= keys"),
        ("gains by rounding", "jnp.where(errors < 0, 0.0, errors)", "errors"),
        (
            "absent classes are present",
            "jnp.any(members, axis=-1)",
            "jnp.any(valid, axis=-1)",
        ),
        (
            "errors of the wrong",
            "targets, 1.0 - probabilities,",
            "targets, probabilities,",
        ),
    ),
    *of(
        "lal_jax/masks.py",
        IGNORED,
        (
            "the last ignored label alone",
            "mask = mask & (labels != label)",
            "mask = labels != label",
        ),
        ("an ignored label unchecked", "_checks.check_ignore_label(label)", "pass"),
        (
            "labels looked at with the ignored",
            "stray = without(ignored, values, ",
            "stray = without(ignored[:1], values, ",
        ),
    ),
    *of(
        "lal_jax/class_weights.py",
        IGNORED,
        (
            "ignored classes are counted",
            "without(ignored_labels(ignore_label), flat",
            "without(ignored_labels(ignore_label)[1:], flat",
        ),
    ),
]
