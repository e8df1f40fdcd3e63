"""The paper's tables, and ablations of its loss."""

from __future__ import annotations

import dataclasses
from typing import Any

from train.experiments.experiment import Experiment, Variant

OURS = "ours, 5×5"  # the paper's best


def cross_entropy(paper: float | None = None) -> Variant:
    """Returns the baseline."""
    return Variant("cross-entropy", "softmax_cross_entropy", {}, paper)


def ours(label: str, paper: float | None = None, **options: Any) -> Variant:
    """Returns the locally adaptive loss, the paper's but for the options."""
    return Variant(label, "locally_adaptive", options, paper)


TABLE1 = Experiment(
    "Table 1: the power k of the Minkowski pooling, after a short training",
    (
        cross_entropy(66.8),
        ours("ours, k = 1", 70.1, power=1.0),
        ours("ours, k = 2", 70.9, power=2.0),
        ours("ours, k = 3", 71.2, power=3.0),
        ours("ours, k = 5", 70.6, power=5.0),
    ),
    steps=1000,
)

TABLE2 = Experiment(
    "Table 2: losses after the full training",
    (
        cross_entropy(74.6),
        Variant("center", "center", {"center_alpha": 0.5, "center_weight": 3e-4}, 74.5),
        Variant("focal", "focal", {"focal_alpha": 0.25, "focal_gamma": 2.0}, 70.4),
        Variant("loss max-pooling", "loss_max_pooling"),
        Variant("hard pixels", "hard_pixel"),
        ours("ours, 3×3", 75.7, kernel_size=3),
        ours(OURS, 76.1, kernel_size=5),
        ours("ours, 7×7", 75.1, kernel_size=7),
    ),
    shows=True,
)

PARTS = ("score", "pooling", "Minkowski")


def _with_parts(*parts: str) -> Variant:
    """Returns the locally adaptive loss with some of its three parts."""
    options: dict[str, Any] = {}
    if "score" not in parts:
        options["normalization"] = "none"
    if "pooling" not in parts:  # a pixel is its own window, of weight 1 instead of 2
        options |= {"kernel_size": 1, "normalizer": "weights"}
    if "Minkowski" not in parts:
        options["power"] = 1.0
    variant = ours(" + ".join(parts), **options)
    return dataclasses.replace(variant, parts=frozenset(parts))


ABLATIONS = Experiment(
    "Ablations: which part of the loss does what",
    (
        dataclasses.replace(cross_entropy(), parts=frozenset()),
        _with_parts("Minkowski"),
        _with_parts("score"),
        _with_parts("score", "Minkowski"),
        _with_parts("pooling"),
        _with_parts("pooling", "Minkowski"),
        _with_parts("score", "pooling"),
        dataclasses.replace(_with_parts(*PARTS), label="all three (ours)"),
        ours("ours, divided by the weights", normalizer="weights"),
        ours("ours, uniform weights", neighbor_weights="uniform"),
        ours("ours, loss max-pooling as pool", pool="loss_max_pooling"),
        ours("ours, at the network's resolution", loss_resolution="network"),
        Variant(
            "cross-entropy, at the network's resolution",
            "softmax_cross_entropy",
            {"loss_resolution": "network"},
        ),
    ),
)

LEARNING_RATES = Experiment(
    "Table 2 again, each loss at its own best learning rate",
    TABLE2.variants,
    tunes=True,
)

# The paper's columns.
FIGURE3 = Experiment(
    "Figure 3: the same images under each loss",
    tuple(
        variant
        for variant in TABLE2.variants
        if variant.label in ("cross-entropy", "center", "focal", OURS)
    ),
    shows=True,
    most_seeds=1,
)
