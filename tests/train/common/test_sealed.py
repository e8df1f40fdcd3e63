"""Files of JSON with a checksum: no damage passes."""

import time
from pathlib import Path

import pytest

from train.common.sealed import checksum_of, parse_json, read_sealed, write_sealed

CONTENT = {"version": 6, "names": ["a", "ö", 'q"'], "rate": 1e-4, "on": True}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.json"
    write_sealed(path, CONTENT)
    return path


def test_content_comes_back(path: Path) -> None:
    assert read_sealed(path) == CONTENT
    assert f'"checksum": "{checksum_of(path)}"' in path.read_text()


def test_equal_contents_are_equal_files(path: Path, tmp_path: Path) -> None:
    write_sealed(tmp_path / "other.json", CONTENT)
    assert (tmp_path / "other.json").read_bytes() == path.read_bytes()


def test_every_flipped_bit_is_seen(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        with pytest.raises(ValueError):
            # Without `always`, another name than "checksum" is left to the schema.
            read_sealed(path, always=lambda content: True)


@pytest.mark.parametrize("length", [0, 1, 20, -2])
def test_every_cut_is_seen(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError):
        read_sealed(path)


def test_file_of_before_is_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"steps": 7}')
    assert read_sealed(path) == read_sealed(path) == {"steps": 7}
    assert capsys.readouterr().out.count(f"{path} is of an earlier version") == 1
    with pytest.raises(ValueError, match="its checksum is missing"):
        read_sealed(path, always=lambda content: content["steps"] == 7)


@pytest.mark.parametrize("text", ["[" * 99_999, '{"a":' * 99_999])
def test_absurd_depth_is_an_error_of_values(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(text)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "a": 2}}]'])
def test_a_field_named_twice_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="the field 'a' twice"):
        parse_json(text)


def test_field_that_is_there_twice_is_found_at_once() -> None:
    names = [*map(str, range(20_000)), "twice", "twice"]
    began = time.process_time()
    with pytest.raises(ValueError, match="the field 'twice' twice"):
        parse_json("{" + ",".join(f'"{name}":0' for name in names) + "}")
    assert time.process_time() - began < 1
