"""Mistakes about runs and folders of strangers, for `python -m tests.mutation`.

What a mistake makes a test wait for, as for a pipe, would never end: the tests that are
named fail before that.
"""

from .trainer import of

STRANGERS = [
    *of(
        "train/workdir/evaluated.py",
        "tests/train/test_handed_over.py",
        ("links of a run", "        links=chosen.links,\n", ""),
    ),
    *of(
        "train/workdir/trained.py",
        "tests/train/test_handed_over.py",
        (
            "limit of a run",
            "min(config.data.pixel_limit, PIXEL_LIMIT)",
            "config.data.pixel_limit",
        ),
    ),
    *of(
        "train/data/dataset.py",
        "tests/train/data/test_record_files.py",
        (
            "links in --prepared",
            "    check_prepared(Path(options.prepared))\n",
            "    str()\n",
        ),
    ),
    *of(
        "train/data/records.py",
        "tests/train/data/test_record_files.py",
        ("links to records", "        check_no_link(records)\n", "        str()\n"),
        ("elsewhere", "if path.resolve().parent != folder:", "if False:"),
        (
            "unpacked at once",
            "            check_records(path)\n",
            "            str()\n",
        ),
        (
            "one record",
            "        with blaming_records(self.origin.folder, self.origin.split):\n",
            "        if True:\n",
        ),
    ),
    *of(
        "train/data/record_files.py",
        "tests/train/data/test_record_files.py",
        ("many", " + _BYTES_A_RECORD * chunk.records", ""),
        ("again", "max(chunk.records - 1, 0)", "0"),
        ("part of another file", "if _PART.search(path.name):", "if False:"),
        ("heads between", "        if at % _BLOCK == 0:\n", "        if at == 0:\n"),
        ("heads counted", " + heads * _BLOCK_HEAD", ""),
        ("any beginning", "if at == 0 and chunk != _SIGNATURE:", "if False:"),
        ("any kind", 'elif at > 0 and chunk[1:] != (b"p", 0, 0):', "elif False:"),
        ("any end", "if at != size or len(last) < 2:", "if len(last) < 2:"),
        ("any index", "if end != size - _BLOCK or not", "if False and"),
        ("any groups", "not 0 < self._last <= self._group:", "False:"),
        ("right after a head", "if 0 < within <= _BLOCK_HEAD:", "if within < 0:"),
    ),
    *of(
        "train/data/convert/tfds_sets.py",
        "tests/train/data/convert/test_tfds_records.py",
        ("unpacked at once", "    check_records(path, room)\n", "    str()\n"),
    ),
    *of(
        "train/experiments/plans.py",
        "tests/train/experiments/test_plans.py",
        ("linked runs", "        check_no_link(self.workdir)\n", "        str()\n"),
        ("linked code", "        check_no_link(self.compiled)\n", "        str()\n"),
        ("linked run", "check_no_link(self.workdir / name)", "str()"),
    ),
    *of(
        "train/experiments/charts.py",
        "tests/train/experiments/test_damaged_results.py",
        ("missing steps", ".intersection(*found[1:])", ""),
    ),
    *of(
        "train/evaluation/input_images.py",
        "tests/train/evaluation/test_input_images.py",
        ("one name", "if not taken.isdisjoint(_keys(outputs[path])):", "if False:"),
    ),
    *of(
        "train/common/processes.py",
        "tests/train/test_processes.py::test_incomplete_options_are_refused",
        ("any digits", "([0-9]{1,5})", r"(\d{1,5})"),
        ("any port", " and 0 < int(found[1]) < 2**16", ""),
    ),
    *of(
        "train/common/command.py",
        "tests/train/common/test_command.py",
        ("no backend", " and _NO_BACKEND in str(error):", " and False:"),
        ("switches", "str(error).startswith(_SWITCHES):", "False:"),
    ),
    *of(
        "train/experiments/publish.py",
        "tests/train/experiments/test_damaged_results.py",
        (
            "charts through links",
            "replace_bytes(path, buffer.getvalue())",
            "path.write_bytes(buffer.getvalue())",
        ),
        (
            "results of any form",
            "        check_entry(entry, path)\n",
            "        str()\n",
        ),
    ),
    *of(
        "train/experiments/entries.py",
        "tests/train/experiments/test_damaged_results.py",
        ("unchecked", "    check_entry(entry, run.workdir)\n", "    str()\n"),
        ("renamed", "if name not in described", "if name"),
        ("other classes", "            found.check_classes()\n", "            str()\n"),
    ),
    *of(
        "train/experiments/comparison.py",
        "tests/train/experiments/test_damaged_results.py",
        ("other pixels", "if _truth(entry) != _truth(entries[0]):", "if False:"),
    ),
    *of(
        "train/report/html.py",
        "tests/train/report/test_names.py",
        ("planted settings", 'if not name.startswith("backend")', "if False"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/common/test_files.py",
        ("hard links", "path.stat().st_nlink > 1:", "False:"),
        ("logs", '    replace_bytes(path, b"")\n', "    str()\n"),
    ),
    *of(
        "train/training/checkpoint.py",
        "tests/train/training/test_strange_checkpoints.py::"
        "test_folder_of_checkpoints_may_be_a_link",
        ("links to folders", "check_kinds_below(folder)", "str(folder)"),
    ),
    *of(
        "train/data/inside.py",
        "tests/train/common/test_regular.py",
        ("devices", "            check_kind(path)\n", "            str()\n"),
    ),
    *of(
        "train/data/records.py",
        "tests/train/data/test_hostile_folders.py::test_records_are_looked_at",
        (
            "pipes of records",
            "        check_kinds_below(records)\n",
            "        str()\n",
        ),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/test_hostile_folders.py",
        (
            "links of before",
            "        check_whole(folder, inside)\n",
            "        str()\n",
        ),
    ),
    *of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_conversion_places.py",
        ("no folder", "if os.path.lexists(folder):", "if folder.is_dir():"),
        ("two names", 'path.open("xb")', 'path.open("wb")'),
        ("known names", "        partial.mkdir(parents=True)\n", "        str()\n"),
    ),
    *of(
        "train/evaluation/input_images.py",
        "tests/train/test_predict_failures.py",
        ("bad links", "and not os.path.isdir(file)", "and os.path.isfile(file)"),
    ),
    *of(
        "train/evaluation/input_images.py",
        "tests/train/test_overwriting.py",
        ("itself", "            if _is_one(path, output):", "            if False:"),
        ("other names", " or _is_one(path.parent, out)", ""),
    ),
    *of(
        "train/evaluation/own_pictures.py",
        "tests/train/test_overwriting.py",
        ("pictures of any size", "with opened(path)", "with Image.open(path)"),
    ),
    *of(
        "train/common/text.py",
        "tests/train/common/test_command.py::test_lines_of_a_message_have_an_end",
        ("long lines", "(shortened(it, _LONGEST_LINE) for", "(it for"),
    ),
    *of(
        "train/common/notes.py",
        "tests/train/common/test_command.py::test_lines_of_a_note_have_an_end",
        ("long notes", "    text = of_short_lines(text)\n", ""),
    ),
    *of(
        "train/common/errors.py",
        "tests/train/inspection/test_faults.py::test_words_of_any_length_take_no_time",
        ("long faults", "super().__init__(of_short_lines(", "super().__init__(str("),
    ),
    *of(
        "train/workdir/evaluated.py",
        "tests/train/test_handed_over.py",
        (
            "limit of pixels",
            "prediction.pixel_limit or trained.use.pixel_limit",
            "trained.use.pixel_limit",
        ),
    ),
    *of(
        "train/workdir/trained.py",
        "tests/train/test_handed_over.py",
        ("nameless", "if named else", "if True else"),
    ),
    *of(
        "models/torch_files.py",
        "tests/models/test_torch_files.py",
        ("twice", "if len(entries) < len(archive.infolist()):", "if False:"),
    ),
    *of(
        "train/common/sealed.py",
        "tests/train/common/test_sealed.py",
        ("names counted again", "if name in table:", "if name in [*table]:"),
    ),
    *of(
        "train/workdir/trained.py",
        "tests/train/workdir/test_run.py",
        ("made by reading", "    if folder.is_dir():", "    if True:"),
        ("link to checkpoints", "if folder.is_symlink():", "if False:"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/workdir/test_run.py",
        (
            "files as steps",
            "is_count(place.name) and os.path.isdir(place)",
            "is_count(place.name)",
        ),
        ("any digits", "is_count(place.name) and", "place.name.isdigit() and"),
    ),
    *of(
        "train/workdir/batch.py",
        "tests/train/workdir/test_run.py",
        ("links of a run", "(options, links=links, ", "(options, "),
        (
            "limit of a run",
            "min(options.pixel_limit, PIXEL_LIMIT)",
            "options.pixel_limit",
        ),
        ("another batch", '", links=True" * config.data.links', '""'),
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/test_masks.py",
        (
            "rows sorted",
            "_listed(colors_of(pixels)[0])",
            "_listed(np.unique(pixels.reshape(-1, 3), axis=0))",
        ),
        ("unknown sorted", "found, _ = colors_of(", "found = np.unique(axis=0, ar="),
    ),
    *of(
        "train/common/command.py",
        "tests/train/common/test_surroundings.py",
        ("links in circles", "and _LOOP_OF_LINKS in str(error)", "and False"),
        (
            "arithmetic of a variable",
            '"jax_enable_x64": False',
            '"jax_enable_x64": True',
        ),
        (
            "ranks of a variable",
            'rank_promotion": "allow"',
            'rank_promotion": "raise"',
        ),
    ),
    *of(
        "models/beginning.py",
        "tests/train/common/test_surroundings.py",
        ("traces of imports", "    sys.excepthook = _tell", "    pass"),
        ("stops of imports", "if issubclass(kind, KeyboardInterrupt):", "if False:"),
        ("values of tqdm", "repr(os.environ[name]) in message", "False"),
    ),
    *of(
        "train/data/unread.py",
        "tests/train/data/test_split_lists.py",
        (
            "listed for each name",
            "_called(folder / name, suffixes) if name",
            "list((folder / name).parent.glob('*')) if name",
        ),
    ),
]
