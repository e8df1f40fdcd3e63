"""Converts a PyTorch checkpoint to safetensors.

    python models/convert_checkpoint.py resnet101-63fe2227.pth resnet101.safetensors

Runs in any environment with torch and safetensors and imports nothing of this project.
The pickle inside is read with `weights_only=True`, which builds tensors and runs no
code. Prints the checksums of both files.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import re
import sys
from pathlib import Path
from typing import Any


def convert(source: Path, target: Path) -> int:
    """Writes all tensors of a checkpoint to a safetensors file; returns their number.

    Args:
      source: a state dict, or a dict that holds one as "state_dict" or "model".
      target: written as a whole or not at all; its folder is created if need be.

    Raises:
      ValueError: the file holds no tensors, or something beside tensors; or the target
        is not named *.safetensors.
    """
    from safetensors.torch import save

    if target.suffix != ".safetensors" or target.is_dir():
        raise ValueError(f"{target} must be a file named *.safetensors")
    if not source.is_file():
        raise ValueError(f"{source}: no such file")
    # A copy each: arrays that share memory cannot be stored.
    tensors = {key: value.clone().contiguous() for key, value in read(source).items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(save(tensors))
    partial.replace(target)
    return len(tensors)


def read(source: Path) -> dict[str, Any]:
    """Returns the tensors of a checkpoint by key.

    Raises:
      ValueError: the file holds no tensors, or something beside tensors.
    """
    import torch

    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch advises to run whatever it is
        reason = re.search(r"Unsupported [^.\n]*|Trying to load [^.\n]*", str(error))
        raise ValueError(
            f"{source} is no checkpoint of tensors alone "
            f"({reason.group() if reason else 'no pickle'}). Anything else could run "
            "code when it is read, and stays unread."
        ) from error
    except (RuntimeError, EOFError) as error:
        reason_line = str(error).partition("\n")[0][:80]
        raise ValueError(
            f"{source} cannot be read ({reason_line}). Download it again and compare "
            "its checksum."
        ) from error
    for name in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict):
            loaded = loaded[name]
    if not isinstance(loaded, dict):
        raise ValueError(f"{source} holds a {type(loaded).__name__}, not a state dict")
    others = [key for key, value in loaded.items() if not torch.is_tensor(value)]
    if others or not loaded:
        raise ValueError(f"{source} is not a dict of tensors; it has {others[:5]}")
    return loaded


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Converts the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="checkpoint (.pth)")
    parser.add_argument("target", type=Path, help="where to write (.safetensors)")
    arguments = parser.parse_args()
    try:
        count = convert(arguments.source, arguments.target)
    except ImportError as error:
        sys.exit(f"error: {error}. pip install torch safetensors")
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{checksum(arguments.source)}  {arguments.source}")
    print(f"{checksum(arguments.target)}  {arguments.target} ({count} tensors)")


if __name__ == "__main__":
    main()
