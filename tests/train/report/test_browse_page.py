"""The page of a split in a browser: which images it shows, in which order, and how."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lal_jax.metrics import confusion_matrix
from train.evaluation.whole_split import Panel
from train.report.browse_layers import WRONG_COLOR, layers
from train.report.browse_page import Browsed, browse_page, counts_above_0
from train.report.browsing import PAGE_FILES
from train.report.own_folder import OwnFolder

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is installed"
)

NAMES = ("ground", "<b>red</b>", "blue", "never")
COLORS = np.array([(90, 90, 90), (250, 20, 20), (20, 20, 250), (9, 9, 9)], np.uint8)
SIZE = 16, 24
COUNT = 100
ALL_IGNORED = 41  # the number of that image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a hundred images, whose truth has red and blue in some."""
    return write_page(tmp_path_factory.mktemp("page"))


def panels() -> list[Panel]:
    rng = np.random.default_rng(0)
    found = []
    for number in range(1, COUNT + 1):
        truth = np.zeros(SIZE, np.uint8)
        if number % 3:
            truth[:, 2 : rng.integers(4, 12)] = 1
        if number % 4 == 0:
            truth[8:, 14:20] = 2
        prediction = truth.copy()
        prediction[: rng.integers(0, 16)] = rng.integers(0, 2)
        truth[0 if number != ALL_IGNORED else slice(None)] = 255
        image = np.full((*SIZE, 3), 128, np.uint8)
        found.append(Panel(f"<i>{number}", image, truth, prediction))
    return found


def write_page(folder: Path) -> Path:
    own, images = OwnFolder(folder, PAGE_FILES), []
    for number, panel in enumerate(panels(), start=1):
        ignored = int((panel.truth == 255).sum())
        images.append(
            Browsed(
                number,
                panel.name,
                SIZE[::-1],
                ignored,
                counts_above_0(counts_of(panel)),
            )
        )
        for end, content in layers(panel, COLORS).items():
            own.write(images[-1].stem + end, content)
    page = browse_page(
        name="run",
        lead="",
        notes=[],
        failures=[],
        class_names=NAMES,
        colors=COLORS,
        images=images,
    )
    own.write("index.html", page.encode())
    return folder


def wrong_pixels(panel: Panel) -> np.ndarray:
    return (panel.truth != panel.prediction) & (panel.truth != 255)


def order(chosen: int | None = None) -> list[int]:
    """Returns the numbers of the images with a class, the worst of it first."""
    scored, unscored = [], []
    for number, panel in enumerate(panels(), start=1):
        counts = counts_of(panel)
        truth, predicted, both = counts.sum(1), counts.sum(0), counts.diagonal()
        union = truth + predicted - both
        wrong, there = union - both, truth > 0
        if chosen is not None:
            if union[chosen]:
                iou = both[chosen] / union[chosen]
                scored.append((float(iou), -int(wrong[chosen]), number))
        elif there.any():
            iou = (both[there] / union[there]).mean()
            scored.append((round(float(iou), 12), -int(wrong.sum()), number))
        else:
            unscored.append(number)
    return [number for *_, number in sorted(scored)] + unscored


def counts_of(panel: Panel) -> np.ndarray:
    classes = len(NAMES)
    return np.asarray(
        confusion_matrix(panel.prediction, panel.truth, num_classes=classes)
    )


