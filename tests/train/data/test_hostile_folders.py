"""Folders from strangers: links, depth, long lines and large files end in a message."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.common.regular import read_regular
from train.data import fingerprint, voc_lists
from train.data.dataset import DataOptions, find_dataset, load_dataset
from train.data.fingerprint import Digests, digest_of
from train.data.images import read_mask
from train.data.inside import within
from train.data.voc_files import Files
from train.data.voc_lists import read_list
from train.inspection.contents import list_contents

from ..conftest import MakeConfig
from .convert.coco_files import write_alone
from .convert.test_label_studio import write_export as write_label_studio
from .convert.test_roboflow import write_export as write_roboflow
from .test_voc_lists import names, write_list

LABELMAP = "ground:30,30,30::\nred:200,60,60::\nblue:60,60,200::\n"


def list_of(folder: Path) -> Path:
    return folder / "ImageSets" / "Segmentation" / "train.txt"


def moved(path: Path, to: Path) -> Path:
    """Puts a link in the place of a file, which is elsewhere then."""
    shutil.move(path, to)
    path.symlink_to(to)
    return path


@pytest.mark.parametrize(
    "name",
    ["class_names.txt", "labelmap.txt", "ImageSets/Segmentation/val.txt", "val.txt"],
)
def test_lists_that_are_links_are_refused_unless_meant(
    folder: Path, make_config: MakeConfig, tmp_path: Path, name: str
) -> None:
    (folder / "labelmap.txt").write_text(LABELMAP)
    if name == "val.txt":  # in both places
        listed = folder / "ImageSets" / "Segmentation" / name
        shutil.copy(listed, folder / name)
    path = moved(folder / name, tmp_path / "elsewhere.txt")
    said = rf"{path} leads out of {folder}, by a link to .*elsewhere\.txt.*--links"
    with pytest.raises(UserError, match=said):
        find_dataset(make_config().data)
    assert find_dataset(make_config(links=True).data).class_names[1] == "red"


def test_inspection_refuses_them_too(
    folder: Path, make_config: MakeConfig, tmp_path: Path
) -> None:
    moved(folder / "class_names.txt", tmp_path / "secret.txt")
    write_list(folder, ["a", "nothing"])  # so that the folder is looked at by parts
    found = list_contents(make_config().data)
    assert "red" not in found.class_names
    assert any("secret.txt" in fault for fault in found.faults)


@pytest.mark.parametrize("kind", ["coco", "roboflow", "label studio"])
def test_tables_of_other_forms_that_are_links(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "export"
    writers: dict[str, Callable[[Path], object]] = {
        "coco": write_alone,
        "roboflow": write_roboflow,
        "label studio": write_label_studio,
    }
    writers[kind](root)
    table = next(path for path in root.rglob("*") if path.suffix in (".json", ".csv"))
    moved(table, tmp_path / "elsewhere")
    options = DataOptions(
        folder=str(root), prepared=str(tmp_path / "prepared"), split=0.5
    )
    with pytest.raises(UserError, match=f"{table.name} leads out of .*--links"):
        find_dataset(options)


def test_folders_that_are_too_deep(folder: Path, make_config: MakeConfig) -> None:
    shutil.rmtree(folder / "ImageSets")
    deepest = Path(folder, "JPEGImages", *["d"] * 70)
    deepest.mkdir(parents=True)
    said = f"{folder}/JPEGImages has folders within folders, more than 64 deep"
    with pytest.raises(UserError, match=said):
        find_dataset(make_config(split=0.5).data)


def test_folders_below_a_link_are_not_listed_but_told(
    folder: Path, make_config: MakeConfig
) -> None:
    (folder / "JPEGImages" / "again").symlink_to(".")
    shutil.rmtree(folder / "ImageSets")
    with pytest.raises(UserError, match="JPEGImages/again is a link to a folder, in"):
        find_dataset(make_config(split=0.5).data)


@pytest.mark.parametrize(
    "line",
    [
        "a/" * 5000 + "b",
        "x" * 300,
        "x" * 300 + "/y",
        "/JPEGImages/" + "x" * 300 + ".png /SegmentationClass/a.png",
        "a " * 40_000,
        " " * 9000 + "a",
    ],
)
def test_lines_that_are_too_long(folder: Path, line: str) -> None:
    write_list(folder, ["a", line])
    with pytest.raises(UserError, match=r"train\.txt, line 2") as raised:
        names(folder)
    assert len(str(raised.value).replace(str(folder), "")) < 600


@pytest.mark.parametrize("gaps", ["a " * 4000, "/ " * 4000, "/" + " " * 8000 + "/"])
def test_lines_take_no_longer_for_their_gaps(
    folder: Path, gaps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of 8 kB was cut at each of its gaps, which took up to minutes."""
    cut: list[str] = []

    def counted(name: str) -> str | None:
        cut.append(name)
        return within(name)

    monkeypatch.setattr(voc_lists, "within", counted)
    write_list(folder, [gaps])
    with pytest.raises(UserError, match=r"train\.txt, line 1"):
        names(folder)
    assert sum(map(len, cut)) < 200 * len(gaps)


