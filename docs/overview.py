"""Draws docs/overview.png: python docs/overview.py runs/demo.

A scene, its labels, a window of the loss, and what the run predicts.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

PICTURE = Path(__file__).with_suffix(".png")
sys.path.insert(0, str(PICTURE.parents[1]))

from lal_jax import chessboard_weights  # noqa: E402
from train.data.palette import colorize  # noqa: E402
from train.data.scenes import draw_scene  # noqa: E402
from train.workdir.trained import load_run  # noqa: E402

SCENE = 33  # of the validation split
CENTER, KERNEL = (56, 69), 5  # row and column of a window at an outline, its size
INK = "#6b7480"  # readable on light and dark pages


def main() -> None:
    """Draws the four panels side by side."""
    trained = load_run(Path(sys.argv[1]))
    image, labels = draw_scene("val", SCENE)
    mask = trained.predictor().mask(trained.state, image)
    painted = colorize(labels, trained.colors)
    figure = Figure(figsize=(8.4, 2.0), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=(4, 4, 3, 4))
    axes[0].imshow(image)
    axes[1].imshow(painted)
    _show_window(axes[2], labels, painted)
    axes[3].imshow(colorize(mask, trained.colors))
    titles = ("image", "labels", "neighbors that count", "prediction")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize=10, color=INK)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    _link_window(axes[1], axes[2])
    figure.savefig(PICTURE, dpi=220, transparent=True, metadata={"Software": None})


def _window() -> tuple[slice, slice]:
    """Returns the rows and columns of the window."""
    rows, columns = (slice(c - KERNEL // 2, c + KERNEL // 2 + 1) for c in CENTER)
    return rows, columns


def _link_window(labels: Axes, enlarged: Axes) -> None:
    """Frames the window on the labels and leads to the enlarged one."""
    (top, bottom), (left, right) = (
        (place.start - 0.5, place.stop - 0.5) for place in _window()
    )
    frame = Rectangle((left, top), KERNEL, KERNEL, fill=False, color="white", lw=1.2)
    labels.add_patch(frame)
    for from_row, to_row in ((top, -0.5), (bottom, KERNEL - 0.5)):
        line = ConnectionPatch(
            (right, from_row), (-0.5, to_row), "data", axesA=labels, axesB=enlarged
        )
        line.set(color="#a8b0ba", linewidth=0.8)
        enlarged.figure.add_artist(line)


def _show_window(axis: Axes, labels: np.ndarray, painted: np.ndarray) -> None:
    """Enlarges the window; pixels of the center's label have their weight."""
    same = labels[_window()] == labels[CENTER]
    pixels = painted[_window()] / 255
    axis.imshow(np.where(same[..., None], pixels, 0.3 * pixels + 0.5))
    weights = chessboard_weights(KERNEL)
    for row, column in np.argwhere(same):
        text = f"{weights[row, column]:g}".replace("0.5", "½")
        axis.text(column, row, text, ha="center", va="center", color="white", size=11)
    for edge in range(1, KERNEL):
        axis.axhline(edge - 0.5, color="white", lw=0.6)
        axis.axvline(edge - 0.5, color="white", lw=0.6)


if __name__ == "__main__":
    main()
