"""Files of a part of a network, and files that state what they were trained with."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from models.backbones import BACKBONES
from models.weights import read_header, read_weights, write_weights
from train.common.errors import UserError
from train.training.initial_weights import check_initial_weights, with_weights
from train.training.step import abstract_state, make_state
from train.workdir import trained
from train.workdir.trained import load_trained, save_trained

from ...models.checkpoints import storages, table, tensors, value, write_zip
from ...models.networks import SMALL_C4, make_model
from ...models.test_weights import as_file_of
from ..conftest import CLASSES, MakeConfig
from .test_initial_weights import trained_model, write


def without(path: str, start: str, metadata: dict[str, str] | None = None) -> str:
    """Writes a file again, without some keys and with some metadata."""
    kept = {
        k: v for k, v in read_weights(Path(path)).items() if not k.startswith(start)
    }
    save_file(kept, path, metadata)
    return path


def test_stage_that_the_file_lacks_needs_new_stages(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = without(write(tmp_path / "w.safetensors", "torchvision's ResNet"), "layer4.")
    config = make_config(weights=path)
    graph, state = make_state(config, CLASSES, seed=0)
    advice = "all of stage 4: layer4.0[^|]*Add --new-stages to begin them at random.$"
    with pytest.raises(UserError, match=advice):
        with_weights(state, graph, config.model)
    config = make_config(weights=path, new_stages=True)
    taken = with_weights(state, graph, config.model)
    assert "; random weights: head, stage 4\n" in capsys.readouterr().out
    old, new = (s.params["backbone"]["stages"] for s in (state, taken))
    for stage in range(4):
        same = jax.tree.map(np.array_equal, old[stage], new[stage])
        assert all(jax.tree.leaves(same)) == (stage == 3)
    config = make_config(weights=path, new_stages=True, batch_norm="frozen")
    graph, state = abstract_state(config, CLASSES)
    with_weights(state, graph, config.model)
    assert "frozen keeps that of stage 4 at mean 0" in capsys.readouterr().out


def test_backbone_that_ends_with_the_file_is_named(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = BACKBONES["resnet_small"]._replace(without={"stage 4": "resnet50_c4"})
    monkeypatch.setitem(BACKBONES._entries, "resnet_small", entry)
    path = without(write(tmp_path / "w.safetensors", "torchvision's ResNet"), "layer4.")
    graph, state = abstract_state(make_config(), CLASSES)
    advice = "--new-stages to begin them.*or --backbone resnet50_c4 to do without.$"
    with pytest.raises(UserError, match=advice):
        with_weights(state, graph, make_config(weights=path).model)
    without(path, "layer3.")
    with pytest.raises(UserError, match="--new-stages to begin them at random.$"):
        with_weights(state, graph, make_config(weights=path).model)


@pytest.mark.parametrize("option", ["new_stages", "new_head"])
def test_consent_needs_weights(make_config: MakeConfig, option: str) -> None:
    name = option.replace("_", "-")
    with pytest.raises(UserError, match=f"--{name} needs --weights"):
        make_config(**{option: True})


def test_file_states_what_it_was_trained_with(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    stated = {"style": "caffe", "preprocessing": "bgr_mean", "norm_epsilon": "1e-3"}
    path = without(
        write(tmp_path / "w.safetensors", "torchvision's ResNet"), "-", stated
    )
    with pytest.raises(UserError) as raised:
        check_initial_weights(make_config(weights=path).model)
    advice = "--style caffe --preprocessing bgr_mean --norm-epsilon 0.001."
    assert str(raised.value).endswith(f"Add {advice}")
    options: dict = {"style": "caffe", "preprocessing": "bgr_mean"}
    check_initial_weights(make_config(weights=path, norm_epsilon=1e-3, **options).model)
    with pytest.raises(UserError, match="Add --norm-epsilon 0.001.$"):
        check_initial_weights(make_config(weights=path, **options).model)


@pytest.mark.parametrize("title", ["torchvision's ResNet", "kazuto"])
def test_presumed_epsilon_is_checked_and_the_way_to_state_another_named(
    make_config: MakeConfig, tmp_path: Path, title: str
) -> None:
    path = write(tmp_path / "w.safetensors", title)
    options: dict = {"style": "caffe", "preprocessing": "bgr_mean"}
    with pytest.raises(UserError) as raised:
        check_initial_weights(
            make_config(weights=path, norm_epsilon=1e-3, **options).model
        )
    message = str(raised.value)
    assert ", by the names of its keys, was trained with" in message
    assert "--norm-epsilon 1e-05. If it was trained as this run is instead," in message
    command = f"models/convert_checkpoint.py {path} {path[:-12]}_stated.safetensors "
    stated = "--style caffe --preprocessing bgr_mean --norm-epsilon 0.001"
    assert message.endswith(command + stated)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("style", "tf", "no style 'tf'; there is: torchvision, caffe"),
        ("preprocessing", "none", "no preprocessing 'none'"),
        ("norm_epsilon", "small", "could not convert.*'small'"),
        ("norm_epsilon", "nan", "'nan' is no positive number"),
        ("norm_epsilon", "1_0", "'1_0' is no positive number"),
        ("norm_epsilon", "٢", "'٢' is no positive number"),
        ("norm_epsilon", "0", "'0' is no positive number"),
    ],
)
def test_file_that_states_what_there_is_not_is_refused(
    make_config: MakeConfig, tmp_path: Path, name: str, value: str, message: str
) -> None:
    path = write(tmp_path / "w.safetensors", "torchvision's ResNet")
    without(path, "-", {name: value})
    with pytest.raises(UserError, match=rf"w.safetensors: its metadata.*{message}"):
        check_initial_weights(make_config(weights=path).model)


def test_epsilon_of_an_exported_network_is_checked(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config(norm_epsilon=1e-3)), path)
    with pytest.raises(UserError, match="Add --norm-epsilon 0.001.$"):
        check_initial_weights(make_config(weights=str(path)).model)


def test_a_file_that_is_exchanged_after_it_was_checked_is_refused(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    """Data are prepared in between, which may take an hour."""
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config()), path)
    model = make_config(weights=str(path)).model
    check_initial_weights(model)
    save_trained(trained_model(make_config(norm_epsilon=1e-3)), path)
    graph, state = make_state(make_config(), CLASSES, seed=0)
    with pytest.raises(UserError, match="Add --norm-epsilon 0.001.$"):
        with_weights(state, graph, model)


def test_a_network_that_is_exchanged_while_it_is_loaded_is_refused(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its classes would be those of one file, its weights those of the other."""
    path = tmp_path / "model.safetensors"
    first = trained_model(make_config())
    save_trained(first, path)

    def exchanging(*arguments: Any) -> Any:
        names = tuple(reversed(first.class_names))
        save_trained(first._replace(class_names=names), path)
        return abstract_state(*arguments)

    monkeypatch.setattr(trained, "abstract_state", exchanging)
    with pytest.raises(UserError, match=f"^{path} has changed since its header was"):
        load_trained(path)


