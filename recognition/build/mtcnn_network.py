"""MTCNN's three networks with the weights that the PyPI package `mtcnn` carries."""

from io import BytesIO
from typing import Any

from recognition.build.pinned_inputs import MTCNN_NETWORKS, read_input

INPUT_SHAPES: dict[str, tuple[int | None, int | None, int | None, int]] = {
    "propose": (1, None, None, 3),
    "refine": (None, 24, 24, 3),
    "place": (None, 48, 48, 3),
}
"""By role: what goes in, float32 RGB from -1 to 1. The first network takes a picture of any size."""


def keras_network(role: str) -> Any:
    """Return the network of a role as a Keras model. Raises PackMissing or PackAltered for its weights."""
    # The weight files are joblib files, which are pickles: loading one runs whatever it says. They are loaded only
    # after their checksum was found to be the pinned one, and from the very bytes that were checked. The package's
    # own loader is not used: it would prefer a file of that name in the current folder over its own.
    content = read_input(MTCNN_NETWORKS[role])
    import joblib
    from mtcnn.network.onet import ONet
    from mtcnn.network.pnet import PNet
    from mtcnn.network.rnet import RNet

    model = {"propose": PNet, "refine": RNet, "place": ONet}[role]()
    model.build()
    model.set_weights(joblib.load(BytesIO(content)))
    return model