def run_browser(folder: Path, page: str, *words: str) -> str:
    """Opens a page and returns what the browser printed."""
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    profile = f"--user-data-dir={folder / 'profile'}"
    address = f"{(folder / 'index.html').as_uri()}".replace("index.html", page)
    command = [str(BROWSER), *flags, profile, *words, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(dom: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li id="image(\d+)">', dom)]


def inner(dom: str, id: str) -> str:
    """Returns the text of an element without children."""
    (text,) = re.findall(rf' id="{id}"[^>]*>([^<]*)<', dom)
    return html.unescape(text)


def test_address_says_which_images_are_shown(folder: Path) -> None:
    source = (folder / "index.html").read_text()
    planted = source.replace("</main>", "<script>document.title = 'run'</script>")
    (folder / "planted.html").write_text(planted)
    dom = run_browser(folder, "planted.html#class=1&image=8&wrong=1", "--dump-dom")
    assert listed(dom) == order(1) and 20 < len(listed(dom)) < COUNT
    place = f"{order(1).index(8) + 1} of {len(order(1))}"
    assert inner(dom, "place").startswith(f"{place} · IoU of <b>red</b> ")
    assert inner(dom, "name") == "<i>8"
    assert re.search('id="broken" hidden', dom)  # every picture is there
    assert "000008_wrong.png" in dom and '<div class="browser" id' in dom
    assert "<title>run<" not in dom  # the policy runs no script but the page's own


def test_worst_image_is_seen_first(folder: Path) -> None:
    fragment, picture = "index.html#opacity=100&wrong=1", folder / "picture.png"
    size = "--window-size=1000,700"
    run_browser(folder, fragment, f"--screenshot={picture}", size)
    with Image.open(picture) as opened:
        found = opened.convert("RGB").getcolors(2**24)
    seen = {color: count for count, color in found or ()}
    panel = panels()[order()[0] - 1]
    a_pixel = seen[WRONG_COLOR] / wrong_pixels(panel).sum()
    assert a_pixel > 100  # images are enlarged
    for value in np.unique(panel.truth[panel.truth != 255]):
        at_least = (panel.truth == value).sum() * a_pixel
        assert seen[tuple(COLORS[value])] > 0.9 * at_least


KEYS = """<script>
const found = {};
const press = (key, on = document.body) => {
  on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const list = [...document.querySelectorAll("#list li")];
  const current = document.querySelector("[aria-current]");
  return [list.length, current && list.indexOf(current.parentElement), location.hash];
};
const select = document.getElementById("class");
found.start = press("x");
found.next = [press("j"), press("ArrowRight"), press("k"), press("ArrowLeft")];
found.first = press("k");
const picture = document.querySelector("#truth .photo");
found.opacity = press("9");
found.toggles = [press("w"), press("i"), press("w")];
found.kept = picture === document.querySelector("#truth .photo");
found.order = [press("s"), press("s"), press("s")];
found.typed = press("j", select);
found.classes = [..."]]]]]["].map((key) => press(key));
found.nothing = !document.getElementById("empty").hidden;
press("]"); // all of them again
onload = () => setTimeout(() => {
  const pictures = [...document.querySelectorAll("#list .photo")];
  found.loaded = pictures.filter((picture) => picture.naturalWidth).length;
  document.body.append(Object.assign(document.createElement("pre"),
    { id: "found", textContent: JSON.stringify(found) }));
}, 500);
</script>"""


def test_keys_go_on_and_switch(folder: Path) -> None:
    source = (folder / "index.html").read_text()
    without = re.sub('<meta http-equiv="Content-Security-Policy".*?>', "", source)
    (folder / "keys.html").write_text(without.replace("</main>", f"</main>{KEYS}"))
    words = ("--dump-dom", "--window-size=1000,700", "--virtual-time-budget=2000")
    dom = run_browser(folder, "keys.html#image=" + str(order()[0]), *words)
    found: Any = json.loads(inner(dom, "found"))
    assert found["start"] == [COUNT, 0, f"#image={order()[0]}"]
    assert [place for _, place, _ in found["next"]] == [1, 2, 1, 0]
    assert found["first"][1] == 0
    image = f"image={order()[0]}"
    assert found["opacity"][2] == f"#{image}&opacity=100"
    wanted = ["&opacity=100&wrong=1", "&opacity=100&wrong=1&ignored=0"]
    wanted.append("&opacity=100&ignored=0")
    assert [where for *_, where in found["toggles"]] == [f"#{image}{w}" for w in wanted]
    assert found["kept"]  # no picture was loaded anew
    best, in_list, worst = (where for *_, where in found["order"])
    none_wrong = [n for n, p in enumerate(panels(), 1) if not wrong_pixels(p).any()]
    assert best.startswith(f"#order=best&image={none_wrong[0]}&")
    assert in_list.startswith("#order=list&image=1&")
    assert worst == f"#{image}{wanted[2]}"
    assert found["typed"][1:] == [0, worst]  # which picks a class by its name
    lengths = [length for length, *_ in found["classes"]]
    assert lengths == [COUNT - 1, len(order(1)), len(order(2)), 0, COUNT, 0]
    assert found["nothing"]
    assert 8 < found["loaded"] < COUNT // 2  # those in sight, and near it
