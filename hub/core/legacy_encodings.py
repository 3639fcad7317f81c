"""Face encodings as the original system wrote them down: text with numbers, read strictly and never evaluated. Pure."""

import math
import re

from hub.core.errors import BadInput
from hub.core.legacy import LONGEST_ENCODING

DIMENSIONS = 128
PACK_NAME = "facenet"
"""The only model pack whose network made such encodings."""
MOST_BRACKETS = 2

_ALLOWED = re.compile(r"[0-9eE+\-.,\[\] \r\n\t]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,4})?", re.ASCII)


def read_encoding(text: str) -> tuple[float, ...]:
    """Return the numbers of a list such as "[0.12, -0.5, ...]": 128 finite ones, not all zero.

    Commas or spaces stand between them; one pair of brackets around them, or two. Raises BadInput, which names none.
    """
    if len(text) > LONGEST_ENCODING:
        raise BadInput(f"the encoding has more than {LONGEST_ENCODING} characters")
    if not _ALLOWED.fullmatch(text):
        raise BadInput("the encoding has characters that no list of numbers has")
    inner = text.strip()
    for _ in range(MOST_BRACKETS):
        if inner.startswith("[") and inner.endswith("]"):
            inner = inner[1:-1].strip()
    parts = [part.strip() for part in inner.split(",")] if "," in inner else inner.split()
    if len(parts) != DIMENSIONS:
        raise BadInput(f"the encoding has {len(parts)} numbers, not {DIMENSIONS}")
    if not all(_NUMBER.fullmatch(part) for part in parts):
        raise BadInput("the encoding has something among its numbers that is none")
    numbers = tuple(float(part) for part in parts)
    length = math.hypot(*numbers)
    if not math.isfinite(length) or length == 0:
        raise BadInput("the encoding has numbers that no network gives")
    return numbers
