"""Mistakes in what several processes write, or a full disk cuts."""

from .trainer import of

_OUTPUTS = "tests/train/test_shared_outputs.py"
_PUBLISHED = "tests/train/experiments/test_published.py"

SHARED_OUTPUTS = [
    *of(
        "train/common/locks.py",
        "tests/train/common/test_locks.py",
        ("no lock", "fcntl.flock(descriptor, fcntl.LOCK_EX)", "pass"),
        ("held by two", "take(descriptor):\n        raise", "holder:\n        raise"),
        ("holder untold", 'if kind == "FLOCK" and', "if False and"),
        ("any device's holder", "if len(holders) == 1 else", "if holders else"),
        (
            "made for nothing",
            "                if made:\n",
            "                if False:\n",
        ),
    ),
    *of(
        "train/common/locks.py",
        "tests/train/workdir/test_run.py",
        ("two at a time", "fcntl.LOCK_EX |", "fcntl.LOCK_SH |"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/common/test_files.py",
        ("half a line stays", "file.truncate(before)", "pass"),
    ),
    *of(
        "train/common/files.py",
        _OUTPUTS,
        (
            "at their places",
            "            yield Path(place)\n",
            "            yield folder\n",
        ),
        ("places of before", "error.filename = str(", "str("),
    ),
    *of(
        "train/evaluation/areas.py",
        _OUTPUTS,
        ("cut is whole", "if _is_whole(line, header)}", "if line}"),
        ("shares of any sum", "math.isclose(total, 1, abs_tol=rounded)", "True"),
        ("first of two", "all(other == first for other in others)", "True"),
    ),
    *of(
        "train/evaluation/areas.py",
        "tests/train/evaluation/test_areas.py",
        ("a class as a file's column", "*map(_column, class_names)", "*class_names"),
        ("two classes as one", 'rf"(class )*(', 'rf"('),
        ("tables of before", "found not in (header, earlier)", "found != header"),
    ),
    *of(
        "train/evaluation/claims.py",
        _OUTPUTS,
        ("claims of the dead", "if take(file.fileno()):", "if False:"),
        ("claims of the living", "if take(file.fileno()):", "if True:"),
        ("notes of others", "if first != _MARK:", "if False:"),
        ("links", "if other.is_symlink():", "if False:"),
        (
            "masks of two",
            "in outputs.items() for text in _lines(*item))",
            "in outputs.items() for text in _lines(*item)[:1])",
        ),
    ),
    *of(
        "train/predict.py",
        _OUTPUTS,
        ("unclaimed", "with claimed(out, outputs), refiner", "with refiner"),
    ),
    *of(
        "train/report/own_folder.py",
        _OUTPUTS,
        (
            "pages of two",
            'held(folder, f"{folder} is being written", way_out)',
            "contextlib.nullcontext(way_out)",
        ),
    ),
    *of(
        "train/export.py",
        _OUTPUTS,
        (
            "unknown halfway",
            "            add_sums(out, place, names)",
            "            str()",
        ),
        ("exports of two", "with locked(out):", "with contextlib.nullcontext():"),
        (
            "windows tried",
            "dataclasses.replace(trained.use.evaluation, window=(0, 0))",
            "trained.use.evaluation",
        ),
    ),
    *of(
        "train/training/newest.py",
        "tests/train/training/test_newest.py",
        (
            "listed once",
            "{int(place.name) for place in numbered(folder)} - failures.keys()",
            "left - {step}",
        ),
        (
            "removed is damaged",
            "for failed in failures if failed > step]",
            "for failed in failures]",
        ),
        ("gone is damaged", "if (folder / str(step)).is_dir()]", "]"),
        (
            "for ever",
            "while left and len(failures) < _MOST:",
            "while left and len(failures) < 99:",
        ),
    ),
    *of(
        "train/common/command.py",
        "tests/train/common/test_swallowed_stops.py",
        ("arrays told", '"exception was never retrieved" not in', '"" in'),
        ("reads told", "elif not inspect.iscoroutine(lost.object):", "else:"),
        ("nothing told", "elif not inspect.iscoroutine(lost.object):", "elif False:"),
    ),
    *of(
        "train/experiments/publish.py",
        _PUBLISHED,
        (
            "data of two calls",
            "check_same_data(together, way_out)",
            "check_same_data(entries, way_out)",
        ),
        ("data of one call", "    check_same_data(entries)\n", ""),
        ("one call's alone", "with locked(results), together", "with together"),
    ),
    *of(
        "train/reproduce.py",
        _PUBLISHED,
        (
            "figures first",
            "write_json(entries, new / json.name)",
            "write_json(entries, json)",
        ),
        (
            "confirmed over others",
            "entries = with_earlier(",
            "str(",
        ),
    ),
]
