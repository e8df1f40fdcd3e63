"""Values that do not count, beside 255: in masks, classes, metrics and fingerprints."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.config import Config
from train.data.class_counts import class_counts
from train.data.dataset import find_dataset, load_dataset
from train.data.images import IGNORED, decode
from train.data.voc import read_pair, read_voc_folder
from train.data.void import void_values
from train.inspection.printed import text_of_summary
from train.inspection.summary import Summary

from ..conftest import NAMES
from ..inspection.folders import inspect, mask, options_of, rewrite

SPLITS = ("train", "val")


def labels(folder: Path, *void: str) -> list[np.ndarray]:
    """Returns the masks that are trained on."""
    source = load_dataset(options_of(folder, void=void)).train
    return [decode(source[index]).label for index in range(len(source))]


@pytest.mark.parametrize("word", ["1", "red"])
def test_void_pixels_are_ignored_and_values_keep_their_meaning(
    folder: Path, word: str
) -> None:
    before = labels(folder)
    for written, read in zip(before, labels(folder, word), strict=True):
        assert (written == 1).any()
        np.testing.assert_array_equal(read, np.where(written == 1, IGNORED, written))
    found = load_dataset(options_of(folder, void=(word,)))
    assert found.class_names == ("ground", "red", "blue") and found.void == (1,)
    counts = class_counts(found.train, 3).sum(axis=0)
    assert counts[1] == 0 and counts[0] > 0 and counts[2] > 0


def test_void_values_may_be_of_no_class(folder: Path) -> None:
    rewrite(folder, lambda mask: np.where(mask == 255, 11, mask).astype(np.uint8))
    with pytest.raises(UserError, match="got 11 at .*--void names values"):
        labels(folder)
    for read in labels(folder, "11"):
        assert set(np.unique(read)) == {0, 1, 2, 255} and (read[3] == 255).all()


@pytest.mark.parametrize("void, names", [("2", "01"), ("0", "012"), ("11", "012")])
def test_classes_are_counted_without_void_values(
    folder: Path, void: str, names: str
) -> None:
    (folder / "class_names.txt").unlink()
    if void == "11":
        rewrite(folder, lambda mask: np.where(mask == 255, 11, mask).astype(np.uint8))
    found = read_voc_folder(folder, SPLITS, void=(void,))
    assert found.class_names == tuple(names) and found.void == (int(void),)


def test_masks_by_color_have_void_classes(folder: Path) -> None:
    (folder / "class_names.txt").unlink()
    colors = np.array([(9, 0, 0), (0, 9, 0), (0, 0, 9)], np.uint8)
    lines = "ground:9,0,0::\nred:0,9,0::\nblue:0,0,9::\n"
    (folder / "labelmap.txt").write_text(lines)
    rewrite(folder, lambda mask: colors[np.minimum(mask, 2)])
    for word in ("blue", "2"):
        for read in labels(folder, word):
            assert set(np.unique(read)) == {0, 1, 255} and (read[3] == 255).all()


def test_other_void_values_are_other_data(folder: Path) -> None:
    plain, void, named = (
        read_voc_folder(folder, SPLITS, void=words)
        for words in ((), ("0",), ("ground", "0"))
    )
    assert plain.fingerprint != void.fingerprint == named.fingerprint
    assert plain.earlier and not void.earlier  # of runs that knew nothing of void
    names = ("a", "b", "blue", "c")
    assert void_values(("7", "blue", "0", "7"), names) == (0, 2, 7)


@pytest.mark.parametrize("names", ["1234", "210"])
def test_a_number_is_a_value_whatever_classes_are_called(
    folder: Path, names: str
) -> None:
    (folder / "class_names.txt").write_text("\n".join(names))
    found = read_voc_folder(folder, SPLITS, void=("2",))
    assert found.class_names == tuple(names) and found.void == (2,)


@pytest.mark.parametrize(
    "void, said",
    [
        (("255",), "0 to 254"),
        (("",), "0 to 254"),
        (("sky",), "'sky': no class has that name.*ground, red, blue"),
        (("1000",), "'1000': no class has that name"),
        (("0", "blue"), "leaves class 'red' alone.*two classes or more"),
        (("0", "1", "2"), "leaves no class"),
    ],
)
def test_void_that_cannot_be_is_refused(
    folder: Path, void: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError, match=f"(?s)--void.*{said}"):
        find_dataset(options_of(folder, void=void))


@pytest.mark.parametrize(
    "void, said", [(("0", "1", "2"), "no class"), (("0", "1"), "class '2' alone")]
)
def test_counted_classes_are_not_all_void(
    folder: Path, void: tuple[str, ...], said: str
) -> None:
    (folder / "class_names.txt").unlink()
    with pytest.raises(UserError, match=f"--void .*leaves {said}"):
        find_dataset(options_of(folder, void=void))


def test_the_built_in_scenes_have_none() -> None:
    with pytest.raises(UserError, match="--void needs --data"):
        Config().replace(data="", void=("0",))


def test_black_and_white_is_told_by_what_is_written(folder: Path) -> None:
    """Void pixels become 255, which is then no sign of white for a class."""
    rewrite(folder, lambda mask: np.minimum(mask, 1))
    assert set(np.unique(labels(folder, "red"))) == {0, IGNORED}
    assert not inspect(folder, void=("red",)).faults


def weights(summary: Summary) -> list[float | None]:
    return [line.weight for line in summary.classes]


def test_inspection_ignores_void_pixels(folder: Path) -> None:
    before, after = inspect(folder), inspect(folder, void=("red",))
    assert not after.faults and after.ignored["train"] > before.ignored["train"]
    assert "red (void)" in text_of_summary(after)
    assert not any("No mask has" in one.text for one in after.warnings)
    found = weights(after)
    assert found[1] == 0 and found[0] and found[2] and all(weights(before))


def test_inspection_takes_void_values_for_no_strays(folder: Path) -> None:
    values = np.array(Image.open(mask(folder, "a")))
    values[0, :9] = 11
    Image.fromarray(values).save(mask(folder, "a"))
    assert inspect(folder).faults and inspect(folder).values
    sound = inspect(folder, void=("11",))
    assert not sound.faults and not sound.values
    (folder / "class_names.txt").unlink()
    assert not inspect(folder, void=("11",)).faults


def test_a_pair_is_read_as_it_is_written(folder: Path) -> None:
    name = NAMES["train"][0]
    pair = folder / "JPEGImages" / f"{name}.jpg", mask(folder, name)
    assert (read_pair(*pair, 2, None, (2,)).label == 2).any()
