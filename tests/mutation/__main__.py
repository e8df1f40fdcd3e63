"""Which tests notice which mistake: python -m tests.mutation [PATTERN]

Makes small mistakes in the code, one at a time, in copies of this repository, and runs
the tests that must fail then. PATTERN, a regular expression, chooses by file or by what
the mistake is. Exit status 1 if one is not noticed. The tables are the files beside
this one.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.mutation.tables import MUTANTS
from tests.mutation.trainer import Mutant

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "docs", "lal_jax", "models", "tests", "train")
CACHES = shutil.ignore_patterns("__pycache__")


class Verdict(NamedTuple):
    """What became of a mistake: noticed, survived, or why it could not be made."""

    noticed: bool
    text: str


def run_tests(tests: tuple[str, ...], copy: Path) -> tuple[int, str]:
    """Runs tests of a copy up to the first that fails; returns status and output."""
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
    settings = {
        "PYTHONPATH": str(copy),
        "JAX_COMPILATION_CACHE_DIR": str(copy.with_name("compiled")),
    }
    done = subprocess.run(
        [*command, *tests],
        cwd=copy,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        errors="replace",  # names of files may be no UTF-8
    )
    return done.returncode, done.stdout + done.stderr


@functools.cache
def sound(tests: tuple[str, ...], copy: Path) -> bool:
    """Returns whether tests pass where no mistake is made."""
    return run_tests(tests, copy)[0] == 0


def judge(mutant: Mutant, copy: Path) -> Verdict:
    """Makes the mistake in a copy, runs the tests, and mends the copy again."""
    path = copy / mutant.file
    whole = path.read_text()
    if whole.count(mutant.old) != 1:
        return Verdict(False, f"stale: the text occurs {whole.count(mutant.old)} times")
    if not sound(mutant.tests, copy):
        return Verdict(False, "stale: its tests fail without it, too")
    path.write_text(whole.replace(mutant.old, mutant.new))
    try:
        status, output = run_tests(mutant.tests, copy)
    finally:
        path.write_text(whole)
    if status == 0:
        return Verdict(False, "survived")
    first = re.search(r"^(?:FAILED|ERROR) \S*?::(\w+)", output, re.M)
    if status != 1 or not first:  # no test ran, or none by that name
        return Verdict(False, f"stale: {output[-300:]}")
    return Verdict(True, f"noticed by {first[1]}")


def copy_repository(copy: Path) -> None:
    """Copies what tests need; under Git, since runs note their commit."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=CACHES)
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    for words in (("init",), ("add", "."), (*who, "commit", "--message", "copy")):
        subprocess.run(("git", *words), cwd=copy, check=True, capture_output=True)


def main() -> None:
    """Judges the mistakes that the command line chooses, and prints a table."""
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    chosen = [m for m in MUTANTS if pattern.search(f"{m.file} {m.mistake}")]
    folder = Path(tempfile.mkdtemp(prefix="mutations_"))
    try:
        copy = folder / "copy"
        copy_repository(copy)
        missed = 0
        for mutant in chosen:
            began = time.perf_counter()
            verdict = judge(mutant, copy)
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
