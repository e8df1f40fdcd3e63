"""Which folder is the set of TFDS that is meant: configurations, versions, links."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import file_utils

from train.common.errors import UserError
from train.data.convert.tfds_files import find_prepared

from .tfds_miniatures import pets


@pytest.mark.parametrize("config", ["../elsewhere", "/{}/elsewhere", "nothing"])
def test_a_default_configuration_leads_nowhere_else(place: Path, config: str) -> None:
    folder = pets(place)
    base = folder.parent
    for name in ("one", "two"):
        (base / name).mkdir()
        (base / name / "1.0.0").mkdir()
        (base / name / "1.0.0" / "features.json").write_text("{}")
    folder.rename(place / "4.0.0")
    (place / "elsewhere").mkdir()
    (place / "4.0.0").rename(place / "elsewhere" / "4.0.0")
    (base / ".config").mkdir(exist_ok=True)
    described = {"default_config_name": config.format(place)}
    (base / ".config" / "metadata.json").write_text(json.dumps(described))
    said = "no such set is prepared.*Configurations of it are there: one, two"
    with pytest.raises(UserError, match=said):
        find_prepared("oxford_iiit_pet")


def test_the_default_configuration_and_the_latest_version(place: Path) -> None:
    whole = pets(place)
    base = place / "my_set"
    for name in ("one/1.0.0", "two/9.0.0", "two/10.0.0"):
        (base / name).mkdir(parents=True)
        for path in whole.glob("*.json"):
            (base / name / path.name).write_bytes(path.read_bytes())
    (base / ".config").mkdir()
    (base / ".config" / "metadata.json").write_text('{"default_config_name": "two"}')
    assert find_prepared("my_set").full_name == "my_set/two/10.0.0"
    assert find_prepared("my_set:9.*.*").full_name == "my_set/two/9.0.0"
    assert find_prepared("my_set/one").full_name == "my_set/one/1.0.0"
    with pytest.raises(UserError, match="no such set"):
        find_prepared("my_set/one:2.0.0")


@pytest.mark.parametrize("config", ["one", "two"])
@pytest.mark.parametrize("described", [True, False])
def test_a_version_without_configuration_beside_one_with(
    place: Path, config: str, described: bool
) -> None:
    """TFDS reads the default configuration's, or the other, by what is asked for."""
    pets(place)
    base = place / "oxford_iiit_pet"
    shutil.copytree(base / "4.0.0", base / config / "5.0.0")
    if described:
        (base / ".config").mkdir(exist_ok=True)
        text = json.dumps({"default_config_name": config})
        (base / ".config" / "metadata.json").write_text(text)
    names = "oxford_iiit_pet:4.0.0", f"oxford_iiit_pet/{config}:5.0.0"
    said = f"{base}/4.0.0 and {base}/{config}/5.0.0 .* Write tfds:{names[0]} or "
    for name in ("oxford_iiit_pet", "oxford_iiit_pet:*.*.*"):
        with pytest.raises(UserError, match=f"{said}tfds:{names[1]}, or move"):
            find_prepared(name)
    for name in names:
        assert find_prepared(name).full_name == name.replace(":", "/")


def test_a_set_in_two_folders_of_sets(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets(place)
    shutil.copytree(place, tmp_path / "more")
    monkeypatch.setattr(file_utils, "_REGISTERED_DATA_DIRS", set())
    tfds.core.add_data_dir(tmp_path / "more")
    with pytest.raises(UserError, match="are both called so: which of them is meant"):
        find_prepared("oxford_iiit_pet")


@pytest.mark.parametrize("link", ["5.0.0", "one", ".config", ".config/metadata.json"])
def test_links_to_nothing(place: Path, link: str) -> None:
    """An older version, or one of another configuration, would be read."""
    path = pets(place).parent / link
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/nowhere")
    with pytest.raises(UserError, match=rf"^{path} is a link to what is not there"):
        find_prepared("oxford_iiit_pet")


def test_a_set_that_is_a_link_to_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets(place)
    path = tmp_path / "more" / "oxford_iiit_pet"
    path.parent.mkdir()
    path.symlink_to("/nowhere")
    monkeypatch.setattr(file_utils, "_REGISTERED_DATA_DIRS", set())
    tfds.core.add_data_dir(path.parent)
    with pytest.raises(UserError, match=rf"^{path} is a link to what is not there"):
        find_prepared("oxford_iiit_pet")


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("missing", ["features.json", "dataset_info.json"])
def test_a_version_that_is_not_whole(place: Path, missing: str, linked: bool) -> None:
    whole = pets(place)
    latest = whole.with_name("4.1.0")
    shutil.copytree(whole, latest)
    (latest / missing).unlink()
    if linked:
        (latest / missing).symlink_to("/nowhere")
    for name in ("oxford_iiit_pet", "oxford_iiit_pet:4.*.*"):
        with pytest.raises(UserError, match=f"^{latest} has no {missing}: it is not"):
            find_prepared(name)
    other = find_prepared("oxford_iiit_pet:4.0.0")
    assert other.full_name == "oxford_iiit_pet/4.0.0"


def test_a_default_configuration_that_is_not_whole(place: Path) -> None:
    base = pets(place).parent
    (base / "4.0.0").rename(place / "4.0.0")
    (base / "one").mkdir()
    (place / "4.0.0").rename(base / "one" / "4.0.0")
    (base / "two" / "4.0.0").mkdir(parents=True)
    (base / ".config").mkdir(exist_ok=True)
    (base / ".config" / "metadata.json").write_text('{"default_config_name": "two"}')
    with pytest.raises(
        UserError, match=rf"^{base}/two/4\.0\.0 has no dataset_info\.json"
    ):
        find_prepared("oxford_iiit_pet")
