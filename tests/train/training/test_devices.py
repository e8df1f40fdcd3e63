"""Several devices: the same step as on one, without a gather of what is large."""

import functools
import math
import re
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from models.backbones import BACKBONES, BackboneEntry
from models.decoder import DecodedPyramid
from models.heads import HEADS
from train.common.errors import UserError
from train.data.images import Example
from train.training.devices import DeviceLayout, DeviceOptions
from train.training.step import TrainState, make_state, make_step

from ..conftest import CLASSES, MakeConfig, add_entry
from ..standins import TwoMaps

COLLECTIVE = re.compile(
    r"= (.*?) (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)\S*\("
)
SHAPE = re.compile(r"\w\d+\[([\d,]*)\]")


def draw(side: int) -> Example:
    """Four images, of which one has no valid pixel and one has few.

    Of a seed for which no unit is so close to 0 that rounding decides whether it is on.
    """
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    label = rng.integers(0, CLASSES, (4, 9, 9), dtype=np.uint8)
    label = label.repeat(8, axis=1).repeat(8, axis=2)[:, :side, :side]
    label[1, 3:], label[2] = 255, 255
    return Example(image, label)


class Ran(NamedTuple):
    """What a step came to."""

    loss: float
    state: TrainState
    program: str  # XLA's text, partitioned


def run(
    make_config: MakeConfig,
    images: Example,
    layout: DeviceLayout | None,
    **options: Any,
) -> Ran:
    config = make_config(batch_size=4, momentum=0.0, weight_decay=0.0, **options)
    graph, state = make_state(config, CLASSES, seed=0)
    step: Any = make_step(graph, config, layout)
    if layout is not None:
        state, images = layout.put_state(state), layout.put_batch(images)
    compiled = step.lower(state, images).compile()
    state, metrics = compiled(state, images)
    return Ran(float(metrics["loss"]), state, compiled.as_text())


def layout_of(images: int = 4, **options: Any) -> DeviceLayout:
    return DeviceLayout.of(DeviceOptions(**options), images)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """DeepLabV3+ with so few units that rounding switches none on or off."""
    make = functools.partial(DecodedPyramid, width=8)
    head = HEADS["v3plus"]._replace(make=make)
    add_entry(monkeypatch, HEADS, "narrow", head, "for tests")
    add_entry(monkeypatch, BACKBONES, "two_maps", BackboneEntry(TwoMaps), "for tests")


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("devices", "options"),
    [
        ({"spatial": 2}, {"backbone": "resnet_small"}),
        ({"spatial": 2, "shard_state": True}, {"ema": 0.5}),
        ({"spatial": 4}, {"head": "v3"}),
        (
            {"spatial": 2},
            {"backbone": "two_maps", "head": "narrow", "loss": "softmax_cross_entropy"},
        ),
        ({"devices": 2}, {"accumulation": 2}),
        ({}, {"loss": "center", "batch_norm": "frozen"}),
        ({"spatial": 2}, {"input_scales": (0.5,), "loss": "hard_pixel"}),
    ],
    ids=str,
)
def test_step_is_that_of_one_device(
    make_config: MakeConfig,
    tiny: str,
    devices: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Loss, gradient and statistics, with unequal numbers of valid pixels on each."""
    options = {"backbone": tiny, **options}
    # No multiple of the devices, nor are the features; more rows than a window spans.
    deep = options["backbone"] not in (tiny, "two_maps")
    images = draw(65 if deep else 33)
    one = run(make_config, images, None, **options)
    layout = layout_of(4 // options.get("accumulation", 1), **devices)
    assert layout.mesh.devices.size == devices.get("devices", 4)
    several = run(make_config, images, layout, **options)
    assert several.loss == pytest.approx(one.loss, rel=1e-6)
    if deep:  # the others' first convolution skips pixels of the images
        own = len(images.label) // layout.mesh.shape["data"]
        check_nothing_large_moves(several.program, images, own)
    # The memory of momentum 0 is the gradient, which float32 rounds at each layer.
    for part in ("optimizer", "statistics", "centers", "average"):
        error, size = 0.0, 0.0
        for wanted, found in zip(
            jax.tree.leaves(getattr(one.state, part)),
            jax.tree.leaves(getattr(several.state, part)),
            strict=True,
        ):
            error += float(np.sum(np.square(np.asarray(found) - np.asarray(wanted))))
            size += float(np.sum(np.square(wanted)))
        assert error**0.5 <= 1e-5 * size**0.5, part


def check_nothing_large_moves(program: str, images: Example, own: int) -> None:
    """Between devices go gradients of parameters and rows that border on a neighbor's.

    Else at most logits at the stride of the features, a 64th of all: a device may
    gather them to enlarge its rows, or sum their gradient.

    Args:
      program: XLA's text, partitioned.
      images: those of the step.
      own: how many of them a device has.
    """
    logits = images.label.size * CLASSES
    moved = COLLECTIVE.findall(program)
    assert {"all-reduce", "collective-permute"} <= {kind for _, kind in moved}
    for shapes, kind in moved:
        for dimensions in SHAPE.findall(shapes):
            shape = tuple(int(d) for d in dimensions.split(",") if d)
            if kind == "all-reduce" and shape[:1] != (own,):
                continue  # of parameters
            most = logits / (4 if kind == "collective-permute" else 64)
            assert math.prod(shape) < most, (kind, shapes)


def test_divided_state_takes_its_part_of_the_memory(make_config: MakeConfig) -> None:
    _, state = make_state(make_config(ema=0.9), CLASSES, seed=0)
    sizes = {}
    for divides in (False, True):
        put = layout_of(shard_state=divides).put_state(state)
        first = jax.devices()[0]
        sizes[divides] = sum(
            shard.data.nbytes
            for leaf in jax.tree.leaves(put)
            for shard in leaf.addressable_shards
            if shard.device == first
        )
    assert sizes[True] < 0.35 * sizes[False]


@pytest.mark.parametrize(
    ("images", "options", "shape"),
    [
        (4, {}, (4, 1)),
        (2, {}, (2, 1)),
        (3, {}, (3, 1)),
        (1, {}, (1, 1)),
        (6, {"spatial": 2}, (2, 2)),
        (8, {"devices": 1}, (1, 1)),
        (8, {"spatial": 4}, (1, 4)),
    ],
)
def test_as_many_devices_as_divide_the_batch(
    images: int, options: dict[str, Any], shape: tuple[int, int]
) -> None:
    layout = layout_of(images, **options)
    assert layout.mesh.devices.shape == shape
    idle = 4 - math.prod(shape)
    assert layout.idle == idle
    assert (f"{idle} idle" in layout.describe()) == (idle > 0)
    assert layout.rows(images) == range(images)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"devices": 5}, "--devices 5 .*has devices here \\(4\\)"),
        ({"spatial": 8}, "--spatial 8 .*has devices here \\(4\\)"),
    ],
)
def test_more_devices_than_there_are_are_refused(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        layout_of(**options)
