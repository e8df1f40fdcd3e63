"""PyTorch's checkpoints that say where their entries are, and say it wrong."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from models.torch_files import TorchFileError, read_torch_file


def test_entries_beyond_the_largest_file_are_refused(tmp_path: Path) -> None:
    """An extra field of 64 bits says where an entry begins."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
    content = bytearray(buffer.getvalue())
    entry, end = content.find(b"PK\x01\x02"), content.find(b"PK\x05\x06")
    (name,) = struct.unpack_from("<H", content, entry + 28)
    (size,) = struct.unpack_from("<I", content, end + 12)
    extra = struct.pack("<HHQ", 1, 8, 2**64 - 1)
    struct.pack_into("<I", content, end + 12, size + len(extra))
    struct.pack_into("<H", content, entry + 30, len(extra))
    struct.pack_into("<I", content, entry + 42, 2**32 - 1)
    content[entry + 46 + name : entry + 46 + name] = extra
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(TorchFileError, match="w.pth cannot be read"):
        read_torch_file(path)
