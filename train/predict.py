"""Predicts masks: python train/predict.py MODEL IMAGE... --out DIR."""

from __future__ import annotations

import csv
import functools
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image
from tqdm import tqdm

from train.common.command import cache_compilations, run_command
from train.common.errors import (
    NotFinite,
    UserError,
    lacks_space,
    memory_for,
    told_of,
)
from train.common.files import append_text, locked, replace_bytes
from train.common.regular import read_regular
from train.common.text import csv_text, plain_cell, shown
from train.data.image_files import PIXEL_LIMIT, limit_pixels
from train.data.images import read_image
from train.data.palette import mask_image, overlay
from train.evaluation.inference import Predictor
from train.evaluation.input_images import MaskFiles, find_images, name_outputs
from train.evaluation.own_pictures import as_predicted, is_ours
from train.evaluation.probability_files import is_probability_file, probability_file
from train.evaluation.sliding_windows import Progress
from train.evaluation.spread import replicas, spread
from train.evaluation.views import PredictionOptions
from train.training.step import TrainState
from train.workdir.trained import Checkpoint, Trained, load_trained


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
        [height, width, classes], and `class_names`.
    """
    limit_pixels(prediction.pixel_limit or PIXEL_LIMIT)
    outputs, areas = name_outputs(find_images(images), out), out / "areas.csv"
    if not overwrite:
        _check_replaceable(outputs.values(), probabilities)
    trained = load_trained(model, checkpoint)
    cache_compilations(prediction.compilation_cache)
    predictor = trained.predictor(prediction.applied(trained.use.evaluation))
    if height := trained.use.image_height:
        print(
            f"Images are resized to a height of {height} pixels, as in training; masks "
            "have the images' own size."
        )
    header = ["image", "width", "height", *trained.class_names]
    _begin_areas(areas, header, outputs)
    limit_pixels(prediction.pixel_limit or trained.use.pixel_limit)
    shares, failures = [], []

    def write(state: TrainState, image: tuple[Path, MaskFiles]) -> tuple:
        alone = trained._replace(state=state)
        mask = _predict_one(*image, predictor, alone, probabilities)
        return mask.shape, class_shares(mask, len(trained.class_names))

    written = spread(write, outputs.items(), replicas(trained.state))
    progress = tqdm(written, total=len(outputs), unit="image", dynamic_ncols=True)
    for (path, _), result in progress:
        progress.set_description(shown(path.name))
        try:
            (height, width), found = result()
            texts = [f"{share:.6f}" for share in found]
            # At once, so that finished images are kept if the program stops.
            with locked(out):
                append_text(areas, csv_text([[path, width, height, *texts]]))
            shares.append(found)
        except Exception as error:  # whatever it is, of one image
            failures.append(told_of(path, error))
            if lacks_space(error):
                break
    _summarize(shares, failures, len(outputs), trained.class_names, out)


def _check_replaceable(outputs: Iterable[MaskFiles], probabilities: bool) -> None:
    """Refuses to write over files that no prediction wrote, such as drawn masks.

    Raises:
      UserError: it names the first.
    """
    for files in outputs:
        kinds = [(path, is_ours) for path in files]
        if probabilities:
            kinds.append((files.probabilities, is_probability_file))
        for path, known in kinds:
            if not os.path.lexists(path) or known(path):
                continue
            raise UserError(
                f"{path} is there already, and it is not as a prediction wrote it: it "
                "may have been drawn or edited. Choose another --out, or add "
                "--overwrite to lose it."
            )


def _begin_areas(path: Path, header: list[str], images: Iterable[Path]) -> None:
    """Writes the table without the lines of images; makes its folder if need be.

    Raises:
      UserError: what is there is of other classes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):  # several processes may share it
        lines = [header, *_earlier_areas(path, header, images)]
        replace_bytes(path, csv_text(lines).encode(errors="surrogateescape"))


