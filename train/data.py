"""From records to batches of crops, as a pure function of (seed, step)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import grain
import numpy as np
from absl import flags
from PIL import Image

from train.config import Config
from train.voc import VOID, read_image, read_mask

# What pads images: within 0.7 of 255 of the mean of every preprocessing, so about zero.
MEAN_COLOR = (123, 117, 104)


class Source(Protocol):
    """Records by index."""

    def __len__(self) -> int: ...  # noqa: D105

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...  # noqa: D105


@dataclasses.dataclass(frozen=True)
class Part:
    """Some records of a source, by their indices."""

    source: Source
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.source[self.indices[index]]


class Example(NamedTuple):
    """An image with its mask, or a batch of them."""

    image: np.ndarray  # uint8 [..., height, width, 3]
    label: np.ndarray  # uint8 [..., height, width]


def decode(record: Mapping[str, Any]) -> Example:
    """Returns the pixels of a record."""
    return Example(read_image(record["image"]), read_mask(record["label"]))


def train_batches(source: Source, config: Config, *, start: int) -> Iterator[Example]:
    """Yields the batches of steps `start` to `config.steps`.

    Each batch depends on the seed and its step alone, so that a resumed run sees what
    an uninterrupted one would, whatever the number of workers.
    """
    # As many as the run needs: grain cannot count an endless stream of single images.
    epochs = -(-config.steps * config.batch_size // len(source))
    batches = (
        grain.MapDataset.source(source)
        .seed(config.seed)
        .shuffle()
        .repeat(max(1, epochs))
        .map(decode)
        .random_map(Augment(config))
        .batch(config.batch_size, batch_fn=_stack)
        .slice(slice(start, config.steps))
        .to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8))
    )
    if config.workers:
        if not flags.FLAGS.is_parsed():  # grain's workers read absl's flags
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(num_workers=config.workers)
        batches = batches.mp_prefetch(options)
    return iter(batches)


def _stack(examples: list[Example]) -> Example:
    images, labels = zip(*examples, strict=True)
    return Example(np.stack(images), np.stack(labels))


class Augment(NamedTuple):
    """Random scale, mirror and crop; padded with void where the crop is larger."""

    config: Config

    def __call__(self, example: Example, generator: np.random.Generator) -> Example:
        """Returns a crop of `config.crop` pixels."""
        config = self.config
        image, label = resize(example, generator.uniform(*config.scale))
        if config.mirror and generator.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        return _random_crop(Example(image, label), config.crop, generator)


def resize(example: Example, scale: float) -> Example:
    """Returns the image resized linearly and its mask by nearest neighbour."""
    height, width = (max(1, round(side * scale)) for side in example.label.shape)
    size = (width, height)
    image = Image.fromarray(example.image).resize(size, Image.Resampling.BILINEAR)
    label = Image.fromarray(example.label).resize(size, Image.Resampling.NEAREST)
    return Example(np.asarray(image), np.asarray(label))


def _random_crop(
    example: Example, crop: tuple[int, int], generator: np.random.Generator
) -> Example:
    """Cuts a crop at random; where the image is smaller, places it at random."""
    canvas = _blank(crop)
    source, target = zip(
        *(
            _overlap(length, size, generator)
            for length, size in zip(example.label.shape, crop, strict=True)
        ),
        strict=True,
    )
    canvas.image[target] = example.image[source]
    canvas.label[target] = example.label[source]
    return canvas


def _overlap(
    length: int, size: int, generator: np.random.Generator
) -> tuple[slice, slice]:
    """Returns where to read in the image and where to write in the crop."""
    shift = int(generator.integers(abs(length - size) + 1))
    common = slice(0, min(length, size))
    moved = slice(shift, shift + min(length, size))
    return (moved, common) if length > size else (common, moved)


def pad(example: Example, size: tuple[int, int]) -> Example:
    """Returns the example in the top left of a canvas of void and mean colour."""
    canvas = _blank(size)
    height, width = example.label.shape
    canvas.image[:height, :width] = example.image
    canvas.label[:height, :width] = example.label
    return canvas


def _blank(size: tuple[int, int]) -> Example:
    image = np.empty((*size, 3), np.uint8)
    image[:] = MEAN_COLOR
    return Example(image, np.full(size, VOID, np.uint8))


def pad_to_multiple(example: Example, multiple: int) -> Example:
    """Returns the example padded to the next multiple of height and width."""
    height, width = (-(-side // multiple) * multiple for side in example.label.shape)
    return pad(example, (height, width))


def evaluation_batches(
    source: Source, *, batch_size: int, multiple: int
) -> Iterator[tuple[Example, list[tuple[int, ...]]]]:
    """Yields the whole split at full resolution, in order, and each image's true size.

    Sizes are padded with void to the next multiple; neighbours of equal padded size
    share a batch, and a short batch is filled with void images, so that every size
    compiles one program.
    """
    waiting: list[Example] = []
    sizes: list[tuple[int, ...]] = []
    for index in range(len(source)):
        example = decode(source[index])
        padded = pad_to_multiple(example, multiple)
        changes = bool(waiting) and waiting[0].label.shape != padded.label.shape
        if changes or len(waiting) == batch_size:
            yield _fill(waiting, batch_size), sizes
            waiting, sizes = [], []
        waiting.append(padded)
        sizes.append(example.label.shape)
    if waiting:
        yield _fill(waiting, batch_size), sizes


def _fill(examples: list[Example], batch_size: int) -> Example:
    height, width = examples[0].label.shape
    return _stack(examples + [_blank((height, width))] * (batch_size - len(examples)))
