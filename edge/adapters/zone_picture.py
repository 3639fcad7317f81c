"""A still of the camera with a grid and the zone drawn into it, so that a person can choose the zone's corners."""

import os
from pathlib import Path

import cv2
import numpy as np

from edge.core.errors import SettingsWrong
from edge.core.zone import Zone
from recognition.core.face import Image

_TENTHS = 10
_GRID = (200, 200, 200)
_BORDER = (80, 200, 60)
_SHADE = 0.35
"""How bright the part outside of the zone stays."""
_CODED = {".jpg": ".jpg", ".jpeg": ".jpg", ".png": ".png"}


def draw_zone(image: Image, zone: Zone) -> Image:
    """Return a copy with lines at every tenth, their fractions beside them, and what is outside the zone darkened."""
    height, width = image.shape[:2]
    canvas = image.copy()
    if not zone.is_everything:
        corners = np.array([[round(x * (width - 1)), round(y * (height - 1))] for x, y in zone.corners], np.int32)
        inside = np.zeros((height, width), np.uint8)
        cv2.fillPoly(inside, [corners], 1)
        canvas[inside == 0] = (canvas[inside == 0] * _SHADE).astype(np.uint8)
        cv2.polylines(canvas, [corners], isClosed=True, color=_BORDER, thickness=max(2, width // 400))
    for tenth in range(1, _TENTHS):
        x, y = round(width * tenth / _TENTHS), round(height * tenth / _TENTHS)
        cv2.line(canvas, (x, 0), (x, height), _GRID, 1)
        cv2.line(canvas, (0, y), (width, y), _GRID, 1)
        size = max(0.4, width / 1600)
        for ink, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(canvas, f"0.{tenth}", (x + 2, 14), cv2.FONT_HERSHEY_SIMPLEX, size, ink, thickness)
            cv2.putText(canvas, f"0.{tenth}", (2, y - 2), cv2.FONT_HERSHEY_SIMPLEX, size, ink, thickness)
    return canvas


def write_snapshot(path: Path, image: Image) -> None:
    """Write a picture that only its owner can read. Raises SettingsWrong for a name or a place that does not serve."""
    coded = _CODED.get(path.suffix.lower())
    if coded is None:
        raise SettingsWrong(f"{path.name} is not the name of a picture", hint="let it end in .jpg or .png")
    done, data = cv2.imencode(coded, image)
    if not done:
        raise SettingsWrong(f"{path.name} could not be encoded", hint="try .png")
    try:
        # Faces may be in it.
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(data.tobytes())
    except OSError as exc:
        raise SettingsWrong(
            f"{path} cannot be written: {exc.strerror}", hint="name a file in a folder of yours"
        ) from exc
