import numpy as np
from PIL import Image

from train.data.palette import colorize, mask_png, overlay, voc_colormap

COLORS = np.array([[10, 20, 30], [200, 100, 0]], np.uint8)
MASK = np.array([[0, 1, 255], [1, 0, 7]], np.uint8)
IGNORED_COLOR = [224, 224, 192]


def test_voc_colormap_is_the_published_one():
    colors = voc_colormap()
    assert colors.dtype == np.uint8
    published = {0: [0, 0, 0], 6: [0, 128, 128], 15: [192, 128, 128], 20: [0, 64, 128]}
    assert {index: colors[index].tolist() for index in published} == published
    assert colors[255].tolist() == IGNORED_COLOR
    assert len(np.unique(colors, axis=0)) == 256
    np.testing.assert_array_equal(voc_colormap(21), colors[:21])


def test_colorize_paints_what_has_no_color_as_ignored():
    painted = colorize(MASK, COLORS)
    assert painted.dtype == np.uint8
    first, second = COLORS.tolist()
    assert painted.tolist() == [
        [first, second, IGNORED_COLOR],
        [second, first, IGNORED_COLOR],
    ]


def test_saved_mask_keeps_indices_and_colors(tmp_path):
    (tmp_path / "mask.png").write_bytes(mask_png(MASK, COLORS))
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), MASK)
        expected = voc_colormap()
        expected[:2] = COLORS
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), expected[MASK])


def test_overlay_mixes_and_leaves_ignored_as_the_image():
    image = np.full((2, 3, 3), 100, np.uint8)
    mixed = overlay(image, MASK, COLORS, opacity=0.25)
    assert mixed.dtype == np.uint8
    # 0.75 * 100 + 0.25 * color, rounded to even.
    assert mixed[0].tolist() == [[78, 80, 82], [125, 100, 75], [100, 100, 100]]
    np.testing.assert_array_equal(overlay(image, MASK, COLORS, opacity=0), image)
    np.testing.assert_array_equal(
        overlay(image, MASK, COLORS, opacity=1, ignore_label=9), colorize(MASK, COLORS)
    )
