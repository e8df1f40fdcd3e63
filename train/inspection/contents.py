"""Contents: the images and masks of a data set, as far as they can be listed.

Training ends at the first fault; here each part that can still be read goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from train.common.errors import UserError
from train.common.notes import kept_notes
from train.data.dataset import DataOptions, find_dataset
from train.data.forms import RGB, Form
from train.data.images import IGNORED, Source
from train.data.palette import voc_colormap
from train.data.parts import Part, both_sides
from train.data.plain_pairs import plain_files
from train.data.shared_images import check_shared
from train.data.split_lists import all_list_paths
from train.data.voc import VocFolder
from train.data.voc_classes import Classes, read_classes
from train.data.voc_files import Files, Pair
from train.data.voc_lists import read_list
from train.data.void import values_of

_T = TypeVar("_T")

Split = list[Pair] | Source
HELD_OUT = "held out"  # in place of the validation split, by --holdout
_UNKNOWN = Classes((), voc_colormap()[:IGNORED], by_color=False)


class Contents(NamedTuple):
    """What there is to inspect, and what kept the rest from being listed."""

    name: str
    class_names: tuple[str, ...]  # none where they are not known
    colors: np.ndarray  # uint8 [classes, 3]
    by_color: bool  # whether masks may have the classes' colors
    splits: Mapping[str, Split]  # files, or records that were prepared from others
    faults: tuple[str, ...] = ()
    root: Path = Path()  # of the files
    made: Path | None = None  # the same, where a conversion wrote it
    one_list: bool = False  # whether the same is trained on and evaluated
    void: tuple[int, ...] = ()  # values that do not count, beside 255
    form: Form = RGB  # of the images
    notes: tuple[str, ...] = ()  # what training says of them as well

    def pair(self, split: str, index: int) -> Pair | None:
        """Returns the files of an image, None of a prepared record."""
        entries = self.splits[split]
        return entries[index] if isinstance(entries, list) else None


def list_contents(options: DataOptions) -> Contents:
    """Returns the splits that the options name, and the classes.

    Folders are listed by file, those too that data of other forms are converted to.
    Generated data are prepared.

    Raises:
      UserError: nothing is found, nor is there a folder to look into.
    """
    with kept_notes() as notes:
        contents = _list(options)
    return contents._replace(notes=tuple(notes))


def _list(options: DataOptions) -> Contents:
    try:
        found = find_dataset(options)
    except UserError as error:
        # Without what its frames hold, such as whole tables, which are read once more.
        return _of_refused(options, error.with_traceback(None))
    if folder := found.folder:
        classes = Classes(folder.class_names, folder.colors, folder.by_color)
        refused: dict[str, None] = {}
        _attempt(functools.partial(check_shared, found, options), refused)
        return _of_folder(options, folder, classes, *refused)
    classes = Classes(found.class_names, found.colors, by_color=False)
    try:
        sources = found.prepare(tuple(dict.fromkeys(_named(options))))
    except UserError as error:
        return _contents(options, classes, {}, (str(error),))
    return _contents(options, classes, sources)


def _named(options: DataOptions) -> tuple[str, ...]:
    return options.train_split, options.val_split


def _of_refused(options: DataOptions, refusal: UserError) -> Contents:
    """Returns what can be listed of data that are refused.

    All of it, where nothing but the classes cannot be known: then any value is one.

    Raises:
      UserError: there is no folder.
    """
    root = Path(options.folder)
    if not root.is_dir():
        raise refusal
    any_value = dataclasses.replace(options, classes=tuple(map(str, range(IGNORED))))
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it has been said
            folder = find_dataset(any_value).folder
    except UserError:
        folder = None
    if folder is None or options.classes:
        return _what_is_left(root, options, str(refusal))
    return _of_folder(options, folder, _UNKNOWN, str(refusal))


def _of_folder(
    options: DataOptions, folder: VocFolder, classes: Classes, *faults: str
) -> Contents:
    """Returns the contents of a folder whose files are all there."""
    found = _contents(options, classes, folder.splits, faults)
    return found._replace(root=folder.root, made=folder.made, void=folder.void)


def _what_is_left(root: Path, options: DataOptions, fault: str) -> Contents:
    """Returns what can be listed of a folder that is refused."""
    faults = {fault: None}

    def note(error: UserError) -> None:
        faults[str(error)] = None

    splits: dict[str, Split] = {}
    masks: list[Path] = []
    how: Any = {"links": options.links, "read": options.endings}
    files = plain_files(root, **how) or Files(root, **how)
    for split, path in all_list_paths(root, dict.fromkeys(_named(options))).items():
        read = functools.partial(read_list, path, files, note)
        if pairs := _attempt(read, faults):
            splits[split] = pairs
            masks += [pair.mask for pair in pairs]
    how = {"links": options.links, "void": options.void}
    read_names = functools.partial(read_classes, root, masks, options.classes, **how)
    classes = _attempt(read_names, faults) if masks else None
    found = _contents(options, classes or _UNKNOWN, splits, tuple(faults), partly=True)
    return found._replace(root=root, void=tuple(sorted(values_of(options.void))))


def _attempt(read: Callable[[], _T], faults: dict[str, None]) -> _T | None:
    """Returns what is read; adds to the faults why it cannot be."""
    try:
        return read()
    except UserError as error:
        faults[str(error)] = None
        return None


def _contents(
    options: DataOptions,
    classes: Classes,
    splits: Mapping[str, Split],
    faults: tuple[str, ...] = (),
    *,
    partly: bool = False,
) -> Contents:
    """Returns contents whose splits are those of training, by `--holdout` too.

    All images are trained on where too few are left to hold any out: that is a fault,
    unless they are listed only partly, and the others are enough.
    """
    name = options.train_split
    train = splits.get(name)
    if options.holdout and train is not None:
        splits = {name: train}
        try:
            kept, held = both_sides(len(train), options.holdout, name)
            splits = {name: _part(train, kept), HELD_OUT: _part(train, held)}
        except UserError as error:
            faults = faults if partly else (*faults, str(error))
    return Contents(
        options.folder or "built-in scenes",
        classes.names,
        classes.colors,
        classes.by_color,
        splits,
        faults,
        one_list=options.train_split == options.val_split and not options.holdout,
        form=options.form,
    )


def _part(split: Split, indices: Sequence[int]) -> Split:
    if isinstance(split, list):
        return [split[index] for index in indices]
    return Part(split, indices)
