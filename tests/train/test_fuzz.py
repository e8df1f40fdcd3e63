"""Whatever is handed over ends in a value or in one message, and writes nothing.

`python -m pytest tests/train/test_fuzz.py --hypothesis-profile long` draws more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from models.weights import WeightsError, read_header, read_weights
from train.common.errors import UserError
from train.config import Config, describe, load_config
from train.data.images import encode, read_image, read_mask, upright_size
from train.evaluation.input_images import name_outputs
from train.workdir.contents import read_described, read_metrics, read_result
from train.workdir.trained import load_file

LONG = settings.get_current_profile_name() == "long"
drawn = settings(
    max_examples=5000 if LONG else 60,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# Tables that look like ours: known names, and values of any kind.
TEXTS = st.text(max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
DESCRIBED = {
    "name": "x",
    "class_names": ["a", "b"],
    "colors": [[0, 0, 0], [1, 1, 1]],
    "fingerprint": "0",
    "val_names": [],
    "folder": "",
}


def tables(like: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Draws JSON with some fields of a table changed, and any bytes."""
    changes = st.dictionaries(st.sampled_from(sorted(like)) | TEXTS, VALUES, max_size=3)
    changed = changes.map(lambda new: json.dumps({**like, **new}).encode())
    return (
        changed | st.binary(max_size=40) | VALUES.map(lambda v: json.dumps(v).encode())
    )


def check(read: Callable[[Path], object], path: Path, content: bytes) -> None:
    """Reads a file of this content, and looks whether anything else has changed."""
    path.write_bytes(content)
    before = sorted(path.parent.rglob("*"))
    try:
        read(path)
    except (UserError, WeightsError) as error:
        assert str(path) in str(error)
    assert sorted(path.parent.rglob("*")) == before and path.read_bytes() == content


@drawn
@given(content=tables(describe(Config())))
def test_configurations(tmp_path: Path, content: bytes) -> None:
    check(load_config, tmp_path / "config.json", content)


@drawn
@given(content=tables(DESCRIBED))
def test_descriptions_of_data(tmp_path: Path, content: bytes) -> None:
    check(read_described, tmp_path / "dataset.json", content)


@drawn
@given(content=tables({"steps": 3, "mean_iou": 0.5}))
def test_results(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "summary.json"
    check(lambda path: read_result(path, "", "steps", "mean_iou"), path, content)


@drawn
@given(lines=st.lists(tables({"step": 3, "split": "val", "loss": 0.5}), max_size=4))
def test_lines_of_metrics(tmp_path: Path, lines: list[bytes]) -> None:
    check(read_metrics, tmp_path / "metrics.jsonl", b"\n".join(lines))


METADATA = {
    "config": json.dumps(describe(Config().replace(backbone="resnet_small"))),
    "class_names": '["a", "b"]',
    "colors": "[[0, 0, 0], [1, 1, 1]]",
    "step": "3",
}


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """Draws files of weights: other metadata, other arrays, other bytes."""
    changes = draw(
        st.dictionaries(
            st.sampled_from(sorted(METADATA)) | TEXTS,
            TEXTS
            | tables({"steps": 3}).map(lambda text: text.decode(errors="replace")),
            max_size=2,
        )
    )
    kind = draw(st.sampled_from(["float32", "int32", "bool", "float64", "complex64"]))
    arrays = {draw(TEXTS) or "w": np.ones(draw(st.integers(0, 3)), kind)}
    content = bytearray(save(arrays, {**METADATA, **changes}))
    for place, value in draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)))
    ):
        content[place] = value
    return bytes(content[: draw(st.integers(0, len(content)))] or content)


@drawn
@given(content=models())
def test_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    check(load_file, path, content)
    check(read_header, path, content)
    check(read_weights, path, content)


PICTURE = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
PICTURES = [
    encode(PICTURE, "JPEG"),
    encode(PICTURE, "PNG"),
    encode(PICTURE[..., 0] % 4, "PNG"),
    encode(PICTURE, "TIFF"),
    encode(PICTURE, "BMP"),
    encode(PICTURE, "WEBP"),
]


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """Draws pictures with some bytes changed, cut or added, of any ending."""
    content = bytearray(draw(st.sampled_from(PICTURES)))
    for place, value in draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)))
    ):
        content[place] = value
    return bytes(content[: draw(st.integers(1, len(content)))]) + draw(
        st.binary(max_size=4)
    )


@pytest.mark.filterwarnings("ignore")  # of Pillow, about what it finds
@pytest.mark.parametrize("read", [read_image, read_mask, upright_size])
@drawn
@given(content=pictures())
def test_pictures(
    tmp_path: Path, read: Callable[[Path], object], content: bytes
) -> None:
    check(read, tmp_path / "a.png", content)


NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]),
    min_size=1,
    max_size=80,
).filter(lambda name: name not in (".", ".."))


@drawn
@given(names=st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_names_of_masks(tmp_path: Path, names: list[str]) -> None:
    out = tmp_path / "out"
    try:
        outputs = name_outputs([tmp_path / "in" / name for name in names], out)
    except UserError:
        return
    written = [path for files in outputs.values() for path in files]
    assert len(set(written)) == len(written) == 2 * len(names)
    for path in written:
        assert path.parent == out and len(path.name.encode()) <= 255
