"""Facts: what one image and its mask hold, and why training would refuse them."""

from __future__ import annotations

import functools
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from train.common.errors import UserError, told_of
from train.common.text import shown
from train.data.dataset import DataOptions
from train.data.forms import RGB, Form
from train.data.image_files import limit_pixels, opened
from train.data.images import (
    IGNORED,
    Example,
    Size,
    at_height,
    decode,
    read_image,
    read_mask,
)
from train.data.origin import name_of
from train.data.palette import colors_of
from train.data.record_files import check_record
from train.data.voc import read_pair
from train.data.voc_files import Pair
from train.data.void import without_void
from train.inspection.contents import Contents, Split

_MOST_COLORS = 32  # that are listed of a mask
_FEW = 200  # images, which one process reads while others would be starting
_CHUNK = 16  # images that a process is handed at a time

Color = tuple[int, int, int]


class Facts(NamedTuple):
    """What is known of an image and its mask."""

    name: str
    size: Size | None = None
    values: Mapping[int, int] = {}  # pixels of each value of the mask
    faults: tuple[str, ...] = ()  # why training would refuse it
    digest: bytes = b""  # of the image's pixels
    colors: Mapping[Color, int] = {}  # pixels of each, where they have no classes
    written: tuple[int, ...] = ()  # values of the mask, before void ones are ignored


class Reading(NamedTuple):
    """How files are read: as training reads them."""

    classes: int
    colors: np.ndarray | None  # of the classes, where masks may have them
    height: int  # that they are prepared at; 0 leaves them as they are
    pixel_limit: int
    void: tuple[int, ...] = ()  # values that do not count
    form: Form = RGB  # of the images


def facts_of_files(pair: Pair, reading: Reading) -> Facts:
    """Returns the facts of an image and a mask, refused by training or not."""
    try:
        known = *reading[:2], reading.void, reading.form
        example = read_pair(pair.image, pair.mask, *known)
        label = at_height(example, reading.height, str(pair.image)).label
        if not reading.form.is_rgb:  # which is prepared as it is
            tall = len(example.label)
            scale = (reading.height or tall) / tall
            check_record(round(example.image.nbytes * scale**2), str(pair.image))
    except Exception as error:  # whatever it is, of one image
        return _facts_of_refused(pair, reading, _text(error, pair))
    return _facts_of(pair.name, example, label, reading)


def facts_of_record(record: Mapping[str, Any], reading: Reading) -> Facts:
    """Returns the facts of a prepared record, which has been checked."""
    name = name_of(record)
    try:
        example = decode(record)
        label = at_height(example, reading.height, name).label
        return _facts_of(name, example, label, reading)
    except Exception as error:
        return Facts(name, faults=(told_of(name, error),))


def _facts_of(
    name: str, example: Example, label: np.ndarray, reading: Reading
) -> Facts:
    return Facts(
        name,
        size=label.shape,
        values=_values(without_void(label, reading.void)),
        digest=_digest(example.image),
        written=tuple(_values(label)),
    )


def _facts_of_refused(pair: Pair, reading: Reading, fault: str) -> Facts:
    """Returns what image and mask hold each for itself."""
    faults = {fault: None}
    image = _attempt(lambda: read_image(pair.image, reading.form), pair, faults)
    label = _attempt(lambda: read_mask(pair.mask, reading.colors), pair, faults)
    return Facts(
        pair.name,
        size=None if image is None else (image.shape[0], image.shape[1]),
        values={} if label is None else _values(without_void(label, reading.void)),
        faults=tuple(faults),
        digest=b"" if image is None else _digest(image),
        colors=_colors(pair.mask) if label is None else {},
        written=() if label is None else tuple(_values(label)),
    )


def _attempt(
    read: Callable[[], np.ndarray], pair: Pair, faults: dict[str, None]
) -> np.ndarray | None:
    """Returns the pixels; adds to the faults why there are none."""
    try:
        return read()
    except Exception as error:
        faults[_text(error, pair)] = None
        return None


def _text(error: Exception, pair: Pair) -> str:
    if isinstance(error, UserError):
        text = told_of(pair.image, error)
        return text.replace(str(pair.mask), shown(pair.mask))
    return told_of(f"{pair.image} or its mask", error)


def _values(label: np.ndarray) -> dict[int, int]:
    counts = np.bincount(label.ravel(), minlength=256)
    return {value: int(counts[value]) for value in np.flatnonzero(counts).tolist()}


def _digest(image: np.ndarray) -> bytes:
    """Returns a hash of pixels, the same for every file that has them."""
    hashed = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    hashed.update(np.ascontiguousarray(image).data)
    return hashed.digest()


def _colors(mask: Path) -> dict[Color, int]:
    """Returns the commonest colors of a mask that is no picture of indices."""
    try:
        with opened(mask) as image:
            if image.format != "PNG" or image.mode not in ("RGB", "RGBA"):
                return {}
            found, counts = colors_of(np.asarray(image.convert("RGB")))
    except UserError:
        return {}
    commonest = np.argsort(counts, kind="stable")[::-1][:_MOST_COLORS]
    return {
        (red, green, blue): count
        for (red, green, blue), count in zip(
            found[commonest].tolist(), counts[commonest].tolist(), strict=True
        )
    }


def facts_of_all(contents: Contents, options: DataOptions) -> dict[str, list[Facts]]:
    """Returns the facts of every image, by split; a bar shows how far it is.

    Raises:
      UserError: a process was ended from outside.
    """
    reading = Reading(
        len(contents.class_names) or IGNORED,  # any value, where nothing names them
        contents.colors if contents.by_color else None,
        options.image_height,
        options.pixel_limit,
        contents.void,
        options.form,
    )
    bar = tqdm(
        desc="looking at images",
        total=sum(map(len, contents.splits.values())),
        unit="image",
        dynamic_ncols=True,
    )
    with bar:
        found = _in_order(list(contents.splits.values()), reading)
        return {
            split: [_counted(next(found), bar) for _ in range(len(entries))]
            for split, entries in contents.splits.items()
        }


def _counted(facts: Facts, bar: tqdm) -> Facts:
    bar.update()
    return facts


def _in_order(splits: Sequence[Split], reading: Reading) -> Iterator[Facts]:
    """Yields the facts of files, read on all cores, or of records."""
    pairs = [pair for split in splits if isinstance(split, list) for pair in split]
    yield from _of_files(pairs, reading)
    for split in splits:
        if not isinstance(split, list):
            records = (split[index] for index in range(len(split)))
            yield from (facts_of_record(record, reading) for record in records)


def _of_files(pairs: Sequence[Pair], reading: Reading) -> Iterator[Facts]:
    look = functools.partial(facts_of_files, reading=reading)
    processes = min(len(os.sched_getaffinity(0)), -(-len(pairs) // _FEW))
    if processes <= 1:
        limit_pixels(reading.pixel_limit)
        yield from map(look, pairs)
        return
    pool = ProcessPoolExecutor(
        processes,
        # JAX has threads, which do not survive a fork.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_process,
        initargs=(reading.pixel_limit,),
    )
    try:
        yield from pool.map(look, pairs, chunksize=_CHUNK)
    except BrokenProcessPool as error:
        raise UserError(
            "a process that reads images was ended, as systems do where memory does "
            "not suffice. Give a smaller --pixel-limit: larger files are then named."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process(pixel_limit: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    limit_pixels(pixel_limit)
