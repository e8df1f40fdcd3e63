"""The parts of a TIFF, strips or tiles, are in its file, whole."""

import io
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.channels import stored_size
from train.data.forms import Form
from train.data.images import read_image, upright_size
from train.evaluation.input_sizes import sizes_of

from .channel_files import entry_of, tiff

RGBA = Form(4, 8)
PIXELS = np.arange(37 * 41 * 4, dtype=np.uint16).reshape(37, 41, 4)


def read(tmp_path: Path, content: bytes, form: Form) -> np.ndarray:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    return read_image(path, form)


def test_tiffs_that_were_cut_short_are_refused(tmp_path: Path) -> None:
    """Their directory is in front, as Pillow writes it."""
    whole = io.BytesIO()
    Image.fromarray(PIXELS.astype(np.uint8)).save(whole, "TIFF")
    content = whole.getvalue()
    found = read(tmp_path, content, RGBA)
    np.testing.assert_array_equal(found, PIXELS.astype(np.uint8))
    for cut in (1, 100, 3000):
        with pytest.raises(UserError, match="a.tif.*part 1 of 1 .* was cut short"):
            read(tmp_path, content[:-cut], RGBA)


def parts_of(content: bytes) -> list[list[int]]:
    """Returns the places of the strips or tiles of a TIFF, and their sizes, bytes."""
    (at,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, at)
    found = {}
    for number in range(entries):
        tag, _, count, place = struct.unpack_from(
            "<HHII", content, at + 2 + 12 * number
        )
        if tag in (273, 279, 324, 325):
            found[tag] = list(struct.unpack_from(f"<{count}I", content, place))
    return [found[tag] for tag in sorted(found)]


@pytest.mark.parametrize("how", [{"rows": 5}, {"tile": 16}, {"deflate": True}], ids=str)
@pytest.mark.parametrize("place, size", [(0, 0), (0, None), (None, 0), (10**6, None)])
@pytest.mark.parametrize("form", [RGBA, Form()], ids=str)
def test_tiffs_without_some_parts_are_refused(
    how: dict[str, Any],
    place: int | None,
    size: int | None,
    form: Form,
    tmp_path: Path,
) -> None:
    pixels = PIXELS[..., : form.channels].astype(np.uint8)
    places, sizes = parts_of(tiff(pixels, **how))
    places[2] = places[2] if place is None else place
    sizes[2] = sizes[2] if size is None else size
    tags = {324: places, 325: sizes} if "tile" in how else {273: places, 279: sizes}
    said = "part 3 of .* is not in the file" if size == 0 else "decoded"
    with pytest.raises(UserError, match=f"a.tif .*{said}"):
        read(tmp_path, tiff(pixels, **how, tags=tags), form)


@pytest.mark.parametrize("how", [{}, {"tile": 16}, {"separate": True}], ids=str)
@pytest.mark.parametrize("which, more", [(0, -1), (0, 1), (-1, -1), (-1, 1)])
def test_parts_are_as_large_as_their_rows(
    how: dict[str, Any], which: int, more: int, tmp_path: Path
) -> None:
    sizes = parts_of(tiff(PIXELS, **how))[1]
    sizes[which] += more
    tags = {325 if "tile" in how else 279: sizes}
    with pytest.raises(UserError, match="parts are not as large as their rows|not in"):
        read(tmp_path, tiff(PIXELS, **how, tags=tags), Form(4, 16))


def test_a_last_strip_may_be_whole(tmp_path: Path) -> None:
    whole = np.concatenate([PIXELS, PIXELS[:3]])  # 8 strips of 5 rows
    content = tiff(whole, tags={257: [37]})
    found = read(tmp_path, content, Form(4, 16))
    np.testing.assert_array_equal(found, PIXELS)


def with_lists_of(numbers: int) -> bytes:
    """Returns a TIFF of 64×48 whose four lists all name the same numbers of 16 bits."""
    lists = [(tag, 3, numbers, 200) for tag in (273, 279, 324, 325)]
    sides = [(tag, 4, 1, side) for tag, side in ((256, 64), (257, 48))]
    tile = [(322, 4, 1, 64), (323, 4, 1, 48)]
    entries = sorted([*sides, (258, 3, 1, 8), *lists, *tile])
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    head += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return head.ljust(200, b"\0") + b"\xff\xfe" * numbers


