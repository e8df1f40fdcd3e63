"""Gray masks where labelmap.txt has gray classes: index, color, or neither."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_mask

from .test_masks import COLORS, SIZE, saved


def test_gray_that_can_only_be_a_color_is_read_by_color(tmp_path: Path) -> None:
    colors = np.array([(0, 0, 0), (128, 128, 128), (200, 200, 200)], np.uint8)
    path = saved(
        Image.fromarray(np.array([[0, 128, 200]], np.uint8)), tmp_path / "m.png"
    )
    assert read_mask(path, colors).tolist() == [[0, 1, 2]]


def test_gray_that_is_index_and_color_of_other_classes_is_refused(
    tmp_path: Path,
) -> None:
    colors = np.array([(0, 0, 0), (255, 255, 255)], np.uint8)
    path = saved(Image.fromarray(np.array([[0, 255]], np.uint8)), tmp_path / "m.png")
    said = "m.png is grayscale with the values 0, 255, .*save the mask as RGB"
    with pytest.raises(UserError, match=said):
        read_mask(path, colors)
    black = saved(Image.new("L", (2, 1)), tmp_path / "m.png")
    with pytest.raises(UserError, match="m.png is grayscale with the values 0, which"):
        read_mask(black, colors[::-1])
    bits = saved(Image.fromarray(np.array([[False, True]])), tmp_path / "bits.png")
    assert read_mask(bits, colors).tolist() == [[0, 1]]  # both say the same


@pytest.mark.parametrize("mode", ["P", "L"])
def test_white_that_is_no_class_leaves_black_a_color(tmp_path: Path, mode: str) -> None:
    """255 is ignored, and what the rest is has to be the same by value and by color."""
    values = np.zeros(SIZE, np.uint8)
    values[:3] = 255
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([0, 0, 0, *[255] * 765])
    path = saved(image, tmp_path / "m.png")
    with pytest.raises(UserError, match="grayscale with the values 0, 255, which are"):
        read_mask(path, COLORS[[1, 0]])
    np.testing.assert_array_equal(read_mask(path, COLORS), values)
    np.testing.assert_array_equal(read_mask(path, COLORS[1:]), values)
    values[4] = 1
    path = saved(Image.fromarray(values), path)
    np.testing.assert_array_equal(read_mask(path, COLORS[[1, 0]]), values)
    values[:] = 255
    path = saved(Image.fromarray(values), path)
    np.testing.assert_array_equal(read_mask(path, COLORS[[1, 0]]), values)


def test_gray_of_two_classes_is_refused_as_a_color_alone(tmp_path: Path) -> None:
    colors = np.array([(0, 0, 0), (128, 128, 128), (128, 128, 128)], np.uint8)
    path = saved(Image.fromarray(np.array([[0, 128]], np.uint8)), tmp_path / "m.png")
    with pytest.raises(UserError, match="gives 128,128,128 to several classes"):
        read_mask(path, colors)
    colors[:, 0] = (0, 1, 2)  # index and color say the same but for the colors' grays
    path = saved(Image.fromarray(np.array([[0, 1, 2]], np.uint8)), tmp_path / "n.png")
    assert read_mask(path, colors).tolist() == [[0, 1, 2]]
