"""Mistakes in what is read of strange files, for `python -m tests.mutation`."""

from .trainer import of

STRANGE_FILES = [
    *of(
        "train/data/png_chunks.py",
        "tests/train/data/test_metadata.py",
        (
            "kept whole",
            "content = piece = file.read(min(length, _PIECE))",
            "content = piece = file.read(length)",
        ),
        ("pixels apart", 'b"IDAT" != before and seen:', 'b"IDAT" == seen:'),
    ),
    *of(
        "train/data/jpeg_segments.py",
        "tests/train/data/test_metadata.py",
        ("byte by byte", "min(2 * ahead, _MOST)", "2"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_metadata.py",
        ("measured late", "file.seek(0, io.SEEK_END), most)", "0, most)"),
    ),
    *of(
        "train/data/image_work.py",
        "tests/train/data/test_metadata.py",
        ("few rows", "= 70_000, 32", "= 30_000, 32"),
    ),
    *of(
        "train/data/tiff_files.py",
        "tests/train/data/test_metadata.py",
        ("beyond 32 bits", "in BIG or self.size >= _MOST_BYTES:", "in BIG:"),
    ),
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
        "tests/train/data/test_masks.py",
        ("bytes of no pixels", "check_size(name, len(content), most)", "str(most)"),
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/test_transparent_masks.py",
        ("clear entries", "    _check_opaque(_clear(image, content), name)\n", ""),
        ("levels of few bits", "levels *= _scale(depth)", "pass"),
        (
            "bits beyond the depth",
            "np.array(found) & (2**depth - 1)",
            "np.array(found)",
        ),
        ("half clear", "np.uint8) != 255)[pixels]", "np.uint8) == 0)[pixels]"),
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
        ("any beginning", "if not seen and kind != _HEAD:", "if False:"),
        ("missing pixels", "tall * (1 + -(-wide * bits // 8))", "tall"),
        (
            "passes as one",
            "_INTERLACED if interlaced else",
            "_INTERLACED if False else",
        ),
        ("any number of heads", "if kind in seen:", "if False:"),
        ("behind the end", " and not self._stream.eof", ""),
        ("any parts", "if not kind[0] & _ANCILLARY:", "if False:"),
        ("texts for Pillow", "if kind not in _OF_PIXELS:", "if kind in _FRAMES:"),
        ("sums beside pixels", "if checksum != int.from_bytes(file", "if not (file"),
        ("heads alone once", "if kind in _ONCE:", "if kind == _HEAD:"),
    ),
    *of(
        "train/data/tiff_parts.py",
        "tests/train/data/test_image_work.py",
        ("strips that share", "if int(sizes.sum()) > end:", "if False:"),
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
        "train/data/tiff_files.py",
        "tests/train/data/test_tiff_parts.py",
        ("types passed over", "if kind not in NUMBERS or tag in", "if tag in"),
        ("numbers twice", " or tag in {*found, *lists}", ""),
        ("numbers by the dozen", " or wrong:", ":"),
        (
            "without a number",
            "            if tag not in tags:",
            "            if False:",
        ),
        ("white unsaid", "Tag.PHOTOMETRIC, *parts)", "*parts)"),
    ),
    *of(
        "train/data/tiff_files.py",
        "tests/train/data/test_tiff_pictures.py",
        ("parts not counted", "if found.length != count:", "if not count:"),
        ("any compression", "if code not in COMPRESSIONS:", "if False:"),
        (
            "any order of bits",
            "if tags.get(Tag.FILL_ORDER, (1,))[0] != 1:",
            "if False:",
        ),
        ("signs", "if formats != {1} or len", "if len"),
        ("copies for pictures", "if kind & REDUCED_OR_MASK or old", "if old"),
        ("copies of old", " or old == OLD_REDUCED:", ":"),
        ("any colors", "if colors not in kind.colors:", "if False:"),
        ("strips beside tiles", "if not tags.isdisjoint(parts):", "if False:"),
    ),
    *of(
        "train/data/tiff_parts.py",
        "tests/train/data/test_tiff_pictures.py",
        ("parts of no rows", "min(width, height, across, down) < 1", "False"),
        ("rows of whole bytes", "-(-across * samples // planes * bits // 8)", "across"),
    ),
    *of(
        "train/data/tiff_pictures.py",
        "tests/train/data/test_tiff_pictures.py",
        ("palettes", "(WHITE_IS_ZERO, 1, 2, 5)", "(WHITE_IS_ZERO, 1, 2, 3, 5)"),
        ("deep opacity", "samples == 2 and bits != 8:", "False:"),
        ("channels that lie apart", "channels > colors:", "False:"),
        ("multiplied levels", "if _MULTIPLIED in tags.get", "if 99 in tags.get"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_tiff_pictures.py",
        ("called damaged", "if isinstance(given, TiffPieces):", "if False:"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_tiff_pictures.py",
        ("libtiff is told of", "silence_libtiff()\n", ""),
    ),
    *of(
        "train/data/bmp_heads.py",
        "tests/train/data/test_bmp_heads.py",
        ("palettes as levels", "not in _BITS.get(image.mode, _PALETTES)", "in ()"),
        ("run lengths", "if compression not in (_PLAIN, _BY_MASKS):", "if False:"),
        ("any masks", "if masks not in _MASKS.get(bits, ()):", "if False:"),
        ("any beginning", "if start < needed:", "if False:"),
        ("grays of few levels", "(levels or bits not in", "(bits not in"),
        ("any head", "if size not in _HEADS:", "if False:"),
    ),
    *of(
        "train/data/png_chunks.py",
        "tests/train/data/test_true_sizes.py",
        ("animations", "self.frames |= kind in _FRAMES", "self.frames = False"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_image_files.py",
        ("sizes told by decoding", "        check_measured(file, name)\n", ""),
    ),
    *of(
        "train/data/image_work.py",
        "tests/train/data/test_image_files.py",
        ("GIFs unnamed", 'rb"GIF8"', 'rb"GIF0"'),
        ("PPMs unnamed", "P[1-7Ff]", "P[0]"),
    ),
    *of(
        "train/evaluation/input_images.py",
        "tests/train/test_predict_failures.py",
        ("passed over", "in _FOUND", "in IMAGE_SUFFIXES"),
    ),
    *of(
        "train/data/images.py",
        "tests/train/data/test_bmp_heads.py",
        ("masks of any format", "        check_is_png(image, name)\n", ""),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_true_sizes.py",
        ("frames of a WebP", 'if part in (b"ANIM", b"ANMF"):', "if False:"),
    ),
    *of(
        "train/data/exif.py",
        "tests/train/data/test_orientation.py",
        ("any form", "form == [_SHORT, 1] and", ""),
    ),
    *of(
        "train/data/jpeg_segments.py",
        "tests/train/data/test_metadata.py",
        ("metadata", "if kind not in _SAID:", "if True:"),
    ),
    *of(
        "train/data/tiff_pictures.py",
        "tests/train/data/test_metadata.py",
        (
            "strips of a byte",
            "        check_parts(len(parts.offsets), file.size, file.name)\n",
            "",
        ),
    ),
    *of(
        "train/data/tiff_pictures.py",
        "tests/train/data/test_orientation.py",
        ("turned twice", "Tag.OLD_SUBFILE, Tag.ORIENTATION)", "Tag.OLD_SUBFILE)"),
    ),
    *of(
        "train/data/png_chunks.py",
        "tests/train/data/test_orientation.py",
        ("texts of EXIF", "if self._text is not None:", "if False:"),
        ("EXIF in texts", "self._text = _unpacked(", "_unpacked("),
    ),
    *of(
        "train/data/images.py",
        "tests/train/test_enlarged.py",
        ("enlarged at will", "    if times > _ENLARGED:", "    if False:"),
        ("scales apart", "/ pixels * max(1.0, largest)", "/ pixels"),
    ),
    *of(
        "train/evaluation/mask_files.py",
        "tests/train/test_enlarged.py",
        ("predicted at will", "self._predictor.check(image.shape[0], str(path))", "0"),
    ),
    *of(
        "train/export.py",
        "tests/train/test_enlarged.py",
        ("exported at will", "*(height, trained.use.image_height, f", "*(height, 0, f"),
    ),
    *of(
        "train/evaluation/large_images.py",
        "tests/train/evaluation/test_memory.py",
        ("any length", "return max(size) * largest > LONGEST_SEEN", "return False"),
        (
            "high windows",
            "map(min, FALLBACK, padded_size(size, _SHORTER))",
            "FALLBACK",
        ),
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
