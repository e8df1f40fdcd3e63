"""The stream: pure in (seed, step), masks stay on their images."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from train.common.errors import UserError
from train.data.augment import Augment, AugmentationOptions
from train.data.batches import (
    Piece,
    check_batch_size,
    evaluation_pieces,
    load_piece,
)
from train.data.dataset import Dataset, load_dataset
from train.data.images import (
    IGNORED,
    MEAN_COLOR,
    Example,
    Source,
    decode,
    encode,
    mask_sizes,
    pad_to_multiple,
    read_image,
    rescale,
)
from train.data.parts import held_out
from train.data.voc import read_pair

from ..conftest import SIZE, MakeConfig, batches_of


@pytest.fixture
def dataset(make_config: MakeConfig) -> Dataset:
    return load_dataset(make_config().data)


def assert_equal(first: list[Example], second: list[Example]) -> None:
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.label, two.label)


def test_records_hold_the_files(dataset: Dataset, folder: Path) -> None:
    record = dataset.train[1]
    assert record["name"] == b"b"
    np.testing.assert_array_equal(
        read_image(record["image"]), read_image(folder / "JPEGImages" / "b.jpg")
    )
    masks = folder / "SegmentationClass"
    expected = read_pair(folder / "JPEGImages" / "b.jpg", masks / "b.png", 3)
    _, batch = next(in_batches(dataset.train, batch_size=4, multiple=8))
    np.testing.assert_array_equal(batch.label[1], expected.label)


def test_stream_is_a_function_of_seed_and_step(
    dataset: Dataset, make_config: MakeConfig
) -> None:
    whole = batches_of(dataset.train, make_config())
    assert_equal(whole[4:], batches_of(dataset.train, make_config(), start=4))
    other = batches_of(dataset.train, make_config(seed=1))
    assert any(
        not np.array_equal(a.image, b.image) for a, b in zip(whole, other, strict=True)
    )


def test_stream_is_the_same_image_by_image(
    dataset: Dataset, make_config: MakeConfig
) -> None:
    pairs = batches_of(dataset.train, make_config(steps=6, batch_size=2))
    single = batches_of(dataset.train, make_config(steps=12, batch_size=1))
    assert len(single) == 12
    images = np.concatenate([batch.image for batch in pairs])
    np.testing.assert_array_equal(
        np.concatenate([batch.image for batch in single]), images
    )


def test_workers_do_not_change_the_stream(
    dataset: Dataset, make_config: MakeConfig
) -> None:
    expected = batches_of(dataset.train, make_config())
    assert_equal(batches_of(dataset.train, make_config(workers=2)), expected)


def test_batch_larger_than_the_split_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UserError, match="--batch-size 5 is more than the 4 images"):
        check_batch_size(dataset.train, 5, steps=1)
    check_batch_size(dataset.train, 5, steps=0)  # nothing is trained
    check_batch_size(dataset.train, 4, steps=1)


def test_every_epoch_has_every_image_in_another_order(
    dataset: Dataset, make_config: MakeConfig
) -> None:
    config = make_config(crop=(40, 48), scale=(1.0, 1.0), flip=False)
    labels = [batch.label for batch in batches_of(dataset.train, config)]
    epochs = [np.concatenate(labels[i : i + 2]) for i in (0, 2, 4)]
    images = [{mask.tobytes() for mask in epoch} for epoch in epochs]
    assert len(images[0]) == 4 and images[0] == images[1] == images[2]
    orders = {tuple(mask.tobytes() for mask in epoch) for epoch in epochs}
    assert len(orders) > 1


@pytest.mark.parametrize("crop", [(24, 24), (40, 48), (90, 70), (24, 90)])
def test_mask_stays_on_its_image(crop: tuple[int, int]) -> None:
    label = np.kron(np.arange(30).reshape(5, 6), np.ones((8, 8))).astype(np.uint8)
    image = np.repeat(label[..., None] * 8, 3, axis=-1)
    augment = Augment(AugmentationOptions(crop=crop, scale=(1.0, 1.0)))
    generator = np.random.default_rng(0)
    for _ in range(20):
        result = augment(Example(image, label), generator)
        assert result.label.shape == crop and result.image.shape == (*crop, 3)
        valid = result.label != IGNORED
        assert valid.sum() == min(crop[0], 40) * min(crop[1], 48)
        np.testing.assert_array_equal(
            result.image[valid][:, 0], result.label[valid] * 8
        )
        np.testing.assert_array_equal(
            result.image[~valid], np.broadcast_to(MEAN_COLOR, ((~valid).sum(), 3))
        )


def test_flip_and_scale_vary() -> None:
    label = np.zeros((40, 48), np.uint8)
    label[:, :24] = 1
    image = np.zeros((40, 48, 3), np.uint8)
    augment = Augment(AugmentationOptions(crop=(80, 96), scale=(0.5, 1.5)))
    generator = np.random.default_rng(0)
    results = [augment(Example(image, label), generator).label for _ in range(30)]
    areas = np.array([(mask != IGNORED).mean() for mask in results])
    assert areas.min() < 0.15 and areas.max() > 0.4
    first = [mask[mask != IGNORED][0] for mask in results]
    assert {int(value) for value in first} == {0, 1}


def test_resized_edges_stay_aligned() -> None:
    label = np.zeros((40, 48), np.uint8)
    label[:, 17:] = 1
    image = np.repeat(label[..., None] * 255, 3, axis=-1)
    for scale, turned in itertools.product((0.5, 0.77, 1.5), (False, True)):
        example = Example(image, label)
        if turned:
            example = Example(image.swapaxes(0, 1), label.T)
        result = rescale(example, scale)
        error = np.abs(result.image[..., 0] / 255.0 - result.label)
        assert error.max() <= 0.5 + 1 / 255


def test_evaluation_sees_every_image_once(
    dataset: Dataset, make_config: MakeConfig
) -> None:
    records = [dataset.train[index % 4] for index in range(5)]
    pieces, batches = zip(*in_batches(records, batch_size=4, multiple=32), strict=True)
    # Three and two, not four and one: fewer blank images.
    assert [batch.label.shape for batch in batches] == [(3, 64, 64)] * 2
    filled = [(mask != IGNORED).any() for batch in batches for mask in batch.label]
    assert filled == [True] * 5 + [False]
    assert [list(piece.indices) for piece in pieces] == [[0, 1, 2], [3, 4]]
    assert [piece.sizes for piece in pieces] == [[SIZE] * 3, [SIZE] * 2]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from([(8, 8), (16, 8), (8, 16), (9, 3)]), max_size=20),
    st.integers(1, 6),
)
def test_images_of_one_size_go_together(
    sizes: list[tuple[int, int]], batch_size: int
) -> None:
    records = [make_record(size) for size in sizes]
    batches = list(in_batches(records, batch_size=batch_size, multiple=8))
    assert sorted(i for piece, _ in batches for i in piece.indices) == [
        *range(len(sizes))
    ]
    shapes: dict[tuple[int, ...], set[int]] = {}
    computed = 0
    for piece, batch in batches:
        count, *padded = batch.label.shape
        shapes.setdefault(tuple(padded), set()).add(count)
        assert len(piece.indices) <= count <= batch_size
        assert piece.sizes == [sizes[index] for index in piece.indices]
        computed += count
        for label, (height, width) in zip(batch.label, piece.sizes, strict=False):
            assert (label != IGNORED).sum() == height * width
    assert all(len(counts) == 1 for counts in shapes.values())  # one program a size
    # Within a size, no batch lacks more than one image.
    assert computed - len(sizes) <= len(batches)


def in_batches(
    source: Source, *, batch_size: int, multiple: int
) -> Iterator[tuple[Piece, Example]]:
    sizes = mask_sizes(source)
    for piece in evaluation_pieces(
        sizes, most=lambda size: batch_size, multiple=multiple
    ):
        yield piece, load_piece(source, piece)


def make_record(size: tuple[int, int]) -> dict[str, bytes]:
    image = np.zeros((*size, 3), np.uint8)
    label = np.zeros(size, np.uint8)
    return {"image": encode(image, "PNG"), "label": encode(label, "PNG")}


def test_padding_is_ignored_below_and_right() -> None:
    example = Example(np.ones((5, 9, 3), np.uint8), np.ones((5, 9), np.uint8))
    padded = pad_to_multiple(example, 8)
    assert padded.label.shape == (8, 16)
    assert (padded.label[:5, :9] == 1).all()
    assert (padded.label == IGNORED).sum() == 8 * 16 - 45
    assert list(itertools.chain(padded.image[7, 15])) == list(MEAN_COLOR)


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("start", [0, 3])
def test_processes_load_the_batches_of_one_between_them(
    dataset: Dataset, make_config: MakeConfig, processes: int, start: int
) -> None:
    config = make_config(batch_size=4, steps=5)
    share = 4 // processes
    parts = [
        batches_of(dataset.train, config, start, range(share * i, share * (i + 1)))
        for i in range(processes)
    ]
    joined = [
        Example(*map(np.concatenate, zip(*fellows, strict=True)))
        for fellows in zip(*parts, strict=True)
    ]
    assert_equal(joined, batches_of(dataset.train, config, start))


def test_images_are_prepared_at_the_height_asked_for(make_config: MakeConfig) -> None:
    whole = load_dataset(make_config().data)
    small = load_dataset(make_config(image_height=20).data)
    for index in range(len(whole.train)):
        large, record = whole.train[index], small.train[index]
        image, label = decode(record)
        assert image.shape == (20, 24, 3) and record["name"] == large["name"]
        expected = rescale(decode(large), 0.5)
        np.testing.assert_array_equal(image, expected.image)
        np.testing.assert_array_equal(label, expected.label)


def test_height_is_within_the_limit_of_pixels(make_config: MakeConfig) -> None:
    more = {"pixel_limit": SIZE[0] * SIZE[1] * 4, "image_height": 2 * SIZE[0]}
    assert len(load_dataset(make_config(**more).data).train) == 4
    more["image_height"] += 1
    with pytest.raises(UserError, match="--image-height 81 gives an image .* smaller"):
        load_dataset(make_config(**more).data)


def test_what_is_held_out_is_not_trained_on(make_config: MakeConfig) -> None:
    whole = load_dataset(make_config().data)
    part = load_dataset(make_config(holdout=0.25).data)
    sources = (part.train, part.val)
    names = [[source[i]["name"] for i in range(len(source))] for source in sources]
    assert names == [[b"a", b"b", b"c"], [b"d"]]
    assert part.fingerprint == whole.fingerprint


@pytest.mark.parametrize("count", [7, 30, 367, 1464])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.8])
def test_every_part_of_the_list_is_held_out_alike(count: int, share: float) -> None:
    kept, held = held_out(count, share)
    assert sorted(kept + held) == list(range(count))
    assert len(held) == pytest.approx(share * count, abs=5)
    if count > 100:
        assert held[0] < count / 10 and held[-1] == count - 1
        assert len(np.flatnonzero(np.diff(held) > 1)) == 9  # in ten stretches


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_side_without_images_is_refused(
    make_config: MakeConfig, share: float
) -> None:
    with pytest.raises(UserError, match=f"--holdout {share:g} .* 4 images"):
        load_dataset(make_config(holdout=share).data)
