"""Where the kernel runs: the switch, what it refuses, and what is lowered for CUDA."""

import functools
import re
import subprocess
import sys
import types
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lal_jax import (
    fused_window_losses,
    kernel_switch,
    locally_adaptive_loss,
    window_losses_kernel,
)
from lal_jax.kernel_switch import MODES, VARIABLE
from tests.lal_jax.effort import full_jit
from tests.lal_jax.test_window_losses_kernel import scene
from tests.tolerances import assert_close

SHAPE = (2, 4, 5, 3)
KERNELS_PER_GRADIENT = 3
no_gpu = pytest.mark.skipif(
    jax.default_backend() != "cpu", reason="tells what happens without a GPU"
)
has_mosaic = pytest.mark.skipif(
    jax.__version_info__ < (0, 11), reason="JAX 0.11 is the first to lower the kernels"
)


def traced(x, y, **options):
    options = {"kernel_size": 3, **options}
    return str(jax.make_jaxpr(lambda x: locally_adaptive_loss(x, y, **options))(x))


@pytest.fixture
def as_if_on_cuda(monkeypatch):
    """The losses are traced as they are where there is a GPU for the kernels."""
    monkeypatch.setattr(kernel_switch, "platform_obstacle", lambda: None)
    monkeypatch.setattr(kernel_switch, "several_devices", lambda: False)
    fused_window_losses._warn.cache_clear()


@pytest.fixture
def unbuildable(monkeypatch):
    """No kernel can be built."""

    def fail(*unused, **options):
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(window_losses_kernel, "_run", fail)


def lowered(**options):
    """The program of value and gradient for CUDA."""
    options = {"kernel_size": (1, 3), **options}
    loss: Any = functools.partial(locally_adaptive_loss, **options)
    both = jax.value_and_grad(lambda x, y: loss(x, y).sum())
    x = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    y = jax.ShapeDtypeStruct(SHAPE[:-1], jnp.int32)
    program = jax.jit(both).trace(x, y).lower(lowering_platforms=("cuda",))
    return program.as_text()


def kernels(text):
    return len(re.findall(r"custom_call @mosaic_gpu", text))


@no_gpu
def test_programs_for_cpus_stay_as_they_are(rng, monkeypatch):
    x, y = scene(rng, SHAPE)
    monkeypatch.setenv(VARIABLE, "off")
    expected = traced(x, y)
    monkeypatch.setenv(VARIABLE, "auto")
    assert traced(x, y) == expected
    monkeypatch.delenv(VARIABLE)
    assert traced(x, y) == expected
    assert "window_losses" not in expected


def test_a_strange_value_is_refused(rng, monkeypatch):
    monkeypatch.setenv(VARIABLE, "yes")
    with pytest.raises(ValueError, match=f"{VARIABLE} must .*'yes'") as error:
        traced(*scene(rng, SHAPE))
    assert all(mode in str(error.value) for mode in MODES)


@no_gpu
def test_on_without_a_gpu_is_refused(rng, monkeypatch):
    monkeypatch.setenv(VARIABLE, "on")
    with pytest.raises(ValueError, match="JAX 0.11|CUDA") as error:
        traced(*scene(rng, SHAPE))
    assert f"{VARIABLE}=auto" in str(error.value)
    assert f"{VARIABLE}=off" in str(error.value)


@pytest.mark.parametrize(("capability", "used"), [("9.0", True), ("10.0", False)])
@pytest.mark.usefixtures("as_if_on_cuda")
def test_auto_has_the_kernels_where_they_have_run(rng, monkeypatch, capability, used):
    x, y = scene(rng, SHAPE)
    device = types.SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    monkeypatch.setenv(VARIABLE, "auto")
    assert ("window_losses" in traced(x, y)) == used
    monkeypatch.setenv(VARIABLE, "on")
    assert "window_losses" in traced(x, y)


REFUSED: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "stride=1, got 2": (SHAPE, {"stride": 2}),
    "image_score": (SHAPE, {"normalization": "image_score"}),
    r"3 to 32 classes, got 33": ((1, 3, 3, 33), {}),
    r"2 axes .*\(3,\)": ((2, 5, 3), {"kernel_size": (3,)}),
    r"31 places, got .*\(7, 7\)": (SHAPE, {"kernel_size": 7}),
    "score_scale must be NumPy's": (SHAPE, {"score_scale": jnp.float32(2)}),
    "neighbor_weights must be NumPy's": (
        SHAPE,
        {"neighbor_weights": jnp.ones((3, 3))},
    ),
    r"above 0, got logits \(0,": ((0, 4, 5, 3), {}),
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.usefixtures("as_if_on_cuda")
def test_what_the_kernel_does_not_do(rng, monkeypatch, message):
    """`auto` does it by XLA's form, `on` and `interpret` refuse."""
    shape, options = REFUSED[message]
    x, y = scene(rng, shape) if len(shape) == 4 else (jnp.ones(shape), jnp.ones((2, 5)))
    x, y = x.astype(jnp.float32), y.astype(jnp.int32)
    monkeypatch.setenv(VARIABLE, "auto")
    assert "window_losses" not in traced(x, y, **options)
    for mode in ("on", "interpret"):
        monkeypatch.setenv(VARIABLE, mode)
        with pytest.raises(ValueError, match=f"{VARIABLE}={mode}.*{message}"):
            traced(x, y, **options)


