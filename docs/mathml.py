"""A Sphinx extension that writes LaTeX as MathML, which browsers draw by themselves.

Formulas need no script and no network then. The conversion is Docutils' own.
"""

from __future__ import annotations

import html
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def to_mathml(latex: str, *, block: bool) -> str:
    r"""Returns a formula as a `<math>` element.

    Args:
      latex: the formula, without dollar signs; `\lt` and `\gt` are those of HTML.
      block: on a line of its own, in display style.

    Raises:
      MathError: a command that the converter does not know.
    """
    latex = latex.replace(r"\lt", "<").replace(r"\gt", ">")
    return tex2mathml(latex, as_block=block)


def _visit(writer: Any, node: nodes.math | nodes.math_block) -> None:
    block = isinstance(node, nodes.math_block)
    try:
        writer.body.append(to_mathml(node.astext(), block=block))
    except MathError as error:
        LOGGER.warning("%s in %s", error, node.astext(), location=node)
        writer.body.append(f"<code>{html.escape(node.astext())}</code>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds the renderer, for `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (_visit, None), (_visit, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
