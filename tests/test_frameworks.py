"""The training steps of docs/frameworks.md run as they stand, and they learn."""

import contextlib
import io
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TEXT = (Path(__file__).parent.parent / "docs" / "frameworks.md").read_text()
FRAMEWORKS = {
    "Flax NNX": "flax",
    "Flax Linen": "flax",
    "Equinox": "equinox",
    "Keras 3 on JAX": "keras",
}
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)^```", TEXT, re.M | re.S))


def test_every_framework_has_a_block() -> None:
    assert list(BLOCKS) == [*FRAMEWORKS, "Volumes"]
    assert len(BLOCKS) == TEXT.count("```python")


def run_here(block: str) -> str:
    """Runs a block as a program of its own would and returns what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "frameworks.md", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def run_apart(block: str, folder: Path) -> str:
    """Runs a block in another process, as Keras chooses its backend for good."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "KERAS_HOME": str(folder)}
    environment.pop("KERAS_BACKEND", None)  # the block sets it
    run = subprocess.run(
        [sys.executable, "-c", block],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_training_step_learns(name: str, tmp_path: Path) -> None:
    module, block = FRAMEWORKS[name], BLOCKS[name]
    assert find_spec(module), f"{module} is missing: pip install -e '.[train,dev]'"
    printed = run_apart(block, tmp_path) if module == "keras" else run_here(block)
    losses = [float(loss) for loss in re.findall(r"loss: ([\d.]+)", printed)]
    assert len(losses) >= 5, printed
    assert losses[-1] < losses[0], losses


def test_volumes_are_learned() -> None:
    printed = run_here(BLOCKS["Volumes"])
    losses = [float(loss) for loss in re.findall(r"loss: ([\d.]+)", printed)]
    assert losses[-1] < 0.5 * losses[0], printed
    ball, core = re.findall(r"Dice of the \w+, all slices: ([\d.]+)", printed)
    assert float(ball) > 0.85 and float(core) > 0.5, printed
