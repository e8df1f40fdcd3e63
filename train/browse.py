"""Shows a whole split of a run: python train/browse.py RUN [--out DIR] [--limit N].

--split, --data, --checkpoint, --scales, --flip, --window, --crf and the others are
those of train/evaluate.py, and the mean IoU is the same.
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
from pathlib import Path
from typing import Annotated

import tyro

from train.common.command import cache_compilations, run_command
from train.common.errors import UserError
from train.common.options import annotate
from train.common.signals import stop_told
from train.evaluation.crf import check_installed, refiner
from train.evaluation.crf_options import WITHOUT, CrfOptions
from train.evaluation.views import PredictionOptions
from train.report.browsing import PAGE_FILES, write_browsing
from train.report.own_folder import own_folder
from train.workdir.evaluated import SplitOptions, load_split, name_of_result


def browse(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    /,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
    chosen: tyro.conf.OmitArgPrefixes[SplitOptions],
    out: Path | None = None,
    limit: int = 0,
    crf: tyro.conf.OmitArgPrefixes[CrfOptions] = WITHOUT,
) -> None:
    """Writes OUT/index.html: every image of a split, with truth beside prediction.

    The page opens from the disk, without a network. Its pictures are beside it, in
    OUT/pictures. Ctrl-C leaves a page of the images that are done.

    Args:
      run: folder of a run.
      prediction: how to predict, where not as the run does.
      chosen: which images, and which network.
      out: folder for the page, new, empty, or with an earlier page, which is replaced;
        RUN/browse_SPLIT if none is named.
      limit: shows so many images of the split, spread evenly; 0 shows all.
      crf: whether and how a dense CRF refines predictions.
    """
    if limit < 0:
        raise UserError(f"--limit must be 0 or more, got {limit}")
    check_installed(crf)
    split = load_split(run, prediction, chosen)
    cache_compilations(prediction.compilation_cache)
    place = out or run / name_of_result("browse", [*split.words, *crf.named()])
    if out is None and place.is_symlink():
        raise UserError(f"{place} is a link. Name the folder for the page with --out.")
    with (
        own_folder(place, PAGE_FILES) as folder,
        refiner(crf, split.dataset.void) as refine,
        stop_told(),
    ):
        page = write_browsing(split, run.resolve().name, folder, limit, refine)
    print(f"Page: {page}")


def main() -> None:
    """Shows a split as the command line says."""
    annotate(CrfOptions)
    tyro.cli(browse, config=(tyro.conf.FlagCreatePairsOff,))


if __name__ == "__main__":
    run_command(main)
