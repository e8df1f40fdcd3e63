"""Pascal VOC 2012 and SBD from what is downloaded, and what is not the published."""

import functools
import gzip
import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from train.common.errors import UserError
from train.data.convert import voc_archives
from train.data.convert.conversion import converted
from train.data.convert.voc_archives import find_voc_archives
from train.data.layouts import VOC_ARCHIVE
from train.data.voc_classes import VOC_CLASSES

from ...programs import OPTIONS, call
from . import voc_downloads as downloads
from .voc_downloads import (
    AUGMENTED,
    PUBLISHED,
    TRAIN,
    VAL,
    aug_files,
    own_mask,
    pixels,
    sbd_files,
    sbd_mask_of,
    voc_files,
    write_folder,
    write_tar,
    write_zip,
)

Place = Callable[[Path], object]

SBD: dict[str, Place] = {
    "benchmark.tgz": lambda root: write_tar(root / "benchmark.tgz", sbd_files()),
    "benchmark.tar": lambda root: write_tar(root / "benchmark.tar", sbd_files()),
    "benchmark_RELEASE/": lambda root: write_folder(root, sbd_files()),
}
AUG: dict[str, Place] = {
    ".zip": lambda root: write_zip(root / "SegmentationClassAug.zip", aug_files()),
    ".tar.gz": lambda root: write_tar(
        root / "SegmentationClassAug.tar.gz", aug_files()
    ),
    "/": lambda root: write_folder(root, aug_files()),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with VOC's archive."""
    root = tmp_path / "downloads"
    root.mkdir()
    write_tar(root / VOC_ARCHIVE, voc_files())
    return root


def convert(
    folder: Path,
    split: str = "train_aug",
    published: Mapping[str, int] = PUBLISHED,
) -> Path:
    prepared = folder.parent / "prepared"
    found = find_voc_archives(folder, prepared, split, published)
    assert found
    return converted(found, str(folder), prepared)


def read_list(root: Path, split: str) -> list[str]:
    return (root / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()


@pytest.mark.parametrize("place", [*SBD.values(), *AUG.values()], ids=[*SBD, *AUG])
def test_lists_images_and_masks(folder: Path, place: Place) -> None:
    place(folder)
    root = convert(folder)
    lists = {split: read_list(root, split) for split in PUBLISHED}
    assert lists == {"train": TRAIN, "val": VAL, "train_aug": AUGMENTED}
    assert (root / "class_names.txt").read_text().split() == list(VOC_CLASSES)
    images = sorted(path.name for path in (root / "JPEGImages").iterdir())
    assert images == sorted(f"{id}.jpg" for id in AUGMENTED + VAL)
    for id in AUGMENTED + VAL:
        image = root / "JPEGImages" / f"{id}.jpg"
        assert image.read_bytes() == downloads.photo(id)
        mask = own_mask(id) if id in TRAIN + VAL else sbd_mask_of(id)
        found = pixels(root / "SegmentationClass" / f"{id}.png")
        np.testing.assert_array_equal(found, mask)


def test_vocs_own_masks_are_taken_as_they_are(folder: Path) -> None:
    write_tar(folder / "benchmark.tgz", sbd_files())
    root = convert(folder) / "SegmentationClass"
    name = "VOCdevkit/VOC2012/SegmentationClass/2007_000001.png"
    assert (root / "2007_000001.png").read_bytes() == voc_files()[name]


def test_voc_alone_has_its_own_lists(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = convert(folder, "train")
    assert sorted(path.stem for path in root.rglob("*.txt")) == [
        "class_names",
        "train",
        "val",
    ]
    said = capsys.readouterr().err
    assert "Pascal VOC 2012 alone, 2 images to train on" in said
    with pytest.raises(UserError, match="Put benchmark.tgz.*--train-split train, of 2"):
        convert(folder)


@pytest.mark.parametrize("place", [SBD["benchmark.tgz"], AUG[".zip"]], ids="sz")
def test_masks_without_vocs_archive(folder: Path, place: Place) -> None:
    place(folder)
    (folder / VOC_ARCHIVE).unlink()
    with pytest.raises(UserError, match=f"{VOC_ARCHIVE} is missing: .* has masks for"):
        convert(folder)


def test_folders_of_another_kind_are_left_to_it(folder: Path, tmp_path: Path) -> None:
    assert find_voc_archives(tmp_path, tmp_path / "prepared", "train") is None
    (folder / "JPEGImages").mkdir()  # in VOC layout, beside the archive
    assert find_voc_archives(folder, tmp_path / "prepared", "train") is None


def test_it_is_converted_again_when_an_archive_has_changed(folder: Path) -> None:
    place = SBD["benchmark_RELEASE/"]
    place(folder)
    first = convert(folder)
    assert convert(folder) == first
    changed = folder / "benchmark_RELEASE" / "dataset" / "cls" / "2008_000004.mat"
    changed.write_bytes(downloads.mat(sbd_mask_of("2008_000005")))
    second = convert(folder)
    assert second != first
    found = pixels(second / "SegmentationClass" / "2008_000004.png")
    assert (found == 5).all()
    write_tar(folder / VOC_ARCHIVE, {**voc_files(), "VOCdevkit/more": b"1"})
    assert convert(folder) not in (first, second)


MISSING = {
    "ImageSets/Segmentation/train.txt": "gives 0 images for train, .* have 2",
    "JPEGImages/2008_000004.jpg": "lacks 1 of 5 images: 2008_000004",
    "SegmentationClass/2007_000003.png": "lacks 1 of 3 masks: 2007_000003",
}


@pytest.mark.parametrize("name", MISSING)
def test_what_vocs_archive_lacks_is_named(folder: Path, name: str) -> None:
    SBD["benchmark.tgz"](folder)
    files = voc_files()
    del files[f"VOCdevkit/VOC2012/{name}"]
    path = write_tar(folder / VOC_ARCHIVE, files)
    with pytest.raises(UserError, match=f"{path} {MISSING[name]}"):
        convert(folder)
    assert not list((folder.parent / "prepared").rglob("*.txt"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cls/2008_000004.mat", "lacks 1 of 2 masks: 2008_000004"),
        ("val.txt", "lacks 1 of 2 lists: val"),
    ],
)
def test_what_sbd_lacks_is_named(folder: Path, name: str, said: str) -> None:
    files = sbd_files()
    del files[f"benchmark_RELEASE/dataset/{name}"]
    path = write_tar(folder / "benchmark.tgz", files)
    with pytest.raises(UserError, match=f"{path} {said}"):
        convert(folder)


def test_ready_made_masks_that_are_fewer_are_counted(folder: Path) -> None:
    files = aug_files()
    del files["SegmentationClassAug/2008_000004.png"]
    write_zip(folder / "SegmentationClassAug.zip", files)
    with pytest.raises(UserError, match="Aug.zip gives 3 images for train_aug, .* 4"):
        convert(folder)


def test_masks_that_nobody_lists_are_not_read(folder: Path) -> None:
    files = sbd_files()
    for id in (*VAL, downloads.UNLISTED):
        files[f"benchmark_RELEASE/dataset/cls/{id}.mat"] = b"no mask"
    write_tar(folder / "benchmark.tgz", files)
    assert read_list(convert(folder), "train_aug") == AUGMENTED


def test_masks_are_counted_before_they_are_read(folder: Path) -> None:
    files = sbd_files()
    files["benchmark_RELEASE/dataset/cls/2008_000004.mat"] = b"no mask"
    write_tar(folder / "benchmark.tgz", files)
    with pytest.raises(UserError, match="gives 4 images for train_aug, .* have 5"):
        convert(folder, published={**PUBLISHED, "train_aug": 5})
    with pytest.raises(UserError, match="2008_000004.mat is no mask of SBD"):
        convert(folder)


def test_what_is_compressed_is_unpacked_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for names and lists, and once for masks, as they come."""
    places: list[int] = []

    class Counted(gzip.GzipFile):
        def seek(self, offset: int, whence: int = 0) -> int:
            places.append(offset)
            return super().seek(offset, whence)

    SBD["benchmark.tgz"](folder)
    monkeypatch.setattr(gzip, "GzipFile", Counted)
    convert(folder)
    assert sum(later < place for place, later in itertools.pairwise(places)) == 1


def test_masks_that_would_fill_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(folder / "benchmark.tgz", sbd_files())
    monkeypatch.setattr(voc_archives, "_KEPT_LIMIT", 100)
    with pytest.raises(UserError, match=f"{path} has masks of more than 100 bytes"):
        convert(folder)


@pytest.mark.parametrize("name", ["train", "val"])
def test_lists_that_would_fill_memory(folder: Path, name: str) -> None:
    files = sbd_files()
    place = f"benchmark_RELEASE/dataset/{name}.txt"
    files[place] += b"ab " * 350_000
    path = write_tar(folder / "benchmark.tgz", files)
    with pytest.raises(UserError, match=f"^{path}: {place} has [0-9]+ bytes, .* most"):
        convert(folder)


@pytest.mark.parametrize("split", PUBLISHED)
def test_lists_of_another_length_are_refused(folder: Path, split: str) -> None:
    SBD["benchmark.tgz"](folder)
    more = PUBLISHED[split] + 1
    with pytest.raises(
        UserError, match=f"{PUBLISHED[split]} images for {split}, .*{more}"
    ):
        convert(folder, published={**PUBLISHED, split: more})


def test_published_counts() -> None:
    assert voc_archives.PUBLISHED == {"train": 1464, "val": 1449, "train_aug": 10582}


@pytest.fixture
def miniature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the programs take the miniatures for the published archives."""
    find = functools.partial(find_voc_archives, published=PUBLISHED)
    monkeypatch.setattr(voc_archives, "find_voc_archives", find)


@pytest.mark.usefixtures("miniature")
def test_one_command_from_archives_to_a_trained_run(
    folder: Path, tmp_path: Path, tiny: str
) -> None:
    SBD["benchmark.tgz"](folder)
    run = tmp_path / "run"
    paths = ("--data", folder, "--prepared", tmp_path / "prepared", "--workdir", run)
    budget = ("--steps", 2, "--evaluation-batch", 2)
    options = (*OPTIONS, *budget, "--backbone", tiny, "--dilations", 1)
    done = call("main", "demo", *options, "--train-split", "train_aug", *paths)
    assert done.returncode == 0, done.stderr
    assert "holds the archives of Pascal VOC 2012 and SBD: writing" in done.stderr
    assert f"on {folder} (4 images, 21 classes)" in done.stdout
    described = json.loads((run / "dataset.json").read_text())
    assert described["folder"] == str(folder)
    assert described["class_names"] == list(VOC_CLASSES)

    moved = shutil.move(folder, tmp_path / "moved")  # its content is what counts
    done = call("evaluate", run, "--split", "train", "--data", moved)
    assert done.returncode == 0, done.stderr
    assert "2 images" in done.stdout
    done = call("main", "demo", *options, "--train-split", "train_aug", *paths)
    assert "is complete" in done.stdout
