"""The MiniFASNet networks as Keras models that take crops as OpenCV reads them.

Two versions differ in their widths, which the shapes of the weights say, and in whether the last block of each stage
weighs its channels by what it sees in the whole crop ("squeeze and excitation"); the names of the weights say that.
A block is a 1x1 convolution to more or fewer channels, a 3x3 convolution of each channel alone and a 1x1 convolution
back; each convolution has a batch norm, the first two a PReLU, the third nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.build.torch_state import Tensor
from recognition.core.errors import PackInvalid

INPUT_PX = 80
CLASSES = 3
LIVE_CLASS = 1
LAST_SIDE = 5
"""What is left of the side after four halvings; the last convolution looks at all of it."""

_STAGES = (("conv_23", "conv_3", 4), ("conv_34", "conv_4", 6), ("conv_45", "conv_5", 2))
"""The block that halves the picture, the stage behind it, and the blocks of that stage, which keep the size."""

_EPSILON = 1e-5
"""What PyTorch adds to a batch norm's variance when nothing else is said; the networks were trained with it."""

Weights = NDArray[np.float32]


def keras_network(state: Mapping[str, Tensor]) -> Any:
    """Return a Keras model: float32 (n, 80, 80, 3) BGR 0..255, not normalised -> float32 (n, 3) probabilities.

    Raises PackInvalid when the state lacks a weight, has one of another shape, or has one that the network has not.
    """
    from tensorflow import keras

    weights = _Weights(state)
    inputs = keras.Input((INPUT_PX, INPUT_PX, 3), name="crops_bgr")
    x = _prelu(_convolve(inputs, weights, "conv1", size=3, stride=2), weights, "conv1")
    x = _prelu(_convolve_alone(x, weights, "conv2_dw"), weights, "conv2_dw")
    for halving, stage, blocks in _STAGES:
        x = _block(x, weights, halving, stride=2)
        for index in range(blocks):
            x = _residual(x, weights, f"{stage}.model.{index}")
    x = _prelu(_convolve(x, weights, "conv_6_sep"), weights, "conv_6_sep")
    x = keras.layers.Flatten(name="flatten")(_convolve_alone(x, weights, "conv_6_dw", size=LAST_SIDE, padding=0))
    outputs = keras.layers.Softmax(name="softmax")(_classify(x, weights))
    weights.check_all_used()
    return keras.Model(inputs, outputs, name="minifasnet")


class _Weights:
    """The weights by their layer's name; remembers which were used."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        # Trained on several cards at once, which puts a word before each name.
        self._left = {name.removeprefix("module."): tensor for name, tensor in state.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, *shape: int | None) -> Weights:
        """Return a weight of the given shape (None: any size). Raises PackInvalid."""
        tensor = self._left.pop(name, None)
        if tensor is None or tensor.dtype != np.float32:
            raise PackInvalid(f"the liveness network has no weights {name}")
        fits = len(tensor.shape) == len(shape) and all(
            wanted in (None, found) for wanted, found in zip(shape, tensor.shape, strict=True)
        )
        if not fits:
            raise PackInvalid(f"the liveness network's weights {name} have shape {tensor.shape}, expected {shape}")
        return tensor.astype(np.float32)

    def batch_norm(self, name: str, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return factor and summand per channel that do what the batch norm does once training is over."""
        gamma, beta, mean, variance = (
            self.take(f"{name}.{part}", channels).astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        self._left.pop(f"{name}.num_batches_tracked", None)
        if not (variance >= 0).all():
            raise PackInvalid(f"the liveness network's {name} has a variance under 0")
        factor = gamma / np.sqrt(variance + _EPSILON)
        return factor, beta - mean * factor

    def check_all_used(self) -> None:
        """Raise PackInvalid when there are weights that no layer asked for: it is another network."""
        if self._left:
            raise PackInvalid(f"the liveness network has no place for the weights {min(self._left)[:60]}")


def _residual(x: Any, weights: _Weights, name: str) -> Any:
    from tensorflow import keras

    y = _block(x, weights, name)
    if y.shape != x.shape:
        raise PackInvalid(f"the liveness network's {name} makes {y.shape[1:]} of {x.shape[1:]}")
    if f"{name}.se_module.fc1.weight" in weights:
        y = _weigh_channels(y, weights, f"{name}.se_module")
    return keras.layers.Add(name=_own(f"{name}.add"))([x, y])


def _block(x: Any, weights: _Weights, name: str, stride: int = 1) -> Any:
    x = _prelu(_convolve(x, weights, f"{name}.conv"), weights, f"{name}.conv")
    x = _prelu(_convolve_alone(x, weights, f"{name}.conv_dw", stride=stride), weights, f"{name}.conv_dw")
    return _convolve(x, weights, f"{name}.project")


def _weigh_channels(x: Any, weights: _Weights, name: str) -> Any:
    from tensorflow import keras

    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=_own(f"{name}.mean"))(x)
    y = keras.layers.ReLU(name=_own(f"{name}.relu"))(_convolve_named(y, weights, f"{name}.fc1", f"{name}.bn1"))
    y = _convolve_named(y, weights, f"{name}.fc2", f"{name}.bn2")
    y = keras.layers.Activation("sigmoid", name=_own(f"{name}.sigmoid"))(y)
    return keras.layers.Multiply(name=_own(f"{name}.weigh"))([x, y])


