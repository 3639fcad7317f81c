"""Separates the person of a portrait from what is behind them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Box, Image

ROUNDS = 3
SHRINK = 2
FEATHER_PX = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A picture, how much of each pixel belongs to its subject (0 to 1), and where the face is."""

    picture: Image
    cover: NDArray[np.float32]
    face: Box


def cut_out(picture: Image, face: Box) -> Cutout:
    """Find the person whose face is at `face`; everything below and beside it that looks the same is theirs."""
    height, width = picture.shape[:2]
    # Searching in a smaller picture is many times faster, and its edges are feathered anyway.
    small = cv2.resize(picture, (width // SHRINK, height // SHRINK), interpolation=cv2.INTER_AREA)
    there = Box(face.x / SHRINK, face.y / SHRINK, face.width / SHRINK, face.height / SHRINK)
    mask = _guess(width // SHRINK, height // SHRINK, there)
    # It draws random numbers; the same portrait must give the same cutout.
    cv2.setRNGSeed(1)
    ground, figure = np.zeros((1, 65), np.float64), np.zeros((1, 65), np.float64)
    cv2.grabCut(small, mask, (0, 0, 0, 0), ground, figure, ROUNDS, cv2.GC_INIT_WITH_MASK)
    person = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    edge = cv2.resize(_largest_piece(person).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    cover = cv2.GaussianBlur(edge, (0, 0), FEATHER_PX)
    return Cutout(picture, np.asarray(cover, dtype=np.float32), face)


def _guess(width: int, height: int, face: Box) -> NDArray[np.uint8]:
    """Draw what is surely, probably and surely not the person: a head on shoulders."""
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    x, y = (round(value) for value in face.centre)
    w, h = face.width, face.height
    shoulders = round(face.y + 1.15 * h)
    cv2.ellipse(mask, (x, y - round(0.1 * h)), (round(0.95 * w), round(0.85 * h)), 0, 0, 360, cv2.GC_PR_BGD, -1)
    cv2.fillPoly(mask, [_body(x, shoulders, height, (1.6 * w, 2.1 * w))], cv2.GC_PR_BGD)
    outline = _body(x, shoulders, height, (1.1 * w, 1.9 * w))
    cv2.fillPoly(mask, [outline], cv2.GC_PR_FGD)
    cv2.ellipse(mask, (x, y - round(0.1 * h)), (round(0.62 * w), round(0.68 * h)), 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.ellipse(mask, (x, y), (round(0.45 * w), round(0.5 * h)), 0, 0, 360, cv2.GC_FGD, -1)
    cv2.fillPoly(mask, [_body(x, shoulders + round(0.15 * h), height, (0.5 * w, 0.8 * w))], cv2.GC_FGD)
    return mask


def _body(x: int, top: int, bottom: int, halves: tuple[float, float]) -> NDArray[np.int32]:
    """Return the corners of a trapezium around column `x`, narrower at the top."""
    narrow, wide = (round(half) for half in halves)
    return np.array([(x - narrow, top), (x + narrow, top), (x + wide, bottom), (x - wide, bottom)], np.int32)


def _largest_piece(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return (labels == 1 + int(np.argmax(areas))).astype(np.uint8) if len(areas) else mask
