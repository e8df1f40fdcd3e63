"""Groups of options: their limits, their rules, and the names they have had."""

import dataclasses
import math
from typing import Any

import pytest
import tyro

from models.registry import Registry
from train.common.errors import UserError
from train.common.options import (
    BELOW_ONE,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Group,
    Limit,
    Rule,
    annotate,
    choice,
    earlier_names,
    marked,
    option,
    option_names,
)
from train.presets import parse_config

from ..conftest import add_entry

MODES: Registry[int] = Registry("mode")
MODES.add("bake", 1, "from below")
MODES.add("grill", 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OvenOptions(Group):
    """An oven."""

    heat: float = option(180.0, "Degrees.", POSITIVE, name="oven_heat", earlier="warm")
    fan: bool = option(True, "Air moves.", earlier="blower", free=True)
    trays: tuple[int, ...] = option((1,), "Heights.")
    mode: str = choice("bake", "Where heat comes from", MODES)

    shelf: str = option("", "Where books are.", path=True)

    rules = (
        Rule("fan", lambda oven: oven.fan or oven.heat < 250, "must be on above 250"),
    )


def parse(*words: str, **defaults: Any) -> OvenOptions:
    annotate(OvenOptions)
    return tyro.cli(OvenOptions, args=words, default=OvenOptions(**defaults))


@pytest.mark.parametrize(
    ("limit", "held", "refused"),
    [
        (POSITIVE, (1e-9, 1, 1e9), (0, -1, math.inf, math.nan)),
        (NOT_NEGATIVE, (0, 1e9), (-1e-9, math.inf, math.nan)),
        (FRACTION, (1e-9, 1), (0, 1.001, math.nan)),
        (BELOW_ONE, (0, 0.999), (1, -1e-9, math.nan)),
    ],
)
def test_limits_end_where_they_say(
    limit: Limit, held: tuple[float, ...], refused: tuple[float, ...]
) -> None:
    assert all(limit.holds(value) for value in held)
    assert not any(limit.holds(value) for value in refused)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heat": 0.0}, "--oven-heat must be above 0, got 0.0"),
        ({"mode": "fry"}, "--mode must be one of: bake, grill, got 'fry'"),
        ({"fan": False, "heat": 250.0}, "--fan must be on above 250, got False"),
        ({"heat": -1.0, "fan": False}, "--oven-heat must be above 0, got -1.0"),
    ],
)
def test_group_refuses_what_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        OvenOptions(**options)
    assert str(refused.value) == message
    with pytest.raises(UserError):
        dataclasses.replace(OvenOptions(), **options)


def test_rules_look_at_the_whole_group() -> None:
    assert OvenOptions(fan=False, heat=249.0).heat == 249
    assert OvenOptions(heat=250.0).fan


def test_names_are_those_of_the_fields_or_their_own() -> None:
    assert option_names(OvenOptions) == {
        "heat": "oven_heat",
        "fan": "fan",
        "trays": "trays",
        "mode": "mode",
        "shelf": "shelf",
    }
    assert dict(earlier_names(OvenOptions)) == {"warm": "oven_heat", "blower": "fan"}
    assert marked(OvenOptions, "free") == {"fan"}
    assert marked(OvenOptions, "path") == {"shelf"}


def test_command_line_knows_the_names_and_those_before() -> None:
    hot = OvenOptions(heat=200.0)
    assert parse("--oven-heat", "200") == parse("--warm", "200") == hot
    assert parse("--no-fan") == parse("--no-blower") == OvenOptions(fan=False)
    assert parse("--fan", fan=False) == parse("--blower", fan=False) == OvenOptions()
    assert parse("--trays", "2", "3").trays == (2, 3)


def test_help_says_what_the_fields_say(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--oven-heat" in shown and "Degrees. (default: 180.0)" in shown
    assert "Where heat comes from: bake (from below), grill." in shown


@pytest.mark.parametrize(
    ("earlier", "present"),
    [
        (["--rates", "1", "2"], ["--dilations", "1", "2"]),
        (["--no-mirror"], ["--no-flip"]),
        (["--mirror"], ["--flip"]),
    ],
)
def test_earlier_options_of_the_trainer_go_on_working(
    earlier: list[str], present: list[str]
) -> None:
    config = parse_config(["voc", *earlier])
    assert config == parse_config(["voc", *present])
    if earlier[0] == "--rates":
        assert config.model.dilations == (1, 2)
    else:
        assert config.augmentation.flip == (earlier == ["--mirror"])


def test_entry_of_later_is_in_help_and_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_entry(monkeypatch, MODES, "steam", 3, "wet")
    with pytest.raises(SystemExit):
        parse("--help")
    assert "steam (wet)" in " ".join(capsys.readouterr().out.replace("│", "").split())
    with pytest.raises(UserError, match="must be one of: bake, grill, steam, got 'x'"):
        OvenOptions(mode="x")
