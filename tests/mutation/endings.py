"""Mistakes about where runs lie, who begins them, and how processes end."""

from .trainer import of

ENDINGS = [
    *of(
        "train/common/plain.py",
        "tests/train/training/test_saved_elsewhere.py",
        ("own path, saved elsewhere", "if _OPENED.is_dir():", "if False:"),
        ("saved elsewhere", "        if not self.leads():", "        if False:"),
        (
            "saved elsewhere later",
            "        if is_link and not",
            "        if False and not",
        ),
    ),
    *of(
        "train/common/plain.py",
        "tests/train/common/test_plain.py",
        ("left open", "            os.close(self._descriptor)\n", ""),
        (
            "saved elsewhere, stale",
            "if kept is None or not kept.leads():",
            "if not kept:",
        ),
    ),
    *of(
        "train/training/checkpoint.py",
        "tests/train/training/test_saved_elsewhere.py",
        (
            "saved nowhere",
            "            check_is_saved(self.folder",
            "            Path(self.folder",
        ),
        ("saved elsewhere", "        self._plain.check()\n", ""),
    ),
    *of(
        "train/data/records.py",
        "tests/train/data/test_record_places.py",
        ("another's number", "str(self.plain.folder)", "str(self.plain.path)"),
        (
            "another's records",
            '    def __reduce__(self) -> tuple[Any, ...]:\n        """Opens',
            '    def again(self):\n        """Opens',
        ),
        ("records in a race", "error.errno == ENOTEMPTY", "False"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/common/test_files.py tests/train/workdir/test_run.py",
        ("begun twice", "os.link(partial, path)", "partial.replace(path)"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/common/test_files.py",
        ("begun twice without links", ", locked(path.parent):", ":"),
    ),
    *of(
        "train/common/endings.py",
        "tests/train/common/test_endings.py",
        ("waits in vain", "if not ended.wait(_PATIENCE):", "if False:"),
        ("cut at the exit", "    atexit.register(ended.set)", "    "),
        ("orphans", "Thread(target=follow, daemon=True).start()", "Event()"),
    ),
    *of(
        "train/data/batches.py",
        "tests/train/data/test_workers.py",
        ("orphans", "    end_with_parent()\n", ""),
    ),
    *of(
        "train/experiments/runner.py",
        "tests/train/experiments/test_runner.py::"
        "test_runs_stop_where_what_began_them_is_killed",
        ("orphans", "    end_with_parent(lambda:", "    print(lambda:"),
    ),
    *of(
        "train/common/locks.py",
        "tests/train/common/test_locks.py",
        ("waits in silence", "    patience.start()\n", ""),
    ),
]
