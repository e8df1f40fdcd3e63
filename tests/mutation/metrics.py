"""Mistakes in the metrics that their tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

TESTS = "tests/lal_jax/test_metrics.py"
METRICS = [
    *of(
        "lal_jax/counting.py",
        TESTS,
        (
            "ignored pixels count",
            "without(ignored_labels(ignore_label), truth, valid)",
            "valid",
        ),
        ("strays count", "indices < classes)", "indices < classes**2)"),
        (
            "unknown is zero",
            "quotient(part, whole), xp.nan)",
            "quotient(part, whole), 0)",
        ),
        ("unknown in the mean", "sum(), known.sum())", "sum(), (known | True).sum())"),
        ("cut before", "if on_host else _labels.as_indices", "if True else None"),
        (
            "gathered",
            "spread = PartitionSpec() if explicit else None",
            "spread = None",
        ),
    ),
    *of(
        "lal_jax/metrics.py",
        TESTS,
        ("union of sums", "truth + found - hits", "truth + found"),
        ("Dice without half", "wrong.astype(float) / 2", "wrong.astype(float)"),
        (
            "precision",
            "return known_ratio(hits, truth, truth > 0)",
            "return known_ratio(hits, _, truth > 0)",
        ),
        ("truth by column", "pairs(labels, predictions,", "pairs(predictions, labels,"),
        ("equal weights", "truth.astype(float) * iou", "iou"),
    ),
    *of(
        "lal_jax/_labels.py",
        "tests/lal_jax/test_ugly_labels.py",
        ("NumPy's cut", "labels = _within_int32(labels, np)", "labels = +labels"),
        ("unsigned cut", "if labels.dtype in (np.uint32, np.uint64):", "if False:"),
    ),
    *of(
        "lal_jax/borders.py",
        TESTS,
        ("border too near", "2 * distance + 1", "2 * distance - 1"),
        ("edge is no border", "distance, edge=-2", "distance, edge=None"),
        (
            "prediction at void",
            "classes = xp.where(valid, indices.astype(int), -1)",
            "classes = indices.astype(int)",
        ),
        ("band of either", "xp.where(truth == found, truth, -1)", "truth"),
    ),
]
