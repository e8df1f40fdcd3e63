"""The folder of compiled functions is its owner's alone."""

import os
from pathlib import Path
from typing import Any

import pytest

from train.common.command import cache_compilations
from train.common.errors import UserError


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would be set of JAX."""
    found: dict[str, Any] = {}
    monkeypatch.setattr("jax.config.update", found.__setitem__)
    return found


def test_cache_is_made_for_its_owner_alone(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    folder = tmp_path / "new" / "cache"
    before = os.umask(0o002)
    try:
        cache_compilations(str(folder))
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert settings["jax_compilation_cache_dir"] == str(folder)
    cache_compilations(str(folder))
    settings.clear()
    cache_compilations("")
    assert not settings
    cache_compilations("gs://bucket/cache")
    assert settings["jax_compilation_cache_dir"] == "gs://bucket/cache"


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777, 0o757])
def test_cache_that_others_may_write_to_is_refused(
    tmp_path: Path, mode: int, settings: dict[str, Any]
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(UserError, match=f"{tmp_path} is for compiled.*chmod go-w"):
        cache_compilations(str(tmp_path))
    assert not settings


def test_cache_of_another_user_is_refused(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UserError, match="others than you may write to it"):
        cache_compilations(str(tmp_path))
    assert not settings
