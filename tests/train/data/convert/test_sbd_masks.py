"""Masks of SBD: MATLAB files, and files that are something else."""

import io
import os
import pickle
import struct
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from train.common.errors import UserError
from train.data.convert import sbd_masks
from train.data.convert.sbd_masks import sbd_mask

from .voc_downloads import mat

MASK = np.array([[0, 1, 2], [20, 15, 0]], np.uint8)


@pytest.mark.parametrize("compressed", [True, False])
def test_the_classes_of_an_image(compressed: bool) -> None:
    found = sbd_mask(mat(MASK, compressed=compressed), "cls/1.mat")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, MASK)


def saved(**variables: object) -> bytes:
    file = io.BytesIO()
    savemat(file, variables)
    return file.getvalue()


WRONG = {
    "nothing": b"",
    "text": b"\nGTcls = 3\n" * 30,
    "png": b"\x89PNG\r\n\x1a\n" + bytes(300),
    "hdf5": b"MATLAB 7.3 MAT-file".ljust(124)
    + b"\x00\x02IM\x89HDF\r\n\x1a\n"
    + bytes(99),
    "another variable": saved(GTinst=MASK),
    "no struct": saved(GTcls=MASK),
    "no such field": saved(GTcls={"Boundaries": MASK}),
    "an empty mask": saved(GTcls={"Segmentation": MASK[:0]}),
    "numbers of another type": saved(GTcls={"Segmentation": MASK / 2}),
    "three axes": saved(GTcls={"Segmentation": np.stack([MASK, MASK], -1)}),
    "text for a mask": saved(GTcls={"Segmentation": "a mask"}),
    "truth values": saved(GTcls={"Segmentation": MASK > 0}),
    "a class too many": mat(MASK + np.uint8(1)),
    "cut short": mat(MASK)[:-9],
    "cut in its checksum": mat(MASK)[:-2],
    "cut before its end": mat(MASK, compressed=False)[:-40],
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_files_of_wrong_content(content: bytes) -> None:
    with pytest.raises(UserError, match="cls/1.mat is no mask of SBD .*Download"):
        sbd_mask(content, "cls/1.mat")


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, Sequence[object]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    for content in (pickle.dumps(Harm()), pickle.dumps(Harm()).ljust(500, b".")):
        with pytest.raises(UserError, match="is no mask of SBD"):
            sbd_mask(content, "cls/1.mat")
    assert not (tmp_path / "harm").exists()


def test_a_file_that_unpacks_to_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sbd_masks, "_LIMIT", 2**16)
    head = mat(MASK)[:128]
    packed = zlib.compress(bytes(2**20))
    element = struct.pack("<II", 15, len(packed)) + packed
    with pytest.raises(UserError, match=f"unpacks to more than {2**16} bytes"):
        sbd_mask(head + element, "cls/1.mat")
    small = zlib.compress(bytes(2**15))
    element = struct.pack("<II", 15, len(small)) + small
    with pytest.raises(UserError, match=f"unpacks to more than {2**16} bytes"):
        sbd_mask(head + 3 * element, "cls/1.mat")  # together


def test_a_mask_larger_than_any_image_is_not_unpacked() -> None:
    with pytest.raises(UserError, match="unpacks to more than 1048576 bytes"):
        sbd_mask(mat(np.zeros((1024, 1024), np.uint8)), "cls/1.mat")
    largest = np.zeros((500, 500), np.uint8)
    np.testing.assert_array_equal(sbd_mask(mat(largest), "cls/1.mat"), largest)


HEAD = mat(MASK)[:128]


def nested(depth: int) -> bytes:
    """Returns a cell in a cell, and so on, as the variable."""
    name = struct.pack("<II8s", 1, 5, b"GTcls")
    head = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, 1) + name
    sizes = [len(head) + (len(head) + 8) * index for index in range(depth)]
    return HEAD + b"".join(struct.pack("<II", 14, n) + head for n in reversed(sizes))


def test_cells_in_cells_are_not_followed() -> None:
    with pytest.raises(UserError, match="GTcls is not one struct"):
        sbd_mask(nested(10_000), "cls/1.mat")


