"""What the fields of a configuration may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from models.backbones import BACKBONES, OUTPUT_STRIDES, STYLES
from models.heads import HEADS
from models.upsamplings import UPSAMPLINGS
from train.errors import UserError
from train.losses import LOSSES, NEIGHBOR_WEIGHTS, POOLS
from train.preprocessing import PREPROCESSINGS

if TYPE_CHECKING:
    from train.config import Config

CHOICES: dict[str, Iterable[object]] = {
    "backbone": BACKBONES,
    "output_stride": OUTPUT_STRIDES,
    "style": STYLES,
    "head": HEADS,
    "upsampling": UPSAMPLINGS,
    "batch_norm": ("trained", "frozen"),
    "preprocessing": PREPROCESSINGS,
    "precision": ("float32", "bfloat16"),
    "loss": LOSSES,
    "loss_resolution": ("full", "network"),
    "normalization": ("standard_score", "none"),
    "neighbor_weights": NEIGHBOR_WEIGHTS,
    "normalizer": ("count", "weights"),
    "pool": POOLS,
    "center_features": ("logits", "head_input"),
    "center_reduction": ("mean", "sum"),
    "evaluation_fusion": ("mean", "max"),
}

POSITIVE = (
    "batch_size",
    "learning_rate",
    "accumulation",
    "head_kernel_rate",
    "head_bias_rate",
    "norm_epsilon",
    "power",
    "focal_alpha",
    "poly_power",
    "evaluate_every",
    "checkpoint_every",
    "log_every",
    "evaluation_batch",
    "size_multiple",
)

NOT_NEGATIVE = (
    "steps",
    "weight_decay",
    "workers",
    "seed",
    "image_height",
    "focal_gamma",
    "center_weight",
)


FRACTIONS = ("max_pooling_fraction", "hard_fraction", "center_alpha")


class Rule(NamedTuple):
    """What must hold of a field, and how to say so."""

    field: str
    holds: Callable[[Config], bool]
    text: str


def _sound_scales(scales: tuple[float, ...]) -> bool:
    return all(0.1 <= scale <= 4 for scale in scales)


def _sound_split(name: str) -> bool:
    return re.fullmatch(r"\w+", name) is not None and name != "all"


_SPLIT = "must be letters, digits and underscores, other than all (rename the list)"

RULES = (
    Rule("train_split", lambda c: _sound_split(c.train_split), _SPLIT),
    Rule("val_split", lambda c: _sound_split(c.val_split), _SPLIT),
    Rule("holdout", lambda c: 0 <= c.holdout < 1, "must lie in [0, 1)"),
    Rule(
        "image_height",
        lambda c: c.image_height == 0 or c.data != "",
        "needs --data; the built-in scenes have one size",
    ),
    Rule(
        "crop",
        lambda c: 8 <= min(c.crop) and max(c.crop) <= 4096,
        "must be 8 to 4096 pixels a side",
    ),
    Rule(
        "scale",
        lambda c: 0 < c.scale[0] <= c.scale[1] <= 16,
        "must be 0 < smallest ≤ largest ≤ 16",
    ),
    Rule(
        "rates",
        lambda c: all(rate > 0 for rate in c.rates),
        "must be dilations above 0",
    ),
    Rule("new_head", lambda c: c.weights != "" or not c.new_head, "needs --weights"),
    Rule(
        "loss_resolution",
        lambda c: c.upsampling != "learned" or c.loss_resolution == "full",
        "must be full with --upsampling learned, which could not learn otherwise",
    ),
    Rule(
        "input_scales",
        lambda c: _sound_scales(c.input_scales) and 1 not in c.input_scales,
        "must lie in [0.1, 4], 1 left out (it is always there)",
    ),
    Rule(
        "kernel_size",
        lambda c: c.kernel_size > 0 and c.kernel_size % 2 == 1,
        "must be odd, so that the window has a centre",
    ),
    Rule(
        "max_pooling_norm",
        lambda c: 1 < c.max_pooling_norm < math.inf,
        "must be above 1",
    ),
    Rule(
        "accumulation",
        lambda c: c.batch_size % c.accumulation == 0,
        "must divide --batch-size",
    ),
    Rule(
        "accumulation",
        lambda c: c.head != "v3" or c.batch_size > c.accumulation,
        "must leave two images or more a part for --head v3, whose batch norm would "
        "see a single value of the pooled image (raise --batch-size)",
    ),
    Rule("momentum", lambda c: 0 <= c.momentum < 1, "must lie in [0, 1)"),
    Rule(
        "max_gradient_norm",
        lambda c: c.max_gradient_norm is None or c.max_gradient_norm > 0,
        "must be above 0",
    ),
    Rule("seed", lambda c: c.seed < 2**32, "must be below 2³²"),
    Rule(
        "evaluation_scales",
        lambda c: len(c.evaluation_scales) > 0 and _sound_scales(c.evaluation_scales),
        "must be one or more, each in [0.1, 4]",
    ),
    Rule(
        "window",
        lambda c: c.window == (0, 0) or min(c.window) >= 32,
        "must be 32 pixels a side or more, or 0 0",
    ),
    Rule("overlap", lambda c: 0 <= c.overlap < 1, "must lie in [0, 1)"),
)


def check(config: Config) -> None:
    """Refuses what cannot work, before anything is read or written.

    Raises:
      UserError: it names the option, the rule and the value.
    """
    for name, choices in CHOICES.items():
        listed = ", ".join(str(choice) for choice in choices)
        holds = getattr(config, name) in choices
        _require(holds, config, name, f"must be one of: {listed}")
    for name in POSITIVE:
        holds = 0 < getattr(config, name) < math.inf
        _require(holds, config, name, "must be above 0")
    for name in NOT_NEGATIVE:
        holds = 0 <= getattr(config, name) < math.inf
        _require(holds, config, name, "must be finite and ≥ 0")
    for name in FRACTIONS:
        holds = 0 < getattr(config, name) <= 1
        _require(holds, config, name, "must lie in (0, 1]")
    for rule in RULES:
        _require(rule.holds(config), config, rule.field, rule.text)


def _require(holds: bool, config: Config, name: str, text: str) -> None:
    if not holds:
        value = getattr(config, name)
        shown = repr(value) if isinstance(value, str) else value
        raise UserError(f"--{name.replace('_', '-')} {text}, got {shown}")
