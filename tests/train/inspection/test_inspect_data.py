"""Inspection: what is counted, what is warned of, how the program ends."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lal_jax
from train.common.errors import UserError
from train.data import image_files, scenes
from train.data.class_counts import class_counts
from train.data.dataset import DataOptions, load_dataset
from train.inspect_data import InspectedData, inspect_data
from train.inspection import facts as facts_module
from train.inspection.contents import list_contents
from train.inspection.facts import Facts, facts_of_all
from train.inspection.page import write_inspection
from train.inspection.printed import text_of_summary
from train.inspection.summary import Summary, summarize

from ..conftest import SIZE, write_voc
from ..programs import call
from .folders import (
    colored,
    image,
    inspect,
    mask,
    options_of,
    rewrite,
    stray_value,
    truncated,
)


def test_classes_are_counted_as_training_counts_them(folder: Path) -> None:
    summary = inspect(folder)
    dataset = load_dataset(options_of(folder))
    counts = class_counts(dataset.train, 3)
    assert [line.name for line in summary.classes] == ["ground", "red", "blue"]
    shares = [line.splits["train"].pixels for line in summary.classes]
    np.testing.assert_allclose(shares, counts.sum(axis=0) / counts.sum())
    images = [line.splits["train"].images for line in summary.classes]
    assert images == (counts > 0).sum(axis=0).tolist()
    weights = lal_jax.class_weights_from_counts(counts, method="inverse_root")
    assert [line.weight for line in summary.classes] == weights.tolist()
    words = " ".join(f"{weight:.4g}" for weight in weights)
    assert f"--class-weights {words}" in text_of_summary(summary)
    assert summary.ignored["train"] == pytest.approx(1 / SIZE[0])
    assert summary.sizes["val"].commonest == SIZE


def test_height_is_that_of_preparation(folder: Path) -> None:
    summary = inspect(folder, image_height=20)
    assert summary.sizes["train"].commonest == (20, 24)


def test_holdout_takes_the_place_of_the_validation_split(folder: Path) -> None:
    summary = inspect(folder, holdout=0.25)
    names = {split: [f.name for f in of] for split, of in summary.facts.items()}
    assert names == {"train": ["a", "b", "c"], "held out": ["d"]}


def test_values_without_class_are_counted(folder: Path) -> None:
    stray_value(folder)
    stray = inspect(folder).values
    assert stray
    (line,) = stray.lines
    assert (line.what, line.pixels, line.images) == ("9", 1, 1)
    assert line.places == (("train", 3),)


def test_colors_without_class_make_a_labelmap_that_is_read(folder: Path) -> None:
    colors = np.array([(1, 2, 3), (4, 5, 6), (7, 8, 9)], np.uint8)
    rewrite(folder, lambda values: colors[np.where(values > 2, 0, values)])
    (folder / "class_names.txt").unlink()
    summary = inspect(folder)
    assert summary.faults and summary.colors and len(summary.colors.lines) == 3
    (folder / "labelmap.txt").write_text(summary.labelmap)
    assert not inspect(folder).faults


def warned(summary: Summary, words: str) -> list[str]:
    """Returns the images that the one warning with these words is about."""
    (found,) = (each for each in summary.warnings if words in each.text)
    return [f"{p.split}/{summary.name(p)}" for p in found.places]


def test_sound_data_have_no_warning(folder: Path) -> None:
    summary = inspect(folder)
    assert not summary.warnings and not summary.values and not summary.colors


def test_copies_are_found_by_their_pixels(folder: Path) -> None:
    (folder / "JPEGImages" / "f.jpg").unlink()
    Image.open(image(folder, "b")).save(folder / "JPEGImages" / "f.png")
    shutil.copy(image(folder, "a"), image(folder, "d"))
    summary = inspect(folder)
    assert warned(summary, "is trained on and evaluated") == ["train/b", "val/f"]
    assert warned(summary, "more than once") == ["train/a", "train/d"]


def test_masks_of_nearly_nothing_are_found(folder: Path) -> None:
    for name, value in (("a", 255), ("b", 1)):
        values = np.full(SIZE, value, np.uint8)
        values[0, :5] = 0
        Image.fromarray(values).save(mask(folder, name))
    summary = inspect(folder)
    assert warned(summary, "is ignored") == ["train/a"]
    assert warned(summary, "one class has") == ["train/b"]


def test_classes_of_one_split_are_named(folder: Path) -> None:
    (folder / "class_names.txt").write_text("ground\nred\nblue\ngreen\n")
    for name in "ef":
        values = np.array(Image.open(mask(folder, name)))
        values[values == 2] = 1
        Image.fromarray(values).save(mask(folder, name))
    texts = [warning.text for warning in inspect(folder).warnings]
    assert len(texts) == 2 and "No mask has green" in texts[0]
    assert "Only train has blue (4 images)" in texts[1]


def test_one_list_for_both_is_named(folder: Path) -> None:
    summary = inspect(folder, val_split="train")
    assert warned(summary, "--holdout 0.2") == []


def test_processes_find_what_one_finds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for damage in (truncated, stray_value, colored):
        damage(folder)
    alone = inspect(folder).facts
    monkeypatch.setattr(facts_module, "_FEW", 1)
    monkeypatch.setattr(facts_module, "_CHUNK", 2)
    monkeypatch.setattr(facts_module.os, "sched_getaffinity", lambda pid: {0, 1})
    assert inspect(folder).facts == alone


def test_processes_know_the_limit_of_pixels(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts_module, "_FEW", 1)
    monkeypatch.setattr(facts_module.os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(
        image_files, "_limit", image_files.PIXEL_LIMIT
    )  # set in this process too
    of_image, of_mask = inspect(folder, pixel_limit=SIZE[0] * SIZE[1] - 1).faults
    for fault in (of_image, of_mask):
        assert "--pixel-limit" in fault.text and len(fault.places) == 6


def test_scenes_are_inspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SPLIT_SIZES", {"train": 4, "val": 2})
    options = DataOptions(prepared=str(tmp_path))
    contents = list_contents(options)
    summary = summarize(contents, facts_of_all(contents, options))
    assert [len(of) for of in summary.facts.values()] == [4, 2]
    label = scenes.draw_scene("train", 1)[1]
    expected = Facts("train_0001", values=facts_module._values(label)).values
    assert summary.facts["train"][1].values == expected
    assert write_inspection(summary, tmp_path).stat().st_size > 10_000


@pytest.mark.parametrize(
    ("damage", "status"), [(None, 0), (truncated, 1), (shutil.rmtree, 2)]
)
def test_exit_status_says_whether_training_would_begin(
    folder: Path,
    tmp_path: Path,
    damage: Callable[[Path], None] | None,
    status: int,
) -> None:
    if damage:
        damage(folder)
    ended = call("inspect_data", folder, "--out", tmp_path / "out")
    assert ended.returncode == status, ended.stderr
    assert (tmp_path / "out" / "inspection.html").is_file() == (status < 2)
    assert ("Training would fail: 1 kind" in ended.stdout) == (status == 1)
    assert (f"error: --data {folder}: no such folder" in ended.stderr) == (status == 2)


def test_nothing_is_written_into_the_folder(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_inspection(inspect(folder), tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert not (folder.parent / "prepared").exists()


@pytest.mark.parametrize("kind", ["drawn", "edited", "marked", "link", "dangling"])
def test_only_own_pages_are_replaced(folder: Path, tmp_path: Path, kind: str) -> None:
    out, summary = tmp_path / "out", inspect(folder)
    page = write_inspection(summary, out)
    written = page.read_bytes()
    assert write_inspection(summary, out).read_bytes() == written
    if kind == "drawn":
        page.write_text("<p>mine</p>")
    elif kind == "edited":
        page.write_bytes(written.replace(b"</h1>", b"!</h1>", 1))
    elif kind == "marked":
        page.write_bytes(written + b"mine")
    else:
        page.rename(tmp_path / "elsewhere")
        page.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    before = None if kind == "dangling" else page.read_bytes()
    for again in (
        lambda: write_inspection(summary, out),
        lambda: inspect_data(InspectedData(folder="/nowhere"), out),  # before it looks
    ):
        with pytest.raises(UserError, match=f"{page} is there already.*another --out"):
            again()
    assert page.is_symlink() == (kind in ("link", "dangling"))
    assert before is None or page.read_bytes() == before


def test_page_stays_small_and_stands_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def noise() -> tuple[np.ndarray, np.ndarray]:
        values = rng.integers(0, 40, (500, 700), dtype=np.uint8)
        return rng.integers(0, 256, (500, 700, 3), dtype=np.uint8), values

    root = tmp_path / "a <b> & c"
    lists = {split: [f"{split}{i}" for i in range(12)] for split in ("train", "val")}
    write_voc(root, lists, noise)
    path = write_inspection(inspect(root, classes=("<i>x</i>", "y")), tmp_path / "out")
    text = path.read_text(encoding="utf-8")
    assert len(text) < 4_000_000  # of pure noise; photographs take a tenth
    assert "<i>x</i>" not in text and "a <b> & c" not in text
    assert "://" not in text and "url(" not in text and "<script" not in text
    assert text.count('<img src="data:image/jpeg') >= 12
