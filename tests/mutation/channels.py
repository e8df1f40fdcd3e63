"""Mistakes with images of other channels and bits, for `python -m tests.mutation`."""

from .trainer import of

_READ = "tests/train/data/test_channels.py"
_PARTS = "tests/train/data/test_tiff_parts.py"
_SHARDS = "tests/train/data/test_shards.py"
_SPLIT = "tests/train/data/test_statistics.py"
_KEPT = "tests/train/test_channels.py"
_WIDE = "tests/models/test_widening.py"

CHANNEL_MISTAKES = (
    of(
        "train/data/tiff_files.py",
        "tests/train/data/test_metadata.py",
        ("beyond 32 bits", "in BIG or self.size >= _MOST_BYTES:", "in BIG:"),
    )
    + of(
        "train/data/tiff_pictures.py",
        "tests/train/data/test_metadata.py",
        ("blocks for strips", "self._sizes.get(self._at, size)", "size"),
    )
    + of(
        "train/data/deep_png.py",
        _READ,
        ("halves swapped", "for half in (0, 1)", "for half in (1, 0)"),
        ("interlaced", "    if interlaced:", "    if interlaced > 1:"),
        ("short", "if len(data) < size:", "if len(data) > size:"),
    )
    + of(
        "train/data/channels.py",
        _READ,
        ("few bits", " or depth not in (8, 16):", ":"),
        ("any format", "_MODES.get(str(image.format), ())", '_MODES["PNG"]'),
    )
    + of(
        "train/data/tiff_channels.py",
        _READ,
        (
            "order of bytes",
            'if content[:2] == b"II" else ">"\n    found',
            'if content else ">"\n    found',
        ),
        (
            "differences stay",
            "    if layout.sums:",
            "    if layout.sums and not layout.tile:",
        ),
        (
            "over tiles",
            "layout.tile[0] if layout.tile else layout.width",
            "layout.width",
        ),
        ("first channel", "slice(part * count, (part + 1) * count)", "slice(0, count)"),
        ("any form", "        check_form(layout.form, form, name)\n", ""),
    )
    + of(
        "train/data/tiff_files.py",
        _READ,
        ("lists of any length", "if found.length != count:", "if not count:"),
        ("floats", "if formats != {1} or len", "if len"),
    )
    + of(
        "train/data/tiff_parts.py",
        _READ,
        ("amplified", "if int(sizes.sum()) > end:", "if False:"),
    )
    + of(
        "train/data/tiff_tags.py",
        _READ,
        ("sums of two codes", "(5, 8, 32946, 34925, 50000)", "(5, 8, 32946)"),
        (
            "limit",
            "    check_picture(file.name, page.width, page.height, page.tile)\n",
            "",
        ),
        ("turned", "        page.orientation,", "        1,"),
    )
    + of(
        "train/data/tiff_parts.py",
        _PARTS,
        ("cut short", " & (offsets + sizes <= end)", ""),
        ("without bytes", "(sizes > 0) & ", ""),
        ("smaller than rows", "if (sizes[:, :-1] != whole).any() or not", "if not"),
        ("any last part", " or not np.isin(sizes[:, -1], (whole, last)).all()", ""),
        ("sparse ones of colors", "(offsets >= HEAD_BYTES) & ", ""),
    )
    + of(
        "train/data/tiff_tags.py",
        _PARTS,
        (
            "sparse ones of channels",
            "check_size(file.name, file.size,",
            "check_size(file.name, 0,",
        ),
    )
    + of(
        "train/data/tiff_files.py",
        _PARTS,
        ("any head", "in ODD_HEADS:", "in ():"),
    )
    + of(
        "train/data/images.py",
        _READ,
        (
            "halves away",
            "np.stack(resized, axis=-1) + 0.5",
            "np.stack(resized, axis=-1) - 0.5",
        ),
        ("padded by zeros", "len(color)), color, dtype)", "len(color)), 0, dtype)"),
    )
    + of(
        "train/data/forms.py",
        _READ,
        ("upper bits", "if pixels.dtype != np.uint8:", "if False:"),
    )
    + of(
        "train/data/shards.py",
        _SHARDS,
        (
            "first of a shard lost",
            "itertools.chain([first], self._records)",
            "self._records",
        ),
        ("one shard", "if self.size - begin >= _SHARD:", "if False:"),
        ("shards for all before", "if self.size - begin >=", "if self.size >="),
        ("named as alone", "num_shards=len(parts)", "num_shards=1"),
    )
    + of(
        "train/data/record_files.py",
        _SHARDS,
        ("written for nobody", "if size > _MOST - _FRAME:", "if False:"),
    )
    + of(
        "train/data/statistics.py",
        _SPLIT,
        ("of images alone", "count += image.shape[0] * image.shape[1]", "count += 1"),
        ("no deviation", "math.sqrt(value) or 1.0", "math.sqrt(value)"),
        ("overflow", "np.square(c, dtype=np.uint64).sum()", "np.square(c).sum()"),
    )
    + of(
        "train/data/preprocessing.py",
        _SPLIT,
        ("means of any level", "if not (0 <= mean <= form.most and", "if not ("),
        ("deviations near 0", "_LEAST_STD <= std", "0 <= std"),
    )
    + of(
        "train/workdir/trained.py",
        _KEPT,
        (
            "runs of any level",
            "config.model.preprocessing, found, config.data.form)",
            '"imagenet", found, config.data.form)',
        ),
    )
    + of(
        "train/data/augment.py",
        _SPLIT,
        (
            "color of RGB",
            "blank(options.crop, self.padding, image.dtype)",
            "blank(options.crop, (0,) * image.shape[-1], image.dtype)",
        ),
        ("clipped at 255", ".clip(0, np.iinfo(image.dtype).max)", ".clip(0, 255)"),
    )
    + of(
        "train/evaluation/sliding_windows.py",
        _SPLIT,
        (
            "windows of RGB",
            "pad(Example(piece, blank), window, padding)",
            "pad(Example(piece, blank), window)",
        ),
    )
    + of(
        "train/workdir/normalization.py",
        _KEPT,
        (
            "measured anew",
            "if run.has_checkpoint() and run.is_described():",
            "if not run.workdir:",
        ),
    )
    + of(
        "train/workdir/trained.py",
        _KEPT,
        ("kept without", "    if trained.statistics:\n", "    if not trained:\n"),
        ("numbers unchecked", "    check_statistics(*found)\n", ""),
    )
    + of(
        "train/evaluation/preparation.py",
        _KEPT,
        ("rounded twice", "        if is_rgb:  #", "        if True:  #"),
    )
    + of(
        "train/experiments/figure3.py",
        "tests/train/experiments/test_findings.py",
        ("pictures of channels", "shown_image(image), *", "image, *"),
    )
    + of(
        "models/widening.py",
        _WIDE,
        ("larger responses", "* np.float32(3 / channels)", "* np.float32(1)"),
        ("in BGR", "kernel[:, :, ::-1] if widening.bgr else kernel", "kernel"),
        ("red for others", "rgb.mean(axis=2, keepdims=True)", "rgb[:, :, :1]"),
    )
)
