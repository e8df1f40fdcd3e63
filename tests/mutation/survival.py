"""Mistakes in what a run survives, for `python -m tests.mutation`."""

from .trainer import of

LOOP = of(
    "train/training/loop.py",
    "tests/train/training/test_stops.py",
    ("stop unsaved", "or ends or asked:", "or ends:"),
    ("stop goes on", "            if asked:\n                break\n", ""),
    ("evaluation owed", "if not evaluated and is_due(start):", "if False:"),
    ("evaluated while stopping", "stop.at_once():", "contextlib.nullcontext():"),
    (
        "bad step saved",
        "                faults.settle()\n                save(",
        "                save(",
    ),
    ("skips forgotten", "FaultWatch(optimizer, skipped,", "FaultWatch(optimizer, 0,"),
)
SIGNALS = of(
    "train/common/signals.py",
    "tests/train/common/test_signals.py",
    ("never at once", "        if number == signal.SIGINT:", "        if False:"),
    (
        "told, and waits",
        "    signal.signal(signal.SIGINT, signal.SIG_DFL)\n    with",
        "    with",
    ),
    ("last counts", "if self.error is None:", "if True:"),
    (
        "every stop by hand",
        "_NOTICES[signal.Signals(number)]",
        "_NOTICES[signal.SIGINT]",
    ),
    (
        "begins though stopped",
        "            if self.error:\n",
        "            if False:\n",
    ),
) + of(
    "train/common/command.py",
    "tests/train/common/test_signals.py",
    (
        "status of SIGTERM",
        "if isinstance(stop, Terminated):",
        "if False:",
    ),
    ("stopped for good", "os.EX_TEMPFAIL if resume else", "os.EX_TEMPFAIL if 1 else"),
    (
        "killed by SIGTERM",
        "with terminable():",
        "with terminable() if resume else contextlib.nullcontext():",
    ),
)
FINITE = of(
    "train/training/finiteness.py",
    "tests/train/training/test_finiteness.py",
    (
        "one finite leaf is enough",
        "jnp.all(jnp.stack(found))",
        "jnp.any(jnp.stack(found))",
    ),
    ("one more", "if self.skipped > allowed:", "if self.skipped > allowed + 1:"),
) + [
    *of(
        "train/training/finiteness.py",
        "tests/train/training/test_every_loss.py",
        ("counts stay", "if _is_floating(after) else after", "if True else after"),
    ),
    *of(
        "train/training/step.py",
        "tests/train/training/test_every_loss.py",
        ("bad step taken", "new = updated_where(fault == 0, new, state)", "pass"),
    ),
]
KEPT = (
    of(
        "train/training/checkpoint.py",
        "tests/train/training/test_finiteness.py",
        ("saves anything", "if not _all_finite(state):", "if False:"),
    )
    + of(
        "train/training/best.py",
        "tests/train/training/test_best.py",
        ("any is best", "or not mean_iou > highest", ""),
        ("same step again", "step >= int(state.step)", "step > int(state.step)"),
        ("better is not told", "and found > mean_iou", "and False"),
        (
            "damaged in the way",
            "            checkpoints.newest()  #",
            "            pass  #",
        ),
    )
    + of(
        "train/workdir/contents.py",
        "tests/train/workdir/test_run.py",
        ("anybody's result", '"") not in ("", config):', '"") is None:'),
    )
    + of(
        "train/workdir/evaluated.py",
        "tests/train/workdir/test_names_of_results.py",
        ("names of any length", "if len(encoded) <= _LONGEST:", "if True:"),
    )
    + of(
        "train/training/manifest.py",
        "tests/train/training/test_damage.py",
        ("nothing is damage", 'return ", ".join(differing)', 'return ""'),
    )
    + of(
        "train/workdir/batch.py",
        "tests/train/training/test_finiteness.py",
        (
            "batch after",
            "start=step - 1, steps=step",
            "start=step, steps=step + 1",
        ),
    )
    + of(
        "train/workdir/events.py",
        "tests/train/workdir/test_events.py",
        ("later ones shown", "session_log=begins", "wall_time=1.0"),
    )
)
SURROUNDINGS = (
    of(
        "models/beginning.py",
        "tests/train/common/test_surroundings.py",
        ("numbers stay closed", "os.fstat(number)", "int(number)"),
        ("streams stay away", "if getattr(sys, name) is None:", "if False:"),
    )
    + of(
        "train/common/drawing.py",
        "tests/train/common/test_drawing.py",
        ("any backend", '_elsewhere(), _without("MPLBACKEND")', "_elsewhere()"),
        ("any date", 'os.environ.pop("SOURCE_DATE_EPOCH", None)', "None"),
        ("backend lost", "os.environ[variable] = before", "pass"),
    )
    + of(
        "models/convert_checkpoint.py",
        "tests/models/test_convert_checkpoint.py",
        ("no file named", "error.strerror, str(target)", "error.strerror"),
        ("a reader gone", "if not isinstance(error, BrokenPipeError):", "if True:"),
    )
)
SURVIVAL = [*LOOP, *SIGNALS, *FINITE, *KEPT, *SURROUNDINGS]
