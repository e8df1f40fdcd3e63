"""What HTML pages share: templates, number formats, embedded pictures."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from models.text import inert
from train.common.drawing import Figure, matplotlib

LONGEST_SIDE = 640  # Pixels; a larger picture is scaled down to keep the file small.

# Dark ink on no background; the page inverts the charts in dark mode. All else is as
# matplotlib has it by default, whatever a `matplotlibrc` says.
CHART_STYLE: dict[Any, Any] = {
    **{
        name: value
        for name, value in matplotlib.rcParamsDefault.items()
        if not name.startswith("backend")
    },
    "axes.edgecolor": "#c4cad3",
    "axes.grid": True,
    "axes.labelcolor": "#525c69",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": "#e3e6eb",
    "grid.linewidth": 0.6,
    "svg.hashsalt": "report",
    "text.parse_math": False,  # names of classes may have dollars
    "xtick.color": "#c4cad3",
    "xtick.labelcolor": "#525c69",
    "ytick.color": "#c4cad3",
    "ytick.labelcolor": "#525c69",
}


def template(name: str) -> jinja2.Template:
    """Returns a template by its file name."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_inert,
    )
    environment.filters.update(percent=percent, duration=duration)
    return environment.get_template(name)


def _inert(value: object) -> object:
    """Returns what a template shows; names cannot turn the direction of a page."""
    return inert(value) if isinstance(value, str) and inert(value) != value else value


def percent(fraction: float | None, digits: int = 1) -> str:
    """Returns a fraction in percent, a dash for none."""
    if fraction is None or not math.isfinite(fraction):
        return "–"
    return f"{100 * fraction:.{digits}f}%"


def duration(seconds: float) -> str:
    """Returns seconds in the units that suit them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def css_color(color: np.ndarray) -> str:
    """Returns a color uint8 [3] as CSS writes it."""
    return f"#{color.tobytes().hex()}"


def svg(figure: Figure) -> str:
    """Returns a chart to embed."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(CHART_STYLE):  # its salt names what is in the file
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _data_uri("image/svg+xml", buffer)


def jpeg(photo: Image.Image) -> str:
    """Returns a photograph to embed, which is scaled down if it is large."""
    photo.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    # Full color resolution keeps the marks of single wrong pixels red.
    photo.save(buffer, format="JPEG", quality=85, subsampling=0)
    return _data_uri("image/jpeg", buffer)


def png(mask: Image.Image) -> str:
    """Returns a mask to embed, which is scaled down if it is large."""
    mask.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    mask.save(buffer, format="PNG", optimize=True)
    return _data_uri("image/png", buffer)


def _data_uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
