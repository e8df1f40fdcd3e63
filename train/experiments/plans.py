"""Plans of experiments: the paper's tables, and ablations of the loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.registry import Registry
from train.config import Config, changed_options


@dataclasses.dataclass(frozen=True)
class Variant:
    """A loss with its options, and what the paper reports for it."""

    label: str
    loss: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    paper: float | None = None
    """Mean IoU on Pascal VOC 2012, percent."""
    parts: frozenset[str] | None = None
    """Of the locally adaptive loss, where the variant is a combination of them."""


OURS = "ours, 5×5"  # the paper's best


class Experiment(NamedTuple):
    """Variants trained alike; the first is what the others are compared with."""

    title: str
    variants: tuple[Variant, ...]
    steps: int = 0
    """Steps of its runs; 0 for those of the preset."""
    tunes: bool = False
    """Each variant gets its own best learning rate first."""
    shows: bool = False
    """Shows images under each loss."""
    most_seeds: int | None = None
    """How many seeds make sense; None for as many as are asked for."""

    @property
    def options(self) -> set[str]:
        """Options that its variants set, so that the command line may not."""
        return {"loss"}.union(*(variant.options for variant in self.variants))


EXPERIMENTS: Registry[Experiment] = Registry("experiment")


def _cross_entropy(paper: float | None = None) -> Variant:
    return Variant("cross-entropy", "softmax_cross_entropy", {}, paper)


def _ours(label: str, paper: float | None = None, **options: Any) -> Variant:
    return Variant(label, "locally_adaptive", options, paper)


TABLE1 = EXPERIMENTS.add(
    "table1",
    Experiment(
        "Table 1: the power k of the Minkowski pooling, after a short training",
        (
            _cross_entropy(66.8),
            _ours("ours, k = 1", 70.1, power=1.0),
            _ours("ours, k = 2", 70.9, power=2.0),
            _ours("ours, k = 3", 71.2, power=3.0),
            _ours("ours, k = 5", 70.6, power=5.0),
        ),
        steps=1000,
    ),
    "powers of the pooling",
)

TABLE2 = EXPERIMENTS.add(
    "table2",
    Experiment(
        "Table 2: losses after the full training",
        (
            _cross_entropy(74.6),
            Variant(
                "center", "center", {"center_alpha": 0.5, "center_weight": 3e-4}, 74.5
            ),
            Variant("focal", "focal", {"focal_alpha": 0.25, "focal_gamma": 2.0}, 70.4),
            Variant("loss max-pooling", "loss_max_pooling"),
            Variant("hard pixels", "hard_pixel"),
            _ours("ours, 3×3", 75.7, kernel_size=3),
            _ours(OURS, 76.1, kernel_size=5),
            _ours("ours, 7×7", 75.1, kernel_size=7),
        ),
        shows=True,
    ),
    "losses",
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
    variant = _ours(" + ".join(parts), **options)
    return dataclasses.replace(variant, parts=frozenset(parts))


ABLATIONS = EXPERIMENTS.add(
    "ablations",
    Experiment(
        "Ablations: which part of the loss does what",
        (
            dataclasses.replace(_cross_entropy(), parts=frozenset()),
            _with_parts("Minkowski"),
            _with_parts("score"),
            _with_parts("score", "Minkowski"),
            _with_parts("pooling"),
            _with_parts("pooling", "Minkowski"),
            _with_parts("score", "pooling"),
            dataclasses.replace(_with_parts(*PARTS), label="all three (ours)"),
            _ours("ours, divided by the weights", normalizer="weights"),
            _ours("ours, uniform weights", neighbor_weights="uniform"),
            _ours("ours, loss max-pooling as pool", pool="loss_max_pooling"),
            _ours("ours, at the network's resolution", loss_resolution="network"),
            Variant(
                "cross-entropy, at the network's resolution",
                "softmax_cross_entropy",
                {"loss_resolution": "network"},
            ),
        ),
    ),
    "parts of the loss",
)

LEARNING_RATES = EXPERIMENTS.add(
    "rates",
    Experiment(
        "Table 2 again, each loss at its own best learning rate",
        TABLE2.variants,
        tunes=True,
    ),
    "table2 with the best learning rate of each loss",
)

# The paper's columns.
FIGURE3 = EXPERIMENTS.add(
    "figure3",
    Experiment(
        "Figure 3: the same images under each loss",
        tuple(
            variant
            for variant in TABLE2.variants
            if variant.label in ("cross-entropy", "center", "focal", OURS)
        ),
        shows=True,
        most_seeds=1,
    ),
    "masks",
)


HOLDOUT = 0.2  # of the training images, to choose learning rates by


class Planned(NamedTuple):
    """A run of a variant."""

    variant: Variant
    config: Config


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to make the runs of variants.

    Args:
      base: the configuration without the variants' options.
      workdir: the runs are folders in it, named by what they are.
      steps: of each run; 0 for those of `base`.
    """

    base: Config
    workdir: Path
    steps: int = 0

    def possible(self, variants: Sequence[Variant]) -> list[Variant]:
        """Returns the variants that work with the network.

        Learned upsampling cannot learn from a loss on the logits before it.
        """
        return [
            variant
            for variant in variants
            if self.base.model.upsampling != "learned"
            or variant.options.get("loss_resolution") != "network"
        ]

    @property
    def compiled(self) -> Path:
        """Folder that keeps compiled functions, for the runs after."""
        return self.workdir / "programs"

    def grid(
        self, variants: Sequence[Variant], factors: Sequence[float]
    ) -> list[Planned]:
        """Returns runs to choose learning rates by, without the validation split.

        Args:
          variants: each with every rate.
          factors: of the learning rate of `base`.
        """
        return [
            self.run(
                variant,
                seed=0,
                holdout=HOLDOUT,
                learning_rate=factor * self.base.optimizer.learning_rate,
            )
            for variant in variants
            for factor in factors
        ]

    def run(self, variant: Variant, seed: int, **changes: Any) -> Planned:
        """Returns the run of a variant; its folder is named after its options."""
        base = self.base.replace(loss=variant.loss)
        config = base.replace(
            **variant.options,
            **changes,
            steps=self.steps or base.optimizer.steps,
            seed=seed,
            compilation_cache=str(self.compiled),
        )
        named = {
            "loss": variant.loss,
            **varied_options(config, base),
            "learning_rate": f"{config.optimizer.learning_rate:.4g}",
            "steps": config.optimizer.steps,
            "seed": seed,
        }
        name = ",".join(f"{field}={value}" for field, value in named.items())
        return Planned(variant, config.replace(workdir=str(self.workdir / name)))


def varied_options(config: Config, base: Config) -> dict[str, Any]:
    """Returns the options a run changes, other than learning rate, steps and seed."""
    apart = ("learning_rate", "steps", "seed")
    changed = changed_options(config, base)
    return {name: value for name, value in changed.items() if name not in apart}
