"""What a network is given of an image."""

import jax.numpy as jnp
import numpy as np

from train.data.preprocessing import PREPROCESSINGS


def test_preprocessing_is_what_the_weights_were_trained_on() -> None:
    pixel = jnp.array([[255, 0, 128]], jnp.uint8)
    np.testing.assert_allclose(
        PREPROCESSINGS["imagenet"](pixel)[0],
        [(255 - 123.675) / 58.395, -116.28 / 57.12, (128 - 103.53) / 57.375],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        PREPROCESSINGS["bgr_mean"](pixel)[0],
        [128 - 104.008, -116.669, 255 - 122.675],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        PREPROCESSINGS["plus_minus_one"](pixel)[0], [1, -127 / 128, 1 / 128], rtol=1e-5
    )
