"""The options of the losses.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from train.common.errors import UserError
from train.common.options import (
    BELOW_ONE,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Group,
    Limit,
    Rule,
    choice,
    one_of,
    option,
)
from train.common.text import single
from train.training.class_weighting import RULES, is_weight
from train.training.loss_sum import terms_of
from train.training.losses import LOSSES, OF_CROSS_ENTROPY
from train.training.pools import NEIGHBOR_WEIGHTS, POOLS


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions(Group):
    """The loss, and its options; those of losses and pools not chosen do nothing."""

    name: str = option(
        "locally_adaptive",
        lambda: (
            "Loss, or a sum of some, such as 'softmax_cross_entropy + 0.5 * dice': "
            f"{LOSSES.help()}."
        ),
        name="loss",
    )
    loss_resolution: str = option(
        "full",
        "full, or network: the loss looks at the logits before upsampling, and labels "
        "shrunk to them.",
        one_of(("full", "network")),
    )
    input_scales: tuple[float, ...] = option(
        (),
        "Trains on the images resized by these as well, and on the largest logits over "
        "all scales; the losses add up. The paper has none; DeepLabV2 has 0.75 and "
        "0.5.",
        Limit(
            lambda scales: all(0.1 <= s <= 4 and s != 1 for s in scales),
            "must lie in [0.1, 4], 1 left out (it is always there)",
        ),
    )
    auxiliary: float = option(
        0.0,
        "Factor of the cross-entropy of auxiliary heads, which look at earlier stages "
        "in training alone; 0 has none, and 0.4 is usual.",
        NOT_NEGATIVE,
    )
    auxiliary_stages: tuple[int, ...] = option(
        (3,),
        "Stages of the backbone that have such a head, from 1 on.",
        Limit(
            lambda stages: 0 < len(stages) == len(set(stages)) and min(stages) >= 1,
            "must be one stage or more, from 1 on, each once",
        ),
    )
    kernel_size: int = option(
        5,
        "Window of the locally adaptive loss, pixels, odd.",
        Limit(
            lambda size: size > 0 and size % 2 == 1,
            "must be odd, so that the window has a center",
        ),
    )
    window_dilation: int = option(
        1,
        "Distance between the places of that window, pixels; the output stride looks "
        "at the next features.",
        Limit(lambda dilation: dilation >= 1, "must be 1 or more"),
    )
    normalization: str = option(
        "standard_score",
        "What the locally adaptive loss pools: standard_score, image_score (divided by "
        "the standard deviation over the image; also for two classes), or none: the "
        "logits as they are.",
        one_of(("standard_score", "image_score", "none")),
    )
    score_scale: float = option(
        1.0, "Factor of the scores of the locally adaptive loss.", POSITIVE
    )
    learn_score_scale: bool = option(
        False, "Trains the factor of the scores, from --score-scale on."
    )
    neighbor_weights: str = choice(
        "chessboard", "How much a neighbor counts", NEIGHBOR_WEIGHTS
    )
    normalizer: str = option(
        "count",
        "What a window's sum is divided by: count (of pixels of the label, the "
        "paper's) or weights (their sum).",
        one_of(("count", "weights")),
    )
    class_balance: float = option(
        0.0,
        "Exponent E in [0, 1]: a pixel whose class has n pixels in the image weighs "
        "n^-E in the mean over the image; 0 weighs all alike. For the losses "
        "locally_adaptive, softmax_cross_entropy and focal.",
        Limit(lambda exponent: 0 <= exponent <= 1, "must lie in [0, 1]"),
    )
    class_weights: tuple[str, ...] = option(
        (),
        "Factor of each class's loss, by a rule from the training split's pixels "
        f"({', '.join(rule for (rule,) in RULES)}), or a number per class or a file "
        "of them; none for 1. They go into every term of the loss.",
        Limit(
            lambda words: (
                tuple(words) in RULES
                or (all(map(is_weight, words)) and any(map(single, words)))
                or not words
            ),
            f"must be {', '.join(rule for (rule,) in RULES)}, a number per class, 0 or "
            "more and one above 0, or a file of these",
        ),
    )
    label_smoothing: float = option(
        0.0,
        "Part of each pixel's target that all classes share, in [0, 1). For "
        "cross-entropy, in the losses made of it too.",
        BELOW_ONE,
    )
    power: float = option(
        3.0,
        "Power of the Minkowski pooling of the locally adaptive loss; 1 is the mean.",
        POSITIVE,
    )
    pool: str = choice(
        "minkowski", "How the locally adaptive loss pools its pixels", POOLS
    )
    focal_alpha: float = option(0.25, "Factor of the focal loss.", POSITIVE)
    focal_gamma: float = option(
        2.0,
        "How fast the focal loss fades where a pixel is right; 0 never.",
        NOT_NEGATIVE,
    )
    center_weight: float = option(
        3e-4, "Factor of the center loss beside cross-entropy.", NOT_NEGATIVE
    )
    center_alpha: float = option(
        0.5, "Rate at which the centers follow the features, in (0, 1].", FRACTION
    )
    center_features: str = option(
        "logits",
        "What the center loss looks at: logits (upsampled) or head_input.",
        one_of(("logits", "head_input")),
    )
    center_reduction: str = option(
        "mean",
        "mean or sum of the center loss over an image's valid pixels. The mean is "
        "nearly inert at the paper's weight of 3e-4, as is the paper's result; a sum "
        "is some 10⁵ times as much.",
        one_of(("mean", "sum")),
    )
    max_pooling_norm: float = option(
        1.7,
        "p of loss max-pooling, above 1; toward 1 the hardest pixels take all.",
        Limit(lambda norm: 1 < norm < float("inf"), "must be above 1"),
    )
    max_pooling_fraction: float = option(
        0.3,
        "Smallest fraction of the pixels that loss max-pooling weighs, in (0, 1].",
        FRACTION,
    )
    hard_fraction: float = option(
        0.25, "Fraction of the pixels that hard_pixel takes, in (0, 1].", FRACTION
    )
    region_sums: str = option(
        "image",
        "Over what the losses from dice to cl_dice sum: each image, or the batch.",
        one_of(("image", "batch")),
    )
    tversky_alpha: float = option(
        0.3, "What false alarms cost in the Tversky loss.", NOT_NEGATIVE
    )
    tversky_beta: float = option(
        0.7, "What misses cost in the Tversky loss.", NOT_NEGATIVE
    )
    tversky_gamma: float = option(
        1.0,
        "Power of the Tversky loss; below 1 classes that are nearly right weigh more.",
        POSITIVE,
    )
    cl_dice_iterations: int = option(
        10,
        "Erosions that find the centerlines of cl_dice; n find those of regions up to "
        "2n + 2 pixels wide.",
        POSITIVE,
    )

    rules = (
        Rule(
            "learn_score_scale",
            lambda options: (
                options.has("locally_adaptive") or not options.learn_score_scale
            ),
            "needs --loss locally_adaptive",
        ),
        Rule(
            "tversky_beta",
            lambda options: options.tversky_alpha + options.tversky_beta > 0,
            "must be above 0 where --tversky-alpha is 0: no error would cost",
        ),
        Rule(
            "label_smoothing",
            lambda options: (
                options.label_smoothing == 0
                or options.auxiliary > 0
                or options.has(*OF_CROSS_ENTROPY)
            ),
            f"needs --auxiliary, or a --loss of {', '.join(OF_CROSS_ENTROPY)}",
        ),
        Rule(
            "class_balance",
            lambda options: (
                options.class_balance == 0
                or options.has("softmax_cross_entropy", "focal")
                or (options.has("locally_adaptive") and options.pool == "minkowski")
            ),
            "needs --loss softmax_cross_entropy or focal, or locally_adaptive with "
            "--pool minkowski",
        ),
    )

    def __post_init__(self) -> None:
        """Validates the options, and spells the loss in one way.

        Raises:
          UserError: it names the option, the limit and the value.
        """
        try:
            terms = terms_of(self.name)
        except ValueError as error:
            raise UserError(f"--loss {self.name!r:.200}: {error}") from error
        object.__setattr__(self, "name", " + ".join(map(str, terms)))
        super().__post_init__()

    def has(self, *names: str) -> bool:
        """Returns whether the loss, or a term of it, is one of those named."""
        return any(term.name in names for term in terms_of(self.name))

    def weight_per_class(self) -> np.ndarray | None:
        """Returns a number per class, None for 1.

        Raises:
          ValueError: the weights are a rule that `with_class_weights` has not replaced.
        """
        if not self.class_weights:
            return None
        return np.array(self.class_weights, np.float64)


def check_classes(options: LossOptions, classes: int) -> None:
    """Refuses a loss that could not learn this number of classes.

    Raises:
      UserError: it names both.
    """
    scored = options.normalization == "standard_score"
    if options.has("locally_adaptive") and scored and classes < 3:
        raise UserError(
            f"--loss locally_adaptive cannot learn {classes} classes: the standard "
            "score of two numbers is ±1 whatever they are. Add --normalization "
            "image_score, or none."
        )
    numbers = len(options.class_weights)
    if numbers not in (0, classes) and options.class_weights not in RULES:
        raise UserError(
            f"--class-weights has {numbers} numbers, for {classes} classes; give one "
            "for each, in the order of the masks' values."
        )
