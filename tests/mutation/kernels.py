"""Mistakes in the GPU kernel of the loss, and around it, that its tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

VALUES = "tests/lal_jax/test_window_losses_kernel.py"
TRANSFORMS = "tests/lal_jax/test_fused_transforms.py"
SWITCH = "tests/lal_jax/test_kernel_switch.py"

KERNELS = [
    *of(
        "lal_jax/window_losses_programs.py",
        VALUES,
        ("not mirrored", "loss.weights[::-1, ::-1]", "loss.weights"),
        (
            "infinite logits clipped",
            "jnp.where(far, np.float32(np.nan), bounded)",
            "bounded",
        ),
        (
            "void has scores",
            "jnp.where(valid, centered[c] * root, _ZERO)",
            "centered[c] * root",
        ),
        ("strays below count", "& (label >= 0) ", ""),
        (
            "neighbors of the first pixel",
            "key = divmod(q + offset",
            "key = divmod(offset",
        ),
        (
            "void has gradients",
            "jnp.where(found[q] != 0, number, _ZERO)",
            "number",
        ),
        (
            "smoothed alike",
            "target = np.float32(1 - smoothing + ",
            "target = np.float32(1 + ",
        ),
        ("infinite losses", "own = jnp.maximum(own, _FINITE.min)", "own = own + _ZERO"),
    ),
    *of(
        "lal_jax/window_losses_kernel.py",
        VALUES,
        (
            "NaN of void pooled",
            "to_rows(jnp.where(inside, logits, _ZERO), planes)",
            "to_rows(logits, planes)",
        ),
    ),
    *of(
        "lal_jax/window_planes.py",
        VALUES,
        (
            "rows too short",
            "row = _multiple(width + left, 8)",
            "row = _multiple(width, 8)",
        ),
        ("always counts", 'if normalizer == "count":', "if normalizer:"),
        ("no scale", "return np.float32(scale) / ", "return np.float32(1) / "),
    ),
    *of(
        "lal_jax/fused_window_losses.py",
        TRANSFORMS,
        (
            "no change by the logits",
            "if type(d_logits) is not ad.Zero:",
            "if type(d_logits) is None:",
        ),
        (
            "its own transpose",
            "(change_p, gradient_p, _xla_change)",
            "(change_p, change_p, _xla_change)",
        ),
    ),
    *of(
        "lal_jax/fused_window_losses.py",
        SWITCH,
        ("kernels on several devices", "if devices != 1:", "if devices is None:"),
        ("kernels exported", "if module.lowering_parameters.for_export:", "if False:"),
        ("warns each time", "@functools.cache\ndef _warn", "def _warn"),
    ),
    *of(
        "lal_jax/kernel_switch.py",
        SWITCH,
        ("any word", "if mode not in MODES:", "if not mode:"),
        ("any stride", "if windows.stride != 1:", "if windows.stride < 1:"),
        ("explicit meshes", "if kinds - {AxisType.Auto}:", "if not kinds:"),
        (
            "several devices",
            "return jax.device_count() > 1",
            "return jax.device_count() > 9",
        ),
    ),
]
