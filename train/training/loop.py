"""The training loop: what surrounds the compiled step.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm

from train.common.options import NOT_NEGATIVE, POSITIVE, Group, Limit, option
from train.common.processes import index_of_process
from train.common.signals import StopRequest
from train.training.optimizer import OptimizerOptions

if TYPE_CHECKING:
    import jax

    from train.data.images import Example
    from train.training.step import Step, TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(Group):
    """The run: its folder, seed, and intervals of logging, saving and evaluation."""

    workdir: str = option(
        "runs/demo",
        "Folder of the run; a second call with the same folder resumes it.",
        free=True,
    )
    seed: int = option(
        0,
        "Seed of initial weights, order of images and augmentation.",
        Limit(lambda seed: 0 <= seed < 2**32, "must be ≥ 0 and below 2³²"),
    )
    evaluate_every: int = option(
        1000, "Steps between evaluations on the validation split.", POSITIVE
    )
    checkpoint_every: int = option(
        200, "Steps between checkpoints.", POSITIVE, free=True
    )
    keep: int = option(2, "Newest checkpoints to keep.", POSITIVE, free=True)
    keep_best: bool = option(
        False,
        "Also keeps the network of the evaluation with the highest mean IoU.",
        free=True,
    )
    panels: int = option(
        4,
        "Validation images, with truth and prediction, among the events of TensorBoard "
        "at each evaluation; 0 to 32.",
        Limit(lambda panels: 0 <= panels <= 32, "must lie in [0, 32]"),
        free=True,
    )
    log_every: int = option(
        20, "Steps between lines of metrics.jsonl.", POSITIVE, free=True
    )
    compilation_cache: str = option(
        "",
        "Folder that keeps compiled functions for the next start; empty keeps none.",
        free=True,
    )
    workers: int = option(
        0,
        "Processes that load data; 0 loads in threads. Does not change the stream.",
        NOT_NEGATIVE,
        free=True,
    )


class Log(Protocol):
    """Records the metrics of a step, fractions and seconds."""

    def __call__(self, step: int, split: str, **metrics: float) -> None: ...  # noqa: D102


def train(
    state: TrainState,
    step: Step,
    batches: Iterator[Example],
    optimizer: OptimizerOptions,
    options: RunOptions,
    *,
    log: Log,
    evaluate: Callable[[TrainState], dict[str, float]],
    save: Callable[[TrainState, float, int], None],
    batch_told: Callable[[int], str],
    evaluated: bool = True,
    seconds: float = 0.0,
    skipped: int = 0,
) -> tuple[TrainState, float]:
    """Runs the remaining steps.

    Ctrl-C and SIGTERM stop it after the step in flight, whose state is saved.

    Args:
      state: where to begin.
      step: the compiled step; it consumes the state it is given.
      batches: one for each remaining step, on the devices.
      optimizer: its number of steps and images per step.
      options: how often to log, evaluate and save.
      log: called every `log_every` steps and with each evaluation.
      evaluate: returns the metrics of the validation split, `mean_iou` among them.
      save: takes the state, the seconds of training and the skipped updates so far.
      batch_told: returns what to say of the batch of a step that is not finite.
      evaluated: whether an evaluation that `state` was due for is done.
      seconds: of training before this call.
      skipped: updates left out before this call.

    Returns:
      The last state, and the seconds of training in all, evaluations left out.

    Raises:
      Diverged: a step is not finite, and no further one may be skipped.
      KeyboardInterrupt: it was stopped, and what is done is saved.
    """
    from train.training.finiteness import FaultWatch
    from train.training.held import HeldState

    held = HeldState(step, state)
    watch = Stopwatch(seconds)
    start, steps = int(state.step), optimizer.steps
    progress = tqdm(
        total=steps,
        initial=start,
        unit="step",
        dynamic_ncols=True,
        disable=index_of_process() != 0,
    )
    faults = FaultWatch(optimizer, skipped, batch_told, progress.write)

    def is_due(done: int) -> bool:
        return done % options.evaluate_every == 0 and 0 < done < steps

    def evaluate_now(done: int) -> None:
        try:
            with watch.paused(), stop.at_once():
                result = evaluate(held.state)
        except KeyboardInterrupt:
            if not stop.error:
                raise
            return  # which is answered once the state is saved
        log(done, "val", **result)
        progress.write(f"step {done}: mean IoU {100 * result['mean_iou']:.1f} %")

    with StopRequest() as stop:
        if not evaluated and is_due(start):
            evaluate_now(start)
        stop.raise_if_asked()
        for done, batch in enumerate(batches, start + 1):
            metrics = held.advance(batch)
            faults.follow(done, metrics)
            progress.update()
            ends = done == steps
            logs = done % options.log_every == 0 or ends
            if logs:
                faults.settle()
                counted = faults.skipped if optimizer.skip_nonfinite else None
                rate = watch.lap(done) * optimizer.batch_size
                values = _logged(metrics, skipped=counted, images_per_second=rate)
                log(done, "train", **values)
                progress.set_postfix_str(_shown(values))
            if is_due(done):
                faults.settle()
                evaluate_now(done)
            asked = stop.is_asked(logs)
            if done % options.checkpoint_every == 0 or ends or asked:
                faults.settle()
                save(held.state, watch.seconds(), faults.skipped)
            if asked:
                break
    progress.close()
    stop.raise_if_asked()
    if steps == 0:
        save(state, watch.seconds(), skipped)
    return held.state, watch.seconds()


def _logged(
    metrics: dict[str, jax.Array], *, skipped: int | None, images_per_second: float
) -> dict[str, float]:
    """Returns what is logged of a step; what is not known is left out."""
    from train.training.finiteness import FAULT

    values = {name: float(value) for name, value in metrics.items() if name != FAULT}
    if skipped is not None:
        values["skipped"] = skipped
    if images_per_second:
        values["images_per_second"] = images_per_second
    return values


def _shown(values: dict[str, float]) -> str:
    """Returns what the progress bar says of a step."""
    speed = values.get("images_per_second")
    return f"loss {values['loss']:.4f}" + (f", {speed:.1f} images/s" if speed else "")


class Stopwatch:
    """Measures seconds of training and leaves pauses out.

    Args:
      seconds: measured before.
    """

    def __init__(self, seconds: float = 0.0):
        self._origin = time.perf_counter() - seconds
        self._lap: tuple[int, float] | None = None

    def seconds(self) -> float:
        """Returns the seconds so far."""
        return time.perf_counter() - self._origin

    def lap(self, count: int) -> float:
        """Returns the counts per second since the last lap, or 0 at the first."""
        before, self._lap = self._lap, (count, self.seconds())
        if before is None:  # the first steps compile
            return 0.0
        return (count - before[0]) / (self._lap[1] - before[1])

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the watch within the block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._origin += time.perf_counter() - began
