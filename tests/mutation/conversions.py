"""Mistakes about what is converted, for `python -m tests.mutation`."""

from .trainer import of

CONVERTED = [
    *of(
        "train/data/convert/links.py",
        "tests/train/data/convert/test_links.py",
        ("names alone", "\\0{leads_to}", ""),
        (
            "files as they lie",
            "        if path.is_symlink():\n            leads",
            "        if False:\n            leads",
        ),
        ("links to folders", " and not path.is_symlink():", ":"),
        ("its own", "if not hidden and not str", "if not hidden and str"),
        ("converted images", ".startswith(made)", '.startswith("\\0")'),
        ("any original", "        if name is None:", "        if False:"),
        ("as it was", "if os.path.realpath(original) != leads_to or", "if"),
        ("gone", " or not original.is_file():", ":"),
        ("out of the data", "        inside.checked(original)\n", ""),
    ),
    *of(
        "train/data/convert/coco.py",
        "tests/train/data/convert/test_links.py",
        ("folders elsewhere", "{root, *folders}", "{root}"),
    ),
    *of(
        "train/data/convert/coco.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("compared once", "[*tables, *sorted(twins)]", "tables"),
    ),
    *of(
        "train/data/convert/links.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("names of the whole", 'start = str(folder / "_")[:-1]', 'start = ""'),
        ("one file", " and not os.path.samefile(other, path):", ":"),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("splits of before", "*found.described]", "found.described[1]]"),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_tfds_sets.py",
        (
            "bytes of floats",
            "if (dtype := images[feature].dtype) not in _PICTURES:",
            "if False:",
        ),
        ("several masks", "if len(values) != 1]", "if not values]"),
        ("parts of masks", "red=meaning.red, name=name)", "red=meaning.red)"),
    ),
    *of(
        "train/data/images.py",
        "tests/train/data/convert/test_tfds_sets.py",
        ("content of others", "whole = bool(name) or", "whole ="),
    ),
    *of(
        "train/data/convert/originals.py",
        "tests/train/data/convert/test_tfds_sets.py",
        ("other names of splits", "    if there:  # by", "    if False:  # by"),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_tfds_files.py",
        ("files again", "    _check_distinct(files)\n", ""),
        ("names of one file", "status.st_dev, status.st_ino", "0, hash(file)"),
    ),
    *of(
        "train/data/convert/tfds_files.py",
        "tests/train/data/convert/test_tfds_files.py",
        ("two of a name", "    if len(there) > 1:", "    if False:"),
    ),
    *of(
        "train/data/convert/archives.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("links anywhere", "if not file.resolve().is_relative_to(whole):", "if False:"),
    ),
    *of(
        "train/data/convert/voc_archives.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("links once", "in files_unpacked(more.path)]", 'in more.path.rglob("*")]'),
    ),
    *of(
        "train/data/convert/label_studio.py",
        "tests/train/data/convert/test_links.py",
        ("places not in the key", "prepared), *images)", "prepared),)"),
        ("masks unchecked", "key, write, folders, read)", "key, write, folders)"),
    ),
    *of(
        "train/data/convert/roboflow.py",
        "tests/train/data/convert/test_links.py",
        ("places not in the key", "*file_places(root, files))", "str(len(files)))"),
        ("masks unchecked", "write, folders, read)", "write, folders, tables)"),
    ),
    *of(
        "train/data/convert/brush_regions.py",
        "tests/train/data/convert/test_brush_regions.py",
        ("places", "if drawn or sized or brush:", "if sized or brush:"),
        ("sizes", "if drawn or sized or brush:", "if drawn or brush:"),
        ("lost brushes", "if drawn or sized or brush:", "if drawn or sized:"),
        ("remarks", "and result.type not in _ATTRIBUTES", ""),
        ("remarks of regions", "and _pixels(result) in labeled:", "and False:"),
        ("other pixels", "repr(result.id), bytes(result.value.rle)", "result.id, 0"),
        ("other regions", "return repr(result.id), bytes", "return 0, bytes"),
        ("slashes", r're.sub(r"[/\\]", "-", name)', "name"),
        ("backslashes", r'r"[/\\]"', '"/"'),
        ("one mask over another", "        if count > 1:", "        if False:"),
    ),
    *of(
        "train/data/convert/brush_regions.py",
        "tests/train/data/convert/test_label_studio.py",
        ("numbers", "        numbers[tag] += 1\n", ""),
        ("labels", "if not labels or len(labels) != 1:", "if not labels:"),
    ),
    *of(
        "train/data/convert/label_studio.py",
        "tests/train/data/convert/test_brush_regions.py",
        ("backslashes of files", "in_file_names(found[3])", "found[3]"),
    ),
    *of(
        "train/data/convert/label_studio.py",
        "tests/train/data/convert/test_label_studio.py",
        ("names of no upload", "and short != names[0]:", ":"),
        ("digits of all scripts", "task-([0-9]+)-", r"task-(\d+)-"),
    ),
    *of(
        "train/data/convert/coco_masks.py",
        "tests/train/data/convert/test_coco.py",
        ("without pixels", "if not area and unseen is not None:", "if False:"),
    ),
    *of(
        "train/common/text.py",
        "tests/train/data/test_voc.py",
        ("any digits", "if not _DIGITS.fullmatch(text):", "if False:"),
    ),
    *of(
        "train/data/convert/roboflow.py",
        "tests/train/data/convert/test_roboflow.py",
        ("any digits", "whole_number(row[0])", "int(row[0])"),
    ),
    *of(
        "train/data/image_files.py",
        "tests/train/data/test_image_files.py",
        ("turned by text", "1 if isinstance(found, str | bytes) else ", ""),
    ),
    *of(
        "train/training/initial_weights.py",
        "tests/train/training/test_partial_weights.py",
        ("any digits", 'if text.isascii() and "_" not in text', "if text"),
    ),
]
