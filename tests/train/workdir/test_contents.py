"""What is in a run's folder is read by a schema, and damage is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.workdir.contents import read_described, read_metrics, read_result

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
        ({"class_names": ["sky", "sky"]}, "each class once; repeated: sky"),
        ({"class_names": ["sky", ""]}, "has a class called ''"),
        ({"class_names": ["sky", "a\x1b[2J"]}, r"has a class called 'a\x1b[2J'"),
        ({"class_names": ["sky", "a\r\n=1"]}, r"has a class called 'a\r\n=1'"),
        ({"class_names": ["sky", "a\0"]}, r"has a class called 'a\x00'"),
        ({"class_names": ["sky", "\ud800"]}, r"has a class called '\ud800'"),
        ({"class_names": ["sky", "a" * 201]}, "name has 201 characters ('aaaa"),
        ({"folder": "a\0"}, r"no path is 'a\x00'"),
        ({"prepared": "\ud800"}, r"no path is '\ud800'"),
        ({"folder": "a" * 99_999}, "no path is 'aaaa"),
        ({"a" * 99_999: 1}, "unknown field `aaaa"),
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
    assert len(str(raised.value)) < 500 + len(str(path))


def test_names_and_paths_of_any_script_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    names = ("über 日本 🙂", "a" * 200)
    folder = "a\nb \udcff"  # as a file system may have it
    path.write_text(json.dumps({**WHOLE, "class_names": names, "folder": folder}))
    assert read_described(path).class_names == names
    assert read_described(path).folder == folder


@pytest.mark.parametrize(
    "changes",
    [{"mean_iou": value} for value in ("0.5", True, None, [0.5], 10**400)]
    + [{"steps": "7"}, {"steps": {}}],
)
def test_result_without_numbers_is_named(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"steps": 7, "mean_iou": 0.5} | changes))
    (name,) = changes
    with pytest.raises(UserError, match=rf"{path} is damaged \({name}.*Move it else"):
        read_result(path, "", "steps", "mean_iou")
    path.write_text(json.dumps({"steps": 7, "mean_iou": 0.5, "others": "any"}))
    assert read_result(path, "", "steps", "mean_iou") is not None


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
    + [b'{"step": 2, "split": "val", "loss": [1]}']
    + [b'{"step": 2, "split": "val", "loss": "text"}']
    + [b'{"step": 2, "split": "val", "\\nerror: run this": "text"}']
    + [b'{"step": 2, "split": "val", "loss": true}']
    + [b'{"step": 2, "split": "val", "mean_iou": 1.7e306}']
    + [b'{"step": 2, "split": "val", "loss": 1' + b"0" * 400 + b"}"]
    + [b'{"step": -9999999999999999999999, "split": "val"}']
    + [b'{"step": 2147483648, "split": "val"}', b'{"step": -1, "split": "val"}']
    + [b'{"step": ' + b"9" * 5000 + b', "split": "val"}']
    + [b'{"step": true, "split": "val"}', b'{"step": 2, "split": null}'],
    ids=lambda line: repr(line[:40]),
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
