"""Weights of the classes by numbers, from a file, and by a rule."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

import lal_jax
from train.common.errors import UserError
from train.config import Config
from train.data.class_counts import class_counts
from train.data.dataset import load_dataset
from train.data.images import decode
from train.presets import parse_config
from train.training.class_weighting import warn_of_weightless, with_class_weights

from ..conftest import CLASSES, MakeConfig


def test_a_rule_weighs_by_the_pixels_that_are_trained_on(
    make_config: MakeConfig,
) -> None:
    config = make_config(class_weights=("inverse",), holdout=0.4)
    train = load_dataset(config.data).train
    found = with_class_weights(config.loss, lambda: class_counts(train, CLASSES))
    masks = [decode(train[index]).label for index in range(len(train))]
    counts = [sum((mask == c).sum() for mask in masks) for c in range(CLASSES)]
    expected = lal_jax.class_weights_from_counts(np.array(counts), method="inverse")
    np.testing.assert_array_equal(found.weight_per_class(), expected)
    assert 0 < len(train) < len(load_dataset(make_config().data).train)


def test_no_rule_needs_no_pixels(make_config: MakeConfig) -> None:
    for words in ((), ("1", "2", "3")):
        options = make_config(class_weights=words).loss

        def refuse() -> np.ndarray:
            raise AssertionError("counted")

        assert with_class_weights(options, refuse) is options


@pytest.mark.parametrize("text", ["0.5 1 2e0\n", "0.5,1,2e0", "0.5\n1\n2e0\n\n"])
@pytest.mark.parametrize("option", ["--class-weights", "--class_weights"])
def test_a_file_of_weights(tmp_path: Path, text: str, option: str) -> None:
    path = tmp_path / "weights.txt"
    path.write_text(text)
    for more in ([], ["--steps", "5"]):
        config = parse_config(["demo", option, str(path), *more])
        assert config.loss.class_weights == ("0.5", "1", "2e0")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "it is empty"),
        ("1 two 3", "it has 'two'"),
        ("1 -2", "it has '-2'"),
        ("1 nan", "it has 'nan'"),
        ('{"road": 1}', "it has '{\"road\":'"),
    ],
)
def test_a_file_of_anything_else(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "weights.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=f"weights.txt: {what}; write a number for"):
        parse_config(["demo", "--class-weights", str(path)])


def test_a_file_named_as_a_rule_or_a_number_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("inverse").write_text("1 2 3")
    config = parse_config(["demo", "--class-weights", "inverse"])
    assert config.loss.class_weights == ("inverse",)
    Path("1").write_text("7 8 9")
    config = parse_config(["demo", "--class-weights", "1", "2", "3"])
    assert config.loss.class_weights == ("1", "2", "3")


def test_only_a_command_line_names_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.txt"
    path.write_text("1 2 3")
    with pytest.raises(UserError, match="--class-weights must be .*weights.txt"):
        Config().replace(class_weights=(str(path),))


@pytest.mark.parametrize("option", ["--class-weights=", "--class_weights="])
def test_a_file_behind_an_equals_sign(tmp_path: Path, option: str) -> None:
    path = tmp_path / "a=b.txt"
    path.write_text("1 2 3")
    for more in ([], ["--steps=5"]):
        config = parse_config(["demo", option + str(path), *more])
        assert config.loss.class_weights == ("1", "2", "3")
    config = parse_config(["demo", option + "inverse"])
    assert config.loss.class_weights == ("inverse",)


def test_what_is_no_file_is_named_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UserError, match=f"{place} is a .*, and is not read"):
            parse_config(["demo", "--class-weights", str(place)])


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match="a file of these, got .*absent.txt"):
        parse_config(["demo", "--class-weights", "absent.txt"])


@pytest.mark.parametrize("word", ["1e39", "1_0", "inf", "-0.5", "one"])
def test_what_no_class_may_weigh(word: str) -> None:
    with pytest.raises(UserError, match="--class-weights must be .*one above 0"):
        Config().replace(class_weights=("1", word))


def test_classes_that_all_weigh_nothing() -> None:
    with pytest.raises(UserError, match="--class-weights must be .*one above 0"):
        Config().replace(class_weights=("0", "0.0", "1e-50"))


def test_a_file_with_a_mark_of_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "weights.txt"
    path.write_bytes(b"\xef\xbb\xbf1 2 3\r\n")  # as Windows's editor writes it
    config = parse_config(["demo", "--class-weights", str(path)])
    assert config.loss.class_weights == ("1", "2", "3")


@pytest.mark.parametrize(
    ("loss", "weights", "named"),
    [
        ("softmax_cross_entropy + dice", ("0", "1", "0.0"), "0 for road, sky: "),
        ("locally_adaptive", ("0", "1", "1"), "0 for road: "),
        ("focal", ("1", "2", "0"), "0 for sky: "),
        ("generalized_dice + 0.01 * boundary", ("0", "1", "1"), ""),
        ("softmax_cross_entropy", ("1e-9", "1", "1"), ""),
        ("softmax_cross_entropy", ("inverse",), ""),
    ],
)
def test_a_class_without_weight_is_named_where_pixels_count(
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
    loss: str,
    weights: tuple[str, ...],
    named: str,
) -> None:
    options = dataclasses.replace(make_config().loss, name=loss, class_weights=weights)
    warn_of_weightless(options, ("road", "car", "sky"))
    said = capsys.readouterr().err
    assert (f"--class-weights is {named}" in said) if named else not said
