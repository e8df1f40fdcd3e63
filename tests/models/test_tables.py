"""The tables of choices: light, consistent, and refusing what they do not hold."""

import subprocess
import sys

import pytest
from flax import nnx

from models import backbones
from models.backbones import (
    BACKBONES,
    OUTPUT_STRIDES,
    STYLES,
    BackboneEntry,
    make_backbone,
)
from models.deeplab import DeepLab
from models.heads import HEADS, make_head
from models.registry import Registry
from models.upsamplings import UPSAMPLINGS

TABLES = ("models", "models.backbones", "models.heads", "models.upsamplings")


@pytest.mark.parametrize("module", TABLES)
def test_tables_load_neither_jax_nor_flax(module: str) -> None:
    loaded = f"import sys, {module}; print({{'jax', 'flax'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_tables_hold_what_is_documented() -> None:
    assert list(BACKBONES) == [
        "resnet_small",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
    ]
    assert list(HEADS) == ["v2", "v3"]
    assert list(UPSAMPLINGS) == ["bilinear", "half_pixel", "learned"]
    assert list(STYLES) == ["torchvision", "caffe"]
    for entry in HEADS.values():
        assert set(entry.dilations) == set(OUTPUT_STRIDES)


def test_name_that_is_taken_is_refused() -> None:
    entries = dict(BACKBONES)
    with pytest.raises(ValueError, match="backbone 'resnet18' is registered twice"):
        BACKBONES.add("resnet18", BACKBONES["resnet50"])
    assert dict(BACKBONES) == entries


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backbone of one style and two output strides."""
    entry = BackboneEntry(
        BACKBONES["resnet_small"].make, output_strides=(16, 32), styles=("torchvision",)
    )
    table: Registry[BackboneEntry] = Registry("backbone")
    table.add("limited", entry)
    monkeypatch.setattr(backbones, "BACKBONES", table)


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_stride": 8}, "limited has no output stride 8; there is: 16, 32"),
        (
            {"output_stride": 16, "style": "caffe"},
            "limited has no style 'caffe'; there is: torchvision",
        ),
    ],
)
def test_options_that_a_backbone_does_not_have_are_refused(
    options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make_backbone("limited", rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet19"}, "no backbone 'resnet19'; there is: resnet_small"),
        ({"head": "v4"}, "no head 'v4'; there is: v2, v3"),
        ({"upsampling": "nearest"}, "no upsampling 'nearest'; there is: bilinear"),
        ({"output_stride": 4}, "no output stride 4; there is: 8, 16, 32"),
        ({"style": "tf"}, "no style 'tf'; there is: torchvision, caffe"),
    ],
)
def test_unknown_choices_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeepLab(classes=3, rngs=nnx.Rngs(0), **options)


def test_output_stride_without_dilations_asks_for_some() -> None:
    with pytest.raises(ValueError, match="v2 has dilations for.*8, 16, 32, not for 4"):
        make_head("v2", (8,), 3, output_stride=4, norm_epsilon=1e-5, rngs=nnx.Rngs(0))
    head = make_head(
        "v2",
        (8,),
        3,
        output_stride=4,
        dilations=(1,),
        norm_epsilon=1e-5,
        rngs=nnx.Rngs(0),
    )
    assert len(head.branches) == 1  # type: ignore[attr-defined]
