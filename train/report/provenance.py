"""Provenance of a result: code, versions, device."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

_ROOT = Path(__file__).parents[2]
_CODE = ("lal_jax", "models", "train")
_PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def provenance() -> dict[str, Any]:
    """Returns the versions, the commit and the device that a result depends on."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": COMMIT,
        "device": jax.devices()[0].device_kind,
    }


def _commit() -> str:
    """Returns the commit of this code, with "-dirty" if it is changed, or ""."""
    commit = _git("rev-parse", "HEAD")
    return f"{commit}-dirty" if _git("status", "--porcelain", "--", *_CODE) else commit


def _git(*words: str) -> str:
    """Returns what git says, or "" where there is no git or no repository."""
    try:
        done = subprocess.run(  # noqa: S603 - words of ours alone
            ["git", *words],  # noqa: S607 - the user's own, wherever it is
            cwd=_ROOT,
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


COMMIT = _commit()  # of what was loaded, whatever is changed while it runs