def _convolve(x: Any, weights: _Weights, name: str, size: int = 1, stride: int = 1) -> Any:
    from tensorflow import keras

    # Explicit zeros: with a stride of 2, Keras' own "same" puts all of them at the other side.
    padded = keras.layers.ZeroPadding2D(size // 2, name=_own(f"{name}.pad"))(x) if size > 1 else x
    return _convolve_named(padded, weights, f"{name}.conv", f"{name}.bn", size, stride)


def _convolve_named(x: Any, weights: _Weights, name: str, norm: str, size: int = 1, stride: int = 1) -> Any:
    """Convolve over all channels, with the batch norm folded in."""
    from tensorflow import keras

    filters = weights.take(f"{name}.weight", None, int(x.shape[-1]), size, size)
    factor, summand = weights.batch_norm(norm, len(filters))
    layer = keras.layers.Conv2D(len(filters), size, strides=stride, padding="valid", name=_own(name))
    y = layer(x)
    layer.set_weights([(filters.transpose(2, 3, 1, 0) * factor).astype(np.float32), summand.astype(np.float32)])
    return y


def _convolve_alone(x: Any, weights: _Weights, name: str, size: int = 3, stride: int = 1, padding: int = 1) -> Any:
    """Convolve each channel alone, with the batch norm folded in."""
    from tensorflow import keras

    channels = int(x.shape[-1])
    filters = weights.take(f"{name}.conv.weight", channels, 1, size, size)
    factor, summand = weights.batch_norm(f"{name}.bn", channels)
    layer = keras.layers.DepthwiseConv2D(size, strides=stride, padding="valid", name=_own(name))
    y = layer(keras.layers.ZeroPadding2D(padding, name=_own(f"{name}.pad"))(x) if padding else x)
    kernel = filters.transpose(2, 3, 0, 1) * factor[:, np.newaxis]
    layer.set_weights([kernel.astype(np.float32), summand.astype(np.float32)])
    return y


def _prelu(x: Any, weights: _Weights, name: str) -> Any:
    from tensorflow import keras

    slopes = weights.take(f"{name}.prelu.weight", int(x.shape[-1]))
    layer = keras.layers.PReLU(shared_axes=[1, 2], name=f"{_own(name)}_prelu")
    y = layer(x)
    layer.set_weights([slopes.reshape(1, 1, -1)])
    return y


def _classify(x: Any, weights: _Weights) -> Any:
    """Project twice; the batch norm between the projections is folded into the first one."""
    from tensorflow import keras

    projection = weights.take("linear.weight", None, int(x.shape[-1]))
    factor, summand = weights.batch_norm("bn", len(projection))
    first = keras.layers.Dense(len(projection), name="linear")
    second = keras.layers.Dense(CLASSES, use_bias=False, name="prob")
    y = second(first(x))
    first.set_weights([(projection.T * factor).astype(np.float32), summand.astype(np.float32)])
    second.set_weights([weights.take("prob.weight", CLASSES, len(projection)).T])
    return y


def _own(name: str) -> str:
    """Return a layer's name. Every layer has one: Keras' own names count on, and would be in the compiled file."""
    return name.replace(".", "_")
