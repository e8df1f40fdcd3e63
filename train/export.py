"""Exports a trained network: python train/export.py RUN --out DIR [--onnx].

DIR/model.safetensors   weights and configuration, for train/predict.py and --weights
DIR/inference.jax       the compiled function, for any program that has jax
DIR/inference.onnx      the same for onnxruntime and others, with --onnx
DIR/SHA256SUMS          checksums of all: sha256sum -c SHA256SUMS

    inference = jax.export.deserialize(Path("inference.jax").read_bytes())
    masks, confidence = inference.call(images)  # uint8 [batch, height, width, 3], RGB
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx

from train.common.command import run_command
from train.common.errors import NotFinite, UserError
from train.common.files import naming, replace_bytes, together
from train.common.locks import locked
from train.data.images import check_enlarged
from train.evaluation.preparation import prepared_images
from train.evaluation.scores import probabilities, scores
from train.training.scales import shrink_labels
from train.workdir.sums import SUMS, add_sums, not_ours, write_sums
from train.workdir.trained import Checkpoint, Trained, load_trained, save_trained

PLATFORMS = ("cpu", "cuda", "tpu")
_NOISE = 65  # height and width of the image that an export is tried on, at most
FILES = ("model.safetensors", "inference.jax", "inference.onnx")


def export(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    /,
    out: Path,
    size: tuple[int, int] = (0, 0),
    overwrite: bool = False,
    checkpoint: Checkpoint = "newest",
    onnx: bool = False,
) -> None:
    """Writes OUT/model.safetensors, OUT/inference.jax and their OUT/SHA256SUMS.

    Args:
      run: folder of a run, or a file of an earlier export.
      out: folder for both; made if need be.
      size: height and width of the images that the functions take, pixels; with 0 0
        inference.jax takes those of the training crops, inference.onnx any.
      overwrite: replaces files of these names that no export wrote.
      checkpoint: of a run; the best one is kept with --keep-best of train/main.py.
      onnx: writes OUT/inference.onnx too, which onnxruntime and others run. Without
        it, one of an earlier export is removed.
    """
    names = FILES if onnx else FILES[:2]
    _check_replaceable(run, out, names, overwrite=overwrite)
    for_onnx = _onnx_form() if onnx else None
    trained = load_trained(run, checkpoint)
    form = trained.preprocess.form
    height, width = size if size != (0, 0) else trained.use.crop
    if min(height, width) < 1:
        raise UserError(f"--size must be 1 pixel a side or more, got {height} {width}")
    check_enlarged(
        *(height, trained.use.image_height, f"{run}: an image of {height}×{width}"),
        "Name the size of larger images with --size.",
        max(trained.use.evaluation.scales),
    )
    _check_finite(run, trained, (height, width))
    graph = for_onnx(trained, None if size == (0, 0) else size) if for_onnx else b""
    compiled = serialized(trained, (height, width))
    out.mkdir(parents=True, exist_ok=True)
    model, function, other = (out / name for name in FILES)
    with locked(out):  # another export may have been there meanwhile
        _check_replaceable(run, out, names, overwrite=overwrite)
        outdated = not onnx and _is_ours(out, FILES[2])
        with together(out) as place:
            with naming(model):
                save_trained(trained, place / model.name)
            replace_bytes(place / function.name, compiled)
            if onnx:
                replace_bytes(place / other.name, graph)
            add_sums(out, place, names)  # before these files are there
        if outdated:
            other.unlink()
        write_sums(out, names)
    print(f"{model}: for train/predict.py, or train/main.py --weights")
    print(
        f"{function}: jax.export.deserialize(…).call(images), {form.dtype} [batch, "
        f"{height}, {width}, {form.channels}] → masks and confidence"
    )
    if onnx:
        print(f"{other}: the same for onnxruntime and others")
    elif outdated:
        print(f"{other}: removed, it was of an earlier export; --onnx writes it anew")
    _say_what_differs(trained, names[1:])


def _say_what_differs(trained: Trained, functions: Sequence[str]) -> None:
    """Prints in what exported functions differ from the program that predicts."""
    use = trained.use
    if use.evaluation.window != (0, 0):
        for name in functions:
            print(f"{name} takes images whole; --window is used by train/predict.py")
    if use.image_height:
        print(
            f"All resize images to a height of {use.image_height} pixels, as training "
            "did; masks have the size of the images that are given."
        )
    if FILES[2] in functions and trained.config.model.precision != "float32":
        print(
            f"{FILES[2]} computes in float32, not in {trained.config.model.precision}"
        )


def _onnx_form() -> Callable[[Trained, tuple[int, int] | None], bytes]:
    """Returns what makes the ONNX file.

    Raises:
      UserError: the package is missing.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--onnx needs the package onnx ({error}): pip install -e '.[onnx]'"
        ) from error
    from train.exporting.onnx_inference import onnx_inference

    return onnx_inference


