"""How programs take what is around them: links in circles, variables of JAX."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from train.common.command import run_command
from train.common.errors import UserError

from .test_command import hook

pytestmark = pytest.mark.usefixtures(hook.__name__)


def test_links_in_a_circle_end_in_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    def main() -> None:
        (tmp_path / "loop" / "x").resolve()
        raise UserError("Symlink loop: a link that leads to itself")  # of Python 3.13

    with pytest.raises(SystemExit) as ended:
        run_command(main)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "a link that leads to itself" in said
    assert said.count("\n") == 2


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("jax_enable_x64", True),
        ("jax_numpy_rank_promotion", "raise"),
        ("jax_numpy_dtype_promotion", "strict"),
        ("jax_transfer_guard", "disallow"),
    ],
)
def test_no_variable_chooses_another_arithmetic(name: str, other: Any) -> None:
    before = getattr(jax.config, name)
    jax.config.update(name, other)  # as the variable of that name does
    try:
        found: list[Any] = []
        run_command(lambda: found.append(getattr(jax.config, name)))
    finally:
        jax.config.update(name, before)
    assert len(found) == 1 and found[0] not in (other, None)


ROOT = Path(__file__).parents[3]
PROGRAMS = [
    path
    for path in sorted((ROOT / "train").glob("*.py"))
    if "run_command(" in path.read_text()
] + [ROOT / "models" / "convert_checkpoint.py"]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_programs_begin_with_what_tells_of_their_imports(path: Path) -> None:
    imports = [
        ast.unparse(node)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert imports[:2] == [
        "from __future__ import annotations",
        "from models import beginning",
    ]


def ended(code: str, **variables: str) -> tuple[int, str]:
    """Returns status and stderr of a program that begins as ours do."""
    found = subprocess.run(
        [sys.executable, "-c", f"import models.beginning; {code}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables},
        timeout=100,
    )
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    ("library", "name", "value"),
    [
        ("jax", "JAX_ENABLE_X64", "maybe"),
        ("jax", "JAX_NUM_CPU_DEVICES", "abc"),
        ("tqdm", "TQDM_MININTERVAL", "abc"),
    ],
)
def test_variables_that_imports_cannot_read_are_named(
    library: str, name: str, value: str
) -> None:
    status, said = ended(f"import {library}", **{name: value})
    assert status == 2 and "Traceback" not in said
    assert said.startswith(f"\nerror: {name} of the environment is {value!r} (")
    assert said.endswith(f"). Correct it, or: unset {name}\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_go_nowhere(tmp_path: Path, closed: str) -> None:
    """Neither into the next file that is opened, nor does a program end for them."""
    code = (
        "import models.beginning, os, sys; "
        "from train.common.command import run_command; "
        f"file = open({str(tmp_path / 'file')!r}, 'w'); "
        "run_command(lambda: (print('a'), print('b', file=sys.stderr), "
        "os.write(1, b'c'), os.write(2, b'd'), file.write('whole'), file.close()))"
    )
    words = f'"{sys.executable}" -c "{code}" {closed}'
    found = subprocess.run(words, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "file").read_text() == "whole"
    assert set(found.stdout) <= set("ac\n") and set(found.stderr) <= set("bd\n")


def test_a_stop_of_imports_is_told() -> None:
    assert ended("raise KeyboardInterrupt") == (130, "\nStopped.\n")


def test_other_errors_of_imports_show_their_trace() -> None:
    status, said = ended("raise ValueError('of ours')", JAX_PLATFORMS="cpu")
    assert status == 1 and said.startswith("Traceback") and "of ours" in said
