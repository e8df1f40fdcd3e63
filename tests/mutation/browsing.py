"""Mistakes in the page of a whole split, for `python -m tests.mutation`."""

from .trainer import of

BROWSING = [
    *of(
        "train/report/own_folder.py",
        "tests/train/report/test_own_folder.py",
        ("edited is ours", 'ours and f"{digest_of(place)}  {name}" in listed', "ours"),
        ("links are ours", " and not place.is_symlink()", ""),
        ("links to folders", "(*files, *links)", "files"),
        ("checksums by a link", "sums.is_symlink() or not", "not"),
        ("files of before", "            place.unlink()\n", "            str()\n"),
        ("half a file", "or place.suffix == PARTIAL", "or False"),
    ),
    *of(
        "train/report/browsing.py",
        "tests/train/report/test_browsing.py",
        (
            "order of prediction",
            "sorted(self.images, key=lambda image: image.number)",
            "self.images",
        ),
        (
            "place for number",
            "self._write(chosen[place], found)",
            "self._write(place, found)",
        ),
        ("stop unsaid", "pages.finish(stopped=True)", "pages.finish()"),
        (
            "first images",
            "evenly(len(source), limit or len(source))",
            "range(limit or len(source))",
        ),
        ("failures unsaid", "    if pages.failures:\n", "    if False:\n"),
        ("mask unread", '            has_label(source[index]["label"])\n', ""),
        (
            "earlier page lost",
            "        if not self.images:\n            self._folder",
            "        if True:\n            self._folder",
        ),
        ("path given away", "short(split.dataset.name)", "split.dataset.name"),
    ),
    *of(
        "train/report/browse_layers.py",
        "tests/train/report/test_browsing.py",
        ("ignored is wrong", " & ~ignored", ""),
        ("masks smoothed", "Image.Resampling.NEAREST", "Image.Resampling.BILINEAR"),
        ("void opaque", "[0] * (256 - len(colors))", "[255] * (256 - len(colors))"),
        ("truth twice", "_mask(prediction, colors)", "_mask(truth, colors)"),
    ),
    *of(
        "train/report/browse_page.py",
        "tests/train/report/test_browsing.py",
        ("end of a script", 'in "<>&":', 'in "":'),
        ("names that turn", '"name": shown(image.name)', '"name": image.name'),
    ),
    *of(
        "train/browse.py",
        "tests/train/report/test_browsing.py",
        ("by a link", "out is None and place.is_symlink()", "False"),
    ),
    *of(
        "train/report/templates/browse.html.jinja",
        "tests/train/report/test_browse_page.py",
        ("any script", "'sha256-{{ script_hash }}'", "'unsafe-inline'"),
        ("no picture", "img-src 'self' file:;", "img-src https:;"),
        ("wrong unshown", ".hide-wrong .wrong, .hide", ".wrong, .hide"),
    ),
    *of(
        "train/report/templates/browse.js",
        "tests/train/report/test_browse_page.py",
        ("ties", "x - y || wrong(b) - wrong(a)", "x - y"),
        (
            "all classes",
            "state.class === null || image.classes.has(state.class)",
            "true",
        ),
        ("all at once", "if (!isIntersecting) continue;", ""),
        ("pictures anew", "seen === null || seen !== shown[place]", "true"),
        ("keys in lists", ' || target.matches("select")', ""),
        ("no IoU first", "(x === null) - (y === null)", "(y === null) - (x === null)"),
    ),
]
