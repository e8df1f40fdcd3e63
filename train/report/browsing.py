"""A whole split to look at: each image predicted, its layers written, then the page."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lal_jax.metrics import confusion_matrix
from train.common.command import uninterrupted
from train.common.errors import UserError, lacks_space, memory_for, told_of
from train.common.text import shown
from train.data.forms import shown_image
from train.data.images import Source, has_label
from train.data.origin import name_of
from train.data.parts import Part
from train.data.places import short
from train.data.void import void_marked
from train.evaluation.crf import Crf
from train.evaluation.spread import replicas
from train.evaluation.whole_split import Evaluator, Panel, evenly
from train.report.browse_layers import layers
from train.report.browse_page import PICTURES, Browsed, browse_page, counts_above_0
from train.report.own_folder import OwnFolder
from train.training.step import TrainState
from train.workdir.evaluated import EvaluatedSplit

INDEX = "index.html"
PAGE_FILES = re.compile(rf"{INDEX}|{PICTURES}/\d+(_[a-z]+\.png|\.jpg)", re.ASCII)
_WAY_OUT = "Predict it in windows, or in smaller ones: --window 513 513."
_MOST_TOLD = 20  # of the failures, in a message


def write_browsing(
    split: EvaluatedSplit,
    run: str,
    folder: OwnFolder,
    limit: int = 0,
    crf: Crf | None = None,
) -> Path:
    """Predicts a split and writes the page of it; returns its path.

    After Ctrl-C it is the page of the images that are done.

    Args:
      split: what to predict, and how.
      run: its name.
      folder: what an earlier call wrote there is replaced.
      limit: so many images, spread evenly; 0 for all.
      crf: refines the predictions.

    Raises:
      UserError: images failed, after the others were written; or there are none.
    """
    pages = _Pages(split, run, folder, crf)
    chosen, failures = _sound(split.dataset.val, limit)
    pages.failures += failures
    try:
        if chosen:
            pages.add(chosen)
    except KeyboardInterrupt:
        with uninterrupted():
            pages.finish(stopped=True)
            if pages.images:
                print(f"\nPage of what is done: {folder.path / INDEX}")
        raise
    path = pages.finish()
    if pages.failures:
        raise UserError(_told(pages.failures, len(pages.images), path))
    return path


class _Pages:
    """The images that are done."""

    def __init__(
        self, split: EvaluatedSplit, run: str, folder: OwnFolder, crf: Crf | None
    ):
        self._split, self._run, self._folder, self._crf = split, run, folder, crf
        self.images: list[Browsed] = []
        self.failures: list[str] = []

    def add(self, chosen: Sequence[int]) -> None:
        """Predicts images of the split, and writes their layers one by one."""
        trained, dataset, options, *_ = self._split
        source = Part(dataset.val, chosen)
        predictor = trained.predictor(options)
        evaluator = Evaluator(predictor, source, dataset.class_names, self._crf)
        progress = tqdm(total=len(chosen), unit="image", dynamic_ncols=True)
        panels = _panels(evaluator, trained.state)
        with progress, contextlib.closing(panels):  # a stop ends CRFs before the page
            for place, found in panels:
                name = found.name if isinstance(found, Panel) else _name(source, place)
                progress.set_description(shown(name), refresh=False)
                try:
                    if isinstance(found, Exception):
                        raise found
                    self._write(chosen[place], found)
                except Exception as error:  # whatever it is, of one image
                    self.failures.append(_told_of(name, error))
                    if lacks_space(error):
                        break
                progress.update()

    def _write(self, index: int, panel: Panel) -> None:
        """Writes the layers of an image and notes its counts."""
        classes = len(self._split.dataset.class_names)
        confusion = np.asarray(
            confusion_matrix(panel.prediction, panel.truth, num_classes=classes)
        )
        height, width = panel.truth.shape
        ignored = panel.truth.size - int(confusion.sum())
        counts = counts_above_0(confusion)
        image = Browsed(index + 1, panel.name, (width, height), ignored, counts)
        if not self.images:
            self._folder.clear()  # an earlier page stays until there is another
        for end, content in layers(panel, self._split.dataset.colors).items():
            self._folder.write(image.stem + end, content)
        self.images.append(image)

    def finish(self, *, stopped: bool = False) -> Path:
        """Writes the page and returns its path.

        Raises:
          UserError: there is no image, so there is no page.
        """
        path = self._folder.path / INDEX
        if not self.images:
            if stopped:
                return path
            raise UserError(_told(self.failures, 0, path))
        dataset, total = self._split.dataset, len(self._split.dataset.val)
        notes = []
        if (count := len(self.images)) < total:
            why = "Stopped: shown are" if stopped else "Shown are"
            notes.append(
                f"{why} {count} of the {total} images of this split, and the figures "
                "are of these."
            )
        html = browse_page(
            name=self._run,
            lead=_lead(self._split, self._crf),
            notes=notes,
            failures=self.failures,
            class_names=void_marked(dataset.class_names, dataset.void),
            colors=dataset.colors,
            images=sorted(self.images, key=lambda image: image.number),
        )
        return self._folder.write(INDEX, html.encode(errors="backslashreplace"))


def _sound(source: Source, limit: int) -> tuple[list[int], list[str]]:
    """Returns which images of a split to predict, and what is wrong with others.

    Those with a mask that can be read; what its image is, predicting tells.
    """
    chosen, failures = [], []
    for index in evenly(len(source), limit or len(source)):
        try:
            has_label(source[index])
            chosen.append(index)
        except Exception as error:  # whatever it is, of one image
            failures.append(_told_of(_name(source, index), error))
    return chosen, failures


def _panels(
    evaluator: Evaluator, state: TrainState
) -> Generator[tuple[int, Panel | Exception], None, None]:
    """Yields each image of a split by its place, or what it failed of.

    Masks are those that are evaluated. Where images predicted together fail, each is
    predicted again, alone.
    """
    alone = replicas(state)[0]
    with contextlib.closing(evaluator.pieces(state)) as pieces:
        for indices, compared in pieces:
            try:
                found = compared()
            except Exception:  # of one of them, or of memory for all
                for index in indices:
                    yield index, _alone(evaluator, alone, index)
                continue
            for index, (example, mask) in zip(indices, found, strict=True):
                name = _name(evaluator.source, index)
                seen = shown_image(example.image)
                yield index, Panel(name, seen, example.label, mask)


def _alone(evaluator: Evaluator, state: TrainState, index: int) -> Panel | Exception:
    """Returns an image of a split with its prediction, or what that failed of."""
    try:
        with memory_for("it", _WAY_OUT):
            return evaluator.panel(state, index)
    except Exception as error:  # whatever it is, of one image
        return error


def _name(source: Source, index: int) -> str:
    """Returns the name of an image, or its place where it cannot be read."""
    try:
        return name_of(source[index])
    except Exception:  # whatever a damaged record raises
        return f"image {index + 1}"


def _told_of(name: str, error: Exception) -> str:
    """Returns what went wrong with an image, which few errors name."""
    named = not isinstance(error, UserError) or str(error).startswith(f"{name}: ")
    return told_of(name, error if named else UserError(f"{name}: {error}"))


def _told(failures: Sequence[str], shown_images: int, path: Path) -> str:
    """Returns a message of failures, the first of many."""
    count = len(failures)
    page = f"Page: {path}" if shown_images else "No page was written"
    more = [f"and {count - _MOST_TOLD} more"] if count > _MOST_TOLD else []
    return "\n".join([f"{page}; {count} failed:", *failures[:_MOST_TOLD], *more])


def _lead(split: EvaluatedSplit, crf: Crf | None) -> str:
    """Returns what was predicted, and how."""
    options, step = split.options, int(split.trained.state.step)
    parts = [f"{short(split.dataset.name)}, {split.name}", f"step {step:,}"]
    if options.scales != (1.0,):
        parts.append(f"scales {' '.join(map(str, options.scales))}")
    if options.flip:
        parts.append("flipped as well")
    if options.window != (0, 0):
        parts.append("windows of {}×{}".format(*options.window))
    if crf:
        parts.append(f"refined by a dense CRF ({crf.parameters.told()})")
    return " · ".join(parts)
