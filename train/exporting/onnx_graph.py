"""An ONNX graph while it is built: nodes, and the arrays that they read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 18  # the first in which Resize averages where it shrinks
_FORMAT = 8  # of the file; the one of that opset's time


class OnnxGraph:
    """Nodes in the order in which they were added, each with one output.

    An array that several nodes read, such as a kernel that two views share, is stored
    once.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._arrays: dict[str, onnx.TensorProto] = {}

    def add(
        self,
        operator: str,
        *inputs: str | np.ndarray | np.generic,
        name: str = "",
        **attributes: Any,
    ) -> str:
        """Adds a node and returns the name of its output.

        Args:
          operator: of ONNX, such as `"Conv"`.
          *inputs: names of other outputs, or arrays; "" for one that is left out.
          name: of the output; by default that of the operator with a number.
          **attributes: of the operator.
        """
        output = name or f"{operator}_{len(self._nodes)}"
        names = [
            one if isinstance(one, str) else self._array(np.asarray(one))
            for one in inputs
        ]
        node = helper.make_node(operator, names, [output], output, **attributes)
        self._nodes.append(node)
        return output

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        metadata: dict[str, str],
        text: str,
    ) -> bytes:
        """Returns the graph as the content of a file, checked.

        Args:
          inputs: their names and types.
          outputs: likewise.
          metadata: texts by name.
          text: what the file is, for whoever opens it.
        """
        graph = helper.make_graph(
            self._nodes, "inference", inputs, outputs, list(self._arrays.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_FORMAT,
            producer_name="lal-jax",
            doc_string=text,
        )
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))

    def _array(self, array: np.ndarray) -> str:
        content = np.ascontiguousarray(array).tobytes()
        kind = f"{array.dtype} {array.shape} ".encode()
        key = hashlib.blake2b(kind + content, digest_size=16).hexdigest()
        if key not in self._arrays:
            name = f"array_{len(self._arrays)}"
            self._arrays[key] = numpy_helper.from_array(array, name)
        return self._arrays[key].name


def whole(*numbers: int) -> np.ndarray:
    """Returns whole numbers as ONNX takes shapes and places, int64."""
    return np.array(numbers, np.int64)
