"""Which images a command line names, and what their masks are called."""

import os
import unicodedata
from pathlib import Path

import pytest

from train.evaluation.input_images import find_images, name_outputs


def touch(root: Path, *names: str) -> list[Path]:
    paths = [root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_folder_stands_for_its_images_in_order(tmp_path: Path) -> None:
    names = ("b.png", "a.JPG", "c.jpeg", "notes.txt", ".hidden.png", "deep/d.png")
    more = ("d.jfif", "e.jpe", "f.dib", "g.heic", "h.pgm")  # the last are refused
    touch(tmp_path, *names, *more)
    (tmp_path / "folder.png").mkdir()
    found = find_images([tmp_path])
    assert found == [tmp_path / name for name in ("a.JPG", "b.png", "c.jpeg", *more)]


def test_pattern_stands_for_the_files_that_match(tmp_path: Path) -> None:
    b, a, deep, _ = touch(tmp_path, "b.png", "a.png", "x/y/c.png", "d.jpg")
    (tmp_path / "folder.png").mkdir()
    assert find_images([tmp_path / "*.png"]) == [a, b]
    assert find_images([tmp_path / "**" / "*.png"]) == [a, b, deep]


def test_pattern_follows_no_link_to_a_folder(tmp_path: Path) -> None:
    """Two links to the folder itself would make 2^40 paths of one image."""
    (image,) = touch(tmp_path / "photos", "a.png")
    for name in ("x", "y"):
        (tmp_path / "photos" / name).symlink_to(".")
    assert find_images([tmp_path / "photos" / "**" / "*.png"]) == [image]


def test_pattern_leaves_out_what_is_hidden(tmp_path: Path) -> None:
    odd, *_ = touch(tmp_path, "a b/[1].png", "a b/.x.png", ".hidden/[2].png")
    assert find_images([tmp_path / "**" / "**" / "[[]*.png"]) == [odd]
    assert find_images([tmp_path / "a b" / "**"]) == [odd]


def test_file_is_itself(tmp_path: Path) -> None:
    (odd,) = touch(tmp_path, "a[1].png")
    (beside,) = touch(tmp_path, "a1.png")
    missing = tmp_path / "missing.png"
    assert find_images([missing, odd, beside]) == [missing, odd, beside]
    assert find_images([beside, tmp_path, tmp_path / "*"]) == [beside, odd]


def test_images_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    names = ("x/1.png", "y/1.png", "y/2.jpg", "y/2.png", "y/3.png")
    paths = [tmp_path / name for name in names]
    found = name_outputs(paths, tmp_path / "out")
    masks = [found[path].mask.name for path in paths]
    assert masks == ["x_1.png", "y_1.png", "y_2.jpg.png", "y_2.png.png", "3.png"]
    overlays = [found[path].overlay.name for path in paths]
    assert overlays == [name[:-4] + "_overlay.png" for name in masks]


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    composed, apart = "é.png", "e\u0301.png"
    paths = [
        tmp_path / n for n in ("x/A.png", "y/a.png", f"x/{composed}", f"y/{apart}")
    ]
    masks = [files.mask.name for files in name_outputs(paths, tmp_path / "o").values()]
    assert masks == ["x_A.png", "y_a.png", f"x_{composed}", f"y_{apart}"]


def test_no_mask_is_called_as_an_overlay(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "a_overlay.png")]
    found = [
        file.name
        for files in name_outputs(paths, tmp_path / "o").values()
        for file in files
    ]
    names = [
        "a.png",
        "a_overlay.png",
        "a_overlay_image.png",
        "a_overlay_image_overlay.png",
    ]
    assert found == names


def test_absolute_and_relative_paths_may_be_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [Path("x/1.png"), tmp_path / "y" / "1.png", Path("2.png")]
    found = name_outputs(paths, tmp_path / "out")
    masks = [found[path].mask.name for path in paths]
    assert masks == ["x_1.png", "y_1.png", "2.png"]


def test_long_names_are_cut_and_stay_distinct(tmp_path: Path) -> None:
    long = "ü" * 124 + "ab"
    names = [f"{long}{end}.png" for end in "xy"] + ["z" * 251 + ".png", "s" * 200]
    paths = touch(tmp_path, *names)
    found = name_outputs(paths, tmp_path / "out")
    written = [path for files in found.values() for path in files]
    assert len(set(written)) == 8
    for path in written:
        assert len(os.fsencode(path.with_suffix(".partial").name)) < 240
    touch(tmp_path, *(f"out/{path.name}" for path in written))
    assert found[paths[0]].mask.name.startswith("üü")
    assert found[paths[3]].mask.name == "s" * 200 + ".png"


@pytest.mark.parametrize(
    "names",
    [
        ("A.jpg", "a.jpg"),
        ("\u00e9.png", "e\u0301.png"),
        ("a_overlay.png", "a_overlay_image.png"),
    ],
)
def test_names_that_nothing_tells_apart_end_no_batch(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    paths = [tmp_path / name for name in names]
    found = name_outputs(paths, tmp_path / "o")
    written = [file.name for files in found.values() for file in files]
    assert len({unicodedata.normalize("NFC", name).casefold() for name in written}) == 4
    assert found == name_outputs(paths, tmp_path / "o")
