"""Losses of regions beside cross-entropy, as people commonly add them."""

from __future__ import annotations

from train.experiments.experiment import Experiment, Variant
from train.experiments.paper import cross_entropy

WITH_REGIONS = Experiment(
    "Losses of regions beside cross-entropy",
    (
        cross_entropy(),
        Variant("cross-entropy + Dice", "softmax_cross_entropy + dice"),
        Variant(
            "cross-entropy + Lovász-softmax", "softmax_cross_entropy + lovasz_softmax"
        ),
    ),
)
