"""The README's code runs as it stands, and pages name only what exists."""

import re
from pathlib import Path
from typing import Any

import jax
import pytest

from docs import options

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]


def run_block(page: str, word: str) -> dict[str, Any]:
    """Runs the block of a page that holds a word and returns its names."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    (block,) = (block for block in blocks if word in block)
    names: dict[str, Any] = {}
    exec(compile(block, page, "exec"), names)  # noqa: S102
    return names


def test_first_use_gives_one_loss_per_image() -> None:
    names = run_block("README.md", "jax.numpy.zeros")
    assert names["losses"].shape == names["labels"].shape[:1]


def test_training_step_learns() -> None:
    names = run_block("README.md", "optax")
    images = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))
    labels = images[..., 0] > 0
    params, opt_state = names["params"], names["opt_state"]
    losses = []
    for _ in range(5):
        params, opt_state, loss = names["step"](
            params, opt_state, images, labels.astype("int32")
        )
        losses.append(float(loss))
    assert losses[-1] < 0.9 * losses[0]


def test_gradient_check_holds() -> None:
    names = run_block("docs/losses.md", "closed_form")
    assert names["closed_form"].shape == names["logits"].shape


def test_model_of_its_page_keeps_the_size() -> None:
    run_block("docs/model.md", "DeepLab(")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_pages_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_every_page_is_linked() -> None:
    text = PAGES[0].read_text() + (ROOT / "docs" / "conf.py").read_text()
    links = set(re.findall(r"\bdocs/(\w+)(?:\.md\)|>)", text))
    assert not [page for page in DOCS if page.stem not in links]


def test_options_are_those_of_the_code() -> None:
    written = options.PAGE.read_text(encoding="utf-8")
    assert written == options.page(), "python docs/options.py writes the page again"


def test_what_to_open_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`([\w.]+/[\w./]*)`", text))
    assert len(paths) > 30
    assert not [path for path in sorted(paths) if not (ROOT / path).exists()]


def test_architecture_names_every_file_of_train() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    folder, named = "", set()
    for package, files in re.findall(r"^\| (`train/.*?`)? ?\| (`.+?) \|", text, re.M):
        folder = package.strip("`") or folder
        named |= {folder + name for name in re.findall(r"`([\w/]+\.py)`", files)}
    assert named == {str(p.relative_to(ROOT)) for p in ROOT.glob("train/**/*.py")}
