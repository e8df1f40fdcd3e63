"""Mistakes about names, space, memory and NaN, for `python -m tests.mutation`."""

from .trainer import of

PLACES = [
    *of(
        "train/common/plain.py",
        "tests/train/training/test_checkpoint.py",
        ("own path", "if _PLAIN.fullmatch(str(self.folder)):", "if True:"),
    ),
    *of(
        "train/data/records.py",
        "tests/train/test_places.py",
        ("own path", "data_dir=str(self.plain.path)", "data_dir=data_dir"),
    ),
    *of(
        "train/data/records.py",
        "tests/train/data/test_record_places.py",
        (
            "errors of TFDS",
            "if is_of_system(error) or",
            "if isinstance(error, OSError) or",
        ),
    ),
    *of(
        "train/common/files.py",
        "tests/train/common/test_files.py",
        ("no name", "if error.filename is not None or", "if True or"),
    ),
    *of(
        "models/files.py",
        "tests/train/common/test_files.py",
        ("half a file stays", "            partial.unlink()", "            pass"),
    ),
    *of(
        "train/common/errors.py",
        "tests/train/common/test_errors.py",
        (
            "disk taken for memory",
            "RuntimeError) or lacks_space(error):",
            "RuntimeError):",
        ),
    ),
    *of(
        "train/common/command.py",
        "tests/train/common/test_command.py",
        (
            "dies with its reader",
            "except OSError as error:",
            "except MemoryError as error:",
        ),
        ("traces of threads", "    threading.excepthook = _trace_of_thread\n", ""),
    ),
    *of(
        "train/training/checkpoint.py",
        "tests/train/training/test_checkpoint.py",
        ("waits for the lost", "if is_of_lost_process(error):", "if False:"),
        (
            "device of the save",
            'getattr(leaf, "sharding", None) or here',
            'getattr(leaf, "sharding", None)',
        ),
        ("full disk untold", "if not (reason := reason_unwritten(error)):", "if True:"),
    ),
    *of(
        "train/evaluation/programs.py",
        "tests/train/evaluation/test_inference.py",
        ("all views held", ', donate_argnames="joined"', ""),
    ),
    *of(
        "train/evaluation/programs.py",
        "tests/train/evaluation/test_memory.py",
        ("one view held", "min(2, len(views)) *", "1 *"),
    ),
    *of(
        "train/evaluation/inference.py",
        "tests/train/evaluation/test_inference.py",
        ("probabilities of one", 'fusion="max")', 'fusion="mean")'),
    ),
    *of(
        "train/evaluation/inference.py",
        "tests/train/evaluation/test_memory.py",
        ("all memory counted on", "_USABLE * free_memory()", "free_memory()"),
        ("more than asked", "return min(wanted, int(", "return min(10**9, int("),
        ("never in windows", "or self.most(state, whole, 1):", "or True:"),
        ("said each time", "        if not self.cut:\n", "        if True:\n"),
        ("small ones looked into", "largest**2 <= _SMALL", "largest**2 < 0"),
    ),
    *of(
        "train/evaluation/whole_split.py",
        "tests/train/evaluation/test_memory.py",
        ("batch too large", "max(1, most(size)) if", "options.batch_size if"),
        ("whole all the same", "(0, 0) and most(piece.padded)", "(0, 0)"),
    ),
    *of(
        "train/common/memory.py",
        "tests/train/evaluation/test_memory.py",
        ("limits forgotten", ", *_left_by_limits()", ""),
        ("used forgotten", "limit - used +", "limit +"),
        ("cache counted", "+ reclaimable)", ")"),
        ("outer groups", "(inner, *inner.parents)", "(inner,)"),
        ("own group", "(inner, *inner.parents)", "inner.parents"),
        ("accelerator's use", ' - stats["bytes_in_use"]', ""),
    ),
    *of(
        "train/evaluation/scores.py",
        "tests/train/evaluation/test_not_finite.py",
        ("NaN hidden", "jnp.where(jnp.isfinite(found), found, jnp.nan)", "found"),
    ),
    *of(
        "train/evaluation/sliding_windows.py",
        "tests/train/evaluation/test_not_finite.py",
        ("NaN in windows", "        if not finite:\n", "        if False:\n"),
    ),
    *of(
        "train/evaluation/programs.py",
        "tests/train/evaluation/test_not_finite.py",
        (
            "NaN of another",
            "raise NotFinite(int(np.argmin(finite)))",
            "raise NotFinite",
        ),
    ),
    *of(
        "train/data/batches.py",
        "tests/train/data/test_batches.py",
        ("full batches", "even = -(-len(indices) // count)", "even = batch_size"),
    ),
]
