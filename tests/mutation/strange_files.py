"""Mistakes in what is read of strange files, for `python -m tests.mutation`."""

from .trainer import of

STRANGE_FILES = [
    *of(
        "train/common/drawing.py",
        "tests/train/common/test_drawing.py",
        (
            "settings of the folder",
            "    os.chdir(os.sep)\n",
            "",
        ),
    ),
    *of(
        "train/workdir/run.py",
        "tests/train/workdir/test_run.py",
        ("two configurations", "            self._check_same(config)\n", ""),
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/test_transparent_masks.py",
        ("clear entries", "    _check_opaque(_clear(image, content), name)\n", ""),
        ("levels of few bits", "found *= _scale(depth)", "pass"),
        ("half clear", "return alpha[pixels] != 255", "return alpha[pixels] == 0"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_png_sums.py",
        ("pixels not counted", "if whole and unpacked.missing > 0:", "if False:"),
        ("sums not compared", "if zlib.crc32(content, _IDAT) !=", "if not"),
    ),
    *of(
        "train/data/png_chunks.py",
        "tests/train/data/test_png_sums.py",
        ("any beginning", "if is_first and kind != _HEAD:", "if False:"),
        ("missing pixels", "tall * (1 + -(-wide * bits // 8))", "tall"),
        (
            "passes as one",
            "_INTERLACED if interlaced else",
            "_INTERLACED if False else",
        ),
        ("any number of heads", "if kind == _HEAD and not is_first:", "if False:"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_png_sums.py",
        ("heads where sizes are read", "        check_heads(file)\n", "        pass\n"),
    ),
    *of(
        "train/data/tiff_entries.py",
        "tests/train/data/test_image_work.py",
        ("strips that share", ") > 2 * size:", ") > 2**99:"),
    ),
    *of(
        "train/evaluation/areas.py",
        "tests/train/test_predict_failures.py",
        ("names that steer", "[[shown(image), width,", "[[image, width,"),
        ("second lines of such", "set(map(shown, images))", "set(map(str, images))"),
    ),
    *of(
        "train/data/voc_classes.py",
        "tests/train/report/test_names.py",
        ("unseen characters", '_UNSEEN.sub("", name)).split()', "name).split()"),
        (
            "two forms of a letter",
            'unicodedata.normalize("NFC", _UNSEEN.sub("", name))',
            '_UNSEEN.sub("", name)',
        ),
    ),
    *of(
        "train/data/tiff_entries.py",
        "tests/train/data/test_image_work.py",
        ("types passed over", "(kind not in _NUMBERS or tag not in tags)", "False"),
    ),
    *of(
        "train/common/errors.py",
        "tests/train/test_predict_failures.py",
        (
            "names of full disks",
            "isinstance(error, UserError):  # which",
            "False:  # which",
        ),
    ),
    *of(
        "train/predict.py",
        "tests/train/test_places.py",
        (
            "a large file ends all",
            ' and getattr(error, "errno", 0) != errno.EFBIG',
            "",
        ),
    ),
    *of(
        "train/evaluation/mask_files.py",
        "tests/train/test_predict_failures.py",
        ("no stop", "if self._stopped.is_set():", "if False:"),
    ),
    *of(
        "train/evaluation/mask_files.py",
        "tests/train/test_many_images.py",
        ("of any image", " and image_of(files.mask) == digest_of(path)", ""),
    ),
    *of(
        "train/evaluation/inference.py",
        "tests/train/evaluation/test_memory.py",
        (
            "padding for nothing",
            "fits = self.most(state, padded_size((height, width), multiple), 1)",
            "fits = True",
        ),
    ),
]