@pytest.mark.parametrize("kind", ["float64", "int64"])
@pytest.mark.usefixtures("as_if_on_cuda")
def test_wide_numbers_are_left_to_xla(rng, monkeypatch, kind):
    x, y = scene(rng, SHAPE)
    x, y = (x.astype(kind), y) if kind == "float64" else (x, y.astype(kind))
    monkeypatch.setenv(VARIABLE, "auto")
    assert "window_losses" not in traced(x, y)
    monkeypatch.setenv(VARIABLE, "on")
    with pytest.raises(ValueError, match=kind):
        traced(x, y)


@pytest.mark.usefixtures("as_if_on_cuda")
@pytest.mark.parametrize("kind", [AxisType.Explicit, AxisType.Auto])
def test_explicit_meshes_are_left_to_xla(rng, monkeypatch, kind):
    x, y = scene(rng, SHAPE)
    monkeypatch.setenv(VARIABLE, "auto")
    mesh = jax.make_mesh((1,), ("images",), axis_types=(kind,))
    x, y = jax.device_put((x, y), NamedSharding(mesh, PartitionSpec("images")))
    fused = "window_losses" in traced(x, y)
    assert fused == (kind == AxisType.Auto)


@has_mosaic
@pytest.mark.usefixtures("as_if_on_cuda")
@pytest.mark.parametrize(
    "options",
    [{}, {"normalization": "none", "label_smoothing": 0.1, "normalizer": "weights"}],
)
def test_programs_for_cuda_have_the_kernels(monkeypatch, options):
    monkeypatch.setenv(VARIABLE, "on")
    assert kernels(lowered(**options)) == KERNELS_PER_GRADIENT


@no_gpu
def test_programs_for_other_platforms_have_none(rng, monkeypatch):
    """A process with a GPU computes on its CPU as one without."""
    x, y = scene(rng, SHAPE)
    loss = functools.partial(locally_adaptive_loss, kernel_size=3)
    monkeypatch.setenv(VARIABLE, "off")
    expected = full_jit(jax.grad(lambda x: loss(x, y).sum()))(x)
    monkeypatch.setenv(VARIABLE, "auto")
    monkeypatch.setattr(kernel_switch, "platform_obstacle", lambda: None)
    monkeypatch.setattr(kernel_switch, "several_devices", lambda: False)
    fused = full_jit(jax.grad(lambda x: loss(x, y).sum()))
    assert "window_losses_gradient" in str(fused.trace(x).jaxpr)
    assert_close(fused(x), expected, length=27)


@pytest.mark.usefixtures("as_if_on_cuda", "unbuildable")
def test_what_cannot_be_built_is_said_once(monkeypatch):
    monkeypatch.setenv(VARIABLE, "auto")
    with pytest.warns(UserWarning, match=f"no such operation.*{VARIABLE}=off") as seen:
        assert kernels(lowered()) == 0
        assert kernels(lowered(power=2.0)) == 0
    assert len(seen) == 1
    monkeypatch.setenv(VARIABLE, "on")
    with pytest.raises(NotImplementedError, match="no such operation"):
        lowered()


@pytest.mark.usefixtures("as_if_on_cuda", "unbuildable")
def test_exported_programs_have_none(monkeypatch):
    """Their calls are not promised to stay; building one would warn."""
    monkeypatch.setenv(VARIABLE, "auto")
    gradient = jax.grad(lambda x, y: locally_adaptive_loss(x, y, kernel_size=3).sum())
    x = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
    y = jax.ShapeDtypeStruct(SHAPE[:-1], jnp.int32)
    exported = jax.export.export(jax.jit(gradient), platforms=["cpu", "cuda"])(x, y)
    assert kernels(exported.mlir_module()) == 0


def test_processes_with_several_devices_have_none(rng, monkeypatch):
    monkeypatch.setattr(kernel_switch, "platform_obstacle", lambda: None)
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    monkeypatch.setenv(VARIABLE, "auto")
    x, y = scene(rng, SHAPE)
    assert "window_losses" not in traced(x, y)
    monkeypatch.setenv(VARIABLE, "on")
    assert "window_losses" in traced(x, y)


@no_gpu
@pytest.mark.usefixtures("as_if_on_cuda", "unbuildable")
def test_programs_for_several_devices_have_no_kernels(rng, monkeypatch):
    x, y = scene(rng, SHAPE)
    mesh = jax.make_mesh((2,), ("images",), axis_types=(AxisType.Auto,))
    divided = NamedSharding(mesh, PartitionSpec("images"))
    monkeypatch.setenv(VARIABLE, "auto")
    gradient = full_jit(
        jax.grad(lambda x, y: locally_adaptive_loss(x, y, kernel_size=3).sum()),
        in_shardings=(divided, divided),
    )
    program = gradient.trace(x, y).lower(lowering_platforms=("cuda",))
    assert kernels(program.as_text()) == 0
    monkeypatch.setenv(VARIABLE, "on")
    strict = full_jit(
        jax.grad(lambda x, y: locally_adaptive_loss(x, y, kernel_size=3).sum()),
        in_shardings=(divided, divided),
    )
    with pytest.raises(ValueError, match="more than one device"):
        strict.trace(x, y).lower(lowering_platforms=("cuda",))


def test_pallas_is_not_imported_before_a_kernel_is_built():
    code = (
        "import sys, jax, lal_jax, jax.numpy as jnp\n"
        "lal_jax.locally_adaptive_loss(jnp.ones((3, 3, 3)), jnp.ones((3, 3), int))\n"
        "print([name for name in sys.modules if 'pallas' in name])"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
