"""The built-in scenes: fixed, sound, and of the difficulty they promise."""

import numpy as np
import numpy.typing as npt
import pytest

from train.data import scenes
from train.data.scene_things import Thing

CLASSES = len(scenes.CLASS_NAMES)
Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

# Pixels of each class, then of void; mean of red, green and blue. They belong to
# VERSION: a change of one asks for a change of the other.
FINGERPRINTS: dict[tuple[str, int], tuple[list[int], list[float]]] = {
    ("train", 0): (
        [7900, 1898, 193, 380, 944, 0, 0, 371, 0, 602],
        [128.8, 115.7, 96.1],
    ),
    ("train", 7): (
        [7161, 0, 72, 529, 797, 1727, 488, 0, 542, 972],
        [157.7, 157.8, 123.7],
    ),
    ("val", 0): ([5181, 3817, 0, 0, 1816, 562, 0, 0, 0, 912], [178.0, 136.2, 126.6]),
    ("val", 7): (
        [5332, 3452, 0, 608, 1139, 0, 0, 0, 818, 939],
        [193.6, 131.7, 101.7],
    ),
}


def draw(split: str, count: int) -> Batch:
    images, labels = zip(
        *(scenes.draw_scene(split, i) for i in range(count)), strict=True
    )
    return np.stack(images), np.stack(labels)


@pytest.fixture(scope="module")
def train() -> Batch:
    return draw("train", 150)


@pytest.fixture(scope="module")
def val() -> Batch:
    return draw("val", scenes.SPLIT_SIZES["val"])


def count_pixels(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    counts = np.bincount(labels.ravel(), minlength=256)
    return np.append(counts[:CLASSES], counts[scenes.IGNORED])


def test_a_scene_depends_on_its_split_and_index_alone() -> None:
    image, label = scenes.draw_scene("train", 3)
    scenes.draw_scene("val", 5)
    np.random.seed(1)
    again, label_again = scenes.draw_scene("train", 3)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(label, label_again)


# No checksum: another version of NumPy or Pillow may round a pixel otherwise.
@pytest.mark.parametrize(("split", "index"), FINGERPRINTS)
def test_scenes_are_those_of_this_version(split: str, index: int) -> None:
    counts, color = FINGERPRINTS[split, index]
    image, label = scenes.draw_scene(split, index)
    np.testing.assert_allclose(count_pixels(label), counts, rtol=0, atol=8)
    np.testing.assert_allclose(image.mean((0, 1)), color, rtol=0, atol=0.5)


def test_no_scene_occurs_twice(train: Batch, val: Batch) -> None:
    # Labels, since noise alone would tell two images of one scene apart.
    seen = {label.tobytes() for _, labels in (train, val) for label in labels}
    empty = sum((label == 0).all() for _, labels in (train, val) for label in labels)
    assert len(seen) >= len(train[1]) + len(val[1]) - max(empty - 1, 0)


def test_shapes_and_values(val: Batch) -> None:
    images, labels = val
    assert images.shape == (scenes.SPLIT_SIZES["val"], *scenes.SIZE, 3)
    assert labels.shape == images.shape[:-1]
    assert images.dtype == labels.dtype == np.uint8
    assert set(np.unique(labels)) == {*range(CLASSES), scenes.IGNORED}


def test_classes_have_a_long_tail(val: Batch) -> None:
    *counts, _ = count_pixels(val[1])
    shares = np.array(counts) / sum(counts)
    assert 0.55 < shares[0] < 0.7
    assert 0.002 < shares.min() < 0.01
    assert shares[1] > 5 * shares.min()


def test_every_class_occurs_in_enough_scenes_to_be_measured(val: Batch) -> None:
    for number in range(CLASSES):
        visible = (val[1] == number).sum((1, 2)) >= 50
        assert visible.sum() >= 25, scenes.CLASS_NAMES[number]


def test_void_is_a_thin_border_between_classes(val: Batch) -> None:
    labels = val[1]
    assert 0.03 < (labels == scenes.IGNORED).mean() < 0.1
    left, right = labels[..., :-1], labels[..., 1:]
    void = (left == scenes.IGNORED) | (right == scenes.IGNORED)
    differ = left != right
    assert (differ & ~void).sum() < 0.001 * differ.sum()


def test_color_alone_does_not_tell_the_class(train: Batch, val: Batch) -> None:
    counts = np.zeros((16**3, CLASSES))
    images, labels = train
    valid = labels != scenes.IGNORED
    np.add.at(counts, (quantize(images)[valid], labels[valid]), 1)

    images, labels = val
    valid = labels != scenes.IGNORED
    predicted = counts.argmax(-1)[quantize(images)[valid]]
    confusion = np.zeros((CLASSES, CLASSES))
    np.add.at(confusion, (labels[valid], predicted), 1)
    hits = confusion.diagonal()
    iou = hits / (confusion.sum(0) + confusion.sum(1) - hits)
    assert iou.mean() < 0.3


def quantize(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Returns one of 16³ colors for each pixel."""
    return (images.astype(np.intp) // 16) @ np.array([256, 16, 1])


@pytest.mark.parametrize("kind", scenes.THINGS, ids=lambda kind: kind.name)
def test_shapes_fit_the_unit_disc(kind: Thing) -> None:
    y, x = np.mgrid[-1.5:1.5:301j, -1.5:1.5:301j].astype(np.float32)
    for seed in range(20):
        inside = kind.shape(np.random.default_rng(seed), x, y) < 0
        assert inside.any()
        assert np.hypot(x, y)[inside].max() <= 1.001


@pytest.mark.parametrize(("split", "index"), [("test", 0), ("val", -1)])
def test_refuses_scenes_that_do_not_exist(split: str, index: int) -> None:
    with pytest.raises(ValueError, match=f"no scene {index} in split '{split}'"):
        scenes.draw_scene(split, index)
