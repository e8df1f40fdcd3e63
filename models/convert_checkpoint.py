r"""Converts a checkpoint to safetensors, or states in a file what it was trained with.

    python models/convert_checkpoint.py resnet101-63fe2227.pth resnet101.safetensors
    python models/convert_checkpoint.py c4.safetensors caffe_c4.safetensors \
      --style caffe --preprocessing bgr_mean --norm-epsilon 1e-5

Reads PyTorch's files without PyTorch and runs no code in them. Prints the checksums of
both files.
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import argparse
import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from models.styles import STYLES
from models.text import inert, positive, shortened
from models.weights import STATED, read_header, read_weights, write_weights


def convert(
    source: Path, target: Path, stated: Mapping[str, str] | None = None
) -> tuple[int, tuple[str, ...]]:
    """Writes all tensors of a file to a safetensors file.

    Args:
      source: of PyTorch, or safetensors, whose metadata are kept.
      target: written as a whole or not at all; its folder is created if need be.
      stated: `STATED` metadata: what the weights were trained with.

    Returns:
      The number of tensors, and the names of what is beside them and left out.

    Raises:
      ValueError: the source cannot be read; or the target is not named *.safetensors,
        or is the source.
    """
    if target.suffix != ".safetensors" or target.is_dir():
        raise ValueError(f"{target} must be a file named *.safetensors")
    header = read_header(source)
    if target.exists() and target.samefile(source):
        raise ValueError(f"{target} is the source: name another target")
    arrays = read_weights(source, header)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_weights(arrays, target, {**header.metadata, **(stated or {})})
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    return len(arrays), header.aside


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Converts a checkpoint to safetensors, or states in a file what it "
        "was trained with."
    )
    parser.add_argument("source", type=Path, help="PyTorch's or safetensors")
    parser.add_argument("target", type=Path, help="where to write (.safetensors)")
    group = parser.add_argument_group(
        "what the weights were trained with",
        "As options of train/main.py; all or none.",
    )
    group.add_argument("--style", choices=list(STYLES))
    group.add_argument("--preprocessing")
    group.add_argument("--norm-epsilon", type=positive, help="of batch norm")
    return parser


def main() -> None:
    """Converts the file that the command line names."""
    parser = _parser()
    arguments = parser.parse_args()
    stated = {name: getattr(arguments, name) for name in STATED}
    stated = {name: str(value) for name, value in stated.items() if value is not None}
    if stated and len(stated) < len(STATED):
        # One alone would leave the others to what the key names are presumed to mean.
        parser.error("--style, --preprocessing and --norm-epsilon need one another")
    try:
        count, aside = convert(arguments.source, arguments.target, stated)
    except (OSError, ValueError) as error:
        _end(f"{error}")
    said = [
        f"{checksum(arguments.source)}  {arguments.source}",
        f"{checksum(arguments.target)}  {arguments.target} ({count} tensors)",
        *([f"left out: {shortened(', '.join(aside), 2000)}"] if aside else []),
    ]
    try:
        print(_printable("\n".join(said)), flush=True)
    except OSError as error:
        with open(os.devnull, "w") as nowhere:  # for what is still in the buffer
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # else its reader went away
            _end(f"not all could be printed ({error}), but {arguments.target} is whole")


def _end(message: str) -> NoReturn:
    # Lines after the first are indented: no name can begin one of ours.
    sys.exit(_printable(f"error: {message}".replace("\n", "\n  ")))


def _printable(text: str) -> str:
    """Returns text that neither steers a terminal nor fails to be printed."""
    encoding = sys.stdout.encoding or "utf-8"
    return inert(text).encode(encoding, "backslashreplace").decode(encoding)


if __name__ == "__main__":
    main()
