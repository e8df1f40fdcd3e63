"""The page of an inspection: one HTML file that opens offline and needs no script."""

from __future__ import annotations

from pathlib import Path

from train.common.files import replace_text
from train.inspection.pictures import STRAY_COLOR, pictures_of
from train.inspection.printed import text_of_places, text_of_sizes, weights_to_copy
from train.inspection.summary import Summary
from train.report.html import css_color, template


def write_inspection(summary: Summary, folder: Path) -> Path:
    """Writes `inspection.html` into a folder and returns its path."""
    html = template("inspection.html.jinja").render(
        name=summary.contents.name,
        summary=summary,
        sizes={split: text_of_sizes(sizes) for split, sizes in summary.sizes.items()},
        names=lambda finding: text_of_places(summary, finding),
        weights=weights_to_copy(summary),
        pictures=pictures_of(summary),
        css=css_color,
        stray_color=css_color(STRAY_COLOR),
    )
    path = folder / "inspection.html"
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(path, html)
    return path
