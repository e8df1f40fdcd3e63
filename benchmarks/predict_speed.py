"""How fast masks of a folder are predicted: python benchmarks/predict_speed.py.

Images a second of train/predict.py's stages, from JPEGs of 500×375 to masks on the
disk, and with overlays, beside the network alone, from an image in memory to a mask
there. They take turns; printed are medians and the median ratios. Then images of 30
sizes, each as it is and padded: seconds, and what the process grew by.

Networks have random weights, of the presets named.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import jax
import psutil
from PIL import Image

from benchmarks.loader_speed import Photographs
from train.data.images import read_image
from train.data.palette import voc_colormap
from train.evaluation.inference import Predictor
from train.evaluation.input_images import name_outputs
from train.evaluation.input_sizes import multiple_for
from train.evaluation.mask_files import Beside, MaskMaker
from train.evaluation.spread import replicas
from train.evaluation.stages import overlapped
from train.presets import PRESETS
from train.training.step import make_state
from train.workdir.trained import Trained

CLASSES = 21


def untrained(preset: str) -> Trained:
    """Returns a preset's network with random weights."""
    config = PRESETS[preset]
    graph, state = make_state(config, CLASSES, seed=0)
    names = tuple(f"class {index}" for index in range(CLASSES))
    return Trained(config, names, voc_colormap()[:CLASSES], graph, state)


def written(
    trained: Trained, predictor: Predictor, images: list[Path], *, overlays: bool = True
) -> float:
    """Returns the seconds that it takes to write the masks of some images."""
    with tempfile.TemporaryDirectory() as out:
        maker = MaskMaker(
            predictor, trained.class_names, trained.colors, beside=Beside(overlays)
        )
        outputs = name_outputs(images, Path(out))
        items = ((item, 500 * 375) for item in outputs.items())
        began = time.perf_counter()
        results = overlapped(maker.stages, items, replicas(trained.state))
        with contextlib.closing(results):
            for _, result in results:
                result()
        return time.perf_counter() - began


def alone(trained: Trained, predictor: Predictor, images: list[Path]) -> float:
    """Returns the seconds that the network takes for as many images."""
    image, state = read_image(images[0]), replicas(trained.state)[0]
    began = time.perf_counter()
    for _ in images:
        predictor.mask(state, image)
    return time.perf_counter() - began


def compare(preset: str, images: list[Path], turns: int) -> None:
    """Prints a line for a network."""
    trained = untrained(preset)
    predictor = trained.predictor()
    alone(trained, predictor, images[:1])  # compiles
    found = [
        (
            alone(trained, predictor, images),
            written(trained, predictor, images, overlays=False),
            written(trained, predictor, images),
        )
        for _ in range(turns)
    ]
    network, masks, whole = zip(*found, strict=True)
    line = f"{preset:<20} {len(images) / statistics.median(network):>10.2f}"
    for side in (masks, whole):
        ratio = statistics.median(a / b for a, b in zip(network, side, strict=True))
        line += f" {len(images) / statistics.median(side):>10.2f} {ratio:>7.2f}"
    print(line, flush=True)


def of_many_sizes(preset: str, folder: Path) -> None:
    """Prints seconds and growth for images of 30 sizes, as they are and padded."""
    whole = Image.open(folder / "0.jpg")
    sizes = list(itertools.product(range(300, 360, 10), range(340, 440, 20)))
    images = []
    for height, width in sizes:
        images.append(folder / f"{height}x{width}.jpg")
        whole.resize((width, height)).save(images[-1])
    trained = untrained(preset)
    options = dataclasses.replace(trained.use.evaluation, size_multiple=1)
    for multiple in (multiple_for(sizes, options), 1):
        predictor = trained.predictor(
            dataclasses.replace(options, size_multiple=multiple)
        )
        before = psutil.Process().memory_info().rss
        seconds = written(trained, predictor, images)
        grown = (psutil.Process().memory_info().rss - before) / 2**20
        padded = f"{len(sizes)} sizes, multiples of {multiple}"
        print(f"{padded}: {seconds:.1f} s, {grown:.0f} MiB")


def main() -> None:
    """Prints a line for each network, and one for many sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["camvid_small", "clothing"])
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")
    heads = f"{'masks':>10} {'ratio':>7} {'+ overlays':>10} {'ratio':>7}"
    print(f"{'images/s':<20} {'network':>10} {heads}")
    with tempfile.TemporaryDirectory() as folder:
        images = [Path(folder) / f"{index}.jpg" for index in range(arguments.images)]
        for path in images:
            path.write_bytes(Photographs(1).image)
        for preset in arguments.presets:
            compare(preset, images, arguments.turns)
        of_many_sizes(arguments.presets[0], Path(folder))


if __name__ == "__main__":
    main()
