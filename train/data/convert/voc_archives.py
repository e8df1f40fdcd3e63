"""Pascal VOC 2012 as it is downloaded, with the masks of SBD or without.

FOLDER/VOCtrainval_11-May-2012.tar      images, masks of VOC's own, lists
FOLDER/benchmark.tgz                    SBD; or benchmark_RELEASE/, unpacked
FOLDER/SegmentationClassAug.zip         in its place; or .tar, .tar.gz, .tgz, unpacked

The augmented list, train_aug, is VOC's train and SBD's both lists, less VOC's val.
Masks are VOC's own where it has them: only they have void borders.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from train.common.errors import UserError
from train.common.regular import check_size
from train.common.text import first_few
from train.data.convert.archives import Member, files_unpacked, open_archive
from train.data.convert.conversion import Conversion, VocWriter, digests_of
from train.data.convert.sbd_masks import sbd_mask
from train.data.layouts import MASK_ARCHIVES, SBD_ARCHIVES, VOC_ARCHIVE
from train.data.palette import mask_png, voc_colormap
from train.data.voc_classes import VOC_CLASSES
from train.data.voc_files import IMAGES

AUGMENTED = "train_aug"
PUBLISHED = {"train": 1464, "val": 1449, AUGMENTED: 10_582}  # images

_ID = "([0-9]{4}_[0-9]{6})"
_VOC_LIST = re.compile(r"VOCdevkit/VOC2012/ImageSets/Segmentation/(train|val)\.txt")
_VOC_MASK = re.compile(rf"VOCdevkit/VOC2012/SegmentationClass/{_ID}\.png")
_VOC_IMAGE = re.compile(rf"VOCdevkit/VOC2012/JPEGImages/{_ID}\.jpg")
_KEPT_LIMIT = 2**30  # bytes of masks kept at once; the published ones have 50 MB
_LIST_LIMIT = 2**20  # bytes of a list; the published ones have 140 KB


class _More(NamedTuple):
    """A set of masks for images that VOC has none of."""

    form: str
    names: Sequence[str]  # of the archive or the folder, the first there is
    mask: re.Pattern[str]
    listed: re.Pattern[str] | None  # lists of its images; None where all masks count
    png: Callable[[bytes, str], bytes]


def _sbd_png(content: bytes, name: str) -> bytes:
    return mask_png(sbd_mask(content, name), voc_colormap())


_MORE = (
    _More(
        "SBD",
        SBD_ARCHIVES,
        re.compile(rf"benchmark_RELEASE/dataset/cls/{_ID}\.mat"),
        re.compile(r"benchmark_RELEASE/dataset/(train|val)\.txt"),
        _sbd_png,
    ),
    _More(
        "SegmentationClassAug",
        MASK_ARCHIVES,
        re.compile(rf"(?:VOCdevkit/VOC2012/)?SegmentationClassAug/{_ID}\.png"),
        None,
        lambda content, name: content,
    ),
)


class _Masks(NamedTuple):
    """Masks for more images, and where they are from."""

    path: Path
    kind: _More


def find_voc_archives(
    folder: Path,
    prepared: Path,
    train_split: str,
    published: Mapping[str, int] = PUBLISHED,
) -> Conversion | None:
    """Returns how to convert the archives of a folder, None where it has none.

    Args:
      folder: what was downloaded is in it.
      prepared: folder of everything prepared.
      train_split: the list to train on.
      published: the number of images of each list.

    Raises:
      UserError: VOC's archive is missing, or what the list needs.
    """
    found = (_Masks(folder / n, kind) for kind in _MORE for n in kind.names)
    more = next((masks for masks in found if masks.path.exists()), None)
    voc = folder / VOC_ARCHIVE
    if (folder / IMAGES).exists() or not (more or voc.exists()):
        return None
    if not voc.exists():
        raise UserError(
            f"{voc} is missing: {more.path.name if more else ''} has masks for images "
            "that are in that archive. Put it there as it is downloaded."
        )
    if train_split == AUGMENTED and not more:
        raise UserError(
            f"{folder} has {VOC_ARCHIVE} alone, without masks for --train-split "
            f"{AUGMENTED}. Put benchmark.tgz (SBD) beside it, or "
            "SegmentationClassAug.zip, or train on VOC's own list with --train-split "
            f"train, of {published['train']} images."
        )
    form = (
        f"the archives of Pascal VOC 2012 and {more.kind.form}"
        if more
        else (
            f"Pascal VOC 2012 alone, {published['train']} images to train on "
            "(benchmark.tgz beside it adds those of SBD)"
        )
    )

    def key() -> tuple[str, ...]:
        return digests_of(folder, [voc, *(_files(more) if more else ())], prepared)

    def write(writer: VocWriter) -> None:
        _write(writer, voc, more, published)

    read = [voc, *([more.path] if more else ())]
    folders = [path for path in read if path.is_dir()]  # unpacked
    return Conversion(form, key, write, folders, read)


def _files(more: _Masks) -> list[Path]:
    """Returns the files that masks are read from: an archive, or those of a folder.

    Raises:
      UserError: one of a folder is a link out of it.
    """
    if not more.path.is_dir():
        return [more.path]
    wanted = [more.kind.mask, *([more.kind.listed] if more.kind.listed else [])]
    parent = more.path.parent
    names = [file.relative_to(parent).as_posix() for file in files_unpacked(more.path)]
    return [
        parent / name
        for name in sorted(names)
        if any(pattern.fullmatch(name) for pattern in wanted)
    ]


class _Found(NamedTuple):
    """What is wanted of an archive, by names; files that are not read yet."""

    lists: dict[str, list[str]]
    masks: dict[str, Member]
    images: dict[str, Member]


def _write(
    writer: VocWriter, path: Path, more: _Masks | None, published: Mapping[str, int]
) -> None:
    """Writes classes, images, masks and lists."""
    with open_archive(path) as members:
        voc = _find(path, members, _VOC_LIST, _VOC_MASK, _VOC_IMAGE)
        lists, others = voc.lists, dict[str, bytes]()
        for split in ("train", "val"):
            _check_count(path, split, lists.get(split, []), published)
        _check_all(path, "masks", {*lists["train"], *lists["val"]}, voc.masks)
        if more:
            others = _read_more(more, lists, published)
            lists[AUGMENTED] = [*lists["train"], *others]
        listed = {split: set(ids) for split, ids in lists.items()}
        every = sorted(set[str]().union(*listed.values()))
        _check_all(path, "images", every, voc.images)
        writer.name_classes(VOC_CLASSES)
        for id in tqdm(every, "writing images", unit="image", dynamic_ncols=True):
            image = voc.images[id].read()
            mask = others[id] if id in others else voc.masks[id].read()
            for split in (split for split, ids in listed.items() if id in ids):
                writer.add(split, id, image, mask)


def _read_more(
    more: _Masks, lists: Mapping[str, Sequence[str]], published: Mapping[str, int]
) -> dict[str, bytes]:
    """Returns the masks of images that VOC has none of, as PNG files.

    Those that are wanted are known, and as many as published, before any is read.
    """
    path, kind = more.path, more.kind
    kept, size = dict[str, bytes](), 0
    with open_archive(path) as members:
        found = _find(path, members, kind.listed, kind.mask)
        if kind.listed:
            _check_all(path, "lists", ("train", "val"), found.lists)
        listed = itertools.chain(*found.lists.values()) if kind.listed else found.masks
        wanted = set(listed).difference(*lists.values())
        _check_all(path, "masks", wanted, found.masks)
        _check_count(path, AUGMENTED, [*lists["train"], *wanted], published)
        for id, mask in found.masks.items():  # as they come
            if id in wanted:
                kept[id] = kind.png(mask.read(), f"{path}: {mask.name}")
                size += len(kept[id])
                _check_kept(path, size)
    return kept


def _find(
    path: Path,
    members: Iterable[Member],
    lists: re.Pattern[str] | None,
    masks: re.Pattern[str],
    images: re.Pattern[str] | None = None,
) -> _Found:
    """Returns members whose names match, by what the pattern's group is."""
    found = _Found({}, {}, {})
    for member in members:
        for pattern, there in ((masks, found.masks), (images, found.images)):
            if pattern and (match := pattern.fullmatch(member.name)):
                _check_new(path, match[1], there)
                there[match[1]] = member
        if lists and (match := lists.fullmatch(member.name)):
            _check_new(path, match[1], found.lists)
            content = member.read()
            check_size(f"{path}: {member.name}", len(content), _LIST_LIMIT)
            found.lists[match[1]] = content.decode(errors="replace").split()
    return found


