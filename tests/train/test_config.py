"""The command line: presets, every field an option, and what is refused."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.backbones import BACKBONES
from models.heads import HEADS
from train.common.errors import UserError
from train.common.options import option, option_names
from train.common.sealed import write_sealed
from train.config import (
    CONFIG_VERSION,
    GROUPS,
    PLACES,
    Config,
    describe,
    differing_options,
    load_config,
    places_of,
    save_config,
)
from train.data.preprocessing import PREPROCESSINGS
from train.presets import PRESETS, parse_config
from train.training.losses import LOSSES
from train.training.optimizer import SCHEDULES
from train.training.pools import POOLS

ROOT = Path(__file__).parents[2]


def test_no_preset_means_demo() -> None:
    assert parse_config([]) == PRESETS["demo"]
    assert parse_config(["--loss=focal"]) == PRESETS["demo"].replace(loss="focal")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("loss", LOSSES)
def test_preset_takes_any_loss(name: str, loss: str) -> None:
    config = parse_config([name, "--loss", loss])
    assert config == PRESETS[name].replace(loss=loss)
    assert config.run.workdir == f"runs/{name}"


def test_every_field_can_be_set_by_name() -> None:
    config = parse_config(
        ["camvid", "--data", "d", "--crop", "64", "96", "--scale", "1", "2"]
        + ["--no-mirror", "--rates", "1", "2", "--classes", "a", "b", "--steps", "7"]
    )
    assert (
        config.data.folder,
        config.augmentation.crop,
        config.augmentation.scale,
    ) == ("d", (64, 96), (1.0, 2.0))
    assert (config.augmentation.flip, config.model.dilations, config.data.classes) == (
        False,
        (1, 2),
        ("a", "b"),
    )
    assert config.optimizer.steps == 7


def test_help_shows_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_config(["--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in PLACES:
        assert f"--{name.replace('_', '-')}" in shown
    for choices in (LOSSES, POOLS, SCHEDULES, BACKBONES, HEADS, PREPROCESSINGS):
        assert all(f"{name} (" in shown for name in choices if choices.caption(name))


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["camvidd"], "no preset 'camvidd'; did you mean 'camvid'"),
        (
            ["demo", "--loss", "cross"],
            "--loss 'cross': there is no loss 'cross'; there",
        ),
        (["--backbone", "vgg"], "--backbone must be one of.*got 'vgg'"),
        (["--output-stride", "4"], "--output-stride must be one of: 8, 16, 32, got 4"),
        (["--upsampling", "cubic"], "--upsampling.*got 'cubic'"),
        (["--kernel-size", "4"], "--kernel-size must be odd.*got 4"),
        (["--pool", "max"], "--pool must be one of: minkowski.*got 'max'"),
        (["--neighbor-weights", "x"], "--neighbor-weights must be one of: chess"),
        (["--normalizer", "sum"], "--normalizer must be one of: count, weights"),
        (["--holdout", "1"], r"--holdout must lie in \[0, 1\), got 1.0"),
        (["--classes", "a", "b"], "--classes needs --data; the built-in.*got a b"),
        (
            ["--holdout", "0.2", "--val-split", "test"],
            "--val-split is not evaluated with --holdout, .*got test",
        ),
        (["--schedule", "cosine", "--poly-power", "2"], "--poly-power needs --sched"),
        (["--image-height", "9"], "--image-height needs --data.*got 9"),
        (["--power", "0"], "--power must be above 0, got 0"),
        (["--steps", "-1"], "--steps must be finite and ≥ 0, got -1"),
        (["--steps", str(10**400)], "--steps must be below 2⁶³, got 10000"),
        (["--keep", str(2**63)], "--keep must be below 2⁶³, got 9223372036854775808"),
        (["--window", "64", "8193"], r"--window must be 32 to 8192.*\(64, 8193\)"),
        (["--batch-size", "-1"], "--batch-size must be above 0, got -1"),
        (["--learning-rate", "nan"], "--learning-rate.*got nan"),
        (["--crop", "4", "64"], r"--crop must be.*got \(4, 64\)"),
        (["--scale", "2", "1"], r"--scale must be.*got \(2.0, 1.0\)"),
        (["--momentum", "1"], "--momentum.*got 1"),
        (["--rates", "6", "0"], r"--dilations must be.*got \(6, 0\)"),
        (["--dilations", "6", "129"], r"16 or fewer, each in \[1, 128\], got \(6, 129"),
        (["--dilations", *17 * ["1"]], "--dilations must be 16 or fewer"),
        (["--image-height", "16385"], r"--image-height must lie in \[0, 16384\]"),
        (["--style", "tf"], "--style must be one of: torchvision, caffe, got 'tf'"),
        (["--head", "v4"], "--head must be one of: v2, v3, v3plus, got 'v4'"),
        (["--batch-norm", "off"], "--batch-norm must be one of.*got 'off'"),
        (["--preprocessing", "none"], "--preprocessing must be.*got 'none'"),
        (["--precision", "float16"], "--precision must be.*got 'float16'"),
        (["--accumulation", "3"], "--accumulation must divide --batch-size, got 3"),
        (["--new-head"], "--new-head needs --weights"),
        (
            ["--head", "v3", "--batch-size", "4", "--accumulation", "4"],
            "--accumulation must leave 2 images.*--head v3.*got 4",
        ),
        (["--input-scales", "1"], r"--input-scales must.*got \(1.0,\)"),
        (["--loss-resolution", "half"], "--loss-resolution must be.*got 'half'"),
        (
            ["--loss-resolution", "network", "--upsampling", "learned"],
            "--loss-resolution must be full with --upsampling learned",
        ),
        (["--evaluation-scales"], r"--evaluation-scales must be.*got \(\)"),
        (["--evaluation-fusion", "sum"], "--evaluation-fusion must be.*got 'sum'"),
        (["--window", "0", "512"], r"--window must be.*got \(0, 512\)"),
        (["--overlap", "1"], r"--overlap must lie in \[0, 0.99\], got 1"),
        (
            ["--size-multiple", "2048"],
            r"--size-multiple must lie in \[1, 1024\], got 2",
        ),
        (
            ["--evaluation-scales", *33 * ["1"]],
            r"scales must be 1 to 32, each in \[0.1",
        ),
        (["--seed", "4294967296"], "--seed must be ≥ 0 and below.*got 4294967296"),
        (["--scale", "1", "inf"], r"--scale must be.*got \(1.0, inf\)"),
        (["--evaluation-scales", "1000"], "--evaluation-scales must.*got .1000"),
        (["--weight-decay", "inf"], "--weight-decay must be finite.*got inf"),
        (["--crop", "9999", "64"], r"--crop must be.*got \(9999, 64\)"),
        (["--train-split", "train+val"], r"--train-split must be.*got 'train\+val'"),
        (["--hard-fraction", "0"], r"--hard-fraction must lie in \(0, 1\], got 0"),
        (["--max-pooling-norm", "1"], "--max-pooling-norm must be above 1, got 1"),
        (["--focal-gamma", "-1"], "--focal-gamma must be.*got -1"),
        (["--schedule", "step"], "--schedule must be one of: poly, cosine, constant"),
        (["--warmup", "20", "--steps", "20"], "--warmup must be below --steps, got 20"),
        (["--normalization", "l2"], "--normalization must be.*got 'l2'"),
    ],
)
def test_what_cannot_work_is_named(arguments: list[str], culprit: str) -> None:
    with pytest.raises(UserError, match=culprit):
        parse_config(arguments)


@pytest.mark.parametrize(
    "words",
    [
        "--data d --classes a b",
        "--holdout 0.2 --train-split all_of_it --val-split all_of_it --data d",
        "--schedule poly --poly-power 2",
        "--loss softmax_cross_entropy --focal-gamma 1 --kernel-size 7",  # compared
    ],
)
def test_options_that_have_an_effect_or_compare_losses_are_taken(words: str) -> None:
    assert parse_config(words.split()) != PRESETS["demo"]


def test_unknown_option_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config(["demo", "--lerning-rate", "1"])
    assert ended.value.code == 2
    assert "--lerning-rate" in capsys.readouterr().err


def test_saved_configuration_is_read_back(tmp_path: Path) -> None:
    config = Config().replace(classes=("a", "b"), crop=(64, 96), loss="focal")
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config
    described = json.loads((tmp_path / "config.json").read_text())
    assert described["version"] == CONFIG_VERSION and described["loss"] == "focal"


def test_what_a_run_began_with_is_for_the_record_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    save_config(Config(), path, {"commit": "abc"})
    assert load_config(path) == Config()
    assert json.loads(path.read_text())["began"] == {"commit": "abc"}


def test_options_added_since_take_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    options = describe(Config().replace(steps=7))
    del options["new_stages"]
    path.write_text(json.dumps({**options, "version": 2}))
    assert load_config(path) == Config().replace(steps=7)


def test_configuration_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"rates": [1, 2], "mirror": false, "loss": "focal", "steps": 7}')
    expected = Config().replace(dilations=(1, 2), flip=False, loss="focal", steps=7)
    assert load_config(path) == expected


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ('{"version": 11}', "of version 11, and this code reads 1 to 10.*--workdir"),
        ('{"version": "2"}', "of version '2', and this code reads 1 to 10"),
        ('{"version": true}', "of version True, and this code"),
        ('{"version": 9, "steps": 7}', "its checksum is missing"),
        ('{"steps": 7, "steps": 8}', "it has the field 'steps' twice"),
        ("[" * 99_999, "it is nested too deeply"),
        ('{"rates": [1], "dilations": [2]}', "both 'rates' and 'dilations'"),
        ('{"steps": 7, "mirrors": true}', "no option 'mirrors'"),
        ('{"momentun": 0.9}', "no option 'momentun'; did you mean 'momentum'"),
        ('{"momentum": 2}', r"--momentum must lie in \[0, 1\), got 2"),
        ('{"crop": 7}', "--crop: Expected `array`, got `int`, got 7"),
        ('{"crop": [7]}', "--crop: Expected `array` of length 2, got 1"),
        ('{"flip": "no"}', "--flip: Expected `bool`, got `str`, got 'no'"),
        ('{"batch_size": 2.5}', "--batch-size: Expected `int`, got `float`, got 2.5"),
        ('{"seed": true}', "--seed: Expected `int`, got `bool`"),
        ('{"data": "a\\u0000"}', r"--data: no command line has 'a\\x00'"),
        ('{"data": "\\ud800"}', r"--data: no command line has '\\ud800'"),
        ('{"classes": ["%s"]}' % ("a" * 4096), "--classes: no command line has"),
        ("[1]", r"no table of options but \[1\]"),
        ("{}", "has no options"),
        ("null", "no table of options but None"),
        ("{", "cannot be read as a configuration"),
    ],
)
def test_file_that_is_no_configuration_is_named(
    tmp_path: Path, text: str, culprit: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=f"^{path}.*{culprit}"):
        load_config(path)


def test_file_that_lacks_options_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_sealed(path, {"version": CONFIG_VERSION, "steps": 7})
    with pytest.raises(UserError, match="it lacks accumulation, .*auxiliary,"):
        load_config(path)


def test_configuration_without_a_checksum_is_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(describe(Config()) | {"version": 5}))
    for _ in range(2):
        assert load_config(path) == Config()
    assert capsys.readouterr().out.count(f"{path} is of an earlier version") == 1


def test_difference_names_what_changes_the_result_alone() -> None:
    changed = Config().replace(learning_rate=1.0, workers=3, workdir="elsewhere")
    assert differing_options(Config(), changed) == ["learning_rate: 0.00025 → 1.0"]


def test_no_option_has_two_places() -> None:
    names = [n for cls in GROUPS.values() for n in option_names(cls).values()]
    assert len(names) == len(set(names)) == len(PLACES)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (option(1, "Again.", name="steps"), "two options have the name 'steps'"),
        (option(1, "Not one.", name="version"), "have the name 'version'"),
        (option(1, "Old.", earlier="steps"), "earlier names are those of other"),
    ],
)
def test_name_that_is_taken_fails(
    monkeypatch: pytest.MonkeyPatch, field: Any, message: str
) -> None:
    more = dataclasses.make_dataclass("More", [("more", int, field)])
    monkeypatch.setitem(GROUPS, "more", more)
    with pytest.raises(ValueError, match=message):
        places_of(GROUPS)


def test_configuration_loads_neither_jax_nor_flax() -> None:
    words = "import sys, train.presets; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True
    )
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    assert "tyro" in loaded, done.stderr
    assert not loaded & {"jax", "flax", "optax", "orbax", "grain"}
