"""Images that are trained on and evaluated: refused, or said beside the metrics."""

from __future__ import annotations

from train.common.errors import UserError
from train.common.notes import note
from train.common.text import first_few, shown
from train.data.dataset import DataOptions
from train.data.kinds import Found
from train.data.parts import held_and_kept


def check_shared(found: Found, options: DataOptions) -> None:
    """Refuses images that are trained on and evaluated, unless that is meant.

    It is where one list is named for both, or by --shared-images. What is held out of a
    list may not be in the rest of it under another name.

    Raises:
      UserError: it counts and names them.
    """
    same = options.train_split == options.val_split and not options.holdout
    meant = options.shared_images or same
    if (said := _shared(found, options)) and not meant:
        raise UserError(f"{said} If it is meant, add --shared-images.")


def warn_of_shared(found: Found, options: DataOptions) -> None:
    """Says which images are trained on and evaluated, if any."""
    if said := _shared(found, options):
        note(f"warning: {said}")


def _shared(found: Found, options: DataOptions) -> str:
    trained, names = options.train_split, found.shared
    evaluated = f"evaluated (list {options.val_split})"
    way_out = (
        "Take the lines out of one list, or evaluate on a part of the training list "
        "with --holdout 0.2."
    )
    if options.holdout:
        names, evaluated = (), "held out"
        if folder := found.folder:
            pairs = folder.splits[trained]
            names = held_and_kept(pairs, folder.digests, options.holdout)
        way_out = "They are there under other names: take them out of the list."
    if not names:
        return ""
    return (
        f"{len(names)} of the images {evaluated} are trained on as well (list "
        f"{trained}): {shown(first_few(names))}. Metrics are not those of new images. "
        f"{way_out}"
    )
