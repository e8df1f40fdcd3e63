"""Formulas become MathML, and the API's pages name all that is public."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes
from math_core import LatexError

import lal_jax
from docs.mathml import to_mathml, visit_math

API = Path(__file__).parent.parent / "docs" / "api"


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\sigma^2 \lt 1", "<math><msup><mi>σ</mi><mn>2</mn></msup><mo>&lt;</mo>"),
        (r"\Bigl(x\Bigr)^k", "<msup><mrow><mrow></mrow><mo"),
        (r"\bigl\lVert x \bigr\rVert_p", "<msub><mrow><mrow></mrow><mo"),
    ],
)
def test_formula_becomes_mathml(latex: str, expected: str) -> None:
    assert expected in to_mathml(latex, block=False)
    assert to_mathml(latex, block=True).startswith('<math display="block">')


def test_unknown_command_is_refused() -> None:
    with pytest.raises(LatexError, match="nosuch"):
        to_mathml(r"\nosuch x", block=False)


@pytest.mark.parametrize("node", [nodes.math, nodes.math_block])
def test_bad_formula_stays_code_and_warns(
    node: type[nodes.math], caplog: pytest.LogCaptureFixture
) -> None:
    writer = SimpleNamespace(body=[])
    with pytest.raises(nodes.SkipNode):
        visit_math(writer, node("", r"\nosuch < x"))
    assert writer.body == [r"<code>\nosuch &lt; x</code>"]
    assert "nosuch" in caplog.text


@pytest.mark.parametrize(
    ("page", "public"),
    [
        ("lal_jax", set(lal_jax.__all__) - {"gradients", "metrics"}),
        ("gradients", set(lal_jax.gradients.__all__)),
        ("metrics", set(lal_jax.metrics.__all__)),
    ],
)
def test_page_documents_every_public_name(page: str, public: set[str]) -> None:
    text = (API / f"{page}.rst").read_text()
    assert set(re.findall(r"^\.\. autofunction:: (\w+)$", text, re.M)) == public
