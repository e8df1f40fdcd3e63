"""Forms of the loss beyond the paper's: a search for one that wins, and its verdict.

The search and the choice of learning rates see parts of the training split alone; the
verdict is on the validation split, with other seeds (docs/results.md, The protocol).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from train.experiments.experiment import Experiment, Variant
from train.experiments.paper import OURS, TABLE2, cross_entropy

_NAMES = {"none": "logits", "standard_score": "score", "image_score": "image score"}
_EXPONENTS = {0.25: "¼", 0.5: "½"}


def form(normalization: str, **options: Any) -> Variant:
    """Returns a form of the loss: a mean over pixels, windows divided by the weights.

    Args:
      normalization: what is pooled.
      **options: of the loss, where they are not 5×5, k = 1 and the scale 1.
    """
    options = {"normalization": normalization, "power": 1.0, **options}
    options.setdefault("normalizer", "weights")
    return Variant(_label(options), "locally_adaptive", options)


def _label(options: dict[str, Any]) -> str:
    """Returns the words for a form: "score × 4, 5×5, n^−½"."""
    name = _NAMES[options["normalization"]]
    if options.get("learn_score_scale"):
        name += " × learned"
    elif "score_scale" in options:
        name += f" × {options['score_scale']:g}"
    size = options.get("kernel_size", 5)
    words = [name, f"{size}×{size}"]
    if "window_dilation" in options:
        words[-1] += f" every {options['window_dilation']} px"
    if options["power"] != 1:
        words.append(f"k = {options['power']:g}")
    if "class_balance" in options:
        words.append(f"n^−{_EXPONENTS[options['class_balance']]}")
    if "class_weights" in options:
        words.append("class-weighted")
    return ", ".join(words)


def _balanced(exponent: float) -> Variant:
    label = f"cross-entropy, n^−{_EXPONENTS[exponent]}"
    return Variant(label, "softmax_cross_entropy", {"class_balance": exponent})


INVERSE_ROOT = {"class_weights": ("inverse_root",)}
WEIGHTED = Variant(
    "class-weighted cross-entropy", "softmax_cross_entropy", INVERSE_ROOT
)
MEDIAN_WEIGHTED = Variant(
    "cross-entropy, median-frequency weights",
    "softmax_cross_entropy",
    {"class_weights": ("median_frequency",)},
)
# Those of the paper's Table 2.
CENTER, FOCAL, SMALL, PAPER, LARGE = (
    variant
    for variant in TABLE2.variants
    if variant.label in ("center", "focal", "ours, 3×3", OURS, "ours, 7×7")
)
SCORES = ("standard_score", "image_score")
SCALES = (2.0, 4.0, 8.0)

FORMS = Experiment(
    "Forms of the loss, on held-out parts of the training split",
    (
        cross_entropy(74.6),
        *map(_balanced, (0.25, 0.5)),
        WEIGHTED,
        MEDIAN_WEIGHTED,
        FOCAL,
        PAPER,
        form("none"),
        form("none", kernel_size=9),
        *(form("none", window_dilation=spacing) for spacing in (2, 8)),
        *(form("none", class_balance=e) for e in (0.25, 0.5)),
        *(form(score) for score in SCORES),
        *(form(score, score_scale=s) for score in SCORES for s in SCALES),
        *(form(s, score_scale=4.0, learn_score_scale=True) for s in SCORES),
        *(form(s, score_scale=4.0, power=k) for s in SCORES for k in (2.0, 3.0)),
        *(form(s, score_scale=4.0, kernel_size=1) for s in SCORES),
        *(form(s, score_scale=4.0, window_dilation=8) for s in SCORES),
        *(
            form(s, score_scale=4.0, class_balance=e)
            for s in SCORES
            for e in (0.25, 0.5)
        ),
        form("none", **INVERSE_ROOT),
        *(form(s, score_scale=4.0, **INVERSE_ROOT) for s in SCORES),
        # The best values together.
        form("standard_score", score_scale=4.0, window_dilation=2, class_balance=0.25),
        form("image_score", score_scale=4.0, window_dilation=2, **INVERSE_ROOT),
        form("none", window_dilation=2, **INVERSE_ROOT),
    ),
    tunes=True,
    confirms=False,
)

# Of the search's forms, the one that is recommended.
RECOMMENDED = form("none", **INVERSE_ROOT)

# A step with the loss takes up to 5 % longer than with cross-entropy
# (docs/results.md, What it costs).
AT_EQUAL_TIME = dataclasses.replace(
    RECOMMENDED,
    label=f"{RECOMMENDED.label}, 95 % of the steps",
    share=0.95,
    settings_of=RECOMMENDED.label,
)

_BASELINE = cross_entropy(74.6)
VERDICT = Experiment(
    "The verdict: each loss with its own learning rate and gradient clipping",
    (
        _BASELINE,
        WEIGHTED,
        *(
            dataclasses.replace(loss, settings_of=_BASELINE.label)
            for loss in (CENTER, FOCAL)
        ),
        PAPER,
        *(dataclasses.replace(window, settings_of=OURS) for window in (SMALL, LARGE)),
        RECOMMENDED,
        AT_EQUAL_TIME,
    ),
    tunes=True,
    rival=WEIGHTED.label,
)

# What is left of the paper's loss in the recommended form, without the weights. The
# search found it best at cross-entropy's settings.
WINDOW = Experiment(
    "The window alone",
    (_BASELINE, dataclasses.replace(form("none"), settings_of=_BASELINE.label)),
    tunes=True,
)
