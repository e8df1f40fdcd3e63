"""The README's code runs as it stands."""

import re
from pathlib import Path
from typing import Any

import jax
import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


def run_block(word: str) -> dict[str, Any]:
    """Runs the block that holds a word and returns its names."""
    (block,) = (block for block in BLOCKS if word in block)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102
    return names


def test_training_step_learns() -> None:
    names = run_block("optax")
    images = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))
    labels = images[..., 0] > 0
    params, memory = names["params"], names["optimizer"].init(names["params"])
    losses = []
    for _ in range(5):
        params, memory, value = names["step"](
            params, memory, images, labels.astype("int32")
        )
        losses.append(float(value))
    assert losses[-1] < 0.9 * losses[0]


def test_gradient_check_holds() -> None:
    names = run_block("closed_form")
    assert names["closed_form"].shape == names["logits"].shape


def test_model_of_its_page_keeps_the_size() -> None:
    text = (ROOT / "docs" / "model.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(compile(block, "model.md", "exec"), {})  # noqa: S102


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_pages_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_every_page_is_linked() -> None:
    text = PAGES[0].read_text() + (ROOT / "docs" / "conf.py").read_text()
    links = set(re.findall(r"\bdocs/(\w+)(?:\.md\)|>)", text))
    assert not [page for page in PAGES[1:] if page.stem not in links]
