"""Colors of ignored pixels: of no class in another mask, else as anyone likes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.dataset import load_dataset
from train.data.images import read_mask

from ..conftest import MakeConfig
from .test_mask_checks import masks
from .test_mask_colors import SPLITS, alone

Color = tuple[int, int, int]
BLACK, RED, GREEN, WHITE = (0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 255)
VOID, NOWHERE = (224, 224, 192), (9, 9, 9)
USUAL = {0: BLACK, 1: RED, 2: GREEN, 255: VOID}


def repaint(path: Path, palette: dict[int, Color], moved: dict[int, int]) -> None:
    """Writes a mask with some values changed, and some colors."""
    stored = np.arange(256, dtype=np.uint8)
    stored[list(moved)] = list(moved.values())
    image = Image.fromarray(stored[read_mask(path)])
    colors = np.array([(77, 77, value) for value in range(256)], np.uint8)
    colors[list(palette)] = list(palette.values())
    image.putpalette(colors.tobytes())
    image.save(path)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("ignored", SPLITS)
def test_the_color_of_a_class_is_not_that_of_ignored_pixels(
    folder: Path, make_config: MakeConfig, apart: bool, ignored: str
) -> None:
    """Else a class of one mask is left out of another, without a word."""
    for path in masks(folder):
        if (path.stem in "ef") == (ignored == "val"):
            repaint(path, {0: BLACK, 1: RED, 2: NOWHERE, 255: GREEN}, {2: 255})
        else:
            repaint(path, USUAL, {})
    if apart:
        for split in SPLITS:
            alone(make_config, split)
    before, now = ("2", r"255 \(ignored\)")[:: -1 if ignored == "train" else 1]
    said = rf"e\.png shows 0,255,0 where the value is {now}, but .* it is {before}: "
    with pytest.raises(UserError, match=said + ".*Write labelmap"):
        load_dataset(make_config().data)


@pytest.mark.parametrize(
    ("palette", "moved"),
    [
        (USUAL, {}),
        (USUAL | {255: WHITE}, {}),  # ignored in another color
        (USUAL | {255: BLACK}, {}),  # a border that is black as the ground
        ({value: BLACK for value in range(256)} | {1: RED, 2: GREEN}, {}),  # filled
        (USUAL | {2: NOWHERE, 255: GREEN}, {255: 0, 2: 0}),  # of no pixel
    ],
)
def test_colors_of_ignored_pixels_alone_are_fine(
    folder: Path,
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
    palette: dict[int, Color],
    moved: dict[int, int],
) -> None:
    for number, path in enumerate(masks(folder)):
        repaint(path, *((palette, moved) if number % 2 else (USUAL, {})))
    assert len(load_dataset(make_config().data).train) == 4
    assert "warning" not in capsys.readouterr().err


def test_values_that_do_not_count_are_as_one(
    folder: Path, make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "class_names.txt").unlink()
    for number, path in enumerate(masks(folder)):
        palette = USUAL | {3: VOID, 255: WHITE}
        repaint(path, *((palette, {255: 3}) if number % 2 else (USUAL, {})))
    names = ("a", "b", "c", "d")
    with pytest.raises(UserError, match="shows 224,224,192 where the value is 3, but"):
        load_dataset(make_config(classes=names).data)
    found = load_dataset(make_config(classes=names, void=("3",)).data)
    assert len(found.train) == 4 and found.void == (3,)
    assert "warning" not in capsys.readouterr().err
