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
        ("palettes forgotten", "checks.colors.add(builder.shown())", "pass"),
    ),
    *of(
        "train/data/mask_colors.py",
        "tests/train/data/test_mask_colors.py",
        ("colors numbered anew", "if known and one.color not in", "if False and"),
        ("fillings of palettes", "if one.value in used]", "]"),
        ("colors of several values", "if count == 1 and value", "if value"),
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
            "if self._converted and not path.is_symlink():",
            "if False:",
        ),
    ),
    *of(
        "train/inspection/findings_of_data.py",
        "tests/train/inspection/test_unnamed_classes.py",
        ("colors not warned of", "        *together.renumbered,\n", ""),
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
    ),
    *of(
        "train/data/masks.py",
        "tests/train/data/test_gray_masks.py",
        ("white is a color", "(known if beyond else known[counts])", "known"),
    ),
    *of(
        "train/data/layouts.py",
        "tests/train/data/test_layouts.py",
        ("others of a kind", "    left = [*others, *(", "    left = [*("),
        (
            "layouts of one case",
            "for folder in (there[name] for name in _PARTS if name in there):",
            "for folder in (root / name for name in _PARTS):",
        ),
        ("archives untold", "in _archives(root)]", "in ()]"),
    ),
]
