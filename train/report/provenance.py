"""Provenance of a result: code, versions, devices, data, flags."""

from __future__ import annotations

import collections
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import jax

_ROOT = Path(__file__).parents[2]
_CODE = ("lal_jax", "models", "train")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
_FLAGS = re.compile("XLA_FLAGS$|JAX_")  # variables that change what is computed


def provenance(fingerprint: str) -> dict[str, Any]:
    """Returns what a result depends on beside its options.

    Args:
      fingerprint: of the data.
    """
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    kinds = collections.Counter(device.device_kind for device in jax.devices())
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": COMMIT,
        "device": jax.devices()[0].device_kind,
        "devices": dict(kinds),  # how many of each kind there are
        "fingerprint": fingerprint,
        "flags": {k: v for k, v in sorted(os.environ.items()) if _FLAGS.match(k)},
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