def test_a_line_again_and_again_takes_no_longer(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    looked, pair = [], voc_lists._pair

    def counted(*args: Any, **more: Any) -> Any:
        looked.append(args)
        return pair(*args, **more)

    monkeypatch.setattr(voc_lists, "_pair", counted)
    write_list(folder, ["b", *["a"] * 100_000, "", " a"])
    assert names(folder) == ["b", "a"] and len(looked) == 3
    said = "train.txt names 100000 images again, which count once: a, a, a, a, a, …"
    assert said in capsys.readouterr().err


def test_lines_that_name_nothing_new_are_limited(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voc_lists, "_USELESS", 50)
    said = r"train\.txt has more than 50 lines that name no image, or one again"
    for more in (50, 51):
        for lines in (
            ["a", *(f"missing {number}" for number in range(more))],
            ["a", *("./" * number + "a" for number in range(1, more + 1))],
        ):
            write_list(folder, lines)
            refused: list[UserError] = []
            if more == 50:
                found = read_list(list_of(folder), Files(folder), refused.append)
                assert [pair.name for pair in found] == ["a"]
                continue
            with pytest.raises(UserError, match=said):
                read_list(list_of(folder), Files(folder), refused.append)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("class_names.txt", "x" * 501),
        ("labelmap.txt", "x" * 501 + ":1,2,3::"),
        ("labelmap.txt", "x:1,2," + "3" * 9000),
    ],
)
def test_names_of_classes_that_are_too_long(
    folder: Path, make_config: MakeConfig, name: str, line: str
) -> None:
    (folder / "class_names.txt").unlink()
    (folder / name).write_text(f"{LABELMAP if name[0] == 'l' else 'x'}\n{line}\n")
    with pytest.raises(UserError, match=f"{name}.*…") as raised:
        find_dataset(make_config().data)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("name", ["class_names.txt", "ImageSets/Segmentation/val.txt"])
def test_lists_that_are_too_large(
    folder: Path, make_config: MakeConfig, name: str
) -> None:
    os.truncate(folder / name, 2**25)
    said = f"{folder / name} has {2**25} bytes, and of such a file at most"
    with pytest.raises(UserError, match=said):
        find_dataset(make_config().data)


@pytest.mark.parametrize("name", ["JPEGImages/a.jpg", "SegmentationClass/a.png"])
def test_pictures_that_are_larger_than_their_pixels(
    folder: Path, make_config: MakeConfig, name: str
) -> None:
    """They are refused before they are read; by the limit, before all else."""
    path = folder / name
    os.truncate(path, 2**27)
    said = f"{path} has {2**27} bytes, and of such a file at most"
    with pytest.raises(UserError, match=said):
        find_dataset(make_config(pixel_limit=10**6).data)
    with pytest.raises(UserError, match=said):
        load_dataset(make_config().data)


def test_a_mask_is_refused_by_its_head(folder: Path) -> None:
    path = folder / "SegmentationClass" / "a.png"
    os.truncate(path, 2**27)
    with pytest.raises(UserError, match=f"{path} has {2**27} bytes"):
        read_mask(path)


def test_a_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 2**43)  # of which no allocator has as much
    with pytest.raises(UserError, match=f"{path} has {2**43} bytes"):
        read_regular(path)
    with pytest.raises(UserError, match=f"{path} takes more memory than there is"):
        read_regular(path, 2**62)


@pytest.mark.parametrize("meant_once", [True, False])
def test_converted_folders_are_looked_at_again(
    tmp_path: Path, make_config: MakeConfig, meant_once: bool
) -> None:
    folder = tmp_path / "coco"
    write_alone(folder)
    image = next(folder.rglob("*.jpg"))
    options = make_config(data=str(folder), split=0.5, links=meant_once).data
    if meant_once:
        moved(image, tmp_path / "elsewhere.jpg")
        find_dataset(options)
    else:
        find_dataset(options)
        moved(image, tmp_path / "elsewhere.jpg")
    options = make_config(data=str(folder), split=0.5).data
    with pytest.raises(UserError, match=rf"{image.name} leads out of .*--links"):
        find_dataset(options)


def test_records_are_looked_at(make_config: MakeConfig, tmp_path: Path) -> None:
    options = make_config().data
    load_dataset(options)
    path = next(Path(options.prepared, "voc_layout").rglob("dataset_info.json"))
    (path.parent / "more").symlink_to(tmp_path)
    with pytest.raises(UserError, match="more is a link, to .* is not followed"):
        load_dataset(options)


@pytest.mark.parametrize("name", ["dataset_info.json", "*.array_record*"])
def test_pipes_among_prepared_records_are_not_waited_for(
    make_config: MakeConfig, name: str
) -> None:
    options = make_config().data
    load_dataset(options)
    path = next(Path(options.prepared, "voc_layout").rglob(name))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"{path.name} is a pipe"):
        load_dataset(options)


@pytest.mark.parametrize(
    "kept", ["[]", "5", "[" * 10_000, '{"a": 5}', '{"a": ["x"]}', '{"a": [5, null]}']
)
def test_digests_of_another_form_are_taken_anew(
    folder: Path, tmp_path: Path, kept: str
) -> None:
    image, memory = folder / "JPEGImages" / "a.jpg", tmp_path / "digests.json"
    memory.write_text(f"{fingerprint._checksum(kept)}\n{kept}")
    assert Digests(memory).of([image]) == {image: digest_of(image)}


def test_digests_in_a_pipe_are_not_waited_for(folder: Path, tmp_path: Path) -> None:
    image, memory = folder / "JPEGImages" / "a.jpg", tmp_path / "digests.json"
    os.mkfifo(memory)
    assert Digests(memory).of([image]) == {image: digest_of(image)}
