"""Inference in the form of ONNX: from images to masks, with no JAX.

The counterpart of what `train/export.py` serializes for JAX: images are prepared as
training's were, seen in all views, without windows, and masks have the images' size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from flax import nnx
from onnx import TensorProto, ValueInfoProto, helper

from models.deeplab import DeepLab
from train.data.forms import Form
from train.data.images import Size
from train.data.preprocessing import Preprocessing
from train.evaluation.scores import LOWEST
from train.evaluation.views import EvaluationOptions, View, views
from train.exporting.onnx_graph import OPSET, OnnxGraph, whole
from train.exporting.onnx_network import network_nodes, resized, spatial_size
from train.workdir.trained import Trained, described_network


def onnx_inference(trained: Trained, size: Size | None = None) -> bytes:
    """Returns an ONNX file of inference on images of any number, weights included.

    Its input is `images`, uint8 RGB `[batch, height, width, 3]`, or of the form that
    the network was trained on; its outputs are
    `masks`, uint8 `[batch, height, width]`; `confidence`, the probability of each
    mask's class, float32 of that shape, NaN where logits are not finite; and what the
    mask is the largest of, float32 `[batch, height, width, classes]`, at the size at
    which the network saw the images: `logits`, or `probabilities` where they are a mean
    over views.

    Args:
      trained: the network and its configuration.
      size: height and width of the images; None for any.

    Raises:
      UserError: a part of the network has no form in ONNX here.
    """
    graph, use = OnnxGraph(), trained.use
    options, preprocess = use.evaluation, trained.preprocess
    state = trained.state
    model = nnx.merge(trained.graph, state.params, state.statistics)
    seen = _prepared(graph, "images", use.image_height, is_rgb=use.form.is_rgb)
    seen = _preprocessed(graph, seen, preprocess)
    found = _scores(graph, model, seen, options, trained.void)
    averaged = options.fusion == "mean" and len(views(options)) > 1
    name = "probabilities" if averaged else "logits"
    found = graph.add("Transpose", found, perm=[0, 2, 3, 1], name=name)
    masks = graph.add("ArgMax", found, axis=-1, keepdims=0)
    masks = graph.add("Cast", masks, to=TensorProto.UINT8)
    probability = found if averaged else graph.add("Softmax", found, axis=-1)
    confidence = graph.add("ReduceMax", probability, whole(-1), keepdims=0)
    _at_size(graph, masks, use.image_height, "masks")
    _at_size(graph, confidence, use.image_height, "confidence")
    return graph.model(
        [_images(size, use.form)],
        _outputs(trained, name, size),
        _metadata(trained),
        f"Semantic segmentation into {len(trained.class_names)} classes, ONNX opset "
        f"{OPSET}. Input: {use.form.caption}, [batch, height, width, "
        f"{use.form.channels}]; preprocessing is "
        "included. Outputs: the class of each pixel, its probability, and the "
        f"{name} of all classes.",
    )


def _images(size: Size | None, form: Form) -> ValueInfoProto:
    sides = size or ("height", "width")
    kind = TensorProto.UINT8 if form.bits == 8 else TensorProto.UINT16
    levels = f"{'RGB' if form.channels == 3 else 'levels'}, 0 to {2**form.bits - 1}"
    return helper.make_tensor_value_info(
        "images", kind, ["batch", *sides, form.channels], levels
    )


def _outputs(trained: Trained, name: str, size: Size | None) -> list[ValueInfoProto]:
    sides = size or ("height", "width")
    resized = trained.use.image_height
    seen = (resized, "seen_width") if resized else sides
    kinds = (
        ("masks", TensorProto.UINT8, sides, (), "index of each pixel's class"),
        ("confidence", TensorProto.FLOAT, sides, (), "probability of that class"),
        (name, TensorProto.FLOAT, seen, (len(trained.class_names),), "of the classes"),
    )
    return [
        helper.make_tensor_value_info(name, kind, ["batch", *sides, *classes], text)
        for name, kind, sides, classes, text in kinds
    ]


def _metadata(trained: Trained) -> dict[str, str]:
    """Returns what the safetensors file has, and the preprocessing that is included."""
    preprocessing = trained.preprocess._asdict()
    described = {**described_network(trained), "preprocessing": preprocessing}
    return {key: json.dumps(value) for key, value in described.items()}


def _prepared(graph: OnnxGraph, images: str, height: int, *, is_rgb: bool) -> str:
    """Adds images as the network sees them, float32 `[batch, channels, h, w]`, levels.

    As `train.evaluation.preparation.prepared_images`.
    """
    pixels = graph.add("Cast", images, to=TensorProto.FLOAT)
    pixels = graph.add("Transpose", pixels, perm=[0, 3, 1, 2])
    if height == 0:
        return pixels
    tall, wide = (
        graph.add("Shape", images, start=axis, end=axis + 1) for axis in (1, 2)
    )
    sides = (graph.add("Cast", side, to=TensorProto.DOUBLE) for side in (tall, wide))
    tall_number, wide_number = sides
    scale = graph.add("Div", np.array([height], np.float64), tall_number)
    width = graph.add("Round", graph.add("Mul", wide_number, scale))
    width = _at_least_one(graph, graph.add("Cast", width, to=TensorProto.INT64))
    for rows in (tall, whole(height)):
        size = graph.add("Concat", rows, width, axis=0)
        pixels = resized(graph, pixels, size, antialias=True)
        if is_rgb or rows != tall:  # to whole levels each time, as Pillow
            pixels = graph.add("Floor", graph.add("Add", pixels, np.float32(0.5)))
    return pixels


def _at_least_one(graph: OnnxGraph, sides: str) -> str:
    return graph.add("Max", sides, whole(1))


def _preprocessed(graph: OnnxGraph, pixels: str, preprocess: Preprocessing) -> str:
    """Adds what `preprocess` makes of levels, `[batch, channels, h, w]`."""
    mean, std = (
        np.array(values, np.float32)[:, None, None]
        for values in (preprocess.mean, preprocess.std)
    )
    pixels = graph.add("Div", graph.add("Sub", pixels, mean), std)
    return _reversed(graph, pixels, axis=1) if preprocess.bgr else pixels


def _reversed(graph: OnnxGraph, x: str, *, axis: int) -> str:
    first = np.iinfo(np.int64).min  # whatever the length
    return graph.add("Slice", x, whole(-1), whole(first), whole(axis), whole(-1))


def _scores(
    graph: OnnxGraph,
    model: DeepLab,
    pixels: str,
    options: EvaluationOptions,
    void: Sequence[int],
) -> str:
    """Adds the scores of all views, joined; as `train.evaluation.scores.scores`."""
    found = [_logits(graph, model, pixels, view) for view in views(options)]
    if void:
        is_void = np.isin(np.arange(model.classes), void)[:, None, None]
        found = [graph.add("Where", is_void, LOWEST, one) for one in found]
    if len(found) == 1:
        return found[0]  # probabilities would round to ties
    if options.fusion == "max":
        return graph.add("Max", *found)
    return graph.add("Mean", *(graph.add("Softmax", one, axis=1) for one in found))


def _logits(graph: OnnxGraph, model: DeepLab, pixels: str, view: View) -> str:
    """Adds the logits of a view, of the pixels' size and place."""
    if view.flipped:
        turned = _reversed(graph, pixels, axis=3)
        found = _logits(graph, model, turned, view._replace(flipped=False))
        return _reversed(graph, found, axis=3)
    if view.scale == 1:
        return network_nodes(model, graph, pixels)
    size = spatial_size(graph, pixels)
    scaled = graph.add("Cast", size, to=TensorProto.DOUBLE)
    scaled = graph.add("Mul", scaled, np.float64(view.scale))
    scaled = graph.add("Cast", scaled, to=TensorProto.INT64)  # rounded down
    smaller = resized(graph, pixels, _at_least_one(graph, scaled), antialias=True)
    return resized(graph, network_nodes(model, graph, smaller), size)


def _at_size(graph: OnnxGraph, found: str, height: int, name: str) -> None:
    """Adds an output of the images' size, by nearest neighbor where they were resized.

    As `train.training.scales.shrink_labels`.
    """
    for axis in (1, 2) if height else ():
        pixels, wanted = (
            graph.add("Shape", x, start=axis, end=axis + 1) for x in (found, "images")
        )
        scalar = graph.add("Squeeze", wanted, whole(0))
        places = graph.add("Range", np.int64(0), scalar, np.int64(1))
        odd = graph.add("Add", graph.add("Mul", places, whole(2)), whole(1))
        nearest = graph.add(
            "Div",
            graph.add("Mul", odd, pixels),
            graph.add("Mul", wanted, whole(2)),
        )
        found = graph.add("Gather", found, nearest, axis=axis)
    graph.add("Identity", found, name=name)
