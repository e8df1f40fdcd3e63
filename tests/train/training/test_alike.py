"""Processes of one run have the same files and begin with the same state."""

from pathlib import Path

import numpy as np
import pytest

from train.common.errors import UserError
from train.data.kinds import Found
from train.training.alike import check_same_files, check_same_state
from train.training.network import ModelOptions

from ..standins import STATE


@pytest.mark.usefixtures("second_process")
def test_processes_of_different_weights_are_refused(tmp_path: Path) -> None:
    found = Found("data", ("a",), np.zeros((1, 3), np.uint8), "f", lambda splits: {})
    path = tmp_path / "weights"
    path.write_bytes(b"some")
    options = ModelOptions(weights=str(path))
    check_same_files(found, options, begins=True)
    check_same_files(found, options, begins=True)
    path.write_bytes(b"others")
    with pytest.raises(UserError, match="--weights, checksum: .* here, in process 1"):
        check_same_files(found, options, begins=True)


@pytest.mark.usefixtures("second_process")
def test_processes_of_different_states_are_refused() -> None:
    check_same_state(STATE)
    check_same_state(STATE)
    with pytest.raises(UserError, match="(?s)different states:\nchecksum:.*--workdir"):
        check_same_state(STATE._replace(centers=STATE.centers + 1))
