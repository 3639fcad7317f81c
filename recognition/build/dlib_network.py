"""dlib's face recognition network as a Keras model that takes chips as OpenCV reads them."""

from typing import Any

import numpy as np

from recognition.build.dlib_weights import Block, Convolution, DlibNetwork


def keras_network(network: DlibNetwork) -> Any:
    """Return a Keras model: float32 (n, size, size, 3) BGR 0..255 -> float32 (n, dimensions) of any length."""
    from tensorflow import keras

    inputs = keras.Input((network.size_px, network.size_px, 3), name="chips_bgr")
    x = _convolve(inputs, _with_normalisation(network), "stem")
    x = keras.layers.ReLU()(x)
    x = keras.layers.MaxPooling2D(3, 2, padding="valid")(x)
    for index, block in enumerate(network.blocks):
        x = _residual(x, block, f"block{index:02d}")
    x = keras.layers.GlobalAveragePooling2D()(x)
    projection = keras.layers.Dense(network.projection.shape[1], use_bias=False, name="projection")
    outputs = projection(x)
    projection.set_weights([network.projection])
    return keras.Model(inputs, outputs, name="dlib_resnet")


def _with_normalisation(network: DlibNetwork) -> Convolution:
    """Fold (RGB - means) / 256 and the change from RGB to BGR into the first convolution.

    Exact, because the first convolution has no padding: every weight sees a real pixel.
    """
    stem = network.stem
    means = np.asarray(network.channel_means, dtype=np.float64)
    kernel = stem.kernel.astype(np.float64) / 256.0
    bias = stem.bias - np.einsum("hwio,i->o", kernel, means)
    return Convolution(kernel[:, :, ::-1].astype(np.float32), bias.astype(np.float32), stem.stride, stem.padding)


def _residual(x: Any, block: Block, name: str) -> Any:
    from tensorflow import keras

    y = keras.layers.ReLU()(_convolve(x, block.first, f"{name}_first"))
    y = _convolve(y, block.second, f"{name}_second")
    shortcut = keras.layers.AveragePooling2D(2, 2, padding="valid")(x) if block.halves else x
    # dlib adds tensors of unequal shape as if the smaller one went on with zeros at the bottom, right and last channel.
    size = tuple(max(a, b) for a, b in zip(y.shape[1:], shortcut.shape[1:], strict=True))
    total = keras.layers.Add()([_grown(y, size), _grown(shortcut, size)])
    return keras.layers.ReLU()(total)


def _grown(x: Any, size: tuple[int, ...]) -> Any:
    from tensorflow import keras

    grow = [wanted - found for wanted, found in zip(size, x.shape[1:], strict=True)]
    # One padding operation with constant sizes: a reshape would ask for sizes while it runs, and at each such place
    # the runtime leaves its optimised path and copies everything out and in again.
    return keras.ops.pad(x, [[0, 0], *([0, more] for more in grow)]) if any(grow) else x


def _convolve(x: Any, convolution: Convolution, name: str) -> Any:
    from tensorflow import keras

    if convolution.padding:
        x = keras.layers.ZeroPadding2D(convolution.padding)(x)
    rows, columns, _, channels = convolution.kernel.shape
    layer = keras.layers.Conv2D(channels, (rows, columns), strides=convolution.stride, padding="valid", name=name)
    y = layer(x)
    layer.set_weights([convolution.kernel, convolution.bias])
    return y
