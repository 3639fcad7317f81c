"""What a driver hands out becomes a picture the rest of the unit can use, or the camera counts as lost."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core.errors import CameraLost
from recognition.core.face import Image

_REMEDY = "set the camera to 8 bit colour or grey; `v4l2-ctl --list-formats-ext` lists what a USB camera can give"
_TO_BGR = {1: cv2.COLOR_GRAY2BGR, 4: cv2.COLOR_BGRA2BGR}


def as_bgr_bytes(image: NDArray[Any]) -> Image:
    """Return a driver's picture as (height, width, 3) uint8 BGR; one that is that already is not copied.

    Grey (height, width) or (height, width, 1) gets three equal channels, a fourth channel is dropped, and of 16 bits
    the upper 8 are kept. Raises CameraLost, naming the format, for everything else. Any thread.
    """
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if not image.size or image.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        shape = " x ".join(str(length) for length in image.shape)
        raise CameraLost(f"the camera gives pictures that cannot be used: {image.dtype}, {shape}", hint=_REMEDY)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if channels != 3:
        image = cv2.cvtColor(image, _TO_BGR[channels])
    return image


def decoded(capture: cv2.VideoCapture) -> Image | None:
    """Return the frame that was grabbed last as `as_bgr_bytes` does, or None when it is damaged. Raises CameraLost."""
    try:
        ok, image = capture.retrieve()
    except cv2.error:
        # Some backends raise instead, for instance when the driver gave a frame of no bytes.
        return None
    return as_bgr_bytes(np.asarray(image)) if ok and image is not None else None
