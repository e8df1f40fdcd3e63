"""What the processes of one run must have alike: its data, weights and state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.checksums import checksum_of_rest
from train.common.processes import check_alike, number_of_processes
from train.training.initial_weights import weights_file
from train.training.position import checksum_of_arrays

if TYPE_CHECKING:
    from train.data.kinds import Found
    from train.training.network import ModelOptions
    from train.training.step import TrainState


def check_same_files(found: Found, options: ModelOptions, *, begins: bool) -> None:
    """Refuses files that are not the same for all processes, by content.

    Args:
      found: the data.
      options: name the weights.
      begins: whether there is no checkpoint to go on from.

    Raises:
      UserError: in each process, naming what differs.
    """
    if number_of_processes() == 1:
        return
    weights = ""
    if begins and options.weights:
        with weights_file(options).open("rb") as file:
            weights = checksum_of_rest(file)
    check_alike(
        {
            "--data, fingerprint": found.fingerprint,
            "--data, classes": found.class_names,
            "--data, fingerprints of splits": dict(found.splits),
            "--split, images to validate on": len(found.val_names),
            "--weights, checksum": weights,
            "--workdir, has a checkpoint": not begins,
        },
        "find different files",
        "Give all of them the same: paths that are relative begin in the folder where "
        "a process was started, and --workdir is one that all share.",
    )


def check_same_state(state: TrainState) -> None:
    """Refuses a state that is not the same in all processes.

    Raises:
      UserError: in each process, naming the step.
    """
    if number_of_processes() > 1:
        check_alike(
            {"step": int(state.step), "checksum": checksum_of_arrays(state)},
            "go on from different states",
            "See that --workdir is on a file system that all of them share.",
        )
