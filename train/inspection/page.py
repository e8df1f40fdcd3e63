"""The page of an inspection: one HTML file that opens offline and needs no script."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from train.common.errors import UserError
from train.common.files import replace_bytes
from train.common.regular import read_regular
from train.inspection.pictures import STRAY_COLOR, pictures_of
from train.inspection.printed import text_of_places, text_of_sizes, weights_to_copy
from train.inspection.summary import Summary
from train.report.html import css_color, template

_PAGE = "inspection.html"
_MARK = b"<!-- Written by lal-jax, "  # its last line, with a checksum of those above


def write_inspection(summary: Summary, folder: Path) -> Path:
    """Writes `inspection.html` into a folder and returns its path.

    Raises:
      UserError: as `check_place_of_page`.
    """
    check_place_of_page(folder)
    html = template("inspection.html.jinja").render(
        name=summary.contents.name,
        summary=summary,
        sizes={split: text_of_sizes(sizes) for split, sizes in summary.sizes.items()},
        names=lambda finding: text_of_places(summary, finding),
        weights=weights_to_copy(summary),
        pictures=pictures_of(summary),
        css=css_color,
        stray_color=css_color(STRAY_COLOR),
    )
    path = folder / _PAGE
    folder.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, _marked(html.encode(errors="backslashreplace")))
    return path


def check_place_of_page(folder: Path) -> None:
    """Refuses a folder whose `inspection.html` no inspection wrote.

    Raises:
      UserError: it is another's, was changed since, or is a link.
    """
    path = folder / _PAGE
    if os.path.lexists(path) and not _is_own_page(path):
        raise UserError(
            f"{path} is there already, and it is not as this program wrote it. Choose "
            "another --out, or take it out of that folder."
        )


def _is_own_page(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    content = read_regular(path)
    return content == _marked(content.rpartition(_MARK)[0])


def _marked(page: bytes) -> bytes:
    """Returns a page with a last line by which a later call knows it."""
    return page + _MARK + f"crc32 {zlib.crc32(page):08x} -->\n".encode()
