"""Mistakes in `train` that its tests must notice, for `python -m tests.mutation`."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """A mistake: where it is made, what it is, and the tests that notice it."""

    file: str
    mistake: str
    old: str  # occurs once in the file
    new: str
    tests: tuple[str, ...]


def of(file: str, tests: str, *mistakes: tuple[str, str, str]) -> list[Mutant]:
    """Returns the mistakes of a file, each with its name, the old and the new text."""
    return [Mutant(file, *mistake, tuple(tests.split())) for mistake in mistakes]


OPTIMIZER = of(
    "train/training/optimizer.py",
    "tests/train/training/test_optimizer.py",
    ("warmup from 0", "highest / (options.warmup + 1), highest", "0.0, highest"),
    (
        "warmup joins late",
        "schedule], [options.warmup]",
        "schedule], [options.warmup + 1]",
    ),
    ("warmup lengthens", "options.steps - options.warmup)", "options.steps)"),
    (
        "poly ends above 0",
        "options.learning_rate, 0.0, opt",
        "options.learning_rate, 0.1, opt",
    ),
    (
        "constant falls",
        "optax.constant_schedule(options.learning_rate)",
        "optax.polynomial_schedule(options.learning_rate, 0.0, 1, steps)",
    ),
    ("norms decay", "leaf.ndim > 1", "leaf.ndim > 0"),
    ("elements are clipped", "optax.clip_by_global_norm(", "optax.clip("),
    (
        "schedule unused",
        "optax.sgd(learning_rate(options)",
        "optax.sgd(options.learning_rate",
    ),
)
STEP = (
    of(
        "train/training/optimizer.py",
        "tests/train/test_recipe.py",
        ("deconvolution as the head", 'names[0] != "head"', 'names[0] == "backbone"'),
        ("bias as a weight", 'bias = "bias" in names', "bias = False"),
    )
    + of(
        "train/training/step.py",
        "tests/train/test_recipe.py",
        ("parts add up", "slope / parts", "slope"),
        ("parts' loss adds up", "(total / parts, (kept", "(total, (kept"),
    )
    + of(
        "train/training/step.py",
        "tests/train/training/test_step.py",
        ("gradients as they come", "slope = _row_major(slope)", "slope = slope"),
        ("all statistics checked", "nnx.Not(FrozenStat)", "nnx.BatchStat"),
    )
    + of(
        "train/training/held.py",
        "tests/train/training/test_step.py",
        ("containers each step", "isinstance(step, CompiledStep)", "False"),
    )
    + of(
        "train/training/losses.py",
        "tests/train/training/test_loss_options.py",
        ("scale not learned", "score_scale is None else score_scale", "True else 1"),
    )
    + of(
        "train/training/pools.py",
        "tests/train/training/test_loss_options.py",
        ("power lost", "power=options.power,\n    )", "power=1.0,\n    )"),
    )
    + of(
        "train/training/losses.py",
        "tests/train/training/test_losses.py",
        ("center loss unweighted", "options.center_weight * pull", "pull"),
        (
            "mean for sum",
            "jnp.sum(distances, axis=(-2, -1))",
            "jnp.mean(distances, axis=(-2, -1))",
        ),
    )
)
LOOP = of(
    "train/training/loop.py",
    "tests/train/training/test_loop.py",
    ("evaluates at the end", "0 < done < steps", "0 < done"),
    ("pauses count", "self._origin += time.perf_counter() - began", "pass"),
)
LOOP += of(
    "train/training/finiteness.py",
    "tests/train/training/test_loop.py",
    (
        "last loss unchecked",
        "        self.settle()\n        self._pending = step",
        "        self._pending = step",
    ),
)
SAVES = of(
    "train/training/checkpoint.py",
    "tests/train/training/test_checkpoint.py",
    ("save interrupted", "with uninterrupted(), ", "with "),
) + of(
    "train/common/command.py",
    "tests/train/common/test_command.py",
    ("Ctrl-C forgotten", "    if came:\n", "    if False:\n"),
    ("handler kept", "signal.signal(signal.SIGINT, before)", "pass"),
)
METRICS = of(
    "train/evaluation/metrics.py",
    "tests/train/evaluation/test_metrics.py tests/train/test_added_entries.py",
    ("table left short", "for name in METRICS}", "for name in list(METRICS)[:4]}"),
)
VIEWS = of(
    "train/evaluation/scores.py",
    "tests/train/evaluation/test_inference.py",
    ("flipped stays flipped", "upright)[:, :, ::-1]", "upright)"),
    (
        "mean of one",
        "jax.nn.softmax(found) / len(views(options))",
        "jax.nn.softmax(found)",
    ),
) + of(
    "train/evaluation/views.py",
    "tests/train/evaluation/test_views.py",
    ("flip not passed on", 'changes["flip"] = True', "pass"),
    (
        "window 0 0 not passed on",
        "if self.window is not None:",
        "if self.window and any(self.window):",
    ),
)
WINDOWS = of(
    "train/evaluation/sliding_windows.py",
    "tests/train/evaluation/test_sliding_windows.py",
    ("border fades", "rise if start > 0 else flat,", "rise,"),
    ("weight 0 at the edge", "np.arange(window) + 1", "np.arange(window)"),
    ("overlap unused", "window - math.ceil(overlap * window)", "window"),
    (
        "mirrored weights",
        "np.minimum(left, right[::-1])",
        "np.minimum(left[::-1], right)",
    ),
) + of(
    "train/evaluation/inference.py",
    "tests/train/evaluation/test_sliding_windows.py",
    ("row above forgotten", "strip[: len(carried)] += carried", "pass"),
    ("a row too few", "yield strip[:done]", "yield strip[1:done]"),
)
IMAGES = of(
    "train/evaluation/input_images.py",
    "tests/train/evaluation/test_input_images.py",
    ("hidden files", 'and not file.name.startswith(".")', ""),
    (
        "no order",
        "sorted(set(_matches(path.parts)))",
        "sorted(set(_matches(path.parts)))[::-1]",
    ),
    ("folders left out", "        folders,\n        suffix", "        suffix"),
) + of(
    "train/evaluation/areas.py",
    "tests/train/test_predict.py",
    ("lines of others dropped", "if line[0] not in again]", "if False]"),
    ("line not written", "        append_text(path, ", "        str, (path, "),
    ("second lines", "line[0] not in again", "line[0]"),
)
DATA = (
    of(
        "train/data/dataset.py",
        "tests/train/test_added_entries.py",
        (
            "VOC layout takes all",
            "reversed(tuple(DATA_KINDS.items()))",
            "DATA_KINDS.items()",
        ),
        (
            "finding prepares",
            "if found := find(options):",
            "if (found := find(options)) and found.prepare(('train', 'val')):",
        ),
    )
    + of(
        "train/data/augment.py",
        "tests/train/data/test_batches.py",
        (
            "label not flipped",
            "image[:, ::-1], label[:, ::-1]",
            "image[:, ::-1], label",
        ),
        ("flips always", "generator.random() < 0.5", "generator.random() < 2"),
    )
    + of(
        "train/data/batches.py",
        "tests/train/data/test_batches.py",
        ("no shuffle", "        .shuffle()\n", ""),
        ("starts over", "slice(start * shares +", "slice(0 +"),
    )
)
OPTIONS = of(
    "train/common/options.py",
    "tests/train/common/test_options.py",
    ("1 is below 1", "0 <= value < 1,", "0 <= value <= 1,"),
    ("infinity is positive", "0 < value < math.inf", "0 < value"),
    (
        "earlier names forgotten",
        'aliases=(f"--{flag(earlier)}",) if earlier else None',
        "aliases=None",
    ),
    ("rules unread", "for rule in self.rules:", "for rule in ():"),
    ("help without choices", "{help}: {choices.help()}.", "{help}"),
)
RUNS = (
    of(
        "train/experiments/runner.py",
        "tests/train/experiments/test_runner.py",
        ("stopped unsaid", "if process.exitcode:", "if False:"),
        ("message lost", 'rpartition("\\nerror: ")', 'rpartition("\\nerror! ")'),
    )
    + of(
        "train/workdir/run.py",
        "tests/train/test_reproduce.py",
        (
            "other data",
            "if found not in (data.fingerprint, data.earlier):",
            "if False:",
        ),
    )
    + of(
        "train/experiments/runner.py",
        "tests/train/test_reproduce.py",
        ("diverged again", "or run.divergence() is not None", ""),
    )
    + of(
        "train/workdir/run.py",
        "tests/train/workdir/test_run.py",
        (
            "lost configuration",
            "                if kept\n",
            "                if False\n",
        ),
    )
    + of(
        "train/workdir/history.py",
        "tests/train/workdir/test_run.py",
        ("rewinds too far", 'line["step"] <= step', 'line["step"] < step'),
        ("begins anew unsaid", "if step == 0 and lines:", "if False:"),
    )
)
PROGRAMS = of(
    "train/main.py",
    "tests/train/test_programs.py",
    ("stream starts over", "start=start,", "start=0,"),
    (
        "done again",
        "if (summary := run.summary()) and run.is_described():",
        "if (summary := run.summary()) and False:",
    ),
) + of(
    "train/common/command.py",
    "tests/train/test_programs.py",
    ("status of Ctrl-C", "leave(128 + signal.SIGINT)", "leave(2)"),
    ("cache unused", 'jax.config.update("jax_compilation_cache_dir", folder)', "pass"),
)
TRAINER = [
    *OPTIMIZER,
    *STEP,
    *LOOP,
    *SAVES,
    *METRICS,
    *VIEWS,
    *WINDOWS,
    *IMAGES,
    *DATA,
    *OPTIONS,
    *RUNS,
    *PROGRAMS,
]
