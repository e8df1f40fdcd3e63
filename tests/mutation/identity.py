"""Mistakes in what data, runs and exports are known by."""

from tests.mutation.trainer import of

IDENTITY = (
    of(
        "train/data/fingerprint.py",
        "tests/train/data/test_fingerprint.py",
        (
            "ctime ignored",
            "        found.st_ctime_ns,\n",
            "        found.st_mtime_ns,\n",
        ),
        ("just written", "began - changed > _SETTLED", "True"),
        ("coarse times", "changed % _COARSE != 0", "True"),
        ("damage believed", "if checksum == _checksum(kept) else {}", ""),
        ("always read", "if signature == signature_of(path)", "if False"),
        ("images by name", "(name, digests[image], ", "(name, image.name, "),
        ("colors ignored", "tuple(class_names), colors.tolist()", "tuple(class_names)"),
        (
            "names ignored",
            "classes = tuple(class_names), colors",
            "classes = (), colors",
        ),
        ("changes unseen", "if digest_of(path) != digest:", "if False:"),
        ("each link read", "names.setdefault(identity(path)", "names.setdefault(path"),
        ("one name remembered", "for path in of}", "for path in of[:1]}"),
    )
    + of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_looked_at_again.py",
        ("changed meanwhile", "if conversion.key() != key:", "if False:"),
    )
    + of(
        "train/data/convert/conversion.py",
        "tests/train/data/convert/test_conversion.py",
        ("any linked mask", "its = str(mask) if", 'its = "" if'),
    )
    + of(
        "train/data/convert/roboflow.py",
        "tests/train/data/convert/test_looked_at_again.py",
        (
            "table of before",
            """
    def write(writer: VocWriter) -> None:
        _write(writer, _read_classes(tables), images)
""",
            """    classes = _read_classes(tables)

    def write(writer: VocWriter) -> None:
        _write(writer, classes, images)
""",
        ),
    )
    + of(
        "train/evaluation/preparation.py",
        "tests/train/evaluation/test_preparation.py",
        ("unrounded", "return jnp.floor(pixels + 0.5)", "return jnp.floor(pixels)"),
        ("aliased", "antialias=True", "antialias=False"),
    )
    + of(
        "train/training/scales.py",
        "tests/train/evaluation/test_preparation.py",
        ("in 32 bits", "dtype=np.int64", "dtype=np.int32"),
    )
    + of(
        "models/weights.py",
        "tests/models/test_safetensors_files.py",
        ("arrays of another file", "if known not in (None, header):", "if False:"),
    )
    + of(
        "train/workdir/trained.py",
        "tests/train/training/test_partial_weights.py",
        ("classes of another file", "read_weights(path, header)", "read_weights(path)"),
    )
    + of(
        "train/training/initial_weights.py",
        "tests/train/training/test_partial_weights.py",
        (
            "checked once",
            "header = _checked_header(opt",
            "header = read_header(path)  # ",
        ),
    )
    + of(
        "train/workdir/trained.py",
        "tests/train/test_export.py",
        ("unprepared", "height=use.image_height", "height=0"),
        (
            "paths exported",
            "describe(portable(trained.config))",
            "describe(trained.config)",
        ),
    )
    + of(
        "train/export.py",
        "tests/train/test_export.py",
        ("locations exported", "jax.config.update(name, 0)", "pass"),
    )
    + of(
        "train/main.py",
        "tests/train/test_run_identity.py",
        (
            "other data passed off",
            "    run.check_data(found)\n    run.record",
            "    run.record",
        ),
        (
            "recorded never",
            "            run.record(config.data, dataset, statistics)\n",
            "",
        ),
    )
    + of(
        "train/workdir/evaluated.py",
        "tests/train/test_run_identity.py",
        ("overwrites its own", 'return [f"data_{dataset.fingerprint}"]', "return []"),
    )
)
