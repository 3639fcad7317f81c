"""Where a detector's five landmarks lie in the chips a model was trained on."""

import numpy as np

from recognition.core.face import ChipGeometry

DLIB_CHIP_PX = 150

LANDMARKS = {
    # Mean places of each detector's points in the chips dlib itself cuts (150 px, padding 0.25), measured on LFW.
    "mtcnn": [(47.73, 45.82), (100.95, 45.66), (73.82, 77.51), (51.39, 104.80), (97.42, 104.89)],
    "yunet": [(47.67, 44.86), (101.35, 44.44), (74.63, 77.16), (51.81, 102.73), (97.73, 102.73)],
}


def scaled_landmarks(size_px: int) -> dict[str, list[tuple[float, float]]]:
    """Return dlib's layout for chips of another size, by detector, in pixels of that chip."""
    scale = size_px / DLIB_CHIP_PX
    return {
        detector: [(round(x * scale, 2), round(y * scale, 2)) for x, y in points]
        for detector, points in LANDMARKS.items()
    }


def chip_geometry(detector: str, size_px: int = DLIB_CHIP_PX) -> ChipGeometry:
    """Return the layout of a chip of `size_px` for the landmarks of a detector. Raises KeyError for another one."""
    return ChipGeometry(size_px, np.array(scaled_landmarks(size_px)[detector], dtype=np.float32))
