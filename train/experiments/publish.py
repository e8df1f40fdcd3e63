"""Publishing what an experiment found: JSON, Markdown with charts, one HTML page."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from train.common.drawing import Figure, matplotlib
from train.common.errors import UserError
from train.common.files import replace_bytes, replace_text, together
from train.common.locks import locked
from train.common.regular import read_regular
from train.common.sealed import parse_json
from train.common.text import markdown, shown
from train.experiments.entries import Entry, check_entry, check_same_data
from train.experiments.findings import Report
from train.experiments.tables import Table
from train.report.html import CHART_STYLE, svg, template

# A span of code; of names with several backticks none is made.
_CODE = re.compile(r"(?<!`)(`[^`\n]+`)(?!`)")


@contextlib.contextmanager
def publishing(results: Path) -> Iterator[Path]:
    """Yields a folder whose files take their places in the results' together.

    Another process that publishes there waits until the block ends.
    """
    with locked(results), together(results) as new:
        yield new


def write_json(entries: Sequence[Entry], path: Path) -> None:
    """Writes a JSON list, one line per run."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    replace_text(path, f"[\n{lines}\n]\n")


def with_earlier(
    entries: Sequence[Entry], path: Path, *, kept: bool = True
) -> list[Entry]:
    """Returns the entries of a JSON list that `write_json` wrote, if kept, and these.

    An entry of the same command is replaced; the others keep their order.

    Raises:
      UserError: they are of other data, or damaged.
    """
    check_same_data(entries)
    earlier = _read_json(path) if path.is_file() else []
    together = [*earlier, *entries]
    way_out = f"{path} has those of earlier calls: choose another --results."
    check_same_data(together, way_out)
    if not kept:
        return [*entries]
    return list({entry["command"]: entry for entry in together}.values())


def _read_json(path: Path) -> Sequence[Entry]:
    try:
        entries = msgspec.convert(
            parse_json(read_regular(path).decode()), list[dict[str, Any]]
        )
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error!s:.200}). Restore it from a copy, or move it "
            "elsewhere to begin another."
        ) from error
    for entry in entries:
        check_entry(entry, path)
    return entries


def write_markdown(
    report: Report, folder: Path, prefix: str, *, photographs: bool
) -> Path:
    """Writes `PREFIX_NAME.md` and its charts beside it; returns its path.

    Args:
      report: what to write.
      folder: where to.
      prefix: names the data set.
      photographs: whether images of the data set may stand there too.
    """
    stem = f"{prefix}_{report.name}"
    parts = [f"# {report.title}\n", f"{_prose(report.lead)}\n"]
    parts.append(f"Every run: [{stem}.json]({stem}.json).\n")
    for section in report.sections:
        if section.photographs and not photographs:
            continue
        parts.append(f"## {section.title}\n")
        if isinstance(section.content, Table):
            parts.append(section.content.markdown())
        else:
            suffix = "png" if section.photographs else "svg"
            chart = f"{stem}_{section.title.lower().replace(' ', '_')}.{suffix}"
            save_figure(section.content, folder / chart)
            parts.append(f"![{section.title}]({chart})\n")
        if section.note:
            parts.append(f"{_prose(section.note)}\n")
    path = folder / f"{stem}.md"
    replace_text(path, "\n".join(parts))
    return path


def _prose(text: str) -> str:
    """Returns text whose names are no Markdown; `code` in it is left as it is."""
    parts = _CODE.split(text)
    return "".join(shown(p) if n % 2 else markdown(p) for n, p in enumerate(parts))


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a picture reproducibly: without dates or versions."""
    kind, buffer = path.suffix.removeprefix("."), io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(CHART_STYLE):  # its salt names what is in the file
        figure.savefig(
            buffer, format=kind, dpi=150, facecolor="white", metadata=metadata
        )
    replace_bytes(path, buffer.getvalue())


def write_page(report: Report, path: Path) -> None:
    """Writes one HTML file that opens offline."""
    sections = [
        {
            **section._asdict(),
            "table": section.content if isinstance(section.content, Table) else None,
            "picture": svg(section.content)
            if isinstance(section.content, Figure)
            else None,
        }
        for section in report.sections
    ]
    html = template("comparison.html.jinja").render(
        name=report.title, lead=report.lead, sections=sections
    )
    replace_text(path, html)
