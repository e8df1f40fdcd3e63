"""The page that shows every image of a split: figures, and what its script reads."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.common.text import shown
from train.evaluation.metrics import METRICS, measure
from train.report.browse_layers import WRONG_COLOR
from train.report.html import css_color, template

PICTURES = "pictures"  # folder of the layers, beside the page
_SCRIPT = Path(__file__).parent / "templates" / "browse.js"


class Browsed(NamedTuple):
    """An image that the page shows: where its layers are, and its pixels counted."""

    number: int  # in the split, from 1
    name: str
    size: tuple[int, int]  # width and height, pixels
    ignored: int  # pixels
    counts: np.ndarray  # by `counts_above_0`, which are few whatever the classes

    @property
    def stem(self) -> str:
        """The begin of the names of its layers, the same in the script."""
        return f"{PICTURES}/{self.number:06d}"


def counts_above_0(confusion: np.ndarray) -> np.ndarray:
    """Returns the counts of a confusion matrix that are not 0.

    Args:
      confusion: pixels, [classes, classes], rows truth.

    Returns:
      The class of the truth, that of the prediction and their pixels, [counts, 3].
    """
    truth, prediction = np.nonzero(confusion)
    return np.stack([truth, prediction, confusion[truth, prediction]], axis=1)


def browse_page(
    *,
    name: str,
    lead: str,
    notes: Sequence[str],
    failures: Sequence[str],
    class_names: Sequence[str],
    colors: np.ndarray,
    images: Sequence[Browsed],
) -> str:
    """Returns the page as HTML.

    Args:
      name: of the run.
      lead: what was predicted, and how.
      notes: what is missing.
      failures: what became of the images that are missing.
      class_names: one for each class.
      colors: uint8 [classes, 3].
      images: in the order of the split.
    """
    classes = len(class_names)
    whole = np.zeros((classes, classes), np.int64)
    for image in images:
        truth, prediction, pixels = image.counts.T
        whole[truth, prediction] += pixels
    script = _SCRIPT.read_text(encoding="utf-8")
    result = measure(whole, class_names)
    return template("browse.html.jinja").render(
        name=name,
        lead=lead,
        notes=notes,
        failures=failures,
        metrics={METRICS.caption(key): result[key] for key in METRICS},
        classes=_rows(result, colors),
        wrong_color=css_color(np.array(WRONG_COLOR, np.uint8)),
        data=_json(_data(result, class_names, colors, images)),
        script=script,
        script_hash=_hash(script),
    )


def _rows(result: Mapping[str, Any], colors: np.ndarray) -> list[dict[str, Any]]:
    """Returns the classes as the table shows them."""
    total = max(1, sum(result["pixels"].values()))
    return [
        {
            "name": name,
            "color": css_color(color),
            "iou": iou,
            "share": result["pixels"][name] / total,
        }
        for (name, iou), color in zip(result["iou"].items(), colors, strict=True)
    ]


def _data(
    result: Mapping[str, Any],
    class_names: Sequence[str],
    colors: np.ndarray,
    images: Sequence[Browsed],
) -> dict[str, Any]:
    """Returns what the script reads."""
    return {
        "mean_iou": result["mean_iou"] if np.isfinite(result["mean_iou"]) else None,
        "folder": PICTURES,
        "classes": [
            {"name": shown(name), "color": css_color(color)}
            for name, color in zip(class_names, colors, strict=True)
        ],
        "images": [_entry(image) for image in images],
    }


def _entry(image: Browsed) -> dict[str, Any]:
    """Returns an image as the script reads it: truth, prediction, pixels of both."""
    return {
        "number": image.number,
        "name": shown(image.name),
        "size": image.size,
        "ignored": image.ignored,
        "counts": image.counts.tolist(),
    }


def _json(content: object) -> str:
    """Returns JSON that is text of an HTML script whatever its strings hold."""
    text = json.dumps(content, separators=(",", ":"))  # of ASCII
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _hash(script: str) -> str:
    """Returns what a content security policy calls a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
