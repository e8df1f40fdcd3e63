"""The summary of a data set as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from train.inspection.findings_of_data import Finding
from train.inspection.summary import Sizes, Stray, Summary

LINES = 12  # of a table of values
LISTED = 9  # names, of all images that a finding is about


def text_of_summary(summary: Summary) -> str:
    """Returns the tables and findings, for a terminal."""
    return "\n".join(
        [
            *_splits(summary),
            *_classes(summary),
            *_stray(summary, summary.values),
            *_stray(summary, summary.colors),
            *_labelmap(summary),
            *_findings("training would fail", summary, summary.faults),
            *_findings("warning", summary, summary.warnings),
        ]
    )


def _splits(summary: Summary) -> Iterator[str]:
    for split, facts in summary.facts.items():
        ignored = f"{summary.ignored[split]:.1%} of the pixels ignored"
        yield f"{split}: {len(facts)} images, {ignored}"
        if split in summary.sizes:
            yield f"  {text_of_sizes(summary.sizes[split])}"


def text_of_sizes(sizes: Sizes) -> str:
    """Returns the range of sizes, and the commonest."""
    height, width = sizes.commonest
    if sizes.different == 1:
        return f"all of {width}×{height} pixels"
    return (
        f"{sizes.different} sizes, {_range(sizes.width)} wide and "
        f"{_range(sizes.height)} high; commonest {width}×{height} ({sizes.share:.0%})"
    )


def _range(ends: tuple[int, int]) -> str:
    return f"{ends[0]}–{ends[1]}" if ends[0] < ends[1] else f"{ends[0]}"


def _classes(summary: Summary) -> Iterator[str]:
    """Yields a line for each class, and class weights to copy."""
    lines, splits = summary.classes, list(summary.facts)
    if not lines or not splits:
        return
    width = max(len("class"), *(len(line.name) for line in lines))
    column = max(18, *(len(split) + 12 for split in splits))
    titles = "".join(f"  {f'{split}: pixels  images':>{column}}" for split in splits)
    yield f"\n{'class':<{width}}{titles}  weight"
    for line in lines:
        cells = "".join(
            f"  {f'{found.pixels:.2%}  {found.images:>6}':>{column}}"
            for found in line.splits.values()
        )
        weight = "" if line.weight is None else f"{line.weight:.4g}"
        yield f"{line.name:<{width}}{cells}  {weight:>6}"
    if words := weights_to_copy(summary):
        yield "\nWeights by the root of the pixels (or --class-weights inverse_root):"
        yield words


def weights_to_copy(summary: Summary) -> str:
    """Returns the option with a weight for each class, "" where there are none."""
    weights = [line.weight for line in summary.classes if line.weight is not None]
    if not weights:
        return ""
    return f"--class-weights {' '.join(f'{weight:.4g}' for weight in weights)}"


def _stray(summary: Summary, stray: Stray | None) -> Iterator[str]:
    """Yields the values or colors that are no classes, and how they may have come."""
    if not stray:
        return
    yield f"\n{stray.title:<24}{'pixels':>12}{'images':>9}  in"
    for line in stray.lines[:LINES]:
        names = ", ".join(map(summary.name, line.places[:3]))
        more = ", …" * (line.images > 3)
        yield f"{line.what:<24}{line.pixels:>12,}{line.images:>9,}  {names}{more}"
    if len(stray.lines) > LINES:
        yield f"… and {len(stray.lines) - LINES} more"
    yield f"Likely: {stray.cause.what}.\nThen: {stray.cause.way_out}."


def _labelmap(summary: Summary) -> Iterator[str]:
    if summary.labelmap:
        yield f"\nlabelmap.txt to begin with:\n{summary.labelmap}"


def _findings(
    title: str, summary: Summary, findings: Sequence[Finding]
) -> Iterator[str]:
    for finding in findings:
        count = len(finding.places)
        images = f", {count} image{'s' * (count > 1)}" if count else ""
        yield f"\n{title}{images}: {finding.text}"
        if names := text_of_places(summary, finding):
            yield f"  {names}"


def text_of_places(summary: Summary, finding: Finding) -> str:
    """Returns the first images of a finding, and how many more there are."""
    count, shown = len(finding.places), finding.places[:LISTED]
    names = ", ".join(f"{place.split}/{summary.name(place)}" for place in shown)
    return names + f" and {count - LISTED} more" * (count > LISTED)
