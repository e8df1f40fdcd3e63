"""Files that hold a part of a network: what is missing is said, or is an error."""

from pathlib import Path

import numpy as np
import pytest

from models.backbones import BACKBONES
from models.weights import WeightsError, load_weights, read_weights, save_weights

from .networks import SMALL_C4, make_model
from .test_weights import arrays_of, as_file_of

# The prefix of the last stage's keys, by project.
LAST = {
    "torchvision's ResNet": "layer4.",
    "torchvision's DeepLabV3": "backbone.layer4.",
    "kazuto": "layer5.",
    "this project": "backbone.stages.3.",
}


def file_of(title: str) -> dict[str, np.ndarray]:
    model = make_model(head="v3" if "V3" in title else "v2", seed=3)
    return arrays_of(model) if title == "this project" else as_file_of(title, model)


@pytest.mark.parametrize("title", LAST)
def test_stage_that_the_file_lacks_is_new_only_when_asked(title: str) -> None:
    file = file_of(title)
    lost = [key for key in file if key.startswith(LAST[title])]
    for key in lost:
        del file[key]
    model = make_model(head="v3" if "V3" in title else "v2")
    before = arrays_of(model)
    with pytest.raises(WeightsError, match=r"missing, all of stage 4: ") as raised:
        load_weights(model, file)
    assert raised.value.absent_stages == ("stage 4",)
    assert sorted(raised.value.keys) == sorted(lost)
    assert all(np.array_equal(v, before[k]) for k, v in arrays_of(model).items())
    loaded = load_weights(model, file, new_stages=True)
    assert loaded.arrays == len(file) and "stage 4" in loaded.new
    after = arrays_of(model)
    new = ("backbone.stages.3.", *(part + "." for part in loaded.new))
    for name in before:
        same = np.array_equal(after[name], before[name])
        assert same == name.startswith(new), name


def test_every_lost_stage_is_listed_beside_other_faults() -> None:
    file = file_of("kazuto")
    file = {k: v for k, v in file.items() if not k.startswith(("layer3.", "layer5."))}
    with pytest.raises(WeightsError) as raised:
        load_weights(make_model(), file)
    assert raised.value.absent_stages == ("stage 2", "stage 4")
    assert "missing, all of stage 2: layer3.block1" in str(raised.value)
    assert "missing, all of stage 4: layer5.block1" in str(raised.value)
    file["layer9.extra"] = np.zeros(1, np.float32)
    with pytest.raises(WeightsError, match="all of stage 2.*\n.*\n.*unexp") as raised:
        load_weights(make_model(), file)
    assert raised.value.absent_stages == ()  # other advice is due first


def test_stage_in_part_is_an_error_whatever_is_allowed() -> None:
    file = file_of("torchvision's ResNet")
    del file["layer4.0.bn2.bias"]
    with pytest.raises(WeightsError, match="missing: layer4.0.bn2.bias") as raised:
        load_weights(make_model(), file, new_stages=True)
    assert raised.value.absent_stages == ()


def test_rest_of_the_backbone_cannot_be_new() -> None:
    file = file_of("torchvision's ResNet")
    file = {key: v for key, v in file.items() if key.startswith("layer")}
    with pytest.raises(WeightsError, match="missing: conv1.weight, bn1"):
        load_weights(make_model(), file, new_stages=True)


@pytest.fixture
def small_c4(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small backbone without its last stage."""
    monkeypatch.setitem(BACKBONES._entries, "small_c4", SMALL_C4)


@pytest.mark.usefixtures("small_c4")
@pytest.mark.parametrize("title", LAST)
def test_stage_that_the_model_ends_before_is_said_to_be_unused(
    title: str, tmp_path: Path
) -> None:
    options: dict = {"head": "v3" if "V3" in title else "v2"}
    file = file_of(title)
    model = make_model(backbone="small_c4", **options)
    if title != "torchvision's ResNet":
        with pytest.raises(WeightsError, match="of another shape") as raised:
            load_weights(model, file)
        assert raised.value.head_only  # it reads the features of stage 4
    loaded = load_weights(model, file, new_head=True)
    assert "stage 4" in loaded.unused_parts and loaded.new == ("deconvolution", "head")
    lost = {key for key in file if key.startswith(LAST[title])}
    assert lost and lost <= set(loaded.unused)
    backbone = [name for name in arrays_of(model) if name.startswith("backbone.")]
    assert loaded.arrays == len(backbone) == len(file) - len(loaded.unused)
    path = tmp_path / "c4.safetensors"
    save_weights(model, path)
    again = make_model(backbone="small_c4", seed=1, **options)
    assert load_weights(again, read_weights(path)).new == ()
    with pytest.raises(WeightsError, match="all of stage 4"):
        load_weights(make_model(**options), read_weights(path))
