"""Loading and saving weights: every key is accounted for, nothing is half loaded."""

import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.deeplab import DeepLab
from models.layouts import LAYOUTS, find_layout, key_table
from models.weights import (
    WeightsError,
    load_weights,
    read_header,
    read_weights,
    save_weights,
    write_weights,
)

from .checkpoints import write_checkpoint, write_zip
from .networks import make_model


def arrays_of(model: DeepLab) -> dict[str, np.ndarray]:
    flat = nnx.to_flat_state(nnx.state(model))
    return {".".join(map(str, path)): np.array(leaf.get_value()) for path, leaf in flat}


def as_file_of(title: str, model: DeepLab, prefix: str = "") -> dict[str, np.ndarray]:
    """Returns the model's arrays as a file of another project would hold them."""
    (layout,) = (layout for layout in LAYOUTS if title in layout.title)
    ours = arrays_of(model)
    result = {}
    for name, key in key_table(layout, prefix, model, ours).items():
        value = ours[name] + 0.5
        result[key] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
    return result


@pytest.fixture
def model() -> DeepLab:
    return make_model()


def test_saved_weights_are_loaded(model: DeepLab, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(model, path, {"note": "kept"})
    other = make_model(seed=1)
    loaded = load_weights(other, read_weights(path))
    expected = arrays_of(model)
    assert loaded.arrays == len(expected) and loaded.new == ()
    for name, value in arrays_of(other).items():
        np.testing.assert_array_equal(value, expected[name])
    header = read_header(path)
    assert header.metadata["note"] == "kept" and set(header.keys) == set(expected)


@pytest.mark.parametrize(
    ("title", "head", "prefix"),
    [
        ("kazuto", "v2", ""),
        ("kazuto", "v2", "base."),
        ("torchvision's ResNet", "v2", "module."),
        ("torchvision's DeepLabV3", "v3", ""),
        ("torchvision's ResNet", "v2", ""),
    ],
)
def test_files_of_other_projects_are_loaded(title: str, head: str, prefix: str) -> None:
    model = make_model(head=head)
    before = arrays_of(model)
    file = as_file_of(title, model, prefix)
    counts = prefix + next(iter(file)).rsplit(".", 1)[0] + ".num_batches_tracked"
    loaded = load_weights(model, {**file, counts: np.array(3)})
    assert loaded.layout.title.startswith(("DeepLab of", "torchvision"))
    assert title in loaded.layout.title and loaded.unused == (counts,)
    assert loaded.unused_parts == ("counts",)
    new = ("deconvolution", "head") if "ResNet" in title else ("deconvolution",)
    assert loaded.new == new and loaded.arrays == len(file)
    for name, value in arrays_of(model).items():
        shift = 0.0 if name.startswith(new) else 0.5
        np.testing.assert_allclose(value, before[name] + shift, atol=1e-6)


def test_every_key_at_fault_is_listed_and_nothing_changes(model: DeepLab) -> None:
    file = as_file_of("kazuto", model)
    before = arrays_of(model)
    del file["layer2.block1.reduce.bn.running_var"]
    file["layer9.extra.weight"] = np.zeros(3, np.float32)
    file["layer1.conv1.conv.weight"] = np.zeros((24, 3, 7, 7), np.float32)
    file["aspp.c0.bias"][2] = np.nan
    file["layer1.conv1.bn.running_var"][0] = -1
    with pytest.raises(WeightsError) as raised:
        load_weights(model, file)
    message = str(raised.value)
    assert "missing: layer2.block1.reduce.bn.running_var" in message
    assert "unexpected: layer9.extra.weight" in message
    shapes = "layer1.conv1.conv.weight (7, 7, 3, 24) for (3, 3, 3, 24)"
    assert f"of another shape: {shapes}" in message
    damaged = "layer1.conv1.bn.running_var, aspp.c0.bias"
    assert f"no floats, not finite, or a negative variance: {damaged}" in message
    assert len(raised.value.keys) == 5 and not raised.value.head_only
    after = arrays_of(model)
    assert all(np.array_equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "uint8"])
def test_arrays_that_are_no_floats_are_no_weights(model: DeepLab, dtype: str) -> None:
    file = as_file_of("kazuto", model)
    file["aspp.c0.bias"] = file["aspp.c0.bias"].astype(dtype)
    with pytest.raises(WeightsError, match=r"no floats.*: aspp\.c0\.bias"):
        load_weights(model, file)


def test_floats_of_other_widths_are_weights_as_far_as_they_fit(model: DeepLab) -> None:
    file = as_file_of("kazuto", model)
    for key, dtype in (("bias", np.float64), ("weight", np.float16)):
        file[f"aspp.c0.{key}"] = file[f"aspp.c0.{key}"].astype(dtype)
    load_weights(model, file)
    file["aspp.c0.bias"][1] = 1e39  # infinite in 32 bits
    with pytest.raises(WeightsError, match=r"not finite.*: aspp\.c0\.bias"):
        load_weights(model, file)


def test_head_of_other_classes_is_replaced_only_when_asked(model: DeepLab) -> None:
    file = as_file_of("kazuto", make_model(classes=9))
    with pytest.raises(WeightsError, match="aspp.c0.weight") as raised:
        load_weights(model, file)
    assert raised.value.head_only
    before = arrays_of(model)
    loaded = load_weights(model, file, new_head=True)
    assert loaded.new == ("deconvolution", "head")
    assert set(loaded.unused) == {key for key in file if key.startswith("aspp.")}
    after = arrays_of(model)
    for name in before:
        same = np.array_equal(after[name], before[name])
        assert same == name.startswith(("head", "deconvolution")), name


