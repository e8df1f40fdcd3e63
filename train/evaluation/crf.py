"""Predictions refined by a dense CRF, each image in a process beside this one.

Threads that wait for them leave the rest of the program free, and an image whose CRF
ends its process is refused alone. Stopping this process, in whatever way, ends them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np

from train.common.errors import UserError
from train.common.memory import free_host_memory
from train.data.forms import shown_image
from train.data.images import Size
from train.evaluation import crf_worker
from train.evaluation.crf_options import CrfOptions
from train.evaluation.crf_worker import HEAD, Parameters, fill

# Bytes of a photograph for each pixel and class, for each pixel, and of any: a third
# more than measured. Noise takes three times as many, which it may if they are free.
_OF_CLASS, _OF_PIXEL, _OF_ANY = 40, 256, 2**26

# Of the free memory, what is counted on.
_USABLE = 0.8

# The library's lattice has keys of 16 bits, and numbers its values by 32 bits.
_STDS = 5000
_VALUES = 2**31

# Processes at a time, and seconds that one has to end.
_PROCESSES, _PATIENCE = 8, 5

_WAY_OUT = "Make it smaller, or leave --crf away."
_INSTALL = (
    "--crf needs pydensecrf2, which is not installed: python -m pip install "
    "--constraint constraints.txt --editable '.[crf]' (a C++ compiler builds it; for "
    "Python 3.13 see docs/prediction.md)"
)


def check_installed(options: CrfOptions) -> None:
    """Refuses a CRF without its library.

    Raises:
      UserError: it says how to install it.
    """
    if options.on and importlib.util.find_spec("pydensecrf") is None:
        raise UserError(_INSTALL)


@contextlib.contextmanager
def refiner(options: CrfOptions, void: tuple[int, ...] = ()) -> Iterator[Crf | None]:
    """Gives the CRF that the options ask for, if any, within the block.

    Args:
      options: ask for it.
      void: classes that no pixel is of.
    """
    if not options.on:
        yield None
        return
    with Workers() as workers:
        yield Crf(options.parameters, workers, void)


def processes() -> int:
    """Returns how many images are worth refining at a time on this machine."""
    known = hasattr(os, "sched_getaffinity")  # of Linux
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(2, min(_PROCESSES, cores))


def bytes_needed(size: Size, classes: int) -> int:
    """Returns the memory that the CRF of an image takes, about."""
    return _OF_ANY + size[0] * size[1] * (_OF_CLASS * classes + _OF_PIXEL)


class Workers:
    """Processes that compute CRFs, begun as needed and ended with the block."""

    def __init__(self) -> None:
        self._idle: list[subprocess.Popen[bytes]] = []
        self._busy: set[subprocess.Popen[bytes]] = set()
        self._changed, self._taken = threading.Condition(), 0
        self.stopped = False

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *unused: object) -> None:
        self.stop()
        while self._idle:
            _end(self._idle.pop())

    def stop(self) -> None:
        """Ends those that are at work, without their answers; none begins any more."""
        with self._changed:
            self.stopped = True
            for worker in self._busy:
                worker.kill()

    @contextlib.contextmanager
    def one(self, needed: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Gives a process for the block, once memory is free or none is at work.

        With it come the bytes that it may take. One that fails is not used again.

        Raises:
          UserError: all were stopped.
        """

        def free() -> int:
            return int(_USABLE * free_host_memory())

        with self._changed:
            self._changed.wait_for(
                lambda: not self._taken or needed <= free() - self._taken
            )
            if self.stopped:
                raise UserError("stopped")
            worker = self._idle.pop() if self._idle else _begin()
            self._busy.add(worker)
            most = max(needed, free() - self._taken)
            self._taken += needed
        done = False
        try:
            yield worker, most
            done = True
        finally:
            with self._changed:
                self._busy.discard(worker)
            if not done:
                _end(worker)
            with self._changed:
                self._idle += [worker] * done
                self._taken -= needed
                self._changed.notify_all()


