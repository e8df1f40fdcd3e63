"""Images that are not taken whole: which, in which windows, what is said of them."""

from __future__ import annotations

from train.common.errors import UserError
from train.data.images import Size, padded_size

# Windows for them, height and width, pixels; of an image that is less high or wide, the
# next multiple of the other.
FALLBACK = (513, 513)
_SHORTER = 32

# Sides that are longer, as the network sees them, are cut whatever memory is free:
# resizing takes the square of one, of an image of however few pixels.
LONGEST_SEEN = 8192

# Of resizing to a side that is longer than the other, for its pixels squared: it
# multiplies by a matrix.
SHORT, _SQUARE = 4096, 4  # pixels, bytes


def is_long(size: Size, largest: float) -> bool:
    """Returns whether an image has too long a side, seen at scales up to a largest."""
    return max(size) * largest > LONGEST_SEEN


def window_for(size: Size) -> Size:
    """Returns the windows for an image of a height and width."""
    height, width = map(min, FALLBACK, padded_size(size, _SHORTER))
    return height, width


def bytes_of_resizing(size: Size, largest: float) -> float:
    """Returns what resizing an image to a scale takes beside its pixels."""
    sides = [side * largest for side in size]
    return _SQUARE * sum(side**2 for side in sides if side > SHORT)


def check_windows(window: Size, largest: float) -> None:
    """Refuses windows that would themselves have too long a side.

    Args:
      window: height and width, pixels, of the images; 0 0 for none.
      largest: scale at which the network sees them.

    Raises:
      UserError: it names both.
    """
    if is_long(window, largest):
        raise UserError(
            f"windows of {window[0]}×{window[1]} at a scale of {largest:g} have a side "
            f"of {max(window) * largest:g} pixels, more than {LONGEST_SEEN}. Choose "
            "smaller ones with --window, or smaller scales with --scales "
            "(--evaluation-scales of train/main.py)."
        )


def said_of(size: Size, needed: float | None, free: float) -> str:
    """Returns what is said once of images that are cut.

    Args:
      size: height and width of the first, pixels.
      needed: bytes that it would take whole; None where it is too long for that.
      free: bytes.
    """
    what = f"An image of {size[0]}×{size[1]} pixels"
    why = f"{what} is longer than {LONGEST_SEEN} pixels, as the network sees it"
    if needed is not None:
        why = (
            f"{what} would take about {needed / 1e9:.1f} GB of memory, with "
            f"{free / 1e9:.1f} GB free"
        )
    return (
        f"{why}. Predicting such images in windows of {FALLBACK[0]}×{FALLBACK[1]}, "
        "which --window changes."
    )
