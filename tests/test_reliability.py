"""The page on reliability: its promises, and the tests that hold them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text()
ROWS = re.findall(r"^\| (?!Fault|---)(.+?) \| (.+?) \| (.+) \|$", PAGE, re.M)


@pytest.mark.parametrize(("fault", "promise", "tests"), ROWS)
def test_every_promise_is_held_by_tests_that_exist(
    fault: str, promise: str, tests: str
) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests)
    assert named and len(named) == tests.count("`") // 2
    for path, test in named:
        assert f"\ndef {test}(" in (ROOT / path).read_text(), test


def test_there_are_promises() -> None:
    assert len(ROWS) > 20 and len({fault for fault, _, _ in ROWS}) == len(ROWS)
