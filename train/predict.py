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
        save_mask(out / f"{path.stem}.png", mask, trained.colors)
        picture = Image.fromarray(overlay(image, mask, trained.colors))
        picture.save(out / f"{path.stem}_overlay.png")
    print(f"{len(images) - len(failures)} of {len(images)} masks written to {out}")
    if failures:
        raise UserError("\n".join(failures))


def _check_outputs(images: tuple[Path, ...], out: Path) -> None:
    """Refuses to overwrite an input, or one mask by another."""
    if not images:
        raise UserError(
            "no image named. Usage: train/predict.py RUN IMAGE... --out DIR"
        )
    taken: dict[str, Path] = {}
    for path in images:
        if path.stem in taken:
            raise UserError(
                f"{taken[path.stem]} and {path} would both be written to "
                f"{out / path.stem}.png. Predict them into two folders."
            )
        taken[path.stem] = path
        if (out / f"{path.stem}.png").resolve() == path.resolve():
            raise UserError(f"{path} would be overwritten. Choose another --out.")


if __name__ == "__main__":
    run_program(lambda: tyro.cli(predict))
