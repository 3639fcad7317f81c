"""DeepFace's FaceNet models as Keras models that take chips as OpenCV reads them, and DeepFace's own answers."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from recognition.adapters.litert_embedder import to_unit
from recognition.build.facenet_weights import CHIP_PX, FacenetModel
from recognition.build.reference_faces import ReferenceVectors, checksum_of, reference_chips
from recognition.core.errors import PackInvalid, PackMissing


def deepface_network(model: FacenetModel, weights: Path) -> Any:
    """Return DeepFace's own network with `weights`: float32 (n, 160, 160, 3) BGR 0..1 -> (n, dimensions).

    The file's checksum must have been verified. Raises PackMissing without DeepFace, PackInvalid for weights that do
    not fit the network.
    """
    try:
        from deepface.models.facial_recognition.Facenet import InceptionResNetV1
    except (ImportError, ValueError) as exc:
        # DeepFace raises ValueError when tf-keras is missing.
        raise PackMissing(f"DeepFace cannot be imported: {exc}", hint="install the `models` extra") from exc
    network = InceptionResNetV1(dimension=model.dimensions)
    try:
        network.load_weights(str(weights))
    except (ValueError, OSError, KeyError, TypeError) as exc:
        raise PackInvalid(f"{weights} does not hold the weights of {model.deepface_name}: {exc}") from exc
    if not all(np.isfinite(values).all() for values in network.get_weights()):
        raise PackInvalid(f"{weights} holds weights that are not finite")
    return network


def keras_network(network: Any) -> Any:
    """Return `network` behind what DeepFace does to a face that already has its size: divide by 255, nothing else.

    float32 (n, 160, 160, 3) BGR 0..255 -> (n, dimensions). DeepFace's `normalization="base"` leaves it at that.
    """
    from tensorflow import keras

    chips = keras.Input((CHIP_PX, CHIP_PX, 3), name="chips_bgr")
    return keras.Model(chips, network(keras.layers.Rescaling(1.0 / 255.0)(chips)), name="facenet")


def deepface_reference(model: FacenetModel, network: Any) -> ReferenceVectors:
    """Return what DeepFace's own `forward` gives for the reference faces, one face at a time as it takes them."""
    from deepface.models.FacialRecognition import FacialRecognition

    client = FacialRecognition()
    client.model, client.model_name = network, model.deepface_name
    chips = reference_chips(CHIP_PX)
    rows = [client.forward(chip[np.newaxis].astype(np.float32) / 255.0) for chip in chips]
    vectors = to_unit(np.array(rows, dtype=np.float32).reshape(len(chips), model.dimensions))
    if not np.isfinite(vectors).all():
        raise PackInvalid(f"{model.deepface_name} gives no numbers for the reference faces with these weights")
    return ReferenceVectors(f"DeepFace {version('deepface')}, {model.deepface_name}", checksum_of(chips), vectors)
