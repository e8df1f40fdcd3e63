"""Matplotlib, in which the folder that a program is started in has no say.

Matplotlib reads a `matplotlibrc` of the current folder when it is imported. That may be
a stranger's, and its settings can have programs begun.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


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


with _elsewhere():
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
