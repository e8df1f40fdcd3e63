"""Data are known by content: what changes a fingerprint, and what is read again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data import fingerprint, voc_records
from train.data.dataset import load_dataset
from train.data.fingerprint import Digests, digest_of
from train.data.images import read_image
from train.data.voc import read_voc_folder

from ..conftest import SIZE, MakeConfig


def change_a_byte(path: Path, index: int) -> None:
    """Changes one byte, and nothing of the file that a program can set back."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[index] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.fixture
def files(tmp_path: Path, rng: np.random.Generator) -> list[Path]:
    """Five files of random bytes, one of them empty."""
    paths = [tmp_path / "files" / f"{size}.bin" for size in (0, 1, 7, 100, 70_000)]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_bytes(rng.bytes(int(path.stem)))
    return paths


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets files be old, as far as digests can tell."""
    now = fingerprint.time.time_ns
    monkeypatch.setattr(fingerprint.time, "time_ns", lambda: now() + 3_600 * 10**9)


def read_by(
    monkeypatch: pytest.MonkeyPatch, memory: Path, files: list[Path]
) -> tuple[list[Path], dict[Path, str]]:
    """Returns which files are read for their digests, and the digests."""
    read: list[Path] = []

    def noted(path: Path) -> str:
        read.append(path)
        return digest_of(path)

    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "digest_of", noted)
        digests = Digests(memory)
        found = digests.of(files)
    digests.save()
    assert found == {path: digest_of(path) for path in files}
    return sorted(read), found


@pytest.mark.usefixtures("later")
def test_files_are_read_once(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory" / "digests.json"
    read, first = read_by(monkeypatch, memory, files)
    assert read == sorted(files)
    read, again = read_by(monkeypatch, memory, files)
    assert not read and again == first


@pytest.mark.usefixtures("later")
def test_files_are_read_once_under_all_of_their_names(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "digests.json"
    link, hard = tmp_path / "link", tmp_path / "hard"
    link.symlink_to(files[4])
    hard.hardlink_to(files[4])
    assert len(read_by(monkeypatch, memory, [link, hard, *files[3:]])[0]) == 2
    assert not read_by(monkeypatch, memory, [hard, link, *files[3:]])[0]


@pytest.mark.usefixtures("later")
def test_a_byte_is_noticed_whatever_size_and_time_say(
    files: list[Path],
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = tmp_path / "digests.json"
    _, before = read_by(monkeypatch, memory, files)
    for path in files[1:]:
        change_a_byte(path, int(rng.integers(path.stat().st_size)))
        read, after = read_by(monkeypatch, memory, files)
        assert read == [path] and after[path] != before[path]


@pytest.mark.usefixtures("later")
def test_a_file_put_in_the_place_of_another_is_read(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, other = tmp_path / "digests.json", tmp_path / "other.bin"
    shutil.copy2(files[3], other)
    change_a_byte(other, 0)
    read_by(monkeypatch, memory, files)
    other.replace(files[3])
    assert read_by(monkeypatch, memory, files)[0] == [files[3]]


def test_a_file_just_written_is_read_again(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "digests.json"
    for path in files:
        path.write_bytes(path.read_bytes())
    read_by(monkeypatch, memory, files)
    assert read_by(monkeypatch, memory, files)[0] == sorted(files)


@pytest.mark.usefixtures("later")
def test_coarse_times_are_not_believed(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = fingerprint.signature_of

    def coarse(path: Path) -> list[int]:
        *more, changed = signature(path)
        return [*more, changed // 10**9 * 10**9]

    monkeypatch.setattr(fingerprint, "signature_of", coarse)
    memory = tmp_path / "digests.json"
    read_by(monkeypatch, memory, files)
    assert read_by(monkeypatch, memory, files)[0] == sorted(files)


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "{}",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('": ["', '": ["0'),
    ],
)
def test_a_damaged_memory_is_none(
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[str], str],
) -> None:
    memory = tmp_path / "digests.json"
    read_by(monkeypatch, memory, files)
    text = memory.read_text()
    assert damage(text) != text
    memory.write_text(damage(text))
    assert read_by(monkeypatch, memory, files)[0] == sorted(files)


@pytest.mark.usefixtures("later")
def test_a_memory_that_cannot_be_written_is_done_without(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    read_by(monkeypatch, tmp_path / "file" / "digests.json", files)


def swap_image(folder: Path) -> None:
    change_a_byte(folder / "JPEGImages" / "b.jpg", -3)


def swap_mask(folder: Path) -> None:
    change_a_byte(folder / "SegmentationClass" / "b.png", -1)


def swap_two(folder: Path) -> None:
    first, second = (folder / "JPEGImages" / f"{name}.jpg" for name in "ab")
    first.rename(folder / "kept")
    second.rename(first)
    (folder / "kept").rename(second)


def reorder(folder: Path) -> None:
    path = folder / "ImageSets" / "Segmentation" / "train.txt"
    path.write_text("b\na\nc\nd\n")


def move_to_other_list(folder: Path) -> None:
    lists = folder / "ImageSets" / "Segmentation"
    (lists / "train.txt").write_text("a\nb\nc\n")
    (lists / "val.txt").write_text("d\ne\nf\n")


def rename_class(folder: Path) -> None:
    (folder / "class_names.txt").write_text("ground\nred\ngreen\n")


def recolor(folder: Path) -> None:
    (folder / "labelmap.txt").write_text(
        "ground:0,0,0::\nred:128,0,0::\nblue:0,129,0::\n"
    )


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "change",
    [
        swap_image,
        swap_mask,
        swap_two,
        reorder,
        move_to_other_list,
        rename_class,
        recolor,
    ],
)
def test_fingerprint_covers(folder: Path, change: Callable[[Path], None]) -> None:
    memory = folder.parent / "memory.json"

    def found() -> str:
        digests = Digests(memory)
        try:
            return read_voc_folder(folder, ("train", "val"), (), digests).fingerprint
        finally:
            digests.save()

    before = found()
    assert found() == before
    change(folder)
    assert found() != before


def prepared_folders(config: Any) -> set[str]:
    return {path.name for path in Path(config.data.prepared, "voc_layout").iterdir()}


def test_a_copy_shares_the_records(
    make_config: MakeConfig, folder: Path, tmp_path: Path
) -> None:
    config = make_config()
    load_dataset(config.data)
    before = prepared_folders(config)
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "another name")
    load_dataset(make_config(data=str(copy)).data)
    assert prepared_folders(config) == before


def test_a_split_alone_has_the_records_of_both(make_config: MakeConfig) -> None:
    config = make_config()
    load_dataset(config.data)
    before = prepared_folders(config)
    for split in ("train", "val"):
        alone = make_config(train_split=split, val_split=split)
        assert len(load_dataset(alone.data).val) == {"train": 4, "val": 2}[split]
    assert prepared_folders(config) == before


def test_a_swapped_image_is_what_is_read(make_config: MakeConfig, folder: Path) -> None:
    jpeg = folder / "JPEGImages" / "b.jpg"
    jpeg.unlink()
    image = np.zeros((*SIZE, 3), np.uint8)
    Image.fromarray(image).save(jpeg.with_suffix(".png"), compress_level=0)
    load_dataset(make_config().data)
    size = jpeg.with_suffix(".png").stat().st_size
    Image.fromarray(image + 9).save(jpeg.with_suffix(".png"), compress_level=0)
    assert jpeg.with_suffix(".png").stat().st_size == size
    again = load_dataset(make_config().data)
    np.testing.assert_array_equal(read_image(again.train[1]["image"]), image + 9)


@pytest.mark.parametrize("height", [0, 20])
def test_files_that_change_while_they_are_prepared_are_named(
    make_config: MakeConfig,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    height: int,
) -> None:
    config = make_config(image_height=height)
    read, path = voc_records.read_pair, folder / "JPEGImages" / "c.jpg"

    def meanwhile(image: Path, *others: Any) -> Any:
        if image == path:
            with path.open("ab") as file:
                file.write(b"more")
        return read(image, *others)

    monkeypatch.setattr(voc_records, "read_pair", meanwhile)
    with pytest.raises(UserError, match=r"c\.jpg has changed while .* Give the comm"):
        load_dataset(config.data)
    monkeypatch.undo()
    assert len(load_dataset(config.data).train) == 4
