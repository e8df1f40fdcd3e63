"""benchmarks/train_speed.py measures the application's step, and its twin is a twin."""

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks import device, step_cost, train_speed
from benchmarks.cost import multiply_adds, parameter_count
from benchmarks.step_cost import Measurement, Setting
from train.training.network import make_model

SMALL = Setting(size=33, batch=2, backbone="resnet_small", blocks=2, block_seconds=0.0)


@pytest.fixture(scope="module")
def measurement() -> Measurement:
    """Of a small network on a CPU."""
    return step_cost.measure(SMALL)


def test_every_figure_is_there(measurement: Measurement) -> None:
    for name in (
        "step_seconds",
        "compile_seconds",
        "loss_seconds",
        "transfer_seconds",
        "augmented_per_second",
        "peak_flops",
        "memory",
    ):
        assert getattr(measurement, name) > 0, name
    assert math.isfinite(measurement.loss_value)
    assert measurement.setting == SMALL
    assert measurement.peak_source != "datasheet"


def test_cost_is_that_of_the_network(measurement: Measurement) -> None:
    def features(images: jax.Array) -> list[jax.Array]:
        model = make_model(SMALL.config().model, 21, seed=0)
        return model.backbone(images, train=False)

    images = jax.ShapeDtypeStruct((1, 33, 33, 3), jnp.float32)
    # Branches, features, channels, classes: with dilations of 6 and more, each branch
    # has one tap within 5×5 features.
    head = 4 * 5 * 5 * 128 * 21
    assert measurement.multiply_adds == multiply_adds(features, images) + head
    options = SMALL.config().model
    model = nnx.eval_shape(lambda: make_model(options, 21, seed=0))
    assert measurement.parameters == parameter_count(model)


def test_shares_follow_from_the_figures(measurement: Measurement) -> None:
    rate = 2 / measurement.step_seconds
    assert measurement.images_per_second == rate
    flops = 2 * 3 * measurement.multiply_adds * rate
    np.testing.assert_allclose(
        measurement.share_of_peak, flops / measurement.peak_flops
    )
    assert measurement.loss_seconds is not None
    share = measurement.loss_seconds / measurement.step_seconds
    assert measurement.loss_share == share


def test_measurements_are_kept_line_by_line(
    measurement: Measurement, tmp_path: Path
) -> None:
    for _ in range(2):
        train_speed.save(measurement, tmp_path / "speed.jsonl")
    lines = (tmp_path / "speed.jsonl").read_text().splitlines()
    assert len(lines) == 2
    figures = json.loads(lines[1])
    assert figures["setting"]["size"] == 33
    assert figures["images_per_second"] == measurement.images_per_second


def test_table_names_the_contender(measurement: Measurement) -> None:
    assert "JAX, locally adaptive" in train_speed.line(measurement)
    assert any("cpu" in note for note in train_speed.notes([measurement]))


@pytest.mark.parametrize(
    "kind, flops",
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-40GB", 312e12),
    ],
)
def test_peak_of_a_known_device(kind: str, flops: float) -> None:
    gpu: Any = SimpleNamespace(device_kind=kind)
    assert device.peak(gpu) == (flops, "datasheet")


def test_rows_are_read() -> None:
    assert train_speed.parse_row("321x16") == (321, 16)
    for text in ("321", "320x2", "321x0", "1x2", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}'"):
            train_speed.parse_row(text)


@pytest.mark.parametrize("backbone", ["resnet_small", "resnet50"])
def test_pytorch_computes_the_same(backbone: str, rng: np.random.Generator) -> None:
    torch: Any = pytest.importorskip("torch")
    from benchmarks import torch_deeplab

    setting = Setting(size=49, batch=1, backbone=backbone)
    config = setting.config().replace(precision="float32")
    graph, state = step_cost.random_state(config)
    params = state.params
    twin: Any = torch_deeplab.DeepLab(classes=21, backbone=backbone, frozen_norm=True)
    count = sum(p.numel() for p in twin.parameters() if p.requires_grad)
    assert count == sum(leaf.size for leaf in jax.tree.leaves(params))

    weights = {name: torch.tensor(value) for name, value in torch_weights(params)}
    missing, unexpected = twin.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all("norm" in name for name in missing), missing
    images = 100 * rng.standard_normal((1, 49, 49, 3), np.float32)
    with torch.no_grad():
        theirs = twin(torch.from_numpy(images).permute(0, 3, 1, 2))
    model = nnx.merge(graph, params, state.statistics)
    ours = np.asarray(jax.jit(lambda x: model(x, train=True))(images))
    np.testing.assert_allclose(
        theirs.permute(0, 2, 3, 1).numpy(), ours, atol=1e-5 * np.abs(ours).max()
    )


def torch_weights(params: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names and values of the twin's parameters."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = [str(key.key) for key in path if hasattr(key, "key")]
        names = [name for name in names if name not in ("backbone", "head")]
        value = np.asarray(leaf)
        if names[0] == "deconvolution":  # PyTorch's is laid out from the input's side
            value = np.moveaxis(value, (2, 3), (0, 1))
        elif value.ndim == 4:
            value = np.moveaxis(value, (3, 2), (0, 1))
        yield ".".join(names).replace("kernel", "weight"), value.copy()
