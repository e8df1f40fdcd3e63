"""Mistakes in what palettes, grays and layouts mean, for `python -m tests.mutation`."""

from .trainer import of

PALETTES = [
    *of(
        "train/workdir/evaluated.py",
        "tests/train/workdir/test_evaluated.py",
        ("other palettes evaluated", "    check_colors(Run(run), dataset)\n", ""),
        ("labelmap overruled", "    if dataset.by_color:\n", "    if False:\n"),
    ),
    *of(
        "train/tune_crf.py",
        "tests/train/test_crf_programs.py",
        ("other palettes tuned on", "    check_colors(Run(run), dataset)\n", ""),
    ),
    *of(
        "train/workdir/run.py",
        "tests/train/workdir/test_evaluated.py",
        (
            "colors lost",
            "colors = self.described().mask_colors if self.is_described() else {}",
            "colors = {}",
        ),
    ),
    *of(
        "train/data/kinds.py",
        "tests/train/data/test_mask_colors.py",
        ("palettes forgotten", "builder.check_prepared()", "pass"),
    ),
    *of(
        "train/data/mask_colors.py",
        "tests/train/data/test_mask_colors.py",
        ("colors numbered anew", "if known and one.color not in", "if False and"),
        ("fillings of palettes", "if one.value in used]", "]"),
        ("colors of several values", "        if count == 1:\n", "        if True:\n"),
    ),
    *of(
        "train/data/mask_colors.py",
        "tests/train/data/test_ignored_colors.py",
        ("classes ignored", "not values <= self._void", "not values & self._void"),
        ("void values differ", "if len(values) > 1 and not", "if len(values) > 1 or"),
        ("void values told of", "            if one.value in self._void:\n", ""),
    ),
    *of(
        "train/data/kinds.py",
        "tests/train/data/test_ignored_colors.py",
        ("void counted", "made=folder.made, void=folder.void", "made=folder.made"),
    ),
    *of(
        "train/workdir/evaluated.py",
        "tests/train/workdir/test_evaluated.py",
        ("void counted in a run", "(trained, dataset.void)", "(trained)"),
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/test_record_versions.py",
        (
            "other records of one version",
            "if not (IGNORED in used and",
            "if not (False and",
        ),
    ),
    *of(
        "train/data/voc_records.py",
        "tests/train/data/test_mask_checks.py",
        ("values of before", "add(found.shown)\n        self._check(found)", "add(())"),
        ("values not read again", "            values |= used\n", ""),
        ("values of any split", "if split == next(iter(folder.splits)):", "if True:"),
    ),
    *of(
        "train/data/voc_records.py",
        "tests/train/data/test_mask_colors.py",
        ("masks of before", "shown.add(self._checks.shown_by(mask, used))", "pass"),
        (
            "damaged colors",
            "        if os.path.lexists(path):\n",
            "        if False:\n",
        ),
    ),
    *of(
        "train/data/mask_checks.py",
        "tests/train/data/test_mask_colors.py",
        (
            "colors of conversions",
            "return [] if is_made(path, self._made) else shown_by",
            "return shown_by",
        ),
    ),
    *of(
        "train/data/mask_checks.py",
        "tests/train/data/convert/test_roboflow.py",
        ("palettes linked to", "and mask.is_relative_to(made)", ""),
        (
            "white made",
            "        if not is_made(path, self._made):\n",
            "        if True:\n",
        ),
    ),
    *of(
        "train/data/convert/roboflow.py",
        "tests/train/data/convert/test_roboflow.py",
        (
            "palettes written anew",
            "            if not as_they_are:\n",
            "            if 0:\n",
        ),
        ("white written anew", "used[mask] = set(", "_ = set("),
    ),
    *of(
        "train/inspection/findings_of_data.py",
        "tests/train/data/convert/test_roboflow.py",
        ("white linked to", "is_made(pair.mask, contents.made)", "contents.made"),
    ),
    *of(
        "train/inspection/findings_of_data.py",
        "tests/train/inspection/test_unnamed_classes.py",
        ("colors not warned of", "        *together.renumbered,\n", ""),
    ),
    *of(
        "train/inspection/findings_of_data.py",
        "tests/train/inspection/test_faults.py::test_words_of_any_length_take_no_time",
        (
            "begun anew at each letter",
            "kinds[_without_names(text)]",
            'kinds[re.sub(r"\\S*[/\\d]\\S*", "#", text)]',
        ),
    ),
    *of(
        "train/inspection/contents.py",
        "tests/train/inspection/test_unnamed_classes.py",
        ("notes lost", "notes=tuple(notes)", "notes=()"),
    ),
    *of(
        "train/inspection/contents.py",
        "tests/train/inspection/test_faults.py",
        ("empty sides untold", "else (*faults, str(error))", "else faults"),
        ("empty sides of few", "faults if partly else", "faults if False else"),
        ("frames kept", "error.with_traceback(None)", "error"),
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/test_gray_masks.py",
        ("white is a color", "(known if beyond else known[counts])", "known"),
    ),
    *of(
        "train/data/layouts.py",
        "tests/train/data/test_layouts.py",
        ("lists unread", "if not by_lists:", "if False:"),
        ("others of a kind", "    left = [*others, *(", "    left = [*("),
        (
            "layouts of one case",
            "for folder in (there[name] for name in SPLIT_FOLDERS if name in there):",
            "for folder in (root / name for name in SPLIT_FOLDERS):",
        ),
        (
            "folders of another case",
            "in every.get(name, ())]",
            "in every.get(name, ())[:1]]",
        ),
        ("archives untold", "in _archives(root)]", "in ()]"),
        ("beside splits within", "others += _beside_splits_within(root, parts)", ""),
        ("lists are splits", "if lists or not images.keys()", "if not images.keys()"),
        ("beside splits", "    others += _of_no_split(root, parts)\n", ""),
        (
            "links beside splits",
            " or (real := place.resolve()) in own:",
            " or not (real := place.resolve()):",
        ),
    ),
    *of(
        "train/data/dataset.py",
        "tests/train/data/test_split_lists.py",
        ("underscores alone", "[^\\W_]", ""),
        ("long splits", "and len(name.encode()) <= _LONGEST_SPLIT", ""),
    ),
    *of(
        "train/data/dataset.py",
        "tests/train/data/test_layouts.py",
        (
            "splits asked for",
            "what_is_left(Path(options.folder), kind, named)",
            "what_is_left(Path(options.folder), kind)",
        ),
    ),
]
