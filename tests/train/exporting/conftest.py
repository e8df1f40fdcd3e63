"""A network that is little to compile."""

from functools import partial
from typing import Any

import pytest

from models.backbones import BACKBONES, BackboneEntry
from models.resnet import BasicBlock, ResNet
from tests.train.conftest import add_entry


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a ResNet of two blocks."""
    stem: dict[str, Any] = {"stem_width": 8, "stem_kernel": 3, "pool": False}
    make = partial(ResNet, BasicBlock, (1, 1), widths=(8, 8), **stem)
    add_entry(monkeypatch, BACKBONES, "short", BackboneEntry(make), "for tests")
    return "short"
