"""A model or a run that is another's: what is taken of it, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from models.weights import read_header, read_weights, write_weights
from train import predict
from train.common.errors import UserError
from train.data.dataset import DataOptions
from train.evaluation.views import PredictionOptions
from train.training.initial_weights import check_initial_weights
from train.workdir import evaluated
from train.workdir.evaluated import SplitOptions, load_split
from train.workdir.run import Run
from train.workdir.trained import load_trained, save_trained

from .conftest import MakeConfig
from .test_predict import call, model, write_image
from .training.test_initial_weights import NAMES, trained_model

__all__ = ["model"]  # a fixture


@pytest.mark.parametrize("given", ["", "cache"])
def test_call_alone_chooses_a_cache(
    model: Path, tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = predict.load_trained(model)
    config = trained.config.replace(compilation_cache="planted", workdir="elsewhere")
    monkeypatch.setattr(
        predict, "load_trained", lambda *path: trained._replace(config=config)
    )
    asked: list[str] = []
    monkeypatch.setattr(predict, "cache_compilations", asked.append)
    write_image(tmp_path / "a.png")
    call(model, tmp_path / "a.png", out=tmp_path / "out", compilation_cache=given)
    assert asked == [given]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"checkum": "0"}, "its metadata have checkum"), ({}, "its checksum is missing")],
)
def test_metadata_that_were_changed_are_named(
    make_config: MakeConfig, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config()), path)
    metadata = read_header(path).metadata
    del metadata["checksum"]
    save_file(read_weights(path), path, metadata | changes)
    with pytest.raises(UserError, match=f"{path}.*{said}"):
        load_trained(path)


@pytest.mark.parametrize("name", ["", "night", "a\n", "a\x1b[2J", "a\0", "a" * 201])
def test_model_has_names_that_data_could_have(
    make_config: MakeConfig, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "model.safetensors"
    trained = trained_model(make_config())
    others = (*NAMES[:-2], "night", name)
    save_trained(trained._replace(class_names=others), path)
    with pytest.raises(UserError, match=rf"{path} has no configuration .*class"):
        load_trained(path)


@pytest.mark.parametrize(
    "changes",
    [{"preprocessing": "$(run this)"}, {"style": ["caffe"]}, {"norm_epsilon": 1e999}]
    + [{"norm_epsilon": "0.1"}, {"output_stride": 7}, {"upsampling": "$(this)"}],
    ids=str,
)
def test_advice_has_no_words_of_a_file(
    make_config: MakeConfig, tmp_path: Path, changes: dict[str, object]
) -> None:
    path = tmp_path / "model.safetensors"
    trained = trained_model(make_config())
    save_trained(trained, path)
    arrays, metadata = read_weights(path), read_header(path).metadata
    config = json.loads(metadata["config"]) | changes
    write_weights(arrays, path, {"config": json.dumps(config)})
    options = make_config(weights=str(path)).model
    with pytest.raises(UserError, match="its configuration cannot be read") as raised:
        check_initial_weights(options)
    assert "Add " not in str(raised.value)


@pytest.mark.parametrize(("own", "taken"), [(10**18, 10**9), (500, 500)])
def test_model_lowers_the_limit_of_pixels_alone(
    make_config: MakeConfig, own: int, taken: int
) -> None:
    trained = trained_model(make_config(pixel_limit=own))
    assert trained.use.pixel_limit == taken


def test_file_of_an_earlier_version_has_no_checksum(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config()), path)
    metadata = read_header(path).metadata
    del metadata["checksum"]
    config = json.loads(metadata["config"]) | {"version": 5}
    save_file(read_weights(path), path, metadata | {"config": json.dumps(config)})
    assert load_trained(path).class_names == NAMES
    assert f"{path} is of an earlier version" in capsys.readouterr().out


def test_weights_of_others_are_named_by_their_file(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config()), path)
    metadata = read_header(path).metadata
    for arrays in ({"w": np.zeros(3)}, {**read_weights(path), "more": np.zeros(3)}):
        write_weights(arrays, path, metadata)
        with pytest.raises(UserError, match=f"^{path}: the "):
            load_trained(path)


@pytest.mark.parametrize("given", [0, 900])
def test_evaluation_takes_the_lower_limit_of_pixels(
    make_config: MakeConfig, tmp_path: Path, given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(pixel_limit=700)
    trained = trained_model(config)
    monkeypatch.setattr(evaluated, "load_run", lambda *named: trained)
    monkeypatch.setattr(Run, "data_options", lambda run, options: options)
    asked: list[int] = []

    def load(options: DataOptions) -> None:
        asked.append(options.pixel_limit)
        raise UserError("enough")

    monkeypatch.setattr(evaluated, "load_dataset", load)
    with pytest.raises(UserError, match="enough"):
        options = PredictionOptions(pixel_limit=given)
        load_split(tmp_path, options, SplitOptions())
    assert asked == [given or 700]


@pytest.mark.parametrize("given", [True, False])
def test_call_alone_allows_links_out_of_the_data(
    make_config: MakeConfig,
    tmp_path: Path,
    given: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = trained_model(make_config(links=True, pixel_limit=10**18))
    monkeypatch.setattr(evaluated, "load_run", lambda *named: trained)
    monkeypatch.setattr(Run, "data_options", lambda run, options: options)
    asked: list[tuple[bool, int]] = []

    def load(options: DataOptions) -> None:
        asked.append((options.links, options.pixel_limit))
        raise UserError("enough")

    monkeypatch.setattr(evaluated, "load_dataset", load)
    with pytest.raises(UserError, match="enough"):
        load_split(tmp_path, PredictionOptions(), SplitOptions(links=given))
    assert asked == [(given, 10**9)]
