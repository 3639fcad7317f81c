"""From a Keras model to the bytes of a LiteRT file."""

import logging
from typing import Any, Literal

Precision = Literal["f32", "f16", "int8"]
"""float32; float16 weights; int8 weights with float activations ("dynamic range")."""


def to_litert(model: Any, input_shape: tuple[int | None, ...], precision: Precision = "f32") -> bytes:
    """Convert `model`, called with one float32 tensor of `input_shape` (None: any size), to a LiteRT flatbuffer."""
    import tensorflow as tf

    # Otherwise every conversion prints that the way through a traced function, chosen below, will go one day.
    logging.getLogger("absl").setLevel(logging.ERROR)

    # Through one traced function and not through the Keras converter: that one saves the model first, and its
    # saved signatures bring variables that the runtime on a unit does not know.
    signature = tf.TensorSpec(input_shape, tf.float32)
    traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced])
    if precision != "f32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "f16":
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())