def test_another_kind_of_head_is_refused() -> None:
    file = as_file_of("DeepLabV3", make_model(head="v3"))
    with pytest.raises(WeightsError, match="unexpected: classifier.0.convs") as raised:
        load_weights(make_model(), file)
    assert raised.value.head_only
    load_weights(make_model(), file, new_head=True)


def test_long_lists_are_counted_by_block(model: DeepLab) -> None:
    file = as_file_of("kazuto", model)
    for index in range(20):
        file[f"layer7.block{index % 2}.{index}"] = np.zeros(1, np.float32)
    counts = r"unexpected: layer7.block0 \(10\), layer7.block1 \(10\)$"
    with pytest.raises(WeightsError, match=counts) as raised:
        load_weights(model, file)
    assert len(raised.value.keys) == 20


def test_unknown_keys_are_shown(model: DeepLab) -> None:
    with pytest.raises(WeightsError, match="no layout known here.*: encoder.weight"):
        load_weights(model, {"encoder.weight": np.zeros(3)})


def test_layout_of_resnets_refuses_another_backbone(model: DeepLab) -> None:
    class Plain(nnx.Module):
        """A backbone that is no ResNet."""

        channels: tuple[int, ...] = (128,)

        def __call__(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
            return [images]

    file = as_file_of("torchvision's ResNet", model)
    model.backbone = Plain()
    with pytest.raises(
        WeightsError, match="torchvision's ResNet, are for a ResNet.*Pl"
    ):
        load_weights(model, file)


def test_own_files_are_known_whatever_the_backbone() -> None:
    layout, prefix = find_layout(["backbone.expand.3.kernel", "head.mix.conv.kernel"])
    assert layout.native and prefix == ""
    layout, _ = find_layout(["backbone.conv1.weight", "classifier.0.convs.0.0.weight"])
    assert not layout.native


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pkl", ".safetensors"])
def test_pickles_are_never_read(suffix: str, tmp_path: Path) -> None:
    path, trace = tmp_path / f"weights{suffix}", tmp_path / "trace"
    hostile = pickle.dumps({"weight": Command(trace)})
    path.write_bytes(hostile)
    with pytest.raises(WeightsError, match="safetensors.*PyTorch did not write it"):
        read_weights(path)
    write_zip(path, hostile[2:-1])
    for read in (read_weights, read_header):
        with pytest.raises(WeightsError, match="asks for pathlib.*but tensors"):
            read(path)
    assert not trace.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_pytorch_are_known_by_their_content(
    model: DeepLab, tmp_path: Path, legacy: bool
) -> None:
    file = as_file_of("torchvision's ResNet", model)
    path = write_checkpoint(tmp_path / "weights.safetensors", file, legacy)
    assert read_header(path) == (tuple(file), {}, ())
    loaded = load_weights(model, read_weights(path))
    assert loaded.arrays == len(file) and loaded.new == ("deconvolution", "head")
    stem = arrays_of(model)["backbone.stem.kernel"]
    np.testing.assert_array_equal(stem, file["conv1.weight"].transpose(2, 3, 1, 0))


def test_missing_and_truncated_files_are_named(model: DeepLab, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nowhere.safetensors: no such file"):
        read_header(tmp_path / "nowhere.safetensors")
    path = tmp_path / "cut.safetensors"
    save_weights(model, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="cut.safetensors cannot be read"):
        read_header(path)


def test_no_flipped_bit_gives_other_arrays(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    arrays = {"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2), np.float16)}
    write_weights(arrays, path, {"note": "kept"})
    whole, seen = path.read_bytes(), 0
    assert read_weights(path).keys() == arrays.keys()
    for place in range(8 * len(whole)):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            found = read_weights(path)
            # Other metadata than are known are refused where they are read.
            assert "checksum" not in read_header(path).metadata
        except WeightsError:
            seen += 1
            continue
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[key], array)
    assert seen > 7 * len(whole)


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights({"a": np.zeros(1000, np.float32)}, path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"^{path} is damaged: its checksum"):
        read_weights(path)


def test_weights_replace_a_link(tmp_path: Path) -> None:
    others, link = tmp_path / "others", tmp_path / "w.safetensors"
    others.write_text("theirs")
    link.symlink_to(others)
    write_weights({"a": np.zeros(1, np.float32)}, link)
    assert others.read_text() == "theirs" and not link.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_statistics_and_affine_of_a_frozen_norm_are_loaded(tmp_path: Path) -> None:
    options: dict = {"classes": 3, "dilations": (1,), "upsampling": "bilinear"}
    source = make_model(**options)
    rng = np.random.default_rng(0)
    # All positive, so that no logit is a small difference of large numbers.
    drawn = jax.tree.map(
        lambda leaf: jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32),
        nnx.state(source),
    )
    nnx.update(source, drawn)
    path = tmp_path / "model.safetensors"
    save_weights(source, path)
    frozen = make_model(**options, frozen_norm=True)
    load_weights(frozen, read_weights(path))
    images = jnp.asarray(rng.normal(size=(1, 32, 32, 3)), jnp.float32)

    @jax.jit
    def logits(model: DeepLab) -> jax.Array:
        return model(images, train=False)

    np.testing.assert_allclose(logits(frozen), logits(source), rtol=2e-4)
