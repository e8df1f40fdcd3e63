"""How `make docs` builds the site, with the repository's root as the source.

README.md is its home, and links between the Markdown files are those that GitHub
follows. A new page needs a line in NAVIGATION.
"""

import inspect
import shutil
import sys
from pathlib import Path
from typing import Any

from flax import nnx
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]  # models, mathml

import lal_jax  # noqa: E402

NAVIGATION = {
    "Guide": [
        "Training step in your framework <docs/training_steps>",
        "Model <docs/model>",
        "Weights <docs/weights>",
    ],
    "Method": [
        "Mathematics <docs/mathematics>",
        "Results <docs/results>",
        "Speed and memory <benchmarks/RESULTS>",
    ],
    "API": ["docs/api/lal_jax", "docs/api/gradients", "docs/api/models"],
    "Project": ["Architecture <docs/architecture>", "Changelog <CHANGELOG>"],
}
if (ROOT / "CONTRIBUTING.md").exists():
    NAVIGATION["Project"].append("Contributing <CONTRIBUTING>")

project = "lal-jax"
release = lal_jax.__version__
root_doc = "README"
include_patterns = ["*.md", "benchmarks/*.md", "docs/**.md", "docs/**.rst"]
exclude_patterns = [".*", "build", "data", "dist", "runs", "site"]

extensions = ["mathml", "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["alert", "dollarmath", "html_image"]
myst_dmath_double_inline = True
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
default_role = "py:obj"  # `name` links to what is documented, else it is code
autodoc_member_order = "bysource"
napoleon_google_docstring = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "lal-jax"
html_math_renderer = "mathml"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_show_search_summary = False  # it is fetched, which file:// does not allow


def add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Puts the navigation below the README, and takes the tables of runs out of it."""
    if name == root_doc:
        source[0] += "\n```{toctree}\n:hidden:\n\nHome <self>\n```\n"
        for caption, pages in NAVIGATION.items():
            lines = "\n".join(pages)
            source[0] += (
                f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"
            )
    if name.startswith("docs/results/"):
        app.env.metadata[name]["orphan"] = True


def module_signature(
    app: Sphinx, what: str, name: str, obj: Any, *_: Any
) -> tuple[str, None] | None:
    """Shows the arguments of a Flax module, which its metaclass hides."""
    if what == "class" and issubclass(obj, nnx.Module):
        arguments = inspect.signature(obj.__init__.__get__(obj))  # bound: no self
        return stringify_signature(arguments), None
    return None


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Lets the home page open under the name that servers and people look for."""
    if error is None:
        shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Connects the functions above."""
    app.connect("source-read", add_navigation)
    app.connect("autodoc-process-signature", module_signature)
    app.connect("build-finished", add_index)
