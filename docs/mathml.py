"""A Sphinx extension that writes LaTeX as MathML, which browsers draw by themselves.

Formulas then need neither a script nor a network, on the pages as in the docstrings.
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging

CONVERTER = LatexToMathML(fancy_error=False)
LOGGER = logging.getLogger(__name__)
# Chromium draws a \Bigr) with an exponent small where it is alone under it.
SCRIPTED_DELIMITER = re.compile(r"(\\[bB]igg?r?\s*(?:\\[a-zA-Z]+|\\?\S))(?=\s*[\^_])")


def to_mathml(latex: str, *, block: bool) -> str:
    """Returns a formula as a `<math>` element.

    Args:
      latex: the formula, without dollar signs.
      block: on a line of its own, in display style.

    Raises:
      LatexError: the formula is not LaTeX, or has a command that is not known.
    """
    latex = SCRIPTED_DELIMITER.sub(r"{{}\1}", latex)
    return CONVERTER.convert_with_local_state(latex, displaystyle=block)


def visit_math(writer: Any, node: nodes.math | nodes.math_block) -> None:
    """Writes a formula's node; a bad one as code, with a warning."""
    latex = node.astext()
    try:
        writer.body.append(to_mathml(latex, block=isinstance(node, nodes.math_block)))
    except LatexError as error:
        LOGGER.warning("%s in the formula %s", error, latex, location=node)
        writer.body.append(f"<code>{html.escape(latex)}</code>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds the renderer, for `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
