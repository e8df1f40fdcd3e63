"""The converter: every tensor is kept, and what a file states is written into it."""

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models import convert_checkpoint
from models.weights import read_header

from .checkpoints import storages as storages_of
from .checkpoints import table, tensors, value, write_checkpoint, write_zip

ARRAYS = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "count": np.array(3),
}
STATED = ("--style", "caffe", "--preprocessing", "bgr_mean", "--norm-epsilon", "1e-5")


PROGRAM = convert_checkpoint.__file__
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


class Ended(NamedTuple):
    """How the program ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Ended:
    """Runs the program's file here, from its first line to its exit status."""
    out, error = io.StringIO(), io.StringIO()
    status: object = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [PROGRAM, *map(str, arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            try:
                runpy.run_path(PROGRAM, run_name="__main__")
            except SystemExit as stop:
                if isinstance(stop.code, str):  # as Python does
                    print(stop.code, file=sys.stderr)
                status = 1 if isinstance(stop.code, str) else stop.code or 0
    assert isinstance(status, int), status
    return Ended(status, out.getvalue(), error.getvalue())


def test_a_source_that_is_exchanged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file(ARRAYS, source, {"style": "caffe"})
    header = read_header(source)
    save_file(ARRAYS, source, {"style": "modern"})
    monkeypatch.setattr(convert_checkpoint, "read_header", lambda path: header)
    with pytest.raises(ValueError, match="has changed since its header was read"):
        convert_checkpoint.convert(source, target)
    assert not target.exists()


def test_every_tensor_is_kept_and_the_rest_named(tmp_path: Path) -> None:
    items = {"state_dict": tensors(ARRAYS), "epoch": value(3)}
    source = write_zip(tmp_path / "w.pth", table(items), storages_of(ARRAYS))
    target = tmp_path / "new" / "w.safetensors"
    done = run(source, target)
    assert done.returncode == 0 and "(2 tensors)\nleft out: epoch\n" in done.stdout
    assert convert_checkpoint.checksum(target) in done.stdout
    for key, found in load_file(target).items():
        np.testing.assert_array_equal(found, ARRAYS[key])
    assert set(read_header(target).metadata) == {"checksum"}


def test_what_weights_were_trained_with_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file({"w": np.ones(3, np.float32)}, source, {"note": "kept", "style": "x"})
    assert run(source, target, *STATED).returncode == 0
    metadata = read_header(target).metadata
    del metadata["checksum"]
    assert metadata == {
        "note": "kept",
        "style": "caffe",
        "preprocessing": "bgr_mean",
        "norm_epsilon": "1e-05",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (STATED[:4], "need one another"),
        ((*STATED[:5], "nan"), "invalid positive value: 'nan'"),
        ((*STATED[:5], "-1"), "invalid positive value: '-1'"),
        (("--style", "tf", *STATED[2:]), "invalid choice: 'tf'"),
        ((*STATED[:5], "much"), "invalid positive value: 'much'"),
    ],
)
def test_what_cannot_be_stated_is_refused(
    options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    source = write_checkpoint(tmp_path / "w.pth", ARRAYS)
    done = run(source, tmp_path / "w.safetensors", *options)
    assert done.returncode == 2 and message in done.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_no_file_is_lost(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "w.safetensors", ARRAYS)
    before = source.read_bytes()
    with pytest.raises(ValueError, match="is the source: name another target"):
        convert_checkpoint.convert(source, source)
    with pytest.raises(ValueError, match=r"must be a file named \*.safetensors"):
        convert_checkpoint.convert(source, tmp_path / "w.bin")
    assert source.read_bytes() == before and list(tmp_path.iterdir()) == [source]


def test_no_file_is_written_that_none_can_open(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "w.pth", {"__metadata__": np.ones(2, "f4")})
    done = run(source, tmp_path / "w.safetensors")
    assert done.returncode == 1 and "an array is called __metadata__" in done.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_names_steer_no_terminal(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "w.pth", b"c\x1b[31mRED\x1b[2J\nname\n")
    done = run(source, tmp_path / "w.safetensors")
    assert done.returncode == 1 and "\x1b" not in done.stderr
    assert "asks for \\x1b[31mRED\\x1b[2J.name;" in done.stderr
    two = value("os\nerror: none\n") + value("system") + b"\x93"
    done = run(write_zip(source, two), tmp_path / "w.safetensors")
    assert "asks for os\n  error: none\n  .system" in done.stderr


def test_files_of_any_name_are_converted(tmp_path: Path) -> None:
    """By the program as users start it."""
    source = tmp_path / os.fsdecode(b"\xff\x1b[2J.pth")
    write_checkpoint(source, ARRAYS)
    words = [sys.executable, PROGRAM, str(source), str(tmp_path / "w.safetensors")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and "\\udcff\\x1b[2J.pth\n" in done.stdout


@pytest.mark.parametrize(
    ("shell", "status", "said"),
    [
        ("%s >&-", 0, ""),
        ("%s 2>&-", 0, ""),
        ("set -o pipefail; %s | true", 0, ""),
        ("%s >/dev/full", 1, "error: not all could be printed (.*No space left.*whole"),
        ("ulimit -f 0; %s", 1, "error: .*File too large: '.*w.safetensors'"),
    ],
)
def test_lost_output_and_full_disks(
    tmp_path: Path, shell: str, status: int, said: str
) -> None:
    """As users start it, without docstrings: the file is whole or not there."""
    source = write_checkpoint(tmp_path / "w.pth", ARRAYS)
    target = tmp_path / "w.safetensors"
    words = shlex.join([sys.executable, "-OO", str(PROGRAM), str(source), str(target)])
    done = subprocess.run(
        ["bash", "-c", shell % words], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == status, done.stderr
    assert re.fullmatch(said.replace("(", r"\(") + "\n?", done.stderr), done.stderr
    assert target.exists() == ("ulimit" not in shell)


def test_unreadable_source_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "w.pth"
    source.write_text("no checkpoint")
    done = run(source, tmp_path / "w.safetensors")
    assert done.returncode == 1 and list(tmp_path.iterdir()) == [source]
    assert done.stderr.startswith(f"error: {source} cannot be read")
    assert len(done.stderr.splitlines()) == 1
