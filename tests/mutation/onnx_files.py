"""Mistakes in the ONNX file that its tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

INFERENCE = "tests/train/exporting/test_onnx_inference.py"
EXPORT = "tests/train/test_export.py"

ONNX_FILES = [
    *of(
        "train/exporting/onnx_network.py",
        INFERENCE,
        ("pool rounds down", "end = 2 if backbone.pool_rounds_up else 1", "end = 1"),
        (
            "padded as without dilation",
            "pads=[dilation * (side - 1) // 2] * 4",
            "pads=[(side - 1) // 2] * 4",
        ),
        ("norm without its mean", "(bias - mean) * factor", "bias * factor"),
        ("epsilon of every norm", "var + norm.epsilon", "var + 1e-5"),
        ("infinite logits pass", 'graph.add("Or", graph', 'graph.add("And", graph'),
        (
            "pixels beyond the border",
            '"exclude_outside": 1',
            '"exclude_outside": 0',
        ),
        (
            "bilinear as half pixel",
            '"coordinate_transformation_mode": "asymmetric"',
            '"coordinate_transformation_mode": "half_pixel"',
        ),
        ("learned late", "before, after = stride - 1, 0", "before, after = 0, 0"),
        (
            "window turned",
            "upsampling.kernel[...]).transpose(2, 3, 0, 1)",
            "upsampling.kernel[...]).transpose(3, 2, 0, 1)",
        ),
    ),
    *of(
        "train/exporting/onnx_inference.py",
        INFERENCE,
        ("RGB as BGR", "if preprocess.bgr else pixels", "if False else pixels"),
        (
            "flipped back never",
            "return _reversed(graph, found, axis=3)",
            "return found",
        ),
        ("masks as they were seen", "if height else ()", "if False else ()"),
        ("levels between", 'graph.add("Floor", graph', 'graph.add("Identity", graph'),
        ("sum of logits", 'if options.fusion == "max":', "if False:"),
        (
            "any size for one",
            '"images", kind, ["batch", *sides, form.channels]',
            '"images", kind, ["batch", "height", "width", form.channels]',
        ),
        ("aliased", "_at_least_one(graph, scaled), antialias=True", "scaled"),
    ),
    *of(
        "train/export.py",
        EXPORT,
        ("outdated ONNX stays", "        other.unlink()", "        pass"),
        (
            "another's ONNX is removed",
            "outdated = not onnx and _is_ours(out, FILES[2])",
            "outdated = not onnx and (out / FILES[2]).exists()",
        ),
    ),
    *of(
        "train/exporting/onnx_graph.py",
        INFERENCE,
        ("arrays by shape", "hashlib.blake2b(kind + content,", "hashlib.blake2b(kind,"),
    ),
]
