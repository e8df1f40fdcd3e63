"""Names of COCO's files and images: which are missing, twice, or lead elsewhere."""

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data import fingerprint
from train.data.voc_classes import is_background

from ..exports import load, write_image
from .coco_files import SIZE, content, write_json
from .conftest import ACCENTS


@pytest.mark.parametrize(
    "name", ["../0.jpg", "/etc/0.jpg", "a/../../0.jpg", "..\\0.jpg", "C:/0.jpg"]
)
def test_names_that_lead_out_are_refused(alone: Path, name: str) -> None:
    write_image(alone.parent / "0.jpg", 0, SIZE)
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = name
    write_json(alone / "export.json", whole)
    with pytest.raises(UserError, match="is outside of its folder|1 of which are miss"):
        load(alone, split=0.5)


@pytest.mark.parametrize("name", ["C:\\x\\0.jpg", "D:/x/0.jpg", "\\\\host\\x\\0.jpg"])
def test_paths_of_windows_are_named(alone: Path, name: str) -> None:
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = name
    write_json(alone / "export.json", whole)
    said = r"export\.json: the image 100 has the file_name .*outside.* such as '0\.jpg'"
    with pytest.raises(UserError, match=said):
        load(alone, split=0.5)


def test_missing_images_are_counted(alone: Path) -> None:
    for index in (1, 3):
        (alone / "images" / f"{index}.jpg").unlink()
    said = r"4 images, 2 of which are missing: 1\.jpg, 3\.jpg\. Put them in .*images or"
    with pytest.raises(UserError, match=said):
        load(alone, split=0.5)


def test_a_name_longer_than_any_is_cut(alone: Path) -> None:
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = "x" * 10**5
    write_json(alone / "export.json", whole)
    with pytest.raises(UserError, match="1 of which are missing: x+…") as raised:
        load(alone, split=0.5)
    assert len(str(raised.value)) < 1000


@pytest.mark.usefixtures("no_forms_of_accents")
def test_long_names_are_put_in_no_form(alone: Path) -> None:
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = f"a{ACCENTS * 128}.jpg"
    write_json(alone / "export.json", whole)
    with pytest.raises(UserError, match="1 of which are missing"):
        load(alone, split=0.5)
    assert not is_background("a" + ACCENTS * 100)


@pytest.mark.parametrize("name", ["..jpg", ".jpg", ".a.jpg", "a/..jpg"])
def test_images_whose_names_begin_with_a_dot(alone: Path, name: str) -> None:
    """Without its ending the first would be a folder."""
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = name
    write_json(alone / "export.json", whole)
    (alone / "images" / name).parent.mkdir(exist_ok=True)
    (alone / "images" / "0.jpg").rename(alone / "images" / name)
    with pytest.raises(UserError, match="is hidden by its dot|ends in ''"):
        load(alone, split=0.5)


def test_a_file_beside_splits_is_not_passed_over(tmp_path: Path) -> None:
    for year in ("train2014", "val2014", "2014"):
        write_image(tmp_path / "images" / f"{year}.jpg", 0, SIZE)
        path = tmp_path / "annotations" / f"instances_{year}.json"
        write_json(path, content([f"{year}.jpg"]))
    with pytest.raises(UserError, match="instances_2014.json names no split, where"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "...", ".hidden"])
def test_splits_that_are_no_names_of_folders(tmp_path: Path, name: str) -> None:
    """The folder above the data would count as one of theirs."""
    root = tmp_path / "coco"
    write_image(root / "images" / "0.jpg", 0, SIZE)
    path = root / "annotations" / f"instances_{name}.json"
    write_json(path, content(["0.jpg"]))
    with pytest.raises(UserError, match=rf"^{path} names the split '{name}', and no"):
        load(root, split=0.5)


def test_splits_by_the_thousand(tmp_path: Path) -> None:
    """Each looks at all images, whenever the data are found."""
    for index in range(33):
        write_json(tmp_path / "annotations" / f"instances_{index}a.json", {})
    with pytest.raises(UserError, match="has 33 files instances_.*at most 32 splits"):
        load(tmp_path)


@pytest.mark.parametrize("link", [os.link, os.symlink, None])
def test_an_image_counts_once_under_all_of_its_names(
    alone: Path, link: Callable[..., None] | None
) -> None:
    first, again = alone / "images" / "0.jpg", alone / "images" / "1.jpg"
    again.unlink()
    if link:
        link(first, again)
    else:
        text = (alone / "export.json").read_text()
        (alone / "export.json").write_text(text.replace("1.jpg", "0.jpg"))
        again = first
    with pytest.raises(UserError, match=f"twice: {first} and {again} are one file"):
        load(alone, split=0.5)


