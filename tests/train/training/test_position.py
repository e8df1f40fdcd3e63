"""What stands beside the state of a checkpoint is read by a schema."""

import json
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.training import manifest
from train.training.step import TrainState

from .test_checkpoint import large, open_again, save_steps, small

__all__ = ["small"]  # a fixture


def replace_position(folder: Path, content: Any) -> None:
    """Writes another position than was saved, as a forger would."""
    (folder / manifest.MANIFEST).unlink()
    (path,) = folder.rglob("position/metadata")
    path.write_text(json.dumps(content))


def position_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.rglob("position/metadata")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize(
    ("field", "value"), [("seconds", 8.0), ("step", 4), ("more", 1), ("checksum", 0)]
)
def test_changed_position_is_noticed_without_a_manifest(
    small: TrainState, tmp_path: Path, field: str, value: float
) -> None:
    save_steps(tmp_path, small, 1)
    replace_position(tmp_path / "1", position_of(tmp_path / "1") | {field: value})
    with open_again(tmp_path) as checkpoints:
        with pytest.raises(UserError, match="1 is damaged: its position is another"):
            checkpoints.restore(large(small))


def test_checkpoints_of_before_have_no_checksum(
    small: TrainState, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    save_steps(tmp_path, small, 1)
    position = position_of(tmp_path / "1")
    for name in ("checksum", "seal", "config"):
        del position[name]
    replace_position(tmp_path / "1", position)
    with open_again(tmp_path) as checkpoints:
        assert checkpoints.restore(large(small)) is not None
    assert f"{tmp_path / '1'} is of an earlier version" in capsys.readouterr().out


WHOLE = {"step": 2, "seconds": 7.0, "seed": 0, "fingerprint": "data"}
DAMAGED: list[Any] = [
    *({k: v for k, v in WHOLE.items() if k != name} for name in WHOLE),
    *([WHOLE], 3, None, "text", {}),
    *({**WHOLE, "seconds": value} for value in ("x", None, float("nan"), 1e999, -1)),
    *({**WHOLE, "fingerprint": value} for value in (["data"], None)),
    *({**WHOLE, name: "x"} for name in ("step", "seed", "checksum", "seal")),
    *({**WHOLE, "config": {}}, {**WHOLE, "step": 10**30}, {**WHOLE, "x" * 9999: 1}),
]


@pytest.mark.parametrize("content", DAMAGED, ids=lambda value: str(value)[:40])
def test_position_of_another_kind_costs_its_checkpoint_alone(
    small: TrainState, tmp_path: Path, content: Any, capsys: pytest.CaptureFixture
) -> None:
    save_steps(tmp_path, small, 1, 2)
    replace_position(tmp_path / "2", content)
    with open_again(tmp_path) as checkpoints:
        restored = checkpoints.restore(large(small))
    assert restored is not None and int(restored[0].step) == 1
    printed = capsys.readouterr().out
    assert f"{tmp_path / '2'} is damaged: its position is another (" in printed
    assert "step 1 is taken" in printed and len(printed) < 600 + len(str(tmp_path))
