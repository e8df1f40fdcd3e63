"""Which file is the image of a task of Label Studio."""

import json
from pathlib import Path

import pytest

from train.common.errors import UserError

from ..exports import load, together, write_image
from ..png_files import headed
from .conftest import ACCENTS
from .test_label_studio import read_tasks, write_tasks


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://bucket/a%20b.jpg", "a%20b"),
        ("gs://bucket/a b.jpg", "a b"),
        ("s3://bucket/a#b?c.jpg", "a#b?c"),
        ("https://example.org/a%20b.jpg?key=1", "a b"),
        ("/data/local-files/?d=set/a%2520b.jpg", "a%20b"),
        ("/data/local-files/?d=set/a%20b.jpg", "a b"),
        ("/studio/data/local-files?d=a%2520b.jpg&d=a%20b.jpg", "a b"),
        ("https://example.org/a%20b.jpg?d=a%2520b.jpg", "a b"),
        ("https://example.org/a%20b.jpg?d=20240101", "a b"),
        ("/data/upload/7/0123abcd-a_b.jpg", "a b"),
        ("/data/upload/0123abcd-a_b.jpg", "a b"),
        ("https://example.org/studio/data/upload/7/0123abcd-a_b.jpg?x=/", "a b"),
    ],
)
def test_each_address_is_read_by_its_own_rule(
    export: Path, address: str, name: str
) -> None:
    """Keys of clouds are not encoded; `d` is by the address that it is in.

    Of other sites it may be anything.
    """
    tasks = read_tasks(export)
    tasks[0]["data"]["image"] = address
    write_tasks(export, tasks)
    (export / "images" / "photo_0.jpg").unlink()
    for number, other in enumerate(("a%20b", "a b", "a#b?c", "a%2520b")):
        write_image(export / "images" / f"{other}.jpg", number)
    assert f"images/{name}" in together(load(export, split=0.5))


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/{}",
        "s3://bucket/upload/{}",
        "s3://bucket/data/upload/7/{}",
        "https://example.org/wp/upload/{}",
        "https://example.org/data/upload/{}",
        "https://example.org/{}?of=/data/upload/7/x",
        "/data/upload/7/more/{}",
    ],
)
def test_digits_of_a_date_are_none_of_an_upload(export: Path, address: str) -> None:
    tasks = read_tasks(export)
    tasks[2]["data"]["image"] = address.format("20240101-photo_2.jpg")
    write_tasks(export, tasks)
    with pytest.raises(UserError, match="'20240101-photo_2.jpg', and images/ has 0 of"):
        load(export, split=0.5)


@pytest.mark.parametrize("annotated", [True, False])
def test_an_image_of_two_addresses(export: Path, annotated: bool) -> None:
    """Folders are not compared: which of the two was drawn on cannot be told."""
    tasks = read_tasks(export)
    more = json.loads(json.dumps(tasks[2]).replace('"id": 2', '"id": 77'))
    more["annotations"] = more["annotations"] if annotated else []
    write_tasks(export, [*tasks, more])
    if annotated:
        with pytest.raises(UserError, match="and so is another task"):
            load(export, split=0.5)
    else:
        load(export, split=0.5)  # the same address
    more["data"]["image"] = "s3://bucket/other/photo_2.jpg"
    write_tasks(export, [*tasks, more])
    said = "photo_2.jpg may be the image of 2 tasks, s3://bucket/other/photo_2.jpg, s3"
    with pytest.raises(UserError, match=said):
        load(export, split=0.5)


def test_addresses_of_fields_by_the_thousand(export: Path) -> None:
    tasks = read_tasks(export)
    tasks[1]["data"]["image"] += "&a=b" * 100
    write_tasks(export, tasks)
    with pytest.raises(UserError, match="task 1 names 0 images in its data, not one"):
        load(export, split=0.5)


@pytest.mark.usefixtures("no_forms_of_accents")
def test_long_texts_are_no_addresses(export: Path) -> None:
    """Of an address, the host is put in one form."""
    tasks = read_tasks(export)
    tasks[1]["data"]["remark"] = f"//a{ACCENTS * 5000}"
    write_tasks(export, tasks)
    assert len(together(load(export, split=0.5))) == len(tasks)


def test_a_name_may_be_told_twice(export: Path) -> None:
    tasks = read_tasks(export)
    tasks[2]["data"]["filename"] = "photo_2.jpg"
    write_tasks(export, tasks)
    load(export, split=0.5)


def test_images_in_other_folders_are_told(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tasks that are not annotated yet are left out of what Label Studio exports."""
    (export / "images" / "set").mkdir()
    (export / "images" / "photo_2.jpg").rename(
        export / "images" / "set" / "photo_2.jpg"
    )
    load(export, split=0.5)
    assert "folders of other names" not in capsys.readouterr().err
    (export / "images" / "set").rename(export / "images" / "day2")
    load(export, split=0.5)
    said = "1 images were found by the names of their files alone, in folders of other "
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("link", ["photo_2.jpg", "set"])
def test_links_to_nothing(export: Path, link: str) -> None:
    """Another file of the name would be read."""
    images = export / "images"
    (images / "day2").mkdir()
    (images / "photo_2.jpg").rename(images / "day2" / "photo_2.jpg")
    (images / link).symlink_to("/nowhere")
    with pytest.raises(UserError, match=f"^{images / link} is a link to what is"):
        load(export, split=0.5)


def test_heads_alone_have_no_masks(export: Path) -> None:
    (export / "images" / "photo_0.jpg").write_bytes(headed((20_000, 20_000)))
    with pytest.raises(UserError, match=r"photo_0\.jpg and the images before it have"):
        load(export, split=0.5)
