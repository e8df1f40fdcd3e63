"""Sets of TFDS from strangers: what their files name is not imported or followed."""

import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.data.convert.tfds_files import find_prepared
from train.data.dataset import find_dataset
from train.data.records import open_splits
from train.data.scenes import BuiltinScenes

from .tfds_miniatures import changed, options, pets

PETS = "tfds:oxford_iiit_pet"
CLASS = "hostile_module.Feature"
IMAGE = "tensorflow_datasets.core.features.image_feature.Image"
DICT = "tensorflow_datasets.core.features.features_dict.FeaturesDict"


@pytest.fixture(autouse=True)
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that a module writes as soon as it is imported; it never is."""
    code, marker = tmp_path / "code", tmp_path / "it ran"
    code.mkdir()
    (code / "hostile_module.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(code)
    yield marker
    sys.modules.pop("hostile_module", None)
    assert not marker.exists()


def find(tmp_path: Path, data: str = PETS, **more: object) -> Any:
    return find_dataset(options(tmp_path, data, "train", "test", **more).data)


NESTED = {"x": {"type": CLASS, "content": {}}}


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("features.json", {"pythonClassName": CLASS}),
        ("features.json", {"python_class_name": CLASS}),
        ("features.json", {"type": CLASS, "content": {}}),
        (
            "features.json",
            {"pythonClassName": DICT, "jsonFeature": {"json": json.dumps(NESTED)}},
        ),
        (
            "dataset_info.json",
            {"features": {"pythonClassName": CLASS, "jsonFeature": {"json": "{}"}}},
        ),
    ],
)
def test_no_class_is_imported(
    tmp_path: Path, place: Path, file: str, change: dict[str, Any]
) -> None:
    path = pets(place) / file
    if path.stem == "features":
        path.write_text("{}")
    changed(path, lambda content: content.update(change))
    try:
        find(tmp_path)
    except UserError as error:
        assert "tfds:oxford_iiit_pet" in str(error) or file in str(error)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of records, as a run's dataset.json may name one."""
    monkeypatch.setattr("train.data.scenes.SPLIT_SIZES", {"train": 1, "val": 1})
    place = str(tmp_path / "prepared")
    open_splits(BuiltinScenes(data_dir=place), ("train",))
    return place


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fileFormat": "riegeli"}'])
def test_prepared_records_that_are_damaged(data_dir: str, text: str) -> None:
    next(Path(data_dir).rglob("dataset_info.json")).write_text(text)
    said = f"{data_dir}/builtin_scenes: prepared records cannot be read .*next run"
    with pytest.raises(UserError, match=said):
        BuiltinScenes(data_dir=data_dir)


def test_prepared_records_import_nothing(data_dir: str) -> None:
    for path in Path(data_dir).rglob("*.json"):
        feature = {"pythonClassName": CLASS, "jsonFeature": {"json": "{}"}}
        more = {"features": feature} if path.stem == "dataset_info" else feature
        changed(path, lambda content, more=more: content.update(more))  # type: ignore[misc]
    open_splits(BuiltinScenes(data_dir=data_dir), ("train",))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "oxford_iiit_pet/data_dir={}",
        "oxford_iiit_pet/x/data_dir={}",
        "oxford_iiit_pet:4.0.0/data_dir={}",
        "oxford_iiit_pet/..",
        "oxford_iiit_pet/../oxford_iiit_pet",
        "oxford_iiit_pet/.config",
        "../oxford_iiit_pet",
        "{}/oxford_iiit_pet",
        "kaggle:oxford_iiit_pet",
        "oxford_iiit_pet:4.0",
        "oxford_iiit_pet:latest",
        "oxford_iiit_pet\n",
    ],
)
def test_names_lead_nowhere_else(tmp_path: Path, place: Path, name: str) -> None:
    pets(place)
    name = name.format(place)
    with pytest.raises(UserError, match="is no name of a set. Write NAME"):
        find(tmp_path, f"tfds:{name}")


@pytest.mark.parametrize("template", ["../x", "/etc/passwd", "{SPLIT}/../../x"])
def test_names_of_files_stay_in_the_folder(
    tmp_path: Path, place: Path, template: str
) -> None:
    path = pets(place) / "dataset_info.json"
    changed(path, lambda it: it["splits"][0].update(filepathTemplate=template))
    with pytest.raises(UserError, match=f"{path} names the file '.*', elsewhere"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{DATASET}" * 1000, "a" * 1000),  # a million, of 10 kB
        ("{DATASET}" * 28, "{SPLIT}" * 36),  # each once more
        ("{DATASET}", "\u00fc" * 200),
    ],
)
def test_names_of_files_are_bounded_before_they_are_made(
    tmp_path: Path, place: Path, template: str, name: str
) -> None:
    path = pets(place) / "dataset_info.json"

    def change(content: dict[str, Any]) -> None:
        content["name"] = name
        content["splits"][0].update(filepathTemplate=template)

    changed(path, change)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=f"{path}: '.*longer than 255 bytes") as it:
            find(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 800_000
    finally:
        tracemalloc.stop()
    assert len(str(it.value)) < 1000


@pytest.mark.parametrize("name", ["../x", "a/b", "", "\x1b[31m", "a" * 10_000])
def test_names_of_splits_are_names(tmp_path: Path, place: Path, name: str) -> None:
    path = pets(place) / "dataset_info.json"
    changed(path, lambda content: content["splits"][0].update(name=name))
    with pytest.raises(UserError, match=f"{path} has a split '"):
        find(tmp_path)


def test_links_out_of_the_folder(tmp_path: Path, place: Path) -> None:
    path = next(pets(place).glob("*train*"))
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"{path} leads out of .* --links"):
        find(tmp_path)
    assert find(tmp_path, links=True).class_names == ("pet", "background", "border")


@pytest.mark.parametrize("file", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"featuresDict": [], "name": 1}',
        '{"type": "x", "content": {"image": 3}, "name": "x", "splits": [{}]}',
        '{"content": [1], "name": "x", "splits": [{"name": "train", "shardLengths": '
        '["x"]}]}',
    ],
)
def test_files_that_are_damaged(
    tmp_path: Path, place: Path, file: str, text: str
) -> None:
    path = pets(place) / file
    path.write_text(text)
    with pytest.raises(UserError, match=f"{path} .*Prepare the set again"):
        find(tmp_path)


@pytest.mark.parametrize("wrapped", [True, False])
def test_features_as_earlier_versions_of_tfds_wrote_them(
    place: Path, wrapped: bool
) -> None:
    path = pets(place) / "features.json"
    features = json.loads(path.read_text())["featuresDict"]["features"]
    content = {"features": features}
    if not wrapped:
        pixels = {"shape": [None, None, 1], "dtype": "uint8"}
        content = {
            "image": {"type": IMAGE, "content": {**pixels, "shape": [None, None, 3]}},
            "segmentation_mask": {"type": IMAGE, "content": pixels},
            "file_name": {"type": IMAGE.replace("Image", "Text"), "content": {}},
        }
    proto = "tensorflow_datasets.FeaturesDict" if wrapped else ""
    described = {"type": DICT, "content": content, "proto_cls": proto}
    path.write_text(json.dumps(described))
    found = find_prepared("oxford_iiit_pet").images
    assert found == {"image": ("3", "uint8"), "segmentation_mask": ("1", "uint8")}
