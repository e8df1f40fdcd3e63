"""Figure 3 of the paper: masks of the same images under each loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from train.common.drawing import Figure, Patch, matplotlib
from train.data.forms import shown_image
from train.data.images import IGNORED, Source, decode
from train.data.palette import VOID_COLOR, colorize
from train.report.html import CHART_STYLE
from train.workdir.trained import Trained, load_run

RULE = (
    "Chosen by rule: the images at one and at two thirds of the validation list, and "
    "those whose pixel accuracy under {ours} stands highest and lowest above that "
    "under {baseline}."
)


class Shown(NamedTuple):
    """An image of a split, and why it is shown."""

    image: int  # its index
    why: str


def choose(baseline: Sequence[float], ours: Sequence[float]) -> list[Shown]:
    """Returns the images to show: two at fixed places, and the two extremes.

    Args:
      baseline: pixel accuracy of each image of the split.
      ours: the same under the loss that is compared.
    """
    count = len(ours)
    gains = np.subtract(ours, baseline)
    best, worst = int(gains.argmax()), int(gains.argmin())
    chosen = {  # an image has one reason, the last
        count // 3: "at a third of the list",
        2 * count // 3: "at two thirds of the list",
        best: f"highest, {100 * gains[best]:+.1f} points",
        worst: f"lowest, {100 * gains[worst]:+.1f} points",
    }
    return [Shown(image, why) for image, why in chosen.items()]


def draw_figure3(
    runs: Mapping[str, Path], baseline: str, ours: str, source: Source
) -> Figure:
    """Draws image, truth and each run's mask for the images that `choose` returns.

    Args:
      runs: folders by label.
      baseline: label of the run to compare with.
      ours: label of the run whose gains and losses are shown.
      source: the records of the split.
    """
    trained = {label: load_run(path) for label, path in runs.items()}
    accuracies = {
        label: _accuracies(label, trained[label], source) for label in (baseline, ours)
    }
    choices = choose(accuracies[baseline], accuracies[ours])
    return _draw(trained, choices, source)


def _accuracies(label: str, trained: Trained, source: Source) -> list[float]:
    """Returns the pixel accuracy of each image, 0 where all is void."""
    predictor, found = trained.predictor(), []
    for index in tqdm(range(len(source)), desc=label, unit="image", dynamic_ncols=True):
        image, truth = decode(source[index])
        right = (predictor.mask(trained.state, image) == truth)[truth != IGNORED]
        found.append(float(right.mean()) if right.size else 0.0)
    return found


@matplotlib.rc_context({**CHART_STYLE, "axes.grid": False})
def _draw(
    trained: Mapping[str, Trained], choices: Sequence[Shown], source: Source
) -> Figure:
    captions = ["image", "truth", *trained]
    figure = Figure(
        figsize=(2 * len(captions), 1.9 * len(choices)), layout="constrained"
    )
    grid = figure.subplots(len(choices), len(captions), squeeze=False)
    first = next(iter(trained.values()))
    predictors = {label: one.predictor() for label, one in trained.items()}
    for line, choice in zip(grid, choices, strict=True):
        image, truth = decode(source[choice.image])
        masks = [
            predictors[label].mask(one.state, image) for label, one in trained.items()
        ]
        colored = [colorize(mask, first.colors) for mask in (truth, *masks)]
        pictures = [shown_image(image), *colored]
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture, interpolation="none")
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_xlabel(choice.why, fontsize=8)
    for axes, caption in zip(grid[0], captions, strict=True):
        axes.set_title(caption, fontsize=9)
    handles = [
        Patch(facecolor=color / 255, edgecolor="#999999", label=name)
        for name, color in zip(
            (*first.class_names, "void"), (*first.colors, VOID_COLOR), strict=True
        )
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
    return figure
