"""Prepared records of a folder in VOC layout."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from train.common.errors import UserError
from train.common.notes import note
from train.common.regular import read_regular
from train.data.channels import encode_array
from train.data.fingerprint import check_unchanged
from train.data.forms import RGB, Form
from train.data.images import Source, at_height, encode, read_mask
from train.data.mask_checks import MaskChecks, check_values
from train.data.mask_colors import OfMasks, ShownColors, keep, kept, shown_by_list
from train.data.origin import blaming_records, name_of
from train.data.records import (
    SegmentationBuilder,
    make_record,
    progress,
    recorded,
)
from train.data.voc import VocFolder, read_pair
from train.data.void import without_void

_COLORS = "palettes.json"  # beside the records


class VocLayout(SegmentationBuilder):
    """A split of a folder in VOC layout; all of it is checked while it is written.

    Records are named by what they are made from: the same files have them in common,
    wherever the folder is, and other files never.
    """

    # Raise it whenever the same files and options give other records.
    VERSION = tfds.core.Version("4.3.0")

    def __init__(
        self,
        *,
        folder: VocFolder,
        split: str,
        height: int,
        data_dir: str,
        checks: MaskChecks | None = None,
        form: Form = RGB,
    ):
        self._folder, self._split, self._height = folder, split, height
        self._checks, self.form = checks or MaskChecks(made=folder.made), form
        self.classes = frozenset(range(len(folder.class_names))) - {*folder.void}
        words = [split, folder.fingerprints[split], *([str(height)] if height else [])]
        if not form.is_rgb:
            words.append(f"{form.channels}x{form.bits}")
        name = "_".join(words)
        config = tfds.core.BuilderConfig(name=name)
        super().__init__(data_dir=data_dir, config=config)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (
            *(self._folder, self._split, self._height, str(self.plain.folder)),
            self.form,
        )
        return _make_voc_layout, arguments

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator[Any]]:
        return {self._split: self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        folder, split = self._folder, self._split
        classes, digests = len(folder.class_names), folder.digests
        colors = folder.colors if folder.by_color else None
        files = folder.splits[split]
        shown, values = ShownColors(void=folder.void), set[int]()  # of this split alone
        for index, (name, image, mask) in enumerate(progress(files, split)):
            known = classes, colors, folder.void, self.form
            example = read_pair(image, mask, *known)
            if colors is None:
                shown.add(self._checks.add(mask, example.label))
                values.update(np.unique(example.label).tolist())
            label = without_void(example.label, folder.void)
            example = example._replace(label=label)
            example = at_height(example, self._height, str(image))
            if not self.form.is_rgb:
                encoded = encode_array(example.image)
            elif self._height:
                encoded = encode(example.image, "PNG")
            else:
                encoded = read_regular(image)
            for path in (image, mask):  # after it was read
                check_unchanged(path, digests[path])
            yield index, make_record(encoded, example.label, name)
        while said := self._checks.warning():
            note(f"warning: {said}")
        found = OfMasks(shown.listed(), frozenset(values))
        self._check(found)
        self._keep(found)

    def check_prepared(self) -> None:
        """Checks the masks of prepared records, with those of other splits.

        Raises:
          UserError: as where they are prepared, or as `of_masks`.
        """
        found = self.of_masks()
        self._checks.colors.add(found.shown)
        self._check(found)

    def _check(self, found: OfMasks) -> None:
        folder, split = self._folder, self._split
        if split == next(iter(folder.splits)):  # what is trained on
            mask, converted = folder.splits[split][0].mask, folder.made is not None
            check_values(found.values, folder.root, mask, converted=converted)

    def of_masks(self) -> OfMasks:
        """Returns what the masks of prepared records show and hold.

        Where what was kept is lost, the masks are read once more.

        Raises:
          UserError: what was kept is damaged, or a mask cannot be read.
        """
        folder = self._folder
        if folder.by_color:
            listed = shown_by_list(folder.root / "labelmap.txt", folder.colors)
            return OfMasks(listed, frozenset())
        masks = [mask for *_, mask in folder.splits[self._split]]
        path = Path(self.data_dir, _COLORS)
        if os.path.lexists(path):
            with blaming_records(path.parent, self._split):
                return kept(path, dict(enumerate(masks)))
        shown, values = ShownColors(void=folder.void), set[int]()
        for mask in tqdm(masks, "palettes", unit="mask", dynamic_ncols=True):
            used = set(np.unique(read_mask(mask)).tolist())
            shown.add(self._checks.shown_by(mask, used))
            values |= used
        found = OfMasks(shown.listed(), frozenset(values))
        with contextlib.suppress(OSError):  # prepared by someone else
            self._keep(found)
        return found

    def _keep(self, found: OfMasks) -> None:
        masks = [mask for *_, mask in self._folder.splits[self._split]]
        if not self._folder.by_color:
            keep(Path(self.data_dir, _COLORS), found, masks)


def check_records_of(source: Source, folder: VocFolder, split: str, place: str) -> None:
    """Refuses records of other images than the data have, by number, first and last.

    Raises:
      UserError: it names the folder of the records.
    """
    pairs = folder.splits[split]
    ends = (0, len(source) - 1)
    found = [name_of(source[index]) for index in ends]
    expected = [recorded(pairs[index].name) for index in (0, -1)]
    if len(source) != len(pairs) or found != expected:
        raise UserError(
            f"{place}: the prepared records of split {split!r} are {len(source)}, from "
            f"{' to '.join(found)}, and {folder.root} has {len(pairs)} images, from "
            f"{' to '.join(expected)}. Move that folder elsewhere; the next run writes "
            "it again."
        )


def _make_voc_layout(
    folder: VocFolder, split: str, height: int, data_dir: str, form: Form
) -> VocLayout:
    """Recreates the builder in a data-loading process."""
    more: Any = {"height": height, "data_dir": data_dir, "form": form}
    return VocLayout(folder=folder, split=split, **more)
