"""Draws a neutral classroom, 1280 x 720, and the desk that stands in front of whoever is in it."""

import cv2
import numpy as np

from deploy.cutout import Cutout
from recognition.core.face import Box, Image

WIDTH_PX, HEIGHT_PX = 1280, 720
DESK_TOP_PX = 605

WALL, WALL_LIGHT = (176, 190, 196), (206, 216, 220)
FLOOR = (120, 138, 150)
BOARD, BOARD_FRAME = (86, 104, 72), (130, 150, 165)
DOOR, DOOR_FRAME = (110, 132, 158), (90, 108, 132)
WINDOW, WINDOW_FRAME = (232, 226, 214), (190, 196, 200)
DESK, DESK_EDGE = (98, 134, 170), (70, 100, 132)


def draw_room() -> Image:
    """Return the empty room: wall, board, window, door, floor; a little out of focus, as behind a person."""
    shade = np.linspace(0.0, 1.0, WIDTH_PX, dtype=np.float32)[None, :, None]
    wall = np.array(WALL, np.float32) * (1 - shade) + np.array(WALL_LIGHT, np.float32) * shade
    room = np.repeat(wall, HEIGHT_PX, axis=0).astype(np.uint8)
    cv2.rectangle(room, (0, 560), (WIDTH_PX, HEIGHT_PX), FLOOR, -1)
    cv2.rectangle(room, (330, 120), (900, 400), BOARD_FRAME, -1)
    cv2.rectangle(room, (342, 132), (888, 388), BOARD, -1)
    cv2.rectangle(room, (50, 150), (230, 560), DOOR_FRAME, -1)
    cv2.rectangle(room, (64, 164), (216, 560), DOOR, -1)
    cv2.rectangle(room, (990, 90), (1230, 360), WINDOW_FRAME, -1)
    for left in (1000, 1116):
        cv2.rectangle(room, (left, 100), (left + 104, 350), WINDOW, -1)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 4), dtype=np.uint8)


def draw_desk() -> Cutout:
    """Return the desk along the lower edge; it hides where the portraits end."""
    picture = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    picture[DESK_TOP_PX:] = DESK
    picture[DESK_TOP_PX : DESK_TOP_PX + 10] = DESK_EDGE
    cover = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    cover[DESK_TOP_PX:] = 1.0
    return Cutout(picture, cover, Box(0, 0, 0, 0))
