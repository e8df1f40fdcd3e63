"""Kinds of data: how each is told from the others, and found."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.registry import Registry
from train.common.errors import UserError
from train.common.notes import note
from train.data.images import Source
from train.data.palette import voc_colormap
from train.data.places import is_name

if TYPE_CHECKING:
    from train.data.convert.conversion import Conversion
    from train.data.dataset import DataOptions
    from train.data.mask_colors import ShownColor
    from train.data.splits import Listing
    from train.data.voc import VocFolder


class Found(NamedTuple):
    """A data set before it is prepared: all that is known without writing."""

    name: str
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    fingerprint: str  # of its content, wherever it is
    prepare: Callable[[Sequence[str]], dict[str, Source]]  # the named splits
    shared: tuple[str, ...] = ()  # names of images in both splits
    splits: Mapping[str, str] = {}  # their fingerprints, where there are such
    earlier: str = ""  # fingerprint that runs begun before have
    val_names: tuple[str, ...] = ()  # of the images to validate on, by --split
    folder: VocFolder | None = None  # whose files are prepared, where there is one
    # What the masks of named splits show, once these are prepared.
    shown: Callable[[Sequence[str]], tuple[ShownColor, ...]] = lambda splits: ()


# A finder returns what it found by the options, None where another kind is meant.
# To add a kind: a file with its reader, like scenes.py or one of convert/, and a finder
# below the others: the last is asked first.
Finder = Callable[["DataOptions"], Found | None]
DATA_KINDS: Registry[Finder] = Registry("kind of data")


@DATA_KINDS.register("built-in scenes", "no folder")
def _find_scenes(options: DataOptions) -> Found | None:
    """Finds the generated scenes of `scenes.py`, where no folder is named."""
    if options.folder:
        return None
    from train.data import scenes
    from train.data.records import open_splits

    for split in (options.train_split, options.val_split):
        if split not in scenes.SPLIT_SIZES:
            raise UserError(
                f"the built-in scenes have the splits {', '.join(scenes.SPLIT_SIZES)}, "
                f"not {split!r}. Name a folder with --data to use its own lists."
            )

    def prepare(splits: Sequence[str]) -> dict[str, Source]:
        return open_splits(scenes.BuiltinScenes(data_dir=options.prepared), splits)

    names = scenes.CLASS_NAMES
    colors = voc_colormap()[: len(names)]
    return Found("built-in scenes", names, colors, scenes.SCENES_VERSION, prepare)


@DATA_KINDS.register("VOC layout", "JPEGImages/, SegmentationClass/, ImageSets/")
def _find_voc_folder(options: DataOptions) -> Found | None:
    """Finds a folder in VOC layout; any folder that is of no other kind is meant."""
    if not options.folder:
        return None
    from train.data.voc import voc_listing

    listing = functools.partial(voc_listing, read=options.endings)
    return _found_in_place(options, listing)


def _found_in_place(
    options: DataOptions,
    listing: Callable[..., Listing],
    *,
    converted: bool = False,
) -> Found:
    """Finds a folder whose images and masks are read where they are.

    Args:
      options: name it.
      listing: finds its images and masks.
      converted: whether it is made from the user's folder.
    """
    from train.data.fingerprint import Digests, memory_of
    from train.data.mask_checks import MaskChecks
    from train.data.mask_colors import ShownColors
    from train.data.records import open_splits
    from train.data.splits import shared_names
    from train.data.voc import read_voc_folder
    from train.data.voc_records import VocLayout, check_records_of

    root, splits = Path(options.folder), (options.train_split, options.val_split)
    digests = Digests(memory_of(root, Path(options.prepared)))
    classes, divide = options.classes, options.divide
    how: Any = {
        "converted": converted,
        "links": options.links,
        "void": options.void,
    }
    folder = read_voc_folder(root, splits, classes, digests, divide, listing, **how)
    if options.split and not folder.val_names:
        raise UserError(
            f"--split {options.split:g} is not used: {root} says itself which images "
            "are trained on and which validate. Leave it out."
        )

    def records_of(split: str, checks: MaskChecks) -> VocLayout:  # as they are now
        more: Any = {
            "height": options.image_height,
            "data_dir": options.prepared,
            "checks": checks,
            "form": options.form,
        }
        return VocLayout(folder=folder, split=split, **more)

    def checks_of_all() -> MaskChecks:  # over all splits
        return MaskChecks(made=folder.made, void=folder.void)

    def prepare(splits: Sequence[str]) -> dict[str, Source]:
        digests.save()
        checks = checks_of_all()
        for split in dict.fromkeys(splits):  # first what is there, which takes no time
            if (builder := records_of(split, checks)).is_prepared():
                builder.check_prepared()
        sources: dict[str, Source] = {}
        for split in splits:
            builder = records_of(split, checks)
            sources |= open_splits(builder, (split,))
            check_records_of(sources[split], folder, split, builder.data_dir)
        while said := checks.warning():
            note(f"warning: {said}")
        return sources

    def shown(splits: Sequence[str]) -> tuple[ShownColor, ...]:
        colors, checks = ShownColors(void=folder.void), checks_of_all()
        for split in dict.fromkeys(splits):
            colors.add(records_of(split, checks).of_masks().shown)
        return colors.listed()

    return Found(
        options.folder,
        folder.class_names,
        folder.colors,
        folder.fingerprint,
        prepare,
        shared_names(folder.splits, folder.digests),
        folder.fingerprints,
        folder.earlier,
        folder.val_names,
        folder,
        shown,
    )


@DATA_KINDS.register("plain pairs", "images/ and masks/, with or without lists")
def _find_plain_pairs(options: DataOptions) -> Found | None:
    """Finds folders of images and of masks with the same names."""
    from train.data.plain_pairs import has_plain_pairs, plain_listing

    if not options.folder or not has_plain_pairs(Path(options.folder)):
        return None
    listing = functools.partial(plain_listing, read=options.endings)
    return _found_in_place(options, listing)


def _find_converted(
    find: Callable[[Path, Path], Conversion | None], options: DataOptions
) -> Found | None:
    """Finds a folder of another form, given how that is told and converted.

    Args:
      find: called with the folder and that of everything prepared.
      options: name both.
    """
    if not options.folder:
        return None
    conversion = find(Path(options.folder), Path(options.prepared))
    return conversion and _found_after(conversion, options)


def _found_after(conversion: Conversion, options: DataOptions) -> Found:
    """Finds the folder in VOC layout that data of another form are converted to."""
    from train.data.convert.conversion import converted
    from train.data.convert.originals import originals_listed, telling

    prepared, links = Path(options.prepared), options.links
    folder = converted(conversion, options.folder, prepared, links=links)
    of_folder = dataclasses.replace(options, folder=str(folder), links=True)
    told = options.folder, conversion.form, folder
    with telling(*told):
        found = _found_in_place(of_folder, originals_listed, converted=True)

    def prepare(splits: Sequence[str]) -> dict[str, Source]:
        with telling(*told):
            return found.prepare(splits)

    return found._replace(name=options.folder, prepare=prepare)


@DATA_KINDS.register("Roboflow semantic masks", "train/_classes.csv, valid/, test/")
def _find_roboflow(options: DataOptions) -> Found | None:
    from train.data.convert.roboflow import find_roboflow

    return _find_converted(find_roboflow, options)


@DATA_KINDS.register(
    "COCO", "annotations/instances_train.json or _annotations.coco.json"
)
def _find_coco(options: DataOptions) -> Found | None:
    from train.data.convert.coco import find_coco

    return _find_converted(find_coco, options)


@DATA_KINDS.register("Label Studio brush masks", "task-….png, JSON, images/")
def _find_label_studio(options: DataOptions) -> Found | None:
    from train.data.convert.label_studio import find_label_studio

    return _find_converted(find_label_studio, options)


@DATA_KINDS.register(
    "archives of Pascal VOC 2012",
    "VOCtrainval_11-May-2012.tar, and for train_aug benchmark.tgz or "
    "SegmentationClassAug.zip",
)
def _find_voc_archives(options: DataOptions) -> Found | None:
    """Finds a folder with the archives as they are downloaded."""
    from train.data.convert.voc_archives import find_voc_archives

    find = functools.partial(find_voc_archives, train_split=options.train_split)
    return _find_converted(find, options)


@DATA_KINDS.register("TensorFlow Datasets", "tfds:NAME, a set that TFDS has prepared")
def _find_tfds_set(options: DataOptions) -> Found | None:
    """Finds a set of TensorFlow Datasets, by its name."""
    if not is_name(options.folder):
        return None
    from train.data.convert.tfds_sets import find_tfds_set

    splits, prepared = (options.train_split, options.val_split), Path(options.prepared)
    conversion = find_tfds_set(options.folder, splits, prepared, links=options.links)
    return _found_after(conversion, options)
