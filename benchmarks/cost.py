"""Cost of a network: its parameters, and the multiply-adds of its convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


def parameter_count(module: object) -> int:
    """Returns the number of trained parameters of a module."""
    leaves = jax.tree.leaves(nnx.state(module, nnx.Param))
    return sum(math.prod(leaf.shape) for leaf in leaves)


def multiply_adds(function: Callable[..., Any], *arguments: Any) -> int:
    """Returns the multiply-adds of all convolutions and matrix products of a call.

    Padding counts as pixels, as is customary. Of branches the costliest counts: layers
    have some that compute the same, for CPUs. The bodies of loops are not counted.

    Args:
      function: any traceable function.
      *arguments: arrays, or `jax.ShapeDtypeStruct`s.
    """
    return _total(jax.make_jaxpr(function)(*arguments).jaxpr)


def _total(jaxpr: Any) -> int:
    return sum(_multiply_adds(each) + _within(each) for each in jaxpr.eqns)


def _within(equation: Any) -> int:
    """Returns the multiply-adds of called functions; of branches, the most of one."""
    values = jax.tree.leaves(
        list(equation.params.values()), is_leaf=lambda value: hasattr(value, "eqns")
    )
    inner = (getattr(value, "jaxpr", value) for value in values)
    totals = [_total(jaxpr) for jaxpr in inner if hasattr(jaxpr, "eqns")]
    return max(totals, default=0) if equation.primitive.name == "cond" else sum(totals)


def _multiply_adds(equation: Any) -> int:
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = equation.params["dimension_numbers"].rhs_spec[0]
        taps = math.prod(kernel) // kernel[outputs]  # window × input channels
        inserted = math.prod(equation.params["lhs_dilation"])  # inputs, but one, are 0
        return math.prod(equation.outvars[0].aval.shape) * taps // inserted
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        terms = math.prod(left[axis] for axis in contracted)
        return math.prod(equation.outvars[0].aval.shape) * terms
    return 0
