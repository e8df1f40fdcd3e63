"""How fast training images come to a device: python benchmarks/loader_speed.py.

Images a second of the trainer's loader, from JPEGs of 500×375 with their masks, cropped
to 321×321 in batches of 16, with threads alone and with worker processes; beside the
floor, decoding and augmenting alone in one thread, each with every --jitter. The
contenders take turns; printed are medians, and the median ratios to the first floor of
the same turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Iterator

import jax
import numpy as np
from PIL import Image

from train.data.augment import Augment
from train.data.batches import train_batches
from train.data.images import decode, encode
from train.voc_presets import VOC

BATCH = 16


class Photographs:
    """Records of one picture, each decoded anew.

    Args:
      count: of records.
    """

    def __init__(self, count: int):
        rng = np.random.default_rng(0)
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
        smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), int)
        grain = rng.normal(0, 8, smooth.shape).astype(int)
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        tiles = rng.integers(0, 21, (8, 10), np.uint8)
        labels = np.kron(tiles, np.ones((47, 50), np.uint8))[:375]
        self.image = encode(pixels, "JPEG", quality=90)
        self.label = encode(labels, "PNG")
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, bytes]:
        return {"image": self.image, "label": self.label}


def augmentation(jitter: float) -> Augment:
    """Returns that of preset voc with jitter."""
    return Augment(dataclasses.replace(VOC.augmentation, jitter=jitter))


def floor(source: Photographs, images: int, jitter: float) -> float:
    """Returns the images a second of decoding and augmenting, one after the other."""
    augment, rng = augmentation(jitter), np.random.default_rng(0)
    began = time.perf_counter()
    for index in range(images):
        augment(decode(source[index]), rng)
    return images / (time.perf_counter() - began)


def loaded(source: Photographs, images: int, workers: int, jitter: float) -> float:
    """Returns the images a second that reach the device."""
    steps = images // BATCH
    ahead = 2 * (8 + workers)  # what is loaded while nothing is timed
    batches: Iterator = train_batches(
        source,
        augmentation(jitter),
        batch_size=BATCH,
        seed=0,
        start=0,
        steps=ahead + steps,
        workers=workers,
    )
    for batch in itertools.islice(batches, ahead):
        jax.block_until_ready(jax.device_put(batch))
    began = time.perf_counter()
    for batch in itertools.islice(batches, steps):
        jax.block_until_ready(jax.device_put(batch))
    rate = steps * BATCH / (time.perf_counter() - began)
    next(batches, None)  # there is none: its processes end
    return rate


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jitter", type=float, nargs="+", default=[0.0])
    parser.add_argument("--images", type=int, default=640, help="timed in a turn")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    source = Photographs(arguments.images)
    rates: dict[str, list[float]] = {}
    turns = itertools.product(range(arguments.turns), arguments.jitter)
    for _, jitter in turns:
        after = f", jitter {jitter:g}" if jitter else ""
        rate = floor(source, arguments.images, jitter)
        rates.setdefault(f"floor{after}", []).append(rate)
        for workers in arguments.workers:
            name = f"{workers} workers" if workers else "threads"
            rate = loaded(source, arguments.images, workers, jitter)
            rates.setdefault(f"{name}{after}", []).append(rate)
    first = next(iter(rates.values()))
    device = jax.devices()[0].device_kind
    print(f"{device}, jax {jax.__version__}, JPEG of {len(source.image)} bytes")
    print("| | images/s | ÷ floor |\n|---|---|---|")
    for name, found in rates.items():
        ratios = map(np.divide, found, first)
        print(
            f"| {name} | {statistics.median(found):.0f} | "
            f"{statistics.median(ratios):.2f} |"
        )


if __name__ == "__main__":
    main()
