"""DeepLabV3+: its decoder's gradients, places and refusals, and its weights."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.decoder import DecodedPyramid
from models.deeplab import DeepLab, NetworkOutputs
from models.interpolation import BilinearUpsample, HalfPixelUpsample
from models.weights import WeightsError, load_weights

from .networks import filled, make_model
from .test_weights import arrays_of, as_file_of


def make_head(**options: Any) -> DecodedPyramid:
    """Returns a narrow head on maps of 6 and 8 channels."""
    options = {"dilations": (1, 2), "output_stride": 16, "width": 4, **options}
    return filled(lambda: DecodedPyramid((6, 8), 3, rngs=nnx.Rngs(0), **options))


def test_every_weight_and_both_maps_have_finite_gradients(
    rng: np.random.Generator,
) -> None:
    graph, params, others = nnx.split(  # type: ignore[misc]  # its overloads
        make_head(dtype=jnp.bfloat16, dilations=(1,)), nnx.Param, ...
    )
    shapes = ((2, 9, 11, 6), (2, 3, 3, 8))
    maps = [jnp.asarray(rng.normal(size=shape), jnp.bfloat16) for shape in shapes]

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1))
    def gradients(params: nnx.State, maps: list[jax.Array]) -> jax.Array:
        logits = nnx.merge(graph, params, others, copy=True)(maps, train=True)
        assert logits.shape == (2, 9, 11, 3) and logits.dtype == jnp.float32
        return (logits**2).sum()

    found = [
        np.asarray(x, np.float32) for x in jax.tree.leaves(gradients(params, maps))
    ]
    assert len(found) == len(jax.tree.leaves(params)) + 2
    assert all(np.isfinite(x).all() and x.any() for x in found)


@pytest.mark.parametrize(
    ("upsampling", "kind"),
    [
        ("bilinear", BilinearUpsample),
        ("learned", BilinearUpsample),
        ("half_pixel", HalfPixelUpsample),
    ],
)
def test_features_are_enlarged_to_match_the_upsampling(
    upsampling: str, kind: type
) -> None:
    resize = make_head(upsampling=upsampling).resize
    assert type(resize) is kind
    assert getattr(resize, "stride", 4) == 4


@pytest.mark.parametrize(
    ("backbone", "stride"), [("resnet50_c4", 8), ("efficientnet_lite0", 16)]
)
def test_logits_are_at_stride_4_of_every_kind_of_backbone(
    backbone: str, stride: int
) -> None:
    def outputs(images: jax.Array) -> NetworkOutputs:
        model = DeepLab(
            classes=3,
            backbone=backbone,
            head="v3plus",
            output_stride=stride,
            rngs=nnx.Rngs(0),
        )
        return model.outputs(images, train=False)

    images = jax.ShapeDtypeStruct((2, 65, 46, 3), jnp.bfloat16)
    found = jax.eval_shape(outputs, images)
    assert found.coarse.shape == (2, 17, 12, 3)
    assert found.logits.shape == (2, 65, 46, 3)


def test_early_map_at_another_stride_is_refused() -> None:
    head, maps = make_head(), [jnp.zeros((1, 5, 9, 6)), jnp.zeros((1, 3, 3, 8))]
    message = r"at stride 4, 4 times.* last \[3, 3\]; the backbone's first are \[5, 9\]"
    with pytest.raises(ValueError, match=message):
        head(maps, train=False)
    with pytest.raises(ValueError, match="stride 4, of which.*no multiple: got 6"):
        make_head(output_stride=6)


@pytest.mark.parametrize("title", ["this project", "torchvision's DeepLabV3"])
def test_pyramid_of_a_v3_file_is_taken(title: str) -> None:
    source = make_model(head="v3", upsampling="bilinear", seed=3)
    file = arrays_of(source)
    if title != "this project":
        file = as_file_of(title, source)
    model = make_model(head="v3plus", upsampling="bilinear", classes=7)
    before = arrays_of(model)
    loaded = load_weights(model, file)
    assert loaded.new == ("decoder",)
    last = ["head.classify", "head.mix"]
    if title != "this project":
        last = ["classifier.1", "classifier.2", "classifier.4"]
    assert list(loaded.unused_parts) == last
    assert loaded.arrays == len(file) - len(loaded.unused) > 60
    for name, value in arrays_of(model).items():
        kept = np.array_equal(value, before[name])
        assert kept == name.startswith("head.decoder."), name


def test_decoder_is_taken_as_a_whole_or_refused() -> None:
    options: dict[str, Any] = {"head": "v3plus", "upsampling": "bilinear"}
    file = arrays_of(make_model(**options, seed=3))
    model = make_model(**options)
    assert load_weights(model, file).new == ()
    assert all(np.array_equal(file[k], v) for k, v in arrays_of(model).items())
    fewer = {k: v for k, v in file.items() if k != "head.decoder.mix.1.norm.var"}
    with pytest.raises(WeightsError, match="missing: head.decoder.mix.1.norm.var"):
        load_weights(model, fewer)
    other = make_model(**options, classes=7)
    with pytest.raises(WeightsError, match="head.decoder.classify.kernel"):
        load_weights(other, file)
    assert load_weights(other, file, new_head=True).new == ("decoder", "head")
    with pytest.raises(WeightsError, match="head.decoder") as raised:
        load_weights(make_model(head="v3", upsampling="bilinear"), file)
    assert raised.value.head_only