def test_exported_network_with_a_stage_too_many_is_refused(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES._entries, "small_c4", SMALL_C4)
    path = tmp_path / "model.safetensors"
    save_trained(trained_model(make_config(backbone="small_c4")), path)
    arrays, metadata = read_weights(path), read_header(path).metadata
    load_trained(path)
    arrays["backbone.stages.3.0.conv1.kernel"] = np.ones(1, np.float32)
    write_weights(arrays, path, metadata)
    with pytest.raises(UserError, match="has stage 4, which its own configuration"):
        load_trained(path)


def test_checkpoint_of_pytorch_begins_a_run(
    make_config: MakeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = as_file_of("torchvision's ResNet", make_model(seed=3))
    arrays["fc.bias"] = np.zeros(9, np.float32)
    arrays["bn1.num_batches_tracked"] = np.array(3)
    items = {"epoch": value(3), "state_dict": tensors(arrays)}
    path = write_zip(tmp_path / "w.pth", table(items), storages(arrays))
    config = make_config(weights=str(path))
    check_initial_weights(config.model)
    graph, state = abstract_state(config, CLASSES)
    with_weights(state, graph, config.model)
    printed = capsys.readouterr().out
    assert "w.pth: 65 arrays of torchvision's ResNet; random weights: head" in printed
    assert printed.endswith("; unused: fc, counts, epoch\n")
