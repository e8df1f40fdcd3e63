"""What a training step costs in JAX: its time, its memory, and what goes into it."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.cost import multiply_adds, parameter_count
from benchmarks.device import peak, seconds
from models.deeplab import DeepLab, NetworkOutputs
from train.config import Config
from train.data.augment import Augment
from train.data.images import Example
from train.data.voc_classes import VOC_CLASSES
from train.training.losses import LOSSES
from train.training.network import make_model
from train.training.step import TrainState, abstract_state, make_step
from train.voc_presets import VOC

CLASSES = len(VOC_CLASSES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured, and for how long."""

    size: int  # height and width, pixels
    batch: int
    loss: str = "locally_adaptive"
    backbone: str = "resnet101"
    batch_norm: str = "frozen"
    blocks: int = 12
    block_seconds: float = 0.25

    def config(self) -> Config:
        """Returns preset voc with this in its place."""
        return VOC.replace(
            weights="",
            loss=self.loss,
            backbone=self.backbone,
            batch_norm=self.batch_norm,
            precision="bfloat16",
            crop=(self.size, self.size),
            batch_size=self.batch,
            learning_rate=1e-9,  # a step takes as long, and random weights stay finite
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """A contender at one size. None is what it has not, or what nobody measured."""

    contender: str
    setting: Setting
    device: str
    version: str
    parameters: int  # trained
    loss_value: float  # after the last step
    step_seconds: float
    compile_seconds: float
    memory: int | None  # bytes
    multiply_adds: int  # forward, an image
    peak_flops: float
    peak_source: str
    device_peak: int | None = None  # bytes
    loss_seconds: float | None = None
    transfer_seconds: float | None = None  # a batch
    augmented_per_second: float | None = None  # images on a core

    @property
    def images_per_second(self) -> float:
        """Returns how many images a second of training takes in."""
        return self.setting.batch / self.step_seconds

    @property
    def share_of_peak(self) -> float:
        """Returns the part of the device's arithmetic that is convolutions."""
        return 6 * self.multiply_adds * self.images_per_second / self.peak_flops

    @property
    def loss_share(self) -> float | None:
        """Returns the part of the step that is the loss."""
        return self.loss_seconds and self.loss_seconds / self.step_seconds


def measure(setting: Setting) -> Measurement:
    """Measures JAX on this process's first device."""
    config = setting.config()
    graph, state = random_state(config)
    model = nnx.merge(graph, state.params, state.statistics)
    parameters, forward = parameter_count(model), forward_cost(config)
    example = random_batch(setting)
    batch = jax.device_put(example)
    began = time.perf_counter()
    program = compiled_step(graph, config, state, batch)
    compile_seconds = time.perf_counter() - began
    step = repeated(program, state, batch)

    timed = functools.partial(
        seconds, blocks=setting.blocks, block_seconds=setting.block_seconds
    )
    step_seconds = timed(step)
    device = jax.devices()[0]
    device_peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
    peak_flops, peak_source = peak(device)
    return Measurement(
        contender="JAX",
        setting=setting,
        device=device.device_kind,
        version=f"jax {jax.__version__}",
        parameters=parameters,
        loss_value=float(step()["loss"]),
        step_seconds=step_seconds,
        compile_seconds=compile_seconds,
        memory=planned_memory(program),
        multiply_adds=forward,
        peak_flops=peak_flops,
        peak_source=peak_source,
        device_peak=device_peak,
        loss_seconds=timed(loss_call(config, batch)),
        transfer_seconds=timed(lambda: jax.device_put(example)),
        augmented_per_second=augmentation_rate(config),
    )


def compiled_step(
    graph: nnx.GraphDef[DeepLab], config: Config, state: TrainState, batch: Example
) -> jax.stages.Compiled:
    """Returns the training step's program, of the list of the state's arrays."""
    leaves, structure = jax.tree.flatten(state)
    jitted = make_step(graph, config).on_leaves(structure)
    return jitted.lower(leaves, batch).compile()


def repeated(
    program: jax.stages.Compiled, state: TrainState, batch: Example
) -> Callable[[], dict[str, jax.Array]]:
    """Returns a call that takes the next step on one batch, and gives its metrics."""
    leaves = jax.tree.leaves(state)

    def step() -> dict[str, jax.Array]:
        nonlocal leaves
        leaves, metrics = program(leaves, batch)
        return metrics

    return step


def random_state(config: Config) -> tuple[nnx.GraphDef[DeepLab], TrainState]:
    """Returns what `make_state` would, with NumPy's random numbers.

    JAX would compile a program for every shape of the weights, which takes longer than
    all steps here. What a residual block adds is scaled down where nothing normalizes
    it, else 33 blocks would raise the activations to 2^16 times those of the first.
    """
    rng = np.random.default_rng(config.run.seed)

    def fill(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        names = {getattr(key, "key", None) for key in path}
        if "kernel" in names:
            height, width, _, outputs = leaf.shape
            deviation = math.sqrt(2 / (height * width * outputs))
            return deviation * rng.standard_normal(leaf.shape, np.float32)
        number = 1.0 if names & {"scale", "var"} else 0.0
        if config.model.batch_norm == "frozen" and {"norm3", "scale"} <= names:
            number = 0.2
        return np.full(leaf.shape, number, leaf.dtype)

    graph, empty = abstract_state(config, CLASSES)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), empty)
    state = zeros._replace(
        params=jax.tree_util.tree_map_with_path(fill, empty.params),
        statistics=jax.tree_util.tree_map_with_path(fill, empty.statistics),
    )
    return graph, jax.device_put(state)


