"""Mistakes in reading sets of TFDS, for `python -m tests.mutation`."""

from .trainer import of

TFDS_SETS = [
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("splits of before", "repr((meaning, said))", "repr(meaning)"),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_tfds_sets.py",
        ("said twice", "if key in told:", "if False:"),
        (
            "bytes of floats",
            "if (dtype := images[feature].dtype) not in _PICTURES:",
            "if False:",
        ),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_tfds_records.py",
        ("room of a set", "check_records(path, room)", "check_records(path)"),
        ("parts of masks", "red=meaning.red, name=name)", "red=meaning.red)"),
        ("files again", "    _check_distinct(files)\n", ""),
        ("own EXIF", "mask if own == wanted else", "mask if True else"),
        ("turned as they are", "{6: 8, 8: 6}.get(own, own)", "own"),
        ("names of one file", "identity(file)", "(0, hash(file))"),
        ("disks filled", "if (left := left - len(image) - len(content)) < 0:", "if 0:"),
    ),
    *of(
        "train/data/convert/tfds_files.py",
        "tests/train/data/convert/test_tfds_places.py",
        ("two of a name", "    if len(there) > 1:", "    if False:"),
        ("links to nothing of TFDS", "    check_links_in(folder)\n", ""),
        ("set gone", "    check_links([folder])\n", ""),
        ("metadata gone", "    check_links([path])\n", ""),
        (
            "versions in part",
            "    if not (latest / name).is_file():",
            "    if False:",
        ),
        (
            "configurations in part",
            "if _versions(folder)]",
            "if any(folder.glob('*/f*'))]",
        ),
    ),
    *of(
        "train/data/convert/tfds_files.py",
        "tests/train/data/convert/test_tfds_records.py",
        ("split of two", "        if split.name in splits:", "        if False:"),
    ),
    *of(
        "train/data/convert/tfds_files.py",
        "tests/train/data/convert/test_tfds_files.py",
        ("names of sets", "_NAME.fullmatch(name)", "_NAME.match(name)"),
        ("names of files", "if within(name) is None:", "if False:"),
        ("names of splits", "if not _SPLIT.fullmatch(split.name):", "if False:"),
    ),
    *of(
        "train/data/convert/tfds_files.py",
        "tests/train/data/convert/test_tfds_places.py",
        (
            "configurations",
            "[it for it in configs if it == named.default_config_name]",
            "[named.default_config_name]",
        ),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_tfds_files.py",
        ("links of sets", "        inside.checked(file)\n", "        str()\n"),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_tfds_records.py",
        (
            "records of any kind",
            "    except Exception as error:  # array_record",
            "    except KeyError as error:  # array_record",
        ),
    ),
]
