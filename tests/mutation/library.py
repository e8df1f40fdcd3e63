"""Mistakes in `lal_jax` and `models` that their tests must notice."""

from __future__ import annotations

from tests.mutation.trainer import of

LOSSES = [
    *of(
        "lal_jax/window_sum.py",
        "tests/lal_jax/test_gradients.py tests/lal_jax/test_windows.py",
        (
            "weights not mirrored",
            "mirrored = weights[(slice(None, None, -1),) * rank]",
            "mirrored = weights",
        ),
    ),
    *of(
        "lal_jax/window_sum_slices.py",
        "tests/lal_jax/test_pooling.py tests/lal_jax/test_void.py",
        (
            "void joins its neighbors",
            "(marks != NO_CLASS)[..., None], values",
            "True, values",
        ),
        (
            "every pixel a neighbor",
            "[(..., *window)] == centers)",
            "[(..., *window)] == neighbors[(..., *window)])",
        ),
    ),
    *of(
        "lal_jax/masks.py",
        "tests/lal_jax/test_masks.py tests/lal_jax/test_void.py",
        ("void counts", "mask = mask & (labels != label)", "pass"),
    ),
    *of(
        "lal_jax/reductions.py",
        "tests/lal_jax/test_reductions.py",
        (
            "mean over all pixels",
            "jnp.sum(valid, axis=axes)",
            "jnp.sum(valid | True, axis=axes)",
        ),
        ("the largest losses are 0", "jnp.where(scale > 1, 2.0**-8, 1.0)", "1.0"),
    ),
    *of(
        "lal_jax/pooling.py",
        "tests/lal_jax/test_pooling.py",
        ("normalizers exchanged", 'normalizer == "count"', 'normalizer != "count"'),
    ),
    *of(
        "lal_jax/pooling.py",
        "tests/lal_jax/test_score_scale.py",
        ("no scale", "(scale / window", "(scale / scale / window"),
        (
            "a scale held constant",
            "(scale / window",
            '(__import__("jax").lax.stop_gradient(scale) / window',
        ),
    ),
    *of(
        "lal_jax/_checks.py",
        "tests/lal_jax/test_misuse_of_options.py",
        ("a scale beyond float32", "<= np.finfo(dtype).max", "< math.inf"),
        (
            "dilations of another length",
            "len(steps) != len(window) or any(",
            "any(",
        ),
    ),
    *of(
        "lal_jax/window_sum_slices.py",
        "tests/lal_jax/test_dilation.py",
        (
            "one dilation for all axes",
            "* np.array(dilation)",
            "* np.array(dilation)[0]",
        ),
    ),
    *of(
        "lal_jax/window_sum.py",
        "tests/lal_jax/test_gradients.py",
        (
            "gradients without dilation",
            "mirrored, 1, dilation)",
            "mirrored, 1, (1,) * rank)",
        ),
    ),
    *of(
        "lal_jax/gradients.py",
        "tests/lal_jax/test_gradients.py",
        (
            "closed form without the scale",
            "slope = arguments.score_scale * _pool",
            "slope = 1.0 * _pool",
        ),
        (
            "closed form without dilation",
            "stride=1, dilation=windows.dilation)",
            "stride=1, dilation=(1,) * rank)",
        ),
    ),
    *of(
        "lal_jax/class_balance.py",
        "tests/lal_jax/test_class_balance.py",
        ("void counts in its class", " & valid[..., None]\n", "\n"),
        ("strays weigh", "valid = has_class(labels, valid, classes)", "pass"),
        (
            "counts of the batch",
            "_by_sorting(labels, valid, axes)",
            "_by_sorting(labels, valid, tuple(range(labels.ndim)))",
        ),
        ("weights with the count", "count**-exponent", "count**exponent"),
    ),
    *of(
        "lal_jax/reductions.py",
        "tests/lal_jax/test_class_balance.py",
        ("weights in the divisor alone", "powers *= weights", "pass"),
    ),
    *of(
        "lal_jax/pool_gradients.py",
        "tests/lal_jax/test_class_balance.py",
        (
            "gradient by the number of pixels",
            "total = total_weight(weights, axes)",
            "pass",
        ),
    ),
    *of(
        "lal_jax/locally_adaptive.py",
        "tests/lal_jax/test_class_balance.py",
        (
            "labels of all pixels",
            '"labels": windows.at_centers(windows.labels)',
            '"labels": windows.labels',
        ),
        ("no number of classes", '"classes": classes', '"classes": None'),
    ),
]
NETWORKS = [
    *of(
        "models/layers.py",
        "tests/models/test_resnet.py",
        (
            "padding without dilation",
            "reach = dilation * (kernel - 1) // 2",
            "reach = (kernel - 1) // 2",
        ),
    ),
    *of(
        "models/resnet.py",
        "tests/models/test_resnet.py tests/models/test_parity.py",
        ("dilates a stage late", "before = dilation\n", "before = 1\n"),
    ),
    *of(
        "models/pointwise.py",
        "tests/models/test_pointwise.py",
        ("strides one way", "[:, ::down, ::right]", "[:, ::down, ::down]"),
        (
            "strides left out",
            "functools.partial(pixel_product, strides)",
            "functools.partial(pixel_product, (1, 1))",
        ),
        (
            "features transposed",
            "y = seen.reshape(-1, seen.shape[-1]) @ kernel[0, 0]",
            "y = jax.numpy.einsum('bhwi,io->bhwo', seen, kernel[0, 0])",
        ),
        (
            "convolved on CPUs",
            "cpu=plus_offset(",
            "rocm=plus_offset(",
        ),
        ("no slope", "return by_images, by_kernel", "return by_images, kernel"),
        ("no offset", "y = y + offset[0].astype(y.dtype) if offset else y\n", ""),
    ),
    *of(
        "models/activations.py",
        "tests/models/test_activations.py",
        ("slope at zero", "result > 0", "result >= 0"),
        ("input kept", "return result, result", "return result, x"),
        ("one term", "functools.reduce(operator.add, terms)", "terms[0]"),
        ("always flat", "if not rows_are_divided():", "if True:"),
    ),
    *of(
        "models/layers.py",
        "tests/models/test_frozen_norm.py",
        ("norm apart", "if not (halved and", "if not (False and"),
        (
            "norm always inside",
            "halved = conv.dtype is not None and",
            "halved = True or",
        ),
        ("no scale in the kernel", "self.kernel[...] * scale)", "self.kernel[...])"),
        ("not strided", "_pair(self.strides),", "(1, 1),"),
    ),
    *of(
        "models/summed.py",
        "tests/models/test_summed.py",
        ("no zeros added", "% (16 // array.dtype.itemsize)", "% 1"),
        ("slope as it comes", "slope.astype(features.dtype)", "slope"),
    ),
    *of(
        "models/summed.py",
        "tests/models/test_dilated.py",
        (
            "a gradient for each tap",
            "jax.lax.split(products, (1,) * len(taps), axis=3)",
            "[products[:, :, :, t : t + 1] for t in range(len(taps))]",
        ),
    ),
    *of(
        "models/decoder.py",
        "tests/models/test_decoder.py tests/models/test_decoder_parity.py",
        ("any first map", "for side in early] != coarse", "for side in early] == 0"),
        (
            "the finer map before the features",
            "[features, self.reduce(early, train=train)]",
            "[self.reduce(early, train=train), features]",
        ),
    ),
    *of(
        "models/upsamplings.py",
        "tests/models/test_decoder.py",
        (
            "features always enlarged bilinearly",
            '["bilinear" if UPSAMPLINGS[name].learns else name]',
            '["bilinear"]',
        ),
    ),
    *of(
        "models/matching.py",
        "tests/models/test_decoder.py",
        (
            "a decoder no part of its own",
            'return "decoder" if ours.startswith(_DECODER) else ours',
            "return ours",
        ),
        (
            "the last layers of V3 beside a decoder",
            "layout.undecoded if decodes else ()",
            "()",
        ),
    ),
    *of(
        "models/interpolation.py",
        "tests/models/test_interpolation.py",
        (
            "past the last feature",
            "np.minimum(np.arange(length) / stride, count - 1)",
            "np.arange(length) / stride",
        ),
        (
            "padding at the start",
            "padding=((0, 1), (0, 1))",
            "padding=((1, 0), (1, 0))",
        ),
        ("taps turned", "channels, channels)[::-1, :, ::-1]", "channels, channels)"),
    ),
    *of(
        "models/arrays.py",
        "tests/models/test_weights.py",
        ("kernels transposed", "transpose(2, 3, 1, 0)", "transpose(3, 2, 1, 0)"),
    ),
]
LIBRARY = [*LOSSES, *NETWORKS]
