"""Plans of experiments: the runs of each variant, their options and folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from train.common.errors import UserError
from train.config import Config, changed_options
from train.data.places import check_no_link
from train.experiments.experiment import Variant

HOLDOUT = 0.2  # of the training images, to choose options by
FIRST_SEED = 10  # of runs that confirm a choice; smaller ones are for choosing


class Setting(NamedTuple):
    """Options of the optimizer that each loss has its own of."""

    learning_rate: float
    max_gradient_norm: float | None

    def options(self) -> dict[str, float | None]:
        """Returns the options by their names."""
        return self._asdict()


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

    def __post_init__(self) -> None:
        """Refuses links in place of folders that are written to.

        Raises:
          UserError: it names the link.
        """
        check_no_link(self.workdir)
        check_no_link(self.compiled)

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
        self,
        variants: Sequence[Variant],
        settings: Sequence[Setting],
        seeds: Sequence[int],
    ) -> list[Planned]:
        """Returns runs to choose settings by, without the validation split."""
        return [
            self.run(variant, seed=seed, holdout=HOLDOUT, **setting.options())
            for variant in variants
            for setting in settings
            for seed in seeds
        ]

    def settings(
        self, factors: Sequence[float], unclipped: Sequence[float]
    ) -> list[Setting]:
        """Returns the settings of the optimizer to choose from.

        Args:
          factors: of the learning rate of `base`, with its gradient clipping.
          unclipped: the same without clipping.

        Raises:
          UserError: there is nothing to leave unclipped.
        """
        optimizer = self.base.optimizer
        rate, norm = optimizer.learning_rate, optimizer.max_gradient_norm
        if unclipped and norm is None:
            raise UserError(
                f"--unclipped {' '.join(map(str, unclipped))} is not used without "
                "--max-gradient-norm: nothing is clipped. Give them to --factors."
            )
        return [
            *(Setting(factor * rate, norm) for factor in factors),
            *(Setting(factor * rate, None) for factor in unclipped),
        ]

    def run(self, variant: Variant, seed: int, **changes: Any) -> Planned:
        """Returns the run of a variant; its folder is named after its options.

        Raises:
          UserError: that is a link.
        """
        base = self.base.replace(loss=variant.loss)
        config = base.replace(
            **variant.options,
            **changes,
            steps=round(variant.share * (self.steps or base.optimizer.steps)),
            seed=seed,
            compilation_cache=str(self.compiled),
        )
        norm = config.optimizer.max_gradient_norm
        unchanged = base.optimizer.max_gradient_norm
        named = {
            "loss": variant.loss,
            **varied_options(config, base),
            "learning_rate": f"{config.optimizer.learning_rate:.4g}",
            **({"max_gradient_norm": norm} if norm != unchanged else {}),
            "steps": config.optimizer.steps,
            "seed": seed,
        }
        name = ",".join(f"{field}={value}" for field, value in named.items())
        check_no_link(self.workdir / name)
        return Planned(variant, config.replace(workdir=str(self.workdir / name)))


def varied_options(config: Config, base: Config) -> dict[str, Any]:
    """Returns the options a run changes, those of the optimizer and the seed apart."""
    apart = ("learning_rate", "max_gradient_norm", "steps", "seed")
    changed = changed_options(config, base)
    return {name: value for name, value in changed.items() if name not in apart}