@dataclasses.dataclass(frozen=True)
class Crf:
    """A dense CRF of given parameters; threads may share it."""

    parameters: Parameters
    workers: Workers
    void: tuple[int, ...] = ()  # classes that it leaves out

    def check(self, what: str, size: Size, classes: int) -> None:
        """Refuses an image that the CRF cannot be computed of.

        Args:
          what: the image, as messages name it.
          size: its height and width, pixels.
          classes: their number.

        Raises:
          UserError: it would not fit into memory, or into the library's numbers.
        """
        wanted = self.parameters
        for std, weight, option in (
            (wanted.position_std, wanted.weight, "--crf-position-std"),
            (wanted.gaussian_std, wanted.gaussian_weight, "--crf-gaussian-std"),
        ):
            if weight and max(size) > _STDS * std:
                raise UserError(
                    f"{what}: its longer side, {max(size)} pixels, is over {_STDS} "
                    f"times {option} {std:g}, which the CRF's library has no numbers "
                    f"for. Choose {option} {-(-max(size) // _STDS)} or more."
                )
        needed, free = bytes_needed(size, classes), free_host_memory()
        if 6 * size[0] * size[1] * -(-classes // 4) >= _VALUES:
            why = f"{classes} classes are more than the CRF's library can number"
        elif needed > _USABLE * free:
            why = (
                f"{classes} classes would take about {needed / 1e9:.1f} GB of memory "
                f"for the CRF, with {free / 1e9:.1f} GB free"
            )
        else:
            return
        raise UserError(f"{what}: {size[0]}×{size[1]} pixels in {why}. {_WAY_OUT}")

    def refined(
        self, what: str, image: np.ndarray, probabilities: np.ndarray
    ) -> np.ndarray:
        """Returns the marginals, float32 `[height, width, classes]`.

        Args:
          what: the image, as messages name it.
          image: `[height, width, channels]`; its colors are those that are shown.
          probabilities: float32 `[height, width, classes]`, none of them NaN.

        Raises:
          UserError: memory does not suffice.
        """
        classes = probabilities.shape[-1]
        kept = [value for value in range(classes) if value not in self.void]
        if len(kept) == classes:
            return self._marginals(what, shown_image(image), probabilities)
        found = np.zeros(probabilities.shape, np.float32)
        some = probabilities[..., kept]
        found[..., kept] = self._marginals(what, shown_image(image), some)
        return found

    def _marginals(
        self, what: str, image: np.ndarray, probabilities: np.ndarray
    ) -> np.ndarray:
        """Returns the marginals of an image, uint8 `[height, width, 3]`."""
        *size, classes = probabilities.shape
        needed = bytes_needed((size[0], size[1]), classes)
        marginals = np.empty(probabilities.shape, np.float32)
        with self.workers.one(needed) as (worker, most):
            head = HEAD.pack(*probabilities.shape, most, *self.parameters)
            if not _asked(worker, head, image, probabilities, marginals):
                if self.workers.stopped:
                    raise UserError(f"{what}: stopped")
                raise _failure(what, worker)
        return marginals


def _begin() -> subprocess.Popen[bytes]:
    """Starts a process, out of reach of the terminal's Ctrl-C."""
    return subprocess.Popen(  # noqa: S603 - a program of ours
        [sys.executable, "-P", crf_worker.__file__, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Ends a process, which has nothing to lose, and lets go of its pipes."""
    for pipe in (worker.stdin, worker.stdout, worker.stderr):
        with contextlib.suppress(OSError):  # what it did not read
            pipe.close()  # type: ignore[union-attr]
    worker.kill()
    worker.wait(_PATIENCE)


def _asked(
    worker: subprocess.Popen[bytes],
    head: bytes,
    image: np.ndarray,
    probabilities: np.ndarray,
    marginals: np.ndarray,
) -> bool:
    """Fills the marginals in; returns False where the process ended instead."""
    assert worker.stdin and worker.stdout  # noqa: S101 - for the type checker
    try:
        worker.stdin.write(head)
        for array, kind in ((image, np.uint8), (probabilities, np.float32)):
            worker.stdin.write(np.ascontiguousarray(array, kind).data)
        worker.stdin.flush()
    except BrokenPipeError:
        return False
    return fill(marginals, worker.stdout)


def _failure(what: str, worker: subprocess.Popen[bytes]) -> Exception:
    """Returns the error of a process that ended before its answer."""
    assert worker.stderr  # noqa: S101 - for the type checker
    said = worker.stderr.read().decode(errors="replace").strip().split("\n")[-1]
    status = worker.wait(_PATIENCE)
    killed = status in (-signal.SIGABRT, -signal.SIGKILL, -signal.SIGSEGV)
    if killed or "MemoryError" in said.partition(":")[0]:
        return UserError(f"{what}: its CRF takes more memory than there is. {_WAY_OUT}")
    return RuntimeError(f"the CRF's process ended with status {status}: {said:.300}")
