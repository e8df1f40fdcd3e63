"""The options of the dense CRF; DeepLabV2's values are the defaults.

Nothing here loads JAX.
"""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

from train.common.options import Group, Limit, Rule, flag, option, option_names
from train.evaluation.crf_worker import Parameters

_WEIGHT = Limit(lambda value: 0 <= value <= 1000, "must lie in [0, 1000]")
# Keys of the library's lattice are 16 bits: colors divided by less would not fit.
_STD = Limit(lambda value: 0.5 <= value <= 1000, "must lie in [0.5, 1000]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrfOptions(Group):
    """A dense CRF that refines predictions, after scales, flips and windows.

    Chen et al., DeepLab, §4.1.1: w₂ = 3, σ_γ = 3 and 10 iterations are given there, w₁,
    σ_α and σ_β were searched on 100 images, in 3 to 6, 30 to 100 and 3 to 6. Those here
    are what kazuto1011/deeplab-pytorch gives for ResNet-101.
    """

    on: bool = option(
        False, "Refines predictions by a dense CRF (needs the extra crf).", name="crf"
    )
    iterations: int = option(
        10,
        "Mean-field iterations.",
        Limit(lambda count: 1 <= count <= 1000, "must lie in [1, 1000]"),
        name="crf_iterations",
    )
    weight: float = option(
        4.0,
        "Weight w₁ of the bilateral kernel, of position and color.",
        _WEIGHT,
        name="crf_weight",
    )
    position_std: float = option(
        67.0,
        "Standard deviation σ_α of that kernel's positions, pixels.",
        _STD,
        name="crf_position_std",
    )
    color_std: float = option(
        3.0,
        "Standard deviation σ_β of that kernel's colors, of 0 to 255.",
        _STD,
        name="crf_color_std",
    )
    gaussian_weight: float = option(
        3.0,
        "Weight w₂ of the Gaussian kernel, of position alone.",
        _WEIGHT,
        name="crf_gaussian_weight",
    )
    gaussian_std: float = option(
        3.0,
        "Standard deviation σ_γ of that kernel's positions, pixels.",
        _STD,
        name="crf_gaussian_std",
    )

    @property
    def parameters(self) -> Parameters:
        """What the CRF computes with."""
        return Parameters(*(getattr(self, name) for name in Parameters._fields))

    @classmethod
    def of(cls, parameters: Parameters) -> CrfOptions:
        """Returns the options that ask for these parameters.

        Raises:
          UserError: one is out of range.
        """
        return cls(on=True, **parameters._asdict())

    def named(self) -> list[str]:
        """Returns a word with all parameters for file names, none without a CRF."""
        return ["crf" + "x".join(f"{p:g}" for p in self.parameters)] if self.on else []

    def noted(self) -> dict[str, Any] | None:
        """Returns the parameters by name for results, None without a CRF."""
        return dict(self.parameters._asdict()) if self.on else None

    def command(self) -> str:
        """Returns the options as the command line takes them."""
        names = option_names(CrfOptions)
        words = ["--crf"]
        for name, value in self.parameters._asdict().items():
            words += [f"--{flag(names[name])}", f"{value:g}"]
        return shlex.join(words)


def _only_with_crf(name: str) -> Rule:
    """Returns the rule that an option changes nothing where there is no CRF."""
    default = CrfOptions.__dataclass_fields__[name].default
    return Rule(
        name,
        lambda options: options.on or getattr(options, name) == default,
        "has no effect without --crf: add that",
    )


CrfOptions.rules = tuple(map(_only_with_crf, Parameters._fields))

WITHOUT = CrfOptions()
