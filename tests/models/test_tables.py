"""The tables of choices load no JAX and refuse what they do not hold."""

import doctest
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from models import registry
from models.backbones import BACKBONES, BackboneEntry, make_backbone
from models.deeplab import DeepLab, NetworkOutputs
from models.heads import HEADS, HeadEntry, make_head
from models.upsamplings import UPSAMPLINGS

TABLES = ("models", "models.backbones", "models.heads", "models.upsamplings")


@pytest.mark.parametrize("module", TABLES)
def test_tables_load_neither_jax_nor_flax(module: str) -> None:
    loaded = f"import sys, {module}; print({{'jax', 'flax'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_registry_does_what_its_example_shows() -> None:
    assert doctest.testmod(registry) == (0, 4)


def test_name_that_is_taken_is_refused() -> None:
    entries = dict(BACKBONES)
    with pytest.raises(ValueError, match="backbone 'resnet18' is registered twice"):
        BACKBONES.add("resnet18", BACKBONES["resnet50"])
    assert dict(BACKBONES) == entries


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backbone of one style and two output strides."""
    make = BACKBONES["resnet_small"].make
    entry = BackboneEntry(make, output_strides=(16, 32), styles=("torchvision",))
    monkeypatch.setitem(BACKBONES._entries, "limited", entry)


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
        ({"head": "v4"}, "no head 'v4'; there is: v2, v3, v3plus"),
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


class EarlyHead(nnx.Module):
    """Reads the first feature map as well, as DeepLabV3+ does, and answers at 4."""

    def __init__(self, channels: Sequence[int], classes: int, **options: Any):
        self.channels, self.classes = tuple(channels), classes

    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> jax.Array:
        assert tuple(features.shape[-1] for features in maps) == self.channels
        return jnp.zeros((*maps[0].shape[:3], self.classes))


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_head_may_read_an_early_map_and_answer_at_its_stride(
    upsampling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = HeadEntry(EarlyHead, dilations={16: (6,)}, stride=4)
    monkeypatch.setitem(HEADS._entries, "early", entry)

    def outputs(images: jax.Array) -> NetworkOutputs:
        model = DeepLab(
            classes=3,
            backbone="resnet_small",
            head="early",
            output_stride=16,
            upsampling=upsampling,
            rngs=nnx.Rngs(0),
        )
        assert getattr(model.deconvolution, "stride", 4) == 4  # half_pixel has none
        return model.outputs(images, train=False)

    found = jax.eval_shape(outputs, jax.ShapeDtypeStruct((1, 65, 48, 3), jnp.float32))
    assert found.coarse.shape == (1, 17, 12, 3)
    assert found.features.shape == (1, 5, 3, 128)
    assert found.logits.shape == (1, 65, 48, 3)
