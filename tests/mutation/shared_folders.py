"""Mistakes in what is folders that others made, for `python -m tests.mutation`."""

from .trainer import of

SHARED_FOLDERS = [
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_two_of_a_name.py",
        ("first of two", "        if len(paths) > 1:\n", "        if False:\n"),
        (
            "mask of another image",
            "for end in found if end not in own for path",
            "for end in found for path",
        ),
    ),
    *of(
        "train/data/named_files.py",
        "tests/train/data/test_work_of_folders.py",
        (
            "listed again",
            "if (listed := self._listed.get(known)) is None:",
            "if not (listed := self._listed.get(known)):",
        ),
        ("folders that are not there", "if not folder.is_dir():", "if False:"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/data/test_work_of_folders.py",
        ("one mask compared", "first.samefile(other) or ", ""),
        (
            "each name of a folder",
            "return found.st_dev, found",
            "return str(path), found",
        ),
    ),
    *of(
        "train/data/voc_lists.py",
        "tests/train/data/test_work_of_folders.py",
        (
            "each name of an image",
            "different.add(identity(pair.image))",
            "different.add(pair.name)",
        ),
    ),
    *of(
        "train/data/inside.py",
        "tests/train/data/test_work_of_folders.py",
        ("one by one", "isdisjoint((real, *real.parents))", "isdisjoint((real,))"),
    ),
    *of(
        "train/data/split_lists.py",
        "tests/train/data/test_two_of_a_name.py",
        ("first list", "    _check_one_name(files, splits)\n", ""),
        ("first folder", 'if end == "/" and len(every[split]) > 1:', "if False:"),
    ),
    *of(
        "train/data/plain_pairs.py",
        "tests/train/data/test_two_of_a_name.py",
        (
            "case of a split above",
            "_check_case(folder, lambda other: _files(other) is not None)",
            "str()",
        ),
        (
            "case of a split below",
            "_check_case(folder, lambda other: any(files_below(other, read)))",
            "str()",
        ),
        (
            "case of a kind",
            "[path for name in names for path in there.get(name, ())]",
            "[there[name][0] for name in names if name in there]",
        ),
    ),
    *of(
        "train/data/convert/label_studio.py",
        "tests/train/data/test_two_of_a_name.py",
        ("last region", "masks.setdefault(region, path)) != path:", "path) != path:"),
        (
            "one task",
            "if len({key_of(task.id) for task in tasks}) < len(tasks):",
            "if False:",
        ),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/test_two_of_a_name.py",
        ("images unnamed", "self._written.get(name, file)) != file:", "file) != file:"),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_json_numbers.py",
        ("bounded above alone", "ge=-(2**62), lt=2**62", "lt=2**62"),
    ),
    *of(
        "train/data/convert/run_lengths.py",
        "tests/train/data/convert/test_json_numbers.py",
        ("no lower bound", "min(max(count, -1), most + 1)", "min(count, most + 1)"),
    ),
    *of(
        "train/data/convert/voc_archives.py",
        "tests/train/data/test_two_of_a_name.py",
        ("last member", "    if id in found:\n", "    if False:\n"),
    ),
    *of(
        "train/data/convert/tfds_files.py",
        "tests/train/data/convert/test_tfds_files.py",
        (
            "product of fields",
            "max(map(len, (template, *words.values()))) > _LONGEST",
            "False",
        ),
    ),
    *of(
        "train/data/origin.py",
        "tests/train/data/test_strange_records.py",
        ("values", "    if (found := strange[label]).any():\n", "    if False:\n"),
        ("sizes", "    if (height, width) != (tall, wide):\n", "    if False:\n"),
        ("forms", "form_of(image) != origin.form:", "None:"),
        ("names", "if origin and not is_shown(name):", "if False:"),
        (
            "unblamed",
            "    with blaming_records(origin.folder, origin.split, but=MemoryError):\n",
            "    if True:\n",
        ),
    ),
    *of(
        "train/data/images.py",
        "tests/train/data/test_strange_records.py",
        (
            "names unread",
            "            name_in(record, origin)\n",
            "            str()\n",
        ),
    ),
    *of(
        "train/data/records.py",
        "tests/train/data/test_strange_records.py",
        ("names as they are", "return shown(name).encode(", "return name.encode("),
    ),
    *of(
        "train/common/text.py",
        "tests/train/common/test_text.py",
        ("one escape for two", " or _ESCAPE.search(name)", ""),
        ("bytes", "|[\\ud800-\\udfff]", ""),
    ),
    *of(
        "train/common/text.py",
        "tests/train/evaluation/test_areas.py",
        ("lines of two", " or _ESCAPE.search(name)", ""),
    ),
    *of(
        "train/data/tiff_pictures.py",
        "tests/train/data/test_tiff_pictures.py",
        ("gray and more", "and samples > 2:", "and samples > 9:"),
        ("deep planes", "(bits != 8 or colors ==", "(colors =="),
        ("white planes", "(bits != 8 or colors == WHITE_IS_ZERO)", "bits != 8"),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_coco.py",
        (
            "objects of the first",
            "if self._masks.setdefault(name, its) != its:",
            "if False:",
        ),
    ),
    *of(
        "train/evaluation/mask_files.py",
        "tests/train/test_many_images.py",
        ("digest of the next", "if signature_of(path) != before:", "if False:"),
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/convert/test_tfds_sets.py",
        (
            "red of gray",
            'raise UserError(f"{name} holds no colors, whose red are its classes.")',
            "return pixels",
        ),
    ),
    *of(
        "train/data/convert/roboflow.py",
        "tests/train/data/test_two_of_a_name.py",
        ("parts of one split", "if other != table and other.is_file():", "if False:"),
    ),
    *of(
        "train/data/voc_lists.py",
        "tests/train/data/test_two_of_a_name.py",
        (
            "paths of one name",
            "(pair.name, pair.image)) != pair.image:",
            "(pair.name, pair.image)) == 0:",
        ),
    ),
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_two_of_a_name.py",
        ("links unsaid", "if path.is_symlink() and path.is_dir()", "if False"),
    ),
    *of(
        "train/data/plain_pairs.py",
        "tests/train/data/test_two_of_a_name.py",
        ("images beside unsaid", "        if aside:", "        if False:"),
    ),
    *of(
        "train/data/voc_records.py",
        "tests/train/data/test_strange_records.py",
        ("any number", "len(source) != len(pairs) or found", "found"),
        ("any images", " or found != expected:", ":"),
    ),
    *of(
        "train/data/shared_images.py",
        "tests/train/data/test_inside.py",
        ("held out and kept", "and not options.holdout", ""),
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/test_masks.py",
        (
            "255 is no class",
            "if not (IGNORED in used and is_own and",
            "if not (False and",
        ),
        (
            "void behind the classes",
            "        if same and not is_void:",
            "        if same:",
        ),
        ("filled palettes", "axis=1).sum() == 1", "axis=1).sum() >= 1"),
    ),
]
