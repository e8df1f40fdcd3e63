"""Mistakes in `lal_jax` and `models` that their tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

LOSSES = [
    *of(
        "lal_jax/window_sum.py",
        "tests/lal_jax/test_gradients.py tests/lal_jax/test_windows.py",
        (
            "weights not mirrored",
            "mirrored = weights[(slice(None, None, -1),) * rank]",
            "mirrored = weights",
        ),
    ),
    *of(
        "lal_jax/window_sum_slices.py",
        "tests/lal_jax/test_pooling.py tests/lal_jax/test_void.py",
        (
            "void joins its neighbors",
            "(marks != NO_CLASS)[..., None], values",
            "True, values",
        ),
        (
            "every pixel a neighbor",
            "[(..., *window)] == centers)",
            "[(..., *window)] == neighbors[(..., *window)])",
        ),
    ),
    *of(
        "lal_jax/masks.py",
        "tests/lal_jax/test_masks.py tests/lal_jax/test_void.py",
        ("void counts", "(labels != ignore_label) & ", "(labels == labels) & "),
    ),
    *of(
        "lal_jax/reductions.py",
        "tests/lal_jax/test_reductions.py",
        (
            "mean over all pixels",
            "jnp.sum(valid, axis=axes)",
            "jnp.sum(valid | True, axis=axes)",
        ),
    ),
    *of(
        "lal_jax/pooling.py",
        "tests/lal_jax/test_pooling.py",
        ("normalizers exchanged", 'normalizer == "count"', 'normalizer != "count"'),
    ),
    *of(
        "lal_jax/standard_score.py",
        "tests/lal_jax/test_standard_score.py",
        (
            "slope without the overlap",
            "overlap = jnp.mean(score * change",
            "overlap = 0 * jnp.mean(score * change",
        ),
    ),
]
NETWORKS = [
    *of(
        "models/layers.py",
        "tests/models/test_resnet.py",
        (
            "padding without dilation",
            "reach = dilation * (kernel - 1) // 2",
            "reach = (kernel - 1) // 2",
        ),
    ),
    *of(
        "models/resnet.py",
        "tests/models/test_resnet.py tests/models/test_parity.py",
        ("dilates a stage late", "before = dilation\n", "before = 1\n"),
    ),
    *of(
        "models/interpolation.py",
        "tests/models/test_interpolation.py",
        (
            "past the last feature",
            "np.minimum(np.arange(length) / stride, count - 1)",
            "np.arange(length) / stride",
        ),
        (
            "padding at the start",
            "padding=((0, 1), (0, 1))",
            "padding=((1, 0), (1, 0))",
        ),
        ("taps turned", "channels, channels)[::-1, :, ::-1]", "channels, channels)"),
    ),
    *of(
        "models/weights.py",
        "tests/models/test_weights.py",
        ("kernels transposed", "transpose(2, 3, 1, 0)", "transpose(3, 2, 1, 0)"),
    ),
]
LIBRARY = [*LOSSES, *NETWORKS]
