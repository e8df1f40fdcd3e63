"""Mistakes in reading a user's own folders, for `python -m tests.mutation`."""

from .trainer import of

SPLITS = [
    *of(
        "train/data/splits.py",
        "tests/train/data/test_splits.py",
        ("another seed", "default_rng(0)", "default_rng(1)"),
        ("order of the disk", "for name in sorted(images):", "for name in images:"),
        (
            "copies on both sides",
            "groups.setdefault(images[name]",
            "groups.setdefault(name",
        ),
        (
            "one side empty",
            "if fraction and len(taken) in (0, len(images)):",
            "if False:",
        ),
        ("sides swapped", "if pair.name not in held]", "if pair.name in held]"),
        (
            "missing untold",
            "if missing := [name for name in val if",
            "if missing := [name for name in () if",
        ),
        (
            "other splits",
            "if absent := [split for split in splits if",
            "if absent := [split for split in () if",
        ),
        (
            "nothing divides",
            "if not val and listing.only_list:",
            "if listing.only_list:",
        ),
    ),
    *of(
        "train/data/dataset.py",
        "tests/train/data/test_splits.py",
        (
            "said nothing",
            "    if held:\n        note(",
            "    if held:\n        str(",
        ),
        (
            "recorded split lost",
            "return _told(images, self.val_names,",
            "return _told(images, division(images, 0.3),",
        ),
        (
            "recorded split untold",
            "    held = sum(name in images for name in val)\n",
            "    held = by.startswith('--') and len(val)\n",
        ),
        ("split kept", '{**values, "split": 0.0}', "values"),
        ("split of the scenes", 'options.split == 0 or options.folder != ""', "True"),
    ),
    *of(
        "train/data/kinds.py",
        "tests/train/data/test_splits.py",
        ("unused split", "if options.split and not folder.val_names:", "if False:"),
    ),
    *of(
        "train/workdir/run.py",
        "tests/train/data/test_splits.py",
        ("split not recorded", "val_names=dataset.val_names,", "val_names=(),"),
        (
            "recorded too early",
            "self.has_checkpoint() and self.is_described()",
            "self.is_described()",
        ),
    ),
    *of(
        "train/main.py",
        "tests/train/test_divided_runs.py",
        (
            "starts without data",
            "    run.check_data(found)\n    check_classes",
            "    check_classes",
        ),
    ),
    *of(
        "train/workdir/run.py",
        "tests/train/test_divided_runs.py",
        ("evaluated anew", "return self.with_split(moved)", "return moved"),
    ),
]
FILES = [
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_splits.py",
        (
            "images alone",
            "if spare or not names or None in masks.values():",
            "if spare:",
        ),
        ("masks alone", "if spare or not names or", "if not names or"),
        ("two of one name", "if found.setdefault(name, path) != path:", "if False:"),
    ),
    *of(
        "train/data/inside.py",
        "tests/train/data/test_splits.py",
        ("hidden files", 'if any(part.startswith(".")', 'if any(part.startswith("?")'),
    ),
    *of(
        "train/data/inside.py",
        "tests/train/data/test_seeming_names.py",
        ("images gone", "            check_links([path])\n", "            pass\n"),
    ),
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_seeming_names.py",
        (
            "listed images gone",
            'self._only(found, "im',
            'self._only([*filter(Path.is_file, found)], "im',
        ),
    ),
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_plain_pairs.py",
        ("shared mask", "            if own:\n", "            if False:\n"),
        ("other formats", "raise _other_format(", "str("),
        ("no images", "if not count and not spare:", "if False:"),
        ("other ends", "(name + end), []", "name, []"),
    ),
    *of(
        "train/common/text.py",
        "tests/train/data/test_plain_pairs.py",
        ("more untold", '", …" * (len(names) > most)', '""'),
    ),
    *of(
        "train/data/voc_files.py",
        "tests/train/data/test_seeming_names.py",
        ("masks of others", "raise other_letters(path,", "str(path) or (path,"),
        ("endings of others", "{other, other[: len(other) - len(end)]}", "{other}"),
        ("own endings", "- len(end)]} - {name}", "- len(end)]}"),
    ),
    *of(
        "train/data/named_files.py",
        "tests/train/data/test_seeming_names.py",
        ("folders gone", "check_links([folder])", "pass"),
        (
            "folders in other letters",
            "check_spelling(folder.parent, [folder.name])",
            "pass",
        ),
        ("not listed", "if not it.is_dir())", "if it.is_file())"),
        ("any letters", "if path.name.startswith(place.name)]", "]"),
    ),
    *of(
        "train/data/convert/coco_places.py",
        "tests/train/data/convert/test_coco.py",
        ("tables gone", "    check_links(folder / ROBOFLOW_COCO", "    tuple(folder"),
    ),
    *of(
        "train/data/convert/roboflow.py",
        "tests/train/data/convert/test_roboflow.py",
        ("background elsewhere", "if name == BACKGROUND:", "if False:"),
    ),
    *of(
        "train/data/unread.py",
        "tests/train/data/test_split_lists.py",
        ("rare endings", ".pbm .pfm .pgm", ".pfm .pgm"),
    ),
    *of(
        "train/data/voc_lists.py",
        "tests/train/data/test_voc_lists.py",
        ("the folder itself", 'if name == ".":', "if False:"),
    ),
    *of(
        "train/data/plain_pairs.py",
        "tests/train/data/test_plain_pairs.py",
        (
            "no lists",
            "if listing := listing_by_lists(files, splits):",
            "if listing := None:",
        ),
        ("no folders within", "    if parts:\n", "    if False:\n"),
        ("imgs", '("images", "imgs")', '("images",)'),
        ("case of folders", "setdefault(name.lower(), [])", "setdefault(name, [])"),
        ("upper case first", "sorted(names, reverse=True)", "sorted(names)"),
    ),
    *of(
        "train/data/split_lists.py",
        "tests/train/data/test_plain_pairs.py",
        ("missing split", "if split not in there:", "if False:"),
        (
            "first alias alone",
            "for name in of if (it :=",
            "for name in of[:1] if (it :=",
        ),
    ),
    *of(
        "train/data/voc_classes.py",
        "tests/train/data/test_exports.py",
        ("ignored class", "lines[lines[:1] == [LABELME_IGNORED] :]", "lines"),
    ),
    *of(
        "train/data/split_lists.py",
        "tests/train/data/test_exports.py",
        (
            "list of CVAT",
            "if missing and [path.stem for path in within] == [_CVAT_LIST]:",
            "if False:",
        ),
    ),
    *of(
        "train/data/split_lists.py",
        "tests/train/data/test_voc.py",
        ("missing in VOC layout", "    if missing:\n", "    if False:\n"),
    ),
    *of(
        "train/data/mask_checks.py",
        "tests/train/data/test_mask_checks.py",
        ("command", "(mask == 255)", "(mask > 255)"),
        ("command on images", "known[0] if known else str(own)", '"*"'),
        ("other letters", "part.lower() in _FOLDERS", "part in _FOLDERS"),
        ("command on others", "if not (mask % 255).any()]", "]"),
    ),
]
CONVERSIONS = [
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_conversion.py",
        (
            "two files of a name",
            "if (known := self._written.get(name, file)) != file:",
            "if known := None:",
        ),
        ("list of nothing", '        self._lists.pop("", None)\n', ""),
        (
            "names for digests",
            'f"{path.relative_to(root)} {known[path]}"',
            'f"{path.relative_to(root)} {len(known)}"',
        ),
    ),
    *of(
        "train/data/convert/roboflow.py",
        "tests/train/data/convert/test_roboflow.py",
        ("always linked", "mask if as_they_are else", "mask if True else"),
        ("never linked", "mask if as_they_are else", "mask if False else"),
        ("order of lines", "return dict(sorted(classes.items()))", "return classes"),
        ("no background", "{0: BACKGROUND} | read[0]", "read[0]"),
        ("no class", "if read[0].get(0) == LABELME_IGNORED:", "if False:"),
        ("commas in names", "first, name = row", "first, name, *_ = row"),
        ("blank first line", "start=1) if it[1]]", "start=1) if it[1] or it[0] < 2]"),
        (
            "masks of any ending",
            '.name.lower().endswith(f"{_END}.png")',
            ".stem.endswith(_END)",
        ),
        ("tables differ", "if classes != read[0]:", "if False:"),
        ("not whole", "if alone or spare:", "if False:"),
        ("unknown value", "if (indices < 0).any():", "if False:"),
        ("twice", "or value in classes or", "or"),
        ("others' tables", "and _is_of_masks(table)]", "]"),
        ("one part listed", "if len(images) == 1:", "if False:"),
        ("ignored", "table[IGNORED] = IGNORED", "pass"),
        ("masks not in the key", "[*tables, *masks]", "tables"),
    ),
    *of(
        "train/data/convert/run_lengths.py",
        "tests/train/data/convert/test_run_lengths.py",
        ("total", "or lengths.sum() != most", ""),
        ("negative", "(lengths < 0).any() or", ""),
        ("sign", "((codes[ends] & _SIGN) != 0)", "False"),
        ("first column", "for first in (1, 2):", "for first in (0, 1):"),
        ("endless", "or ends[-1] != len(codes) - 1", ""),
        ("without end", "counts = counts[: 8 * most + 8]", "str()"),
        ("by the million", "if len(counts) > _MOST:", "if False:"),
        ("within another", "np.maximum.accumulate(ends[order])", "ends[order]"),
        ("too long", "if digits.max() > 7:", "if False:"),
    ),
    *of(
        "train/data/images.py",
        "tests/train/data/convert/test_coco.py "
        "tests/train/data/convert/test_coco_refusals.py",
        (
            "as stored",
            "return size[::-1] if image.info[ORIENTATION] >= 5 else size",
            "return size",
        ),
    ),
]
SOURCES = [*SPLITS, *FILES, *CONVERSIONS]
