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
        "train/data/image_files.py",
        "tests/train/data/test_png_sums.py",
        ("sums not compared", "if zlib.crc32(content, zlib.crc32(kind)) !=", "if not"),
        ("any beginning", "[4:] != kind:", "[4:] == b'none':"),
    ),
    *of(
        "train/data/image_work.py",
        "tests/train/data/test_image_work.py",
        ("strips that share", "if parts > 2 * size:", "if False:"),
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
]
