"""The processes of one run, on one host or several: joined, in step, and told apart.

A run of one process does nothing here. JAX is imported where it is used, so that the
options load without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from train.common.errors import UserError
from train.common.options import Group, Limit, Rule, option
from train.common.text import is_count

if TYPE_CHECKING:
    import jax
    import numpy as np

Tree = TypeVar("Tree")

# How the managers of clusters say that this process is one of several.
_SIZES = {
    "SLURM_STEP_NUM_TASKS": "Slurm",
    "OMPI_COMM_WORLD_SIZE": "Open MPI",
}

AUTO = "auto"

# Seconds without a sign of life after which a process counts as dead.
_SILENCE = 30

# What JAX says where another process is gone.
_GONE = (
    *("Gloo", "gloo", "connection closed", "Connection reset", "Socket closed"),
    *("heartbeat", "DEADLINE_EXCEEDED", "UNAVAILABLE", "coordination service"),
    *("Connection refused", "NCCL", "Barrier", "barrier"),
)


def _is_address(text: str) -> bool:
    """Returns whether a text is HOST:PORT; of others JAX crashes, or waits."""
    found = re.fullmatch(r"(?:[\w.-]+|\[[\w.:%]+\]):([0-9]{1,5})", text)
    return found is not None and 0 < int(found[1]) < 2**16


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessOptions(Group):
    """The processes of a run that takes several, one a host as a rule."""

    coordinator: str = option(
        "",
        "Address HOST:PORT of process 0, where processes are started by hand; auto "
        "where JAX finds it (Cloud TPU, GKE). Slurm (srun) and Open MPI need none.",
        Limit(
            lambda address: address in ("", AUTO) or _is_address(address),
            "must be HOST:PORT or auto",
        ),
        free=True,
    )
    processes: int = option(
        0,
        "Number of processes of the run; 0 takes it from Slurm or Open MPI, 1 if there "
        "are none.",
        Limit(lambda count: 0 <= count < 2**20, "must be ≥ 0"),
        free=True,
    )
    process: int = option(
        -1,
        "Which of them this one is, from 0; needs --coordinator.",
        Limit(lambda number: number >= -1, "must be ≥ 0"),
        free=True,
    )

    rules = (
        Rule(
            "coordinator",
            lambda options: options.coordinator in ("", AUTO) or options.processes > 0,
            "needs --processes and --process",
        ),
        Rule(
            "process",
            lambda options: (
                options.process < options.processes
                if options.coordinator not in ("", AUTO)
                else options.process == -1
            ),
            "must be below --processes, and needs the address of a --coordinator",
        ),
        Rule(
            "processes",
            lambda options: options.processes < 2 or bool(options.coordinator),
            "needs --coordinator and --process",
        ),
    )


def join_processes(options: ProcessOptions) -> None:
    """Joins the processes of the run, before JAX is used.

    Raises:
      UserError: the others cannot be reached.
    """
    given: dict[str, Any] = {}
    if options.coordinator == AUTO:
        pass
    elif options.coordinator:
        given = {
            "coordinator_address": options.coordinator,
            "num_processes": options.processes,
            "process_id": options.process,
        }
    elif options.processes == 1 or not _manager():
        return
    import jax

    if jax.distributed.is_initialized():
        return
    try:
        jax.distributed.initialize(
            **given,
            heartbeat_timeout_seconds=_SILENCE,
            shutdown_timeout_seconds=_SILENCE,
        )
    except (RuntimeError, ValueError) as error:
        how = _manager() or f"--coordinator {options.coordinator}"
        raise UserError(
            f"the processes of the run could not be joined ({how}): {error!s:.300}\n"
            "Start all of them, with the same --coordinator and --processes, each "
            "with its own --process; or pass --processes 1 for a run of this process "
            "alone."
        ) from error

    if threading.current_thread() is threading.main_thread():
        # JAX has put a handler of its own over SIGTERM's.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    if jax.process_index() != 0:  # process 0 tells what all would
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the end


def _manager() -> str:
    """Returns what started several processes, "" if nothing did."""
    for variable, manager in _SIZES.items():
        size = os.environ.get(variable, "")
        if is_count(size) and int(size) > 1:
            return manager
    return ""


def number_of_processes() -> int:
    """Returns the number of the run's processes."""
    import jax

    return jax.process_count()


def index_of_process() -> int:
    """Returns which of them this one is; 0 alone writes what all would write."""
    import jax

    return jax.process_index()


def wait_for_all(what: str) -> None:
    """Waits until all processes have come here.

    Args:
      what: the same in all of them.
    """
    if number_of_processes() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(what)


def check_alike(
    values: Mapping[str, object],
    fault: str = "were given different options",
    remedy: str = "Start all with the same command; --process alone may differ.",
) -> None:
    """Refuses to go on where processes of the run differ in what all must have alike.

    Args:
      values: options or others, by name, with the same names in all.
      fault: what the processes then do or did.
      remedy: what to do about it.

    Raises:
      UserError: in each process, naming those that differ.
    """
    if number_of_processes() == 1:
        return
    import numpy as np
    from jax.experimental import multihost_utils

    sums = [zlib.crc32(repr(value).encode()) for value in values.values()]
    of_all = multihost_utils.process_allgather(np.array(sums, "uint32").view("int32"))
    differs = (of_all != of_all[0]).any(axis=0)
    if not differs.any():
        return
    listed = "\n".join(
        f"{name}: {value!r:.500} here, in process {index_of_process()}"
        for (name, value), different in zip(values.items(), differs, strict=True)
        if different
    )
    raise UserError(f"the processes of the run {fault}:\n{listed}\n{remedy}")


def of_first(tree: Tree) -> Tree:
    """Returns the arrays of process 0, given others of the same shapes in each."""
    if number_of_processes() == 1:
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(tree)


@contextlib.contextmanager
def first_goes_first(what: str) -> Iterator[None]:
    """Lets process 0 through the block before the others, who find what it made."""
    if index_of_process() != 0:
        wait_for_all(what)
    yield
    if index_of_process() == 0:
        wait_for_all(what)


def total(counts: np.ndarray) -> np.ndarray:
    """Returns the sum of an int64 array over the processes."""
    if number_of_processes() == 1:
        return counts
    from jax.experimental import multihost_utils

    # In halves: JAX has no int64 unless the whole program asks for it.
    halves = counts.astype("int64").view("int32")
    return multihost_utils.process_allgather(halves).view("int64").sum(axis=0)


def any_of(flag: bool) -> bool:
    """Returns whether the flag is set in any of the processes, which all ask."""
    import numpy as np

    return bool(total(np.array([flag], np.int64))[0])


def gathered(array: jax.Array) -> jax.Array | np.ndarray:
    """Returns an array whole, where processes have parts of it."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return array
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)


def is_of_lost_process(error: BaseException | None) -> bool:
    """Returns whether an error says that another process of the run is gone."""
    return (
        isinstance(error, RuntimeError | TimeoutError | ValueError)  # JAX's, Orbax's
        and any(word in str(error) for word in _GONE)
        and number_of_processes() > 1
    )


@contextlib.contextmanager
def others_needed() -> Iterator[None]:
    """Says in one message that another process has ended within the block.

    Raises:
      UserError: it has.
    """
    try:
        yield
    except Exception as error:
        if not is_of_lost_process(error):
            raise
        raise UserError(
            "another process of the run has ended, or cannot be reached "
            f"({error!s:.200}). What it said itself tells why. Then give the same "
            "command in all of them again, or in any other number of them: the run "
            "goes on from its last checkpoint."
        ) from error