def _check_kept(path: Path, size: int) -> None:
    """Refuses an archive whose masks would fill memory."""
    if size > _KEPT_LIMIT:
        raise UserError(
            f"{path} has masks of more than {_KEPT_LIMIT} bytes, so it is not the "
            "published archive. Download it again."
        )


def _check_new(path: Path, id: str, found: Collection[str]) -> None:
    """Refuses an archive that has two members for one name."""
    if id in found:
        raise UserError(
            f"{path} has two files for {id!r}, so it is not the published archive. "
            "Download it again."
        )


def _check_count(
    path: Path, split: str, ids: Sequence[str], published: Mapping[str, int]
) -> None:
    """Refuses a list of another length than the published one has."""
    if len(set(ids)) != published[split]:
        raise UserError(
            f"{path} gives {len(set(ids))} images for {split}, and the published data "
            f"have {published[split]}: it is cut short, or another archive. Download "
            "it again; to train on a part, unpack it and write lists of your own."
        )


def _check_all(
    path: Path, what: str, wanted: Collection[str], found: Collection[str]
) -> None:
    """Refuses an archive that lacks files which are listed."""
    if missing := sorted(set(wanted) - set(found)):
        raise UserError(
            f"{path} lacks {len(missing)} of {len(wanted)} {what}: "
            f"{first_few(missing)}. It is cut short, or not the published archive. "
            "Download it again."
        )
