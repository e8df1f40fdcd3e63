"""Several processes train as one does, and end with it where one of them dies."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.common.processes import (
    ProcessOptions,
    check_alike,
    join_processes,
    of_first,
    others_needed,
)
from train.common.signals import Terminated, terminable
from train.config import Config

from .conftest import make_folder
from .programs import OPTIONS, call, start, wait

# Of each process; the tests' own has four.
TWO_DEVICES = {"JAX_NUM_CPU_DEVICES": "2"}


def begin(
    folder: Path | str,
    tmp_path: Path,
    workdir: Path,
    steps: int,
    *more: object,
    places: Sequence[Path | None] = (None, None),
) -> list[subprocess.Popen[str]]:
    """Starts the two processes of a run, each in its own folder if one is named."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = f"--coordinator 127.0.0.1:{port} --processes 2".split()
    return [
        start(
            "main",
            *arguments(folder, tmp_path, workdir, steps),
            *more,
            *together,
            *("--process", number),
            more=TWO_DEVICES,
            cwd=place,
        )
        for number, place in enumerate(places)
    ]


def arguments(
    folder: Path | str, tmp_path: Path, workdir: Path, steps: int
) -> list[object]:
    return [
        *("demo", *OPTIONS, "--batch-size", 4, "--steps", steps),
        *("--data", folder, "--prepared", tmp_path / "prepared"),
        *("--workdir", workdir, "--upsampling", "bilinear"),
    ]


def metrics(workdir: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines()))


def test_two_processes_train_as_one_does(folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    ended = [wait(each) for each in begin(folder, tmp_path, two, 4)]
    assert [each.returncode for each in ended] == [0, 0], ended
    assert "4 devices (cpu), each step's images divided by 4" in ended[0].stdout
    assert "mean IoU" in ended[0].stdout and "mean IoU" not in ended[1].stdout
    alone = call("main", *arguments(folder, tmp_path, one, 4), "--devices", 1)
    assert alone.returncode == 0, alone
    for wanted, found in zip(metrics(one), metrics(two), strict=True):
        for name in wanted.keys() - {"split", "images_per_second"}:
            assert found[name] == pytest.approx(wanted[name], rel=1e-5), name
    # Of the run of two, each uses what one alone wrote.
    assert call("evaluate", two).returncode == 0


def test_run_outlives_each_of_its_processes(folder: Path, tmp_path: Path) -> None:
    workdir, steps = tmp_path / "run", 60

    # One is told to stop: both save the same step, and can be told to go on.
    first, second = begin(folder, tmp_path, workdir, steps)
    wait_for_checkpoint(workdir, first, 2)
    second.send_signal(signal.SIGTERM)
    ended = [wait(first), wait(second)]
    assert [each.returncode for each in ended] == [os.EX_TEMPFAIL] * 2, ended
    saved = newest(workdir)
    assert 2 <= saved < steps

    # One dies: the other ends by itself.
    first, second = begin(folder, tmp_path, workdir, steps)
    wait_for_checkpoint(workdir, first, saved + 1)
    second.send_signal(signal.SIGKILL)
    began = time.monotonic()
    ended = [wait(first), wait(second)]
    assert time.monotonic() - began < 60
    assert ended[0].returncode == 2
    assert "another process of the run has ended" in ended[0].stderr
    assert "Traceback" not in ended[0].stderr

    # One process finishes what two began.
    again = call("main", *arguments(folder, tmp_path, workdir, steps))
    assert again.returncode == 0, again
    begun = re.search(r"from step (\d+) of 60", again.stdout)
    assert begun and int(begun[1]) > saved
    logged = [line["step"] for line in metrics(workdir) if line["split"] == "train"]
    assert logged == list(range(1, steps + 1))


def test_processes_of_different_data_are_refused(tmp_path: Path) -> None:
    places = [tmp_path / "first", tmp_path / "second"]
    for place in places:
        make_folder(place / "voc")
    names = places[1] / "voc" / "class_names.txt"
    names.write_text("ground\nblue\nred\n")
    workdir = tmp_path / "run"
    ended = [wait(each) for each in begin("voc", tmp_path, workdir, 4, places=places)]
    for process, (each, first) in enumerate(zip(ended, ("red", "blue"), strict=True)):
        assert each.returncode == 2 and "Traceback" not in each.stderr, each
        assert "find different files" in each.stderr
        told = f"--data, classes: ('ground', '{first}'"
        assert told in each.stderr and f"in process {process}" in each.stderr
        assert "--weights" not in each.stderr
    assert not workdir.exists() and not (tmp_path / "prepared").exists()


def newest(workdir: Path) -> int:
    """Returns the step of the newest checkpoint, 0 if there is none."""
    places = workdir.glob("checkpoints/*/manifest.json")
    return max([int(place.parent.name) for place in places], default=0)


def wait_for_checkpoint(
    workdir: Path, process: subprocess.Popen[str], step: int
) -> None:
    while newest(workdir) < step:
        assert process.poll() is None, wait(process)
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"processes": 2}, "--processes needs --coordinator"),
        ({"coordinator": "here:1"}, "--coordinator needs --processes"),
        ({"coordinator": "here", "processes": 2, "process": 0}, "HOST:PORT"),
        ({"coordinator": "here:1", "processes": 2, "process": 2}, "below --processes"),
        ({"process": 0}, "--process .*--coordinator"),
        *(
            ({"coordinator": address, "processes": 2, "process": 0}, "HOST:PORT")
            for address in (
                "a:\u0663",
                "a:0",
                "a:65536",
                ":1",
                "[]:1",
                "a b:1",
                "a:1\n",
            )
        ),
    ],
    ids=str,
)
def test_incomplete_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ProcessOptions(**options)


