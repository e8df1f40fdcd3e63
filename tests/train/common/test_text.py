"""Text from outside: what is escaped where."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text import inert
from train.common.text import csv_text, is_shown, markdown, plain_cell, shown

STEERING = [chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))] + list(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


@pytest.mark.parametrize("character", STEERING, ids=ascii)
def test_what_steers_is_escaped(character: str) -> None:
    assert inert(f"a{character}b") == shown(f"a{character}b")
    assert inert(f"a{character}b") == f"a{ascii(character)[1:-1]}b"
    assert not is_shown(character)


@given(st.text())
def test_nothing_that_is_shown_steers(text: str) -> None:
    for character in shown(text):
        assert unicodedata.category(character) not in ("Cc", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in (
            *("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"),
        )


@pytest.mark.parametrize("name", ["über 日本 🙂 $x_1^{2}$", "עברית", "C:\\data", "क्‍ष"])
def test_names_of_any_script_stay(name: str) -> None:
    assert shown(name) == inert(name) == name and is_shown(name)


NAMES = st.text(alphabet="\\nux1b20e\n\x1b\u202e\udc80a", max_size=12)


@given(NAMES, NAMES)
def test_two_names_are_never_printed_as_one(first: str, other: str) -> None:
    def printed(name: str) -> bytes:
        return shown(name).encode(errors="backslashreplace")

    assert (printed(first) == printed(other)) == (first == other)
    odd = first.encode(errors="backslashreplace").decode()
    assert (printed(first) == printed(odd)) == (first == odd)
    assert (printed(first) == printed(shown(first))) == (shown(first) == first)


def test_bytes_that_are_no_text_are_not_printed_as_a_name() -> None:
    odd, plain = (
        shown(name).encode(errors="backslashreplace")
        for name in ("\\\udc80", "\\udc80")
    )
    assert odd != plain


def test_lines_stay_in_text_and_not_in_names() -> None:
    assert inert("a\n\tb") == "a\n\tb"
    assert shown("a\n\tb") == "a\\n\\tb" and not is_shown("a\nb")


@given(st.lists(st.lists(st.text(alphabet="'=+-@;＝\t\ra,\n"), min_size=1)))
def test_no_cell_is_a_formula_and_all_are_read_back(lines: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(lines), newline="")))
    for line in read:
        assert not any(cell[:1] in tuple("=+-@\t\r\n") for cell in line)
    found = [list(map(plain_cell, line)) for line in read]
    assert found == lines


def test_no_part_of_a_cell_becomes_one() -> None:
    """Where a program ends cells at other separators, unless they are quoted."""
    for separator in ";\t|:":
        assert csv_text([[f"a{separator}=1+1", "b"]]).startswith(f'"a{separator}=1+1",')
    assert csv_text([["＝1", "＠b"]]) == "'＝1,'＠b\r\n"
    assert csv_text([["a", "b c"]]) == "a,b c\r\n"


def test_cells_of_earlier_calls_are_as_they_were() -> None:
    assert plain_cell("'tis") == "'tis" and plain_cell("=1") == "=1"


def test_markdown_shows_names_as_they_are() -> None:
    assert markdown("a|b *c* <i>") == r"a\|b \*c\* \<i\>"
    assert markdown("_a_ Column_Pole") == r"\_a\_ Column_Pole"
    assert markdown("[x](y) `z` $1$\n") == r"\[x\](y) \`z\` \$1\$\\n"
