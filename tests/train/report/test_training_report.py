import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from train.data.palette import voc_colormap
from train.evaluation.whole_split import Panel
from train.report.html import CHART_STYLE, LONGEST_SIDE, svg
from train.report.training_report import _curve, write_report

TRAIN_LINE = {"split": "train", "loss": 1.5, "learning_rate": 0.01}
NAMES = ["road", "car", "tree"]


class Page(HTMLParser):
    """The tags of a page, its text by class attribute, and its pictures."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.pictures, self.open = [], [], {}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "img":
            self.pictures[attributes["alt"]] = attributes["src"]
        if tag not in ("img", "meta"):
            self.open.append((tag, attributes.get("class")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def select(self, tag, kind=None):
        return [text for where, text in self.texts if where == (tag, kind)]

    def picture(self, name):
        payload = self.pictures[name].partition("base64,")[2]
        return Image.open(io.BytesIO(base64.b64decode(payload)))


def make_page(
    workdir, names=NAMES, *, confusion=None, metrics=(), panels=(), colors=None
):
    count = len(names)
    if confusion is None:
        confusion = np.eye(count, dtype=np.int64) * 90 + 5
    right, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1)
    iou = [r / (u - r) if u else None for r, u in zip(right, union, strict=True)]
    path = write_report(
        workdir,
        config={"loss": "hard_pixel", "kernel_size": (3, 5)},
        metrics=metrics,
        summary={
            "mean_iou": 0.61234,
            "pixel_accuracy": 0.98765,
            "mean_accuracy": 0.7,
            "frequency_weighted_iou": 0.8,
            "iou": dict(zip(names, iou, strict=True)),
            "steps": 12_000,
            "seconds": 3725.0,
            "images_per_second": 40.25,
            "versions": {"jax": "1.2.3"},
            "device": "NVIDIA H200",
        },
        confusion=confusion,
        colors=voc_colormap(count) if colors is None else colors,
        panels=panels,
    )
    assert path == workdir / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def make_panel(height=4, width=6, name="example"):
    image = np.full((height, width, 3), 128, np.uint8)
    truth = np.zeros((height, width), np.uint8)
    truth[0] = 255
    prediction = np.zeros_like(truth)
    prediction[:2] = 1
    return Panel(name, image, truth, prediction)


def test_file_stands_alone(tmp_path):
    page = make_page(
        tmp_path, metrics=[TRAIN_LINE | {"step": 1}], panels=[make_panel()]
    )
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "://" not in text
    assert "url(" not in text
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe"})
    sources = [
        value
        for _, attributes in page.tags
        for key, value in attributes.items()
        if key in ("src", "href")
    ]
    assert len(sources) == 6
    assert all(source.startswith("data:image/") for source in sources)


def test_metrics_equal_the_summary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = make_page(Path())
    assert page.select("h1") == [tmp_path.name]
    assert page.select("dd") == [
        "61.2%",
        "98.8%",
        "70.0%",
        "80.0%",
        "hard pixel",
        "12,000",
        "1 h 02 min",
        "40.2",
    ]
    assert page.select("td", "value") == ["82.6%"] * 3
    assert page.select("td", "share") == ["33.3%"] * 3
    assert "NVIDIA H200 · jax 1.2.3" in page.select("p")
    assert page.select("td") == ["hard_pixel", "(3, 5)"]


@pytest.mark.parametrize("name", [r"$\frac{$", "a_$b^{$", "$$"])
def test_names_with_dollars_are_drawn_as_they_are(name):
    with matplotlib.rc_context(CHART_STYLE):
        figure = Figure()
        figure.subplots().set_title(name)
    svg(figure)  # as mathematics they could not be drawn


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '" onclick="x', "道路 & naïve", "x" * 60]
)
def test_names_are_escaped(tmp_path, name):
    page = make_page(tmp_path, [name, "car"], panels=[make_panel(name=name)])
    assert not any(tag == "script" or "onclick" in found for tag, found in page.tags)
    everything = [text for _, text in page.texts]
    # Bars, two axes of the matrix, legend, panel.
    assert everything.count(name) == 5


@pytest.mark.parametrize("count", [2, 40])
def test_confusion_is_normalized_by_row_and_marks_absent_classes(tmp_path, count):
    confusion = np.zeros((count, count), np.int64)
    confusion[0, :2] = 3, 1
    page = make_page(
        tmp_path, [f"class {i}" for i in range(count)], confusion=confusion
    )
    strong = page.select("td", "right strong")
    assert strong == ["75.0" if count == 2 else "75"]
    assert page.select("td", "absent") == ["–"] * count * (count - 1)
    assert page.select("td", "value") == ["75.0%", "0.0%"] + ["–"] * (count - 2)
    assert page.select("td", "share") == ["100.0%"] + ["–"] * (count - 1)
    assert "nan" not in " ".join(text for _, text in page.texts).lower()


@pytest.mark.parametrize(
    "metrics", [[], [{"split": "val", "mean_iou": 0.5, "step": 0}]]
)
def test_nothing_trained_says_so(tmp_path, metrics):
    zeros = np.zeros((3, 3), np.int64)
    page = make_page(tmp_path, confusion=zeros, metrics=metrics)
    assert "Nothing was trained." in page.select("p", "note")
    assert page.pictures == {}


@pytest.mark.parametrize(
    ("line", "titles"),
    [
        (TRAIN_LINE, ["Loss", "Learning rate"]),
        ({"split": "val", "mean_iou": 0.5}, ["Validation mean IoU"]),
        (
            {"split": "val", "mean_iou": 0.5, "loss": float("nan")},
            ["Validation mean IoU"],
        ),
        ({"split": "val", "mean_iou": None, "loss": 2.0}, ["Loss"]),
    ],
)
def test_one_line_of_metrics_is_drawn(tmp_path, line, titles):
    page = make_page(tmp_path, metrics=[line | {"step": 1}])
    assert list(page.pictures) == [f"{title} against step" for title in titles]


@pytest.mark.parametrize("value", [1.7e308, -1e308, float("inf"), 1e39])
@pytest.mark.parametrize("line", [("train", "loss"), ("val", "mean_iou")])
def test_values_that_no_axis_holds_are_left_out(value, line):
    split, name = line
    points = {1: 0.5, 2: value, 2**31 - 1: 0.25}
    curve = _curve(
        [{"step": at, "split": split, name: of} for at, of in points.items()],
        split,
        name,
    )
    np.testing.assert_array_equal(curve.steps, [1, 2**31 - 1])
    np.testing.assert_array_equal(curve.values, [0.5, 0.25])


def test_losses_of_the_two_splits_are_told_apart(tmp_path):
    validation_line = {"step": 1, "split": "val", "loss": 2.0}
    page = make_page(tmp_path, metrics=[TRAIN_LINE | {"step": 1}, validation_line])
    assert page.select("li")[:2] == ["training, last 1.5", "validation, last 2"]


def test_terms_of_a_sum_have_a_chart(tmp_path):
    terms = {"loss/dice": 0.25, "loss/auxiliary_3": 2.0, "loss/focal": None}
    terms |= {f"loss/{number}": 1.0 for number in range(1000)}  # a stranger's
    metrics = [TRAIN_LINE | terms | {"step": step} for step in (1, 2)]
    page = make_page(tmp_path, metrics=metrics)
    assert "Terms of the training loss, without factors against step" in page.pictures
    assert page.select("li")[1:3] == ["dice, last 0.25", "auxiliary_3, last 2"]


def test_best_and_last_of_a_resumed_run(tmp_path):
    points = [(1000, 0.2), (3000, 0.9), (2000, 0.6), (3000, 0.4)]
    metrics = [
        {"step": step, "split": "val", "mean_iou": mean_iou}
        for step, mean_iou in points
    ]
    page = make_page(tmp_path, metrics=metrics)
    assert page.select("li")[:2] == [
        "best 60.0% at step 2,000",
        "last 40.0% at step 3,000",
    ]


def test_panels_show_truth_prediction_and_errors(tmp_path):
    panel = make_panel(40, 60, "first")
    page = make_page(tmp_path, panels=[panel, make_panel(30, 20, "second")])
    for caption in ("truth", "prediction"):
        mask = np.asarray(page.picture(f"first, {caption}"))
        np.testing.assert_array_equal(mask, getattr(panel, caption))
    assert page.picture("second, image").size == (20, 30)
    errors = np.asarray(page.picture("first, where wrong")).astype(int)
    reddish = errors[..., 0] - errors[..., 1] > 60
    # Row 0 is ignored, row 1 wrong.
    assert reddish.any(axis=1).tolist() == [False, True] + [False] * 38
    assert "pixel accuracy 97.4%" in page.select("p")


def test_large_panels_are_scaled_down(tmp_path):
    page = make_page(tmp_path, panels=[make_panel(500, 2 * LONGEST_SIDE)])
    sizes = {page.picture(name).size for name in page.pictures}
    assert sizes == {(LONGEST_SIDE, 250)}


def test_disagreeing_classes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"names 3 classes.*\[3, 3\] and \[2, 3\]"):
        make_page(tmp_path, colors=voc_colormap(2))