def _check_replaceable(
    run: Path, out: Path, names: Sequence[str] = FILES, *, overwrite: bool
) -> None:
    """Refuses to write over what is exported, or what no export wrote.

    Raises:
      UserError: it names the file.
    """
    places = [out / name for name in names]
    if any(place.exists() and place.samefile(run) for place in places):
        raise UserError(f"{run} would be written over. Choose another --out.")
    others = [name for name in not_ours(out, FILES) if name in (*names, SUMS)]
    if others and not overwrite:
        raise UserError(
            f"{out} has {' and '.join(others)} already, which no export wrote with "
            f"{SUMS}, or which was changed since. Choose another --out, or add "
            "--overwrite to lose it."
        )


def _is_ours(out: Path, name: str) -> bool:
    """Returns whether a folder has a file as an export wrote it."""
    return (out / name).exists() and name not in not_ours(out, FILES)


def _check_finite(run: Path, trained: Trained, size: tuple[int, int]) -> None:
    """Refuses a network that cannot predict an image of noise.

    Raises:
      UserError: its logits are not finite.
    """
    form = trained.preprocess.form
    # What a few pixels do not show a large image need not either.
    height, width = (min(side, _NOISE) for side in size)
    shape, levels = (1, height, width, form.channels), 2**form.bits
    noise = np.random.default_rng(0).integers(0, levels, shape, form.dtype)
    try:
        whole = dataclasses.replace(trained.use.evaluation, window=(0, 0))
        trained.predictor(whole).batch(trained.state, noise)
    except NotFinite as error:
        raise UserError(f"{run}: {error}") from error


def serialized(trained: Trained, size: tuple[int, int]) -> bytes:
    """Returns inference on images of one size and any number, parameters included.

    The function takes uint8 RGB `[batch, height, width, 3]`, or images of the form that
    the network was trained on, and returns masks, uint8
    `[batch, height, width]`, and the probability of each mask's class, float32 of the
    same shape; NaN where the network's logits are not finite, so that the mask there
    is none. It prepares and predicts as the configuration says, without windows.
    """
    options, state = trained.use.evaluation, trained.state
    preprocess = trained.preprocess
    form = preprocess.form

    @jax.jit
    def inference(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        model = nnx.merge(trained.graph, state.params, state.statistics, copy=True)
        seen = prepared_images(images, trained.use.image_height)
        found = scores(model, seen, preprocess, options, trained.void)
        found = probabilities(found, options)
        masks = jnp.argmax(found, axis=-1).astype(jnp.uint8)
        confidence = jnp.max(found, axis=-1)
        # By nearest neighbor, which goes for growing too.
        return shrink_labels(masks, size), shrink_labels(confidence, size)

    sides = f"{size[0]}, {size[1]}, {form.channels}"
    shape = jax.export.symbolic_shape(f"batch, {sides}")
    images = jax.ShapeDtypeStruct(shape, form.dtype)
    with _without_locations():
        exported = jax.export.export(inference, platforms=PLATFORMS)(images)
        return bytes(exported.serialize())


@contextlib.contextmanager
def _without_locations() -> Iterator[None]:
    """Leaves the paths of source files out of what is lowered within the block."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


if __name__ == "__main__":
    run_command(lambda: tyro.cli(export, config=(tyro.conf.FlagCreatePairsOff,)))
