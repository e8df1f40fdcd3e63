"""The files that a prediction writes of an image, and the steps that make them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from train.common.errors import NotFinite, UserError, memory_for
from train.common.files import replace_bytes
from train.data.fingerprint import digest_of, signature_of
from train.data.forms import shown_image
from train.data.images import Size, read_image
from train.data.palette import mask_image, overlay
from train.evaluation.areas import class_shares
from train.evaluation.bands import Band, bands_at_size, largest_class, row_bands
from train.evaluation.crf import Crf
from train.evaluation.inference import Predictor
from train.evaluation.input_images import MaskFiles
from train.evaluation.own_pictures import (
    as_predicted,
    image_of,
    is_ours,
    overlay_as_predicted,
)
from train.evaluation.probability_files import is_probability_file, probability_file
from train.evaluation.sliding_windows import Span
from train.evaluation.stages import Stages, looked_at
from train.training.step import TrainState

_WAY_OUT = "Predict it in windows, or in smaller ones: --window 513 513."


class Beside(NamedTuple):
    """What is written of an image beside its mask."""

    overlays: bool = True
    probabilities: bool = False


class Seen(NamedTuple):
    """An image, `[height, width, channels]`, and the digest of its file."""

    path: Path
    files: MaskFiles
    image: np.ndarray
    digest: str


class Masked(NamedTuple):
    """An image and its mask, uint8 `[height, width]`."""

    seen: Seen
    mask: np.ndarray


class Unrefined(NamedTuple):
    """An image before its CRF: as it is prepared, with its probabilities."""

    seen: Seen
    prepared: np.ndarray  # [height, width, channels]
    probabilities: np.ndarray  # float32 [height, width, classes]


class Area(NamedTuple):
    """Height and width of a mask, and each class's fraction of its pixels."""

    size: Size
    shares: np.ndarray


