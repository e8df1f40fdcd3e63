"""Mistakes in the dense CRF, for `python -m tests.mutation`; they need its extra."""

from .trainer import of

CRF = (
    of(
        "train/evaluation/crf_worker.py",
        "tests/train/evaluation/test_crf_worker.py",
        ("energies lower", "_LEAST = 1e-5", "_LEAST = 1e-2"),
        (
            "one width for two",
            "sxy=parameters.gaussian_std",
            "sxy=parameters.color_std",
        ),
        (
            "one iteration less",
            "range(parameters.iterations)",
            "range(parameters.iterations - 1)",
        ),
        ("classes for pixels", "np.asarray(marginals).T)", "np.asarray(marginals))"),
        ("image as it comes", 'np.require(image, np.uint8, ["C", "W"])', "image"),
    )
    + of(
        "train/evaluation/crf_worker.py",
        "tests/train/evaluation/test_crf.py",
        ("memory without limit", "        _limit_memory(most)\n", ""),
    )
    + of(
        "train/evaluation/crf.py",
        "tests/train/evaluation/test_crf.py",
        ("a dead one again", "[worker] * done", "[worker]"),
        ("left behind", "_end(self._idle.pop())", "self._idle.pop()"),
        ("ended by Ctrl-C", "start_new_session=True", "start_new_session=False"),
        ("all at once", "lambda: not self._taken or needed <=", "lambda: 0 <="),
        (
            "others' memory",
            "free() - self._taken)\n            self",
            "free())\n            self",
        ),
        ("side unlimited", "max(size) > _STDS * std", "False"),
        ("numbers unlimited", ">= _VALUES", ">= 2**99"),
    )
    + of(
        "train/evaluation/mask_files.py",
        "tests/train/test_crf_programs.py",
        ("those before the CRF", "marginals[part])", "probabilities[part])"),
        (
            "of the resized size",
            "mask.shape, seen.image.shape[:2]",
            "mask.shape, mask.shape",
        ),
        ("too large", "        crf.check(", "        str("),
    )
    + of(
        "train/evaluation/whole_split.py",
        "tests/train/test_crf_programs.py",
        ("not refined", "largest_class(marginals)", "largest_class(found)"),
    )
    + of(
        "train/evaluate.py",
        "tests/train/test_crf_programs.py",
        ("in the name of another", ", *crf.named()]", "]"),
    )
    + of(
        "train/evaluate.py",
        "tests/train/report/test_browsing_crf.py",
        ("likelier by a CRF", "refiner(crf, dataset.void)", "refiner(crf)"),
    )
    + of(
        "train/browse.py",
        "tests/train/report/test_browsing_crf.py",
        ("in place of another", ", *crf.named()]", "]"),
        ("likelier by a CRF", "refiner(crf, split.dataset.void)", "refiner(crf)"),
    )
    + of(
        "train/evaluation/whole_split.py",
        "tests/train/report/test_browsing_crf.py",
        (
            "alone without",
            "        if self._crf:\n            found",
            "        if False:\n            found",
        ),
    )
    + of(
        "train/report/browsing.py",
        "tests/train/report/test_browsing_crf.py",
        (
            "page after all CRFs",
            "contextlib.closing(panels)",
            "contextlib.nullcontext(panels)",
        ),
        ("CRF unsaid", "    if crf:\n", "    if False:\n"),
        ("named twice", ' or str(error).startswith(f"{name}: ")', ""),
    )
    + of(
        "train/evaluation/crf_search.py",
        "tests/train/evaluation/test_crf_search.py",
        ("whole steps", "(value + best) / 2", "value"),
        ("again and again", "if setting not in tried:", "if setting:"),
        ("nothing to try", "if not getattr(self, field.name):", "if False:"),
    )
    + of(
        "train/evaluation/crf_worker.py",
        "tests/train/evaluation/test_crf_worker.py",
        ("busy for nobody", "before | os.O_ASYNC", "before"),
    )
    + of(
        "train/evaluation/crf.py",
        "tests/train/evaluation/test_crf.py",
        (
            "works on",
            "                worker.kill()\n",
            "                pass\n",
        ),
        ("begun in spite", "            if self.stopped:", "            if False:"),
    )
    + of(
        "train/evaluation/stages.py",
        "tests/train/evaluation/test_stages.py",
        ("waits for all", "        stages.stop()\n", ""),
    )
    + of(
        "train/evaluation/crf_trial.py",
        "tests/train/test_crf_programs.py",
        ("full without a word", "if not lacks_space(error):", "if True:"),
    )
    + of(
        "train/tune_crf.py",
        "tests/train/test_crf_programs.py",
        (
            "by the validation split",
            "val_split=options.train_split",
            "links=options.links",
        ),
        ("as if trained on", "if not (where.holdout or others):", "if 1:"),
        ("name of the run's own", "*which, *others, *pred", "*which, *pred"),
        ("held out of another list", "if where.holdout:", "if False:"),
        ("worse than none", " if tried[0].mean_iou > without else None", ""),
    )
)
