"""Mistakes in the page of a whole split, for `python -m tests.mutation`."""

from .trainer import of

BROWSING = [
    *of(
        "train/report/own_folder.py",
        "tests/train/report/test_own_folder.py",
        (
            "edited is ours",
            'ours and f"{digest_of(place)}  {name}" in (listed or ())',
            "ours",
        ),
        ("links are ours", " and not place.is_symlink()", ""),
        ("links to folders", "(*files, *links)", "files"),
        ("any checksums", "name == SUMS and listed is not None", "name == SUMS"),
        ("mark unwritten", 'f"{MARK}\\n")', '"")'),
        ("checksums by a link", "sums.is_symlink() or not", "not"),
        ("files of before", "            place.unlink()\n", "            str()\n"),
        ("half a file", "place.suffix == PARTIAL or", "False or"),
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
        ("mask unread", "            has_label(source[index])\n", ""),
        (
            "earlier page lost",
            "        if not self.images:\n            self._folder",
            "        if True:\n            self._folder",
        ),
        ("path given away", "short(split.dataset.name)", "split.dataset.name"),
    ),
    *of(
        "train/evaluation/whole_split.py",
        "tests/train/evaluation/test_whole_split.py",
        ("as many as are asked for", "min(count, number)", "count"),
    ),
    *of(
        "train/inspection/page.py",
        "tests/train/inspection/test_inspect_data.py::test_only_own_pages_are_replaced",
        ("any page", "os.path.lexists(path) and not _is_own_page(path)", "False"),
        ("links are ours", "path.is_symlink() or not", "not"),
        ("edited is ours", "content == _marked(", "_MARK in content or _marked("),
    ),
    *of(
        "train/inspect_data.py",
        "tests/train/inspection/test_inspect_data.py::test_only_own_pages_are_replaced",
        ("refused at the end", "    check_place_of_page(out)  #", "    str()  #"),
    ),
    *of(
        "train/workdir/sums.py",
        "tests/train/test_overwriting.py::test_checksums_of_their_owner_are_no_mark "
        "tests/train/test_overwriting.py::test_checksums_alone_without_a_mark_stay",
        (
            "no mark is needed",
            "return lines if first == MARK else None",
            "return lines",
        ),
        ("anybody's mark", "if first == MARK else", "if text else"),
        ("unmarked is replaced", "found is None and (folder / SUMS).exists()", "False"),
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
        ("zeros kept", "np.nonzero(confusion)", "np.nonzero(confusion >= 0)"),
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
