"""Predicts masks: python train/predict.py MODEL IMAGE... --out DIR."""

from __future__ import annotations

import csv
import functools
import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image
from tqdm import tqdm

from train.errors import UserError
from train.inference import PredictionOptions, Predictor
from train.pictures import overlay, save_mask
from train.program import keep_programs, run_program
from train.trained import Trained, load_trained
from train.voc import read_image

IMAGE_SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .png .ppm .tif .tiff .webp".split())


def predict(
    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")],
    images: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")
    ],
    /,
    out: Path,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
) -> None:
    """Writes OUT/NAME.png, a palette mask, and OUT/NAME_overlay.png for each image.

    OUT/areas.csv gets each class's share of the pixels, a line an image.

    Args:
      model: folder of a run, or weights (.safetensors).
      images: files of any size, folders of them, or quoted patterns: 'photos/*.jpg', or
        'photos/**/*.jpg' for folders within folders.
      out: folder for the masks.
      prediction: how to predict, where not as the model's configuration says.
    """
    paths = find_images(images)
    _check_outputs(paths, out)
    trained = load_trained(model)
    keep_programs(trained.config.compilation_cache)
    predictor = Predictor(trained.graph, prediction.applied(trained.config))
    out.mkdir(parents=True, exist_ok=True)
    # Pillow takes huge images for attacks, but these are the user's own.
    Image.MAX_IMAGE_PIXELS = None
    shares, failures = [], []
    # Line by line, so that what is done stays, come what may.
    with (out / "areas.csv").open(
        "w", buffering=1, newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        table = csv.writer(file)
        table.writerow(("image", "width", "height", *trained.class_names))
        progress = tqdm(paths, unit="image", dynamic_ncols=True)
        for path in progress:
            progress.set_description(path.name)
            try:
                mask = _predict_one(path, out, predictor, trained)
            except UserError as error:
                failures.append(str(error))
                continue
            shares.append(class_shares(mask, len(trained.class_names)))
            areas = (f"{share:.6f}" for share in shares[-1])
            table.writerow((path, *mask.shape[::-1], *areas))
    _summarize(shares, failures, trained.class_names, out)


def find_images(named: Sequence[Path]) -> list[Path]:
    """Returns the files that paths, folders and patterns stand for, each once.

    Args:
      named: a file, which need not exist; a folder, for the images directly in it by
        suffix; or a pattern of `glob`, for the files that match.

    Raises:
      UserError: nothing is named, a folder has no image, or nothing matches a pattern.
    """
    if not named:
        raise UserError(
            "no image named. Usage: train/predict.py MODEL IMAGE... --out DIR"
        )
    found: dict[Path, None] = {}
    for path in named:
        found.update(dict.fromkeys(_expanded(path)))
    return list(found)


def _expanded(path: Path) -> list[Path]:
    if path.is_dir():
        images = [
            file
            for file in sorted(path.iterdir())
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        ]
        if not images:
            listed = ", ".join(sorted(IMAGE_SUFFIXES))
            raise UserError(f"{path} has no image directly in it ({listed}).")
        return images
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    matches = map(Path, sorted(glob.glob(str(path), recursive=True)))
    files = [match for match in matches if match.is_file()]
    if not files:
        raise UserError(f"{path} matches no file.")
    return files


def _check_outputs(images: Sequence[Path], out: Path) -> None:
    """Refuses to overwrite an input, or one mask by another."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file. Name a folder.")
    taken: dict[Path, Path] = {}
    for path in images:
        if path.parent.resolve() == out.resolve():
            raise UserError(
                f"--out {out} is the folder of {path}, where files could be "
                "overwritten. Choose another."
            )
        for output in _outputs(path, out):
            if output in taken:
                raise UserError(
                    f"{taken[output]} and {path} would both be written to {output}. "
                    "Predict them into two folders."
                )
            taken[output] = path


def _outputs(image: Path, out: Path) -> tuple[Path, Path]:
    """Returns where an image's mask and overlay go."""
    return out / f"{image.stem}.png", out / f"{image.stem}_overlay.png"


def _predict_one(
    path: Path, out: Path, predictor: Predictor, trained: Trained
) -> np.ndarray:
    """Writes the mask and the overlay of one image, and returns the mask.

    Raises:
      UserError: it cannot be read, or memory does not suffice.
    """
    try:
        image = read_image(path)
        bar = functools.partial(tqdm, desc="rows of windows", leave=False, disable=None)
        mask = predictor.mask(trained.state, image, progress=bar)
        mask_path, overlay_path = _outputs(path, out)
        save_mask(mask_path, mask, trained.colors)
        painted = np.empty_like(image)
        for rows in _bands(len(image)):
            painted[rows] = overlay(image[rows], mask[rows], trained.colors)
        Image.fromarray(painted).save(overlay_path)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"{path} takes more memory than there is. Predict it in windows, or in "
            "smaller ones: --window 513 513."
        ) from error
    return mask


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
    class_names: Sequence[str],
    out: Path,
) -> None:
    """Prints the largest classes, and how many masks were written.

    Raises:
      UserError: there are failures; it lists them.
    """
    if shares:
        mean = np.mean(shares, axis=0)
        largest = np.argsort(-mean, kind="stable")[:10]
        width = max(len("class"), *(len(class_names[index]) for index in largest))
        print(f"{'class':<{width}}  mean area %")
        for index in largest:
            print(f"{class_names[index]:<{width}}  {100 * mean[index]:>11.2f}")
    total = len(shares) + len(failures)
    written = f"{len(shares)} of {total} masks written to {out}"
    if failures:
        raise UserError(f"{written}; {len(failures)} failed:\n" + "\n".join(failures))
    print(written)


if __name__ == "__main__":
    run_program(lambda: tyro.cli(predict, config=(tyro.conf.FlagCreatePairsOff,)))
