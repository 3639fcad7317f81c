"""From a Keras model to the bytes of a LiteRT file."""

import logging
from typing import Any, Literal

Precision = Literal["f32", "f16", "int8"]
"""float32; float16 weights; int8 weights with float activations ("dynamic range")."""


def to_litert(model: Any, input_shape: tuple[int | None, ...], precision: Precision = "f32") -> bytes:
    """Convert `model`, called with one float32 tensor of `input_shape` (None: any size), to a LiteRT flatbuffer."""
    return compiled(traced(model, input_shape), precision)


def forget_names() -> None:
    """Let Keras count its layers from the beginning again.

    Layers without a name are numbered through a process, and the numbers land in the compiled file: without this a
    network compiled second differs from the same network compiled first. To be called before a network is made.
    """
    from tensorflow import keras

    keras.backend.clear_session()


def traced(model: Any, input_shape: tuple[int | None, ...]) -> Any:
    """Return the model's graph for `compiled`: for a large network this takes as long as one conversion."""
    import tensorflow as tf

    # Through one traced function and not through the Keras converter: that one saves the model first, and its
    # saved signatures bring variables that the runtime on a unit does not know.
    signature = tf.TensorSpec(input_shape, tf.float32)
    return tf.function(lambda x: model(x, training=False)).get_concrete_function(signature)


def compiled(graph: Any, precision: Precision) -> bytes:
    """Convert what `traced` returned to a LiteRT flatbuffer. The same graph gives the same bytes in any process."""
    import tensorflow as tf

    # Otherwise every conversion prints that the way through a traced function, chosen above, will go one day.
    logging.getLogger("absl").setLevel(logging.ERROR)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
    if precision != "f32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "f16":
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())