def random_batch(setting: Setting) -> Example:
    """Returns random images, and labels in tiles of 16×16 pixels, some void."""
    rng = np.random.default_rng(0)
    batch, size = setting.batch, setting.size
    tiles = rng.integers(0, CLASSES, (batch, -(-size // 16), -(-size // 16)), np.uint8)
    labels = np.kron(tiles, np.ones((16, 16), np.uint8))[:, :size, :size]
    labels[:, :4] = 255
    images = rng.integers(0, 256, (batch, size, size, 3), np.uint8)
    return Example(images, np.ascontiguousarray(labels))


def forward_cost(config: Config) -> int:
    """Returns an image's multiply-adds up to the logits before upsampling.

    As docs/model.md counts, without the zeros that align half-precision products;
    learned upsampling adds a quarter of a percent.
    """
    options = dataclasses.replace(config.model, precision="float32")

    def coarse(images: jax.Array) -> jax.Array:
        model = make_model(options, CLASSES, seed=0)
        return model.head(model.backbone(images, train=False), train=False)

    return multiply_adds(
        coarse, jax.ShapeDtypeStruct((1, *config.augmentation.crop, 3), jnp.float32)
    )


def planned_memory(program: jax.stages.Compiled) -> int | None:
    """Returns the bytes a compiled program holds at most, where the backend says."""
    plan: Any = program.memory_analysis()
    return plan and (
        plan.argument_size_in_bytes
        + plan.output_size_in_bytes
        - plan.alias_size_in_bytes  # outputs in the place of arguments: the state
        + plan.temp_size_in_bytes
    )


def loss_call(config: Config, batch: Example) -> Callable[[], object]:
    """Returns a call of the loss and its gradient by random logits."""
    loss = LOSSES[config.loss.name](config.loss)
    centers = jnp.zeros((CLASSES, CLASSES))

    def mean(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.mean(
            loss(NetworkOutputs(logits, logits, [logits]), labels, centers)[0]
        )

    labels = jnp.asarray(batch.label)
    logits = jax.random.normal(jax.random.key(0), (*labels.shape, CLASSES))
    return functools.partial(jax.jit(jax.value_and_grad(mean)), logits, labels)


def augmentation_rate(config: Config) -> float:
    """Returns how many images of 500×375 pixels one core augments a second."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 375, 500, 3), np.uint8)
    labels = rng.integers(0, CLASSES, (32, 375, 500), np.uint8)
    augment = Augment(config.augmentation)
    began = time.perf_counter()
    for image, label in zip(images, labels, strict=True):
        augment(Example(image, label), rng)
    return len(images) / (time.perf_counter() - began)
