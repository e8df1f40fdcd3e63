"""What is in a run's folder is read by a schema, and damage is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.workdir.contents import read_described, read_metrics

WHOLE: dict[str, Any] = {
    "name": "folder",
    "class_names": ["sky", "car"],
    "colors": [[0, 0, 0], [9, 9, 9]],
    "fingerprint": "0123",
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"class_names": "sky"}, "Expected `array`, got `str` - at `$.class_names"),
        ({"class_names": ["sky"]}, "at `$.class_names`"),
        ({"class_names": [1, 2]}, "Expected `str`, got `int`"),
        ({"class_names": ["sky", "car", "tree"]}, "2 colors for 3 classes"),
        ({"colors": [[0, 0, 0], [9, 9, 256]]}, "at `$.colors"),
        ({"colors": [[0, 0], [9, 9]]}, "at `$.colors"),
        ({"fingerprint": None}, "Expected `str`, got `null` - at `$.fingerprint`"),
        ({"folders": "/elsewhere"}, "unknown field `folders`"),
        ({"val_names": 5}, "at `$.val_names`"),
    ],
)
def test_dataset_of_another_kind_is_named(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**WHOLE, **changes}))
    with pytest.raises(UserError) as raised:
        read_described(path)
    assert f"{path} is damaged" in str(raised.value) and said in str(raised.value)


@pytest.mark.parametrize("field", sorted(WHOLE))
def test_missing_field_is_named(tmp_path: Path, field: str) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({k: v for k, v in WHOLE.items() if k != field}))
    with pytest.raises(UserError, match=f"missing required field `{field}`"):
        read_described(path)


@pytest.mark.parametrize("text", ["", "junk", "[]", "5", "[" * 99_999, b"\xff{}"])
def test_no_table_is_named(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "dataset.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=f"{path} is damaged"):
        read_described(path)


def test_dataset_of_before_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(WHOLE))
    assert read_described(path).class_names == ("sky", "car")
    assert read_described(path).earlier_fingerprint == ""


@pytest.mark.parametrize(
    "damaged",
    [b'{"step": 2, "spl\xffit": "val"}', b'{"step": "2", "split": "val"}', b"{}", b"[]"]
    + [b'{"step": 2}', b'{"step": 2.5, "split": "val"}', b"[" * 99_999, b"", b"\x00"]
    + [b'{"step": 2, "split": "val", "step": 3}']
    + [b'{"step": 2, "split": "val", "loss": [1]}'],
)
def test_damaged_line_costs_itself_alone(
    tmp_path: Path, damaged: bytes, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "metrics.jsonl"
    first, last = {"step": 1, "split": "train"}, {"step": 3, "split": "val", "a": 0.5}
    lines = [json.dumps(first).encode(), damaged, json.dumps(last).encode(), b'{"st']
    path.write_bytes(b"\n".join(lines))
    assert read_metrics(path) == [first, last]
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1  # a kill cuts the last line: nothing is said of it
    assert f"{path}, line 2, is damaged and left out" in printed


def test_values_that_are_no_numbers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "split": "val", "loss": NaN, "iou": null}\n')
    (line,) = read_metrics(path)
    assert line["loss"] != line["loss"] and line["iou"] is None