def peak_of(action: Callable[[], object]) -> int:
    """Returns the most memory that Python's allocators give it, bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_lists_are_read_that_have_a_number_for_each_part(tmp_path: Path) -> None:
    path, content = tmp_path / "a.tif", with_lists_of(200_000)
    path.write_bytes(content)
    assert peak_of(lambda: stored_size(path)) < len(content)
    assert sizes_of([path]) == {}


@pytest.mark.parametrize("read_size", [stored_size, upright_size])
def test_sparse_files_are_refused_by_their_size(
    read_size: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(with_lists_of(1).replace(b"\3\0\1\0\0\0", b"\3\0\0\0\0\4"))
    os.truncate(path, 2**28)
    assert peak_of(lambda: read_size(path)) < 2**20
    path.write_bytes(tiff(PIXELS.astype(np.uint8)))
    os.truncate(path, 2**28)
    with pytest.raises(UserError, match="268435456 bytes, and of such a file at most"):
        stored_size(path)


@pytest.mark.parametrize("head", [b"II\0*", b"MM*\0"])
def test_heads_that_decoders_read_differently_are_refused(
    head: bytes, tmp_path: Path
) -> None:
    whole = tiff(PIXELS[..., :3].astype(np.uint8), order="<" if head < b"M" else ">")
    with pytest.raises(UserError, match="a.tif has a head .* decoders read different"):
        read(tmp_path, head + whole[4:], Form())


@pytest.mark.parametrize("form", [Form(4, 16), Form()], ids=str)
@pytest.mark.parametrize("head", [b"II+\0", b"MM\0+"])
def test_lists_of_64_bits_are_not_read(head: bytes, form: Form, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a.tif is a TIFF of 64-bit.*a plain TIFF"):
        read(tmp_path, head + tiff(PIXELS)[4:], form)


GRAY = PIXELS[..., :1].astype(np.uint8)
FORMS = pytest.mark.parametrize("form", [Form(1, 8), Form(1, 16), Form()], ids=str)


@FORMS
@pytest.mark.parametrize("tag", [254, 258, 259, 262, 266, 274, 277, 278, 317, 339])
@pytest.mark.parametrize("kind", [1, 6, 8, 9])
def test_numbers_of_types_that_decoders_read_differently(
    tag: int, kind: int, form: Form, tmp_path: Path
) -> None:
    tags = {tag: [1 - (tag == 254)]} if tag in (254, 266, 274, 317, 339) else {}
    content = bytearray(tiff(GRAY.astype(form.dtype), tags=tags))
    content[entry_of(content, tag)[0] + 2] = kind
    with pytest.raises(UserError, match=rf"a\.tif has entry {tag} in a form"):
        read(tmp_path, bytes(content), form)


@FORMS
@pytest.mark.parametrize("tag", [262, 279])
def test_numbers_that_are_there_twice(tag: int, form: Form, tmp_path: Path) -> None:
    content = bytearray(tiff(GRAY.astype(form.dtype), tags={266: [1]}))
    place = entry_of(content, 266)[0]
    struct.pack_into("<HHII", content, place, tag, 4, 1, 6)
    with pytest.raises(UserError, match=rf"a\.tif has entry {tag} in a form"):
        read(tmp_path, bytes(content), form)


@FORMS
@pytest.mark.parametrize(
    ("tag", "count"), [(266, 65), (266, 2), (274, 2), (317, 2), (262, 0), (338, 65)]
)
def test_more_numbers_than_a_tag_has(
    tag: int, count: int, form: Form, tmp_path: Path
) -> None:
    """libtiff passes over such an entry, where others read its first number."""
    content = tiff(GRAY.astype(form.dtype), tags={tag: [1] * count} if count else {})
    if count == 0:
        place = entry_of(content, tag)[0]
        content = content[: place + 4] + bytes(4) + content[place + 8 :]
    with pytest.raises(UserError, match=rf"a\.tif has entry {tag} in a form"):
        read(tmp_path, content, form)


@pytest.mark.parametrize("form", [Form(3, 8), Form()], ids=str)
@pytest.mark.parametrize("tag", [256, 257, 262, 273, 279, 322, 323, 325])
def test_tiffs_without_a_number(tag: int, form: Form, tmp_path: Path) -> None:
    pixels = PIXELS[..., :3].astype(np.uint8)
    content = tiff(pixels, tags={tag: []}, tile=16 * (tag > 300))
    with pytest.raises(UserError, match=rf"a\.tif is a TIFF without entry {tag} \("):
        read(tmp_path, content, form)
