"""Mistakes about names, space, memory and NaN, for `python -m tests.mutation`."""

from .trainer import of

PLACES = [
    *of(
        "train/common/files.py",
        "tests/train/training/test_checkpoint.py",
        ("own path", "if _PLAIN.fullmatch(str(path)) else _link(path)", ""),
    ),
    *of(
        "train/data/records.py",
        "tests/train/test_places.py",
        ("own path", "str(plain_path(Path(data_dir)))", "data_dir"),
    ),
    *of(
        "train/common/files.py",
        "tests/train/common/test_files.py",
        ("half a file stays", "                partial.unlink()", "pass"),
        ("no name", "if error.filename is not None or", "if True or"),
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
        (
            "device of the save",
            "sharding=here)",
            'sharding=getattr(leaf, "sharding", 0))',
        ),
        ("full disk untold", "if not lacks_space(error):", "if True:"),
    ),
    *of(
        "train/evaluation/inference.py",
        "tests/train/evaluation/test_not_finite.py",
        ("NaN hidden", "jnp.where(jnp.isfinite(found), found, jnp.nan)", "found"),
        ("NaN in windows", "            if not finite:\n", "            if False:\n"),
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