def _earlier_areas(
    path: Path, header: list[str], images: Iterable[Path]
) -> list[list[str]]:
    """Returns the lines that an earlier call wrote for other images.

    Raises:
      UserError: they are of other classes, or the file is another's.
    """
    if not path.is_file():
        return []
    text = read_regular(path).decode(errors="surrogateescape")
    try:
        lines = csv.reader(io.StringIO(text, newline=""))
        read = [list(map(plain_cell, line)) for line in lines]
    except csv.Error as error:
        raise UserError(
            f"{path} is not as a prediction wrote it ({error}). Choose another --out."
        ) from error
    found, *others = read or [header]
    if found != header:
        raise UserError(
            f"{path} is of a model with other classes. Choose another --out."
        )
    again = {str(image) for image in images}
    return [line for line in others if line and line[0] not in again]


def _predict_one(
    path: Path,
    files: MaskFiles,
    predictor: Predictor,
    trained: Trained,
    probabilities: bool,
) -> np.ndarray:
    """Writes what is asked for of one image, and returns the mask.

    Raises:
      UserError: it cannot be read, memory does not suffice, or the network gives no
        prediction.
      OSError: a file cannot be written; each is then whole, or as it was.
    """
    way_out = "Predict it in windows, or in smaller ones: --window 513 513."
    with memory_for(str(path), way_out):
        image = read_image(path)
        bar = functools.partial(tqdm, desc="rows of windows", leave=False, disable=None)
        try:
            if probabilities:
                written = files.probabilities
                mask = _with_probabilities(written, image, predictor, trained, bar)
            else:
                mask = predictor.mask(trained.state, image, progress=bar)
        except NotFinite as error:
            raise UserError(f"{path}: {error}") from error
        painted = np.empty_like(image)
        for rows in _bands(len(image)):
            painted[rows] = overlay(image[rows], mask[rows], trained.colors)
        replace_bytes(files.overlay, as_predicted(Image.fromarray(painted)))
        replace_bytes(files.mask, as_predicted(mask_image(mask, trained.colors)))
        if not probabilities and is_probability_file(files.probabilities):
            files.probabilities.unlink()  # those of an earlier mask
    return mask


def _with_probabilities(
    path: Path,
    image: np.ndarray,
    predictor: Predictor,
    trained: Trained,
    progress: Progress,
) -> np.ndarray:
    """Writes the probabilities of an image, band by band, and returns its mask."""
    height, width = image.shape[:2]
    masks = []
    with probability_file(path, (height, width), trained.class_names) as write:
        for band in predictor.bands(trained.state, image, progress=progress):
            write(band.probabilities)
            masks.append(band.mask)
    return np.concatenate(masks)


def class_shares(mask: np.ndarray, classes: int) -> np.ndarray:
    """Returns the fraction of a mask's pixels in each class, float64 `[classes]`."""
    counts = np.zeros(classes, np.int64)
    for rows in _bands(len(mask)):
        counts += np.bincount(mask[rows].ravel(), minlength=classes)
    return counts / mask.size


def _bands(height: int) -> Iterator[slice]:
    """Yields the rows of an image in bands, whose floats and int64s fit into memory."""
    for start in range(0, height, 256):
        yield slice(start, start + 256)


def _summarize(
    shares: Sequence[np.ndarray],
    failures: Sequence[str],
    total: int,
    class_names: Sequence[str],
    out: Path,
) -> None:
    """Prints the largest classes and the number of masks written, of so many in all.

    Raises:
      UserError: there are failures; it lists them.
    """
    if shares:
        mean = np.mean(shares, axis=0)
        largest = np.argsort(-mean, kind="stable")[:10]
        names = [shown(name) for name in class_names]
        width = max(len("class"), *(len(names[index]) for index in largest))
        print(f"{'class':<{width}}  mean area %")
        for index in largest:
            print(f"{names[index]:<{width}}  {100 * mean[index]:>11.2f}")
    written = f"{len(shares)} of {total} masks written to {out}"
    if failures:
        raise UserError(f"{written}; {len(failures)} failed:\n" + "\n".join(failures))
    print(written)


if __name__ == "__main__":
    run_command(lambda: tyro.cli(predict, config=(tyro.conf.FlagCreatePairsOff,)))