class MaskMaker:
    """Makes the files of one image after the other.

    Args:
      predictor: makes the masks.
      class_names: those of the network.
      colors: uint8 `[classes, 3]`.
      beside: what is written too.
      crf: refines the predictions, and the probabilities are its marginals then.
    """

    def __init__(
        self,
        predictor: Predictor,
        class_names: Sequence[str],
        colors: np.ndarray,
        *,
        beside: Beside,
        crf: Crf | None = None,
    ):
        self._predictor, self._beside = predictor, beside
        self._crf = crf
        self._class_names, self._colors = class_names, colors
        self._stopped = threading.Event()
        self.stages = Stages(self._read, self._predict, self._write, self._stop)

    def _read(self, named: tuple[Path, MaskFiles]) -> Seen:
        path, files = named
        with memory_for(str(path), _WAY_OUT):
            before = signature_of(path) if path.exists() else None
            image = read_image(path, self._predictor.form)
            self._predictor.check(image.shape[0], str(path))
            digest = digest_of(path)
            if signature_of(path) != before:  # the mask would pass for the new one's
                raise UserError(
                    f"{path} has changed while it was read. Predict it anew."
                )
            return Seen(path, files, image, digest)

    def _predict(self, state: TrainState, seen: Seen) -> Masked | Unrefined:
        """Returns the mask; probabilities are written as they come.

        For a CRF, returns the probabilities.

        Raises:
          UserError: memory does not suffice, or the network gives no prediction.
          OSError: a file cannot be written; it is then as it was.
        """
        with memory_for(str(seen.path), _WAY_OUT):
            try:
                if self._crf:
                    return self._for_the_crf(self._crf, state, seen)
                if self._beside.probabilities:
                    bands = self._predictor.bands(
                        state, seen.image, progress=self._rows
                    )
                    return Masked(seen, self._with_probabilities(seen, bands))
                mask = self._predictor.mask(state, seen.image, progress=self._rows)
                return Masked(seen, mask)
            except NotFinite as error:
                raise UserError(f"{seen.path}: {error}") from error

    def _rows(self, rows: Sequence[Span]) -> Iterator[Span]:
        """Passes rows of windows on, with a bar, until a stop."""
        for row in tqdm(rows, desc="rows of windows", leave=False, disable=None):
            if self._stopped.is_set():
                raise UserError("stopped")
            yield row

    def _stop(self) -> None:
        """Ends what is under way with its rows of windows, and CRFs at once."""
        self._stopped.set()
        if self._crf:
            self._crf.workers.stop()

    def _for_the_crf(self, crf: Crf, state: TrainState, seen: Seen) -> Unrefined:
        """Returns the probabilities of an image that the CRF can be computed of."""
        image = self._predictor.prepared(seen.image)
        crf.check(str(seen.path), image.shape[:2], len(self._class_names))
        found = self._predictor.probabilities(state, image, progress=self._rows)
        return Unrefined(seen, image, found)

    def _refined(self, crf: Crf, found: Unrefined) -> Masked:
        """Returns the mask of the CRF; its marginals are written if they are wanted."""
        seen, image, probabilities = found
        marginals = crf.refined(str(seen.path), image, probabilities)
        mask = largest_class(marginals)
        rows = (Band(mask[part], marginals[part]) for part in row_bands(len(mask)))
        bands = bands_at_size(rows, mask.shape, seen.image.shape[:2])
        if self._beside.probabilities:
            return Masked(seen, self._with_probabilities(seen, bands))
        return Masked(seen, np.concatenate([band.mask for band in bands]))

    def _with_probabilities(self, seen: Seen, bands: Iterator[Band]) -> np.ndarray:
        """Writes the probabilities of an image, band by band, and returns its mask."""
        height, width = seen.image.shape[:2]
        names, masks = self._class_names, []
        with probability_file(
            seen.files.probabilities, (height, width), names
        ) as write:
            for band in bands:
                write(band.probabilities)
                masks.append(band.mask)
        return np.concatenate(masks)

    def _write(self, found: Masked | Unrefined) -> Area:
        """Writes the mask, after its CRF if there is one, and what goes beside it.

        What is there of an earlier mask goes.

        Raises:
          UserError: memory does not suffice.
          OSError: a file cannot be written; each is then whole, or as it was.
        """
        path, files, image, digest = found.seen
        with memory_for(str(path), _WAY_OUT):
            if isinstance(found, Unrefined):
                assert self._crf  # noqa: S101 - for the type checker
                found = self._refined(self._crf, found)
            mask = found.mask
            if self._beside.overlays:
                replace_bytes(files.overlay, self._overlay(image, mask))
            elif is_ours(files.overlay):
                files.overlay.unlink()
            replace_bytes(
                files.mask, as_predicted(mask_image(mask, self._colors), of=digest)
            )
            kept = self._beside.probabilities
            if not kept and is_probability_file(files.probabilities):
                files.probabilities.unlink()
        shares = class_shares(mask, len(self._class_names))
        return Area((mask.shape[0], mask.shape[1]), shares)

    def _overlay(self, image: np.ndarray, mask: np.ndarray) -> bytes:
        """Returns the mask over the image, as PNG."""
        photo = shown_image(image)
        painted = np.empty_like(photo)
        for rows in row_bands(len(photo)):
            painted[rows] = overlay(photo[rows], mask[rows], self._colors)
        return overlay_as_predicted(painted)


_Known = Callable[[Path], bool]


def _kinds(files: MaskFiles, beside: Beside) -> Iterator[tuple[Path, _Known]]:
    """Yields what is written of an image, with what tells whether we wrote it."""
    yield files.mask, is_ours
    if beside.overlays:
        yield files.overlay, is_ours
    if beside.probabilities:
        yield files.probabilities, is_probability_file


def is_written(path: Path, files: MaskFiles, beside: Beside) -> bool:
    """Returns whether all files of an image are there, as a prediction wrote them."""
    with contextlib.suppress(OSError, UserError):  # of an image that cannot be read
        is_there = all(known(file) for file, known in _kinds(files, beside))
        return is_there and image_of(files.mask) == digest_of(path)
    return False


def check_replaceable(outputs: dict[Path, MaskFiles], beside: Beside) -> None:
    """Refuses to write over files that no prediction wrote, such as drawn masks.

    Raises:
      UserError: it names the first.
    """

    def foreign(files: MaskFiles) -> Path | None:
        for path, known in _kinds(files, beside):
            if os.path.lexists(path) and not known(path):
                return path
        return None

    for path in looked_at(foreign, list(outputs.values()), "what is there"):
        if path is not None:
            raise UserError(
                f"{path} is there already, and it is not as a prediction wrote it: it "
                "may have been drawn or edited. Choose another --out, or add "
                "--overwrite to lose it."
            )
