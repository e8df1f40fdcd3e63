"""The EXIF orientation by which images are turned."""

from __future__ import annotations

from typing import Any

from PIL import ExifTags, Image

from train.data.png_chunks import PROFILE, texts_behind

_ORIENTATION = ExifTags.Base.Orientation


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation by which an image is turned, 1 for none.

    EXIF that cannot be read turns nothing, and XMP never does, as in programs that
    show images.

    Args:
      image: as `opened` gives it.
    """
    try:
        found = _exif_of(image).get(_ORIENTATION, 1)
        number = 1 if isinstance(found, str | bytes) else int(found)
    except Exception:
        return 1
    return number if number in range(1, 9) else 1


def _exif_of(image: Image.Image) -> Image.Exif:
    """Returns an image's EXIF, to which Pillow adds the orientation of its XMP."""
    if image.format == "TIFF":
        return image.getexif()  # its own tags; `opened` leaves no XMP
    file: Any = getattr(image, "fp", None)  # none once all of it is read
    if image.format == "PNG" and file and texts_behind(file):
        image.load()
    content = image.info.get("exif")
    if content is None and (profile := image.info.get(PROFILE)):
        content = bytes.fromhex("".join(profile.split("\n")[3:]))
    exif = Image.Exif()
    exif.load(content or b"")
    return exif
