"""A label painted into its image is still there after every step of the pipeline.

Colors are the orders of three levels, which scaling, flips, crops and jitter keep.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from train.data.augment import Augment, AugmentationOptions, jittered
from train.data.batches import evaluation_pieces, load_piece
from train.data.dataset import load_dataset
from train.data.images import IGNORED, MEAN_COLOR, Example, mask_sizes

from ..conftest import MakeConfig, batches_of

ORDERS = list(itertools.permutations(range(3)))
COLORS = np.array(
    [[(60, 120, 180)[level] for level in order] for order in ORDERS], np.uint8
)
BLUR = 2  # pixels from a border where resizing may mix colors
JITTER = 0.3


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws a mask of patches, some ignored, and an image that tells it."""
    patches = rng.integers(0, len(ORDERS) + 1, (3, 4))
    mask = np.kron(patches, np.ones((24, 20))).astype(np.uint8)
    image = COLORS[np.minimum(mask, len(ORDERS) - 1)]
    mask[mask == len(ORDERS)] = IGNORED
    return image, mask


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """A folder in VOC layout, of PNGs: JPEG would smear colors across borders."""
    rng, root = np.random.default_rng(3), tmp_path / "painted"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for split, names in {"train": "abcdef", "val": "gh"}.items():
        listed = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        listed.write_text("\n".join(names))
        for name in names:
            image, mask = draw(rng)
            Image.fromarray(image).save(root / "JPEGImages" / f"{name}.png")
            Image.fromarray(mask).save(root / "SegmentationClass" / f"{name}.png")
    (root / "class_names.txt").write_text("\n".join("uvwxyz"))
    return root


def examples(batch: Example) -> Iterator[Example]:
    return (Example(*pair) for pair in zip(*batch, strict=True))


def check_colors_name_labels(example: Example) -> int:
    """Checks pixels away from borders of labels; returns the number of them."""
    image, label = example
    width = 2 * BLUR + 1
    inside = maximum_filter(label, width) == minimum_filter(label, width)
    counted = inside & (label != IGNORED)
    levels = np.argsort(np.argsort(image[counted].astype(int), axis=1), axis=1)
    named = np.array(ORDERS)[label[counted]]
    np.testing.assert_array_equal(levels, named)
    return int(counted.sum())


@pytest.mark.parametrize("height", [0, 50])
@pytest.mark.parametrize("crop", [(32, 40), (120, 70), (160, 160)])
@pytest.mark.parametrize("jitter", [0.0, JITTER])
def test_colors_of_training_batches_name_their_labels(
    painted: Path,
    make_config: MakeConfig,
    height: int,
    crop: tuple[int, int],
    jitter: float,
) -> None:
    config = make_config(
        data=str(painted),
        image_height=height,
        crop=crop,
        jitter=jitter,
        scale=(0.6, 1.7),
        steps=9,
    )
    batches = batches_of(load_dataset(config.data).train, config)
    counts = [check_colors_name_labels(e) for b in batches for e in examples(b)]
    assert len(counts) == 18 and sum(counts) > 18 * 200


@pytest.mark.parametrize("height", [0, 50])
def test_colors_of_evaluation_batches_name_their_labels(
    painted: Path, make_config: MakeConfig, height: int
) -> None:
    source = load_dataset(make_config(data=str(painted), image_height=height).data).val
    pieces = evaluation_pieces(mask_sizes(source), most=lambda size: 2, multiple=32)
    for piece in pieces:
        for example in examples(load_piece(source, piece)):
            assert check_colors_name_labels(example) > 500


def augmented(seed: int, **options: float) -> Example:
    image, label = draw(np.random.default_rng(seed))
    augment = Augment(AugmentationOptions(crop=(120, 70), **options))  # type: ignore[arg-type]
    return augment(Example(image, label), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_jitter_changes_neither_labels_nor_padding_nor_the_crop(seed: int) -> None:
    plain, changed = augmented(seed), augmented(seed, jitter=JITTER)
    np.testing.assert_array_equal(plain.label, changed.label)
    padding = (plain.image == MEAN_COLOR).all(axis=-1)
    assert padding.any() and not padding.all()
    assert (changed.image[padding] == MEAN_COLOR).all()
    differs = (plain.image != changed.image).any(axis=-1)
    assert differs[~padding].mean() > 0.9


def test_jitter_is_a_function_of_the_seed() -> None:
    first, again, other = (augmented(s, jitter=JITTER).image for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ((1, 1, 1), [[100, 50, 0], [200, 150, 100]]),
        ((0.5, 1, 1), [[50, 25, 0], [100, 75, 50]]),
        ((1, 0, 1), [[109, 109, 109]] * 2),  # the mean of 59.25 and 159.25
        ((1, 1, 0), [[59, 59, 59], [159, 159, 159]]),
        ((2, 1, 1), [[200, 100, 0], [255, 255, 200]]),
    ],
)
def test_each_factor_does_what_it_says(
    factors: tuple[float, ...], expected: list[list[int]]
) -> None:
    image = np.array([[[100, 50, 0], [200, 150, 100]]], np.uint8)
    assert jittered(image, np.array(factors)).tolist() == [expected]
