"""Predicts masks: python train/predict.py RUN IMAGE... --out DIR."""

from __future__ import annotations

from pathlib import Path

import tyro
from PIL import Image
from tqdm import tqdm

from train.errors import UserError
from train.pictures import overlay, save_mask
from train.program import run_program
from train.trained import load_run
from train.voc import read_image


def predict(
    run: tyro.conf.Positional[Path],
    images: tyro.conf.Positional[tuple[Path, ...]],
    /,
    out: Path,
) -> None:
    """Writes OUT/NAME.png, a palette mask, and OUT/NAME_overlay.png for each image.

    Args:
      run: folder of a run.
      images: files of any size.
      out: folder for the masks.
    """
    _check_outputs(images, out)
    trained = load_run(run)
    out.mkdir(parents=True, exist_ok=True)
    failures = []
    for path in tqdm(images, unit="image", dynamic_ncols=True):
        try:
            image = read_image(path)
        except UserError as error:
            failures.append(str(error))
            continue
        mask = trained.predictor.mask(trained.state, image)
        mask_path, overlay_path = _outputs(path, out)
        save_mask(mask_path, mask, trained.colors)
        Image.fromarray(overlay(image, mask, trained.colors)).save(overlay_path)
    print(f"{len(images) - len(failures)} of {len(images)} masks written to {out}")
    if failures:
        raise UserError("\n".join(failures))


def _check_outputs(images: tuple[Path, ...], out: Path) -> None:
    """Refuses to overwrite an input, or one mask by another."""
    if not images:
        raise UserError(
            "no image named. Usage: train/predict.py RUN IMAGE... --out DIR"
        )
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


if __name__ == "__main__":
    run_program(lambda: tyro.cli(predict))
