"""Errors: which of them tell of space or memory."""

import errno

import jax
import pytest

from train.common.errors import (
    UserError,
    lacks_memory,
    lacks_space,
    memory_for,
    reason_unwritten,
)

MEMORY = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9")
# As a CPU tells it that is computing while Python goes on.
LATER = jax.errors.JaxRuntimeError(
    "INTERNAL: Error dispatching computation: Out of memory allocating 972000000 bytes."
)
# As TensorStore and array_record tell it.
SPACE = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EROFS, "Read-only file system", "/there"),
    ValueError("RESOURCE_EXHAUSTED: Error writing: No space [os_error_code='28']"),
    ValueError("INTERNAL: Error writing: File too large [os_error_code='27']"),
    RuntimeError("RESOURCE_EXHAUSTED: write() failed: No space left on device; at 8"),
    RuntimeError("Failed to finalize: write() failed: File too large; at byte 8"),
]


@pytest.mark.parametrize("error", SPACE)
def test_lack_of_space_is_none_of_memory(error: Exception) -> None:
    assert lacks_space(error) and not lacks_memory(error)


@pytest.mark.parametrize("error", [MemoryError(), MEMORY, LATER])
def test_lack_of_memory_is_told_with_the_way_out(error: Exception) -> None:
    assert lacks_memory(error) and not lacks_space(error)
    with pytest.raises(UserError, match="^a cat takes more memory .* Use a mouse.$"):
        with memory_for("a cat", "Use a mouse."):
            raise error


@pytest.mark.parametrize(
    "error", [RuntimeError("INTERNAL: broken"), OSError("odd"), *SPACE]
)
def test_other_errors_come_through(error: Exception) -> None:
    assert not lacks_memory(error)
    with pytest.raises(type(error)) as raised, memory_for("a cat", "Use a mouse."):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    "text",
    [
        "OUT_OF_RANGE: writing: file 14: File too large [tensorstore_spec='{a: b}'] "
        "[os_error_code='27']",
        "UNKNOWN: Failed to write file 14: File too large [os_error_code='27'] [x: y]",
        "[Errno 27] a.json: File too large",
    ],
)
def test_reason_is_that_of_the_system(text: str) -> None:
    assert reason_unwritten(ValueError(text)) == "File too large"


def test_reason_is_said_of_files_alone() -> None:
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", "/there")
    assert reason_unwritten(gone) == "No such file or directory"
    for other in (OSError("of no file"), ValueError("a: b"), MemoryError()):
        assert not reason_unwritten(other)
