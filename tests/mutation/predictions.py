"""Mistakes in what predictions write, for `python -m tests.mutation`."""

from .trainer import of

PREDICTIONS = (
    of(
        "train/evaluation/overlay_png.py",
        "tests/train/evaluation/test_overlay_png.py",
        ("row above the band", "above = here[-1:]", "above = here[:1]"),
        ("mean rounded up", "left & above", "left | above"),
        ("all rows in memory", "row_bands(len(rows))", "[slice(None)]"),
        ("one chunk", "range(0, len(packed), _LONGEST)", "range(1)"),
        ("large files", "9, zlib.Z_RLE", "9, zlib.Z_FIXED"),
    )
    + of(
        "train/evaluation/own_pictures.py",
        "tests/train/evaluation/test_overlay_png.py",
        (
            "mark of another",
            '_mark("RGB", (width, height),',
            '_mark("RGB", (height, width),',
        ),
    )
    + of(
        "train/evaluation/bands.py",
        "tests/train/evaluation/test_bands.py",
        ("last rows twice", "[start - first :, :width]", "[:, :width]"),
        ("padding stays", "[start - first :, :width]", "[start - first :]"),
        (
            "rows of the band above",
            "np.searchsorted(rows, end)] - start",
            "np.searchsorted(rows, end)]",
        ),
        ("all rows at once", "range(0, len(here), ROWS)", "range(0, len(here), 10**9)"),
    )
    + of(
        "train/evaluation/programs.py",
        "tests/train/evaluation/test_bands.py",
        (
            "scores for probabilities",
            "return probabilities(some, options)",
            "return some",
        ),
    )
    + of(
        "train/evaluation/inference.py",
        "tests/train/evaluation/test_bands.py",
        (
            "not finite unnoticed",
            "self._programs.masks(found)[0, :height, :width]",
            "self._programs.label(found)[0][0, :height, :width]",
        ),
        (
            "of another size",
            "return bands_at_size(bands, seen.shape[:2], image.shape[:2])",
            "return bands",
        ),
    )
    + of(
        "train/evaluation/probability_files.py",
        "tests/train/evaluation/test_probability_files.py",
        (
            "mark of nothing",
            "checksum = zlib.crc32(piece[: max(0, left)], checksum)",
            "pass",
        ),
        ("first piece alone", "int(mark[1], 16) == _checksum(file)", "True"),
        ("through a link", "path.is_symlink() or", "False or"),
        ("rows of float32", 'rows.astype("<f2")', 'rows.astype("<f4")'),
        (
            "error without a name",
            "with naming(path), replacing(path) as file:",
            "with replacing(path) as file:",
        ),
    )
    + of(
        "train/report/panels.py",
        "tests/train/report/test_panels.py",
        ("image large", "    image.thumbnail((_LONGEST, _LONGEST))\n", ""),
        ("truth twice", "in (panel.truth, panel.prediction)", "in (panel.truth,) * 2"),
        (
            "not at evaluations",
            "        show_panels(evaluator, history, colors, count, state)\n",
            "",
        ),
    )
    + of(
        "train/workdir/events.py",
        "tests/train/report/test_panels.py",
        (
            "height for width",
            "width, height = picture.size",
            "height, width = picture.size",
        ),
    )
    + of(
        "train/report/final_evaluation.py",
        "tests/train/report/test_panels.py",
        (
            "not at the end",
            "    show_panels(evaluator, run.history,",
            "    print(evaluator, run.history,",
        ),
    )
    + of(
        "train/report/final_evaluation.py",
        "tests/train/test_programs.py::test_best_that_was_overtaken_is_called_so",
        ("overtaken is best", "best.described(lines)", "best.described()"),
        ("overtaken untold", "if kept and not warn_of_better(", "if kept or not ("),
    )
    + of(
        "train/evaluation/mask_files.py",
        "tests/train/test_predict.py tests/train/test_overwriting.py",
        (
            "another's probabilities lost",
            "yield files.probabilities, is_probability_file",
            "pass",
        ),
        (
            "always written",
            "                if self._beside.probabilities:\n",
            "                if True:\n",
        ),
        ("another's overlay lost", "yield files.overlay, is_ours", "pass"),
        ("overlays always", "if self._beside.overlays:", "if True:"),
        ("an earlier overlay stays", "elif is_ours(files.overlay):", "elif False:"),
        (
            "a stranger's overlay goes",
            "elif is_ours(files.overlay):",
            "elif files.overlay.exists():",
        ),
    )
    + of(
        "train/evaluation/stages.py",
        "tests/train/evaluation/test_stages.py",
        ("all held at once", "held > _PIXELS", "held > 1e9"),
        ("all taken at once", ">= _THREADS + writers", ">= 999"),
        ("one after the other", "waiting or held", "True or held"),
        ("told late", " or begun[0][2].done()", ""),
    )
    + of(
        "train/evaluation/input_sizes.py",
        "tests/train/evaluation/test_input_sizes.py",
        ("own multiple lost", "own * math.ceil(least / own)", "least"),
        ("windows counted", "if window == (0, 0) or", "if True or"),
    )
    + of(
        "train/predict.py",
        "tests/train/test_many_images.py",
        ("lines not asked", "shown(path) in lines and is_written", "is_written"),
        ("files not asked", "and is_written(path, files, beside)", ""),
    )
    + of(
        "train/evaluation/inference.py",
        "tests/train/evaluation/test_inference.py",
        ("programs kept", "== _SHAPES:", "== 10**9:"),
    )
)
