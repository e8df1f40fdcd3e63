"""Claims: which images a call predicts into a folder that other calls may share."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from train.common.errors import UserError
from train.common.files import append_text
from train.common.locks import holder, locked, take
from train.common.regular import open_regular
from train.common.text import shown
from train.evaluation.input_images import MaskFiles

_BEGINS = ".predicting_"  # the names of their files
_MARK = "# Written by lal-jax while it predicts these images\n"


@contextlib.contextmanager
def claimed(out: Path, outputs: Mapping[Path, MaskFiles]) -> Iterator[None]:
    """Keeps other calls from the same images, or files, within the block.

    Each call has a file of its own beside the masks, held for as long as it lives;
    those of calls that were killed are taken away.

    Args:
      out: folder of the masks; made if need be.
      outputs: what is predicted, and into which files.

    Raises:
      UserError: another call is at one of them.
    """
    lines = dict.fromkeys(text for item in outputs.items() for text in _lines(*item))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{_BEGINS}{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        with locked(out):
            for other in sorted(out.glob(f"{_BEGINS}*")):
                _check(other, lines)
            file = stack.enter_context(path.open("x"))
            stack.callback(path.unlink, missing_ok=True)
            take(file.fileno())  # while it is empty, which no claim is
            append_text(path, "".join([_MARK, *lines]))
        yield


def _lines(path: Path, files: MaskFiles) -> tuple[str, str]:
    """Returns what tells of an image: its line in the table of areas, its mask."""
    return f"image {shown(path)}\n", f"mask {shown(files.mask.name)}\n"


def _check(other: Path, lines: Mapping[str, None]) -> None:
    """Refuses images that another call claims; a claim of none that lives is removed.

    Raises:
      UserError: it names the first, and that call.
    """
    with contextlib.suppress(FileNotFoundError):
        if other.is_symlink():
            return
        with open_regular(other) as file:
            text = file.read().decode(errors="surrogateescape")
            first, *theirs = text.splitlines(keepends=True) or [""]
            if first != _MARK:
                return
            if take(file.fileno()):
                other.unlink()
                return
            if shared := next((line for line in theirs if line in lines), ""):
                raise UserError(
                    f"{os.path.dirname(other)}: the {shared.strip()} is being "
                    f"predicted there by {holder(file.fileno())}. Wait for that one, "
                    "stop it, name other images, or choose another --out."
                )
