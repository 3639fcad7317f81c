"""How many threads OpenCV may use in this process."""

import cv2


def hold_opencv_to_one_thread() -> None:
    """Leave the cores to the models, which are given theirs by the settings, and to the camera's thread.

    What OpenCV does here (cutting, resizing) is short; its threads would be woken for it, and take turns with those of
    the models that are still at work.
    """
    cv2.setNumThreads(1)
