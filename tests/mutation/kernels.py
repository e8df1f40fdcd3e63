"""Mistakes in what a GPU runs by itself: the loss's kernel, the compiler's options."""

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
            "[jnp.abs(value) for value in values] if loss.scored else values",
            "values",
        ),
        ("void has scores", "jnp.where(valid & sound, scores[c], _ZERO)", "scores[c]"),
        (
            "NaN in planes",
            "jnp.where(valid & sound, scores[c], _ZERO)",
            "jnp.where(valid, scores[c], _ZERO)",
        ),
        ("NaN unsaid", "root = jnp.where(sound, root, _NAN)", "root = root"),
        (
            "NaN of a window unsaid",
            "one = jnp.where(jnp.isnan(flaws[q]), _NAN, one)",
            "one = one",
        ),
        ("slopes of NaN", "counted &= ~jnp.isnan(one)", "counted &= True"),
        ("strays below count", "& (label >= 0) ", ""),
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
            "gradient of NaN unsaid",
            "factors = jnp.where(jnp.isnan(losses), losses, cotangents)",
            "factors = cotangents",
        ),
        (
            "what comes in at void",
            "jnp.where(marks == NO_CLASS, _ZERO, factors)",
            "factors",
        ),
    ),
    *of(
        "lal_jax/window_tiles.py",
        VALUES,
        (
            "neighbors of the first pixel",
            "key = divmod(q + offset",
            "key = divmod(offset",
        ),
        (
            "beyond the image",
            "return jnp.minimum(first, np.int32(planes.last))",
            "return first",
        ),
        (
            "a tile of the image's end",
            "last = pixels * np.int32(classes) - np.int32(BLOCK)",
            "last = np.int32((TILE - 1) * classes - BLOCK)",
        ),
    ),
    *of(
        "lal_jax/window_planes.py",
        VALUES,
        (
            "nothing before",
            "first = _multiple(reach, TILE)",
            "first = _multiple(0, TILE)",
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
    *of(
        "train/training/compiler.py",
        "tests/train/test_recipe.py",
        (
            "old memory stays",
            "self._plain = jax.jit(function, donate_argnums=0)",
            "self._plain = jax.jit(function)",
        ),
    ),
    *of(
        "train/training/compiler.py",
        "tests/train/training/test_compiler.py",
        (
            "options everywhere",
            'OPTIONS_BY_MODE[mode] if jax.default_backend() == "gpu" else {}',
            "OPTIONS_BY_MODE[mode]",
        ),
        ("any word", "if mode not in OPTIONS_BY_MODE:", "if not mode:"),
        ("full memory tried again", "if full or self._jitted", "if self._jitted"),
    ),
]
