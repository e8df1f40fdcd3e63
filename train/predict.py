"""Predicts masks: python train/predict.py MODEL IMAGE... --out DIR."""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import contextlib
import dataclasses
import errno
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from train.common.command import cache_compilations, run_command
from train.common.errors import UserError, lacks_space, told_of
from train.common.options import annotate
from train.common.signals import stop_told
from train.common.text import shown
from train.data.image_files import PIXEL_LIMIT, limit_pixels
from train.data.images import Size
from train.evaluation.areas import add_area, begin_areas, images_of, largest_areas
from train.evaluation.claims import claimed
from train.evaluation.crf import check_installed, processes, refiner
from train.evaluation.crf_options import WITHOUT, CrfOptions
from train.evaluation.input_images import MaskFiles, find_images, name_outputs
from train.evaluation.input_sizes import (
    multiple_for,
    padded_sizes,
    size_at_height,
    sizes_of,
)
from train.evaluation.mask_files import (
    Beside,
    MaskMaker,
    check_replaceable,
    is_written,
)
from train.evaluation.spread import replicas
from train.evaluation.stages import looked_at, overlapped
from train.evaluation.views import EvaluationOptions, PredictionOptions
from train.workdir.trained import Checkpoint, load_trained


def predict(
    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")],
    images: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")
    ],
    /,
    out: Path,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
    overwrite: bool = False,
    checkpoint: Checkpoint = "newest",
    probabilities: bool = False,
    skip_existing: bool = False,
    overlays: bool = True,
    crf: tyro.conf.OmitArgPrefixes[CrfOptions] = WITHOUT,
) -> None:
    """Writes OUT/NAME.png, a palette mask, and OUT/NAME_overlay.png for each image.

    OUT/areas.csv gets each class's fraction of the pixels, one line per image; lines of
    earlier calls are kept.

    Args:
      model: folder of a run, or weights (.safetensors).
      images: files of any size, folders of them, or quoted patterns: 'photos/*.jpg', or
        'photos/**/*.jpg' for folders within folders.
      out: folder for the masks.
      prediction: how to predict, where not as the model's configuration says.
      overwrite: replaces pictures in OUT that no prediction wrote, or that were edited
        since.
      checkpoint: of a run; the best one is kept with --keep-best of train/main.py.
      probabilities: also writes OUT/NAME_probabilities.npz: `probabilities`, float16
        [height, width, classes], and `class_names`; with a CRF its marginals.
      skip_existing: leaves out images whose files an earlier call wrote, whatever its
        model and options.
      overlays: also writes OUT/NAME_overlay.png; masks alone are quicker.
      crf: whether and how a dense CRF refines predictions.
    """
    check_installed(crf)
    limit_pixels(prediction.pixel_limit or PIXEL_LIMIT)
    outputs, areas = name_outputs(find_images(images), out), out / "areas.csv"
    beside = Beside(overlays, probabilities)
    if skip_existing and not (outputs := _not_written(outputs, areas, beside)):
        return
    if not overwrite:
        check_replaceable(outputs, beside)
    trained = load_trained(model, checkpoint)
    cache_compilations(prediction.compilation_cache)
    limit_pixels(prediction.pixel_limit or trained.use.pixel_limit)
    sizes, height = sizes_of(list(outputs)), trained.use.image_height
    if height:
        print(
            f"Images are resized to a height of {height} pixels, as in training; masks "
            "have the images' own size."
        )
    options = prediction.applied(trained.use.evaluation)
    if prediction.size_multiple is None:
        options = _of_few_sizes(
            [size_at_height(s, height) for s in sizes.values()], options
        )
    # Probabilities of all classes wait for a CRF, not the masks alone.
    weight = len(trained.class_names) if crf.on else 1
    pixels = {path: weight * size[0] * size[1] for path, size in sizes.items()}
    items = ((item, pixels.get(item[0], 0)) for item in outputs.items())
    states, writers = replicas(trained.state), processes() if crf.on else 2
    shares, failures, began = [], [], time.perf_counter()
    with claimed(out, outputs), refiner(crf, trained.void) as refine:
        begin_areas(areas, trained.class_names, outputs.keys())
        maker = MaskMaker(
            trained.predictor(options),
            trained.class_names,
            trained.colors,
            beside=beside,
            crf=refine,
        )
        work = overlapped(maker.stages, items, states, writers=writers)
        with contextlib.closing(work) as written, stop_told():
            progress = tqdm(
                written, total=len(outputs), unit="image", dynamic_ncols=True
            )
            for (path, _), result in progress:
                progress.set_description(shown(path.name))
                try:
                    area = result()
                    # At once, so that finished images are kept if the program stops.
                    add_area(areas, path, *area)
                    shares.append(area.shares)
                except Exception as error:  # whatever it is, of one image
                    failures.append(told_of(path, error))
                    if lacks_space(error) and getattr(error, "errno", 0) != errno.EFBIG:
                        break  # the next would find none either
    rate = len(outputs) / (time.perf_counter() - began)
    if shares:
        print(largest_areas(shares, trained.class_names))
    summary = f"{len(shares)} of {len(outputs)} masks written to {out}"
    if failures:
        raise UserError(f"{summary}; {len(failures)} failed:\n" + "\n".join(failures))
    print(f"{summary}, {rate:.1f} images/s")


def _not_written(
    outputs: dict[Path, MaskFiles], areas: Path, beside: Beside
) -> dict[Path, MaskFiles]:
    """Returns the images that lack a file or their line in the table, and says so."""
    lines = images_of(areas)

    def is_done(item: tuple[Path, MaskFiles]) -> bool:
        path, files = item
        return shown(path) in lines and is_written(path, files, beside)

    done = looked_at(is_done, list(outputs.items()), "what is there")
    left = {
        path: files
        for (path, files), there in zip(outputs.items(), done, strict=True)
        if not there
    }
    print(f"{len(outputs) - len(left)} of {len(outputs)} images are done already.")
    return left


def _of_few_sizes(
    sizes: Sequence[Size], options: EvaluationOptions
) -> EvaluationOptions:
    """Returns the options, with padding where images have many sizes, and says so."""
    multiple = multiple_for(sizes, options)
    if multiple != options.size_multiple:
        print(
            f"The images have {len(set(sizes))} sizes: they are padded to multiples of "
            f"{multiple} pixels, {padded_sizes(sizes, multiple)} sizes, each of which "
            "is compiled. Masks differ a little near the padding; --size-multiple 1 "
            "takes each image as it is."
        )
    return dataclasses.replace(options, size_multiple=multiple)


def main() -> None:
    """Predicts as the command line says."""
    annotate(CrfOptions)
    tyro.cli(predict, config=(tyro.conf.FlagCreatePairsOff,))


if __name__ == "__main__":
    run_command(main)
