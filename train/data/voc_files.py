"""Files of a folder: its images, and the masks that belong to them by their names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from train.common.errors import UserError
from train.common.files import identity, same_content
from train.common.notes import note
from train.common.text import first_few, shown
from train.data.inside import Inside, below, check_links, files_below, other_letters
from train.data.named_files import NamedFiles
from train.data.unread import of_unread

IMAGES = "JPEGImages"
LISTS = Path("ImageSets", "Segmentation")
MASKS = ("SegmentationClassAug", "SegmentationClassPNG", "SegmentationClass")
READ_SUFFIXES = (".jpg", ".jpeg", ".png")
# Of images that are no RGB of 8 bits, which few other formats can hold.
WITH_TIFF = (*READ_SUFFIXES, ".tif", ".tiff")
_OTHERS = ".jpg .jpeg .bmp .gif .tif .tiff .webp .npy .mat .txt .json .xml".split()


def raise_error(error: UserError) -> None:
    """Raises it; others note it, and go on."""
    raise error


class Pair(NamedTuple):
    """An image and its mask."""

    name: str
    image: Path
    mask: Path


class Files:
    """The files of a folder by name; each folder within is listed once, linked or not.

    Args:
      root: the folder.
      images: the folder of images within it.
      masks: those of masks; a mask in an earlier one goes first.
      ends: what the name of a mask may have after that of its image.
      links: whether files elsewhere may be linked to.
      read: endings of images.
    """

    def __init__(
        self,
        root: Path,
        images: str = IMAGES,
        masks: Sequence[str] = MASKS,
        ends: Sequence[str] = ("",),
        *,
        links: bool = False,
        read: Sequence[str] = READ_SUFFIXES,
    ):
        self.read = tuple(read)
        self.root, self.images, self._ends = root, images, ends
        there = tuple(folder for folder in masks if (root / folder).is_dir())
        self.masks = there or tuple(masks)[-1:]
        self._names = NamedFiles(root)
        folders = [root / folder for folder in (images, *self.masks)]
        self.inside = Inside(root, folders, links=links)

    def image(self, name: str) -> Path | None:
        """Returns an image by its name, None if there is none.

        Raises:
          UserError: two have the name, or a link leads out of the folder or to nothing.
        """
        found = self._names.find(self.images, name, self.read)
        return self._only(found, "images", name)

    def mask(self, name: str) -> Path | None:
        """Returns the mask of an image from the first folder that has one.

        Raises:
          UserError: the only file that could be it is of another format, or another
            image's, two could be it, or a link leads out of the folder.
        """
        for folder in self.masks:
            found = {end: self._masks_called(folder, name, end) for end in self._ends}
            others = [end for end in filter(None, found) if found[end]]
            # That of an image which is called so, not of this one.
            own = [
                end
                for end in others
                if self._names.find(self.images, name + end, self.read)
            ]
            meant = [path for end in found if end not in own for path in found[end]]
            if path := self._only(meant, "masks", name):
                return path
            if own:
                raise UserError(
                    f"{found[own[0]][0]} would be the mask of the images {name!r} and "
                    f"{name + own[0]!r}. Name masks as their images."
                )
        for folder in self.masks:
            for end in self._ends:
                if other := self._names.find(folder, name + end, _OTHERS):
                    raise _other_format(self.inside.checked(other[0]), name)
        return None

    def _masks_called(self, folder: str, name: str, end: str) -> list[Path]:
        """Returns the masks `folder/name + end` of an image.

        Raises:
          UserError: only its letters keep one from being it, and it is of no other.
        """
        place, found = self.root / folder / (name + end), []
        for path in self._names.alike(place, ".png"):
            if path.name.startswith(place.name):
                found.append(path)
                continue
            other = path.relative_to(self.root / folder).with_suffix("").as_posix()
            own = {other, other[: len(other) - len(end)]} - {name}
            if not any(self._names.find(self.images, it, self.read) for it in own):
                raise other_letters(path, f"{place.name}.png")
        return found

    def _only(self, found: Sequence[Path], what: str, name: str) -> Path | None:
        """Returns the one file of a name, None if there is none.

        Raises:
          UserError: there are two, or a link leads out of the folder.
        """
        check_links(found)
        paths = [self.inside.checked(path) for path in found]
        if len(paths) > 1:
            raise UserError(
                f"{paths[0]} and {paths[1]} are both {what} of the name {name!r}: "
                "which of them is meant is not said. Rename one, or move it elsewhere."
            )
        return next(iter(paths), None)

    def pairs(self) -> list[Pair]:
        """Returns all images in the order of their names, each with its mask.

        Raises:
          UserError: images have no masks, masks no images, names are not unique, a link
            leads out of the folder, or one is to a folder.
        """
        for folder in (self.images, *self.masks):
            _check_no_link_of_folders(self.root / folder)
        names = _by_name(self.root / self.images, self.read)
        for path in names.values():
            self.inside.checked(path)
        masks = {name: self.mask(name) for name in names}
        used = {path for path in masks.values() if path}
        spare = _spare(self.root, self.masks, used)
        if spare or not names or None in masks.values():
            alone = [name for name, mask in masks.items() if mask is None]
            raise self._unpaired(len(names), alone, spare)
        found = [
            Pair(name, image, mask)
            for name, image in names.items()
            if (mask := masks[name])
        ]
        return counted_once(found, self.root / self.images)

    def _unpaired(
        self, count: int, alone: Sequence[str], spare: Sequence[str]
    ) -> UserError:
        """Returns the refusal of images without masks, and of masks without images."""
        images, masks = self.root / self.images, " or ".join(self.masks)
        folders = (
            (self.images, self.read),
            *((it, (".png",)) for it in self.masks),
        )
        unread = (of_unread(self.root / it, read) for it, read in folders)
        why = "".join(f" {sentence}" for sentence in unread if sentence)
        if not count and not spare:
            return UserError(f"{images} has no images ({', '.join(self.read)}).{why}")
        return UserError(
            f"{images} and {masks} do not match: {unmatched(count, alone, spare)}. Add "
            "what is missing or move the rest elsewhere; or write lists of those to "
            f"use, train.txt and val.txt.{why}"
        )


def counted_once(
    pairs: Sequence[Pair],
    place: Path,
    refuse: Callable[[UserError], None] = raise_error,
    again: Sequence[str] = (),
) -> list[Pair]:
    """Returns images without those that are an earlier one; says which those are.

    Two names may be of one file: by links, or in a file system without cases.

    Args:
      pairs: images and masks.
      place: where they are named, for messages.
      refuse: is told of an image that has two masks.
      again: names that were left out before, as often as they were.

    Raises:
      UserError: an image has two masks that differ.
    """
    first: dict[tuple[int, int], Pair] = {}
    again = [*again]
    for pair in pairs:
        known = first.setdefault(identity(pair.image), pair)
        if known is pair:
            continue
        again.append(pair.name)
        if not same_content(known.mask, pair.mask):
            refuse(
                UserError(
                    f"{place}: {known.name!r} and {pair.name!r} are one image, but "
                    f"their masks {known.mask} and {pair.mask} differ. Leave one out."
                )
            )
    if again:
        note(
            f"{place} names {len(again)} images again, which count once: "
            f"{shown(first_few(again))}"
        )
    return list(first.values())


def unmatched(count: int, alone: Sequence[str], spare: Sequence[str]) -> str:
    """Returns which images have no mask, and which masks no image, for a message."""
    parts = []
    if alone:
        parts.append(f"{len(alone)} of {count} images have no mask: {first_few(alone)}")
    if spare:
        parts.append(f"{len(spare)} masks have no image: {first_few(spare)}")
    return "; ".join(parts)


def _other_format(path: Path, name: str) -> UserError:
    return UserError(
        f"{path} is the mask of image {name!r}, but masks are read as .png. Export it "
        "as a grayscale or palette PNG from the program that drew it."
    )


def _check_no_link_of_folders(folder: Path) -> None:
    """Refuses a link to a folder, in which no images would be found."""
    for path in below(folder):
        if path.is_symlink() and path.is_dir() and not path.name.startswith("."):
            raise UserError(
                f"{path} is a link to a folder, into which nobody looks without lists. "
                "Put the folder in its place, or write lists of the images to use, "
                "train.txt and val.txt."
            )


def _by_name(folder: Path, read: Sequence[str]) -> dict[str, Path]:
    """Returns all images of a folder by their names, which have no endings.

    Raises:
      UserError: two have one name.
    """
    found: dict[str, Path] = {}
    for path in files_below(folder, read):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if found.setdefault(name, path) != path:
            raise UserError(
                f"{found[name]} and {path} have one name, {name!r}, and so one mask. "
                "Rename one, and its mask."
            )
    return dict(sorted(found.items()))


def _spare(root: Path, folders: Sequence[str], used: Collection[Path]) -> list[str]:
    """Returns the names of the masks that no image has, in any of the folders."""
    names, known = set[str](), set[str]()
    for folder in folders:
        for path in files_below(root / folder, (".png",)):
            name = path.relative_to(root / folder).with_suffix("").as_posix()
            (known if path in used else names).add(name)
    return sorted(names - known)