@pytest.mark.parametrize("link", ["images/0.jpg", "images/day", "images/day/0.jpg"])
def test_links_to_nothing(alone: Path, link: str) -> None:
    """The same name in another folder would be read."""
    name = "day/0.jpg" if "day" in link else "0.jpg"
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = name
    write_json(alone / "export.json", whole)
    (alone / name).parent.mkdir(exist_ok=True)
    (alone / "images" / "0.jpg").rename(alone / name)
    load(alone, split=0.5)
    (alone / link).parent.mkdir(exist_ok=True)
    (alone / link).symlink_to("/nowhere")
    with pytest.raises(UserError, match=f"^{alone / link} is a link to what is not th"):
        load(alone, split=0.5)


@pytest.mark.parametrize("name", ["Train", "TRAIN2017", "images/Train2017", "Images"])
def test_a_folder_of_images_in_other_letters(tmp_path: Path, name: str) -> None:
    for index, part in enumerate(("train2017", "val2017")):
        write_image(tmp_path / part / f"{index}.jpg", index, SIZE)
        of = content([f"{index}.jpg"], index)
        write_json(tmp_path / "annotations" / f"instances_{part}.json", of)
    (tmp_path / name).mkdir(parents=True)
    if name == "TRAIN2017":
        load(tmp_path)  # beside that which is meant
        (tmp_path / "train2017").rename(tmp_path / "images")
    meant = Path(name).name.lower()
    with pytest.raises(UserError, match=f" is read only where it is called {meant}, "):
        load(tmp_path)


def test_a_folder_of_images_that_is_a_link_to_nothing(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_image(tmp_path / "coco" / "images" / f"{split}.jpg", 0, SIZE)
        path = tmp_path / "coco" / "annotations" / f"instances_{split}2017.json"
        write_json(path, content([f"{split}.jpg"]))
    load(tmp_path / "coco")
    link = tmp_path / "coco" / "images" / "val2017"
    link.symlink_to("/nowhere")
    with pytest.raises(UserError, match=f"^{link} is a link to what is not there"):
        load(tmp_path / "coco")


@pytest.mark.parametrize("folder", ["", "annotations/"])
def test_hidden_files_of_a_mac_are_passed_over(alone: Path, folder: str) -> None:
    (alone / folder).mkdir(exist_ok=True)
    (alone / "export.json").rename(alone / folder / "export.json")
    for name in (".DS_Store", "._export.json"):
        (alone / folder / name).write_bytes(b"\0\5\x16\7")
    load(alone, split=0.5)


def test_a_name_with_a_backslash_is_first_the_file_called_so(alone: Path) -> None:
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = "a\\0.jpg"
    write_json(alone / "export.json", whole)
    (alone / "images" / "a").mkdir()
    (alone / "images" / "0.jpg").rename(alone / "images" / "a" / "0.jpg")
    load(alone, split=0.5)
    write_image(alone / "images" / "a\\0.jpg", 9, SIZE)
    with pytest.raises(UserError, match="may both be an image of"):
        load(alone, split=0.5)


def test_nothing_is_read_through_links_beside(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether of two files of one name one differs, is asked of the data alone."""
    secret = alone.parent / "secret.jpg"
    shutil.copy(alone / "images" / "0.jpg", secret)
    (alone / "0.jpg").symlink_to(secret)
    seen: list[str] = []
    take = fingerprint._take

    def watched(path: Path) -> object:
        seen.append(path.resolve().name)
        return take(path)

    monkeypatch.setattr(fingerprint, "_take", watched)
    with pytest.raises(UserError, match="leads out of"):
        load(alone, split=0.5)
    assert sorted(seen) == ["0.jpg", "export.json"]


@pytest.mark.parametrize("named", ["NFC", "NFD"])
def test_names_that_look_the_same_are_told_apart(alone: Path, named: str) -> None:
    forms = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    there = forms[named == "NFC"]
    (alone / "images" / "0.jpg").rename(alone / "images" / there)
    write_json(
        alone / "export.json", content([forms[named != "NFC"], "1.jpg", "x.jpg"])
    )
    said = (
        rf"are missing: .*x.jpg. {alone}/images/{there} looks the same, but .*Unicode"
    )
    with pytest.raises(UserError, match=said):
        load(alone, split=0.5)
