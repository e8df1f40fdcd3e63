"""Mistakes with values that do not count, for `python -m tests.mutation`."""

from .trainer import of

_PREDICTED = "tests/train/evaluation/test_void_classes.py"
_PREPARED = "tests/train/data/test_void.py"

VOID_MISTAKES = (
    of(
        "train/data/void.py",
        _PREPARED,
        (
            "void becomes class 0",
            "table[list(void)] = IGNORED",
            "table[list(void)] = 0",
        ),
        ("one class is enough", "if words and len(names) < 2:", "if not names:"),
        ("names alone", "void = values_of(words) | {", "void = {"),
        (
            "numbers as names",
            "{places[word] for word in named}",
            "{places[word] for word in words if word in places}",
        ),
    )
    + of(
        "train/data/fingerprint.py",
        _PREPARED,
        ("void is no part", "marks = (void,) if void else ()", "marks = ()"),
    )
    + of(
        "train/data/voc_classes.py",
        _PREPARED,
        (
            "void is counted",
            "ignored = values_of(void) | {IGNORED}",
            "ignored = {IGNORED}",
        ),
        ("gaps of void", "- set(first_with) - ignored)", "- set(first_with))"),
    )
    + of(
        "train/data/voc_records.py",
        _PREPARED,
        (
            "void is trained on",
            "without_void(example.label, folder.void)",
            "example.label",
        ),
    )
    + of(
        "train/inspection/facts.py",
        _PREPARED,
        (
            "void as strays",
            "_values(without_void(label, reading.void)),\n        digest",
            "_values(label),\n        digest",
        ),
        (
            "void as white",
            "written=tuple(_values(label)),",
            "written=tuple(_values(without_void(label, reading.void))),",
        ),
    )
    + of(
        "train/evaluation/scores.py",
        _PREDICTED,
        ("void is likeliest", "np.float32(-1e30)", "np.float32(1e30)"),
        (
            "earlier views alone",
            "_without(_logits(model, pixels, view), void)",
            "_without(_logits(model, pixels, view), void if joined is None else ())",
        ),
    )
    + of(
        "train/export.py",
        _PREDICTED,
        (
            "exported without",
            "preprocess, options, trained.void)",
            "preprocess, options)",
        ),
    )
    + of(
        "train/workdir/trained.py",
        _PREDICTED,
        ("void of no class", "if value < len(self.class_names))", "if value >= 0)"),
        (
            "found at its use",
            "        void_values(config.data.void, class_names)\n",
            "",
        ),
    )
)
