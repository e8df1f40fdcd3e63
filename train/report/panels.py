"""Panels of validation images for TensorBoard: image, truth and prediction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from train.data.palette import mask_image
from train.evaluation.whole_split import Evaluator, Panel
from train.training.step import TrainState
from train.workdir.history import History

# Of each of a panel's pictures, pixels.
_LONGEST = 320


def with_panels(
    evaluator: Evaluator, history: History, colors: np.ndarray, count: int
) -> Callable[[TrainState], dict[str, float]]:
    """Returns the evaluation, which also shows so many images as they are predicted."""

    def evaluated(state: TrainState) -> dict[str, float]:
        metrics = evaluator.metrics(state)
        show_panels(evaluator, history, colors, count, state)
        return metrics

    return evaluated


def show_panels(
    evaluator: Evaluator,
    history: History,
    colors: np.ndarray,
    count: int,
    state: TrainState,
) -> None:
    """Adds images of the split, spread evenly, to the events of the state's step."""
    if count:
        panels = evaluator.panels(state, count)
        pictures = {panel.name: painted(panel, colors) for panel in panels}
        history.show(int(state.step), pictures)


def painted(panel: Panel, colors: np.ndarray) -> Image.Image:
    """Returns image, truth and prediction side by side, none longer than 320 pixels.

    Args:
      panel: what to show; a truth of C or more is void.
      colors: uint8 [C, 3], the data set's colors.
    """
    image = Image.fromarray(panel.image)
    image.thumbnail((_LONGEST, _LONGEST))
    masks = [mask_image(mask, colors) for mask in (panel.truth, panel.prediction)]
    for mask in masks:
        mask.thumbnail((_LONGEST, _LONGEST), Image.Resampling.NEAREST)
    pictures, (width, height) = [image, *masks], image.size
    row = Image.new("RGB", (len(pictures) * width, height))
    for place, picture in enumerate(pictures):
        row.paste(picture.convert("RGB"), (place * width, 0))
    return row
