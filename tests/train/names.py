"""Names that a folder can have, though few would give it one."""

import os

HOSTILE = (
    "exp [1]",
    "[a-z]*",
    "a b ",
    " led",
    "it's",
    'said "so"',
    "100%",
    "a%20b",
    "#1",
    "$HOME",
    "~root",
    "{a,b}",
    "back\\slash",
    "gs:",
    "a:b|c;d&e",
    "?!",
    "-dash",
    ".hidden",
    "dot.",
    "über_日本_🙂",
    "two\nlines",
    "tab\t",
    os.fsdecode(b"latin_\xff"),
    "x" * 255,
)
