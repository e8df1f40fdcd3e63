"""Which tests notice which mistake: python tests/mutations.py [PATTERN]

Makes small mistakes in the code, one at a time, in copies of this repository, and runs
the tests that must fail then. PATTERN, a regular expression, chooses by file or by what
the mistake is. Exit status 1 if one is not noticed. The tables are `mutants.py` and
`mutants_library.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.mutants import TRAINER, Mutant  # noqa: E402
from tests.mutants_library import LIBRARY  # noqa: E402

FOLDERS = ("benchmarks", "docs", "lal_jax", "models", "tests", "train")
CACHES = shutil.ignore_patterns("__pycache__")


class Verdict(NamedTuple):
    """What became of a mistake: noticed, survived, or why it could not be made."""

    noticed: bool
    text: str


def judge(mutant: Mutant, copy: Path, compiled: Path) -> Verdict:
    """Makes the mistake in a copy, runs the tests, and mends the copy again."""
    path = copy / mutant.file
    whole = path.read_text()
    if whole.count(mutant.old) != 1:
        return Verdict(False, f"stale: the text occurs {whole.count(mutant.old)} times")
    path.write_text(whole.replace(mutant.old, mutant.new))
    command = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    try:
        done = subprocess.run(
            [*command, *mutant.tests],
            cwd=copy,
            env={
                **os.environ,
                "PYTHONPATH": str(copy),
                "JAX_COMPILATION_CACHE_DIR": str(compiled),
            },
            capture_output=True,
            text=True,
        )
    finally:
        path.write_text(whole)
    if done.returncode == 0:
        return Verdict(False, "survived")
    first = re.search(r"^(?:FAILED|ERROR) \S*?::(\w+)", done.stdout, re.M)
    if done.returncode != 1 or not first:  # no test ran, or none by that name
        return Verdict(False, f"stale: {(done.stdout + done.stderr)[-300:]}")
    return Verdict(True, f"noticed by {first[1]}")


def main() -> None:
    """Judges the mistakes that the command line chooses, and prints a table."""
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    chosen = [
        m for m in [*TRAINER, *LIBRARY] if pattern.search(f"{m.file} {m.mistake}")
    ]
    folder = Path(tempfile.mkdtemp(prefix="mutations_"))
    try:
        copy = folder / "copy"
        for name in FOLDERS:
            shutil.copytree(ROOT / name, copy / name, ignore=CACHES)
        for name in ("README.md", "pyproject.toml"):
            shutil.copy(ROOT / name, copy)
        missed = 0
        for mutant in chosen:
            began = time.perf_counter()
            verdict = judge(mutant, copy, folder / "compiled")
            missed += not verdict.noticed
            seconds = time.perf_counter() - began
            print(
                f"{mutant.file}: {mutant.mistake}: {verdict.text} ({seconds:.0f} s)",
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(chosen) - missed} of {len(chosen)} noticed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