def test_axes_without_number_are_not_multiplied() -> None:
    """The product of a million takes half an hour."""
    axes = struct.pack("<II", 5, 4 * 100) + struct.pack("<i", 2**31 - 1) * 100
    name = struct.pack("<II8s", 1, 5, b"GTcls")
    array = struct.pack("<IIII", 6, 8, 2, 0) + axes + name
    content = HEAD + struct.pack("<II", 14, len(array)) + array
    with pytest.raises(UserError, match="an array with 100 axes"):
        sbd_mask(content, "cls/1.mat")


def test_any_number_may_be_wrong() -> None:
    whole = mat(MASK, compressed=False)
    tracemalloc.start()
    try:
        for at in range(124, len(whole) - 4, 4):
            for number in (2**31 - 1, 2**32 - 1, 0, 14, 2**20):
                changed = whole[:at] + struct.pack("<I", number) + whole[at + 4 :]
                try:
                    sbd_mask(changed, "cls/1.mat")
                except UserError as error:
                    assert str(error).startswith("cls/1.mat is no mask of SBD (")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_sizes_that_are_claimed() -> None:
    whole = mat(MASK, compressed=False)
    axes = struct.pack("<IIii", 5, 8, *MASK.shape)
    assert whole.count(axes) == 1
    claimed = whole.replace(axes, struct.pack("<IIii", 5, 8, 2**31 - 1, 2**31 - 1))
    said = r"Segmentation has axes \(2147483647, 2147483647\) and 6 values"
    with pytest.raises(UserError, match=said):
        sbd_mask(claimed, "cls/1.mat")


@pytest.mark.parametrize("compressed", [True, False])
def test_elements_before_the_mask_are_few(compressed: bool) -> None:
    """A million of no bytes pack to nothing in an archive, and take a second."""
    whole, spare = mat(MASK), struct.pack("<II", 1, 0)
    if compressed:
        packed = zlib.compress(spare)
        spare = struct.pack("<II", 15, len(packed)) + packed
    found = sbd_mask(HEAD + 99 * spare + whole[128:], "cls/1.mat")
    np.testing.assert_array_equal(found, MASK)
    with pytest.raises(UserError, match="more than 100 elements in one place"):
        sbd_mask(HEAD + 100 * spare + whole[128:], "cls/1.mat")


def test_elements_before_the_field_are_few() -> None:
    whole = mat(MASK, compressed=False)
    at = whole.find(struct.pack("<HHi", 5, 4, 11)[:4])
    names = struct.pack("<HHi", 5, 4, 1) + struct.pack("<II", 1, 2**10) + bytes(2**10)
    content = whole[136:at] + names + 2**10 * struct.pack("<II", 14, 0)
    with pytest.raises(UserError, match="more than 100 elements in one place"):
        sbd_mask(HEAD + struct.pack("<II", 14, len(content)) + content, "cls/1.mat")


def test_names_of_many_fields_take_no_memory() -> None:
    whole = mat(MASK, compressed=False)
    at = whole.find(struct.pack("<HHi", 5, 4, 11)[:4])
    assert at > 0
    names = struct.pack("<HHi", 5, 4, 1) + struct.pack("<II", 1, 2**19) + bytes(2**19)
    content = whole[136:at] + names
    content = HEAD + struct.pack("<II", 14, len(content)) + content
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="no field Segmentation"):
            sbd_mask(content, "cls/1.mat")
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**19
    finally:
        tracemalloc.stop()


def test_masks_of_the_other_order_of_bytes() -> None:
    def array(name: bytes, kind: int, axes: Sequence[int], content: bytes) -> bytes:
        parts = [(6, struct.pack(">II", kind, 0)), (5, struct.pack(">2i", *axes))]
        return b"".join(part(*it) for it in [*parts, (1, name)]) + content

    def part(kind: int, content: bytes) -> bytes:
        padded = content + bytes(-len(content) % 8)
        return struct.pack(">II", kind, len(content)) + padded

    pixels = array(b"", 9, MASK.shape, part(2, MASK.tobytes("F")))
    fields = struct.pack(">HHi", 4, 5, 32) + part(1, b"Segmentation".ljust(32, b"\0"))
    whole = array(b"GTcls", 2, (1, 1), fields + part(14, pixels))
    content = HEAD[:124] + b"\1\0MI" + part(14, whole)
    np.testing.assert_array_equal(sbd_mask(content, "cls/1.mat"), MASK)
