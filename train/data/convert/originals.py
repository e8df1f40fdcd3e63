"""What a converted folder is called and refused by: the user's data, which to mend."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from train.common.errors import UserError
from train.data.splits import Listing
from train.data.voc import voc_listing
from train.data.voc_files import LISTS, Files, Pair
from train.data.voc_lists import read_list


def originals_listed(
    root: Path, splits: Sequence[str], *, links: bool = False
) -> Listing:
    """Returns the images of a converted folder, the user's own files where it links.

    Raises:
      UserError: the data have no such split.
    """
    there = sorted(path.stem for path in (root / LISTS).glob("*.txt"))
    if missing := [split for split in splits if there and split not in there]:
        raise UserError(
            f"it has no split {missing[0]!r}, but {', '.join(there)}. Choose of those "
            "with --train-split and --val-split."
        )
    if there:  # by their own names: val is not validation
        files = Files(root, links=links)
        of = {it: read_list(root / LISTS / f"{it}.txt", files) for it in splits}
        found = Listing(of, [])
    else:
        found = voc_listing(root, splits, links=links)
    lists = {split: _originals(pairs) for split, pairs in found.lists.items()}
    return found._replace(lists=lists, whole=_originals(found.whole))


def _originals(pairs: Sequence[Pair]) -> list[Pair]:
    return [
        pair._replace(image=_original(pair.image), mask=_original(pair.mask))
        for pair in pairs
    ]


def _original(path: Path) -> Path:
    return path.readlink() if path.is_symlink() else path


@contextlib.contextmanager
def telling(data: str, form: str, folder: Path) -> Iterator[None]:
    """Says first what data an error in the block is about, and where to mend them.

    Args:
      data: path of them, or their name.
      form: what they are.
      folder: what they are converted to, which is no place to mend anything.
    """
    try:
        yield
    except UserError as error:
        itself = re.escape(str(folder)) + r"(?!/)"
        text = re.sub(itself, lambda _: data, str(error))
        if f"{folder}/" in text:
            text += f" {folder} is made from the data: mend it in those."
        raise UserError(f"{data}, converted from {form}: {text}") from error
