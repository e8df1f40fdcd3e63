"""Masks of SBD: MATLAB files, and files that are something else."""

import io
import os
import pickle
import struct
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
