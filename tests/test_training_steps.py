"""The training steps of docs/training_steps.md run as they stand, and they learn."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TEXT = (Path(__file__).parent.parent / "docs" / "training_steps.md").read_text()
FRAMEWORKS = {
    "Flax NNX": "flax",
    "Flax Linen": "flax",
    "Equinox": "equinox",
    "Keras 3 on JAX": "keras",
}
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)^```", TEXT, re.M | re.S))


def test_every_framework_has_a_block() -> None:
    assert list(BLOCKS) == list(FRAMEWORKS)
    assert len(BLOCKS) == TEXT.count("```python")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_training_step_learns(name: str, tmp_path: Path) -> None:
    module = FRAMEWORKS[name]
    assert find_spec(module), f"{module} is missing: pip install -e '.[train,dev]'"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "KERAS_HOME": str(tmp_path)}
    environment.pop("KERAS_BACKEND", None)  # the block sets it
    run = subprocess.run(
        [sys.executable, "-c", BLOCKS[name]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    losses = [float(loss) for loss in re.findall(r"loss: ([\d.]+)", run.stdout)]
    assert len(losses) >= 5, run.stdout
    assert losses[-1] < losses[0], losses
