"""Keys and numbers of a pickle, whose hashes a file must not choose."""

from pathlib import Path

import pytest

from models.torch_files import TorchFileError, read_torch_header

from .checkpoints import table, value, write_zip


def test_deeply_nested_key_is_refused(tmp_path: Path) -> None:
    nested = b"}N" + b"\x85" * 1_000_000 + b"Ns"  # its hash overflows the C stack
    path = write_zip(tmp_path / "w.pth", nested)
    with pytest.raises(TorchFileError, match="key that is not a string but a tuple"):
        read_torch_header(path)


def test_key_that_could_have_any_hash_is_refused(tmp_path: Path) -> None:
    for key in (2**80, 2**40, -(2**17)):
        path = write_zip(tmp_path / "w.pth", table({key: b"N"}))
        with pytest.raises(TorchFileError, match="key that is a number above 65536"):
            read_torch_header(path)
    path = write_zip(tmp_path / "w.pth", b"}G" + bytes(8) + b"Ns")
    with pytest.raises(TorchFileError, match="key that is not a string but a float"):
        read_torch_header(path)


def test_objects_are_numbered_in_turn(tmp_path: Path) -> None:
    """A file that chose their numbers could choose some of one hash, for hours."""
    for number in (2, 2**31):
        put = b"}r" + number.to_bytes(4, "little")
        path = write_zip(tmp_path / "w.pth", put)
        with pytest.raises(TorchFileError, match="not numbered in turn"):
            read_torch_header(path)
    path = write_zip(tmp_path / "w.pth", b"}q\x01(" + value("model") + b"h\x01u")
    with pytest.raises(TorchFileError, match="dictionaries deep"):  # was read, from 1
        read_torch_header(path)