@pytest.mark.parametrize("address", ["node-1.example:1", "[::1]:65535", "10.0.0.1:80"])
def test_addresses_of_all_kinds_are_taken(address: str) -> None:
    given = ProcessOptions(coordinator=address, processes=2, process=0)
    assert given.coordinator == address


def test_one_process_joins_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**unused: object) -> None:
        raise AssertionError("joined")

    monkeypatch.setattr("jax.distributed.initialize", refuse)
    join_processes(ProcessOptions())
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    join_processes(ProcessOptions(processes=1))
    with pytest.raises(AssertionError, match="joined"):
        join_processes(ProcessOptions())
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    with pytest.raises(AssertionError, match="joined"):
        join_processes(ProcessOptions(coordinator="auto"))


def test_joining_leaves_sigterm_to_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """JAX's own handler goes past Python, as faulthandler's does."""
    with (tmp_path / "trace").open("w") as file, terminable():
        monkeypatch.setattr(
            "jax.distributed.initialize",
            lambda **unused: faulthandler.register(signal.SIGTERM, file),
        )
        join_processes(ProcessOptions(coordinator="auto"))
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        faulthandler.unregister(signal.SIGTERM)


@pytest.mark.usefixtures("second_process")
def test_processes_of_different_options_are_refused() -> None:
    first = Config().replace(steps=5, process=-1).shared_options()
    check_alike(first)
    check_alike(Config().replace(steps=5, workers=3, prepared="here").shared_options())
    with pytest.raises(UserError) as raised:
        check_alike(Config().replace(steps=5, seed=7, flip=False).shared_options())
    assert "--seed: 7 here, in process 1" in str(raised.value)
    assert "--flip: False here" in str(raised.value)
    assert "--steps" not in str(raised.value)


def test_processes_begin_with_the_state_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "jax.experimental.multihost_utils.broadcast_one_to_all"
    monkeypatch.setattr(name, lambda tree: "the first's")
    assert of_first("one") == "one"
    monkeypatch.setattr("jax.process_count", lambda: 2)
    assert of_first("another") == "the first's"


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, TimeoutError])
def test_lost_process_is_told_from_every_type_of_error(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    said = "UNKNOWN: Gloo AllGather failed: Connection reset by peer"
    with pytest.raises(kind), others_needed():
        raise kind(said)
    monkeypatch.setattr("jax.process_count", lambda: 2)
    with pytest.raises(UserError, match="another process"), others_needed():
        raise kind(said)
    with pytest.raises(kind, match="ours"), others_needed():
        raise kind("ours")


def test_cluster_that_cannot_be_joined_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**unused: object) -> None:
        raise RuntimeError("DEADLINE_EXCEEDED")

    monkeypatch.setattr("jax.distributed.initialize", refuse)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    with pytest.raises(UserError, match="(?s)Open MPI.*DEADLINE.*--processes 1"):
        join_processes(ProcessOptions())
