"""Matplotlib, in which a program's folder and environment have no say.

Matplotlib reads a `matplotlibrc` of the current folder when it is imported. That may be
a stranger's, and its settings can have programs begun. Notebooks name a backend in the
environment, which a program of another environment may lack, and figures need none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

# The time of a build, for figures to have as their date: ours have none.
os.environ.pop("SOURCE_DATE_EPOCH", None)


@contextlib.contextmanager
def _without(variable: str) -> Iterator[None]:
    """Takes a variable of the environment away within the block."""
    before = os.environ.pop(variable, None)
    yield
    if before is not None:
        os.environ[variable] = before


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """Works in the root of the file system within the block."""
    try:
        here = os.getcwd()
    except OSError:  # the folder is gone, and all that was in it
        yield
        return
    os.chdir(os.sep)
    try:
        yield
    finally:
        os.chdir(here)


with _elsewhere(), _without("MPLBACKEND"):
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import EngFormatter, MaxNLocator

__all__ = [
    "Axes",
    "EngFormatter",
    "Figure",
    "Line2D",
    "MaxNLocator",
    "Patch",
    "matplotlib",
    "to_hex",
]
