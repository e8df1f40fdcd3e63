"""How `make docs` builds the site, with the repository's root as the source.

README.md is its home, and links between the Markdown files are those that GitHub
follows. A new page needs a line in NAVIGATION.
"""

import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from flax import nnx
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.inspect import stringify_signature

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]  # models, mathml

import lal_jax  # noqa: E402

NAVIGATION = {
    "Guide": [
        "Using the losses <docs/losses>",
        "Training step in your framework <docs/frameworks>",
        "Data <docs/data>",
        "Training <docs/training>",
        "Scale <docs/scale>",
        "Reliability <docs/reliability>",
        "Evaluation, prediction, export <docs/prediction>",
        "Options <docs/options>",
        "Weights <docs/weights>",
    ],
    "Method": [
        "Mathematics <docs/mathematics>",
        "Model <docs/model>",
        "Results <docs/results>",
        "Tables <docs/tables>",
        "Speed and memory <benchmarks/RESULTS>",
        "Losses of other libraries <docs/peers>",
        "Dilated gradients <docs/dilated_gradients>",
    ],
    "API": [
        "docs/api/lal_jax",
        "docs/api/gradients",
        "docs/api/metrics",
        "docs/api/models",
    ],
    "Project": [
        "Architecture <docs/architecture>",
        "Contributing <CONTRIBUTING>",
        "Security <SECURITY>",
        "Changelog <CHANGELOG>",
    ],
}
TOCTREE = "\n```{{toctree}}\n:hidden:\n{options}\n{pages}\n```\n"

project = "lal-jax"
release = lal_jax.__version__
root_doc = "README"
include_patterns = [
    *(
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "benchmarks/RESULTS.md",
    ),
    *("docs/**.md", "docs/**.rst"),
]
exclude_patterns = [".*", "build", "data", "dist", "runs", "site"]  # not searched

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


def adapt_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Adds the navigation to the home page; takes away what only GitHub has."""
    if name == root_doc:
        source[0] += TOCTREE.format(options="", pages="Home <self>")
        for caption, pages in NAVIGATION.items():
            options = f":caption: {caption}\n"
            source[0] += TOCTREE.format(options=options, pages="\n".join(pages))
    if name.startswith("docs/results/"):
        app.env.metadata[name]["orphan"] = True  # reached from docs/tables.md
    folder = Path(app.env.doc2path(name)).parent
    source[0] = re.sub(
        r"\[([^]]+)\]\(([^)#:\s]+)\)",
        lambda link: link[1] if (folder / link[2]).is_dir() else link[0],
        source[0],
    )


def module_signature(
    app: Sphinx, what: str, name: str, obj: Any, *_: Any
) -> tuple[str, None] | None:
    """Shows the arguments of a Flax module, which its metaclass hides."""
    if what == "class" and issubclass(obj, nnx.Module):
        arguments = inspect.signature(obj.__init__.__get__(obj))  # bound: no self
        return stringify_signature(arguments), None
    return None


def finish_site(app: Sphinx, error: Exception | None) -> None:
    """Names the home page as servers expect, and refuses pictures that are missing."""
    if error is not None:
        return
    shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")
    for page in app.outdir.rglob("*.html"):
        for picture in re.findall(r'<img[^>]* src="([^":]+)"', page.read_text()):
            if not (page.parent / picture).exists():
                raise ExtensionError(
                    f"{page.name} lacks {picture}: write it as ![...](...), or as an "
                    "<img> alone in its paragraph"
                )


def setup(app: Sphinx) -> None:
    """Connects the functions above."""
    app.connect("source-read", adapt_page)
    app.connect("autodoc-process-signature", module_signature)
    app.connect("build-finished", finish_site)
