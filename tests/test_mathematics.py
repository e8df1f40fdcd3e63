"""docs/mathematics.md names functions, files and tests that exist."""

import re
from pathlib import Path

import lal_jax

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "mathematics.md").read_text()
TESTS = {
    file.name: re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    for file in (ROOT / "tests" / "lal_jax").glob("test_*.py")
}


def test_every_test_stands_in_the_file_named_before_it() -> None:
    file, named = "", 0
    for match in re.finditer(r"`(test_\w+)(\.py)?`", TEXT):
        if match[2]:
            file = match[1] + ".py"
        else:
            assert match[1] in TESTS[file], f"{match[1]} is not in {file}"
            named += 1
    assert named > 50


def test_every_function_and_file_of_the_tables_exists() -> None:
    rows = re.findall(r"^\|[^|]*\| ([^|]*`[^|]*) \| (`\w+\.py`[^|]*) \|", TEXT, re.M)
    assert len(rows) > 10
    for functions, files in rows:
        sources = [
            (ROOT / "lal_jax" / name).read_text()
            for name in re.findall(r"`(\w+\.py)`", files)
        ]
        for name in re.findall(r"`([\w.]+)`", functions):
            last = name.split(".")[-1]
            assert any(f"def {last}(" in source for source in sources), name
            if name.startswith("gradients."):
                assert hasattr(lal_jax.gradients, last), name
