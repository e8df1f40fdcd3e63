"""Mistakes about files and names from elsewhere, for `python -m tests.mutation`."""

from .trainer import of

PICTURES = [
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_image_files.py",
        ("any format", "formats=_THERE)", "formats=None)"),
        (
            "only known errors",
            "    except Exception as error:\n        if",
            "    except (OSError, ValueError) as error:\n        if",
        ),
        ("several pictures", '"WEBP" and _is_animation(file):', '"WEBP" and False:'),
        ("limit forgotten", "    if count > _limit:", "    if False:"),
    ),
    *of(
        "train/data/exif.py",
        "tests/train/data/test_image_files.py",
        ("broken EXIF refused", "except struct.error:", "except KeyError:"),
        ("turned by any number", " and number in range(1, 9)", ""),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_image_work.py",
        ("tiles", "page.tile\n", "None\n"),
        ("unwatched", "= Watched(file, name)", "= file"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_metadata.py",
        ("PNGs whole", "        return png, or", "        return file, or"),
        ("JPEGs whole", "        return jpeg, or", "        return file, or"),
    ),
    *of(
        "train/data/tiff_files.py",
        "tests/train/data/test_image_work.py",
        ("pages", "in range(PAGES)", "in range(10**9)"),
    ),
    *of(
        "train/data/tiff_files.py",
        "tests/train/data/test_image_files.py",
        ("any pages", "if not all(kind &", "if not all(1 | kind &"),
        ("smaller copies refused", "if not all(kind", "if kinds or not all(kind"),
    ),
    *of(
        "train/data/image_work.py",
        "tests/train/data/test_image_work.py",
        ("parts", "    if count > _CALLS", "    if False and count > _CALLS"),
        ("parts of large files", "// _BYTES_A_CALL", "// 10**9"),
    ),
    *of(
        "train/data/jpeg_segments.py",
        "tests/train/data/test_image_work.py",
        ("scans", "if self._scans < 0:", "if False:"),
        ("scans across blocks", "(self._last + new)", "new"),
        ("scans twice", "content[max(0, self._counted - at) :]", "content"),
    ),
    *of(
        "train/data/tiff_pictures.py",
        "tests/train/data/test_metadata.py",
        (
            "directories",
            "[head, range(len(head), file.size), behind]",
            "[range(file.size)]",
        ),
    ),
    *of(
        "train/data/tiff_entries.py",
        "tests/train/data/test_image_work.py",
        ("one tile", "return across * down", "return max(across, down)"),
    ),
    *of(
        "train/data/images.py",
        "tests/train/data/test_image_files.py",
        ("turned the other way", "in (3, 4, 7, 8):", "in (3, 4, 6, 7):"),
    ),
    *of(
        "train/common/regular.py",
        "tests/train/data/test_image_files.py",
        (
            "checked once",
            "        _check(path, os.fstat(file.fileno()))",
            "        str()",
        ),
        ("opened first", "    _check(path, os.stat(path))", "    str()"),
    ),
]
PLACES_OF_FILES = [
    *of(
        "train/data/inside.py",
        "tests/train/data/test_inside.py",
        ("absolute", "os.path.isabs(name) or ", ""),
        ("parents", ' or inner.split("/")[0] == ".."', ""),
        ("links", "if not self._real.isdisjoint(", "if self._real.isdisjoint("),
        ("consent", "if self._links:", "if False:"),
        ("folders that are links", "in (root, *folders)}", "in (root,)}"),
    ),
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_inside.py",
        ("counted again", "return list(first.values())", "return list(pairs)"),
        ("other masks", "if not same_content(", "if None is same_content("),
        (
            "without lists",
            "            self.inside.checked(path)\n",
            "            str()\n",
        ),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/test_inside.py",
        (
            "converted links",
            "Inside(Path(original), conversion.folders, links=links)",
            "Inside(Path(original), links=True)",
        ),
    ),
    *of(
        "train/data/splits.py",
        "tests/train/data/test_inside.py",
        (
            "copies untold",
            "known = [{digests[pair.image] for pair in other}",
            "known = [{str(pair.image) for pair in other}",
        ),
    ),
    *of(
        "train/data/shared_images.py",
        "tests/train/data/test_inside.py",
        (
            "shared images",
            "if (said := _shared(found, options)) and not meant:",
            "if (said := _shared(found, options)) and False:",
        ),
        ("consent", "meant = options.shared_images or", "meant ="),
    ),
]
NAMES = [
    *of(
        "models/text.py",
        "tests/train/common/test_text.py",
        ("directions", "\\u2066-\\u2069]", "]"),
        ("C1", "\\x7f-\\x9f", "\\x7f"),
    ),
    *of(
        "train/common/text.py",
        "tests/train/common/test_text.py",
        ("formulas", "\"'*[=+", "\"'*[+"),
        ("apostrophes", "\"'*[=+", '"[=+'),
        ("lines in names", "_BREAKING.sub(escaped", "STEERING.sub(escaped"),
    ),
    *of(
        "train/common/command.py",
        "tests/train/common/test_command.py",
        ("steering", "begin + inert(text[len(begin) :])", "text"),
        ("bars", "if self._bars and _MOVES.fullmatch(text):", "if False:"),
        (
            "trace outside",
            "traceback.print_exception(error)  # here",
            "raise  # here",
        ),
        ("forged lines", '.replace("\\n", "\\n  ")', ""),
        ("colored help", "return self._bars and self._stream.isatty()", "return True"),
    ),
    *of(
        "train/evaluation/input_images.py",
        "tests/train/evaluation/test_input_images.py",
        ("long names", "<= _LONGEST:", "<= 999:"),
        ("cut alike", 'return f"{name}_{digest}"', "return name"),
    ),
    *of(
        "train/predict.py",
        "tests/train/test_predict_failures.py",
        (
            "ends a batch",
            "except Exception as error:",
            "except (UserError, OSError) as error:",
        ),
    ),
    *of(
        "train/evaluation/areas.py",
        "tests/train/test_predict_failures.py",
        ("formulas not matched", "list(map(plain_cell, line))", "list(line)"),
    ),
]
SIZES = [
    *of(
        "train/data/inside.py",
        "tests/train/data/test_hostile_folders.py",
        ("loops of links", "entry.is_dir(follow_symlinks=False)", "entry.is_dir()"),
        ("any depth", "if depth > _DEEPEST:", "if False:"),
    ),
    *of(
        "train/data/voc_classes.py",
        "tests/train/data/test_hostile_folders.py",
        ("lists of classes", "        inside.checked(path)\n", "        str()\n"),
    ),
    *of(
        "train/data/voc_classes.py",
        "tests/train/data/test_voc.py",
        ("blank names", 'if "" in lines:', "if False:"),
    ),
    *of(
        "train/data/voc_lists.py",
        "tests/train/data/test_hostile_folders.py",
        ("linked lists", "read_text(files.inside.checked(path)", "read_text((path)"),
        ("long lines", "if len(line.whole) > _LONGEST:", "if False:"),
        ("useless lines", "if done > len(different) + _USELESS:", "if False:"),
        ("repeats unsaid", "again += [pair.name] * repeats[whole]", "pass"),
        ("long names", "if error.errno != errno.ENAMETOOLONG:", "if True:"),
        (
            "every gap",
            're.finditer(r"\\s+", line.text), _DEEPEST)',
            're.finditer(r"\\s+", line.text), None)',
        ),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/test_hostile_folders.py",
        ("linked tables", "        inside.checked(path)\n", "        str()\n"),
    ),
    *of(
        "train/data/voc.py",
        "tests/train/data/test_hostile_folders.py",
        ("digests of any size", "        check_file(path)\n", "        str()\n"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_hostile_folders.py",
        (
            "bytes of pixels",
            "check_size(name, file.seek(0, io.SEEK_END), most_bytes(pixels, each))",
            "file.seek(0, io.SEEK_END)",
        ),
    ),
    *of(
        "train/data/convert/brush_regions.py",
        "tests/train/data/convert/test_brush_regions.py",
        (
            "a value for each result",
            "value: _Value = _Value()",
            "value: _Value = msgspec.field(default_factory=_Value)",
        ),
    ),
    *of(
        "train/data/convert/voc_archives.py",
        "tests/train/data/convert/test_voc_archives.py",
        ("lists of any size", "len(content), _LIST_LIMIT)", "0, _LIST_LIMIT)"),
    ),
    *of(
        "train/data/convert/voc_archives.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("linked archives", "write, folders, read)", "write, folders)"),
        ("unpacked elsewhere", "write, folders, read)", "write, (), read)"),
    ),
    *of(
        "train/common/regular.py",
        "tests/train/data/test_hostile_folders.py",
        ("bytes", "    if size > most:", "    if False:"),
    ),
    *of(
        "train/common/regular.py",
        "tests/train/common/test_regular.py",
        ("without end", "return file.read(size)", "return file.read()"),
        ("faults of disks", "raise unreadable(path, error) from error", "raise"),
    ),
]
HOSTILE = [*PICTURES, *PLACES_OF_FILES, *NAMES, *SIZES]
