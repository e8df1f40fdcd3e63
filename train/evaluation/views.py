"""Views: at which sizes, flipped or not, and in which windows a network sees an image.

Nothing here loads JAX.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from train.common.errors import UserError
from train.common.options import (
    POSITIVE,
    Group,
    Limit,
    one_of,
    option,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions(Group):
    """How masks are predicted."""

    batch_size: int = option(
        8,
        "Images of equal size evaluated together.",
        POSITIVE,
        name="evaluation_batch",
        free=True,
    )
    scales: tuple[float, ...] = option(
        (1.0,),
        "The network sees images resized by each of these when it predicts; its "
        "predictions are resized back and joined, so masks have full resolution.",
        Limit(
            lambda scales: (
                1 <= len(scales) <= 32 and all(0.1 <= s <= 4 for s in scales)
            ),
            "must be 1 to 32, each in [0.1, 4]",
        ),
        name="evaluation_scales",
    )
    flip: bool = option(
        False,
        "Predicts the flipped image as well and joins both.",
        name="evaluation_flip",
    )
    fusion: str = option(
        "mean",
        "How predictions are joined: mean (of probabilities) or max (of logits).",
        one_of(("mean", "max")),
        name="evaluation_fusion",
    )
    window: tuple[int, int] = option(
        (0, 0),
        "Larger images are predicted in windows of this height and width, pixels; 0 0 "
        "takes each image whole, but for those that memory would not suffice for.",
        Limit(
            lambda window: (
                window == (0, 0) or (min(window) >= 32 and max(window) <= 8192)
            ),
            "must be 32 to 8192 pixels a side, or 0 0",
        ),
    )
    overlap: float = option(
        0.5,
        "Fraction of a window that it shares with the next, in [0, 0.99].",
        Limit(lambda overlap: 0 <= overlap <= 0.99, "must lie in [0, 0.99]"),
    )
    size_multiple: int = option(
        1,
        "Images are padded to multiples of this to predict them, pixels: fewer "
        "compilations where sizes vary, but masks differ a little near the padding.",
        Limit(lambda multiple: 1 <= multiple <= 1024, "must lie in [1, 1024]"),
    )


class View(NamedTuple):
    """One look at an image."""

    scale: float
    flipped: bool


def views(options: EvaluationOptions) -> list[View]:
    """Returns the views of each image that the options ask for."""
    sides = (False, True) if options.flip else (False,)
    return [View(scale, side) for scale in options.scales for side in sides]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionOptions:
    """Prediction options that override the model's own."""

    scales: tuple[float, ...] = ()
    """The network sees images resized by each of these; none for the model's own."""
    flip: bool = False
    """Predicts the flipped image as well, as the model may do anyway."""
    window: tuple[int, int] | None = None
    """Larger images are predicted in windows of this height and width, pixels. 0 0
    takes each image whole; None does as the model."""
    overlap: float | None = None
    """Fraction of a window that it shares with the next, in [0, 0.99]; None does as the
    model."""
    size_multiple: int | None = None
    """Images are padded to multiples of this, pixels, as fewer sizes are fewer
    compilations, but masks differ a little near the padding; None does as the model,
    and in predict.py pads images of more than 16 sizes."""
    pixel_limit: int = 0
    """Images of more pixels are refused; 0 for the limit that the model was trained
    with, or 10⁹ if that is lower."""
    compilation_cache: str = ""
    """Folder that keeps compiled functions for the next start; empty keeps none. No
    model chooses it, since they are run."""

    def named(self) -> list[str]:
        """Returns a word for each option given, for file names."""
        words = ["x".join(map(str, self.scales))] if self.scales else []
        words += ["flip"] if self.flip else []
        words += [f"overlap{self.overlap:g}"] if self.overlap is not None else []
        words += ["window{}x{}".format(*self.window)] if self.window else []
        return words + ([f"multiple{self.size_multiple}"] if self.size_multiple else [])

    def applied(self, options: EvaluationOptions) -> EvaluationOptions:
        """Returns the model's options with these in their place.

        Raises:
          UserError: a scale or a window that cannot work.
        """
        changes: dict[str, Any] = {}
        if self.scales:
            changes["scales"] = self.scales
        if self.flip:
            changes["flip"] = True
        if self.window is not None:
            changes["window"] = self.window
        if self.overlap is not None:
            changes["overlap"] = self.overlap
        if self.size_multiple is not None:
            changes["size_multiple"] = self.size_multiple
        try:
            return dataclasses.replace(options, **changes)
        except UserError as error:  # which names the option of train/main.py
            raise UserError(str(error).replace("--evaluation-", "--")) from error
