"""Matplotlib takes nothing from the folder that a program is started in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SAY = "from train.common.drawing import matplotlib as m; print(m.rcParams[{!r}])"


@pytest.mark.parametrize("kind", ["settings", "pipe", "no text"])
def test_settings_of_the_current_folder_are_not_read(tmp_path: Path, kind: str) -> None:
    planted = tmp_path / "matplotlibrc"
    if kind == "pipe":
        os.mkfifo(planted)
    else:
        planted.write_bytes(
            b"lines.linewidth: 77\n" + b"# caf\xe9" * (kind == "no text")
        )
    found = subprocess.run(
        [sys.executable, "-c", SAY.format("lines.linewidth")],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MPLCONFIGDIR": str(tmp_path / "c"),
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert found.stdout == "1.5\n", found.stderr
    assert str(planted) not in found.stderr


def test_the_environment_has_no_say_either() -> None:
    variables = {
        "MPLBACKEND": "no backend",
        "SOURCE_DATE_EPOCH": "abc",
        "PYTHONPATH": str(ROOT),
    }
    draw = "; import io, os; from train.common.drawing import Figure"
    make = "; figure = Figure(layout='constrained')"
    save = "; figure.savefig(io.BytesIO(), format='svg', metadata={'Date': None})"
    left = "; print(os.environ['MPLBACKEND'])"
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            SAY.format("lines.linewidth") + draw + make + save + left,
        ],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert found.stdout == "1.5\nno backend\n", found.stderr


def test_a_folder_that_is_gone_has_no_say_either(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    leave = f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); "
    found = subprocess.run(
        [sys.executable, "-c", leave + SAY.format("lines.linewidth")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert found.stdout == "1.5\n", found.stderr


def test_matplotlib_is_imported_there_alone() -> None:
    for path in (ROOT / "train").rglob("*.py"):
        own = path.name == "drawing.py"
        found = re.search(r"^\s*(from|import) matplotlib", path.read_text(), re.M)
        assert bool(found) == own, path
