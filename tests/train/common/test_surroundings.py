"""How programs take what is around them: links in circles, variables of JAX."""

from pathlib import Path

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


def test_no_variable_chooses_another_arithmetic() -> None:
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)  # as JAX_ENABLE_X64 does
    try:
        found: list[bool] = []
        run_command(lambda: found.append(jax.config.read("jax_enable_x64")))
    finally:
        jax.config.update("jax_enable_x64", before)
    assert found == [False]
