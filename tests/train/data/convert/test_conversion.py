"""Conversions: what is written, when again, and what no list can hold."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.convert.conversion import (
    Conversion,
    VocWriter,
    converted,
    digests_of,
    read_json,
)
from train.data.inside import Inside
from train.data.voc import read_voc_folder, voc_listing

from ..exports import load, together
from .coco_files import write_alone
from .test_label_studio import write_export as write_brushes

Write = Callable[[VocWriter], None]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Photo.JPG"
    Image.new("RGB", (6, 4)).save(path)
    return path


def writer(tmp_path: Path) -> VocWriter:
    return VocWriter(tmp_path / "out", "project", Inside(tmp_path, links=False))


def convert(tmp_path: Path, write: Write, *, key: Sequence[str] = ("a",)) -> Path:
    conversion = Conversion("drawings", lambda: key, write)
    return converted(conversion, str(tmp_path), tmp_path / "prepared")


def test_what_is_written_is_a_folder_in_voc_layout(tmp_path: Path, photo: Path) -> None:
    mask = np.array([[0, 1, 2, 255]] * 4, np.uint8)

    def write(writer: VocWriter) -> None:
        writer.name_classes(["ground", "Bäume", "sky: blue"])
        writer.add("train", "street/1", photo, mask)
        writer.add("train", "2 0", photo.read_bytes(), mask)
        writer.add("val", "street/1", photo, mask)  # the files are there already

    root = convert(tmp_path, write)
    folder = read_voc_folder(root, ("train", "val"), links=True)
    assert folder.class_names == ("ground", "Bäume", "sky: blue")
    names = {split: [pair.name for pair in of] for split, of in folder.splits.items()}
    assert names == {"train": ["street/1", "2 0"], "val": ["street/1"]}
    linked, written = (pair.image for pair in folder.splits["train"])
    assert linked.resolve() == photo and not written.is_symlink()
    assert written.read_bytes() == photo.read_bytes()
    for pair in folder.splits["train"]:
        np.testing.assert_array_equal(np.asarray(Image.open(pair.mask)), mask)


def test_the_same_is_written_once_and_anything_else_anew(
    tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []

    def write(writer: VocWriter) -> None:
        written.append(writer.root)
        writer.add("train", "1", photo, photo)

    first = convert(tmp_path, write)
    assert f"{tmp_path} holds drawings: writing {first}" in capsys.readouterr().err
    assert convert(tmp_path, write) == first and not capsys.readouterr().err
    assert convert(tmp_path, write, key=("b",)) != first
    assert len(written) == 2
    assert not any(root.exists() for root in written)  # renamed


def test_a_conversion_that_fails_leaves_nothing(tmp_path: Path, photo: Path) -> None:
    def write(writer: VocWriter) -> None:
        writer.add("train", "1", photo, photo)
        raise UserError("no second image")

    with pytest.raises(UserError, match="no second image"):
        convert(tmp_path, write)
    assert not list((tmp_path / "prepared" / "converted").iterdir())


def test_who_is_slower_takes_what_the_faster_one_wrote(
    tmp_path: Path, photo: Path
) -> None:
    def faster(writer: VocWriter) -> None:
        writer.add("train", "faster", photo, photo)

    def slower(writer: VocWriter) -> None:
        writer.add("train", "slower", photo, photo)
        convert(tmp_path, faster)

    root = convert(tmp_path, slower)
    assert (root / "JPEGImages" / "faster.JPG").is_file()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((name, "would lie outside") for name in ("../up", "a/../../up", "/etc/1")),
        *(
            (name, "a list cannot hold")
            for name in ("a\nb", "a\rb", "", " ", "\udcff", "\ufeffa")
        ),
        *((name, "is hidden by its dot") for name in (".1", "a/.b/1")),
    ],
)
def test_names_that_are_not_read(
    tmp_path: Path, photo: Path, name: str, said: str
) -> None:
    with pytest.raises(UserError, match=f"image '.*'.* {said}.* Rename it"):
        writer(tmp_path).add("train", name, photo, photo)
    assert not (tmp_path / "out").exists()


ODD_NAMES = [
    " 1",
    "1 ",
    "a 1",
    "a\u2028b",
    "a\x1cb",
    "a\u00a0",
    "[1]*?",
    "a\\b",
    "日本 -1",
]


@pytest.mark.parametrize("split", ["train", ""])
def test_odd_names_come_back(tmp_path: Path, photo: Path, split: str) -> None:
    def write(writer: VocWriter) -> None:
        for index, name in enumerate(ODD_NAMES):
            mask = np.full((4, 6), index % 2, np.uint8)
            writer.add(split, name, photo.read_bytes(), mask)

    found = voc_listing(convert(tmp_path, write), ("train",))
    pairs = found.lists["train"] if split else found.whole
    assert sorted(pair.name for pair in pairs) == sorted(ODD_NAMES)
    for pair in pairs:
        value = ODD_NAMES.index(pair.name) % 2
        assert (np.asarray(Image.open(pair.mask)) == value).all()


@pytest.mark.parametrize("end", [".bmp", ".TIF", ".webp", ""])
def test_images_of_other_endings_are_named(tmp_path: Path, end: str) -> None:
    image = tmp_path / f"photo{end}"
    with pytest.raises(UserError, match=f"photo{end} ends in '{end}', .*jpg.* Save"):
        writer(tmp_path).add("train", "photo", image, image)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a"], "must name 2 to 255 classes, it has 1"),
        ([f"c{index}" for index in range(256)], "it has 256"),
        (["a", "b", " a"], "each class once; repeated: a"),
        (["a", " "], "has a class called ''. Give"),
        (["a", "b\nc"], r"has a class called 'b\\nc'. Give it a name of one line"),
        (["a", "b\u2028c"], "has a class called"),
    ],
)
def test_names_that_are_no_classes(
    tmp_path: Path, names: Sequence[str], said: str
) -> None:
    with pytest.raises(UserError, match=f"^project .*{said}"):
        writer(tmp_path).name_classes(names)


@pytest.mark.parametrize("fault", ["found", "prepared"])
def test_refusals_of_what_was_converted_name_the_data(
    tmp_path: Path, fault: str
) -> None:
    write_alone(tmp_path / "export")
    if fault == "prepared":
        deep = Image.fromarray(np.full((20, 30), 40_000, np.uint16))
        deep.save(tmp_path / "export" / "images" / "1.jpg", "PNG")
    said = rf"^{tmp_path}.export, converted from COCO annotations: /.*(no lists|bits a)"
    with pytest.raises(UserError, match=said):
        load(tmp_path / "export", split=0.5 * (fault == "prepared"))


@pytest.mark.parametrize(
    ("write", "place"), [(write_alone, "."), (write_brushes, "images/inner")]
)
def test_images_may_be_moved(
    tmp_path: Path, write: Callable[[Path], object], place: str
) -> None:
    root = tmp_path / "export"
    write(root)
    before = together(load(root, split=0.5))
    (root / place).mkdir(exist_ok=True)
    for path in (root / "images").glob("*.jpg"):
        path.rename(root / place / path.name)
    after = together(load(root, split=0.5))
    assert {Path(name).name for name in after} == {Path(name).name for name in before}
    assert not after.keys() & before.keys()


def test_data_without_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{tmp_path} has no images. Export"):
        convert(tmp_path, lambda writer: writer.name_classes(["a", "b"]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Input data was truncated"),
        (b"[1, 2", "Input data was truncated"),
        (b'["a"]', "Expected `int`"),
        (b'[1, "\xff"]', "Expected `int`|decode"),
        (b"\xff\xfe[\0]\0", "malformed"),
        (b"[9, " + b"9" * 5000 + b"]", "out of range|Expected|malformed"),
    ],
)
def test_broken_json_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"a\.json cannot be read as X: .*({said}).* Y"
    ):
        read_json(path, list[int], "X", "Y")


@pytest.mark.parametrize("content", [b'["\xff"]', b"[" * 99_999 + b"]" * 99_999])
def test_json_of_any_values_is_named_too(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as X: .*(decode|recursion)"):
        read_json(path, list, "X", "Y")


def test_a_name_twice_in_a_list(tmp_path: Path, photo: Path) -> None:
    out = writer(tmp_path)
    out.add("train", "1", photo, photo)
    with pytest.raises(UserError, match="two images of train are called '1'"):
        out.add("train", "1", photo, photo)


def test_a_name_of_two_files(tmp_path: Path, photo: Path) -> None:
    out = writer(tmp_path)
    out.add("train", "1", photo, photo)
    other = tmp_path / "other.jpg"
    with pytest.raises(UserError, match=r"Photo\.JPG and .*other\.jpg are both called"):
        out.add("val", "1", other, photo)


def test_a_name_of_two_masks(tmp_path: Path, photo: Path) -> None:
    out = writer(tmp_path)
    out.add("train", "1", photo, photo)
    with pytest.raises(UserError, match="has image '1' twice, with other .* 'val'"):
        out.add("val", "1", photo, tmp_path / "other.png")


def test_images_without_a_split_are_in_no_list(tmp_path: Path, photo: Path) -> None:
    def write(writer: VocWriter) -> None:
        writer.add("", "1", photo, photo)
        with pytest.raises(UserError, match="two images are called '1'"):
            writer.add("", "1", photo, photo)

    root = convert(tmp_path, write)
    assert (root / "JPEGImages" / "1.JPG").is_file()
    assert not (root / "ImageSets").exists()


def test_digests_are_those_of_files(tmp_path: Path) -> None:
    names = ("a.csv", "sub/b.png")
    (tmp_path / "sub").mkdir()
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.write_text(path.name)
    before = digests_of(tmp_path, paths, tmp_path / "prepared")
    assert [text.split()[0] for text in before] == [*names]
    paths[1].write_text("other")
    after = digests_of(tmp_path, paths, tmp_path / "prepared")
    assert after[0] == before[0] and after[1] != before[1]
