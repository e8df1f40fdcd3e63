"""The tables of docs/peers.md, from docs/results/peers.json."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "peers.md"
RESULTS = DOCS / "results" / "peers.json"

ROUNDING = 1e-5  # what counts as equal, in float32
DIVIDED = -6 / 22  # a mean over the ignored rows too

SPREADS = {"NaN": "loss", "gradient NaN": "gradient", "raises": "raises"}
SHOWS = {"NaN": "shows", "gradient NaN": "in the gradient alone", "raises": "raises"}

Record = dict[str, Any]

VERDICTS = {
    "right": "Right",
    "NaN": "Right while ignored logits are finite",
    "scaled": "Divided by all pixels",
    "wrong": "Wrong",
    "none": "No ignored pixels",
}


def verdict(answers: Record, *, ignoring: bool) -> str:
    """Tells what ignored pixels do to a loss."""
    if not ignoring:
        return "none"
    if max(abs(answers["moved"]), answers["slope"]) > ROUNDING:
        return "wrong"
    if abs(answers["cropped"]) > ROUNDING:
        scaled = abs(answers["cropped"] - DIVIDED) < ROUNDING
        return "scaled" if scaled else "wrong"
    return "NaN" if isinstance(answers["ignored_nan"], str) else "right"


def summary(records: list[Record]) -> str:
    """Returns the table of what can be used with ignored pixels."""
    rows = []
    for peer, version in dict.fromkeys((r["peer"], r["version"]) for r in records):
        losses: dict[str, list[str]] = {name: [] for name in VERDICTS}
        for record in records:
            if record["peer"] != peer or record["ignoring"] is None:
                continue
            kind = verdict(record["peers"], ignoring=record["ignoring"])
            more = f" ({span(record['peers'])})" if kind == "wrong" else ""
            losses[kind].append(record["loss"] + more)
        rows.append([f"{peer} {version}", *("; ".join(own) for own in losses.values())])
    found = {verdict(record["lal_jax"], ignoring=True) for record in records}
    own = ["the counterpart of each" if found == {name} else "" for name in VERDICTS]
    return table(["Library", *VERDICTS.values()], [["lal_jax", *own], *rows])


def details(records: Iterable[Record]) -> str:
    """Returns the table of one peer's answers, lal_jax's in brackets if others."""
    head = [
        "Loss",
        "Beside lal_jax",
        "Ignored logits move loss, gradient",
        "Beside the crop",
        "NaN in them",
        "NaN elsewhere",
        "One image ignored",
        "All ignored",
        "A class absent",
        "… all wrong",
        "Mean over",
    ]
    return table(head, [row(record) for record in records])


def row(record: Record) -> list[str]:
    """Returns a loss's answers as text."""
    theirs, ours = record["peers"], record["lal_jax"]
    apart = max(abs(theirs["value_apart"]), theirs["gradient_apart"])
    ignored = ["—"] * 5
    if record["ignoring"]:
        ignored = [
            f"{percent(theirs['moved'])}, {percent(theirs['slope']).lstrip('+')}",
            percent(theirs["cropped"]),
            spreads(theirs["ignored_nan"]),
            beside(theirs["one_empty"], ours["one_empty"]),
            beside(theirs["all_empty"], ours["all_empty"]),
        ]
    return [
        record["loss"],
        "equal" if apart <= ROUNDING else f"{percent(apart)} apart",
        *ignored[:3],
        SHOWS.get(str(theirs["nan"]), "hidden"),
        *ignored[3:],
        beside(theirs["absent"], ours["absent"]),
        beside(theirs["wrong"], ours["wrong"]),
        "images" if abs(theirs["over_batch"]) <= ROUNDING else "the batch",
    ]


def calls(records: Iterable[Record]) -> str:
    """Returns the table of what was run, and what it equals of lal_jax."""
    return table(
        ["Loss", "Run", "Equals, of lal_jax", "What else its definition has"],
        [
            [
                f"{record['peer']}: {record['loss']}",
                f"`{record['theirs']}`",
                f"`{record['equal'] or record['ours']}`",
                record["note"],
            ]
            for record in records
        ],
    )


def percent(share: float) -> str:
    """Returns a share in percent, 0 for what is rounding."""
    if abs(share) <= ROUNDING:
        return "0"
    digits = ".0f" if abs(share) >= 0.1 else ".2g"
    return f"{100 * share:+{digits}} %".replace("-", "−")


def span(answers: Record) -> str:
    """Returns how far a loss is from that of the cropped image, over all draws."""
    least, most = answers["cropped_least"], answers["cropped_most"]
    if most >= 5:
        return f"{percent(least)} to ×{1 + most:{'.0f' if most >= 9 else '.1f'}}"
    return f"{percent(least).removesuffix(' %')} to {percent(most)}"


def spreads(answer: float | str) -> str:
    """Returns where NaN of ignored pixels shows."""
    return SPREADS[answer] if isinstance(answer, str) else "no"


def beside(theirs: float | str, ours: float | str) -> str:
    """Returns theirs, and ours in brackets if it is another."""
    own = shown(ours)
    return own if shown(theirs) == own else f"{shown(theirs)} [{own}]"


def shown(answer: float | str) -> str:
    """Returns a number with three digits."""
    if isinstance(answer, str):
        return answer
    return f"{answer:.3g}".replace("-", "−")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Returns a table in Markdown."""
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell or ' ' for cell in line)} |" for line in cells
    )


def blocks(records: list[Record]) -> dict[str, str]:
    """Returns all tables of the page, by the names of their places."""
    measured = [record for record in records if "skipped" not in record]
    tables = {"summary": summary(measured), "calls": calls(measured)}
    for peer in dict.fromkeys(record["peer"] for record in measured):
        tables[peer] = details(r for r in measured if r["peer"] == peer)
    return tables


def filled(page: str, tables: dict[str, str]) -> str:
    """Returns the page with the tables in their places, which must be there."""
    for name, content in tables.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        before, found, after = page.partition(begin)
        if not found or end not in after:
            raise ValueError(f"{PAGE.name} has no place for the table {name}")
        page = f"{before}{begin}{content}\n{after[after.index(end) :]}"
    return page


def write_page(records: list[Record]) -> None:
    """Writes the tables into docs/peers.md."""
    PAGE.write_text(filled(PAGE.read_text(), blocks(records)))
