"""Writes docs/options.md from the groups of options: python docs/options.py.

The page is kept in the repository, so that it can be read there; a test compares it
with the code.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_suffix(".md")
sys.path.insert(0, str(PAGE.parents[1]))

from train.common.options import flag, option_names, text_of  # noqa: E402
from train.config import GROUPS, Config  # noqa: E402
from train.presets import PRESETS  # noqa: E402

PLACES_AND_NAMES = ("data", "classes", "weights", "workdir")
LEAD = """# Options

<!-- Written by docs/options.py from the code; change the code and run it. -->

Options of [`train/main.py`](training.md) by group, with their defaults;
[presets](#presets) change some. A † marks those that may change when a run is resumed,
since they do not enter its result. The other programs list theirs with `--help`.
"""


def page() -> str:
    """Returns the page."""
    groups = [line for name in GROUPS for line in _group(name)]
    return "\n".join([LEAD, *groups, *_presets()]) + "\n"


def _group(name: str) -> Iterator[str]:
    """Yields the section of a group: its docstring and a row for each option."""
    group = GROUPS[name]
    yield f"## {name.capitalize()}\n\n{group.__doc__}\n"
    yield "| Option | Default | What it does |\n|---|---|---|"
    for field in dataclasses.fields(group):
        option, more = option_names(group)[field.name], field.metadata
        shown = _names(option, field.default) + " †" * more["free"]
        help = text_of(more["about"])
        if more["earlier"]:
            help += f" Earlier name: {_names(more['earlier'], field.default)}."
        yield f"| {shown} | {_value(field.default)} | {help} |"
    yield ""


def _names(option: str, default: Any) -> str:
    """Returns an option as the command line has it; a switch has two names."""
    switch = f", `--no-{flag(option)}`" if isinstance(default, bool) else ""
    return f"`--{flag(option)}`{switch}"


def _value(value: Any) -> str:
    """Returns a value as the command line takes it, a long list by its ends."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        ends = (value[0], "…", value[-1]) if len(value) > 6 else value
        value = " ".join(map(str, ends))
    return f"`{value}`" if value != "" else ""


def _presets() -> Iterator[str]:
    """Yields a table of what each preset changes."""
    defaults = Config().options()
    presets = {name: config.options() for name, config in PRESETS.items()}
    yield "## Presets\n"
    yield "Where presets differ from the defaults, paths and class names left out:\n"
    yield f"| Option | {' | '.join(f'`{name}`' for name in presets)} |"
    yield "|---|" + "---|" * len(presets)
    for option, default in defaults.items():
        values = [options[option] for options in presets.values()]
        if option not in PLACES_AND_NAMES and any(v != default for v in values):
            cells = ("" if value == default else _value(value) for value in values)
            yield f"| `--{flag(option)}` | {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
